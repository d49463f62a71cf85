/*
 * recipe_expand.c - see recipe_expand.h.  Owns quoting and the replacement of variables in a word.
 * Room: build.  Pure.  The text is a user's: nesting is capped at DEPTH_MAX, output at BUILD_EXPAND_MAX, uses of
 * variables at USES_MAX.  lib/oci/words.c does the same for `commit --change`, with fewer forms.
 */
#include "recipe_expand.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "recipe_int.h"
#include "recipe_subst.h"

#define DEPTH_MAX 24
#define USES_MAX  20000

/* The words that come out, when they are asked for. */
struct splitter {
    struct bh_buf word;
    struct bh_strlist out;
    size_t cap;
};

struct expander {
    const struct build_expand *x;
    const char *s; /* what is left to read */
    struct bh_err *err;
    struct splitter *split;
    bool raw_escapes;
    int depth;
    size_t uses;
};

static bool has(const struct expander *e, unsigned flag) {
    return (e->x->flags & flag) != 0;
}

/* --- words --------------------------------------------------------------------------------------- */

static int end_word(struct expander *e) {
    struct splitter *sp = e->split;

    if (sp == NULL || sp->word.len == 0)
        return 0;
    if (sp->out.n == sp->cap) {
        size_t cap = sp->cap > 0 ? 2 * sp->cap : 8;
        const char **v = bh_oci_alloc(e->x->arena, cap * sizeof *v, e->err);

        if (v == NULL)
            return e->err->code;
        if (sp->out.n > 0)
            memcpy(v, sp->out.v, sp->out.n * sizeof *v);
        sp->out.v = v;
        sp->cap = cap;
    }
    if (sp->out.n >= BUILD_WORDS_MAX)
        return bh_err_set(e->err, BH_E_LIMIT, "more than %d words come out of the variables", BUILD_WORDS_MAX);
    sp->out.v[sp->out.n] = bh_oci_strdup(e->x->arena, bh_buf_str(&sp->word), sp->word.len, e->err);
    if (sp->out.v[sp->out.n] == NULL)
        return e->err->code;
    sp->out.n++;
    bh_buf_reset(&sp->word);
    return 0;
}

/* Text whose blanks do not split. */
static void word_raw(struct expander *e, const char *s, size_t n) {
    if (e->split != NULL)
        bh_buf_add(&e->split->word, s, n);
}

static int word_text(struct expander *e, const char *s, size_t n) {
    for (size_t i = 0; e->split != NULL && i < n; i++) {
        if (!build_is_space(s[i]))
            bh_buf_addc(&e->split->word, s[i]);
        else if (end_word(e) != 0)
            return e->err->code;
    }
    return 0;
}

/* --- variables ----------------------------------------------------------------------------------- */

static int expand_until(struct expander *e, char stop, bool raw_escapes, struct bh_buf *out);

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

/* Length of a parameter's name: a variable, a number, or one special character. */
static size_t name_len(const char *s) {
    size_t n = 0;

    if (*s != '\0' && strchr("@*#?-$!0", *s) != NULL && !(*s == '0' && s[1] >= '0' && s[1] <= '9'))
        return 1;
    if (*s >= '0' && *s <= '9')
        return strspn(s, "0123456789");
    while (is_name_char(s[n]))
        n++;
    return n;
}

/* NULL if it is not set; positional and special parameters never are. */
static int look_up(struct expander *e, const char *name, const char **out) {
    *out = NULL;
    if (++e->uses > USES_MAX)
        return bh_err_set(e->err, BH_E_LIMIT, "more than %d variables in one word", USES_MAX);
    if (e->x->lookup != NULL)
        *out = e->x->lookup(e->x->user, name);
    return 0;
}

static int bad(struct expander *e, const char *what) {
    bh_err_set(e->err, BH_E_INVALID, "%s", what);
    return bh_err_reason(e->err, BUILD_VARIABLE_SYNTAX);
}

/* A part of ${...} up to `stop` into `out`; words are not split inside. */
static int nested(struct expander *e, char stop, bool raw_escapes, struct bh_buf *out) {
    struct splitter *split = e->split;
    int r;

    e->split = NULL;
    r = expand_until(e, stop, raw_escapes, out);
    e->split = split;
    if (r == BH_E_INVALID && *e->s == '\0')
        return bad(e, stop == '/' ? "syntax error: missing '/' in ${}" : "syntax error: missing '}'");
    return r;
}

/* A substitution of a variable that is not set stays as it was written but for what is nested in it. */
static bool keeps(const struct expander *e, const char *value) {
    return value == NULL && has(e, BUILD_EXPAND_KEEP_UNSET);
}

static int unset_error(struct expander *e, const char *name, const char *value, const char *word) {
    if (word[0] == '\0')
        word = value == NULL ? "is not allowed to be unset" : "is not allowed to be empty";
    return bh_err_set(e->err, BH_E_INVALID, "%.100s: %.300s", name, word);
}

/* ${name-word} and its kin.  The letter of the form has been read. */
static int expand_word_form(struct expander *e, const char *name, bool colon, char form, struct bh_buf *out) {
    BH_SCOPE_BUF struct bh_buf word = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX);
    bool trims = form == '#' || form == '%', set;
    const char *value;

    if (nested(e, '}', trims, &word) != 0 || look_up(e, name, &value) != 0)
        return e->err->code;
    if (keeps(e, value)) {
        bh_buf_addf(out, "${%s%s%c%s}", name, colon ? ":" : "", form, bh_buf_str(&word));
        return 0;
    }
    set = value != NULL && !(colon && value[0] == '\0');
    if (trims) {
        bool longest = bh_buf_str(&word)[0] == form;

        return build_subst_trim(value != NULL ? value : "", bh_buf_str(&word) + longest, form == '%', longest, out,
                                e->err);
    }
    if (form == '?' && !set)
        return unset_error(e, name, value, bh_buf_str(&word));
    if (form == '+' ? set : !set)
        bh_buf_add(out, bh_buf_str(&word), word.len);
    else if (form != '+')
        bh_buf_adds(out, value);
    return 0;
}

/* ${name/pattern/by}; behind the first slash. */
static int expand_replace(struct expander *e, const char *name, struct bh_buf *out) {
    BH_SCOPE_BUF struct bh_buf pattern = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX);
    BH_SCOPE_BUF struct bh_buf by = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX);
    bool all = *e->s == '/';
    const char *value;

    e->s += all;
    if (nested(e, '/', true, &pattern) != 0 || nested(e, '}', true, &by) != 0 || look_up(e, name, &value) != 0)
        return e->err->code;
    if (keeps(e, value)) {
        bh_buf_addf(out, "${%s/%s/%s}", name, bh_buf_str(&pattern), bh_buf_str(&by));
        return 0;
    }
    return build_subst_replace(value != NULL ? value : "", bh_buf_str(&pattern), bh_buf_str(&by), all, out, e->err);
}

static int expand_plain(struct expander *e, const char *name, bool braces, struct bh_buf *out) {
    const char *value;

    if (look_up(e, name, &value) != 0)
        return e->err->code;
    if (keeps(e, value))
        bh_buf_addf(out, braces ? "${%s}" : "$%s", name);
    else if (value != NULL)
        bh_buf_adds(out, value);
    return 0;
}

static int expand_braces(struct expander *e, const char *name, struct bh_buf *out) {
    char form = *e->s, text[8];
    bool colon = form == ':';

    if (form == '}') {
        e->s++;
        return expand_plain(e, name, true, out);
    }
    if (form == '/') {
        e->s++;
        return expand_replace(e, name, out);
    }
    if (colon)
        form = *++e->s;
    if (form == '\0')
        return bad(e, "syntax error: missing '}'");
    if (strchr(colon ? "+-?" : "+-?#%", form) == NULL) {
        size_t n = 0;

        if (colon)
            text[n++] = ':';
        text[n++] = form;
        text[n] = '\0';
        bh_err_set(e->err, BH_E_INVALID, "unsupported modifier (%s) in substitution", text);
        return bh_err_reason(e->err, BUILD_VARIABLE_SYNTAX);
    }
    e->s++;
    return expand_word_form(e, name, colon, form, out);
}

/* At '$'. */
static int expand_dollar(struct expander *e, struct bh_buf *out) {
    bool braces = *++e->s == '{';
    BH_SCOPE_FREE char *name = NULL;
    size_t n;

    if (braces) {
        e->s++;
        if (*e->s == '\0')
            return bad(e, "syntax error: missing '}'");
        if (strchr("{}:", *e->s) != NULL)
            return bad(e, "syntax error: bad substitution");
    }
    n = name_len(e->s);
    if (n == 0 && !braces) {
        bh_buf_addc(out, '$');
        return 0;
    }
    name = bh_xstrndup(e->s, n);
    e->s += n;
    return braces ? expand_braces(e, name, out) : expand_plain(e, name, false, out);
}

/* --- quotes -------------------------------------------------------------------------------------- */

static int expand_single(struct expander *e, struct bh_buf *out) {
    const char *end = strchr(e->s + 1, '\'');
    bool raw = has(e, BUILD_EXPAND_RAW_QUOTES);

    if (end == NULL) {
        e->s += strlen(e->s);
        return bad(e, "unexpected end of statement while looking for matching single-quote");
    }
    bh_buf_add(out, e->s + !raw, raw ? (size_t)(end - e->s) + 1 : (size_t)(end - e->s) - 1);
    e->s = end + 1;
    return 0;
}

/* At an escape character inside double quotes. */
static void double_escape(struct expander *e, struct bh_buf *out) {
    char c = *e->s++;

    if (e->raw_escapes)
        bh_buf_addc(out, c);
    if (*e->s == '\0')
        return;
    if (*e->s == '"' || *e->s == '$' || *e->s == e->x->escape)
        c = *e->s++;
    bh_buf_addc(out, c);
}

static int expand_double(struct expander *e, struct bh_buf *out) {
    bool raw = has(e, BUILD_EXPAND_RAW_QUOTES);

    if (raw)
        bh_buf_addc(out, '"');
    for (e->s++; *e->s != '"';) {
        if (*e->s == '\0')
            return bad(e, "unexpected end of statement while looking for matching double-quote");
        if (*e->s == '$') {
            if (expand_dollar(e, out) != 0)
                return e->err->code;
        } else if (*e->s == e->x->escape) {
            double_escape(e, out);
        } else {
            bh_buf_addc(out, *e->s++);
        }
    }
    e->s++;
    if (raw)
        bh_buf_addc(out, '"');
    return 0;
}

/* --- text ---------------------------------------------------------------------------------------- */

/* "<<" keeps the blanks behind it: they do not part it from its word. */
static void expand_angle(struct expander *e, struct bh_buf *out) {
    size_t n = 1;

    if (e->s[1] == '<')
        n = 2 + strspn(e->s + 2, " \t\r");
    bh_buf_add(out, e->s, n);
    e->s += n;
}

/* A character that begins something; its text goes to out and to the words. */
static int expand_special(struct expander *e, struct bh_buf *out) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX);
    char c = *e->s;
    int r = 0;

    if (c == '$')
        r = expand_dollar(e, &text);
    else if (c == '<')
        expand_angle(e, &text);
    else if (c == '\'')
        r = expand_single(e, &text);
    else
        r = expand_double(e, &text);
    if (r != 0)
        return r;
    if (bh_buf_failed(&text))
        return bh_err_set(e->err, BH_E_LIMIT, "a word is longer than %zu bytes after substitution", BUILD_EXPAND_MAX);
    bh_buf_add(out, bh_buf_str(&text), text.len);
    if (c == '$')
        return word_text(e, bh_buf_str(&text), text.len);
    word_raw(e, bh_buf_str(&text), text.len);
    return 0;
}

static int expand_char(struct expander *e, struct bh_buf *out) {
    char c = *e->s++;

    if (c != e->x->escape) {
        bh_buf_addc(out, c);
        return word_text(e, &c, 1);
    }
    if (e->raw_escapes) {
        bh_buf_addc(out, c);
        word_raw(e, &c, 1);
    }
    if (*e->s == '\0')
        return 0;
    c = *e->s++;
    bh_buf_addc(out, c);
    word_raw(e, &c, 1);
    return 0;
}

/* Up to `stop`, which is passed over; '\0' is the end of the text. */
static int expand_until(struct expander *e, char stop, bool raw_escapes, struct bh_buf *out) {
    const char *special = has(e, BUILD_EXPAND_SKIP_QUOTES) ? "$<" : "$<'\"";
    bool outer_raw = e->raw_escapes;
    int r = 0;

    if (++e->depth > DEPTH_MAX)
        return bh_err_set(e->err, BH_E_LIMIT, "substitutions are nested deeper than %d levels", DEPTH_MAX);
    e->raw_escapes = raw_escapes;
    while (r == 0 && *e->s != stop) {
        if (*e->s == '\0')
            r = bad(e, "unexpected end of statement");
        else if (strchr(special, *e->s) != NULL)
            r = expand_special(e, out);
        else
            r = expand_char(e, out);
    }
    e->raw_escapes = outer_raw;
    e->s += r == 0 && stop != '\0';
    e->depth--;
    return r;
}

static int expand(const struct build_expand *x, const char *word, struct splitter *split, struct bh_buf *out,
                  struct bh_err *err) {
    struct expander e = {.x = x, .s = word, .err = err, .split = split};
    int r = expand_until(&e, '\0', has(&e, BUILD_EXPAND_RAW_ESCAPES), out);

    if (r == 0)
        r = end_word(&e);
    if (r != 0)
        return bh_err_prefix(err, "failed to process \"%.200s\"", word);
    if (bh_buf_failed(out))
        return bh_err_set(err, BH_E_LIMIT, "a word is longer than %zu bytes after substitution", BUILD_EXPAND_MAX);
    return 0;
}

int build_expand_word(const struct build_expand *x, const char *word, const char **out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX);
    const char *copy;

    if (expand(x, word, NULL, &text, err) != 0)
        return err->code;
    copy = bh_oci_strdup(x->arena, bh_buf_str(&text), text.len, err);
    if (copy == NULL)
        return err->code;
    *out = copy;
    return 0;
}

int build_expand_words(const struct build_expand *x, const char *word, struct bh_strlist *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX);
    struct splitter split = {.word = BH_BUF_INIT_MAX(BUILD_EXPAND_MAX), .out.present = true};
    int r = expand(x, word, &split, &text, err);

    bh_buf_fini(&split.word);
    if (r != 0)
        return err->code;
    *out = split.out;
    return 0;
}
