/*
 * manifest_push.c - a document that a client made goes to a registry, with what it names.
 *
 * Room: registry.  Blobs and manifests that the target repository lacks are looked for in the repositories that the
 * client named; they are mounted, or copied where the registry does not mount.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/copy_int.h"
#include "svc-registry/manifest_put.h"
#include "svc-registry/upload.h"

#define DOCUMENT_ARENA ((size_t)64 << 20)

static int open_other(struct reg_copying *c, const char *repository, struct reg_source *out, struct bh_err *err) {
    struct bh_ref ref;

    if (bh_ref_parse(repository, &ref, err) != 0)
        return err->code;
    return reg_source_open(out, c->room, c->conf, &c->caller, &ref, REG_PULL, err);
}

static int missing(struct reg_copying *c, const char *kind, const struct bh_desc *d, struct bh_err *err) {
    bh_err_set(err, BH_E_NOT_FOUND, "%s: %s %s is not on the registry", c->familiar, kind, d->digest_text);
    return bh_err_reason(err, "no-such-blob");
}

static int bring_blob(struct reg_copying *c, const struct reg_manifest_push *ask, const struct bh_desc *d,
                      struct bh_err *err) {
    bool there = false;

    if (reg_upload_there(c->remote, d->digest_text, d->size, c->familiar, &there, err) != 0 || there)
        return err->code;
    for (size_t i = 0; i < ask->n_mount_from; i++) {
        struct reg_source from;
        int r;

        if (open_other(c, ask->mount_from[i], &from, err) != 0)
            return err->code;
        r = reg_copy_blob(c, &from, d, err);
        reg_source_close(&from);
        if (r != BH_E_NOT_FOUND)
            return r;
        bh_err_clear(err);
    }
    return missing(c, "blob", d, err);
}

struct entry_ask {
    struct reg_copying *c;
    const char *digest;
    struct reg_manifest *out;
};

static int ask_entry(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct entry_ask *a = arg;

    return reg_remote_manifest(remote, a->digest, a->c->familiar, a->out, err);
}

static int entry_there(struct reg_copying *c, const struct bh_desc *d, bool *out_there, struct bh_err *err) {
    struct reg_manifest m = {0};
    int r = reg_remote_manifest_head(c->remote, d->digest_text, c->familiar, &m, err);

    reg_manifest_fini(&m);
    *out_there = r == 0;
    if (r == BH_E_NOT_FOUND || r == BH_E_UNIMPLEMENTED) {
        bh_err_clear(err);
        r = 0;
    }
    return r;
}

static int bring_entry(struct reg_copying *c, const struct reg_manifest_push *ask, const struct bh_desc *d,
                       struct bh_err *err) {
    bool there = false;

    if (entry_there(c, d, &there, err) != 0 || there)
        return err->code;
    for (size_t i = 0; i < ask->n_mount_from; i++) {
        struct reg_manifest m = {0};
        struct entry_ask e = {.c = c, .digest = d->digest_text, .out = &m};
        struct reg_source from;
        int r;

        if (open_other(c, ask->mount_from[i], &from, err) != 0)
            return err->code;
        r = reg_source_ask(&from, ask_entry, &e, NULL, err);
        if (r == 0)
            r = reg_copy_tree(c, &from, &m, d->digest_text, 1, err);
        reg_manifest_fini(&m);
        reg_source_close(&from);
        if (r != BH_E_NOT_FOUND)
            return r;
        bh_err_clear(err);
    }
    return missing(c, "manifest", d, err);
}

static int bring_all(struct reg_copying *c, const struct reg_manifest_push *ask, const struct reg_document_info *info,
                     struct bh_err *err) {
    for (size_t i = 0; i < info->n_entries; i++)
        if (bring_entry(c, ask, &info->entries[i], err) != 0)
            return err->code;
    if (info->is_index)
        return 0;
    for (size_t i = 0; i < info->n_layers; i++)
        if (info->layers[i].urls.n == 0 && bring_blob(c, ask, &info->layers[i], err) != 0)
            return err->code;
    return bring_blob(c, ask, &info->config, err);
}

static int check_claims(const struct reg_manifest_push *ask, const struct reg_document_info *info, struct bh_err *err) {
    if (ask->size != 0 && ask->size != ask->data_size)
        return bh_err_set(err, BH_E_INVALID, "the document has %zu bytes where its descriptor says %llu",
                          ask->data_size, (unsigned long long)ask->size);
    if (ask->digest[0] == '\0' || strcmp(ask->digest, info->digest) == 0)
        return 0;
    bh_err_set(err, BH_E_DATA_LOSS, "the document has the digest %s where its descriptor says %s", info->digest,
               ask->digest);
    return bh_err_reason(err, "digest-mismatch");
}

static int push_document(struct reg_copying *c, const struct reg_manifest_push *ask, struct bh_arena *arena,
                         char out_digest[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    const struct reg_document doc = {.digest = c->target.digest,
                                     .media_type = ask->media_type,
                                     .data = ask->data,
                                     .size = ask->data_size,
                                     .read_only = true};
    struct reg_document_info info = {0};

    if (reg_hold_document(c->hold, &doc, arena, &info, err) != 0 || check_claims(ask, &info, err) != 0 ||
        bring_all(c, ask, &info, err) != 0)
        return err->code;
    const struct reg_manifest_put put = {.data = ask->data,
                                         .size = ask->data_size,
                                         .media_type = ask->media_type[0] != '\0' ? ask->media_type : info.media_type,
                                         .digest = info.digest,
                                         .name = c->target.digest[0] != '\0' ? c->target.digest : c->target.tag,
                                         .what = c->familiar};

    bh_str_copy(out_digest, BH_DIGEST_TEXT_SIZE, info.digest);
    return reg_manifest_put(c->remote, &put, err);
}

int reg_manifest_push(struct reg_room *room, const struct reg_manifest_push *ask, char out_digest[BH_DIGEST_TEXT_SIZE],
                      uint64_t *out_size, struct bh_err *err) {
    struct reg_copying c;
    struct bh_arena arena;
    int r;

    if (reg_copying_begin(&c, room, &ask->caller, ask->reference, err) != 0)
        return err->code;
    bh_arena_init(&arena, DOCUMENT_ARENA);
    r = push_document(&c, ask, &arena, out_digest, err);
    bh_arena_fini(&arena);
    reg_copying_end(&c);
    *out_size = ask->data_size;
    return r;
}
