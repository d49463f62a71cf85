/*
 * opt_int.h - what the files opt*.c share.
 *
 * Room: client; not for the commands.
 */
#ifndef BH_CLI_OPT_INT_H
#define BH_CLI_OPT_INT_H

#include "cli/opt.h"

/* The options before the verb, as a command without a path. */
const struct cli_command *cli_global_command(void);
/* Walks the path and the aliases of a command: *at starts NULL, then points to *out_n bytes (not
 * NUL-terminated).  false behind the last. */
bool cli_command_names(const struct cli_command *cmd, const char **at, size_t *out_n);

/* One word that can follow a prefix, with the command that it begins or is. */
struct cli_word {
    char word[64];
    const struct cli_command *cmd; /* NULL: a group */
};
/* The words behind `prefix` ("" for the first), sorted, each once, hidden commands left out; free().
 * A command that has several names in the same place shows only the first. */
struct cli_word *cli_words_below(const struct cli_app *app, const char *prefix, size_t *out_n);
/* Summary of a group: that of its row, else "Manage ...". */
void cli_group_summary(const struct cli_app *app, const char *path, char *dst, size_t size);

#endif
