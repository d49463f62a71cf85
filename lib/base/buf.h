/*
 * buf.h - a growing byte buffer with a ceiling.
 *
 * Room: all.  Everything that is assembled from or for a peer goes through one of these.  Growth
 * past `max` fails and sticks: later appends do nothing and bh_buf_failed() stays true, so a
 * caller appends freely and checks once.  The bytes are always followed by a NUL that is not
 * counted in `len`, so a buffer of text can be handed out as a C string.
 */
#ifndef BH_BASE_BUF_H
#define BH_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_buf {
    char *data; /* NULL until the first append; see bh_buf_str */
    size_t len;
    size_t cap;
    size_t max; /* 0: BH_BUF_DEFAULT_MAX */
    bool failed;
};

#define BH_BUF_DEFAULT_MAX ((size_t)64 << 20)
#define BH_BUF_INIT                                                                                                    \
    { 0 }
#define BH_BUF_INIT_MAX(m)                                                                                             \
    { .max = (m) }
#define BH_SCOPE_BUF __attribute__((cleanup(bh_buf_fini)))

void bh_buf_init(struct bh_buf *b, size_t max);
void bh_buf_fini(struct bh_buf *b);
/* Empty, keep the memory and clear `failed`. */
void bh_buf_reset(struct bh_buf *b);

void bh_buf_add(struct bh_buf *b, const void *data, size_t n);
void bh_buf_addc(struct bh_buf *b, char c);
void bh_buf_adds(struct bh_buf *b, const char *s);
void bh_buf_addf(struct bh_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bh_buf_addv(struct bh_buf *b, const char *fmt, va_list ap);
/* Room for n more bytes at the end; NULL when over the ceiling.  Follow with bh_buf_grew. */
void *bh_buf_room(struct bh_buf *b, size_t n);
void bh_buf_grew(struct bh_buf *b, size_t n);
/* Cut the first n bytes off. */
void bh_buf_shift(struct bh_buf *b, size_t n);

/* JSON string literal with quotes; bytes that are not UTF-8 become U+FFFD. */
void bh_buf_add_json_str(struct bh_buf *b, const char *s, size_t n);

bool bh_buf_failed(const struct bh_buf *b);
/* The content as a C string, never NULL. */
const char *bh_buf_str(const struct bh_buf *b);
/* The content as a malloc'd string that the caller owns; the buffer is empty afterwards. */
char *bh_buf_take(struct bh_buf *b);

#endif
