/*
 * words.c - see words.h.  Owns quoting and the replacement of variables.
 * Room: store, runtime, build.  The text comes from a user: recursion is capped at DEPTH_MAX and
 * output at BH_WORDS_MAX.  Must never look at the process' own environment.
 */
#include "oci/words.h"

#include <string.h>

#include "base/buf.h"
#include "oci/config.h"

#define DEPTH_MAX 16

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Length of the word at s: up to a blank outside quotes; 0 with the error set if a quote stays open. */
static size_t word_len(const char *s, struct bh_err *err) {
    char quote = '\0';
    size_t i = 0;

    for (; s[i] != '\0' && (quote != '\0' || !is_blank(s[i])); i++) {
        if (s[i] == '\\' && quote != '\'' && s[i + 1] != '\0')
            i++;
        else if (quote == '\0' && (s[i] == '"' || s[i] == '\''))
            quote = s[i];
        else if (s[i] == quote)
            quote = '\0';
    }
    if (quote == '\0')
        return i;
    bh_err_set(err, BH_E_INVALID, "unexpected end of statement while looking for matching %s-quote",
               quote == '"' ? "double" : "single");
    return 0;
}

int bh_words_split(const char *text, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err) {
    size_t room = strlen(text) / 2 + 1; /* a word and a blank take two bytes */
    struct bh_strlist l = {.present = true, .v = bh_oci_alloc(arena, room * sizeof *l.v, err)};

    if (l.v == NULL)
        return err->code;
    for (;;) {
        size_t n;

        while (is_blank(*text))
            text++;
        if (*text == '\0')
            break;
        n = word_len(text, err);
        if (n == 0)
            return err->code;
        l.v[l.n] = bh_oci_strdup(arena, text, n, err);
        if (l.v[l.n++] == NULL)
            return err->code;
        text += n;
    }
    *out = l;
    return 0;
}

struct expander {
    const char *s; /* what is left to read */
    const struct bh_strlist *env;
    struct bh_buf *out;
    struct bh_err *err;
    int depth;
};

static int expand_until(struct expander *x, char stop);

static bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Length of a parameter's name at s: a variable, a number, or one special character; 0 if none. */
static size_t name_len(const char *s) {
    size_t n = 0;

    if (is_name_start(*s)) {
        while (is_name_start(s[n]) || is_digit(s[n]))
            n++;
    } else if (is_digit(*s)) {
        while (is_digit(s[n]))
            n++;
    } else if (*s != '\0' && strchr("@*#?-$!", *s) != NULL) {
        n = 1;
    }
    return n;
}

/* Value of a name, NULL if it is not set; positional and special parameters never are. */
static const char *look_up(const struct expander *x, const char *name, size_t n) {
    for (size_t i = x->env->n; is_name_start(*name) && i > 0; i--) {
        const char *entry = x->env->v[i - 1];

        if (strncmp(entry, name, n) == 0 && entry[n] == '=')
            return entry + n + 1;
    }
    return NULL;
}

static int unclosed(struct expander *x, const char *what) {
    return bh_err_set(x->err, BH_E_INVALID, "unexpected end of statement while looking for matching %s", what);
}

/* After "${name": the modifier, its word and the brace. */
static int expand_modifier(struct expander *x, const char *name, size_t n) {
    struct bh_buf word = BH_BUF_INIT_MAX(BH_WORDS_MAX);
    struct bh_buf *out = x->out;
    const char *value = look_up(x, name, n);
    bool empty_counts = *x->s == ':', set;
    char kind;
    int r;

    if (empty_counts)
        x->s++;
    kind = *x->s;
    if (kind == '\0')
        return unclosed(x, "brace");
    if (strchr("-+?", kind) == NULL)
        return bh_err_set(x->err, BH_E_INVALID, "unsupported modifier (%c) in substitution of ${%.*s}", kind,
                          (int)(n > 64 ? 64 : n), name);
    x->s++;
    x->out = &word;
    r = expand_until(x, '}');
    x->out = out;
    set = value != NULL && !(empty_counts && value[0] == '\0');
    if (r == 0 && kind == '?' && !set)
        r = bh_err_set(x->err, BH_E_INVALID, "%.*s: %.200s", (int)(n > 64 ? 64 : n), name,
                       word.len > 0 ? bh_buf_str(&word) : "is not allowed to be unset");
    if (r == 0 && (kind == '+' ? set : !set))
        bh_buf_add(out, bh_buf_str(&word), word.len);
    else if (r == 0 && kind != '+')
        bh_buf_adds(out, value);
    bh_buf_fini(&word);
    return r;
}

/* At '$'. */
static int expand_dollar(struct expander *x) {
    bool braces = *++x->s == '{';
    const char *name = x->s + braces, *value;
    size_t n = name_len(name);

    if (n == 0) {
        if (braces)
            return bh_err_set(x->err, BH_E_INVALID, "bad substitution: ${ is not followed by a name");
        bh_buf_addc(x->out, '$');
        return 0;
    }
    x->s = name + n;
    if (braces && *x->s != '}')
        return expand_modifier(x, name, n);
    x->s += braces;
    value = look_up(x, name, n);
    if (value != NULL)
        bh_buf_adds(x->out, value);
    return 0;
}

static int expand_single(struct expander *x) {
    const char *end = strchr(++x->s, '\'');

    if (end == NULL)
        return unclosed(x, "single-quote");
    bh_buf_add(x->out, x->s, (size_t)(end - x->s));
    x->s = end + 1;
    return 0;
}

static int expand_double(struct expander *x) {
    for (x->s++; *x->s != '"';) {
        if (*x->s == '\0')
            return unclosed(x, "double-quote");
        if (*x->s == '$') {
            if (expand_dollar(x) != 0)
                return x->err->code;
            continue;
        }
        if (*x->s == '\\' && (x->s[1] == '"' || x->s[1] == '$' || x->s[1] == '\\'))
            x->s++;
        bh_buf_addc(x->out, *x->s++);
    }
    x->s++;
    return 0;
}

/* Up to `stop`, which is passed over; '\0' means the end of the text. */
static int expand_until(struct expander *x, char stop) {
    int r = 0;

    if (++x->depth > DEPTH_MAX)
        return bh_err_set(x->err, BH_E_LIMIT, "substitutions are nested deeper than %d levels", DEPTH_MAX);
    while (r == 0 && *x->s != stop) {
        if (*x->s == '\0')
            return unclosed(x, "brace");
        if (*x->s == '\'') {
            r = expand_single(x);
        } else if (*x->s == '"') {
            r = expand_double(x);
        } else if (*x->s == '$') {
            r = expand_dollar(x);
        } else {
            if (*x->s == '\\')
                x->s++;
            if (*x->s != '\0')
                bh_buf_addc(x->out, *x->s++);
        }
    }
    x->s += r == 0 && stop != '\0';
    x->depth--;
    return r;
}

int bh_words_expand(const char *word, const struct bh_strlist *env, struct bh_arena *arena, const char **out,
                    struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BH_WORDS_MAX);
    struct expander x = {.s = word, .env = env, .out = &text, .err = err};
    const char *copy;

    if (expand_until(&x, '\0') != 0)
        return err->code;
    if (bh_buf_failed(&text))
        return bh_err_set(err, BH_E_LIMIT, "a word is longer than %zu bytes after substitution", BH_WORDS_MAX);
    copy = bh_oci_strdup(arena, bh_buf_str(&text), text.len, err);
    if (copy == NULL)
        return err->code;
    *out = copy;
    return 0;
}
