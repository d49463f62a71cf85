/*
 * cmd_build.c - `build`: the options, and one build from the first look at the Dockerfile to the result.
 *
 * Room: client.  The Dockerfile is checked by the build room before anything else travels.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/build_int.h"
#include "cli/cmd.h"
#include "oci/ref.h"

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
     .help = "Add a named context: NAME=FOLDER, ARCHIVE, URL, docker-image://IMAGE, oci-layout://FOLDER[:TAG]"},
    {.name = "builder", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Use another builder"},
    {.name = "cache-from",
     .kind = CLI_LIST,
     .help = "Take results of steps from here too: an image, or type=registry|local,ref=..|src=.."},
    {.name = "cache-to",
     .kind = CLI_LIST,
     .help = "Send results of steps there: type=inline|registry|local,ref=..|dest=..,mode=min|max"},
    {.name = "call",
     .kind = CLI_STRING,
     .help = "What to do",
     .def = "build",
     .complete = "build|check|outline|targets"},
    {.name = "cap-add", .kind = CLI_LIST, .help = "Add a capability to RUN"},
    {.name = "cgroup-parent", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Cgroup that RUN is in"},
    {.name = "check", .kind = CLI_BOOL, .help = "Check the Dockerfile and build nothing"},
    {.name = "compress", .kind = CLI_BOOL, .flags = CLI_OPT_IGNORED, .help = "Compress the context"},
    {.name = "cpu-period", .kind = CLI_INT, .help = "Period of the scheduler for RUN"},
    {.name = "cpu-quota", .kind = CLI_INT, .help = "Quota of the scheduler for RUN"},
    {.name = "cpu-shares", .letter = 'c', .kind = CLI_INT, .help = "Weight of RUN"},
    {.name = "cpus", .kind = CLI_FLOAT, .help = "Number of processors for RUN", .def = "0"},
    {.name = "cpuset-cpus", .kind = CLI_STRING, .help = "Processors for RUN"},
    {.name = "cpuset-mems", .kind = CLI_STRING, .help = "Memory nodes for RUN"},
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
     .help = "With --check and --call: text or json",
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
    {.name = "memory-swap", .kind = CLI_STRING, .help = "Memory and swap of RUN, -1: all the swap"},
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
     .kind = CLI_LIST,
     .help = "Where the result goes: a folder, -, or type=image|registry|docker|oci|tar|local,dest=.."},
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

static void build_fini(struct build *x) {
    build_input_fini(&x->input);
    for (size_t i = 0; i < x->n_outputs; i++)
        build_output_fini(&x->outputs[i]);
    build_agents_fini(&x->agents);
    build_caches_fini(&x->caches);
    build_layouts_given(x);
    build_view_free(x->view);
    bulkhead_value_free(x->check);
    free(x->context_id);
    free(x->image_id);
    free(x->manifest_digest);
    free(x->build_id);
}

static int build(struct build *x, enum build_view_mode mode) {
    const char *call = cli_bool(x->args, "check") ? "check" : cli_str(x->args, "call");
    int64_t started = bh_now_ns();
    bulkhead_value *request = NULL;
    char note[80];
    int status;

    if (x->input.url != NULL && strcmp(call, "build") != 0)
        return cli_failf(x->ctx->out, CLI_EXIT_FAILED,
                         "--call=%s: the Dockerfile is in the archive, which is read by a build", call);
    if (x->input.url == NULL && (status = build_check(x)) != 0)
        return status;
    if (strcmp(call, "check") == 0)
        return build_check_show(x, call);
    if (bulkhead_get_bool(x->check, "failed"))
        return build_check_refuse(x);
    if (strcmp(call, "build") != 0)
        return build_check_show(x, call);
    x->view = build_view_new(x->ctx, mode, x->input.name);
    snprintf(note, sizeof note, "transferring dockerfile: %zuB done", x->input.dockerfile.len);
    build_view_own(x->view, "[internal] load build definition from Dockerfile", note, started);
    if ((status = build_send_context(x)) != 0 || (status = build_request_make(x, &request)) != 0)
        return status;
    if ((status = build_run(x, request)) != 0)
        return status;
    return build_result_finish(x);
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

static struct build_output *new_output(struct build *x, struct bh_err *err) {
    struct build_output *o = &x->outputs[x->n_outputs];

    if (x->n_outputs == BUILD_OUTPUTS_MAX) {
        bh_err_set(err, BH_E_LIMIT, "at most %d outputs of one build", BUILD_OUTPUTS_MAX);
        return NULL;
    }
    build_output_init(o);
    x->n_outputs++;
    return o;
}

/* --push is for the outputs that are images in the list; without one there is one more. */
static int open_push(struct build *x, struct bh_err *err) {
    bool found = false;
    struct build_output *o;

    for (size_t i = 0; i < x->n_outputs; i++)
        if (x->outputs[i].type[0] == '\0' || strcmp(x->outputs[i].type, "image") == 0)
            x->outputs[i].push = found = true;
    if (found)
        return 0;
    o = new_output(x, err);
    if (o != NULL)
        o->push = true;
    return err->code;
}

static int open_outputs(struct build *x, struct bh_err *err) {
    size_t n = cli_count(x->args, "output");
    unsigned to_stdout = 0;

    for (size_t i = 0; i < n || i == 0; i++) {
        struct build_output *o = new_output(x, err);
        const char *text = i < n ? cli_item(x->args, "output", i) : "";

        if (o == NULL || (text[0] != '\0' && build_output_open(o, text, err) != 0))
            return err->code;
    }
    for (size_t i = 0; i < x->n_outputs; i++)
        to_stdout += x->outputs[i].has_file && x->outputs[i].file.path[0] == '\0';
    if (to_stdout > 1)
        return bh_err_set(err, BH_E_INVALID, "only one output can go to standard output");
    return cli_bool(x->args, "push") ? open_push(x, err) : 0;
}

static int open_agents(struct build *x, struct bh_err *err) {
    for (size_t i = 0; i < cli_count(x->args, "ssh"); i++)
        if (build_agents_add(&x->agents, cli_item(x->args, "ssh", i), err) != 0)
            return err->code;
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
    build_caches_init(&x.caches);
    if (check_options(args, &err) != 0 ||
        build_input_open(&x.input, args->operands[0], cli_str(args, "file"), cli_str(args, "ignorefile"), &err) != 0 ||
        open_outputs(&x, &err) != 0 || open_agents(&x, &err) != 0 || build_caches_open(&x.caches, ctx, args, &err) != 0)
        status = cli_fail(ctx->out, &err);
    else
        status = build(&x, mode);
    build_fini(&x);
    return status;
}
