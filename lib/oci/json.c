/*
 * json.c - see json.h.  Owns every rule of how foreign JSON is read.
 * Room: worker first of all; store, registry and runtime for what a worker passed.
 * Trusts nothing.  Must not recurse deeper than BH_JSON_DEPTH_MAX, and must never write JSON.
 */
#include "oci/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/str.h"

void bh_json_startup(void) {
    size_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (size_t)(uintptr_t)&seed; /* only ordering in a table depends on it */
    json_object_seed(seed | 1);
}

void bh_scope_json(json_t **root) {
    json_decref(*root);
    *root = NULL;
}

/* Nesting and the number of values are measured before the parser sees a byte: it recurses, with a
 * ceiling of its own of 2048, and takes up to a hundred times the memory of its input ("[{},{},..."). */
static int check_shape(const char *s, size_t n, const char *what, struct bh_err *err) {
    size_t depth = 0, values = 0;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        char c = s[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > BH_JSON_DEPTH_MAX)
                return bh_err_set(err, BH_E_LIMIT, "%s: JSON is nested deeper than %d levels", what, BH_JSON_DEPTH_MAX);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
        if (!in_string && (c == '{' || c == '[' || c == ',') && ++values > BH_JSON_VALUES_MAX)
            return bh_err_set(err, BH_E_LIMIT, "%s: JSON with more than %d values", what, BH_JSON_VALUES_MAX);
    }
    return 0;
}

int bh_json_parse(const void *data, size_t n, size_t max, const char *what, json_t **out, struct bh_err *err) {
    static bool seeded; /* a race only seeds twice, and the second seed is ignored */
    json_error_t why;
    json_t *root;

    if (n > max)
        return bh_err_set(err, BH_E_LIMIT, "%s: %zu bytes, the limit is %zu", what, n, max);
    if (check_shape(data, n, what, err) != 0)
        return err->code;
    if (!__atomic_exchange_n(&seeded, true, __ATOMIC_ACQ_REL))
        bh_json_startup();
    root = json_loadb(data, n, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        bh_err_set(err, BH_E_INVALID, "%s: not valid JSON: line %d, column %d: %s", what, why.line, why.column,
                   why.text);
        return bh_err_reason(err, "invalid-json");
    }
    *out = root;
    return 0;
}

struct bh_json_at bh_json_root(const json_t *root, const char *what) {
    return (struct bh_json_at){.v = root, .what = what};
}

bool bh_json_member(const struct bh_json_at *at, const char *key, struct bh_json_at *out) {
    const json_t *v = json_object_get(at->v, key);

    if (json_is_null(v))
        v = NULL;
    *out = (struct bh_json_at){.v = v, .up = at, .key = key};
    return v != NULL;
}

struct bh_json_at bh_json_element(const struct bh_json_at *at, size_t i) {
    return (struct bh_json_at){.v = json_array_get(at->v, i), .up = at, .index = i};
}

/* "layers[3].size", built from the leaf to the root. */
static const char *place(const struct bh_json_at *at, char dst[256], const char **out_what) {
    char piece[128];
    size_t left = 255;

    dst[255] = '\0';
    for (; at->up != NULL; at = at->up) {
        int n = at->key != NULL ? snprintf(piece, sizeof piece, "%s%.64s", at->up->up != NULL ? "." : "", at->key)
                                : snprintf(piece, sizeof piece, "[%zu]", at->index);

        if ((size_t)n > left)
            break;
        left -= (size_t)n;
        memcpy(dst + left, piece, (size_t)n);
    }
    while (at->up != NULL)
        at = at->up;
    *out_what = at->what;
    return dst + left;
}

int bh_json_fail(const struct bh_json_at *at, struct bh_err *err, const char *fmt, ...) {
    char text[512], path[256];
    const char *what, *where = place(at, path, &what);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return bh_err_set(err, BH_E_INVALID, "%s: %s%s%s", what, where, where[0] ? ": " : "", text);
}

static int wrong_type(const struct bh_json_at *at, const char *expected, struct bh_err *err) {
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",    [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a fraction", [JSON_TRUE] = "a boolean",
        [JSON_FALSE] = "a boolean",    [JSON_NULL] = "null",
    };

    return bh_json_fail(at, err, "expected %s, found %s", expected,
                        at->v != NULL ? names[json_typeof(at->v)] : "nothing");
}

int bh_json_need_object(const struct bh_json_at *at, struct bh_err *err) {
    return json_is_object(at->v) ? 0 : wrong_type(at, "an object", err);
}

int bh_json_need_array(const struct bh_json_at *at, size_t max, const char *limit_name, struct bh_err *err) {
    size_t n = json_array_size(at->v);

    if (!json_is_array(at->v))
        return wrong_type(at, "a list", err);
    if (n <= max)
        return 0;
    bh_json_fail(at, err, "%zu entries, the limit %s is %zu", n, limit_name, max);
    return err->code = BH_E_LIMIT;
}

int bh_json_check_keys(const struct bh_json_at *at, const char *const *known, bool strict, struct bh_err *err) {
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)at->v, key, value) {
        bool good = !strict;

        for (const char *const *k = known; *k != NULL; k++) {
            if (strcmp(*k, key) == 0) {
                good = true;
                break;
            }
            if (strcasecmp(*k, key) == 0)
                return bh_json_fail(at, err, "key \"%s\" differs from \"%s\" by letter case only", key, *k);
        }
        if (!good)
            return bh_json_fail(at, err, "unknown key \"%.64s\"", key);
    }
    return 0;
}

/* jansson has made sure of UTF-8 and of no NUL. */
static int check_text(const struct bh_json_at *at, const char *s, size_t n, enum bh_text_rule rule,
                      struct bh_err *err) {
    if (strlen(s) != n)
        return bh_json_fail(at, err, "text holds a NUL");
    for (size_t i = 0; rule == BH_TEXT_LINE && i < n; i++) {
        unsigned char c = (unsigned char)s[i], after = (unsigned char)s[i + 1]; /* the NUL is readable */

        if (c < 0x20 || c == 0x7f || (c == 0xc2 && after < 0xa0))
            return bh_json_fail(at, err, "text holds a control character");
    }
    return 0;
}

int bh_json_text(const struct bh_json_at *at, enum bh_text_rule rule, struct bh_arena *arena, const char **out,
                 struct bh_err *err) {
    const char *s = json_string_value(at->v), *copy;
    size_t n = json_string_length(at->v);

    if (s == NULL)
        return wrong_type(at, "a string", err);
    if (check_text(at, s, n, rule, err) != 0)
        return err->code;
    copy = bh_oci_strdup(arena, s, n, err);
    if (copy == NULL)
        return err->code;
    *out = copy;
    return 0;
}

int bh_json_str(const struct bh_json_at *at, const char *key, enum bh_text_rule rule, struct bh_arena *arena,
                const char **out, struct bh_err *err) {
    struct bh_json_at m;

    *out = "";
    return bh_json_member(at, key, &m) ? bh_json_text(&m, rule, arena, out, err) : 0;
}

int bh_json_u64(const struct bh_json_at *at, const char *key, bool required, uint64_t max, uint64_t *out,
                struct bh_err *err) {
    struct bh_json_at m;
    json_int_t v;

    if (!bh_json_member(at, key, &m)) {
        *out = 0;
        return required ? bh_json_fail(at, err, "key \"%s\" is missing", key) : 0;
    }
    if (!json_is_integer(m.v))
        return wrong_type(&m, "an integer", err);
    v = json_integer_value(m.v);
    if (v < 0)
        return bh_json_fail(&m, err, "%lld is negative", (long long)v);
    if ((uint64_t)v > max)
        return bh_json_fail(&m, err, "%lld is larger than %llu", (long long)v, (unsigned long long)max);
    *out = (uint64_t)v;
    return 0;
}

int bh_json_i64(const struct bh_json_at *at, const char *key, int64_t *out, struct bh_err *err) {
    struct bh_json_at m;

    *out = 0;
    if (!bh_json_member(at, key, &m))
        return 0;
    if (!json_is_integer(m.v))
        return wrong_type(&m, "an integer", err);
    *out = json_integer_value(m.v);
    return 0;
}

int bh_json_bool(const struct bh_json_at *at, const char *key, bool *out, struct bh_err *err) {
    struct bh_json_at m;

    *out = false;
    if (!bh_json_member(at, key, &m))
        return 0;
    if (!json_is_boolean(m.v))
        return wrong_type(&m, "true or false", err);
    *out = json_is_true(m.v);
    return 0;
}

int bh_json_strlist(const struct bh_json_at *at, const char *key, enum bh_text_rule rule, size_t max,
                    struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err) {
    struct bh_strlist l = {.present = true};
    struct bh_json_at m;

    *out = (struct bh_strlist){0};
    if (!bh_json_member(at, key, &m))
        return 0;
    if (bh_json_need_array(&m, max, "of list entries", err) != 0)
        return err->code;
    l.n = json_array_size(m.v);
    l.v = bh_oci_alloc(arena, l.n * sizeof *l.v, err);
    if (l.v == NULL)
        return err->code;
    for (size_t i = 0; i < l.n; i++) {
        struct bh_json_at e = bh_json_element(&m, i);

        if (bh_json_text(&e, rule, arena, &l.v[i], err) != 0)
            return err->code;
    }
    *out = l;
    return 0;
}

static int need_small_object(const struct bh_json_at *at, size_t max, struct bh_err *err) {
    if (bh_json_need_object(at, err) != 0)
        return err->code;
    if (json_object_size(at->v) <= max)
        return 0;
    bh_json_fail(at, err, "%zu entries, the limit is %zu", json_object_size(at->v), max);
    return err->code = BH_E_LIMIT;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct bh_pair *)a)->key, ((const struct bh_pair *)b)->key);
}

int bh_json_pairs(const struct bh_json_at *at, const char *key, enum bh_text_rule rule, size_t max,
                  struct bh_arena *arena, struct bh_pairs *out, struct bh_err *err) {
    struct bh_pairs p = {.present = true};
    struct bh_json_at m;
    const char *name;
    json_t *value;

    *out = (struct bh_pairs){0};
    if (!bh_json_member(at, key, &m))
        return 0;
    if (need_small_object(&m, max, err) != 0)
        return err->code;
    p.v = bh_oci_alloc(arena, json_object_size(m.v) * sizeof *p.v, err);
    if (p.v == NULL)
        return err->code;
    json_object_foreach((json_t *)(uintptr_t)m.v, name, value) {
        struct bh_json_at e = {.v = value, .up = &m, .key = name};
        struct bh_pair *to = &p.v[p.n++];

        to->key = bh_oci_strdup(arena, name, strlen(name), err);
        if (to->key == NULL || check_text(&e, name, strlen(name), BH_TEXT_LINE, err) != 0 ||
            bh_json_text(&e, rule, arena, &to->value, err) != 0)
            return err->code;
    }
    if (p.n > 1)
        qsort(p.v, p.n, sizeof *p.v, by_key);
    *out = p;
    return 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int bh_json_set(const struct bh_json_at *at, const char *key, size_t max, struct bh_arena *arena,
                struct bh_strlist *out, struct bh_err *err) {
    struct bh_strlist l = {.present = true};
    struct bh_json_at m;
    const char *name;
    json_t *value;

    *out = (struct bh_strlist){0};
    if (!bh_json_member(at, key, &m))
        return 0;
    if (need_small_object(&m, max, err) != 0)
        return err->code;
    l.v = bh_oci_alloc(arena, json_object_size(m.v) * sizeof *l.v, err);
    if (l.v == NULL)
        return err->code;
    json_object_foreach((json_t *)(uintptr_t)m.v, name, value) {
        struct bh_json_at e = {.v = value, .up = &m, .key = name};

        if ((!json_is_null(value) && bh_json_need_object(&e, err) != 0) ||
            check_text(&e, name, strlen(name), BH_TEXT_LINE, err) != 0)
            return err->code;
        l.v[l.n] = bh_oci_strdup(arena, name, strlen(name), err);
        if (l.v[l.n++] == NULL)
            return err->code;
    }
    if (l.n > 1)
        qsort(l.v, l.n, sizeof *l.v, by_text);
    *out = l;
    return 0;
}
