/*
 * remove.c - see remove.h: gathers the facts, asks the rules, does what they say.
 */
#include "remove.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "gc.h"
#include "name.h"

struct user {
    char id[80];
    char name[256];
    bool running;
};

struct removing {
    struct store_db *db;
    const struct store_who *who;
    struct bh_arena *arena;
    struct store_removal *out;
    struct store_found found;
    struct store_image image;
    struct store_remove_case facts;
    struct user user; /* a container that uses it: a running one if there is one */
};

int store_removal_add(struct store_removal *r, struct bh_arena *arena, const char *untagged, const char *deleted,
                      struct bh_err *err) {
    if (r->n_items == r->cap) {
        size_t cap = r->cap * 2 + 16;
        struct store_removed *v = bh_oci_alloc(arena, cap * sizeof *v, err);

        if (v == NULL)
            return err->code;
        if (r->n_items > 0)
            memcpy(v, r->items, r->n_items * sizeof *v);
        r->items = v;
        r->cap = cap;
    }
    r->items[r->n_items++] = (struct store_removed){untagged, deleted};
    return 0;
}

/* ---- facts --------------------------------------------------------------------------------- */

/* One tag at most, and digests of that tag's repository only. */
static bool is_single(const struct store_image *im) {
    const struct store_name *tag = NULL;

    if (im->n_names <= 1)
        return true;
    for (size_t i = 0; i < im->n_names; i++) {
        if (im->names[i].tag[0] == '\0')
            continue;
        if (tag != NULL)
            return false;
        tag = &im->names[i];
    }
    for (size_t i = 0; i < im->n_names; i++)
        if (strcmp(im->names[i].repo, tag != NULL ? tag->repo : im->names[0].repo) != 0)
            return false;
    return true;
}

static int find_user(struct removing *r, struct bh_err *err) {
    sqlite3_stmt *st;
    int got;

    if (store_query(r->db, &st, err, "SELECT id, name, running FROM container WHERE image=? ORDER BY running DESC, id",
                    "i", r->image.k) != 0)
        return err->code;
    while ((got = store_step(r->db, st, err)) > 0) {
        bool running = sqlite3_column_int64(st, 2) != 0;

        if (r->user.id[0] == '\0') {
            bh_str_copy(r->user.id, sizeof r->user.id, store_text(st, 0));
            bh_str_copy(r->user.name, sizeof r->user.name, store_text(st, 1));
            r->user.running = running;
        }
        r->facts.running = r->facts.running || running;
        r->facts.stopped = r->facts.stopped || !running;
    }
    return got < 0 ? got : 0;
}

/* A name by tag takes the digests of its repository along when it is the last tag there. */
static bool goes_too(const struct removing *r, const struct store_name *n) {
    char repo[BH_REF_TEXT_SIZE];

    bh_ref_name(&r->found.ref, repo);
    if (strcmp(n->repo, repo) != 0)
        return false;
    if (r->found.ref.digest[0] != '\0')
        return strcmp(n->digest, r->found.ref.digest) == 0;
    if (n->tag[0] != '\0')
        return strcmp(n->tag, r->found.ref.tag) == 0;
    for (size_t i = 0; i < r->image.n_names; i++) {
        const struct store_name *o = &r->image.names[i];

        if (strcmp(o->repo, repo) == 0 && o->tag[0] != '\0' && strcmp(o->tag, r->found.ref.tag) != 0)
            return false;
    }
    return true;
}

static bool has_digest_name(const struct removing *r) {
    for (size_t i = 0; i < r->image.n_names; i++)
        if (strcmp(r->image.names[i].digest, r->found.ref.digest) == 0)
            return true;
    return false;
}

static int gather(struct removing *r, const char *text, bool force, struct bh_err *err) {
    if (store_find(r->db, r->who, text, &r->found, err) != 0 ||
        store_image_get(r->db, r->found.k, r->arena, &r->image, err) != 0 || find_user(r, err) != 0)
        return err->code;
    r->facts.by_name = r->found.by_name;
    /* "repo@digest" without a name of its own says which content, as an id does */
    if (r->facts.by_name && r->found.ref.digest[0] != '\0' && !has_digest_name(r))
        r->facts.by_name = false;
    r->facts.force = force;
    r->facts.single = is_single(&r->image);
    r->facts.children = r->image.has_children;
    for (size_t i = 0; i < r->image.n_names && r->facts.by_name; i++)
        r->facts.names_left = r->facts.names_left || !goes_too(r, &r->image.names[i]);
    return 0;
}

/* ---- refusing ------------------------------------------------------------------------------ */

static int in_use(const struct removing *r, struct bh_err *err) {
    const char *name = r->user.name[0] != '\0' ? r->user.name : r->user.id;

    bh_err_reason(err, "image-in-use");
    if (r->user.running)
        return bh_err_hint(err, "container %.64s is running: `bulkhead rm -f %.64s` ends and removes it", name, name);
    return bh_err_hint(err, "container %.64s is stopped: `bulkhead rm %.64s` first, or `bulkhead rmi -f`", name, name);
}

static int refuse(const struct removing *r, enum store_remove_verdict v, struct bh_err *err) {
    const char *id = r->image.id + strlen("sha256:");
    char name[BH_REF_TEXT_SIZE];

    switch (v) {
    case STORE_REFUSE_NAME_USED:
        bh_ref_familiar(&r->found.ref, name);
        bh_err_set(err, BH_E_CONFLICT,
                   "conflict: unable to remove repository reference \"%.300s\" (must force) - container %.12s is using "
                   "its referenced image %.12s",
                   name, r->user.id, id);
        return in_use(r, err);
    case STORE_REFUSE_CHILDREN:
        bh_err_set(err, BH_E_CONFLICT,
                   "conflict: unable to delete %.12s (cannot be forced) - image has dependent child images", id);
        bh_err_reason(err, "image-has-children");
        return bh_err_hint(
            err, "remove the images that were made from it first: `bulkhead images -a --filter since=%.12s`", id);
    case STORE_REFUSE_RUNNING:
        bh_err_set(err, BH_E_CONFLICT,
                   "conflict: unable to delete %.12s (cannot be forced) - image is being used by running container "
                   "%.12s",
                   id, r->user.id);
        return in_use(r, err);
    case STORE_REFUSE_REFERENCED:
        bh_err_set(err, BH_E_CONFLICT,
                   "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
                   id);
        bh_err_reason(err, "image-has-names");
        return bh_err_hint(err, "remove by name, or all its names with `bulkhead rmi -f %.12s`", id);
    default:
        bh_err_set(err, BH_E_CONFLICT,
                   "conflict: unable to delete %.12s (must be forced) - image is being used by stopped container %.12s",
                   id, r->user.id);
        return in_use(r, err);
    }
}

/* ---- doing --------------------------------------------------------------------------------- */

static int remove_name(struct store_db *db, uid_t owner, const struct store_name *n, struct bh_arena *arena,
                       struct store_removal *out, struct bh_err *err) {
    const char *text = store_name_familiar(n, arena, err);

    if (text == NULL || store_name_remove(db, owner, n->repo, n->tag, n->digest, err) != 0)
        return err->code;
    return store_removal_add(out, arena, text, NULL, err);
}

int store_image_delete(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_removal *out,
                       struct bh_err *err) {
    struct store_image im;

    if (store_image_get(db, k, arena, &im, err) != 0)
        return err->code;
    for (size_t i = 0; i < im.n_names; i++)
        if (remove_name(db, im.owner, &im.names[i], arena, out, err) != 0)
            return err->code;
    /* without a use it goes with the collector's next query, in this same transaction */
    if (store_exec(db, NULL, err, "UPDATE image SET state=1, parent='' WHERE k=?", "i", k) != 0)
        return err->code;
    return store_removal_add(out, arena, NULL, im.id, err);
}

/* Parents without name, use and other children went unseen when their child was made: they go with it. */
static int delete_parents(struct store_db *db, uid_t owner, const char *parent, struct bh_arena *arena,
                          struct store_removal *out, struct bh_err *err) {
    for (int depth = 0; parent[0] != '\0' && depth < 1000; depth++) {
        struct store_image im;
        int64_t k;
        bool found;

        if (store_get_int(db, &k, &found, err, "SELECT k FROM image WHERE owner=? AND id=? AND state=0", "it",
                          (int64_t)owner, parent) != 0)
            return err->code;
        if (!found)
            return 0;
        if (store_image_get(db, k, arena, &im, err) != 0)
            return err->code;
        if (im.n_names > 0 || im.containers > 0 || im.has_children)
            return 0;
        parent = im.parent;
        if (store_image_delete(db, k, arena, out, err) != 0)
            return err->code;
    }
    return 0;
}

static int untag(struct removing *r, struct bh_err *err) {
    for (size_t i = 0; i < r->image.n_names; i++)
        if (goes_too(r, &r->image.names[i]) &&
            remove_name(r->db, r->image.owner, &r->image.names[i], r->arena, r->out, err) != 0)
            return err->code;
    return 0;
}

static int carry_out(struct removing *r, const char *text, bool force, bool no_prune, struct bh_err *err) {
    const char *parent;
    enum store_remove_verdict v;

    if (gather(r, text, force, err) != 0)
        return err->code;
    v = store_remove_decide(&r->facts);
    if (v == STORE_REMOVE_UNTAG)
        return untag(r, err);
    if (v != STORE_REMOVE_DELETE)
        return refuse(r, v, err);
    parent = r->image.parent;
    if (store_image_delete(r->db, r->image.k, r->arena, r->out, err) != 0)
        return err->code;
    if (no_prune)
        return 0;
    return delete_parents(r->db, r->image.owner, parent, r->arena, r->out, err);
}

/* The collector's files are gone or will be at the next start: the removal itself has succeeded. */
static void sweep(struct store *s, struct bh_arena *arena, struct store_removal *out) {
    struct bh_err err = BH_ERR_INIT;
    struct store_gc_result gone = {0};

    if (store_gc_sweep(s, &gone, &err) != 0) {
        bh_log_err("sweep-failed", &err);
        return;
    }
    out->reclaimed = gone.reclaimed;
    for (size_t i = 0; i < gone.n_layers; i++) {
        const char *id = bh_arena_strdup(arena, gone.layers[i].digest);

        if (id == NULL || store_removal_add(out, arena, NULL, id, &err) != 0)
            break;
    }
    store_gc_result_fini(&gone);
}

static int remove_locked(struct store *s, const struct store_who *who, const char *text, bool force, bool no_prune,
                         struct bh_arena *arena, struct store_removal *out, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct removing r = {.who = who, .arena = arena, .out = out};

    if (store_write_begin(s->index, STORE_FULL | STORE_RESERVE, &db, err) != 0)
        return err->code;
    r.db = db;
    if (carry_out(&r, text, force, no_prune, err) != 0 || store_gc_mark(db, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_remove(struct store *s, const struct store_who *who, const char *text, bool force, bool no_prune,
                 struct bh_arena *arena, struct store_removal *out, struct bh_err *err) {
    struct store_removal removal = {0};
    int r;

    store_tidy_begin(s);
    r = remove_locked(s, who, text, force, no_prune, arena, &removal, err);
    if (r == 0)
        sweep(s, arena, &removal);
    store_tidy_end(s);
    if (r == 0)
        *out = removal;
    return r;
}

/* ---- names --------------------------------------------------------------------------------- */

int store_untag(struct store *s, const struct store_who *who, const char *text, struct bh_arena *arena,
                struct store_removal *out, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct store_removal removal = {0};
    struct removing r = {.who = who, .arena = arena, .out = &removal};

    if (store_write_begin(s->index, STORE_FULL | STORE_RESERVE, &db, err) != 0)
        return err->code;
    r.db = db;
    if (gather(&r, text, true, err) != 0)
        return err->code;
    if (r.facts.by_name ? untag(&r, err) != 0 : false)
        return err->code;
    for (size_t i = 0; i < r.image.n_names && !r.facts.by_name; i++)
        if (remove_name(db, r.image.owner, &r.image.names[i], arena, &removal, err) != 0)
            return err->code;
    if (store_write_commit(&db, err) != 0)
        return err->code;
    *out = removal;
    store_gc_kept(s);
    return 0;
}

/* A name points at an image of the same owner only: an administrator who names another's image gets
 * a row of his own for it. */
static int own_copy(struct store_db *db, uid_t owner, struct store_found *found, struct bh_err *err) {
    int64_t from = found->k;
    int64_t k;
    bool have;

    if (found->owner == owner)
        return 0;
    if (store_get_int(db, &k, &have, err, "SELECT k FROM image WHERE owner=? AND id=?", "it", (int64_t)owner,
                      found->id) != 0)
        return err->code;
    if (have) {
        found->k = k;
        return store_exec(db, NULL, err, "UPDATE image SET state=0 WHERE k=?", "i", k);
    }
    if (store_exec(
            db, NULL, err,
            "INSERT INTO image(owner, id, state, config, parent, manifest, created_ns, added_ns, last_used_ns,"
            " last_tag_ns, size, os, arch, variant, labels, reduced, artifact) SELECT ?, id, 0, config, '', manifest,"
            " created_ns, added_ns, last_used_ns, 0, size, os, arch, variant, labels, reduced, artifact"
            " FROM image WHERE k=?",
            "ii", (int64_t)owner, from) != 0)
        return err->code;
    k = store_last_id(db);
    if (store_exec(db, NULL, err, "INSERT INTO image_layer SELECT ?, pos, layer FROM image_layer WHERE image=?", "ii",
                   k, from) != 0 ||
        store_exec(db, NULL, err, "INSERT INTO image_blob SELECT ?, blob FROM image_blob WHERE image=?", "ii", k,
                   from) != 0 ||
        store_exec(db, NULL, err,
                   "INSERT INTO manifest(image, digest, blob, media, config_media, made) SELECT ?, digest, blob, media,"
                   " config_media, made FROM manifest WHERE image=?",
                   "ii", k, from) != 0 ||
        store_exec(db, NULL, err,
                   "INSERT INTO manifest_layer SELECT n.k, ml.pos, ml.digest, ml.size, ml.media FROM manifest n JOIN"
                   " manifest o ON o.digest=n.digest AND o.image=?2 JOIN manifest_layer ml ON ml.manifest=o.k"
                   " WHERE n.image=?1",
                   "ii", k, from) != 0)
        return err->code;
    found->k = k;
    return 0;
}

int store_tag(struct store *s, const struct store_who *who, const char *source, const char *target,
              char previous[STORE_DIGEST_SIZE], struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct store_found found;
    struct bh_ref ref;

    if (bh_ref_parse(target, &ref, err) != 0 || bh_ref_check_target(&ref, err) != 0 ||
        store_write_begin(s->index, STORE_FULL, &db, err) != 0 || store_find(db, who, source, &found, err) != 0 ||
        own_copy(db, who->owner, &found, err) != 0 ||
        store_name_set(db, who->owner, &ref, found.k, found.index, previous, err) != 0)
        return err->code;
    if (store_write_commit(&db, err) != 0)
        return err->code;
    if (previous[0] != '\0')
        store_gc_kept(s);
    return 0;
}
