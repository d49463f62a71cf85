/*
 * test_fdpass.c - messages with descriptors: whole, refused, cut, and what happens to what came along.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"

static int pair[2];

static int set_up(void **state) {
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state) {
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static unsigned open_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void whole(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char msg[16] = "";
    int fds[3], pipes[2];
    unsigned n_fds = 9;
    size_t n = 0;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(bh_fdpass_send(pair[0], "hello", 5, pipes, 2, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, fds, 3, &n_fds, &err), BH_FDPASS_OK);
    assert_int_equal(n, 5);
    assert_string_equal(msg, "hello");
    assert_int_equal(n_fds, 2);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], msg, 1), 1);
    bh_fdpass_close(fds, 2);
    assert_int_equal(fds[0], -1);
    bh_fdpass_close(pipes, 2);
}

static void without_descriptors(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char msg[4];
    size_t n;

    (void)state;
    assert_int_equal(bh_fdpass_send(pair[0], "abc", 3, NULL, 0, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, NULL, 0, NULL, &err), BH_FDPASS_OK);
    assert_int_equal(n, 3);
}

static void as_many_as_allowed(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int out[BH_FDPASS_MAX], in[BH_FDPASS_MAX];
    unsigned n_fds = 0, before = open_fds();
    char msg;
    size_t n;

    (void)state;
    for (unsigned i = 0; i < BH_FDPASS_MAX; i++)
        out[i] = 0;
    assert_int_equal(bh_fdpass_send(pair[0], "x", 1, out, BH_FDPASS_MAX, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], &msg, 1, &n, in, BH_FDPASS_MAX, &n_fds, &err), BH_FDPASS_OK);
    assert_int_equal(n_fds, BH_FDPASS_MAX);
    bh_fdpass_close(in, n_fds);
    assert_int_equal(open_fds(), before);
    assert_int_equal(bh_fdpass_send(pair[0], "x", 1, out, BH_FDPASS_MAX + 1, &err), BH_E_INVALID);
    assert_int_equal(bh_fdpass_send(pair[0], "", 0, NULL, 0, &err), BH_E_INVALID);
}

/* More than there is room for: refused, and nothing stays open. */
static void surplus(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int out[3] = {0, 0, 0}, in[2];
    unsigned n_fds = 7, before = open_fds();
    char msg[4];
    size_t n = 99;

    (void)state;
    assert_int_equal(bh_fdpass_send(pair[0], "abc", 3, out, 3, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, in, 2, &n_fds, &err), BH_E_INVALID);
    assert_int_equal(n, 99);
    assert_int_equal(n_fds, 7);
    assert_int_equal(open_fds(), before);
    assert_int_equal(bh_fdpass_send(pair[0], "abc", 3, out, 3, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, NULL, 0, NULL, &err), BH_E_INVALID);
    assert_int_equal(open_fds(), before);
}

static void too_long(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int out[1] = {0}, in[1];
    unsigned n_fds = 0, before = open_fds();
    char msg[2];
    size_t n;

    (void)state;
    assert_int_equal(bh_fdpass_send(pair[0], "abc", 3, out, 1, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, in, 1, &n_fds, &err), BH_E_INVALID);
    assert_int_equal(open_fds(), before);
    /* The next message is read as if nothing had been. */
    assert_int_equal(bh_fdpass_send(pair[0], "ok", 2, NULL, 0, &err), BH_FDPASS_OK);
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, in, 1, &n_fds, &err), BH_FDPASS_OK);
    assert_memory_equal(msg, "ok", 2);
}

/* Looks like an end, and yet brings a descriptor: nobody would close it. */
static void no_byte(void **state) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    const struct msghdr msg = {.msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct bh_err err = BH_ERR_INIT;
    unsigned n_fds = 7, before = open_fds();
    int in[1] = {-1};
    size_t n = 9;
    char byte;

    (void)state;
    assert_int_equal(sendmsg(pair[0], &msg, 0), 0); /* of descriptor 0 */
    assert_int_equal(bh_fdpass_recv(pair[1], &byte, 1, &n, in, 1, &n_fds, &err), BH_FDPASS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(n_fds, 0);
    assert_int_equal(in[0], -1);
    assert_int_equal(open_fds(), before);
}

static void peer_gone(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char msg[4];
    size_t n = 9;

    (void)state;
    close(pair[0]);
    pair[0] = -1;
    assert_int_equal(bh_fdpass_recv(pair[1], msg, sizeof msg, &n, NULL, 0, NULL, &err), BH_FDPASS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(bh_fdpass_send(pair[1], "x", 1, NULL, 0, &err), BH_E_UNAVAILABLE);
}

static void non_blocking(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char msg[4096] = {0};
    size_t n;
    int rc;

    (void)state;
    assert_int_equal(bh_set_nonblock(pair[0], true), 0);
    assert_int_equal(bh_fdpass_recv(pair[0], msg, sizeof msg, &n, NULL, 0, NULL, &err), BH_FDPASS_AGAIN);
    while ((rc = bh_fdpass_send(pair[0], msg, sizeof msg, NULL, 0, &err)) == BH_FDPASS_OK)
        ;
    assert_int_equal(rc, BH_FDPASS_AGAIN);
}

/* A table of descriptors that is full cuts the control data: refused, not half taken. */
static void full_table(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int out[4] = {0, 0, 0, 0}, in[4], filler[4096];
    unsigned n = 0, n_fds = 0;
    char msg;
    size_t len;

    (void)state;
    assert_int_equal(bh_fdpass_send(pair[0], "x", 1, out, 4, &err), BH_FDPASS_OK);
    while (n < 4096 && (filler[n] = dup(0)) >= 0)
        n++;
    if (n == 4096) { /* a limit too high for this test */
        bh_fdpass_close(filler, n);
        return;
    }
    bh_fdpass_close(filler, 2);
    int rc = bh_fdpass_recv(pair[1], &msg, 1, &len, in, 4, &n_fds, &err);
    int one = dup(0), two = dup(0), three = dup(0);
    bh_fdpass_close(filler + 2, n - 2);
    close(one);
    close(two);
    assert_int_equal(rc, BH_E_INVALID);
    assert_int_equal(three, -1); /* the two that did arrive were closed: exactly two places were free */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_descriptors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_many_as_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(surplus, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peer_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(non_blocking, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_table, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
