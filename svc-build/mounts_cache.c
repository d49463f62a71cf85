/*
 * mounts_cache.c - see mounts_cache.h.
 */
#include "mounts_cache.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "room.h"

#define CACHE_MODE 0755

static const char *all_files[] = {"/"};
static const struct bh_strlist whole = {.present = true, .n = 1, .v = all_files};

/* ---- their layers ------------------------------------------------------------------------------- */

static struct build_item folder_item(const struct build_mounted *x) {
    return (struct build_item){.target = x->place,
                               .mkdir = true,
                               .link = true,
                               .mode = x->m.has_mode ? x->m.mode : CACHE_MODE,
                               .uid = x->m.has_uid ? (int64_t)x->m.uid : 0,
                               .gid = x->m.has_gid ? (int64_t)x->m.gid : 0};
}

static int compose(struct build_mounts *m, const struct build_item *items, size_t n, struct build_composed *out,
                   struct bh_err *err) {
    struct build_job *job = m->site->job;
    const struct build_compose c = {.hold = build_hold_number(job->hold), .items = items, .n_items = n};

    return build_compose(job->room->store, &c, &job->cancel, &m->site->arena, out, err);
}

/* What a cache begins with: the files of from=, or those of layers that had no place yet. */
static int first_layer(struct build_mounts *m, struct build_mounted *x, const struct build_cached *old,
                       struct bh_err *err) {
    struct build_item items[2] = {folder_item(x), build_mount_item(m, x)};
    struct build_composed made;

    if (old->found) {
        items[1].from = (struct build_stack){.layers = old->layers, .n = old->n};
        items[1].sources = whole;
    }
    items[1].target = x->place;
    items[1].opaque = false;
    items[1].link = true;
    if (compose(m, items, 2, &made, err) != 0)
        return err->code;
    build_cache_layers_add(&x->layers, &made.layer, made.size);
    x->fresh = true;
    return 0;
}

static int open_one(struct build_mounts *m, struct build_mounted *x, struct bh_err *err) {
    struct build_job *job = m->site->job;
    const struct build_cached none = {0};
    struct build_cached c = {0};

    if ((x->place = build_cache_place(&x->key, &m->site->arena, err)) == NULL)
        return err->code;
    if (x->own &&
        build_cache_get(job->room->store, build_hold_number(job->hold), &x->key, &m->site->arena, &c, err) != 0)
        return err->code;
    if (c.found && build_cache_layers_placed(&c))
        return build_cache_layers_read(&c, &m->site->arena, &x->layers, err);
    if (build_cache_layers_read(&none, &m->site->arena, &x->layers, err) != 0)
        return err->code;
    return (c.found ? c.n > 0 : x->m.from != NULL) ? first_layer(m, x, &c, err) : 0;
}

/* In the order of their keys, so that two steps never wait for each other; the same cache twice is one. */
int build_caches_open(struct build_mounts *m, struct bh_err *err) {
    struct build_job *job = m->site->job;
    struct build_mounted *last = NULL;

    for (;;) {
        struct build_mounted *next = NULL;

        for (size_t i = 0; i < m->n; i++) {
            struct build_mounted *x = &m->v_mounts[i];

            if (x->m.type == BUILD_MOUNT_CACHE && x->same == NULL &&
                (next == NULL || bh_digest_cmp(&x->key, &next->key) < 0))
                next = x;
        }
        if (next == NULL)
            return 0;
        if (last != NULL && bh_digest_equal(&last->key, &next->key)) {
            next->same = last;
        } else {
            next->same = last = next;
            if (build_cache_enter(&job->room->caches, &next->key, next->m.sharing, &job->cancel, &next->use, &next->own,
                                  err) != 0 ||
                open_one(m, next, err) != 0)
                return err->code;
        }
        last->wants_keep = last->wants_keep || (last->own && !next->m.read_only);
    }
}

/* ---- in the container --------------------------------------------------------------------------- */

/* Nothing of the image's own shows. */
static struct build_item root_item(void) {
    return (struct build_item){.target = BUILD_CACHE_ROOT, .mkdir = true, .opaque = true, .link = true, .mode = 0755};
}

static bool fits(const struct build_mounts *m, const struct build_mounted *x) {
    return m->site->image.n_diff_ids + m->n_above + x->layers.n <= BUILD_STACK_MAX;
}

static struct build_item copy_item(struct build_mounts *m, struct build_mounted *x) {
    struct build_item item = build_mount_item(m, x);

    item.from = (struct build_stack){.layers = x->layers.digest, .n = x->layers.n};
    item.sources = (struct bh_strlist){.present = true, .n = 1, .v = &x->place};
    item.target = x->place;
    item.opaque = false;
    item.link = true;
    return item;
}

static void place_one(struct build_mounts *m, struct build_mounted *x, struct build_item *items, size_t *n) {
    if (x->layers.n == 0) {
        items[(*n)++] = folder_item(x);
    } else if (!fits(m, x)) {
        items[(*n)++] = copy_item(m, x);
    } else {
        memcpy(&m->above[m->n_above], x->layers.digest, x->layers.n * sizeof *m->above);
        m->n_above += x->layers.n;
    }
}

void build_caches_place(struct build_mounts *m, struct build_item *items, size_t *n) {
    const size_t before = *n;

    for (size_t i = 0; i < m->n; i++) {
        struct build_mounted *x = &m->v_mounts[i];

        if (x->m.type != BUILD_MOUNT_CACHE || x->same != x)
            continue;
        if (*n == before)
            items[(*n)++] = root_item();
        place_one(m, x, items, n);
    }
}

/* ---- what they become --------------------------------------------------------------------------- */

static int join(struct build_mounts *m, struct build_cache_layers *l, struct bh_err *err) {
    const size_t from = build_cache_layers_join(l);
    const struct build_item item = {.has_from = true,
                                    .from = {.layers = l->digest + from, .n = l->n - from},
                                    .sources = whole,
                                    .target = "/",
                                    .uid = -1,
                                    .gid = -1,
                                    .contents = true,
                                    .whiteouts = from > 0};
    struct build_composed made;

    if (from == l->n)
        return 0;
    if (compose(m, &item, 1, &made, err) != 0)
        return err->code;
    l->n = from;
    build_cache_layers_add(l, &made.layer, made.size);
    return 0;
}

/* Somebody else may have added to a shared one meanwhile: his change stays, ours comes above it. */
static int keep_one(struct build_mounts *m, const struct build_mounted *x, const struct build_exec_change *change,
                    struct bh_err *err) {
    struct build_job *job = m->site->job;
    BH_SCOPE_FREE char *text = bh_xasprintf("cache mount %s", x->m.id != NULL ? x->m.id : x->m.target);
    struct build_cache_put p = {.kind = "exec.cachemount", .description = text, .replace = true};
    struct build_cache_layers l = x->layers;
    struct build_cached now = {0};

    if (build_cache_get(job->room->store, build_hold_number(job->hold), &x->key, &m->site->arena, &now, err) != 0)
        return err->code;
    if (now.found && build_cache_layers_placed(&now) && build_cache_layers_read(&now, &m->site->arena, &l, err) != 0)
        return err->code;
    if (change->changed)
        build_cache_layers_add(&l, &change->layer, change->size);
    if (join(m, &l, err) != 0 || (p.note = build_cache_layers_note(&l, &m->site->arena, err)) == NULL)
        return err->code;
    p.n_note = strlen(p.note);
    p.layers = l.digest;
    p.n = l.n;
    return build_cache_put(job->room->store, build_hold_number(job->hold), &x->key, &p, NULL, err);
}

int build_mounts_keep(struct build_mounts *m, const struct build_exec_change *separate, struct bh_err *err) {
    struct build_caches *caches = &m->site->job->room->caches;
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->n; i++) {
        const struct build_mounted *x = &m->v_mounts[i];

        if (!x->wants_keep || (!x->fresh && !separate[x->separate].changed))
            continue;
        pthread_mutex_lock(&caches->write);
        r = keep_one(m, x, &separate[x->separate], err);
        pthread_mutex_unlock(&caches->write);
    }
    return r;
}

void build_mounts_leave(struct build_mounts *m) {
    for (size_t i = 0; i < m->n; i++)
        build_cache_leave(&m->site->job->room->caches, &m->v_mounts[i].use);
}
