/*
 * push.c - see push.h.
 */
#include "push_int.h"

#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "document.h"
#include "oci/manifest.h"
#include "place.h"

const char *store_push_text(struct store_pushing *x, const char *s, struct bh_err *err) {
    return bh_oci_strdup(x->arena, s, strlen(s), err);
}

/* ---- documents ----------------------------------------------------------------------------- */

int store_push_document(struct store_pushing *x, const char *digest, uint64_t size, const void **out,
                        struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    void *data = bh_oci_alloc(x->arena, (size_t)size + 1, err);
    ssize_t n;

    if (data == NULL || store_file_open(&x->s->place, STORE_BLOBS, digest, &fd, err) != 0)
        return err->code;
    n = bh_pread_full(fd, data, (size_t)size, 0);
    if (n < 0 || (uint64_t)n != size)
        return bh_err_set(err, BH_E_DATA_LOSS, "document %.19s is shorter than it was: run `bulkhead system check`",
                          digest);
    *out = data;
    return 0;
}

int store_push_read(struct store_pushing *x, const char *digest, const void *data, size_t n,
                    struct store_document_result *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    char got[STORE_DIGEST_SIZE];
    const struct store_document_in in = {
        .digest = digest, .media = "", .data = data, .n = n, .read_only = true, .cancel_fd = x->p->cancel_fd};

    if (store_document_in(x->s, x->h, &in, &packed, got, err) != 0)
        return err->code;
    return store_result_document(&packed, x->arena, out, err);
}

/* ---- telling it ---------------------------------------------------------------------------- */

static int read_sources(struct store_pushing *x, struct store_db *db, struct store_push_layer *l, struct bh_err *err) {
    const char *slash = strchr(x->p->repository, '/');
    size_t domain = slash != NULL ? (size_t)(slash - x->p->repository) + 1 : 0;
    sqlite3_stmt *st;
    int r;

    l->sources = bh_oci_alloc(x->arena, 8 * sizeof(char *), err);
    if (l->sources == NULL || domain == 0)
        return err->code;
    if (store_query(db, &st, err,
                    "SELECT repo FROM blob_source WHERE owner=? AND digest=? AND repo<>? ORDER BY seen_ns DESC", "itt",
                    (int64_t)x->h->who.owner, l->desc.digest, x->p->repository) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && l->n_sources < 8) {
        if (strncmp(store_text(st, 0), x->p->repository, domain) != 0)
            continue;
        l->sources[l->n_sources] = (char *)store_push_text(x, store_text(st, 0), err);
        if (l->sources[l->n_sources++] == NULL)
            return err->code;
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

static int tell_layers(struct store_pushing *x, const struct store_outgoing *o, struct store_push_manifest *out,
                       struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    out->layers = bh_oci_alloc(x->arena, (o->m.n_layers + 1) * sizeof *out->layers, err);
    if (out->layers == NULL || store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < o->m.n_layers; i++) {
        out->layers[i].desc = o->m.layers[i];
        out->layers[i].diff_id = o->artifact ? "" : o->layers[i].diff_id;
        if (read_sources(x, db, &out->layers[i], err) != 0)
            return err->code;
    }
    out->n_layers = o->m.n_layers;
    return 0;
}

static int tell_image(struct store_pushing *x, const struct store_outgoing *o, struct store_push_manifest *out,
                      struct bh_err *err) {
    out->desc = (struct store_desc){o->m.digest, o->m.size, o->m.media};
    out->config = (struct store_desc){o->m.config, o->m.config_size, o->m.config_media};
    if (store_push_document(x, o->m.digest, o->m.size, &out->data, err) != 0 ||
        store_push_document(x, o->m.config, o->m.config_size, &out->config_data, err) != 0)
        return err->code;
    return tell_layers(x, o, out, err);
}

static int tell_all(struct store_pushing *x, struct bh_err *err) {
    x->out->manifests = bh_oci_alloc(x->arena, (x->n + 1) * sizeof *x->out->manifests, err);
    if (x->out->manifests == NULL)
        return err->code;
    for (size_t i = 0; i < x->n; i++)
        if (tell_image(x, &x->images[i], &x->out->manifests[x->out->n_manifests++], err) != 0)
            return err->code;
    if (x->index[0] == '\0')
        return 0;
    x->out->index =
        (struct store_desc){x->index, x->index_size, x->index_media[0] != '\0' ? x->index_media : BH_MT_OCI_INDEX};
    return store_push_document(x, x->index, x->index_size, &x->out->index_data, err);
}

/* ---- all ----------------------------------------------------------------------------------- */

static int read_codec(const struct store_push *p, enum store_codec *out, struct bh_err *err) {
    *out = strcmp(p->compression, "zstd") == 0 ? STORE_CODEC_ZSTD : STORE_CODEC_GZIP;
    if (p->compression[0] == '\0' || strcmp(p->compression, store_codec_name(*out)) == 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "compression %.40s is not known", p->compression);
    return bh_err_hint(err, "one of gzip, zstd");
}

int store_push_open(struct store *s, struct store_hold *h, const struct store_push *p, struct bh_arena *arena,
                    struct store_push_image *out, struct bh_err *err) {
    struct store_pushing x = {.s = s, .h = h, .p = p, .arena = arena, .out = out, .index = "", .index_media = ""};

    *out = (struct store_push_image){0};
    if (read_codec(p, &x.codec, err) != 0)
        return err->code;
    pthread_mutex_init(&x.lock, NULL);
    if (store_push_choose(&x, err) == 0 && store_push_make(&x, err) == 0)
        tell_all(&x, err);
    pthread_mutex_destroy(&x.lock);
    return err->code;
}
