/*
 * http_answer.c - an answer as it comes: status, headers, body.
 *
 * Room: registry.  Every byte is foreign: headers are counted and measured, a body ends at its limit.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "svc-registry/http_int.h"

#define STATUSES 20 /* lines of status in one answer: "wait" is said so often */

/* ---- the answer's headers ----------------------------------------------------------------------- */

static bool is_success(const struct reg_exchange *x) {
    return x->out->status >= 200 && x->out->status < 300;
}

static int take_status(struct reg_exchange *x, const char *line, size_t n) {
    int status = 0;

    (void)bh_str_copy_n(x->status_line, sizeof x->status_line, line, n < sizeof x->status_line ? n : 60);
    if (sscanf(x->status_line, "HTTP/%*d.%*d %3d", &status) != 1 &&
        sscanf(x->status_line, "HTTP/%*d %3d", &status) != 1)
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server does not speak HTTP");
    if (++x->statuses > STATUSES)
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "bad-answer",
                                 "the server says %d again and again, and nothing else", status);
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

/* The memory was reserved whole in reg_exchange_begin(), so that pointers into it stay. */
static const char *keep(struct reg_exchange *x, const char *s, size_t n, bool lower) {
    char *at = x->out->lines.data + x->out->lines.len;

    bh_buf_add(&x->out->lines, s, n);
    bh_buf_addc(&x->out->lines, '\0');
    for (size_t i = 0; lower && i < n; i++)
        at[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] | 0x20 : at[i]);
    return at;
}

static int take_header(struct reg_exchange *x, const char *line, size_t n) {
    const char *colon = memchr(line, ':', n);
    size_t name = colon ? (size_t)(colon - line) : 0;

    while (n > 0 && strchr("\r\n \t", line[n - 1]) && line[n - 1])
        n--;
    if (n == 0)
        return 0;
    if (!colon || name == 0 || !clean_value(line, n))
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server sent a malformed header");
    if (x->out->n_headers == REG_HEADER_LINES || x->out->lines.len + n + 2 > REG_HEADERS_MAX)
        return reg_exchange_fail(x, BH_E_LIMIT, "too-large", "the server sent too many headers");
    do
        colon++;
    while (colon < line + n && (*colon == ' ' || *colon == '\t'));
    struct reg_header *h = &x->out->header[x->out->n_headers++];
    h->name = keep(x, line, name, true);
    h->value = keep(x, colon, (size_t)(line + n - colon), false);
    if (strcmp(h->name, "content-length") == 0 && !bh_str_u64(h->value, &x->out->length))
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "bad-answer", "the server sent a malformed Content-Length");
    return 0;
}

/* ---- the answer's body --------------------------------------------------------------------------- */

uint64_t reg_exchange_body_max(const struct reg_exchange *x) {
    if (!is_success(x))
        return REG_ERROR_BODY_MAX;
    return x->req->max_body ? x->req->max_body : x->req->sink ? UINT64_MAX : REG_DOCUMENT_MAX;
}

static int too_large(struct reg_exchange *x) {
    return reg_exchange_fail(x, BH_E_LIMIT, "too-large", "the server sends more than %llu bytes",
                             (unsigned long long)reg_exchange_body_max(x));
}

int reg_exchange_begin(struct reg_exchange *x) {
    if (x->begun)
        return 0;
    x->begun = true;
    if (!is_success(x))
        return 0;
    if (x->out->length != UINT64_MAX && x->out->length > reg_exchange_body_max(x) &&
        strcmp(x->req->method, "HEAD") != 0)
        return too_large(x);
    return x->req->head ? x->req->head(x->req->arg, x->out, x->err) : 0;
}

size_t reg_exchange_on_header(char *line, size_t size, size_t n, void *arg) {
    struct reg_exchange *x = arg;
    int rc;

    n *= size;
    reg_exchange_moved(x, 0);
    if (x->begun) /* a trailer */
        return n;
    rc = n > 5 && memcmp(line, "HTTP/", 5) == 0 ? take_status(x, line, n) : take_header(x, line, n);
    if (rc == 0 && x->answered && strspn(line, "\r\n") == n)
        rc = reg_exchange_begin(x);
    return rc == 0 ? n : 0;
}

size_t reg_exchange_on_body(char *data, size_t size, size_t n, void *arg) {
    struct reg_exchange *x = arg;
    bool success = is_success(x);

    n *= size;
    if (reg_exchange_begin(x) != 0)
        return 0;
    if (x->hop->drop_redirect && x->out->status / 100 == 3 && x->out->status != 304)
        return n;
    if (n > reg_exchange_body_max(x) - x->out->received) {
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
            (void)reg_exchange_fail(x, BH_E_LIMIT, "too-large", "no memory for the answer");
            return 0;
        }
    }
    x->out->received += n;
    reg_exchange_moved(x, n);
    return n;
}
