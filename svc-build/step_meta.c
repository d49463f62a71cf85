/*
 * step_meta.c - instructions that change the config alone: ENV, CMD, LABEL, USER and their kin.
 *
 * Room: build.  The rules and the words of the history are those of docker's builder.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "job.h"
#include "oci/port.h"

#define TEXT_MAX ((size_t)4 << 20)

/* ---- texts ----------------------------------------------------------------------------------- */

static int row(struct build_site *site, struct bh_buf *b, struct bh_err *err) {
    if (bh_buf_failed(b))
        return bh_err_set(err, BH_E_LIMIT, "a row of the history has more than 4 MiB");
    return build_history_meta(site, bh_buf_str(b), err);
}

/* As Go prints a quoted string: "a\"b\n". */
static void add_quoted(struct bh_buf *b, const char *s) {
    bh_buf_addc(b, '"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            bh_buf_addf(b, "\\%c", c);
        else if (c == '\n')
            bh_buf_adds(b, "\\n");
        else if (c == '\t')
            bh_buf_adds(b, "\\t");
        else if (c == '\r')
            bh_buf_adds(b, "\\r");
        else if (c < 0x20 || c == 0x7f)
            bh_buf_addf(b, "\\x%02x", c);
        else
            bh_buf_addc(b, (char)c);
    }
    bh_buf_addc(b, '"');
}

static void add_quoted_list(struct bh_buf *b, const struct bh_strlist *list) {
    bh_buf_addc(b, '[');
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            bh_buf_addc(b, ' ');
        add_quoted(b, list->v[i]);
    }
    bh_buf_addc(b, ']');
}

static int keep(struct build_site *site, const char *text, const char **out, struct bh_err *err) {
    *out = bh_oci_strdup(&site->arena, text, strlen(text), err);
    return *out == NULL ? err->code : 0;
}

static int list_of(struct build_site *site, const struct build_words *words, struct bh_strlist *out,
                   struct bh_err *err) {
    const char **v = bh_oci_alloc(&site->arena, (words->n + 1) * sizeof *v, err);

    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < words->n; i++)
        v[i] = words->v[i].s;
    *out = (struct bh_strlist){.present = true, .n = words->n, .v = v};
    return 0;
}

int build_shell_args(struct build_site *site, const struct build_command *c, const char *script, struct bh_strlist *out,
                     struct bh_err *err) {
    static const char *default_shell[] = {"/bin/sh", "-c"};
    const struct bh_strlist unset = {.present = true, .n = 2, .v = default_shell};
    const struct bh_strlist *shell = site->image.config.shell.n > 0 ? &site->image.config.shell : &unset;
    const char **v;

    if (c->exec)
        return list_of(site, &c->args, out, err);
    v = bh_oci_alloc(&site->arena, (shell->n + 2) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < shell->n; i++)
        v[i] = shell->v[i];
    v[shell->n] = script != NULL ? script : c->args.v[0].s;
    *out = (struct bh_strlist){.present = true, .n = shell->n + 1, .v = v};
    return 0;
}

/* ---- instructions ---------------------------------------------------------------------------- */

static void add_pairs_text(struct bh_buf *b, const struct build_pairs *pairs) {
    for (size_t i = 0; i < pairs->n; i++) {
        bh_buf_addf(b, " %s", pairs->v[i].key.s);
        if (pairs->v[i].value.s != NULL)
            bh_buf_addf(b, "=%s", pairs->v[i].value.s);
    }
}

static int step_env(struct build_site *site, const struct build_instruction *in, struct bh_buf *b, struct bh_err *err) {
    if (build_scope_set_env(&site->scope, in, err) != 0)
        return err->code;
    site->image.config.env = site->scope.env;
    bh_buf_adds(b, "ENV");
    add_pairs_text(b, &in->pairs);
    return row(site, b, err);
}

static int step_label(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                      struct bh_err *err) {
    for (size_t i = 0; i < in->pairs.n; i++)
        if (bh_pairs_set(&site->image.config.labels, &site->arena, in->pairs.v[i].key.s, in->pairs.v[i].value.s, err) !=
            0)
            return err->code;
    bh_buf_adds(b, "LABEL");
    add_pairs_text(b, &in->pairs);
    return row(site, b, err);
}

/* The value that counts, if there is one: a build argument's, the default's, that of a global ARG. */
static int step_arg(struct build_site *site, const struct build_instruction *in, struct bh_buf *b, struct bh_err *err) {
    if (build_scope_declare(&site->scope, in, err) != 0)
        return err->code;
    bh_buf_adds(b, "ARG");
    for (size_t i = 0; i < in->pairs.n; i++) {
        const char *key = in->pairs.v[i].key.s, *value = NULL;

        for (size_t k = 0; k < site->scope.n_args; k++)
            if (strcmp(site->scope.args[k].name, key) == 0)
                value = site->scope.args[k].value;
        bh_buf_addf(b, " %s", key);
        if (value != NULL)
            bh_buf_addf(b, "=%s", value);
    }
    return row(site, b, err);
}

static int step_cmd(struct build_site *site, const struct build_instruction *in, struct bh_buf *b, struct bh_err *err) {
    if (build_shell_args(site, &in->command, NULL, &site->image.config.cmd, err) != 0)
        return err->code;
    site->image.config.args_escaped = true; /* as docker's builder has it */
    site->cmd_set = true;
    bh_buf_adds(b, "CMD ");
    add_quoted_list(b, &site->image.config.cmd);
    return row(site, b, err);
}

static int step_entrypoint(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                           struct bh_err *err) {
    if (build_shell_args(site, &in->command, NULL, &site->image.config.entrypoint, err) != 0)
        return err->code;
    if (!site->cmd_set) /* the base's command was meant for the base's entry point */
        site->image.config.cmd = (struct bh_strlist){0};
    bh_buf_adds(b, "ENTRYPOINT ");
    add_quoted_list(b, &site->image.config.entrypoint);
    return row(site, b, err);
}

static int step_shell(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                      struct bh_err *err) {
    if (list_of(site, &in->command.args, &site->image.config.shell, err) != 0)
        return err->code;
    bh_buf_adds(b, "SHELL [");
    for (size_t i = 0; i < site->image.config.shell.n; i++)
        bh_buf_addf(b, "%s%s", i > 0 ? " " : "", site->image.config.shell.v[i]);
    bh_buf_addc(b, ']');
    return row(site, b, err);
}

static int step_expose(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                       struct bh_err *err) {
    struct bh_strlist own = {0};

    for (size_t i = 0; i < in->words.n; i++) {
        const char *port = bh_ports_exposed(in->words.v[i].s);

        if (bh_ports_add(&own, &site->arena, port, err) != 0 ||
            bh_ports_add(&site->image.config.exposed_ports, &site->arena, port, err) != 0)
            return bh_err_prefix(err, "line %u", in->at.line);
    }
    bh_buf_adds(b, "EXPOSE map[");
    for (size_t i = 0; i < own.n; i++)
        bh_buf_addf(b, "%s%s:{}", i > 0 ? " " : "", own.v[i]);
    bh_buf_addc(b, ']');
    return row(site, b, err);
}

static int step_volume(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                       struct bh_err *err) {
    bh_buf_adds(b, "VOLUME [");
    for (size_t i = 0; i < in->words.n; i++) {
        if (bh_strlist_add_sorted(&site->image.config.volumes, &site->arena, in->words.v[i].s, err) != 0)
            return err->code;
        bh_buf_addf(b, "%s%s", i > 0 ? " " : "", in->words.v[i].s);
    }
    site->image.config.volumes.present = true;
    bh_buf_addc(b, ']');
    return row(site, b, err);
}

static int step_word(struct build_site *site, const struct build_instruction *in, const char **field, struct bh_buf *b,
                     struct bh_err *err) {
    if (keep(site, in->word.s, field, err) != 0)
        return err->code;
    bh_buf_addf(b, "%s %s", build_op_name(in->op), in->word.s);
    return row(site, b, err);
}

/* Go's Duration: "1m30s", "500ms", "0s". */
static void add_duration(struct bh_buf *b, int64_t ns) {
    const int64_t s = 1000000000;
    char text[40];

    if (ns < s) {
        if (ns == 0)
            snprintf(text, sizeof text, "0s");
        else if (ns % 1000000 == 0)
            snprintf(text, sizeof text, "%lldms", (long long)(ns / 1000000));
        else
            snprintf(text, sizeof text, "%.9gms", (double)ns / 1e6);
    } else {
        int64_t h = ns / (3600 * s), m = ns / (60 * s) % 60;
        double rest = (double)(ns % (60 * s)) / 1e9;

        if (h > 0)
            snprintf(text, sizeof text, "%lldh%lldm%.9gs", (long long)h, (long long)m, rest);
        else if (m > 0)
            snprintf(text, sizeof text, "%lldm%.9gs", (long long)m, rest);
        else
            snprintf(text, sizeof text, "%.9gs", rest);
    }
    bh_buf_addf(b, " \"%s\"", text);
}

/* A number as Go quotes a character. */
static void add_rune(struct bh_buf *b, int64_t n) {
    static const char *const names[] = {"\\a", "\\b", "\\t", "\\n", "\\v", "\\f", "\\r"};

    if (n >= 7 && n <= 13)
        bh_buf_addf(b, " '%s'", names[n - 7]);
    else if (n < 0x20 || n == 0x7f)
        bh_buf_addf(b, " '\\x%02x'", (unsigned)n);
    else if (n < 0x7f)
        bh_buf_addf(b, " '%s%c'", n == '\'' || n == '\\' ? "\\" : "", (char)n);
    else
        bh_buf_addf(b, " '\\u%04x'", (unsigned)n);
}

static int step_health(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                       struct bh_err *err) {
    const struct build_health *h = &in->health;
    struct bh_healthcheck *to = &site->image.config.healthcheck;
    struct bh_healthcheck made = {.present = true};

    if (bh_strlist_add(&made.test, &site->arena, h->none ? "NONE" : h->command.exec ? "CMD" : "CMD-SHELL", err) != 0)
        return err->code;
    for (size_t i = 0; !h->none && i < h->command.args.n; i++)
        if (bh_strlist_add(&made.test, &site->arena, h->command.args.v[i].s, err) != 0)
            return err->code;
    made.interval_ns = h->interval_ns;
    made.timeout_ns = h->timeout_ns;
    made.start_period_ns = h->start_period_ns;
    made.start_interval_ns = h->start_interval_ns;
    made.retries = h->retries;
    *to = made;
    bh_buf_adds(b, "HEALTHCHECK &{");
    add_quoted_list(b, &made.test);
    add_duration(b, made.interval_ns);
    add_duration(b, made.timeout_ns);
    add_duration(b, made.start_period_ns);
    add_duration(b, made.start_interval_ns);
    add_rune(b, made.retries);
    bh_buf_addc(b, '}');
    return row(site, b, err);
}

static int step_onbuild(struct build_site *site, const struct build_instruction *in, struct bh_buf *b,
                        struct bh_err *err) {
    if (bh_strlist_add(&site->image.config.on_build, &site->arena, in->onbuild.text, err) != 0)
        return err->code;
    bh_buf_addf(b, "ONBUILD %s", in->onbuild.text);
    return row(site, b, err);
}

static int one(struct build_site *site, const struct build_instruction *in, struct bh_buf *b, struct bh_err *err) {
    struct bh_run_config *c = &site->image.config;

    switch (in->op) {
    case BUILD_ENV:
        return step_env(site, in, b, err);
    case BUILD_LABEL:
        return step_label(site, in, b, err);
    case BUILD_ARG:
        return step_arg(site, in, b, err);
    case BUILD_CMD:
        return step_cmd(site, in, b, err);
    case BUILD_ENTRYPOINT:
        return step_entrypoint(site, in, b, err);
    case BUILD_SHELL:
        return step_shell(site, in, b, err);
    case BUILD_EXPOSE:
        return step_expose(site, in, b, err);
    case BUILD_VOLUME:
        return step_volume(site, in, b, err);
    case BUILD_USER:
        return step_word(site, in, &c->user, b, err);
    case BUILD_STOPSIGNAL:
        return step_word(site, in, &c->stop_signal, b, err);
    case BUILD_MAINTAINER:
        return step_word(site, in, &site->image.author, b, err);
    case BUILD_HEALTHCHECK:
        return step_health(site, in, b, err);
    case BUILD_ONBUILD:
        return step_onbuild(site, in, b, err);
    default:
        return bh_err_set(err, BH_E_INTERNAL, "no rule for %s", build_op_name(in->op));
    }
}

int build_step_meta(struct build_site *site, const struct build_instruction *in, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT_MAX(TEXT_MAX);
    struct build_instruction expanded;

    if (build_instruction_expand(in, &site->scope, &expanded, err) != 0)
        return err->code;
    return one(site, &expanded, &b, err);
}
