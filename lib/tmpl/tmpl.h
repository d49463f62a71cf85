/*
 * tmpl.h - text templates over jansson values, in the language of Go's text/template.
 *
 * Room: client (it is pure: no files, no clock).  The template is typed by the user, the data may
 * come from anybody: neither can make it hang, recurse without end or take memory without end.
 * The words of the language, and what docker adds to them, are in docs/man/bulkhead-format.7.scd.
 *
 * What is there: text, {{- trims -}}, comments, field chains, variables with := and =, pipelines,
 * parentheses, if / else if / else, with / else with, range over lists, maps (in key order) and
 * integers, break, continue, define, template, block, and the functions
 *   and or not eq ne lt le gt ge index slice len print printf println html js urlquery
 *   json join split lower upper title pad truncate
 * Printing follows Go: [a b], map[k:v], true, 3, 1.5, <nil> inside of lists, <no value> for nothing.
 */
#ifndef BH_TMPL_TMPL_H
#define BH_TMPL_TMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

struct bh_tmpl;

/* A field that is computed and may take arguments: {{.Label "k"}}.  It is tried before the keys of
 * the object.  receiver is borrowed and is always an object, so are the arguments (NULL stands for
 * "no value").  *out takes a new reference, or NULL for "no value". */
typedef int bh_tmpl_method_fn(void *user, const json_t *receiver, size_t argc, json_t *const *argv, json_t **out,
                              struct bh_err *err);

struct bh_tmpl_method {
    const char *name; /* NULL ends the list */
    size_t min_args, max_args;
    bh_tmpl_method_fn *fn;
    void *user;
};

/* A field that Go's type has although the document leaves it out or has null in its place. */
struct bh_tmpl_zero {
    const char *name;  /* NULL ends the list */
    const char *json;  /* what it is when it is left out: "\"\"", "0", "false", "null" */
    const char *shown; /* what a null of it prints: "[]", "map[]", "<nil>" */
};

enum bh_tmpl_flags {
    /* A key that an object does not have prints <no value>; without the flag it is an error that
     * names the key. */
    BH_TMPL_MISSING_OK = 1,
    /* \t and \n typed outside of actions (and in `raw` strings) become a tab and a newline, as the
     * list commands of docker do. */
    BH_TMPL_ESCAPES = 2,
    /* The data are column headings: json, lower, upper, title, truncate, split, join, index and slice
     * give their first argument back unchanged and range runs once over a string, so that a heading
     * stays what it is. */
    BH_TMPL_HEADINGS = 4,
    /* The function json writes the keys of every object sorted (lists); else in the order of the
     * object (inspect), but for those of bh_tmpl_open_maps, which are always sorted. */
    BH_TMPL_SORT_KEYS = 8,
};

/* Everything may be 0 or NULL; 0 of a limit means its default. */
struct bh_tmpl_opts {
    unsigned flags;
    const struct bh_tmpl_method *methods;
    /* Names of fields whose objects have keys that users choose ("Labels"): a missing key in one of
     * these is never an error, whatever the flags.  Ends with NULL.  bh_tmpl_open_maps has docker's. */
    const char *const *open_maps;
    const struct bh_tmpl_zero *zeros;
    uint64_t max_steps; /* evaluated nodes and loop turns; default 2,000,000 */
    uint64_t max_bytes; /* bytes printed, and made by functions on the way; default 64 MiB */
};

#define BH_TMPL_TEXT_MAX ((size_t)256 << 10) /* a longer template is refused */

extern const char *const bh_tmpl_open_maps[];

/* Parse n bytes of text.  BH_E_INVALID with "template:LINE:COLUMN: ..." (both from 1, column in
 * bytes), BH_E_LIMIT when the text is too long or nested too deep. */
int bh_tmpl_parse(const char *text, size_t n, unsigned flags, struct bh_tmpl **out, struct bh_err *err);
/* Append the result for `data` (borrowed; NULL is "no value") to out.  On failure what had been
 * printed stays in out, as with docker.  BH_E_NOT_FOUND for a missing key, BH_E_INVALID for a wrong
 * type or count, BH_E_LIMIT for a template that goes on for too long. */
int bh_tmpl_exec(const struct bh_tmpl *t, const json_t *data, const struct bh_tmpl_opts *opts, struct bh_buf *out,
                 struct bh_err *err);
void bh_tmpl_free(struct bh_tmpl *t);

/* One value as {{.}} prints it, and as {{json .}} does (compact, no HTML escapes). */
void bh_tmpl_print(struct bh_buf *out, const json_t *value);
void bh_tmpl_print_json(struct bh_buf *out, const json_t *value, bool sort_keys);
/* A whole document, as `docker inspect` writes it with an indent of four spaces; no newline at the end. */
void bh_tmpl_print_json_indent(struct bh_buf *out, const json_t *value, const char *indent);

#endif
