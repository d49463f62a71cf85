/*
 * evil.c - the taken-over room: confined like the real one, then tries what must be refused.
 *
 * Test only.  Started by the supervisor in a room's place (--libexec): store, registry, build,
 * runtime, launch or worker, by the name of its binary.  Each act is one line on standard error:
 * `evil room=R act=A refused=yes|NO how=...`.  A call that the filter kills is caught as SIGSYS here
 * (BH_SECCOMP_TRAP), so that one process can try them all; [test] die = "yes" in the configuration
 * lets the real action have its way instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/mem.h"
#include "proc/room.h"

static sigjmp_buf escape;
static const char *config = "";

static void on_sigsys(int sig) {
    (void)sig;
    siglongjmp(escape, 1);
}

/* ---- the acts: each returns < 0 with errno when it was refused, 0 when it went through --------- */

/* The value of `key = "value"` in the configuration. */
static const char *value(const char *key, char *out, size_t size) {
    char pattern[64];

    snprintf(pattern, sizeof pattern, "%s = \"", key);
    const char *at = strstr(config, pattern);
    snprintf(out, size, "%s", at ? at + strlen(pattern) : "/nowhere");
    out[strcspn(out, "\"\n")] = '\0';
    return out;
}

static int can_open(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);

    return fd < 0 ? -1 : close(fd);
}

static int below_root(const char *name, int flags) {
    char root[1024], path[2048];

    snprintf(path, sizeof path, "%s/%s", value("root", root, sizeof root), name);
    return can_open(path, flags);
}

static int open_shadow(void) {
    return can_open("/etc/shadow", O_RDONLY);
}
static int open_passwd(void) {
    return can_open("/etc/passwd", O_RDONLY);
}
static int open_proc(void) {
    return can_open("/proc/1/environ", O_RDONLY);
}
static int open_disk(void) {
    return can_open("/dev/vda", O_RDONLY);
}
static int open_memory(void) {
    return can_open("/dev/mem", O_RDONLY);
}
static int open_other_state(void) {
    return below_root("state/store", O_RDONLY | O_DIRECTORY);
}
static int open_launch_state(void) {
    return below_root("state/launch", O_RDONLY | O_DIRECTORY);
}
static int open_lock(void) {
    return below_root("lock", O_RDWR);
}
static int open_parent(void) {
    return can_open("/run/../../etc/shadow", O_RDONLY);
}
/* Shown in the room and readable by its modes: only Landlock closes it. */
static int open_shown_folder(void) {
    return can_open("/usr/local/lib", O_RDONLY | O_DIRECTORY);
}
static int write_library(void) {
    return can_open("/usr/lib/evil.so", O_WRONLY | O_CREAT);
}
static int write_root(void) {
    return can_open("/evil", O_WRONLY | O_CREAT);
}
static int write_run(void) {
    return can_open("/run/evil", O_WRONLY | O_CREAT);
}

static const char *const rooms[] = {"store", "registry", "build", "runtime", "monitor"};
static const char *self = "";

/* Each other room's folder: make a file, remove its socket. */
static int write_other_run(void) {
    char path[64];

    for (unsigned i = 0; i < BH_ARRAY_LEN(rooms); i++) {
        snprintf(path, sizeof path, "/run/%s/evil", rooms[i]);
        if (strcmp(rooms[i], self) != 0 && can_open(path, O_WRONLY | O_CREAT) == 0)
            return 0;
    }
    return -1;
}
static int unlink_other_socket(void) {
    char path[64];

    for (unsigned i = 0; i < BH_ARRAY_LEN(rooms); i++) {
        snprintf(path, sizeof path, "/run/%s/rpc.sock", rooms[i]);
        if (strcmp(rooms[i], self) != 0 && unlink(path) == 0)
            return 0;
    }
    return -1;
}

static int connect_port(int family) {
    char port[16];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(value("port", port, sizeof port)));
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof to);
}
static int connect_tcp(void) {
    return connect_port(AF_INET);
}
static int send_udp(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? -1 : sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) < 0 ? -1 : 0;
}
static int raw_socket(void) {
    return socket(AF_INET, SOCK_RAW, 1) < 0 ? -1 : 0;
}
static int packet_socket(void) {
    return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? -1 : 0;
}
static int netlink_socket(void) {
    return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? -1 : 0;
}
static int crypto_socket(void) {
    return socket(AF_ALG, SOCK_SEQPACKET, 0) < 0 ? -1 : 0;
}
static int vsock_socket(void) {
    return socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? -1 : 0;
}

/* An abstract socket of the host, in whose network namespace only the registry is. */
static int connect_abstract(void) {
    char name[128];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    value("abstract", name, sizeof name);
    memcpy(to.sun_path + 1, name, strlen(name));
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, n);
}

static int do_mount(void) {
    return mount("none", "/run", "tmpfs", 0, NULL);
}
static int do_umount(void) {
    return umount2("/usr/lib", MNT_DETACH);
}
static int do_fsopen(void) {
    return syscall(SYS_fsopen, "tmpfs", 0) < 0 ? -1 : 0;
}
static int do_open_tree(void) {
    return syscall(SYS_open_tree, AT_FDCWD, "/", 1) < 0 ? -1 : 0;
}
static int do_pivot(void) {
    return (int)syscall(SYS_pivot_root, "/run", "/run");
}
static int do_chroot(void) {
    return chroot("/run");
}
static int new_user_ns(void) {
    return unshare(CLONE_NEWUSER);
}
static int new_mount_ns(void) {
    return unshare(CLONE_NEWNS);
}
static int do_setns(void) {
    return setns(BH_FD_CONTROL, 0);
}

static int sibling(void) {
    char pid[16];

    return atoi(value("pid", pid, sizeof pid));
}
static int trace_sibling(void) {
    return ptrace(PTRACE_ATTACH, sibling(), NULL, NULL) < 0 ? -1 : 0;
}
static int read_sibling(void) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)config, 1};

    return process_vm_readv(sibling(), &here, 1, &there, 1, 0) < 0 ? -1 : 0;
}
static int kill_sibling(void) {
    return kill(sibling(), SIGTERM);
}
static int kill_all(void) {
    return kill(-1, SIGTERM);
}
static int steal_fd(void) {
    int pidfd = (int)syscall(SYS_pidfd_open, sibling(), 0);

    return pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, 0, 0) < 0 ? -1 : 0;
}

/* When an exec goes through, this act's line is missing, which the test notices. */
static int exec_shell(void) {
    char *const argv[] = {"sh", NULL};

    return execve("/bin/sh", argv, NULL);
}
static int exec_memory(void) {
    char *const argv[] = {"x", NULL};
    int fd = memfd_create("x", 0);

    return fd < 0 ? -1 : (int)syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
}
static int do_fork(void) {
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}
static int do_vfork(void) {
    long pid = syscall(SYS_fork);

    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}
static int do_clone3(void) {
    struct {
        uint64_t v[8];
    } args = {{0, 0, 0, 0, SIGCHLD}};
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0)
        _exit(0);
    return pid < 0 ? -1 : 0;
}

static int do_bpf(void) {
    char attr[128] = {1};

    return syscall(SYS_bpf, 0, attr, sizeof attr) < 0 ? -1 : 0;
}
static int do_io_uring(void) {
    char params[256] = {0};

    return syscall(SYS_io_uring_setup, 4, params) < 0 ? -1 : 0;
}
static int do_keyctl(void) {
    return syscall(SYS_keyctl, 0, -3, 1) < 0 ? -1 : 0;
}
static int do_add_key(void) {
    return syscall(SYS_add_key, "user", "evil", "x", 1, -3) < 0 ? -1 : 0;
}
static int do_userfaultfd(void) {
    return syscall(SYS_userfaultfd, 1) < 0 ? -1 : 0;
}
static int do_perf(void) {
    char attr[128] = {0};

    return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0) < 0 ? -1 : 0;
}
static int load_module(void) {
    return (int)syscall(SYS_init_module, "x", 1, "");
}
static int do_kexec(void) {
    return (int)syscall(SYS_kexec_load, 0, 0, NULL, 0);
}
static int do_reboot(void) {
    return (int)syscall(SYS_reboot, 1, 2, 3, NULL);
}
static int do_swapon(void) {
    return (int)syscall(SYS_swapon, "/run", 0);
}
static int set_clock(void) {
    struct timespec t = {1, 0};

    return (int)syscall(SYS_clock_settime, 0, &t);
}
static int set_hostname(void) {
    return sethostname("evil", 4);
}
static int make_device(void) {
    char path[64];

    snprintf(path, sizeof path, "/run/%s/null", self);
    return mknod(path, S_IFCHR | 0666, 0x103);
}
static int by_handle(void) {
    char handle[128] = {8};

    return (int)syscall(SYS_open_by_handle_at, AT_FDCWD, handle, 0);
}
static int change_personality(void) {
    return syscall(SYS_personality, 0x0400000) < 0 ? -1 : 0;
}

static int exec_memory_map(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : 0;
}
static int make_executable(void) {
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
static int become_root(void) {
    return (int)syscall(SYS_setuid, 0); /* not setuid(): libc would involve the other threads */
}
static int take_group(void) {
    gid_t groups[] = {0};

    return (int)syscall(SYS_setgroups, 1, groups);
}
static int take_caps(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};

    return (int)syscall(SYS_capset, &header, data);
}
static int become_dumpable(void) {
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}
static int lift_seccomp(void) {
    return (int)syscall(SYS_seccomp, 0, 0, NULL);
}
static int raise_limit(void) {
    struct rlimit l = {1 << 20, 1 << 20};

    return setrlimit(RLIMIT_NOFILE, &l);
}

/* `inet`: the registry has the network, so these are no crimes there. */
enum { HAS_NET = 1 };
static const struct {
    const char *name;
    int (*act)(void);
    int except;
} acts[] = {
    {"open-shadow", open_shadow, 0},
    {"open-passwd", open_passwd, 0},
    {"open-proc", open_proc, 0},
    {"open-disk", open_disk, 0},
    {"open-memory", open_memory, 0},
    {"open-other-state", open_other_state, 0},
    {"open-launch-state", open_launch_state, 0},
    {"open-lock", open_lock, 0},
    {"open-dotdot", open_parent, 0},
    {"landlock", open_shown_folder, 0},
    {"write-library", write_library, 0},
    {"write-root", write_root, 0},
    {"write-run", write_run, 0},
    {"write-other-run", write_other_run, 0},
    {"unlink-other-socket", unlink_other_socket, 0},
    {"connect-tcp", connect_tcp, HAS_NET},
    {"send-udp", send_udp, HAS_NET},
    {"raw-socket", raw_socket, 0},
    {"packet-socket", packet_socket, 0},
    {"netlink-socket", netlink_socket, HAS_NET},
    {"crypto-socket", crypto_socket, 0},
    {"vsock-socket", vsock_socket, 0},
    {"connect-abstract", connect_abstract, 0},
    {"mount", do_mount, 0},
    {"umount", do_umount, 0},
    {"fsopen", do_fsopen, 0},
    {"open-tree", do_open_tree, 0},
    {"pivot-root", do_pivot, 0},
    {"chroot", do_chroot, 0},
    {"unshare-user", new_user_ns, 0},
    {"unshare-mount", new_mount_ns, 0},
    {"setns", do_setns, 0},
    {"ptrace-sibling", trace_sibling, 0},
    {"read-sibling-memory", read_sibling, 0},
    {"kill-sibling", kill_sibling, 0},
    {"kill-all", kill_all, 0},
    {"steal-descriptor", steal_fd, 0},
    {"exec-shell", exec_shell, 0},
    {"exec-memfd", exec_memory, 0},
    {"fork", do_fork, 0},
    {"fork-old", do_vfork, 0},
    {"clone3", do_clone3, 0},
    {"bpf", do_bpf, 0},
    {"io-uring", do_io_uring, 0},
    {"keyctl", do_keyctl, 0},
    {"add-key", do_add_key, 0},
    {"userfaultfd", do_userfaultfd, 0},
    {"perf", do_perf, 0},
    {"load-module", load_module, 0},
    {"kexec", do_kexec, 0},
    {"reboot", do_reboot, 0},
    {"swapon", do_swapon, 0},
    {"set-clock", set_clock, 0},
    {"set-hostname", set_hostname, 0},
    {"make-device", make_device, 0},
    {"open-by-handle", by_handle, 0},
    {"personality", change_personality, 0},
    {"map-exec", exec_memory_map, 0},
    {"protect-exec", make_executable, 0},
    {"setuid-root", become_root, 0},
    {"setgroups", take_group, 0},
    {"capset", take_caps, 0},
    {"dumpable", become_dumpable, 0},
    {"new-filter", lift_seccomp, 0},
    {"raise-limit", raise_limit, 0},
};

static void report(const char *act, bool refused, const char *how) {
    char line[256];
    int n =
        snprintf(line, sizeof line, "evil room=%s act=%s refused=%s how=%s\n", self, act, refused ? "yes" : "NO", how);

    if (write(2, line, (size_t)n) < 0)
        _exit(3);
}

static void try_all(bool network) {
    signal(SIGSYS, on_sigsys);
    for (volatile unsigned i = 0; i < BH_ARRAY_LEN(acts); i++) {
        if (network && acts[i].except == HAS_NET)
            continue;
        if (sigsetjmp(escape, 1) != 0) {
            report(acts[i].name, true, "SIGSYS");
            continue;
        }
        errno = 0;
        bool refused = acts[i].act() < 0;
        report(acts[i].name, refused, refused ? strerrorname_np(errno) : "went-through");
    }
    report("end", true, "-");
}

/* ---- the roles ------------------------------------------------------------------------------- */

static volatile int stop_asked;

static void on_stop(void *arg) {
    (void)arg;
    stop_asked = 1;
}

static _Noreturn void wait_for_stop(void) {
    while (!stop_asked)
        usleep(20000);
    _exit(0);
}

/* launch has a start of its own; here it only has to be there. */
static _Noreturn void be_launch(void) {
    struct bh_control_simple ready = {.type = BH_CONTROL_READY}, m;

    if (write(BH_FD_CONTROL, &ready, sizeof ready) != (ssize_t)sizeof ready)
        _exit(1);
    while (read(BH_FD_CONTROL, &m, sizeof m) == (ssize_t)sizeof m && m.type != BH_CONTROL_STOP)
        ;
    _exit(0);
}

static _Noreturn void be_worker(void) {
    static const char *const extra[] = {"rt_sigreturn", NULL};
    struct bh_err err = BH_ERR_INIT;

    self = "worker";
    if (bh_worker_confine_flags(0, (uint64_t)256 << 20, extra, BH_SECCOMP_TRAP, &err) < 0) {
        report(err.msg, false, "confine");
        _exit(1);
    }
    try_all(false);
    _exit(0);
}

/* What the network's room must still be able to do: names and connections. */
static void use_network(void) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo("localhost", "443", &hints, &list);

    report("may-resolve", rc == 0, rc == 0 ? "done" : gai_strerror(rc));
    freeaddrinfo(list);
    report("may-connect", connect_tcp() == 0, "done");
    report("may-read-certificates", can_open("/etc/ssl/certs", O_RDONLY | O_DIRECTORY) == 0, "done");
}

static void spawn_worker(struct bh_room *room) {
    struct bh_worker *w;
    struct bh_err err = BH_ERR_INIT;
    int status = -1;

    if (bh_worker_spawn(room->control, "evil", NULL, 0, 0, 0, &w, &err) < 0 ||
        bh_worker_wait(w, 20000, &status, &err) < 0)
        report(err.msg, false, "worker");
}

/* A breach of the channel's rules must end this room. */
static void speak_out_of_turn(struct bh_room *room) {
    char word[32];

    if (strcmp(value("speak", word, sizeof word), self) != 0)
        return;
    struct bh_control_spawn m = {.type = BH_CONTROL_SPAWN, .seq = 1, .job = "evil"};
    (void)room;
    if (write(BH_FD_CONTROL, &m, sizeof m) < 0)
        _exit(3);
}

static _Noreturn void be_room(int argc, char **argv) {
    static struct bh_room room;
    static struct bh_room_spec spec;
    struct bh_err err = BH_ERR_INIT;
    char word[32];

    spec.name = self;
    spec.network = strcmp(self, "registry") == 0;
    spec.state = strcmp(self, "store") == 0 || strcmp(self, "runtime") == 0;
    spec.monitor = spec.launch = strcmp(self, "runtime") == 0;
    if (bh_room_begin(&room, &spec, argc, argv, &err) < 0)
        bh_room_end(&room, &err);
    config = bh_buf_str(&room.config);
    bool die = strcmp(value("die", word, sizeof word), self) == 0;
    bool act = strcmp(value("act", word, sizeof word), "yes") == 0;
    if (bh_room_confine_flags(&room, act ? BH_SECCOMP_TRAP : 0, &err) < 0 ||
        bh_room_ready(&room, on_stop, NULL, NULL, &err) < 0)
        bh_room_end(&room, &err);
    if (act)
        try_all(spec.network);
    if (act && spec.network)
        use_network();
    if (act && strcmp(self, "store") == 0)
        spawn_worker(&room);
    speak_out_of_turn(&room);
    if (die)
        (void)do_mount();
    wait_for_stop();
}

int main(int argc, char **argv) {
    const char *slash = strrchr(argv[0], '/');

    self = slash ? slash + 1 : argv[0];
    if (strncmp(self, "bulkhead-", 9) == 0)
        self += 9;
    if (strcmp(self, "launch") == 0)
        be_launch();
    if (strcmp(self, "unpack") == 0)
        be_worker();
    be_room(argc, argv);
}
