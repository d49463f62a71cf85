/*
 * tmpl_func.c - the functions that a template can call; printf is in tmpl_format.c.
 *
 * Room: client.  Every function that makes text or lists pays for it from the budget of the
 * execution before it makes it, so that doubling a string in a loop ends early.
 * Arguments belong to the caller; results are new references.
 */
#include "tmpl/tmpl_int.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wctype.h>

#include "base/mem.h"
#include "base/str.h"

#define PAD_MAX 1000000

/* ---- results and arguments ---- */

static int give_text(struct tmpl_exec *x, const struct tmpl_node *at, const char *s, size_t n, struct tmpl_val *out) {
    if (tmpl_charge(x, at, n) < 0)
        return x->err->code;
    out->j = json_stringn_nocheck(s, n);
    return out->j ? 0 : tmpl_fail(x, at, BH_E_LIMIT, "out of memory");
}

int tmpl_give_string(struct tmpl_exec *x, const struct tmpl_node *at, struct bh_buf *b, struct tmpl_val *out) {
    int rc = bh_buf_failed(b) ? tmpl_fail(x, at, BH_E_LIMIT, "the template makes too much text")
                              : give_text(x, at, bh_buf_str(b), b->len, out);

    bh_buf_fini(b);
    *b = (struct bh_buf)BH_BUF_INIT;
    return rc;
}

static void give_bool(struct tmpl_val *out, bool v) {
    out->j = json_boolean(v);
}

static int need_string(struct tmpl_exec *x, const struct tmpl_node *at, const struct tmpl_val *v, const char **out,
                       size_t *out_n) {
    if (!v->j || json_is_null(v->j)) { /* a key that is not there, where that is allowed: as empty */
        *out = "";
        *out_n = 0;
        return 0;
    }
    if (!json_is_string(v->j))
        return tmpl_fail(x, at, BH_E_INVALID, "%s: wrong type of argument: a string is expected", at->func->name);
    *out = json_string_value(v->j);
    *out_n = json_string_length(v->j);
    return 0;
}

static int need_int(struct tmpl_exec *x, const struct tmpl_node *at, const struct tmpl_val *v, json_int_t *out) {
    if (!json_is_integer(v->j))
        return tmpl_fail(x, at, BH_E_INVALID, "%s: wrong type of argument: an integer is expected", at->func->name);
    *out = json_integer_value(v->j);
    return 0;
}

/* ---- comparison ---- */

static bool is_number(const json_t *j) {
    return json_is_integer(j) || json_is_real(j);
}

static bool is_nil(const json_t *j) {
    return !j || json_is_null(j);
}

/* <0, 0, >0 of two strings or two numbers. */
static int compare(struct tmpl_exec *x, const struct tmpl_node *at, const json_t *a, const json_t *b, int *out) {
    if (json_is_string(a) && json_is_string(b)) {
        size_t n = json_string_length(a), m = json_string_length(b), least = n < m ? n : m;
        int rc = memcmp(json_string_value(a), json_string_value(b), least);

        *out = rc != 0 ? rc : n < m ? -1 : n > m;
        return tmpl_charge(x, at, least / 64); /* time, not memory */
    }
    if (json_is_integer(a) && json_is_integer(b)) {
        *out = (json_integer_value(a) > json_integer_value(b)) - (json_integer_value(a) < json_integer_value(b));
        return 0;
    }
    if (is_number(a) && is_number(b)) {
        *out = (json_number_value(a) > json_number_value(b)) - (json_number_value(a) < json_number_value(b));
        return 0;
    }
    return tmpl_fail(x, at, BH_E_INVALID, "incompatible types for comparison");
}

static int equal(struct tmpl_exec *x, const struct tmpl_node *at, const json_t *a, const json_t *b, bool *out) {
    int order = 1;

    if (is_nil(a) || is_nil(b)) {
        *out = is_nil(a) && is_nil(b);
        return 0;
    }
    if (json_is_boolean(a) && json_is_boolean(b)) {
        *out = json_is_true(a) == json_is_true(b);
        return 0;
    }
    if (json_is_object(a) || json_is_array(a) || json_is_object(b) || json_is_array(b))
        return tmpl_fail(x, at, BH_E_INVALID, "non-comparable type: a map or a list");
    if (compare(x, at, a, b, &order) < 0)
        return x->err->code;
    *out = order == 0;
    return 0;
}

static int func_eq(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                   struct tmpl_val *out) {
    bool same = false;

    for (size_t i = 1; i < argc && !same; i++)
        if (equal(x, at, argv[0].j, argv[i].j, &same) < 0)
            return x->err->code;
    give_bool(out, same);
    return 0;
}

static int func_ne(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                   struct tmpl_val *out) {
    bool same;

    (void)argc;
    if (equal(x, at, argv[0].j, argv[1].j, &same) < 0)
        return x->err->code;
    give_bool(out, !same);
    return 0;
}

static int func_order(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                      struct tmpl_val *out) {
    const char *name = at->func->name;
    int order;

    (void)argc;
    if (compare(x, at, argv[0].j, argv[1].j, &order) < 0)
        return x->err->code;
    if (order == 0)
        give_bool(out, name[1] == 'e');
    else
        give_bool(out, (order < 0) == (name[0] == 'l'));
    return 0;
}

static int func_not(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                    struct tmpl_val *out) {
    (void)x, (void)at, (void)argc;
    give_bool(out, !tmpl_truth(argv[0].j));
    return 0;
}

/* ---- index, slice, len ---- */

/* docker's maps of strings give "" for a key that is not there, other maps nothing. */
static bool holds_strings(const json_t *object) {
    json_t *o = (json_t *)(uintptr_t)object;

    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
        if (!json_is_string(json_object_iter_value(it)))
            return false;
    return true;
}

static int index_map(struct tmpl_exec *x, const struct tmpl_node *at, const json_t *from, const json_t *key,
                     struct tmpl_val *out) {
    if (!json_is_string(key))
        return tmpl_fail(x, at, BH_E_INVALID, "error calling index: the key of a map must be a string");
    out->j = json_incref(json_object_getn(from, json_string_value(key), json_string_length(key)));
    if (!out->j && holds_strings(from))
        out->j = json_string("");
    out->undefined = !out->j;
    return 0;
}

static int index_list(struct tmpl_exec *x, const struct tmpl_node *at, const json_t *from, const json_t *key,
                      struct tmpl_val *out) {
    size_t n = json_is_string(from) ? json_string_length(from) : json_array_size(from);
    json_int_t i = json_integer_value(key);

    if (!json_is_integer(key))
        return tmpl_fail(x, at, BH_E_INVALID,
                         "error calling index: cannot index a list with something that is no integer");
    if (i < 0 || (uint64_t)i >= n)
        return tmpl_fail(x, at, BH_E_RANGE, "error calling index: index out of range: %" JSON_INTEGER_FORMAT, i);
    if (json_is_string(from))
        out->j = json_integer((unsigned char)json_string_value(from)[i]);
    else
        out->j = json_incref(json_array_get(from, (size_t)i));
    return 0;
}

static int index_one(struct tmpl_exec *x, const struct tmpl_node *at, const struct tmpl_val *from, const json_t *key,
                     struct tmpl_val *out) {
    if (json_is_object(from->j))
        return index_map(x, at, from->j, key, out);
    if (json_is_array(from->j) || json_is_string(from->j))
        return index_list(x, at, from->j, key, out);
    if (!is_nil(from->j))
        return tmpl_fail(x, at, BH_E_INVALID, "error calling index: can't index item of this type");
    if (json_is_string(key)) { /* labels that are null */
        out->j = from->undefined ? NULL : json_string("");
        out->undefined = from->undefined;
        return 0;
    }
    return tmpl_fail(x, at, BH_E_RANGE, "error calling index: index of nil");
}

static int func_index(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                      struct tmpl_val *out) {
    *out = (struct tmpl_val){json_incref(argv[0].j), argv[0].open, argv[0].undefined, argv[0].shown};
    for (size_t i = 1; i < argc; i++) {
        struct tmpl_val next = {0};

        if (index_one(x, at, out, argv[i].j, &next) < 0)
            return x->err->code;
        tmpl_val_clear(out);
        *out = next;
    }
    return 0;
}

static int slice_bounds(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                        size_t size, size_t bounds[2]) {
    json_int_t v[3] = {0, (json_int_t)size, (json_int_t)size};

    for (size_t i = 1; i < argc; i++) {
        if (need_int(x, at, &argv[i], &v[i - 1]) < 0)
            return x->err->code;
        if (v[i - 1] < 0 || (uint64_t)v[i - 1] > size)
            return tmpl_fail(x, at, BH_E_RANGE, "error calling slice: index out of range: %" JSON_INTEGER_FORMAT,
                             v[i - 1]);
    }
    if (v[0] > v[1] || v[1] > v[2])
        return tmpl_fail(x, at, BH_E_RANGE,
                         "error calling slice: invalid slice index: %" JSON_INTEGER_FORMAT " > %" JSON_INTEGER_FORMAT,
                         v[0] > v[1] ? v[0] : v[1], v[0] > v[1] ? v[1] : v[2]);
    bounds[0] = (size_t)v[0];
    bounds[1] = (size_t)v[1];
    return 0;
}

static int func_slice(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                      struct tmpl_val *out) {
    bool text = json_is_string(argv[0].j);
    size_t b[2];

    if (!text && !json_is_array(argv[0].j))
        return tmpl_fail(x, at, BH_E_INVALID, "error calling slice: can't slice item of this type");
    if (text && argc == 4)
        return tmpl_fail(x, at, BH_E_INVALID, "error calling slice: cannot 3-index slice a string");
    if (slice_bounds(x, at, argc, argv, text ? json_string_length(argv[0].j) : json_array_size(argv[0].j), b) < 0)
        return x->err->code;
    if (text)
        return give_text(x, at, json_string_value(argv[0].j) + b[0], b[1] - b[0], out);
    if (tmpl_charge(x, at, (b[1] - b[0]) * sizeof(json_t *)) < 0)
        return x->err->code;
    out->j = json_array();
    for (size_t i = b[0]; i < b[1]; i++)
        json_array_append(out->j, json_array_get(argv[0].j, i));
    return 0;
}

static int func_len(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                    struct tmpl_val *out) {
    const json_t *j = argv[0].j;

    (void)argc;
    if (json_is_string(j))
        out->j = json_integer((json_int_t)json_string_length(j));
    else if (json_is_array(j))
        out->j = json_integer((json_int_t)json_array_size(j));
    else if (json_is_object(j) || (json_is_null(j) && !argv[0].undefined)) /* null lists have length 0 */
        out->j = json_integer((json_int_t)json_object_size(j));
    else
        return tmpl_fail(x, at, BH_E_INVALID, "error calling len: len of %s", is_nil(j) ? "nil" : "a number or bool");
    return 0;
}

/* ---- print, json ---- */

static int func_print(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                      struct tmpl_val *out) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)x->bytes + 1);

    tmpl_print_all(&b, argc, argv, at->func->name[5] == 'l'); /* println */
    return tmpl_give_string(x, at, &b, out);
}

static int func_json(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                     struct tmpl_val *out) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)x->bytes + 1);

    (void)argc;
    bh_tmpl_print_json(&b, argv[0].j, (x->opts->flags & BH_TMPL_SORT_KEYS) || argv[0].open);
    return tmpl_give_string(x, at, &b, out);
}

/* ---- docker's words on strings ---- */

static int func_join(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                     struct tmpl_val *out) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)x->bytes + 1);
    const char *sep;
    size_t n;

    (void)argc;
    if (!json_is_array(argv[0].j) && !is_nil(argv[0].j))
        return tmpl_fail(x, at, BH_E_INVALID, "join: wrong type of argument: a list is expected");
    if (need_string(x, at, &argv[1], &sep, &n) < 0)
        return x->err->code;
    for (size_t i = 0; i < json_array_size(argv[0].j); i++) {
        if (i > 0)
            bh_buf_add(&b, sep, n);
        tmpl_print_value(&b, json_array_get(argv[0].j, i));
    }
    return tmpl_give_string(x, at, &b, out);
}

/* Where the next separator is; an empty one stands behind every character. */
static size_t next_cut(const char *s, size_t n, const char *sep, size_t sep_n) {
    const char *hit;

    if (sep_n == 0) {
        size_t len = bh_utf8_len(s, n);

        len += len == 0;
        return len < n ? len : n;
    }
    hit = memmem(s, n, sep, sep_n);
    return hit ? (size_t)(hit - s) : n;
}

static int func_split(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                      struct tmpl_val *out) {
    const char *s, *sep;
    size_t n, sep_n;

    (void)argc;
    if (need_string(x, at, &argv[0], &s, &n) < 0 || need_string(x, at, &argv[1], &sep, &sep_n) < 0)
        return x->err->code;
    out->j = json_array();
    for (bool more = n > 0 || sep_n > 0; more;) {
        size_t cut = next_cut(s, n, sep, sep_n);

        if (tmpl_charge(x, at, cut + 64) < 0)
            return x->err->code;
        json_array_append_new(out->j, json_stringn_nocheck(s, cut));
        more = cut < n;
        s += cut + (more ? sep_n : 0);
        n -= cut + (more ? sep_n : 0);
    }
    return 0;
}

static locale_t utf8_locale(void) {
    static locale_t made;

    if (!made)
        made = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return made;
}

/* One character in upper or lower case; without the locale only ASCII. */
static void put_case(struct bh_buf *b, const char *s, size_t n, bool upper) {
    locale_t l = utf8_locale();
    uint32_t c = tmpl_code_point(s, n);

    if (n > 1 && l)
        c = upper ? towupper_l(c, l) : towlower_l(c, l);
    else if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
        c ^= 0x20;
    tmpl_add_utf8(b, c);
}

static int func_case(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                     struct tmpl_val *out) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)x->bytes + 8);
    char mode = at->func->name[0]; /* lower, upper, title */
    bool begin = true;
    const char *s;
    size_t n;

    (void)argc;
    if (need_string(x, at, &argv[0], &s, &n) < 0)
        return x->err->code;
    for (size_t i = 0, step; i < n; i += step) {
        step = bh_utf8_len(s + i, n - i);
        if (step > 0 && (mode != 't' || begin))
            put_case(&b, s + i, step, mode != 'l');
        else
            bh_buf_add(&b, s + i, step + (step == 0));
        begin = step == 1 && !(s[i] == '_' || (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
                               (s[i] >= 'A' && s[i] <= 'Z'));
        step += step == 0;
    }
    return tmpl_give_string(x, at, &b, out);
}

static int func_pad(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                    struct tmpl_val *out) {
    struct bh_buf b = BH_BUF_INIT;
    json_int_t before, after;
    const char *s;
    size_t n;

    (void)argc;
    if (need_string(x, at, &argv[0], &s, &n) < 0 || need_int(x, at, &argv[1], &before) < 0 ||
        need_int(x, at, &argv[2], &after) < 0)
        return x->err->code;
    if (before < 0 || after < 0 || before > PAD_MAX || after > PAD_MAX)
        return tmpl_fail(x, at, BH_E_RANGE, "error calling pad: the width must be from 0 to %d", PAD_MAX);
    if (tmpl_charge(x, at, (uint64_t)(before + after)) < 0)
        return x->err->code;
    if (n > 0) {
        bh_buf_addf(&b, "%*s", (int)before, "");
        bh_buf_add(&b, s, n);
        bh_buf_addf(&b, "%*s", (int)after, "");
    }
    return tmpl_give_string(x, at, &b, out);
}

static int func_truncate(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                         struct tmpl_val *out) {
    json_int_t max;
    const char *s;
    size_t n;

    (void)argc;
    if (need_string(x, at, &argv[0], &s, &n) < 0 || need_int(x, at, &argv[1], &max) < 0)
        return x->err->code;
    if (max < 0)
        return tmpl_fail(x, at, BH_E_RANGE, "error calling truncate: the length must not be negative");
    if (n > (uint64_t)max) {
        n = (size_t)max;
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80) /* not through a character */
            n--;
    }
    return give_text(x, at, s, n, out);
}

/* ---- escapes ---- */

static void html_char(struct bh_buf *b, char c) {
    switch (c) {
    case '"':
        bh_buf_adds(b, "&#34;");
        break;
    case '\'':
        bh_buf_adds(b, "&#39;");
        break;
    case '&':
        bh_buf_adds(b, "&amp;");
        break;
    case '<':
        bh_buf_adds(b, "&lt;");
        break;
    case '>':
        bh_buf_adds(b, "&gt;");
        break;
    case '\0':
        bh_buf_adds(b, "\xef\xbf\xbd");
        break;
    default:
        bh_buf_addc(b, c);
    }
}

static void js_char(struct bh_buf *b, char c) {
    unsigned char u = (unsigned char)c;

    if (c == '\\' || c == '\'' || c == '"')
        bh_buf_addf(b, "\\%c", c);
    else if (u < ' ' || c == '<' || c == '>' || c == '&' || c == '=')
        bh_buf_addf(b, "\\u%04X", u);
    else
        bh_buf_addc(b, c);
}

static void url_char(struct bh_buf *b, char c) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                 c == '.' || c == '~';

    if (plain || c == ' ')
        bh_buf_addc(b, plain ? c : '+');
    else
        bh_buf_addf(b, "%%%02X", (unsigned char)c);
}

static int func_escape(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                       struct tmpl_val *out) {
    struct bh_buf plain BH_SCOPE_BUF = BH_BUF_INIT_MAX((size_t)x->bytes + 1);
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)x->bytes + 1);
    char which = at->func->name[0];

    for (size_t i = 0; i < argc; i++) /* as an action would print it, and as text: no blanks beside it */
        if (is_nil(argv[i].j)) {
            tmpl_val_clear(&argv[i]);
            argv[i].j = json_string("<no value>");
        }
    tmpl_print_all(&plain, argc, argv, false);
    for (size_t i = 0; i < plain.len; i++)
        (which == 'h' ? html_char : which == 'j' ? js_char : url_char)(&b, plain.data[i]);
    return tmpl_give_string(x, at, &b, out);
}

/* ---- the table ---- */

#define ANY 10000

static const struct tmpl_func functions[] = {
    {"and", 0, ANY, NULL, false},
    {"eq", 2, ANY, func_eq, false},
    {"ge", 2, 2, func_order, false},
    {"gt", 2, 2, func_order, false},
    {"html", 0, ANY, func_escape, false},
    {"index", 1, ANY, func_index, true},
    {"join", 2, 2, func_join, true},
    {"js", 0, ANY, func_escape, false},
    {"json", 1, 1, func_json, true},
    {"le", 2, 2, func_order, false},
    {"len", 1, 1, func_len, false},
    {"lower", 1, 1, func_case, true},
    {"lt", 2, 2, func_order, false},
    {"ne", 2, 2, func_ne, false},
    {"not", 1, 1, func_not, false},
    {"or", 0, ANY, NULL, false},
    {"pad", 3, 3, func_pad, false},
    {"print", 0, ANY, func_print, false},
    {"printf", 1, ANY, tmpl_func_printf, false},
    {"println", 0, ANY, func_print, false},
    {"slice", 1, 4, func_slice, true},
    {"split", 2, 2, func_split, true},
    {"title", 1, 1, func_case, true},
    {"truncate", 2, 2, func_truncate, true},
    {"upper", 1, 1, func_case, true},
    {"urlquery", 0, ANY, func_escape, false},
};

const struct tmpl_func *tmpl_func_find(const char *s, size_t n) {
    for (size_t i = 0; i < BH_ARRAY_LEN(functions); i++)
        if (strlen(functions[i].name) == n && memcmp(functions[i].name, s, n) == 0)
            return &functions[i];
    return NULL;
}
