/*
 * cmd_history.c - `history`: the steps that made an image, newest first.
 *
 * Room: client.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/shape.h"
#include "cli/table.h"

const struct cli_opt cmd_history_opts[] = {
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "human", .letter = 'H', .kind = CLI_BOOL, .help = "Sizes and ages for people", .def = "true"},
    {.name = "no-trunc", .kind = CLI_BOOL, .help = "Do not cut"},
    {.name = "platform", .kind = CLI_STRING, .flags = CLI_OPT_LATER, .help = "Choose an image of an index"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Show IDs only"},
    {0},
};

static const struct cli_field fields[] = {
    {"ID", "IMAGE"},
    {"CreatedSince", "CREATED"},
    {"CreatedAt", "CREATED AT"},
    {"CreatedBy", "CREATED BY"},
    {"Size", "SIZE"},
    {"Comment", "COMMENT"},
    {0},
};
static const struct cli_list list = {
    .fields = fields,
    .table = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    .quiet = "{{.ID}}",
};
static const char table_plain[] = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

static json_t *row_of(const bulkhead_value *step, bool human, bool no_trunc) {
    char id[CLI_CELL_SIZE * 2], since[CLI_CELL_SIZE] = "N/A", size[CLI_CELL_SIZE], at[BH_RFC3339_SIZE] = "N/A";
    int64_t created = bulkhead_get_int(step, "created_ns");
    const char *by = bulkhead_get_str(step, "created_by");
    char *cut = cli_cell_cut(by, 45);
    json_t *row = json_object();

    cli_cell_id(id, sizeof id, bulkhead_get_str(step, "id"), no_trunc);
    if (created != 0) {
        cli_cell_ago(since, sizeof since, created, bh_now_ns());
        bh_time_rfc3339(created / 1000000000 * 1000000000, at); /* docker tells seconds */
    }
    if (human)
        cli_cell_size(size, sizeof size, bulkhead_get_uint(step, "size"));
    else
        snprintf(size, sizeof size, "%llu", (unsigned long long)bulkhead_get_uint(step, "size"));
    json_object_set_new(row, "Comment", shape_text(bulkhead_get_str(step, "comment")));
    json_object_set_new(row, "CreatedAt", json_string(at));
    json_object_set_new(row, "CreatedBy", shape_text(no_trunc ? by : cut));
    json_object_set_new(row, "CreatedSince", json_string(human ? since : at));
    json_object_set_new(row, "ID", shape_text(id));
    json_object_set_new(row, "Size", json_string(size));
    free(cut);
    return row;
}

int cmd_history(struct cli_ctx *ctx, const struct cli_args *args) {
    bool human = cli_bool(args, "human"), no_trunc = cli_bool(args, "no-trunc");
    struct cli_list_opts opts = {
        .format = cli_str(args, "format"), .quiet = cli_bool(args, "quiet"), .table = human ? NULL : table_plain};
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *steps;
    struct bh_err err = BH_ERR_INIT;
    json_t *rows;
    int status;

    bulkhead_set_str(request, "name", args->operands[0]);
    if ((status = cli_call_take(ctx, "store", "ImageHistory", request, &reply)) != 0)
        return status;
    rows = json_array();
    steps = bulkhead_get(reply, "row");
    for (size_t i = 0; i < bulkhead_count(steps); i++)
        json_array_append_new(rows, row_of(bulkhead_at(steps, i), human, no_trunc));
    if (cli_list_print(ctx->out, &list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(reply);
    return status;
}
