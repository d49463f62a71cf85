/*
 * context_put.c - a context as it comes: its list first, then what a worker finds missing.
 *
 * Room: store.  No byte of a list is read here; a worker does (unpack/context_job.c), while a thread of this room tells
 * the client what it asks for and passes on what comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "context.h"
#include "place.h"
#include "result.h"
#include "worker.h"

#define KEY_MAX_BYTES 1024
#define LIST_MAX      ((uint64_t)256 << 20)
#define WANT_STEP     16384

/* ---- the list comes ------------------------------------------------------------------------ */

/* A file that is gone with its descriptor. */
static int nameless(struct store *s, int *out, struct bh_err *err) {
    struct store_temp t = STORE_TEMP_INIT;

    if (store_temp_open(&s->place, &t, err) != 0)
        return err->code;
    *out = fcntl(t.fd, F_DUPFD_CLOEXEC, 0);
    if (*out < 0)
        bh_err_errno(err, errno, "keep a file of a context");
    store_temp_drop(&s->place, &t);
    return err->code;
}

static bool is_end(const void *data, size_t n) {
    static const unsigned char end[] = {0x10, 1}; /* ContextEntries with `end` alone */

    return n == sizeof end && memcmp(data, end, sizeof end) == 0;
}

static int take_list(struct store *s, const struct store_context_put *p, int fd, char id[STORE_CONTEXT_ID_SIZE],
                     struct bh_err *err) {
    BH_SCOPE_HASH struct bh_hash h = BH_HASH_INIT;
    struct bh_digest d;
    char hex[BH_DIGEST_TEXT_SIZE];
    uint64_t size = 0;

    if (bh_hash_init(&h, BH_DIGEST_SHA256, err) != 0)
        return err->code;
    for (;;) {
        const void *data;
        size_t n;

        if (p->recv(p->arg, &data, &n, err) != 0)
            return err->code;
        if (data == NULL)
            return bh_err_set(err, BH_E_ABORTED, "context: its list ended too early");
        if (is_end(data, n))
            break;
        if (n > LIST_MAX - size)
            return bh_err_set(err, BH_E_LIMIT, "context: its list is over %llu bytes", (unsigned long long)LIST_MAX);
        bh_hash_update(&h, data, n);
        if (bh_pwrite_all(fd, data, n, (off_t)size) != 0)
            return store_write_error(&s->place, errno, "context", n, err);
        size += n;
    }
    if (bh_hash_final(&h, &d, err) != 0)
        return err->code;
    bh_digest_hex(&d, hex);
    snprintf(id, STORE_CONTEXT_ID_SIZE, "ctx:%.64s", hex);
    return 0;
}

/* ---- asking and taking, beside the worker -------------------------------------------------- */

struct feeding {
    const struct store_context_put *p;
    int asks; /* read end: numbers from the worker */
    int to;   /* write end: bytes to it */
    struct bh_err err;
};

static int read_asks(int fd, struct bh_buf *out, struct bh_err *err) {
    for (;;) {
        char *to = bh_buf_room(out, 65536);
        ssize_t n;

        if (to == NULL)
            return bh_err_set(err, BH_E_LIMIT, "context: too many files are missing");
        n = bh_read_full(fd, to, 65536);
        if (n < 0)
            return bh_err_errno(err, errno, "context: read from the worker");
        bh_buf_grew(out, (size_t)n);
        if (n == 0)
            return 0;
    }
}

static int tell_wants(const struct store_context_put *p, const struct bh_buf *asks, struct bh_err *err) {
    const uint64_t *numbers = (const uint64_t *)(const void *)asks->data;
    size_t n = asks->len / sizeof *numbers;
    size_t at = 0;

    do {
        size_t part = n - at < WANT_STEP ? n - at : WANT_STEP;

        if (p->want(p->arg, numbers + at, part, at + part == n, err) != 0)
            return err->code;
        at += part;
    } while (at < n);
    return 0;
}

static int feed(struct feeding *f, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf asks = BH_BUF_INIT_MAX((size_t)40 << 20);
    const void *data;
    size_t n;

    if (read_asks(f->asks, &asks, err) != 0 || tell_wants(f->p, &asks, err) != 0)
        return err->code;
    for (;;) {
        if (f->p->recv(f->p->arg, &data, &n, err) != 0)
            return err->code;
        if (data == NULL)
            return 0;
        if (bh_write_all(f->to, data, n) != 0)
            return 0; /* the worker has all it wants, or is gone: its result tells */
    }
}

static void *feeder(void *arg) {
    struct feeding *f = arg;

    feed(f, &f->err);
    close(f->to); /* the worker sees the end of the bytes */
    f->to = -1;
    return NULL;
}

static int run_beside(struct store *s, const struct store_context_put *p, const struct store_job *job, int asks,
                      int *take_to, struct bh_buf *result, struct bh_err *err) {
    struct feeding f = {.p = p, .asks = asks, .to = *take_to, .err = BH_ERR_INIT};
    pthread_t thread;
    int e = pthread_create(&thread, NULL, feeder, &f);

    if (e != 0)
        return bh_err_errno(err, e, "context: start a thread");
    *take_to = -1;
    store_worker_run(s, job, result, err);
    job->handed(job->handed_arg); /* also when no worker was started: the feeder waits for the end of its pipe */
    p->stop(p->arg);
    pthread_join(thread, NULL);
    if (f.err.code != 0 && (err->code == 0 || f.err.code == BH_E_CANCELLED))
        *err = f.err;
    return err->code;
}

/* ---- putting ------------------------------------------------------------------------------- */

struct pipes {
    int asks[2];
    int bytes[2];
};

static int open_pipes(struct pipes *p, struct bh_err *err) {
    *p = (struct pipes){{-1, -1}, {-1, -1}};
    if (pipe2(p->asks, O_CLOEXEC) != 0 || pipe2(p->bytes, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe for a context");
    (void)fcntl(p->bytes[1], F_SETPIPE_SZ, 1 << 20); /* faster where it is allowed */
    return 0;
}

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipes(struct pipes *p) {
    for (unsigned i = 0; i < 2; i++) {
        close_end(&p->asks[i]);
        close_end(&p->bytes[i]);
    }
}

/* The store's own copies of what the worker gets must be closed for its ends to be seen: the job owns them. */
struct handing {
    struct pipes *pipes;
    int *more;
};

static void handed(void *arg) {
    struct handing *h = arg;

    close_end(&h->pipes->asks[1]);
    close_end(&h->pipes->bytes[0]);
}

static int work(struct store *s, const struct store_context_put *p, int raw, const struct store_context *old,
                struct store_context *c, int pack, struct store_context_found *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    struct pipes pipes;
    int more[3];
    struct handing handing = {&pipes, more};
    struct store_job job = {
        .name = BH_JOB_CONTEXT,
        .what = "context",
        .out = c->list,
        .blob = pack,
        .size = BH_JOB_TO_END,
        .waits = true,
        .cancel_fd = p->cancel_fd,
        .more = more,
        .n_more = old != NULL ? 3 : 2,
        .handed = handed,
        .handed_arg = &handing,
    };

    if (open_pipes(&pipes, err) == 0) {
        more[BH_JOB_CONTEXT_LIST] = raw;
        more[BH_JOB_CONTEXT_ASK] = pipes.asks[1];
        more[BH_JOB_CONTEXT_OLD] = old != NULL ? old->list : -1;
        job.source = pipes.bytes[0];
        run_beside(s, p, &job, pipes.asks[0], &pipes.bytes[1], &packed, err);
    }
    close_pipes(&pipes);
    if (err->code != 0)
        return err->code;
    if (store_result_context(&packed, out, err) != 0) {
        bh_err_prefix(err, "context");
        return store_worker_full(&s->place, "context", UINT64_MAX, err);
    }
    return 0;
}

static bool bit(const unsigned char *bits, unsigned i) {
    return (bits[i / 8] >> i % 8 & 1) != 0;
}

static int dup_fd(int fd, struct bh_err *err) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        bh_err_errno(err, errno, "keep a file of a context");
    return copy;
}

static uint64_t disk_of(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* Packs keep their numbers; one that nothing points into any more gives way to a file that is there anyway. */
static int adopt_packs(struct store_context *c, const struct store_context *old, const struct store_context_found *r,
                       int pack, struct bh_err *err) {
    unsigned n = old != NULL ? old->n_packs : 0;

    c->bytes = disk_of(c->list);
    for (unsigned i = 0; i < n; i++) {
        bool used = bit(r->in_use, i);
        int fd = dup_fd(used ? old->pack[i] : c->list, err);

        if (fd < 0)
            return err->code;
        c->pack[c->n_packs++] = fd;
        c->bytes += used ? disk_of(fd) : 0;
    }
    if (r->received > 0) {
        int fd = dup_fd(pack, err);

        if (fd < 0)
            return err->code;
        c->pack[c->n_packs++] = fd;
        c->bytes += disk_of(fd);
    }
    c->entries = r->entries;
    return 0;
}

static int make(struct store *s, const struct store_context_put *p, int raw, const char *id,
                struct store_context_result *out, struct bh_err *err) {
    struct store_context *c = store_context_new(p->owner, p->key, id);
    struct store_context *old = store_context_newest(s, p->owner, p->key);
    struct store_context_found found = {0};
    BH_SCOPE_CLOSE int pack = -1;

    bool reserved = (old == NULL || old->n_packs + 1 < BH_CONTEXT_PACKS) && store_context_reserve(s, c);

    if (old != NULL && !reserved) { /* without it, then: its contents are asked for once more */
        store_context_done(s, old);
        old = NULL;
    }
    if (!reserved && !store_context_reserve(s, c))
        store_contexts_full(s, err);
    else if (nameless(s, &c->list, err) == 0 && nameless(s, &pack, err) == 0 &&
             work(s, p, raw, old, c, pack, &found, err) == 0)
        adopt_packs(c, old, &found, pack, err);
    if (old != NULL)
        store_context_done(s, old);
    if (err->code != 0) {
        store_context_done(s, c);
        return err->code;
    }
    out->sent = found.received;
    out->kept = found.kept;
    store_context_add(s, c);
    return 0;
}

/* There already: nothing is asked for. */
static bool known(struct store *s, const struct store_context_put *p, const char *id,
                  struct store_context_result *out) {
    struct store_context *c = store_context_use(s, p->owner, id, 0);

    if (c == NULL)
        return false;
    store_context_done(s, c);
    *out = (struct store_context_result){.sent = 0};
    bh_str_copy(out->id, sizeof out->id, id);
    return true;
}

int store_context_put(struct store *s, const struct store_context_put *p, struct store_context_result *out,
                      struct bh_err *err) {
    BH_SCOPE_CLOSE int raw = -1;
    char id[STORE_CONTEXT_ID_SIZE];

    if (strlen(p->key) > KEY_MAX_BYTES)
        return bh_err_set(err, BH_E_INVALID, "context: its key has more than %d bytes", KEY_MAX_BYTES);
    store_context_sweep(s);
    if (p->id[0] != '\0' && known(s, p, p->id, out))
        return 0;
    if (p->begin(p->arg, err) != 0 || nameless(s, &raw, err) != 0 || take_list(s, p, raw, id, err) != 0)
        return err->code;
    if (known(s, p, id, out))
        return p->want(p->arg, NULL, 0, true, err);
    *out = (struct store_context_result){.sent = 0};
    bh_str_copy(out->id, sizeof out->id, id);
    return make(s, p, raw, id, out, err);
}
