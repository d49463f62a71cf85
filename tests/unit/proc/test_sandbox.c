/*
 * test_sandbox.c - each lock alone, in a child that tells by its exit status what it could still do.
 *
 * tests/rooms tries the whole set from inside real rooms; here are the edges: lists, flags, threads,
 * limits above the present ones, a Landlock rule for each kind of access.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "proc/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Runs act in a child; its wait status. */
static int in_child(void (*act)(void)) {
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void must(int ok, int code) {
    if (!ok)
        _exit(code);
}

static void confine(unsigned flags) {
    const char *const *lists[] = {bh_syscalls_base, bh_syscalls_threads, bh_syscalls_files, bh_syscalls_sockets, NULL};
    struct bh_err err = BH_ERR_INIT;

    if (bh_sandbox_seccomp(lists, flags, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        _exit(100);
    }
}

/* ---- seccomp ----------------------------------------------------------------------------- */

static void *in_thread(void *arg) {
    return (char *)arg + 1;
}

static void use_what_is_allowed(void) {
    pthread_t thread;
    void *result = NULL;
    char c = 'x';

    confine(0);
    free(malloc(1 << 20));
    must(pthread_create(&thread, NULL, in_thread, NULL) == 0 && pthread_join(thread, &result) == 0 && result, 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(fd >= 0, 2);
    must(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT, 3);
    must(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT, 4);
    must(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EACCES,
         5);
    must(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS, 6);
    must(open("/dev/null", O_RDONLY) >= 0 && write(2, &c, 0) == 0, 7);
}

static void allowed(void **state) {
    (void)state;
    assert_int_equal(in_child(use_what_is_allowed), 0);
}

static void use_inet(void) {
    confine(BH_SECCOMP_INET);
    must(socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EAFNOSUPPORT, 1);
    must(socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT, 2);
    must(socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 && errno == EAFNOSUPPORT, 3);
    must(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT, 4);
}

static void inet(void **state) {
    (void)state;
    assert_int_equal(in_child(use_inet), 0);
}

static void do_mount(void) {
    confine(0);
    syscall(SYS_mount, "a", "b", "c", 0, NULL);
}
static void do_fork(void) {
    confine(0);
    syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
static void do_exec(void) {
    confine(0);
    execl("/bin/true", "true", NULL);
}
static void do_ioctl(void) {
    confine(0);
    syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x");
}
static void do_dumpable(void) {
    confine(0);
    prctl(PR_SET_DUMPABLE, 1);
}
static void do_old_abi(void) {
#ifdef __x86_64__
    confine(0);
    syscall(0x40000000 | SYS_getpid); /* x32 */
#else
    raise(SIGSYS);
#endif
}

static void killed(void **state) {
    static void (*const acts[])(void) = {do_mount, do_fork, do_exec, do_ioctl, do_dumpable, do_old_abi};

    (void)state;
    for (unsigned i = 0; i < BH_ARRAY_LEN(acts); i++) {
        int status = in_child(acts[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

/* A thread that was there before is bound as well, and takes the whole process with it. */
static void *mount_later(void *arg) {
    usleep(200000);
    syscall(SYS_mount, "a", "b", "c", 0, NULL);
    return arg;
}
static void old_thread(void) {
    pthread_t thread;

    pthread_create(&thread, NULL, mount_later, NULL);
    confine(0);
    pthread_join(thread, NULL);
}

static void all_threads(void **state) {
    (void)state;
    int status = in_child(old_thread);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void forbidden_list(void) {
    static const char *const names[] = {"bpf", "io_uring_setup", "ptrace", "mount", "setns", "keyctl", "unshare"};
    struct bh_err err = BH_ERR_INIT;

    for (unsigned i = 0; i < BH_ARRAY_LEN(names); i++) {
        const char *const one[] = {names[i], NULL};
        const char *const *lists[] = {bh_syscalls_base, one, NULL};
        must(bh_sandbox_seccomp(lists, 0, &err) == BH_E_INTERNAL, 1);
    }
    must(prctl(PR_GET_SECCOMP) == 0, 2); /* nothing was loaded */
}

static void never(void **state) {
    (void)state;
    assert_int_equal(in_child(forbidden_list), 0);
}

static void privileged(void) {
    static const char *const more[] = {"execve",          "wait4", "access",   "arch_prctl",  "set_tid_address",
                                       "set_robust_list", "rseq",  "readlink", "personality", NULL};
    const char *const *lists[] = {bh_syscalls_base, bh_syscalls_threads, bh_syscalls_files, more, NULL};
    struct bh_err err = BH_ERR_INIT;

    must(bh_sandbox_seccomp(lists, BH_SECCOMP_FORK, &err) == 0, 1);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/true", "true", NULL);
        _exit(9);
    }
    int status = -1;
    must(waitpid(pid, &status, 0) == pid && status == 0, 2);
    syscall(SYS_bpf, 0, NULL, 0);
}

static void with_fork(void **state) {
    (void)state;
    if (SANITIZED) /* a program without sanitizers would run under their filter: nothing to learn */
        return;
    int status = in_child(privileged);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* ---- limits ------------------------------------------------------------------------------ */

static void lower_them(void) {
    const struct bh_limit limits[] = {{RLIMIT_NOFILE, 40}, {RLIMIT_AS, (uint64_t)8 << 30}, {RLIMIT_FSIZE, UINT64_MAX}};
    struct rlimit now, before;
    struct bh_err err = BH_ERR_INIT;

    getrlimit(RLIMIT_FSIZE, &before);
    must(bh_sandbox_limits(limits, 3, &err) == 0, 1);
    getrlimit(RLIMIT_NOFILE, &now);
    must(now.rlim_cur == 40 && now.rlim_max == 40, 2);
    getrlimit(RLIMIT_CORE, &now);
    must(now.rlim_max == 0, 3);
    getrlimit(RLIMIT_FSIZE, &now);
    must(now.rlim_max == before.rlim_max, 4); /* never above what it was */
    must(prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, 5);
    getrlimit(RLIMIT_AS, &now);
    must(SANITIZED || now.rlim_max <= (rlim_t)8 << 30, 6);
}

static void limits(void **state) {
    (void)state;
    assert_int_equal(in_child(lower_them), 0);
}

/* ---- Landlock ---------------------------------------------------------------------------- */

static char folder[] = "/tmp/bulkhead-landlock-XXXXXX";

static int can_open(const char *name, int flags) {
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    return fd < 0 ? 0 : !close(fd);
}

static void restrict_paths(void) {
    char r[64], w[64], one[64];
    struct bh_err err = BH_ERR_INIT;
    int abi = -1;

    snprintf(r, sizeof r, "%s/r", folder);
    snprintf(w, sizeof w, "%s/w", folder);
    snprintf(one, sizeof one, "%s/one", folder);
    const struct bh_landlock_rule rules[] = {{r, BH_LANDLOCK_READ},
                                             {w, BH_LANDLOCK_WRITE},
                                             {one, BH_LANDLOCK_RW_FILE},
                                             {"/nonexistent/x", BH_LANDLOCK_READ},
                                             {"/dev/null", BH_LANDLOCK_WRITE}};
    must(bh_sandbox_landlock(rules, 5, 0, &abi, &err) == 0, 1);
    must(abi == bh_sandbox_landlock_abi(), 2);
    must(can_open("r/file", O_RDONLY) && !can_open("r/file", O_WRONLY) && !can_open("r/new", O_CREAT | O_WRONLY), 3);
    must(can_open("w/new", O_CREAT | O_RDWR | O_TRUNC) && can_open("w/new", O_RDONLY), 4);
    must(can_open("one", O_RDWR) && !can_open("two", O_RDONLY) && !can_open(".", O_RDONLY | O_DIRECTORY), 5);
    must(open("/dev/null", O_RDWR) >= 0 && open("/etc/passwd", O_RDONLY) < 0, 6);
    must(abi < 6 || (kill(getppid(), 0) < 0 && errno == EPERM), 7);
    execl("/bin/true", "true", NULL);
    must(errno == EACCES, 8);
}

static void paths(void **state) {
    (void)state;
    if (bh_sandbox_landlock_abi() == 0)
        return;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("r", 0755) | mkdir("w", 0755), 0);
    close(open("r/file", O_CREAT | O_WRONLY, 0600));
    close(open("one", O_CREAT | O_WRONLY, 0600));
    close(open("two", O_CREAT | O_WRONLY, 0600));
    int status = in_child(restrict_paths);
    unlink("r/file");
    unlink("w/new");
    unlink("one");
    unlink("two");
    rmdir("r");
    rmdir("w");
    assert_int_equal(chdir("/"), 0);
    rmdir(folder);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed), cmocka_unit_test(inet),      cmocka_unit_test(killed), cmocka_unit_test(all_threads),
        cmocka_unit_test(never),   cmocka_unit_test(with_fork), cmocka_unit_test(limits), cmocka_unit_test(paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
