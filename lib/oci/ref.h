/*
 * ref.h - image references: [domain/]path[:tag][@digest], as docker 28 reads and writes them.
 *
 * Room: all that see names.  Pure, no allocation.  The parser is written by hand over bytes: a
 * byte that is not ASCII is never part of a reference.  A parsed reference is always normalised:
 * the domain is set (docker.io by default, index.docker.io renamed) and a one-piece path on
 * docker.io has library/ in front.  Texts of errors end as docker's do, because scripts match them.
 * Source: distribution reference grammar; docs/man/bulkhead-reference(7).
 */
#ifndef BH_OCI_REF_H
#define BH_OCI_REF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "oci/digest.h"

#define BH_REF_DOMAIN_MAX 255
#define BH_REF_PATH_MAX   255
#define BH_REF_TAG_MAX    128
#define BH_REF_TEXT_SIZE  1024 /* room for any reference in any form, with NUL */

struct bh_ref {
    char domain[BH_REF_DOMAIN_MAX + 1];  /* "docker.io", "localhost:5000", "[::1]:5000" */
    char path[BH_REF_PATH_MAX + 1];      /* "library/debian" */
    char tag[BH_REF_TAG_MAX + 1];        /* "" if none was given */
    char digest[BH_DIGEST_TEXT_MAX + 1]; /* "sha256:..." or "" */
};

/* Parse and normalise.  No tag is added.  BH_E_INVALID, reason "invalid-reference". */
int bh_ref_parse(const char *text, struct bh_ref *out, struct bh_err *err);
/* As bh_ref_parse; "latest" when neither tag nor digest was given. */
int bh_ref_parse_tagged(const char *text, struct bh_ref *out, struct bh_err *err);
/* Set tag "latest" when there is neither tag nor digest; true when it did. */
bool bh_ref_default_tag(struct bh_ref *ref);

/* "docker.io/library/debian"; with tag and digest for bh_ref_format. */
void bh_ref_name(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]);
void bh_ref_format(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]);
/* "debian"; "debian:12", "debian:12@sha256:.." for bh_ref_familiar: docker.io/ and a lone library/ are left out. */
void bh_ref_familiar_name(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]);
void bh_ref_familiar(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]);
/* Normal text -> familiar text; a text that is no reference is copied as it is. */
void bh_ref_familiar_of(const char *text, char out[BH_REF_TEXT_SIZE]);

bool bh_ref_same_name(const struct bh_ref *a, const struct bh_ref *b);

/* Host to connect to ("registry-1.docker.io" for docker.io) and key in a credentials file
 * ("https://index.docker.io/v1/").  Both point into ref or at constants. */
const char *bh_ref_endpoint(const struct bh_ref *ref);
const char *bh_ref_credentials_key(const struct bh_ref *ref);

/* Where a name or an id may stand.
 * BH_REF_ID      64 hex, or sha256: and 64 hex: an id (image or manifest digest), never a name
 * BH_REF_PREFIX  sha256: and 1..63 hex: an id prefix, never a name that exists
 * BH_REF_NAME    a reference; when out_hex is not "", it could also be an id prefix: the name wins
 * out_hex receives the hex digits without "sha256:", or "". */
enum bh_ref_kind { BH_REF_NAME, BH_REF_ID, BH_REF_PREFIX };
#define BH_REF_HEX_SIZE 65
int bh_ref_parse_any(const char *text, struct bh_ref *out, enum bh_ref_kind *out_kind, char out_hex[BH_REF_HEX_SIZE],
                     struct bh_err *err);

/* Names that may not be made: a digest as target, a repository named like a digest algorithm.
 * A reference without tag gets "latest". */
int bh_ref_check_target(struct bh_ref *ref, struct bh_err *err);
/* May this be fetched?  Refuses the reserved "scratch". */
int bh_ref_check_pull(const struct bh_ref *ref, struct bh_err *err);

/* Go's path.Match: * and ? stop at '/', [a-z] [^a-z] classes, backslash quotes.
 * 1 match, 0 no match, -1 malformed pattern. */
int bh_glob_match(const char *pattern, const char *name);
/* --filter reference=PATTERN: the pattern meets the familiar form or the familiar name alone.
 * BH_E_INVALID for a malformed pattern. */
int bh_ref_filter(const char *pattern, const struct bh_ref *ref, bool *out_match, struct bh_err *err);

#endif
