/* The log as its readers want it, over real files that a writer turns over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "svc-runtime/log_view.h"
#include "wire/log.h"

struct fixture {
    char dir[64];
    int dirfd;
    struct rt_log log;
};

static int setup(void **state) {
    struct fixture *f = bh_xcalloc(1, sizeof *f);

    strcpy(f->dir, "/tmp/bh-log-view-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY);
    f->log.fd = -1;
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;

    rt_log_close(&f->log);
    for (unsigned i = 0; i < RT_LOG_MAX_FILES; i++) {
        char name[16];

        rt_log_name(i, name);
        unlinkat(f->dirfd, name, 0);
    }
    close(f->dirfd);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void begin(struct fixture *f, uint64_t size, uint32_t files) {
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(rt_log_open(&f->log, f->dirfd, size, files, &err), 0);
}

static void put(struct fixture *f, unsigned stream, int64_t time, const char *text) {
    assert_int_equal(rt_log_append(&f->log, stream, time, text, (uint32_t)strlen(text)), 0);
}

static int collect(void *arg, unsigned stream, int64_t time_ns, const void *data, size_t n, struct bh_err *err) {
    struct bh_buf *b = arg;

    (void)time_ns;
    (void)err;
    bh_buf_addf(b, "%u:", stream);
    bh_buf_add(b, data, n);
    bh_buf_addc(b, '|');
    return 0;
}

static void expect(struct fixture *f, const struct rt_log_want *want, const char *text) {
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct rt_log_view v;

    assert_int_equal(rt_log_view_open(&v, f->dirfd, want, &err), 0);
    assert_int_equal(rt_log_view_read(&v, collect, &got, NULL, &err), 0);
    rt_log_view_close(&v);
    assert_string_equal(bh_buf_str(&got), text);
}

#define BOTH (1u << 1 | 1u << 2)

static void all_and_one_stream(void **state) {
    struct fixture *f = *state;

    expect(f, &(struct rt_log_want){.streams = BOTH}, "");
    begin(f, 0, 0);
    put(f, 1, 10, "one\n");
    put(f, 2, 20, "two\n");
    put(f, 1, 30, "three\n");
    expect(f, &(struct rt_log_want){.streams = BOTH}, "1:one\n|2:two\n|1:three\n|");
    expect(f, &(struct rt_log_want){.streams = 1u << 2}, "2:two\n|");
    expect(f, &(struct rt_log_want){.streams = 0}, "");
}

static void since_and_until(void **state) {
    struct fixture *f = *state;

    begin(f, 0, 0);
    put(f, 1, 10, "a\n");
    put(f, 1, 20, "b\n");
    put(f, 1, 30, "c\n");
    expect(f, &(struct rt_log_want){.streams = BOTH, .since_ns = 20}, "1:b\n|1:c\n|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .until_ns = 30}, "1:a\n|1:b\n|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .since_ns = 11, .until_ns = 21}, "1:b\n|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .until_ns = 30, .tail_set = true, .tail = 1}, "1:b\n|");
}

static void tail_counts_lines_not_entries(void **state) {
    struct fixture *f = *state;

    begin(f, 0, 0);
    put(f, 1, 10, "l1\nl2\nl3");
    put(f, 2, 11, "e1\n");
    put(f, 1, 12, " end\nl4\n");
    put(f, 1, 13, "open");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 0}, "");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 1}, "1:open|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 2}, "1:l4\n|1:open|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 3}, "2:e1\n|1:l4\n|1:open|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 4}, "1:l3|2:e1\n|1: end\nl4\n|1:open|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 100},
           "1:l1\nl2\nl3|2:e1\n|1: end\nl4\n|1:open|");
    expect(f, &(struct rt_log_want){.streams = 1u << 1, .tail_set = true, .tail = 2}, "1:l4\n|1:open|");
}

static void turned_over_files_are_read_in_order(void **state) {
    struct fixture *f = *state;
    char line[64];

    begin(f, 200, 3);
    for (int i = 0; i < 40; i++) {
        snprintf(line, sizeof line, "%03d\n", i);
        put(f, 1, i + 1, line);
    }
    assert_int_equal(faccessat(f->dirfd, "log.2", F_OK, 0), 0);
    assert_int_not_equal(faccessat(f->dirfd, "log.3", F_OK, 0), 0);
    expect(f, &(struct rt_log_want){.streams = BOTH, .since_ns = 38}, "1:037\n|1:038\n|1:039\n|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 2}, "1:038\n|1:039\n|");
    expect(f, &(struct rt_log_want){.streams = BOTH, .tail_set = true, .tail = 12},
           "1:028\n|1:029\n|1:030\n|1:031\n|1:032\n|1:033\n|1:034\n|1:035\n|1:036\n|1:037\n|1:038\n|1:039\n|");
}

/* A follower that looks only now and then still sees each line once, however often the files turn
 * over in between, as long as its file is still there. */
static void following_over_a_turn(void **state) {
    struct fixture *f = *state;
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT, want = BH_BUF_INIT;
    const struct rt_log_want both = {.streams = BOTH};
    struct bh_err err = BH_ERR_INIT;
    struct rt_log_view v;
    char line[64];

    begin(f, 200, 5);
    assert_int_equal(rt_log_view_open(&v, f->dirfd, &both, &err), 0);
    for (int i = 0; i < 200; i++) {
        snprintf(line, sizeof line, "%03d\n", i);
        put(f, 1, i + 1, line);
        bh_buf_addf(&want, "1:%s|", line);
        if (i % 17 == 0)
            assert_int_equal(rt_log_view_read(&v, collect, &got, NULL, &err), 0);
    }
    assert_int_equal(rt_log_view_read(&v, collect, &got, NULL, &err), 0);
    rt_log_view_close(&v);
    assert_string_equal(bh_buf_str(&got), bh_buf_str(&want));
}

static void damaged_files_are_told(void **state) {
    struct fixture *f = *state;
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    const struct rt_log_want both = {.streams = BOTH};
    struct bh_err err = BH_ERR_INIT;
    struct rt_log_view v;
    char junk[64];
    int fd;

    begin(f, 0, 0);
    put(f, 1, 10, "good\n");
    fd = openat(f->dirfd, "log", O_WRONLY | O_APPEND);
    memset(junk, 0xff, sizeof junk);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    assert_int_equal(rt_log_view_open(&v, f->dirfd, &both, &err), 0);
    assert_int_equal(rt_log_view_read(&v, collect, &got, NULL, &err), BH_E_DATA_LOSS);
    rt_log_view_close(&v);
    assert_string_equal(bh_buf_str(&got), "1:good\n|");
}

static void a_cut_entry_is_not_there_yet(void **state) {
    struct fixture *f = *state;
    const struct rt_log_entry e = {.time_ns = 11, .len = 100, .stream = 1};
    int fd;

    begin(f, 0, 0);
    put(f, 1, 10, "good\n");
    fd = openat(f->dirfd, "log", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, &e, sizeof e), sizeof e);
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
    expect(f, &(struct rt_log_want){.streams = BOTH}, "1:good\n|");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(all_and_one_stream),
                                       T(since_and_until),
                                       T(tail_counts_lines_not_entries),
                                       T(turned_over_files_are_read_in_order),
                                       T(following_over_a_turn),
                                       T(damaged_files_are_told),
                                       T(a_cut_entry_is_not_there_yet)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
