/*
 * buf.c - see buf.h.
 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void bh_buf_init(struct bh_buf *b, size_t max) {
    *b = (struct bh_buf)BH_BUF_INIT_MAX(max);
}

void bh_buf_fini(struct bh_buf *b) {
    free(b->data);
    *b = (struct bh_buf)BH_BUF_INIT_MAX(b->max);
}

void bh_buf_reset(struct bh_buf *b) {
    b->len = 0;
    b->failed = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

void *bh_buf_room(struct bh_buf *b, size_t n) {
    size_t max = b->max != 0 ? b->max : BH_BUF_DEFAULT_MAX;
    size_t want;
    char *grown;

    if (b->failed || n > max || b->len > max - n) {
        b->failed = true;
        return NULL;
    }
    want = b->len + n + 1; /* the NUL */
    if (want > b->cap) {
        size_t cap = b->cap < 64 ? 64 : b->cap;

        while (cap < want)
            cap += cap / 2 + 16;
        grown = realloc(b->data, cap);
        if (grown == NULL) {
            b->failed = true;
            return NULL;
        }
        b->data = grown;
        b->data[b->len] = '\0'; /* also when nothing is ever put into the room */
        b->cap = cap;
    }
    return b->data + b->len;
}

void bh_buf_grew(struct bh_buf *b, size_t n) {
    b->len += n;
    b->data[b->len] = '\0';
}

void bh_buf_add(struct bh_buf *b, const void *data, size_t n) {
    void *to = bh_buf_room(b, n);

    if (to == NULL)
        return;
    if (n > 0)
        memcpy(to, data, n);
    bh_buf_grew(b, n);
}

void bh_buf_addc(struct bh_buf *b, char c) {
    bh_buf_add(b, &c, 1);
}

void bh_buf_adds(struct bh_buf *b, const char *s) {
    bh_buf_add(b, s, strlen(s));
}

void bh_buf_addv(struct bh_buf *b, const char *fmt, va_list ap) {
    va_list again;
    char *to;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) {
        b->failed = true;
        return;
    }
    to = bh_buf_room(b, (size_t)n);
    if (to == NULL)
        return;
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    bh_buf_grew(b, (size_t)n);
}

void bh_buf_addf(struct bh_buf *b, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    bh_buf_addv(b, fmt, ap);
    va_end(ap);
}

void bh_buf_shift(struct bh_buf *b, size_t n) {
    if (n >= b->len) {
        b->len = 0;
    } else {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
    if (b->data != NULL)
        b->data[b->len] = '\0';
}

void bh_buf_add_json_str(struct bh_buf *b, const char *s, size_t n) {
    size_t i = 0;

    bh_buf_addc(b, '"');
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        size_t seq;

        if (c == '"' || c == '\\') {
            bh_buf_addc(b, '\\');
            bh_buf_addc(b, (char)c);
            i++;
        } else if (c == '\n') {
            bh_buf_adds(b, "\\n");
            i++;
        } else if (c == '\t') {
            bh_buf_adds(b, "\\t");
            i++;
        } else if (c == '\r') {
            bh_buf_adds(b, "\\r");
            i++;
        } else if (c < 0x20 || c == 0x7f) {
            bh_buf_addf(b, "\\u%04x", c);
            i++;
        } else if ((seq = bh_utf8_len(s + i, n - i)) == 0) {
            bh_buf_adds(b, "\\ufffd");
            i++;
        } else {
            bh_buf_add(b, s + i, seq);
            i += seq;
        }
    }
    bh_buf_addc(b, '"');
}

bool bh_buf_failed(const struct bh_buf *b) {
    return b->failed;
}

const char *bh_buf_str(const struct bh_buf *b) {
    return b->data != NULL ? b->data : "";
}

char *bh_buf_take(struct bh_buf *b) {
    char *out = b->data != NULL ? b->data : bh_xstrdup("");

    b->data = NULL;
    b->len = b->cap = 0;
    return out;
}
