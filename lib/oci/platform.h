/*
 * platform.h - os/arch[/variant]: reading, common names, and choosing from an index.
 *
 * Room: all that see images.  Pure but for bh_platform_host, which asks uname.
 */
#ifndef BH_OCI_PLATFORM_H
#define BH_OCI_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct bh_platform {
    char os[32];
    char arch[32];
    char variant[32];
    char os_version[64];
};

#define BH_PLATFORM_TEXT_SIZE 128

/* "linux/arm64", "linux/arm/v7", "amd64", "linux": a lone word is an architecture if it is known as
 * one, else an operating system; what is missing comes from the host.  The result is normalised.
 * BH_E_INVALID, reason "invalid-platform". */
int bh_platform_parse(const char *text, struct bh_platform *out, struct bh_err *err);
/* x86_64 -> amd64, aarch64 -> arm64 (v8 left out), armhf -> arm/v7, armel -> arm/v6, i386..i686 -> 386;
 * lower case; arm without variant is v7. */
void bh_platform_normalize(struct bh_platform *p);
/* The platform of this machine, normalised; amd64 without variant level. */
void bh_platform_host(struct bh_platform *out);
void bh_platform_format(const struct bh_platform *p, char out[BH_PLATFORM_TEXT_SIZE]);

/* How well `have` serves `want`: 0 exact, 1.. a lower variant that runs there (arm v8 -> v7 -> v6 -> v5,
 * amd64 v3 -> v2 -> v1), -1 not at all.  Both are normalised first; os.version is not compared. */
int bh_platform_rank(const struct bh_platform *want, const struct bh_platform *have);
/* Index of the best of a list (the first among equals), -1 if none fits.  NULL entries are skipped. */
long bh_platform_choose(const struct bh_platform *want, const struct bh_platform *const *list, size_t n);

#endif
