/*
 * http.h - one exchange with an HTTP server: bounded, cancellable, on pooled connections.
 *
 * Room: registry.  Everything that comes back is foreign.  A connection is only ever used again for the
 * same origin under the same TLS terms, so nothing that was decided for one place reaches another.
 * `authorization` goes to the origin of `url` alone: after a redirect to another origin it is left out.
 * Redirects are followed here, at most 10, never from https to http, to no scheme but these two.
 * auth.h adds tokens, remote.h adds a repository; most code wants remote.h.
 */
#ifndef REG_HTTP_H
#define REG_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "svc-registry/tls.h"
#include "svc-registry/url.h"

#define REG_DOCUMENT_MAX   ((size_t)4 << 20) /* of a manifest, config, list */
#define REG_ERROR_BODY_MAX ((size_t)64 << 10)
#define REG_HEADERS_MAX    ((size_t)64 << 10) /* bytes of all headers of an answer */
#define REG_HEADER_LINES   128
#define REG_TRIES          6 /* of a request that may be sent again, unless the caller says otherwise */

struct reg_times {
    uint32_t connect_ms;  /* to connect and shake hands */
    uint32_t progress_ms; /* without a byte either way */
};

struct reg_http;
/* One for the room.  Reads the certificates of the system. */
int reg_http_new(struct reg_http **out, struct bh_err *err);
void reg_http_free(struct reg_http *http);

/* What holds for one address: asked for before each hop, so a redirect to another host gets that host's terms. */
struct reg_terms {
    const struct reg_tls *tls;
    const char *proxy; /* "" = none */
};
typedef int reg_terms_for(void *arg, const struct reg_url *url, struct reg_terms *out, struct bh_err *err);

struct reg_http_response;

/* Called once when the headers of a 2xx answer are there, before its body.  Not 0: stop with err. */
typedef int reg_http_head(void *arg, const struct reg_http_response *head, struct bh_err *err);
/* Takes all n bytes or stops with err. */
typedef int reg_http_sink(void *arg, const void *data, size_t n, struct bh_err *err);

struct reg_http_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
    const char *url;    /* http:// only for callers that have decided so; https is never left for it */
    reg_terms_for *terms;
    void *terms_arg;
    const struct reg_times *times; /* NULL: the defaults */
    bool no_redirect;              /* give 3xx back as the answer */
    const char *const *headers;    /* "Accept: a/b", whole lines */
    size_t n_headers;
    const char *authorization; /* "Basic ..", "Bearer .."; secret; NULL or "": none */
    const void *body;          /* what is sent: bytes, */
    size_t body_size;
    bool from_fd; /* or [fd_at, fd_at + body_size) of a file: sent again from there at need */
    int fd;
    off_t fd_at;
    void (*sent)(void *arg, uint64_t bytes); /* progress of the body; may be NULL */
    reg_http_head *head;                     /* may be NULL */
    reg_http_sink *sink; /* for the body of a 2xx answer; NULL: into response->body, at most max_body */
    void *arg;           /* of sent, head and sink */
    uint64_t max_body;   /* 0: REG_DOCUMENT_MAX without a sink, no limit with one */
    bool guarded;        /* the address is a server's word (a realm): it must not lie nearer than reach */
    enum reg_reach reach;
    int cancel_fd;    /* readable: stop with BH_E_CANCELLED; -1: never */
    unsigned tries;   /* 0: REG_TRIES; 1: never again */
    const char *what; /* for errors: "manifest of docker.io/library/debian:12" */
};

struct reg_header {
    const char *name; /* lower case */
    const char *value;
};

/* Owned by the caller: INIT, hand in, FINI.  May be used for one request after the other. */
struct reg_http_response {
    int status;             /* 200 .. */
    char url[REG_URL_SIZE]; /* that answered, after redirects; without user and query secrets: not for people */
    struct bh_buf lines;    /* memory of the headers */
    struct reg_header header[REG_HEADER_LINES];
    size_t n_headers;
    struct bh_buf body;   /* of answers other than 2xx: at most REG_ERROR_BODY_MAX, the rest is not read */
    uint64_t received;    /* bytes that went to the sink or body */
    uint64_t length;      /* Content-Length, UINT64_MAX if it was not told */
    enum reg_reach reach; /* of the server that was asked first, WORLD behind a proxy */
    bool redirected;      /* the answer is not from the origin that was asked */
};
#define REG_HTTP_RESPONSE_INIT                                                                                         \
    { 0 }
#define REG_SCOPE_RESPONSE __attribute__((cleanup(reg_http_response_fini)))
void reg_http_response_fini(struct reg_http_response *r);
/* The first of that name (lower case), or "". */
const char *reg_http_header(const struct reg_http_response *r, const char *name);

/*
 * Any status that the server gave is a success of this function: look at out->status.
 * Sent again by itself, with growing pauses and as Retry-After says, after 429, 500, 502, 503, 504, lost
 * connections and time-outs, as long as nothing of a 2xx body went to the sink and less than `tries` were made.
 * What was lost after the first byte of the sink is the caller's to resume: BH_E_UNAVAILABLE, reason
 * "connection-lost", out->received tells how far.
 * Errors, by reason: "cancelled" (CANCELLED), "dns", "connect", "connection-lost", "timeout" (all UNAVAILABLE),
 * "tls", "no-tls" (none could be begun), "plain-http" (a server without TLS answered), "redirect", "too-large" (LIMIT),
 * "bad-answer". A sink's or head's own error comes back as it is.
 */
int reg_http_send(struct reg_http *http, const struct reg_http_request *req, struct reg_http_response *out,
                  struct bh_err *err);

/* ---- sending again, for those who resume ------------------------------------------------------- */

struct reg_retry {
    unsigned tries, max; /* made, allowed */
    bool worked;         /* the server has answered before */
    int64_t started_ns;
    int cancel_fd;
    /* told before each pause, may be NULL: LAYER_RETRYING */
    void (*pausing)(void *arg, unsigned seconds);
    void *arg;
};
void reg_retry_init(struct reg_retry *r, unsigned max /* 0: REG_TRIES */, int cancel_fd);
/* Is this worth another try?  Waits and returns 0; else returns err->code with err as it was (or CANCELLED).
 * response may be NULL; its Retry-After is honoured up to two minutes.  `moved` bytes since the last time make
 * `tries` start anew when they are REG_RETRY_STEP or more: a byte for each try would never end. */
#define REG_RETRY_STEP ((uint64_t)64 << 10)
int reg_retry_wait(struct reg_retry *r, const struct reg_http_response *response, uint64_t moved, struct bh_err *err);
/* Seconds that Retry-After asks for, -1: it does not. */
int64_t reg_retry_after(const struct reg_http_response *response);
bool reg_retry_status(int status);            /* 429, 500, 502, 503, 504, 408 */
bool reg_retry_error(const struct bh_err *e); /* UNAVAILABLE for a reason that may pass */

/* A sink for a pipe or file: arg is struct reg_http_fd; waits while the pipe is full, until cancelled.
 * EPIPE: BH_E_ABORTED, reason "reader-gone". */
struct reg_http_fd {
    int fd;
    int cancel_fd;
    uint64_t written;
    void (*progress)(void *arg, uint64_t written);
    void *arg;
};
reg_http_sink reg_http_to_fd;

#endif
