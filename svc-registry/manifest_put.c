/*
 * manifest_put.c - see manifest_put.h.
 */
#include "svc-registry/manifest_put.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

int reg_manifest_put(struct reg_remote *remote, const struct reg_manifest_put *put, struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    char below[BH_DIGEST_TEXT_MAX + 16], type[300];
    const char *headers[] = {type};
    const struct reg_http_request req = {.method = "PUT",
                                         .headers = headers,
                                         .n_headers = BH_ARRAY_LEN(headers),
                                         .body = put->data,
                                         .body_size = put->size,
                                         .what = put->what};
    const char *told;

    snprintf(below, sizeof below, "manifests/%s", put->name);
    snprintf(type, sizeof type, "Content-Type: %s", put->media_type);
    if (reg_remote_send(remote, &req, below, &answer, err) != 0)
        return err->code;
    if (answer.status != 201 && answer.status != 200 && answer.status != 202)
        return reg_remote_status(remote, &answer, put->what, err);
    told = reg_http_header(&answer, "docker-content-digest");
    if (told[0] != '\0' && strcmp(told, put->digest) != 0) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: the registry stored %.140s where %s was sent", put->what, told,
                   put->digest);
        return bh_err_reason(err, "digest-mismatch");
    }
    return 0;
}
