/*
 * opt_verb.c - which command is meant; the options before it; the call.
 *
 * Room: client.  Paths and aliases of the table are matched word by word, the longest wins.  Nothing
 * is guessed: a wrong word is answered with the nearest one and exit 1.
 */
#include "cli/opt_int.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#include "base/mem.h"
#include "base/str.h"

static const struct cli_opt global_opts[] = {
    {.name = "config", .kind = CLI_STRING, .help = "Folder of the client's configuration", .complete = "dir"},
    {.name = "context",
     .letter = 'c',
     .kind = CLI_STRING,
     .flags = CLI_OPT_LATER,
     .help = "Name of the context to use"},
    {.name = "debug", .letter = 'D', .kind = CLI_BOOL, .help = "Show what the client does"},
    {.name = "host", .letter = 'H', .kind = CLI_STRING, .help = "Engine to talk to, such as ipc:///run/bulkhead"},
    {.name = "log-level",
     .letter = 'l',
     .kind = CLI_STRING,
     .def = "info",
     .help = "Least level that is logged",
     .complete = "debug|info|warn|error|fatal"},
    {.name = "tls", .kind = CLI_BOOL, .flags = CLI_OPT_LATER | CLI_OPT_HIDDEN, .help = "Use TLS"},
    {.name = "tlscacert", .kind = CLI_STRING, .flags = CLI_OPT_LATER | CLI_OPT_HIDDEN, .help = "Trust this CA"},
    {.name = "tlscert", .kind = CLI_STRING, .flags = CLI_OPT_LATER | CLI_OPT_HIDDEN, .help = "TLS certificate"},
    {.name = "tlskey", .kind = CLI_STRING, .flags = CLI_OPT_LATER | CLI_OPT_HIDDEN, .help = "TLS key"},
    {.name = "tlsverify", .kind = CLI_BOOL, .flags = CLI_OPT_LATER | CLI_OPT_HIDDEN, .help = "Use TLS and verify"},
    {.name = "version", .letter = 'v', .kind = CLI_BOOL, .help = "Print the version and quit"},
    {.name = NULL},
};

static const struct cli_command global_command = {
    .path = "", .flags = CLI_CMD_STOP, .max_operands = -1, .opts = global_opts};

const struct cli_command *cli_global_command(void) {
    return &global_command;
}

/* ---- names ---- */

bool cli_command_names(const struct cli_command *cmd, const char **at, size_t *out_n) {
    if (*at == NULL) {
        *at = cmd->path;
        *out_n = strlen(cmd->path);
        return true;
    }
    if (*at == cmd->path)
        *at = cmd->aliases;
    else
        *at += *out_n + (strncmp(*at + *out_n, ", ", 2) == 0 ? 2 : 0);
    if (*at == NULL || **at == '\0')
        return false;
    *out_n = strcspn(*at, ",");
    return true;
}

/* How many words of argv the name has, 0 if they differ.  Words of argv that look like options end it. */
static int match(const char *name, size_t n, int argc, char *const *argv) {
    int words = 0;

    for (const char *p = name, *end = name + n; p < end; words++) {
        size_t len = strcspn(p, " ,");

        if (p + len > end)
            len = (size_t)(end - p);
        if (words >= argc || strlen(argv[words]) != len || memcmp(argv[words], p, len) != 0)
            return 0;
        p += len + 1;
    }
    return words;
}

static const struct cli_command *longest(const struct cli_app *app, int argc, char *const *argv, int *out_words) {
    const struct cli_command *best = NULL;

    *out_words = 0;
    for (const struct cli_command *c = app->commands; c->path; c++) {
        const char *name = NULL;
        size_t n;

        while (cli_command_names(c, &name, &n)) {
            int words = match(name, n, argc, argv);

            if (words > *out_words) {
                best = c;
                *out_words = words;
            }
        }
    }
    return best;
}

bool cli_group_exists(const struct cli_app *app, const char *prefix) {
    size_t len = strlen(prefix);

    for (const struct cli_command *c = app->commands; c->path; c++) {
        const char *name = NULL;
        size_t n;

        while (cli_command_names(c, &name, &n))
            if (len == 0 || (n > len && memcmp(name, prefix, len) == 0 && name[len] == ' '))
                return true;
    }
    return false;
}

/* ---- did you mean ---- */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

size_t cli_edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), two[65], one[65], now[65];

    if (n > 64 || m > 64)
        return 99;
    for (size_t j = 0; j <= m; j++)
        one[j] = j;
    memset(two, 0, sizeof two);
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t v = one[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));

            v = one[j] + 1 < v ? one[j] + 1 : v;
            v = now[j - 1] + 1 < v ? now[j - 1] + 1 : v;
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                two[j - 2] + 1 < v)
                v = two[j - 2] + 1;
            now[j] = v;
        }
        memcpy(two, one, sizeof two);
        memcpy(one, now, sizeof one);
    }
    return one[m];
}

static bool suggest(const struct cli_app *app, const char *prefix, const char *typed, char out[64]) {
    size_t n, least = 6;
    struct cli_word *words BH_SCOPE_FREE = cli_words_below(app, prefix, &n);

    for (size_t i = 0; i < n; i++) {
        size_t d = cli_edit_distance(typed, words[i].word);

        if (d >= strlen(words[i].word))
            continue;
        d = 2 * d + (words[i].cmd == NULL); /* a command before a group that is as near */
        if (d < least) {
            least = d;
            memcpy(out, words[i].word, sizeof words[i].word);
        }
    }
    return least < 6;
}

static int unknown(const struct cli_app *app, const char *prefix, const char *typed, struct bh_err *err) {
    const char *blank = *prefix ? " " : "";
    char near[64];

    bh_err_set(err, BH_E_NOT_FOUND, "unknown command: %s%s%s %.200s", app->name, blank, prefix, typed);
    if (suggest(app, prefix, typed, near))
        bh_err_hint(err, "did you mean '%s%s%s %s'? see '%s%s%s --help'", app->name, blank, prefix, near, app->name,
                    blank, prefix);
    else
        bh_err_hint(err, "see '%s%s%s --help'", app->name, blank, prefix);
    return bh_err_reason(err, "unknown-command");
}

static int unknown_flag(const struct cli_app *app, const char *prefix, const char *typed, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "unknown flag: %.200s", typed);
    bh_err_hint(err, "see '%s%s%s --help'", app->name, *prefix ? " " : "", prefix);
    return bh_err_reason(err, "usage");
}

/* The longest run of words that is a group. */
static int group_words(const struct cli_app *app, int argc, char *const *argv, char prefix[128]) {
    char here[128] = "";
    int words = 0;

    prefix[0] = '\0';
    for (int i = 0; i < argc && i < 4; i++) {
        size_t used = strlen(here);

        if (used + strlen(argv[i]) + 2 > sizeof here)
            break;
        snprintf(here + used, sizeof here - used, "%s%s", used ? " " : "", argv[i]);
        if (!cli_group_exists(app, here))
            break;
        words = i + 1;
        memcpy(prefix, here, sizeof here);
    }
    return words;
}

int cli_command_find(const struct cli_app *app, int argc, char *const *argv, const struct cli_command **out,
                     int *out_words, struct bh_err *err) {
    int words, group;
    const struct cli_command *best = longest(app, argc, argv, &words);
    char prefix[128];

    group = group_words(app, argc, argv, prefix);
    *out = NULL;
    if (best && words >= group && (best->run || (best->flags & CLI_CMD_LATER))) {
        *out = best;
        *out_words = words;
        return 0;
    }
    *out_words = group;
    if (group < argc && strcmp(argv[group], "--help") != 0 && strcmp(argv[group], "-h") != 0)
        return argv[group][0] == '-' ? unknown_flag(app, prefix, argv[group], err)
                                     : unknown(app, prefix, argv[group], err);
    return 0;
}

/* ---- the call ---- */

static unsigned help_width(const struct cli_out *o) {
    struct winsize ws;

    if (!o->out_tty || ioctl(o->out_fd, TIOCGWINSZ, &ws) < 0 || ws.ws_col < 40)
        return 0;
    return ws.ws_col;
}

static void print_help(const struct cli_app *app, struct cli_out *o, const struct cli_command *cmd, const char *prefix,
                       bool talk) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    if (cmd)
        cli_help_command(app, cmd, prefix, help_width(o), &b);
    else
        cli_help_group(app, prefix, help_width(o), &b);
    if (talk)
        cli_say(o, "%.*s", (int)b.len - 1, bh_buf_str(&b));
    else
        cli_put_raw(o, bh_buf_str(&b), b.len);
}

static void join_words(int n, char *const *words, char *dst, size_t size) {
    size_t used = 0;

    dst[0] = '\0';
    for (int i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(dst + used, size - used, "%s%s", i ? " " : "", words[i]);
}

/* Its flags are not known yet, so they are not judged. */
static int run_later(const struct cli_app *app, struct cli_ctx *ctx, const struct cli_command *cmd, const char *called,
                     int argc, char *const *argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) {
            print_help(app, ctx->out, cmd, called, false);
            return 0;
        }
    return cli_failf(ctx->out, CLI_EXIT_USAGE, "'%s %s' is not available in this version", app->name, called);
}

static int run_command(const struct cli_app *app, struct cli_ctx *ctx, const struct cli_command *cmd, int words,
                       int argc, char **argv) {
    struct bh_err err = BH_ERR_INIT;
    struct cli_args args;
    bool help = false;
    char called[160];
    int status;

    join_words(words, argv, called, sizeof called);
    if (cmd->flags & CLI_CMD_LATER)
        return run_later(app, ctx, cmd, called, argc - words, argv + words);
    if (cli_args_parse(app, cmd, argc - words, argv + words, &args, &help, &err) < 0) {
        status = cli_fail(ctx->out, &err);
    } else if (help) {
        print_help(app, ctx->out, cmd, called, false);
        status = 0;
    } else {
        args.called = called;
        status = cmd->run(ctx, &args);
    }
    cli_args_fini(&args);
    return status;
}

static int run_verb(const struct cli_app *app, struct cli_ctx *ctx, int argc, char **argv, bool help) {
    struct bh_err err = BH_ERR_INIT;
    const struct cli_command *cmd;
    char prefix[160];
    int words;

    if (argc > 0 && strcmp(argv[0], "help") == 0) {
        help = true;
        argc--;
        argv++;
    }
    if (cli_command_find(app, argc, argv, &cmd, &words, &err) < 0)
        return cli_fail(ctx->out, &err);
    join_words(words, argv, prefix, sizeof prefix);
    if (cmd && !help)
        return run_command(app, ctx, cmd, words, argc, argv);
    /* A bare group tells its commands on standard error: nothing was done. */
    print_help(app, ctx->out, cmd, prefix, !help && words == argc);
    return 0;
}

static const char *first_set(const char *a, const char *b, const char *c) {
    return a && *a ? a : b && *b ? b : c;
}

/* Checked although this client has but one way to talk: a slip should not pass. */
static bool level_known(const char *level) {
    static const char *const known[] = {"debug", "info", "warn", "error", "fatal"};

    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++)
        if (strcmp(known[i], level) == 0)
            return true;
    return false;
}

static int dispatch(const struct cli_app *app, struct cli_ctx *ctx, const struct cli_args *args, bool help) {
    ctx->app = app;
    ctx->host = first_set(cli_str(args, "host"), getenv("BULKHEAD_HOST"), app->default_host);
    ctx->config = first_set(cli_str(args, "config"), getenv("BULKHEAD_CONFIG"), NULL);
    ctx->log_level = cli_str(args, "log-level");
    ctx->debug = cli_bool(args, "debug");
    if (ctx->log_level != NULL && !level_known(ctx->log_level))
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "unable to parse logging level: %s", ctx->log_level);
    if (cli_bool(args, "version") && !help) {
        cli_put(ctx->out, "%s version %s\n", app->name, app->version);
        return 0;
    }
    return run_verb(app, ctx, args->operand_count, args->operands, help);
}

int cli_dispatch(const struct cli_app *app, struct cli_ctx *ctx, int argc, char **argv) {
    struct bh_err err = BH_ERR_INIT;
    struct cli_args args;
    bool help = false;
    int status;

    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write, which out.c notices */
    if (cli_args_parse(app, &global_command, argc - 1, argv + 1, &args, &help, &err) < 0)
        status = cli_fail(ctx->out, &err);
    else
        status = dispatch(app, ctx, &args, help);
    cli_args_fini(&args);
    return status;
}
