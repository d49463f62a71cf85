/*
 * ref.c - see ref.h.  Owns the grammar of image names.
 * Room: every room that sees a name.  Trusts nothing; works on bytes, so a look-alike letter
 * outside ASCII can never be part of a name.  Must never accept one image under two normal forms.
 */
#include "oci/ref.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN  "index.docker.io"
#define OFFICIAL       "library/"

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_alnum(char c) {
    return is_lower(c) || is_upper(c) || is_digit(c);
}
static bool is_path_char(char c) {
    return is_lower(c) || is_digit(c);
}
static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool all_hex(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!is_hex(s[i]))
            return false;
    }
    return n > 0;
}

static bool has_upper(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (is_upper(s[i]))
            return true;
    }
    return false;
}

/* Letters, digits, inner hyphens; dots between labels. */
static bool host_name_valid(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool edge_before = i == 0 || s[i - 1] == '.';
        bool edge_after = i + 1 == n || s[i + 1] == '.';

        if (s[i] == '.' ? (edge_before || i + 1 == n) : !is_alnum(s[i]) && (s[i] != '-' || edge_before || edge_after))
            return false;
    }
    return n > 0;
}

/* "[", hex digits and colons, "]". */
static bool host_ipv6_valid(const char *s, size_t n) {
    if (n < 3 || s[0] != '[' || s[n - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < n; i++) {
        if (s[i] != ':' && !is_hex(s[i]) && !(s[i] >= 'A' && s[i] <= 'F'))
            return false;
    }
    return true;
}

static bool domain_valid(const char *s, size_t n) {
    size_t host = n;

    if (n == 0)
        return false;
    while (host > 0 && is_digit(s[host - 1]))
        host--;
    if (host > 0 && s[host - 1] == ':' && host < n)
        host--; /* cut ":port" */
    else
        host = n;
    if (s[0] == '[')
        return host_ipv6_valid(s, host);
    return host_name_valid(s, host);
}

/* Length of a separator inside a path piece: one dot, one or two underscores, any run of hyphens; 0 if wrong. */
static size_t separator_len(const char *s, size_t n) {
    size_t run = 1;

    while (run < n && s[run] == s[0])
        run++;
    if ((s[0] == '.' && run == 1) || (s[0] == '_' && run <= 2) || s[0] == '-')
        return run;
    return 0;
}

static bool path_valid(const char *s, size_t n) {
    bool inside = false; /* was the last byte a letter or digit? */

    for (size_t i = 0; i < n;) {
        size_t sep;

        if (is_path_char(s[i])) {
            inside = true;
            i++;
            continue;
        }
        if (!inside)
            return false;
        inside = false;
        sep = s[i] == '/' ? 1 : separator_len(s + i, n - i);
        if (sep == 0)
            return false;
        i += sep;
    }
    return inside;
}

static bool tag_valid(const char *s, size_t n) {
    if (n == 0 || n > BH_REF_TAG_MAX || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != '-')
            return false;
    }
    return true;
}

static int refuse(struct bh_err *err, const char *text, const char *why) {
    bh_err_set(err, BH_E_INVALID, "\"%.*s%s\": %s", 300, text, strlen(text) > 300 ? "..." : "", why);
    return bh_err_reason(err, "invalid-reference");
}

/* The pieces of a text, before any check. */
struct pieces {
    const char *domain;
    size_t domain_n; /* 0: none was written */
    const char *path;
    size_t path_n;
    const char *tag; /* NULL: none */
    size_t tag_n;
    const char *digest; /* NULL: none */
    size_t digest_n;
};

/* The piece before the first slash is a domain if it has a dot, a colon or an upper-case letter, or is localhost. */
static bool looks_like_domain(const char *s, size_t n) {
    return memchr(s, '.', n) != NULL || memchr(s, ':', n) != NULL || has_upper(s, n) ||
           (n == 9 && memcmp(s, "localhost", 9) == 0);
}

static void split(const char *text, struct pieces *p) {
    const char *slash = strchr(text, '/'), *rest = text, *at, *colon;
    size_t n;

    *p = (struct pieces){0};
    if (slash != NULL && looks_like_domain(text, (size_t)(slash - text))) {
        p->domain = text;
        p->domain_n = (size_t)(slash - text);
        rest = slash + 1;
    }
    at = strchr(rest, '@');
    n = at != NULL ? (size_t)(at - rest) : strlen(rest);
    if (at != NULL) {
        p->digest = at + 1;
        p->digest_n = strlen(at + 1);
    }
    colon = memchr(rest, ':', n);
    p->path = rest;
    p->path_n = colon != NULL ? (size_t)(colon - rest) : n;
    if (colon != NULL) {
        p->tag = colon + 1;
        p->tag_n = n - p->path_n - 1;
    }
}

static int check(const char *text, const struct pieces *p, struct bh_err *err) {
    if (has_upper(p->path, p->path_n)) {
        refuse(err, text, "invalid reference format: repository name must be lowercase");
        return err->code;
    }
    if ((p->domain != NULL && !domain_valid(p->domain, p->domain_n)) || !path_valid(p->path, p->path_n) ||
        (p->tag != NULL && !tag_valid(p->tag, p->tag_n))) {
        refuse(err, text, "invalid reference format");
        return bh_err_hint(err, "a reference is [host[:port]/]name[:tag][@digest]");
    }
    if (p->domain_n > BH_REF_DOMAIN_MAX)
        return refuse(err, text, "invalid reference format: host name must not be more than 255 characters");
    if (p->digest != NULL && !bh_digest_grammar(p->digest, p->digest_n)) {
        refuse(err, text, "invalid reference format");
        return bh_err_hint(err, "a digest is \"sha256:\" and 64 lower-case hex digits");
    }
    return 0;
}

int bh_ref_parse(const char *text, struct bh_ref *out, struct bh_err *err) {
    struct bh_ref ref = {.domain = DEFAULT_DOMAIN};
    struct pieces p;
    bool official;
    int r;

    if (strlen(text) == 64 && all_hex(text, 64))
        return refuse(err, text, "invalid repository name, cannot specify 64-byte hexadecimal strings");
    split(text, &p);
    r = check(text, &p, err);
    if (r != 0)
        return r;
    if (p.domain != NULL && !(p.domain_n == strlen(LEGACY_DOMAIN) && memcmp(p.domain, LEGACY_DOMAIN, p.domain_n) == 0))
        bh_str_copy_n(ref.domain, sizeof ref.domain, p.domain, p.domain_n);
    official = strcmp(ref.domain, DEFAULT_DOMAIN) == 0 && memchr(p.path, '/', p.path_n) == NULL;
    if (p.path_n + (official ? strlen(OFFICIAL) : 0) > BH_REF_PATH_MAX)
        return refuse(err, text, "repository name must not be more than 255 characters");
    snprintf(ref.path, sizeof ref.path, "%s%.*s", official ? OFFICIAL : "", (int)p.path_n, p.path);
    if (p.tag != NULL)
        bh_str_copy_n(ref.tag, sizeof ref.tag, p.tag, p.tag_n);
    if (p.digest != NULL)
        bh_str_copy_n(ref.digest, sizeof ref.digest, p.digest, p.digest_n);
    *out = ref;
    return 0;
}

bool bh_ref_default_tag(struct bh_ref *ref) {
    if (ref->tag[0] != '\0' || ref->digest[0] != '\0')
        return false;
    bh_str_copy(ref->tag, sizeof ref->tag, "latest");
    return true;
}

int bh_ref_parse_tagged(const char *text, struct bh_ref *out, struct bh_err *err) {
    int r = bh_ref_parse(text, out, err);

    if (r == 0)
        bh_ref_default_tag(out);
    return r;
}

static void add_tag_and_digest(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]) {
    size_t n = strlen(out);

    snprintf(out + n, BH_REF_TEXT_SIZE - n, "%s%s%s%s", ref->tag[0] ? ":" : "", ref->tag, ref->digest[0] ? "@" : "",
             ref->digest);
}

void bh_ref_name(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]) {
    snprintf(out, BH_REF_TEXT_SIZE, "%s/%s", ref->domain, ref->path);
}

void bh_ref_format(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]) {
    bh_ref_name(ref, out);
    add_tag_and_digest(ref, out);
}

/* Would the path alone be read as starting with a domain?  Then docker.io/ must stay. */
static bool path_is_ambiguous(const char *path) {
    const char *slash = strchr(path, '/');

    return slash != NULL && looks_like_domain(path, (size_t)(slash - path));
}

void bh_ref_familiar_name(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]) {
    const char *path = ref->path;

    if (strcmp(ref->domain, DEFAULT_DOMAIN) != 0 || path_is_ambiguous(path)) {
        bh_ref_name(ref, out);
        return;
    }
    if (bh_str_starts(path, OFFICIAL) && strchr(path + strlen(OFFICIAL), '/') == NULL)
        path += strlen(OFFICIAL);
    bh_str_copy(out, BH_REF_TEXT_SIZE, path);
}

void bh_ref_familiar(const struct bh_ref *ref, char out[BH_REF_TEXT_SIZE]) {
    bh_ref_familiar_name(ref, out);
    add_tag_and_digest(ref, out);
}

void bh_ref_familiar_of(const char *text, char out[BH_REF_TEXT_SIZE]) {
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;

    if (bh_ref_parse(text, &ref, &ignored) == 0)
        bh_ref_familiar(&ref, out);
    else
        snprintf(out, BH_REF_TEXT_SIZE, "%s", text);
}

bool bh_ref_same_name(const struct bh_ref *a, const struct bh_ref *b) {
    return strcmp(a->domain, b->domain) == 0 && strcmp(a->path, b->path) == 0;
}

const char *bh_ref_endpoint(const struct bh_ref *ref) {
    return strcmp(ref->domain, DEFAULT_DOMAIN) == 0 ? "registry-1.docker.io" : ref->domain;
}

const char *bh_ref_credentials_key(const struct bh_ref *ref) {
    return strcmp(ref->domain, DEFAULT_DOMAIN) == 0 ? "https://index.docker.io/v1/" : ref->domain;
}

int bh_ref_parse_any(const char *text, struct bh_ref *out, enum bh_ref_kind *out_kind, char out_hex[BH_REF_HEX_SIZE],
                     struct bh_err *err) {
    bool prefixed = bh_str_starts(text, "sha256:");
    const char *hex = prefixed ? text + 7 : text;
    size_t n = strlen(hex);
    bool is_id = n <= 64 && all_hex(hex, n);
    struct bh_ref ref = {0};

    if (!is_id || (!prefixed && n < 64)) {
        int r = bh_ref_parse(text, &ref, err);

        if (r != 0)
            return r;
        *out_kind = BH_REF_NAME;
    } else {
        *out_kind = n == 64 ? BH_REF_ID : BH_REF_PREFIX;
    }
    *out = ref;
    bh_str_copy(out_hex, BH_REF_HEX_SIZE, is_id ? hex : "");
    return 0;
}

int bh_ref_check_target(struct bh_ref *ref, struct bh_err *err) {
    static const char *const algs[] = {"sha256", "sha384", "sha512", "blake3"};
    char name[BH_REF_TEXT_SIZE];

    bh_ref_familiar_name(ref, name);
    if (ref->digest[0] != '\0')
        return refuse(err, name, "refusing to create a tag with a digest reference");
    for (size_t i = 0; i < BH_ARRAY_LEN(algs); i++) {
        if (strcmp(name, algs[i]) == 0)
            return refuse(err, name, "refusing to create an ambiguous tag using digest algorithm as name");
    }
    bh_ref_default_tag(ref);
    return 0;
}

int bh_ref_check_pull(const struct bh_ref *ref, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];

    bh_ref_familiar_name(ref, name);
    if (strcmp(name, "scratch") != 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "'scratch' is a reserved name");
    bh_err_hint(err, "scratch is the empty image that a Dockerfile starts from; it cannot be pulled");
    return bh_err_reason(err, "invalid-reference");
}

int bh_ref_filter(const char *pattern, const struct bh_ref *ref, bool *out_match, struct bh_err *err) {
    char text[BH_REF_TEXT_SIZE];
    int r;

    bh_ref_familiar(ref, text);
    r = bh_glob_match(pattern, text);
    if (r == 0) {
        bh_ref_familiar_name(ref, text);
        r = bh_glob_match(pattern, text);
    }
    if (r < 0) {
        bh_err_set(err, BH_E_INVALID, "filter reference=%.200s: syntax error in pattern", pattern);
        return bh_err_hint(err, "the pattern knows *, ?, [a-z], [^a-z] and \\ as in file names");
    }
    *out_match = r == 1;
    return 0;
}
