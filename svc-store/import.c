/*
 * import.c - see import.h: a tar becomes an image of one layer.
 */
#include "import.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "gc.h"
#include "layer.h"
#include "lease.h"
#include "oci/change.h"
#include "oci/platform.h"
#include "publish.h"
#include "unpack/jobs.h"

#define CONFIG_ARENA ((size_t)16 << 20)

struct importing {
    struct store *s;
    const struct store_import *im;
    struct bh_arena arena;
    struct bh_image_config config;
    struct bh_ref name;
    bool named;
    int64_t lease;
    char created[BH_RFC3339_SIZE];
};

/* All that can be refused is refused before the first byte of the tar is read. */
static int prepare(struct importing *x, struct bh_err *err) {
    const struct store_import *im = x->im;
    struct bh_platform p;
    int64_t now = bh_now_ns();

    bh_image_config_init(&x->config);
    if (im->platform[0] == '\0')
        bh_platform_host(&p);
    else if (bh_platform_parse(im->platform, &p, err) != 0)
        return err->code;
    x->config.os = bh_oci_strdup(&x->arena, p.os, strlen(p.os), err);
    x->config.architecture = bh_oci_strdup(&x->arena, p.arch, strlen(p.arch), err);
    x->config.variant = bh_oci_strdup(&x->arena, p.variant, strlen(p.variant), err);
    if (x->config.os == NULL || x->config.architecture == NULL || x->config.variant == NULL)
        return err->code;
    bh_time_rfc3339(now, x->created);
    x->config.created = x->created;
    x->config.created_ns = now;
    x->config.comment = im->message;
    if (bh_change_apply_all(im->changes, im->n_changes, &x->config.config, &x->arena, err) != 0)
        return err->code;
    x->named = im->reference[0] != '\0';
    if (x->named && (bh_ref_parse(im->reference, &x->name, err) != 0 || bh_ref_check_target(&x->name, err) != 0))
        return err->code;
    return 0;
}

static int add_layer(struct importing *x, const struct store_layer_result *r, struct bh_err *err) {
    char comment[400];
    struct bh_history h = {.created = x->created, .created_by = "", .author = "", .comment = comment};
    struct bh_digest d;

    if (x->im->message[0] != '\0')
        bh_str_copy(comment, sizeof comment, x->im->message);
    else
        snprintf(comment, sizeof comment, "Imported from %.300s", x->im->source[0] != '\0' ? x->im->source : "-");
    const char *text = x->config.comment[0] != '\0' ? x->config.comment : comment;
    x->config.comment = bh_oci_strdup(&x->arena, text, strlen(text), err);
    if (x->config.comment == NULL || bh_digest_parse(r->diff_id, &d, err) != 0)
        return err->code;
    return bh_image_config_add_layer(&x->config, &d, &h, &x->arena, err);
}

static int publish(struct importing *x, const struct store_layer_result *r, char out_id[STORE_DIGEST_SIZE],
                   struct bh_err *err) {
    struct store_publish_image p = {.names = &x->name, .n_names = x->named};
    uint64_t size = r->tar_size;

    if (add_layer(x, r, err) != 0 || store_image_make(&x->config, &size, NULL, &x->arena, &p.image, err) != 0 ||
        store_publish(x->s, x->im->who.owner, &x->lease, &p, 1, NULL, NULL, err) != 0)
        return err->code;
    bh_str_copy(out_id, STORE_DIGEST_SIZE, p.image.id);
    return 0;
}

static int import(struct importing *x, char out_id[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct store_layer_result r;
    struct store_layer_source src = {
        .fd = x->im->fd,
        .size = BH_JOB_TO_END,
        .waits = x->im->waits,
        .digest = "",
        .diff_id = "",
        .what = "import",
        .cancel_fd = x->im->cancel_fd,
    };

    if (prepare(x, err) != 0 || store_lease_take(x->s, x->im->who.owner, "import", &x->lease, err) != 0 ||
        store_layer_make(x->s, x->im->who.owner, x->lease, &src, &r, err) != 0)
        return err->code;
    return publish(x, &r, out_id, err);
}

int store_import(struct store *s, const struct store_import *im, char out_id[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct importing x = {.s = s, .im = im};
    int r;

    bh_arena_init(&x.arena, CONFIG_ARENA);
    r = import(&x, out_id, err);
    if (x.lease != STORE_LEASE_NONE) {
        store_lease_drop(s, &x.lease);
        store_gc_now(s);
    }
    bh_arena_fini(&x.arena);
    return r;
}
