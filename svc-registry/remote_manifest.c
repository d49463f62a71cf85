/*
 * remote_manifest.c - manifests and small blobs of a remote, as bytes with the digest that they must have.
 *
 * Room: registry.  The bytes are not read here: whoever wants to know what they say asks the store, which has a worker
 * read them.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "svc-registry/remote.h"

static const char *const accepted[] = {"Accept: " BH_MT_OCI_INDEX ", " BH_MT_OCI_MANIFEST ", " BH_MT_DOCKER_LIST
                                       ", " BH_MT_DOCKER_MANIFEST ", " BH_MT_DOCKER_SCHEMA1_SIGNED
                                       ";q=0.1, */*;q=0.01"};

static void take_type(const struct reg_http_response *answer, struct reg_manifest *out) {
    const char *type = reg_http_header(answer, "content-type");
    size_t n = strcspn(type, "; \t");

    (void)bh_str_copy_n(out->media_type, sizeof out->media_type, type, n);
    /* What servers say that do not know it is no word about the content. */
    if (strcmp(out->media_type, "application/json") == 0 || strcmp(out->media_type, "text/plain") == 0 ||
        strcmp(out->media_type, "application/octet-stream") == 0)
        out->media_type[0] = '\0';
}

static int manifest_url(const char *tag_or_digest, char out[300], const char *what, struct bh_err *err) {
    if (snprintf(out, 300, "manifests/%s", tag_or_digest) < 300)
        return 0;
    return bh_err_set(err, BH_E_INVALID, "%s: the tag or digest is too long", what);
}

/* Asked for by digest: it counts.  By tag: what the header says must be true. */
static int check_digest(const struct reg_http_response *answer, const char *asked, const char *what,
                        struct reg_manifest *out, struct bh_err *err) {
    const char *told = reg_http_header(answer, "docker-content-digest");
    struct bh_digest want, have;
    struct bh_err ignored = BH_ERR_INIT;

    if (strchr(asked, ':')) {
        if (bh_digest_parse(asked, &want, err) != 0 ||
            bh_digest_verify(&want, out->data.data, out->data.len, what, err) != 0)
            return err->code;
        return bh_str_copy(out->digest, sizeof out->digest, asked) ? 0 : BH_E_INVALID;
    }
    if (*told && bh_digest_parse(told, &want, &ignored) == 0) {
        if (bh_digest_verify(&want, out->data.data, out->data.len, what, err) != 0)
            return err->code;
        have = want;
    } else if (bh_digest_of(BH_DIGEST_SHA256, out->data.data, out->data.len, &have, err) != 0) {
        return err->code;
    }
    bh_digest_format(&have, out->digest);
    return 0;
}

int reg_remote_manifest(struct reg_remote *r, const char *tag_or_digest, const char *what, struct reg_manifest *out,
                        struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    struct reg_http_request req = {.method = "GET", .headers = accepted, .n_headers = 1, .what = what};
    char below[300];

    memset(out, 0, sizeof *out);
    if (manifest_url(tag_or_digest, below, what, err) != 0 || reg_remote_send(r, &req, below, &answer, err) != 0)
        return err->code;
    if (answer.status != 200)
        return reg_remote_manifest_status(r, &answer, what, err);
    out->data = answer.body;
    answer.body = (struct bh_buf)BH_BUF_INIT;
    take_type(&answer, out);
    if (check_digest(&answer, tag_or_digest, what, out, err) != 0) {
        reg_manifest_fini(out);
        return err->code;
    }
    return 0;
}

void reg_manifest_fini(struct reg_manifest *m) {
    bh_buf_fini(&m->data);
}

int reg_remote_manifest_head(struct reg_remote *r, const char *tag_or_digest, const char *what,
                             struct reg_manifest *out, struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    struct reg_http_request req = {.method = "HEAD", .headers = accepted, .n_headers = 1, .what = what};
    struct bh_digest d;
    struct bh_err ignored = BH_ERR_INIT;
    char below[300];

    memset(out, 0, sizeof *out);
    if (manifest_url(tag_or_digest, below, what, err) != 0 || reg_remote_send(r, &req, below, &answer, err) != 0)
        return err->code;
    if (answer.status != 200)
        return reg_remote_manifest_status(r, &answer, what, err);
    if (bh_digest_parse(reg_http_header(&answer, "docker-content-digest"), &d, &ignored) != 0)
        return bh_err_set(err, BH_E_UNIMPLEMENTED, "%s: the registry tells no digest", what);
    take_type(&answer, out);
    bh_digest_format(&d, out->digest);
    return 0;
}

int reg_remote_blob(struct reg_remote *r, const char *digest, uint64_t size, const char *what, struct bh_buf *out,
                    struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    struct reg_http_request req = {.method = "GET", .what = what};
    struct bh_digest d;
    char below[300];

    if (bh_digest_parse(digest, &d, err) != 0)
        return bh_err_prefix(err, "%s", what);
    if (size > REG_DOCUMENT_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: %llu bytes are too many for a document", what,
                          (unsigned long long)size);
    snprintf(below, sizeof below, "blobs/%s", digest);
    req.max_body = size ? size : 1;
    if (reg_remote_send(r, &req, below, &answer, err) != 0)
        return err->code;
    if (answer.status != 200)
        return reg_remote_status(r, &answer, what, err);
    if (answer.body.len != size) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: %zu bytes came, %llu were announced", what, answer.body.len,
                   (unsigned long long)size);
        return bh_err_reason(err, "size-mismatch");
    }
    if (bh_digest_verify(&d, answer.body.data ? answer.body.data : "", answer.body.len, what, err) != 0)
        return err->code;
    *out = answer.body;
    answer.body = (struct bh_buf)BH_BUF_INIT;
    return 0;
}
