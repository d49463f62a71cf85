/*
 * test_blob.c - the file that a client sends beside a call: what it must be before anything else is done.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "svc-registry/blob.h"

#define DIGEST "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static char path[] = "/tmp/bh-blob-XXXXXX";

static int make_file(void **state) {
    int fd = mkstemp(path);

    (void)state;
    return fd >= 0 && write(fd, "hello", 5) == 5 && close(fd) == 0 ? 0 : -1;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(path);
}

/* No room is needed: an unfit file is refused first. */
static void push_refused(int fd, uint64_t size) {
    const struct reg_blob_ask ask = {.reference = "x", .digest = DIGEST, .size = size, .fd = fd};
    struct bh_err err = BH_ERR_INIT;
    bool there = false;

    assert_int_equal(reg_blob_push(NULL, &ask, &there, &err), BH_E_INVALID);
    assert_false(there);
    close(fd);
}

static void fetch_refused(int fd) {
    const struct reg_blob_ask ask = {.reference = "x", .digest = DIGEST, .size = 5, .fd = fd};
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(reg_blob_fetch(NULL, &ask, &err), BH_E_INVALID);
    close(fd);
}

static int one_end(int which) {
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    close(ends[1 - which]);
    return ends[which];
}

static void test_push(void **state) {
    (void)state;
    push_refused(one_end(0), 5);
    push_refused(open("/dev/zero", O_RDONLY), 0);
    push_refused(open("/tmp", O_RDONLY | O_DIRECTORY), 5);
    push_refused(open(path, O_PATH), 5);
    push_refused(open(path, O_WRONLY), 5);
    push_refused(open(path, O_RDONLY), 4);
    push_refused(open(path, O_RDONLY), 6);
}

static void test_fetch(void **state) {
    (void)state;
    fetch_refused(one_end(1));
    fetch_refused(open("/dev/null", O_WRONLY));
    fetch_refused(open(path, O_PATH));
    fetch_refused(open(path, O_RDWR)); /* has bytes in it, which stay */
    assert_int_equal(truncate(path, 0), 0);
    fetch_refused(open(path, O_RDONLY));
    fetch_refused(open(path, O_RDWR | O_APPEND));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_push), cmocka_unit_test(test_fetch)};

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
