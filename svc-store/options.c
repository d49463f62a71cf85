/*
 * options.c - the store's part of the engine's config: tables [store] and [limits].
 *
 * Room: store.  The file is the administrator's; a value that is wrong stops the start with its line.
 *
 *   [store]                        [limits]            0 or absent: the default
 *   keep = "always"                entries, unpacked, archive, document,
 *   verify_layers = false          path, depth, xattrs, layers, images
 *   workers = 4
 *   reserve = "4MiB"
 *   partial_days = 7
 *
 *   [build]
 *   cache_max = "10GiB"            0 or absent: 10 GiB, or a fifth of the disk if that is less
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "store.h"

#define NAME "engine config"

void store_options_init(struct store_options *o) {
    *o = (struct store_options){
        .keep = STORE_KEEP_ALWAYS,
        .partial_days = 7,
        .reserve = (uint64_t)4 << 20,
        .max_archive = (uint64_t)64 << 30,
    };
}

static int read_keep(struct bh_conf_table *t, enum store_keep *out, struct bh_err *err) {
    const char *text;
    int r = bh_conf_get_str(t, "store.keep", &text, err);

    if (r <= 0)
        return r;
    if (strcmp(text, "source") == 0)
        *out = STORE_KEEP_SOURCE;
    else if (strcmp(text, "always") == 0)
        *out = STORE_KEEP_ALWAYS;
    else if (strcmp(text, "never") == 0)
        *out = STORE_KEEP_NEVER;
    else {
        bh_err_set(err, BH_E_INVALID, "%s: store.keep = \"%.40s\" is not known", NAME, text);
        return bh_err_hint(err, "one of \"source\", \"always\", \"never\"");
    }
    return 1;
}

static int read_number(struct bh_conf_table *t, const char *key, uint64_t max, uint32_t *out, struct bh_err *err) {
    uint64_t n = *out;
    int r = bh_conf_get_u64(t, key, 0, max, &n, err);

    *out = (uint32_t)n;
    return r;
}

static int read_all(struct store_options *o, struct bh_conf_table *t, struct bh_err *err) {
    uint32_t workers = o->workers;

    if (read_keep(t, &o->keep, err) < 0 || bh_conf_get_bool(t, "store.verify_layers", &o->rehash, err) < 0 ||
        read_number(t, "store.workers", 64, &workers, err) < 0 ||
        bh_conf_get_bytes(t, "store.reserve", &o->reserve, err) < 0 ||
        bh_conf_get_bytes(t, "build.cache_max", &o->max_cache, err) < 0 ||
        read_number(t, "store.partial_days", 3650, &o->partial_days, err) < 0 ||
        bh_conf_get_u64(t, "limits.entries", 0, UINT32_MAX, &o->max_entries, err) < 0 ||
        bh_conf_get_bytes(t, "limits.unpacked", &o->max_unpacked, err) < 0 ||
        bh_conf_get_bytes(t, "limits.archive", &o->max_archive, err) < 0 ||
        bh_conf_get_bytes(t, "limits.document", &o->max_document, err) < 0 ||
        read_number(t, "limits.path", 4096, &o->max_path, err) < 0 ||
        read_number(t, "limits.depth", 4096, &o->max_depth, err) < 0 ||
        read_number(t, "limits.xattrs", 65536, &o->max_xattrs, err) < 0 ||
        read_number(t, "limits.layers", 500, &o->max_layers, err) < 0 ||
        read_number(t, "limits.images", 10000, &o->max_images, err) < 0)
        return err->code;
    o->workers = workers;
    return 0;
}

/* A typing error must not pass for a default. */
static int check_keys(struct bh_conf_table *top, struct bh_err *err) {
    static const char *const known[][2] = {
        {"store", " keep verify_layers workers reserve partial_days "},
        {"limits", " entries unpacked archive document path depth xattrs layers images "},
        {"build", " cache_max "},
    };
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_LEN(known) && r >= 0; i++) {
        struct bh_conf_table *t;

        r = bh_conf_get_table(top, known[i][0], &t, err);
        if (r == 1)
            r = bh_conf_only_keys(t, known[i][1], err);
    }
    return r < 0 ? r : 0;
}

int store_options_read(struct store_options *o, const char *text, size_t n, struct bh_err *err) {
    BH_SCOPE_CONF struct bh_conf *conf = NULL;
    struct store_options read = *o;

    if (n == 0)
        return 0;
    if (bh_conf_parse(text, n, NAME, &conf, err) != 0 || check_keys(bh_conf_root(conf), err) != 0 ||
        read_all(&read, bh_conf_root(conf), err) != 0)
        return err->code;
    *o = read;
    return 0;
}

struct store_options store_options_now(struct store *s) {
    struct store_options now;

    pthread_mutex_lock(&s->options_lock);
    now = s->options;
    pthread_mutex_unlock(&s->options_lock);
    return now;
}

void store_options_set(struct store *s, const struct store_options *options) {
    pthread_mutex_lock(&s->options_lock);
    unsigned workers = s->options.workers;
    uint64_t reserve = s->options.reserve;

    s->options = *options;
    s->options.workers = workers;
    s->options.reserve = reserve;
    pthread_mutex_unlock(&s->options_lock);
}
