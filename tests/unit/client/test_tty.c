/*
 * test_tty.c - raw mode that is undone, window sizes, detach keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "cli/tty.h"

static void test_detach_parse(void **state) {
    static const struct {
        const char *text;
        size_t n;
        unsigned char keys[4];
    } good[] = {
        {"ctrl-p,ctrl-q", 2, {16, 17}},
        {"a", 1, {'a'}},
        {"a,b,c", 3, {'a', 'b', 'c'}},
        {"ctrl-@", 1, {0}},
        {"ctrl-[,ctrl-\\", 2, {27, 28}},
        {"ctrl-],ctrl-^,ctrl-_", 3, {29, 30, 31}},
        {"ctrl-A", 1, {1}},
        {"", 0, {0}},
    };
    static const char *const bad[] = {
        "ctrl-", "ctrl-1", "ab", "a,", ",a", "a,,b", "ctrl-pp", ",", "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"};
    struct bh_err err = BH_ERR_INIT;
    struct cli_detach d;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(good); i++) {
        assert_int_equal(cli_detach_parse(good[i].text, &d, &err), 0);
        assert_int_equal(d.key_count, good[i].n);
        assert_memory_equal(d.keys, good[i].keys, good[i].n);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++)
        if (cli_detach_parse(bad[i], &d, &err) != BH_E_INVALID)
            fail_msg("'%s' was taken", bad[i]);
}

/* Feeds the text in pieces of every size; the result must not depend on them. */
static void feed(const char *keys, const char *in, size_t n, const char *want, size_t want_n, bool detached) {
    for (size_t step = 1; step <= n; step++) {
        unsigned char got[128];
        struct bh_err err = BH_ERR_INIT;
        struct cli_detach d;
        size_t total = 0;
        bool hit = false;

        assert_int_equal(cli_detach_parse(keys, &d, &err), 0);
        for (size_t i = 0; i < n && !hit; i += step) {
            size_t k;

            hit = cli_detach_feed(&d, (const unsigned char *)in + i, n - i < step ? n - i : step, got + total, &k);
            total += k;
        }
        assert_int_equal(hit, detached);
        assert_int_equal(total, want_n);
        assert_memory_equal(got, want, want_n);
    }
}

static void test_detach_feed(void **state) {
    (void)state;
    feed(CLI_DETACH_DEFAULT, "abc", 3, "abc", 3, false);
    feed(CLI_DETACH_DEFAULT, "ab\x10\x11zz", 6, "ab", 2, true);
    feed(CLI_DETACH_DEFAULT, "a\x10z", 3, "a\x10z", 3, false);
    feed(CLI_DETACH_DEFAULT, "\x10\x10\x11", 3, "\x10", 1, true);
    feed(CLI_DETACH_DEFAULT, "a\x10", 2, "a", 1, false); /* held back until the next byte */
    feed("a,a,b", "aaab", 4, "a", 1, true);
    feed("a,b,a,c", "ababac", 6, "ab", 2, true);
    feed("a,b,a,c", "abab", 4, "ab", 2, false);
    feed("x", "abxc", 4, "ab", 2, true);
    feed("", "\x10\x11", 2, "\x10\x11", 2, false);
    feed("ctrl-@", "a\0b", 3, "a", 1, true);
}

static void test_raw(void **state) {
    struct termios before, now;
    struct bh_err err = BH_ERR_INIT;
    int master, slave, fds[2];

    (void)state;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        skip();
    tcgetattr(slave, &before);
    assert_int_equal(cli_tty_raw(slave, &err), 0);
    tcgetattr(slave, &now);
    assert_false(now.c_lflag & (ICANON | ECHO | ISIG));
    cli_tty_restore();
    cli_tty_restore();
    tcgetattr(slave, &now);
    assert_int_equal(now.c_lflag, before.c_lflag);
    assert_int_equal(pipe(fds), 0);
    assert_true(cli_tty_raw(fds[0], &err) < 0);
    close(fds[0]);
    close(fds[1]);
    close(master);
    close(slave);
}

/* A child that is ended, or leaves, with the terminal in raw mode. */
static void test_restored(void **state) {
    static const int ends[] = {0, SIGTERM, SIGHUP, SIGINT};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(ends); i++) {
        struct termios before, now;
        int master, slave, status;
        pid_t pid;

        if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
            skip();
        tcgetattr(slave, &before);
        pid = fork();
        if (pid == 0) {
            struct bh_err err = BH_ERR_INIT;

            signal(SIGTERM, SIG_DFL);
            if (cli_tty_raw(slave, &err) < 0)
                _exit(9);
            if (ends[i])
                raise(ends[i]);
            cli_tty_restore(); /* exit() would run the parent's test handlers */
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (ends[i])
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ends[i]);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        tcgetattr(slave, &now);
        assert_int_equal(now.c_lflag, before.c_lflag);
        close(master);
        close(slave);
    }
}

static void test_size(void **state) {
    struct winsize ws = {.ws_row = 50, .ws_col = 132};
    struct bh_err err = BH_ERR_INIT;
    struct cli_tty_size size;
    struct pollfd p = {.events = POLLIN};
    int master, slave;

    (void)state;
    if (openpty(&master, &slave, NULL, NULL, &ws) < 0)
        skip();
    assert_true(cli_tty_size(slave, &size));
    assert_int_equal(size.rows, 50);
    assert_int_equal(size.columns, 132);
    assert_false(cli_tty_size(-1, &size));
    assert_int_equal(size.rows, 24);
    p.fd = cli_tty_winch_fd(&err);
    assert_true(p.fd >= 0);
    assert_int_equal(poll(&p, 1, 0), 0);
    raise(SIGWINCH);
    raise(SIGWINCH);
    assert_int_equal(poll(&p, 1, 1000), 1);
    cli_tty_winch_drain();
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(cli_tty_need(slave, true, true, &err), 0);
    close(master);
    close(slave);
}

static void test_need(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(cli_tty_need(fds[0], false, true, &err), 0);
    assert_int_equal(cli_tty_need(fds[0], true, false, &err), 0);
    assert_int_equal(cli_tty_need(fds[0], true, true, &err), BH_E_INVALID);
    assert_string_equal(err.msg, "the input device is not a TTY");
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detach_parse), cmocka_unit_test(test_detach_feed), cmocka_unit_test(test_raw),
        cmocka_unit_test(test_restored),     cmocka_unit_test(test_size),        cmocka_unit_test(test_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
