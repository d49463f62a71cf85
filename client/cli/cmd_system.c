/*
 * cmd_system.c - the engine's store: `system prune`, `system check`.
 *
 * Room: client.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/prune.h"
#include "cli/table.h"

const struct cli_opt cmd_system_prune_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Remove every unused image, not only dangling ones"},
    {.name = "filter", .kind = CLI_LIST, .help = "Only what matches KEY=VALUE (until, label)", .metavar = "filter"},
    {.name = "force", .letter = 'f', .kind = CLI_BOOL, .help = "Do not ask"},
    {.name = "volumes", .kind = CLI_BOOL, .flags = CLI_OPT_LATER, .help = "Also remove volumes"},
    {0},
};

const struct cli_opt cmd_system_check_opts[] = {
    {.name = "quick", .kind = CLI_BOOL, .help = "Do not read the contents of layers and blobs"},
    {.name = "repair", .kind = CLI_BOOL, .help = "Put right what can be put right"},
    {0},
};

static int prune_images(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *items;
    int status;

    bulkhead_set_bool(request, "all", cli_bool(args, "all"));
    bulkhead_set_bool(request, "partials", true);
    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "store", "ImagePrune", request, &reply)) != 0)
        return status;
    items = bulkhead_get(reply, "item");
    if (bulkhead_count(items) > 0) {
        cli_put(ctx->out, "Deleted Images:\n");
        for (size_t i = 0; i < bulkhead_count(items); i++) {
            const bulkhead_value *item = bulkhead_at(items, i);
            bool name = bulkhead_get_str(item, "untagged")[0] != '\0';

            cli_put(ctx->out, name ? "untagged: " : "deleted: ");
            cli_put_word(ctx->out, bulkhead_get_str(item, name ? "untagged" : "deleted"));
            cli_put(ctx->out, "\n");
        }
        cli_put(ctx->out, "\n");
    }
    *reclaimed += bulkhead_get_uint(reply, "reclaimed");
    bulkhead_value_free(reply);
    return 0;
}

/* What builds have left; labels are nothing that it has, so a filter by one leaves it alone. */
static int prune_cache(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed) {
    bulkhead_value *request;
    int status;

    for (size_t i = 0; i < cli_count(args, "filter"); i++)
        if (strncmp(cli_item(args, "filter", i), "label", 5) == 0)
            return 0;
    request = bulkhead_map_new();
    bulkhead_set_bool(request, "all", cli_bool(args, "all"));
    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    return cli_prune_cache(ctx, request, reclaimed);
}

int cmd_system_prune(struct cli_ctx *ctx, const struct cli_args *args) {
    char size[CLI_CELL_SIZE];
    uint64_t reclaimed = 0;
    int status;

    if (!cli_bool(args, "force") &&
        !cli_confirm(ctx->out, 0,
                     cli_bool(args, "all")
                         ? "WARNING! This will remove:\n  - all stopped containers\n  - all images "
                           "without at least one container associated to them\n  - all build cache\n\n"
                         : "WARNING! This will remove:\n  - all stopped containers\n  - all dangling "
                           "images\n  - unused build cache\n\n"))
        return 0;
    if ((status = cli_prune_containers(ctx, args, &reclaimed)) != 0 ||
        (status = prune_images(ctx, args, &reclaimed)) != 0 || (status = prune_cache(ctx, args, &reclaimed)) != 0)
        return status;
    cli_cell_size(size, sizeof size, reclaimed);
    cli_put(ctx->out, "Total reclaimed space: %s\n", size);
    return 0;
}

int cmd_system_check(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *finding = NULL;
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(ctx);
    bulkhead_stream *s = NULL;
    unsigned open = 0;
    int r;

    bulkhead_set_bool(request, "repair", cli_bool(args, "repair"));
    bulkhead_set_bool(request, "quick", cli_bool(args, "quick"));
    r = b == NULL ? BULKHEAD_UNAVAILABLE : bulkhead_stream_open(b, "store", "Check", request, NULL, 0, &s, &error);
    bulkhead_value_free(request);
    if (b == NULL)
        return CLI_EXIT_FAILED;
    while (r == 0 && (r = bulkhead_stream_recv_value(s, &finding, &error)) == 0 && finding != NULL) {
        bool done = bulkhead_get_bool(finding, "done"), repaired = bulkhead_get_bool(finding, "repaired");

        if (!done) {
            cli_put(ctx->out, "%s ", bulkhead_get_str(finding, "kind"));
            cli_put_word(ctx->out, bulkhead_get_str(finding, "object"));
            cli_put(ctx->out, ": ");
            open += !repaired;
        }
        cli_put_word(ctx->out, bulkhead_get_str(finding, "text"));
        cli_put(ctx->out, repaired ? " (repaired)\n" : "\n");
        bulkhead_value_free(finding);
    }
    if (r == 0)
        r = bulkhead_stream_finish(s, NULL, &error);
    bulkhead_stream_free(s);
    if (r != 0)
        return cli_fail_engine(ctx, &error);
    return open > 0 ? CLI_EXIT_FAILED : 0;
}
