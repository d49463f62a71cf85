/*
 * The trial of the host, over a fake launch and a fake monitor: which OCI runtime and which form of layers
 * is taken, what is told of those that were not, and what goes with every request afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "layer/layer_check.h"
#include "svc-runtime/trial.h"

struct world {
    bool mounts;        /* the kernel mounts layer files */
    bool left;          /* the monitor has gone before it could be asked */
    int ends[RT_OCI_N]; /* exit code of the container; -1: it does not start */
    char dir[24];       /* of the monitor's sockets, and of the layer */
    int fd, dirfd;
    unsigned deletes;
    struct rt_launch_request last;
    pthread_t thread;
    struct rt_trial trial;
};

/* A monitor whose container has ended: one connection, one answer. */
static void *monitor(void *arg) {
    int *fd = arg, c = accept(fd[0], NULL, NULL);
    struct rt_monitor_state s = {.type = RT_MONITOR_STATE, .phase = RT_MONITOR_EXITED, .exit_code = fd[1]};
    struct rt_monitor_request q;

    if (recv(c, &q, sizeof q, 0) == sizeof q)
        (void)!send(c, &s, sizeof s, MSG_NOSIGNAL);
    close(c);
    close(fd[0]);
    free(fd);
    return NULL;
}

static void make_monitor(struct world *w, const char *id, int exit_code) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int *fd = bh_xcalloc(2, sizeof *fd);
    pthread_t t;

    if (w->left) {
        const struct rt_monitor_state s = {.phase = RT_MONITOR_EXITED, .exit_code = exit_code};
        int dir, file;

        assert_int_equal(mkdirat(w->dirfd, id, 0700), 0);
        dir = openat(w->dirfd, id, O_RDONLY | O_DIRECTORY);
        file = openat(dir, "exit", O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(file, &s, sizeof s), sizeof s);
        close(file);
        close(dir);
        free(fd);
        return;
    }
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%s.sock", w->dir, id);
    unlink(a.sun_path);
    fd[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    fd[1] = exit_code;
    assert_int_equal(bind(fd[0], (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd[0], 1), 0);
    pthread_create(&t, NULL, monitor, fd);
    pthread_detach(t);
}

static void answer_start(struct world *w, const struct rt_launch_request *q, const int *fds, unsigned n_fds,
                         struct rt_launch_reply *reply) {
    struct bh_layer_header h;
    struct bh_err err = BH_ERR_INIT;
    bool layer_ok = n_fds == 2 && (fcntl(fds[1], F_GETFL) & O_ACCMODE) == O_RDONLY &&
                    bh_layer_open(fds[1], &h, &err) == 0 && memcmp(h.diff_id, q->diff_ids[0], 32) == 0;

    reply->code = BH_E_INTERNAL;
    if (!layer_ok) {
        snprintf(reply->msg, sizeof reply->msg, "not what launch wants");
    } else if (!w->mounts && !(q->flags & RT_LAUNCH_EXTRACTED)) {
        snprintf(reply->msg, sizeof reply->msg, "this kernel cannot");
        snprintf(reply->reason, sizeof reply->reason, RT_NO_MOUNT);
    } else if (w->ends[q->oci] < 0) {
        snprintf(reply->msg, sizeof reply->msg, "%u is not installed", q->oci);
    } else {
        make_monitor(w, q->id, w->ends[q->oci]);
        reply->code = 0;
    }
}

static void *launch(void *arg) {
    struct world *w = arg;
    struct rt_launch_request q;

    for (;;) {
        struct rt_launch_info info = {.cgroup = 2};
        struct rt_launch_reply reply = {0};
        struct bh_err err = BH_ERR_INIT;
        unsigned n_fds = 0;
        int fds[4];
        size_t n = 0;

        if (bh_fdpass_recv(w->fd, &q, sizeof q, &n, fds, 4, &n_fds, &err) != 0 || n != sizeof q)
            return NULL;
        if (q.type == RT_LAUNCH_START)
            answer_start(w, &q, fds, n_fds, &reply);
        w->deletes += q.type == RT_LAUNCH_DELETE;
        w->last = q;
        bh_fdpass_close(fds, n_fds);
        info.seq = reply.seq = q.seq;
        (void)!(q.type == RT_LAUNCH_INFO ? send(w->fd, &info, sizeof info, 0) : send(w->fd, &reply, sizeof reply, 0));
    }
}

static void on_gone(void *arg) {
    (void)arg;
}

static int chosen;

static void try_world(struct world *w, const char *config, struct rt_launch_info *out, int expect) {
    static struct rt_launch *kept[8]; /* where the leak checker sees what lives as long as the room */
    static struct rt_monitors *monitors[8];
    static unsigned n;
    struct bh_buf text = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    int pair[2];

    snprintf(w->dir, sizeof w->dir, "/tmp/bh-trial-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->dirfd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    w->fd = pair[1];
    pthread_create(&w->thread, NULL, launch, w);
    assert_int_equal(rt_launch_new(pair[0], on_gone, NULL, &kept[n], &err), 0);
    assert_int_equal(rt_monitors_new(w->dir, &monitors[n], &err), 0);
    bh_buf_adds(&text, config);
    w->trial = (struct rt_trial){
        .launch = kept[n], .monitors = monitors[n], .monitor_dir = w->dirfd, .state_dir = w->dirfd, .config = &text};
    n++;
    *out = (struct rt_launch_info){0};
    assert_int_equal(rt_trial_run(&w->trial, out, &chosen, &err), expect);
    assert_int_equal(faccessat(w->dirfd, "trial-layer", F_OK, 0), -1);
    bh_buf_fini(&text);
}

static void end_world(struct world *w) {
    char line[64];

    shutdown(w->fd, SHUT_RDWR);
    pthread_join(w->thread, NULL);
    close(w->fd);
    close(w->dirfd);
    snprintf(line, sizeof line, "rm -r %s", w->dir);
    assert_int_equal(system(line), 0);
}

static void first_that_works(void **state) {
    struct world w = {.mounts = true, .ends = {-1, 0, 0}};
    struct rt_launch_info info;

    (void)state;
    try_world(&w, "", &info, 0);
    assert_string_equal(info.runtime, "runc");
    assert_string_equal(info.runtime_why, "crun: 0 is not installed");
    assert_int_equal(info.form, RT_FORM_EROFS);
    assert_true(info.kernel_erofs_file && info.kernel_idmap && info.cgroup == 2);
    assert_int_equal(w.deletes, 2);
    assert_int_equal(w.last.oci, RT_OCI_RUNC);
    assert_int_equal(chosen, RT_OCI_RUNC);
    assert_int_equal(w.last.flags & RT_LAUNCH_EXTRACTED, 0);
    end_world(&w);
}

static void layers_that_do_not_mount(void **state) {
    struct world w = {.mounts = false, .ends = {0, 0, 0}};
    struct rt_launch_info info;

    (void)state;
    try_world(&w, "", &info, 0);
    assert_string_equal(info.runtime, "crun");
    assert_string_equal(info.runtime_why, "");
    assert_int_equal(info.form, RT_FORM_EXTRACTED);
    assert_string_equal(info.form_why, "this kernel cannot");
    assert_false(info.kernel_erofs_file);
    assert_true(w.last.flags & RT_LAUNCH_EXTRACTED);
    end_world(&w);
}

static void extracted_by_choice(void **state) {
    struct world w = {.mounts = true, .ends = {0, 0, 0}};
    struct rt_launch_info info;
    struct bh_err err = BH_ERR_INIT;
    struct rt_launch_info again;

    (void)state;
    try_world(&w, "storage_form = \"extracted\"\n", &info, 0);
    assert_int_equal(info.form, RT_FORM_EXTRACTED);
    assert_non_null(strstr(info.form_why, "storage_form"));
    assert_true(info.kernel_erofs_file);
    assert_int_equal(rt_launch_info(w.trial.launch, &again, &err), 0);
    assert_true(w.last.flags & RT_LAUNCH_EXTRACTED);
    end_world(&w);
}

static void monitor_that_left(void **state) {
    struct world w = {.mounts = true, .left = true, .ends = {4, 0, 0}};
    struct rt_launch_info info;

    (void)state;
    try_world(&w, "", &info, 0);
    assert_string_equal(info.runtime, "runc");
    assert_string_equal(info.runtime_why, "crun: it ran, but ended with 4");
    end_world(&w);
}

static void nothing_works(void **state) {
    struct world w = {.mounts = true, .ends = {3, -1, -1}};
    struct rt_launch_request q;
    struct rt_launch_info info;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    try_world(&w, "", &info, 0);
    assert_string_equal(info.runtime, "");
    assert_string_equal(info.runtime_why, "crun: it ran, but ended with 3; runc: 1 is not installed; "
                                          "crun without cgroup: 2 is not installed");
    rt_launch_request_init(&q, RT_LAUNCH_START, "");
    assert_int_equal(rt_launch_call(w.trial.launch, &q, NULL, 0, NULL, &err), BH_E_CONFLICT);
    assert_non_null(strstr(err.msg, "no OCI runtime works here: crun: it ran"));
    end_world(&w);
}

/* What failed by chance is found later; a container that has another one already keeps it. */
static void again(void **state) {
    struct world w = {.mounts = false, .ends = {7, 0, 0}};
    struct rt_launch_request q;
    struct rt_launch_info info;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    try_world(&w, "", &info, 0);
    assert_int_equal(chosen, RT_OCI_RUNC);
    assert_int_equal(rt_trial_again(&w.trial, &info, &chosen, &err), 0); /* it still fails */
    assert_int_equal(chosen, RT_OCI_RUNC);
    assert_string_equal(info.runtime, "runc");
    assert_string_equal(info.runtime_why, "crun: it ran, but ended with 7");
    w.ends[RT_OCI_CRUN] = 0;
    assert_int_equal(rt_trial_again(&w.trial, &info, &chosen, &err), 0);
    assert_int_equal(chosen, RT_OCI_CRUN);
    assert_string_equal(info.runtime, "crun");
    assert_string_equal(info.runtime_why, "");
    assert_int_equal(faccessat(w.dirfd, "trial-layer", F_OK, 0), -1);
    rt_launch_request_init(&q, RT_LAUNCH_DELETE, "");
    assert_int_equal(rt_launch_call(w.trial.launch, &q, NULL, 0, NULL, &err), 0);
    assert_int_equal(w.last.oci, RT_OCI_CRUN);
    assert_true(w.last.flags & RT_LAUNCH_EXTRACTED); /* the form stays */
    rt_launch_request_init(&q, RT_LAUNCH_DELETE, "");
    q.oci = RT_OCI_RUNC;
    assert_int_equal(rt_launch_call(w.trial.launch, &q, NULL, 0, NULL, &err), 0);
    assert_int_equal(w.last.oci, RT_OCI_RUNC);
    end_world(&w);
}

static void again_after_nothing(void **state) {
    struct world w = {.mounts = true, .ends = {-1, 3, -1}};
    struct rt_launch_request q;
    struct rt_launch_info info;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    try_world(&w, "", &info, 0);
    assert_true(chosen < 0);
    rt_launch_request_init(&q, RT_LAUNCH_EXEC, "");
    assert_int_equal(rt_launch_call(w.trial.launch, &q, NULL, 0, NULL, &err), BH_E_CONFLICT);
    bh_err_clear(&err);
    rt_launch_request_init(&q, RT_LAUNCH_EXEC, ""); /* of a container that runs already */
    q.oci = RT_OCI_CRUN;
    assert_int_equal(rt_launch_call(w.trial.launch, &q, NULL, 0, NULL, &err), 0);
    w.ends[RT_OCI_CRUN_BARE] = 0;
    assert_int_equal(rt_trial_again(&w.trial, &info, &chosen, &err), 0);
    assert_int_equal(chosen, RT_OCI_CRUN_BARE);
    rt_launch_request_init(&q, RT_LAUNCH_EXEC, "");
    assert_int_equal(rt_launch_call(w.trial.launch, &q, NULL, 0, NULL, &err), 0);
    assert_int_equal(w.last.oci, RT_OCI_CRUN_BARE);
    end_world(&w);
}

static void bad_config(void **state) {
    struct world w = {.mounts = true};
    struct rt_launch_info info;

    (void)state;
    try_world(&w, "storage_form = 7\n", &info, BH_E_INVALID);
    end_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_that_works),    cmocka_unit_test(layers_that_do_not_mount),
        cmocka_unit_test(extracted_by_choice), cmocka_unit_test(monitor_that_left),
        cmocka_unit_test(nothing_works),       cmocka_unit_test(again),
        cmocka_unit_test(again_after_nothing), cmocka_unit_test(bad_config)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
