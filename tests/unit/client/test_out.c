/*
 * test_out.c - data and talk on their own descriptors, escaping, failed writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <cmocka.h>

#include "capture.h"

static void test_streams(void **state) {
    struct capture c;
    char *out, *err;

    (void)state;
    capture_open(&c);
    cli_put(&c.out, "data %d\n", 1);
    cli_warn(&c.out, "odd \x1b[31m name");
    cli_put_word(&c.out, "a\tb\n\x1b");
    cli_put_raw(&c.out, "\n", 1);
    cli_say(&c.out, "talk");
    out = capture_read(c.out_fd);
    err = capture_read(c.err_fd);
    assert_string_equal(out, "data 1\na\\x09b\\x0a\\x1b\n");
    assert_string_equal(err, "bulkhead: warning: odd \\x1b[31m name\ntalk\n");
    free(out);
    free(err);
    capture_close(&c);
}

static void test_errors(void **state) {
    struct bh_err e = {.code = BH_E_NOT_FOUND};
    struct capture c;
    char *err;

    (void)state;
    capture_open(&c);
    strcpy(e.msg, "No such image: a\nb");
    strcpy(e.hint, "list them with 'bulkhead images'");
    assert_int_equal(cli_fail(&c.out, &e), 1);
    strcpy(e.reason, "usage");
    e.msg[0] = e.hint[0] = '\0';
    assert_int_equal(cli_fail(&c.out, &e), 125);
    strcpy(e.reason, "template");
    assert_int_equal(cli_fail(&c.out, &e), 64);
    assert_int_equal(cli_failf(&c.out, 127, "%s: not there", "x"), 127);
    err = capture_read(c.err_fd);
    assert_string_equal(err, "bulkhead: No such image: a\\x0ab; list them with 'bulkhead images'\n"
                             "bulkhead: not found\nbulkhead: not found\nbulkhead: x: not there\n");
    free(err);
    capture_close(&c);
}

static void test_full_disk(void **state) {
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), err_fd = memfd_create("err", MFD_CLOEXEC);
    struct bh_err err = BH_ERR_INIT;
    struct cli_out o;
    char *s;

    (void)state;
    cli_out_init(&o, "bulkhead", full, err_fd);
    cli_put(&o, "x");
    assert_true(cli_out_flush(&o, &err) < 0);
    assert_int_equal(cli_out_close(&o, 0), 1);
    s = capture_read(err_fd);
    assert_non_null(strstr(s, "bulkhead: write standard output: "));
    free(s);
    cli_out_init(&o, "bulkhead", full, err_fd);
    cli_put(&o, "x");
    assert_int_equal(cli_out_close(&o, 7), 7);
    close(full);
    close(err_fd);
}

static void test_closed_pipe(void **state) {
    int fds[2], err_fd = memfd_create("err", MFD_CLOEXEC);
    struct cli_out o;
    char *s;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    cli_out_init(&o, "bulkhead", fds[1], err_fd);
    cli_put(&o, "x");
    assert_int_equal(cli_out_close(&o, 0), 1);
    s = capture_read(err_fd);
    assert_string_equal(s, "");
    free(s);
    close(fds[1]);
    close(err_fd);
}

static void test_big(void **state) {
    struct capture c;
    size_t n = 3 << 20;
    char *big = bh_xmalloc(n), *s;

    (void)state;
    memset(big, 'x', n);
    capture_open(&c);
    cli_put(&c.out, "a");
    cli_put_raw(&c.out, big, n);
    for (int i = 0; i < 100000; i++)
        cli_put(&c.out, "%s", "y");
    cli_out_flush(&c.out, &(struct bh_err){0});
    s = capture_read(c.out_fd);
    assert_int_equal(strlen(s), 1 + n + 100000);
    assert_int_equal(s[0], 'a');
    free(s);
    free(big);
    capture_close(&c);
}

/* On a terminal text is escaped, in a file it is not. */
static void test_terminal(void **state) {
    int master, slave;
    struct capture c;
    struct cli_out o;
    char seen[128] = "", *s;

    (void)state;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
        skip();
    cli_out_init(&o, "bulkhead", slave, slave);
    assert_true(o.out_tty);
    cli_put_text(&o, "a\x1b[2J\tb", 7);
    cli_out_flush(&o, &(struct bh_err){0});
    assert_true(read(master, seen, sizeof seen - 1) > 0);
    assert_non_null(strstr(seen, "a\\x1b[2J"));
    assert_null(strchr(seen, 0x1b));
    cli_out_close(&o, 0);
    close(master);
    close(slave);
    capture_open(&c);
    cli_put_text(&c.out, "a\x1b[2J\tb", 7);
    cli_out_flush(&c.out, &(struct bh_err){0});
    s = capture_read(c.out_fd);
    assert_string_equal(s, "a\x1b[2J\tb");
    free(s);
    capture_close(&c);
}

static bool answer(const char *text) {
    struct capture c;
    int fds[2];
    bool yes;

    capture_open(&c);
    assert_int_equal(pipe(fds), 0);
    assert_true(write(fds[1], text, strlen(text)) == (ssize_t)strlen(text));
    close(fds[1]);
    yes = cli_confirm(&c.out, fds[0], "WARNING!");
    close(fds[0]);
    capture_close(&c);
    return yes;
}

static void test_confirm(void **state) {
    (void)state;
    assert_true(answer("y\n"));
    assert_true(answer("Y\n"));
    assert_true(answer(" y \n"));
    assert_false(answer("n\n"));
    assert_false(answer("\n"));
    assert_false(answer(""));
    assert_false(answer("no, y\n"));
    assert_false(answer("yes!\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),     cmocka_unit_test(test_errors), cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_closed_pipe), cmocka_unit_test(test_big),    cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_confirm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
