/*
 * cmd_names.c - commands that change or ask names of images: tag, untag, rmi, image prune, image
 * exists, image diff.
 *
 * Room: client.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/changes.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/table.h"

const struct cli_opt cmd_tag_opts[] = {{0}};
const struct cli_opt cmd_untag_opts[] = {{0}};
const struct cli_opt cmd_image_exists_opts[] = {{0}};
const struct cli_opt cmd_image_diff_opts[] = {{0}};

const struct cli_opt cmd_rmi_opts[] = {
    {.name = "force",
     .letter = 'f',
     .kind = CLI_BOOL,
     .help = "Remove although a container uses it or it has more names"},
    {.name = "no-prune", .kind = CLI_BOOL, .help = "Keep the nameless parents"},
    {.name = "platform", .kind = CLI_LIST, .flags = CLI_OPT_LATER, .help = "Remove only this platform of an index"},
    {0},
};

const struct cli_opt cmd_image_prune_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Remove every image that no container uses"},
    {.name = "dry-run", .kind = CLI_BOOL, .help = "Tell what would go, remove nothing"},
    {.name = "filter", .kind = CLI_LIST, .help = "Only what matches KEY=VALUE (until, label)", .metavar = "filter"},
    {.name = "force", .letter = 'f', .kind = CLI_BOOL, .help = "Do not ask"},
    {0},
};

int cmd_tag(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int status;

    bulkhead_set_str(request, "source", args->operands[0]);
    bulkhead_set_str(request, "target", args->operands[1]);
    status = cli_call_take(ctx, "store", "ImageTag", request, &reply);
    bulkhead_value_free(reply);
    return status;
}

static void put_items(struct cli_ctx *ctx, const bulkhead_value *items, const char *untagged, const char *deleted) {
    for (size_t i = 0; i < bulkhead_count(items); i++) {
        const bulkhead_value *item = bulkhead_at(items, i);
        const char *name = bulkhead_get_str(item, "untagged"), *id = bulkhead_get_str(item, "deleted");

        if (name[0] != '\0') {
            cli_put(ctx->out, "%s", untagged);
            cli_put_word(ctx->out, name);
            cli_put(ctx->out, "\n");
        }
        if (id[0] != '\0')
            cli_put(ctx->out, "%s%s\n", deleted, id);
    }
}

int cmd_untag(struct cli_ctx *ctx, const struct cli_args *args) {
    int status = 0;

    for (int i = 0; i < args->operand_count; i++) {
        bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
        int r;

        bulkhead_set_str(request, "name", args->operands[i]);
        r = cli_call_take(ctx, "store", "ImageUntag", request, &reply);
        put_items(ctx, bulkhead_get(reply, "item"), "Untagged: ", "Deleted: ");
        bulkhead_value_free(reply);
        status = r != 0 ? r : status;
    }
    return status;
}

int cmd_rmi(struct cli_ctx *ctx, const struct cli_args *args) {
    bool force = cli_bool(args, "force");
    bulkhead *b = cli_engine(ctx);
    int status = 0;

    for (int i = 0; b != NULL && i < args->operand_count; i++) {
        bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
        struct bulkhead_error error = {0};
        int r;

        bulkhead_set_str(request, "name", args->operands[i]);
        bulkhead_set_bool(request, "force", force);
        bulkhead_set_bool(request, "no_prune", cli_bool(args, "no-prune"));
        r = bulkhead_call(b, "store", "ImageRemove", request, 0, &reply, &error);
        bulkhead_value_free(request);
        put_items(ctx, bulkhead_get(reply, "item"), "Untagged: ", "Deleted: ");
        bulkhead_value_free(reply);
        if (r != 0) {
            int failed = cli_fail_engine(ctx, &error);

            if (!(force && r == BULKHEAD_NOT_FOUND)) /* docker: -f of what is missing is told, and is success */
                status = failed;
        }
    }
    return b == NULL ? CLI_EXIT_FAILED : status;
}

int cmd_image_prune(struct cli_ctx *ctx, const struct cli_args *args) {
    bool all = cli_bool(args, "all"), dry = cli_bool(args, "dry-run");
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    char size[CLI_CELL_SIZE];
    int status;

    if (!cli_bool(args, "force") && !dry &&
        !cli_confirm(ctx->out, 0,
                     all ? "WARNING! This will remove all images without at least one container associated to them."
                         : "WARNING! This will remove all dangling images.")) {
        bulkhead_value_free(request);
        return 0;
    }
    bulkhead_set_bool(request, "all", all);
    bulkhead_set_bool(request, "dry_run", dry);
    status = cli_set_filters(ctx, args, request);
    if (status != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "store", "ImagePrune", request, &reply)) != 0)
        return status;
    if (bulkhead_count(bulkhead_get(reply, "item")) > 0) {
        cli_put(ctx->out, dry ? "Would delete:\n" : "Deleted Images:\n");
        put_items(ctx, bulkhead_get(reply, "item"), "untagged: ", "deleted: ");
        cli_put(ctx->out, "\n");
    }
    cli_cell_size(size, sizeof size, bulkhead_get_uint(reply, "reclaimed"));
    cli_put(ctx->out, dry ? "Reclaimable space: %s\n" : "Total reclaimed space: %s\n", size);
    bulkhead_value_free(reply);
    return 0;
}

int cmd_image_exists(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(ctx);
    int r;

    if (b == NULL) {
        bulkhead_value_free(request);
        return CLI_EXIT_USAGE;
    }
    bulkhead_set_str(request, "name", args->operands[0]);
    r = bulkhead_call(b, "store", "ImageInspect", request, 0, &reply, &error);
    bulkhead_value_free(request);
    bulkhead_value_free(reply);
    if (r == 0 || r == BULKHEAD_NOT_FOUND)
        return r == 0 ? 0 : 1;
    cli_fail_engine(ctx, &error);
    return CLI_EXIT_USAGE; /* 125: could not be asked, as podman has it */
}

int cmd_image_diff(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new();

    bulkhead_set_str(request, "a", args->operands[0]);
    bulkhead_set_str(request, "b", args->operands[1]);
    return cli_put_changes(ctx, "store", "ImageDiff", request);
}
