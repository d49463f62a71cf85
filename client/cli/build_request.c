/*
 * build_request.c - options of `build` -> BuildRequest of proto/build.proto.
 *
 * Room: client.  Checks only the form; what may be asked for is the engine's to decide.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/build_int.h"
#include "cli/engine.h"
#include "cli/list_file.h"
#include "cli/spec.h"

/* NAME=VALUE, or NAME of the environment (left out when it is not set, as docker does). */
static void add_arg(bulkhead_value *list, const char *text) {
    const char *own;

    if (strchr(text, '=') != NULL) {
        cli_add_pair(list, text);
    } else if ((own = getenv(text)) != NULL) {
        char *entry BH_SCOPE_FREE = bh_xasprintf("%s=%s", text, own);

        cli_add_pair(list, entry);
    }
}

int build_args_set(const struct cli_args *args, bulkhead_value *request, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();
    int r = 0;

    for (size_t i = 0; r == 0 && i < cli_count(args, "build-arg-file"); i++)
        r = cli_list_file("--build-arg-file", cli_item(args, "build-arg-file", i), add_arg, list, err);
    for (size_t i = 0; i < cli_count(args, "build-arg"); i++)
        add_arg(list, cli_item(args, "build-arg", i));
    bulkhead_set(request, "build_arg", list);
    return r;
}

/* The words of a text, with any of these separators between them. */
static void add_words(bulkhead_value *list, const char *text, const char *separators) {
    char *copy BH_SCOPE_FREE = bh_xstrdup(text), *save = NULL;

    for (char *one = strtok_r(copy, separators, &save); one != NULL; one = strtok_r(NULL, separators, &save))
        bulkhead_add_str(list, one);
}

/* Several in one option stand between commas. */
bulkhead_value *build_platforms_of(const struct cli_args *args) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "platform"); i++)
        add_words(list, cli_item(args, "platform", i), ", ");
    return list;
}

static void set_agents(const struct build *x, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < x->agents.n; i++)
        bulkhead_add_str(list, build_agents_id(&x->agents, i));
    bulkhead_set(request, "ssh", list);
}

static int set_epoch(const struct build *x, bulkhead_value *request, struct bh_err *err) {
    const char *text = cli_str(x->args, "source-date-epoch");
    int64_t seconds;

    if (text == NULL || text[0] == '\0')
        text = getenv("SOURCE_DATE_EPOCH");
    if (text == NULL || text[0] == '\0')
        return 0;
    if (!bh_str_i64(text, &seconds) || seconds < 0)
        return bh_err_set(err, BH_E_INVALID, "SOURCE_DATE_EPOCH \"%.80s\" is not a number of seconds", text);
    bulkhead_set_bool(request, "has_epoch", true);
    bulkhead_set_int(request, "source_date_epoch", seconds);
    return 0;
}

static void set_ignore(const struct build *x, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < x->input.n_ignore_lines; i++)
        bulkhead_add_str(list, x->input.ignore_lines[i]);
    bulkhead_set(request, "ignore", list);
}

bulkhead_value *build_tags_of(const struct build *x, const struct build_output *output) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(x->args, "tag"); i++)
        bulkhead_add_str(list, cli_item(x->args, "tag", i));
    for (size_t i = 0; i < x->n_outputs; i++)
        if (output == NULL || output == &x->outputs[i])
            add_words(list, x->outputs[i].name, ",");
    return list;
}

static void set_outputs(const struct build *x, bulkhead_value *request) {
    bulkhead_value *more = bulkhead_list_new();

    bulkhead_set(request, "tag", build_tags_of(x, &x->outputs[0]));
    bulkhead_set_str(request, "output", x->outputs[0].type);
    bulkhead_set_bool(request, "output_fd", x->outputs[0].fd >= 0);
    bulkhead_set_bool(request, "push", x->outputs[0].push);
    for (size_t i = 1; i < x->n_outputs; i++) {
        bulkhead_value *item = bulkhead_map_new();

        bulkhead_set(item, "name", build_tags_of(x, &x->outputs[i]));
        bulkhead_set_str(item, "type", x->outputs[i].type);
        bulkhead_set_bool(item, "fd", x->outputs[i].fd >= 0);
        bulkhead_set_bool(item, "push", x->outputs[i].push);
        bulkhead_add(more, item);
    }
    bulkhead_set(request, "more_output", more);
}

static void set_plain(const struct build *x, bulkhead_value *request) {
    const struct cli_args *args = x->args;

    bulkhead_set_bytes(request, "dockerfile", bh_buf_str(&x->input.dockerfile), x->input.dockerfile.len);
    bulkhead_set_str(request, "dockerfile_name", x->input.name);
    bulkhead_set_str(request, "context", x->context_id);
    bulkhead_set_str(request, "context_url", x->input.url);
    bulkhead_set_str(request, "target", cli_str(args, "target"));
    bulkhead_set(request, "platform", build_platforms_of(args));
    cli_set_list(args, "no-cache-filter", request, "no_cache_filter");
    build_caches_set(&x->caches, request);
    cli_set_list(args, "ulimit", request, "ulimit");
    cli_set_list(args, "cap-add", request, "cap_add");
    cli_set_pairs(args, "label", request, "label");
    cli_set_pairs(args, "annotation", request, "annotation");
    bulkhead_set_bool(request, "no_cache", cli_bool(args, "no-cache"));
    bulkhead_set_bool(request, "pull", cli_bool(args, "pull"));
    bulkhead_set_bool(request, "squash", cli_bool(args, "squash"));
    bulkhead_set_str(request, "network", cli_str(args, "network"));
    bulkhead_set_uint(request, "shm_size", cli_bytes(args, "shm-size"));
    bulkhead_set_uint(request, "jobs", cli_int(args, "jobs") > 0 ? (uint64_t)cli_int(args, "jobs") : 0);
    set_outputs(x, request);
}

int build_request_make(struct build *x, bulkhead_value **out) {
    bulkhead_value *request = bulkhead_map_new();
    struct bh_err err = BH_ERR_INIT;
    int status = 0;

    set_plain(x, request);
    set_agents(x, request);
    set_ignore(x, request);
    if (build_args_set(x->args, request, &err) != 0 || build_secrets_set(x->args, request, &err) != 0 ||
        set_epoch(x, request, &err) != 0 || cli_security_of(x->args, request, &err) != 0 ||
        cli_hosts_of(x->args, request, &err) != 0 || cli_build_limits_of(x->args, request, &err) != 0)
        status = cli_fail(x->ctx->out, &err);
    if (status == 0)
        status = build_send_named(x, request);
    if (status == 0)
        status = build_remote_set(x, request);
    if (status != 0) {
        bulkhead_value_free(request);
        return status;
    }
    *out = request;
    return 0;
}
