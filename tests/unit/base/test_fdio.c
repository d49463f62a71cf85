/*
 * test_fdio.c - whole reads and writes, small files, replacing a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/fdio.h"
#include "base/mem.h"

static char folder[64];
static int dirfd_;

static int start(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/bh-test-fdio-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    dirfd_ = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dirfd_ < 0;
}

static int stop(void **state) {
    (void)state;
    unlinkat(dirfd_, "f", 0);
    unlinkat(dirfd_, "x", 0);
    unlinkat(dirfd_, "d", AT_REMOVEDIR);
    close(dirfd_);
    return rmdir(folder);
}

static void test_file(void **state) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(bh_file_replace(dirfd_, "f", "hello", 5, 0600, true, &err), 0);
    assert_int_equal(bh_file_read(dirfd_, "f", 100, &b, &err), 0);
    assert_string_equal(bh_buf_str(&b), "hello");
    bh_buf_fini(&b);
    assert_int_equal(bh_file_read(dirfd_, "f", 5, &b, &err), 0);
    assert_int_equal(b.len, 5);
    bh_buf_fini(&b);
    assert_int_equal(bh_file_read(dirfd_, "f", 4, &b, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "f is larger than 4 bytes");
    assert_null(b.data);
    assert_int_equal(bh_file_read(dirfd_, "absent", 4, &b, &err), BH_E_NOT_FOUND);
    assert_int_equal(bh_file_read(dirfd_, ".", 4, &b, &err), BH_E_INVALID);
    assert_int_equal(bh_file_replace(dirfd_, "f", "", 0, 0600, false, &err), 0);
    assert_int_equal(bh_file_read(dirfd_, "f", 4, &b, &err), 0);
    assert_string_equal(bh_buf_str(&b), "");
    assert_int_equal(fstatat(dirfd_, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fstatat(dirfd_, "f.new", &st, 0), -1);
}

static void test_replace_fails(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char name[300];
    struct stat st;

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(bh_file_replace(dirfd_, name, "x", 1, 0600, false, &err), BH_E_INVALID);
    assert_int_equal(mkdirat(dirfd_, "d", 0700), 0);
    assert_int_not_equal(bh_file_replace(dirfd_, "d", "x", 1, 0600, false, &err), 0); /* a folder stands there */
    assert_int_equal(fstatat(dirfd_, "d.new", &st, 0), -1);                           /* and nothing is left */
    assert_int_equal(bh_file_replace(dirfd_, "no/where", "x", 1, 0600, false, &err), BH_E_NOT_FOUND);
    /* A link in the place of the temporary file is not followed. */
    assert_int_equal(symlinkat("x", dirfd_, "f.new"), 0);
    assert_int_not_equal(bh_file_replace(dirfd_, "f", "x", 1, 0600, false, &err), 0);
    assert_int_equal(fstatat(dirfd_, "x", &st, 0), -1);
    unlinkat(dirfd_, "f.new", 0);
}

static void test_big_file(void **state) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    BH_SCOPE_FREE char *data = bh_xcalloc(1, 300000);
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < 300000; i++)
        data[i] = (char)(i * 31);
    assert_int_equal(bh_file_replace(dirfd_, "f", data, 300000, 0600, false, &err), 0);
    assert_int_equal(bh_file_read(dirfd_, "f", 300000, &b, &err), 0);
    assert_int_equal(b.len, 300000);
    assert_memory_equal(b.data, data, 300000);
    bh_buf_fini(&b);
    assert_int_equal(bh_file_read(dirfd_, "f", 299999, &b, &err), BH_E_LIMIT);
}

/* A pipe gives short counts: a child writes in small pieces. */
static void test_pipe(void **state) {
    char data[100000], got[100001];
    int fds[2], status;
    pid_t child;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)i;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        for (size_t i = 0; i < sizeof data; i += 1000) {
            if (bh_write_all(fds[1], data + i, 1000) != 0)
                _exit(1);
        }
        _exit(0);
    }
    close(fds[1]);
    assert_int_equal(bh_read_full(fds[0], got, sizeof got), sizeof data);
    assert_memory_equal(got, data, sizeof data);
    assert_int_equal(bh_read_full(fds[0], got, sizeof got), 0);
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_positions(void **state) {
    BH_SCOPE_CLOSE int fd = openat(dirfd_, "f", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char got[20];

    (void)state;
    assert_int_equal(bh_pwrite_all(fd, "0123456789", 10, 5), 0);
    assert_int_equal(bh_pread_full(fd, got, sizeof got, 10), 5);
    assert_memory_equal(got, "56789", 5);
    assert_int_equal(bh_read_full(-1, got, 1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(bh_write_all(-1, got, 1), -1);
    assert_int_equal(bh_write_all(-1, got, 0), 0);
}

static void test_folders(void **state) {
    char path[128], parent[128];
    struct stat st;

    (void)state;
    snprintf(path, sizeof path, "%s/d/e/f", folder);
    snprintf(parent, sizeof parent, "%s/d/e", folder);
    assert_int_equal(bh_make_parents(path, 0711), 0);
    assert_int_equal(bh_make_parents(path, 0711), 0); /* what is there stays */
    assert_true(stat(parent, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0711);
    assert_int_equal(stat(path, &st), -1);
    {
        BH_SCOPE_DIR DIR *d = bh_dir_open(dirfd_, "d"), *none = bh_dir_open(dirfd_, "nosuch");
        struct dirent *e = bh_dir_next(d);

        assert_non_null(e);
        assert_string_equal(e->d_name, "e");
        assert_null(bh_dir_next(d));
        assert_null(none);
        assert_null(bh_dir_next(none));
    }
    assert_int_equal(symlinkat("d", dirfd_, "x"), 0);
    assert_null(bh_dir_open(dirfd_, "x")); /* not by a link */
    unlinkat(dirfd_, "x", 0);
    rmdir(parent);
    unlinkat(dirfd_, "d", AT_REMOVEDIR);
}

static void test_flags(void **state) {
    int fds[2];
    char c;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(bh_set_nonblock(fds[0], true), 0);
    assert_int_equal(read(fds[0], &c, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(bh_set_nonblock(fds[0], false), 0);
    assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(bh_set_cloexec(fds[0], true), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(bh_set_cloexec(fds[0], false), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD), 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(bh_set_nonblock(-1, true), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),    cmocka_unit_test(test_replace_fails), cmocka_unit_test(test_big_file),
        cmocka_unit_test(test_pipe),    cmocka_unit_test(test_positions),     cmocka_unit_test(test_flags),
        cmocka_unit_test(test_folders),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
