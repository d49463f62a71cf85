/*
 * save_set.c - see save_set.h.
 *
 * Room: store.  Reads rows only.
 */
#include "save_set.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "layer/layer_format.h"
#include "lease.h"
#include "name.h"
#include "oci/manifest.h"
#include "publish.h"
#include "result.h"

#define IMAGES_MAX 4096

/* ---- what goes in -------------------------------------------------------------------------- */

static int add_piece(struct store_saving *x, const struct store_piece *p, struct bh_err *err) {
    for (size_t i = 0; i < x->n_pieces; i++)
        if (strcmp(x->pieces[i].digest, p->digest) == 0)
            return 0;
    if (x->n_pieces == x->cap_pieces) {
        size_t cap = x->cap_pieces * 2 + 64;
        struct store_piece *v = bh_oci_alloc(&x->arena, cap * sizeof *v, err);

        if (v == NULL)
            return err->code;
        if (x->n_pieces > 0)
            memcpy(v, x->pieces, x->n_pieces * sizeof *v);
        x->pieces = v;
        x->cap_pieces = cap;
    }
    x->pieces[x->n_pieces++] = *p;
    return 0;
}

const char *store_saving_path(struct store_saving *x, const char *digest, struct bh_err *err) {
    char path[BH_LAYOUT_PATH_SIZE];

    snprintf(path, sizeof path, "blobs/sha256/%s", digest + strlen("sha256:"));
    return bh_oci_strdup(&x->arena, path, strlen(path), err);
}

static int add_layer(struct store_saving *x, struct store_saved_image *im, const char *digest, enum store_tree tree,
                     uint64_t size, struct bh_err *err) {
    const struct store_piece p = {
        .digest = digest, .tree = tree, .offset = tree == STORE_LAYERS ? BH_LAYER_TAR_OFFSET : 0, .size = size};
    const char *path = store_saving_path(x, digest, err);

    if (path == NULL || add_piece(x, &p, err) != 0)
        return err->code;
    im->top_layer = digest;
    return bh_strlist_add(&im->layers, &x->arena, path, err);
}

/* Can the manifest go out as it is: is every layer the bare tar, or is its blob here? */
static int layers_at_hand(struct store_db *db, const struct store_manifest *m, const struct store_image_layer *layers,
                          size_t n, bool *out, struct bh_err *err) {
    *out = m->n_layers == n;
    for (size_t i = 0; i < n && *out; i++) {
        if (strcmp(m->layers[i].digest, layers[i].diff_id) == 0)
            continue;
        if (store_blob_of_layer(db, m->layers[i].digest, layers[i].diff_id, out, err) != 0)
            return err->code;
    }
    return 0;
}

static int as_it_came(struct store_saving *x, struct store_saved_image *im, const struct store_manifest *m,
                      const struct store_image_layer *layers, struct bh_err *err) {
    const struct store_piece manifest = {.digest = m->digest, .tree = STORE_BLOBS, .size = m->size};

    for (size_t i = 0; i < m->n_layers; i++) {
        bool bare = strcmp(m->layers[i].digest, layers[i].diff_id) == 0;

        if (add_layer(x, im, m->layers[i].digest, bare ? STORE_LAYERS : STORE_BLOBS, m->layers[i].size, err) != 0)
            return err->code;
    }
    im->manifest = m->digest;
    im->manifest_size = m->size;
    im->manifest_media = m->media;
    return add_piece(x, &manifest, err);
}

static int with_bare_layers(struct store_saving *x, struct store_db *db, struct store_saved_image *im,
                            const struct store_manifest *m, const struct store_image_layer *layers, size_t n,
                            struct bh_err *err) {
    struct bh_image_config config;
    struct store_new_image made = {0};
    uint64_t *sizes = bh_oci_alloc(&x->arena, (n + 1) * sizeof *sizes, err);
    const void *packed;
    size_t n_packed;

    if (sizes == NULL || store_image_reduced(db, im->k, &x->arena, &packed, &n_packed, err) != 0 ||
        store_config_unpack(packed, n_packed, &x->arena, &config, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        sizes[i] = layers[i].tar_size;
        if (add_layer(x, im, layers[i].diff_id, STORE_LAYERS, layers[i].tar_size, err) != 0)
            return err->code;
    }
    if (store_manifest_make(&config, m->config, (size_t)m->config_size, sizes, NULL, &x->arena, &made, err) != 0)
        return err->code;
    im->manifest = made.manifest;
    im->manifest_size = made.n_manifest;
    im->manifest_media = made.manifest_media;
    return add_piece(
        x, &(struct store_piece){.digest = made.manifest, .data = made.manifest_data, .n = made.n_manifest}, err);
}

static int check_image(struct store_saving *x, struct store_db *db, int64_t k, struct bh_err *err) {
    struct store_image im;

    if (store_image_get(db, k, &x->arena, &im, err) != 0)
        return err->code;
    if (im.artifact[0] == '\0')
        return 0;
    bh_err_set(err, BH_E_UNIMPLEMENTED, "%.19s is an artifact of type %s: an archive of images cannot hold it", im.id,
               im.artifact);
    return bh_err_reason(err, "not-an-image");
}

static int describe(struct store_saving *x, struct store_db *db, struct store_saved_image *im, const char *manifest,
                    struct bh_err *err) {
    struct store_image_layer *layers;
    struct store_manifest m;
    size_t n;
    bool at_hand;

    if (check_image(x, db, im->k, err) != 0 || store_image_layers(db, im->k, &x->arena, &layers, &n, err) != 0 ||
        store_manifest_get(db, im->k, manifest, &x->arena, &m, err) != 0 ||
        layers_at_hand(db, &m, layers, n, &at_hand, err) != 0 ||
        add_piece(x, &(struct store_piece){.digest = m.config, .tree = STORE_BLOBS, .size = m.config_size}, err) != 0)
        return err->code;
    im->top_layer = "";
    return at_hand ? as_it_came(x, im, &m, layers, err) : with_bare_layers(x, db, im, &m, layers, n, err);
}

/* ---- which images -------------------------------------------------------------------------- */

static int add_name(struct store_saving *x, struct store_saved_image *im, const struct bh_ref *ref,
                    const struct store_saved_index *index, struct bh_err *err) {
    struct store_saved_name *v;

    for (size_t i = 0; i < im->n_names; i++)
        if (bh_ref_same_name(&im->names[i].ref, ref) && strcmp(im->names[i].ref.tag, ref->tag) == 0)
            return 0;
    v = bh_oci_alloc(&x->arena, (im->n_names + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    if (im->n_names > 0)
        memcpy(v, im->names, im->n_names * sizeof *v);
    v[im->n_names] = (struct store_saved_name){*ref, index};
    v[im->n_names].ref.digest[0] = '\0';
    im->names = v;
    im->n_names++;
    return 0;
}

/* A repository without tag means all its tags, as docker has it. */
static int whole_repository(struct store_saving *x, struct store_db *db, const char *text, bool *out_done,
                            struct bh_err *err);

/* What "" means as the manifest of an image. */
static int own_manifest(struct store_saving *x, struct store_db *db, int64_t k, const char **out, struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err, "SELECT manifest FROM image WHERE k=?", "i", k) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r < 0 ? r : bh_err_set(err, BH_E_NOT_FOUND, "the image has just been removed");
    *out = bh_oci_strdup(&x->arena, store_text(st, 0), strlen(store_text(st, 0)), err);
    sqlite3_reset(st);
    return *out == NULL ? err->code : 0;
}

/* The entry of an image with that manifest; a new one is a part until it is named or asked for. */
static struct store_saved_image *image_for(struct store_saving *x, struct store_db *db, int64_t k, const char *id,
                                           const char *manifest, struct bh_err *err) {
    struct store_saved_image *im;

    if (manifest[0] == '\0' && own_manifest(x, db, k, &manifest, err) != 0)
        return NULL;
    for (size_t i = 0; i < x->n_images; i++)
        if (x->images[i].k == k && strcmp(x->images[i].wanted, manifest) == 0)
            return &x->images[i];
    if (x->n_images >= IMAGES_MAX) {
        bh_err_set(err, BH_E_LIMIT, "more than %d images to save at once", IMAGES_MAX);
        return NULL;
    }
    im = &x->images[x->n_images];
    memset(im, 0, sizeof *im);
    im->k = k;
    im->part = true;
    im->id = bh_oci_strdup(&x->arena, id, strlen(id), err);
    im->wanted = bh_oci_strdup(&x->arena, manifest, strlen(manifest), err);
    if (im->id == NULL || im->wanted == NULL || describe(x, db, im, im->wanted, err) != 0)
        return NULL;
    x->n_images++;
    return im;
}

/* ---- indexes ------------------------------------------------------------------------------- */

struct index_row {
    int64_t k;
    const char *id;
    const char *manifest;
    const char *media;
    int rank; /* of its platform for this host; -1: does not run here */
    bool at_hand;
};

static int index_row(struct store_saving *x, sqlite3_stmt *st, const struct bh_platform *host, struct index_row *row,
                     struct bh_err *err) {
    const char *text[3];
    struct bh_platform have = store_platform(store_text(st, 4), store_text(st, 5), store_text(st, 6));

    for (int i = 0; i < 3; i++) {
        text[i] = bh_oci_strdup(&x->arena, store_text(st, i + 1), strlen(store_text(st, i + 1)), err);
        if (text[i] == NULL)
            return err->code;
    }
    *row = (struct index_row){sqlite3_column_int64(st, 0),   text[0], text[1], text[2],
                              bh_platform_rank(host, &have), false};
    return 0;
}

static int index_rows(struct store_saving *x, struct store_db *db, int64_t k, const char *index, struct index_row **out,
                      size_t *out_n, struct bh_err *err) {
    struct bh_platform host;
    struct index_row *v;
    sqlite3_stmt *st;
    int64_t n;
    int r;

    bh_platform_host(&host);
    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM index_image WHERE idx=?", "t", index) != 0 ||
        store_query(db, &st, err,
                    "SELECT i.k, i.id, x.manifest, x.media, i.os, i.arch, i.variant FROM index_image x JOIN image i"
                    " ON i.k=x.image WHERE x.idx=? AND i.owner=(SELECT owner FROM image WHERE k=?) ORDER BY i.id",
                    "ti", index, k) != 0)
        return err->code;
    v = bh_oci_alloc(&x->arena, ((size_t)n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    *out_n = 0;
    while ((r = store_step(db, st, err)) > 0 && *out_n < (size_t)n)
        if (index_row(x, st, &host, &v[(*out_n)++], err) != 0)
            return err->code;
    *out = v;
    return r < 0 ? r : 0;
}

static int row_at_hand(struct store_saving *x, struct store_db *db, struct index_row *row, struct bh_err *err) {
    struct store_image_layer *layers;
    struct store_manifest m;
    size_t n;

    if (store_image_layers(db, row->k, &x->arena, &layers, &n, err) != 0 ||
        store_manifest_get(db, row->k, row->manifest, &x->arena, &m, err) != 0)
        return err->code;
    return layers_at_hand(db, &m, layers, n, &row->at_hand, err);
}

/* Several images that can go out unchanged, and k is the one that a load will choose: else a name would come back
 * with another image than it had. */
static bool stands_for(const struct index_row *v, size_t n, int64_t k, const struct index_row **out_own) {
    const struct index_row *own = NULL;
    size_t usable = 0;

    for (size_t i = 0; i < n; i++) {
        usable += v[i].at_hand;
        if (v[i].k == k && v[i].at_hand && v[i].rank >= 0)
            own = &v[i];
    }
    for (size_t i = 0; i < n && own != NULL; i++)
        if (&v[i] != own && v[i].at_hand && v[i].rank >= 0 && v[i].rank <= own->rank)
            return false;
    *out_own = own;
    return own != NULL && usable > 1;
}

/* What a build has just made goes out whole: it is the caller who says what its names mean. */
static bool named_by_us(const struct store_saving *x) {
    return x->save->index != NULL && x->save->index[0] != '\0';
}

static bool is_here(const struct index_row *v, size_t n, int64_t k, const struct index_row **out_own) {
    *out_own = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!v[i].at_hand)
            return false;
        if (v[i].k == k)
            *out_own = &v[i];
    }
    return *out_own != NULL;
}

static int add_parts(struct store_saving *x, struct store_db *db, const struct index_row *v, size_t n,
                     struct bh_err *err) {
    for (size_t i = 0; i < n; i++)
        if (v[i].at_hand && image_for(x, db, v[i].k, v[i].id, v[i].manifest, err) == NULL)
            return err->code;
    return 0;
}

static int read_saved_index(struct store_saving *x, struct store_db *db, struct store_saved_index *out,
                            struct bh_err *err) {
    const struct index_row *own;
    struct index_row *v;
    int64_t size = 0;
    bool found = false;
    size_t n;

    if (index_rows(x, db, out->k, out->digest, &v, &n, err) != 0 ||
        store_get_int(db, &size, &found, err, "SELECT size FROM blob WHERE digest=? AND kind=3 AND state=0", "t",
                      out->digest) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (row_at_hand(x, db, &v[i], err) != 0)
            return err->code;
    out->whole = found && (named_by_us(x) ? is_here : stands_for)(v, n, out->k, &own);
    if (!out->whole)
        return 0;
    out->size = (uint64_t)size;
    out->manifest = own->manifest;
    out->media = own->media[0] != '\0' ? own->media : BH_MT_OCI_INDEX;
    if (add_piece(x, &(struct store_piece){.digest = out->digest, .tree = STORE_BLOBS, .size = out->size}, err) != 0)
        return err->code;
    return add_parts(x, db, v, n, err);
}

/* *out NULL: the name is saved as the image alone. */
static int index_for(struct store_saving *x, struct store_db *db, int64_t k, const char *digest,
                     struct store_saved_index **out, struct bh_err *err) {
    struct store_saved_index *index;

    *out = NULL;
    if (digest[0] == '\0' || x->save->platform[0] != '\0' || x->n_indexes >= IMAGES_MAX)
        return 0;
    for (size_t i = 0; i < x->n_indexes; i++)
        if (x->indexes[i].k == k && strcmp(x->indexes[i].digest, digest) == 0) {
            *out = x->indexes[i].whole ? &x->indexes[i] : NULL;
            return 0;
        }
    index = &x->indexes[x->n_indexes];
    index->k = k;
    index->digest = bh_oci_strdup(&x->arena, digest, strlen(digest), err);
    if (index->digest == NULL || read_saved_index(x, db, index, err) != 0)
        return err->code;
    x->n_indexes++;
    *out = index->whole ? index : NULL;
    return 0;
}

/* An image by a name with a tag, and the index that the name was made of. */
static int add_named(struct store_saving *x, struct store_db *db, int64_t k, const char *id, const char *manifest,
                     const char *index_digest, const struct bh_ref *ref, struct bh_err *err) {
    struct store_saved_index *index;
    struct store_saved_image *im;

    if (index_for(x, db, k, index_digest, &index, err) != 0)
        return err->code;
    im = image_for(x, db, k, id, index != NULL ? index->manifest : manifest, err);
    if (im == NULL)
        return err->code;
    im->part = false;
    return add_name(x, im, ref, index, err);
}

/* ---- what was asked for -------------------------------------------------------------------- */

static int check_platform(struct store_saving *x, struct store_db *db, int64_t k, const char *text,
                          struct bh_err *err) {
    struct bh_platform want;
    struct bh_platform have;
    struct store_image im;

    if (x->save->platform[0] == '\0')
        return 0;
    if (bh_platform_parse(x->save->platform, &want, err) != 0 || store_image_get(db, k, &x->arena, &im, err) != 0)
        return err->code;
    have = store_platform(im.os, im.arch, im.variant);
    if (bh_platform_rank(&want, &have) >= 0)
        return 0;
    bh_err_set(err, BH_E_NOT_FOUND, "image %s is for %s/%s, not for %s", text, im.os, im.arch, x->save->platform);
    return bh_err_reason(err, "no-such-platform");
}

static int choose_one(struct store_saving *x, struct store_db *db, const char *text, struct bh_err *err) {
    struct store_found found;
    struct store_saved_image *im;
    bool done = false;

    if (whole_repository(x, db, text, &done, err) != 0 || done)
        return err->code;
    if (store_find(db, &x->save->who, text, &found, err) != 0 || check_platform(x, db, found.k, text, err) != 0)
        return err->code;
    if (found.by_name && found.ref.tag[0] != '\0')
        return add_named(x, db, found.k, found.id, found.manifest, found.index, &found.ref, err);
    im = image_for(x, db, found.k, found.id, found.manifest, err);
    if (im == NULL)
        return err->code;
    im->part = false;
    return 0;
}

struct tag_row {
    int64_t k;
    struct bh_ref ref;
    char id[STORE_DIGEST_SIZE];
    char index[STORE_DIGEST_SIZE];
};

static int repository_rows(struct store_saving *x, struct store_db *db, const char *repo, struct tag_row **out,
                           size_t *out_n, struct bh_err *err) {
    const char *sql = "SELECT n.image, n.repo, n.tag, i.id, n.idx FROM name n JOIN image i ON i.k=n.image"
                      " WHERE n.repo=? AND n.tag<>'' AND n.owner=? ORDER BY n.tag";
    struct tag_row *v;
    sqlite3_stmt *st;
    int64_t n;
    int r;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM name WHERE repo=? AND tag<>'' AND owner=?", "ti", repo,
                      (int64_t)x->save->who.owner) != 0 ||
        store_query(db, &st, err, sql, "ti", repo, (int64_t)x->save->who.owner) != 0)
        return err->code;
    v = bh_oci_alloc(&x->arena, ((size_t)n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    *out_n = 0;
    while ((r = store_step(db, st, err)) > 0 && *out_n < (size_t)n) {
        struct tag_row *row = &v[(*out_n)++];
        const struct store_name name = {store_text(st, 1), store_text(st, 2), ""};

        row->k = sqlite3_column_int64(st, 0);
        store_name_ref(&name, &row->ref);
        bh_str_copy(row->id, sizeof row->id, store_text(st, 3));
        bh_str_copy(row->index, sizeof row->index, store_text(st, 4));
    }
    *out = v;
    return r < 0 ? r : 0;
}

static int whole_repository(struct store_saving *x, struct store_db *db, const char *text, bool *out_done,
                            struct bh_err *err) {
    char repo[BH_REF_TEXT_SIZE];
    char hex[BH_REF_HEX_SIZE];
    enum bh_ref_kind kind;
    struct tag_row *rows;
    struct bh_ref ref;
    size_t n;

    if (bh_ref_parse_any(text, &ref, &kind, hex, err) != 0)
        return err->code;
    if (kind != BH_REF_NAME || ref.tag[0] != '\0' || ref.digest[0] != '\0')
        return 0;
    bh_ref_name(&ref, repo);
    if (repository_rows(x, db, repo, &rows, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (add_named(x, db, rows[i].k, rows[i].id, "", rows[i].index, &rows[i].ref, err) != 0)
            return err->code;
    *out_done = n > 0;
    return 0;
}

/* An image of a build, which may have no name here. */
static int choose_tagged(struct store_saving *x, struct store_db *db, struct bh_err *err) {
    struct store_saved_index *index = NULL;
    struct store_found found;
    struct store_saved_image *im;

    if (store_find_kept(db, &x->save->who, x->save->names[0], &found, err) != 0 ||
        (named_by_us(x) && index_for(x, db, found.k, x->save->index, &index, err) != 0))
        return err->code;
    if (named_by_us(x) && index == NULL)
        return bh_err_set(err, BH_E_NOT_FOUND, "index %.19s is not here with all its images", x->save->index);
    im = image_for(x, db, found.k, found.id, index != NULL ? index->manifest : found.manifest, err);
    if (im == NULL)
        return err->code;
    im->part = false;
    im->index = index;
    for (size_t i = 0; i < x->save->n_tags; i++) {
        struct bh_ref ref;

        if (bh_ref_parse_tagged(x->save->tags[i], &ref, err) != 0 || add_name(x, im, &ref, index, err) != 0)
            return err->code;
    }
    return 0;
}

static int choose(struct store_saving *x, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    x->images = bh_oci_alloc(&x->arena, IMAGES_MAX * sizeof *x->images, err);
    x->indexes = bh_oci_alloc(&x->arena, IMAGES_MAX * sizeof *x->indexes, err);
    if (x->images == NULL || x->indexes == NULL || store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    if (x->save->tags != NULL)
        return choose_tagged(x, db, err);
    for (size_t i = 0; i < x->save->n_names; i++)
        if (choose_one(x, db, x->save->names[i], err) != 0)
            return err->code;
    return 0;
}

static int hold(struct store_saving *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_pieces; i++) {
        const struct store_piece *p = &x->pieces[i];

        if (p->data == NULL &&
            store_lease_add(db, x->lease, p->tree == STORE_LAYERS ? STORE_LEASE_LAYER : STORE_LEASE_BLOB, p->digest,
                            err) != 0)
            return err->code;
    }
    return store_write_commit(&db, err);
}

int store_saving_choose(struct store_saving *x, struct bh_err *err) {
    return choose(x, err) != 0 ? err->code : hold(x, err);
}
