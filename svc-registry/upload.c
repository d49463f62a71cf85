/*
 * upload.c - see upload.h.
 */
#include "svc-registry/upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/url.h"

#define CHUNK     ((uint64_t)16 << 20) /* when the registry wants chunks and says no size that is larger */
#define CHUNK_MAX ((uint64_t)1 << 30)  /* a registry that wants more than this is not served */

void reg_upload_init(struct reg_upload *u, struct reg_remote *remote, const char *what) {
    *u = (struct reg_upload){.remote = remote, .what = what};
}

void reg_upload_fini(struct reg_upload *u) {
    reg_http_response_fini(&u->answer);
}

/* Where it goes on.  An answer without a Location leaves the address as it was. */
static int follow(struct reg_upload *u, struct bh_err *err) {
    const char *min = reg_http_header(&u->answer, "oci-chunk-min-length");

    if (reg_http_header(&u->answer, "location")[0] == '\0') {
        if (u->begun)
            return 0;
        bh_err_set(err, BH_E_INVALID, "%s: the registry began an upload and did not say where", u->what);
        return bh_err_reason(err, "bad-answer");
    }
    if (reg_remote_location(u->remote, &u->answer, u->location, err) != 0)
        return err->code;
    if (min[0] != '\0' && (!bh_str_u64(min, &u->chunk_min) || u->chunk_min > CHUNK_MAX)) {
        bh_err_set(err, BH_E_INVALID, "%s: the registry wants chunks of \"%.40s\" bytes", u->what, min);
        return bh_err_reason(err, "bad-answer");
    }
    u->begun = true;
    return 0;
}

static int refused(struct reg_upload *u, struct bh_err *err) {
    return reg_remote_status(u->remote, &u->answer, u->what, err);
}

int reg_upload_begin(struct reg_upload *u, const char *digest, const char *from, bool *out_mounted,
                     struct bh_err *err) {
    char below[REG_URL_SIZE] = "blobs/uploads/";
    const struct reg_http_request req = {.method = "POST", .what = u->what};

    *out_mounted = false;
    u->begun = false;
    u->at = 0;
    u->chunk_min = 0;
    if (from != NULL && (!reg_url_add_query(below, "mount", digest) || !reg_url_add_query(below, "from", from)))
        return bh_err_set(err, BH_E_INVALID, "%s: the address is too long", u->what);
    if (reg_remote_send(u->remote, &req, below, &u->answer, err) != 0)
        return err->code;
    if (from != NULL && u->answer.status == 201) {
        *out_mounted = true;
        return 0;
    }
    return u->answer.status == 202 ? follow(u, err) : refused(u, err);
}

void reg_upload_abandon(struct reg_upload *u) {
    const struct reg_http_request req = {.method = "DELETE", .url = u->location, .tries = 1, .what = u->what};
    struct bh_err err = BH_ERR_INIT;

    if (u->begun)
        (void)reg_remote_send(u->remote, &req, NULL, &u->answer, &err);
    u->begun = false;
}

/* ---- chunks ------------------------------------------------------------------------------------ */

/* The request of bytes [at, at + n) of the blob. */
static void body_of(struct reg_http_request *req, const struct reg_upload_blob *blob, uint64_t at, uint64_t n) {
    req->body_size = n;
    if (blob->data != NULL) {
        req->body = (const char *)blob->data + at;
        return;
    }
    req->from_fd = true;
    req->fd = blob->fd;
    req->fd_at = blob->offset + (off_t)at;
}

struct part {
    uint64_t before; /* bytes of the blob that went earlier */
    const struct reg_upload_watch *watch;
};

static void part_sent(void *arg, uint64_t bytes) {
    const struct part *p = arg;

    if (p->watch->sent != NULL)
        p->watch->sent(p->watch->arg, p->before + bytes);
}

/* Bytes [from, from + n) of blob, which are the next of the upload. */
static int patch(struct reg_upload *u, const struct reg_upload_blob *blob, uint64_t from, uint64_t n,
                 const struct reg_upload_watch *watch, struct bh_err *err) {
    char range[64];
    const char *headers[] = {"Content-Type: application/octet-stream", range};
    struct part part = {.before = u->at, .watch = watch};
    struct reg_http_request req = {.method = "PATCH",
                                   .url = u->location,
                                   .headers = headers,
                                   .n_headers = BH_ARRAY_LEN(headers),
                                   .sent = watch != NULL ? part_sent : NULL,
                                   .arg = &part,
                                   .tries = 1,
                                   .what = u->what};

    snprintf(range, sizeof range, "Content-Range: %" PRIu64 "-%" PRIu64, u->at, u->at + n - 1);
    body_of(&req, blob, from, n);
    if (reg_remote_send(u->remote, &req, NULL, &u->answer, err) != 0)
        return err->code;
    if (u->answer.status != 202 && u->answer.status != 204 && u->answer.status != 201)
        return refused(u, err);
    u->at += n;
    return follow(u, err);
}

int reg_upload_chunk(struct reg_upload *u, const void *data, size_t n, struct bh_err *err) {
    const struct reg_upload_blob blob = {.data = data, .size = n};

    return n == 0 ? 0 : patch(u, &blob, 0, n, NULL, err);
}

/* The last request: with the rest of the bytes, or without any. */
static int put(struct reg_upload *u, const struct reg_upload_blob *blob, const struct reg_upload_watch *watch,
               struct bh_err *err) {
    const char *headers[] = {"Content-Type: application/octet-stream"};
    struct part part = {.before = u->at, .watch = watch};
    char url[REG_URL_SIZE];
    struct reg_http_request req = {.method = "PUT",
                                   .url = url,
                                   .headers = headers,
                                   .n_headers = BH_ARRAY_LEN(headers),
                                   .sent = watch != NULL ? part_sent : NULL,
                                   .arg = &part,
                                   .tries = 1,
                                   .what = u->what};
    const char *told;

    bh_str_copy(url, sizeof url, u->location);
    if (!reg_url_add_query(url, "digest", blob->digest))
        return bh_err_set(err, BH_E_INVALID, "%s: the address of the upload is too long", u->what);
    if (blob->size > u->at)
        body_of(&req, blob, u->at, blob->size - u->at);
    if (reg_remote_send(u->remote, &req, NULL, &u->answer, err) != 0)
        return err->code;
    if (u->answer.status != 201 && u->answer.status != 204)
        return refused(u, err);
    told = reg_http_header(&u->answer, "docker-content-digest");
    if (told[0] != '\0' && strcmp(told, blob->digest) != 0) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: the registry stored %.140s where %s was sent", u->what, told,
                   blob->digest);
        return bh_err_reason(err, "digest-mismatch");
    }
    u->begun = false;
    return 0;
}

int reg_upload_finish(struct reg_upload *u, const char *digest, struct bh_err *err) {
    const struct reg_upload_blob end = {.digest = digest, .size = u->at};

    return put(u, &end, NULL, err);
}

/* ---- the whole, with what goes wrong on the way --------------------------------------------------- */

/* "0-1023" -> 1024 bytes are there; an upload without a byte says "0-0" or nothing. */
static bool range_end(const char *text, uint64_t *out_have) {
    const char *dash = strchr(text, '-');
    uint64_t last;

    if (dash == NULL || !bh_str_u64(dash + 1, &last) || last == UINT64_MAX)
        return false;
    *out_have = last == 0 ? 0 : last + 1;
    return true;
}

int reg_upload_where(struct reg_upload *u, struct bh_err *err) {
    const struct reg_http_request req = {.method = "GET", .url = u->location, .what = u->what};
    uint64_t have;

    if (reg_remote_send(u->remote, &req, NULL, &u->answer, err) != 0)
        return err->code;
    if (reg_retry_status(u->answer.status))
        return refused(u, err);
    if (u->answer.status != 204 || !range_end(reg_http_header(&u->answer, "range"), &have))
        return bh_err_set(err, BH_E_DATA_LOSS, "%s: the registry has lost an upload that it had begun", u->what);
    u->at = have;
    return follow(u, err);
}

/* Goes on where the registry is; an upload that is gone, or has more than there is, is begun anew. */
static int recover(struct reg_upload *u, uint64_t size, struct bh_err *err) {
    bool mounted;

    if (u->begun && reg_upload_where(u, err) == 0 && u->at <= size)
        return 0;
    if (err->code != 0 && err->code != BH_E_DATA_LOSS)
        return err->code;
    bh_err_clear(err);
    return reg_upload_begin(u, NULL, NULL, &mounted, err);
}

static int send_rest(struct reg_upload *u, const struct reg_upload_blob *blob, const struct reg_upload_watch *watch,
                     struct bh_err *err) {
    uint64_t chunk = u->chunk_min > CHUNK ? u->chunk_min : CHUNK;
    bool resumed = u->at > 0;

    /* a registry that holds a part wants the rest as chunks too */
    while (u->chunk_min > 0 && blob->size - u->at > chunk)
        if (patch(u, blob, u->at, chunk, watch, err) != 0)
            return err->code;
    if (resumed && u->at < blob->size && patch(u, blob, u->at, blob->size - u->at, watch, err) != 0)
        return err->code;
    return put(u, blob, watch, err);
}

int reg_upload_send(struct reg_upload *u, const struct reg_upload_blob *blob, const struct reg_upload_watch *watch,
                    struct bh_err *err) {
    struct reg_retry retry;
    bool again = !u->begun;

    reg_retry_init(&retry, watch->tries, watch->cancel_fd);
    retry.pausing = watch->pausing;
    retry.arg = watch->arg;
    for (;;) {
        uint64_t before = u->at;

        if ((!again || recover(u, blob->size, err) == 0) && send_rest(u, blob, watch, err) == 0)
            return 0;
        if (u->answer.status == 416) {
            bh_err_set(err, BH_E_UNAVAILABLE, "%s: the registry has another part of the blob", u->what);
            bh_err_reason(err, "connection-lost");
        }
        if (reg_retry_wait(&retry, u->answer.status != 0 ? &u->answer : NULL, u->at > before ? u->at - before : 0,
                           err) != 0)
            return err->code;
        bh_err_clear(err);
        again = true;
    }
}

int reg_upload_there(struct reg_remote *remote, const char *digest, uint64_t size, const char *what, bool *out_there,
                     struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    const struct reg_http_request req = {.method = "HEAD", .what = what};
    char below[BH_DIGEST_TEXT_MAX + 16];

    snprintf(below, sizeof below, "blobs/%s", digest);
    if (reg_remote_send(remote, &req, below, &answer, err) != 0)
        return err->code;
    if (answer.status == 404) {
        *out_there = false;
        return 0;
    }
    if (answer.status != 200)
        return reg_remote_status(remote, &answer, what, err);
    /* one of another size is none of ours: it is sent, and the registry will say what is wrong */
    *out_there = answer.length == UINT64_MAX || answer.length == size;
    return 0;
}
