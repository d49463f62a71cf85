/*
 * test_control.c - the room's end of the control channel against a supervisor that answers, lies or goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "proc/control.h"

static int supervisor = -1; /* the other end */
static struct bh_control *control;
static atomic_int stops, reloads;

static void on_stop(void *arg) {
    (void)arg;
    stops++;
}

static void on_reload(void *arg, int fd) {
    (void)arg;
    reloads += fcntl(fd, F_GETFD) >= 0;
    close(fd);
}

/* The channel is always descriptor 3. */
static int set_up(void **state) {
    const struct bh_control_events events = {on_stop, on_reload, NULL};
    struct bh_err err = BH_ERR_INIT;
    int pair[2];

    (void)state;
    stops = reloads = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        return -1;
    supervisor = fcntl(pair[0], F_DUPFD, 20);
    int room = fcntl(pair[1], F_DUPFD, 20);
    close(pair[0]);
    close(pair[1]);
    if (dup2(room, BH_FD_CONTROL) < 0)
        return -1;
    close(room);
    return bh_control_start(&events, &control, &err);
}

static int tear_down(void **state) {
    (void)state;
    int least = supervisor >= 0 ? stops + 1 : 1;
    if (supervisor >= 0)
        close(supervisor);
    supervisor = -1;
    for (int i = 0; i < 500 && stops < least; i++)
        usleep(10000);
    assert_true(stops >= least); /* a room without supervisor is told to stop: the thread's last act */
    free(control);
    close(BH_FD_CONTROL);
    return 0;
}

static void tell(const void *msg, size_t n, int fd) {
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_fdpass_send(supervisor, msg, n, &fd, fd >= 0, &err), 0);
}

static size_t hear(void *msg, size_t max, unsigned *n_fds) {
    struct bh_err err = BH_ERR_INIT;
    int fds[BH_CONTROL_MAX_FDS];
    size_t n = 0;

    assert_int_equal(bh_fdpass_recv(supervisor, msg, max, &n, fds, BH_CONTROL_MAX_FDS, n_fds, &err), 0);
    bh_fdpass_close(fds, *n_fds);
    return n;
}

static void simple(void **state) {
    struct bh_control_simple m, stop = {.type = BH_CONTROL_STOP}, reload = {.type = BH_CONTROL_RELOAD};
    struct bh_err err = BH_ERR_INIT;
    unsigned n_fds;

    (void)state;
    assert_int_equal(bh_control_ready(control, &err), 0);
    assert_int_equal(hear(&m, sizeof m, &n_fds), sizeof m);
    assert_int_equal(m.type, BH_CONTROL_READY);
    tell(&reload, sizeof reload, 0);
    tell(&reload, sizeof reload, -1); /* without its descriptor: ignored */
    tell(&stop, sizeof stop, -1);
    for (int i = 0; i < 200 && stops == 0; i++)
        usleep(10000);
    assert_int_equal(reloads, 1);
    assert_int_equal(stops, 1);
}

/* What the fake supervisor does with the next SPAWN. */
struct script {
    int32_t pid;
    int wait_status;
    bool exits, goes, lies;
};

static void *play(void *arg) {
    const struct script *s = arg;
    struct bh_control_spawn m;
    unsigned n_fds = 0;

    hear(&m, sizeof m, &n_fds);
    if (s->goes) {
        close(supervisor);
        supervisor = -1;
        return NULL;
    }
    if (s->lies) { /* other sizes, other numbers, unknown types: none of them is for this worker */
        struct bh_control_exited wrong = {.type = BH_CONTROL_EXITED, .seq = m.seq + 77};
        tell(&wrong, sizeof wrong, -1);
        tell(&(uint32_t){BH_CONTROL_SPAWNED}, 4, -1);
        tell(&(struct bh_control_simple){.type = 999, .seq = m.seq}, sizeof(struct bh_control_simple), -1);
        tell("x", 1, -1);
    }
    struct bh_control_spawned spawned = {.type = BH_CONTROL_SPAWNED, .seq = m.seq, .pid = s->pid};
    tell(&spawned, sizeof spawned, -1);
    if (s->exits) {
        struct bh_control_exited exited = {.type = BH_CONTROL_EXITED, .seq = m.seq, .wait_status = s->wait_status};
        tell(&exited, sizeof exited, -1);
    }
    assert_true(strcmp(m.job, "job") == 0 && m.n_fds == n_fds);
    return NULL;
}

static int spawn_with(struct script *s, struct bh_worker **w, struct bh_err *err) {
    int fds[2] = {0, 1};
    pthread_t thread;

    pthread_create(&thread, NULL, play, s);
    int rc = bh_worker_spawn(control, "job", fds, 2, 1, 2, w, err);
    pthread_join(thread, NULL);
    return rc;
}

static void worker(void **state) {
    struct script s = {.pid = 42, .exits = true, .wait_status = 3 << 8, .lies = true};
    struct bh_err err = BH_ERR_INIT;
    struct bh_worker *w;
    int status = -1;

    (void)state;
    assert_int_equal(spawn_with(&s, &w, &err), 0);
    assert_int_equal(bh_worker_wait(w, -1, &status, &err), 0);
    assert_int_equal(status, 3 << 8);
}

static void worker_refused(void **state) {
    struct script s = {.pid = -EAGAIN};
    struct bh_err err = BH_ERR_INIT;
    struct bh_worker *w;

    (void)state;
    assert_true(spawn_with(&s, &w, &err) < 0);
    assert_non_null(strstr(err.msg, strerror(EAGAIN)));
    char long_name[40];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(bh_worker_spawn(control, long_name, NULL, 0, 0, 0, &w, &err), BH_E_INVALID);
    assert_int_equal(bh_worker_spawn(control, "a", NULL, BH_CONTROL_MAX_FDS + 1, 0, 0, &w, &err), BH_E_INVALID);
}

static void *answer_kill(void *arg) {
    struct bh_control_kill m;
    unsigned n_fds;

    (void)arg;
    hear(&m, sizeof m, &n_fds);
    assert_int_equal(m.type, BH_CONTROL_KILL);
    struct bh_control_exited exited = {.type = BH_CONTROL_EXITED, .seq = m.seq, .wait_status = SIGKILL};
    tell(&exited, sizeof exited, -1);
    return NULL;
}

static void worker_late(void **state) {
    struct script s = {.pid = 42};
    struct bh_err err = BH_ERR_INIT;
    struct bh_worker *w;
    pthread_t thread;
    int status;

    (void)state;
    assert_int_equal(spawn_with(&s, &w, &err), 0);
    pthread_create(&thread, NULL, answer_kill, NULL);
    assert_int_equal(bh_worker_wait(w, 50, &status, &err), BH_E_DEADLINE);
    pthread_join(thread, NULL);
}

static void supervisor_gone(void **state) {
    struct script s = {.goes = true};
    struct bh_err err = BH_ERR_INIT;
    struct bh_control_room *rooms;
    struct bh_worker *w;
    unsigned n;

    (void)state;
    assert_int_equal(spawn_with(&s, &w, &err), BH_E_UNAVAILABLE);
    assert_true(bh_control_rooms(control, &rooms, &n, &err) < 0);
}

static void *answer_rooms(void *arg) {
    struct bh_control_simple m;
    unsigned n_fds;

    (void)arg;
    hear(&m, sizeof m, &n_fds);
    for (uint32_t more = 3; more-- > 0;) {
        struct bh_control_room room = {.type = BH_CONTROL_ROOM, .seq = m.seq, .more = more, .pid = (int)more + 10};
        tell(&room, sizeof room, -1);
    }
    return NULL;
}

static void rooms(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_control_room *list = NULL;
    pthread_t thread;
    unsigned n = 0;

    (void)state;
    pthread_create(&thread, NULL, answer_rooms, NULL);
    assert_int_equal(bh_control_rooms(control, &list, &n, &err), 0);
    pthread_join(thread, NULL);
    assert_int_equal(n, 3);
    assert_int_equal(list[0].pid, 12);
    assert_int_equal(list[2].pid, 10);
    free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(simple, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(supervisor_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rooms, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
