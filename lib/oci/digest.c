/*
 * digest.c - see digest.h: digests as text; the hashing is in hash.c.
 * Room: every room that verifies content; the worker runs it inside a sandbox without open().
 * Trusts no text; must never accept a digest in two spellings.
 */
#include "oci/digest.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static const struct {
    const char *name;
    size_t size; /* bytes */
    enum bh_digest_alg alg;
} algs[] = {
    {"sha256", 32, BH_DIGEST_SHA256},
    {"sha512", 64, BH_DIGEST_SHA512},
    {"sha384", 48, BH_DIGEST_NONE}, /* registered, so its length is checked, but not used */
};

size_t bh_digest_size(enum bh_digest_alg alg) {
    return alg == BH_DIGEST_SHA256 ? 32 : alg == BH_DIGEST_SHA512 ? 64 : 0;
}

const char *bh_digest_alg_name(enum bh_digest_alg alg) {
    return alg == BH_DIGEST_SHA256 ? "sha256" : alg == BH_DIGEST_SHA512 ? "sha512" : "";
}

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_hex(char c, bool upper) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (upper && c >= 'A' && c <= 'F');
}

/* Letters and digits, joined by single + . _ -; every part starts with a letter. */
static bool alg_grammar(const char *text, size_t n) {
    bool start = true;

    for (size_t i = 0; i < n; i++) {
        if (start) {
            if (!is_alnum(text[i]) || (text[i] >= '0' && text[i] <= '9'))
                return false;
            start = false;
        } else if (strchr("+._-", text[i]) != NULL && text[i] != '\0') {
            start = true;
        } else if (!is_alnum(text[i])) {
            return false;
        }
    }
    return n > 0 && !start;
}

static bool hex_grammar(const char *text, size_t n, bool upper) {
    for (size_t i = 0; i < n; i++) {
        if (!is_hex(text[i], upper))
            return false;
    }
    return true;
}

bool bh_digest_grammar(const char *text, size_t n) {
    const char *colon = n > 0 && n <= BH_DIGEST_TEXT_MAX ? memchr(text, ':', n) : NULL;
    size_t alg_len, hex_len;

    if (colon == NULL)
        return false;
    alg_len = (size_t)(colon - text);
    hex_len = n - alg_len - 1;
    if (!alg_grammar(text, alg_len))
        return false;
    for (size_t i = 0; i < BH_ARRAY_LEN(algs); i++) {
        if (strlen(algs[i].name) != alg_len || strncasecmp(algs[i].name, text, alg_len) != 0)
            continue;
        /* "SHA256:" is no other algorithm, it is sha256 misspelt. */
        return memcmp(algs[i].name, text, alg_len) == 0 && hex_len == 2 * algs[i].size &&
               hex_grammar(colon + 1, hex_len, false);
    }
    return hex_len >= 32 && hex_grammar(colon + 1, hex_len, true);
}

int bh_digest_parse_n(const char *text, size_t n, struct bh_digest *out, struct bh_err *err) {
    struct bh_digest d = {.alg = BH_DIGEST_NONE};

    if (!bh_digest_grammar(text, n)) {
        bh_err_set(err, BH_E_INVALID, "invalid digest \"%.*s\"", (int)(n > 200 ? 200 : n), text);
        bh_err_hint(err, "a digest is \"sha256:\" and 64 lower-case hex digits");
        return bh_err_reason(err, "invalid-digest");
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(algs); i++) {
        if (algs[i].alg != BH_DIGEST_NONE && strncmp(text, algs[i].name, 6) == 0 && text[6] == ':')
            d.alg = algs[i].alg;
    }
    if (d.alg == BH_DIGEST_NONE) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "digest \"%.*s\" cannot be verified: unknown algorithm", (int)n, text);
        return bh_err_reason(err, "digest-algorithm");
    }
    if (!bh_unhex(text + 7, n - 7, d.bytes))
        return bh_err_set(err, BH_E_INTERNAL, "digest \"%.*s\" passed the grammar but is not hex", (int)n, text);
    *out = d;
    return 0;
}

int bh_digest_parse(const char *text, struct bh_digest *out, struct bh_err *err) {
    return bh_digest_parse_n(text, strlen(text), out, err);
}

bool bh_digest_from_hex(const char *hex, size_t n, struct bh_digest *out) {
    struct bh_digest d = {.alg = BH_DIGEST_SHA256};

    if (n != 64 || !bh_unhex(hex, n, d.bytes))
        return false;
    *out = d;
    return true;
}

void bh_digest_hex(const struct bh_digest *d, char out[BH_DIGEST_TEXT_SIZE]) {
    bh_hex(d->bytes, bh_digest_size(d->alg), out);
}

void bh_digest_format(const struct bh_digest *d, char out[BH_DIGEST_TEXT_SIZE]) {
    out[0] = '\0';
    if (d->alg == BH_DIGEST_NONE)
        return;
    memcpy(out, bh_digest_alg_name(d->alg), 6);
    out[6] = ':';
    bh_hex(d->bytes, bh_digest_size(d->alg), out + 7);
}

void bh_digest_short(const struct bh_digest *d, char out[BH_DIGEST_SHORT_SIZE]) {
    bh_hex(d->bytes, d->alg == BH_DIGEST_NONE ? 0 : (BH_DIGEST_SHORT_SIZE - 1) / 2, out);
}

bool bh_digest_equal(const struct bh_digest *a, const struct bh_digest *b) {
    size_t n = bh_digest_size(a->alg);

    return n > 0 && a->alg == b->alg && memcmp(a->bytes, b->bytes, n) == 0;
}

int bh_digest_cmp(const struct bh_digest *a, const struct bh_digest *b) {
    if (a->alg != b->alg)
        return a->alg < b->alg ? -1 : 1;
    return memcmp(a->bytes, b->bytes, bh_digest_size(a->alg));
}
