/*
 * act_build.c - see act_build.h.
 */
#include "act_build.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "store.pb-c.h"
#include "svc-store/assemble.h"
#include "svc-store/cache.h"
#include "svc-store/compose.h"
#include "svc-store/context.h"
#include "svc-store/gc.h"
#include "svc-store/lease.h"

/* ---- a client -------------------------------------------------------------------------------- */

struct client {
    struct bh_buf list;
    char **path; /* of each entry */
    size_t n;
    size_t cut;
    struct bh_buf chunk;
    uint64_t *wanted;
    size_t n_wanted;
    size_t at;
    unsigned step;
};

static struct client me; /* nftw has no argument */

static void add_varint(struct bh_buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        bh_buf_addc(b, (char)(v | 0x80));
    bh_buf_addc(b, (char)v);
}

static int add_entry(const char *path, const struct stat *st, int type, struct FTW *w) {
    Bulkhead__Store__V1__ContextEntry m = BULKHEAD__STORE__V1__CONTEXT_ENTRY__INIT;
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT_MAX((size_t)1 << 30);
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d = {.alg = BH_DIGEST_NONE};
    size_t n;

    (void)type;
    if (w->level == 0)
        return 0;
    m.path = (ProtobufCBinaryData){strlen(path + me.cut), (uint8_t *)path + me.cut};
    m.type = st->st_mode & S_IFMT;
    m.mode = st->st_mode & 07777;
    m.mtime_ns = st->st_mtim.tv_sec * 1000000000;
    if (S_ISREG(st->st_mode)) {
        if (bh_file_read(AT_FDCWD, path, (size_t)1 << 30, &data, &err) != 0)
            return -1;
        bh_digest_of(BH_DIGEST_SHA256, bh_buf_str(&data), data.len, &d, &err);
        m.size = data.len;
        m.sha256 = (ProtobufCBinaryData){32, d.bytes};
    }
    n = bulkhead__store__v1__context_entry__get_packed_size(&m);
    bh_buf_addc(&me.list, 0x0a);
    add_varint(&me.list, n);
    bulkhead__store__v1__context_entry__pack(&m, bh_buf_room(&me.list, n));
    bh_buf_grew(&me.list, n);
    me.path = bh_xrealloc(me.path, (me.n + 1) * sizeof *me.path);
    me.path[me.n++] = bh_xstrdup(path);
    return 0;
}

static int begin(void *arg, struct bh_err *err) {
    (void)arg;
    (void)err;
    return 0;
}

static int next_contents(const void **out, size_t *out_n, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT_MAX((size_t)1 << 30);

    bh_buf_reset(&me.chunk);
    while (me.at < me.n_wanted && me.chunk.len < (size_t)512 << 10) {
        bh_buf_reset(&data);
        if (bh_file_read(AT_FDCWD, me.path[me.wanted[me.at++]], (size_t)1 << 30, &data, err) != 0)
            return err->code;
        bh_buf_add(&me.chunk, bh_buf_str(&data), data.len);
    }
    *out = me.chunk.len > 0 ? me.chunk.data : NULL;
    *out_n = me.chunk.len;
    return 0;
}

static int recv_chunk(void *arg, const void **out, size_t *out_n, struct bh_err *err) {
    static const unsigned char end[] = {0x10, 1};

    (void)arg;
    if (me.step == 0 && me.list.len > 0) {
        *out = me.list.data;
        *out_n = me.list.len;
    } else if (me.step <= 1) {
        me.step = 1;
        *out = end;
        *out_n = sizeof end;
    } else {
        return next_contents(out, out_n, err);
    }
    me.step++;
    return 0;
}

static void stop(void *arg) {
    (void)arg;
}

static int want(void *arg, const uint64_t *numbers, size_t n, bool last, struct bh_err *err) {
    (void)arg;
    (void)last;
    (void)err;
    me.wanted = bh_xrealloc(me.wanted, (me.n_wanted + n + 1) * sizeof *me.wanted);
    if (n > 0)
        memcpy(me.wanted + me.n_wanted, numbers, n * sizeof *numbers);
    me.n_wanted += n;
    return 0;
}

/* ---- a build --------------------------------------------------------------------------------- */

static int64_t begun;

static void told(const char *what) {
    int64_t now = bh_mono_ns();

    if (begun != 0 && getenv("BH_TEST_TIMES") != NULL)
        fprintf(stderr, "%-16s %7.2f ms\n", what, (double)(now - begun) / 1e6);
    begun = bh_mono_ns();
}

static int put_context(struct store *s, const char *folder, const char *id, struct store_context_result *out,
                       struct bh_err *err) {
    struct store_context_put p = {
        .key = folder, .id = id, .begin = begin, .recv = recv_chunk, .stop = stop, .want = want, .cancel_fd = -1};

    me.step = 0;
    me.at = me.n_wanted = 0;
    return store_context_put(s, &p, out, err);
}

static int copy(struct store *s, const struct store_for *f, const char *context, bool only_digest,
                struct store_composed *out, struct bh_err *err) {
    Bulkhead__Store__V1__LayerComposeRequest q = BULKHEAD__STORE__V1__LAYER_COMPOSE_REQUEST__INIT;
    Bulkhead__Store__V1__ComposeItem item = BULKHEAD__STORE__V1__COMPOSE_ITEM__INIT;
    Bulkhead__Store__V1__ComposeItem *items[] = {&item};
    Bulkhead__Store__V1__LayerStack stack = BULKHEAD__STORE__V1__LAYER_STACK__INIT;
    ProtobufCBinaryData source = {1, (uint8_t *)"/"};

    stack.context = (char *)context;
    item.from = &stack;
    item.source = &source;
    item.n_source = 1;
    item.target = (ProtobufCBinaryData){5, (uint8_t *)"/app/"};
    item.contents = true;
    q.item = items;
    q.n_item = 1;
    q.only_digest = only_digest;
    return store_compose(s, f, &q, out, err);
}

static int image_of(struct store *s, const struct store_for *f, const char *layer, const char *name,
                    struct bh_arena *arena, struct bh_err *err) {
    const struct bh_history h = {.created = "", .created_by = "COPY . /app/", .author = "", .comment = ""};
    struct bh_image_config config;
    struct store_assembled made;
    struct bh_digest d;
    const struct store_assemble a = {
        .who = f->who, .lease = f->lease, .config = &config, .names = &name, .n_names = name != NULL, .parent = ""};

    bh_image_config_init(&config);
    config.os = "linux";
    config.architecture = "amd64";
    if (bh_digest_parse(layer, &d, err) != 0 || bh_image_config_add_layer(&config, &d, &h, arena, err) != 0)
        return err->code;
    return store_assemble(s, &a, arena, &made, err);
}

static int build(struct store *s, const struct store_for *f, const char *folder, const char *name,
                 struct bh_arena *arena, struct bh_err *err) {
    struct store_context_result context;
    struct store_composed digest, made;
    char *layers[1];
    struct store_cache_new c = {.diff_ids = layers,
                                .n_diff_ids = 1,
                                .kind = "regular",
                                .description = "COPY . /app/",
                                .note = "",
                                .replace = true};
    bool stays;

    me.cut = strlen(folder) + 1;
    me.list.max = (size_t)1 << 30;
    begun = bh_mono_ns();
    if (nftw(folder, add_entry, 32, FTW_PHYS) != 0)
        return bh_err_set(err, BH_E_INVALID, "cannot read %s", folder);
    told("walk, hash");
    if (put_context(s, folder, "", &context, err) != 0)
        return err->code;
    told("context");
    if (copy(s, f, context.id, true, &digest, err) != 0)
        return err->code;
    told("digest");
    if (copy(s, f, context.id, false, &made, err) != 0)
        return err->code;
    told("layer");
    c.key = digest.content;
    layers[0] = made.layer.diff_id;
    if (store_cache_put(s, &f->who, f->lease, &c, &stays, err) != 0)
        return err->code;
    told("cache");
    if (image_of(s, f, made.layer.diff_id, NULL, arena, err) != 0)
        return err->code;
    told("image");
    if (image_of(s, f, made.layer.diff_id, name, arena, err) != 0)
        return err->code;
    told("named image");
    return 0;
}

static int again(struct store *s, const struct store_for *f, const char *folder, struct bh_err *err) {
    struct store_context_result context;
    struct store_composed digest;

    begun = bh_mono_ns();
    if (put_context(s, folder, "", &context, err) != 0)
        return err->code;
    told("known list");
    if (copy(s, f, context.id, true, &digest, err) != 0)
        return err->code;
    told("known digest");
    /* one more file: what is there is not sent again */
    bh_buf_add(&me.list, "\x0a\x0a\x0a\x04zzzz\x10\x80\x80\x01", 12);
    if (put_context(s, folder, "", &context, err) != 0)
        return err->code;
    told("changed context");
    if (copy(s, f, context.id, true, &digest, err) != 0)
        return err->code;
    told("changed digest");
    return 0;
}

int act_build(struct store *s, const char *folder, const char *name, struct bh_err *err) {
    struct store_for f = {.who = {.all = true}, .cancel_fd = -1};
    struct bh_arena arena;

    bh_arena_init(&arena, (size_t)16 << 20);
    if (store_lease_take(s, 0, "build", &f.lease, err) == 0 && build(s, &f, folder, name, &arena, err) == 0 &&
        getenv("BH_TEST_TIMES") != NULL)
        again(s, &f, folder, err);
    store_lease_drop(s, &f.lease);
    store_gc_now(s);
    bh_arena_fini(&arena);
    return err->code;
}
