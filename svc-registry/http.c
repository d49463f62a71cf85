/*
 * http.c - requests with redirects and second tries, see http.h.
 *
 * Room: registry.  A redirect is a server's word: where it leads is judged here, and the authorization stays behind.
 */
#include "svc-registry/http.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/lane.h"

#define MAX_REDIRECTS 10

void reg_http_response_fini(struct reg_http_response *r) {
    bh_buf_fini(&r->lines);
    bh_buf_fini(&r->body);
    r->n_headers = 0;
}

const char *reg_http_header(const struct reg_http_response *r, const char *name) {
    for (size_t i = 0; i < r->n_headers; i++) {
        if (strcmp(r->header[i].name, name) == 0)
            return r->header[i].value;
    }
    return "";
}

/* ---- redirects ----------------------------------------------------------------------------------- */

static bool is_redirect(const struct reg_http_request *req, int status) {
    bool safe = strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;

    if (req->no_redirect)
        return false;
    if (status == 307 || status == 308)
        return true;
    return safe && (status == 301 || status == 302 || status == 303);
}

static int bad_redirect(const struct reg_http_request *req, const char *why, struct bh_err *err) {
    bh_err_set(err, BH_E_UNAVAILABLE, "%s: redirect refused: %s", req->what ? req->what : "request", why);
    return bh_err_reason(err, "redirect");
}

static int next_url(const struct reg_http_request *req, const struct reg_http_response *out, struct reg_url *at,
                    struct bh_err *err) {
    const char *location = reg_http_header(out, "location");
    struct reg_url next;

    if (!*location)
        return bad_redirect(req, "it does not say where to", err);
    if (reg_url_parse(location, at->text, &next, err) != 0) {
        bh_err_prefix(err, "%s: redirect refused", req->what ? req->what : "request");
        return bh_err_reason(err, "redirect");
    }
    if (next.plain && !at->plain)
        return bad_redirect(req, "it leads from https to http", err);
    *at = next;
    return 0;
}

static int follow(struct reg_http *http, const struct reg_http_request *req, struct reg_http_response *out,
                  struct bh_err *err) {
    struct reg_url first, at;
    struct reg_hop hop = {
        .req = req, .url = &at, .authorize = true, .guarded = req->guarded, .reach = req->reach, .drop_redirect = true};
    enum reg_reach reach;

    if (reg_url_parse(req->url, NULL, &first, err) != 0)
        return err->code;
    at = first;
    hop.drop_redirect = !req->no_redirect;
    for (unsigned hops = 0;; hops++) {
        if (req->terms(req->terms_arg, &at, &hop.terms, err) != 0 || reg_http_hop(http, &hop, out, &reach, err) != 0)
            return err->code;
        if (hops == 0)
            out->reach = reach;
        if (!is_redirect(req, out->status))
            break;
        if (hops == MAX_REDIRECTS)
            return bad_redirect(req, "there were 10 of them before", err);
        if (next_url(req, out, &at, err) != 0)
            return err->code;
        if (!reg_url_same_origin(&first, &at)) {
            hop.authorize = false; /* and stays so, also when a later one leads back */
            if (!hop.guarded)
                hop.reach = out->reach;
            hop.guarded = true;
        }
    }
    out->redirected = !reg_url_same_origin(&first, &at);
    memcpy(out->url, at.text, sizeof out->url);
    return 0;
}

/* ---- second tries -------------------------------------------------------------------------------- */

/* A chunk that may have arrived is not sent twice: only the caller can ask how far it came. */
static bool may_resend(const struct reg_http_request *req, const struct reg_http_response *out, int rc) {
    if (strcmp(req->method, "PATCH") == 0)
        return rc == 0 && out->status == 429;
    return rc == 0 || !req->sink || out->received == 0;
}

int reg_http_send(struct reg_http *http, const struct reg_http_request *req, struct reg_http_response *out,
                  struct bh_err *err) {
    struct reg_retry retry;

    reg_retry_init(&retry, req->tries, req->cancel_fd);
    for (;;) {
        struct bh_err now = BH_ERR_INIT;
        int rc = follow(http, req, out, &now);
        bool good = rc == 0 && !reg_retry_status(out->status);
        if (!good && may_resend(req, out, rc)) {
            struct bh_err waited = now;
            if (reg_retry_wait(&retry, rc == 0 ? out : NULL, 0, &waited) == 0)
                continue;
            if (waited.code == BH_E_CANCELLED) {
                now = waited;
                rc = waited.code;
            }
        }
        if (rc != 0)
            *err = now;
        return rc;
    }
}

/* ---- a body into a pipe -------------------------------------------------------------------------- */

static int wait_room(const struct reg_http_fd *to, struct bh_err *err) {
    struct pollfd p[] = {{.fd = to->fd, .events = POLLOUT}, {.fd = to->cancel_fd, .events = POLLIN}};

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        continue;
    if (!p[1].revents)
        return 0;
    bh_err_set(err, BH_E_CANCELLED, "cancelled");
    return bh_err_reason(err, "cancelled");
}

int reg_http_to_fd(void *arg, const void *data, size_t n, struct bh_err *err) {
    struct reg_http_fd *to = arg;
    const char *p = data;

    if (to->written == 0) /* a full pipe must not keep a cancelled call */
        (void)bh_set_nonblock(to->fd, true);
    while (n > 0) {
        ssize_t put = write(to->fd, p, n);
        if (put < 0 && errno == EPIPE) {
            bh_err_set(err, BH_E_ABORTED, "the store stopped reading");
            return bh_err_reason(err, "reader-gone");
        }
        if (put < 0 && errno != EINTR && errno != EAGAIN)
            return bh_err_errno(err, errno, "write to the store");
        if (put < 0 && wait_room(to, err) != 0)
            return err->code;
        if (put > 0) {
            p += put;
            n -= (size_t)put;
            to->written += (uint64_t)put;
        }
    }
    if (to->progress)
        to->progress(to->arg, to->written);
    return 0;
}
