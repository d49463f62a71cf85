/*
 * recipe_note.c - see recipe_note.h.  Owns the list of errors and warnings and how they look.
 * Room: build.  Pure.  Texts and lines are a user's: nothing leaves without being escaped.
 */
#include "recipe_note.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "recipe_check.h"

#define SHOWN_MAX 160 /* characters of a source line in a rendering */

void build_notes_init(struct build_notes *notes, struct bh_arena *arena, const char *file) {
    *notes = (struct build_notes){.arena = arena, .file = bh_arena_strdup(arena, file)};
    if (notes->file == NULL)
        notes->file = "Dockerfile";
}

/* --- adding -------------------------------------------------------------------------------------- */

/* Line n of the file without its end. */
static const char *line_text(const struct build_notes *notes, uint32_t line, size_t *out_len) {
    size_t from, to;

    *out_len = 0;
    if (line == 0 || line > notes->n_lines)
        return "";
    from = notes->line_at[line - 1];
    to = notes->line_at[line];
    while (to > from && (notes->text[to - 1] == '\n' || notes->text[to - 1] == '\r'))
        to--;
    *out_len = to - from;
    return notes->text + from;
}

static uint32_t count_chars(const char *s, size_t n) {
    uint32_t count = 0;

    for (size_t i = 0, step; i < n; i += step, count++) {
        step = bh_utf8_len(s + i, n - i);
        if (step == 0)
            step = 1;
    }
    return count;
}

static bool make_room(struct build_notes *notes) {
    size_t cap = notes->cap > 0 ? 2 * notes->cap : 8;
    struct build_note *v;

    if (notes->n >= BUILD_NOTES_MAX)
        return false;
    if (notes->n < notes->cap)
        return true;
    v = bh_arena_alloc(notes->arena, cap * sizeof *v);
    if (v == NULL)
        return false;
    if (notes->n > 0)
        memcpy(v, notes->v, notes->n * sizeof *v);
    notes->v = v;
    notes->cap = cap;
    return true;
}

static void place(const struct build_notes *notes, struct build_note *note, struct build_pos at, size_t length) {
    size_t n, from = at.column > 0 ? at.column - 1 : 0;
    const char *s = line_text(notes, at.line, &n);
    BH_SCOPE_FREE char *copy = NULL;

    note->line = at.line;
    note->source = "";
    note->column = note->length = 1;
    if (at.line == 0)
        return;
    copy = bh_xstrndup(s, n);
    note->source = bh_arena_strdup(notes->arena, copy);
    if (note->source == NULL)
        note->source = "";
    if (from > n)
        from = n;
    if (length > n - from)
        length = n - from;
    note->column = 1 + count_chars(s, from);
    note->length = length > 0 ? count_chars(s + from, length) : 1;
}

struct build_note *build_note_add(struct build_notes *notes, enum build_severity severity, const char *code,
                                  struct build_pos at, size_t length, const char *fmt, ...) {
    struct build_note note = {.severity = severity, .code = code, .suggestion = "", .hint = ""};
    char text[1024];
    va_list ap;

    if (severity == BUILD_ERROR)
        notes->errors++;
    else
        notes->warnings++;
    if (!make_room(notes))
        return NULL;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    note.message = bh_arena_strdup(notes->arena, text);
    if (note.message == NULL)
        return NULL;
    place(notes, &note, at, length);
    notes->v[notes->n] = note;
    return &notes->v[notes->n++];
}

void build_note_suggest(struct build_notes *notes, struct build_note *note, const char *word) {
    const char *copy;

    if (note == NULL || word == NULL)
        return;
    copy = bh_arena_strdup(notes->arena, word);
    if (copy != NULL)
        note->suggestion = copy;
}

void build_note_hint(struct build_notes *notes, struct build_note *note, const char *fmt, ...) {
    char text[512];
    const char *copy;
    va_list ap;

    if (note == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    copy = bh_arena_strdup(notes->arena, text);
    if (copy != NULL)
        note->hint = copy;
}

static bool before(const struct build_note *a, const struct build_note *b) {
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void build_notes_sort(struct build_notes *notes) {
    for (size_t i = 1; i < notes->n; i++) {
        struct build_note note = notes->v[i];
        size_t k = i;

        for (; k > 0 && before(&note, &notes->v[k - 1]); k--)
            notes->v[k] = notes->v[k - 1];
        notes->v[k] = note;
    }
}

/* --- showing ------------------------------------------------------------------------------------- */

static void add_escaped(struct bh_buf *out, const char *s, size_t n) {
    BH_SCOPE_FREE char *text = bh_xmalloc(4 * n + 1);

    bh_str_escape(text, 4 * n + 1, s, n, false);
    bh_buf_adds(out, text);
}

/* Bytes of the first n characters of s. */
static size_t chars_len(const char *s, uint32_t n) {
    size_t i = 0, len = strlen(s);

    for (; i < len && n > 0; n--) {
        size_t step = bh_utf8_len(s + i, len - i);

        i += step > 0 ? step : 1;
    }
    return i;
}

/* A part of the line as it is shown: tabs as blanks, so that the caret stands below its word. */
static void add_shown(struct bh_buf *out, const char *s, size_t n) {
    BH_SCOPE_FREE char *copy = bh_xstrndup(s, n);

    for (char *c = copy; *c != '\0'; c++) {
        if (*c == '\t')
            *c = ' ';
    }
    add_escaped(out, copy, strlen(copy));
}

static void add_repeated(struct bh_buf *out, char c, size_t n) {
    for (size_t i = 0; i < n; i++)
        bh_buf_addc(out, c);
}

/* How many columns a part of the line takes once it is escaped. */
static size_t shown_width(const char *s, size_t n) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;

    add_shown(&text, s, n);
    return count_chars(bh_buf_str(&text), text.len);
}

static void render_line(const struct build_note *note, struct bh_buf *out) {
    const char *s = note->source;
    size_t from = chars_len(s, note->column - 1), len = chars_len(s + from, note->length);
    size_t start = note->column > SHOWN_MAX / 2 ? chars_len(s, note->column - SHOWN_MAX / 2) : 0;
    size_t rest = chars_len(s + start, SHOWN_MAX), width = shown_width(s + start, from - start);
    size_t carets = len > 0 ? shown_width(s + from, len) : 1;

    bh_buf_addf(out, "  %5u | ", note->line);
    add_shown(out, s + start, rest);
    bh_buf_adds(out, "\n        | ");
    add_repeated(out, ' ', width);
    add_repeated(out, '^', carets < SHOWN_MAX ? carets : SHOWN_MAX);
    bh_buf_addc(out, '\n');
}

void build_note_render(const struct build_notes *notes, const struct build_note *note, struct bh_buf *out) {
    add_escaped(out, notes->file, strlen(notes->file));
    if (note->line > 0)
        bh_buf_addf(out, ":%u:%u", note->line, note->column);
    bh_buf_adds(out, ": ");
    if (note->severity == BUILD_WARNING)
        bh_buf_addf(out, "%s: ", note->code);
    add_escaped(out, note->message, strlen(note->message));
    bh_buf_addc(out, '\n');
    if (note->line > 0)
        render_line(note, out);
    if (note->suggestion[0] != '\0') {
        bh_buf_adds(out, "  did you mean ");
        add_escaped(out, note->suggestion, strlen(note->suggestion));
        bh_buf_adds(out, "?\n");
    }
    if (note->hint[0] != '\0') {
        bh_buf_adds(out, "  ");
        add_escaped(out, note->hint, strlen(note->hint));
        bh_buf_addc(out, '\n');
    }
}

void build_notes_render(const struct build_notes *notes, struct bh_buf *out) {
    size_t hidden = notes->errors + notes->warnings - notes->n;

    for (size_t i = 0; i < notes->n; i++)
        build_note_render(notes, &notes->v[i], out);
    if (hidden > 0)
        bh_buf_addf(out, "and %zu more\n", hidden);
}

static void json_text(struct bh_buf *out, const char *key, const char *value) {
    bh_buf_addf(out, ",\"%s\":", key);
    bh_buf_add_json_str(out, value, strlen(value));
}

static void json_note(const struct build_notes *notes, const struct build_note *note, struct bh_buf *out) {
    char url[128];

    bh_buf_addf(out, "{\"severity\":\"%s\"", note->severity == BUILD_ERROR ? "error" : "warning");
    json_text(out, "code", note->code);
    json_text(out, "file", notes->file);
    bh_buf_addf(out, ",\"line\":%u,\"column\":%u,\"length\":%u", note->line, note->column, note->length);
    json_text(out, "source", note->source);
    json_text(out, "message", note->message);
    json_text(out, "suggestion", note->suggestion);
    json_text(out, "hint", note->hint);
    json_text(out, "url", build_check_url(note->code, url));
    bh_buf_addc(out, '}');
}

void build_notes_json(const struct build_notes *notes, struct bh_buf *out) {
    bh_buf_addc(out, '[');
    for (size_t i = 0; i < notes->n; i++) {
        if (i > 0)
            bh_buf_addc(out, ',');
        json_note(notes, &notes->v[i], out);
    }
    bh_buf_addc(out, ']');
}

/* --- the verdict --------------------------------------------------------------------------------- */

static int verdict_error(const struct build_notes *notes, const struct build_note *note, struct bh_err *err) {
    char place[80] = "", meant[200] = "", more[64] = "";

    if (note == NULL)
        return bh_err_set(err, BH_E_INVALID, "%.200s: too many errors", notes->file);
    if (note->line > 0)
        snprintf(place, sizeof place, ":%u:%u: dockerfile parse error on line %u", note->line, note->column,
                 note->line);
    if (note->suggestion[0] != '\0')
        snprintf(meant, sizeof meant, " (did you mean %.150s?)", note->suggestion);
    if (notes->errors > 1)
        snprintf(more, sizeof more, " (and %zu more error%s)", notes->errors - 1, notes->errors == 2 ? "" : "s");
    bh_err_set(err, BH_E_INVALID, "%.200s%s: %.400s%s%s", notes->file, place, note->message, meant, more);
    if (note->hint[0] != '\0')
        bh_err_hint(err, "%.300s", note->hint);
    return err->code;
}

int build_notes_verdict(const struct build_notes *notes, struct bh_err *err) {
    const struct build_note *first = NULL;

    for (size_t i = 0; i < notes->n; i++) {
        if (notes->v[i].severity == BUILD_ERROR && (first == NULL || before(&notes->v[i], first)))
            first = &notes->v[i];
    }
    if (notes->errors > 0) {
        verdict_error(notes, first, err);
    } else if (notes->warnings > 0 && notes->warnings_fail) {
        bh_err_set(err, BH_E_INVALID, "%.200s: lint violation found, and check=error=true asks to stop at one",
                   notes->file);
    } else {
        return 0;
    }
    return bh_err_reason(err, "invalid-dockerfile");
}

/* --- nearest word -------------------------------------------------------------------------------- */

#define NEAR_MAX 63 /* longer words have no namesakes */

static size_t least(size_t a, size_t b, size_t c) {
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

static bool same_letter(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Edit distance of Levenshtein, letter case ignored. */
static size_t distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[NEAR_MAX + 1];

    if (n > NEAR_MAX || m > NEAR_MAX)
        return NEAR_MAX;
    for (size_t k = 0; k <= m; k++)
        row[k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t above = row[k];

            row[k] = least(above + 1, row[k - 1] + 1, diagonal + !same_letter(a[i - 1], b[k - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *build_nearest(const char *word, const char *const *words, size_t n) {
    const char *best = NULL;
    size_t near = 3;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);

        if (d == 0)
            return NULL;
        /* A word that would have to change nearly all its letters is no slip. */
        if (d < near && d < strlen(words[i])) {
            near = d;
            best = words[i];
        }
    }
    return best;
}
