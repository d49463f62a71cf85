/*
 * tar_number.c - octal, base-256 and decimal numbers.
 *
 * Room: worker.  Trusts nothing.  Must not read outside the field it is given: a field of a tar
 * header has no end but its width.
 */
#include "unpack/tar_number.h"

static bool blank(unsigned char c) {
    return c == ' ' || c == 0;
}

/* Two's complement over the whole field; bit 7 of the first byte is the mark, bit 6 the sign. */
static bool base256(const unsigned char *f, size_t n, int64_t *out) {
    bool negative = (f[0] & 0x40) != 0;
    uint64_t v = negative ? UINT64_MAX : 0;
    unsigned char fill = negative ? 0xff : 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = i == 0 ? (unsigned char)(negative ? (f[0] | 0x80) : (f[0] & 0x7f)) : f[i];
        if (i + 8 < n && c != fill)
            return false; /* more than 64 bits */
        v = v << 8 | c;
    }
    if (((int64_t)v < 0) != negative)
        return false;
    *out = (int64_t)v;
    return true;
}

bool unp_tar_field(const unsigned char *f, size_t n, int64_t *out) {
    if (n > 0 && (f[0] & 0x80) != 0)
        return base256(f, n, out);
    size_t i = 0;
    int64_t v = 0;
    while (i < n && blank(f[i]))
        i++;
    for (; i < n && f[i] >= '0' && f[i] <= '7'; i++) {
        if (v > (INT64_MAX >> 3))
            return false;
        v = v << 3 | (f[i] - '0');
    }
    for (; i < n; i++)
        if (!blank(f[i]))
            return false;
    *out = v;
    return true;
}

bool unp_pax_u64(const char *s, size_t n, uint64_t *out) {
    uint64_t v = 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        unsigned d = (unsigned)(s[i] - '0');
        if (v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

static bool fraction(const char *s, size_t n, uint32_t *out_nsec, bool *out_rest) {
    uint32_t nsec = 0;
    uint32_t unit = 100000000;
    *out_rest = false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        nsec += (uint32_t)(s[i] - '0') * unit;
        if (unit == 0 && s[i] != '0')
            *out_rest = true;
        unit /= 10;
    }
    *out_nsec = nsec;
    return true;
}

bool unp_pax_time(const char *s, size_t n, int64_t *out_sec, uint32_t *out_nsec) {
    bool negative = n > 0 && s[0] == '-';
    size_t start = negative ? 1 : 0;
    size_t dot = start;
    while (dot < n && s[dot] != '.')
        dot++;
    uint64_t sec = 0;
    uint32_t nsec = 0;
    bool rest = false;
    if (!unp_pax_u64(s + start, dot - start, &sec) || sec > (uint64_t)INT64_MAX / 2)
        return false;
    if (dot < n && !fraction(s + dot + 1, n - dot - 1, &nsec, &rest))
        return false;
    *out_sec = negative ? -(int64_t)sec : (int64_t)sec;
    if (negative && rest)
        nsec++; /* down, not towards zero */
    if (negative && nsec > 0) {
        *out_sec -= 1;
        nsec = 1000000000 - nsec;
    }
    *out_nsec = nsec;
    return true;
}
