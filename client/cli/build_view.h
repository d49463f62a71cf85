/*
 * build_view.h - what a build tells while it works: numbered steps with their output.
 *
 * Room: client.  plain: a line for each change, as BuildKit's plain progress; tty: the steps with their
 * times, the last lines of what runs, folded when it is done; rawjson: the events.  All on standard
 * error.  Names and output come from outside and are escaped.
 */
#ifndef BH_CLI_BUILD_VIEW_H
#define BH_CLI_BUILD_VIEW_H

#include "bulkhead/bulkhead.h"
#include "cli/opt.h"

enum build_view_mode { BUILD_VIEW_AUTO, BUILD_VIEW_PLAIN, BUILD_VIEW_TTY, BUILD_VIEW_QUIET, BUILD_VIEW_JSON };

int build_view_mode_parse(const char *word, enum build_view_mode *out, struct bh_err *err);

struct build_view;

struct build_view *build_view_new(struct cli_ctx *ctx, enum build_view_mode mode, const char *title);
void build_view_event(struct build_view *v, const bulkhead_value *event);
/* A step of the client's own (reading the Dockerfile, sending the context). */
void build_view_own(struct build_view *v, const char *name, const char *note, int64_t started_ns);
/* The last picture, then the output of the step that failed.  failed: the build has. */
void build_view_end(struct build_view *v, bool failed);
void build_view_free(struct build_view *v);

/* One problem of Check or Build: place, line, caret, suggestion. */
void build_view_problem(struct cli_ctx *ctx, const bulkhead_value *problem);

#endif
