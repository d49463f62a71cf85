/*
 * recipe_rules.c - which lint checks are on: `# check=skip=A,B;error=true;experimental=C` (see recipe_check.h).
 * Room: build.  Pure.  The line is a user's; names of checks that are not known are passed over, as a file may be
 * written for a newer docker.
 */
#include "recipe_rules.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "recipe_int.h"

static const struct {
    const char *name;
    const char *page;
} checks[] = {
#define X(name, page) {#name, page},
    BUILD_CHECK_LIST(X)
#undef X
};

const char *build_check_name(enum build_check check) {
    return checks[check].name;
}

const char *build_check_url(const char *name, char out[128]) {
    out[0] = '\0';
    for (size_t i = 0; i < BH_ARRAY_LEN(checks); i++) {
        if (strcmp(checks[i].name, name) == 0 && checks[i].page[0] != '\0')
            snprintf(out, 128, "https://docs.docker.com/go/dockerfile/rule/%s/", checks[i].page);
    }
    return out;
}

static void trim(const char **s, size_t *n) {
    while (*n > 0 && build_is_space(**s)) {
        ++*s;
        --*n;
    }
    while (*n > 0 && build_is_space((*s)[*n - 1]))
        --*n;
}

static bool is_text(const char *s, size_t n, const char *text) {
    return strlen(text) == n && memcmp(s, text, n) == 0;
}

/* "A,B" or "all": marks in set. */
static void read_names(const char *s, size_t n, bool set[BUILD_CHECK_COUNT]) {
    trim(&s, &n);
    while (n > 0) {
        const char *comma = memchr(s, ',', n), *name = s;
        size_t len = comma != NULL ? (size_t)(comma - s) : n, name_len = len;

        trim(&name, &name_len);
        for (size_t i = 0; i < BUILD_CHECK_COUNT; i++)
            set[i] = set[i] || is_text(name, name_len, "all") || is_text(name, name_len, checks[i].name);
        len += comma != NULL;
        s += len;
        n -= len;
    }
}

static bool read_bool(const char *s, size_t n, bool *out) {
    static const char *const words[] = {"true", "1", "t", "false", "0", "f"};

    trim(&s, &n);
    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++) {
        if (strlen(words[i]) == n && strncasecmp(s, words[i], n) == 0) {
            *out = i < 3;
            return true;
        }
    }
    return false;
}

static bool read_option(const char *s, size_t n, struct build_rules *rules) {
    const char *eq = memchr(s, '=', n), *key = s;
    size_t key_len = eq != NULL ? (size_t)(eq - s) : 0;

    if (eq == NULL)
        return false;
    n -= key_len + 1;
    trim(&key, &key_len);
    if (is_text(key, key_len, "skip"))
        read_names(eq + 1, n, rules->skip);
    else if (is_text(key, key_len, "experimental"))
        read_names(eq + 1, n, rules->experimental);
    else if (is_text(key, key_len, "error"))
        return read_bool(eq + 1, n, &rules->fail);
    else
        return false;
    return true;
}

bool build_rules_read(const char *text, struct build_rules *rules, const char **out_bad, size_t *out_bad_len) {
    size_t n = strlen(text);

    while (n > 0) {
        const char *end = memchr(text, ';', n), *option = text;
        size_t len = end != NULL ? (size_t)(end - text) : n, option_len = len;

        trim(&option, &option_len);
        if (option_len > 0 && !read_option(option, option_len, rules)) {
            *out_bad = option;
            *out_bad_len = option_len;
            return false;
        }
        len += end != NULL;
        text += len;
        n -= len;
    }
    return true;
}

void build_rules_comments(const struct build_words *comments, struct build_rules *rules) {
    for (size_t i = 0; i < comments->n; i++) {
        const char *s = comments->v[i].s, *key, *value, *bad;
        size_t key_len, value_len, bad_len;
        BH_SCOPE_FREE char *text = NULL;

        if (!build_directive_split(s, strlen(s), &key, &key_len, &value, &value_len) || key_len != 5 ||
            strncasecmp(key, "check", 5) != 0)
            continue;
        text = bh_xstrndup(value, value_len);
        build_rules_read(text, rules, &bad, &bad_len); /* a comment is never an error */
    }
}

bool build_rules_on(const struct build_rules *rules, enum build_check check) {
    /* Docker calls this one experimental: many comments are no descriptions. */
    if (check == BUILD_CHECK_InvalidDefinitionDescription)
        return rules->experimental[check];
    return !rules->skip[check];
}
