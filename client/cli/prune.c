/*
 * prune.c - see prune.h.
 *
 * Room: client.
 */
#include "cli/prune.h"

#include "cli/engine.h"

int cli_prune_containers(struct cli_ctx *ctx, const struct cli_args *args, uint64_t *reclaimed) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *ids;
    int status;

    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "runtime", "ContainerPrune", request, &reply)) != 0)
        return status;
    ids = bulkhead_get(reply, "id");
    if (bulkhead_count(ids) > 0) {
        cli_put(ctx->out, "Deleted Containers:\n");
        for (size_t i = 0; i < bulkhead_count(ids); i++)
            cli_put(ctx->out, "%s\n", bulkhead_str(bulkhead_at(ids, i)));
        cli_put(ctx->out, "\n");
    }
    *reclaimed += bulkhead_get_uint(reply, "reclaimed");
    bulkhead_value_free(reply);
    return 0;
}
