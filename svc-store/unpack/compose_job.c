/*
 * compose_job.c - jobs "compose" and "file": the request opened, its sources found among the descriptors, the result.
 *
 * Room: worker.  The request comes from a build; names in it are a Dockerfile's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "unpack/compose.h"
#include "unpack/layer_make.h"
#include "unpack/limit.h"
#include "unpack/result_pb.h"

#define REQUEST_MAX   ((size_t)16 << 20)
#define COMPOSE_ARENA ((size_t)160 << 20)
#define FILE_MAX      ((uint64_t)4 << 20)

static void *arena_alloc(void *arena, size_t n) {
    return bh_arena_alloc(arena, n);
}
static void arena_free(void *arena, void *p) {
    (void)arena;
    (void)p;
}

static int bad_request(const char *what, struct bh_err *err) {
    return bh_err_set(err, BH_E_INTERNAL, "worker: the request has %s", what);
}

/* ---- the request --------------------------------------------------------------------------- */

static int read_request(struct unp_compose *c, struct bh_err *err) {
    ProtobufCAllocator alloc = {.alloc = arena_alloc, .free = arena_free, .allocator_data = &c->arena};
    struct stat st;
    uint8_t *data;

    if (c->fds->n_more < 1)
        return bad_request("no descriptor", err);
    if (fstat(c->fds->more, &st) != 0)
        return bh_err_errno(err, errno, "request of a worker");
    if (st.st_size <= 0 || (size_t)st.st_size > REQUEST_MAX)
        return bh_err_set(err, BH_E_LIMIT, "the request to copy files has %lld bytes", (long long)st.st_size);
    data = bh_arena_alloc(&c->arena, (size_t)st.st_size);
    if (data == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for a request");
    if (bh_pread_full(c->fds->more, data, (size_t)st.st_size, 0) != st.st_size)
        return bad_request("a part only", err);
    c->job = bulkhead__worker__v1__compose_job__unpack(&alloc, (size_t)st.st_size, data);
    return c->job == NULL ? bad_request("no message", err) : 0;
}

/* Numbers of descriptors are counted from the first of `more`. */
static int check_sources(struct unp_compose *c, struct bh_err *err) {
    size_t packs = 0;

    for (size_t i = 0; i < c->job->n_source; i++) {
        const Bulkhead__Worker__V1__ComposeSource *s = c->job->source[i];

        if (s->fd >= c->fds->n_more)
            return bad_request("a source without descriptor", err);
        for (size_t k = 0; k < s->n_pack; k++)
            if (s->pack[k] >= c->fds->n_more)
                return bad_request("a pack without descriptor", err);
        packs += s->n_pack;
    }
    c->pack_fds = calloc(packs + 1, sizeof *c->pack_fds);
    return c->pack_fds == NULL ? bh_err_set(err, BH_E_LIMIT, "not enough memory for a request") : 0;
}

int unp_compose_open(struct unp_compose *c, const struct unp_fds *fds, const struct bh_job_params *p,
                     struct bh_err *err) {
    const struct unp_tree_limits limits = {.max_entries = p->max_entries,
                                           .max_sparse = p->max_sparse,
                                           .max_depth = p->max_depth,
                                           .max_xattrs = p->max_xattrs,
                                           .max_path = p->max_path};
    size_t items = 0;

    memset(c, 0, sizeof *c);
    c->params = p;
    c->fds = fds;
    c->data.size = sizeof(struct unp_data);
    bh_arena_init(&c->arena, COMPOSE_ARENA);
    if (unp_tree_init(&c->tree, &limits, err) != 0 || read_request(c, err) != 0 || check_sources(c, err) != 0)
        return err->code;
    if (c->job->request != NULL)
        items = c->job->request->n_item;
    c->layers = calloc(c->job->n_source + 1, sizeof *c->layers);
    c->contexts = calloc(c->job->n_source + 1, sizeof *c->contexts);
    c->views = calloc(items + 1, sizeof *c->views);
    if (c->layers == NULL || c->contexts == NULL || c->views == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for a request");
    return 0;
}

void unp_compose_fini(struct unp_compose *c) {
    for (size_t i = 0; c->job != NULL && c->contexts != NULL && i < c->job->n_source; i++) {
        unp_view_fini(&c->contexts[i]);
        unp_layer_close(&c->layers[i]);
    }
    free(c->layers);
    free(c->contexts);
    free(c->views);
    free(c->pack_fds);
    free(c->picks.v);
    free(c->picks.match);
    for (uint32_t i = 0; i < c->data.n_chunks; i++)
        free(c->data.chunks[i]);
    free(c->data.chunks);
    unp_same_fini(&c->linked);
    unp_tree_fini(&c->tree);
    bh_arena_fini(&c->arena);
}

/* ---- sources ------------------------------------------------------------------------------- */

static int find_source(const struct unp_compose *c, const char *name, size_t *out, struct bh_err *err) {
    for (size_t i = 0; i < c->job->n_source; i++)
        if (strcmp(c->job->source[i]->name, name) == 0) {
            *out = i;
            return 0;
        }
    return bad_request("a source that was not given", err);
}

static int open_layer(struct unp_compose *c, const char *diff_id, struct unp_layer **out, struct bh_err *err) {
    size_t i;

    if (find_source(c, diff_id, &i, err) != 0)
        return err->code;
    *out = &c->layers[i];
    if (c->layers[i].map != NULL)
        return 0;
    return unp_layer_open(&c->layers[i], c->fds->more + (int)c->job->source[i]->fd, err);
}

static int open_context(struct unp_compose *c, const char *id, const struct unp_view **out, struct bh_err *err) {
    const Bulkhead__Worker__V1__ComposeSource *s;
    int *packs = c->pack_fds;
    size_t i;

    if (find_source(c, id, &i, err) != 0)
        return err->code;
    for (size_t k = 0; k < i; k++)
        packs += c->job->source[k]->n_pack;
    s = c->job->source[i];
    for (size_t k = 0; k < s->n_pack; k++)
        packs[k] = c->fds->more + (int)s->pack[k];
    *out = &c->contexts[i];
    if (c->contexts[i].records != NULL)
        return 0;
    return unp_view_context(&c->contexts[i], c->fds->more + (int)s->fd, packs, (uint32_t)s->n_pack, &c->arena, err);
}

int unp_compose_view(struct unp_compose *c, const Bulkhead__Store__V1__LayerStack *stack, struct unp_view *v,
                     const struct unp_view **out, struct bh_err *err) {
    struct unp_layer **layers;

    if (stack->context[0] != '\0')
        return open_context(c, stack->context, out, err);
    layers = bh_arena_alloc(&c->arena, (stack->n_diff_id + 1) * sizeof(struct unp_layer *));
    if (layers == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for a request");
    for (size_t i = 0; i < stack->n_diff_id; i++)
        if (open_layer(c, stack->diff_id[i], &layers[i], err) != 0)
            return err->code;
    *out = v;
    return unp_view_layers(v, layers, (uint32_t)stack->n_diff_id, &c->arena, err);
}

/* ---- job "compose" ------------------------------------------------------------------------- */

static int write_layer(struct unp_compose *c, Bulkhead__Worker__V1__ComposeResult *pb, struct unp_made *made,
                       struct bh_err *err) {
    struct unp_tarout tar;
    struct unp_source source = {.pull = unp_tarout_pull, .arg = &tar, .left = UINT64_MAX};
    int rc = unp_tarout_open(&tar, c, err);

    if (rc == 0)
        rc = unp_layer_make(c->fds, c->params, &source, made, err);
    if (rc == 0)
        pb->layer = &made->pb;
    unp_tarout_fini(&tar);
    return rc;
}

static int look_at_place(struct unp_compose *c, char out[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    struct bh_digest digest;

    for (size_t i = 0; i < c->job->request->n_item; i++)
        if (c->job->request->item[i]->unpack)
            return bad_request("an archive to unpack for its place", err);
    if (unp_compose_place(c, err) != 0 || unp_compose_place_digest(c, &digest, err) != 0)
        return err->code;
    bh_digest_format(&digest, out);
    return 0;
}

static int compose(struct unp_compose *c, struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Worker__V1__ComposeResult pb = BULKHEAD__WORKER__V1__COMPOSE_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    unsigned flags = c->params->flags;
    char content[BH_DIGEST_TEXT_SIZE] = "", place[BH_DIGEST_TEXT_SIZE] = "";
    struct bh_digest digest;
    struct unp_made made;

    if (unp_compose_pick(c, err) != 0)
        return err->code;
    if ((flags & BH_JOB_F_NO_DIGEST) == 0) {
        if (unp_compose_digest(c, &digest, err) != 0)
            return err->code;
        bh_digest_format(&digest, content);
    }
    pb.content = content;
    pb.files = c->picks.n;
    if ((flags & BH_JOB_F_ONLY_DIGEST) == 0) {
        if (unp_compose_place(c, err) != 0)
            return err->code;
        pb.files = c->placed;
        pb.empty = c->placed == 0;
        pb.target = c->targets;
        pb.n_target = c->job->request->n_item;
        if (!pb.empty && write_layer(c, &pb, &made, err) != 0)
            return err->code;
    } else if (c->job->request->with_place && look_at_place(c, place, err) != 0) {
        return err->code;
    }
    pb.place = place;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_COMPOSE;
    r.compose = &pb;
    return unp_result_pack(&r, result, err);
}

int unp_job_compose(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                    struct bh_err *err) {
    static struct unp_compose composing;
    struct unp_compose *c = &composing;
    int rc = unp_compose_open(c, fds, p, err);

    if (rc == 0 && c->job->request == NULL)
        rc = bad_request("no items", err);
    if (rc == 0)
        rc = compose(c, result, err);
    unp_compose_fini(c);
    return rc;
}

/* ---- job "file" ---------------------------------------------------------------------------- */

static int no_file(struct unp_text path, const char *what, int code, struct bh_err *err) {
    char shown[UNP_SHOWN];

    bh_err_set(err, code, "\"%s\": %s", unp_shown(path, shown), what);
    return bh_err_reason(err, code == BH_E_NOT_FOUND ? "source-not-found" : "not-a-file");
}

static int find_file(struct unp_compose *c, struct unp_file *out, struct bh_err *err) {
    const Bulkhead__Store__V1__LayerFileRequest *q = c->job->file;
    struct unp_text path = {(char *)q->path.data, q->path.len};
    const struct unp_vnode *node;
    const struct unp_view *view;

    if (q->from == NULL)
        return bad_request("no layers", err);
    if (path.n > 0 && memchr(path.s, 0, path.n) != NULL)
        return no_file(path, "not a name", BH_E_INVALID, err);
    if (unp_compose_view(c, q->from, &c->views[0], &view, err) != 0 || unp_view_find(view, path, true, &node, err) != 0)
        return err->code;
    if (node == NULL)
        return no_file(path, "not found", BH_E_NOT_FOUND, err);
    if (!S_ISREG(node->mode))
        return no_file(path, "not a regular file", BH_E_INVALID, err);
    if (unp_view_file(node, out, err) != 0)
        return err->code;
    if (out->size > FILE_MAX)
        return no_file(path, "larger than 4 MiB", BH_E_LIMIT, err);
    return 0;
}

static int give_file(struct unp_compose *c, struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Worker__V1__FileResult pb = BULKHEAD__WORKER__V1__FILE_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    struct unp_file f;
    uint8_t *data;

    if (find_file(c, &f, err) != 0)
        return err->code;
    data = bh_arena_alloc(&c->arena, (size_t)f.size + 1);
    if (data == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for a file");
    if (f.size > 0 && bh_pread_full(f.fd, data, (size_t)f.size, (off_t)f.at) != (ssize_t)f.size)
        return bh_err_set(err, BH_E_DATA_LOSS, "a file is shorter than it should be");
    pb.data.data = data;
    pb.data.len = (size_t)f.size;
    pb.mode = f.mode;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_FILE;
    r.file = &pb;
    return unp_result_pack(&r, result, err);
}

int unp_job_file(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result, struct bh_err *err) {
    static struct unp_compose composing;
    struct unp_compose *c = &composing;
    int rc = unp_compose_open(c, fds, p, err);

    if (rc == 0 && c->job->file == NULL)
        rc = bad_request("no file", err);
    if (rc == 0)
        rc = give_file(c, result, err);
    unp_compose_fini(c);
    return rc;
}
