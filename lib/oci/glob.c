/*
 * glob.c - patterns of --filter reference=, by the rules of Go's path.Match (see ref.h).
 * Room: store and client.  Pure.  The pattern comes from a user: matching takes at most
 * length(pattern) x length(name) steps, and a malformed pattern is told also when it would not match.
 */
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "oci/ref.h"

/* One end of a range inside [...]; false if malformed. */
static bool class_char(const char **p, uint32_t *out) {
    if (**p == '\0' || **p == '-' || **p == ']')
        return false;
    if (**p == '\\' && *++*p == '\0')
        return false;
    *out = bh_utf8_next(p);
    return **p != '\0'; /* the closing bracket must still come */
}

/* p stands behind '['.  Moves p behind ']'.  1 c is in the class, 0 not, -1 malformed. */
static int class_match(const char **p, uint32_t c) {
    bool negated = **p == '^', found = false, first = true;

    if (negated)
        ++*p;
    for (; **p != ']' || first; first = false) {
        uint32_t lo, hi;

        if (!class_char(p, &lo))
            return -1;
        hi = lo;
        if (**p == '-') {
            ++*p;
            if (!class_char(p, &hi))
                return -1;
        }
        found = found || (lo <= c && c <= hi);
    }
    ++*p;
    return found != negated;
}

static bool well_formed(const char *p) {
    while (*p != '\0') {
        char c = *p++;

        if (c == '\\') {
            if (*p == '\0')
                return false;
            p++;
        } else if (c == '[' && class_match(&p, 0) < 0) {
            return false;
        }
    }
    return true;
}

/* Match one pattern item that is not a star; moves both on success. */
static bool match_one(const char **pattern, const char **name) {
    const char *p = *pattern, *s = *name;
    bool good;

    if (*s == '\0' || *p == '\0')
        return false;
    if (*p == '?') {
        p++;
        good = *s != '/';
        bh_utf8_next(&s);
    } else if (*p == '[') {
        p++;
        good = class_match(&p, bh_utf8_next(&s)) == 1;
    } else {
        if (*p == '\\')
            p++;
        good = bh_utf8_next(&p) == bh_utf8_next(&s);
    }
    if (good) {
        *pattern = p;
        *name = s;
    }
    return good;
}

int bh_glob_match(const char *pattern, const char *name) {
    const char *star = NULL, *retry = NULL;

    if (!well_formed(pattern))
        return -1;
    while (*pattern != '\0' || *name != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (!match_one(&pattern, &name)) {
            /* Only the last star needs another try: an earlier one would leave it less to choose from. */
            if (star == NULL || *retry == '\0' || *retry == '/')
                return 0;
            bh_utf8_next(&retry);
            pattern = star;
            name = retry;
        }
    }
    return 1;
}
