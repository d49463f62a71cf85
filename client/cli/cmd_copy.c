/*
 * cmd_copy.c - `image copy` and `image delete`: on registries and in OCI layouts, without the local list.
 *
 * Room: client.  From registry to registry the engine does all (Registry/Copy); with a layout the client goes through
 * the image itself (copy_tree.h).
 */
#include <string.h>

#include "base/mem.h"
#include "cli/cmd.h"
#include "cli/copy_tree.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "cli/transfer_view.h"

#define JOBS_MAX 16

const struct cli_opt cmd_image_copy_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Copy all platforms of a list"},
    {.name = "dest-creds", .kind = CLI_STRING, .help = "Use these credentials for the target, as USER[:PASSWORD]"},
    {.name = "jobs", .kind = CLI_INT, .help = "Copy so many blobs at once", .def = "0"},
    {.name = "platform", .kind = CLI_STRING, .help = "Copy this platform, as OS/ARCH[/VARIANT]"},
    {.name = "progress",
     .kind = CLI_STRING,
     .help = "How to show progress",
     .def = "auto",
     .complete = "auto|plain|tty|quiet|json"},
    {.name = "src-creds", .kind = CLI_STRING, .help = "Use these credentials for the source, as USER[:PASSWORD]"},
    {0},
};
const struct cli_opt cmd_image_delete_opts[] = {{0}};

/* "docker://x" as others write it is x. */
static const char *bare(const char *name) {
    return strncmp(name, "docker://", 9) == 0 ? name + 9 : name;
}

/* Blobs at once: as pull and push have it when nothing was said. */
static size_t jobs_of(const struct cli_args *args, const struct cli_copy_side *to) {
    int64_t jobs = cli_int(args, "jobs");

    if (jobs <= 0)
        return to->is_layout ? 3 : 5;
    return jobs < JOBS_MAX ? (size_t)jobs : JOBS_MAX;
}

static int with_layout(struct cli_transfer_view *view, const struct cli_args *args, struct cli_copy_side *from,
                       struct cli_copy_side *to) {
    struct cli_copy copy = {
        .from = from, .to = to, .all = cli_bool(args, "all"), .jobs = jobs_of(args, to), .progress = view->progress};
    const char *platform = cli_str(args, "platform");
    struct bh_err err = BH_ERR_INIT;
    int status, r = 0;

    bh_platform_host(&copy.want);
    if (platform != NULL && platform[0] != '\0' && bh_platform_parse(platform, &copy.want, &err) != 0)
        return cli_fail(view->ctx->out, &err);
    if ((status = cli_copy_side_connect(from, view->ctx, args, CLI_REMOTE_PULL)) != 0 ||
        (status = cli_copy_side_connect(to, view->ctx, args, CLI_REMOTE_PUSH)) != 0)
        return status;
    r = cli_copy_run(&copy, &err);
    cli_transfer_view_close(view);
    return r == 0 ? 0 : cli_fail(view->ctx->out, &err);
}

static int with_registries(struct cli_transfer_view *view, const struct cli_args *args, const char *from,
                           const char *to) {
    const struct cli_remote_names groups[] = {{CLI_REMOTE_PULL, &from, 1, cli_str(args, "src-creds")},
                                              {CLI_REMOTE_PUSH, &to, 1, cli_str(args, "dest-creds")}};
    bulkhead_value *request, *remote = NULL;
    int status = cli_remote_make_all(view->ctx, args, groups, BH_ARRAY_LEN(groups), &remote);

    if (status != 0)
        return status;
    request = bulkhead_map_new();
    bulkhead_set_str(request, "source", from);
    bulkhead_set_str(request, "target", to);
    bulkhead_set_bool(request, "all_platforms", cli_bool(args, "all"));
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    bulkhead_set_uint(request, "jobs", cli_int(args, "jobs") > 0 ? (uint64_t)cli_int(args, "jobs") : 0);
    bulkhead_set(request, "remote", remote);
    return cli_transfer_run(view, "Copy", request);
}

int cmd_image_copy(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_copy_side from, to;
    struct bh_err err = BH_ERR_INIT;
    struct cli_transfer_view view;
    enum cli_progress_mode mode;
    int status;

    if (cli_progress_mode_parse(cli_str(args, "progress"), &mode, &err) != 0 ||
        cli_copy_side_init(&from, args->operands[0], &err) != 0 ||
        cli_copy_side_init(&to, args->operands[1], &err) != 0)
        return cli_fail(ctx->out, &err);
    cli_transfer_view_init(&view, ctx, mode, false);
    status = from.is_layout || to.is_layout ? with_layout(&view, args, &from, &to)
                                            : with_registries(&view, args, from.word, to.word);
    cli_transfer_view_fini(&view);
    cli_copy_side_fini(&from);
    cli_copy_side_fini(&to);
    return status;
}

int cmd_image_delete(struct cli_ctx *ctx, const struct cli_args *args) {
    for (int i = 0; i < args->operand_count; i++) {
        const char *name = bare(args->operands[i]);
        bulkhead_value *request, *remote = NULL, *reply = NULL;
        int status = cli_remote_make(ctx, args, CLI_REMOTE_DELETE, &name, 1, &remote);

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
