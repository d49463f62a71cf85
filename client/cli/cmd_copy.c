/*
 * cmd_copy.c - `image copy` and `image delete`: on registries, without the local list.
 *
 * Room: client.
 */
#include <string.h>

#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "cli/transfer_view.h"

const struct cli_opt cmd_image_copy_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Copy all platforms of a list"},
    {.name = "jobs", .kind = CLI_INT, .help = "Copy so many blobs at once", .def = "0"},
    {.name = "platform", .kind = CLI_STRING, .help = "Copy this platform, as OS/ARCH[/VARIANT]"},
    {.name = "progress",
     .kind = CLI_STRING,
     .help = "How to show progress",
     .def = "auto",
     .complete = "auto|plain|tty|quiet|json"},
    {0},
};
const struct cli_opt cmd_image_delete_opts[] = {{0}};

/* "docker://x" as others write it is x. */
static const char *bare(const char *name) {
    return strncmp(name, "docker://", 9) == 0 ? name + 9 : name;
}

int cmd_image_copy(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *names[2] = {bare(args->operands[0]), bare(args->operands[1])};
    bulkhead_value *request, *remote = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct cli_transfer_view view;
    enum cli_progress_mode mode;
    int status;

    if (cli_progress_mode_parse(cli_str(args, "progress"), &mode, &err) != 0)
        return cli_fail(ctx->out, &err);
    if ((status = cli_remote_make(ctx, args, names, 2, &remote)) != 0)
        return status;
    request = bulkhead_map_new();
    bulkhead_set_str(request, "source", names[0]);
    bulkhead_set_str(request, "target", names[1]);
    bulkhead_set_bool(request, "all_platforms", cli_bool(args, "all"));
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    bulkhead_set_uint(request, "jobs", cli_int(args, "jobs") > 0 ? (uint64_t)cli_int(args, "jobs") : 0);
    bulkhead_set(request, "remote", remote);
    cli_transfer_view_init(&view, ctx, mode, false);
    status = cli_transfer_run(&view, "Copy", request);
    cli_transfer_view_fini(&view);
    return status;
}

int cmd_image_delete(struct cli_ctx *ctx, const struct cli_args *args) {
    for (int i = 0; i < args->operand_count; i++) {
        const char *name = bare(args->operands[i]);
        bulkhead_value *request, *remote = NULL, *reply = NULL;
        int status = cli_remote_make(ctx, args, &name, 1, &remote);

        if (status != 0)
            return status;
        request = bulkhead_map_new();
        bulkhead_set_str(request, "reference", name);
        bulkhead_set(request, "remote", remote);
        if ((status = cli_call_take(ctx, "registry", "RemoteDelete", request, &reply)) != 0)
            return status;
        cli_put(ctx->out, "Deleted: ");
        cli_put_word(ctx->out, bulkhead_get_str(reply, "digest"));
        cli_put(ctx->out, "\n");
        bulkhead_value_free(reply);
    }
    return 0;
}
