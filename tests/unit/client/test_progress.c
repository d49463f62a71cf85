/*
 * test_progress.c - what is under way, in a pipe, as JSON, quietly and on a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <cmocka.h>

#include "capture.h"
#include "cli/progress.h"

static void play(struct cli_out *o, enum cli_progress_mode mode, bool to_stderr) {
    struct cli_progress *p = cli_progress_new(o, mode, to_stderr);

    cli_progress_line(p, "latest: Pulling from x");
    cli_progress_item(p, "aaa", "Waiting", 0, 0);
    cli_progress_item(p, "bbb", "Downloading", 0, 100);
    cli_progress_item(p, "bbb", "Downloading", 50, 100);
    cli_progress_item(p, "aaa", "Pull complete", 0, 0);
    cli_progress_item(p,
                      "b\x1b"
                      "c",
                      "done\n", 0, 0);
    cli_progress_free(p);
}

static void test_plain(void **state) {
    struct capture c;
    char *s;

    (void)state;
    capture_open(&c);
    play(&c.out, CLI_PROGRESS_AUTO, false);
    s = capture_read(c.out_fd);
    assert_string_equal(
        s, "latest: Pulling from x\naaa: Waiting\nbbb: Downloading\naaa: Pull complete\nb\\x1bc: done\\x0a\n");
    free(s);
    s = capture_read(c.err_fd);
    assert_string_equal(s, "");
    free(s);
    play(&c.out, CLI_PROGRESS_PLAIN, true);
    s = capture_read(c.err_fd);
    assert_non_null(strstr(s, "bbb: Downloading\naaa"));
    free(s);
    capture_close(&c);
}

/* Behind a line without an id items begin anew: the next image has layers of the same names. */
static void test_next_image(void **state) {
    struct capture c;
    struct cli_progress *p;
    char *s;

    (void)state;
    capture_open(&c);
    p = cli_progress_new(&c.out, CLI_PROGRESS_PLAIN, false);
    cli_progress_item(p, "aaa", "Already exists", 0, 0);
    cli_progress_item(p, "aaa", "Already exists", 0, 0);
    cli_progress_line(p, "2: Pulling from x");
    cli_progress_item(p, "aaa", "Already exists", 0, 0);
    cli_progress_forget(p);
    cli_progress_item(p, "aaa", "Already exists", 0, 0);
    cli_progress_free(p);
    s = capture_read(c.out_fd);
    assert_string_equal(s, "aaa: Already exists\n2: Pulling from x\naaa: Already exists\naaa: Already exists\n");
    free(s);
    capture_close(&c);
}

static void test_quiet_and_json(void **state) {
    struct capture c;
    char *s;

    (void)state;
    capture_open(&c);
    play(&c.out, CLI_PROGRESS_QUIET, false);
    s = capture_read(c.out_fd);
    assert_string_equal(s, "");
    free(s);
    play(&c.out, CLI_PROGRESS_JSON, false);
    s = capture_read(c.out_fd);
    assert_string_equal(
        s, "{\"status\":\"latest: Pulling from x\"}\n{\"status\":\"Waiting\",\"id\":\"aaa\"}\n"
           "{\"status\":\"Downloading\",\"id\":\"bbb\",\"progressDetail\":{\"current\":0,\"total\":100}}\n"
           "{\"status\":\"Downloading\",\"id\":\"bbb\",\"progressDetail\":{\"current\":50,\"total\":100}}\n"
           "{\"status\":\"Pull complete\",\"id\":\"aaa\"}\n"
           "{\"status\":\"done\\n\",\"id\":\"b\\u001bc\"}\n");
    free(s);
    capture_close(&c);
}

/* All that the terminal has got: it hands it over in pieces as it likes. */
static void read_screen(int master, char *seen, size_t size) {
    struct pollfd p = {.fd = master, .events = POLLIN};
    size_t used = 0;
    ssize_t n;

    while (used + 1 < size && poll(&p, 1, 300) > 0 && (n = read(master, seen + used, size - 1 - used)) > 0)
        used += (size_t)n;
    seen[used] = '\0';
    assert_true(used > 0);
}

static void test_terminal(void **state) {
    struct winsize ws = {.ws_row = 24, .ws_col = 120};
    struct cli_out o;
    int master, slave;
    char seen[4096] = "";

    (void)state;
    if (openpty(&master, &slave, NULL, NULL, &ws) < 0)
        skip();
    setenv("TERM", "xterm", 1);
    cli_out_init(&o, "bulkhead", slave, slave);
    play(&o, CLI_PROGRESS_AUTO, false);
    read_screen(master, seen, sizeof seen);
    assert_non_null(strstr(seen, "bbb: Downloading [>"));
    assert_non_null(strstr(seen, "\033[2A\r\033[2Kaaa: Pull complete\r\033[2B"));
    assert_null(strstr(seen, "50B/100B")); /* too soon after the last drawing */
    setenv("TERM", "dumb", 1);
    play(&o, CLI_PROGRESS_AUTO, false);
    read_screen(master, seen, sizeof seen);
    assert_null(strchr(seen, '\033'));
    cli_out_close(&o, 0);
    close(master);
    close(slave);
}

static void test_bar(void **state) {
    char b[128];

    (void)state;
    cli_progress_bar(b, sizeof b, 500000, 1000000, 111);
    assert_string_equal(b, "[=========================>                         ]    500kB/1MB");
    cli_progress_bar(b, sizeof b, 1000000, 1000000, 200);
    assert_string_equal(b, "[==================================================>]      1MB/1MB");
    cli_progress_bar(b, sizeof b, 500000, 1000000, 110);
    assert_string_equal(b, "   500kB/1MB");
    cli_progress_bar(b, sizeof b, 500000, 0, 200);
    assert_string_equal(b, "   500kB");
    cli_progress_bar(b, sizeof b, 2000, 1000, 200);
    assert_string_equal(b, "     2kB");
}

static void test_modes(void **state) {
    struct bh_err err = BH_ERR_INIT;
    enum cli_progress_mode m;

    (void)state;
    assert_int_equal(cli_progress_mode_parse("plain", &m, &err), 0);
    assert_int_equal(m, CLI_PROGRESS_PLAIN);
    assert_int_equal(cli_progress_mode_parse("rawjson", &m, &err), 0);
    assert_int_equal(m, CLI_PROGRESS_JSON);
    assert_int_equal(cli_progress_mode_parse("fancy", &m, &err), BH_E_INVALID);
    assert_string_equal(err.reason, "usage");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_next_image), cmocka_unit_test(test_quiet_and_json),
        cmocka_unit_test(test_terminal), cmocka_unit_test(test_bar),        cmocka_unit_test(test_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
