/*
 * history.c - see history.h.
 *
 * Room: store.  The config's history gives the steps, the layers their sizes; where a step is an image of
 * its own (a parent that was committed here), its id stands instead of <missing>.
 */
#include "history.h"

#include <string.h>

#include "base/clock.h"
#include "name.h"
#include "result.h"

struct telling {
    struct store_db *db;
    struct bh_arena *arena;
    struct store_image image;
    struct bh_image_config config;
    struct store_image_layer *layers;
    size_t n_layers;
    struct store_history_row *rows; /* newest first */
    size_t n_rows;
};

static int read_config(struct telling *t, int64_t k, struct bh_image_config *out, struct bh_err *err) {
    const void *packed;
    size_t n;

    if (store_image_reduced(t->db, k, t->arena, &packed, &n, err) != 0)
        return err->code;
    return store_config_unpack(packed, n, t->arena, out, err);
}

static int fill_tags(struct telling *t, const struct store_image *im, struct store_history_row *row,
                     struct bh_err *err) {
    row->id = im->id;
    row->tags = bh_oci_alloc(t->arena, (im->n_names + 1) * sizeof *row->tags, err);
    if (row->tags == NULL)
        return err->code;
    for (size_t i = 0; i < im->n_names; i++) {
        if (im->names[i].tag[0] == '\0')
            continue;
        row->tags[row->n_tags] = store_name_familiar(&im->names[i], t->arena, err);
        if (row->tags[row->n_tags++] == NULL)
            return err->code;
    }
    return 0;
}

/* Steps lowest first meet the layers lowest first; rows are written from the end. */
static int fill_rows(struct telling *t, struct bh_err *err) {
    size_t n = t->config.n_history > 0 ? t->config.n_history : t->n_layers;
    size_t layer = 0;

    t->rows = bh_oci_alloc(t->arena, (n + 1) * sizeof *t->rows, err);
    if (t->rows == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        const struct bh_history *h = t->config.n_history > 0 ? &t->config.history[i] : NULL;
        struct store_history_row *row = &t->rows[n - 1 - i];

        row->id = "<missing>";
        row->created_by = h != NULL ? h->created_by : "";
        row->comment = h != NULL ? h->comment : "";
        if (h == NULL || !bh_time_parse(h->created, &row->created_ns))
            row->created_ns = h == NULL ? t->config.created_ns : 0;
        if ((h == NULL || !h->empty_layer) && layer < t->n_layers)
            row->size = t->layers[layer++].content;
    }
    t->n_rows = n;
    return 0;
}

static int fill_parents(struct telling *t, struct bh_err *err) {
    const char *parent = t->image.parent;

    for (int depth = 0; parent[0] != '\0' && depth < 1000; depth++) {
        struct bh_image_config config;
        struct store_image im;
        int64_t k;
        bool found;

        if (store_get_int(t->db, &k, &found, err, "SELECT k FROM image WHERE owner=? AND id=? AND state=0", "it",
                          (int64_t)t->image.owner, parent) != 0)
            return err->code;
        if (!found)
            return 0;
        if (store_image_get(t->db, k, t->arena, &im, err) != 0 || read_config(t, k, &config, err) != 0)
            return err->code;
        if (config.n_history > 0 && config.n_history < t->n_rows &&
            fill_tags(t, &im, &t->rows[t->n_rows - config.n_history], err) != 0)
            return err->code;
        parent = im.parent;
    }
    return 0;
}

int store_history(struct store *s, const struct store_who *who, const char *name, struct bh_arena *arena,
                  struct store_history_row **out, size_t *out_n, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct telling t = {.arena = arena};
    struct store_found found;

    if (store_read_begin(s->index, &db, err) != 0)
        return err->code;
    t.db = db;
    if (store_find(db, who, name, &found, err) != 0 || store_image_get(db, found.k, arena, &t.image, err) != 0 ||
        read_config(&t, found.k, &t.config, err) != 0 ||
        store_image_layers(db, found.k, arena, &t.layers, &t.n_layers, err) != 0 || fill_rows(&t, err) != 0 ||
        (t.n_rows > 0 && fill_tags(&t, &t.image, &t.rows[0], err) != 0) || fill_parents(&t, err) != 0)
        return err->code;
    *out = t.rows;
    *out_n = t.n_rows;
    return 0;
}
