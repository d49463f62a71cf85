/*
 * recipe_note.h - what there is to say about a Dockerfile: errors and warnings, each with its place.
 *
 * Room: build.  Pure.  Everything is kept in one list until the whole file is read, so that a user sees all
 * errors at once.  Texts hold foreign bytes; build_notes_render and build_notes_json make them safe.
 */
#ifndef BUILD_RECIPE_NOTE_H
#define BUILD_RECIPE_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define BUILD_NOTES_MAX 200 /* more are counted, not kept */

/* A place in the file.  line 0: nowhere. */
struct build_pos {
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in bytes of the line as it stands in the file */
};

enum build_severity { BUILD_ERROR, BUILD_WARNING };

struct build_note {
    enum build_severity severity;
    const char *code;       /* stable: "unknown-instruction" (errors), "StageNameCasing" (checks) */
    uint32_t line;          /* from 1; 0: about the whole file */
    uint32_t column;        /* from 1, in characters */
    uint32_t length;        /* of the caret line, in characters, at least 1 */
    const char *source;     /* the line, "" if line is 0 */
    const char *message;    /* as docker words it */
    const char *suggestion; /* the word that was probably meant, or "" */
    const char *hint;       /* what to do, or "" */
};

struct build_notes {
    const char *file; /* how the file is called in messages */
    struct bh_arena *arena;
    struct build_note *v;
    size_t n, cap;
    size_t errors, warnings; /* also those not kept */
    const char *text;        /* the file, set by the parser; belongs to the arena */
    const size_t *line_at;   /* offset of each line; [n_lines] is the end of the file */
    size_t n_lines;
    bool warnings_fail; /* "# check=error=true" */
};

/* file is copied.  The arena owns all of it. */
void build_notes_init(struct build_notes *notes, struct bh_arena *arena, const char *file);
/* length in bytes; it is cut at the end of the line.  Returns the note, so that suggestion and hint can be
 * added; NULL when it is not kept. */
struct build_note *build_note_add(struct build_notes *notes, enum build_severity severity, const char *code,
                                  struct build_pos at, size_t length, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* note may be NULL. */
void build_note_suggest(struct build_notes *notes, struct build_note *note, const char *word);
void build_note_hint(struct build_notes *notes, struct build_note *note, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* By place; errors and warnings mixed. */
void build_notes_sort(struct build_notes *notes);

/* file:line:column: message, the line, a caret line, the suggestion.  Escaped. */
void build_notes_render(const struct build_notes *notes, struct bh_buf *out);
void build_note_render(const struct build_notes *notes, const struct build_note *note, struct bh_buf *out);
/* A JSON array of objects with the members of struct build_note, file and url. */
void build_notes_json(const struct build_notes *notes, struct bh_buf *out);
/* 0 if there is no error (nor a warning that counts as one); else BH_E_INVALID, reason "invalid-dockerfile", with
 * the first error in docker's words: "dockerfile parse error on line 1: unknown instruction: ROM (did you mean FROM?)".
 */
int build_notes_verdict(const struct build_notes *notes, struct bh_err *err);

/* Nearest of words[0..n) by edit distance, at most two edits away, letter case ignored; NULL if none is near or
 * one is equal. */
const char *build_nearest(const char *word, const char *const *words, size_t n);

#endif
