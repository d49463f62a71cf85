/*
 * recipe_lex.c - lines of a Dockerfile: directives, comments, continuation, heredoc texts (see recipe_int.h).
 * Room: build.  Pure; any bytes.
 * Knows where each byte of a joined line stood in the file.  Must not look into an instruction: what a heredoc is
 * recipe_words.c decides.
 */
#include "recipe_int.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/ref.h"

#define SYNTAX_MINOR_KNOWN 24 /* docker/dockerfile:1.N whose language is known here */

/* A line of the file. */
struct raw {
    const char *s;
    size_t n;    /* without its end */
    size_t full; /* with it */
};

static bool next_raw(struct build_parser *p, struct raw *out) {
    const char *s = p->text + p->pos, *end;

    if (p->pos >= p->len)
        return false;
    end = memchr(s, '\n', p->len - p->pos);
    out->s = s;
    out->full = end != NULL ? (size_t)(end - s) + 1 : p->len - p->pos;
    out->n = out->full;
    while (out->n > 0 && (s[out->n - 1] == '\n' || s[out->n - 1] == '\r'))
        out->n--;
    p->pos += out->full;
    p->line++;
    return true;
}

static size_t blanks(const char *s, size_t n) {
    size_t i = 0;

    while (i < n && build_is_space(s[i]))
        i++;
    return i;
}

static bool is_comment(const struct raw *raw) {
    size_t skip = blanks(raw->s, raw->n);

    return skip < raw->n && raw->s[skip] == '#';
}

/* --- the start ----------------------------------------------------------------------------------- */

static bool index_lines(struct build_parser *p) {
    size_t n = 1, k = 0, *at;

    for (size_t i = 0; i + 1 < p->len; i++)
        n += p->text[i] == '\n';
    at = build_need(p, (n + 1) * sizeof *at);
    if (at == NULL)
        return false;
    at[k++] = p->pos;
    for (size_t i = 0; i + 1 < p->len; i++) {
        if (p->text[i] == '\n')
            at[k++] = i + 1;
    }
    at[k] = p->len;
    p->notes->text = p->text;
    p->notes->line_at = at;
    p->notes->n_lines = n;
    return true;
}

/* "// syntax=x" or {"syntax": "x"}: a file in another language. */
static void refuse_other_language(struct build_parser *p) {
    const char *s = p->text + p->pos, *key, *value;
    size_t n = p->len - p->pos, line = strcspn(s, "\n"), key_len, value_len;

    if (n < 2 || s[0] != '/' || s[1] != '/')
        return;
    if (build_directive_split(s + 2, line - 2, &key, &key_len, &value, &value_len) && key_len == 6 &&
        strncasecmp(key, "syntax", 6) == 0)
        build_note_add(p->notes, BUILD_ERROR, "foreign-syntax", (struct build_pos){1, 1}, line,
                       "the file is written for the frontend %.*s, which is not run here", (int)value_len, value);
}

bool build_lex_start(struct build_parser *p) {
    if (p->len >= 3 && memcmp(p->text, "\xef\xbb\xbf", 3) == 0)
        p->pos = 3;
    if (!index_lines(p))
        return false;
    refuse_other_language(p);
    return true;
}

/* --- directives ---------------------------------------------------------------------------------- */

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool build_directive_split(const char *text, size_t n, const char **out_key, size_t *out_key_len,
                           const char **out_value, size_t *out_value_len) {
    size_t from = blanks(text, n), to = from, value;

    while (to < n && is_alnum(text[to]))
        to++;
    if (to == from || (text[from] >= '0' && text[from] <= '9'))
        return false;
    value = to + blanks(text + to, n - to);
    if (value >= n || text[value] != '=')
        return false;
    value++;
    value += blanks(text + value, n - value);
    while (n > value && build_is_space(text[n - 1]))
        n--;
    if (value >= n)
        return false;
    *out_key = text + from;
    *out_key_len = to - from;
    *out_value = text + value;
    *out_value_len = n - value;
    return true;
}

/* Only docker's own language is known here, whatever its version. */
static void check_syntax(struct build_parser *p, const char *value, struct build_pos at) {
    size_t n = strcspn(value, " \t");
    struct bh_err ignored = BH_ERR_INIT;
    uint64_t minor = 0;
    struct bh_ref ref;
    char text[256], number[8];

    if (!bh_str_copy_n(text, sizeof text, value, n) || bh_ref_parse(text, &ref, &ignored) != 0 ||
        strcmp(ref.domain, "docker.io") != 0 ||
        (strcmp(ref.path, "docker/dockerfile") != 0 && strcmp(ref.path, "docker/dockerfile-upstream") != 0)) {
        build_note_hint(p->notes,
                        build_note_add(p->notes, BUILD_ERROR, "foreign-syntax", at, n,
                                       "the file is written for the frontend %.200s, which is not run here", value),
                        "the language of docker/dockerfile is built in; leave the line out to use it");
        return;
    }
    if (ref.tag[0] != '1' || ref.tag[1] != '.')
        return;
    if (bh_str_copy_n(number, sizeof number, ref.tag + 2, strspn(ref.tag + 2, "0123456789")) &&
        bh_str_u64(number, &minor) && minor > SYNTAX_MINOR_KNOWN)
        build_note_add(p->notes, BUILD_WARNING, "newer-syntax", at, n,
                       "%.200s is newer than the language that is built in (1.%d)", text, SYNTAX_MINOR_KNOWN);
}

static void set_escape(struct build_parser *p, const char *value, struct build_pos at) {
    if (p->after_shebang)
        return;
    if (strcmp(value, "\\") != 0 && strcmp(value, "`") != 0) {
        build_note_add(p->notes, BUILD_ERROR, "invalid-escape", at, strlen(value),
                       "invalid escape token '%.40s' does not match ` or \\", value);
        return;
    }
    p->escape = value[0];
}

static bool take_directive(struct build_parser *p, const char *key, size_t key_len, const char *value,
                           size_t value_len) {
    static const char *const names[] = {"syntax", "escape", "check"};
    struct build_directive *seen[] = {&p->recipe->syntax, &p->recipe->escape_at, &p->recipe->check};
    struct build_pos at = {p->line, (uint32_t)(value - (p->text + p->notes->line_at[p->line - 1])) + 1};
    size_t i = 0;

    while (i < 3 && (strlen(names[i]) != key_len || strncasecmp(names[i], key, key_len) != 0))
        i++;
    if (i == 3)
        return false;
    if (seen[i]->value != NULL) {
        build_note_add(p->notes, BUILD_ERROR, "duplicate-directive", (struct build_pos){p->line, 1}, SIZE_MAX / 2,
                       "only one %s parser directive can be used", names[i]);
        return true;
    }
    seen[i]->value = build_keep(p, value, value_len);
    seen[i]->at = at;
    if (seen[i]->value == NULL)
        return false;
    if (i == 0)
        check_syntax(p, seen[i]->value, at);
    else if (i == 1)
        set_escape(p, seen[i]->value, at);
    return true;
}

/* Directives stand in front of everything else; a shebang may stand in front of them. */
static bool is_directive(struct build_parser *p, const char *s, size_t n) {
    const char *key, *value;
    size_t key_len, value_len;

    if (p->directives_over)
        return false;
    if (p->line == 1 && n >= 2 && s[0] == '#' && s[1] == '!') {
        p->after_shebang = true;
        return false;
    }
    if (n > 0 && s[0] == '#' && build_directive_split(s + 1, n - 1, &key, &key_len, &value, &value_len) &&
        take_directive(p, key, key_len, value, value_len))
        return true;
    p->directives_over = true;
    return false;
}

/* --- comments ------------------------------------------------------------------------------------ */

/* s stands at '#'. */
static bool add_comment(struct build_parser *p, const char *s, size_t n) {
    struct build_word *grown, word = {.at = {p->line, 1}, .length = (uint32_t)n};
    size_t skip = 1 + blanks(s + 1, n - 1);

    while (n > skip && build_is_space(s[n - 1]))
        n--;
    if (n == skip) {
        p->n_comments = 0;
        return true;
    }
    if (p->n_comments >= BUILD_WORDS_MAX)
        return true;
    grown = build_grow(p, p->comments, p->n_comments, &p->cap_comments, sizeof *grown);
    word.s = build_keep(p, s + skip, n - skip);
    if (grown == NULL || word.s == NULL)
        return false;
    p->comments = grown;
    p->comments[p->n_comments++] = word;
    return true;
}

static bool give_comments(struct build_parser *p, struct build_line *line) {
    line->comments.v = build_need(p, p->n_comments * sizeof *line->comments.v);
    if (line->comments.v == NULL)
        return false;
    if (p->n_comments > 0)
        memcpy(line->comments.v, p->comments, p->n_comments * sizeof *p->comments);
    line->comments.n = p->n_comments;
    p->n_comments = 0;
    return true;
}

/* --- instructions over several lines ------------------------------------------------------------- */

/* Does the line go on?  Then *n is cut in front of the escape character. */
static bool goes_on(const struct build_parser *p, const char *s, size_t *n) {
    size_t end = *n;

    while (end > 0 && (s[end - 1] == ' ' || s[end - 1] == '\t'))
        end--;
    if (end == 0 || s[end - 1] != p->escape || (end > 1 && s[end - 2] == p->escape))
        return false;
    *n = end - 1;
    return true;
}

static void check_bytes(struct build_parser *p, const char *s, size_t n, const struct raw *raw) {
    struct build_pos at = {p->line, (uint32_t)(s - raw->s) + 1};
    size_t i = 0, step;

    if (raw->n > BUILD_RECIPE_LINE_MAX)
        build_note_add(p->notes, BUILD_ERROR, "line-too-long", at, 1,
                       "dockerfile line greater than max allowed size of %d", BUILD_RECIPE_LINE_MAX);
    while (i < n && (step = bh_utf8_len(s + i, n - i)) > 0 && s[i] != '\0')
        i += step;
    if (i == n)
        return;
    at.column += (uint32_t)i;
    build_note_add(p->notes, BUILD_ERROR, "invalid-text", at, 1,
                   s[i] == '\0' ? "the line holds a NUL byte" : "the line is not valid UTF-8");
}

static bool add_piece(struct build_parser *p, struct build_line *line, struct bh_buf *text, const char *s, size_t n,
                      const struct raw *raw) {
    struct build_segment *grown = build_grow(p, line->segments, line->n_segments, &line->cap_segments, sizeof *grown);

    if (grown == NULL)
        return false;
    line->segments = grown;
    line->segments[line->n_segments++] = (struct build_segment){text->len, {p->line, (uint32_t)(s - raw->s) + 1}};
    check_bytes(p, s, n, raw);
    bh_buf_add(text, s, n);
    return true;
}

static bool note_empty_line(struct build_parser *p) {
    struct build_recipe *r = p->recipe;
    struct build_pos *grown = build_grow(p, r->empty_lines, r->n_empty_lines, &r->cap_empty_lines, sizeof *grown);

    if (grown == NULL)
        return false;
    r->empty_lines = grown;
    r->empty_lines[r->n_empty_lines++] = (struct build_pos){p->line, 1};
    return true;
}

/* The lines behind one that goes on: comments are dropped, so are empty lines. */
static bool join(struct build_parser *p, struct build_line *line, struct bh_buf *text) {
    bool empty_seen = false, on = true;
    struct raw raw;

    while (on && next_raw(p, &raw)) {
        size_t n = raw.n;

        if (is_comment(&raw))
            continue;
        if (blanks(raw.s, raw.n) == raw.n) {
            if (!empty_seen && !note_empty_line(p))
                return false;
            empty_seen = true;
            continue;
        }
        on = goes_on(p, raw.s, &n);
        if (!add_piece(p, line, text, raw.s, n, &raw))
            return false;
    }
    return true;
}

/* One instruction that begins in this line; nothing is left of it if it is blank. */
static bool read_line(struct build_parser *p, const struct raw *raw, struct build_line *out) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BUILD_RECIPE_MAX);
    size_t skip = blanks(raw->s, raw->n), n = raw->n - skip;
    const char *s = raw->s + skip;
    bool on = goes_on(p, s, &n);

    out->first = p->line;
    if (!add_piece(p, out, &text, s, n, raw) || (on && !join(p, out, &text)))
        return false;
    out->last = p->line;
    out->n = text.len;
    out->text = build_keep(p, bh_buf_str(&text), text.len);
    return out->text != NULL && give_comments(p, out);
}

bool build_lex_line(struct build_parser *p, struct build_line *out) {
    struct raw raw;

    while (!p->failed && next_raw(p, &raw)) {
        size_t skip = blanks(raw.s, raw.n);

        if (is_directive(p, raw.s + skip, raw.n - skip))
            continue;
        if (skip == raw.n) {
            p->n_comments = 0;
            continue;
        }
        if (raw.s[skip] == '#') {
            add_comment(p, raw.s + skip, raw.n - skip);
            continue;
        }
        *out = (struct build_line){0};
        if (!read_line(p, &raw, out))
            return false;
        if (blanks(out->text, out->n) < out->n)
            return true;
    }
    return false;
}

struct build_pos build_line_pos(const struct build_line *line, size_t offset) {
    size_t lo = 0, hi = line->n_segments;
    struct build_pos pos;

    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;

        if (line->segments[mid].at <= offset)
            lo = mid;
        else
            hi = mid;
    }
    pos = line->segments[lo].pos;
    pos.column += (uint32_t)(offset - line->segments[lo].at);
    return pos;
}

/* --- heredocs ------------------------------------------------------------------------------------ */

static void strip_tabs(struct bh_buf *out, const char *s, size_t n) {
    while (n > 0) {
        const char *end = memchr(s, '\n', n);
        size_t len = end != NULL ? (size_t)(end - s) + 1 : n, tabs = 0;

        while (tabs < len && s[tabs] == '\t')
            tabs++;
        bh_buf_add(out, s + tabs, len - tabs);
        s += len;
        n -= len;
    }
}

static bool keep_heredoc(struct build_parser *p, struct build_heredoc *doc, const char *s, size_t n) {
    BH_SCOPE_BUF struct bh_buf stripped = BH_BUF_INIT_MAX(BUILD_RECIPE_MAX);

    if (memchr(s, '\0', n) != NULL)
        build_note_add(p->notes, BUILD_ERROR, "invalid-text", doc->at, 1, "the heredoc holds a NUL byte");
    doc->raw_text = doc->text = build_keep(p, s, n);
    doc->text_len = n;
    if (doc->strip_tabs) {
        strip_tabs(&stripped, s, n);
        doc->text = build_keep(p, bh_buf_str(&stripped), stripped.len);
        doc->text_len = stripped.len;
    }
    return doc->raw_text != NULL && doc->text != NULL;
}

bool build_lex_heredoc(struct build_parser *p, struct build_line *line, struct build_heredoc *doc) {
    const char *from = p->text + p->pos;
    size_t name_len = strlen(doc->name), n = 0;
    struct build_pos begun = {line->last, 1};
    struct raw raw;

    doc->at = (struct build_pos){p->line + 1, 1};
    while (next_raw(p, &raw)) {
        size_t tabs = 0;

        while (doc->strip_tabs && tabs < raw.n && raw.s[tabs] == '\t')
            tabs++;
        if (raw.n - tabs == name_len && memcmp(raw.s + tabs, doc->name, name_len) == 0) {
            line->last = p->line;
            return keep_heredoc(p, doc, from, n);
        }
        n += raw.full;
    }
    build_note_hint(
        p->notes,
        build_note_add(p->notes, BUILD_ERROR, "unterminated-heredoc", begun, SIZE_MAX / 2, "unterminated heredoc"),
        "a line with nothing but %.100s ends it", doc->name);
    line->last = p->line;
    return keep_heredoc(p, doc, from, n);
}
