/*
 * http_int.h - what the files of one exchange share.
 *
 * Room: registry.  Private to http_*.c.
 */
#ifndef REG_HTTP_INT_H
#define REG_HTTP_INT_H

#include "svc-registry/lane.h"

/* One request and its answer under way. */
struct reg_exchange {
    const struct reg_hop *hop;
    const struct reg_http_request *req;
    struct reg_http_response *out;
    struct reg_lane *lane;
    struct curl_slist *headers;
    struct bh_err *err;
    int64_t started_ns, moved_ns; /* when it began; when enough bytes for progress had moved */
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

/* So many bytes went either way; 0: anything else that shows life. */
void reg_exchange_moved(struct reg_exchange *x, uint64_t n);

/* http_answer.c: what comes.  The first two are libcurl's callbacks, arg is the exchange. */
size_t reg_exchange_on_header(char *line, size_t size, size_t n, void *arg);
size_t reg_exchange_on_body(char *data, size_t size, size_t n, void *arg);
/* The final answer's body, or its end, is there: told once.  err->code. */
int reg_exchange_begin(struct reg_exchange *x);
/* Bytes that a body of this status may have. */
uint64_t reg_exchange_body_max(const struct reg_exchange *x);

/* http_error.c: what went wrong, in words that help; the first error stays.  All give err->code. */
int reg_exchange_fail(struct reg_exchange *x, int code, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int reg_exchange_curl_failed(struct reg_exchange *x, CURLcode code);
int reg_exchange_connect_failed(struct reg_exchange *x);
int reg_exchange_timed_out(struct reg_exchange *x);
bool reg_exchange_proxied(const struct reg_exchange *x);

#endif
