/*
 * build_check.c - the first look at a Dockerfile: what is wrong with it, what it needs; --check and --call show it.
 *
 * Room: client.  The build room reads the file; what it says about it is kept in the build.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/build_int.h"
#include "cli/engine.h"
#include "cli/table.h"

int build_check(struct build *x) {
    bulkhead_value *request = bulkhead_map_new(), *platforms = build_platforms_of(x->args);
    struct bh_err err = BH_ERR_INIT;

    bulkhead_set_bytes(request, "dockerfile", bh_buf_str(&x->input.dockerfile), x->input.dockerfile.len);
    bulkhead_set_str(request, "name", x->input.name);
    bulkhead_set_str(request, "target", cli_str(x->args, "target"));
    bulkhead_set_str(request, "platform", bulkhead_str(bulkhead_at(platforms, 0)));
    bulkhead_value_free(platforms);
    if (build_args_set(x->args, request, &err) != 0) {
        bulkhead_value_free(request);
        return cli_fail(x->ctx->out, &err);
    }
    return cli_call_take(x->ctx, "build", "Check", request, &x->check);
}

static size_t count_problems(const bulkhead_value *check, bool warnings) {
    const bulkhead_value *list = bulkhead_get(check, "problem");
    size_t n = 0;

    for (size_t i = 0; i < bulkhead_count(list); i++)
        n += bulkhead_get_bool(bulkhead_at(list, i), "warning") == warnings;
    return n;
}

static void show_problems(struct build *x, bool warnings) {
    const bulkhead_value *list = bulkhead_get(x->check, "problem");

    for (size_t i = 0; i < bulkhead_count(list); i++)
        if (bulkhead_get_bool(bulkhead_at(list, i), "warning") == warnings)
            build_view_problem(x->ctx, bulkhead_at(list, i));
}

/* The last line says it once more in the words that scripts look for. */
int build_check_refuse(struct build *x) {
    const bulkhead_value *list = bulkhead_get(x->check, "problem"), *first = NULL;
    const char *suggestion;
    char place[64] = "";
    uint64_t line;

    show_problems(x, false);
    for (size_t i = 0; first == NULL && i < bulkhead_count(list); i++)
        if (!bulkhead_get_bool(bulkhead_at(list, i), "warning"))
            first = bulkhead_at(list, i);
    if (first == NULL) /* warnings, and the file asks to fail on them */
        return cli_failf(x->ctx->out, CLI_EXIT_FAILED, "failed to solve: lint violation found");
    suggestion = bulkhead_get_str(first, "suggestion");
    line = bulkhead_get_uint(first, "line");
    if (line != 0)
        snprintf(place, sizeof place, "dockerfile parse error on line %llu: ", (unsigned long long)line);
    return cli_failf(x->ctx->out, CLI_EXIT_FAILED, "failed to solve: %s%s%s%s%s", place,
                     bulkhead_get_str(first, "message"), suggestion[0] != '\0' ? " (did you mean " : "", suggestion,
                     suggestion[0] != '\0' ? "?)" : "");
}

/* ---- --check, --call ----------------------------------------------------------------------- */

static int only_check(struct build *x) {
    size_t warnings = count_problems(x->check, true), errors = count_problems(x->check, false);

    if (strcmp(cli_str(x->args, "format"), "json") == 0) {
        char *text BH_SCOPE_FREE = bulkhead_to_json(x->check);

        cli_put(x->ctx->out, "%s\n", text);
    } else {
        show_problems(x, false);
        show_problems(x, true);
        if (warnings + errors == 0)
            cli_put(x->ctx->out, "Check complete, no warnings found.\n");
        else
            cli_put(x->ctx->out, "Check complete, %zu warning%s and %zu error%s found.\n", warnings,
                    warnings == 1 ? "" : "s", errors, errors == 1 ? "" : "s");
    }
    return bulkhead_get_bool(x->check, "failed") || errors > 0 ? CLI_EXIT_FAILED : 0;
}

/* ---- --call=outline, --call=targets: the tables of buildx ------------------------------------------- */

static void put_tabs(struct build *x, const struct bh_buf *text, size_t padding) {
    struct bh_buf laid BH_SCOPE_BUF = BH_BUF_INIT;

    cli_tabs_layout(bh_buf_str(text), text->len, 0, padding, &laid);
    cli_put_raw(x->ctx->out, bh_buf_str(&laid), laid.len);
}

/* Words of the file in a table's cell. */
static void add_cell(struct bh_buf *to, const char *word, const char *end) {
    size_t size = 4 * strlen(word) + 1;
    char *shown BH_SCOPE_FREE = bh_xmalloc(size);

    bh_str_escape(shown, size, word, strlen(word), false);
    bh_buf_addf(to, "%s%s", shown, end);
}

static void show_targets(struct build *x) {
    const bulkhead_value *list = bulkhead_get(x->check, "stage");
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    size_t n = bulkhead_count(list);

    bh_buf_adds(&text, "TARGET\tDESCRIPTION\n");
    for (size_t i = 0; i < n; i++) {
        const char *name = bulkhead_get_str(bulkhead_at(list, i), "name");

        add_cell(&text, name, "");
        if (i + 1 == n)
            bh_buf_adds(&text, name[0] != '\0' ? " (default)" : "(default)");
        bh_buf_adds(&text, "\t");
        add_cell(&text, bulkhead_get_str(bulkhead_at(list, i), "description"), "\n");
    }
    put_tabs(x, &text, 1);
}

static void show_target(struct build *x) {
    const bulkhead_value *list = bulkhead_get(x->check, "stage"), *target = NULL;
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    const char *description;

    for (size_t i = 0; i < bulkhead_count(list); i++)
        if (bulkhead_get_bool(bulkhead_at(list, i), "target"))
            target = bulkhead_at(list, i);
    if (target == NULL || bulkhead_get_str(target, "name")[0] == '\0')
        return;
    description = bulkhead_get_str(target, "description");
    bh_buf_adds(&text, "TARGET:\t");
    add_cell(&text, bulkhead_get_str(target, "name"), "\n");
    if (description[0] != '\0') {
        bh_buf_adds(&text, "DESCRIPTION:\t");
        add_cell(&text, description, "\n");
    }
    put_tabs(x, &text, 1);
    cli_put(x->ctx->out, "\n");
}

static void show_args(struct build *x) {
    const bulkhead_value *list = bulkhead_get(x->check, "outline");
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;

    if (bulkhead_count(list) == 0)
        return;
    bh_buf_adds(&text, "BUILD ARG\tVALUE\tDESCRIPTION\n");
    for (size_t i = 0; i < bulkhead_count(list); i++) {
        const bulkhead_value *arg = bulkhead_at(list, i);

        add_cell(&text, bulkhead_get_str(arg, "name"), "\t");
        add_cell(&text, bulkhead_get_str(arg, "value"), "\t");
        add_cell(&text, bulkhead_get_str(arg, "description"), "\n");
    }
    put_tabs(x, &text, 3);
    cli_put(x->ctx->out, "\n");
}

static bool is_among(const bulkhead_value *names, const char *name) {
    for (size_t i = 0; i < bulkhead_count(names); i++)
        if (strcmp(bulkhead_str(bulkhead_at(names, i)), name) == 0)
            return true;
    return false;
}

static void show_uses(struct build *x, const char *heading, const char *field, const char *required) {
    const bulkhead_value *list = bulkhead_get(x->check, field), *must = bulkhead_get(x->check, required);
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;

    if (bulkhead_count(list) == 0)
        return;
    bh_buf_addf(&text, "%s\tREQUIRED\n", heading);
    for (size_t i = 0; i < bulkhead_count(list); i++) {
        const char *name = bulkhead_str(bulkhead_at(list, i));

        add_cell(&text, name, is_among(must, name) ? "\ttrue\n" : "\t\n");
    }
    put_tabs(x, &text, 3);
    cli_put(x->ctx->out, "\n");
}

static void show_outline(struct build *x) {
    show_target(x);
    show_args(x);
    show_uses(x, "SECRET", "secret", "secret_required");
    show_uses(x, "SSH", "ssh", "ssh_required");
}

static int only_list(struct build *x, bool targets) {
    if (strcmp(cli_str(x->args, "format"), "json") == 0) {
        char *text BH_SCOPE_FREE = bulkhead_to_json(x->check);

        cli_put(x->ctx->out, "%s\n", text);
    } else if (targets) {
        show_targets(x);
    } else {
        show_outline(x);
    }
    return 0;
}

int build_check_show(struct build *x, const char *call) {
    return strcmp(call, "check") == 0 ? only_check(x) : only_list(x, strcmp(call, "targets") == 0);
}
