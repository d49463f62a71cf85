/*
 * str.c - see str.h.
 */
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bh_str_copy_n(char *dst, size_t size, const char *src, size_t n) {
    if (n >= size) {
        if (size > 0)
            dst[0] = '\0';
        return false;
    }
    memcpy(dst, src, n);
    dst[n] = '\0';
    return true;
}

bool bh_str_copy(char *dst, size_t size, const char *src) {
    return bh_str_copy_n(dst, size, src, strlen(src));
}

bool bh_str_starts(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool bh_str_ends(const char *s, const char *suffix) {
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool bh_str_eq(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool bh_str_u64(const char *s, uint64_t *out) {
    uint64_t v = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

bool bh_str_i64(const char *s, int64_t *out) {
    bool negative = *s == '-';
    uint64_t v;

    if (!bh_str_u64(s + negative, &v) || v > (uint64_t)INT64_MAX)
        return false;
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

bool bh_str_bytes(const char *s, uint64_t *out) {
    static const char units[] = "bkmgtp";
    size_t number = strspn(s, "0123456789.");
    char *end = NULL;
    const char *unit;
    double v;
    int shift = 0;

    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    v = strtod(s, &end);
    if (errno != 0 || end != s + number) /* no exponent, no hex, one dot */
        return false;
    if (*end == ' ')
        end++;
    if (*end != '\0') {
        char lower = (char)(*end | 0x20);

        unit = strchr(units, lower);
        if (unit == NULL)
            return false;
        shift = 10 * (int)(unit - units);
        end++;
        if (shift > 0 && (*end == 'i' || *end == 'I'))
            end++;
        if (shift > 0 && (*end == 'b' || *end == 'B'))
            end++;
        if (*end != '\0')
            return false;
    }
    v = ldexp(v, shift);
    if (!(v >= 0) || v >= 9.2e18)
        return false;
    *out = (uint64_t)v;
    return true;
}

void bh_hex(const unsigned char *in, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool bh_unhex(const char *in, size_t in_len, unsigned char *out) {
    if (in_len % 2 != 0)
        return false;
    for (size_t i = 0; i < in_len / 2; i++) {
        int hi = hex_value(in[2 * i]), lo = hex_value(in[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        out[i] = (unsigned char)(hi << 4 | lo);
    }
    return true;
}

size_t bh_utf8_len(const char *s, size_t n) {
    const unsigned char *u = (const unsigned char *)s;
    size_t len;
    uint32_t cp;

    if (n == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] >= 0xc2 && u[0] <= 0xdf)
        len = 2, cp = u[0] & 0x1fU;
    else if (u[0] >= 0xe0 && u[0] <= 0xef)
        len = 3, cp = u[0] & 0x0fU;
    else if (u[0] >= 0xf0 && u[0] <= 0xf4)
        len = 4, cp = u[0] & 0x07U;
    else
        return 0;
    if (n < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (u[i] & 0x3fU);
    }
    if ((len == 3 && (cp < 0x800 || (cp >= 0xd800 && cp <= 0xdfff))) || (len == 4 && (cp < 0x10000 || cp > 0x10ffff)))
        return 0;
    return len;
}

bool bh_utf8_valid(const char *s, size_t n) {
    size_t step;

    for (size_t i = 0; i < n; i += step) {
        step = bh_utf8_len(s + i, n - i);
        if (step == 0)
            return false;
    }
    return true;
}

uint32_t bh_utf8_next(const char **s) {
    const unsigned char *u = (const unsigned char *)*s;
    size_t n = bh_utf8_len(*s, strnlen(*s, 4));
    uint32_t c;

    if (n == 0) {
        *s += 1;
        return BH_UTF8_BYTE + u[0];
    }
    c = n == 1 ? u[0] : u[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (u[i] & 0x3fU);
    *s += n;
    return c;
}

/* Marks of direction, and ends of lines and paragraphs: what follows them would be shown in another order. */
static bool turns_text(const char *s, size_t seq) {
    const unsigned char *u = (const unsigned char *)s;

    if (seq == 2)
        return u[0] == 0xd8 && u[1] == 0x9c; /* U+061C */
    if (seq != 3 || u[0] != 0xe2)
        return false;
    return (u[1] == 0x80 && (u[2] == 0x8e || u[2] == 0x8f || (u[2] >= 0xa8 && u[2] <= 0xae))) || /* U+200E.. U+2028.. */
           (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9);                                       /* U+2066.. */
}

void bh_str_escape(char *dst, size_t size, const char *src, size_t n, bool keep_newlines) {
    size_t out = 0, i = 0;

    if (size == 0)
        return;
    while (i < n) {
        unsigned char c = (unsigned char)src[i];
        size_t seq = bh_utf8_len(src + i, n - i);
        bool control = c < 0x20 || c == 0x7f || (seq == 2 && c == 0xc2 && (unsigned char)src[i + 1] < 0xa0) ||
                       turns_text(src + i, seq);

        if (keep_newlines && (c == '\n' || c == '\t'))
            control = false;
        if (seq == 0 || control) {
            size_t bad = seq == 0 ? 1 : seq;

            if (out + 4 * bad >= size)
                break;
            for (size_t k = 0; k < bad; k++)
                out += (size_t)snprintf(dst + out, size - out, "\\x%02x", (unsigned char)src[i + k]);
            i += bad;
        } else {
            if (out + seq >= size)
                break;
            memcpy(dst + out, src + i, seq);
            out += seq;
            i += seq;
        }
    }
    dst[out] = '\0';
}

void bh_human_size(char *dst, size_t size, uint64_t bytes, int prec) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    size_t u = 0;

    while (v >= 1000.0 && u + 1 < sizeof units / sizeof units[0]) {
        v /= 1000.0;
        u++;
    }
    snprintf(dst, size, "%.*g%s", prec, v, units[u]);
    if (strchr(dst, 'e') != NULL &&
        u + 1 < sizeof units / sizeof units[0]) /* 999.9kB at 3 digits is 1MB, not 1e+03kB */
        snprintf(dst, size, "%.*g%s", prec, v / 1000.0, units[u + 1]);
}

void bh_human_duration(char *dst, size_t size, int64_t s) {
    int64_t minutes = s / 60;
    int64_t hours = (s + 1800) / 3600;

    if (s < 1)
        snprintf(dst, size, "Less than a second");
    else if (s == 1)
        snprintf(dst, size, "1 second");
    else if (s < 60)
        snprintf(dst, size, "%" PRId64 " seconds", s);
    else if (minutes == 1)
        snprintf(dst, size, "About a minute");
    else if (minutes < 60)
        snprintf(dst, size, "%" PRId64 " minutes", minutes);
    else if (hours == 1)
        snprintf(dst, size, "About an hour");
    else if (hours < 48)
        snprintf(dst, size, "%" PRId64 " hours", hours);
    else if (hours < INT64_C(24) * 7 * 2)
        snprintf(dst, size, "%" PRId64 " days", hours / 24);
    else if (hours < INT64_C(24) * 30 * 2)
        snprintf(dst, size, "%" PRId64 " weeks", hours / 24 / 7);
    else if (hours < INT64_C(24) * 365 * 2)
        snprintf(dst, size, "%" PRId64 " months", hours / 24 / 30);
    else
        snprintf(dst, size, "%" PRId64 " years", hours / 24 / 365);
}
