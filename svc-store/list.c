/*
 * list.c - images as tables and inspect show them: four queries whatever their number.
 *
 * Room: store.  Names, containers and children are read once each and joined by the image's key in
 * memory; a thousand images take a few milliseconds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image.h"

struct by_key {
    int64_t k;
    struct store_image *im;
};

static int key_cmp(const void *a, const void *b) {
    int64_t x = ((const struct by_key *)a)->k;
    int64_t y = ((const struct by_key *)b)->k;

    return x < y ? -1 : x > y;
}

static struct store_image *key_find(const struct by_key *keys, size_t n, int64_t k) {
    struct by_key want = {.k = k};
    const struct by_key *at = n > 0 ? bsearch(&want, keys, n, sizeof *keys, key_cmp) : NULL;

    return at != NULL ? at->im : NULL;
}

static const char *text_dup(sqlite3_stmt *st, int column, struct bh_arena *arena, struct bh_err *err) {
    return bh_oci_strdup(arena, store_text(st, column), (size_t)sqlite3_column_bytes(st, column), err);
}

static int labels_unpack(const char *p, size_t n, struct bh_arena *arena, struct bh_pairs *out, struct bh_err *err) {
    const char *copy = bh_oci_strdup(arena, p != NULL ? p : "", n, err);
    size_t count = 0;

    if (copy == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        count += copy[i] == '\0';
    out->v = bh_oci_alloc(arena, (count / 2 + 1) * sizeof *out->v, err);
    if (out->v == NULL)
        return err->code;
    for (p = copy; out->n < count / 2; out->n++) {
        out->v[out->n].key = p;
        p += strlen(p) + 1;
        out->v[out->n].value = p;
        p += strlen(p) + 1;
    }
    out->present = out->n > 0;
    return 0;
}

#define IMAGE_COLUMNS                                                                                                  \
    "i.k, i.owner, i.id, i.manifest, i.parent, i.os, i.arch, i.variant, i.created_ns, i.added_ns, i.last_used_ns,"     \
    " i.last_tag_ns, i.size, i.labels, (SELECT made FROM manifest m WHERE m.image=i.k AND m.digest=i.manifest),"       \
    " i.artifact"

static int image_row(sqlite3_stmt *st, struct bh_arena *arena, struct store_image *im, struct bh_err *err) {
    *im = (struct store_image){
        .k = sqlite3_column_int64(st, 0),
        .owner = (uid_t)sqlite3_column_int64(st, 1),
        .id = text_dup(st, 2, arena, err),
        .manifest = text_dup(st, 3, arena, err),
        .parent = text_dup(st, 4, arena, err),
        .os = text_dup(st, 5, arena, err),
        .arch = text_dup(st, 6, arena, err),
        .variant = text_dup(st, 7, arena, err),
        .artifact = text_dup(st, 15, arena, err),
        .created_ns = sqlite3_column_int64(st, 8),
        .added_ns = sqlite3_column_int64(st, 9),
        .last_used_ns = sqlite3_column_int64(st, 10),
        .last_tag_ns = sqlite3_column_int64(st, 11),
        .size = (uint64_t)sqlite3_column_int64(st, 12),
        .made = sqlite3_column_int64(st, 14) != 0,
    };
    if (im->id == NULL || im->manifest == NULL || im->parent == NULL || im->os == NULL || im->arch == NULL ||
        im->variant == NULL || im->artifact == NULL)
        return err->code;
    return labels_unpack(sqlite3_column_blob(st, 13), (size_t)sqlite3_column_bytes(st, 13), arena, &im->labels, err);
}

static int read_images(struct store_db *db, const struct store_who *who, struct bh_arena *arena,
                       struct store_image **out, size_t *out_n, struct bh_err *err) {
    struct store_image *v;
    sqlite3_stmt *st;
    int64_t n;
    size_t i = 0;
    int r;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM image WHERE state=0", "") != 0 ||
        store_query(db, &st, err,
                    "SELECT " IMAGE_COLUMNS
                    " FROM image i WHERE i.state=0 AND (?1 OR i.owner=?2) ORDER BY i.created_ns DESC, i.k DESC",
                    "ii", (int64_t)who->all, (int64_t)who->owner) != 0)
        return err->code;
    v = bh_oci_alloc(arena, ((size_t)n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && i < (size_t)n)
        if (image_row(st, arena, &v[i++], err) != 0)
            return err->code;
    if (r < 0)
        return r;
    *out = v;
    *out_n = i;
    return 0;
}

/* Rows come sorted by image, so each image's names are one stretch of the array. */
static int read_names(struct store_db *db, const struct by_key *keys, size_t n_keys, int64_t only,
                      struct bh_arena *arena, struct bh_err *err) {
    struct store_image *last = NULL;
    struct store_name *v;
    sqlite3_stmt *st;
    int64_t n;
    size_t i = 0;
    int r;

    if (store_get_int(db, &n, NULL, err, "SELECT count(*) FROM name WHERE (?1=0 OR image=?1)", "i", only) != 0 ||
        store_query(db, &st, err,
                    "SELECT image, repo, tag, digest FROM name WHERE (?1=0 OR image=?1)"
                    " ORDER BY image, repo, tag, digest",
                    "i", only) != 0)
        return err->code;
    v = bh_oci_alloc(arena, ((size_t)n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && i < (size_t)n) {
        struct store_image *im = key_find(keys, n_keys, sqlite3_column_int64(st, 0));

        if (im == NULL)
            continue;
        v[i] =
            (struct store_name){text_dup(st, 1, arena, err), text_dup(st, 2, arena, err), text_dup(st, 3, arena, err)};
        if (v[i].repo == NULL || v[i].tag == NULL || v[i].digest == NULL)
            return err->code;
        if (im != last)
            im->names = &v[i];
        im->n_names++;
        last = im;
        i++;
    }
    return r < 0 ? r : 0;
}

static int read_containers(struct store_db *db, const struct by_key *keys, size_t n_keys, struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err, "SELECT image, count(*) FROM container WHERE image IS NOT NULL GROUP BY image", "") !=
        0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        struct store_image *im = key_find(keys, n_keys, sqlite3_column_int64(st, 0));

        if (im != NULL)
            im->containers = (unsigned)sqlite3_column_int64(st, 1);
    }
    return r < 0 ? r : 0;
}

static int read_children(struct store_db *db, const struct by_key *keys, size_t n_keys, struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err,
                    "SELECT DISTINCT p.k FROM image c JOIN image p ON p.id=c.parent AND p.owner=c.owner"
                    " WHERE c.parent<>'' AND c.state=0",
                    "") != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        struct store_image *im = key_find(keys, n_keys, sqlite3_column_int64(st, 0));

        if (im != NULL)
            im->has_children = true;
    }
    return r < 0 ? r : 0;
}

static int join(struct store_db *db, struct store_image *v, size_t n, int64_t only, struct bh_arena *arena,
                struct bh_err *err) {
    struct by_key *keys = malloc((n + 1) * sizeof *keys);
    int r;

    if (keys == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory to list %zu images", n);
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct by_key){v[i].k, &v[i]};
    qsort(keys, n, sizeof *keys, key_cmp);
    r = read_names(db, keys, n, only, arena, err);
    if (r == 0)
        r = read_containers(db, keys, n, err);
    if (r == 0)
        r = read_children(db, keys, n, err);
    free(keys);
    return r;
}

int store_image_list(struct store_db *db, const struct store_who *who, struct bh_arena *arena, struct store_image **out,
                     size_t *out_n, struct bh_err *err) {
    if (read_images(db, who, arena, out, out_n, err) != 0)
        return err->code;
    return join(db, *out, *out_n, 0, arena, err);
}

int store_image_get(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_image *out,
                    struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err, "SELECT " IMAGE_COLUMNS " FROM image i WHERE i.k=?", "i", k) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r < 0 ? r : bh_err_set(err, BH_E_NOT_FOUND, "the image has just been removed");
    r = image_row(st, arena, out, err);
    sqlite3_reset(st);
    if (r != 0)
        return r;
    return join(db, out, 1, k, arena, err);
}

bool store_image_has_tag(const struct store_image *im) {
    for (size_t i = 0; i < im->n_names; i++)
        if (im->names[i].tag[0] != '\0')
            return true;
    return false;
}

struct bh_platform store_platform(const char *os, const char *arch, const char *variant) {
    struct bh_platform p = {0};

    bh_str_copy(p.os, sizeof p.os, os);
    bh_str_copy(p.arch, sizeof p.arch, arch);
    bh_str_copy(p.variant, sizeof p.variant, variant);
    return p;
}

/* ---- sizes --------------------------------------------------------------------------------- */

int store_image_sizes(struct store_db *db, struct store_image *images, size_t n, struct bh_err *err) {
    struct by_key *keys = malloc((n + 1) * sizeof *keys);
    sqlite3_stmt *st;
    int r;

    if (keys == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory to measure %zu images", n);
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct by_key){images[i].k, &images[i]};
    qsort(keys, n, sizeof *keys, key_cmp);
    /* a layer twice in one image is still that image's own */
    r = store_query(db, &st, err,
                    "SELECT il.image, ifnull(l.content,l.tar_size), (SELECT count(DISTINCT o.image) FROM image_layer o"
                    " WHERE o.layer=il.layer) FROM image_layer il JOIN layer l ON l.k=il.layer",
                    "");
    while (r == 0 && (r = store_step(db, st, err)) > 0) {
        struct store_image *im = key_find(keys, n, sqlite3_column_int64(st, 0));
        uint64_t size = (uint64_t)sqlite3_column_int64(st, 1);

        r = 0;
        if (im == NULL)
            continue;
        if (sqlite3_column_int64(st, 2) > 1)
            im->shared += size;
        else
            im->unique += size;
    }
    free(keys);
    return r < 0 ? r : 0;
}

/* ---- platforms ----------------------------------------------------------------------------- */

/* Of manifest m, which says image p. */
#define PLATFORM_COLUMNS                                                                                               \
    "m.digest, p.os, p.arch, p.variant, p.size,"                                                                       \
    " (SELECT ifnull(sum(size),0) FROM manifest_layer ml WHERE ml.manifest=m.k)"                                       \
    " + (SELECT size FROM blob b WHERE b.k=m.blob) + (SELECT size FROM blob b WHERE b.k=p.config),"                    \
    " (SELECT count(*) FROM container c WHERE c.image=p.k)"

static int platform_row(sqlite3_stmt *st, struct bh_arena *arena, struct store_image_platform *out,
                        struct bh_err *err) {
    *out = (struct store_image_platform){.manifest = text_dup(st, 1, arena, err),
                                         .os = text_dup(st, 2, arena, err),
                                         .arch = text_dup(st, 3, arena, err),
                                         .variant = text_dup(st, 4, arena, err),
                                         .size = (uint64_t)sqlite3_column_int64(st, 5),
                                         .content = (uint64_t)sqlite3_column_int64(st, 6),
                                         .containers = (unsigned)sqlite3_column_int64(st, 7)};
    return out->manifest == NULL || out->os == NULL || out->arch == NULL || out->variant == NULL ? err->code : 0;
}

/* Rows of one image follow each other. */
static int take_platforms(struct store_db *db, sqlite3_stmt *st, const struct by_key *keys, size_t n_keys,
                          struct bh_arena *arena, struct bh_err *err) {
    int r;

    while ((r = store_step(db, st, err)) > 0) {
        struct store_image *im = key_find(keys, n_keys, sqlite3_column_int64(st, 0));
        struct store_image_platform *v;

        if (im == NULL || im->artifact[0] != '\0')
            continue;
        v = bh_oci_alloc(arena, (im->n_platforms + 1) * sizeof *v, err); /* they are few */
        if (v == NULL)
            return err->code;
        if (im->n_platforms > 0)
            memcpy(v, im->platforms, im->n_platforms * sizeof *v);
        im->platforms = v;
        if (platform_row(st, arena, &v[im->n_platforms++], err) != 0)
            return err->code;
    }
    return r;
}

int store_image_platforms(struct store_db *db, struct store_image *images, size_t n, struct bh_arena *arena,
                          struct bh_err *err) {
    struct by_key *keys = malloc((n + 1) * sizeof *keys);
    sqlite3_stmt *st;
    int r;

    if (keys == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory to list %zu images", n);
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct by_key){images[i].k, &images[i]};
    qsort(keys, n, sizeof *keys, key_cmp);
    r = store_query(db, &st, err,
                    "SELECT DISTINCT n.image, " PLATFORM_COLUMNS
                    " FROM name n JOIN index_image x ON x.idx=n.idx JOIN image p ON p.k=x.image AND p.owner=n.owner"
                    " JOIN manifest m ON m.image=p.k AND m.digest=x.manifest WHERE n.idx<>'' AND p.state IN (0,1)"
                    " UNION ALL SELECT p.k, " PLATFORM_COLUMNS
                    " FROM image p JOIN manifest m ON m.image=p.k AND m.digest=p.manifest WHERE p.state=0"
                    " AND NOT EXISTS (SELECT 1 FROM name n WHERE n.image=p.k AND n.idx<>'')"
                    " ORDER BY 1, 3, 4, 5, 2",
                    "");
    if (r == 0)
        r = take_platforms(db, st, keys, n, arena, err);
    free(keys);
    return r < 0 ? r : 0;
}
