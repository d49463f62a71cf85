/*
 * The talk with launch and with monitors, over a fake of each, for what the real ones never do: answers
 * of a wrong size, out of order, for nobody; a peer that goes in the middle of everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "svc-runtime/launch_client.h"
#include "svc-runtime/monitor_client.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- launch ------------------------------------------------------------------------------------ */

struct fake {
    int fd;
    struct rt_launch *launch;
    atomic_int *gone; /* the reader tells it when it likes, perhaps after the test */
};

static void on_gone(void *arg) {
    *(atomic_int *)arg = 1;
}

static void fake_open(struct fake *f) {
    /* The room's end lives as long as the room: kept where the leak checker sees it. */
    static struct rt_launch *kept[16];
    static atomic_int gone[16];
    static unsigned n;
    struct bh_err err = BH_ERR_INIT;
    int pair[2];

    *f = (struct fake){.gone = &gone[n]};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    f->fd = pair[1];
    assert_int_equal(rt_launch_new(pair[0], on_gone, (void *)f->gone, &f->launch, &err), 0);
    assert_true(n < sizeof kept / sizeof kept[0]);
    kept[n++] = f->launch;
}

struct asker {
    struct fake *f;
    int arg, result;
    struct rt_launch_reply reply;
    struct bh_err err;
    pthread_t thread;
};

static void *ask(void *arg) {
    struct asker *a = arg;
    struct rt_launch_request req;

    rt_launch_request_init(&req, RT_LAUNCH_SIGNAL, ID);
    req.arg = a->arg;
    a->result = rt_launch_call(a->f->launch, &req, NULL, 0, &a->reply, &a->err);
    return NULL;
}

static void start_asking(struct asker *a, struct fake *f, int arg) {
    *a = (struct asker){.f = f, .arg = arg};
    assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static struct rt_launch_request take(struct fake *f) {
    struct rt_launch_request req;

    assert_int_equal(recv(f->fd, &req, sizeof req, 0), sizeof req);
    assert_int_equal(req.version, RT_LAUNCH_VERSION);
    assert_string_equal(req.id, ID);
    return req;
}

static void give(struct fake *f, const void *data, size_t n) {
    assert_int_equal(send(f->fd, data, n, MSG_NOSIGNAL), n);
}

static void answers_find_their_askers(void **state) {
    struct asker a[8];
    struct rt_launch_request req[8];
    struct fake f;

    (void)state;
    fake_open(&f);
    for (int i = 0; i < 8; i++)
        start_asking(&a[i], &f, i);
    for (int i = 0; i < 8; i++)
        req[i] = take(&f);
    for (int i = 7; i >= 0; i--) { /* the last first, with words for nobody in between */
        struct rt_launch_reply r = {.seq = req[i].seq, .pid = 100 + req[i].arg}, nobody = {.seq = 999};

        give(&f, &nobody, sizeof nobody);
        give(&f, "junk", 4);
        give(&f, &r, sizeof r);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].result, 0);
        assert_int_equal(a[i].reply.pid, 100 + i);
    }
    close(f.fd);
}

static void refusals_carry_their_reason(void **state) {
    struct rt_launch_reply r = {.code = BH_E_NOT_FOUND, .exit_hint = 127};
    struct asker a;
    struct fake f;

    (void)state;
    fake_open(&f);
    start_asking(&a, &f, 1);
    r.seq = take(&f).seq;
    memset(r.msg, 'm', sizeof r.msg); /* no NUL anywhere */
    memset(r.reason, 'r', sizeof r.reason);
    memset(r.hint, 'h', sizeof r.hint);
    give(&f, &r, sizeof r);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.result, BH_E_NOT_FOUND);
    assert_string_equal(a.err.reason, "exit-127");
    assert_int_equal(strlen(a.err.msg), sizeof r.msg - 1);
    assert_int_equal(strlen(a.err.hint), sizeof r.hint - 1);
    close(f.fd);
}

static void an_answer_of_a_wrong_size_is_no_answer(void **state) {
    struct rt_launch_info info = {0};
    struct asker a;
    struct fake f;

    (void)state;
    fake_open(&f);
    start_asking(&a, &f, 1);
    info.seq = take(&f).seq;
    give(&f, &info, sizeof info);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.result, BH_E_UNAVAILABLE);
    close(f.fd);
}

static void all_are_told_when_launch_goes(void **state) {
    struct asker a[3];
    struct fake f;

    (void)state;
    fake_open(&f);
    for (int i = 0; i < 3; i++)
        start_asking(&a[i], &f, i);
    take(&f);
    close(f.fd);
    for (int i = 0; i < 3; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].result, BH_E_UNAVAILABLE);
    }
    for (int i = 0; i < 100 && !*f.gone; i++)
        usleep(10000);
    assert_int_equal(*f.gone, 1);
    start_asking(&a[0], &f, 0);
    pthread_join(a[0].thread, NULL);
    assert_int_equal(a[0].result, BH_E_UNAVAILABLE);
}

/* ---- monitors ---------------------------------------------------------------------------------- */

static char dir[32];
static struct rt_monitors *monitors;

static int setup_monitors(void **state) {
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    strcpy(dir, "/tmp/bh-rt-mon-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(rt_monitors_new(dir, &monitors, &err), 0);
    return 0;
}

struct told {
    pthread_mutex_t lock;
    pthread_cond_t more;
    unsigned states, ends, losses;
    struct rt_monitor_state last;
};

static void on_state(void *arg, const struct rt_monitor_state *s) {
    struct told *t = arg;

    pthread_mutex_lock(&t->lock);
    if (s == NULL)
        t->losses++;
    else if (s->phase == RT_MONITOR_EXITED)
        t->ends++;
    else
        t->states++;
    if (s != NULL)
        t->last = *s;
    pthread_cond_signal(&t->more);
    pthread_mutex_unlock(&t->lock);
}

static void wait_told(struct told *t, const unsigned *what) {
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 5;
    pthread_mutex_lock(&t->lock);
    while (*what == 0 && pthread_cond_timedwait(&t->more, &t->lock, &end) == 0)
        ;
    pthread_mutex_unlock(&t->lock);
    assert_int_not_equal(*what, 0);
}

/* A monitor's socket, the room's connection to it, and the first word taken. */
static int connect_fake(struct told *t, struct rt_watch **out) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct rt_monitor_request req;
    struct bh_err err = BH_ERR_INIT;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), fd;

    *t = (struct told){.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%s.sock", dir, ID);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(rt_watch_open(monitors, ID, "", on_state, t, out, &err), 0);
    fd = accept(listener, NULL, NULL);
    close(listener);
    unlink(a.sun_path);
    assert_int_equal(recv(fd, &req, sizeof req, 0), sizeof req);
    assert_int_equal(req.type, RT_MONITOR_WATCH);
    return fd;
}

static void say(int fd, uint32_t type, uint32_t phase, int code) {
    struct rt_monitor_state s = {.type = type, .phase = phase, .code = code, .exit_code = code};

    assert_int_equal(send(fd, &s, sizeof s, MSG_NOSIGNAL), sizeof s);
}

static void an_end_is_told_once(void **state) {
    struct rt_watch *w = NULL;
    struct told t;
    int fd = connect_fake(&t, &w);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;

    (void)state;
    say(fd, RT_MONITOR_STATE, RT_MONITOR_RUNNING, 0);
    wait_told(&t, &t.states);
    say(fd, RT_MONITOR_STATE, RT_MONITOR_EXITED, 7);
    wait_told(&t, &t.ends);
    assert_int_equal(t.last.exit_code, 7);
    /* the room hangs up, so that the monitor can leave */
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    close(fd);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.losses, 0);
    rt_watch_unref(w);
}

static void one_that_goes_without_a_word_is_told(void **state) {
    struct rt_watch *w = NULL;
    struct told t;
    int fd = connect_fake(&t, &w);

    (void)state;
    close(fd);
    wait_told(&t, &t.losses);
    assert_int_equal(t.losses, 1);
    rt_watch_unref(w);
}

static void one_that_talks_junk_is_left(void **state) {
    struct rt_watch *w = NULL;
    struct told t;
    int fd = connect_fake(&t, &w);

    (void)state;
    assert_int_equal(send(fd, "junk", 4, MSG_NOSIGNAL), 4);
    wait_told(&t, &t.losses);
    close(fd);
    rt_watch_unref(w);
}

struct attacher {
    struct rt_watch *w;
    int result;
    struct bh_err err;
};

static void *attach(void *arg) {
    struct attacher *a = arg;
    int fds[1] = {1};

    a->result = rt_watch_attach(a->w, 2, fds, 1, &a->err);
    return NULL;
}

static void requests_are_answered_or_end(void **state) {
    struct rt_monitor_request req;
    struct attacher a = {0};
    struct told t;
    pthread_t thread;
    unsigned n = 0;
    size_t len = 0;
    int fd = connect_fake(&t, &a.w), got = -1;

    (void)state;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(pthread_create(&thread, NULL, attach, &a), 0);
        assert_int_equal(bh_fdpass_recv(fd, &req, sizeof req, &len, &got, 1, &n, &a.err), 0);
        assert_int_equal(req.type, RT_MONITOR_ATTACH);
        assert_int_equal(req.stdio, 2);
        assert_int_equal(n, 1);
        close(got);
        if (round == 0)
            say(fd, RT_MONITOR_DONE, 0, 0);
        else if (round == 1)
            say(fd, RT_MONITOR_DONE, 0, BH_E_LIMIT);
        else
            close(fd);
        pthread_join(thread, NULL);
        assert_int_equal(a.result, round == 0 ? 0 : round == 1 ? BH_E_LIMIT : BH_E_NOT_FOUND);
        bh_err_clear(&a.err);
    }
    wait_told(&t, &t.losses);
    rt_watch_unref(a.w);
}

static void nobody_listens(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_monitor_state s;
    struct rt_watch *w = NULL;
    struct told t = {0};

    (void)state;
    assert_int_equal(rt_watch_open(monitors, ID, "", on_state, &t, &w, &err), BH_E_NOT_FOUND);
    assert_null(w);
    bh_err_clear(&err);
    assert_int_equal(rt_monitor_ask(monitors, ID, &s, &err), BH_E_NOT_FOUND);
}

static int remove_dir(void **state) {
    (void)state;
    rmdir(dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_find_their_askers),
                                       cmocka_unit_test(refusals_carry_their_reason),
                                       cmocka_unit_test(an_answer_of_a_wrong_size_is_no_answer),
                                       cmocka_unit_test(all_are_told_when_launch_goes),
                                       cmocka_unit_test(an_end_is_told_once),
                                       cmocka_unit_test(one_that_goes_without_a_word_is_told),
                                       cmocka_unit_test(one_that_talks_junk_is_left),
                                       cmocka_unit_test(requests_are_answered_or_end),
                                       cmocka_unit_test(nobody_listens)};

    return cmocka_run_group_tests(tests, setup_monitors, remove_dir);
}
