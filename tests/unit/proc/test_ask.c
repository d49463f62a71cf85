/*
 * test_ask.c - what a child that gave up its rights can still do, and what of its answer arrives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proc/ask.h"

static int become_self(const void *who, struct bh_err *err) {
    return who != NULL ? bh_err_set(err, BH_E_DENIED, "no") : 0;
}

struct seen {
    int uid, fds, readable, file;
};

/* How many descriptors there are, but for that of the look itself. */
static int look(const void *arg, void *out, struct bh_err *err) {
    struct seen *s = out;
    DIR *d = opendir("/proc/self/fd");
    char c = 0;

    (void)err;
    s->uid = (int)getuid();
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        s->fds += e->d_name[0] != '.' && atoi(e->d_name) > 2 && atoi(e->d_name) != dirfd(d);
    s->readable = read(BH_ASK_FD, &c, 1) == 1 && c == *(const char *)arg;
    s->file = open("/etc/shadow", O_RDONLY) >= 0;
    return 0;
}

static void gives_all_up(void **state) {
    int p[2], extra = open("/", O_RDONLY);
    struct seen s = {0};
    struct bh_err err = BH_ERR_INIT;
    struct bh_ask a = {.work = look, .arg = "x", .out = &s, .size = sizeof s, .fds = &p[0], .n_fds = 1};

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    if (getuid() != 0)
        a.become = become_self;
    assert_int_equal(bh_ask(&a, &err), 0);
    assert_int_equal(s.uid, getuid() == 0 ? 65534 : (int)getuid());
    assert_int_equal(s.fds, 2); /* the answer's and the one it was given */
    assert_true(s.readable);
    assert_false(s.file);
    close(p[0]);
    close(p[1]);
    close(extra);
}

static int refuse(const void *arg, void *out, struct bh_err *err) {
    (void)arg;
    memset(out, 7, 4);
    bh_err_set(err, BH_E_LIMIT, "too much");
    bh_err_reason(err, "too-much");
    return bh_err_hint(err, "less");
}

static void errors_arrive(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int out = 0;
    const struct bh_ask a = {.work = refuse, .out = &out, .size = sizeof out, .become = become_self};

    (void)state;
    assert_int_equal(bh_ask(&a, &err), BH_E_LIMIT);
    assert_string_equal(err.msg, "too much");
    assert_string_equal(err.reason, "too-much");
    assert_string_equal(err.hint, "less");
}

static int die(const void *arg, void *out, struct bh_err *err) {
    (void)arg;
    (void)out;
    (void)err;
    return raise(SIGKILL);
}

static void no_answer(void **state) {
    struct bh_err err = BH_ERR_INIT;
    const struct bh_ask dead = {.work = die, .become = become_self};
    const struct bh_ask refused = {.work = look, .become = become_self, .who = "x"}; /* work must not run */

    (void)state;
    assert_int_equal(bh_ask(&dead, &err), BH_E_ABORTED);
    assert_int_equal(bh_ask(&refused, &err), BH_E_ABORTED);
}

/* The descriptors that it must give change places; one is kept, one left out. */
static int place(const void *arg, void *out, struct bh_err *err) {
    int kept = open("/dev/null", O_RDONLY), a = dup2(kept, 4), b = dup2(kept, 3);
    int *const keep[] = {&kept};

    (void)arg;
    (void)out;
    fcntl(a, F_SETFL, O_NONBLOCK);
    if (bh_place(3, (int[]){a, -1, b}, 3, keep, 1, err) != 0)
        return err->code;
    if (kept < 300 || fcntl(kept, F_GETFD) != FD_CLOEXEC || fcntl(3, F_GETFD) != 0 || fcntl(4, F_GETFD) != -1 ||
        fcntl(5, F_GETFD) != 0)
        _exit(2);
    _exit(0);
}

static void places(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int status = -1;
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(place(NULL, NULL, &err) == 0 ? 0 : 3);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gives_all_up), cmocka_unit_test(errors_arrive),
                                       cmocka_unit_test(no_answer), cmocka_unit_test(places)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
