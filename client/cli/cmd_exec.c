/*
 * cmd_exec.c - `exec`: another command in a running container.
 *
 * Room: client.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/spec.h"
#include "cli/streams.h"
#include "cli/tty.h"

const struct cli_opt cmd_exec_opts[] = {
    {.name = "detach", .letter = 'd', .kind = CLI_BOOL, .help = "Run it in the background"},
    {.name = "detach-keys", .kind = CLI_STRING, .help = "Keys that detach from it"},
    {.name = "env", .letter = 'e', .kind = CLI_LIST, .help = "Set an environment variable"},
    {.name = "env-file", .kind = CLI_LIST, .help = "Read environment variables from a file", .complete = "file"},
    {.name = "interactive", .letter = 'i', .kind = CLI_BOOL, .help = "Keep standard input open"},
    {.name = "privileged", .kind = CLI_BOOL, .help = "Give it all capabilities (administrators)"},
    {.name = "tty", .letter = 't', .kind = CLI_BOOL, .help = "Give it a terminal"},
    {.name = "user", .letter = 'u', .kind = CLI_STRING, .help = "User, as NAME|UID[:GROUP|GID]"},
    {.name = "workdir", .letter = 'w', .kind = CLI_STRING, .help = "Working folder in the container"},
    {0},
};

static int request_of(const struct cli_args *args, bulkhead_value **out, struct bh_err *err) {
    bulkhead_value *request, *command = bulkhead_list_new(), *env = NULL;
    struct cli_tty_size size;

    if (cli_env_of(args, &env, err) != 0) {
        bulkhead_value_free(command);
        return err->code;
    }
    request = bulkhead_map_new();
    bulkhead_set_str(request, "container", args->operands[0]);
    for (int i = 1; i < args->operand_count; i++)
        bulkhead_add_str(command, args->operands[i]);
    bulkhead_set(request, "command", command);
    bulkhead_set(request, "env", env);
    bulkhead_set_str(request, "workdir", cli_str(args, "workdir"));
    bulkhead_set_str(request, "user", cli_str(args, "user"));
    bulkhead_set_bool(request, "tty", cli_bool(args, "tty"));
    bulkhead_set_bool(request, "privileged", cli_bool(args, "privileged"));
    bulkhead_set_bool(request, "detach", cli_bool(args, "detach"));
    if (cli_bool(args, "tty") && cli_tty_size(1, &size)) {
        bulkhead_set_uint(request, "tty_rows", size.rows);
        bulkhead_set_uint(request, "tty_cols", size.columns);
    }
    *out = request;
    return 0;
}

/* As docker: 126 for a session that cannot be (a user, a folder), 127 for a program that is not there, 1 when there is
 * no running container to have one. */
static int failed(struct cli_ctx *ctx, const struct bulkhead_error *error) {
    uint64_t code;
    int status = cli_fail_engine(ctx, error);

    if (bh_str_starts(error->reason, "exit-") && bh_str_u64(error->reason + 5, &code))
        return code == 127 ? 127 : 126;
    return strcmp(error->reason, "not-running") != 0 && error->code == BULKHEAD_INVALID ? 126 : status;
}

/* Starts it with the descriptors; *out_id is its id for ExecWait and ExecResize. */
static int start(struct cli_ctx *ctx, bulkhead_value *request, const int *theirs, char **out_id) {
    struct bulkhead_error error = {0};
    bulkhead_value *reply = NULL;
    bulkhead_stream *call = NULL;
    unsigned bits = 0, n = 0;
    int fds[3], r;

    for (unsigned i = 0; theirs != NULL && i < 3; i++) {
        if (theirs[i] >= 0) {
            bits |= 1U << i;
            fds[n++] = theirs[i];
        }
    }
    bulkhead_set_uint(request, "stdio", bits);
    r = bulkhead_stream_open(cli_engine(ctx), "runtime", "ContainerExec", request, fds, n, &call, &error);
    if (r == 0)
        r = bulkhead_stream_finish(call, &reply, &error);
    bulkhead_stream_free(call);
    if (r != 0)
        return failed(ctx, &error);
    *out_id = bh_xstrdup(bulkhead_get_str(reply, "exec_id"));
    bulkhead_value_free(reply);
    return 0;
}

static int exit_code(struct cli_ctx *ctx, const char *exec_id) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int status;

    bulkhead_set_str(request, "exec_id", exec_id);
    if ((status = cli_call_take(ctx, "runtime", "ExecWait", request, &reply)) == 0)
        status = (int)bulkhead_get_int(reply, "exit_code");
    bulkhead_value_free(reply);
    return status;
}

static int session(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *request) {
    struct cli_streams_options options = {.in = cli_bool(args, "interactive"),
                                          .out = true,
                                          .err = true,
                                          .tty = cli_bool(args, "tty"),
                                          .detach_keys = cli_str(args, "detach-keys")};
    struct cli_streams_peer peer = {.ctx = ctx, .service_resize = "ExecResize", .key = "exec_id"};
    struct bh_err err = BH_ERR_INIT;
    struct cli_streams *s = NULL;
    enum cli_streams_end end;
    char *id = NULL;
    int status;

    if (cli_streams_open(&options, &s, &err) != 0)
        return cli_fail(ctx->out, &err);
    if ((status = start(ctx, request, cli_streams_theirs(s), &id)) != 0) {
        cli_streams_free(s);
        return status;
    }
    cli_streams_started(s);
    peer.id = id;
    end = cli_streams_run(s, &peer);
    cli_streams_free(s);
    if (end == CLI_STREAMS_UNREAD)
        status = CLI_EXIT_FAILED;
    else if (end != CLI_STREAMS_DETACHED)
        status = exit_code(ctx, id);
    free(id);
    return status;
}

int cmd_exec(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = NULL;
    struct bh_err err = BH_ERR_INIT;
    char *id = NULL;
    int status;

    if (!cli_bool(args, "detach") && cli_tty_need(0, cli_bool(args, "tty"), cli_bool(args, "interactive"), &err) != 0)
        return cli_fail(ctx->out, &err);
    if (request_of(args, &request, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (cli_engine(ctx) == NULL)
        status = CLI_EXIT_FAILED;
    else
        status = cli_bool(args, "detach") ? start(ctx, request, NULL, &id) : session(ctx, args, request);
    bulkhead_value_free(request);
    free(id);
    return status;
}
