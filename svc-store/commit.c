/*
 * commit.c - see import.h: a container's change becomes an image on top of its parent.
 *
 * Room: store.  The runtime says what the config is and sends the layer's tar; history and layers of
 * the parent are taken from the index.  A tar that ends before its end mark is refused: its sender died.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "gc.h"
#include "import.h"
#include "layer.h"
#include "lease.h"
#include "name.h"
#include "oci/change.h"
#include "oci/platform.h"
#include "publish.h"
#include "unpack/jobs.h"

#define CONFIG_ARENA ((size_t)16 << 20)

struct committing {
    struct store *s;
    const struct store_commit *c;
    struct bh_arena arena;
    struct bh_image_config config;
    uint64_t *sizes; /* of the layers, one more than the parent has */
    char parent[STORE_DIGEST_SIZE];
    struct bh_ref name;
    bool named;
    int64_t lease;
    char created[BH_RFC3339_SIZE];
};

/* The parent's layers are leased, so that no prune between here and the commit takes them. */
static int lease_parent(struct committing *x, const struct store_image_layer *layers, size_t n, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;

    if (store_write_begin(x->s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (store_lease_add(db, x->lease, STORE_LEASE_LAYER, layers[i].diff_id, err) != 0)
            return err->code;
    return store_write_commit(&db, err);
}

static int read_parent(struct committing *x, struct store_image_layer **out_layers, size_t *out_n, struct bh_err *err) {
    const struct store_who who = {.owner = x->c->owner, .all = x->c->owner == 0};
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_found found;
    const void *packed;
    size_t n;

    if (store_read_begin(x->s->index, &db, err) != 0 || store_find_kept(db, &who, x->c->parent, &found, err) != 0 ||
        store_image_reduced(db, found.k, &x->arena, &packed, &n, err) != 0 ||
        store_config_unpack(packed, n, &x->arena, &x->config, err) != 0 ||
        store_image_layers(db, found.k, &x->arena, out_layers, out_n, err) != 0)
        return err->code;
    bh_str_copy(x->parent, sizeof x->parent, found.id);
    return 0;
}

static int start_from_parent(struct committing *x, struct bh_err *err) {
    struct store_image_layer *layers = NULL;
    size_t n = 0;

    if (x->c->parent[0] == '\0') {
        struct bh_platform p;

        bh_image_config_init(&x->config);
        bh_platform_host(&p);
        x->config.os = bh_oci_strdup(&x->arena, p.os, strlen(p.os), err);
        x->config.architecture = bh_oci_strdup(&x->arena, p.arch, strlen(p.arch), err);
        x->config.variant = bh_oci_strdup(&x->arena, p.variant, strlen(p.variant), err);
        if (x->config.os == NULL || x->config.architecture == NULL || x->config.variant == NULL)
            return err->code;
    } else if (read_parent(x, &layers, &n, err) != 0 || lease_parent(x, layers, n, err) != 0) {
        return err->code;
    }
    x->sizes = bh_oci_alloc(&x->arena, (n + 1) * sizeof *x->sizes, err);
    if (x->sizes == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        x->sizes[i] = layers[i].tar_size;
    return 0;
}

static int prepare(struct committing *x, struct bh_err *err) {
    const struct store_commit *c = x->c;
    int64_t now = c->created_ns != 0 ? c->created_ns : bh_now_ns();

    if (start_from_parent(x, err) != 0)
        return err->code;
    if (c->config != NULL)
        x->config.config = *c->config;
    bh_time_rfc3339(now, x->created);
    x->config.created = x->created;
    x->config.created_ns = now;
    x->config.author = c->author;
    x->config.comment = c->comment;
    if (bh_change_apply_all(c->changes, c->n_changes, &x->config.config, &x->arena, err) != 0)
        return err->code;
    x->named = c->reference[0] != '\0';
    if (x->named && (bh_ref_parse(c->reference, &x->name, err) != 0 || bh_ref_check_target(&x->name, err) != 0))
        return err->code;
    return 0;
}

static int add_layer(struct committing *x, struct bh_err *err) {
    struct bh_history h = {
        .created = x->created,
        .created_by = x->c->created_by,
        .author = x->c->author,
        .comment = x->c->comment,
        .empty_layer = x->c->layer == NULL,
    };
    struct store_layer_source src = {
        .size = BH_JOB_TO_END,
        .flags = BH_JOB_F_STRICT_END | BH_JOB_F_PLAIN_ONLY,
        .waits = true,
        .digest = "",
        .diff_id = "",
        .what = "commit",
        .cancel_fd = x->c->cancel_fd,
    };
    struct store_layer_result r;
    BH_SCOPE_CLOSE int fd = -1;
    struct bh_digest d;

    if (x->c->layer == NULL)
        return bh_image_config_add_layer(&x->config, NULL, &h, &x->arena, err);
    if (x->c->layer(x->c->arg, &fd, err) != 0)
        return err->code;
    src.fd = fd;
    if (store_layer_make(x->s, x->c->owner, x->lease, &src, &r, err) != 0 || bh_digest_parse(r.diff_id, &d, err) != 0)
        return err->code;
    x->sizes[x->config.n_diff_ids] = r.tar_size;
    return bh_image_config_add_layer(&x->config, &d, &h, &x->arena, err);
}

static int commit(struct committing *x, char out_id[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct store_publish_image p = {.names = &x->name};

    if (store_lease_take(x->s, x->c->owner, "commit", &x->lease, err) != 0 || prepare(x, err) != 0 ||
        add_layer(x, err) != 0 || store_image_make(&x->config, x->sizes, NULL, &x->arena, &p.image, err) != 0)
        return err->code;
    p.image.parent = x->parent;
    p.n_names = x->named;
    if (store_publish(x->s, x->c->owner, &x->lease, &p, 1, NULL, NULL, err) != 0)
        return err->code;
    bh_str_copy(out_id, STORE_DIGEST_SIZE, p.image.id);
    return 0;
}

int store_commit(struct store *s, const struct store_commit *c, char out_id[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct committing x = {.s = s, .c = c};
    int r;

    bh_arena_init(&x.arena, CONFIG_ARENA);
    r = commit(&x, out_id, err);
    if (x.lease != STORE_LEASE_NONE) {
        store_lease_drop(s, &x.lease);
        store_gc_now(s);
    }
    bh_arena_fini(&x.arena);
    return r;
}
