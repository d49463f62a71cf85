/*
 * context.c - see context.h.
 */
#include "context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "place.h"
#include "result.h"
#include "worker.h"

#define KEY_MAX_BYTES 1024
#define LIST_MAX      ((uint64_t)256 << 20)
#define KEPT_NS       (INT64_C(24) * 3600 * BH_NSEC)
#define CONTEXTS_MAX  96u                    /* of all owners */
#define FILES_EACH    (1 + BH_CONTEXT_PACKS) /* its list and its packs */
#define FILES_MAX     ((rlim_t)CONTEXTS_MAX * FILES_EACH)
#define OF_ONE_KEY    4              /* older ones may be in a build */
#define FRESH_NS      (60 * BH_NSEC) /* from the put to the first step */
#define WANT_STEP     16384

/* ---- the table ----------------------------------------------------------------------------- */

/* Half of what this process may have open: calls, layers and clients need the rest. */
static unsigned files_limit(void) {
    struct rlimit l;
    rlim_t half = getrlimit(RLIMIT_NOFILE, &l) == 0 ? l.rlim_cur / 2 : 0;

    return (unsigned)(half < FILES_MAX ? half : FILES_MAX);
}

void store_contexts_init(struct store_contexts *t) {
    pthread_mutex_init(&t->lock, NULL);
    t->first = NULL;
    t->n = 0;
    t->files = 0;
    t->max_files = files_limit();
}

/* Under the lock. */
static void context_free(struct store_contexts *t, struct store_context *c) {
    t->files -= c->files;
    for (unsigned i = 0; i < c->n_packs; i++)
        close(c->pack[i]);
    if (c->list >= 0)
        close(c->list);
    free(c->key);
    free(c);
}

void store_contexts_fini(struct store_contexts *t) {
    struct store_context *c;

    while ((c = t->first) != NULL) {
        t->first = c->next;
        context_free(t, c);
    }
    pthread_mutex_destroy(&t->lock);
}

static struct store_context *new_context(uid_t owner, const char *key, const char *id) {
    struct store_context *c = bh_xcalloc(1, sizeof *c);

    c->owner = owner;
    c->key = bh_xstrdup(key);
    bh_str_copy(c->id, sizeof c->id, id);
    c->list = -1;
    c->created_ns = c->used_ns = bh_now_ns();
    c->refs = 1;
    return c;
}

/* Under the lock; the last one to give it back frees it. */
static void unref(struct store_contexts *t, struct store_context *c) {
    if (--c->refs == 0)
        context_free(t, c);
}

static void take_out(struct store_contexts *t, struct store_context **at) {
    struct store_context *c = *at;

    *at = c->next;
    t->n--;
    unref(t, c);
}

static struct store_context *use_first(struct store_contexts *t, uid_t owner, const char *id, const char *key,
                                       int64_t lease) {
    struct store_context *c;

    pthread_mutex_lock(&t->lock);
    for (c = t->first; c != NULL; c = c->next)
        if (c->owner == owner && (id == NULL || strcmp(c->id, id) == 0) && (key == NULL || strcmp(c->key, key) == 0))
            break;
    if (c != NULL) {
        c->refs++;
        c->uses++;
        c->used_ns = bh_now_ns();
        c->lease = lease != 0 ? lease : c->lease;
    }
    pthread_mutex_unlock(&t->lock);
    return c;
}

struct store_context *store_context_use(struct store *s, uid_t owner, const char *id, int64_t lease) {
    return use_first(&s->contexts, owner, id, NULL, lease);
}

void store_context_done(struct store *s, struct store_context *c) {
    pthread_mutex_lock(&s->contexts.lock);
    unref(&s->contexts, c);
    pthread_mutex_unlock(&s->contexts.lock);
}

/* Under the lock.  Older ones of the same key go when nobody uses them. */
static void drop_older(struct store_contexts *t, const struct store_context *c) {
    unsigned seen = 0;

    for (struct store_context **at = &t->first; *at != NULL;) {
        bool same = (*at)->owner == c->owner && strcmp((*at)->key, c->key) == 0;

        seen += same;
        if (same && seen > OF_ONE_KEY && (*at)->refs == 1)
            take_out(t, at);
        else
            at = &(*at)->next;
    }
}

static struct store_context **least_used(struct store_contexts *t) {
    struct store_context **found = NULL;

    for (struct store_context **at = &t->first; *at != NULL; at = &(*at)->next)
        if ((*at)->refs == 1 && (found == NULL || (*at)->used_ns < (*found)->used_ns))
            found = at;
    return found;
}

/* Before a context opens its files: room for as many as it can have.  Others that nobody uses give way. */
static bool reserve_files(struct store_contexts *t, struct store_context *c) {
    struct store_context **oldest;
    bool ok;

    pthread_mutex_lock(&t->lock);
    while (t->files + FILES_EACH > t->max_files && (oldest = least_used(t)) != NULL)
        take_out(t, oldest);
    ok = t->files + FILES_EACH <= t->max_files;
    if (ok)
        t->files += c->files = FILES_EACH;
    pthread_mutex_unlock(&t->lock);
    return ok;
}

static int too_many_files(const struct store_contexts *t, struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "context: builds that run use all %u files that contexts may have open", t->max_files);
    bh_err_reason(err, "too-many-contexts");
    return bh_err_hint(err, "try again when one of them has ended, or give the engine a higher limit of open files");
}

static void add_context(struct store_contexts *t, struct store_context *c) {
    struct store_context **oldest;

    pthread_mutex_lock(&t->lock);
    t->files -= c->files - (1 + c->n_packs);
    c->files = 1 + c->n_packs;
    while (t->n >= CONTEXTS_MAX && (oldest = least_used(t)) != NULL)
        take_out(t, oldest);
    c->next = t->first;
    t->first = c;
    t->n++;
    drop_older(t, c);
    pthread_mutex_unlock(&t->lock);
}

void store_context_drop(struct store *s, uid_t owner, const char *id) {
    struct store_contexts *t = &s->contexts;

    pthread_mutex_lock(&t->lock);
    for (struct store_context **at = &t->first; *at != NULL;) {
        if ((*at)->owner == owner && strcmp((*at)->id, id) == 0)
            take_out(t, at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&t->lock);
}

void store_context_sweep(struct store *s) {
    struct store_contexts *t = &s->contexts;
    int64_t old = bh_now_ns() - KEPT_NS;

    pthread_mutex_lock(&t->lock);
    for (struct store_context **at = &t->first; *at != NULL;) {
        if ((*at)->refs == 1 && (*at)->used_ns < old)
            take_out(t, at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&t->lock);
}

struct store_context_info *store_context_list(struct store *s, const struct store_who *who, size_t *out_n) {
    struct store_contexts *t = &s->contexts;
    struct store_context_info *v;
    size_t n = 0;

    pthread_mutex_lock(&t->lock);
    v = bh_xcalloc(t->n + 1, sizeof *v);
    for (const struct store_context *c = t->first; c != NULL; c = c->next) {
        if (!who->all && c->owner != who->owner)
            continue;
        v[n] = (struct store_context_info){.owner = c->owner,
                                           .bytes = c->bytes,
                                           .created_ns = c->created_ns,
                                           .used_ns = c->used_ns,
                                           .uses = c->uses,
                                           .lease = c->lease,
                                           .in_use = c->refs > 1 || c->used_ns > bh_now_ns() - FRESH_NS};
        bh_str_copy(v[n].id, sizeof v[n].id, c->id);
        bh_str_copy(v[n++].key, sizeof v->key, c->key);
    }
    pthread_mutex_unlock(&t->lock);
    *out_n = n;
    return v;
}

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
    struct store_context *c = new_context(p->owner, p->key, id);
    struct store_context *old = use_first(&s->contexts, p->owner, NULL, p->key, 0);
    struct store_context_found found;
    BH_SCOPE_CLOSE int pack = -1;

    bool reserved = (old == NULL || old->n_packs + 1 < BH_CONTEXT_PACKS) && reserve_files(&s->contexts, c);

    if (old != NULL && !reserved) { /* without it, then: its contents are asked for once more */
        store_context_done(s, old);
        old = NULL;
    }
    if (!reserved && !reserve_files(&s->contexts, c))
        too_many_files(&s->contexts, err);
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
    add_context(&s->contexts, c);
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
