/*
 * recipe_instr.c - one function for each kind of instruction: its arguments into its struct (see recipe_int.h).
 * Room: build.  Pure.  The texts of errors end as docker's do, because scripts match them.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/signame.h"
#include "base/str.h"
#include "recipe_int.h"

static const char *op_name(const struct build_request *q) {
    return build_op_name(q->out->op);
}

static void bad_args(struct build_request *q, const char *why) {
    if (q->args_len > 0)
        build_bad(q, "invalid-arguments", q->args, q->args_len, "%s %s", op_name(q), why);
    else
        build_bad_at(q, "missing-arguments", q->out->at, q->out->name_len, "%s %s", op_name(q), why);
}

static void no_flags(struct build_request *q) {
    build_flags_read(q, NULL, 0, NULL);
}

/* --- FROM ---------------------------------------------------------------------------------------- */

static bool is_stage_name(const char *s) {
    static const char more[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";

    return *s >= 'a' && *s <= 'z' && strspn(s, more) == strlen(s);
}

static void stage_name(struct build_request *q, const struct build_word *word) {
    BH_SCOPE_FREE char *lower = bh_xstrdup(word->s);

    for (char *c = lower; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    if (!is_stage_name(lower))
        build_bad_at(q, "invalid-stage-name", word->at, word->length,
                     "invalid name for build stage: \"%.100s\", name can't start with a number or contain symbols",
                     word->s);
}

void build_instr_from(struct build_request *q) {
    static const struct build_flag_spec flags[] = {
        {"platform", BUILD_FLAG_TEXT, offsetof(struct build_from, platform), 0},
    };
    struct build_from *from = &q->out->from;
    struct build_words words = {0};
    struct build_note *note;

    build_flags_read(q, flags, BH_ARRAY_LEN(flags), from);
    if (!build_split_blanks(q, &words))
        return;
    if (words.n == 1 || (words.n == 3 && strcasecmp(words.v[1].s, "as") == 0)) {
        from->base = words.v[0];
        if (words.n == 3) {
            from->as = words.v[1];
            from->name = words.v[2];
            stage_name(q, &from->name);
        }
        return;
    }
    note = words.n == 0
               ? build_bad_at(q, "missing-arguments", q->out->at, q->out->name_len,
                              "FROM requires either one or three arguments")
               : build_bad(q, "invalid-arguments", q->args, q->args_len, "FROM requires either one or three arguments");
    if (words.n > 1 && words.v[1].s[0] == '#')
        build_note_hint(q->p->notes, note, "a comment stands on a line of its own");
    else
        build_note_hint(q->p->notes, note, "write FROM IMAGE or FROM IMAGE AS NAME");
}

/* --- commands ------------------------------------------------------------------------------------ */

/* The rest from `from` on: JSON form or text for a shell.  false: noted, failed, or nothing is there. */
static bool read_command(struct build_request *q, size_t from, struct build_command *out) {
    struct build_word word;
    int json = build_split_json(q, from, &out->args);

    if (json < 0)
        return false;
    out->exec = json > 0;
    if (out->exec)
        return true;
    if (!build_whole_word(q, from, &word) || word.s == NULL)
        return false;
    out->args.v = build_need(q->p, sizeof *out->args.v);
    if (out->args.v == NULL)
        return false;
    out->args.v[0] = word;
    out->args.n = 1;
    return true;
}

void build_instr_command(struct build_request *q) {
    no_flags(q);
    if (q->args_len == 0)
        bad_args(q, "requires at least one argument");
    else
        read_command(q, q->args, &q->out->command);
}

void build_instr_shell(struct build_request *q) {
    struct build_command *c = &q->out->command;

    build_instr_command(q);
    if (q->bad || q->p->failed)
        return;
    if (!c->exec)
        build_note_hint(
            q->p->notes,
            build_bad(q, "invalid-arguments", q->args, q->args_len, "SHELL requires the arguments to be in JSON form"),
            "write SHELL [\"/bin/bash\", \"-c\"]");
    else if (c->args.n == 0)
        bad_args(q, "requires at least one argument");
}

/* --- RUN ----------------------------------------------------------------------------------------- */

static void choose(struct build_request *q, const struct build_word *value, const char *what, const char *const *names,
                   size_t n, int *out) {
    struct build_note *note;

    if (value->s == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], value->s) == 0) {
            *out = (int)i;
            return;
        }
    }
    note = build_bad_at(q, "invalid-value", value->at, value->length, what, value->s);
    build_note_suggest(q->p->notes, note, build_nearest(value->s, names, n));
}

struct run_flags {
    struct build_words mounts;
    struct build_word network, security;
    struct build_words devices;
};

static void run_flags(struct build_request *q) {
    static const struct build_flag_spec flags[] = {
        {"mount", BUILD_FLAG_LIST, offsetof(struct run_flags, mounts), 0},
        {"network", BUILD_FLAG_TEXT, offsetof(struct run_flags, network), 0},
        {"security", BUILD_FLAG_TEXT, offsetof(struct run_flags, security), 0},
        {"device", BUILD_FLAG_LIST, offsetof(struct run_flags, devices), 0},
    };
    static const char *const networks[] = {"default", "none", "host"};
    static const char *const securities[] = {"sandbox", "insecure"};
    struct build_run *run = &q->out->run;
    struct run_flags f = {0};
    int network = BUILD_NETWORK_DEFAULT, security = 0;

    build_flags_read(q, flags, BH_ARRAY_LEN(flags), &f);
    choose(q, &f.network, "invalid network mode \"%.100s\"", networks, BH_ARRAY_LEN(networks), &network);
    choose(q, &f.security, "security \"%.100s\" is not valid", securities, BH_ARRAY_LEN(securities), &security);
    run->network = (enum build_network)network;
    run->insecure = security == 1;
    if (f.devices.n > 0)
        build_bad_at(q, "unsupported-flag", f.devices.v[0].at, f.devices.v[0].length,
                     "--device is not supported: a step gets no devices of the host");
    run->mounts = build_need(q->p, f.mounts.n * sizeof *run->mounts);
    for (size_t i = 0; run->mounts != NULL && i < f.mounts.n; i++) {
        if (!build_mount_parse(q, &f.mounts.v[i], &run->mounts[i]))
            return;
        run->n_mounts++;
    }
}

void build_instr_run(struct build_request *q) {
    run_flags(q);
    if (q->args_len == 0) {
        bad_args(q, "requires at least one argument");
    } else if (read_command(q, q->args, &q->out->run.command)) {
        if (q->out->run.command.args.n == 0)
            bad_args(q, "requires at least one argument");
        else if (!q->out->run.command.exec)
            q->out->run.script = q->out->run.command.args.v[0].s;
    }
}

/* --- COPY, ADD ----------------------------------------------------------------------------------- */

static bool push_file(struct build_request *q, struct build_copy *c, size_t *cap, struct build_heredoc *doc) {
    struct build_heredoc *grown = build_grow(q->p, c->files.v, c->files.n, cap, sizeof *grown);

    if (grown == NULL)
        return false;
    c->files.v = grown;
    c->files.v[c->files.n++] = *doc;
    return true;
}

/* Sources are paths or heredocs; the last word is the destination. */
static void sources(struct build_request *q, const struct build_words *words, bool json) {
    struct build_copy *c = &q->out->copy;
    struct build_word *dest = &words->v[words->n - 1];
    struct build_heredoc doc;
    size_t cap = 0;

    c->sources.v = build_need(q->p, words->n * sizeof *c->sources.v);
    if (c->sources.v == NULL)
        return;
    for (size_t i = 0; i + 1 < words->n; i++) {
        if (!json && build_heredoc_word(q->p, words->v[i].s, &doc) == 1) {
            if (!push_file(q, c, &cap, &doc))
                return;
        } else {
            c->sources.v[c->sources.n++] = words->v[i];
        }
    }
    c->dest = *dest;
    if (!json && build_heredoc_word(q->p, dest->s, &doc) == 1)
        build_bad_at(q, "invalid-heredoc", dest->at, dest->length, "%s cannot accept a heredoc as a destination",
                     op_name(q));
    else if (!json && q->heredocs.n != c->files.n)
        build_note_hint(q->p->notes,
                        build_bad(q, "invalid-heredoc", q->args, q->args_len,
                                  "%s has a heredoc that is none of its words", op_name(q)),
                        "the name stands right behind \"<<\"; a path with \"<<\" in it goes into JSON form");
}

static void copy_args(struct build_request *q) {
    struct build_words words = {0};
    int json = build_split_json(q, q->args, &words);

    if (json < 0 || (json == 0 && !build_split_blanks(q, &words)))
        return;
    if (words.n < 2)
        bad_args(q, words.n == 1 ? "requires at least two arguments, but only one was provided. Destination could "
                                   "not be determined"
                                 : "requires at least two arguments, but none was provided. Destination could not "
                                   "be determined");
    else
        sources(q, &words, json > 0);
}

void build_instr_copy(struct build_request *q) {
    static const struct build_flag_spec flags[] = {
        {"from", BUILD_FLAG_TEXT, offsetof(struct build_copy, from), 0},
        {"chown", BUILD_FLAG_TEXT, offsetof(struct build_copy, chown), 0},
        {"chmod", BUILD_FLAG_TEXT, offsetof(struct build_copy, chmod), 0},
        {"link", BUILD_FLAG_BOOL, offsetof(struct build_copy, link), 0},
        {"parents", BUILD_FLAG_BOOL, offsetof(struct build_copy, parents), 0},
        {"exclude", BUILD_FLAG_LIST, offsetof(struct build_copy, exclude), 0},
    };
    const struct build_word *from = &q->out->copy.from;
    size_t dollar;

    build_flags_read(q, flags, BH_ARRAY_LEN(flags), &q->out->copy);
    dollar = from->s != NULL ? strcspn(from->s, "$") : 0;
    if (from->s != NULL && from->s[dollar] == '$' && from->s[dollar + 1] != '\0')
        build_bad_at(q, "variable-in-from", from->at, from->length,
                     "variable expansion is not supported for --from, define a new stage with FROM using ARG from "
                     "global scope as a workaround");
    copy_args(q);
}

void build_instr_add(struct build_request *q) {
    static const struct build_flag_spec flags[] = {
        {"chown", BUILD_FLAG_TEXT, offsetof(struct build_copy, chown), 0},
        {"chmod", BUILD_FLAG_TEXT, offsetof(struct build_copy, chmod), 0},
        {"link", BUILD_FLAG_BOOL, offsetof(struct build_copy, link), 0},
        {"checksum", BUILD_FLAG_TEXT, offsetof(struct build_copy, checksum), 0},
        {"exclude", BUILD_FLAG_LIST, offsetof(struct build_copy, exclude), 0},
        {"keep-git-dir", BUILD_FLAG_BOOL, offsetof(struct build_copy, keep_git_dir),
         offsetof(struct build_copy, has_keep_git_dir)},
        {"unpack", BUILD_FLAG_BOOL, offsetof(struct build_copy, unpack), offsetof(struct build_copy, has_unpack)},
    };

    build_flags_read(q, flags, BH_ARRAY_LEN(flags), &q->out->copy);
    copy_args(q);
}

/* --- pairs --------------------------------------------------------------------------------------- */

static bool push_pair(struct build_request *q, struct build_pairs *out, size_t *cap, struct build_pair pair) {
    struct build_pair *grown = build_grow(q->p, out->v, out->n, cap, sizeof *grown);

    if (grown == NULL)
        return false;
    out->v = grown;
    out->v[out->n++] = pair;
    return true;
}

/* Take "key=value" apart; value.s stays NULL without '='. */
static bool take_apart(struct build_request *q, const struct build_word *word, struct build_pair *out) {
    char *key = build_keep(q->p, word->s, strlen(word->s)), *eq;

    if (key == NULL)
        return false;
    *out = (struct build_pair){.key = {.s = key, .at = word->at, .length = word->length}, .value = *word};
    out->value.s = NULL;
    eq = strchr(key, '=');
    if (eq == NULL)
        return true;
    *eq++ = '\0';
    out->key.length = (uint32_t)(eq - 1 - key);
    out->value.s = eq;
    out->value.at.column += out->key.length + 1;
    out->value.length = word->length - out->key.length - 1;
    return true;
}

/* "KEY the rest of the line" */
static void legacy_pair(struct build_request *q) {
    const char *s = build_args(q);
    struct build_pair pair = {.legacy = true};
    size_t n = 0, skip, cap = 0;

    while (n < q->args_len && !build_is_space(s[n]))
        n++;
    skip = n;
    while (skip < q->args_len && build_is_space(s[skip]))
        skip++;
    if (skip == q->args_len) {
        bad_args(q, "must have two arguments");
        return;
    }
    pair.key = build_word_at(q, q->args, n, build_keep(q->p, s, n));
    if (pair.key.s != NULL && build_whole_word(q, q->args + skip, &pair.value))
        push_pair(q, &q->out->pairs, &cap, pair);
}

static void read_pairs(struct build_request *q) {
    struct build_words words = {0};
    size_t cap = 0;

    no_flags(q);
    if (!build_split_quoted(q, &words))
        return;
    if (words.n == 0) {
        bad_args(q, "requires at least one argument");
        return;
    }
    if (strchr(words.v[0].s, '=') == NULL) {
        legacy_pair(q);
        return;
    }
    for (size_t i = 0; i < words.n; i++) {
        struct build_pair pair;

        if (!take_apart(q, &words.v[i], &pair))
            return;
        if (pair.value.s == NULL)
            build_note_hint(q->p->notes,
                            build_bad_at(q, "missing-value", words.v[i].at, words.v[i].length,
                                         "Syntax error - can't find = in \"%.100s\". Must be of the form: name=value",
                                         words.v[i].s),
                            "a value with blanks stands in quotes");
        else if (pair.key.s[0] == '\0')
            build_bad_at(q, "blank-name", words.v[i].at, words.v[i].length, "%s names can not be blank", op_name(q));
        else if (!push_pair(q, &q->out->pairs, &cap, pair))
            return;
    }
}

void build_instr_env(struct build_request *q) {
    read_pairs(q);
}

void build_instr_label(struct build_request *q) {
    read_pairs(q);
}

void build_instr_arg(struct build_request *q) {
    struct build_words words = {0};
    size_t cap = 0;

    no_flags(q);
    if (!build_split_quoted(q, &words))
        return;
    if (words.n == 0)
        bad_args(q, "requires at least one argument");
    for (size_t i = 0; i < words.n; i++) {
        struct build_pair pair;

        if (!take_apart(q, &words.v[i], &pair))
            return;
        if (pair.key.s[0] == '\0')
            build_bad_at(q, "blank-name", words.v[i].at, words.v[i].length, "ARG names can not be blank");
        else if (!push_pair(q, &q->out->pairs, &cap, pair))
            return;
    }
}

/* --- words --------------------------------------------------------------------------------------- */

void build_instr_expose(struct build_request *q) {
    no_flags(q);
    if (build_split_blanks(q, &q->out->words) && q->out->words.n == 0)
        bad_args(q, "requires at least one argument");
}

void build_instr_volume(struct build_request *q) {
    struct build_words *words = &q->out->words;
    int json;

    no_flags(q);
    json = build_split_json(q, q->args, words);
    if (json < 0 || (json == 0 && !build_split_blanks(q, words)))
        return;
    if (words->n == 0)
        bad_args(q, "requires at least one argument");
    for (size_t i = 0; i < words->n; i++) {
        if (words->v[i].s[strspn(words->v[i].s, " \t\r\n")] == '\0')
            build_bad_at(q, "empty-path", words->v[i].at, words->v[i].length,
                         "VOLUME specified can not be an empty string");
    }
}

void build_instr_word(struct build_request *q) {
    no_flags(q);
    if (build_whole_word(q, q->args, &q->out->word) && q->out->word.s == NULL)
        bad_args(q, "requires exactly one argument");
}

void build_instr_stopsignal(struct build_request *q) {
    const struct build_word *word = &q->out->word;

    build_instr_word(q);
    if (word->s != NULL && strpbrk(word->s, "$\\`'\"") == NULL && bh_signal_parse(word->s) == 0)
        build_bad_at(q, "invalid-signal", word->at, word->length, "invalid signal: %.100s", word->s);
}

/* --- HEALTHCHECK --------------------------------------------------------------------------------- */

struct health_flags {
    struct build_word interval, timeout, start_period, start_interval, retries;
};

static void health_time(struct build_request *q, const struct build_word *value, const char *flag, int64_t *out) {
    int64_t ns = 0;

    if (value->s == NULL || value->s[0] == '\0')
        return;
    if (!bh_duration_parse(value->s, &ns))
        build_note_hint(
            q->p->notes,
            build_bad_at(q, "invalid-value", value->at, value->length, "time: invalid duration \"%.100s\"", value->s),
            "a duration has a unit: 30s, 1m30s, 500ms");
    else if (ns != 0 && ns < 1000000)
        build_bad_at(q, "invalid-value", value->at, value->length, "Interval \"%s\" cannot be less than 1ms", flag);
    else
        *out = ns;
}

static void health_retries(struct build_request *q, const struct build_word *value, int64_t *out) {
    if (value->s == NULL || value->s[0] == '\0')
        return;
    if (!bh_str_i64(value->s, out) || *out > INT32_MAX)
        build_bad_at(q, "invalid-value", value->at, value->length, "--retries is not a number: \"%.100s\"", value->s);
    else if (*out < 0)
        build_bad_at(q, "invalid-value", value->at, value->length, "--retries cannot be negative (%.100s)", value->s);
}

static void health_flags(struct build_request *q) {
    static const struct build_flag_spec flags[] = {
        {"interval", BUILD_FLAG_TEXT, offsetof(struct health_flags, interval), 0},
        {"timeout", BUILD_FLAG_TEXT, offsetof(struct health_flags, timeout), 0},
        {"start-period", BUILD_FLAG_TEXT, offsetof(struct health_flags, start_period), 0},
        {"start-interval", BUILD_FLAG_TEXT, offsetof(struct health_flags, start_interval), 0},
        {"retries", BUILD_FLAG_TEXT, offsetof(struct health_flags, retries), 0},
    };
    struct build_health *h = &q->out->health;
    struct health_flags f = {0};

    build_flags_read(q, flags, BH_ARRAY_LEN(flags), &f);
    health_time(q, &f.interval, "interval", &h->interval_ns);
    health_time(q, &f.timeout, "timeout", &h->timeout_ns);
    health_time(q, &f.start_period, "start-period", &h->start_period_ns);
    health_time(q, &f.start_interval, "start-interval", &h->start_interval_ns);
    health_retries(q, &f.retries, &h->retries);
}

void build_instr_health(struct build_request *q) {
    static const char *const types[] = {"CMD", "NONE"};
    struct build_health *h = &q->out->health;
    const char *s = build_args(q);
    size_t n = 0, skip;

    health_flags(q);
    while (n < q->args_len && !build_is_space(s[n]))
        n++;
    skip = n;
    while (skip < q->args_len && build_is_space(s[skip]))
        skip++;
    if (n == 0) {
        bad_args(q, "requires at least one argument");
    } else if (n == 4 && strncasecmp(s, "NONE", 4) == 0) {
        h->none = true;
        if (skip < q->args_len)
            bad_args(q, "NONE takes no arguments");
    } else if (n == 3 && strncasecmp(s, "CMD", 3) == 0) {
        if (skip == q->args_len || (read_command(q, q->args + skip, &h->command) && h->command.args.n == 0))
            build_bad(q, "missing-arguments", q->args, n, "Missing command after HEALTHCHECK CMD");
    } else {
        BH_SCOPE_FREE char *type = bh_xstrndup(s, n);

        build_note_suggest(
            q->p->notes,
            build_bad(q, "invalid-arguments", q->args, n, "Unknown type \"%.100s\" in HEALTHCHECK (try CMD)", type),
            build_nearest(type, types, 2));
    }
}

/* --- ONBUILD ------------------------------------------------------------------------------------- */

void build_instr_onbuild(struct build_request *q) {
    struct build_instruction inner = {0};
    struct build_request qi;
    const char *s = build_args(q);
    size_t n = 0;
    int op;

    no_flags(q);
    while (n < q->args_len && !build_is_space(s[n]))
        n++;
    if (n == 0) {
        bad_args(q, "requires at least one argument");
        return;
    }
    op = build_op_find(s, n);
    q->out->onbuild.op = build_word_at(q, q->args, n, build_keep(q->p, s, n));
    if (op == BUILD_ONBUILD) {
        build_bad(q, "invalid-trigger", q->args, n, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    } else if (op == BUILD_FROM || op == BUILD_MAINTAINER) {
        build_bad(q, "invalid-trigger", q->args, n, "%s isn't allowed as an ONBUILD trigger",
                  build_op_name((enum build_op)op));
    } else if (build_read_instruction(q->p, q->line, q->args, true, &inner, &qi)) {
        q->bad = q->bad || qi.bad;
        q->heredocs = qi.heredocs;
        q->out->onbuild.text = build_keep(q->p, s, q->args_len);
    }
}
