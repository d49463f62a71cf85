/*
 * tmpl_format.c - printf with Go's verbs and Go's notes about wrong ones: %!d(string=x).
 *
 * Room: client.  Widths and precisions are capped; what is printed is paid from the budget when the
 * string is given back, and the buffer's ceiling is that budget, so a long result ends early.
 */
#include "tmpl/tmpl_int.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define WIDTH_MAX 1000000

struct spec {
    bool minus, plus, sharp, space, zero;
    int width, prec; /* -1: none */
    char verb[8];    /* one character, UTF-8 */
};

struct format {
    struct bh_buf *out;
    struct tmpl_val *argv;
    size_t argc, next;
    bool reordered;
};

static const char *go_type(const json_t *j) {
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_OBJECT:
        return "map[string]interface {}";
    case JSON_ARRAY:
        return "[]interface {}";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "int";
    case JSON_REAL:
        return "float64";
    case JSON_NULL:
        return "<nil>";
    default:
        return "bool";
    }
}

static size_t count_points(const char *s, size_t n) {
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

/* s in the width of the spec.  number: zeros go behind the sign. */
static void put_padded(struct bh_buf *out, const struct spec *sp, const char *s, size_t n, bool number) {
    size_t points = count_points(s, n), pad = 0;
    bool zero = sp->zero && !sp->minus;

    if (sp->width > 0 && (size_t)sp->width > points)
        pad = (size_t)sp->width - points;
    if (zero && number && pad > 0 && n > 0 && (s[0] == '-' || s[0] == '+' || s[0] == ' ')) {
        bh_buf_addc(out, s[0]);
        s++;
        n--;
    }
    for (size_t i = 0; !sp->minus && i < pad; i++)
        bh_buf_addc(out, zero ? '0' : ' ');
    bh_buf_add(out, s, n);
    for (size_t i = 0; sp->minus && i < pad; i++)
        bh_buf_addc(out, ' ');
}

/* Digits of any base from 2 to 16, at least prec of them. */
static void int_digits(struct bh_buf *b, uint64_t v, unsigned base, int prec, bool upper) {
    const char *all = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char s[72];
    size_t n = 0;

    for (; v > 0; v /= base)
        s[n++] = all[v % base];
    for (int i = (int)n; i < prec || (i == 0 && prec < 0); i++)
        bh_buf_addc(b, '0');
    while (n > 0)
        bh_buf_addc(b, s[--n]);
}

static void put_int(struct bh_buf *out, const struct spec *sp, json_int_t v) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    char verb = sp->verb[0] == 'v' ? 'd' : sp->verb[0];
    struct spec plain = *sp;
    unsigned base = verb == 'd' ? 10 : verb == 'b' ? 2 : verb == 'o' || verb == 'O' ? 8 : 16;

    if (v < 0 || sp->plus || sp->space)
        bh_buf_addc(&b, v < 0 ? '-' : sp->plus ? '+' : ' ');
    if (sp->sharp || verb == 'O')
        bh_buf_adds(&b, verb == 'x'   ? "0x"
                        : verb == 'X' ? "0X"
                        : verb == 'b' ? "0b"
                        : verb == 'O' ? "0o"
                        : verb == 'o' ? "0"
                                      : "");
    int_digits(&b, v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v, base, sp->prec, verb == 'X');
    plain.zero = sp->zero && sp->prec < 0; /* a precision has its own zeros */
    put_padded(out, &plain, bh_buf_str(&b), b.len, true);
}

static void put_point(struct bh_buf *out, const struct spec *sp, json_int_t v) {
    uint32_t c = v < 0 || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) ? 0xfffd : (uint32_t)v;
    struct bh_buf raw BH_SCOPE_BUF = BH_BUF_INIT, b BH_SCOPE_BUF = BH_BUF_INIT;

    tmpl_add_utf8(&raw, c);
    if (sp->verb[0] == 'q')
        tmpl_print_quoted(&b, bh_buf_str(&raw), raw.len, '\'');
    else if (sp->verb[0] == 'U')
        bh_buf_addf(&b, "U+%04" PRIX64, (uint64_t)v);
    else
        bh_buf_add(&b, bh_buf_str(&raw), raw.len);
    put_padded(out, sp, bh_buf_str(&b), b.len, false);
}

static void put_real(struct bh_buf *out, const struct spec *sp, double v) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    char verb = sp->verb[0], fmt[16];
    struct spec plain = *sp;

    if (signbit(v) == 0 && (sp->plus || sp->space))
        bh_buf_addc(&b, sp->plus ? '+' : ' ');
    if ((verb == 'v' || verb == 'g' || verb == 'G') && sp->prec < 0) {
        tmpl_print_real(&b, v, 'v');
        for (size_t i = 0; verb == 'G' && i < b.len; i++)
            if (b.data[i] == 'e')
                b.data[i] = 'E';
    } else if (isfinite(v)) {
        int prec = sp->prec < 0 ? 6 : sp->prec > 400 ? 400 : sp->prec;

        snprintf(fmt, sizeof fmt, "%%.*%c", verb == 'v' ? 'g' : verb);
        bh_buf_addf(&b, fmt, prec, v);
    } else {
        tmpl_print_real(&b, v, 'v');
    }
    plain.zero = sp->zero && isfinite(v);
    put_padded(out, &plain, bh_buf_str(&b), b.len, true);
}

/* The first prec code points. */
static size_t cut_points(const char *s, size_t n, int prec) {
    size_t i = 0, count = 0;

    if (prec < 0)
        return n;
    for (; i < n; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80 && count++ == (size_t)prec)
            break;
    return i;
}

static void put_hex(struct bh_buf *out, const struct spec *sp, const char *s, size_t n) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT_MAX(out->max);

    if (sp->prec >= 0 && (size_t)sp->prec < n)
        n = (size_t)sp->prec;
    for (size_t i = 0; i < n; i++) {
        if (sp->space && i > 0)
            bh_buf_addc(&b, ' ');
        if (sp->sharp && (sp->space || i == 0))
            bh_buf_adds(&b, sp->verb[0] == 'x' ? "0x" : "0X");
        bh_buf_addf(&b, sp->verb[0] == 'x' ? "%02x" : "%02X", (unsigned char)s[i]);
    }
    put_padded(out, sp, bh_buf_str(&b), b.len, false);
}

static void put_string(struct bh_buf *out, const struct spec *sp, const json_t *j) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT_MAX(out->max);
    const char *s = json_string_value(j);
    size_t n = json_string_length(j);

    switch (sp->verb[0]) {
    case 'x':
    case 'X':
        put_hex(out, sp, s, n);
        break;
    case 'q':
        tmpl_print_quoted(&b, s, cut_points(s, n, sp->prec), sp->sharp && !memchr(s, '`', n) ? '`' : '"');
        put_padded(out, sp, bh_buf_str(&b), b.len, false);
        break;
    case 'v':
        if (sp->sharp) {
            tmpl_print_quoted(&b, s, n, '"');
            put_padded(out, sp, bh_buf_str(&b), b.len, false);
            break;
        } /* fall through */
    default:
        put_padded(out, sp, s, cut_points(s, n, sp->prec), false);
    }
}

static void put_value(struct bh_buf *out, const struct spec *sp, const json_t *j, unsigned depth);

/* Lists and maps: the verb goes to each element. */
static void put_list(struct bh_buf *out, const struct spec *sp, const json_t *j, unsigned depth) {
    bh_buf_addc(out, '[');
    for (size_t i = 0; i < json_array_size(j); i++) {
        if (i > 0)
            bh_buf_addc(out, ' ');
        put_value(out, sp, json_array_get(j, i), depth + 1);
    }
    bh_buf_addc(out, ']');
}

static void put_map(struct bh_buf *out, const struct spec *sp, const json_t *j, unsigned depth) {
    size_t n;
    const char **keys BH_SCOPE_FREE = tmpl_sorted_keys(j, &n);

    bh_buf_adds(out, "map[");
    for (size_t i = 0; i < n; i++) {
        json_t *key = json_string_nocheck(keys[i]);

        if (i > 0)
            bh_buf_addc(out, ' ');
        put_value(out, sp, key, depth + 1);
        bh_buf_addc(out, ':');
        put_value(out, sp, json_object_get(j, keys[i]), depth + 1);
        json_decref(key);
    }
    bh_buf_addc(out, ']');
}

/* %!d(string=abc): the value stands there as %v in the width that was asked for. */
static void put_bad_verb(struct bh_buf *out, const struct spec *sp, const json_t *j, unsigned depth) {
    struct spec plain = *sp;

    bh_buf_addf(out, "%%!%s(", sp->verb);
    if (!j || json_is_null(j)) {
        bh_buf_adds(out, "<nil>)");
        return;
    }
    memcpy(plain.verb, "v", 2);
    bh_buf_addf(out, "%s=", go_type(j));
    put_value(out, &plain, j, depth);
    bh_buf_addc(out, ')');
}

static bool verb_is(const struct spec *sp, const char *among) {
    return sp->verb[1] == '\0' && strchr(among, sp->verb[0]);
}

static void put_value(struct bh_buf *out, const struct spec *sp, const json_t *j, unsigned depth) {
    if (depth > TMPL_PRINT_MAX)
        bh_buf_adds(out, "...");
    else if (json_is_object(j))
        put_map(out, sp, j, depth);
    else if (json_is_array(j))
        put_list(out, sp, j, depth);
    else if ((!j || json_is_null(j)) && (depth > 0 || verb_is(sp, "v")))
        put_padded(out, sp, "<nil>", 5, false);
    else if (json_is_string(j) && verb_is(sp, "vsqxX"))
        put_string(out, sp, j);
    else if (json_is_integer(j) && verb_is(sp, "vdboOxX"))
        put_int(out, sp, json_integer_value(j));
    else if (json_is_integer(j) && verb_is(sp, "cqU"))
        put_point(out, sp, json_integer_value(j));
    else if (json_is_real(j) && verb_is(sp, "vgGeEfF"))
        put_real(out, sp, json_real_value(j));
    else if (json_is_boolean(j) && verb_is(sp, "vt"))
        put_padded(out, sp, json_is_true(j) ? "true" : "false", json_is_true(j) ? 4 : 5, false);
    else
        put_bad_verb(out, sp, j, depth);
}

/* ---- the format string ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *read_flags(const char *p, const char *end, struct spec *sp) {
    for (; p < end; p++)
        switch (*p) {
        case '-':
            sp->minus = true;
            break;
        case '+':
            sp->plus = true;
            break;
        case '#':
            sp->sharp = true;
            break;
        case ' ':
            sp->space = true;
            break;
        case '0':
            sp->zero = true;
            break;
        default:
            return p;
        }
    return p;
}

/* "[2]": the argument that comes next. */
static const char *read_index(struct format *f, const char *p, const char *end, bool *out_bad) {
    size_t v = 0;
    const char *s = p + 1;

    if (p >= end || *p != '[')
        return p;
    f->reordered = true;
    for (; s < end && is_digit(*s) && v < 100000; s++)
        v = v * 10 + (size_t)(*s - '0');
    if (s < end && *s == ']' && v >= 1 && v <= f->argc) {
        f->next = v - 1;
        return s + 1;
    }
    *out_bad = true;
    s = memchr(p, ']', (size_t)(end - p));
    return s ? s + 1 : p + 1;
}

/* Digits, or * for the next argument. */
static const char *read_number(struct format *f, const char *p, const char *end, int *out, const char *bad) {
    int v = 0;

    if (p < end && *p == '*') {
        const json_t *j = f->next < f->argc ? f->argv[f->next++].j : NULL;
        json_int_t n = json_integer_value(j);

        if (json_is_integer(j) && n >= -WIDTH_MAX && n <= WIDTH_MAX)
            *out = (int)n;
        else
            bh_buf_adds(f->out, bad);
        return p + 1;
    }
    if (p >= end || !is_digit(*p))
        return p;
    for (; p < end && is_digit(*p); p++)
        v = v < WIDTH_MAX ? v * 10 + (*p - '0') : v;
    *out = v > WIDTH_MAX ? WIDTH_MAX : v;
    return p;
}

static const char *read_spec(struct format *f, const char *p, const char *end, struct spec *sp, bool *out_bad) {
    size_t step;

    *sp = (struct spec){.width = -1, .prec = -1};
    p = read_flags(p, end, sp);
    p = read_index(f, p, end, out_bad);
    p = read_number(f, p, end, &sp->width, "%!(BADWIDTH)");
    if (sp->width < -1) {
        sp->minus = true;
        sp->width = -sp->width;
    }
    if (p < end && *p == '.') {
        sp->prec = 0;
        p = read_index(f, p + 1, end, out_bad);
        p = read_number(f, p, end, &sp->prec, "%!(BADPREC)");
        if (sp->prec < 0)
            sp->prec = -1;
    }
    p = read_index(f, p, end, out_bad);
    step = p < end ? bh_utf8_len(p, (size_t)(end - p)) : 0;
    if (step == 0 && p < end)
        step = 1;
    memcpy(sp->verb, p, step);
    return p + step;
}

static void put_verb(struct format *f, const struct spec *sp, bool bad) {
    if (strcmp(sp->verb, "%") == 0)
        bh_buf_addc(f->out, '%');
    else if (sp->verb[0] == '\0')
        bh_buf_adds(f->out, "%!(NOVERB)");
    else if (bad)
        bh_buf_addf(f->out, "%%!%s(BADINDEX)", sp->verb);
    else if (f->next >= f->argc)
        bh_buf_addf(f->out, "%%!%s(MISSING)", sp->verb);
    else if (strcmp(sp->verb, "T") == 0)
        put_padded(f->out, sp, go_type(f->argv[f->next].j), strlen(go_type(f->argv[f->next].j)), false), f->next++;
    else
        put_value(f->out, sp, f->argv[f->next++].j, 0);
}

static void put_extra(struct format *f) {
    if (f->reordered || f->next >= f->argc)
        return;
    bh_buf_adds(f->out, "%!(EXTRA ");
    for (size_t i = f->next; i < f->argc; i++) {
        const json_t *j = f->argv[i].j;

        bh_buf_addf(f->out, "%s%s", i > f->next ? ", " : "", go_type(j));
        if (j && !json_is_null(j)) {
            bh_buf_addc(f->out, '=');
            tmpl_print_value(f->out, j);
        }
    }
    bh_buf_addc(f->out, ')');
}

int tmpl_func_printf(struct tmpl_exec *x, const struct tmpl_node *at, size_t argc, struct tmpl_val *argv,
                     struct tmpl_val *out) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)x->bytes + 1);
    struct format f = {.out = &b, .argv = argv + 1, .argc = argc - 1};
    const char *p, *end;

    if (!json_is_string(argv[0].j))
        return tmpl_fail(x, at, BH_E_INVALID, "printf: the first argument must be a string");
    p = json_string_value(argv[0].j);
    end = p + json_string_length(argv[0].j);
    while (p < end && !bh_buf_failed(&b)) {
        const char *percent = memchr(p, '%', (size_t)(end - p));
        bool bad = false;
        struct spec sp;

        bh_buf_add(&b, p, (size_t)((percent ? percent : end) - p));
        if (!percent)
            break;
        p = read_spec(&f, percent + 1, end, &sp, &bad);
        put_verb(&f, &sp, bad);
    }
    put_extra(&f);
    return tmpl_give_string(x, at, &b, out);
}
