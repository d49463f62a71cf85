/*
 * diff.c - see diff.h: lists of the layers of two images, from workers, each layer once.
 */
#include "diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "gc.h"
#include "name.h"
#include "place.h"
#include "result.h"
#include "unpack/entries.h"
#include "worker.h"

#define LIST_MAX ((uint64_t)1 << 30) /* bytes of a layer's list */

struct listed {
    const char *diff_id;
    void *map;
    size_t size;
    const struct bh_entry **entries;
    size_t n;
};

struct side {
    struct store_image_layer *layers;
    size_t n_layers;
    const struct bh_entry **entries; /* malloc'd */
    size_t n;
};

struct comparing {
    struct store *s;
    int cancel_fd;
    struct bh_arena arena;
    struct side side[2];
    struct listed *lists;
    size_t n_lists;
};

/* ---- one layer's list ---------------------------------------------------------------------- */

static int broken(struct bh_err *err) {
    bh_err_set(err, BH_E_INTERNAL, "a worker handed back a list of entries that cannot be");
    return bh_err_reason(err, "worker-result");
}

/* A path from a worker: not empty, not absolute, in order. */
static bool record_ok(const struct bh_entry *e, uint64_t left, const struct bh_entry *before) {
    if (e->size < sizeof *e || e->size > left || e->size % 8 != 0 ||
        sizeof *e + (uint64_t)e->path_len + e->link_len > e->size || e->path_len == 0 || e->text[0] == '/')
        return false;
    return before == NULL || store_path_cmp(before->text, before->path_len, e->text, e->path_len) < 0;
}

int store_entries_read(const void *data, size_t size, uint64_t count, const struct bh_entry **out, struct bh_err *err) {
    uint64_t n = 0;

    for (size_t at = 0; at < size;) {
        const struct bh_entry *e = (const void *)((const char *)data + at);

        if (n == count || size - at < sizeof *e || !record_ok(e, size - at, n > 0 ? out[n - 1] : NULL))
            return broken(err);
        out[n++] = e;
        at += e->size;
    }
    return n == count ? 0 : broken(err);
}

static int no_memory(size_t n, struct bh_err *err) {
    return bh_err_set(err, BH_E_LIMIT, "no memory to compare %zu files", n);
}

static int read_records(struct listed *l, uint64_t count, struct bh_err *err) {
    if (count > l->size / sizeof(struct bh_entry))
        return broken(err);
    l->entries = calloc(count + 1, sizeof(void *));
    if (l->entries == NULL)
        return no_memory(count, err);
    l->n = count;
    return store_entries_read(l->map, l->size, count, l->entries, err);
}

static int map_list(struct listed *l, int fd, uint64_t size, uint64_t count, struct bh_err *err) {
    struct stat st;

    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != size || size > LIST_MAX)
        return broken(err);
    if (size == 0)
        return count == 0 ? 0 : broken(err);
    l->map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (l->map == MAP_FAILED) {
        l->map = NULL;
        return bh_err_errno(err, errno, "read a list of entries");
    }
    l->size = size;
    return read_records(l, count, err);
}

static int list_into(struct comparing *c, struct listed *l, int layer, struct store_temp *t, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    char what[100];
    const struct store_job job = {.name = BH_JOB_ENTRIES,
                                  .what = what,
                                  .source = layer,
                                  .out = t->fd,
                                  .blob = -1,
                                  .size = BH_JOB_TO_END,
                                  .cancel_fd = c->cancel_fd};
    uint64_t count;
    uint64_t size;

    snprintf(what, sizeof what, "layer %.19s", l->diff_id);
    if (store_worker_run(c->s, &job, &packed, err) != 0 || store_result_entries(&packed, &count, &size, err) != 0)
        return err->code;
    return map_list(l, t->fd, size, count, err);
}

static int list_layer(struct comparing *c, const char *diff_id, struct listed **out, struct bh_err *err) {
    BH_SCOPE_CLOSE int layer = -1;
    struct store_temp t;
    struct listed *l;
    int r;

    for (size_t i = 0; i < c->n_lists; i++)
        if (strcmp(c->lists[i].diff_id, diff_id) == 0) {
            *out = &c->lists[i];
            return 0;
        }
    l = &c->lists[c->n_lists];
    l->diff_id = diff_id;
    if (store_file_open(&c->s->place, STORE_LAYERS, diff_id, &layer, err) != 0 ||
        store_temp_open(&c->s->place, &t, err) != 0)
        return err->code;
    c->n_lists++;
    r = list_into(c, l, layer, &t, err);
    store_temp_drop(&c->s->place, &t); /* the mapping stays */
    *out = l;
    return r;
}

/* ---- both sides ---------------------------------------------------------------------------- */

static int stack_side(struct comparing *c, struct side *side, struct bh_err *err) {
    for (size_t i = 0; i < side->n_layers; i++) {
        struct listed *l = NULL;
        const struct bh_entry **stacked;

        if (list_layer(c, side->layers[i].diff_id, &l, err) != 0)
            return err->code;
        stacked = calloc(side->n + l->n + 1, sizeof(void *));
        if (stacked == NULL)
            return no_memory(side->n + l->n, err);
        side->n = store_stack(side->entries, side->n, l->entries, l->n, stacked);
        free(side->entries);
        side->entries = stacked;
    }
    return 0;
}

static int read_side(struct comparing *c, const struct store_who *who, const char *name, struct side *side,
                     struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_found found;

    if (store_read_begin(c->s->index, &db, err) != 0 || store_find(db, who, name, &found, err) != 0)
        return err->code;
    return store_image_layers(db, found.k, &c->arena, &side->layers, &side->n_layers, err);
}

static int compare(struct comparing *c, const struct store_who *who, const char *a, const char *b, store_diff_fn *fn,
                   void *arg, struct bh_err *err) {
    if (read_side(c, who, a, &c->side[0], err) != 0 || read_side(c, who, b, &c->side[1], err) != 0)
        return err->code;
    c->lists = bh_oci_alloc(&c->arena, (c->side[0].n_layers + c->side[1].n_layers + 1) * sizeof *c->lists, err);
    if (c->lists == NULL || stack_side(c, &c->side[0], err) != 0 || stack_side(c, &c->side[1], err) != 0)
        return err->code;
    return store_compare(c->side[0].entries, c->side[0].n, c->side[1].entries, c->side[1].n, fn, arg, err);
}

int store_diff(struct store *s, const struct store_who *who, const char *a, const char *b, int cancel_fd,
               store_diff_fn *fn, void *arg, struct bh_err *err) {
    struct comparing c = {.s = s, .cancel_fd = cancel_fd};
    int r;

    bh_arena_init(&c.arena, (size_t)16 << 20);
    r = compare(&c, who, a, b, fn, arg, err);
    for (size_t i = 0; i < c.n_lists; i++) {
        if (c.lists[i].map != NULL)
            munmap(c.lists[i].map, c.lists[i].size);
        free(c.lists[i].entries);
    }
    free(c.side[0].entries);
    free(c.side[1].entries);
    bh_arena_fini(&c.arena);
    return r;
}
