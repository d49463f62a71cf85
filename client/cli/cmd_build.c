/*
 * cmd_build.c - `build`: the options, and one build from the first look at the Dockerfile to the result.
 *
 * Room: client.  The Dockerfile is checked by the build room before anything else travels; only files that
 * it can need leave the machine, and of those only what the store lacks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/build_agent.h"
#include "cli/build_input.h"
#include "cli/build_output.h"
#include "cli/build_view.h"
#include "cli/cmd.h"
#include "cli/context.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "oci/ref.h"
#include "cli/spec.h"

#define IMAGE_CONTEXT "docker-image://"

const struct cli_opt cmd_build_opts[] = {
    {.name = "add-host", .kind = CLI_LIST, .help = "Add a name to /etc/hosts of RUN, as HOST:IP"},
    {.name = "allow", .kind = CLI_LIST, .flags = CLI_OPT_LATER, .help = "Allow an entitlement"},
    {.name = "annotation", .kind = CLI_LIST, .help = "Add an annotation to the image's manifest"},
    {.name = "attest", .kind = CLI_LIST, .flags = CLI_OPT_LATER, .help = "Attach an attestation"},
    {.name = "build-arg", .kind = CLI_LIST, .help = "Set a build argument, as NAME[=VALUE]"},
    {.name = "build-arg-file",
     .kind = CLI_LIST,
     .help = "Read build arguments from a file of NAME=VALUE lines",
     .metavar = "file",
     .complete = "file"},
    {.name = "build-context",
     .kind = CLI_LIST,
     .help = "Add a named context, as NAME=FOLDER, NAME=ARCHIVE or NAME=docker-image://IMAGE"},
    {.name = "builder", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Use another builder"},
    {.name = "cache-from", .kind = CLI_LIST, .help = "Look for cached layers in this image too"},
    {.name = "cache-to", .kind = CLI_LIST, .flags = CLI_OPT_LATER, .help = "Send the cache somewhere"},
    {.name = "call",
     .kind = CLI_STRING,
     .help = "What to do",
     .def = "build",
     .complete = "build|check|outline|targets"},
    {.name = "cap-add", .kind = CLI_LIST, .help = "Add a capability to RUN"},
    {.name = "cgroup-parent", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Cgroup that RUN is in"},
    {.name = "check", .kind = CLI_BOOL, .help = "Check the Dockerfile and build nothing"},
    {.name = "compress", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Compress the context"},
    {.name = "cpu-period", .kind = CLI_INT, .flags = CLI_OPT_LATER, .help = "Period of the scheduler for RUN"},
    {.name = "cpu-quota", .kind = CLI_INT, .flags = CLI_OPT_LATER, .help = "Quota of the scheduler for RUN"},
    {.name = "cpu-shares", .letter = 'c', .kind = CLI_INT, .flags = CLI_OPT_LATER, .help = "Weight of RUN"},
    {.name = "cpus", .kind = CLI_FLOAT, .help = "Number of processors for RUN", .def = "0"},
    {.name = "cpuset-cpus", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Processors for RUN"},
    {.name = "cpuset-mems", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Memory nodes for RUN"},
    {.name = "disable-content-trust", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Skip image verification"},
    {.name = "file",
     .letter = 'f',
     .kind = CLI_STRING,
     .help = "Name of the Dockerfile (default PATH/Dockerfile), - for standard input",
     .metavar = "file",
     .complete = "file"},
    {.name = "force-rm", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Always remove intermediate containers"},
    {.name = "format",
     .kind = CLI_STRING,
     .help = "With --check: text or json",
     .def = "text",
     .complete = "text|json"},
    {.name = "ignorefile",
     .kind = CLI_STRING,
     .help = "Use this file, not .dockerignore",
     .metavar = "file",
     .complete = "file"},
    {.name = "iidfile",
     .kind = CLI_STRING,
     .help = "Write the image's ID into this file",
     .metavar = "file",
     .complete = "file"},
    {.name = "isolation", .kind = CLI_STRING, .flags = CLI_OPT_IGNORED, .help = "Isolation technology"},
    {.name = "jobs", .kind = CLI_INT, .help = "Build so many stages at once", .def = "0"},
    {.name = "label", .kind = CLI_LIST, .help = "Set a label of the image"},
    {.name = "load",
     .kind = CLI_BOOL,
     .flags = CLI_OPT_IGNORED,
     .help = "Put the result into the image list, as always"},
    {.name = "memory", .letter = 'm', .kind = CLI_BYTES, .help = "Memory limit of RUN", .def = "0"},
    {.name = "memory-swap", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Memory and swap of RUN"},
    {.name = "metadata-file",
     .kind = CLI_STRING,
     .help = "Write what the build made into this file",
     .metavar = "file",
     .complete = "file"},
    {.name = "network",
     .kind = CLI_STRING,
     .help = "Network of RUN",
     .def = "default",
     .complete = "default|none|host"},
    {.name = "no-cache", .kind = CLI_BOOL, .help = "Do not use the cache"},
    {.name = "no-cache-filter", .kind = CLI_LIST, .help = "Do not use the cache for this stage"},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .help = "Where the result goes: a folder, -, or type=image|docker|oci|tar|local,dest=.."},
    {.name = "platform", .kind = CLI_LIST, .help = "Platforms of the result, as OS/ARCH[/VARIANT]"},
    {.name = "progress",
     .kind = CLI_STRING,
     .help = "How to show progress",
     .def = "auto",
     .complete = "auto|plain|tty|quiet|rawjson"},
    {.name = "provenance", .kind = CLI_STRING, .help = "Attach provenance: false, others come later"},
    {.name = "pull", .kind = CLI_BOOL, .help = "Always look for newer base images"},
    {.name = "push", .kind = CLI_BOOL, .help = "Push the result"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Print only the image's ID"},
    {.name = "rm", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Remove intermediate containers", .def = "true"},
    {.name = "sbom", .kind = CLI_STRING, .help = "Attach a list of parts: false, others come later"},
    {.name = "secret", .kind = CLI_LIST, .help = "A secret for RUN --mount=type=secret, as id=ID[,src=FILE|,env=NAME]"},
    {.name = "security-opt", .kind = CLI_LIST, .help = "Security options of RUN"},
    {.name = "shm-size", .kind = CLI_BYTES, .help = "Size of /dev/shm of RUN", .def = "0"},
    {.name = "source-date-epoch", .kind = CLI_STRING, .help = "Seconds since 1970 that the image tells as its time"},
    {.name = "squash", .kind = CLI_BOOL, .help = "Make one layer of the new ones"},
    {.name = "ssh", .kind = CLI_LIST, .help = "An agent for RUN --mount=type=ssh, as default|ID[=SOCKET]"},
    {.name = "tag", .letter = 't', .kind = CLI_LIST, .help = "Name of the image, as NAME[:TAG]"},
    {.name = "target", .kind = CLI_STRING, .help = "Build this stage"},
    {.name = "ulimit", .kind = CLI_LIST, .help = "Limits of RUN, as NAME=SOFT[:HARD]"},
    {0},
};

struct build {
    struct cli_ctx *ctx;
    const struct cli_args *args;
    struct build_input input;
    struct build_output output;
    struct build_agents agents;
    struct build_view *view;
    bulkhead_value *check; /* CheckReply */
    char *context_id;
    char *image_id, *manifest_digest, *build_id;
};

static void build_fini(struct build *x) {
    build_input_fini(&x->input);
    build_output_fini(&x->output);
    build_agents_fini(&x->agents);
    build_view_free(x->view);
    bulkhead_value_free(x->check);
    free(x->context_id);
    free(x->image_id);
    free(x->manifest_digest);
    free(x->build_id);
}

/* ---- the first look ------------------------------------------------------------------------ */

static bulkhead_value *pair(const char *key, const char *value) {
    bulkhead_value *p = bulkhead_map_new();

    bulkhead_set_str(p, "key", key);
    bulkhead_set_str(p, "value", value);
    return p;
}

/* NAME=VALUE, or NAME of the environment (left out when it is not set, as docker does). */
static void add_arg(bulkhead_value *list, const char *text) {
    const char *eq = strchr(text, '=');
    char *name BH_SCOPE_FREE = bh_xstrndup(text, eq != NULL ? (size_t)(eq - text) : strlen(text));
    const char *value = eq != NULL ? eq + 1 : getenv(name);

    if (value != NULL)
        bulkhead_add(list, pair(name, value));
}

static int add_arg_file(bulkhead_value *list, const char *path, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    char *save = NULL;

    if (bh_file_read(AT_FDCWD, path, (size_t)1 << 20, &text, err) != 0)
        return err->code;
    if (text.len == 0)
        return 0;
    for (char *line = strtok_r(text.data, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            add_arg(list, line);
    }
    return 0;
}

static int set_build_args(const struct build *x, bulkhead_value *request, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();
    int r = 0;

    for (size_t i = 0; r == 0 && i < cli_count(x->args, "build-arg-file"); i++)
        r = add_arg_file(list, cli_item(x->args, "build-arg-file", i), err);
    for (size_t i = 0; i < cli_count(x->args, "build-arg"); i++)
        add_arg(list, cli_item(x->args, "build-arg", i));
    bulkhead_set(request, "build_arg", list);
    return r;
}

static void set_pairs(const struct cli_args *args, const char *option, bulkhead_value *request, const char *field) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, option); i++) {
        const char *text = cli_item(args, option, i), *eq = strchr(text, '=');
        char *key BH_SCOPE_FREE = bh_xstrndup(text, eq != NULL ? (size_t)(eq - text) : strlen(text));

        bulkhead_add(list, pair(key, eq != NULL ? eq + 1 : ""));
    }
    bulkhead_set(request, field, list);
}

/* Several in one option stand between commas. */
static bulkhead_value *platforms_of(const struct cli_args *args) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "platform"); i++) {
        char *copy BH_SCOPE_FREE = bh_xstrdup(cli_item(args, "platform", i)), *save = NULL;

        for (char *one = strtok_r(copy, ", ", &save); one != NULL; one = strtok_r(NULL, ", ", &save))
            bulkhead_add_str(list, one);
    }
    return list;
}

static int check(struct build *x) {
    bulkhead_value *request = bulkhead_map_new(), *platforms = platforms_of(x->args);
    struct bh_err err = BH_ERR_INIT;

    bulkhead_set_bytes(request, "dockerfile", bh_buf_str(&x->input.dockerfile), x->input.dockerfile.len);
    bulkhead_set_str(request, "name", x->input.name);
    bulkhead_set_str(request, "target", cli_str(x->args, "target"));
    bulkhead_set_str(request, "platform", bulkhead_str(bulkhead_at(platforms, 0)));
    bulkhead_value_free(platforms);
    if (set_build_args(x, request, &err) != 0) {
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
static int refuse(struct build *x) {
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

static int only_list(struct build *x, bool targets) {
    const bulkhead_value *list = bulkhead_get(x->check, targets ? "stage" : "arg");

    for (size_t i = 0; i < bulkhead_count(list); i++) {
        const bulkhead_value *row = bulkhead_at(list, i);

        cli_put_word(x->ctx->out, bulkhead_get_str(row, targets ? "name" : "key"));
        cli_put(x->ctx->out, "\t");
        cli_put_word(x->ctx->out, bulkhead_get_str(row, targets ? "from" : "value"));
        cli_put(x->ctx->out, "\n");
    }
    return 0;
}

/* ---- contexts ------------------------------------------------------------------------------ */

static int send_context(struct build *x) {
    const bulkhead_value *needed = bulkhead_get(x->check, "context_path");
    struct cli_context_options o = {.root = x->input.folder, .ignore = x->input.ignore};
    const char **paths BH_SCOPE_FREE = NULL;
    int64_t started = bh_now_ns();
    char note[100], size[32];
    uint64_t sent = 0;
    int status;

    if (x->input.folder == NULL || bulkhead_count(needed) == 0)
        return 0;
    paths = bh_xcalloc(bulkhead_count(needed), sizeof *paths);
    for (size_t i = 0; i < bulkhead_count(needed); i++)
        paths[i] = bulkhead_str(bulkhead_at(needed, i));
    o.needed = paths;
    o.n_needed = bulkhead_count(needed);
    status = cli_context_send(x->ctx, &o, &x->context_id, &sent);
    if (status != 0)
        return status;
    bh_human_size(size, sizeof size, sent, 4);
    snprintf(note, sizeof note, "transferring context: %s done", size);
    build_view_own(x->view, "[internal] load build context", note, started);
    return 0;
}

static bool uses_name(const bulkhead_value *names, const char *name) {
    for (size_t i = 0; i < bulkhead_count(names); i++)
        if (strcmp(bulkhead_str(bulkhead_at(names, i)), name) == 0)
            return true;
    return false;
}

static int add_named(struct build *x, const char *text, bulkhead_value *list) {
    static const char *const all[] = {"/"};
    const char *eq = strchr(text, '=');
    char *name BH_SCOPE_FREE = NULL;
    char *id BH_SCOPE_FREE = NULL;
    struct cli_context_options o = {.needed = all, .n_needed = 1};
    bulkhead_value *item;
    uint64_t sent;
    int status;

    if (eq == NULL || eq == text || eq[1] == '\0')
        return cli_failf(x->ctx->out, CLI_EXIT_USAGE,
                         "invalid argument \"%s\" for \"--build-context\" flag: a context is NAME=VALUE", text);
    name = bh_xstrndup(text, (size_t)(eq - text));
    if (!uses_name(bulkhead_get(x->check, "context_name"), name))
        return 0;
    item = bulkhead_map_new();
    bulkhead_set_str(item, "name", name);
    if (bh_str_starts(eq + 1, IMAGE_CONTEXT)) {
        bulkhead_set_str(item, "reference", eq + 1 + strlen(IMAGE_CONTEXT));
    } else {
        struct build_input named = {0};
        struct bh_err err = BH_ERR_INIT;

        if (build_input_named(&named, eq + 1, &err) != 0) {
            status = cli_fail(x->ctx->out, &err);
        } else {
            o.root = named.folder;
            status = cli_context_send(x->ctx, &o, &id, &sent);
        }
        build_input_fini(&named);
        if (status != 0) {
            bulkhead_value_free(item);
            return status;
        }
        bulkhead_set_str(item, "context", id);
    }
    bulkhead_add(list, item);
    return 0;
}

static int set_named(struct build *x, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();
    int status = 0;

    for (size_t i = 0; status == 0 && i < cli_count(x->args, "build-context"); i++)
        status = add_named(x, cli_item(x->args, "build-context", i), list);
    bulkhead_set(request, "named", list);
    return status;
}

/* ---- secrets ------------------------------------------------------------------------------- */

struct secret_spec {
    char id[128], source[4096], env[256];
};

static int parse_secret(const char *text, struct secret_spec *out, struct bh_err *err) {
    char *copy BH_SCOPE_FREE = bh_xstrdup(text);
    char *save = NULL;

    memset(out, 0, sizeof *out);
    for (char *part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(part, '=');
        bool good = eq != NULL;

        if (good)
            *eq++ = '\0';
        if (good && strcmp(part, "id") == 0)
            good = bh_str_copy(out->id, sizeof out->id, eq);
        else if (good && (strcmp(part, "src") == 0 || strcmp(part, "source") == 0))
            good = bh_str_copy(out->source, sizeof out->source, eq);
        else if (good && strcmp(part, "env") == 0)
            good = bh_str_copy(out->env, sizeof out->env, eq);
        else if (good)
            good = strcmp(part, "type") == 0 && (strcmp(eq, "file") == 0 || strcmp(eq, "env") == 0);
        if (!good) {
            bh_err_set(err, BH_E_INVALID,
                       "invalid argument \"%.100s\" for \"--secret\" flag: id=ID[,src=FILE|,env=NAME]", text);
            return bh_err_reason(err, "usage");
        }
    }
    if (out->id[0] == '\0' && bh_str_copy(out->id, sizeof out->id, out->env) && out->id[0] == '\0')
        return bh_err_set(err, BH_E_INVALID, "--secret %.100s: it has no id", text);
    return 0;
}

/* Its value never stands on a command line or in a message. */
static int add_secret(const char *text, bulkhead_value *list, struct bh_err *err) {
    struct bh_buf value BH_SCOPE_BUF = BH_BUF_INIT;
    struct secret_spec spec;
    bulkhead_value *item;
    const char *env;

    if (parse_secret(text, &spec, err) != 0)
        return err->code;
    env = getenv(spec.env[0] != '\0' ? spec.env : spec.id);
    if (spec.source[0] == '\0' && env == NULL)
        return bh_err_set(err, BH_E_NOT_FOUND, "secret %s: no src= was given, and the environment has no %s", spec.id,
                          spec.env[0] != '\0' ? spec.env : spec.id);
    if (spec.source[0] == '\0')
        bh_buf_adds(&value, env);
    else if (bh_file_read(AT_FDCWD, spec.source, (size_t)512 << 10, &value, err) != 0)
        return bh_err_prefix(err, "secret %s", spec.id);
    item = bulkhead_map_new();
    bulkhead_set_str(item, "id", spec.id);
    bulkhead_set_bytes(item, "value", bh_buf_str(&value), value.len);
    bulkhead_add(list, item);
    if (value.data != NULL)
        explicit_bzero(value.data, value.cap);
    return 0;
}

static int set_secrets(const struct build *x, bulkhead_value *request, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();
    int r = 0;

    for (size_t i = 0; r == 0 && i < cli_count(x->args, "secret"); i++)
        r = add_secret(cli_item(x->args, "secret", i), list, err);
    bulkhead_set(request, "secret", list);
    return r;
}

/* ---- agents -------------------------------------------------------------------------------- */

static int open_agents(struct build *x, struct bh_err *err) {
    for (size_t i = 0; i < cli_count(x->args, "ssh"); i++)
        if (build_agents_add(&x->agents, cli_item(x->args, "ssh", i), err) != 0)
            return err->code;
    return 0;
}

static void set_agents(const struct build *x, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < x->agents.n; i++)
        bulkhead_add_str(list, build_agents_id(&x->agents, i));
    bulkhead_set(request, "ssh", list);
}

/* In the order of the protocol: the output, then the agents. */
static unsigned descriptors(const struct build *x, int fds[1 + BUILD_AGENTS_MAX]) {
    unsigned n = 0;

    if (x->output.fd >= 0)
        fds[n++] = x->output.fd;
    for (size_t i = 0; i < x->agents.n; i++)
        fds[n++] = build_agents_fd(&x->agents, i);
    return n;
}

/* ---- the request --------------------------------------------------------------------------- */

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

/* Is it a stage, or a context that was given? */
static bool is_own_name(const struct build *x, const char *name) {
    const bulkhead_value *stages = bulkhead_get(x->check, "stage");
    size_t n = strlen(name);

    for (size_t i = 0; i < bulkhead_count(stages); i++)
        if (strcmp(bulkhead_get_str(bulkhead_at(stages, i), "name"), name) == 0)
            return true;
    for (size_t i = 0; i < cli_count(x->args, "build-context"); i++) {
        const char *given = cli_item(x->args, "build-context", i);

        if (strncmp(given, name, n) == 0 && given[n] == '=')
            return true;
    }
    return false;
}

/* The images that a build may pull: bases, those of COPY --from and of mounts, those that stand for contexts. */
static size_t pulled_names(const struct build *x, const char **out) {
    const bulkhead_value *stages = bulkhead_get(x->check, "stage"), *used = bulkhead_get(x->check, "context_name");
    size_t n = 0;

    for (size_t i = 0; i < bulkhead_count(stages); i++)
        out[n++] = bulkhead_get_str(bulkhead_at(stages, i), "from");
    for (size_t i = 0; i < bulkhead_count(used); i++)
        if (!is_own_name(x, bulkhead_str(bulkhead_at(used, i))))
            out[n++] = bulkhead_str(bulkhead_at(used, i));
    for (size_t i = 0; i < cli_count(x->args, "build-context"); i++) {
        const char *image = strstr(cli_item(x->args, "build-context", i), "=" IMAGE_CONTEXT);

        if (image != NULL)
            out[n++] = image + strlen("=" IMAGE_CONTEXT);
    }
    return n;
}

/* Credentials for the images it is made of and, with --push, for its names. */
static int set_remote(struct build *x, bulkhead_value *request) {
    size_t tags = cli_count(x->args, "tag"), n_from;
    size_t most = bulkhead_count(bulkhead_get(x->check, "stage")) +
                  bulkhead_count(bulkhead_get(x->check, "context_name")) + cli_count(x->args, "build-context");
    const char **names BH_SCOPE_FREE = bh_xcalloc(most + tags + 1, sizeof *names);
    bool push = cli_bool(x->args, "push") || x->output.push;
    bulkhead_value *remote = NULL;
    int status;

    n_from = pulled_names(x, names);
    for (size_t i = 0; i < tags; i++)
        names[n_from + i] = cli_item(x->args, "tag", i);
    const struct cli_remote_names groups[] = {{CLI_REMOTE_PULL, names, n_from, NULL},
                                              {CLI_REMOTE_PUSH, names + n_from, push ? tags : 0, NULL}};
    status = cli_remote_make_all(x->ctx, x->args, groups, BH_ARRAY_LEN(groups), &remote);
    if (status == 0)
        bulkhead_set(request, "remote", remote);
    return status;
}

static void set_ignore(const struct build *x, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < x->input.n_ignore_lines; i++)
        bulkhead_add_str(list, x->input.ignore_lines[i]);
    bulkhead_set(request, "ignore", list);
}

/* Of -t, and what name= of the output says, between commas. */
static bulkhead_value *tags_of(const struct build *x) {
    bulkhead_value *list = bulkhead_list_new();
    char *copy BH_SCOPE_FREE = bh_xstrdup(x->output.name), *save = NULL;

    for (size_t i = 0; i < cli_count(x->args, "tag"); i++)
        bulkhead_add_str(list, cli_item(x->args, "tag", i));
    for (char *one = strtok_r(copy, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save))
        bulkhead_add_str(list, one);
    return list;
}

static void set_plain(const struct build *x, bulkhead_value *request) {
    const struct cli_args *args = x->args;

    bulkhead_set_bytes(request, "dockerfile", bh_buf_str(&x->input.dockerfile), x->input.dockerfile.len);
    bulkhead_set_str(request, "dockerfile_name", x->input.name);
    bulkhead_set_str(request, "context", x->context_id);
    bulkhead_set_str(request, "context_url", x->input.url);
    bulkhead_set_str(request, "target", cli_str(args, "target"));
    bulkhead_set(request, "tag", tags_of(x));
    bulkhead_set(request, "platform", platforms_of(args));
    cli_set_list(args, "no-cache-filter", request, "no_cache_filter");
    cli_set_list(args, "cache-from", request, "cache_from");
    cli_set_list(args, "ulimit", request, "ulimit");
    cli_set_list(args, "cap-add", request, "cap_add");
    set_pairs(args, "label", request, "label");
    set_pairs(args, "annotation", request, "annotation");
    bulkhead_set_bool(request, "no_cache", cli_bool(args, "no-cache"));
    bulkhead_set_bool(request, "pull", cli_bool(args, "pull"));
    bulkhead_set_bool(request, "squash", cli_bool(args, "squash"));
    bulkhead_set_bool(request, "push", cli_bool(args, "push") || x->output.push);
    bulkhead_set_str(request, "network", cli_str(args, "network"));
    bulkhead_set_uint(request, "shm_size", cli_bytes(args, "shm-size"));
    bulkhead_set_uint(request, "memory", cli_bytes(args, "memory"));
    bulkhead_set_uint(request, "nano_cpus", (uint64_t)(cli_float(args, "cpus") * 1e9));
    bulkhead_set_uint(request, "jobs", cli_int(args, "jobs") > 0 ? (uint64_t)cli_int(args, "jobs") : 0);
    bulkhead_set_str(request, "output", x->output.type);
    bulkhead_set_bool(request, "output_fd", x->output.fd >= 0);
}

static int make_request(struct build *x, bulkhead_value **out) {
    bulkhead_value *request = bulkhead_map_new();
    struct bh_err err = BH_ERR_INIT;
    int status = 0;

    set_plain(x, request);
    set_agents(x, request);
    set_ignore(x, request);
    if (set_build_args(x, request, &err) != 0 || set_secrets(x, request, &err) != 0 ||
        set_epoch(x, request, &err) != 0 || cli_security_of(x->args, request, &err) != 0 ||
        cli_hosts_of(x->args, request, &err) != 0)
        status = cli_fail(x->ctx->out, &err);
    if (status == 0)
        status = set_named(x, request);
    if (status == 0)
        status = set_remote(x, request);
    if (status != 0) {
        bulkhead_value_free(request);
        return status;
    }
    *out = request;
    return 0;
}

/* ---- the build ----------------------------------------------------------------------------- */

static void keep_text(char **to, const char *text) {
    if (text[0] == '\0')
        return;
    free(*to);
    *to = bh_xstrdup(text);
}

static int follow(struct build *x, bulkhead_stream *s, struct bulkhead_error *error) {
    for (;;) {
        bulkhead_value *event = NULL;

        if (bulkhead_stream_recv_value(s, &event, error) != 0)
            return error->code;
        if (event == NULL)
            return bulkhead_stream_finish(s, NULL, error);
        if (bulkhead_type_of(bulkhead_get(event, "problem")) == BULKHEAD_MAP)
            build_view_problem(x->ctx, bulkhead_get(event, "problem"));
        keep_text(&x->image_id, bulkhead_get_str(event, "image_id"));
        keep_text(&x->manifest_digest, bulkhead_get_str(event, "manifest_digest"));
        keep_text(&x->build_id, bulkhead_get_str(event, "build_id"));
        build_view_event(x->view, event);
        bulkhead_value_free(event);
    }
}

static int run_build(struct build *x, bulkhead_value *take_request) {
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(x->ctx);
    bulkhead_stream *s = NULL;
    int fds[1 + BUILD_AGENTS_MAX];
    unsigned n_fds = descriptors(x, fds);
    int r;

    if (b == NULL) {
        bulkhead_value_free(take_request);
        return CLI_EXIT_FAILED;
    }
    r = bulkhead_stream_open(b, "build", "Build", take_request, fds, n_fds, &s, &error);
    bulkhead_value_free(take_request);
    build_output_given(&x->output);
    build_agents_given(&x->agents);
    if (r == 0)
        r = follow(x, s, &error);
    bulkhead_stream_free(s);
    build_view_end(x->view, r != 0);
    if (r == 0)
        return 0;
    if (!bh_str_starts(error.message, "failed to solve")) {
        char text[sizeof error.message];

        snprintf(text, sizeof text, "failed to solve: %.*s", (int)(sizeof text - 20), error.message);
        memcpy(error.message, text, sizeof text);
    }
    return cli_fail_engine(x->ctx, &error);
}

static int write_file(struct build *x, const char *path, const char *text) {
    struct bh_err err = BH_ERR_INIT;

    if (path == NULL || path[0] == '\0')
        return 0;
    return bh_file_replace(AT_FDCWD, path, text, strlen(text), 0644, false, &err) == 0 ? 0
                                                                                       : cli_fail(x->ctx->out, &err);
}

static int write_metadata(struct build *x) {
    const char *path = cli_str(x->args, "metadata-file");
    char *text BH_SCOPE_FREE = NULL;
    struct bh_buf names BH_SCOPE_BUF = BH_BUF_INIT;
    json_t *o;

    if (path == NULL || path[0] == '\0')
        return 0;
    for (size_t i = 0; i < cli_count(x->args, "tag"); i++)
        bh_buf_addf(&names, "%s%s", i > 0 ? "," : "", cli_item(x->args, "tag", i));
    if (x->output.name[0] != '\0')
        bh_buf_addf(&names, "%s%s", names.len > 0 ? "," : "", x->output.name);
    o = json_object();
    json_object_set_new(o, "buildx.build.ref", json_string(x->build_id != NULL ? x->build_id : ""));
    json_object_set_new(o, "containerimage.config.digest", json_string(x->image_id != NULL ? x->image_id : ""));
    json_object_set_new(o, "containerimage.digest", json_string(x->manifest_digest != NULL ? x->manifest_digest : ""));
    json_object_set_new(o, "image.name", json_string(bh_buf_str(&names)));
    text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    return write_file(x, path, text);
}

static int finish(struct build *x) {
    int status = build_output_finish(&x->output, x->ctx);

    if (status == 0 && x->image_id != NULL)
        status = write_file(x, cli_str(x->args, "iidfile"), x->image_id);
    if (status == 0)
        status = write_metadata(x);
    if (status == 0 && cli_bool(x->args, "quiet") && x->image_id != NULL)
        cli_put(x->ctx->out, "%s\n", x->image_id);
    return status;
}

static int build(struct build *x, enum build_view_mode mode) {
    const char *call = cli_bool(x->args, "check") ? "check" : cli_str(x->args, "call");
    int64_t started = bh_now_ns();
    bulkhead_value *request = NULL;
    char note[80];
    int status;

    if (x->input.url == NULL && (status = check(x)) != 0)
        return status;
    if (strcmp(call, "check") == 0)
        return only_check(x);
    if (bulkhead_get_bool(x->check, "failed"))
        return refuse(x);
    if (strcmp(call, "build") != 0)
        return only_list(x, strcmp(call, "targets") == 0);
    x->view = build_view_new(x->ctx, mode, x->input.name);
    snprintf(note, sizeof note, "transferring dockerfile: %zuB done", x->input.dockerfile.len);
    build_view_own(x->view, "[internal] load build definition from Dockerfile", note, started);
    if ((status = send_context(x)) != 0 || (status = make_request(x, &request)) != 0)
        return status;
    if ((status = run_build(x, request)) != 0)
        return status;
    return finish(x);
}

/* What the engine would refuse only after the file was read. */
static int check_attestation(const struct cli_args *args, const char *option, struct bh_err *err) {
    const char *value = cli_str(args, option);

    if (value == NULL || value[0] == '\0' || strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        return 0;
    bh_err_set(err, BH_E_UNIMPLEMENTED, "--%s=%.100s: attestations are not made yet", option, value);
    return bh_err_hint(err, "--%s=false, or nothing", option);
}

static int check_options(const struct cli_args *args, struct bh_err *err) {
    static const char *const calls[] = {"build", "check", "outline", "targets"};
    const char *call = cli_str(args, "call");
    bool known = false;

    if (check_attestation(args, "provenance", err) != 0 || check_attestation(args, "sbom", err) != 0)
        return err->code;
    for (size_t i = 0; i < BH_ARRAY_LEN(calls); i++)
        known = known || strcmp(call, calls[i]) == 0;
    if (!known) {
        bh_err_set(err, BH_E_INVALID,
                   "invalid argument \"%.100s\" for \"--call\" flag: it is build, check, outline or"
                   " targets",
                   call);
        return bh_err_reason(err, "usage");
    }
    for (size_t i = 0; i < cli_count(args, "tag"); i++) {
        const char *text = cli_item(args, "tag", i);
        struct bh_err why = BH_ERR_INIT;
        struct bh_ref ref;

        if (bh_ref_parse(text, &ref, &why) == 0 && bh_ref_check_target(&ref, &why) == 0)
            continue;
        bh_err_set(err, BH_E_INVALID, "invalid argument \"%.200s\" for \"-t, --tag\" flag: %s", text, why.msg);
        return bh_err_reason(err, "usage");
    }
    for (size_t i = 0; i < cli_count(args, "ulimit"); i++) {
        const char *text = cli_item(args, "ulimit", i), *eq = strchr(text, '=');

        if (eq != NULL && eq > text && eq[1] != '\0' && eq[1 + strspn(eq + 1, "0123456789:")] == '\0')
            continue;
        bh_err_set(err, BH_E_INVALID, "invalid argument \"%.200s\" for \"--ulimit\" flag: NAME=SOFT[:HARD]", text);
        return bh_err_reason(err, "usage");
    }
    return 0;
}

int cmd_build(struct cli_ctx *ctx, const struct cli_args *args) {
    struct build x = {.ctx = ctx, .args = args};
    struct bh_err err = BH_ERR_INIT;
    enum build_view_mode mode;
    int status;

    if (build_view_mode_parse(cli_str(args, "progress"), &mode, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (cli_bool(args, "quiet"))
        mode = BUILD_VIEW_QUIET;
    build_output_init(&x.output);
    if (check_options(args, &err) != 0 ||
        build_input_open(&x.input, args->operands[0], cli_str(args, "file"), cli_str(args, "ignorefile"), &err) != 0 ||
        build_output_open(&x.output, cli_str(args, "output"), &err) != 0 || open_agents(&x, &err) != 0)
        status = cli_fail(ctx->out, &err);
    else
        status = build(&x, mode);
    build_fini(&x);
    return status;
}
