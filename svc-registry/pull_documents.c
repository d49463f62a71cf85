/*
 * pull_documents.c - from the bytes that a name means to a manifest and its config.
 *
 * Room: registry.  The bytes are not read here: the store has a worker do it and gives back what they say.
 */
#include <string.h>

#include "base/mem.h"
#include "svc-registry/pull_int.h"

#define INDEX_DEPTH 3 /* indexes of indexes */

static int put_document(struct reg_pull_image *im, const struct reg_document *doc, struct reg_document_info *out,
                        struct bh_err *err) {
    *out = (struct reg_document_info){0};
    return reg_hold_document(im->p->hold, doc, &im->arena, out, err);
}

/* The entry for the platform; the bytes of an index say nothing about it that the store did not read. */
static const struct bh_desc *choose(struct reg_pull_image *im, const struct reg_document_info *index,
                                    struct bh_err *err) {
    const struct bh_index plain = {.entries = index->entries, .n_entries = index->n_entries};
    long at = bh_index_choose(&plain, &im->p->want);

    if (at >= 0)
        return &index->entries[at];
    bh_index_no_match(&im->p->want, im->familiar, err);
    return NULL;
}

struct manifest_ask {
    const char *digest, *what;
    struct reg_manifest *out;
};

static int ask_manifest(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct manifest_ask *a = arg;

    return reg_remote_manifest(remote, a->digest, a->what, a->out, err);
}

static int fetch_chosen(struct reg_pull_image *im, const struct bh_desc *entry, struct reg_document_info *out,
                        struct bh_err *err) {
    struct reg_manifest m = {0};
    struct manifest_ask ask = {.digest = entry->digest_text, .what = im->familiar, .out = &m};
    int r = reg_source_ask(&im->source, ask_manifest, &ask, NULL, err);

    if (r == 0 && m.data.len != entry->size) {
        r = bh_err_set(err, BH_E_DATA_LOSS, "manifest %s has %zu bytes where its index says %llu", entry->digest_text,
                       m.data.len, (unsigned long long)entry->size);
        bh_err_reason(err, "wrong-size");
    }
    if (r == 0) {
        const struct reg_document doc = {.digest = entry->digest_text,
                                         .media_type = m.media_type[0] != '\0' ? m.media_type : entry->media_type,
                                         .data = bh_buf_str(&m.data),
                                         .size = m.data.len};

        r = put_document(im, &doc, out, err);
    }
    reg_manifest_fini(&m);
    return r;
}

static int descend(struct reg_pull_image *im, struct reg_document_info *doc, struct bh_err *err) {
    for (unsigned depth = 0; doc->is_index; depth++) {
        const struct bh_desc *entry = choose(im, doc, err);
        struct reg_document_info next;

        if (entry == NULL)
            return err->code;
        if (depth == INDEX_DEPTH)
            return bh_err_set(err, BH_E_LIMIT, "%s: more than %d indexes within each other", im->familiar, INDEX_DEPTH);
        if (fetch_chosen(im, entry, &next, err) != 0)
            return err->code;
        *doc = next;
    }
    return 0;
}

struct config_ask {
    const struct bh_desc *desc;
    const char *what;
    struct bh_buf *out;
};

static int ask_config(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct config_ask *a = arg;

    bh_buf_reset(a->out);
    return reg_remote_blob(remote, a->desc->digest_text, a->desc->size, a->what, a->out, err);
}

static int warn_platform(struct reg_pull_image *im, const struct bh_platform *have, struct bh_err *err) {
    char want[BH_PLATFORM_TEXT_SIZE], got[BH_PLATFORM_TEXT_SIZE];

    if (have->os[0] == '\0' || bh_platform_rank(&im->p->want, have) >= 0)
        return 0;
    bh_platform_format(&im->p->want, want);
    bh_platform_format(have, got);
    return reg_tell_warning(im->listener, im->number, err, "%s is an image for %s; it was asked for %s", im->familiar,
                            got, want);
}

static int fetch_config(struct reg_pull_image *im, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT_MAX(REG_DOCUMENT_MAX);
    struct config_ask ask = {.desc = &im->manifest.config, .what = im->familiar, .out = &data};
    struct reg_document_info info;

    if (im->manifest.config.size > REG_DOCUMENT_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: its config of %llu bytes is larger than %zu", im->familiar,
                          (unsigned long long)im->manifest.config.size, REG_DOCUMENT_MAX);
    if (reg_source_ask(&im->source, ask_config, &ask, NULL, err) != 0)
        return err->code;
    const struct reg_document doc = {.digest = im->manifest.config.digest_text,
                                     .media_type = im->manifest.config.media_type,
                                     .data = bh_buf_str(&data),
                                     .size = data.len,
                                     .config = true};
    if (put_document(im, &doc, &info, err) != 0)
        return err->code;
    if (info.diff_ids.n != im->manifest.n_layers) {
        bh_err_set(err, BH_E_INVALID, "%s: its manifest has %zu layers, its config %zu", im->familiar,
                   im->manifest.n_layers, info.diff_ids.n);
        return bh_err_reason(err, "invalid-manifest");
    }
    im->diff_ids = info.diff_ids;
    return warn_platform(im, &info.platform, err);
}

int reg_pull_documents(struct reg_pull_image *im, const struct reg_manifest *top, struct bh_err *err) {
    const struct reg_document doc = {
        .digest = top->digest, .media_type = top->media_type, .data = bh_buf_str(&top->data), .size = top->data.len};

    if (put_document(im, &doc, &im->manifest, err) != 0)
        return err->code;
    im->top_is_index = im->manifest.is_index;
    if (descend(im, &im->manifest, err) != 0)
        return err->code;
    im->manifest_digest = im->manifest.digest;
    return im->manifest.not_an_image[0] != '\0' ? 0 : fetch_config(im, err);
}
