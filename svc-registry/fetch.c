/*
 * fetch.c - see fetch.h.
 *
 * Room: registry.  The tar's end mark is written only when the checksum holds: a tar without it is refused by the
 * store.  A body whose length is not told is kept in a file of the store first, because a tar names sizes first.
 */
#include "svc-registry/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/ustar.h"

#define SPOOL_MAX ((uint64_t)16 << 30)
#define MODE      0600

struct body {
    struct reg_fetch *f;
    struct bh_hash *hash;
    struct reg_http_fd out;
    bool begun;    /* the tar's header is written */
    bool spooled;  /* the length was not told: the bytes go into the file first */
    uint64_t size; /* told */
};

/* ---- the tar ------------------------------------------------------------------------------------- */

static int put(struct body *b, const void *data, size_t n, struct bh_err *err) {
    return reg_http_to_fd(&b->out, data, n, err);
}

/* Not before the first byte of the body: a head that nothing followed comes again. */
static int put_header(struct body *b, uint64_t size, struct bh_err *err) {
    char h[BH_USTAR_BLOCK];

    if (b->begun)
        return 0;
    b->begun = true;
    bh_ustar_header(h,
                    &(struct bh_ustar){
                        .name = "body", .type = '0', .mode = MODE, .size = size, .mtime_s = b->f->mtime_ns / BH_NSEC});
    return put(b, h, sizeof h, err);
}

static int put_end(struct body *b, uint64_t size, struct bh_err *err) {
    static const char zeros[3 * BH_USTAR_BLOCK];

    return put(b, zeros, bh_ustar_padding(size) + 2 * (size_t)BH_USTAR_BLOCK, err);
}

/* ---- the body ------------------------------------------------------------------------------------ */

static int64_t http_date_ns(const char *text) {
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    return end && !*end ? (int64_t)timegm(&tm) * BH_NSEC : 0;
}

static int check_spool(const struct reg_fetch *f, struct bh_err *err) {
    struct stat st;

    if (f->spool >= 0 && fstat(f->spool, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "%.200s: the server does not tell the length, and no file was given for the body",
               f->url);
    return bh_err_reason(err, "no-spool");
}

static int on_head(void *arg, const struct reg_http_response *head, struct bh_err *err) {
    struct body *b = arg;
    struct reg_fetch *f = b->f;

    (void)bh_str_copy(f->new_etag, sizeof f->new_etag, reg_http_header(head, "etag"));
    (void)bh_str_copy(f->new_modified, sizeof f->new_modified, reg_http_header(head, "last-modified"));
    f->mtime_ns = http_date_ns(f->new_modified);
    b->size = head->length;
    b->spooled = !f->raw && head->length == UINT64_MAX;
    return b->spooled ? check_spool(f, err) : 0;
}

static int on_data(void *arg, const void *data, size_t n, struct bh_err *err) {
    struct body *b = arg;

    b->f->size += n;
    bh_hash_update(b->hash, data, n);
    if (!b->spooled && !b->f->raw && put_header(b, b->size, err) != 0)
        return err->code;
    if (!b->spooled)
        return put(b, data, n, err);
    if (b->f->size > SPOOL_MAX) {
        bh_err_set(err, BH_E_LIMIT, "the server does not tell the length, and sends more than %llu bytes",
                   (unsigned long long)SPOOL_MAX);
        return bh_err_reason(err, "too-large");
    }
    return bh_write_all(b->f->spool, data, n) == 0 ? 0 : bh_err_errno(err, errno, "%.200s: keep the body", b->f->url);
}

static int put_spooled(struct body *b, struct bh_err *err) {
    char chunk[65536];

    for (uint64_t at = 0; at < b->f->size;) {
        ssize_t n = bh_pread_full(b->f->spool, chunk, sizeof chunk, (off_t)at);
        if (n <= 0)
            return bh_err_errno(err, errno, "read the body again");
        if (put(b, chunk, (size_t)n, err) != 0)
            return err->code;
        at += (uint64_t)n;
    }
    return 0;
}

static int check(struct body *b, const struct bh_digest *have, struct bh_err *err) {
    struct bh_digest want;

    bh_digest_format(have, b->f->digest);
    if (b->size != UINT64_MAX && b->f->size != b->size)
        return bh_err_set(err, BH_E_DATA_LOSS, "%s: %llu bytes came, %llu were announced", b->f->url,
                          (unsigned long long)b->f->size, (unsigned long long)b->size);
    if (!*b->f->checksum)
        return 0;
    if (bh_digest_parse(b->f->checksum, &want, err) != 0)
        return err->code;
    if (bh_digest_equal(&want, have))
        return 0;
    bh_err_set(err, BH_E_DATA_LOSS, "%s: digest mismatch: got %s, expected %s", b->f->url, b->f->digest,
               b->f->checksum);
    return bh_err_reason(err, "digest-mismatch");
}

static int finish(struct body *b, struct bh_err *err) {
    struct bh_digest have;

    if (bh_hash_final(b->hash, &have, err) != 0 || check(b, &have, err) != 0)
        return err->code;
    if (b->f->raw)
        return 0;
    if (put_header(b, b->f->size, err) != 0 || (b->spooled && put_spooled(b, err) != 0))
        return err->code;
    return put_end(b, b->f->size, err);
}

/* ---- the request --------------------------------------------------------------------------------- */

static int terms(void *arg, const struct reg_url *url, struct reg_terms *out, struct bh_err *err) {
    return reg_terms_of(arg, url, out, err);
}

static void name_file(struct reg_fetch *f) {
    const char *path = strstr(f->url, "://"), *end, *start;

    path = path ? strchr(path + 3, '/') : NULL;
    if (!path)
        return;
    end = path + strcspn(path, "?#");
    for (start = end; start > path && start[-1] != '/'; start--)
        continue;
    (void)bh_str_copy_n(f->filename, sizeof f->filename, start, (size_t)(end - start));
}

static int answered(struct reg_fetch *f, const struct reg_http_response *answer, struct body *b, struct bh_err *err) {
    if (answer->status == 304 && (*f->etag || *f->last_modified)) {
        f->not_modified = true;
        return 0;
    }
    if (answer->status == 200)
        return finish(b, err);
    bh_err_set(err, answer->status == 404 ? BH_E_NOT_FOUND : BH_E_UNAVAILABLE, "%.200s: HTTP status %d", f->url,
               answer->status);
    return bh_err_reason(err, "bad-status");
}

static int condition(char *line, size_t size, const char *name, const char *value, const char **headers, size_t *n,
                     struct bh_err *err) {
    if (!*value)
        return 0;
    if (strpbrk(value, "\r\n") || snprintf(line, size, "%s: %s", name, value) >= (int)size)
        return bh_err_set(err, BH_E_INVALID, "%s: malformed", name);
    headers[(*n)++] = line;
    return 0;
}

int reg_fetch_run(struct reg_fetch *f, struct reg_room *room, struct reg_conf *conf, const struct reg_caller *caller,
                  struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    BH_SCOPE_HASH struct bh_hash hash = BH_HASH_INIT;
    const struct reg_settings *s = reg_conf_settings(conf);
    struct body body = {
        .f = f, .hash = &hash, .out = {.fd = f->fd, .cancel_fd = caller->cancel_fd}, .size = UINT64_MAX};
    char tag[320], since[128];
    const char *headers[2];
    struct reg_http_request req = {.method = "GET",
                                   .url = f->url,
                                   .terms = terms,
                                   .terms_arg = conf,
                                   .times = &s->times,
                                   .headers = headers,
                                   .head = on_head,
                                   .sink = on_data,
                                   .arg = &body,
                                   .cancel_fd = caller->cancel_fd,
                                   .tries = caller->tries ? caller->tries : s->tries,
                                   .what = f->url};

    if (condition(tag, sizeof tag, "If-None-Match", f->etag, headers, &req.n_headers, err) != 0 ||
        condition(since, sizeof since, "If-Modified-Since", f->last_modified, headers, &req.n_headers, err) != 0 ||
        bh_sha256_init(&hash, err) != 0)
        return err->code;
    name_file(f);
    int rc = reg_http_send(room->http, &req, &answer, err);
    return rc == 0 ? answered(f, &answer, &body, err) : rc;
}
