/*
 * str.h - text in small pieces: copies that cannot overrun, numbers, hex, escaping, UTF-8.
 *
 * Room: all.  Pure.  Foreign text is escaped with bh_str_escape before it reaches a log line or a
 * terminal; nothing else in the tree decides what a safe byte is.
 */
#ifndef BH_BASE_STR_H
#define BH_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copy with NUL; false (and dst = "") when it does not fit. */
bool bh_str_copy(char *dst, size_t size, const char *src);
bool bh_str_copy_n(char *dst, size_t size, const char *src, size_t n);

bool bh_str_starts(const char *s, const char *prefix);
bool bh_str_ends(const char *s, const char *suffix);
bool bh_str_eq(const char *a, const char *b); /* NULL equals only NULL */

/* Whole string must be a decimal number; no sign, no blanks. */
bool bh_str_u64(const char *s, uint64_t *out);
bool bh_str_i64(const char *s, int64_t *out); /* optional leading '-' */
/* "512", "64k", "64KiB", "1.5g": powers of 1024, as docker's --shm-size and --memory. */
bool bh_str_bytes(const char *s, uint64_t *out);

void bh_hex(const unsigned char *in, size_t n, char *out /* 2n + 1 */);
bool bh_unhex(const char *in, size_t in_len, unsigned char *out /* in_len / 2 */);

/* Length of the well-formed UTF-8 sequence at s, 0 if there is none (RFC 3629: no surrogates, no overlong). */
size_t bh_utf8_len(const char *s, size_t n);
bool bh_utf8_valid(const char *s, size_t n);
/* The character at *s, which is no NUL, and *s behind it; a byte that is not UTF-8 stands for itself, above all
 * characters (BH_UTF8_BYTE + byte). */
#define BH_UTF8_BYTE 0x110000U
uint32_t bh_utf8_next(const char **s);

/* Make foreign bytes fit to print: control bytes (C0, DEL, C1 as UTF-8), marks that turn the direction of text and
 * invalid UTF-8 become \xNN; keep_newlines lets \n and \t through.  Always NUL-terminated, cut when too long. */
void bh_str_escape(char *dst, size_t size, const char *src, size_t n, bool keep_newlines);

/* "1.23MB", docker's units.HumanSize: decimal, 4 significant digits; prec 3 for the SIZE columns. */
void bh_human_size(char *dst, size_t size, uint64_t bytes, int prec);
/* "3 minutes", docker's units.HumanDuration. */
void bh_human_duration(char *dst, size_t size, int64_t seconds);

#endif
