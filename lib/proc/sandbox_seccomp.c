/*
 * sandbox_seccomp.c - builds and loads the filter of a room from lists of names.
 *
 * Room: all but the supervisor.  The lists are ours; what the filtered process does later is not
 * trusted at all.  Must end in "kill the process" for whatever it does not know, and must never let
 * a list hand out the calls of `never`.  Contract and list of argument checks: sandbox.h.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "proc/sandbox.h"

/* What pthread_create passes; a process made without these flags would not share our memory. */
#define THREAD_FLAGS 0x00010f00u /* CLONE_VM | FS | FILES | SIGHAND | THREAD */

static const char *const never[] = {"io_uring_setup",
                                    "io_uring_enter",
                                    "io_uring_register",
                                    "bpf",
                                    "ptrace",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "keyctl",
                                    "add_key",
                                    "request_key",
                                    "userfaultfd",
                                    "perf_event_open",
                                    "mount",
                                    "umount",
                                    "umount2",
                                    "pivot_root",
                                    "fsopen",
                                    "fsconfig",
                                    "fsmount",
                                    "fspick",
                                    "move_mount",
                                    "open_tree",
                                    "mount_setattr",
                                    "setns",
                                    "unshare",
                                    "kexec_load",
                                    "kexec_file_load",
                                    "init_module",
                                    "finit_module",
                                    "delete_module",
                                    "mknod",
                                    "mknodat",
                                    "open_by_handle_at",
                                    "chroot",
                                    "reboot",
                                    "swapon",
                                    "swapoff",
                                    "acct",
                                    "quotactl",
                                    "personality",
                                    "modify_ldt",
                                    "remap_file_pages",
                                    "pkey_mprotect",
                                    "shmget",
                                    "shmat",
                                    "uselib",
                                    "vmsplice",
                                    NULL};

/* With BH_SECCOMP_FORK (launch and its kin) only these stay closed. */
static const char *const never_even_privileged[] = {
    "io_uring_setup",  "io_uring_enter", "io_uring_register", "bpf",         "userfaultfd",
    "perf_event_open", "kexec_load",     "kexec_file_load",   "init_module", "finit_module",
    "delete_module",   "keyctl",         "add_key",           "request_key", "reboot",
    "swapon",          "swapoff",        "modify_ldt",        NULL};

static const char *const always[] = {"exit_group", "rt_sigreturn", NULL};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* Reports: /proc/self/maps, the symbolizer's files, the stack's limits. */
static const char *const sanitizer[] = {"open",        "openat",      "stat",
                                        "newfstatat",  "readlink",    "readlinkat",
                                        "sigaltstack", "sched_yield", "sched_getaffinity",
                                        "personality", "gettid",      "getpid",
                                        "madvise",     "pipe",        "fcntl",
                                        NULL};
#endif

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at exit traces its own process, which every filter here refuses. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void) {
    return "detect_leaks=0";
}
#endif

static bool listed(const char *const *list, const char *name) {
    for (; *list; list++) {
        if (strcmp(*list, name) == 0)
            return true;
    }
    return false;
}

static int rule_failed(struct bh_err *err, int rc, const char *name) {
    return bh_err_errno(err, -rc, "build the system call filter: rule for %s", name);
}

/* Calls whose arguments matter. */
static int add_memory(scmp_filter_ctx ctx, int nr) {
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

    /* libc's dlopen may try this for a plug-in of the resolver or of iconv: refuse, it copes. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), nr, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
    return rc;
}

static int add_clone(scmp_filter_ctx ctx) {
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD_FLAGS | 0x7e020000u /* CLONE_NEW* */, THREAD_FLAGS));
}

static int add_socket(scmp_filter_ctx ctx, int nr, bool inet) {
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    int rc = 0;

    for (unsigned i = 0; i < (inet ? BH_ARRAY_LEN(families) : 1) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    /* Libraries probe for other families (OpenSSL for AF_ALG): an errno, not death. */
    if (rc == 0 && !inet)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), nr, 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX));
    if (rc == 0 && inet)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), nr, 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK));
    return rc;
}

static int add_ioctl(scmp_filter_ctx ctx, bool tty) {
    static const unsigned long known[] = {TCGETS, TIOCGWINSZ, FIONREAD, TIOCOUTQ, FIONBIO, FIOCLEX};
    int rc = 0;

    for (unsigned i = 0; i < BH_ARRAY_LEN(known) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, known[i]));
    if (rc == 0 && tty)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TIOCSWINSZ));
    return rc;
}

static int add_prctl(scmp_filter_ctx ctx) {
    static const int known[] = {PR_SET_NAME,    PR_GET_NAME,     PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS,
                                PR_GET_SECCOMP, PR_CAPBSET_READ, 0x53564d41 /* PR_SET_VMA: malloc names its areas */};
    int rc = 0;

    for (unsigned i = 0; i < BH_ARRAY_LEN(known) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)known[i]));
    return rc;
}

/* Limits may be read; a change of its own is refused. */
static int add_prlimit(scmp_filter_ctx ctx) {
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
}

static int add_tgkill(scmp_filter_ctx ctx) {
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

static int add_checked(scmp_filter_ctx ctx, int nr, unsigned flags, bool *out_done) {
    *out_done = true;
    if (nr == SCMP_SYS(mmap) || nr == SCMP_SYS(mprotect))
        return add_memory(ctx, nr);
    if (nr == SCMP_SYS(clone))
        return add_clone(ctx);
    if (nr == SCMP_SYS(clone3)) /* its flags are behind a pointer */
        return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
    if (nr == SCMP_SYS(socket) || nr == SCMP_SYS(socketpair))
        return add_socket(ctx, nr, (flags & BH_SECCOMP_INET) != 0);
    if (nr == SCMP_SYS(ioctl))
        return add_ioctl(ctx, (flags & BH_SECCOMP_TTY) != 0);
    if (nr == SCMP_SYS(prctl))
        return add_prctl(ctx);
    if (nr == SCMP_SYS(prlimit64))
        return add_prlimit(ctx);
    if (nr == SCMP_SYS(tgkill))
        return add_tgkill(ctx);
    *out_done = false;
    return 0;
}

static int add_name(scmp_filter_ctx ctx, const char *name, unsigned flags, struct bh_err *err) {
    bool privileged = (flags & BH_SECCOMP_FORK) != 0;
    int nr = seccomp_syscall_resolve_name(name);
    bool done = false;
    int rc = 0;

    if (nr < 0) /* not of this machine */
        return 0;
    if (listed(privileged ? never_even_privileged : never, name))
        return bh_err_set(err, BH_E_INTERNAL, "build the system call filter: %s is never allowed", name);
    if (!privileged)
        rc = add_checked(ctx, nr, flags, &done);
    if (rc == 0 && !done)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
    return rc == 0 || rc == -EEXIST ? 0 : rule_failed(err, rc, name);
}

static int add_list(scmp_filter_ctx ctx, const char *const *list, unsigned flags, struct bh_err *err) {
    for (; *list; list++) {
        int rc = add_name(ctx, *list, flags, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int fill(scmp_filter_ctx ctx, const char *const *const *lists, unsigned flags, struct bh_err *err) {
    int rc = add_list(ctx, always, flags, err);

    for (; rc == 0 && *lists; lists++)
        rc = add_list(ctx, *lists, flags, err);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    for (const char *const *s = sanitizer; rc == 0 && *s; s++) {
        int failed = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, seccomp_syscall_resolve_name(*s), 0);
        if (failed != 0 && failed != -EEXIST && failed != -EDOM)
            rc = rule_failed(err, failed, *s);
    }
#endif
    return rc;
}

/* ---- debug builds: name the call before dying ---------------------------------------------- */

static void on_sigsys(int sig, siginfo_t *info, void *context) {
    char text[] = "<3>seccomp-refused syscall=0000\n";
    unsigned nr = (unsigned)info->si_syscall;

    (void)sig;
    (void)context;
    for (size_t i = 0, at = sizeof text - 3; i < 4; i++, nr /= 10)
        text[at - i] = (char)('0' + nr % 10);
    if (write(2, text, sizeof text - 1) < 0) {
        /* Nothing better can be done here. */
    }
    /* SIGSYS is blocked in here, so the second refusal ends the process with that signal. */
    syscall(SYS_reboot, 0, 0, 0, 0);
}

static int catch_sigsys(struct bh_err *err) {
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_RESETHAND};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    if (sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
        return bh_err_errno(err, errno, "catch SIGSYS");
    return 0;
}

/* ---- load ---------------------------------------------------------------------------------- */

static void release(scmp_filter_ctx *ctx) {
    if (*ctx)
        seccomp_release(*ctx);
}

static int set_attributes(scmp_filter_ctx ctx) {
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
    /* A balanced tree: the cost of a call does not depend on its place in the list. */
    if (rc == 0)
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return rc;
}

int bh_sandbox_seccomp(const char *const *const *lists, unsigned flags, struct bh_err *err) {
#ifndef NDEBUG
    flags |= BH_SECCOMP_TRAP;
#endif
    uint32_t refuse = (flags & BH_SECCOMP_TRAP) ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS;
    BH_SCOPE(release) scmp_filter_ctx ctx = seccomp_init(refuse);

    if (!ctx)
        return bh_err_set(err, BH_E_INTERNAL, "build the system call filter: out of memory");
    int rc = set_attributes(ctx);
    if (rc < 0)
        return bh_err_errno(err, -rc, "build the system call filter");
    rc = fill(ctx, lists, flags, err);
    if (rc < 0)
        return rc;
    if (flags & BH_SECCOMP_TRAP)
        rc = catch_sigsys(err);
    if (rc < 0)
        return rc;
    rc = seccomp_load(ctx);
    return rc == 0 ? 0 : bh_err_errno(err, -rc, "load the system call filter");
}
