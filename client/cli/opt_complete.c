/*
 * opt_complete.c - completion scripts of bash, zsh and fish from the command table.
 *
 * Room: client; the scripts run in the user's shell.  Words and values come from the table, names of
 * images and containers are asked of the engine when they are needed.  All table text is quoted.
 */
#include "cli/opt_int.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* 'text' for a POSIX shell and for fish. */
static void put_quoted(struct bh_buf *out, const char *s, bool fish) {
    bh_buf_addc(out, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            bh_buf_adds(out, fish ? "\\'" : "'\\''");
        else if (*s == '\\' && fish)
            bh_buf_adds(out, "\\\\");
        else
            bh_buf_addc(out, *s);
    }
    bh_buf_addc(out, '\'');
}

static bool listed(const struct cli_command *c) {
    return !(c->flags & CLI_CMD_HIDDEN) && (c->run || (c->flags & CLI_CMD_LATER));
}

/* 'run'|'container run' */
static void put_pattern(const struct cli_command *c, const char *suffix, struct bh_buf *out) {
    const char *name = NULL, *bar = "";
    size_t n;

    while (cli_command_names(c, &name, &n)) {
        bh_buf_addf(out, "%s'%.*s%s'", bar, (int)n, name, suffix);
        bar = "|";
    }
}

/* ---- bash and zsh: four functions with one case each ---- */

static void put_option_words(const struct cli_command *c, struct bh_buf *out) {
    const struct cli_opt **opts BH_SCOPE_FREE = cli_command_opts(c);

    for (size_t i = 0; opts[i]; i++) {
        if (opts[i]->flags & (CLI_OPT_HIDDEN | CLI_OPT_LATER))
            continue;
        bh_buf_addf(out, "--%s ", opts[i]->name);
        if (opts[i]->letter)
            bh_buf_addf(out, "-%c ", opts[i]->letter);
    }
    bh_buf_adds(out, "--help");
}

static void put_options_case(const struct cli_app *app, struct bh_buf *out) {
    bh_buf_addf(out, "__%s_options() {\n    case \"$1\" in\n", app->name);
    for (const struct cli_command *c = app->commands; c->path; c++) {
        if (!listed(c))
            continue;
        bh_buf_adds(out, "    ");
        put_pattern(c, "", out);
        bh_buf_adds(out, ") echo '");
        put_option_words(c, out);
        bh_buf_adds(out, "' ;;\n");
    }
    bh_buf_adds(out, "    *) echo '");
    put_option_words(cli_global_command(), out);
    bh_buf_adds(out, "' ;;\n    esac\n}\n");
}

/* What an option's value is: image, container, file, dir, words, or "value" for anything. */
static void put_value_rows(const struct cli_command *c, struct bh_buf *out) {
    const struct cli_opt **opts BH_SCOPE_FREE = cli_command_opts(c);

    for (size_t i = 0; opts[i]; i++) {
        const struct cli_opt *o = opts[i];
        char suffix[96];

        if (o->kind == CLI_BOOL || (o->flags & CLI_OPT_OPTIONAL))
            continue;
        bh_buf_adds(out, "    ");
        snprintf(suffix, sizeof suffix, " --%s", o->name);
        put_pattern(c, suffix, out);
        if (o->letter) {
            snprintf(suffix, sizeof suffix, " -%c", o->letter);
            bh_buf_addc(out, '|');
            put_pattern(c, suffix, out);
        }
        bh_buf_adds(out, ") echo ");
        put_quoted(out, o->complete ? o->complete : "value", false);
        bh_buf_adds(out, " ;;\n");
    }
}

static void put_values_case(const struct cli_app *app, struct bh_buf *out) {
    bh_buf_addf(out, "__%s_value() {\n    case \"$1 $2\" in\n", app->name);
    for (const struct cli_command *c = app->commands; c->path; c++)
        if (listed(c))
            put_value_rows(c, out);
    put_value_rows(cli_global_command(), out);
    bh_buf_adds(out, "    esac\n}\n");
}

static void put_operands_case(const struct cli_app *app, struct bh_buf *out) {
    bh_buf_addf(out, "__%s_operands() {\n    case \"$1\" in\n", app->name);
    for (const struct cli_command *c = app->commands; c->path; c++) {
        if (!listed(c) || !c->complete)
            continue;
        bh_buf_adds(out, "    ");
        put_pattern(c, "", out);
        bh_buf_adds(out, ") echo ");
        put_quoted(out, c->complete, false);
        bh_buf_adds(out, " ;;\n");
    }
    bh_buf_adds(out, "    esac\n}\n");
}

static void put_words_row(const struct cli_app *app, const char *prefix, struct bh_buf *out) {
    size_t n;
    struct cli_word *words BH_SCOPE_FREE = cli_words_below(app, prefix, &n);

    bh_buf_addf(out, "    '%s') echo '", prefix);
    for (size_t i = 0; i < n; i++)
        bh_buf_addf(out, "%s%s", i ? " " : "", words[i].word);
    bh_buf_adds(out, "' ;;\n");
    for (size_t i = 0; i < n; i++)
        if (!words[i].cmd) {
            char path[160];

            snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? " " : "", words[i].word);
            put_words_row(app, path, out);
        }
}

static void put_words_case(const struct cli_app *app, struct bh_buf *out) {
    bh_buf_addf(out, "__%s_words() {\n    case \"$1\" in\n", app->name);
    put_words_row(app, "", out);
    bh_buf_adds(out, "    esac\n}\n");
}

/* Candidates for a kind, one a line; % stands for the program's name. */
static const char posix_common[] =
    "__%_kind() {\n"
    "    case \"$1\" in\n"
    "    image) % images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null | sed 's/:<none>$//' | grep -v '^<none>' ;;\n"
    "    container) % ps -a --format '{{.Names}}' 2>/dev/null ;;\n"
    "    value|file|dir|'') ;;\n"
    "    *) echo \"$1\" | tr '|' '\\n' ;;\n"
    "    esac\n"
    "}\n"
    "# The words typed so far (without the program): sets path, state (command, operand) and, if the word\n"
    "# before the cursor wants a value, want.\n"
    "__%_walk() {\n"
    "    path='' want='' state=command\n"
    "    local word kind skip=''\n"
    "    for word in \"$@\"; do\n"
    "        if [ -n \"$skip\" ]; then skip='' want=''; continue; fi\n"
    "        want=''\n"
    "        case \"$word\" in\n"
    "        -*=*) ;;\n"
    "        -*) kind=$(__%_value \"$path\" \"$word\"); if [ -n \"$kind\" ]; then want=$kind skip=1; fi ;;\n"
    "        *) if [ \"$state\" = command ]; then\n"
    "               case \" $(__%_words \"$path\") \" in\n"
    "               *\" $word \"*) path=\"${path:+$path }$word\"; [ -n \"$(__%_words \"$path\")\" ] || state=operand "
    ";;\n"
    "               *) state=operand ;;\n"
    "               esac\n"
    "           fi ;;\n"
    "        esac\n"
    "    done\n"
    "}\n";

static const char bash_driver[] =
    "_%() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} path want state kind words=''\n"
    "    __%_walk \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
    "    COMPREPLY=()\n"
    "    if [ -n \"$want\" ]; then kind=$want\n"
    "    elif [ \"${cur#-}\" != \"$cur\" ]; then words=$(__%_options \"$path\"); kind=value\n"
    "    elif [ \"$state\" = command ]; then words=$(__%_words \"$path\"); kind=value\n"
    "    else kind=$(__%_operands \"$path\"); fi\n"
    "    case \"$kind\" in\n"
    "    file) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2>/dev/null; return ;;\n"
    "    dir) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); compopt -o filenames 2>/dev/null; return ;;\n"
    "    value) ;;\n"
    "    *) words=$(__%_kind \"$kind\") ;;\n"
    "    esac\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
    "    type __ltrim_colon_completions >/dev/null 2>&1 && __ltrim_colon_completions \"$cur\"\n"
    "}\n"
    "complete -F _% %\n";

static const char zsh_driver[] =
    "_%() {\n"
    "    local cur=${words[CURRENT]} path_ want state kind\n"
    "    local -a found\n"
    "    __%_walk \"${(@)words[2,CURRENT-1]}\"\n"
    "    if [[ -n $want ]]; then kind=$want\n"
    "    elif [[ $cur == -* ]]; then found=(${=\"$(__%_options \"$path_\")\"}); kind=value\n"
    "    elif [[ $state == command ]]; then found=(${=\"$(__%_words \"$path_\")\"}); kind=value\n"
    "    else kind=$(__%_operands \"$path_\"); fi\n"
    "    case $kind in\n"
    "    file) _files; return ;;\n"
    "    dir) _files -/; return ;;\n"
    "    value) ;;\n"
    "    *) found=(${(f)\"$(__%_kind \"$kind\")\"}) ;;\n"
    "    esac\n"
    "    compadd -a found\n"
    "}\n"
    "if [ \"$funcstack[1]\" = \"_%\" ]; then _% \"$@\"; else compdef _% %; fi\n";

/* The text with every % replaced.  zsh ties `path` to PATH: there the variable has another name. */
static void put_script(const struct cli_app *app, const char *text, bool zsh, struct bh_buf *out) {
    for (; *text; text++) {
        if (*text == '%') {
            bh_buf_adds(out, app->name);
        } else if (zsh && strncmp(text, "path", 4) == 0 && text[4] != '_') {
            bh_buf_adds(out, "path_");
            text += 3;
        } else {
            bh_buf_addc(out, *text);
        }
    }
}

static void put_posix(const struct cli_app *app, bool zsh, struct bh_buf *out) {
    if (zsh)
        bh_buf_addf(out, "#compdef %s\n", app->name);
    bh_buf_addf(out, "# Completion of %s %s; made from its command table.\n", app->name, app->version);
    put_words_case(app, out);
    put_options_case(app, out);
    put_values_case(app, out);
    put_operands_case(app, out);
    put_script(app, posix_common, zsh, out);
    put_script(app, zsh ? zsh_driver : bash_driver, zsh, out);
}

/* ---- fish ---- */

static const char fish_common[] =
    "function __%_at\n"
    "    set -l words (commandline -opc)[2..-1]\n"
    "    set -l plain\n"
    "    for w in $words\n"
    "        string match -q -- '-*' $w; or set -a plain $w\n"
    "    end\n"
    "    for p in $argv\n"
    "        set -l n (count (string split ' ' -- $p))\n"
    "        test (count $plain) -ge $n; and test \"$plain[1..$n]\" = \"$p\"; and return 0\n"
    "    end\n"
    "    return 1\n"
    "end\n"
    "function __%_behind\n"
    "    set -l words (commandline -opc)[2..-1]\n"
    "    set -l plain\n"
    "    for w in $words\n"
    "        string match -q -- '-*' $w; or set -a plain $w\n"
    "    end\n"
    "    test \"$plain\" = \"$argv\"\n"
    "end\n"
    "function __%_image\n"
    "    % images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null | string replace -r ':<none>$' '' | string match -v "
    "'<none>*'\n"
    "end\n"
    "function __%_container\n"
    "    % ps -a --format '{{.Names}}' 2>/dev/null\n"
    "end\n"
    "complete -c % -f\n";

static void put_fish_source(const struct cli_app *app, const char *kind, struct bh_buf *out) {
    if (!kind)
        return;
    if (strcmp(kind, "file") == 0 || strcmp(kind, "dir") == 0) {
        bh_buf_adds(out, " -F");
    } else if (strcmp(kind, "image") == 0 || strcmp(kind, "container") == 0) {
        bh_buf_addf(out, " -a '(__%s_%s)'", app->name, kind);
    } else {
        bh_buf_adds(out, " -a '");
        for (const char *p = kind; *p; p++)
            bh_buf_addc(out, *p == '|' ? ' ' : *p);
        bh_buf_adds(out, "'");
    }
}

static void put_fish_at(const struct cli_app *app, const struct cli_command *c, struct bh_buf *out) {
    const char *name = NULL;
    size_t n;

    if (*c->path == '\0')
        return;
    bh_buf_addf(out, " -n '__%s_at", app->name);
    while (cli_command_names(c, &name, &n))
        bh_buf_addf(out, " \"%.*s\"", (int)n, name);
    bh_buf_adds(out, "'");
}

static void put_fish_command(const struct cli_app *app, const struct cli_command *c, struct bh_buf *out) {
    const struct cli_opt **opts BH_SCOPE_FREE = cli_command_opts(c);

    for (size_t i = 0; opts[i]; i++) {
        const struct cli_opt *o = opts[i];

        if (o->flags & (CLI_OPT_HIDDEN | CLI_OPT_LATER))
            continue;
        bh_buf_addf(out, "complete -c %s", app->name);
        put_fish_at(app, c, out);
        bh_buf_addf(out, " -l %s", o->name);
        if (o->letter)
            bh_buf_addf(out, " -s %c", o->letter);
        if (o->kind != CLI_BOOL) /* -x: a value that is no file name */
            bh_buf_adds(out, o->complete && strcmp(o->complete, "file") != 0 && strcmp(o->complete, "dir") != 0
                                 ? " -x"
                                 : " -r");
        put_fish_source(app, o->complete, out);
        bh_buf_adds(out, " -d ");
        put_quoted(out, o->help ? o->help : "", true);
        bh_buf_addc(out, '\n');
    }
    if (c->complete) {
        bh_buf_addf(out, "complete -c %s", app->name);
        put_fish_at(app, c, out);
        put_fish_source(app, c->complete, out);
        bh_buf_addc(out, '\n');
    }
}

static void put_fish_words(const struct cli_app *app, const char *prefix, struct bh_buf *out) {
    size_t n;
    struct cli_word *words BH_SCOPE_FREE = cli_words_below(app, prefix, &n);

    for (size_t i = 0; i < n; i++) {
        char path[160], summary[256];

        snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? " " : "", words[i].word);
        cli_group_summary(app, path, summary, sizeof summary);
        bh_buf_addf(out, "complete -c %s -n '__%s_behind %s' -a '%s' -d ", app->name, app->name, prefix, words[i].word);
        put_quoted(out, words[i].cmd ? words[i].cmd->summary ? words[i].cmd->summary : "" : summary, true);
        bh_buf_addc(out, '\n');
        if (!words[i].cmd)
            put_fish_words(app, path, out);
    }
}

static void put_fish(const struct cli_app *app, struct bh_buf *out) {
    bh_buf_addf(out, "# Completion of %s %s; made from its command table.\n", app->name, app->version);
    put_script(app, fish_common, false, out);
    put_fish_words(app, "", out);
    put_fish_command(app, cli_global_command(), out);
    for (const struct cli_command *c = app->commands; c->path; c++)
        if (listed(c))
            put_fish_command(app, c, out);
}

int cli_doc_completion(const struct cli_app *app, const char *shell, struct bh_buf *out, struct bh_err *err) {
    if (strcmp(shell, "bash") == 0 || strcmp(shell, "zsh") == 0)
        put_posix(app, shell[0] == 'z', out);
    else if (strcmp(shell, "fish") == 0)
        put_fish(app, out);
    else
        return bh_err_set(err, BH_E_INVALID, "no completions for the shell '%.40s': bash, zsh or fish is expected",
                          shell);
    return 0;
}

int cli_run_completion(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;

    if (cli_doc_completion(ctx->app, args->operands[0], &b, &err) < 0)
        return cli_fail(ctx->out, &err);
    cli_put_raw(ctx->out, bh_buf_str(&b), b.len);
    return 0;
}
