/*
 * tar_number.h - the number fields of tar headers and the decimal numbers of PAX records.
 *
 * Room: worker.  Pure.  Every function refuses what it does not fully understand: a lenient reader is how
 * two programs come to see two different archives in the same bytes.
 * Source: POSIX.1-2017 pax "ustar Interchange Format"; GNU tar manual, "Extensions".
 */
#ifndef UNP_TAR_NUMBER_H
#define UNP_TAR_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A field of n bytes: octal digits between blanks and NULs, or GNU's base-256 form.  An empty field is 0. */
bool unp_tar_field(const unsigned char *f, size_t n, int64_t *out);
/* Decimal digits only, the whole text. */
bool unp_pax_u64(const char *s, size_t n, uint64_t *out);
/* "[-]seconds[.fraction]"; nanoseconds are rounded down, also for times before 1970. */
bool unp_pax_time(const char *s, size_t n, int64_t *out_sec, uint32_t *out_nsec);

#endif
