/*
 * document_job.c - one manifest, index or config, read strictly and told as messages.
 *
 * Room: worker.  The bytes themselves stay with the store; what is told here is what they say.
 */
#include <string.h>

#include "base/fdio.h"
#include "imageconf/imageconf.h"
#include "oci/config.h"
#include "oci/manifest.h"
#include "unpack/job.h"
#include "unpack/limits.h"
#include "unpack/result_pb.h"
#include "unpack/source.h"

static int read_source(const struct unp_fds *fds, const struct bh_job_params *p, const char *what, struct bh_buf *out,
                       char digest[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    struct unp_source source;
    struct bh_digest d;
    int rc = unp_source_open(&source, fds->source, p->offset, p->size, err);
    if (rc == 0)
        rc = unp_source_whole(&source, p->max_document, what, out, err);
    if (rc == 0)
        rc = bh_digest_of(BH_DIGEST_SHA256, bh_buf_str(out), out->len, &d, err);
    if (rc == 0)
        bh_digest_format(&d, digest);
    return rc;
}

static int pairs(const struct bh_pairs *p, struct bh_arena *arena, size_t *out_n, Bulkhead__Common__V1__Pair ***out,
                 struct bh_err *err) {
    Bulkhead__Common__V1__Pair *v = p->n == 0 ? NULL : bh_oci_alloc(arena, p->n * sizeof *v, err);
    *out = p->n == 0 ? NULL : bh_oci_alloc(arena, p->n * sizeof **out, err);
    if (p->n > 0 && (v == NULL || *out == NULL))
        return err->code;
    for (size_t i = 0; i < p->n; i++) {
        v[i] = (Bulkhead__Common__V1__Pair)BULKHEAD__COMMON__V1__PAIR__INIT;
        v[i].key = (char *)p->v[i].key;
        v[i].value = (char *)p->v[i].value;
        (*out)[i] = &v[i];
    }
    *out_n = p->n;
    return 0;
}

static int descriptors(const struct bh_desc *v, size_t n, struct bh_arena *arena, size_t *out_n,
                       Bulkhead__Image__V1__Descriptor ***out, struct bh_err *err) {
    *out_n = 0;
    *out = n == 0 ? NULL : bh_oci_alloc(arena, n * sizeof **out, err);
    if (n > 0 && *out == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        int rc = bh_imageconf_desc_to_msg(&v[i], arena, &(*out)[i], err);
        if (rc != 0)
            return rc;
        (*out_n)++;
    }
    return 0;
}

static int manifest(const struct bh_manifest *m, struct bh_arena *arena, Bulkhead__Worker__V1__DocumentResult *pb,
                    struct bh_err *err) {
    struct bh_err why = BH_ERR_INIT;
    int rc = bh_imageconf_desc_to_msg(&m->config, arena, &pb->config, err);
    if (rc == 0)
        rc = descriptors(m->layers, m->n_layers, arena, &pb->n_layers, &pb->layers, err);
    if (rc == 0 && m->has_subject)
        rc = bh_imageconf_desc_to_msg(&m->subject, arena, &pb->subject, err);
    if (rc == 0)
        rc = pairs(&m->annotations, arena, &pb->n_annotations, &pb->annotations, err);
    pb->media_type = (char *)m->media_type;
    pb->artifact_type = (char *)m->artifact_type;
    if (rc == 0 && bh_manifest_check_image(m, "manifest", &why) != 0)
        pb->not_an_image = (char *)bh_oci_strdup(arena, why.msg, strlen(why.msg), err);
    return rc;
}

static int index_of(const struct bh_index *x, struct bh_arena *arena, Bulkhead__Worker__V1__DocumentResult *pb,
                    struct bh_err *err) {
    int rc = descriptors(x->entries, x->n_entries, arena, &pb->n_entries, &pb->entries, err);
    if (rc == 0 && x->has_subject)
        rc = bh_imageconf_desc_to_msg(&x->subject, arena, &pb->subject, err);
    if (rc == 0)
        rc = pairs(&x->annotations, arena, &pb->n_annotations, &pb->annotations, err);
    pb->is_index = true;
    pb->media_type = (char *)x->media_type;
    pb->artifact_type = (char *)x->artifact_type;
    return rc;
}

static int document(const struct bh_buf *data, const char *media, const struct bh_job_params *p, struct bh_arena *arena,
                    char *digest, struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Worker__V1__DocumentResult pb = BULKHEAD__WORKER__V1__DOCUMENT_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    const struct bh_oci_limits limits = unp_oci_limits(p);
    struct bh_doc doc;
    int rc = bh_doc_parse(bh_buf_str(data), data->len, media, "manifest", &limits, arena, &doc, err);
    if (rc != 0)
        return rc;
    pb.digest = digest;
    pb.size = data->len;
    rc = doc.kind == BH_DOC_INDEX ? index_of(&doc.index, arena, &pb, err) : manifest(&doc.manifest, arena, &pb, err);
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_DOCUMENT;
    r.document = &pb;
    return rc != 0 ? rc : unp_result_pack(&r, result, err);
}

static int config(const struct bh_buf *data, const struct bh_job_params *p, struct bh_arena *arena, char *digest,
                  struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Worker__V1__ConfigResult pb = BULKHEAD__WORKER__V1__CONFIG_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    const struct bh_oci_limits limits = unp_oci_limits(p);
    struct bh_image_config c;
    int rc = bh_image_config_parse(bh_buf_str(data), data->len, "image config", &limits, arena, &c, err);
    if (rc == 0)
        rc = bh_imageconf_to_msg(&c, arena, &pb.config, err);
    pb.digest = digest;
    pb.size = data->len;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_CONFIG;
    r.config = &pb;
    return rc != 0 ? rc : unp_result_pack(&r, result, err);
}

static int read_and_tell(const struct unp_fds *fds, const struct bh_job_params *p, bool is_config, const char *media,
                         struct bh_buf *result, struct bh_err *err) {
    char digest[BH_DIGEST_TEXT_SIZE];
    struct bh_buf data = BH_BUF_INIT;
    struct bh_arena arena;
    bh_arena_init(&arena, UNP_DOCUMENT_ARENA);
    int rc = read_source(fds, p, is_config ? "image config" : "manifest", &data, digest, err);
    if (rc == 0)
        rc = is_config ? config(&data, p, &arena, digest, result, err)
                       : document(&data, media, p, &arena, digest, result, err);
    bh_arena_fini(&arena);
    bh_buf_fini(&data);
    return rc;
}

int unp_job_document(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                     struct bh_err *err) {
    char media[BH_JOB_MEDIA_MAX + 1] = "";
    ssize_t n = fds->n_more > 0 ? bh_pread_full(fds->more, media, sizeof media, 0) : 0;
    if (n < 0 || n > BH_JOB_MEDIA_MAX)
        return bh_err_set(err, BH_E_INVALID, "worker: it was not told what to read");
    media[n] = '\0';
    return read_and_tell(fds, p, false, media, result, err);
}

int unp_job_config(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                   struct bh_err *err) {
    return read_and_tell(fds, p, true, "", result, err);
}
