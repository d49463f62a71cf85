/*
 * opt_help.c - what --help prints: docker's layout, from the table.
 *
 * Room: client.  Options are sorted by name, descriptions start in one column and are wrapped to the
 * terminal; in a pipe they are not.
 */
#include "cli/opt_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* ---- sorted views of the table ---- */

static int compare_opts(const void *a, const void *b) {
    return strcmp((*(const struct cli_opt *const *)a)->name, (*(const struct cli_opt *const *)b)->name);
}

const struct cli_opt **cli_command_opts(const struct cli_command *cmd) {
    const struct cli_opt *tables[] = {cmd->opts, cmd->more};
    const struct cli_opt **all;
    size_t n = 0;

    for (size_t t = 0; t < BH_ARRAY_LEN(tables); t++)
        for (const struct cli_opt *o = tables[t]; o && o->name; o++)
            n++;
    all = bh_xcalloc(n + 1, sizeof *all);
    n = 0;
    for (size_t t = 0; t < BH_ARRAY_LEN(tables); t++)
        for (const struct cli_opt *o = tables[t]; o && o->name; o++)
            all[n++] = o;
    qsort(all, n, sizeof *all, compare_opts);
    return all;
}

static int compare_words(const void *a, const void *b) {
    return strcmp(((const struct cli_word *)a)->word, ((const struct cli_word *)b)->word);
}

static bool word_known(const struct cli_word *words, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i].word, word) == 0)
            return true;
    return false;
}

/* Splits a name that stands below prefix: its next word, and whether it ends there. */
static bool next_word(const char *name, size_t n, const char *prefix, char word[64], bool *out_last) {
    size_t len = strlen(prefix), word_len;

    if (len > 0) {
        if (n <= len || memcmp(name, prefix, len) != 0 || name[len] != ' ')
            return false;
        name += len + 1;
        n -= len + 1;
    }
    word_len = strcspn(name, " ,");
    if (word_len > n)
        word_len = n;
    *out_last = word_len == n;
    return bh_str_copy_n(word, 64, name, word_len);
}

struct cli_word *cli_words_below(const struct cli_app *app, const char *prefix, size_t *out_n) {
    struct cli_word *words = NULL;
    size_t count = 0;

    for (const struct cli_command *c = app->commands; c->path; c++) {
        const char *name = NULL;
        bool shown = false, last;
        struct cli_word w = {0};
        size_t n;

        while (!(c->flags & CLI_CMD_HIDDEN) && cli_command_names(c, &name, &n)) {
            if (!next_word(name, n, prefix, w.word, &last) || word_known(words, count, w.word) || (last && shown))
                continue;
            w.cmd = last && (c->run || (c->flags & CLI_CMD_LATER)) ? c : NULL;
            shown = shown || last;
            words = bh_xrealloc(words, (count + 1) * sizeof *words);
            words[count++] = w;
        }
    }
    if (count > 0)
        qsort(words, count, sizeof *words, compare_words);
    *out_n = count;
    return words;
}

void cli_group_summary(const struct cli_app *app, const char *path, char *dst, size_t size) {
    for (const struct cli_command *c = app->commands; c->path; c++)
        if (!c->run && strcmp(c->path, path) == 0 && c->summary) {
            bh_str_copy(dst, size, c->summary);
            return;
        }
    snprintf(dst, size, "Manage %s%s", path, bh_str_ends(path, "s") || bh_str_eq(path, "system") ? "" : "s");
}

/* ---- text ---- */

const char *cli_opt_metavar(const struct cli_opt *opt) {
    static const char *const by_kind[] = {"", "string", "list", "int", "bytes", "duration", "float"};

    return opt->metavar ? opt->metavar : by_kind[opt->kind];
}

/* Words of s from column `at`, the following lines indented to it; width 0 does not wrap. */
static void wrap(struct bh_buf *out, const char *s, size_t at, unsigned width) {
    size_t column = at;

    while (*s) {
        size_t n = strcspn(s, " ");

        if (width > at + 20 && column > at && column + 1 + n > width) {
            bh_buf_addf(out, "\n%*s", (int)at, "");
            column = at;
        } else if (column > at) {
            bh_buf_addc(out, ' ');
            column++;
        }
        bh_buf_add(out, s, n);
        column += n;
        s += n + (s[n] == ' ');
    }
    bh_buf_addc(out, '\n');
}

/* "-a, --attach list" */
static size_t opt_title(const struct cli_opt *o, char dst[128]) {
    const char *var = cli_opt_metavar(o), *blank = *var ? " " : "";
    int n;

    if (o->letter)
        n = snprintf(dst, 128, "-%c, --%s%s%s", o->letter, o->name, blank, var);
    else
        n = snprintf(dst, 128, "    --%s%s%s", o->name, blank, var);
    return n < 128 ? (size_t)n : 127;
}

static void opt_text(const struct cli_opt *o, char dst[1024]) {
    bool text = o->kind == CLI_STRING || o->kind == CLI_LIST, shown = o->def && *o->def && !bh_str_eq(o->def, "false");
    const char *quote = text ? "\"" : "";

    snprintf(dst, 1024, "%s%s%s%s%s%s%s", o->help ? o->help : "", shown ? " (default " : "", shown ? quote : "",
             shown ? o->def : "", shown ? quote : "", shown ? ")" : "",
             (o->flags & CLI_OPT_LATER)     ? " (not available yet)"
             : (o->flags & CLI_OPT_IGNORED) ? " (accepted, has no effect)"
                                            : "");
}

static void put_opts(const struct cli_command *cmd, const char *heading, unsigned width, struct bh_buf *out) {
    const struct cli_opt **opts BH_SCOPE_FREE = cli_command_opts(cmd);
    char title[128], text[1024];
    size_t longest = 0;

    for (size_t i = 0; opts[i]; i++) {
        size_t n = opt_title(opts[i], title);

        if (!(opts[i]->flags & CLI_OPT_HIDDEN) && n > longest)
            longest = n;
    }
    if (longest == 0)
        return;
    bh_buf_addf(out, "\n%s:\n", heading);
    for (size_t i = 0; opts[i]; i++) {
        if (opts[i]->flags & CLI_OPT_HIDDEN)
            continue;
        opt_title(opts[i], title);
        opt_text(opts[i], text);
        bh_buf_addf(out, "  %-*s   ", (int)longest, title);
        wrap(out, text, longest + 5, width);
    }
}

static void put_aliases(const struct cli_app *app, const struct cli_command *cmd, struct bh_buf *out) {
    const char *name = NULL, *comma = "";
    size_t n;

    if (!cmd->aliases)
        return;
    bh_buf_adds(out, "\nAliases:\n  ");
    while (cli_command_names(cmd, &name, &n)) {
        bh_buf_addf(out, "%s%s %.*s", comma, app->name, (int)n, name);
        comma = ", ";
    }
    bh_buf_addc(out, '\n');
}

static bool has_opts(const struct cli_command *cmd) {
    return (cmd->opts && cmd->opts->name) || (cmd->more && cmd->more->name);
}

void cli_help_command(const struct cli_app *app, const struct cli_command *cmd, const char *called, unsigned width,
                      struct bh_buf *out) {
    bh_buf_addf(out, "Usage:  %s %s%s%s%s\n", app->name, called && *called ? called : cmd->path,
                has_opts(cmd) ? " [OPTIONS]" : "", cmd->operands ? " " : "", cmd->operands ? cmd->operands : "");
    if (cmd->summary) {
        bh_buf_addc(out, '\n');
        wrap(out, cmd->summary, 0, width);
    }
    if (cmd->flags & CLI_CMD_LATER)
        bh_buf_adds(out, "\nThis command is not available in this version.\n");
    put_aliases(app, cmd, out);
    put_opts(cmd, "Options", width, out);
}

static void put_words(const struct cli_app *app, const char *prefix, bool groups, const char *heading, unsigned width,
                      struct bh_buf *out) {
    size_t n, longest = 11;
    struct cli_word *words BH_SCOPE_FREE = cli_words_below(app, prefix, &n);
    bool any = false;

    for (size_t i = 0; i < n; i++)
        if (strlen(words[i].word) > longest)
            longest = strlen(words[i].word);
    for (size_t i = 0; i < n; i++) {
        char summary[256], path[160];

        if ((words[i].cmd == NULL) != groups)
            continue;
        if (!any)
            bh_buf_addf(out, "\n%s:\n", heading);
        any = true;
        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? " " : "", words[i].word);
        cli_group_summary(app, path, summary, sizeof summary);
        bh_buf_addf(out, "  %-*s ", (int)longest, words[i].word);
        wrap(out, words[i].cmd ? words[i].cmd->summary ? words[i].cmd->summary : "" : summary, longest + 3, width);
    }
}

void cli_help_group(const struct cli_app *app, const char *prefix, unsigned width, struct bh_buf *out) {
    const char *blank = *prefix ? " " : "";
    char summary[256];

    if (*prefix)
        cli_group_summary(app, prefix, summary, sizeof summary);
    else
        bh_str_copy(summary, sizeof summary, app->summary ? app->summary : "");
    bh_buf_addf(out, "Usage:  %s%s%s%s COMMAND\n\n", app->name, *prefix ? "" : " [OPTIONS]", blank, prefix);
    wrap(out, summary, 0, width);
    if (*prefix == '\0')
        put_words(app, prefix, true, "Management Commands", width, out);
    put_words(app, prefix, false, "Commands", width, out);
    if (*prefix)
        put_words(app, prefix, true, "Groups", width, out);
    else
        put_opts(cli_global_command(), "Global Options", width, out);
    bh_buf_addf(out, "\nRun '%s%s%s COMMAND --help' for more information on a command.\n", app->name, blank, prefix);
}
