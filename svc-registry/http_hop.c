/*
 * http_hop.c - one request and its answer by libcurl, see lane.h.
 *
 * Room: registry.  Every byte of the answer is foreign: headers are counted and measured, a body ends at its limit,
 * time without progress ends it all.  Must not put an address's query or an authorization into an error.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/lane.h"

#define CONNECT_MS    20000
#define PROGRESS_MS   60000
#define STEP          1024            /* fewer bytes than this are no progress */
#define DOCUMENT_NS   (180 * BH_NSEC) /* for a whole answer that is not streamed */
#define ANSWER_FACTOR 5               /* a server may think this much longer about a body that it has got */
#define BUFFER        (256L << 10)
#define STATUSES      20 /* lines of status in one answer: "wait" is said so often */

struct exchange {
    const struct reg_hop *hop;
    const struct reg_http_request *req;
    struct reg_http_response *out;
    struct reg_lane *lane;
    struct curl_slist *headers;
    struct bh_err *err;
    int64_t started_ns, moved_ns; /* when it began; when the last STEP bytes had moved */
    uint64_t moved;               /* bytes since then */
    uint64_t sent;                /* of the body */
    char why[CURL_ERROR_SIZE];
    char origin[300];
    char status_line[64];
    unsigned statuses;
    bool answered; /* the final status has come */
    bool begun;    /* its body, or its end, too */
    bool enough;   /* more of an error's body is not wanted */
    bool refused;  /* connecting was refused here, not there */
};

static const char *what_of(const struct exchange *x) {
    return x->req->what ? x->req->what : x->origin;
}

static int fail(struct exchange *x, int code, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static int fail(struct exchange *x, int code, const char *reason, const char *fmt, ...) {
    char text[512];
    va_list ap;

    if (x->err->code)
        return x->err->code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    bh_err_set(x->err, code, "%s: %s", what_of(x), text);
    return bh_err_reason(x->err, reason);
}

static void note_progress(struct exchange *x, uint64_t n) {
    x->moved += n;
    if (x->moved >= STEP || n == 0) {
        x->moved = 0;
        x->moved_ns = bh_mono_ns();
    }
}

/* ---- the answer's headers ----------------------------------------------------------------------- */

static bool is_success(const struct exchange *x) {
    return x->out->status >= 200 && x->out->status < 300;
}

static int take_status(struct exchange *x, const char *line, size_t n) {
    int status = 0;

    (void)bh_str_copy_n(x->status_line, sizeof x->status_line, line, n < sizeof x->status_line ? n : 60);
    if (sscanf(x->status_line, "HTTP/%*d.%*d %3d", &status) != 1 &&
        sscanf(x->status_line, "HTTP/%*d %3d", &status) != 1)
        return fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server does not speak HTTP");
    if (++x->statuses > STATUSES)
        return fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server says %d again and again, and nothing else", status);
    x->out->status = status;
    x->answered = status >= 200;
    x->out->n_headers = 0;
    x->out->length = UINT64_MAX;
    return 0;
}

static bool clean_value(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return false;
    }
    return true;
}

/* The memory was reserved whole in begin(), so that pointers into it stay. */
static const char *keep(struct exchange *x, const char *s, size_t n, bool lower) {
    char *at = x->out->lines.data + x->out->lines.len;

    bh_buf_add(&x->out->lines, s, n);
    bh_buf_addc(&x->out->lines, '\0');
    for (size_t i = 0; lower && i < n; i++)
        at[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] | 0x20 : at[i]);
    return at;
}

static int take_header(struct exchange *x, const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    size_t name = colon ? (size_t)(colon - line) : 0;

    while (n > 0 && strchr("\r\n \t", line[n - 1]) && line[n - 1])
        n--;
    if (n == 0)
        return 0;
    if (!colon || name == 0 || !clean_value(line, n))
        return fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server sent a malformed header");
    if (x->out->n_headers == REG_HEADER_LINES || x->out->lines.len + n + 2 > REG_HEADERS_MAX)
        return fail(x, BH_E_LIMIT, "too-large", "the server sent too many headers");
    do
        colon++;
    while (colon < line + n && (*colon == ' ' || *colon == '\t'));
    struct reg_header *h = &x->out->header[x->out->n_headers++];
    h->name = keep(x, line, name, true);
    h->value = keep(x, colon, (size_t)(line + n - colon), false);
    if (strcmp(h->name, "content-length") == 0 && !bh_str_u64(h->value, &x->out->length))
        return fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server sent a malformed Content-Length");
    return 0;
}

/* ---- the answer's body --------------------------------------------------------------------------- */

static uint64_t body_limit(const struct exchange *x) {
    if (!is_success(x))
        return REG_ERROR_BODY_MAX;
    return x->req->max_body ? x->req->max_body : x->req->sink ? UINT64_MAX : REG_DOCUMENT_MAX;
}

static int too_large(struct exchange *x) {
    return fail(x, BH_E_LIMIT, "too-large", "the server sends more than %llu bytes", (unsigned long long)body_limit(x));
}

static int begin(struct exchange *x) {
    if (x->begun)
        return 0;
    x->begun = true;
    if (!is_success(x))
        return 0;
    if (x->out->length != UINT64_MAX && x->out->length > body_limit(x) && strcmp(x->req->method, "HEAD") != 0)
        return too_large(x);
    return x->req->head ? x->req->head(x->req->arg, x->out, x->err) : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg) {
    struct exchange *x = arg;
    int rc;

    n *= size;
    note_progress(x, 0);
    if (x->begun) /* a trailer */
        return n;
    rc = n > 5 && memcmp(line, "HTTP/", 5) == 0 ? take_status(x, line, n) : take_header(x, line, n);
    if (rc == 0 && x->answered && strspn(line, "\r\n") == n)
        rc = begin(x);
    return rc == 0 ? n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg) {
    struct exchange *x = arg;
    bool success = is_success(x);

    n *= size;
    if (begin(x) != 0)
        return 0;
    if (x->hop->drop_redirect && x->out->status / 100 == 3 && x->out->status != 304)
        return n;
    if (n > body_limit(x) - x->out->received) {
        x->enough = !success;
        if (success)
            (void)too_large(x);
        return 0;
    }
    if (success && x->req->sink) {
        if (x->req->sink(x->req->arg, data, n, x->err) != 0)
            return 0;
    } else {
        bh_buf_add(&x->out->body, data, n);
        if (bh_buf_failed(&x->out->body)) {
            (void)fail(x, BH_E_LIMIT, "too-large", "no memory for the answer");
            return 0;
        }
    }
    x->out->received += n;
    note_progress(x, n);
    return n;
}

/* ---- what is sent -------------------------------------------------------------------------------- */

static size_t on_read(char *to, size_t size, size_t n, void *arg) {
    struct exchange *x = arg;
    const struct reg_http_request *req = x->req;
    uint64_t left = req->body_size - x->sent;

    n *= size;
    n = n > left ? (size_t)left : n;
    if (n > 0 && !req->from_fd)
        memcpy(to, (const char *)req->body + x->sent, n);
    if (n > 0 && req->from_fd && bh_pread_full(req->fd, to, n, req->fd_at + (off_t)x->sent) != (ssize_t)n) {
        (void)fail(x, BH_E_INTERNAL, "read-failed", "the file that is sent cannot be read: %s", strerror(errno));
        return CURL_READFUNC_ABORT;
    }
    x->sent += n;
    note_progress(x, n);
    if (req->sent)
        req->sent(req->arg, x->sent);
    return n;
}

/* libcurl would send a body again by itself when a connection that it used before breaks; a part may have arrived, and
 * only who asks the server how much can go on. */
static int on_seek(void *arg, curl_off_t offset, int origin) {
    const struct exchange *x = arg;

    return origin == SEEK_SET && offset == 0 && x->sent == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

/* ---- connecting ---------------------------------------------------------------------------------- */

static bool is_proxied(const struct exchange *x) {
    return x->hop->terms.proxy && *x->hop->terms.proxy;
}

/* The address itself is judged, not its text: names may resolve to anything. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct exchange *x = arg;
    enum reg_reach reach = is_proxied(x) ? REG_REACH_WORLD : reg_reach_of(&a->addr);

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

static void set_transport(struct exchange *x) {
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
    curl_easy_setopt(easy, CURLOPT_PROXY, is_proxied(x) ? x->hop->terms.proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->why);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "bulkhead/" BH_VERSION);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!x->hop->url->plain)
        set_tls(easy, x->hop->terms.tls);
}

static bool add_line(struct exchange *x, const char *line) {
    struct curl_slist *longer = curl_slist_append(x->headers, line);

    if (longer)
        x->headers = longer;
    return longer != NULL;
}

static int set_headers(struct exchange *x) {
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
    return ok ? 0 : fail(x, BH_E_LIMIT, "too-large", "no memory for the request");
}

static void set_request(struct exchange *x) {
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
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
}

/* ---- errors -------------------------------------------------------------------------------------- */

/* What can be done about a certificate that did not pass; libcurl's words tell them apart. */
static void hint_certificate(struct exchange *x) {
    const char *host = strchr(x->origin, '/') + 2;

    if (strstr(x->why, "expired"))
        bh_err_hint(x->err, "whoever runs %s has to renew the certificate", host);
    else if (strstr(x->why, "not yet valid"))
        bh_err_hint(x->err, "look at the clock of this host, then ask whoever runs %s", host);
    else if (strstr(x->why, "subject name"))
        bh_err_hint(x->err, "the certificate is for another name: use that one, or have it made for %s", host);
    else
        bh_err_hint(x->err, "put the authority that signed it into certs.d/%s/ca.crt (certs_dir in bulkhead.toml)",
                    host);
}

static int tls_failed(struct exchange *x, CURLcode code) {
    bool verified = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR;
    bool plain = code == CURLE_SSL_CONNECT_ERROR &&
                 (strstr(x->why, "wrong version number") || strstr(x->why, "packet length too long") ||
                  strstr(x->why, "http request") || strstr(x->why, "record layer failure"));

    if (plain) {
        (void)fail(x, BH_E_UNAVAILABLE, "plain-http",
                   "%s: server gave HTTP response to HTTPS client: it does not speak TLS", x->origin);
        return bh_err_hint(x->err,
                           "if plain HTTP is right here, set `insecure = true` for this host in registries.conf");
    }
    (void)fail(x, BH_E_UNAVAILABLE, code == CURLE_SSL_CONNECT_ERROR && !strstr(x->why, " alert ") ? "no-tls" : "tls",
               "%s: tls: %s", x->origin, *x->why ? x->why : curl_easy_strerror(code));
    if (verified)
        hint_certificate(x);
    return x->err->code;
}

/* " by the proxy HOST:PORT", without the user that its address may name. */
static void by_proxy(const struct exchange *x, char out[200]) {
    const char *host = is_proxied(x) ? x->hop->terms.proxy : NULL, *at;

    out[0] = '\0';
    if (!host)
        return;
    host = strstr(host, "://") ? strstr(host, "://") + 3 : host;
    at = strrchr(host, '@');
    host = at ? at + 1 : host;
    snprintf(out, 200, " by the proxy %.*s", (int)strcspn(host, "/"), host);
}

static int connect_failed(struct exchange *x) {
    char proxy[200];
    long number = 0;

    if (x->refused) {
        (void)fail(x, BH_E_DENIED, "near-address",
                   "%s: the registry sends us to an address of this host or network that is closer than itself",
                   x->origin);
        return x->err->code;
    }
    curl_easy_getinfo(x->lane->easy, CURLINFO_OS_ERRNO, &number);
    by_proxy(x, proxy);
    return fail(x, BH_E_UNAVAILABLE, "connect", "connect to %s:%u%s: %s", x->hop->url->host, x->hop->url->port, proxy,
                number > 0 ? strerror((int)number)
                : *x->why  ? x->why
                           : "no connection");
}

static int timed_out(struct exchange *x) {
    double connected = 0; /* a connection that was used again has no times but this one */
    char proxy[200];

    curl_easy_getinfo(x->lane->easy, CURLINFO_PRETRANSFER_TIME, &connected);
    by_proxy(x, proxy);
    if (connected <= 0)
        return fail(x, BH_E_UNAVAILABLE, "connect", "connect to %s:%u%s: no answer in time", x->hop->url->host,
                    x->hop->url->port, proxy);
    return fail(x, BH_E_UNAVAILABLE, "timeout", "%s: no answer in time", x->origin);
}

static int connection_lost(struct exchange *x, CURLcode code) {
    return fail(x, BH_E_UNAVAILABLE, "connection-lost", "%s: the connection was lost: %s", x->origin,
                *x->why ? x->why : curl_easy_strerror(code));
}

static int curl_failed(struct exchange *x, CURLcode code) {
    char proxy[200];

    if (x->err->code)
        return x->err->code;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        by_proxy(x, proxy);
        return fail(x, BH_E_UNAVAILABLE, "dns", "look up %s: no such host, or no name server answers",
                    code == CURLE_COULDNT_RESOLVE_PROXY ? proxy + strlen(" by ") : x->hop->url->host);
    case CURLE_COULDNT_CONNECT:
        return connect_failed(x);
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(x);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return tls_failed(x, code);
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
        if (strstr(x->why, " alert ")) /* TLS 1.3: a client certificate is missed only after the handshake */
            return tls_failed(x, code);
        return connection_lost(x, code);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return connection_lost(x, code);
    case CURLE_OUT_OF_MEMORY: /* libcurl's word for a line that is too long */
        return fail(x, BH_E_LIMIT, "too-large",
                    x->begun ? "out of memory" : "the server sent a header that is too long");
    default:
        return fail(x, BH_E_UNAVAILABLE, "bad-answer", "%s: %s", x->origin,
                    *x->why ? x->why : curl_easy_strerror(code));
    }
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static int64_t patience_ns(const struct exchange *x) {
    const struct reg_times *t = x->req->times;
    int64_t ms = t && t->progress_ms ? t->progress_ms : PROGRESS_MS;
    bool thinking = x->req->body_size > 0 && x->sent == x->req->body_size && !x->answered;

    return ms * (thinking ? ANSWER_FACTOR : 1) * (BH_NSEC / 1000);
}

static int check_time(struct exchange *x) {
    int64_t now = bh_mono_ns();

    if (now - x->moved_ns > patience_ns(x))
        return timed_out(x);
    if (!x->req->sink && x->req->body_size == 0 && now - x->started_ns > DOCUMENT_NS)
        return fail(x, BH_E_UNAVAILABLE, "timeout", "%s: the answer takes too long", x->origin);
    return 0;
}

static bool is_done(struct exchange *x, CURLcode *out) {
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(x->lane->multi, &left)) != NULL;) {
        if (m->msg == CURLMSG_DONE) {
            *out = m->data.result;
            return true;
        }
    }
    return false;
}

static int drive(struct exchange *x, CURLcode *out) {
    struct curl_waitfd cancel = {.fd = x->req->cancel_fd, .events = CURL_WAIT_POLLIN};
    unsigned n_extra = x->req->cancel_fd >= 0 ? 1 : 0;

    for (int running = 1;;) {
        if (curl_multi_perform(x->lane->multi, &running) != CURLM_OK)
            return fail(x, BH_E_INTERNAL, "bad-answer", "libcurl failed");
        if (is_done(x, out))
            return 0;
        if (check_time(x) != 0)
            return x->err->code;
        cancel.revents = 0;
        if (curl_multi_poll(x->lane->multi, &cancel, n_extra, 1000, NULL) != CURLM_OK)
            return fail(x, BH_E_INTERNAL, "bad-answer", "libcurl failed");
        if (cancel.revents)
            return fail(x, BH_E_CANCELLED, "cancelled", "cancelled");
    }
}

static int finish(struct exchange *x, CURLcode code) {
    if (code == CURLE_WRITE_ERROR && x->enough)
        code = CURLE_OK;
    if (code != CURLE_OK)
        return curl_failed(x, code);
    if (begin(x) != 0)
        return x->err->code;
    return x->out->status > 0 ? 0 : fail(x, BH_E_UNAVAILABLE, "bad-answer", "%s: no answer", x->origin);
}

static void drop_headers(struct exchange *x) {
    for (struct curl_slist *l = x->headers; l; l = l->next)
        OPENSSL_cleanse(l->data, strlen(l->data));
    curl_slist_free_all(x->headers);
}

static int prepare(struct exchange *x) {
    struct reg_http_response *out = x->out;

    bh_buf_reset(&out->lines);
    bh_buf_reset(&out->body);
    out->lines.max = REG_HEADERS_MAX + 64;
    out->body.max = REG_DOCUMENT_MAX > body_limit(x) ? REG_DOCUMENT_MAX + 1 : (size_t)body_limit(x);
    if (x->req->max_body && !x->req->sink)
        out->body.max = x->req->max_body > REG_ERROR_BODY_MAX ? (size_t)x->req->max_body : REG_ERROR_BODY_MAX;
    out->n_headers = 0;
    out->status = 0;
    out->received = 0;
    out->length = UINT64_MAX;
    return bh_buf_room(&out->lines, REG_HEADERS_MAX + 1) ? 0 : fail(x, BH_E_LIMIT, "too-large", "out of memory");
}

int reg_http_hop(struct reg_http *http, const struct reg_hop *hop, struct reg_http_response *out,
                 enum reg_reach *out_reach, struct bh_err *err) {
    struct exchange x = {.hop = hop, .req = hop->req, .out = out, .err = err};
    CURLcode code = CURLE_OK;

    reg_url_origin(hop->url, x.origin);
    if (prepare(&x) != 0 || reg_lane_take(http, hop->url, &hop->terms, &x.lane, err) != 0)
        return err->code;
    if (hop->guarded && x.lane->reach > hop->reach) {
        x.refused = true;
        reg_lane_give(http, x.lane, false);
        return connect_failed(&x);
    }
    x.started_ns = x.moved_ns = bh_mono_ns();
    set_transport(&x);
    set_request(&x);
    int rc = set_headers(&x);
    if (rc == 0 && curl_multi_add_handle(x.lane->multi, x.lane->easy) != CURLM_OK)
        rc = fail(&x, BH_E_INTERNAL, "bad-answer", "libcurl failed");
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
