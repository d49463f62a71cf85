/*
 * prune.c - image prune: images without a tag, or with all those that no container uses.
 *
 * Room: store.  One synced commit for all of them, then their files.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "filter.h"
#include "gc.h"
#include "name.h"
#include "remove.h"

/* docker's reading: dangling=false is the same as --all. */
static bool wants_all(bool all, const struct store_filters *f) {
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->v[i].key, "dangling") == 0 && (f->v[i].value[0] == 'f' || f->v[i].value[0] == '0'))
            return true;
    return all;
}

static bool may_go(const struct store_image *im, bool all) {
    return im->containers == 0 && !im->has_children && (all || !store_image_has_tag(im));
}

/* What would go; sizes as if each were the only one. */
static int tell_only(const struct store_image *im, struct bh_arena *arena, struct store_removal *out,
                     struct bh_err *err) {
    for (size_t i = 0; i < im->n_names; i++) {
        const char *name = store_name_familiar(&im->names[i], arena, err);

        if (name == NULL || store_removal_add(out, arena, name, NULL, err) != 0)
            return err->code;
    }
    out->reclaimed += im->unique;
    return store_removal_add(out, arena, NULL, im->id, err);
}

struct pruning {
    struct store_db *db;
    const struct store_who *who;
    bool all;
    const struct store_filters *filters;
    bool dry_run;
    struct bh_arena *arena;
    struct store_removal *out;
};

/* Each round takes images without children; their parents may be free in the next one. */
static int one_round(const struct pruning *p, size_t *out_gone, struct bh_err *err) {
    struct store_filter v[32];
    struct store_filters f = {v, 0};
    struct store_image *images;
    size_t n;

    *out_gone = 0;
    for (size_t i = 0; i < p->filters->n && f.n < BH_ARRAY_LEN(v); i++)
        if (strcmp(p->filters->v[i].key, "dangling") != 0)
            v[f.n++] = p->filters->v[i];
    if (store_image_list(p->db, p->who, p->arena, &images, &n, err) != 0 ||
        store_filter_apply(p->db, p->who, &f, "", true, p->arena, images, &n, err) != 0 ||
        (p->dry_run && store_image_sizes(p->db, images, n, err) != 0))
        return err->code;
    for (size_t i = 0; i < n; i++) {
        if (!may_go(&images[i], p->all))
            continue;
        if ((p->dry_run ? tell_only(&images[i], p->arena, p->out, err)
                        : store_image_delete(p->db, images[i].k, p->arena, p->out, err)) != 0)
            return err->code;
        (*out_gone)++;
    }
    return 0;
}

static int prune_locked(struct store *s, struct pruning *p, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    size_t gone;

    if (store_write_begin(s->index, STORE_FULL | STORE_RESERVE, &db, err) != 0)
        return err->code;
    p->db = db;
    do {
        if (one_round(p, &gone, err) != 0)
            return err->code;
    } while (gone > 0 && !p->dry_run);
    if (p->dry_run)
        return 0;
    if (store_gc_mark(db, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_prune(struct store *s, const struct store_who *who, bool all, const struct store_filters *filters,
                bool dry_run, struct bh_arena *arena, struct store_removal *out, struct bh_err *err) {
    struct store_removal removal = {0};
    struct pruning p = {.who = who,
                        .all = wants_all(all, filters),
                        .filters = filters,
                        .dry_run = dry_run,
                        .arena = arena,
                        .out = &removal};
    struct store_gc_result gone = {0};
    int r;

    if (store_filter_check(filters, store_filter_prune, err) != 0)
        return err->code;
    store_tidy_begin(s);
    r = prune_locked(s, &p, err);
    if (r == 0 && !dry_run) {
        struct bh_err later = BH_ERR_INIT;

        /* the commit stands; files that could not be removed go at the next start */
        if (store_gc_sweep(s, &gone, &later) != 0)
            bh_log_err("sweep-failed", &later);
        removal.reclaimed = gone.reclaimed;
    }
    store_tidy_end(s);
    for (size_t i = 0; i < gone.n_layers && r == 0; i++) {
        const char *id = bh_arena_strdup(arena, gone.layers[i].digest);

        r = id != NULL ? store_removal_add(&removal, arena, NULL, id, err)
                       : bh_err_set(err, BH_E_LIMIT, "too much was removed to tell it all");
    }
    store_gc_result_fini(&gone);
    if (r == 0)
        *out = removal;
    return r;
}
