/*
 * test_launch_live.c - containers for real: run, exec, terminal, signals, commit, export, diff, restart.
 *
 * Plays runtime on descriptor 4 of a bulkhead-launch in a temporary root.  Skipped without root,
 * busybox or an OCI runtime.  Every test uses a container of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "layer/layer_check.h"
#include "live.h"
#include "proc/fdpass.h"
#include "wire/log.h"

static struct live g;

static int setup(void **state) {
    const char *form = *state;

    if (!live_possible())
        return 0;
    live_start(&g, form);
    live_busybox(&g);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    if (!live_possible())
        return 0;
    live_stop(&g);
    live_remove(&g);
    return 0;
}

static void need_live(void) {
    if (!live_possible())
        skip();
}

static void forget(const char *id) {
    struct rt_launch_reply r;
    char path[256];

    live_simple(&g, RT_LAUNCH_DELETE, id, 0, 0, &r);
    if (r.code != 0)
        print_message("delete: %s\n", r.msg);
    assert_int_equal(r.code, 0);
    snprintf(path, sizeof(path), "%s/state/launch/containers/%s", g.root, id);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/state/monitor/%s", g.root, id);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void show(const struct live_run *r) {
    if (r->reply.code != 0)
        print_message("reply %d hint %d: %s (%s)\n", r->reply.code, r->reply.exit_hint, r->reply.msg, r->reply.hint);
    if (r->n_err > 0)
        print_message("stderr: %.2000s\n", r->err);
}

static void run_sh(const char *id, char *script, unsigned flags, struct live_run *r) {
    struct rt_spec s = live_sh(script);

    s.flags |= flags;
    live_run(&g, id, "", &s, NULL, 0, r);
    show(r);
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
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    struct rt_spec s = live_sh("echo one; sleep 0.1; echo two >&2");
    uint64_t at = 0;
    char path[256];
    int fd, monitor;

    (void)state;
    need_live();
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    monitor = live_connect(&g, id, "");
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
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    monitor = live_connect(&g, id, "");
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
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    monitor = live_connect(&g, id, "");
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

static bool has(const char *list, size_t n, const char *line) {
    for (size_t i = 0; i < n; i += strlen(list + i) + 1)
        if (strcmp(list + i, line) == 0)
            return true;
    return false;
}

static void test_trees(void **state) {
    const char *id = live_id(10), *id2 = live_id(11);
    struct rt_launch_reply reply;
    struct live_run r;
    char *text, path[128];
    uint64_t size;
    size_t n;
    int fd;

    (void)state;
    need_live();
    run_sh(id,
           "mkdir -p /new/deep; echo data > /new/deep/file; ln /new/deep/file /new/hard; ln -s file /new/link; rm "
           "/etc/old; "
           "chmod 600 /etc/two; chown web:web /new/deep/file; echo data > /etc/x; mkfifo /new/fifo; chmod 4755 "
           "/new/deep/file; "
           "mkdir /etc/d; touch -d @1000000000 /new/old",
           0, &r);
    assert_int_equal(r.state.exit_code, 0);
    live_run_free(&r);
    text = live_tree(&g, id, RT_TREE_DIFF, &n, &reply);
    if (reply.code != 0)
        print_message("diff: %s\n", reply.msg);
    for (size_t i = 0; i < n; i += strlen(text + i) + 1)
        print_message("%s\n", text + i);
    assert_int_equal(reply.code, 0);
    assert_true(has(text, n, "A /new") && has(text, n, "A /new/deep/file") && has(text, n, "D /etc/old"));
    assert_true(has(text, n, "C /etc") && has(text, n, "C /etc/two") && has(text, n, "A /etc/x"));
    assert_false(has(text, n, "C /dev") || has(text, n, "C /etc/hosts") || has(text, n, "A /proc"));
    free(text);
    text = live_tree(&g, id, RT_TREE_SIZE, &n, &reply);
    assert_int_equal(n, 8);
    memcpy(&size, text, 8);
    assert_in_range(size, 10, 200);
    free(text);
    text = live_tree(&g, id, RT_TREE_EXPORT, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_true(n > 500000);
    free(text);
    text = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    if (reply.code != 0)
        print_message("commit: %s\n", reply.msg);
    assert_int_equal(reply.code, 0);
    snprintf(path, sizeof(path), "%s/commit.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(bh_write_all(fd, text, n), 0);
    close(fd);
    free(text);
    assert_int_equal(live_add_tar(&g, path), 0);
    run_sh(id2,
           "cat /new/deep/file /new/hard; ls -l /new/deep/file | cut -c1-10; stat -c '%U %h' /new/deep/file; "
           "[ -e /etc/old ] || echo gone; cat /etc/two; stat -c %Y /new/old; readlink /new/link; [ -p /new/fifo ] && "
           "echo fifo",
           0, &r);
    g.n_layers--;
    close(g.layer[g.n_layers]);
    {
        char layer[128];
        snprintf(layer, sizeof(layer), "%s/layer-%u", g.root, g.n_layers);
        unlink(layer);
    }
    assert_string_equal(r.out, "data\ndata\n-rwsr-xr-x\nweb 2\ngone\ntwo\n1000000000\nfile\nfifo\n");
    live_run_free(&r);
    forget(id);
    forget(id2);
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
    struct rt_launch_reply reply;
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
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    monitor = live_connect(&g, id, "");
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
    struct rt_launch_reply reply;
    struct rt_monitor_state st;
    int monitor;

    (void)state;
    need_live();
    s.flags |= RT_TTY | RT_OPEN_STDIN;
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    monitor = live_connect(&g, id, "");
    usleep(300000);
    assert_int_equal(send(monitor, &q, sizeof(q), 0), sizeof(q));
    assert_int_equal(recv(monitor, &st, sizeof(st), 0), sizeof(st));
    assert_int_equal(st.code, 0);
    live_wait(monitor, &st);
    assert_int_equal(st.exit_code, 9);
    close(monitor);
    forget(id);
}

/* The store keeps a descriptor that could write: the layer is refused, whatever it holds. */
static void test_seal(void **state) {
    const char *id = live_id(23);
    struct rt_spec s = live_sh("true");
    struct rt_launch_reply reply;
    char path[128], copy[160], line[400];
    int writer, was = g.layer[0];

    (void)state;
    need_live();
    snprintf(path, sizeof(path), "%s/layer-0", g.root);
    snprintf(copy, sizeof(copy), "%s/copy", g.root);
    snprintf(line, sizeof(line), "cp %s %s && chmod 644 %s", path, copy, copy);
    assert_int_equal(system(line), 0);
    writer = open(copy, O_RDWR);
    g.layer[0] = open(copy, O_RDONLY | O_CLOEXEC);
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, BH_E_CONFLICT);
    assert_non_null(strstr(reply.msg, "open for writing"));
    close(writer);
    live_detached(&g, id, &s, &reply);
    assert_int_equal(reply.code, 0);
    close(g.layer[0]);
    g.layer[0] = was;
    {
        struct rt_monitor_state st;
        int m = live_connect(&g, id, "");

        if (m >= 0) {
            live_wait(m, &st);
            close(m);
        }
    }
    unlink(copy);
    forget(id);
}

/* A container that may mount cannot take nodev off its root, nor nosuid off a bind mount. */
static void test_locked_flags(void **state) {
    const char *id = live_id(24);
    char source[128];
    struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .source = source, .target = "/b"}};
    struct rt_spec s =
        live_sh("mount -o remount,bind,dev / && echo BAD; mount -o remount,bind,suid,dev /b && echo BAD; "
                "mkdir /t && mount -t tmpfs t /t && echo mounts; mknod /t/null c 1 3 && echo BAD; true");
    struct live_run r;

    (void)state;
    need_live();
    snprintf(source, sizeof(source), "%s/locked", g.root);
    mkdir(source, 0755);
    s.mounts = m;
    s.n_mounts = 1;
    s.caps |= (uint64_t)1 << 21;
    live_run(&g, id, "", &s, NULL, 0, &r);
    assert_string_equal(r.out, "mounts\n");
    live_run_free(&r);
    forget(id);
}

static void test_walk_before_start(void **state) {
    const char *id = live_id(25);
    struct rt_launch_reply reply;
    size_t n;
    char *text;

    (void)state;
    need_live();
    live_simple(&g, RT_LAUNCH_PREPARE, id, 0, 0, &reply);
    text = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_int_equal(n, 1024); /* nothing but the end */
    free(text);
    text = live_tree(&g, id, RT_TREE_DIFF, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_int_equal(n, 0);
    free(text);
    text = live_tree(&g, id, RT_TREE_EXPORT, &n, &reply);
    assert_int_equal(reply.code, 0);
    assert_true(n > 100000);
    free(text);
    forget(id);
}

/* The same upper always gives the same tar; opaque folders and long names are told. */
static void test_commit_form(void **state) {
    const char *id = live_id(26);
    struct rt_launch_reply reply;
    struct live_run r;
    char *a, *b, path[128], line[256];
    size_t n, k;
    int fd;

    (void)state;
    need_live();
    run_sh(id,
           "rm -rf /home && mkdir -p /home/new; cd /tmp; touch $(head -c 200 /dev/zero | tr '\\0' x); mkdir -p "
           "$(for i in 1 2 3 4 5 6 7 8 9; do printf 'a-long-folder-name-for-the-tar-header/'; done); for i in $(seq "
           "500); do echo $i > $i; done",
           0, &r);
    assert_int_equal(r.state.exit_code, 0);
    live_run_free(&r);
    a = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    b = live_tree(&g, id, RT_TREE_COMMIT, &k, &reply);
    assert_int_equal(n, k);
    assert_memory_equal(a, b, n);
    snprintf(path, sizeof(path), "%s/form.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(bh_write_all(fd, a, n), 0);
    close(fd);
    snprintf(line, sizeof(line),
             "tar tf %s > %s.list && grep -qx home/.wh..wh..opq %s.list && grep -qx tmp/500 %s.list", path, path, path,
             path);
    assert_int_equal(system(line), 0);
    free(a);
    free(b);
    a = live_tree(&g, id, RT_TREE_DIFF, &n, &reply);
    assert_true(has(a, n, "C /home") && has(a, n, "D /home/web") && has(a, n, "A /home/new"));
    free(a);
    forget(id);
}

/* File capabilities, ACLs and user xattrs survive a commit, with ids as the container has them. */
static void test_attributes(void **state) {
    const char *id = live_id(28), *id2 = live_id(29);
    struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/usr", .target = "/usr"},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/usr/lib", .target = "/lib"},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/usr/lib64", .target = "/lib64"}};
    struct rt_spec s =
        live_sh("PATH=/usr/bin:/usr/sbin:/bin; touch /f && setcap cap_net_raw+ep /f && setfattr -n user.x -v y /f && "
                "touch /a && setfacl -m u:33:r /a; getcap /f; getfacl -pcn /a");
    struct rt_launch_reply reply;
    struct live_run r;
    char path[128], *tar;
    size_t n;
    int fd;

    (void)state;
    need_live();
    if (access("/usr/sbin/setcap", X_OK) != 0 || access("/usr/bin/setfacl", X_OK) != 0 ||
        access("/usr/lib64", F_OK) != 0)
        skip();
    s.mounts = m;
    s.n_mounts = 3;
    live_run(&g, id, "", &s, NULL, 0, &r);
    show(&r);
    assert_non_null(strstr(r.out, "/f cap_net_raw=ep\n"));
    live_run_free(&r);
    tar = live_tree(&g, id, RT_TREE_COMMIT, &n, &reply);
    assert_int_equal(reply.code, 0);
    snprintf(path, sizeof(path), "%s/attributes.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(bh_write_all(fd, tar, n), 0);
    close(fd);
    free(tar);
    assert_int_equal(live_add_tar(&g, path), 0);
    s.args.item[2] =
        "PATH=/usr/bin:/usr/sbin:/bin; getcap /f; getfacl -pcn /a | grep :33:; getfattr --only-values -n user.x /f";
    live_run(&g, id2, "", &s, NULL, 0, &r);
    show(&r);
    close(g.layer[--g.n_layers]);
    snprintf(path, sizeof(path), "%s/layer-%u", g.root, g.n_layers);
    unlink(path);
    assert_string_equal(r.out, "/f cap_net_raw=ep\nuser:33:r--\ny");
    live_run_free(&r);
    forget(id);
    forget(id2);
}

static void drop_layer(void) {
    char path[128];

    close(g.layer[--g.n_layers]);
    snprintf(path, sizeof(path), "%s/layer-%u", g.root, g.n_layers);
    unlink(path);
}

/* What an image can put in the way of its own start. */
static void test_hostile_image(void **state) {
    static const struct {
        const char *make;
        bool refused;
    } table[] = {
        {"mkdir etc && mkfifo etc/passwd etc/group", true},
        {"mkdir etc && ln -s /proc/self/mem etc/passwd", false},
        {"mkdir etc && ln -s ../../../../../../etc/shadow etc/passwd && mkdir etc/group", true},
        {"ln -s /tmp dev && ln -s /etc proc && ln -s / sys", false},
        {"ln -s /tmp etc", false},
        {"mkdir etc && ln -s /tmp/x etc/hosts && ln -s /proc/1/root etc/resolv.conf && mkdir etc/hostname", false},
        {"ln -s / mnt && ln -s /proc/self/fd data && ln -s ../../../.. up", true},
    };
    char source[128], dir[128], line[600], witness[160];
    struct rt_mount m[] = {{.kind = RT_MOUNT_BIND, .source = source, .target = "/data/a"},
                           {.kind = RT_MOUNT_BIND, .source = source, .target = "/up/witness/b"}};

    (void)state;
    need_live();
    snprintf(source, sizeof(source), "%s/locked", g.root);
    snprintf(dir, sizeof(dir), "%s/hostile", g.root);
    snprintf(witness, sizeof(witness), "/witness");
    mkdir(source, 0755);
    for (size_t i = 0; i < BH_ARRAY_LEN(table); i++) {
        const char *id = live_id(40 + (unsigned)i);
        struct rt_spec s = live_sh("echo ok; [ -c /dev/null ] && [ -d /proc/1 ] && [ -d /sys/kernel ] && echo whole");
        struct live_run r;

        snprintf(line, sizeof(line), "rm -rf %s && mkdir %s && cd %s && %s", dir, dir, dir, table[i].make);
        assert_int_equal(system(line), 0);
        live_add_folder(&g, dir);
        if (i == 6) {
            s.mounts = m;
            s.n_mounts = 2;
        }
        live_run(&g, id, "", &s, NULL, 0, &r);
        if (r.reply.code == 0)
            assert_string_equal(r.out, "ok\nwhole\n");
        else
            print_message("%s: %s\n", table[i].make, r.reply.msg);
        assert_int_equal(r.reply.code != 0, table[i].refused);
        assert_int_not_equal(access(witness, F_OK), 0); /* nothing was made on the host */
        live_run_free(&r);
        drop_layer();
        forget(id);
    }
}

/* A layer file whose index was changed after it was made. */
static void test_bad_layer(void **state) {
    const char *id = live_id(50);
    struct rt_spec s = live_sh("true");
    struct rt_launch_reply reply;
    struct bh_layer_header h;
    struct bh_err err = BH_ERR_INIT;
    char path[128];
    uint16_t mode = S_IFCHR | 0666;
    int fd;

    (void)state;
    need_live();
    snprintf(path, sizeof(path), "%s/empty.tar", g.root);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(ftruncate(fd, 1024), 0);
    close(fd);
    assert_int_equal(live_add_tar(&g, path), 0);
    assert_int_equal(bh_layer_open(g.layer[g.n_layers - 1], &h, &err), 0);
    snprintf(path, sizeof(path), "%s/layer-%u", g.root, g.n_layers - 1);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, &mode, 2, (off_t)h.index_offset + 64 + 4), 2);
    close(fd);
    live_detached(&g, id, &s, &reply);
    print_message("%s\n", reply.msg);
    assert_int_equal(reply.code, BH_E_DATA_LOSS);
    assert_string_equal(reply.reason, "bad-layer");
    drop_layer();
    forget(id);
}

static void test_many_layers(void **state) {
    const char *id = live_id(27);
    unsigned before = g.n_layers;
    struct live_run r;
    char dir[128], line[400];

    (void)state;
    need_live();
    snprintf(dir, sizeof(dir), "%s/many", g.root);
    for (unsigned i = g.n_layers; i < 126; i++) {
        snprintf(line, sizeof(line), "rm -rf %s && mkdir -p %s && echo %u > %s/n && echo x > %s/l%u", dir, dir, i, dir,
                 dir, i);
        assert_int_equal(system(line), 0);
        live_add_folder(&g, dir);
    }
    run_sh(id, "cat /n; ls -d /l* | wc -l", 0, &r);
    assert_non_null(strstr(r.out, "125\n12"));
    live_run_free(&r);
    forget(id);
    while (g.n_layers > before) {
        close(g.layer[--g.n_layers]);
        snprintf(line, sizeof(line), "%s/layer-%u", g.root, g.n_layers);
        unlink(line);
    }
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

static void test_mounts(void **state) {
    const char *id = live_id(13);
    char source[128], file[160], missing[160];
    struct rt_mount m[] = {{.kind = RT_MOUNT_TMPFS, .source = "", .target = "/data", .size = 1 << 20},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = file, .target = "/ro"},
                           {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_MAKE_SOURCE, .source = missing, .target = "/made"},
                           {.kind = RT_MOUNT_BIND, .source = source, .target = "/data/in"}};
    struct rt_spec s =
        live_sh("cat /data/in/f; echo x > /ro || echo ro; mount -o remount,rw /ro 2>/dev/null || echo locked; "
                "df /data | tail -1 | grep -o ' 1024 ' | head -1; ls -d /made; mount | grep ' /data type tmpfs' | grep "
                "nosuid | grep nodev | grep -c noexec");
    struct live_run r;
    int fd;

    (void)state;
    need_live();
    snprintf(source, sizeof(source), "%s/src", g.root);
    snprintf(file, sizeof(file), "%s/src/f", g.root);
    snprintf(missing, sizeof(missing), "%s/missing/a", g.root);
    mkdir(source, 0755);
    fd = open(file, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, "content\n", 8), 8);
    close(fd);
    s.mounts = m;
    s.n_mounts = 4;
    s.flags |= RT_INIT;
    live_run(&g, id, "", &s, NULL, 0, &r);
    show(&r);
    assert_string_equal(r.out, "content\nro\nlocked\n 1024 \n/made\n1\n");
    live_run_free(&r);
    forget(id);
}

static void test_mounts_below_dev(void **state) {
    const char *id = live_id(30);
    struct rt_mount m[] = {
        {.kind = RT_MOUNT_TMPFS, .source = "", .target = "/dev/shm", .size = 2 << 20},
        {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO, .source = "/etc/hostname", .target = "/dev/some/file"},
        {.kind = RT_MOUNT_BIND, .flags = RT_MOUNT_RO | RT_MOUNT_RECURSIVE, .source = "/sys", .target = "/sys"}};
    struct rt_spec s =
        live_sh("df /dev/shm | tail -1 | grep -o ' 2048 ' | head -1; cat /dev/some/file > /dev/null && echo file; "
                "echo x > /dev/some/file || echo ro; ls -d /sys/kernel; id -u; pwd");
    struct live_run r;

    (void)state;
    need_live();
    s.mounts = m;
    s.n_mounts = 3;
    s.user = "web";
    s.cwd = "/made/by/runtime";
    live_run(&g, id, "", &s, NULL, 0, &r);
    show(&r);
    assert_string_equal(r.out, " 2048 \nfile\nro\n/sys/kernel\n33\n/made/by/runtime\n");
    live_run_free(&r);
    forget(id);
}

static void test_modes(void **state) {
    const char *id = live_id(14);
    struct live_run r;

    (void)state;
    need_live();
    run_sh(id, "cat /proc/self/uid_map | tr -s ' '; ls /dev | wc -l", RT_PRIVILEGED, &r);
    print_message("%s", r.out);
    assert_non_null(strstr(r.out, "0 0 4294967295"));
    live_run_free(&r);
    forget(id);
    run_sh(id, "id -u; ip a | wc -l", RT_NET_HOST, &r);
    assert_int_equal(r.state.exit_code, 0);
    live_run_free(&r);
    run_sh(id, "touch /x || echo readonly; ls -d /sys/kernel", RT_READONLY_ROOTFS | RT_INIT, &r);
    assert_string_equal(r.out, "readonly\n/sys/kernel\n");
    live_run_free(&r);
    forget(id);
    run_sh(id, "cat /proc/self/uid_map | tr -s ' '; touch /x; stat -c %u /x", RT_USERNS_HOST, &r);
    assert_non_null(strstr(r.out, "0 0 4294967295\n0\n"));
    live_run_free(&r);
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

#define TESTS                                                                                                          \
    cmocka_unit_test(test_info), cmocka_unit_test(test_run), cmocka_unit_test(test_inside),                            \
        cmocka_unit_test(test_user), cmocka_unit_test(test_not_runnable), cmocka_unit_test(test_much_data),            \
        cmocka_unit_test(test_log), cmocka_unit_test(test_tty), cmocka_unit_test(test_exec),                           \
        cmocka_unit_test(test_attach_and_freeze), cmocka_unit_test(test_trees),                                        \
        cmocka_unit_test(test_survives_launch), cmocka_unit_test(test_mounts), cmocka_unit_test(test_modes),           \
        cmocka_unit_test(test_mounts_below_dev), cmocka_unit_test(test_start_again),                                   \
        cmocka_unit_test(test_in_parallel), cmocka_unit_test(test_slow_client), cmocka_unit_test(test_resize),         \
        cmocka_unit_test(test_limits), cmocka_unit_test(test_seal), cmocka_unit_test(test_locked_flags),               \
        cmocka_unit_test(test_walk_before_start), cmocka_unit_test(test_commit_form),                                  \
        cmocka_unit_test(test_hostile_image), cmocka_unit_test(test_bad_layer), cmocka_unit_test(test_attributes),     \
        cmocka_unit_test(test_many_layers), cmocka_unit_test(test_times)

static int setup_erofs(void **state) {
    *state = "erofs";
    return setup(state);
}

static int setup_extracted(void **state) {
    *state = "extracted";
    return setup(state);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {TESTS};
    int failed;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    failed = cmocka_run_group_tests_name("erofs", tests, setup_erofs, teardown);
    return failed + cmocka_run_group_tests_name("extracted", tests, setup_extracted, teardown);
}
