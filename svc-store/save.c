/*
 * save.c - see save.h.
 *
 * Room: store.  Reads rows and its own files only.  A lease holds everything until the last byte is out.
 */
#include "save.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "layer/layer_format.h"
#include "lease.h"
#include "name.h"
#include "oci/manifest.h"
#include "place.h"
#include "publish.h"
#include "result.h"

#define SAVE_ARENA ((size_t)64 << 20)
#define IMAGES_MAX 4096

/* A blob of the archive: bytes in memory, or a stretch of a file. */
struct piece {
    const char *digest;
    const void *data; /* NULL: a file */
    size_t n;
    enum store_tree tree;
    uint64_t offset;
    uint64_t size;
};

/* An index that goes out as it came, with all of its images that are here. */
struct saved_index {
    int64_t k; /* the image that runs here */
    const char *digest;
    const char *manifest; /* of that image, as the index names it */
    const char *media;
    uint64_t size;
    bool whole; /* its images can go out as they came */
};

struct saved_name {
    struct bh_ref ref;               /* with a tag */
    const struct saved_index *index; /* NULL: the name means the image alone */
};

struct saved_image {
    int64_t k;
    const char *wanted; /* digest of its manifest as asked for */
    bool part;          /* of an index: for another platform, without a name */
    const char *id;
    const char *manifest; /* digest as it goes out */
    uint64_t manifest_size;
    const char *manifest_media;
    struct bh_strlist layers; /* "blobs/sha256/.." */
    const char *top_layer;    /* digest, "" if none */
    struct saved_name *names;
    size_t n_names;
};

struct saving {
    struct store *s;
    const struct store_save *save;
    struct bh_arena arena;
    int64_t lease;
    struct saved_image *images;
    size_t n_images;
    struct saved_index *indexes;
    size_t n_indexes;
    struct piece *pieces;
    size_t n_pieces;
    size_t cap_pieces;
};

/* ---- what goes in -------------------------------------------------------------------------- */

static int add_piece(struct saving *x, const struct piece *p, struct bh_err *err) {
    for (size_t i = 0; i < x->n_pieces; i++)
        if (strcmp(x->pieces[i].digest, p->digest) == 0)
            return 0;
    if (x->n_pieces == x->cap_pieces) {
        size_t cap = x->cap_pieces * 2 + 64;
        struct piece *v = bh_oci_alloc(&x->arena, cap * sizeof *v, err);

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

static const char *blob_path(struct saving *x, const char *digest, struct bh_err *err) {
    char path[BH_LAYOUT_PATH_SIZE];

    snprintf(path, sizeof path, "blobs/sha256/%s", digest + strlen("sha256:"));
    return bh_oci_strdup(&x->arena, path, strlen(path), err);
}

static int add_layer(struct saving *x, struct saved_image *im, const char *digest, enum store_tree tree, uint64_t size,
                     struct bh_err *err) {
    const struct piece p = {
        .digest = digest, .tree = tree, .offset = tree == STORE_LAYERS ? BH_LAYER_TAR_OFFSET : 0, .size = size};
    const char *path = blob_path(x, digest, err);

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

static int as_it_came(struct saving *x, struct saved_image *im, const struct store_manifest *m,
                      const struct store_image_layer *layers, struct bh_err *err) {
    const struct piece manifest = {.digest = m->digest, .tree = STORE_BLOBS, .size = m->size};

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

static int with_bare_layers(struct saving *x, struct store_db *db, struct saved_image *im,
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
    return add_piece(x, &(struct piece){.digest = made.manifest, .data = made.manifest_data, .n = made.n_manifest},
                     err);
}

static int check_image(struct saving *x, struct store_db *db, int64_t k, struct bh_err *err) {
    struct store_image im;

    if (store_image_get(db, k, &x->arena, &im, err) != 0)
        return err->code;
    if (im.artifact[0] == '\0')
        return 0;
    bh_err_set(err, BH_E_UNIMPLEMENTED, "%.19s is an artifact of type %s: an archive of images cannot hold it", im.id,
               im.artifact);
    return bh_err_reason(err, "not-an-image");
}

static int describe(struct saving *x, struct store_db *db, struct saved_image *im, const char *manifest,
                    struct bh_err *err) {
    struct store_image_layer *layers;
    struct store_manifest m;
    size_t n;
    bool at_hand;

    if (check_image(x, db, im->k, err) != 0 || store_image_layers(db, im->k, &x->arena, &layers, &n, err) != 0 ||
        store_manifest_get(db, im->k, manifest, &x->arena, &m, err) != 0 ||
        layers_at_hand(db, &m, layers, n, &at_hand, err) != 0 ||
        add_piece(x, &(struct piece){.digest = m.config, .tree = STORE_BLOBS, .size = m.config_size}, err) != 0)
        return err->code;
    im->top_layer = "";
    return at_hand ? as_it_came(x, im, &m, layers, err) : with_bare_layers(x, db, im, &m, layers, n, err);
}

/* ---- which images -------------------------------------------------------------------------- */

static int add_name(struct saving *x, struct saved_image *im, const struct bh_ref *ref, const struct saved_index *index,
                    struct bh_err *err) {
    struct saved_name *v;

    for (size_t i = 0; i < im->n_names; i++)
        if (bh_ref_same_name(&im->names[i].ref, ref) && strcmp(im->names[i].ref.tag, ref->tag) == 0)
            return 0;
    v = bh_oci_alloc(&x->arena, (im->n_names + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    if (im->n_names > 0)
        memcpy(v, im->names, im->n_names * sizeof *v);
    v[im->n_names] = (struct saved_name){*ref, index};
    v[im->n_names].ref.digest[0] = '\0';
    im->names = v;
    im->n_names++;
    return 0;
}

/* A repository without tag means all its tags, as docker has it. */
static int whole_repository(struct saving *x, struct store_db *db, const char *text, bool *out_done,
                            struct bh_err *err);

/* What "" means as the manifest of an image. */
static int own_manifest(struct saving *x, struct store_db *db, int64_t k, const char **out, struct bh_err *err) {
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
static struct saved_image *image_for(struct saving *x, struct store_db *db, int64_t k, const char *id,
                                     const char *manifest, struct bh_err *err) {
    struct saved_image *im;

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

static int index_row(struct saving *x, sqlite3_stmt *st, const struct bh_platform *host, struct index_row *row,
                     struct bh_err *err) {
    const char *text[3];
    struct bh_platform have;

    for (int i = 0; i < 3; i++) {
        text[i] = bh_oci_strdup(&x->arena, store_text(st, i + 1), strlen(store_text(st, i + 1)), err);
        if (text[i] == NULL)
            return err->code;
    }
    memset(&have, 0, sizeof have);
    bh_str_copy(have.os, sizeof have.os, store_text(st, 4));
    bh_str_copy(have.arch, sizeof have.arch, store_text(st, 5));
    bh_str_copy(have.variant, sizeof have.variant, store_text(st, 6));
    *row = (struct index_row){sqlite3_column_int64(st, 0),   text[0], text[1], text[2],
                              bh_platform_rank(host, &have), false};
    return 0;
}

static int index_rows(struct saving *x, struct store_db *db, int64_t k, const char *index, struct index_row **out,
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

static int row_at_hand(struct saving *x, struct store_db *db, struct index_row *row, struct bh_err *err) {
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

static int add_parts(struct saving *x, struct store_db *db, const struct index_row *v, size_t n, struct bh_err *err) {
    for (size_t i = 0; i < n; i++)
        if (v[i].at_hand && image_for(x, db, v[i].k, v[i].id, v[i].manifest, err) == NULL)
            return err->code;
    return 0;
}

static int read_saved_index(struct saving *x, struct store_db *db, struct saved_index *out, struct bh_err *err) {
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
    out->whole = found && stands_for(v, n, out->k, &own);
    if (!out->whole)
        return 0;
    out->size = (uint64_t)size;
    out->manifest = own->manifest;
    out->media = own->media[0] != '\0' ? own->media : BH_MT_OCI_INDEX;
    if (add_piece(x, &(struct piece){.digest = out->digest, .tree = STORE_BLOBS, .size = out->size}, err) != 0)
        return err->code;
    return add_parts(x, db, v, n, err);
}

/* *out NULL: the name is saved as the image alone. */
static int index_for(struct saving *x, struct store_db *db, int64_t k, const char *digest, struct saved_index **out,
                     struct bh_err *err) {
    struct saved_index *index;

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
static int add_named(struct saving *x, struct store_db *db, int64_t k, const char *id, const char *manifest,
                     const char *index_digest, const struct bh_ref *ref, struct bh_err *err) {
    struct saved_index *index;
    struct saved_image *im;

    if (index_for(x, db, k, index_digest, &index, err) != 0)
        return err->code;
    im = image_for(x, db, k, id, index != NULL ? index->manifest : manifest, err);
    if (im == NULL)
        return err->code;
    im->part = false;
    return add_name(x, im, ref, index, err);
}

/* ---- what was asked for -------------------------------------------------------------------- */

static int check_platform(struct saving *x, struct store_db *db, int64_t k, const char *text, struct bh_err *err) {
    struct bh_platform want;
    struct bh_platform have;
    struct store_image im;

    if (x->save->platform[0] == '\0')
        return 0;
    if (bh_platform_parse(x->save->platform, &want, err) != 0 || store_image_get(db, k, &x->arena, &im, err) != 0)
        return err->code;
    memset(&have, 0, sizeof have);
    snprintf(have.os, sizeof have.os, "%s", im.os);
    snprintf(have.arch, sizeof have.arch, "%s", im.arch);
    snprintf(have.variant, sizeof have.variant, "%s", im.variant);
    if (bh_platform_rank(&want, &have) >= 0)
        return 0;
    bh_err_set(err, BH_E_NOT_FOUND, "image %s is for %s/%s, not for %s", text, im.os, im.arch, x->save->platform);
    return bh_err_reason(err, "no-such-platform");
}

static int choose_one(struct saving *x, struct store_db *db, const char *text, struct bh_err *err) {
    struct store_found found;
    struct saved_image *im;
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

static int repository_rows(struct saving *x, struct store_db *db, const char *repo, struct tag_row **out, size_t *out_n,
                           struct bh_err *err) {
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

static int whole_repository(struct saving *x, struct store_db *db, const char *text, bool *out_done,
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
static int choose_tagged(struct saving *x, struct store_db *db, struct bh_err *err) {
    struct store_found found;
    struct saved_image *im;

    if (store_find_kept(db, &x->save->who, x->save->names[0], &found, err) != 0)
        return err->code;
    im = image_for(x, db, found.k, found.id, found.manifest, err);
    if (im == NULL)
        return err->code;
    im->part = false;
    for (size_t i = 0; i < x->save->n_tags; i++) {
        struct bh_ref ref;

        if (bh_ref_parse_tagged(x->save->tags[i], &ref, err) != 0 || add_name(x, im, &ref, NULL, err) != 0)
            return err->code;
    }
    return 0;
}

static int choose(struct saving *x, struct bh_err *err) {
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

static int hold(struct saving *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_pieces; i++) {
        const struct piece *p = &x->pieces[i];

        if (p->data == NULL &&
            store_lease_add(db, x->lease, p->tree == STORE_LAYERS ? STORE_LEASE_LAYER : STORE_LEASE_BLOB, p->digest,
                            err) != 0)
            return err->code;
    }
    return store_write_commit(&db, err);
}

/* ---- documents ----------------------------------------------------------------------------- */

static int index_entry(struct saving *x, const struct saved_image *im, const struct saved_name *name, struct bh_desc *d,
                       struct bh_err *err) {
    const struct saved_index *index = name != NULL ? name->index : NULL;
    char full[BH_REF_TEXT_SIZE];

    *d = (struct bh_desc){
        .media_type = im->manifest_media, .digest_text = im->manifest, .size = im->manifest_size, .artifact_type = ""};
    if (index != NULL)
        *d = (struct bh_desc){
            .media_type = index->media, .digest_text = index->digest, .size = index->size, .artifact_type = ""};
    if (bh_digest_parse(d->digest_text, &d->digest, err) != 0 || name == NULL)
        return err->code;
    bh_ref_format(&name->ref, full);
    if (bh_pairs_set(&d->annotations, &x->arena, BH_ANNOTATION_IMAGE_NAME, full, err) != 0)
        return err->code;
    return bh_pairs_set(&d->annotations, &x->arena, BH_ANNOTATION_REF_NAME, name->ref.tag, err);
}

static int write_index(struct saving *x, struct bh_buf *out, struct bh_err *err) {
    struct bh_index index = {.media_type = BH_MT_OCI_INDEX, .artifact_type = ""};
    size_t n = 0;

    for (size_t i = 0; i < x->n_images; i++)
        n += x->images[i].n_names > 0 ? x->images[i].n_names : 1;
    index.entries = bh_oci_alloc(&x->arena, (n + 1) * sizeof *index.entries, err);
    if (index.entries == NULL)
        return err->code;
    for (size_t i = 0; i < x->n_images; i++) {
        const struct saved_image *im = &x->images[i];

        if (im->n_names == 0 && !im->part && index_entry(x, im, NULL, &index.entries[index.n_entries++], err) != 0)
            return err->code;
        for (size_t j = 0; j < im->n_names; j++)
            if (index_entry(x, im, &im->names[j], &index.entries[index.n_entries++], err) != 0)
                return err->code;
    }
    bh_index_write(&index, out);
    return 0;
}

static int write_archive(struct saving *x, struct bh_buf *out, struct bh_err *err) {
    struct bh_archive archive = {0};

    archive.images = bh_oci_alloc(&x->arena, (x->n_images + 1) * sizeof *archive.images, err);
    if (archive.images == NULL)
        return err->code;
    for (size_t i = 0; i < x->n_images; i++) {
        const struct saved_image *im = &x->images[i];
        struct bh_archive_image *a = &archive.images[archive.n_images];

        if (im->part)
            continue;
        archive.n_images++;
        a->config = blob_path(x, im->id, err);
        a->layers = im->layers;
        a->layers.present = true;
        if (a->config == NULL)
            return err->code;
        for (size_t j = 0; j < im->n_names; j++) {
            char text[BH_REF_TEXT_SIZE];

            bh_ref_familiar(&im->names[j].ref, text);
            if (bh_strlist_add(&a->repo_tags, &x->arena, text, err) != 0)
                return err->code;
        }
    }
    bh_archive_write(&archive, out);
    return 0;
}

static int row_cmp(const void *a, const void *b) {
    const struct bh_repository_row *x = a;
    const struct bh_repository_row *y = b;
    int r = strcmp(x->name, y->name);

    return r != 0 ? r : strcmp(x->tag, y->tag);
}

static int write_repositories(struct saving *x, struct bh_buf *out, struct bh_err *err) {
    struct bh_repository_row *rows;
    size_t max = 0;
    size_t n = 0;

    for (size_t i = 0; i < x->n_images; i++)
        max += x->images[i].n_names;
    rows = bh_oci_alloc(&x->arena, (max + 1) * sizeof *rows, err);
    if (rows == NULL)
        return err->code;
    for (size_t i = 0; i < x->n_images; i++) {
        const struct saved_image *im = &x->images[i];

        for (size_t j = 0; j < im->n_names && im->top_layer[0] != '\0'; j++) {
            char name[BH_REF_TEXT_SIZE];

            bh_ref_familiar_name(&im->names[j].ref, name);
            rows[n].name = bh_oci_strdup(&x->arena, name, strlen(name), err);
            rows[n].tag = im->names[j].ref.tag;
            rows[n].id = im->top_layer + strlen("sha256:");
            if (rows[n++].name == NULL)
                return err->code;
        }
    }
    qsort(rows, n, sizeof *rows, row_cmp);
    if (n > 0)
        bh_repositories_write(rows, n, out);
    return 0;
}

typedef int writer_fn(struct saving *x, struct bh_buf *out, struct bh_err *err);

static int layout_document(struct saving *x, struct bh_buf *out, struct bh_err *err) {
    (void)x;
    (void)err;
    bh_layout_write(out);
    return 0;
}

static int put_document(struct saving *x, struct store_tarout *out, const char *name, writer_fn *write,
                        struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;

    if (write(x, &text, err) != 0)
        return err->code;
    if (bh_buf_failed(&text))
        return bh_err_set(err, BH_E_LIMIT, "%s of the archive is over %d MiB", name, 64);
    if (text.len == 0)
        return 0;
    return store_tarout_bytes(out, name, text.data, text.len, err);
}

/* ---- writing ------------------------------------------------------------------------------- */

static int piece_cmp(const void *a, const void *b) {
    return strcmp(((const struct piece *)a)->digest, ((const struct piece *)b)->digest);
}

static int put_piece(struct saving *x, struct store_tarout *out, const struct piece *p, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    const char *path = blob_path(x, p->digest, err);

    if (path == NULL)
        return err->code;
    if (p->data != NULL)
        return store_tarout_bytes(out, path, p->data, p->n, err);
    if (store_file_open(&x->s->place, p->tree, p->digest, &fd, err) != 0)
        return err->code;
    return store_tarout_file(out, path, fd, p->offset, p->size, err);
}

static int put_all(struct saving *x, struct store_tarout *out, struct bh_err *err) {
    qsort(x->pieces, x->n_pieces, sizeof *x->pieces, piece_cmp);
    if (put_document(x, out, "oci-layout", layout_document, err) != 0 ||
        put_document(x, out, "index.json", write_index, err) != 0 ||
        put_document(x, out, "manifest.json", write_archive, err) != 0 ||
        put_document(x, out, "repositories", write_repositories, err) != 0 ||
        store_tarout_dir(out, "blobs/", err) != 0 || store_tarout_dir(out, "blobs/sha256/", err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_pieces; i++)
        if (put_piece(x, out, &x->pieces[i], err) != 0)
            return err->code;
    return store_tarout_end(out, err);
}

static int save_all(struct saving *x, struct store_tarout *out, struct bh_err *err) {
    int r;

    if (x->save->n_names == 0)
        return bh_err_set(err, BH_E_INVALID, "no image to save was named");
    if (store_lease_take(x->s, x->save->who.owner, "save", &x->lease, err) != 0)
        return err->code;
    /* shared: between choosing and the lease nothing may be collected */
    store_tidy_share(x->s);
    r = choose(x, err);
    if (r == 0)
        r = hold(x, err);
    store_tidy_end(x->s);
    return r != 0 ? r : put_all(x, out, err);
}

int store_save(struct store *s, const struct store_save *save, struct store_tarout *out, struct bh_err *err) {
    struct saving x = {.s = s, .save = save};
    uint64_t removals = store_removals(s);
    int r;

    bh_arena_init(&x.arena, SAVE_ARENA);
    r = save_all(&x, out, err);
    store_lease_drop(s, &x.lease);
    if (store_removals(s) != removals) /* what was removed meanwhile lived on for us */
        store_gc_now(s);
    bh_arena_fini(&x.arena);
    return r;
}
