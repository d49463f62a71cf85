/*
 * table.h - rows on standard output: docker's columns, a template, or JSON lines.
 *
 * Room: client.  images, ps, history, search, system df and the other lists are one const struct
 * cli_list each and one array of JSON objects; what --format, --quiet and --no-trunc mean is here.
 * Cells are foreign text: control bytes are escaped before they are laid out.
 */
#ifndef BH_CLI_TABLE_H
#define BH_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/out.h"
#include "tmpl/tmpl.h"

struct cli_field {
    const char *name;    /* key of the row: "CreatedSince"; NULL ends the list */
    const char *heading; /* "CREATED" */
};

struct cli_list {
    const struct cli_field *fields;
    const char *table; /* the template without "table ": "{{.ID}}\t{{.Names}}" (real tabs) */
    const char *quiet; /* template of --quiet, "{{.ID}}"; NULL: the list has none */
};

/* Rows are objects.  A key that begins with "_" is for computed fields only and is not shown by
 * {{json .}}: "_labels" (an object) answers {{.Label "k"}}.
 * format: NULL or "" or "table": the default table (or quiet's lines); "table TEMPLATE"; "json": one
 * object a line; anything else is a template, one line a row.  A field that is in no row and not
 * among `fields` is an error that names it, also when there are no rows. */
struct cli_list_opts {
    const char *format;
    bool quiet;
    bool no_heading;
    const char *table; /* replaces list->table if set (--digests, -s) */
};
/* The list's own table or quiet's lines: only the fields that those name need be in the rows. */
bool cli_list_is_plain(const struct cli_list_opts *opts);
int cli_list_print(struct cli_out *o, const struct cli_list *list, const struct cli_list_opts *opts, const json_t *rows,
                   struct bh_err *err);

/* inspect: documents (an array) as JSON, or one line each by a template.  A template that cannot be
 * parsed has the reason "format".  raw may be NULL. */
int cli_inspect_print(struct cli_out *o, const char *format, const json_t *documents, struct bh_err *err);

/* Lines of tab-terminated cells, laid out like Go's tabwriter with minimum width 10 and padding 3;
 * the last cell of a line is not padded.  Widths count code points. */
void cli_tabs_layout(const char *text, size_t n, size_t min_width, size_t padding, struct bh_buf *out);

/* Cells that several lists share.  All write at most `size` bytes with NUL. */
#define CLI_CELL_SIZE 64
void cli_cell_ago(char *dst, size_t size, int64_t then_ns, int64_t now_ns); /* "3 minutes ago" */
void cli_cell_time(char *dst, size_t size, int64_t ns);                     /* "2024-01-02 03:04:05 +0000 UTC" */
void cli_cell_size(char *dst, size_t size, uint64_t bytes);                 /* "1.23MB" */
void cli_cell_id(char *dst, size_t size, const char *id, bool no_trunc);    /* 12 hex without prefix */
/* Cut to `max` code points, the last one being an ellipsis, as docker cuts COMMAND and CREATED BY. */
char *cli_cell_cut(const char *s, size_t max); /* malloc'd */

#endif
