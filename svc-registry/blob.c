/*
 * blob.c - see blob.h.
 *
 * Room: registry.
 */
#include "svc-registry/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "svc-registry/short_name.h"
#include "svc-registry/upload.h"

/* ---- reading ---------------------------------------------------------------------------------------- */

static int head(void *arg, const struct reg_http_response *answer, struct bh_err *err) {
    struct reg_blob_read *b = arg;
    int64_t length = answer->length > INT64_MAX ? -1 : (int64_t)answer->length;

    return reg_body_head(&b->body, answer->status, reg_http_header(answer, "content-range"), length, err);
}

static int take(void *arg, const void *data, size_t n, struct bh_err *err) {
    struct reg_blob_read *b = arg;

    if (reg_body_take(&b->body, &data, &n, err) != 0)
        return err->code;
    return b->sink(b->arg, data, n, err);
}

/* It is the source that is named: a target has no part in it. */
static int refused(struct reg_blob_read *b, struct reg_remote *remote, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];

    snprintf(name, sizeof name, "%s/%s", reg_remote_host(remote), reg_remote_path(remote));
    if (b->answer.status != 404)
        return reg_remote_status(remote, &b->answer, name, err);
    bh_err_set(err, BH_E_NOT_FOUND, "%s: the registry has a manifest that names it, and not the blob", name);
    return bh_err_reason(err, "blob-unknown");
}

static int read_once(struct reg_blob_read *b, struct reg_remote *remote, struct bh_err *err) {
    char below[BH_DIGEST_TEXT_MAX + 16], range[48];
    const char *headers[] = {range};
    const struct reg_http_request req = {.method = "GET",
                                         .headers = headers,
                                         .n_headers = b->body.at > 0,
                                         .head = head,
                                         .sink = take,
                                         .arg = b,
                                         .tries = 1,
                                         .what = b->what};

    snprintf(below, sizeof below, "blobs/%s", b->digest);
    snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", b->body.at);
    reg_body_init(&b->body, b->body.size, b->body.at);
    if (reg_remote_send(remote, &req, below, &b->answer, err) != 0)
        return err->code;
    if (b->answer.status != 200 && b->answer.status != 206)
        return refused(b, remote, err);
    return reg_body_end(&b->body, err);
}

static int read_from(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct reg_blob_read *b = arg;
    struct reg_retry retry;

    reg_retry_init(&retry, b->tries, b->cancel_fd);
    retry.pausing = b->pausing;
    retry.arg = b->arg;
    for (;;) {
        uint64_t before = b->body.at;

        if (read_once(b, remote, err) == 0)
            return 0;
        if (reg_retry_wait(&retry, b->answer.status != 0 ? &b->answer : NULL, b->body.at - before, err) != 0)
            return err->code;
        bh_err_clear(err);
    }
}

int reg_blob_read(struct reg_blob_read *b, struct reg_source *from, struct bh_err *err) {
    reg_body_init(&b->body, b->size, 0);
    return b->size == 0 ? 0 : reg_source_ask(from, read_from, b, NULL, err);
}

void reg_blob_read_fini(struct reg_blob_read *b) {
    reg_http_response_fini(&b->answer);
}

/* ---- a file of the client --------------------------------------------------------------------------- */

static int check_file(const struct reg_blob_ask *ask, int unwanted_mode, uint64_t size, struct bh_err *err) {
    int flags = fcntl(ask->fd, F_GETFL);
    struct stat st;

    if (flags < 0 || fstat(ask->fd, &st) != 0)
        return bh_err_errno(err, errno, "look at the file that came with the call");
    if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) == unwanted_mode || (flags & (O_APPEND | O_PATH)) != 0)
        return bh_err_set(err, BH_E_INVALID, "what came with the call is not a regular file open for %s",
                          unwanted_mode == O_WRONLY ? "reading" : "writing");
    if ((uint64_t)st.st_size != size)
        return bh_err_set(err, BH_E_INVALID, "the file has %" PRIu64 " bytes, not %" PRIu64, (uint64_t)st.st_size,
                          size);
    return 0;
}

/* The repository that a call names, with what belongs to it. */
struct place {
    struct reg_conf *conf;
    struct reg_caller caller;
    struct bh_ref ref;
    char familiar[BH_REF_TEXT_SIZE];
    struct reg_source at;
};

static int open_place(struct place *p, struct reg_room *room, const struct reg_blob_ask *ask, enum reg_use use,
                      struct bh_err *err) {
    char note[256], canonical[BH_REF_TEXT_SIZE];
    struct bh_digest parsed;

    if (bh_digest_parse(ask->digest, &parsed, err) != 0)
        return err->code;
    *p = (struct place){.conf = reg_room_conf(room), .caller = ask->caller};
    if (p->caller.tries == 0)
        p->caller.tries = reg_conf_settings(p->conf)->tries;
    if (reg_complete(p->conf, ask->reference, &p->ref, note, err) == 0) {
        bh_ref_default_tag(&p->ref);
        bh_ref_familiar(&p->ref, p->familiar);
        bh_ref_format(&p->ref, canonical);
        if ((use == REG_PUSH || reg_policy_check(p->conf, canonical, err) == 0) &&
            reg_source_open(&p->at, room, p->conf, &p->caller, &p->ref, use, err) == 0)
            return 0;
    }
    reg_conf_unref(p->conf);
    return err->code;
}

static void close_place(struct place *p) {
    reg_source_close(&p->at);
    reg_conf_unref(p->conf);
}

static int send_file(struct place *p, const struct reg_blob_ask *ask, bool *out_there, struct bh_err *err) {
    const struct reg_upload_blob blob = {.digest = ask->digest, .size = ask->size, .fd = ask->fd};
    const struct reg_upload_watch watch = {.tries = p->caller.tries, .cancel_fd = p->caller.cancel_fd};
    struct reg_remote *remote;
    struct reg_upload up;
    int r;

    if (reg_source_remote(&p->at, 0, &remote, err) != 0 ||
        reg_upload_there(remote, ask->digest, ask->size, p->familiar, out_there, err) != 0 || *out_there)
        return err->code;
    reg_upload_init(&up, remote, p->familiar);
    r = reg_upload_send(&up, &blob, &watch, err);
    reg_upload_fini(&up);
    return r;
}

int reg_blob_push(struct reg_room *room, const struct reg_blob_ask *ask, bool *out_there, struct bh_err *err) {
    struct place p;
    int r;

    if (check_file(ask, O_WRONLY, ask->size, err) != 0 || open_place(&p, room, ask, REG_PUSH, err) != 0)
        return err->code;
    r = send_file(&p, ask, out_there, err);
    close_place(&p);
    return r == 0 ? 0 : bh_err_prefix(err, "blob %s", ask->digest);
}

/* A blob that comes into the file. */
struct fetch {
    const struct reg_blob_ask *ask;
    struct bh_digest want;
    uint64_t at;
    struct bh_hash hash;
    struct reg_blob_read in;
};

static int keep_bytes(void *arg, const void *data, size_t n, struct bh_err *err) {
    struct fetch *f = arg;

    if (bh_pwrite_all(f->ask->fd, data, n, (off_t)f->at) != 0)
        return bh_err_errno(err, errno, "write the file");
    bh_hash_update(&f->hash, data, n);
    f->at += n;
    return 0;
}

static int start_over(struct fetch *f, struct bh_err *err) {
    bh_hash_fini(&f->hash);
    f->at = 0;
    reg_body_init(&f->in.body, f->ask->size, 0);
    if (ftruncate(f->ask->fd, 0) != 0)
        return bh_err_errno(err, errno, "empty the file");
    return bh_hash_init(&f->hash, f->want.alg, err);
}

static int check_digest(struct fetch *f, struct bh_err *err) {
    char text[BH_DIGEST_TEXT_SIZE];
    struct bh_digest have;

    if (bh_hash_final(&f->hash, &have, err) != 0)
        return err->code;
    if (bh_digest_equal(&f->want, &have))
        return 0;
    bh_digest_format(&have, text);
    bh_err_set(err, BH_E_DATA_LOSS, "the registry sent other content, with the digest %s", text);
    return bh_err_reason(err, "digest-mismatch");
}

/* A place that continued what another had begun may be right where the other was wrong: it is asked for the whole. */
static int fetch_from(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct bh_err ignored = BH_ERR_INIT;
    struct fetch *f = arg;

    for (;;) {
        bool continued = f->at > 0;

        if (read_from(&f->in, remote, err) != 0)
            return err->code;
        if (check_digest(f, err) == 0)
            return 0;
        if (start_over(f, continued ? err : &ignored) != 0 || !continued)
            return err->code;
        bh_err_clear(err);
    }
}

static int fetch_file(struct place *p, const struct reg_blob_ask *ask, struct bh_err *err) {
    struct fetch f = {.ask = ask,
                      .hash = BH_HASH_INIT,
                      .in = {.digest = ask->digest,
                             .size = ask->size,
                             .what = p->familiar,
                             .tries = p->caller.tries,
                             .cancel_fd = p->caller.cancel_fd,
                             .sink = keep_bytes}};
    int r = bh_digest_parse(ask->digest, &f.want, err);

    f.in.arg = &f;
    if (r == 0)
        r = start_over(&f, err);
    if (r == 0)
        r = ask->size == 0 ? check_digest(&f, err) : reg_source_ask(&p->at, fetch_from, &f, NULL, err);
    if (r != 0 && ftruncate(ask->fd, 0) != 0)
        bh_err_hint(err, "what came is still in the file: it could not be emptied");
    bh_hash_fini(&f.hash);
    reg_blob_read_fini(&f.in);
    return r;
}

int reg_blob_fetch(struct reg_room *room, const struct reg_blob_ask *ask, struct bh_err *err) {
    struct place p;
    int r;

    if (check_file(ask, O_RDONLY, 0, err) != 0 || open_place(&p, room, ask, REG_PULL, err) != 0)
        return err->code;
    r = fetch_file(&p, ask, err);
    close_place(&p);
    return r == 0 ? 0 : bh_err_prefix(err, "blob %s", ask->digest);
}
