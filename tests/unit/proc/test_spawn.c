/*
 * test_spawn.c - programs started in rooms of their own: what arrives, what does not, what is refused.
 *
 * Needs root; without it nothing is tried.  The program is a shell that tells about itself, in a root
 * that shows it no more than libraries and /usr/bin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "proc/spawn.h"

static char stage[] = "/tmp/bulkhead-spawn-XXXXXX";
static const struct bh_bind binds[] = {
    {"/usr", "/usr", BH_BIND_EXEC},
    {"/bin", "/bin", BH_BIND_EXEC},
    {"/lib", "/lib", BH_BIND_EXEC},
    {"/lib64", "/lib64", BH_BIND_EXEC | BH_BIND_OPTIONAL},
    {"/dev/null", "/dev/null", BH_BIND_RW | BH_BIND_DEV},
    {"/nonexistent", "/nonexistent", BH_BIND_OPTIONAL},
};

/* Runs `sh -c script` in a room; *out gets its standard output. */
static int run(const struct bh_spawn *base, const char *script, char *out, size_t size, struct bh_err *err) {
    const char *const argv[] = {"sh", "-c", script, NULL}, *const envp[] = {"PATH=/usr/bin:/bin", "ONE=1", NULL};
    BH_SCOPE_CLOSE int exe = open("/bin/sh", O_PATH | O_CLOEXEC), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct bh_spawn s = *base;
    int pipes[2], status = -1, pidfd;
    pid_t pid;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    int fds[] = {null, pipes[1], pipes[1], -1, -1, -1, -1, null};
    s.name = "test";
    s.argv = argv;
    s.envp = envp;
    s.fds = fds;
    s.n_fds = BH_ARRAY_LEN(fds);
    s.exe_fd = s.exe_fd ? s.exe_fd : exe;
    int rc = bh_spawn(&s, &pid, &pidfd, err);
    close(pipes[1]);
    if (rc == 0) {
        ssize_t n = bh_read_full(pipes[0], out, size - 1);
        out[n < 0 ? 0 : n] = '\0';
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(pidfd);
    }
    close(pipes[0]);
    return rc < 0 ? rc : status;
}

static struct bh_spawn room(void) {
    return (struct bh_spawn){.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS,
                             .stage = stage,
                             .binds = binds,
                             .n_binds = BH_ARRAY_LEN(binds),
                             .proc = true,
                             .uid = 268369000,
                             .gid = 268369001};
}

static void identity(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_spawn s = room();
    char out[4096];

    (void)state;
    s.groups = (const gid_t[]){77};
    s.n_groups = 1;
    assert_int_equal(run(&s, "echo $$ $ONE $HOME; id -u; id -g; id -G; grep -E '^(Cap|NoNew)' /proc/self/status", out,
                         sizeof out, &err),
                     0);
    assert_string_equal(out, "1 1\n268369000\n268369001\n268369001 77\n"
                             "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                             "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
}

static void root_folder(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_spawn s = room();
    char out[4096];

    (void)state;
    assert_int_equal(run(&s,
                         "cd /; echo *; echo x > /dev/null && echo writes; ls /dev; ls /etc /home 2>/dev/null; "
                         "readlink /bin; ls -A /proc/1/root/ >/dev/null && echo same",
                         out, sizeof out, &err),
                     0);
    assert_non_null(strstr(out, "bin dev lib"));
    assert_non_null(strstr(out, "proc usr\nwrites\nnull\n"));
    assert_null(strstr(out, "home"));
    /* As root the mounts still hold. */
    s.uid = s.gid = 0;
    assert_true(run(&s, "touch /x /usr/x /dev/x", out, sizeof out, &err) != 0);
    assert_non_null(strstr(out, "Read-only file system"));
}

static void descriptors(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_spawn s = room();
    char out[4096];

    (void)state;
    int leak = fcntl(0, F_DUPFD, 30); /* not close-on-exec */
    assert_int_equal(run(&s, "echo /proc/$$/fd/*", out, sizeof out, &err), 0);
    close(leak);
    assert_string_equal(
        out, "/proc/1/fd/0 /proc/1/fd/1 /proc/1/fd/2 /proc/1/fd/3 /proc/1/fd/7\n" /* 3: the shell reads the folder */);
}

static void limits_and_caps(void **state) {
    static const struct bh_limit limits[] = {{RLIMIT_NOFILE, 33}, {RLIMIT_CPU, 5}};
    struct bh_err err = BH_ERR_INIT;
    struct bh_spawn s = room();
    char out[4096];

    (void)state;
    s.limits = limits;
    s.n_limits = 2;
    assert_int_equal(run(&s, "ulimit -n; ulimit -t", out, sizeof out, &err), 0);
    assert_string_equal(out, "33\n5\n");
    s.uid = s.gid = 0;
    s.caps = (uint64_t)1 << 5; /* KILL */
    s.may_gain = true;
    assert_int_equal(run(&s, "grep -E '^(CapPrm|CapBnd|NoNew)' /proc/self/status", out, sizeof out, &err), 0);
    assert_string_equal(out, "CapPrm:\t0000000000000020\nCapBnd:\t0000000000000020\nNoNewPrivs:\t0\n");
}

/* Each step that fails is told by name, and no process stays. */
static void refusals(void **state) {
    static const struct bh_bind missing[] = {{"/nonexistent", "/x", 0}};
    struct bh_err err = BH_ERR_INIT;
    struct bh_spawn s = room();
    char out[64];

    (void)state;
    s.binds = missing;
    s.n_binds = 1;
    assert_true(run(&s, "true", out, sizeof out, &err) < 0);
    assert_string_equal(err.msg, "start test: look at /nonexistent: No such file or directory");
    s = room();
    s.stage = "/nonexistent";
    assert_true(run(&s, "true", out, sizeof out, &err) < 0);
    assert_non_null(strstr(err.msg, "mount the room's root on /nonexistent"));
    s = room();
    s.exe_fd = open("/etc/passwd", O_PATH | O_CLOEXEC);
    assert_true(run(&s, "true", out, sizeof out, &err) < 0);
    assert_non_null(strstr(err.msg, "execute its binary: Permission denied"));
    close(s.exe_fd);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void host_root(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_spawn s = {.namespaces = CLONE_NEWNS, .caps = ~0ULL, .may_gain = true};
    char out[256];

    (void)state;
    assert_int_equal(run(&s, "test -e /etc/passwd && test $$ != 1 && echo host", out, sizeof out, &err), 0);
    assert_string_equal(out, "host\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity),        cmocka_unit_test(root_folder), cmocka_unit_test(descriptors),
        cmocka_unit_test(limits_and_caps), cmocka_unit_test(refusals),    cmocka_unit_test(host_root),
    };

    struct statx root;

    /* In a chroot "/" is no mount; there the supervisor makes one before it spawns, this test has none. */
    if (geteuid() != 0 || statx(AT_FDCWD, "/", 0, 0, &root) < 0 || !(root.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
        !mkdtemp(stage))
        return 77;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(stage);
    return failed;
}
