/*
 * challenge.c - reads WWW-Authenticate: which way to prove oneself, and where the token is.
 *
 * Room: registry.  Foreign.  One pass over one header line of at most REG_HEADERS_MAX bytes; names and values are
 * cut to fixed sizes or refused.  Source: RFC 9110, 11.6.1; docker distribution token specification.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "svc-registry/auth.h"

#define MAX_PARTS 64

static bool is_token_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_blanks(const char *s) {
    return s + strspn(s, " \t");
}

static size_t token_length(const char *s) {
    size_t n = 0;

    while (is_token_char(s[n]))
        n++;
    return n;
}

static int broken(struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "the registry asks for authentication in a way that cannot be understood");
    return bh_err_reason(err, "bad-challenge");
}

/* A token or a quoted string; NULL when it is neither or does not fit. */
static const char *take_value(const char *s, char *out, size_t size) {
    size_t n = 0;

    if (*s != '"') {
        n = token_length(s);
        return n > 0 && bh_str_copy_n(out, size, s, n) ? s + n : NULL;
    }
    for (s++; *s != '"'; s++) {
        if (*s == '\\')
            s++;
        if (*s == '\0' || (unsigned char)*s < 0x20 || n + 1 >= size)
            return NULL;
        out[n++] = *s;
    }
    out[n] = '\0';
    return s + 1;
}

static bool keep_parameter(struct reg_challenge *c, const char *name, const char *value) {
    const struct {
        const char *name;
        char *to;
        size_t size;
    } known[] = {{"realm", c->realm, sizeof c->realm},
                 {"service", c->service, sizeof c->service},
                 {"scope", c->scope, sizeof c->scope},
                 {"error", c->error, sizeof c->error}};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(known[i].name, name) == 0)
            return !*known[i].to && bh_str_copy(known[i].to, known[i].size, value);
    }
    return true;
}

/* name = value; *out_is false when this is no parameter but the next scheme. */
static const char *take_parameter(const char *s, struct reg_challenge *c, bool *out_is) {
    char name[64], value[REG_URL_SIZE];
    size_t n = token_length(s);
    const char *after = skip_blanks(s + n);

    *out_is = n > 0 && *after == '=';
    if (!*out_is)
        return s;
    if (!bh_str_copy_n(name, sizeof name, s, n))
        return NULL;
    s = take_value(skip_blanks(after + 1), value, sizeof value);
    return s && keep_parameter(c, name, value) ? skip_blanks(s) : NULL;
}

static const char *take_parameters(const char *s, struct reg_challenge *c) {
    bool is = true;

    for (unsigned parts = 0; s && is && *s; parts++) {
        s = take_parameter(s, c, &is);
        if (!s || parts == MAX_PARTS)
            return NULL;
        if (!is)
            break;
        if (*s && *s != ',')
            return NULL;
        s = s + strspn(s, ", \t");
    }
    return s;
}

/* "Negotiate dG9rZW4=": one word of base64 in place of parameters. */
static const char *skip_token68(const char *s) {
    size_t n = 0;

    while (is_token_char(s[n]) || s[n] == '/')
        n++;
    size_t end = n + strspn(s + n, "=");
    const char *after = skip_blanks(s + end);
    bool is = n > 0 && (*after == ',' || *after == '\0') && !(end == n + 1 && *after != ',' && *after != '\0');
    return is ? after + strspn(after, ", \t") : s;
}

static const char *take_challenge(const char *s, struct reg_challenge *c) {
    char scheme[32];
    size_t n = token_length(s);

    memset(c, 0, sizeof *c);
    if (n == 0)
        return NULL;
    if (bh_str_copy_n(scheme, sizeof scheme, s, n)) {
        if (strcasecmp(scheme, "bearer") == 0)
            c->scheme = REG_AUTH_BEARER;
        else if (strcasecmp(scheme, "basic") == 0)
            c->scheme = REG_AUTH_BASIC;
    }
    s += n;
    if (*s != '\0' && *s != ' ' && *s != '\t' && *s != ',')
        return NULL;
    s += strspn(s, ", \t");
    return c->scheme == REG_AUTH_NONE ? take_parameters(skip_token68(s), c) : take_parameters(s, c);
}

int reg_challenge_parse(const char *header, struct reg_challenge *out, struct bh_err *err) {
    struct reg_challenge *one = malloc(sizeof *one), *best = calloc(1, sizeof *best);
    const char *s = header + strspn(header, ", \t");
    bool failed = !one || !best;

    for (unsigned parts = 0; !failed && *s; parts++) {
        s = take_challenge(s, one);
        failed = !s || parts == MAX_PARTS;
        if (!failed && one->scheme > best->scheme)
            *best = *one;
    }
    if (!failed && best->scheme == REG_AUTH_BEARER && !*best->realm)
        failed = true;
    if (!failed)
        *out = *best;
    free(one);
    free(best);
    return failed ? broken(err) : 0;
}
