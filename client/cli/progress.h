/*
 * progress.h - what is under way: one line an item on a terminal, one line a change elsewhere.
 *
 * Room: client.  pull, push, load, save and build report here.  Cursor movements are written only to
 * a terminal whose TERM is not dumb; bars only if it is wider than 110 columns.  Ids and states may
 * come from outside and are escaped.
 */
#ifndef BH_CLI_PROGRESS_H
#define BH_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/out.h"

enum cli_progress_mode {
    CLI_PROGRESS_AUTO,  /* terminal if it is one, else plain */
    CLI_PROGRESS_PLAIN, /* a line when an item's state changes, no bars */
    CLI_PROGRESS_TTY,
    CLI_PROGRESS_QUIET, /* nothing */
    CLI_PROGRESS_JSON,  /* {"status":..,"id":..,"progressDetail":{"current":..,"total":..}} a line */
};

struct cli_progress;

/* "auto", "plain", "tty", "quiet", "json" (also "rawjson"); BH_E_INVALID. */
int cli_progress_mode_parse(const char *word, enum cli_progress_mode *out, struct bh_err *err);

/* to_stderr: standard error (the pull of `run`), else standard output (pull, push, load). */
struct cli_progress *cli_progress_new(struct cli_out *o, enum cli_progress_mode mode, bool to_stderr);
/* A line without an id: "latest: Pulling from library/x".  As docker has it, items begin anew behind it: the next image
 * may have layers of the same names. */
void cli_progress_line(struct cli_progress *p, const char *text);
/* State of an item: "Downloading", 12, 340.  total 0: not known; current and total 0: no numbers. */
void cli_progress_item(struct cli_progress *p, const char *id, const char *state, uint64_t current, uint64_t total);
/* For programs, in JSON mode alone: {"progressDetail":{},"aux":OBJECT}; object is JSON. */
void cli_progress_aux(struct cli_progress *p, const char *object);
/* Somebody else wrote lines to the terminal: items begin anew below them. */
void cli_progress_forget(struct cli_progress *p);
/* Leave the cursor below the last line and free; NULL is allowed. */
void cli_progress_free(struct cli_progress *p);

/* "[====>      ]  1.2MB/3.4MB"; the bar only when columns > 110.  For the tests. */
void cli_progress_bar(char *dst, size_t size, uint64_t current, uint64_t total, unsigned columns);

#endif
