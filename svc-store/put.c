/*
 * put.c - see put.h.
 */
#include "put.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "gc.h"
#include "image.h"
#include "lease.h"
#include "name.h"
#include "oci/platform.h"
#include "publish.h"
#include "result.h"

struct putting {
    struct store *s;
    struct store_hold *h;
    const struct store_put *put;
    struct bh_arena *arena;
    struct store_put_result *out;
    struct bh_ref *names;
    size_t n_names;
    const char *index_media;
    struct store_document_result manifest;
    struct store_publish_image image;
    struct bh_image_config config;
};

/* ---- is it here? --------------------------------------------------------------------------- */

/* Layers that were found to be damaged make an image unknown: they are to come again. */
#define WHOLE                                                                                                          \
    " AND NOT EXISTS(SELECT 1 FROM image_layer il JOIN layer l ON l.k=il.layer WHERE il.image=i.k AND l.state<>0)"

static int known_row(struct store_db *db, sqlite3_stmt *st, struct store_known *out, struct bh_err *err) {
    int r = store_step(db, st, err);

    if (r <= 0)
        return r;
    out->known = true;
    bh_str_copy(out->id, sizeof out->id, store_text(st, 0));
    bh_str_copy(out->manifest, sizeof out->manifest, store_text(st, 1));
    sqlite3_reset(st);
    return 0;
}

static int known_manifest(struct store_db *db, uid_t owner, const char *digest, struct store_known *out,
                          struct bh_err *err) {
    sqlite3_stmt *st;

    if (store_query(db, &st, err,
                    "SELECT i.id, m.digest FROM manifest m JOIN image i ON i.k=m.image WHERE m.digest=? AND i.owner=?"
                    " AND i.state=0" WHOLE,
                    "ti", digest, (int64_t)owner) != 0)
        return err->code;
    return known_row(db, st, out, err);
}

static void platform_of(sqlite3_stmt *st, int first, struct bh_platform *out) {
    memset(out, 0, sizeof *out);
    bh_str_copy(out->os, sizeof out->os, store_text(st, first));
    bh_str_copy(out->arch, sizeof out->arch, store_text(st, first + 1));
    bh_str_copy(out->variant, sizeof out->variant, store_text(st, first + 2));
}

/* Only an exact match: the index may have a better one than what was taken from it last time. */
static int known_index(struct store_db *db, uid_t owner, const char *digest, const struct bh_platform *want,
                       struct store_known *out, struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err,
                    "SELECT i.id, x.manifest, i.os, i.arch, i.variant FROM index_image x JOIN image i ON i.k=x.image"
                    " WHERE x.idx=? AND i.owner=? AND i.state=0" WHOLE,
                    "ti", digest, (int64_t)owner) != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0 && !out->known) {
        struct bh_platform have;

        platform_of(st, 2, &have);
        if (bh_platform_rank(want, &have) != 0)
            continue;
        out->known = true;
        bh_str_copy(out->id, sizeof out->id, store_text(st, 0));
        bh_str_copy(out->manifest, sizeof out->manifest, store_text(st, 1));
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

int store_image_known(struct store *s, const struct store_who *who, const char *digest, const char *platform,
                      struct store_known *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_known known = {0};
    struct bh_platform want;

    if (platform[0] == '\0')
        bh_platform_host(&want);
    else if (bh_platform_parse(platform, &want, err) != 0)
        return err->code;
    if (store_read_begin(s->index, &db, err) != 0 || known_manifest(db, who->owner, digest, &known, err) != 0 ||
        (!known.known && known_index(db, who->owner, digest, &want, &known, err) != 0))
        return err->code;
    *out = known;
    return 0;
}

/* The name's image, when it is for the platform that was asked for. */
static int known_named(struct store_db *db, const struct store_found *f, const struct bh_platform *want,
                       struct store_known *out, struct bh_err *err) {
    struct bh_platform have;
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err,
                    "SELECT i.id, i.manifest, i.os, i.arch, i.variant FROM image i WHERE i.k=? AND i.state=0" WHOLE,
                    "i", f->k) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r > 0) {
        platform_of(st, 2, &have);
        out->known = want == NULL || bh_platform_rank(want, &have) == 0;
        bh_str_copy(out->id, sizeof out->id, store_text(st, 0));
        bh_str_copy(out->manifest, sizeof out->manifest, store_text(st, 1));
        bh_str_copy(out->index, sizeof out->index, f->index);
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

static int look_for_repository(struct store_db *db, uid_t owner, const char *name, bool *out, struct bh_err *err) {
    char repo[BH_REF_TEXT_SIZE];
    struct bh_ref ref;
    int64_t one;

    if (bh_ref_parse(name, &ref, err) != 0)
        return err->code;
    bh_ref_name(&ref, repo);
    return store_get_int(db, &one, out, err, "SELECT 1 FROM name WHERE owner=?1 AND repo=?2 LIMIT 1", "it",
                         (int64_t)owner, repo);
}

int store_image_known_name(struct store *s, uid_t owner, const char *name, const char *platform,
                           struct store_known *out, struct bh_err *err) {
    const struct store_who own = {.owner = owner};
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct bh_platform want;
    struct store_found found;
    int r;

    *out = (struct store_known){0};
    if ((platform[0] != '\0' && bh_platform_parse(platform, &want, err) != 0) ||
        store_read_begin(s->index, &db, err) != 0)
        return err->code;
    r = store_find(db, &own, name, &found, err);
    if (r == BH_E_NOT_FOUND) {
        bh_err_clear(err);
        return look_for_repository(db, owner, name, &out->repository, err);
    }
    return r != 0 || !found.by_name ? r : known_named(db, &found, platform[0] != '\0' ? &want : NULL, out, err);
}

/* ---- names --------------------------------------------------------------------------------- */

static int parse_names(struct putting *x, struct bh_err *err) {
    x->names = bh_oci_alloc(x->arena, (x->put->n_names + 1) * sizeof *x->names, err);
    for (size_t i = 0; x->names != NULL && i < x->put->n_names; i++)
        if (bh_ref_parse_tagged(x->put->names[i], &x->names[i], err) != 0)
            return err->code;
    x->n_names = x->put->n_names;
    return err->code;
}

static bool runs_here(const struct bh_platform *p) {
    struct bh_platform host;

    bh_platform_host(&host);
    return bh_platform_rank(&host, p) >= 0;
}

/* Does it mean an image that this host runs? */
static int is_taken(struct store_db *db, uid_t owner, const struct bh_ref *ref, bool *out, struct bh_err *err) {
    char repo[BH_REF_TEXT_SIZE];
    struct bh_platform have;
    sqlite3_stmt *st;
    int r;

    bh_ref_name(ref, repo);
    if (store_query(db, &st, err,
                    "SELECT i.os, i.arch, i.variant FROM name n JOIN image i ON i.k=n.image WHERE n.owner=? AND"
                    " n.repo=? AND n.tag=? AND n.digest=?",
                    "ittt", (int64_t)owner, repo, ref->tag, ref->tag[0] != '\0' ? "" : ref->digest) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r > 0) {
        platform_of(st, 0, &have);
        *out = runs_here(&have);
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

/* Before the image has a row, so that no collection takes it in between. */
static int lease_image(struct putting *x, const char *id, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        store_lease_add(db, x->h->lease, STORE_LEASE_IMAGE, id, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

/* A build for another platform takes no name away: then the image has none, and the hold keeps it. */
static int guard_names(struct putting *x, const char *id, const struct bh_platform *p, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    bool tag_taken = false;
    size_t n = 0;

    if (!x->put->guard)
        return 0;
    if (lease_image(x, id, err) != 0)
        return err->code;
    if (runs_here(p))
        return 0;
    if (store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_names; i++) {
        bool taken = false;

        if (is_taken(db, x->h->who.owner, &x->names[i], &taken, err) != 0)
            return err->code;
        tag_taken = tag_taken || (taken && x->names[i].tag[0] != '\0');
        if (!taken)
            x->names[n++] = x->names[i];
    }
    x->n_names = tag_taken ? 0 : n; /* its digest alone would be a row of the list that nobody asked for */
    return 0;
}

/* What is to be written of the names: those that mean another image, or none, so far are new. */
struct difference {
    size_t n_new;
    size_t n; /* with those that only came by another index */
};

static int compare_names(struct putting *x, const char *id, struct difference *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    *out = (struct difference){0};
    if (store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_names; i++) {
        const struct bh_ref *ref = &x->names[i];
        char repo[BH_REF_TEXT_SIZE];
        int64_t same_index = 0;
        bool same;

        bh_ref_name(ref, repo);
        if (store_get_int(db, &same_index, &same, err,
                          "SELECT n.idx=?6 FROM name n JOIN image i ON i.k=n.image WHERE n.owner=?1 AND n.repo=?2"
                          " AND n.tag=?3 AND n.digest=?4 AND i.id=?5",
                          "ittttt", (int64_t)x->h->who.owner, repo, ref->tag, ref->tag[0] != '\0' ? "" : ref->digest,
                          id, x->put->index) != 0)
            return err->code;
        out->n_new += !same;
        out->n += !same || same_index == 0;
    }
    return 0;
}

static void moved(void *arg, const struct bh_ref *name, const char *old_id) {
    struct putting *x = arg;
    char *copy = bh_arena_strdup(x->arena, old_id);

    (void)name;
    if (copy != NULL)
        x->out->replaced[x->out->n_replaced++] = copy;
}

/* ---- what the image is made of ------------------------------------------------------------- */

static const struct store_hold_doc *doc_of(struct putting *x, const char *digest, enum store_doc_kind kind,
                                           const char *what, struct bh_err *err) {
    const struct store_hold_doc *d = store_hold_find(x->s, x->h, digest, kind);

    if (d == NULL)
        bh_err_set(err, BH_E_INVALID, "%s %.19s was not brought under this hold", what, digest);
    return d;
}

static struct bh_buf packed_of(const struct store_hold_doc *d) {
    return (struct bh_buf){.data = (char *)d->packed, .len = d->n_packed, .cap = d->n_packed};
}

static int under_lease(struct putting *x, struct store_db *db, int kind, const char *digest, const char *what,
                       struct bh_err *err) {
    bool found;
    int64_t n;

    if (store_get_int(db, &n, &found, err, "SELECT 1 FROM lease_item WHERE lease=? AND kind=? AND digest=?", "iit",
                      x->h->lease, (int64_t)kind, digest) != 0)
        return err->code;
    if (found)
        return 0;
    bh_err_set(err, BH_E_INVALID, "%s %.19s was not brought under this hold", what, digest);
    return bh_err_reason(err, "incomplete-image");
}

static int check_layers(struct putting *x, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    if (x->manifest.n_entries != x->config.n_diff_ids) {
        bh_err_set(err, BH_E_INVALID, "the manifest has %zu layers and its config %zu diff ids", x->manifest.n_entries,
                   x->config.n_diff_ids);
        return bh_err_reason(err, "invalid-manifest");
    }
    if (store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < x->config.n_diff_ids; i++) {
        char diff_id[STORE_DIGEST_SIZE];

        bh_digest_format(&x->config.diff_ids[i], diff_id);
        if (under_lease(x, db, STORE_LEASE_LAYER, diff_id, "layer", err) != 0)
            return err->code;
    }
    return 0;
}

static int describe_image(struct putting *x, struct bh_err *err) {
    struct store_new_image *n = &x->image.image;
    const struct store_hold_doc *d = doc_of(x, x->manifest.config.digest, STORE_DOC_CONFIG, "config", err);

    if (d == NULL)
        return err->code;
    const struct bh_buf packed = packed_of(d);

    n->id = d->digest;
    n->config = &x->config;
    n->config_data = d->data;
    n->n_config = d->n;
    if (store_result_config(&packed, x->arena, &x->config, &n->reduced, &n->n_reduced, err) != 0)
        return err->code;
    return check_layers(x, err);
}

static int check_blobs(struct putting *x, bool config, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    if (store_read_begin(x->s->index, &db, err) != 0 ||
        (config && under_lease(x, db, STORE_LEASE_BLOB, x->manifest.config.digest, "config", err) != 0))
        return err->code;
    for (size_t i = 0; i < x->manifest.n_entries; i++)
        if (under_lease(x, db, STORE_LEASE_BLOB, x->manifest.entries[i].digest, "blob", err) != 0)
            return err->code;
    return 0;
}

/* An image config of something that is no image all the same (a chart with a layer of its own type). */
static int artifact_config(struct putting *x, bool *out_document, struct bh_err *err) {
    const struct store_hold_doc *d = store_hold_find(x->s, x->h, x->manifest.config.digest, STORE_DOC_CONFIG);

    *out_document = d != NULL;
    if (d == NULL)
        return 0;
    const struct store_document doc = {d->digest, STORE_BLOB_CONFIG, d->data, d->n};

    return store_document_put(x->s, x->h->who.owner, x->h->lease, &doc, err);
}

static int describe_artifact(struct putting *x, struct bh_err *err) {
    struct store_new_image *n = &x->image.image;
    const char *type = x->manifest.artifact_type;
    bool document;

    bh_image_config_init(&x->config);
    n->id = x->manifest.digest;
    n->artifact = type[0] != '\0' ? type : x->manifest.config.media;
    if (n->artifact == NULL || n->artifact[0] == '\0')
        n->artifact = "unknown";
    n->config = &x->config;
    n->config_digest = x->manifest.config.digest;
    if (artifact_config(x, &document, err) != 0 || check_blobs(x, !document, err) != 0)
        return err->code;
    return store_config_pack(&x->config, x->arena, &n->reduced, &n->n_reduced, err);
}

static int describe(struct putting *x, const struct store_hold_doc *d, struct bh_err *err) {
    struct store_new_image *n = &x->image.image;
    const struct bh_buf packed = packed_of(d);

    if (store_result_document(&packed, x->arena, &x->manifest, err) != 0)
        return err->code;
    *n = (struct store_new_image){
        .manifest = d->digest,
        .manifest_media = x->manifest.media,
        .manifest_data = d->data,
        .n_manifest = d->n,
        .config_media = x->manifest.config.media,
        .layers = x->manifest.entries,
        .n_layers = x->manifest.n_entries,
        .parent = "",
        .other = x->put->index,
        .other_media = x->index_media,
    };
    x->manifest.digest = d->digest; /* ours, not the worker's */
    return x->manifest.not_an_image[0] != '\0' ? describe_artifact(x, err) : describe_image(x, err);
}

/* ---- the index it came by ------------------------------------------------------------------ */

static int put_index(struct putting *x, struct bh_err *err) {
    const struct store_hold_doc *d;
    struct store_document_result r;
    size_t i = 0;

    if (x->put->index[0] == '\0')
        return 0;
    d = doc_of(x, x->put->index, STORE_DOC_INDEX, "index", err);
    if (d == NULL)
        return err->code;
    const struct bh_buf packed = packed_of(d);
    const struct store_document doc = {d->digest, STORE_BLOB_INDEX, d->data, d->n};

    if (store_result_document(&packed, x->arena, &r, err) != 0)
        return err->code;
    while (i < r.n_entries && strcmp(r.entries[i].digest, x->put->manifest) != 0)
        i++;
    if (i == r.n_entries)
        return bh_err_set(err, BH_E_INVALID, "index %.19s does not name manifest %.19s", d->digest, x->put->manifest);
    x->index_media = r.media;
    return store_document_put(x->s, x->h->who.owner, x->h->lease, &doc, err);
}

/* ---- making it visible --------------------------------------------------------------------- */

static int bring_new(struct putting *x, const struct store_hold_doc *d, struct bh_err *err) {
    struct bh_platform platform;
    struct difference diff;

    if (put_index(x, err) != 0 || describe(x, d, err) != 0)
        return err->code;
    bh_image_config_platform(&x->config, &platform);
    if (guard_names(x, x->image.image.id, &platform, err) != 0 || compare_names(x, x->image.image.id, &diff, err) != 0)
        return err->code;
    x->image.image.part = x->n_names == 0;
    x->image.names = x->names;
    x->image.n_names = x->n_names;
    if (store_publish_under(x->s, x->h->who.owner, x->h->lease, &x->image, 1, moved, x, err) != 0)
        return err->code;
    bh_str_copy(x->out->id, sizeof x->out->id, x->image.image.id);
    x->out->is_new = diff.n_new > 0;
    return 0;
}

static int set_names(struct putting *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    const char *index = x->put->index;
    bool found;
    int64_t k, n;

    if (store_write_begin(x->s->index, STORE_FULL, &db, err) != 0 ||
        store_get_int(db, &k, &found, err, "SELECT k FROM image WHERE owner=? AND id=? AND state=0", "it",
                      (int64_t)x->h->who.owner, x->out->id) != 0)
        return err->code;
    if (!found)
        return bh_err_set(err, BH_E_ABORTED, "the image has just been removed");
    if (store_get_int(db, &n, &found, err, "SELECT 1 FROM index_image WHERE idx=? AND image=?", "ti", index, k) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_names; i++) {
        char previous[STORE_DIGEST_SIZE];

        if (store_name_set(db, x->h->who.owner, &x->names[i], k, found ? index : "", previous, err) != 0)
            return err->code;
        if (previous[0] != '\0')
            moved(x, &x->names[i], previous);
    }
    return store_write_commit(&db, err);
}

static int known_platform(struct putting *x, const char *id, struct bh_platform *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    int r;

    if (store_read_begin(x->s->index, &db, err) != 0 ||
        store_query(db, &st, err, "SELECT os, arch, variant FROM image WHERE owner=? AND id=?", "it",
                    (int64_t)x->h->who.owner, id) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r > 0)
        platform_of(st, 0, out);
    sqlite3_reset(st);
    return r > 0 ? 0 : r < 0 ? r : bh_err_set(err, BH_E_ABORTED, "the image has just been removed");
}

/* The owner's already: no document was needed.  Nothing is written when its names are right too. */
static int bring_known(struct putting *x, struct bh_err *err) {
    struct bh_platform platform;
    struct store_known known;
    struct difference diff;

    if (store_image_known(x->s, &x->h->who, x->put->manifest, "", &known, err) != 0)
        return err->code;
    if (!known.known || strcmp(known.manifest, x->put->manifest) != 0) {
        bh_err_set(err, BH_E_INVALID, "manifest %.19s was not brought under this hold", x->put->manifest);
        return bh_err_reason(err, "incomplete-image");
    }
    memcpy(x->out->id, known.id, sizeof x->out->id);
    if (known_platform(x, known.id, &platform, err) != 0 || guard_names(x, known.id, &platform, err) != 0 ||
        compare_names(x, known.id, &diff, err) != 0)
        return err->code;
    x->out->is_new = diff.n_new > 0;
    return diff.n > 0 ? set_names(x, err) : 0;
}

static int note_sources(struct putting *x, struct bh_err *err) {
    const char **v = bh_oci_alloc(x->arena, (x->manifest.n_entries + 1) * sizeof *v, err);

    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < x->manifest.n_entries; i++)
        v[i] = x->manifest.entries[i].digest;
    return store_sources_note(x->s, x->h->who.owner, x->put->source, v, x->manifest.n_entries, "", err);
}

int store_image_bring(struct store *s, struct store_hold *h, const struct store_put *put, struct bh_arena *arena,
                      struct store_put_result *out, struct bh_err *err) {
    struct putting x = {.s = s, .h = h, .put = put, .arena = arena, .out = out};
    const struct store_hold_doc *d;

    *out = (struct store_put_result){.replaced = bh_oci_alloc(arena, (put->n_names + 1) * sizeof(char *), err)};
    if (out->replaced == NULL || parse_names(&x, err) != 0)
        return err->code;
    x.index_media = "";
    d = store_hold_find(s, h, put->manifest, STORE_DOC_MANIFEST);
    if (d == NULL) {
        if (bring_known(&x, err) == 0 && out->n_replaced > 0)
            store_gc_kept(s);
        return err->code;
    }
    if (bring_new(&x, d, err) != 0)
        return err->code;
    if (out->n_replaced > 0)
        store_gc_kept(s);
    return put->source[0] != '\0' ? note_sources(&x, err) : 0;
}

/* ---- sources ------------------------------------------------------------------------------- */

#define SOURCES_MAX 8 /* of one blob: the latest */

static int note_one(struct store_db *db, uid_t owner, const char *repository, const char *digest, struct bh_err *err) {
    if (store_exec(db, NULL, err,
                   "INSERT INTO blob_source(owner, digest, repo, seen_ns) VALUES(?,?,?,?)"
                   " ON CONFLICT(owner, digest, repo) DO UPDATE SET seen_ns=excluded.seen_ns",
                   "itti", (int64_t)owner, digest, repository, bh_now_ns()) != 0)
        return err->code;
    return store_exec(db, NULL, err,
                      "DELETE FROM blob_source WHERE owner=?1 AND digest=?2 AND repo NOT IN (SELECT repo FROM"
                      " blob_source WHERE owner=?1 AND digest=?2 ORDER BY seen_ns DESC LIMIT ?3)",
                      "iti", (int64_t)owner, digest, (int64_t)SOURCES_MAX);
}

/* The image is known by this digest in the repository, as after a pull. */
static int name_pushed(struct store_db *db, uid_t owner, const struct bh_ref *repository, const char *digest,
                       struct bh_err *err) {
    struct bh_ref name = *repository;
    char index[STORE_DIGEST_SIZE], previous[STORE_DIGEST_SIZE];
    sqlite3_stmt *st;
    int64_t k;
    int r;

    if (store_query(db, &st, err,
                    "SELECT i.k, '' FROM manifest m JOIN image i ON i.k=m.image WHERE m.digest=?1 AND i.owner=?2 AND"
                    " i.state=0 UNION ALL SELECT i.k, n.idx FROM name n JOIN image i ON i.k=n.image WHERE n.idx=?1 AND"
                    " n.owner=?2 AND i.state=0 LIMIT 1",
                    "ti", digest, (int64_t)owner) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0) /* removed meanwhile */
        return r;
    k = sqlite3_column_int64(st, 0);
    bh_str_copy(index, sizeof index, store_text(st, 1));
    sqlite3_reset(st);
    name.tag[0] = '\0';
    bh_str_copy(name.digest, sizeof name.digest, digest);
    return store_name_set(db, owner, &name, k, index, previous, err);
}

int store_sources_note(struct store *s, uid_t owner, const char *repository, const char *const *digests, size_t n,
                       const char *pushed, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct bh_ref ref;
    char repo[BH_REF_TEXT_SIZE];

    if (bh_ref_parse(repository, &ref, err) != 0 || store_write_begin(s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    bh_ref_name(&ref, repo);
    for (size_t i = 0; i < n; i++)
        if (bh_digest_grammar(digests[i], strlen(digests[i])) && note_one(db, owner, repo, digests[i], err) != 0)
            return err->code;
    if (pushed[0] != '\0' && name_pushed(db, owner, &ref, pushed, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}
