/*
 * recipe_words.c - the words of one instruction: flags, blanks, quotes, JSON form, heredoc marks (see recipe_int.h).
 * Room: build.  Pure.  Words stay as written, with their place; recipe_expand.c takes quotes away.
 */
#include "recipe_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "oci/json.h"

bool build_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void add_note(struct build_request *q, struct build_note **out, const char *code, struct build_pos at, size_t n,
                     const char *fmt, va_list ap) {
    char text[1024];

    vsnprintf(text, sizeof text, fmt, ap);
    q->bad = true;
    *out = build_note_add(q->p->notes, BUILD_ERROR, code, at, n, "%s", text);
}

struct build_note *build_bad(struct build_request *q, const char *code, size_t offset, size_t n, const char *fmt, ...) {
    struct build_note *out;
    va_list ap;

    va_start(ap, fmt);
    add_note(q, &out, code, build_line_pos(q->line, offset), n, fmt, ap);
    va_end(ap);
    return out;
}

struct build_note *build_bad_at(struct build_request *q, const char *code, struct build_pos at, size_t n,
                                const char *fmt, ...) {
    struct build_note *out;
    va_list ap;

    va_start(ap, fmt);
    add_note(q, &out, code, at, n, fmt, ap);
    va_end(ap);
    return out;
}

const char *build_args(const struct build_request *q) {
    return q->line->text + q->args;
}

struct build_word build_word_at(struct build_request *q, size_t offset, size_t n, const char *text) {
    return (struct build_word){.s = text, .at = build_line_pos(q->line, offset), .length = (uint32_t)n};
}

static bool push_word(struct build_request *q, struct build_words *out, size_t *cap, struct build_word word) {
    struct build_word *grown;

    if (out->n >= BUILD_WORDS_MAX) {
        bh_err_set(q->p->err, BH_E_LIMIT, "line %u: an instruction has more than %d words", q->line->first,
                   BUILD_WORDS_MAX);
        q->p->failed = true;
        return false;
    }
    grown = build_grow(q->p, out->v, out->n, cap, sizeof *grown);
    if (grown == NULL || word.s == NULL)
        return false;
    out->v = grown;
    out->v[out->n++] = word;
    return true;
}

/* --- flags --------------------------------------------------------------------------------------- */

/* Reads one "--..." word at *at without its quotes and escapes; returns its length in the line. */
static size_t flag_word(const struct build_request *q, size_t at, struct bh_buf *out, size_t *out_eq) {
    const char *s = q->line->text;
    size_t end = q->args + q->args_len, i = at;
    char quote = '\0', escape = q->p->escape;

    *out_eq = 0;
    for (; i < end && (quote != '\0' || !build_is_space(s[i])); i++) {
        if (s[i] == escape) {
            if (i + 1 == end)
                continue;
            bh_buf_addc(out, s[++i]);
        } else if (quote == '\0' && (s[i] == '"' || s[i] == '\'')) {
            quote = s[i];
        } else if (quote != '\0' && s[i] == quote) {
            quote = '\0';
        } else {
            if (s[i] == '=' && *out_eq == 0)
                *out_eq = i + 1;
            bh_buf_addc(out, s[i]);
        }
    }
    return i - at;
}

static bool push_flag(struct build_request *q, size_t at, size_t n, const struct bh_buf *text, size_t value_at) {
    char *name = build_keep(q->p, bh_buf_str(text), text->len), *eq;
    struct build_flag *grown;

    if (q->n_flags >= BUILD_FLAGS_MAX) {
        bh_err_set(q->p->err, BH_E_LIMIT, "line %u: an instruction has more than %d flags", q->line->first,
                   BUILD_FLAGS_MAX);
        q->p->failed = true;
        return false;
    }
    grown = build_grow(q->p, q->flags, q->n_flags, &q->cap_flags, sizeof *grown);
    if (grown == NULL || name == NULL)
        return false;
    q->flags = grown;
    eq = strchr(name, '=');
    if (eq != NULL)
        *eq++ = '\0';
    if (value_at == 0)
        value_at = at;
    q->flags[q->n_flags++] = (struct build_flag){.name = name + 2,
                                                 .value = eq,
                                                 .at = build_line_pos(q->line, at),
                                                 .length = strlen(name),
                                                 .value_at = build_line_pos(q->line, value_at),
                                                 .value_length = at + n - value_at};
    return true;
}

bool build_take_flags(struct build_request *q) {
    const char *s = q->line->text;
    size_t end = q->args + q->args_len;

    for (;;) {
        BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
        size_t n, eq;

        while (q->args < end && build_is_space(s[q->args]))
            q->args++;
        q->args_len = end - q->args;
        if (q->args_len < 2 || s[q->args] != '-' || s[q->args + 1] != '-')
            return true;
        n = flag_word(q, q->args, &text, &eq);
        if (text.len != 2 && !push_flag(q, q->args, n, &text, eq))
            return false;
        q->args += n;
        q->args_len -= n;
        if (text.len == 2)
            break;
    }
    while (q->args < end && build_is_space(s[q->args]))
        q->args++;
    q->args_len = end - q->args;
    return true;
}

/* --- words --------------------------------------------------------------------------------------- */

bool build_split_blanks(struct build_request *q, struct build_words *out) {
    const char *s = q->line->text;
    size_t end = q->args + q->args_len, cap = 0;

    for (size_t i = q->args; i < end;) {
        size_t from = i;

        while (i < end && !build_is_space(s[i]))
            i++;
        if (i > from &&
            !push_word(q, out, &cap, build_word_at(q, from, i - from, build_keep(q->p, s + from, i - from))))
            return false;
        while (i < end && build_is_space(s[i]))
            i++;
    }
    return true;
}

/* End of the word at `from`: a blank outside quotes. */
static size_t quoted_end(const struct build_request *q, size_t from) {
    const char *s = q->line->text;
    size_t end = q->args + q->args_len, i = from;
    char quote = '\0';

    for (; i < end && (quote != '\0' || !build_is_space(s[i])); i++) {
        if (s[i] == q->p->escape && quote != '\'' && i + 1 < end)
            i++;
        else if (quote == '\0' && (s[i] == '"' || s[i] == '\''))
            quote = s[i];
        else if (quote != '\0' && s[i] == quote)
            quote = '\0';
    }
    return i;
}

bool build_split_quoted(struct build_request *q, struct build_words *out) {
    const char *s = q->line->text;
    size_t end = q->args + q->args_len, cap = 0;

    for (size_t i = q->args; i < end;) {
        size_t from = i, n;

        i = quoted_end(q, from);
        n = i - from;
        if (i == end && n > 0 && s[end - 1] == q->p->escape && (n < 2 || s[end - 2] != q->p->escape))
            n--; /* an escape character with nothing behind it */
        if (n > 0 && !push_word(q, out, &cap, build_word_at(q, from, n, build_keep(q->p, s + from, n))))
            return false;
        while (i < end && build_is_space(s[i]))
            i++;
    }
    return true;
}

bool build_whole_word(struct build_request *q, size_t from, struct build_word *out) {
    size_t n = q->args + q->args_len - from;

    *out = build_word_at(q, from, n, NULL);
    if (n == 0)
        return true;
    out->s = build_keep(q->p, q->line->text + from, n);
    return out->s != NULL;
}

/* --- JSON form ----------------------------------------------------------------------------------- */

/* Offset of the next string literal in a valid JSON list, or `end`; its length with quotes. */
static size_t next_literal(const char *s, size_t i, size_t end, size_t *out_len) {
    size_t from;

    while (i < end && s[i] != '"')
        i++;
    from = i;
    for (i++; i < end && s[i] != '"'; i++)
        i += s[i] == '\\';
    *out_len = i < end ? i + 1 - from : 0;
    return from;
}

static int json_words(struct build_request *q, size_t from, const json_t *list, struct build_words *out) {
    size_t n = json_array_size(list), end = q->args + q->args_len, at = from, cap = 0;

    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(list, i);
        size_t len;

        if (!json_is_string(e)) {
            build_bad(q, "invalid-json-form", from, end - from,
                      "when using JSON array syntax, arrays must be comprised of strings only");
            return -1;
        }
        at = next_literal(q->line->text, at, end, &len);
        if (!push_word(q, out, &cap,
                       build_word_at(q, at, len, build_keep(q->p, json_string_value(e), json_string_length(e)))))
            return -1;
        at += len;
    }
    return 1;
}

/* ["a", 'b'] and the like were meant as JSON form. */
static bool looks_like_json(const char *s, size_t n) {
    return n >= 3 && s[0] == '[' && (s[1] == '"' || s[1] == '\'') && s[n - 1] == ']';
}

int build_split_json(struct build_request *q, size_t from, struct build_words *out) {
    size_t n = q->args + q->args_len - from;
    struct bh_err ignored = BH_ERR_INIT;
    BH_SCOPE_JSON json_t *list = NULL;
    const char *s = q->line->text + from;

    if (n == 0 || s[0] != '[')
        return 0;
    if (bh_json_parse(s, n, BUILD_RECIPE_MAX, "instruction", &list, &ignored) != 0) {
        q->out->exec_broken = looks_like_json(s, n);
        return 0;
    }
    return json_words(q, from, list, out);
}

/* --- heredocs ------------------------------------------------------------------------------------ */

static size_t count_quotes(const char *s) {
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += *s == '"' || *s == '\'';
    return n;
}

/* Words of a text with nothing replaced; none if quotes do not fit together, as docker takes it. */
static bool bare_words(struct build_parser *p, const char *text, unsigned flags, struct bh_strlist *out) {
    struct build_expand x = {.escape = '\\', .flags = flags | BUILD_EXPAND_KEEP_UNSET, .arena = p->arena};
    struct bh_err err = BH_ERR_INIT;

    if (build_expand_words(&x, text, out, &err) == 0)
        return true;
    *out = (struct bh_strlist){0};
    if (err.code != BH_E_LIMIT)
        return true;
    *p->err = err;
    p->failed = true;
    return false;
}

int build_heredoc_word(struct build_parser *p, const char *word, struct build_heredoc *out) {
    size_t digits = strspn(word, "0123456789");
    const char *rest = word + digits;
    struct bh_strlist plain, raw;
    unsigned fd = 0;

    *out = (struct build_heredoc){0};
    if (rest[0] != '<' || rest[1] != '<' || digits > 4)
        return 0;
    for (size_t i = 0; i < digits; i++)
        fd = fd * 10 + (unsigned)(word[i] - '0');
    rest += 2;
    out->fd = fd;
    out->strip_tabs = *rest == '-';
    rest += out->strip_tabs;
    rest += strspn(rest, " \t\r\n\v\f");
    if (*rest == '\0' || strchr(rest, '<') != NULL)
        return 0;
    if (!bare_words(p, rest, 0, &plain) || !bare_words(p, rest, BUILD_EXPAND_RAW_QUOTES, &raw))
        return 0;
    if (plain.n != 1 || raw.n != 1)
        return 0;
    out->name = plain.v[0];
    out->expand = count_quotes(plain.v[0]) == count_quotes(raw.v[0]);
    return 1;
}

bool build_find_heredocs(struct build_request *q) {
    struct build_parser *p = q->p;
    struct bh_strlist words;
    size_t cap = 0;

    if (strstr(q->line->text, "<<") == NULL)
        return true;
    if (!bare_words(p, q->line->text, BUILD_EXPAND_RAW_QUOTES | BUILD_EXPAND_RAW_ESCAPES, &words))
        return false;
    for (size_t i = 0; i < words.n; i++) {
        struct build_heredoc doc, *grown;

        if (build_heredoc_word(p, words.v[i], &doc) == 0) {
            if (p->failed)
                return false;
            continue;
        }
        if (q->heredocs.n >= BUILD_HEREDOCS_MAX) {
            bh_err_set(p->err, BH_E_LIMIT, "line %u: an instruction has more than %d heredocs", q->line->first,
                       BUILD_HEREDOCS_MAX);
            p->failed = true;
            return false;
        }
        grown = build_grow(p, q->heredocs.v, q->heredocs.n, &cap, sizeof *grown);
        if (grown == NULL)
            return false;
        q->heredocs.v = grown;
        q->heredocs.v[q->heredocs.n++] = doc;
    }
    return true;
}
