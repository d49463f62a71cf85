/*
 * opt.c - words of the command line into options and operands, by the table of a command.
 *
 * Room: client.  Nothing is copied: values point into argv.  Values of numbers are judged here, so
 * that the functions that read them cannot fail; a name that a table does not have aborts.
 */
#include "cli/opt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

const struct cli_opt cli_opts_none[] = {{.name = NULL}};

struct parse {
    const struct cli_app *app;
    const struct cli_command *cmd;
    int argc, at;
    char **argv;
    struct cli_args *out;
    bool help;
    struct bh_err *err;
};

/* ---- looking up ---- */

static const struct cli_opt *find_long(const struct cli_command *cmd, const char *name, size_t n) {
    const struct cli_opt *tables[] = {cmd->opts, cmd->more};

    for (size_t t = 0; t < BH_ARRAY_LEN(tables); t++)
        for (const struct cli_opt *o = tables[t]; o && o->name; o++)
            if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
                return o;
    return NULL;
}

static const struct cli_opt *find_letter(const struct cli_command *cmd, char letter) {
    const struct cli_opt *tables[] = {cmd->opts, cmd->more};

    for (size_t t = 0; t < BH_ARRAY_LEN(tables); t++)
        for (const struct cli_opt *o = tables[t]; o && o->name; o++)
            if (o->letter == letter)
                return o;
    return NULL;
}

/* The nearest long name, NULL if none is near. */
static const char *nearest(const struct cli_command *cmd, const char *name, size_t n) {
    const struct cli_opt *tables[] = {cmd->opts, cmd->more};
    char typed[64];
    const char *best = NULL;
    size_t least = 3;

    if (!bh_str_copy_n(typed, sizeof typed, name, n))
        return NULL;
    for (size_t t = 0; t < BH_ARRAY_LEN(tables); t++)
        for (const struct cli_opt *o = tables[t]; o && o->name; o++) {
            size_t d = (o->flags & CLI_OPT_HIDDEN) ? 99 : cli_edit_distance(typed, o->name);

            if (d < 99 && n >= 2 && bh_str_starts(o->name, typed))
                d = 1; /* somebody is used to abbreviations */
            if (d < least && d < strlen(o->name)) {
                least = d;
                best = o->name;
            }
        }
    return best;
}

/* Sets "see '... --help'" and the reason that means exit 125. */
static int usage_hint(struct parse *p, const char *suggest) {
    const char *path = p->cmd->path;
    const char *blank = *path ? " " : "";

    if (suggest)
        bh_err_hint(p->err, "did you mean --%s? see '%s%s%s --help'", suggest, p->app->name, blank, path);
    else
        bh_err_hint(p->err, "see '%s%s%s --help'", p->app->name, blank, path);
    return bh_err_reason(p->err, "usage");
}

/* ---- one option ---- */

static bool read_bool(const char *s, bool *out) {
    static const char *const words[] = {"1", "t", "T", "true",  "TRUE",  "True",
                                        "0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++)
        if (strcmp(s, words[i]) == 0) {
            *out = i < 6;
            return true;
        }
    return false;
}

static bool read_float(const char *s, double *out) {
    char *end;

    if (*s == '\0' || *s == ' ' || strpbrk(s, "xXnN")) /* no hexadecimal, no inf, no nan */
        return false;
    errno = 0;
    *out = strtod(s, &end);
    return errno == 0 && *end == '\0';
}

/* What is wrong with the value, NULL if nothing. */
static const char *judge(const struct cli_opt *o, const char *value) {
    uint64_t u;
    int64_t i;
    double d;
    bool b;

    switch (o->kind) {
    case CLI_BOOL:
        return read_bool(value, &b) ? NULL : "true or false is expected";
    case CLI_INT:
        return bh_str_i64(value, &i) ? NULL : "a whole number is expected";
    case CLI_BYTES:
        return bh_str_bytes(value, &u) ? NULL : "a size is expected, such as 512m or 2g";
    case CLI_DURATION:
        return bh_duration_parse(value, &i) ? NULL : "a duration is expected, such as 1h30m or 10s";
    case CLI_FLOAT:
        return read_float(value, &d) ? NULL : "a number is expected, such as 1.5";
    default:
        return NULL;
    }
}

static void label(const struct cli_opt *o, char dst[80]) {
    if (o->letter)
        snprintf(dst, 80, "-%c, --%s", o->letter, o->name);
    else
        snprintf(dst, 80, "--%s", o->name);
}

static int refuse_later(struct parse *p, const struct cli_opt *o) {
    bh_err_set(p->err, BH_E_UNIMPLEMENTED, "flag --%s is not available in this version of %s", o->name, p->app->name);
    bh_err_hint(p->err, "leave it out");
    return bh_err_reason(p->err, "usage");
}

static int take(struct parse *p, const struct cli_opt *o, const char *value) {
    struct cli_args *a = p->out;
    const char *wrong = judge(o, value);
    bool on = true;

    if (wrong) {
        char shown[80];

        label(o, shown);
        bh_err_set(p->err, BH_E_INVALID, "invalid argument \"%s\" for \"%s\" flag: %s", value, shown, wrong);
        return usage_hint(p, NULL);
    }
    if (o->kind == CLI_BOOL)
        read_bool(value, &on);
    if ((o->flags & CLI_OPT_LATER) && on)
        return refuse_later(p, o);
    a->given = bh_xrealloc(a->given, (a->given_count + 1) * sizeof *a->given);
    a->given[a->given_count++] = (struct cli_given){o, value};
    return 0;
}

/* ---- words ---- */

static int parse_long(struct parse *p, const char *word) {
    const char *name = word + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    const struct cli_opt *o = find_long(p->cmd, name, n);

    if (!o && n == 4 && memcmp(name, "help", 4) == 0) {
        p->help = !eq || strcmp(eq, "=false") != 0;
        return 0;
    }
    if (n == 0 || *name == '-') {
        bh_err_set(p->err, BH_E_INVALID, "bad flag syntax: %s", word);
        return usage_hint(p, NULL);
    }
    if (!o) {
        bh_err_set(p->err, BH_E_INVALID, "unknown flag: --%.*s", n > 200 ? 200 : (int)n, name);
        return usage_hint(p, nearest(p->cmd, name, n));
    }
    if (eq)
        return take(p, o, eq + 1);
    if (o->kind == CLI_BOOL)
        return take(p, o, "true");
    if (o->flags & CLI_OPT_OPTIONAL)
        return take(p, o, o->implied ? o->implied : "");
    if (p->at >= p->argc) {
        bh_err_set(p->err, BH_E_INVALID, "flag needs an argument: --%s", o->name);
        return usage_hint(p, NULL);
    }
    return take(p, o, p->argv[p->at++]);
}

/* -detach: docker takes it as -d -e tach.  A whole long name behind one dash is refused. */
static bool is_long_name(const struct parse *p, const char *letters) {
    size_t n = strcspn(letters, "=");

    return n >= 3 && find_long(p->cmd, letters, n) != NULL;
}

static int unknown_letter(struct parse *p, const char *word, char letter) {
    size_t n = strcspn(word + 1, "=");
    const struct cli_opt *o = n >= 2 ? find_long(p->cmd, word + 1, n) : NULL;

    bh_err_set(p->err, BH_E_INVALID, "unknown shorthand flag: '%c' in %s", letter, word);
    return usage_hint(p, o ? o->name : NULL);
}

static int parse_letter(struct parse *p, const char *word, const char **letters) {
    char letter = **letters;
    const struct cli_opt *o = find_letter(p->cmd, letter);
    const char *rest = ++*letters;

    if (!o && letter == 'h') { /* but on commands that have an -h of their own */
        p->help = true;
        return 0;
    }
    if (!o)
        return unknown_letter(p, word, letter);
    if (*rest == '=') {
        *letters = "";
        return take(p, o, rest + 1);
    }
    if (o->kind == CLI_BOOL)
        return take(p, o, "true");
    *letters = "";
    if (*rest != '\0')
        return take(p, o, rest);
    if (p->at < p->argc)
        return take(p, o, p->argv[p->at++]);
    bh_err_set(p->err, BH_E_INVALID, "flag needs an argument: '%c' in %s", letter, word);
    return usage_hint(p, NULL);
}

static int parse_letters(struct parse *p, const char *word) {
    const char *letters = word + 1;

    if (is_long_name(p, letters))
        return unknown_letter(p, word, *letters);
    while (*letters)
        if (parse_letter(p, word, &letters) < 0)
            return p->err->code;
    return 0;
}

static void add_operands(struct parse *p, int from, int to) {
    for (int i = from; i < to; i++)
        p->out->operands[p->out->operand_count++] = p->argv[i];
}

static int parse_words(struct parse *p) {
    while (p->at < p->argc && !p->help) {
        char *word = p->argv[p->at++];
        int rc = 0;

        if (strcmp(word, "--") == 0) {
            add_operands(p, p->at, p->argc);
            return 0;
        }
        if (word[0] != '-' || word[1] == '\0') {
            bool stop = p->cmd->flags & CLI_CMD_STOP;

            add_operands(p, p->at - 1, stop ? p->argc : p->at);
            if (stop)
                return 0;
        } else {
            rc = word[1] == '-' ? parse_long(p, word) : parse_letters(p, word);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int check_count(struct parse *p) {
    int n = p->out->operand_count, min = p->cmd->min_operands, max = p->cmd->max_operands;
    const char *how = min == max ? "exactly" : n < min ? "at least" : "at most";
    int want = n < min ? min : max;

    if (n >= min && (max < 0 || n <= max))
        return 0;
    if (max == 0)
        bh_err_set(p->err, BH_E_INVALID, "'%s %s' accepts no arguments", p->app->name, p->cmd->path);
    else
        bh_err_set(p->err, BH_E_INVALID, "'%s %s' requires %s %d argument%s", p->app->name, p->cmd->path, how, want,
                   want == 1 ? "" : "s");
    usage_hint(p, NULL);
    return bh_err_reason(p->err, "operands");
}

int cli_args_parse(const struct cli_app *app, const struct cli_command *cmd, int argc, char **argv,
                   struct cli_args *out, bool *out_help, struct bh_err *err) {
    struct parse p = {.app = app, .cmd = cmd, .argc = argc, .argv = argv, .out = out, .err = err};

    *out = (struct cli_args){.command = cmd, .called = cmd->path};
    out->operands = bh_xcalloc((size_t)argc + 1, sizeof *out->operands);
    if (parse_words(&p) < 0)
        return err->code;
    *out_help = p.help;
    return p.help ? 0 : check_count(&p);
}

void cli_args_fini(struct cli_args *args) {
    free(args->operands);
    free(args->given);
    *args = (struct cli_args){0};
}

/* ---- values ---- */

static const struct cli_opt *own(const struct cli_args *args, const char *name) {
    const struct cli_opt *o = find_long(args->command, name, strlen(name));

    if (!o) {
        fprintf(stderr, "the table of '%s' has no option '%s'\n", args->command->path, name);
        abort();
    }
    return o;
}

/* The last value, else the default, else NULL. */
static const char *value_of(const struct cli_args *args, const char *name) {
    const struct cli_opt *o = own(args, name);

    for (size_t i = args->given_count; i-- > 0;)
        if (args->given[i].opt == o)
            return args->given[i].value;
    return o->def;
}

bool cli_given(const struct cli_args *args, const char *name) {
    return cli_count(args, name) > 0;
}

bool cli_bool(const struct cli_args *args, const char *name) {
    const char *s = value_of(args, name);
    bool v = false;

    return s && read_bool(s, &v) && v;
}

const char *cli_str(const struct cli_args *args, const char *name) {
    return value_of(args, name);
}

int64_t cli_int(const struct cli_args *args, const char *name) {
    const char *s = value_of(args, name);
    int64_t v = 0;

    return s && bh_str_i64(s, &v) ? v : 0;
}

uint64_t cli_bytes(const struct cli_args *args, const char *name) {
    const char *s = value_of(args, name);
    uint64_t v = 0;

    return s && bh_str_bytes(s, &v) ? v : 0;
}

int64_t cli_duration_ns(const struct cli_args *args, const char *name) {
    const char *s = value_of(args, name);
    int64_t v = 0;

    return s && bh_duration_parse(s, &v) ? v : 0;
}

double cli_float(const struct cli_args *args, const char *name) {
    const char *s = value_of(args, name);
    double v = 0;

    return s && read_float(s, &v) ? v : 0;
}

size_t cli_count(const struct cli_args *args, const char *name) {
    const struct cli_opt *o = own(args, name);
    size_t n = 0;

    for (size_t i = 0; i < args->given_count; i++)
        n += args->given[i].opt == o;
    return n;
}

const char *cli_item(const struct cli_args *args, const char *name, size_t i) {
    const struct cli_opt *o = own(args, name);

    for (size_t k = 0; k < args->given_count; k++)
        if (args->given[k].opt == o && i-- == 0)
            return args->given[k].value;
    return NULL;
}
