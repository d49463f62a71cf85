/*
 * cmd_life.c - the life of containers: start, attach, stop, restart, kill, pause, unpause, wait, rm, rename,
 * container prune.
 *
 * Room: client.  Each prints back the name it was given, as docker does; one that fails does not keep
 * the others from being tried.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/prune.h"
#include "cli/streams.h"
#include "cli/table.h"
#include "cli/tty.h"

static const char keys_help[] = "Keys that detach from the container";

const struct cli_opt cmd_start_opts[] = {
    {.name = "attach", .letter = 'a', .kind = CLI_BOOL, .help = "Attach to its output and pass signals on"},
    {.name = "checkpoint", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Restore from a checkpoint"},
    {.name = "checkpoint-dir", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Folder of checkpoints"},
    {.name = "detach-keys", .kind = CLI_STRING, .help = keys_help},
    {.name = "interactive", .letter = 'i', .kind = CLI_BOOL, .help = "Attach to its standard input"},
    {0},
};
const struct cli_opt cmd_attach_opts[] = {
    {.name = "detach-keys", .kind = CLI_STRING, .help = keys_help},
    {.name = "no-stdin", .kind = CLI_BOOL, .help = "Do not attach standard input"},
    {.name = "sig-proxy", .kind = CLI_BOOL, .help = "Pass signals on to the process", .def = "true"},
    {0},
};
const struct cli_opt cmd_stop_opts[] = {
    {.name = "signal", .letter = 's', .kind = CLI_STRING, .help = "Signal to send first"},
    {.name = "time", .kind = CLI_INT, .flags = CLI_OPT_HIDDEN, .help = "Old name of --timeout"},
    {.name = "timeout", .letter = 't', .kind = CLI_INT, .help = "Seconds to wait before it is killed; -1: for ever"},
    {0},
};
const struct cli_opt cmd_restart_opts[] = {
    {.name = "signal", .letter = 's', .kind = CLI_STRING, .help = "Signal to send first"},
    {.name = "time", .kind = CLI_INT, .flags = CLI_OPT_HIDDEN, .help = "Old name of --timeout"},
    {.name = "timeout", .letter = 't', .kind = CLI_INT, .help = "Seconds to wait before it is killed; -1: for ever"},
    {0},
};
const struct cli_opt cmd_kill_opts[] = {
    {.name = "signal", .letter = 's', .kind = CLI_STRING, .help = "Signal to send", .def = "KILL"},
    {0},
};
const struct cli_opt cmd_pause_opts[] = {{0}};
const struct cli_opt cmd_unpause_opts[] = {{0}};
const struct cli_opt cmd_wait_opts[] = {{0}};
const struct cli_opt cmd_rename_opts[] = {{0}};
const struct cli_opt cmd_rm_opts[] = {
    {.name = "force", .letter = 'f', .kind = CLI_BOOL, .help = "Kill it first when it runs"},
    {.name = "link", .letter = 'l', .kind = CLI_BOOL, .flags = CLI_OPT_LATER, .help = "Remove a link"},
    {.name = "volumes", .letter = 'v', .kind = CLI_BOOL, .help = "Remove its anonymous volumes"},
    {0},
};
const struct cli_opt cmd_container_prune_opts[] = {
    {.name = "filter", .kind = CLI_LIST, .help = "Only what matches KEY=VALUE (until, label)", .metavar = "filter"},
    {.name = "force", .letter = 'f', .kind = CLI_BOOL, .help = "Do not ask"},
    {0},
};

static void put_name(struct cli_ctx *ctx, const char *name) {
    cli_put_word(ctx->out, name);
    cli_put(ctx->out, "\n");
}

#define CLI_STATUS_SIZE 16

/* ---- attach and start -a --------------------------------------------------------------------- */

/* out_status: CLI_STATUS_SIZE bytes, the word of ps. */
static int is_tty_container(struct cli_ctx *ctx, const char *name, bool *out_tty, bool *out_stdin, char *out_status) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *spec;
    int status;

    bulkhead_set_str(request, "container", name);
    if ((status = cli_call_take(ctx, "runtime", "ContainerInspect", request, &reply)) != 0)
        return status;
    spec = bulkhead_get(reply, "spec");
    *out_tty = bulkhead_get_bool(spec, "tty");
    *out_stdin = bulkhead_get_bool(spec, "open_stdin");
    bh_str_copy(out_status, CLI_STATUS_SIZE,
                bulkhead_get_str(bulkhead_get(bulkhead_get(reply, "summary"), "state"), "status"));
    bulkhead_value_free(reply);
    return 0;
}

/* Hand the descriptors over: to a start, or to what runs already. */
static int hand_over(struct cli_ctx *ctx, const char *name, const struct cli_streams *s, bool start,
                     struct bulkhead_error *error) {
    const int *theirs = cli_streams_theirs(s);
    bulkhead_value *request;
    bulkhead_stream *call = NULL;
    unsigned bits = 0, n = 0;
    int fds[3], r;

    if (start)
        return bulkhead_container_start(cli_engine(ctx), name, theirs, error);
    for (unsigned i = 0; i < 3; i++) {
        if (theirs[i] >= 0) {
            bits |= 1U << i;
            fds[n++] = theirs[i];
        }
    }
    request = bulkhead_map_new();
    bulkhead_set_str(request, "container", name);
    bulkhead_set_uint(request, "stdio", bits);
    r = bulkhead_stream_open(cli_engine(ctx), "runtime", "ContainerAttach", request, fds, n, &call, error);
    bulkhead_value_free(request);
    if (r == 0)
        r = bulkhead_stream_finish(call, NULL, error);
    bulkhead_stream_free(call);
    return r;
}

static int attach_session(struct cli_ctx *ctx, const char *name, struct cli_streams_options *options, bool start) {
    struct cli_streams_peer peer = {
        .ctx = ctx, .service_resize = "ContainerResize", .key = "container", .id = name, .kill_container = name};
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    struct cli_streams *s = NULL;
    enum cli_streams_end end;
    int code = 0;

    if (cli_streams_open(options, &s, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (hand_over(ctx, name, s, start, &error) != 0) {
        cli_streams_free(s);
        return cli_fail_engine(ctx, &error);
    }
    cli_streams_started(s);
    if (options->tty)
        cli_streams_resize(&peer);
    end = cli_streams_run(s, &peer);
    cli_streams_free(s);
    if (end == CLI_STREAMS_DETACHED)
        return 0;
    if (end == CLI_STREAMS_UNREAD)
        return CLI_EXIT_FAILED;
    if (bulkhead_container_wait(cli_engine(ctx), name, &code, &error) != 0)
        return cli_fail_engine(ctx, &error);
    return code;
}

int cmd_attach(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_streams_options options = {.out = true,
                                          .err = true,
                                          .detach_keys = cli_str(args, "detach-keys"),
                                          .sig_proxy = cli_bool(args, "sig-proxy")};
    const char *name = args->operands[0];
    struct bh_err err = BH_ERR_INIT;
    char state[CLI_STATUS_SIZE] = "";
    bool open_stdin;
    int status;

    if ((status = is_tty_container(ctx, name, &options.tty, &open_stdin, state)) != 0)
        return status;
    if (strcmp(state, "paused") == 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "You cannot attach to a paused container, unpause it first");
    if (strcmp(state, "running") != 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED,
                         "You cannot attach to a stopped container, start it first: bulkhead start -a %s", name);
    options.in = open_stdin && !cli_bool(args, "no-stdin");
    if (cli_tty_need(0, options.tty, options.in, &err) != 0)
        return cli_fail(ctx->out, &err);
    return attach_session(ctx, name, &options, false);
}

int cmd_start(struct cli_ctx *ctx, const struct cli_args *args) {
    bool attach = cli_bool(args, "attach"), interactive = cli_bool(args, "interactive");
    bulkhead *b = cli_engine(ctx);
    int status = 0;

    if (b == NULL)
        return CLI_EXIT_FAILED;
    if (attach || interactive) {
        struct cli_streams_options options = {
            .out = true, .err = true, .detach_keys = cli_str(args, "detach-keys"), .sig_proxy = true};
        char state[CLI_STATUS_SIZE] = "";
        bool open_stdin;

        if (args->operand_count != 1)
            return cli_failf(ctx->out, CLI_EXIT_FAILED, "you cannot start and attach multiple containers at once");
        if ((status = is_tty_container(ctx, args->operands[0], &options.tty, &open_stdin, state)) != 0)
            return status;
        options.in = interactive && open_stdin;
        return attach_session(ctx, args->operands[0], &options, strcmp(state, "running") != 0);
    }
    for (int i = 0; i < args->operand_count; i++) {
        struct bulkhead_error error = {0};

        if (bulkhead_container_start(b, args->operands[i], NULL, &error) != 0)
            status = cli_fail_engine(ctx, &error);
        else
            put_name(ctx, args->operands[i]);
    }
    return status;
}

/* ---- the others ------------------------------------------------------------------------------ */

typedef void fill_request(const struct cli_args *args, bulkhead_value *request);

static int for_each(struct cli_ctx *ctx, const struct cli_args *args, const char *method, fill_request *fill) {
    int status = 0;

    for (int i = 0; i < args->operand_count; i++) {
        bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
        int r;

        bulkhead_set_str(request, "container", args->operands[i]);
        fill(args, request);
        r = cli_call_take(ctx, "runtime", method, request, &reply);
        bulkhead_value_free(reply);
        if (r == 0)
            put_name(ctx, args->operands[i]);
        else
            status = r;
    }
    return status;
}

static void fill_stop(const struct cli_args *args, bulkhead_value *request) {
    const char *option = cli_given(args, "timeout") ? "timeout" : "time";

    if (cli_given(args, option)) {
        bulkhead_set_bool(request, "timeout_set", true);
        bulkhead_set_int(request, "timeout", cli_int(args, option));
    }
    bulkhead_set_str(request, "signal", cli_str(args, "signal"));
}

static void fill_kill(const struct cli_args *args, bulkhead_value *request) {
    bulkhead_set_str(request, "signal", cli_str(args, "signal"));
}

int cmd_stop(struct cli_ctx *ctx, const struct cli_args *args) {
    return for_each(ctx, args, "ContainerStop", fill_stop);
}

int cmd_restart(struct cli_ctx *ctx, const struct cli_args *args) {
    return for_each(ctx, args, "ContainerRestart", fill_stop);
}

int cmd_kill(struct cli_ctx *ctx, const struct cli_args *args) {
    return for_each(ctx, args, "ContainerKill", fill_kill);
}

static void fill_nothing(const struct cli_args *args, bulkhead_value *request) {
    (void)args;
    (void)request;
}

int cmd_pause(struct cli_ctx *ctx, const struct cli_args *args) {
    return for_each(ctx, args, "ContainerPause", fill_nothing);
}

int cmd_unpause(struct cli_ctx *ctx, const struct cli_args *args) {
    return for_each(ctx, args, "ContainerUnpause", fill_nothing);
}

int cmd_rm(struct cli_ctx *ctx, const struct cli_args *args) {
    bool force = cli_bool(args, "force");
    bulkhead *b = cli_engine(ctx);
    int status = 0;

    for (int i = 0; b != NULL && i < args->operand_count; i++) {
        struct bulkhead_error error = {0};

        if (bulkhead_container_remove(b, args->operands[i], force, &error) == 0) {
            put_name(ctx, args->operands[i]);
        } else {
            int failed = cli_fail_engine(ctx, &error);

            if (!(force && error.code == BULKHEAD_NOT_FOUND))
                status = failed;
        }
    }
    return b == NULL ? CLI_EXIT_FAILED : status;
}

int cmd_wait(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead *b = cli_engine(ctx);
    int status = 0;

    for (int i = 0; b != NULL && i < args->operand_count; i++) {
        struct bulkhead_error error = {0};
        int code;

        if (bulkhead_container_wait(b, args->operands[i], &code, &error) == 0)
            cli_put(ctx->out, "%d\n", code);
        else
            status = cli_fail_engine(ctx, &error);
    }
    return b == NULL ? CLI_EXIT_FAILED : status;
}

int cmd_rename(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int status;

    bulkhead_set_str(request, "container", args->operands[0]);
    bulkhead_set_str(request, "name", args->operands[1]);
    status = cli_call_take(ctx, "runtime", "ContainerRename", request, &reply);
    bulkhead_value_free(reply);
    return status;
}

int cmd_container_prune(struct cli_ctx *ctx, const struct cli_args *args) {
    char size[CLI_CELL_SIZE];
    uint64_t reclaimed = 0;
    int status;

    if (!cli_bool(args, "force") && !cli_confirm(ctx->out, 0, "WARNING! This will remove all stopped containers."))
        return 0;
    if ((status = cli_prune_containers(ctx, args, &reclaimed)) != 0)
        return status;
    cli_cell_size(size, sizeof size, reclaimed);
    cli_put(ctx->out, "Total reclaimed space: %s\n", size);
    return 0;
}
