/*
 * assemble.c - see assemble.h.
 */
#include "assemble.h"

#include <string.h>

#include "base/str.h"
#include "compose.h"
#include "index.h"
#include "lease.h"
#include "publish.h"

struct assembling {
    struct store *s;
    const struct store_assemble *a;
    struct bh_arena *arena;
    struct store_publish_image image;
    struct bh_ref *names;
    uint64_t *sizes;
    struct store_assembled *out;
};

static int parse_names(struct assembling *x, struct bh_err *err) {
    x->names = bh_oci_alloc(x->arena, (x->a->n_names + 1) * sizeof *x->names, err);
    x->out->replaced = bh_oci_alloc(x->arena, (x->a->n_names + 1) * sizeof(char *), err);
    if (x->names == NULL || x->out->replaced == NULL)
        return err->code;
    for (size_t i = 0; i < x->a->n_names; i++)
        if (bh_ref_parse(x->a->names[i], &x->names[i], err) != 0 || bh_ref_check_target(&x->names[i], err) != 0)
            return err->code;
    return 0;
}

/* The owner has a right to all layers; their sizes go into the manifest. */
static int find_layers(struct assembling *x, struct bh_err *err) {
    const struct bh_image_config *c = x->a->config;
    char **ids = bh_oci_alloc(x->arena, (c->n_diff_ids + 1) * sizeof *ids, err);

    x->sizes = bh_oci_alloc(x->arena, (c->n_diff_ids + 1) * sizeof *x->sizes, err);
    if (ids == NULL || x->sizes == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        ids[i] = bh_oci_alloc(x->arena, BH_DIGEST_TEXT_SIZE, err);
        if (ids[i] == NULL)
            return err->code;
        bh_digest_format(&c->diff_ids[i], ids[i]);
    }
    if (store_layers_claim(x->s, &x->a->who, x->a->lease, ids, c->n_diff_ids, err) != 0)
        return err->code;

    STORE_SCOPE_READ struct store_db *db = NULL;

    if (store_read_begin(x->s->index, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        int64_t size = 0;

        if (store_get_int(db, &size, NULL, err, "SELECT tar_size FROM layer WHERE diff_id=?", "t", ids[i]) != 0)
            return err->code;
        x->sizes[i] = (uint64_t)size;
    }
    return 0;
}

static void moved(void *arg, const struct bh_ref *name, const char *old_id) {
    struct assembling *x = arg;
    char *copy = bh_arena_strdup(x->arena, old_id);

    (void)name;
    if (copy != NULL)
        x->out->replaced[x->out->n_replaced++] = copy;
}

/* Before the image has a row, so that no collection takes it in between. */
static int lease_image(struct assembling *x, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0 ||
        store_lease_add(db, x->a->lease, STORE_LEASE_IMAGE, x->image.image.id, err) != 0)
        return err->code;
    return store_write_commit(&db, err);
}

int store_assemble(struct store *s, const struct store_assemble *a, struct bh_arena *arena, struct store_assembled *out,
                   struct bh_err *err) {
    struct assembling x = {.s = s, .a = a, .arena = arena, .out = out};

    *out = (struct store_assembled){.n_replaced = 0};
    if (parse_names(&x, err) != 0 || find_layers(&x, err) != 0 ||
        store_image_make(a->config, x.sizes, a->annotations, arena, &x.image.image, err) != 0)
        return err->code;
    x.image.image.parent = a->parent;
    x.image.image.leads = a->n_names > 0 || a->keep;
    x.image.image.part = x.image.fleeting = a->n_names == 0 && !a->keep;
    x.image.names = x.names;
    x.image.n_names = a->n_names;
    if ((x.image.fleeting && lease_image(&x, err) != 0) ||
        store_publish_under(s, a->who.owner, a->lease, &x.image, 1, moved, &x, err) != 0)
        return err->code;
    bh_str_copy(out->id, sizeof out->id, x.image.image.id);
    bh_str_copy(out->manifest, sizeof out->manifest, x.image.image.manifest);
    return 0;
}
