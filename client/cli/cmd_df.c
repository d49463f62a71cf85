/*
 * cmd_df.c - `system df`: what images and containers take of the disk.
 *
 * Room: client.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/ps.h"
#include "cli/table.h"

const struct cli_opt cmd_system_df_opts[] = {
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "verbose", .letter = 'v', .kind = CLI_BOOL, .help = "Show every image and container"},
    {0},
};

static const struct cli_field df_fields[] = {
    {"Type", "TYPE"}, {"TotalCount", "TOTAL"},        {"Active", "ACTIVE"},
    {"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}, {0},
};
static const struct cli_list df_list = {
    .fields = df_fields,
    .table = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
};

static void df_row(json_t *rows, const char *type, uint64_t total, uint64_t active, uint64_t size, uint64_t reclaim) {
    char text[CLI_CELL_SIZE], cell[CLI_CELL_SIZE];
    json_t *row = json_object();

    json_object_set_new(row, "Type", json_string(type));
    snprintf(text, sizeof text, "%" PRIu64, total);
    json_object_set_new(row, "TotalCount", json_string(text));
    snprintf(text, sizeof text, "%" PRIu64, active);
    json_object_set_new(row, "Active", json_string(text));
    cli_cell_size(text, sizeof text, size);
    json_object_set_new(row, "Size", json_string(text));
    cli_cell_size(cell, sizeof cell, reclaim);
    if (size > 0)
        snprintf(text, sizeof text, "%s (%" PRIu64 "%%)", cell, reclaim * 100 / size);
    else
        bh_str_copy(text, sizeof text, cell);
    json_object_set_new(row, "Reclaimable", json_string(text));
    json_array_append_new(rows, row);
}

static void put_columns(struct cli_ctx *ctx, const struct bh_buf *text) {
    struct bh_buf laid = BH_BUF_INIT;

    cli_tabs_layout(bh_buf_str(text), text->len, 10, 3, &laid);
    cli_put_text(ctx->out, bh_buf_str(&laid), laid.len);
    bh_buf_fini(&laid);
}

/* As `ps` tells them. */
static int df_containers(struct cli_ctx *ctx, const bulkhead_value *containers) {
    static const char table[] = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t"
                                "{{.Status}}\t{{.Names}}";
    const struct cli_list_opts opts = {.table = table};
    struct bh_err err = BH_ERR_INIT;
    json_t *rows = json_array();
    char size[CLI_CELL_SIZE];
    int status = 0;

    for (size_t i = 0; i < bulkhead_count(containers); i++) {
        const bulkhead_value *c = bulkhead_at(containers, i);
        json_t *row = cli_ps_row(c, bh_now_ns(), false, false);

        cli_cell_size(size, sizeof size, bulkhead_get_uint(c, "size_rw"));
        json_object_set_new(row, "Size", json_string(size));
        json_array_append_new(rows, row);
    }
    cli_put(ctx->out, "\nContainers space usage:\n\n");
    if (cli_list_print(ctx->out, &cli_ps_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    cli_put(ctx->out, "\nLocal Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\n");
    return status;
}

static int df_verbose(struct cli_ctx *ctx, const bulkhead_value *df, const bulkhead_value *containers) {
    const bulkhead_value *images = bulkhead_get(df, "image");

    cli_put(ctx->out, "Images space usage:\n\n");
    {
        struct bh_buf text = BH_BUF_INIT;

        bh_buf_adds(&text, "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS\n");
        for (size_t i = 0; i < bulkhead_count(images); i++) {
            const bulkhead_value *image = bulkhead_at(images, i);
            const char *name = bulkhead_str(bulkhead_at(bulkhead_get(image, "repo_tags"), 0));
            const char *colon = strrchr(name, ':');
            char id[CLI_CELL_SIZE * 2], ago[CLI_CELL_SIZE], size[3][CLI_CELL_SIZE];

            cli_cell_id(id, sizeof id, bulkhead_get_str(image, "id"), false);
            cli_cell_ago(ago, sizeof ago, bulkhead_get_int(image, "created_ns"), bh_now_ns());
            cli_cell_size(size[0], CLI_CELL_SIZE, bulkhead_get_uint(image, "size"));
            cli_cell_size(size[1], CLI_CELL_SIZE, bulkhead_get_uint(image, "shared_size"));
            cli_cell_size(size[2], CLI_CELL_SIZE, bulkhead_get_uint(image, "unique_size"));
            bh_buf_addf(&text, "%.*s\t%s\t%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\n", colon != NULL ? (int)(colon - name) : 6,
                        colon != NULL ? name : "<none>", colon != NULL ? colon + 1 : "<none>", id, ago, size[0],
                        size[1], size[2], bulkhead_get_uint(image, "containers"));
        }
        put_columns(ctx, &text);
        bh_buf_fini(&text);
    }
    return df_containers(ctx, containers);
}

/* Only when there are some. */
static void df_downloads(struct cli_ctx *ctx, const bulkhead_value *df) {
    char size[CLI_CELL_SIZE];

    if (bulkhead_get_uint(df, "partials") == 0)
        return;
    cli_cell_size(size, sizeof size, bulkhead_get_uint(df, "partials_size"));
    cli_put(ctx->out, "\nUnfinished downloads: %" PRIu64 ", %s; they go when they expire, or with system prune\n",
            bulkhead_get_uint(df, "partials"), size);
}

static int df_cache(struct cli_ctx *ctx, json_t *rows, char out_size[CLI_CELL_SIZE]) {
    bulkhead_value *reply = NULL;
    const bulkhead_value *records;
    int status = cli_call(ctx, "store", "CacheList", NULL, &reply);
    uint64_t active = 0;

    if (status != 0)
        return status;
    records = bulkhead_get(reply, "record");
    for (size_t i = 0; i < bulkhead_count(records); i++)
        active += bulkhead_get_bool(bulkhead_at(records, i), "in_use");
    df_row(rows, "Build Cache", bulkhead_count(records), active, bulkhead_get_uint(reply, "total"),
           bulkhead_get_uint(reply, "reclaimable"));
    cli_cell_size(out_size, CLI_CELL_SIZE, bulkhead_get_uint(reply, "total"));
    bulkhead_value_free(reply);
    return 0;
}

int cmd_system_df(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format")};
    bulkhead_value *df = NULL, *list = NULL, *request = bulkhead_map_new();
    const bulkhead_value *containers;
    uint64_t running = 0, size_rw = 0, idle = 0;
    struct bh_err err = BH_ERR_INIT;
    char cache[CLI_CELL_SIZE] = "";
    json_t *rows;
    int status;

    bulkhead_set_bool(request, "all", true);
    bulkhead_set_bool(request, "size", true);
    if ((status = cli_call_take(ctx, "runtime", "ContainerList", request, &list)) != 0)
        return status;
    if ((status = cli_call(ctx, "store", "Df", NULL, &df)) != 0) {
        bulkhead_value_free(list);
        return status;
    }
    containers = bulkhead_get(list, "container");
    for (size_t i = 0; i < bulkhead_count(containers); i++) {
        const bulkhead_value *c = bulkhead_at(containers, i);
        bool runs = strcmp(bulkhead_get_str(bulkhead_get(c, "state"), "status"), "running") == 0;

        running += runs;
        size_rw += bulkhead_get_uint(c, "size_rw");
        idle += runs ? 0 : bulkhead_get_uint(c, "size_rw");
    }
    rows = json_array();
    df_row(rows, "Images", bulkhead_get_uint(df, "images"), bulkhead_get_uint(df, "images_active"),
           bulkhead_get_uint(df, "images_size"), bulkhead_get_uint(df, "images_reclaimable"));
    df_row(rows, "Containers", bulkhead_count(containers), running, size_rw, idle);
    df_row(rows, "Local Volumes", 0, 0, 0, 0);
    status = df_cache(ctx, rows, cache);
    if (status == 0 && cli_bool(args, "verbose")) {
        status = df_verbose(ctx, df, containers);
        cli_put(ctx->out, "\nBuild cache usage: %s\n", cache);
        df_downloads(ctx, df);
    } else if (status == 0 && cli_list_print(ctx->out, &df_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(df);
    bulkhead_value_free(list);
    return status;
}
