/*
 * tmpl_print.c - values as text: Go's default form, JSON, shortest floating-point digits.
 *
 * Room: client.  Pure.  Strings are copied byte for byte: who shows them on a terminal escapes them.
 * Depth is limited, so that data cannot use up the stack.
 */
#include "tmpl/tmpl_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static int compare_keys(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **tmpl_sorted_keys(const json_t *object, size_t *out_n) {
    json_t *o = (json_t *)(uintptr_t)object; /* jansson's iterators take no const */
    size_t n = json_object_size(object), i = 0;
    const char **keys;

    *out_n = n;
    if (n == 0)
        return NULL;
    keys = bh_xcalloc(n, sizeof *keys);
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
        keys[i++] = json_object_iter_key(it);
    qsort(keys, n, sizeof *keys, compare_keys);
    return keys;
}

/* "d.ddde+xx" of the shortest precision that reads back; gives digits, their number and the exponent. */
static void shortest_digits(double v, char digits[24], int *out_n, int *out_exp) {
    char s[48];
    const char *e;
    int n = 0;

    for (int prec = 0; prec < 17; prec++) {
        snprintf(s, sizeof s, "%.*e", prec, v);
        if (strtod(s, NULL) == v)
            break;
    }
    e = strchr(s, 'e');
    *out_exp = e ? atoi(e + 1) : 0;
    for (const char *p = s; p < e && n < 23; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    *out_n = n;
}

static void real_with_exponent(struct bh_buf *out, const char *digits, int n, int exp, char verb) {
    bh_buf_addc(out, digits[0]);
    if (n > 1) {
        bh_buf_addc(out, '.');
        bh_buf_add(out, digits + 1, (size_t)n - 1);
    }
    /* Go writes e-07 but JSON from Go e-7. */
    bh_buf_addf(out, verb == 'j' && exp < 0 ? "e-%d" : exp < 0 ? "e-%02d" : "e+%02d", abs(exp));
}

static void real_plain(struct bh_buf *out, const char *digits, int n, int exp) {
    if (exp < 0) {
        bh_buf_adds(out, "0.");
        for (int i = -1; i > exp; i--)
            bh_buf_addc(out, '0');
        bh_buf_add(out, digits, (size_t)n);
        return;
    }
    for (int i = 0; i <= exp || i < n; i++) {
        if (i == exp + 1)
            bh_buf_addc(out, '.');
        bh_buf_addc(out, i < n ? digits[i] : '0');
    }
}

void tmpl_print_real(struct bh_buf *out, double v, char verb) {
    char digits[24];
    int n, exp;
    bool plain;

    if (!isfinite(v)) {
        bh_buf_adds(out, isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf");
        return;
    }
    if (signbit(v))
        bh_buf_addc(out, '-');
    shortest_digits(fabs(v), digits, &n, &exp);
    plain = verb == 'j' ? exp >= -6 && exp < 21 : exp >= -4 && exp < 6;
    if (v == 0.0 || plain)
        real_plain(out, digits, n, exp);
    else
        real_with_exponent(out, digits, n, exp, verb);
}

static void print_at(struct bh_buf *out, const json_t *j, unsigned depth);

static void print_map(struct bh_buf *out, const json_t *j, unsigned depth) {
    size_t n;
    const char **keys BH_SCOPE_FREE = tmpl_sorted_keys(j, &n);

    bh_buf_adds(out, "map[");
    for (size_t i = 0; i < n; i++) {
        bh_buf_addf(out, "%s%s:", i > 0 ? " " : "", keys[i]);
        print_at(out, json_object_get(j, keys[i]), depth + 1);
    }
    bh_buf_addc(out, ']');
}

static void print_list(struct bh_buf *out, const json_t *j, unsigned depth) {
    bh_buf_addc(out, '[');
    for (size_t i = 0; i < json_array_size(j); i++) {
        if (i > 0)
            bh_buf_addc(out, ' ');
        print_at(out, json_array_get(j, i), depth + 1);
    }
    bh_buf_addc(out, ']');
}

static void print_at(struct bh_buf *out, const json_t *j, unsigned depth) {
    if (depth > TMPL_PRINT_MAX) {
        bh_buf_adds(out, "...");
        return;
    }
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_OBJECT:
        print_map(out, j, depth);
        break;
    case JSON_ARRAY:
        print_list(out, j, depth);
        break;
    case JSON_STRING:
        bh_buf_add(out, json_string_value(j), json_string_length(j));
        break;
    case JSON_INTEGER:
        bh_buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        tmpl_print_real(out, json_real_value(j), 'v');
        break;
    case JSON_NULL:
        bh_buf_adds(out, "<nil>");
        break;
    default:
        bh_buf_adds(out, json_is_true(j) ? "true" : "false");
    }
}

void tmpl_print_value(struct bh_buf *out, const json_t *j) {
    print_at(out, j, 0);
}

void bh_tmpl_print(struct bh_buf *out, const json_t *value) {
    if (!value || json_is_null(value))
        bh_buf_adds(out, "<no value>");
    else
        print_at(out, value, 0);
}

void tmpl_print_all(struct bh_buf *out, size_t argc, const struct tmpl_val *argv, bool line) {
    for (size_t i = 0; i < argc; i++) {
        /* Sprint puts a blank between two operands only if neither is a string. */
        if (i > 0 && (line || (!json_is_string(argv[i].j) && !json_is_string(argv[i - 1].j))))
            bh_buf_addc(out, ' ');
        if (argv[i].shown)
            bh_buf_adds(out, argv[i].shown);
        else
            print_at(out, argv[i].j, 0);
    }
    if (line)
        bh_buf_addc(out, '\n');
}

/* What strconv.Quote keeps as it is: here all of UTF-8 but controls, separators and format marks. */
static bool printable(const char *s, size_t n) {
    static const char *const hidden[] = {"\xc2\xad", "\xe2\x80", "\xe2\x81", "\xef\xbb\xbf", "\xef\xbf"};
    unsigned char c = (unsigned char)s[0];

    if (n == 1)
        return c >= 0x20 && c < 0x7f;
    if (n == 2 && c == 0xc2 && (unsigned char)s[1] <= 0xa0)
        return false;
    if (n == 3 && memcmp(s, "\xe2\x80", 2) == 0 && (unsigned char)s[2] >= 0x90 && (unsigned char)s[2] <= 0xa7)
        return true; /* dashes, quotation marks, bullets, ellipsis */
    if (n == 3 && memcmp(s, "\xef\xbf\xbd", 3) == 0)
        return true;
    for (size_t i = 0; i < BH_ARRAY_LEN(hidden); i++)
        if (strlen(hidden[i]) <= n && memcmp(s, hidden[i], strlen(hidden[i])) == 0)
            return false;
    return true;
}

static void add_code_point(struct bh_buf *out, const char *s, size_t n) {
    uint32_t v = tmpl_code_point(s, n);

    bh_buf_addf(out, v > 0xffff ? "\\U%08x" : "\\u%04x", v);
}

void tmpl_print_quoted(struct bh_buf *out, const char *s, size_t n, char quote) {
    static const char from[] = "\a\b\f\n\r\t\v\\", to[] = "abfnrtv\\";

    bh_buf_addc(out, quote);
    for (size_t i = 0, step; i < n; i += step) {
        const char *hit = s[i] ? strchr(from, s[i]) : NULL;

        step = bh_utf8_len(s + i, n - i);
        if (hit || s[i] == quote)
            bh_buf_addf(out, "\\%c", hit ? to[hit - from] : quote);
        else if (step > 0 && printable(s + i, step))
            bh_buf_add(out, s + i, step);
        else if (step > 1)
            add_code_point(out, s + i, step);
        else
            bh_buf_addf(out, "\\x%02x", (unsigned char)s[i]);
        step += step == 0;
    }
    bh_buf_addc(out, quote);
}

/* ---- JSON ---- */

struct json_style {
    bool sort;
    const char *indent; /* NULL: all on one line */
    bool sort_here;     /* this object is one whose keys users choose: Go's maps come out sorted */
};

static void json_at(struct bh_buf *out, const json_t *j, struct json_style style, unsigned depth);

static bool is_open_map(const char *name) {
    for (const char *const *m = bh_tmpl_open_maps; *m; m++)
        if (strcmp(*m, name) == 0)
            return true;
    return false;
}

static void json_break(struct bh_buf *out, struct json_style style, unsigned depth) {
    if (!style.indent)
        return;
    bh_buf_addc(out, '\n');
    for (unsigned i = 0; i < depth; i++)
        bh_buf_adds(out, style.indent);
}

static void json_member(struct bh_buf *out, const char *key, const json_t *value, bool first, struct json_style style,
                        unsigned depth) {
    if (!first)
        bh_buf_addc(out, ',');
    json_break(out, style, depth + 1);
    bh_buf_add_json_str(out, key, strlen(key));
    bh_buf_adds(out, style.indent ? ": " : ":");
    style.sort_here = is_open_map(key);
    json_at(out, value, style, depth + 1);
}

static void json_object_at(struct bh_buf *out, const json_t *j, struct json_style style, unsigned depth) {
    json_t *o = (json_t *)(uintptr_t)j;
    const char **keys BH_SCOPE_FREE = NULL;
    size_t n = 0;

    bh_buf_addc(out, '{');
    if (style.sort || style.sort_here) {
        keys = tmpl_sorted_keys(j, &n);
        for (size_t i = 0; i < n; i++)
            json_member(out, keys[i], json_object_get(j, keys[i]), i == 0, style, depth);
    } else {
        for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it))
            json_member(out, json_object_iter_key(it), json_object_iter_value(it), n++ == 0, style, depth);
    }
    if (n > 0)
        json_break(out, style, depth);
    bh_buf_addc(out, '}');
}

static void json_array_at(struct bh_buf *out, const json_t *j, struct json_style style, unsigned depth) {
    bh_buf_addc(out, '[');
    for (size_t i = 0; i < json_array_size(j); i++) {
        if (i > 0)
            bh_buf_addc(out, ',');
        json_break(out, style, depth + 1);
        style.sort_here = false;
        json_at(out, json_array_get(j, i), style, depth + 1);
    }
    if (json_array_size(j) > 0)
        json_break(out, style, depth);
    bh_buf_addc(out, ']');
}

static void json_at(struct bh_buf *out, const json_t *j, struct json_style style, unsigned depth) {
    if (depth > TMPL_PRINT_MAX) {
        bh_buf_adds(out, "null"); /* deeper than our readers take; never without end */
        return;
    }
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_OBJECT:
        json_object_at(out, j, style, depth);
        break;
    case JSON_ARRAY:
        json_array_at(out, j, style, depth);
        break;
    case JSON_STRING:
        bh_buf_add_json_str(out, json_string_value(j), json_string_length(j));
        break;
    case JSON_INTEGER:
        bh_buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        tmpl_print_real(out, json_real_value(j), 'j');
        break;
    case JSON_NULL:
        bh_buf_adds(out, "null");
        break;
    default:
        bh_buf_adds(out, json_is_true(j) ? "true" : "false");
    }
}

void bh_tmpl_print_json(struct bh_buf *out, const json_t *value, bool sort_keys) {
    json_at(out, value, (struct json_style){.sort = sort_keys}, 0);
}

void bh_tmpl_print_json_indent(struct bh_buf *out, const json_t *value, const char *indent) {
    json_at(out, value, (struct json_style){.indent = indent}, 0);
}
