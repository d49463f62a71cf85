/*
 * ignore.c - see ignore.h.  Owns the lines of a .dockerignore and which of them decides.
 * Room: client and build.  Pure; the file is a user's.
 * Must not read files: the client reads them, the build room has none.
 */
#include "ignore/ignore.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct rule {
    struct bh_pattern *pattern;
    bool negated;
};

struct bh_ignore {
    struct rule *v;
    size_t n, cap;
    bool negations;
};

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **s, size_t *n) {
    while (*n > 0 && is_blank(**s)) {
        ++*s;
        --*n;
    }
    while (*n > 0 && is_blank((*s)[*n - 1]))
        --*n;
}

static void add_rule(struct bh_ignore *ig, struct bh_pattern *take_pattern, bool negated) {
    if (ig->n == ig->cap) {
        ig->cap = ig->cap > 0 ? 2 * ig->cap : 16;
        ig->v = bh_xrealloc(ig->v, ig->cap * sizeof *ig->v);
    }
    ig->v[ig->n++] = (struct rule){take_pattern, negated};
    ig->negations = ig->negations || negated;
}

/* The root itself is never left out, so there is nothing to take back in. */
static int refuse_bare(struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "illegal exclusion pattern: \"!\"");
    bh_err_hint(err, "\"!\" is followed by the path that is taken back in");
    return bh_err_reason(err, "invalid-pattern");
}

/* One line without its end; comments are gone. */
static int add_line(struct bh_ignore *ig, const char *s, size_t n, struct bh_err *err) {
    BH_SCOPE_FREE char *text = NULL;
    struct bh_pattern *pattern;
    bool negated;

    trim(&s, &n);
    if (n == 0)
        return 0;
    negated = *s == '!';
    s += negated;
    n -= negated;
    trim(&s, &n);
    if (n == 0)
        return refuse_bare(err);
    if (n > BH_PATTERN_MAX)
        return bh_err_set(err, BH_E_LIMIT, "a pattern is longer than %d bytes", BH_PATTERN_MAX);
    if (ig->n >= BH_IGNORE_LINES_MAX)
        return bh_err_set(err, BH_E_LIMIT, "there are more than %d patterns", BH_IGNORE_LINES_MAX);
    if (memchr(s, '\0', n) != NULL)
        return bh_err_set(err, BH_E_INVALID, "a pattern holds a NUL byte");
    text = bh_xmalloc(n + 2);
    memcpy(text, s, n);
    text[n] = '\0';
    bh_path_clean(text);
    s = text + (text[0] == '/' && text[1] != '\0');
    if (!negated && *s == '!') { /* docker looks for the mark once more when the slash is gone */
        negated = true;
        s++;
    }
    if (*s == '\0' || (negated && strcmp(s, "/") == 0))
        return refuse_bare(err);
    if (bh_pattern_new(s, &pattern, err) != 0)
        return err->code;
    add_rule(ig, pattern, negated);
    return 0;
}

static int parse_lines(struct bh_ignore *ig, const char *text, size_t n, const char *what, struct bh_err *err) {
    size_t line = 0;

    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n -= 3;
    }
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t len = end != NULL ? (size_t)(end - text) : n;

        line++;
        if (text[0] != '#' && add_line(ig, text, len, err) != 0)
            return bh_err_prefix(err, "%s:%zu", what, line);
        len += end != NULL;
        text += len;
        n -= len;
    }
    return 0;
}

int bh_ignore_parse(const char *text, size_t n, const char *what, struct bh_ignore **out, struct bh_err *err) {
    struct bh_ignore *ig;

    if (n > BH_IGNORE_FILE_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: larger than %zu bytes", what, BH_IGNORE_FILE_MAX);
    ig = bh_xcalloc(1, sizeof *ig);
    if (parse_lines(ig, text, n, what, err) != 0) {
        bh_ignore_free(ig);
        return err->code;
    }
    *out = ig;
    return 0;
}

int bh_ignore_new(const char *const *patterns, size_t n, const char *what, struct bh_ignore **out, struct bh_err *err) {
    struct bh_ignore *ig = bh_xcalloc(1, sizeof *ig);

    for (size_t i = 0; i < n; i++) {
        if (add_line(ig, patterns[i], strlen(patterns[i]), err) != 0) {
            bh_ignore_free(ig);
            return bh_err_prefix(err, "%s", what);
        }
    }
    *out = ig;
    return 0;
}

void bh_ignore_free(struct bh_ignore *ig) {
    if (ig == NULL)
        return;
    for (size_t i = 0; i < ig->n; i++)
        bh_pattern_free(ig->v[i].pattern);
    free(ig->v);
    free(ig);
}

void bh_scope_ignore(struct bh_ignore **ig) {
    bh_ignore_free(*ig);
}

size_t bh_ignore_count(const struct bh_ignore *ig) {
    return ig->n;
}

bool bh_ignore_has_negations(const struct bh_ignore *ig) {
    return ig->negations;
}

static bool is_root(const char *path) {
    return path[0] == '\0' || strcmp(path, ".") == 0;
}

bool bh_ignore_match(const struct bh_ignore *ig, const char *path) {
    bool out = false;

    if (is_root(path))
        return false;
    for (size_t i = 0; i < ig->n; i++) {
        /* A line that would change nothing is not looked at. */
        if (ig->v[i].negated == out && bh_pattern_match_above(ig->v[i].pattern, path))
            out = !out;
    }
    return out;
}

bool bh_ignore_walk(const struct bh_ignore *ig, const char *path, const unsigned char *above, unsigned char *here) {
    bool out = false;

    for (size_t i = 0; i < ig->n; i++) {
        const struct rule *r = &ig->v[i];
        bool hit = above != NULL && above[i] != 0;

        /* What matched above must be known below, also where it changes nothing here. */
        if (!hit && (here != NULL || r->negated == out))
            hit = bh_pattern_match(r->pattern, path);
        if (here != NULL)
            here[i] = hit;
        if (hit)
            out = !r->negated;
    }
    return out;
}

bool bh_ignore_prunes(const struct bh_ignore *ig, const char *dir) {
    size_t i = ig->n;

    if (!bh_ignore_match(ig, dir))
        return false;
    /* The last line that leaves the folder out covers what is below it; only a '!' behind that line counts. */
    for (; i > 0 && (ig->v[i - 1].negated || !bh_pattern_match_above(ig->v[i - 1].pattern, dir)); i--) {
        if (ig->v[i - 1].negated && bh_pattern_may_match_below(ig->v[i - 1].pattern, dir))
            return false;
    }
    return true;
}

bool bh_ignore_hides_root(const struct bh_ignore *ig) {
    for (size_t i = 0; i < ig->n; i++) {
        const char *text = bh_pattern_text(ig->v[i].pattern);

        if (!ig->v[i].negated && (strcmp(text, "*") == 0 || strcmp(text, "**") == 0 || strcmp(text, "**/*") == 0))
            return true;
    }
    return false;
}
