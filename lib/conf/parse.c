/*
 * parse.c - reads the TOML subset of conf.h into a tree.
 * Room: supervisor, as root, before any room is started.  The file is the administrator's.
 * Trusts nothing about its form: one pass, no look-back, nesting capped at DEPTH_MAX, values at
 * NODES_MAX, memory by the arena.  Must refuse whatever it does not know, with file:line.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/tree.h"

#define DEPTH_MAX 64
#define NODES_MAX 20000
#define ARENA_MAX ((size_t)16 << 20)

struct parser {
    struct bh_conf *conf;
    const char *s, *end;
    int line;
    int depth;
    size_t nodes;
    struct bh_err *err;
};

static int fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int parse_value(struct parser *p, struct conf_node *v);
static int parse_pair(struct parser *p, struct bh_conf_table *t);

static int fail(struct parser *p, const char *fmt, ...) {
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    bh_err_set(p->err, BH_E_INVALID, "%s:%d: %s", p->conf->name, p->line, text);
    return bh_err_reason(p->err, "invalid-config-file");
}

static char peek(const struct parser *p) {
    return p->s < p->end ? *p->s : '\0'; /* a NUL in the file was refused before */
}

static bool take(struct parser *p, const char *text) {
    size_t n = strlen(text);

    if ((size_t)(p->end - p->s) < n || memcmp(p->s, text, n) != 0)
        return false;
    p->s += n;
    return true;
}

static void skip_blanks(struct parser *p) {
    while (peek(p) == ' ' || peek(p) == '\t')
        p->s++;
}

static void skip_comment(struct parser *p) {
    if (peek(p) == '#') {
        while (p->s < p->end && *p->s != '\n' && *p->s != '\r')
            p->s++;
    }
}

static bool take_newline(struct parser *p) {
    if (!take(p, "\n") && !take(p, "\r\n"))
        return false;
    p->line++;
    return true;
}

/* Blanks, comments and line ends, inside arrays and between statements. */
static void skip_space(struct parser *p) {
    do {
        skip_blanks(p);
        skip_comment(p);
    } while (take_newline(p));
}

/* --- memory and look-up ------------------------------------------------------------------------------ */

static void *room(struct parser *p, size_t n) {
    void *out = bh_arena_alloc(&p->conf->arena, n);

    if (out == NULL)
        bh_err_set(p->err, BH_E_LIMIT, "%s: it takes more than %zu bytes of memory", p->conf->name, ARENA_MAX);
    else
        memset(out, 0, n);
    return out;
}

static const char *keep(struct parser *p, const char *s, size_t n) {
    char *out = room(p, n + 1);

    if (out != NULL)
        memcpy(out, s, n);
    return out;
}

static struct conf_node *new_node(struct parser *p) {
    struct conf_node *v;

    if (++p->nodes > NODES_MAX) {
        fail(p, "more than %d values", NODES_MAX);
        return NULL;
    }
    v = room(p, sizeof *v);
    if (v != NULL)
        v->line = p->line;
    return v;
}

struct conf_node *conf_find(const struct bh_conf_table *t, const char *key, size_t n) {
    for (struct conf_node *v = t->first; v != NULL; v = v->next) {
        if (strncmp(v->key, key, n) == 0 && v->key[n] == '\0')
            return v;
    }
    return NULL;
}

static struct conf_node *add_member(struct parser *p, struct bh_conf_table *t, const char *key) {
    struct conf_node *v = new_node(p);

    if (v == NULL)
        return NULL;
    v->key = key;
    if (t->last != NULL)
        t->last->next = v;
    else
        t->first = v;
    t->last = v;
    return v;
}

static void make_table(struct parser *p, struct conf_node *v, bool defined) {
    v->type = CONF_TABLE;
    v->u.table = (struct bh_conf_table){.conf = p->conf, .line = p->line, .defined = defined};
}

static struct conf_node *add_element(struct parser *p, struct conf_array *a) {
    struct conf_node *v = new_node(p);

    if (v == NULL)
        return NULL;
    if (a->last != NULL)
        a->last->next = v;
    else
        a->first = v;
    a->last = v;
    a->n++;
    return v;
}

/* --- strings ----------------------------------------------------------------------------------------- */

static int add_code_point(struct parser *p, int digits, struct bh_buf *out) {
    uint32_t c = 0;
    char u[4];
    size_t n;

    for (int i = 0; i < digits; i++) {
        char d = peek(p), low = (char)(d | 0x20);

        if (d >= '0' && d <= '9')
            c = c << 4 | (uint32_t)(d - '0');
        else if (((d >= 'a' && d <= 'f') || (d >= 'A' && d <= 'F')))
            c = c << 4 | (uint32_t)(low - 'a' + 10);
        else
            return fail(p, "\\%c needs %d hex digits", digits == 4 ? 'u' : 'U', digits);
        p->s++;
    }
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return fail(p, "U+%04X cannot stand in a string", c);
    n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        u[i] = (char)(0x80 | (c & 0x3f));
    u[0] = (char)(n == 1 ? c : (0xf00U >> n) | c);
    bh_buf_add(out, u, n);
    return 0;
}

/* Behind a backslash. */
static int add_escape(struct parser *p, struct bh_buf *out) {
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    char c = peek(p);
    const char *at = c != '\0' ? strchr(from, c) : NULL;

    if (at == NULL && c != 'u' && c != 'U')
        return fail(p, "unknown escape \\%.1s in a string", c != '\0' ? p->s : "");
    p->s++;
    if (at == NULL)
        return add_code_point(p, c == 'u' ? 4 : 8, out);
    bh_buf_addc(out, to[at - from]);
    return 0;
}

/* At the opening quote. */
static int parse_string_to(struct parser *p, struct bh_buf *out) {
    char quote = *p->s;

    if (take(p, "\"\"\"") || take(p, "'''"))
        return fail(p, "strings over several lines are not known here");
    for (p->s++; peek(p) != quote;) {
        char c = peek(p);

        if (c == '\0' || c == '\n' || c == '\r')
            return fail(p, "the string is not closed on its line");
        p->s++;
        if (c != '\\' || quote != '"')
            bh_buf_addc(out, c);
        else if (add_escape(p, out) != 0)
            return p->err->code;
    }
    p->s++;
    return 0;
}

static int parse_string(struct parser *p, const char **out) {
    struct bh_buf text = BH_BUF_INIT_MAX(BH_CONF_MAX_BYTES * 2);
    int r = parse_string_to(p, &text);

    if (r == 0 && bh_buf_failed(&text))
        r = bh_err_set(p->err, BH_E_LIMIT, "%s:%d: out of memory", p->conf->name, p->line);
    if (r == 0) {
        *out = keep(p, bh_buf_str(&text), text.len);
        r = *out != NULL ? 0 : p->err->code;
    }
    bh_buf_fini(&text);
    return r;
}

/* --- other values ------------------------------------------------------------------------------------ */

static bool is_word_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

/* true, false or an integer. */
static int parse_word(struct parser *p, struct conf_node *v) {
    const char *digits;
    char word[80];
    size_t n = 0;

    while (p->s + n < p->end && (is_word_char(p->s[n]) || strchr("+.:", p->s[n]) != NULL))
        n++;
    if (n == 0)
        return fail(p, "a value is missing");
    if (!bh_str_copy_n(word, sizeof word, p->s, n))
        return fail(p, "\"%.40s...\" is no value", p->s);
    p->s += n;
    v->type = CONF_BOOL;
    v->u.flag = strcmp(word, "true") == 0;
    if (v->u.flag || strcmp(word, "false") == 0)
        return 0;
    v->type = CONF_INT;
    digits = word + (word[0] == '-');
    if (digits[strspn(digits, "0123456789")] != '\0' || *digits == '\0' || (digits[0] == '0' && digits[1] != '\0'))
        return fail(p, "\"%s\" is no value: strings need quotes; of numbers only whole ones are known here", word);
    return bh_str_i64(word, &v->u.num) ? 0 : fail(p, "%s does not fit into 64 bits", word);
}

static int parse_array(struct parser *p, struct conf_node *v) {
    v->type = CONF_ARRAY;
    for (p->s++;;) {
        struct conf_node *e;

        skip_space(p);
        if (take(p, "]"))
            return 0;
        e = add_element(p, &v->u.array);
        if (e == NULL || parse_value(p, e) != 0)
            return p->err->code;
        skip_space(p);
        if (take(p, "]"))
            return 0;
        if (!take(p, ","))
            return fail(p, "a list needs ',' or ']' here");
    }
}

/* { a = 1, b = 2 }: on one line, without a comma at its end, as TOML has it. */
static int parse_inline(struct parser *p, struct conf_node *v) {
    make_table(p, v, true);
    v->u.table.closed = true;
    p->s++;
    skip_blanks(p);
    if (take(p, "}"))
        return 0;
    for (;;) {
        if (parse_pair(p, &v->u.table) != 0)
            return p->err->code;
        skip_blanks(p);
        if (take(p, "}"))
            return 0;
        if (!take(p, ","))
            return fail(p, "a table in one line needs ',' or '}' here");
    }
}

static int parse_value(struct parser *p, struct conf_node *v) {
    char c = peek(p);
    int r;

    if (++p->depth > DEPTH_MAX)
        return fail(p, "nested deeper than %d levels", DEPTH_MAX);
    if (c == '"' || c == '\'') {
        v->type = CONF_STR;
        r = parse_string(p, &v->u.str);
    } else if (c == '[') {
        r = parse_array(p, v);
    } else if (c == '{') {
        r = parse_inline(p, v);
    } else {
        r = parse_word(p, v);
    }
    p->depth--;
    return r;
}

/* --- keys, pairs, headers ---------------------------------------------------------------------------- */

static int parse_key(struct parser *p, const char **out) {
    const char *start;

    skip_blanks(p);
    if (peek(p) == '"' || peek(p) == '\'')
        return parse_string(p, out);
    start = p->s;
    while (p->s < p->end && is_word_char(*p->s))
        p->s++;
    if (p->s == start)
        return fail(p, "a name is missing");
    *out = keep(p, start, (size_t)(p->s - start));
    return *out != NULL ? 0 : p->err->code;
}

/* Is there another piece after this one? */
static bool take_dot(struct parser *p) {
    skip_blanks(p);
    return take(p, ".");
}

static int parse_pair(struct parser *p, struct bh_conf_table *t) {
    struct conf_node *v;
    const char *key;

    if (parse_key(p, &key) != 0)
        return p->err->code;
    v = conf_find(t, key, strlen(key));
    if (v != NULL)
        return fail(p, "\"%.100s\" is set twice, first in line %d", key, v->line);
    skip_blanks(p);
    if (!take(p, "="))
        return fail(p, "'=' is missing after \"%.100s\"", key);
    skip_blanks(p);
    v = add_member(p, t, key);
    return v != NULL ? parse_value(p, v) : p->err->code;
}

/* A piece of a [header] that is not the last: a table, or the last one of an array of tables. */
static struct bh_conf_table *enter_header(struct parser *p, struct bh_conf_table *t, const char *key) {
    struct conf_node *v = conf_find(t, key, strlen(key));

    if (v == NULL) {
        v = add_member(p, t, key);
        if (v == NULL)
            return NULL;
        make_table(p, v, false);
    } else if (v->type == CONF_ARRAY && v->u.array.of_tables) {
        v = v->u.array.last;
    } else if (v->type != CONF_TABLE) {
        fail(p, "\"%.100s\" is no table (line %d)", key, v->line);
        return NULL;
    } else if (v->u.table.closed) {
        fail(p, "\"%.100s\" was written whole in line %d", key, v->line);
        return NULL;
    }
    return &v->u.table;
}

static struct bh_conf_table *open_table(struct parser *p, struct bh_conf_table *t, const char *key) {
    struct conf_node *v = conf_find(t, key, strlen(key));

    if (v == NULL) {
        v = add_member(p, t, key);
        if (v == NULL)
            return NULL;
        make_table(p, v, true);
    } else if (v->type != CONF_TABLE || v->u.table.defined) {
        fail(p, "\"%.100s\" is there already (line %d)", key, v->line);
        return NULL;
    }
    v->u.table.defined = true;
    return &v->u.table;
}

static struct bh_conf_table *open_array(struct parser *p, struct bh_conf_table *t, const char *key) {
    struct conf_node *v = conf_find(t, key, strlen(key));

    if (v == NULL) {
        v = add_member(p, t, key);
        if (v == NULL)
            return NULL;
        v->type = CONF_ARRAY;
        v->u.array.of_tables = true;
    } else if (v->type != CONF_ARRAY || !v->u.array.of_tables) {
        fail(p, "\"%.100s\" is there already (line %d) and is no list of [[tables]]", key, v->line);
        return NULL;
    }
    v = add_element(p, &v->u.array);
    if (v == NULL)
        return NULL;
    make_table(p, v, true);
    return &v->u.table;
}

/* At '['. */
static int parse_header(struct parser *p, struct bh_conf_table **out) {
    bool array = take(p, "[[");
    struct bh_conf_table *t = &p->conf->root;
    const char *key;
    int levels = 0;

    if (!array)
        p->s++;
    for (;;) {
        if (parse_key(p, &key) != 0)
            return p->err->code;
        if (!take_dot(p))
            break;
        if (++levels > DEPTH_MAX)
            return fail(p, "nested deeper than %d levels", DEPTH_MAX);
        t = enter_header(p, t, key);
        if (t == NULL)
            return p->err->code;
    }
    if (!take(p, array ? "]]" : "]"))
        return fail(p, "'%s' is missing", array ? "]]" : "]");
    t = array ? open_array(p, t, key) : open_table(p, t, key);
    if (t == NULL)
        return p->err->code;
    *out = t;
    return 0;
}

static int parse_statements(struct parser *p) {
    struct bh_conf_table *current = &p->conf->root;

    for (skip_space(p); p->s < p->end; skip_space(p)) {
        int r = peek(p) == '[' ? parse_header(p, &current) : parse_pair(p, current);

        if (r != 0)
            return r;
        skip_blanks(p);
        skip_comment(p);
        if (p->s < p->end && !take_newline(p))
            return fail(p, "the line goes on with \"%.1s\" where it should end", p->s);
    }
    return 0;
}

/* Bytes that no part of the language may hold. */
static int check_bytes(struct parser *p) {
    size_t step;

    for (; p->s < p->end; p->s += step) {
        unsigned char c = (unsigned char)*p->s;

        step = bh_utf8_len(p->s, (size_t)(p->end - p->s));
        if (step == 0)
            return fail(p, "the file is not UTF-8 text");
        if ((c < 0x20 && c != '\t' && c != '\n' && !(c == '\r' && p->s + 1 < p->end && p->s[1] == '\n')) || c == 0x7f)
            return fail(p, "control character 0x%02x", c);
        p->line += c == '\n';
    }
    return 0;
}

int bh_conf_parse(const char *text, size_t n, const char *name, struct bh_conf **out, struct bh_err *err) {
    struct parser p = {.s = text, .end = text + n, .line = 1, .err = err};
    BH_SCOPE_CONF struct bh_conf *conf = calloc(1, sizeof *conf);

    if (conf == NULL)
        return bh_err_set(err, BH_E_LIMIT, "read %s: out of memory", name);
    bh_arena_init(&conf->arena, ARENA_MAX);
    snprintf(conf->name, sizeof conf->name, "%s", name);
    conf->root = (struct bh_conf_table){.conf = conf, .line = 1, .defined = true};
    p.conf = conf;
    if (n > BH_CONF_MAX_BYTES)
        return bh_err_set(err, BH_E_LIMIT, "%s has %zu bytes, the limit is %zu", name, n, BH_CONF_MAX_BYTES);
    if (check_bytes(&p) != 0)
        return err->code;
    p.s = text;
    p.line = 1;
    if (parse_statements(&p) != 0)
        return err->code;
    *out = bh_take_ptr(conf);
    return 0;
}
