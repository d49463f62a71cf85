/*
 * document.c - see document.h.
 */
#include "document.h"

#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "oci/digest.h"
#include "result.h"
#include "unpack/jobs.h"
#include "worker.h"

#define CHECK_ARENA ((size_t)96 << 20)

static const char *noun(const struct store_document_in *d) {
    return d->config ? "image config" : "manifest";
}

static int check_size(struct store *s, const struct store_document_in *d, struct bh_err *err) {
    uint64_t max = store_options_now(s).max_document;

    max = max != 0 ? max : BH_JOB_DEF_DOCUMENT;
    if (d->n <= max)
        return 0;
    bh_err_set(err, BH_E_LIMIT, "%s: too long, limits.document is %llu", noun(d), (unsigned long long)max);
    bh_err_hint(err, "if this is meant to be loaded, raise limits.document in the engine's config");
    return bh_err_reason(err, "limit");
}

static int check_digest(const struct store_document_in *d, char out[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct bh_digest want, got;

    if (bh_digest_of(BH_DIGEST_SHA256, d->data, d->n, &got, err) != 0)
        return err->code;
    bh_digest_format(&got, out);
    if (d->digest[0] == '\0')
        return 0;
    if (bh_digest_parse(d->digest, &want, err) != 0)
        return err->code;
    if (want.alg != BH_DIGEST_SHA256) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "%s %.24s..: only sha256 content is stored here", noun(d), d->digest);
        return bh_err_reason(err, "digest-algorithm");
    }
    return bh_digest_verify(&want, d->data, d->n, noun(d), err);
}

/* The Result is looked at before anybody relies on it; what kind of document it was is found on the way. */
static int check_result(const struct store_document_in *d, const struct bh_buf *packed, const char *digest,
                        enum store_doc_kind *out, struct bh_err *err) {
    struct store_document_result r;
    struct bh_image_config config;
    struct bh_arena arena;
    const void *reduced;
    size_t n;

    bh_arena_init(&arena, CHECK_ARENA);
    *out = STORE_DOC_CONFIG;
    if (d->config)
        store_result_config(packed, &arena, &config, &reduced, &n, err);
    else if (store_result_document(packed, &arena, &r, err) == 0)
        *out = r.is_index ? STORE_DOC_INDEX : STORE_DOC_MANIFEST;
    bh_arena_fini(&arena);
    return err->code != 0 ? bh_err_prefix(err, "%.19s", digest) : 0;
}

static int read_it(struct store *s, const struct store_document_in *d, struct bh_buf *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int text = -1, media = -1;
    struct store_job job = {.name = d->config ? BH_JOB_CONFIG : BH_JOB_DOCUMENT,
                            .what = noun(d),
                            .out = -1,
                            .blob = -1,
                            .size = BH_JOB_TO_END,
                            .brief = true,
                            .cancel_fd = d->cancel_fd};

    if (strlen(d->media) > BH_JOB_MEDIA_MAX)
        return bh_err_set(err, BH_E_INVALID, "%s: its media type has more than %d bytes", noun(d), BH_JOB_MEDIA_MAX);
    if (store_memory_file("document", d->data, d->n, &text, err) != 0 ||
        (d->media[0] != '\0' && store_memory_file("media", d->media, strlen(d->media), &media, err) != 0))
        return err->code;
    job.source = text;
    job.more = &media;
    job.n_more = media >= 0 ? 1 : 0;
    return store_worker_run(s, &job, out, err);
}

/* Read under this hold before, with the same media type or none: a body that names its type agreed with it. */
static bool known(struct store *s, struct store_hold *h, const struct store_document_in *d, const char *digest,
                  struct bh_buf *out) {
    const struct store_hold_doc *doc = NULL;

    if (d->config)
        doc = store_hold_find(s, h, digest, STORE_DOC_CONFIG);
    else if (d->media[0] == '\0' && (doc = store_hold_find(s, h, digest, STORE_DOC_MANIFEST)) == NULL)
        doc = store_hold_find(s, h, digest, STORE_DOC_INDEX);
    if (doc == NULL)
        return false;
    bh_buf_add(out, doc->packed, doc->n_packed);
    return !bh_buf_failed(out);
}

int store_document_in(struct store *s, struct store_hold *h, const struct store_document_in *d, struct bh_buf *out,
                      char out_digest[STORE_DIGEST_SIZE], struct bh_err *err) {
    struct store_hold_doc doc = {.data = d->data, .n = d->n};
    const struct store_hold_doc *kept;

    if (check_size(s, d, err) != 0 || check_digest(d, out_digest, err) != 0)
        return err->code;
    if (known(s, h, d, out_digest, out))
        return 0;
    if (read_it(s, d, out, err) != 0 || check_result(d, out, out_digest, &doc.kind, err) != 0)
        return err->code;
    if (d->read_only)
        return 0;
    memcpy(doc.digest, out_digest, sizeof doc.digest);
    doc.packed = out->data;
    doc.n_packed = out->len;
    return store_hold_add(s, h, &doc, &kept, err);
}
