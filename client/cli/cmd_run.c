/*
 * cmd_run.c - `run` and `create`.
 *
 * Room: client.  Exit codes are docker's: the command's own, 125 when the engine could not start it,
 * 126 and 127 when the command cannot be run or found.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/cmd_pull.h"
#include "cli/engine.h"
#include "cli/spec.h"
#include "cli/streams.h"
#include "cli/tty.h"
#include "oci/ref.h"

const struct cli_opt cmd_run_opts[] = {
    {.name = "detach", .letter = 'd', .kind = CLI_BOOL, .help = "Run in the background and print the ID"},
    {.name = "detach-keys", .kind = CLI_STRING, .help = "Keys that detach from the container"},
    {.name = "sig-proxy", .kind = CLI_BOOL, .help = "Pass signals on to the process", .def = "true"},
    {0},
};
const struct cli_opt cmd_create_opts[] = {{0}};

/* 125, or what the reason of the error says: "exit-126", "exit-127". */
static int start_status(const struct bulkhead_error *error) {
    uint64_t code;

    if (bh_str_starts(error->reason, "exit-") && bh_str_u64(error->reason + 5, &code) && code >= 125 && code <= 127)
        return (int)code;
    return CLI_EXIT_USAGE;
}

static int fail_125(struct cli_ctx *ctx, const struct bulkhead_error *error) {
    cli_fail_engine(ctx, error);
    return start_status(error);
}

/* The file is made before the container, so that a second run with the same file fails early. */
static int cidfile_make(struct cli_ctx *ctx, const char *path, int *out_fd) {
    *out_fd = -1;
    if (path == NULL || path[0] == '\0')
        return 0;
    *out_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (*out_fd >= 0)
        return 0;
    if (errno == EEXIST)
        return cli_failf(ctx->out, CLI_EXIT_USAGE,
                         "container ID file found, make sure the other container isn't running or delete %s", path);
    return cli_failf(ctx->out, CLI_EXIT_USAGE, "create %s: %s", path, strerror(errno));
}

static bool has_tag(const char *name) {
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;

    return bh_ref_parse(name, &ref, &ignored) == 0 && (ref.tag[0] != '\0' || ref.digest[0] != '\0');
}

/* A short name may have been pulled as another: that is the container's image then. */
static int pull(struct cli_ctx *ctx, const struct cli_args *args, bool missing, bulkhead_value *spec) {
    const struct cli_pull_for_run ask = {.name = args->operands[0],
                                         .platform = cli_str(args, "platform"),
                                         .quiet = cli_bool(args, "quiet"),
                                         .missing = missing};
    char *name BH_SCOPE_FREE = NULL;
    int status = cli_pull_for_run(ctx, &ask, &name);

    if (status == 0 && name != NULL)
        bulkhead_set_str(spec, "image", name);
    return status;
}

/* What `--pull` asks for before the first try: 0 or an exit status. */
static int pull_first(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *spec) {
    const char *when = cli_str(args, "pull");

    if (when[0] != '\0' && strcmp(when, "always") != 0 && strcmp(when, "missing") != 0 && strcmp(when, "never") != 0)
        return cli_failf(ctx->out, CLI_EXIT_USAGE,
                         "invalid pull option: '%s': must be one of \"always\", \"missing\" or \"never\"", when);
    if (strcmp(when, "always") != 0)
        return 0;
    return pull(ctx, args, false, spec);
}

/* Creates; an image that is not here is pulled once. */
/* Warnings of the engine are told as docker tells them. */
static int create_once(struct cli_ctx *ctx, const struct cli_args *args, bulkhead *b, const bulkhead_value *spec,
                       char **out_id, struct bulkhead_error *error) {
    const bulkhead_value *warnings;
    bulkhead_value *reply = NULL;
    int r = bulkhead_container_make(b, cli_str(args, "name"), spec, &reply, error);

    if (r != 0)
        return r;
    warnings = bulkhead_get(reply, "warning");
    for (size_t i = 0; i < bulkhead_count(warnings); i++)
        cli_say(ctx->out, "WARNING: %s", bulkhead_str(bulkhead_at(warnings, i)));
    *out_id = bh_xstrdup(bulkhead_get_str(reply, "id"));
    bulkhead_value_free(reply);
    return 0;
}

static int create(struct cli_ctx *ctx, const struct cli_args *args, bulkhead *b, bulkhead_value *spec, char **out_id) {
    struct bulkhead_error error = {0};

    if (create_once(ctx, args, b, spec, out_id, &error) == 0)
        return 0;
    if ((strcmp(error.reason, "no-such-image") != 0 && strcmp(error.reason, "wrong-platform") != 0) ||
        (strcmp(cli_str(args, "pull"), "missing") != 0 && cli_str(args, "pull")[0] != '\0'))
        return fail_125(ctx, &error);
    cli_say(ctx->out, "Unable to find image '%s%s' locally", args->operands[0],
            has_tag(args->operands[0]) ? "" : ":latest");
    if (pull(ctx, args, strcmp(error.reason, "no-such-image") == 0, spec) != 0)
        return CLI_EXIT_USAGE;
    error = (struct bulkhead_error){0};
    return create_once(ctx, args, b, spec, out_id, &error) == 0 ? 0 : fail_125(ctx, &error);
}

static int make(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *spec, char **out_id) {
    const char *cidfile = cli_str(args, "cidfile");
    bulkhead *b = cli_engine(ctx);
    int fd, status;

    if (b == NULL)
        return CLI_EXIT_USAGE;
    if ((status = cidfile_make(ctx, cidfile, &fd)) != 0)
        return status;
    status = pull_first(ctx, args, spec) != 0 ? CLI_EXIT_USAGE : create(ctx, args, b, spec, out_id);
    if (status == 0 && fd >= 0 && bh_write_all(fd, *out_id, strlen(*out_id)) != 0)
        status = cli_failf(ctx->out, CLI_EXIT_USAGE, "write %s: %s", cidfile, strerror(errno));
    if (fd >= 0) {
        close(fd);
        if (*out_id == NULL)
            unlink(cidfile);
    }
    return status;
}

int cmd_create(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bh_err err = BH_ERR_INIT;
    bulkhead_value *spec = NULL;
    char *id = NULL;
    int status;

    if (cli_spec_of(args, &spec, &err) != 0)
        return cli_fail(ctx->out, &err);
    bulkhead_set_bool(spec, "stdin_once", cli_bool(args, "interactive"));
    status = make(ctx, args, spec, &id);
    bulkhead_value_free(spec);
    if (status == 0)
        cli_put(ctx->out, "%s\n", id);
    free(id);
    return status;
}

static void discard(struct cli_ctx *ctx, const char *id) {
    struct bulkhead_error ignored = {0};
    bulkhead *b = cli_engine(ctx);

    /* The start has failed and been told; that its --rm clean-up fails too adds nothing. */
    if (b != NULL)
        (void)bulkhead_container_remove(b, id, true, &ignored);
}

static int run_detached(struct cli_ctx *ctx, const char *id, bool remove) {
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(ctx);

    if (bulkhead_container_start(b, id, NULL, &error) != 0) {
        int status = fail_125(ctx, &error);

        if (!remove) /* as docker: it is there, to be looked at and removed */
            cli_put(ctx->out, "%s\n", id);

        if (remove)
            discard(ctx, id);
        return status;
    }
    cli_put(ctx->out, "%s\n", id);
    return 0;
}

static int run_attached(struct cli_ctx *ctx, const struct cli_args *args, const bulkhead_value *spec, const char *id) {
    struct cli_streams_options options = {.in = bulkhead_get_bool(spec, "attach_stdin"),
                                          .out = bulkhead_get_bool(spec, "attach_stdout"),
                                          .err = bulkhead_get_bool(spec, "attach_stderr"),
                                          .tty = cli_bool(args, "tty"),
                                          .detach_keys = cli_str(args, "detach-keys"),
                                          .sig_proxy = cli_bool(args, "sig-proxy")};
    struct cli_streams_peer peer = {
        .ctx = ctx, .service_resize = "ContainerResize", .key = "container", .id = id, .kill_container = id};
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    struct cli_streams *s = NULL;
    bulkhead *b = cli_engine(ctx);
    enum cli_streams_end end;
    int code = 0;

    if (cli_streams_open(&options, &s, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (bulkhead_container_start(b, id, cli_streams_theirs(s), &error) != 0) {
        cli_streams_free(s);
        code = fail_125(ctx, &error);
        if (cli_bool(args, "rm"))
            discard(ctx, id);
        return code;
    }
    cli_streams_started(s);
    end = cli_streams_run(s, &peer);
    cli_streams_free(s);
    if (end == CLI_STREAMS_DETACHED)
        return 0;
    if (end == CLI_STREAMS_UNREAD)
        return CLI_EXIT_FAILED;
    if (bulkhead_container_wait(b, id, &code, &error) != 0)
        return fail_125(ctx, &error);
    return end == CLI_STREAMS_FAILED && code == 0 ? CLI_EXIT_FAILED : code;
}

int cmd_run(struct cli_ctx *ctx, const struct cli_args *args) {
    bool detach = cli_bool(args, "detach");
    struct bh_err err = BH_ERR_INIT;
    bulkhead_value *spec = NULL;
    char *id = NULL;
    int status;

    if (!detach && cli_tty_need(0, cli_bool(args, "tty"), cli_bool(args, "interactive"), &err) != 0)
        return cli_fail(ctx->out, &err);
    if (cli_spec_of(args, &spec, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (detach && cli_count(args, "attach") > 0) {
        bulkhead_value_free(spec);
        return cli_failf(ctx->out, CLI_EXIT_USAGE, "conflicting options: cannot specify both --attach and --detach");
    }
    if (detach) {
        bulkhead_set_bool(spec, "attach_stdin", false);
        bulkhead_set_bool(spec, "attach_stdout", false);
        bulkhead_set_bool(spec, "attach_stderr", false);
    }
    bulkhead_set_bool(spec, "stdin_once", !detach && cli_bool(args, "interactive"));
    status = make(ctx, args, spec, &id);
    if (status == 0)
        status = detach ? run_detached(ctx, id, cli_bool(args, "rm")) : run_attached(ctx, args, spec, id);
    bulkhead_value_free(spec);
    free(id);
    return status;
}
