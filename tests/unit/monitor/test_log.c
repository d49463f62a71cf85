/*
 * test_log.c - the log: whole entries, turned over by size, damage noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire/log.h"

static char dir[64];
static int dirfd_;

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/bh-log-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
    return 0;
}

static int teardown(void **state) {
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        rt_log_name(i, name);
        unlinkat(dirfd_, name, 0);
    }
    close(dirfd_);
    return rmdir(dir);
}

static unsigned count(unsigned file, char *first) {
    static char data[RT_LOG_ENTRY_MAX];
    struct rt_log_entry e;
    struct bh_err err = BH_ERR_INIT;
    uint64_t at = 0;
    unsigned n = 0;
    char name[16];
    int fd;

    rt_log_name(file, name);
    fd = openat(dirfd_, name, O_RDONLY);
    while (fd >= 0 && rt_log_read(fd, &at, &e, data, &err) == 1)
        if (n++ == 0)
            *first = data[0];
    if (fd >= 0)
        close(fd);
    return n;
}

static void test_rotate(void **state) {
    struct rt_log log;
    struct bh_err err = BH_ERR_INIT;
    char data[100], first = 0;

    (void)state;
    assert_int_equal(rt_log_open(&log, dirfd_, 400, 3, &err), 0);
    for (char c = 'a'; c < 'a' + 20; c++) {
        memset(data, c, sizeof(data));
        assert_int_equal(rt_log_append(&log, 1, 5, data, sizeof(data)), 0);
    }
    rt_log_close(&log);
    assert_int_equal(count(0, &first), 2); /* 20 entries of 116 bytes, three to a file */
    assert_int_equal(first, 's');
    assert_int_equal(count(1, &first), 3);
    assert_int_equal(first, 'p');
    assert_int_equal(count(2, &first), 3);
    assert_int_equal(first, 'm');
    assert_int_equal(count(3, &first), 0);
}

static void test_damaged(void **state) {
    static char data[RT_LOG_ENTRY_MAX];
    struct rt_log_entry e;
    struct rt_log log;
    struct bh_err err = BH_ERR_INIT;
    uint64_t at = 0;
    int fd;

    (void)state;
    assert_int_equal(rt_log_open(&log, dirfd_, 0, 0, &err), 0);
    assert_int_equal(rt_log_append(&log, 2, 5, "whole", 5), 0);
    assert_int_equal(rt_log_append(&log, 2, 5, "cut off", 7), 0);
    fd = openat(dirfd_, "log", O_RDWR);
    at = log.size - 3;
    assert_int_equal(ftruncate(fd, (off_t)at), 0);
    at = log.size - 3 - 4 - sizeof(e) - 5 - sizeof(e);
    assert_int_equal(rt_log_read(fd, &at, &e, data, &err), 1);
    assert_memory_equal(data, "whole", 5);
    assert_int_equal(rt_log_read(fd, &at, &e, data, &err), 0); /* not yet whole */
    e = (struct rt_log_entry){.len = 70000, .stream = 1};
    assert_int_equal(pwrite(fd, &e, sizeof(e), (off_t)at), sizeof(e));
    assert_int_equal(rt_log_read(fd, &at, &e, data, &err), BH_E_DATA_LOSS);
    close(fd);
    rt_log_close(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_rotate, setup, teardown),
                                       cmocka_unit_test_setup_teardown(test_damaged, setup, teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
