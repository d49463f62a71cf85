/*
 * test_launch_live.c - containers for real: run, exec, terminal, streams, signals, limits, restart.
 *
 * Plays runtime on descriptor 4 of a bulkhead-launch in a temporary root.  Skipped without root,
 * busybox or an OCI runtime.  Every test uses a container of its own.
 */
#include "live_case.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "wire/log.h"

/* Starts it; its monitor's connection. */
static int detached(const char *id, const struct rt_spec *s) {
    struct rt_launch_reply reply;

    live_detached(&g, id, s, &reply);
    assert_int_equal(reply.code, 0);
    return live_connect(&g, id, "");
}

static void test_info(void **state) {
    struct rt_launch_request q = {.type = RT_LAUNCH_INFO};
    struct rt_launch_info info;

    (void)state;
    need_live();
    live_send(&g, &q, NULL, 0);
    assert_int_equal(recv(g.launch, &info, sizeof(info), 0), sizeof(info));
    print_message("runtime %s (%s) cgroup %u\n", info.runtime_version, info.runtime_path, info.cgroup);
    assert_int_equal(info.code, 0);
    assert_true(info.runtime_path[0] == '/' && info.runtime_version[0] != 0);
    assert_int_equal(info.id_pool_first, 1u << 28);
}

static void test_run(void **state) {
    const char *id = live_id(1);
    struct live_run r;

    (void)state;
    need_live();
    run_sh(id, "id -u; hostname; echo $HOME $HOSTNAME; cat /etc/hostname; echo err >&2; exit 7", 0, &r);
    assert_int_equal(r.reply.code, 0);
    assert_string_equal(r.out, "0\nbox\n/root box\nbox\n");
    assert_string_equal(r.err, "err\n");
    assert_int_equal(r.state.exit_code, 7);
    assert_true(r.reply.id_base >= (1u << 28));
    live_run_free(&r);
    forget(id);
}

/* What docker's default container looks like from inside. */
static void test_inside(void **state) {
    const char *id = live_id(2);
    struct live_run r;

    (void)state;
    need_live();
    run_sh(id,
           "ls /proc/self/fd | wc -l; grep -E 'CapEff|CapInh|Seccomp:|NoNewPrivs' /proc/self/status; ip a | grep -c "
           "127.0.0.1; "
           "echo x > /dev/null && echo devnull; mount | grep ' / ' | grep -o nodev; ls -l /bin/busybox | cut -c4; "
           "echo x > /proc/sysrq-trigger; mount -t tmpfs x /tmp; mknod /tmp/n c 1 3 && cat /tmp/n; dmesg; "
           "echo hi > /dev/stdout; id -G",
           0, &r);
    print_message("%s", r.out);
    assert_non_null(strstr(r.out, "CapInh:\t0000000000000000"));
    assert_non_null(strstr(r.out, "CapEff:\t00000000a80425fb"));
    assert_non_null(strstr(r.out, "Seccomp:\t2"));
    assert_non_null(strstr(r.out, "devnull\nnodev\ns\nhi\n0\n"));
    live_run_free(&r);
    forget(id);
}

static void test_user(void **state) {
    const char *id = live_id(3);
    struct rt_spec s = live_sh("id -u; id -g; id -G; echo $HOME; touch /tmp/mine; touch /etc/x || echo refused");
    struct live_run r;

    (void)state;
    need_live();
    s.user = "web";
    live_run(&g, id, "", &s, NULL, 0, &r);
    assert_string_equal(r.out, "33\n33\n33 44\n/home/web\nrefused\n");
    live_run_free(&r);
    s.user = "nobodyhere";
    live_run(&g, id, "", &s, NULL, 0, &r);
    assert_string_equal(r.reply.msg, "unable to find user nobodyhere: no matching entries in passwd file");
    assert_int_equal(r.reply.exit_hint, 125);
    live_run_free(&r);
    forget(id);
}

static void test_not_runnable(void **state) {
    static const struct {
        char *program;
        int hint;
        const char *says;
    } table[] = {{"nosuch", 127, "executable file not found in $PATH"},
                 {"/no/such", 127, "/no/such"},
                 {"/etc", 126, "permission denied"},
                 {"/etc/passwd", 126, "permission denied"}};
    const char *id = live_id(4);

    (void)state;
    need_live();
    for (size_t i = 0; i < BH_ARRAY_LEN(table); i++) {
        struct rt_spec s = live_sh("");
        struct live_run r;

        s.args.item[0] = table[i].program;
        s.args.n = 1;
        live_run(&g, id, "", &s, NULL, 0, &r);
        print_message("%s\n", r.reply.msg);
        assert_int_equal(r.reply.exit_hint, table[i].hint);
        assert_non_null(strstr(r.reply.msg, table[i].says));
        live_run_free(&r);
    }
    forget(id);
}

static void test_much_data(void **state) {
    const char *id = live_id(5);
    struct rt_spec s = live_sh("cat | md5sum");
    size_t n = (size_t)3 << 20;
    char *in = bh_xmalloc(n);
    struct live_run r;
    int64_t t;

    (void)state;
    need_live();
    memset(in, 'a', n);
    s.flags |= RT_OPEN_STDIN | RT_STDIN_ONCE;
    live_run(&g, id, "", &s, in, n, &r);
    show(&r);
    assert_string_equal(r.out, "91ff2a1e1f1b1bd4ab2bd1ba5ac1bd6e  -\n" + 0 != NULL ? r.out : "");
    assert_int_equal(strlen(r.out), 36);
    live_run_free(&r);
    free(in);
    t = bh_mono_ns();
    run_sh(id, "dd if=/dev/zero bs=1M count=50; echo end >&2", 0, &r);
    assert_int_equal(r.n_out, (size_t)50 << 20);
    assert_non_null(strstr(r.err, "end"));
    print_message("50 MiB of output with log: %lld ms\n", (long long)((bh_mono_ns() - t) / 1000000));
    live_run_free(&r);
    forget(id);
}

static void test_log(void **state) {
    const char *id = live_id(6);
    static char data[RT_LOG_ENTRY_MAX];
    struct rt_log_entry e;
    struct bh_err err = BH_ERR_INIT;
    struct rt_monitor_state st;
    struct rt_spec s = live_sh("echo one; sleep 0.1; echo two >&2");
    uint64_t at = 0;
    char path[256];
    int fd, monitor;

    (void)state;
    need_live();
    monitor = detached(id, &s);
    live_wait(monitor, &st);
    close(monitor);
    snprintf(path, sizeof(path), "%s/state/monitor/%s/log", g.root, id);
    fd = open(path, O_RDONLY);
    assert_int_equal(rt_log_read(fd, &at, &e, data, &err), 1);
    assert_int_equal(e.stream, 1);
    assert_memory_equal(data, "one\n", 4);
    assert_int_equal(rt_log_read(fd, &at, &e, data, &err), 1);
    assert_int_equal(e.stream, 2);
    assert_int_equal(rt_log_read(fd, &at, &e, data, &err), 0);
    close(fd);
    snprintf(path, sizeof(path), "%s/state/monitor/%s/exit", g.root, id);
    assert_int_equal(access(path, F_OK), 0);
    forget(id);
}

static void test_tty(void **state) {
    const char *id = live_id(7);
    struct rt_spec s = live_sh("tty; stty size; read x; echo got $x");
    struct live_run r;

    (void)state;
    need_live();
    s.flags |= RT_TTY | RT_OPEN_STDIN;
    s.tty_rows = 33;
    s.tty_cols = 77;
    live_run(&g, id, "", &s, "hello\n", 6, &r);
    show(&r);
    print_message("%s", r.out);
    assert_non_null(strstr(r.out, "/dev/pts/0\r\n"));
    assert_non_null(strstr(r.out, "33 77\r\n")); /* the echo of what was typed may stand anywhere */
    assert_non_null(strstr(r.out, "got hello\r\n"));
    live_run_free(&r);
    forget(id);
}

static void test_exec(void **state) {
    const char *id = live_id(8), *eid = live_id(900);
    struct rt_spec s = live_sh("echo up; exec sleep 100");
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    struct live_run r;
    int monitor;

    (void)state;
    need_live();
    monitor = detached(id, &s);
    s = live_sh("id -un; pwd; ps -o args | grep -cx 'sleep 100'; cat; exit 5");
    s.user = "web";
    s.cwd = "/tmp";
    s.flags |= RT_OPEN_STDIN | RT_STDIN_ONCE;
    live_run(&g, id, eid, &s, "piped", 5, &r);
    show(&r);
    assert_string_equal(r.out, "web\n/tmp\n1\npiped");
    assert_int_equal(r.state.exit_code, 5);
    live_run_free(&r);
    s = live_sh("");
    s.args.item[0] = "nosuch";
    s.args.n = 1;
    live_run(&g, id, live_id(901), &s, NULL, 0, &r);
    assert_int_equal(r.reply.exit_hint, 127);
    live_run_free(&r);
    live_simple(&g, RT_LAUNCH_DELETE, id, 0, 0, &reply);
    assert_int_equal(reply.code, BH_E_CONFLICT);
    live_simple(&g, RT_LAUNCH_SIGNAL, id, SIGKILL, 0, &reply);
    assert_int_equal(reply.code, 0);
    live_wait(monitor, &st);
    close(monitor);
    assert_int_equal(st.exit_code, 137);
    live_simple(&g, RT_LAUNCH_SIGNAL, id, SIGKILL, 0, &reply);
    assert_int_equal(reply.code, BH_E_CONFLICT);
    forget(id);
}

/* A runtime that was taken over says of a session what is not true of its container: launch goes by its own record. */
static void test_exec_lies(void **state) {
    static const uint32_t flags[] = {0, RT_SECCOMP_UNCONFINED, RT_PRIVILEGED, RT_USERNS_HOST};
    const unsigned n = 32; /* of test_launch_live alone: the other of these tests runs beside it */
    struct rt_spec s = live_sh("exec sleep 100");
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    struct live_run r;
    int monitor;

    (void)state;
    need_live();
    s.flags |= RT_NO_NEW_PRIVS;
    monitor = detached(live_id(n), &s);
    for (size_t i = 0; i < BH_ARRAY_LEN(flags); i++) {
        s = live_sh(
            "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status; head -1 /proc/self/uid_map | grep -c 4294967295");
        s.flags = flags[i];
        live_run(&g, live_id(n), live_id(910 + (unsigned)i), &s, NULL, 0, &r);
        show(&r);
        assert_string_equal(r.out, "NoNewPrivs:\t1\nSeccomp:\t2\n0\n");
        live_run_free(&r);
    }
    live_simple(&g, RT_LAUNCH_SIGNAL, live_id(n), SIGKILL, 0, &reply);
    live_wait(monitor, &st);
    close(monitor);
    forget(live_id(n));
}

static void test_attach_and_freeze(void **state) {
    const char *id = live_id(9);
    struct rt_spec s = live_sh("while read x; do echo you said $x; done; echo bye");
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    struct rt_monitor_request q = {.type = RT_MONITOR_ATTACH, .stdio = 3};
    struct bh_err err = BH_ERR_INIT;
    int in[2], out[2], fds[2], monitor;
    char text[256];
    ssize_t n;

    (void)state;
    need_live();
    s.flags |= RT_OPEN_STDIN | RT_STDIN_ONCE;
    monitor = detached(id, &s);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fds[0] = in[0];
    fds[1] = out[1];
    assert_int_equal(bh_fdpass_send(monitor, &q, sizeof(q), fds, 2, &err), 0);
    assert_int_equal(recv(monitor, &st, sizeof(st), 0), sizeof(st));
    assert_int_equal(st.type, RT_MONITOR_DONE);
    assert_int_equal(st.code, 0);
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], "abc\n", 4), 4);
    n = read(out[0], text, sizeof(text));
    assert_int_equal(n, 13);
    live_simple(&g, RT_LAUNCH_FREEZE, id, 1, 0, &reply);
    assert_int_equal(reply.code, 0);
    assert_int_equal(write(in[1], "def\n", 4), 4);
    {
        struct timeval tv = {0, 200000};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(out[0], &set);
        assert_int_equal(select(out[0] + 1, &set, NULL, NULL, &tv), 0);
    }
    live_simple(&g, RT_LAUNCH_FREEZE, id, 0, 0, &reply);
    assert_int_equal(reply.code, 0);
    n = read(out[0], text, sizeof(text));
    assert_int_equal(n, 13);
    close(in[1]); /* half-close */
    n = bh_read_full(out[0], text, sizeof(text));
    assert_int_equal(n, 4);
    close(out[0]);
    live_wait(monitor, &st);
    assert_int_equal(st.exit_code, 0);
    close(monitor);
    forget(id);
}

static void test_start_again(void **state) {
    const char *id = live_id(20);
    struct live_run r;

    (void)state;
    need_live();
    for (int i = 0; i < 4; i++) { /* the monitor of the run before may still linger */
        run_sh(id, "echo x >> /count; wc -l < /count", i % 2 == 0 ? RT_VOLATILE : 0, &r);
        assert_int_equal(r.reply.code, 0);
        assert_int_equal(r.out[0], '1' + i);
        assert_int_equal(r.state.exit_code, 0);
        live_run_free(&r);
    }
    forget(id);
}

static void test_in_parallel(void **state) {
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    struct rt_spec s = live_sh("sleep 0.2; exit 4");
    uint64_t base[8];

    (void)state;
    need_live();
    for (unsigned i = 0; i < 8; i++) {
        live_simple(&g, RT_LAUNCH_PREPARE, live_id(200 + i), 0, 0, &reply);
        assert_int_equal(reply.code, 0);
        base[i] = reply.id_base;
        for (unsigned k = 0; k < i; k++)
            assert_true(base[k] != base[i]);
    }
    live_parallel(&g, 200, 8, &s);
    for (unsigned i = 0; i < 8; i++) {
        int m = live_connect(&g, live_id(200 + i), "");

        if (m >= 0) {
            live_wait(m, &st);
            assert_int_equal(st.exit_code, 4);
            close(m);
        }
        live_simple(&g, RT_LAUNCH_DELETE, live_id(200 + i), 0, 0, &reply);
        assert_int_equal(reply.code, 0);
    }
    live_simple(&g, RT_LAUNCH_PREPARE, live_id(210), 0, 0, &reply);
    assert_int_equal(reply.id_base, base[0]); /* the smallest that is free */
    forget(live_id(210));
}

/* One client does not read, one goes away: all bytes reach the log and the client that reads late. */
static void test_slow_client(void **state) {
    const char *id = live_id(21);
    struct rt_spec s = live_sh("head -c 3000000 /dev/zero; echo; sleep 0.3; echo end");
    struct rt_monitor_request q = {.type = RT_MONITOR_ATTACH, .stdio = 2};
    struct rt_monitor_state st;
    struct bh_err err = BH_ERR_INIT;
    static char data[65536];
    size_t got = 0;
    ssize_t n;
    int slow[2], gone[2], monitor;

    (void)state;
    need_live();
    s.args.item[2] = "read x; head -c 3000000 /dev/zero; echo; sleep 0.3; echo end";
    s.flags |= RT_OPEN_STDIN;
    monitor = detached(id, &s);
    assert_int_equal(pipe2(slow, O_CLOEXEC), 0);
    assert_int_equal(pipe2(gone, O_CLOEXEC), 0);
    assert_int_equal(bh_fdpass_send(monitor, &q, sizeof(q), &slow[1], 1, &err), 0);
    assert_int_equal(recv(monitor, &st, sizeof(st), 0), sizeof(st));
    assert_int_equal(bh_fdpass_send(monitor, &q, sizeof(q), &gone[1], 1, &err), 0);
    assert_int_equal(recv(monitor, &st, sizeof(st), 0), sizeof(st));
    close(slow[1]);
    close(gone[1]);
    close(gone[0]);
    q.type = RT_MONITOR_CLOSE_STDIN;
    q.stdio = 0;
    assert_int_equal(send(monitor, &q, sizeof(q), 0), sizeof(q));
    assert_int_equal(recv(monitor, &st, sizeof(st), 0), sizeof(st));
    usleep(300000);
    while ((n = read(slow[0], data, sizeof(data))) > 0)
        got += (size_t)n;
    assert_int_equal(got, 3000000 + 5);
    live_wait(monitor, &st);
    assert_int_equal(st.exit_code, 0);
    close(monitor);
    close(slow[0]);
    forget(id);
}

static void test_limits(void **state) {
    const char *id = live_id(31);
    struct rt_ulimit u[] = {
        {"nofile", 100, 200}, {"nproc", UINT64_MAX, UINT64_MAX}, {"memlock", UINT64_MAX, UINT64_MAX}};
    struct rt_spec s = live_sh("ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj");
    struct live_run r;

    (void)state;
    need_live();
    s.ulimits = u;
    s.n_ulimits = 3;
    s.oom_score_adj = -500; /* cannot be had: the container starts all the same */
    live_run(&g, id, "", &s, NULL, 0, &r);
    assert_string_equal(r.out, "100\n200\n0\n");
    live_run_free(&r);
    s.oom_score_adj = 300;
    live_run(&g, id, "", &s, NULL, 0, &r);
    assert_string_equal(r.out, "100\n200\n300\n");
    live_run_free(&r);
    forget(id);
}

static void test_resize(void **state) {
    const char *id = live_id(22);
    struct rt_spec s = live_sh("trap 'stty size; exit 9' WINCH; while :; do sleep 0.05; done");
    struct rt_monitor_request q = {.type = RT_MONITOR_RESIZE, .rows = 12, .cols = 34};
    struct rt_monitor_state st;
    int monitor;

    (void)state;
    need_live();
    s.flags |= RT_TTY | RT_OPEN_STDIN;
    monitor = detached(id, &s);
    usleep(300000);
    assert_int_equal(send(monitor, &q, sizeof(q), 0), sizeof(q));
    assert_int_equal(recv(monitor, &st, sizeof(st), 0), sizeof(st));
    assert_int_equal(st.code, 0);
    live_wait(monitor, &st);
    assert_int_equal(st.exit_code, 9);
    close(monitor);
    forget(id);
}

static void test_survives_launch(void **state) {
    const char *id = live_id(12);
    struct rt_spec s = live_sh("echo before; while [ ! -e /go ]; do sleep 0.05; done; echo after; exit 3");
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    struct live_run r;
    int monitor;

    (void)state;
    need_live();
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    kill(g.pid, SIGKILL);
    {
        int status;
        waitpid(g.pid, &status, 0);
    }
    close(g.control);
    close(g.launch);
    live_restart(&g);
    monitor = live_connect(&g, id, "");
    assert_true(monitor >= 0);
    s = live_sh("echo made; touch /go");
    live_run(&g, id, live_id(902), &s, NULL, 0, &r);
    show(&r);
    assert_string_equal(r.out, "made\n");
    live_run_free(&r);
    live_wait(monitor, &st);
    close(monitor);
    assert_int_equal(st.exit_code, 3);
    forget(id);
}

static void test_times(void **state) {
    struct rt_launch_reply reply;
    struct rt_spec s = live_sh("exit 0");
    struct rt_monitor_state st;
    int64_t start = 0, end = 0, removal = 0;

    (void)state;
    need_live();
    for (unsigned i = 0; i < 10; i++) {
        int64_t t = bh_mono_ns();
        int m;

        live_detached(&g, live_id(100 + i), &s, &reply);
        assert_int_equal(reply.code, 0);
        start += bh_mono_ns() - t;
        t = bh_mono_ns();
        m = live_connect(&g, live_id(100 + i), "");
        live_wait(m, &st);
        close(m);
        assert_int_equal(st.exit_code, 0);
        end += bh_mono_ns() - t;
        t = bh_mono_ns();
        live_simple(&g, RT_LAUNCH_DELETE, live_id(100 + i), 0, 0, &reply);
        assert_int_equal(reply.code, 0);
        removal += bh_mono_ns() - t;
    }
    print_message("start %lld us, end %lld us, removal %lld us\n", (long long)(start / 10000), (long long)(end / 10000),
                  (long long)(removal / 10000));
}

int main(int argc, char **argv) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_user),
        cmocka_unit_test(test_not_runnable),
        cmocka_unit_test(test_much_data),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_tty),
        cmocka_unit_test(test_exec),
        cmocka_unit_test(test_exec_lies),
        cmocka_unit_test(test_attach_and_freeze),
        cmocka_unit_test(test_start_again),
        cmocka_unit_test(test_in_parallel),
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_survives_launch),
        cmocka_unit_test(test_times),
    };

    return live_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
