/*
 * system_rpc.c - handlers about the store itself: df, check, info.
 *
 * Room: store.
 */
#include <stdio.h>

#include "check.h"
#include "df.h"
#include "image_rpc.h"
#include "methods.h"
#include "store.pb-c.h"
#include "unpack/jobs.h"

#define MSG(name) Bulkhead__Store__V1__##name

static int df_images(struct store *s, const struct store_who *who, struct bh_arena *arena, struct store_image **out,
                     size_t *out_n, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;

    if (store_read_begin(s->index, &db, err) != 0 || store_image_list(db, who, arena, out, out_n, err) != 0)
        return err->code;
    return store_image_sizes(db, *out, *out_n, err);
}

int store_rpc_df(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    MSG(DfReply) reply = BULKHEAD__STORE__V1__DF_REPLY__INIT;
    STORE_SCOPE_ARENA struct bh_arena arena;
    struct store_image *images;
    struct store_df df;
    size_t n;

    (void)request;
    bh_arena_init(&arena, STORE_REPLY_ARENA);
    if (store_df(room, &who, &df, err) != 0 || df_images(room, &who, &arena, &images, &n, err) != 0 ||
        store_summaries_msg(images, n, &arena, &reply.image, err) != 0)
        return err->code;
    reply.n_image = n;
    for (size_t i = 0; i < n; i++)
        reply.image[i]->n_label = 0; /* nobody asks df for labels, and a message has a limit */
    reply.images = df.images;
    reply.images_active = df.active;
    reply.images_size = df.size;
    reply.images_reclaimable = df.reclaimable;
    reply.disk_bytes = df.disk;
    reply.blobs_size = df.blobs;
    reply.partials = df.partials;
    reply.partials_size = df.partials_size;
    return bh_call_reply(call, &reply.base, err);
}

/* ---- check --------------------------------------------------------------------------------- */

static int finding(void *arg, const struct store_finding *f, struct bh_err *err) {
    MSG(CheckFinding) m = BULKHEAD__STORE__V1__CHECK_FINDING__INIT;

    m.kind = (char *)f->kind;
    m.object = (char *)f->object;
    m.text = (char *)f->text;
    m.repaired = f->repaired;
    return bh_call_send_msg(arg, &m.base, err);
}

static bool cancelled(void *arg) {
    return bh_call_cancelled(arg);
}

int store_rpc_check(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(CheckRequest) *req = (const MSG(CheckRequest) *)request;
    const struct store_check check = {
        .repair = req->repair, .quick = req->quick, .found = finding, .cancelled = cancelled, .arg = call};
    MSG(CheckFinding) last = BULKHEAD__STORE__V1__CHECK_FINDING__INIT;
    uint64_t findings;
    char text[120];

    if (store_check(room, &check, &last.checked, &findings, err) != 0)
        return err->code;
    snprintf(text, sizeof text, "%llu objects checked, %llu findings", (unsigned long long)last.checked,
             (unsigned long long)findings);
    last.text = text;
    last.done = true;
    return bh_call_send_msg(call, &last.base, err);
}

/* ---- info ---------------------------------------------------------------------------------- */

static char *keep_name(enum store_keep keep) {
    static char *const names[] = {
        [STORE_KEEP_SOURCE] = (char *)"source",
        [STORE_KEEP_ALWAYS] = (char *)"always",
        [STORE_KEEP_NEVER] = (char *)"never",
    };

    return names[keep];
}

struct limit_text {
    Bulkhead__Common__V1__Pair pair;
    char value[24];
};

static void add_limit(struct limit_text *t, Bulkhead__Common__V1__Pair **v, size_t *n, const char *key, uint64_t value,
                      uint64_t fallback) {
    struct limit_text *l = &t[*n];

    bulkhead__common__v1__pair__init(&l->pair);
    snprintf(l->value, sizeof l->value, "%llu", (unsigned long long)(value != 0 ? value : fallback));
    l->pair.key = (char *)key;
    l->pair.value = l->value;
    v[(*n)++] = &l->pair;
}

static size_t add_limits(const struct store_options *o, struct limit_text *t, Bulkhead__Common__V1__Pair **v) {
    size_t n = 0;

    add_limit(t, v, &n, "entries", o->max_entries, BH_JOB_DEF_ENTRIES);
    add_limit(t, v, &n, "unpacked", o->max_unpacked, BH_JOB_DEF_UNPACKED);
    add_limit(t, v, &n, "archive", o->max_archive, 0);
    add_limit(t, v, &n, "document", o->max_document, BH_JOB_DEF_DOCUMENT);
    add_limit(t, v, &n, "path", o->max_path, BH_JOB_DEF_PATH);
    add_limit(t, v, &n, "depth", o->max_depth, BH_JOB_DEF_DEPTH);
    add_limit(t, v, &n, "xattrs", o->max_xattrs, BH_JOB_DEF_XATTRS);
    add_limit(t, v, &n, "layers", o->max_layers, BH_JOB_DEF_LAYERS);
    add_limit(t, v, &n, "images", o->max_images, BH_JOB_DEF_IMAGES);
    return n;
}

int store_rpc_info(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const struct store_who who = store_who_of(call);
    const struct store_options options = store_options_now(room);
    MSG(InfoReply) reply = BULKHEAD__STORE__V1__INFO_REPLY__INIT;
    Bulkhead__Common__V1__Pair *limits[16];
    struct limit_text texts[16];
    struct store_df df;

    (void)request;
    if (store_df(room, &who, &df, err) != 0)
        return err->code;
    reply.images = df.images;
    reply.names = df.names;
    reply.layers = df.layers;
    reply.disk_bytes = df.disk;
    reply.free_bytes = df.free;
    reply.keep = keep_name(options.keep);
    reply.n_limit = add_limits(&options, texts, limits);
    reply.limit = limits;
    return bh_call_reply(call, &reply.base, err);
}
