/*
 * launch_client.c - asking launch, see launch_client.h.
 *
 * Room: runtime.  One thread reads the pair and hands each answer to the caller whose seq it
 * carries.  When the pair breaks, every caller gets UNAVAILABLE; the room then ends, and the
 * supervisor starts both ends anew.
 */
#include "svc-runtime/launch_client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"

#define INFO_MS 10000 /* it looks at a few files and asks a program for its version */

union answer {
    struct rt_launch_reply reply;
    struct rt_launch_info info;
    uint64_t seq;
};

struct pending {
    uint64_t seq;
    size_t size; /* of the answer that fits */
    union answer *answer;
    int state; /* 0 waiting, 1 answered, -1 lost */
    pthread_cond_t done;
    struct pending *next;
};

struct rt_launch {
    int fd;
    pthread_mutex_t lock; /* pending, seq, gone, what goes with every request */
    pthread_mutex_t send; /* one message at a time: it may block */
    struct pending *pending;
    uint64_t seq;
    bool gone;
    unsigned oci;
    bool extracted;
    char none_why[256]; /* "" unless no OCI runtime works */
    void (*on_gone)(void *arg);
    void *arg;
};

static struct pending *take_pending(struct rt_launch *l, uint64_t seq) {
    for (struct pending **at = &l->pending; *at != NULL; at = &(*at)->next)
        if ((*at)->seq == seq) {
            struct pending *p = *at;

            *at = p->next;
            return p;
        }
    return NULL;
}

static bool deliver(struct rt_launch *l, const union answer *a, size_t n) {
    struct pending *p;

    pthread_mutex_lock(&l->lock);
    p = n >= sizeof a->seq ? take_pending(l, a->seq) : NULL;
    if (p != NULL && p->size == n) {
        memcpy(p->answer, a, n);
        p->state = 1;
    } else if (p != NULL) {
        p->state = -1;
    }
    if (p != NULL)
        pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&l->lock);
    return p != NULL;
}

static void lose_all(struct rt_launch *l) {
    pthread_mutex_lock(&l->lock);
    l->gone = true;
    while (l->pending != NULL) {
        struct pending *p = l->pending;

        l->pending = p->next;
        p->state = -1;
        pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&l->lock);
}

static void *read_answers(void *arg) {
    struct rt_launch *l = arg;
    union answer a;

    for (;;) {
        struct bh_err err = BH_ERR_INIT;
        size_t n = 0;

        if (bh_fdpass_recv(l->fd, &a, sizeof a, &n, NULL, 0, NULL, &err) != 0) {
            bh_log_err("launch-read", &err);
            break;
        }
        if (n == 0)
            break;
        if (!deliver(l, &a, n))
            bh_log(BH_LOG_WARN, "launch-answer", "nobody waits for this answer size=%zu", n);
    }
    lose_all(l);
    l->on_gone(l->arg);
    return NULL;
}

int rt_launch_new(int take_fd, void (*on_gone)(void *arg), void *arg, struct rt_launch **out, struct bh_err *err) {
    struct rt_launch *l = bh_xcalloc(1, sizeof *l);
    pthread_t t;
    int e;

    l->fd = take_fd;
    l->on_gone = on_gone;
    l->arg = arg;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->send, NULL);
    e = pthread_create(&t, NULL, read_answers, l);
    if (e != 0) {
        free(l);
        return bh_err_errno(err, e, "make the thread that reads from launch");
    }
    pthread_detach(t);
    *out = l;
    return 0;
}

void rt_launch_request_init(struct rt_launch_request *req, enum rt_launch_type type, const char *id) {
    memset(req, 0, sizeof *req);
    req->version = RT_LAUNCH_VERSION;
    req->type = type;
    req->oci = RT_OCI_ANY;
    snprintf(req->id, sizeof req->id, "%s", id);
}

static int gone_error(struct bh_err *err) {
    bh_err_set(err, BH_E_UNAVAILABLE, "launch, which starts containers, has gone");
    return bh_err_hint(err, "it is being started again: try once more; `bulkhead system rooms` tells");
}

static int send_request(struct rt_launch *l, struct rt_launch_request *req, const int *fds, unsigned n_fds,
                        struct bh_err *err) {
    int r;

    pthread_mutex_lock(&l->send);
    r = bh_fdpass_send(l->fd, req, sizeof *req, fds, n_fds, err);
    pthread_mutex_unlock(&l->send);
    if (r > 0)
        r = bh_err_set(err, BH_E_UNAVAILABLE, "launch does not take requests");
    return r;
}

void rt_launch_use(struct rt_launch *l, unsigned oci, bool extracted, const char *none_why) {
    pthread_mutex_lock(&l->lock);
    l->oci = oci;
    l->extracted = extracted;
    snprintf(l->none_why, sizeof l->none_why, "%s", none_why != NULL ? none_why : "");
    pthread_mutex_unlock(&l->lock);
}

/* With l->lock held.  A late answer finds nobody and is dropped. */
static int await(struct rt_launch *l, struct pending *p, int patience_ms, struct bh_err *err) {
    int64_t until = patience_ms > 0 ? bh_mono_ns() + patience_ms * (BH_NSEC / 1000) : 0;

    while (p->state == 0 && bh_cond_wait_until(&p->done, &l->lock, until))
        continue;
    if (p->state != 0)
        return 0;
    take_pending(l, p->seq);
    return bh_err_set(err, BH_E_DEADLINE, "launch did not answer for %d s", patience_ms / 1000);
}

static int ask(struct rt_launch *l, struct rt_launch_request *req, const int *fds, unsigned n_fds, union answer *answer,
               size_t size, int patience_ms, struct bh_err *err) {
    struct pending p = {.size = size, .answer = answer};
    int r;

    bh_cond_init(&p.done);
    pthread_mutex_lock(&l->lock);
    if (l->gone) {
        pthread_mutex_unlock(&l->lock);
        return gone_error(err);
    }
    req->seq = p.seq = ++l->seq;
    p.next = l->pending;
    l->pending = &p;
    pthread_mutex_unlock(&l->lock);
    r = send_request(l, req, fds, n_fds, err);
    pthread_mutex_lock(&l->lock);
    if (r != 0)
        take_pending(l, p.seq);
    else
        r = await(l, &p, patience_ms, err);
    pthread_mutex_unlock(&l->lock);
    pthread_cond_destroy(&p.done);
    if (r == 0 && p.state < 0)
        return gone_error(err);
    return r;
}

static int reply_error(struct rt_launch_reply *a, struct bh_err *err) {
    char reason[sizeof a->reason];

    a->reason[sizeof a->reason - 1] = 0;
    a->msg[sizeof a->msg - 1] = 0;
    a->hint[sizeof a->hint - 1] = 0;
    bh_err_set(err, a->code, "%s", *a->msg != 0 ? a->msg : "launch refused without a reason");
    if (a->exit_hint >= 125 && a->exit_hint <= 127 && strcmp(a->reason, "not-running") != 0) {
        snprintf(reason, sizeof reason, "exit-%d", a->exit_hint);
        bh_err_reason(err, reason);
    } else {
        bh_err_reason(err, a->reason);
    }
    if (*a->hint != 0)
        bh_err_hint(err, "%s", a->hint);
    return a->code;
}

/* What was found out about this host goes with the request. */
static int complete(struct rt_launch *l, struct rt_launch_request *req, struct bh_err *err) {
    bool starts = req->type == RT_LAUNCH_START || req->type == RT_LAUNCH_EXEC;

    pthread_mutex_lock(&l->lock);
    if (req->oci == RT_OCI_ANY && starts && l->none_why[0] != 0) {
        bh_err_set(err, BH_E_CONFLICT, "no OCI runtime works here: %s", l->none_why);
        bh_err_hint(err, "install crun or runc, see that /sys/fs/cgroup is mounted; it is tried again by itself");
    }
    if (req->oci == RT_OCI_ANY)
        req->oci = (uint16_t)l->oci;
    req->flags |= l->extracted ? RT_LAUNCH_EXTRACTED : 0;
    pthread_mutex_unlock(&l->lock);
    return err->code;
}

int rt_launch_try(struct rt_launch *l, struct rt_launch_request *req, const int *fds, unsigned n_fds, int patience_ms,
                  struct bh_err *err) {
    union answer a;

    if (ask(l, req, fds, n_fds, &a, sizeof a.reply, patience_ms, err) != 0)
        return err->code;
    return a.reply.code < 0 ? reply_error(&a.reply, err) : 0;
}

int rt_launch_call(struct rt_launch *l, struct rt_launch_request *req, const int *fds, unsigned n_fds,
                   struct rt_launch_reply *out, struct bh_err *err) {
    union answer a;

    if (complete(l, req, err) != 0 || ask(l, req, fds, n_fds, &a, sizeof a.reply, 0, err) != 0)
        return err->code;
    if (out != NULL)
        *out = a.reply;
    return a.reply.code < 0 ? reply_error(&a.reply, err) : 0;
}

int rt_launch_info(struct rt_launch *l, struct rt_launch_info *out, struct bh_err *err) {
    struct rt_launch_request req;
    union answer a;

    rt_launch_request_init(&req, RT_LAUNCH_INFO, "");
    if (complete(l, &req, err) != 0 || ask(l, &req, NULL, 0, &a, sizeof a.info, INFO_MS, err) != 0)
        return err->code;
    if (a.info.code < 0)
        return bh_err_set(err, a.info.code, "launch cannot tell about this host");
    a.info.runtime[sizeof a.info.runtime - 1] = 0;
    a.info.runtime_path[sizeof a.info.runtime_path - 1] = 0;
    a.info.runtime_version[sizeof a.info.runtime_version - 1] = 0;
    a.info.runtime_why[sizeof a.info.runtime_why - 1] = 0;
    a.info.form_why[sizeof a.info.form_why - 1] = 0;
    *out = a.info;
    return 0;
}

int rt_launch_spec_fd(const struct rt_spec *spec, int *out_fd, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf buf = BH_BUF_INIT_MAX(RT_SPEC_MAX);
    BH_SCOPE_CLOSE int fd = -1;

    if (rt_spec_encode(spec, &buf, err) != 0)
        return err->code;
    fd = memfd_create("bulkhead-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || bh_write_all(fd, buf.data, buf.len) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return bh_err_errno(err, errno, "put the container's specification into a memfd");
    *out_fd = bh_take_fd(&fd);
    return 0;
}
