/*
 * cmd_changes.c - what a container has changed: commit, diff, export.
 *
 * Room: client.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/changes.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/file.h"

const struct cli_opt cmd_commit_opts[] = {
    {.name = "author", .letter = 'a', .kind = CLI_STRING, .help = "Author, as \"Name <mail>\""},
    {.name = "change", .letter = 'c', .kind = CLI_LIST, .help = "Apply a Dockerfile instruction to the image"},
    {.name = "message", .letter = 'm', .kind = CLI_STRING, .help = "Commit message"},
    {.name = "no-pause", .kind = CLI_BOOL, .help = "Do not stop the container's processes meanwhile"},
    {.name = "pause",
     .letter = 'p',
     .kind = CLI_BOOL,
     .help = "Stop the container's processes meanwhile",
     .def = "true"},
    {0},
};
const struct cli_opt cmd_diff_opts[] = {{0}};
const struct cli_opt cmd_export_opts[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .help = "Write to a file, not to standard output",
     .metavar = "file",
     .complete = "file"},
    {0},
};

int cmd_commit(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int status;

    bulkhead_set_str(request, "container", args->operands[0]);
    if (args->operand_count > 1)
        bulkhead_set_str(request, "reference", args->operands[1]);
    bulkhead_set_str(request, "author", cli_str(args, "author"));
    bulkhead_set_str(request, "message", cli_str(args, "message"));
    bulkhead_set_bool(request, "no_pause", cli_bool(args, "no-pause") || !cli_bool(args, "pause"));
    cli_set_list(args, "change", request, "change");
    if ((status = cli_call_take(ctx, "runtime", "ContainerCommit", request, &reply)) == 0)
        cli_put(ctx->out, "%s\n", bulkhead_get_str(reply, "id"));
    bulkhead_value_free(reply);
    return status;
}

int cmd_diff(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new();

    bulkhead_set_str(request, "container", args->operands[0]);
    return cli_put_changes(ctx, "runtime", "ContainerDiff", request);
}

int cmd_export(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    struct cli_output out;
    bulkhead *b;

    if (cli_output_open(cli_str(args, "output"), "an archive", &out, &err) != 0)
        return cli_fail(ctx->out, &err);
    if ((b = cli_engine(ctx)) == NULL) {
        cli_output_abort(&out);
        return CLI_EXIT_FAILED;
    }
    if (bulkhead_container_export(b, args->operands[0], out.fd, &error) != 0) {
        cli_output_abort(&out);
        return cli_fail_engine(ctx, &error);
    }
    return cli_output_commit(&out, &err) == 0 ? 0 : cli_fail(ctx->out, &err);
}
