/*
 * compose_rpc.c - see compose.h.  The one place where the store's messages go to a worker and come back.
 *
 * Room: store.  Names of layers and contexts in the request are checked against what the owner has; everything else
 * in it is the worker's to look at.
 */
#include "compose.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "context.h"
#include "index.h"
#include "layer.h"
#include "lease.h"
#include "place.h"
#include "store.pb-c.h"
#include "worker.h"
#include "worker.pb-c.h"

typedef Bulkhead__Store__V1__LayerComposeRequest compose_msg;
typedef Bulkhead__Store__V1__LayerFileRequest file_msg;
typedef Bulkhead__Store__V1__LayerStack stack_msg;
typedef Bulkhead__Worker__V1__ComposeSource source_msg;
typedef Bulkhead__Worker__V1__ComposeJob job_msg;

#define MEMO_ITEMS  4096u
#define REQUEST_MAX ((size_t)16 << 20)

/* ---- what was found before ----------------------------------------------------------------- */

void store_memo_init(struct store_memo *m) {
    pthread_mutex_init(&m->lock, NULL);
    m->v = NULL;
    m->n = m->next = 0;
}

void store_memo_fini(struct store_memo *m) {
    pthread_mutex_destroy(&m->lock);
    free(m->v);
    m->v = NULL;
}

static bool memo_get(struct store_memo *m, const unsigned char key[32], struct store_composed *out) {
    bool found = false;

    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n && !found; i++)
        if (memcmp(m->v[i].key, key, 32) == 0) {
            memcpy(out->content, m->v[i].content, sizeof out->content);
            memcpy(out->place, m->v[i].place, sizeof out->place);
            out->files = m->v[i].files;
            found = true;
        }
    pthread_mutex_unlock(&m->lock);
    return found;
}

static void memo_put(struct store_memo *m, const unsigned char key[32], const struct store_composed *c) {
    pthread_mutex_lock(&m->lock);
    if (m->v == NULL)
        m->v = bh_xcalloc(MEMO_ITEMS, sizeof *m->v);
    struct store_memo_item *i = &m->v[m->next];

    memcpy(i->key, key, 32);
    memcpy(i->content, c->content, sizeof i->content);
    memcpy(i->place, c->place, sizeof i->place);
    i->files = c->files;
    m->next = (m->next + 1) % MEMO_ITEMS;
    m->n += m->n < MEMO_ITEMS;
    pthread_mutex_unlock(&m->lock);
}

/* The request without what the digests do not depend on; place: not the content's alone. */
static int memo_key(const compose_msg *q, bool place, unsigned char key[32], struct bh_err *err) {
    compose_msg m = *q;
    struct bh_digest d;
    BH_SCOPE_FREE uint8_t *packed = NULL;
    size_t n;

    m.hold = 0;
    m.only_digest = false;
    m.with_place = place;
    if (!place)
        m.onto = NULL;
    n = bulkhead__store__v1__layer_compose_request__get_packed_size(&m);
    packed = malloc(n + 1);
    if (packed == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory for a request of %zu bytes", n);
    bulkhead__store__v1__layer_compose_request__pack(&m, packed);
    if (bh_digest_of(BH_DIGEST_SHA256, packed, n, &d, err) != 0)
        return err->code;
    memcpy(key, d.bytes, 32);
    return 0;
}

/* ---- rights -------------------------------------------------------------------------------- */

static int no_layer(const char *diff_id, struct bh_err *err) {
    bh_err_set(err, BH_E_NOT_FOUND, "layer %.80s is not here", diff_id);
    return bh_err_reason(err, "no-such-layer");
}

static int claim_one(struct store_db *db, const struct store_who *who, int64_t lease, const char *diff_id,
                     struct bh_err *err) {
    bool found;
    int64_t k;

    if (store_get_int(db, &k, &found, err,
                      "SELECT k FROM layer WHERE diff_id=?1 AND state=0 AND (?2 OR owner=?3"
                      " OR EXISTS(SELECT 1 FROM lease_item WHERE lease=?4 AND kind=1 AND digest=?1)"
                      " OR EXISTS(SELECT 1 FROM image_layer il JOIN image i ON i.k=il.image WHERE il.layer=layer.k AND"
                      " i.owner=?3)"
                      " OR EXISTS(SELECT 1 FROM cache_layer cl JOIN cache c ON c.k=cl.cache WHERE cl.layer=layer.k AND"
                      " c.owner=?3))",
                      "tiii", diff_id, (int64_t)who->all, (int64_t)who->owner, lease) != 0)
        return err->code;
    return found ? store_lease_add(db, lease, STORE_LEASE_LAYER, diff_id, err) : no_layer(diff_id, err);
}

int store_layers_claim(struct store *s, const struct store_who *who, int64_t lease, char *const *diff_ids, size_t n,
                       struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (n == 0)
        return 0;
    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (claim_one(db, who, lease, diff_ids[i], err) != 0)
            return err->code;
    return store_write_commit(&db, err);
}

/* ---- sources ------------------------------------------------------------------------------- */

#define MORE_MAX (BH_JOB_FDS_MAX - BH_JOB_FDS)

struct sources {
    struct store *s;
    const struct store_for *f;
    struct bh_arena arena;
    char *layer[MORE_MAX]; /* named in the request, each once */
    size_t n_layers;
    struct store_context *context[8];
    size_t n_contexts;
    int fd[MORE_MAX]; /* as the worker gets them; the first is the request */
    bool mine[MORE_MAX];
    unsigned n_fds;
    source_msg **msg;
    size_t n_msg;
};

static int too_many(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "more than %d layers in one step", MORE_MAX - 1);
    return bh_err_hint(err, "an image of so many layers can be made one with `bulkhead build --squash`");
}

static int note_layer(struct sources *x, char *diff_id, struct bh_err *err) {
    struct bh_digest d;

    for (size_t i = 0; i < x->n_layers; i++)
        if (strcmp(x->layer[i], diff_id) == 0)
            return 0;
    if (bh_digest_parse(diff_id, &d, err) != 0)
        return err->code;
    if (d.alg != BH_DIGEST_SHA256)
        return no_layer(diff_id, err);
    if (x->n_layers == MORE_MAX)
        return too_many(err);
    x->layer[x->n_layers++] = diff_id;
    return 0;
}

static int note_context(struct sources *x, const char *id, struct bh_err *err) {
    for (size_t i = 0; i < x->n_contexts; i++)
        if (strcmp(x->context[i]->id, id) == 0)
            return 0;
    if (x->n_contexts == BH_ARRAY_LEN(x->context))
        return bh_err_set(err, BH_E_LIMIT, "more than %zu contexts in one step", BH_ARRAY_LEN(x->context));
    x->context[x->n_contexts] = store_context_use(x->s, x->f->who.owner, id, x->f->lease);
    if (x->context[x->n_contexts] == NULL) {
        bh_err_set(err, BH_E_NOT_FOUND, "the build context is not here any more");
        bh_err_reason(err, "no-such-context");
        return bh_err_hint(err, "build again: it will be sent once more");
    }
    x->n_contexts++;
    return 0;
}

static int note_stack(struct sources *x, const stack_msg *stack, struct bh_err *err) {
    if (stack == NULL)
        return 0;
    if (stack->context[0] != '\0')
        return note_context(x, stack->context, err);
    for (size_t i = 0; i < stack->n_diff_id; i++)
        if (note_layer(x, stack->diff_id[i], err) != 0)
            return err->code;
    return 0;
}

static int add_fd(struct sources *x, int fd, bool mine, struct bh_err *err) {
    if (x->n_fds == MORE_MAX) {
        if (mine)
            close(fd);
        return too_many(err);
    }
    x->fd[x->n_fds] = fd;
    x->mine[x->n_fds++] = mine;
    return 0;
}

static source_msg *add_source(struct sources *x, const char *name, struct bh_err *err) {
    source_msg *m = bh_oci_alloc(&x->arena, sizeof *m, err);

    if (m == NULL)
        return NULL;
    *m = (source_msg)BULKHEAD__WORKER__V1__COMPOSE_SOURCE__INIT;
    m->name = (char *)name;
    m->fd = x->n_fds;
    x->msg[x->n_msg++] = m;
    return m;
}

static int open_layers(struct sources *x, struct bh_err *err) {
    for (size_t i = 0; i < x->n_layers; i++) {
        int fd;

        if (add_source(x, x->layer[i], err) == NULL ||
            store_file_open(&x->s->place, STORE_LAYERS, x->layer[i], &fd, err) != 0 || add_fd(x, fd, true, err) != 0)
            return err->code;
    }
    return 0;
}

static int open_contexts(struct sources *x, struct bh_err *err) {
    for (size_t i = 0; i < x->n_contexts; i++) {
        const struct store_context *c = x->context[i];
        source_msg *m = add_source(x, c->id, err);

        if (m == NULL || add_fd(x, c->list, false, err) != 0)
            return err->code;
        m->pack = bh_oci_alloc(&x->arena, (c->n_packs + 1) * sizeof *m->pack, err);
        if (m->pack == NULL)
            return err->code;
        for (unsigned k = 0; k < c->n_packs; k++) {
            m->pack[m->n_pack++] = x->n_fds;
            if (add_fd(x, c->pack[k], false, err) != 0)
                return err->code;
        }
    }
    return 0;
}

static void sources_init(struct sources *x, struct store *s, const struct store_for *f) {
    memset(x, 0, sizeof *x);
    x->s = s;
    x->f = f;
    bh_arena_init(&x->arena, (size_t)4 << 20);
}

static void sources_fini(struct sources *x) {
    for (unsigned i = 0; i < x->n_fds; i++)
        if (x->mine[i])
            close(x->fd[i]);
    for (size_t i = 0; i < x->n_contexts; i++)
        store_context_done(x->s, x->context[i]);
    bh_arena_fini(&x->arena);
}

static int pack_job(job_msg *job, int *out, struct bh_err *err) {
    size_t n = bulkhead__worker__v1__compose_job__get_packed_size(job);
    BH_SCOPE_FREE uint8_t *data = NULL;

    if (n > REQUEST_MAX || (data = malloc(n + 1)) == NULL)
        return bh_err_set(err, BH_E_LIMIT, "a request of %zu bytes to copy files", n);
    bulkhead__worker__v1__compose_job__pack(job, data);
    *out = memfd_create("compose", MFD_CLOEXEC);
    if (*out < 0)
        return bh_err_errno(err, errno, "make a memory file for a worker");
    if (bh_pwrite_all(*out, data, n, 0) != 0) {
        bh_err_errno(err, errno, "write the request of a worker");
        close(*out);
        *out = -1;
    }
    return err->code;
}

/* All that was noted is the owner's: opened, and told in the job, which becomes the first descriptor. */
static int open_all(struct sources *x, job_msg *job, struct bh_err *err) {
    int fd;

    x->msg = bh_oci_alloc(&x->arena, (x->n_layers + x->n_contexts + 1) * sizeof(source_msg *), err);
    if (x->msg == NULL || store_layers_claim(x->s, &x->f->who, x->f->lease, x->layer, x->n_layers, err) != 0)
        return err->code;
    x->n_fds = 1; /* the request's place */
    x->fd[0] = -1;
    if (open_layers(x, err) != 0 || open_contexts(x, err) != 0)
        return err->code;
    job->n_source = x->n_msg;
    job->source = x->msg;
    if (pack_job(job, &fd, err) != 0)
        return err->code;
    x->fd[0] = fd;
    x->mine[0] = true;
    return 0;
}

/* ---- results ------------------------------------------------------------------------------- */

static int run(struct sources *x, const char *name, unsigned flags, int out, int scratch, struct bh_buf *packed,
               struct bh_err *err) {
    const struct store_job job = {
        .name = name,
        .what = "copy of files",
        .source = -1,
        .out = out,
        .blob = scratch,
        .flags = flags,
        .size = BH_JOB_TO_END,
        .cancel_fd = x->f->cancel_fd,
        .more = x->fd,
        .n_more = x->n_fds,
    };

    return store_worker_run(x->s, &job, packed, err);
}

static int compose_into(struct sources *x, const compose_msg *q, unsigned flags, struct store_temp *layer,
                        struct store_temp *scratch, struct store_composed *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    struct store_composed found = {.files = 0};
    bool made;

    if (run(x, BH_JOB_COMPOSE, flags, layer->fd, scratch->fd, &packed, err) != 0)
        return err->code;
    if (store_result_composed(&packed, &found, &made, err) != 0)
        return store_worker_full(&x->s->place, "copy of files", UINT64_MAX, err);
    if ((flags & BH_JOB_F_NO_DIGEST) == 0)
        memcpy(out->content, found.content, sizeof out->content);
    memcpy(out->place, found.place, sizeof out->place);
    out->files = found.files;
    out->empty = found.empty;
    out->layer = found.layer;
    out->targets = found.targets;
    out->n_targets = found.n_targets;
    if (q->only_digest || found.empty)
        return 0;
    if (!made)
        return bh_err_set(err, BH_E_INTERNAL, "copy of files: the worker made no layer");
    return store_layer_keep(x->s, x->f->who.owner, x->f->lease, layer, &out->layer, "copy of files", err);
}

static int compose(struct sources *x, const compose_msg *q, unsigned flags, struct store_composed *out,
                   struct bh_err *err) {
    struct store_temp layer = STORE_TEMP_INIT;
    struct store_temp scratch = STORE_TEMP_INIT;
    bool make = !q->only_digest;

    if ((!make || store_temp_open(&x->s->place, &layer, err) == 0) &&
        (!make || store_temp_open(&x->s->place, &scratch, err) == 0))
        compose_into(x, q, flags, &layer, &scratch, out, err);
    store_temp_drop(&x->s->place, &layer);
    store_temp_drop(&x->s->place, &scratch);
    return err->code;
}

static bool looks_onto(const compose_msg *q) {
    return !q->only_digest || q->with_place;
}

static int note_items(struct sources *x, const compose_msg *q, struct bh_err *err) {
    for (size_t i = 0; i < q->n_item; i++)
        if (note_stack(x, q->item[i]->from, err) != 0)
            return err->code;
    return looks_onto(q) ? note_stack(x, q->onto, err) : 0;
}

/* The layer is the next that is asked for; its content need not be read twice. */
static int memo_content(struct sources *x, const compose_msg *q, const struct store_composed *c, struct bh_err *err) {
    struct store_composed content = *c;
    unsigned char key[32];

    if (memo_key(q, false, key, err) != 0)
        return err->code;
    content.place[0] = '\0';
    memo_put(&x->s->memo, key, &content);
    return 0;
}

/* What a request of this digest gave before is given again, once it is known that the owner may have it. */
static int compose_known(struct sources *x, const compose_msg *q, struct store_composed *out, struct bh_err *err) {
    job_msg job = BULKHEAD__WORKER__V1__COMPOSE_JOB__INIT;
    bool place = q->only_digest && q->with_place;
    unsigned char key[32];
    compose_msg request = *q;
    unsigned flags = q->only_digest ? BH_JOB_F_ONLY_DIGEST : 0;

    if (note_items(x, q, err) != 0 || memo_key(q, place, key, err) != 0)
        return err->code;
    if (memo_get(&x->s->memo, key, out)) {
        if (q->only_digest)
            return store_layers_claim(x->s, &x->f->who, x->f->lease, x->layer, x->n_layers, err);
        flags |= BH_JOB_F_NO_DIGEST;
    }
    if (!looks_onto(q))
        request.onto = NULL;
    job.request = &request;
    if (open_all(x, &job, err) != 0 || compose(x, q, flags, out, err) != 0)
        return err->code;
    if ((flags & BH_JOB_F_NO_DIGEST) != 0)
        return 0;
    memo_put(&x->s->memo, key, out);
    return place ? memo_content(x, q, out, err) : 0;
}

int store_compose(struct store *s, const struct store_for *f, const compose_msg *q, struct store_composed *out,
                  struct bh_err *err) {
    struct sources x;

    *out = (struct store_composed){.files = 0};
    sources_init(&x, s, f);
    compose_known(&x, q, out, err);
    sources_fini(&x);
    return err->code;
}

static int file_of(struct sources *x, const file_msg *q, struct bh_arena *arena, const void **out, size_t *out_n,
                   uint32_t *out_mode, struct bh_err *err) {
    job_msg job = BULKHEAD__WORKER__V1__COMPOSE_JOB__INIT;
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;

    if (q->from == NULL)
        return bh_err_set(err, BH_E_INVALID, "no layers to read the file from");
    job.file = (file_msg *)q;
    if (note_stack(x, q->from, err) != 0 || open_all(x, &job, err) != 0 ||
        run(x, BH_JOB_FILE, 0, -1, -1, &packed, err) != 0)
        return err->code;
    return store_result_file(&packed, arena, out, out_n, out_mode, err);
}

int store_layer_file(struct store *s, const struct store_for *f, const file_msg *q, struct bh_arena *arena,
                     const void **out, size_t *out_n, uint32_t *out_mode, struct bh_err *err) {
    struct sources x;

    sources_init(&x, s, f);
    file_of(&x, q, arena, out, out_n, out_mode, err);
    sources_fini(&x);
    return err->code;
}
