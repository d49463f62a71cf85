/*
 * http_hop.c - one request and its answer by libcurl, see lane.h.
 *
 * Room: registry.  Time without progress ends it all.  What comes is read by http_answer.c, what fails told by
 * http_error.c.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "svc-registry/http_int.h"

#define CONNECT_MS    20000
#define PROGRESS_MS   60000
#define STEP          1024            /* fewer bytes than this are no progress */
#define DOCUMENT_NS   (180 * BH_NSEC) /* for a whole answer that is not streamed */
#define ANSWER_FACTOR 5               /* a server may think this much longer about a body that it has got */
#define BUFFER        (256L << 10)

void reg_exchange_moved(struct reg_exchange *x, uint64_t n) {
    x->moved += n;
    if (x->moved >= STEP || n == 0) {
        x->moved = 0;
        x->moved_ns = bh_mono_ns();
    }
}

/* ---- what is sent -------------------------------------------------------------------------------- */

static size_t on_read(char *to, size_t size, size_t n, void *arg) {
    struct reg_exchange *x = arg;
    const struct reg_http_request *req = x->req;
    uint64_t left = req->body_size - x->sent;

    n *= size;
    n = n > left ? (size_t)left : n;
    if (n > 0 && !req->from_fd)
        memcpy(to, (const char *)req->body + x->sent, n);
    if (n > 0 && req->from_fd && bh_pread_full(req->fd, to, n, req->fd_at + (off_t)x->sent) != (ssize_t)n) {
        (void)reg_exchange_fail(x, BH_E_INTERNAL, "read-failed", "the file that is sent cannot be read: %s",
                                strerror(errno));
        return CURL_READFUNC_ABORT;
    }
    x->sent += n;
    reg_exchange_moved(x, n);
    if (req->sent)
        req->sent(req->arg, x->sent);
    return n;
}

/* libcurl would send a body again by itself when a connection that it used before breaks; a part may have arrived, and
 * only who asks the server how much can go on. */
static int on_seek(void *arg, curl_off_t offset, int origin) {
    const struct reg_exchange *x = arg;

    return origin == SEEK_SET && offset == 0 && x->sent == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- connecting ---------------------------------------------------------------------------------- */

/* The address itself is judged, not its text: names may resolve to anything. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct reg_exchange *x = arg;
    enum reg_reach reach = reg_exchange_proxied(x) ? REG_REACH_WORLD : reg_reach_of(&a->addr);

    (void)purpose;
    if (x->hop->guarded && reach > x->hop->reach) {
        x->refused = true;
        return CURL_SOCKET_BAD;
    }
    x->lane->reach = reach;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static CURLcode on_ssl(CURL *easy, void *ctx, void *arg) {
    const struct reg_tls *tls = arg;

    (void)easy;
    if (tls->store)
        SSL_CTX_set1_cert_store(ctx, tls->store);
    return CURLE_OK;
}

static void set_blob(CURL *easy, CURLoption option, const char *text) {
    struct curl_blob blob = {(void *)text, strlen(text), CURL_BLOB_NOCOPY};

    curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct reg_tls *tls) {
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, tls);
    if (tls->cert) {
        set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
        set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
    }
}

static void set_transport(struct reg_exchange *x) {
    CURL *easy = x->lane->easy;
    const struct reg_times *t = x->req->times;

    curl_easy_setopt(easy, CURLOPT_URL, x->hop->url->text);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, x->hop->url->plain ? "http" : "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a cancelled look-up of a name is not waited for */
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(t && t->connect_ms ? t->connect_ms : CONNECT_MS));
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER);
    curl_easy_setopt(easy, CURLOPT_PROXY, reg_exchange_proxied(x) ? x->hop->terms.proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->why);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "bulkhead/" BH_VERSION);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!x->hop->url->plain)
        set_tls(easy, x->hop->terms.tls);
}

static bool add_line(struct reg_exchange *x, const char *line) {
    struct curl_slist *longer = curl_slist_append(x->headers, line);

    if (longer)
        x->headers = longer;
    return longer != NULL;
}

static int set_headers(struct reg_exchange *x) {
    const struct reg_http_request *req = x->req;
    bool ok = add_line(x, "Expect:") && add_line(x, "Accept-Encoding: identity");

    for (size_t i = 0; i < req->n_headers && ok; i++)
        ok = add_line(x, req->headers[i]);
    if (ok && x->hop->authorize && req->authorization && *req->authorization) {
        BH_SCOPE_BUF struct bh_buf line = BH_BUF_INIT_MAX((size_t)256 << 10);
        (void)bh_buf_room(&line, strlen(req->authorization) + 32); /* no copy of it stays behind */
        bh_buf_addf(&line, "Authorization: %s", req->authorization);
        ok = !bh_buf_failed(&line) && add_line(x, bh_buf_str(&line));
        OPENSSL_cleanse(line.data, line.len);
    }
    curl_easy_setopt(x->lane->easy, CURLOPT_HTTPHEADER, x->headers);
    return ok ? 0 : reg_exchange_fail(x, BH_E_LIMIT, "too-large", "no memory for the request");
}

static void set_request(struct reg_exchange *x) {
    CURL *easy = x->lane->easy;
    const char *method = x->req->method;
    bool body = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;

    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, "GET") != 0)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    if (body) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->req->body_size);
    }
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, x);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, x);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, reg_exchange_on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, reg_exchange_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static int64_t patience_ns(const struct reg_exchange *x) {
    const struct reg_times *t = x->req->times;
    int64_t ms = t && t->progress_ms ? t->progress_ms : PROGRESS_MS;
    bool thinking = x->req->body_size > 0 && x->sent == x->req->body_size && !x->answered;

    return ms * (thinking ? ANSWER_FACTOR : 1) * (BH_NSEC / 1000);
}

static int check_time(struct reg_exchange *x) {
    int64_t now = bh_mono_ns();

    if (now - x->moved_ns > patience_ns(x))
        return reg_exchange_timed_out(x);
    if (!x->req->sink && x->req->body_size == 0 && now - x->started_ns > DOCUMENT_NS)
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "timeout", "%s: the answer takes too long", x->origin);
    return 0;
}

static bool is_done(struct reg_exchange *x, CURLcode *out) {
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(x->lane->multi, &left)) != NULL;) {
        if (m->msg == CURLMSG_DONE) {
            *out = m->data.result;
            return true;
        }
    }
    return false;
}

static int drive(struct reg_exchange *x, CURLcode *out) {
    struct curl_waitfd cancel = {.fd = x->req->cancel_fd, .events = CURL_WAIT_POLLIN};
    unsigned n_extra = x->req->cancel_fd >= 0 ? 1 : 0;

    for (int running = 1;;) {
        if (curl_multi_perform(x->lane->multi, &running) != CURLM_OK)
            return reg_exchange_fail(x, BH_E_INTERNAL, "bad-answer", "libcurl failed");
        if (is_done(x, out))
            return 0;
        if (check_time(x) != 0)
            return x->err->code;
        cancel.revents = 0;
        if (curl_multi_poll(x->lane->multi, &cancel, n_extra, 1000, NULL) != CURLM_OK)
            return reg_exchange_fail(x, BH_E_INTERNAL, "bad-answer", "libcurl failed");
        if (cancel.revents)
            return reg_exchange_fail(x, BH_E_CANCELLED, "cancelled", "cancelled");
    }
}

static int finish(struct reg_exchange *x, CURLcode code) {
    if (code == CURLE_WRITE_ERROR && x->enough)
        code = CURLE_OK;
    if (code != CURLE_OK)
        return reg_exchange_curl_failed(x, code);
    if (reg_exchange_begin(x) != 0)
        return x->err->code;
    return x->out->status > 0 ? 0 : reg_exchange_fail(x, BH_E_UNAVAILABLE, "bad-answer", "%s: no answer", x->origin);
}

static void drop_headers(struct reg_exchange *x) {
    for (struct curl_slist *l = x->headers; l; l = l->next)
        OPENSSL_cleanse(l->data, strlen(l->data));
    curl_slist_free_all(x->headers);
}

static int prepare(struct reg_exchange *x) {
    struct reg_http_response *out = x->out;

    bh_buf_reset(&out->lines);
    bh_buf_reset(&out->body);
    out->lines.max = REG_HEADERS_MAX + 64;
    out->body.max =
        REG_DOCUMENT_MAX > reg_exchange_body_max(x) ? REG_DOCUMENT_MAX + 1 : (size_t)reg_exchange_body_max(x);
    if (x->req->max_body && !x->req->sink)
        out->body.max = x->req->max_body > REG_ERROR_BODY_MAX ? (size_t)x->req->max_body : REG_ERROR_BODY_MAX;
    out->n_headers = 0;
    out->status = 0;
    out->received = 0;
    out->length = UINT64_MAX;
    return bh_buf_room(&out->lines, REG_HEADERS_MAX + 1)
               ? 0
               : reg_exchange_fail(x, BH_E_LIMIT, "too-large", "out of memory");
}

int reg_http_hop(struct reg_http *http, const struct reg_hop *hop, struct reg_http_response *out,
                 enum reg_reach *out_reach, struct bh_err *err) {
    struct reg_exchange x = {.hop = hop, .req = hop->req, .out = out, .err = err};
    CURLcode code = CURLE_OK;

    reg_url_origin(hop->url, x.origin);
    if (prepare(&x) != 0 || reg_lane_take(http, hop->url, &hop->terms, &x.lane, err) != 0)
        return err->code;
    if (hop->guarded && x.lane->reach > hop->reach) {
        x.refused = true;
        reg_lane_give(http, x.lane, false);
        return reg_exchange_connect_failed(&x);
    }
    x.started_ns = x.moved_ns = bh_mono_ns();
    set_transport(&x);
    set_request(&x);
    int rc = set_headers(&x);
    if (rc == 0 && curl_multi_add_handle(x.lane->multi, x.lane->easy) != CURLM_OK)
        rc = reg_exchange_fail(&x, BH_E_INTERNAL, "bad-answer", "libcurl failed");
    if (rc == 0)
        rc = drive(&x, &code);
    if (rc == 0)
        rc = finish(&x, code);
    *out_reach = x.lane->reach;
    curl_multi_remove_handle(x.lane->multi, x.lane->easy);
    reg_lane_give(http, x.lane, rc != 0 || code != CURLE_OK);
    drop_headers(&x);
    return rc;
}
