/*
 * opt_doc.c - documents from the command table: sources of man pages (scdoc) and a JSON dump.
 *
 * Room: client, at build time: the hidden command __doc.  The page of a command says what its row
 * says; pages that need more words are written by hand in docs/man and are not made here.
 */
#include "cli/opt_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "tmpl/tmpl.h"

/* scdoc gives a meaning to these; a leading dot would reach roff. */
static void put_scd(struct bh_buf *out, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (strchr("*_\\#[]<|-+`~", s[i]))
            bh_buf_addc(out, '\\');
        bh_buf_addc(out, s[i]);
    }
}

static void put_scds(struct bh_buf *out, const char *s) {
    put_scd(out, s, strlen(s));
}

static void page_name(const struct cli_app *app, const char *path, size_t n, char *dst, size_t size) {
    snprintf(dst, size, "%s%s%.*s", app->name, n ? "-" : "", (int)n, path);
    for (char *p = dst; *p; p++)
        if (*p == ' ')
            *p = '-';
}

static void put_head(const struct cli_app *app, const char *path, const char *summary, struct bh_buf *out) {
    char name[160];

    page_name(app, path, strlen(path), name, sizeof name);
    bh_buf_addf(out, "%s(1) \"%s %s\"\n\n# NAME\n\n", name, app->name, app->version);
    bh_buf_addf(out, "%s - ", name);
    put_scds(out, summary ? summary : "");
    bh_buf_adds(out, "\n\n");
}

static void put_option(const struct cli_opt *o, struct bh_buf *out) {
    const char *var = cli_opt_metavar(o);

    if (o->letter)
        bh_buf_addf(out, "*\\-%c*, ", o->letter);
    bh_buf_adds(out, "*\\-\\-");
    put_scds(out, o->name);
    bh_buf_adds(out, "*");
    if (*var) {
        bh_buf_adds(out, " _");
        put_scds(out, var);
        bh_buf_adds(out, "_");
    }
    bh_buf_adds(out, "\n\t");
    put_scds(out, o->help ? o->help : "");
    bh_buf_addc(out, '.');
    if (o->def && *o->def && !bh_str_eq(o->def, "false")) {
        bh_buf_adds(out, " Default: ");
        put_scds(out, o->def);
        bh_buf_addc(out, '.');
    }
    if (o->complete && strchr(o->complete, '|')) {
        bh_buf_adds(out, " One of: ");
        for (const char *p = o->complete; *p; p += strcspn(p, "|") + (p[strcspn(p, "|")] == '|')) {
            put_scd(out, p, strcspn(p, "|"));
            bh_buf_adds(out, p[strcspn(p, "|")] == '|' ? ", " : ".");
        }
    }
    if (o->flags & CLI_OPT_LATER)
        bh_buf_adds(out, " Not available in this version: it is refused with exit status 125.");
    if (o->flags & CLI_OPT_IGNORED)
        bh_buf_adds(out, " Accepted, has no effect.");
    bh_buf_adds(out, "\n\n");
}

static void put_options(const struct cli_command *cmd, struct bh_buf *out) {
    const struct cli_opt **opts BH_SCOPE_FREE = cli_command_opts(cmd);
    bool any = false;

    for (size_t i = 0; opts[i]; i++) {
        if (opts[i]->flags & CLI_OPT_HIDDEN)
            continue;
        if (!any)
            bh_buf_adds(out, "# OPTIONS\n\n");
        any = true;
        put_option(opts[i], out);
    }
}

void cli_doc_man(const struct cli_app *app, const struct cli_command *cmd, struct bh_buf *out) {
    const char *name = NULL;
    size_t n;

    put_head(app, cmd->path, cmd->summary, out);
    bh_buf_adds(out, "# SYNOPSIS\n\n");
    while (cli_command_names(cmd, &name, &n)) {
        bh_buf_addf(out, "*%s ", app->name);
        put_scd(out, name, n);
        bh_buf_addf(out, "* %s", (cmd->opts && cmd->opts->name) || cmd->more ? "[_OPTIONS_]" : "");
        if (cmd->operands) {
            bh_buf_addc(out, ' ');
            put_scds(out, cmd->operands);
        }
        bh_buf_adds(out, "\n\n");
    }
    if (cmd->text) {
        bh_buf_adds(out, "# DESCRIPTION\n\n");
        put_scds(out, cmd->text);
        bh_buf_adds(out, "\n\n");
    }
    if (cmd->flags & CLI_CMD_LATER)
        bh_buf_adds(out, "# NOTE\n\nThis command is not available in this version: it exits with status 125.\n\n");
    put_options(cmd, out);
    bh_buf_addf(out, "# SEE ALSO\n\n*%s*(1)\n", app->name);
}

static bool documented(const struct cli_command *c) {
    return !(c->flags & CLI_CMD_HIDDEN) && (c->run || (c->flags & CLI_CMD_LATER));
}

void cli_doc_man_index(const struct cli_app *app, struct bh_buf *out) {
    put_head(app, "", app->summary, out);
    bh_buf_addf(out, "# SYNOPSIS\n\n*%s* [_OPTIONS_] _COMMAND_ [_ARGUMENTS_]\n\n", app->name);
    put_options(cli_global_command(), out);
    bh_buf_adds(out, "# COMMANDS\n\n");
    for (const struct cli_command *c = app->commands; c->path; c++) {
        char name[160];

        if (!documented(c))
            continue;
        page_name(app, c->path, strlen(c->path), name, sizeof name);
        bh_buf_addf(out, "*%s*(1)\n\t", name);
        put_scds(out, c->summary ? c->summary : "");
        bh_buf_adds(out, ".\n\n");
    }
    bh_buf_adds(out, "# EXIT STATUS\n\n*0*\n\tsuccess\n\n*1*\n\tan error of the engine or the client, an unknown "
                     "command, a wrong number of arguments\n\n*64*\n\ta template that cannot be parsed\n\n*125*\n\ta "
                     "wrong flag; run and create: failed before the command started\n\n*126*\n\trun, exec: the command "
                     "cannot be executed\n\n*127*\n\trun, exec: the command was not found\n\n*128+n*\n\trun, exec: "
                     "ended by signal n\n\n");
    bh_buf_adds(out, "# ENVIRONMENT\n\n*BULKHEAD\\_HOST*\n\tEngine to talk to when \\-\\-host is not given. Default: ");
    put_scds(out, app->default_host);
    bh_buf_adds(out, ".\n\n*BULKHEAD\\_CONFIG*\n\tFolder of the client's configuration.\n\n*NO\\_COLOR*\n\tNo colours "
                     "on terminals.\n");
}

/* ---- JSON ---- */

static json_t *json_text(const char *s) {
    return s ? json_string(s) : json_null();
}

static json_t *json_opts(const struct cli_command *cmd) {
    static const char *const kinds[] = {"bool", "string", "list", "int", "bytes", "duration", "float"};
    const struct cli_opt **opts BH_SCOPE_FREE = cli_command_opts(cmd);
    json_t *all = json_array();

    for (size_t i = 0; opts[i]; i++) {
        const struct cli_opt *o = opts[i];
        char letter[2] = {o->letter, '\0'};

        json_array_append_new(all,
                              json_pack("{s:s,s:o,s:s,s:o,s:o,s:b,s:b,s:b}", "name", o->name, "letter",
                                        o->letter ? json_string(letter) : json_null(), "kind", kinds[o->kind], "help",
                                        json_text(o->help), "default", json_text(o->def), "ignored",
                                        (o->flags & CLI_OPT_IGNORED) != 0, "later", (o->flags & CLI_OPT_LATER) != 0,
                                        "hidden", (o->flags & CLI_OPT_HIDDEN) != 0));
    }
    return all;
}

static json_t *json_command(const struct cli_command *c) {
    json_t *aliases = json_array();
    const char *name = NULL;
    size_t n;

    while (cli_command_names(c, &name, &n))
        if (name != c->path)
            json_array_append_new(aliases, json_stringn(name, n));
    return json_pack("{s:s,s:o,s:o,s:o,s:i,s:i,s:b,s:b,s:b,s:o}", "path", c->path, "aliases", aliases, "operands",
                     json_text(c->operands), "summary", json_text(c->summary), "min", c->min_operands, "max",
                     c->max_operands, "stop", (c->flags & CLI_CMD_STOP) != 0, "later", (c->flags & CLI_CMD_LATER) != 0,
                     "hidden", (c->flags & CLI_CMD_HIDDEN) != 0, "options", json_opts(c));
}

void cli_doc_json(const struct cli_app *app, struct bh_buf *out) {
    json_t *commands = json_array(), *all;

    for (const struct cli_command *c = app->commands; c->path; c++)
        json_array_append_new(commands, json_command(c));
    all = json_pack("{s:s,s:s,s:o,s:o}", "name", app->name, "version", app->version, "options",
                    json_opts(cli_global_command()), "commands", commands);
    bh_tmpl_print_json_indent(out, all, "    ");
    bh_buf_addc(out, '\n');
    json_decref(all);
}

/* ---- commands ---- */

static int write_page(int dir, const char *name, struct bh_buf *b, struct bh_err *err) {
    char file[200];

    snprintf(file, sizeof file, "%s.1.scd", name);
    return bh_file_replace(dir, file, bh_buf_str(b), b->len, 0644, false, err);
}

static int write_pages(const struct cli_app *app, int dir, struct bh_err *err) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    cli_doc_man_index(app, &b);
    if (write_page(dir, app->name, &b, err) < 0)
        return err->code;
    for (const struct cli_command *c = app->commands; c->path; c++) {
        char name[160];

        if (!documented(c))
            continue;
        bh_buf_reset(&b);
        cli_doc_man(app, c, &b);
        page_name(app, c->path, strlen(c->path), name, sizeof name);
        if (write_page(dir, name, &b, err) < 0)
            return err->code;
    }
    return 0;
}

int cli_run_doc(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    int dir BH_SCOPE_CLOSE = -1;

    if (strcmp(args->operands[0], "json") == 0) {
        cli_doc_json(ctx->app, &b);
        cli_put_raw(ctx->out, bh_buf_str(&b), b.len);
        return 0;
    }
    if (strcmp(args->operands[0], "man") != 0 || args->operand_count != 2)
        return cli_failf(ctx->out, 1, "__doc: 'man DIR' or 'json' is expected");
    dir = open(args->operands[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        bh_err_errno(&err, errno, "open folder %s", args->operands[1]);
    else
        write_pages(ctx->app, dir, &err);
    return err.code < 0 ? cli_fail(ctx->out, &err) : 0;
}
