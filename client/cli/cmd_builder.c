/*
 * cmd_builder.c - `builder du`, `builder prune`, `builder logs`, `builder history`: what builds have left.
 *
 * Room: client.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/build_view.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/prune.h"
#include "cli/shape.h"
#include "cli/table.h"

const struct cli_opt cmd_builder_du_opts[] = {
    {.name = "filter", .kind = CLI_LIST, .help = "Show what matches KEY=VALUE", .metavar = "filter"},
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "verbose", .kind = CLI_BOOL, .help = "Show descriptions"},
    {0},
};

const struct cli_opt cmd_builder_prune_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Remove all of the cache, also what images use"},
    {.name = "dry-run", .kind = CLI_BOOL, .help = "Show what would go, remove nothing"},
    {.name = "filter", .kind = CLI_LIST, .help = "Remove what matches KEY=VALUE", .metavar = "filter"},
    {.name = "force", .letter = 'f', .kind = CLI_BOOL, .help = "Do not ask"},
    {.name = "keep-storage", .kind = CLI_BYTES, .help = "Keep so much of what was used last", .def = "0"},
    {.name = "reserved-space", .kind = CLI_BYTES, .help = "The same", .def = "0"},
    {0},
};

const struct cli_opt cmd_builder_logs_opts[] = {
    {.name = "progress", .kind = CLI_STRING, .help = "How to show it", .def = "plain", .complete = "plain|rawjson"},
    {0},
};

const struct cli_opt cmd_builder_history_opts[] = {
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Show IDs only"},
    {0},
};

/* ---- du and prune -------------------------------------------------------------------------- */

static const struct cli_field cache_fields[] = {
    {"ID", "CACHE ID"},
    {"Type", "CACHE TYPE"},
    {"Size", "SIZE"},
    {"CreatedSince", "CREATED"},
    {"LastUsedSince", "LAST USED"},
    {"UsageCount", "USAGE"},
    {"Shared", "SHARED"},
    {"Description", "DESCRIPTION"},
    {"InUse", "IN USE"},
    {0},
};
static const struct cli_list cache_list = {
    .fields = cache_fields,
    .table = "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}",
    .quiet = "{{.ID}}",
};
static const char cache_table_verbose[] =
    "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}\t"
    "{{.Description}}";

static void set_ago(json_t *row, const char *key, int64_t then, int64_t now) {
    char cell[CLI_CELL_SIZE] = "";

    if (then != 0)
        cli_cell_ago(cell, sizeof cell, then, now);
    json_object_set_new(row, key, json_string(cell));
}

static json_t *cache_rows(const bulkhead_value *records) {
    json_t *rows = json_array();
    int64_t now = bh_now_ns();

    for (size_t i = 0; i < bulkhead_count(records); i++) {
        const bulkhead_value *r = bulkhead_at(records, i);
        json_t *row = json_object();
        char cell[CLI_CELL_SIZE];

        cli_cell_id(cell, sizeof cell, bulkhead_get_str(r, "id"), false);
        json_object_set_new(row, "ID", shape_text(cell));
        json_object_set_new(row, "Type", shape_text(bulkhead_get_str(r, "kind")));
        cli_cell_size(cell, sizeof cell, bulkhead_get_uint(r, "size"));
        json_object_set_new(row, "Size", json_string(cell));
        set_ago(row, "CreatedSince", bulkhead_get_int(r, "created_ns"), now);
        set_ago(row, "LastUsedSince", bulkhead_get_int(r, "last_used_ns"), now);
        snprintf(cell, sizeof cell, "%" PRIu64, bulkhead_get_uint(r, "uses"));
        json_object_set_new(row, "UsageCount", json_string(cell));
        json_object_set_new(row, "Shared", json_string(bulkhead_get_bool(r, "shared") ? "true" : "false"));
        json_object_set_new(row, "InUse", json_string(bulkhead_get_bool(r, "in_use") ? "true" : "false"));
        json_object_set_new(row, "Description", shape_text(bulkhead_get_str(r, "description")));
        json_array_append_new(rows, row);
    }
    return rows;
}

static int put_records(struct cli_ctx *ctx, const bulkhead_value *records, const struct cli_list_opts *opts) {
    json_t *rows = cache_rows(records);
    struct bh_err err = BH_ERR_INIT;
    int r = cli_list_print(ctx->out, &cache_list, opts, rows, &err);

    json_decref(rows);
    return r == 0 ? 0 : cli_fail(ctx->out, &err);
}

int cmd_builder_du(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format"),
                                 .table = cli_bool(args, "verbose") ? cache_table_verbose : NULL};
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    char total[32], free_[32];
    int status;

    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "store", "CacheList", request, &reply)) != 0)
        return status;
    status = put_records(ctx, bulkhead_get(reply, "record"), &opts);
    if (status == 0 && opts.format == NULL) {
        bh_human_size(total, sizeof total, bulkhead_get_uint(reply, "total"), 4);
        bh_human_size(free_, sizeof free_, bulkhead_get_uint(reply, "reclaimable"), 4);
        cli_put(ctx->out, "Reclaimable:\t%s\nTotal:\t\t%s\n", free_, total);
    }
    bulkhead_value_free(reply);
    return status;
}

/* The part of `system prune` too; prints what went. */
int cli_prune_cache(struct cli_ctx *ctx, bulkhead_value *take_request, uint64_t *reclaimed) {
    const struct cli_list_opts opts = {0};
    bulkhead_value *reply = NULL;
    int status = cli_call_take(ctx, "store", "CachePrune", take_request, &reply);

    if (status != 0)
        return status;
    if (bulkhead_count(bulkhead_get(reply, "record")) > 0) {
        cli_put(ctx->out, "Deleted build cache objects:\n");
        status = put_records(ctx, bulkhead_get(reply, "record"), &opts);
        cli_put(ctx->out, "\n");
    }
    *reclaimed += bulkhead_get_uint(reply, "reclaimed");
    bulkhead_value_free(reply);
    return status;
}

int cmd_builder_prune(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *warning =
        cli_bool(args, "all")
            ? "WARNING! This will remove all build cache. Are you sure you want to continue? [y/N] "
            : "WARNING! This will remove all dangling build cache. Are you sure you want to continue? "
              "[y/N] ";
    bool dry = cli_bool(args, "dry-run");
    uint64_t keep = cli_bytes(args, "keep-storage") > cli_bytes(args, "reserved-space")
                        ? cli_bytes(args, "keep-storage")
                        : cli_bytes(args, "reserved-space");
    bulkhead_value *request;
    uint64_t reclaimed = 0;
    char size[32];
    int status;

    if (!dry && !cli_bool(args, "force") && !cli_confirm(ctx->out, 0, warning))
        return 0;
    request = bulkhead_map_new();
    bulkhead_set_bool(request, "all", cli_bool(args, "all"));
    bulkhead_set_bool(request, "dry_run", dry);
    bulkhead_set_uint(request, "keep_bytes", keep);
    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_prune_cache(ctx, request, &reclaimed)) != 0)
        return status;
    bh_human_size(size, sizeof size, reclaimed, 4);
    cli_put(ctx->out, "Total:\t%s\n", size);
    return 0;
}

/* ---- what was built ------------------------------------------------------------------------ */

int cmd_builder_logs(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new();
    struct bulkhead_error error = {0};
    struct bh_err err = BH_ERR_INIT;
    enum build_view_mode mode;
    bulkhead_stream *s = NULL;
    bulkhead *b = cli_engine(ctx);
    struct build_view *view;
    int r;

    bulkhead_set_str(request, "build_id", args->operands[0]);
    if (b == NULL || build_view_mode_parse(cli_str(args, "progress"), &mode, &err) != 0) {
        bulkhead_value_free(request);
        return b == NULL ? CLI_EXIT_FAILED : cli_fail(ctx->out, &err);
    }
    r = bulkhead_stream_open(b, "build", "Logs", request, NULL, 0, &s, &error);
    bulkhead_value_free(request);
    view = build_view_new(ctx, mode, "");
    while (r == 0) {
        bulkhead_value *event = NULL;

        r = bulkhead_stream_recv_value(s, &event, &error);
        if (r == 0 && event == NULL) {
            r = bulkhead_stream_finish(s, NULL, &error);
            break;
        }
        if (r == 0)
            build_view_event(view, event);
        bulkhead_value_free(event);
    }
    build_view_free(view);
    bulkhead_stream_free(s);
    return r == 0 ? 0 : cli_fail_engine(ctx, &error);
}

static const struct cli_field history_fields[] = {
    {"ID", "BUILD ID"},       {"Name", "NAME"},   {"Status", "STATUS"}, {"CreatedSince", "CREATED"},
    {"Duration", "DURATION"}, {"Steps", "STEPS"}, {"Cached", "CACHED"}, {0},
};
static const struct cli_list history_list = {
    .fields = history_fields,
    .table = "{{.ID}}\t{{.Name}}\t{{.Status}}\t{{.CreatedSince}}\t{{.Duration}}",
    .quiet = "{{.ID}}",
};

static json_t *history_row(const bulkhead_value *r, int64_t now) {
    int64_t started = bulkhead_get_int(r, "started_ns"), finished = bulkhead_get_int(r, "finished_ns");
    json_t *row = json_object();
    char cell[CLI_CELL_SIZE];

    json_object_set_new(row, "ID", shape_text(bulkhead_get_str(r, "build_id")));
    json_object_set_new(row, "Name", shape_text(bulkhead_get_str(r, "name")));
    json_object_set_new(row, "Status", shape_text(bulkhead_get_str(r, "status")));
    set_ago(row, "CreatedSince", started, now);
    snprintf(cell, sizeof cell, "%.1fs", (double)((finished != 0 ? finished : now) - started) / (double)BH_NSEC);
    json_object_set_new(row, "Duration", json_string(cell));
    snprintf(cell, sizeof cell, "%" PRIu64, bulkhead_get_uint(r, "steps"));
    json_object_set_new(row, "Steps", json_string(cell));
    snprintf(cell, sizeof cell, "%" PRIu64, bulkhead_get_uint(r, "cached"));
    json_object_set_new(row, "Cached", json_string(cell));
    return row;
}

int cmd_builder_history(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format"), .quiet = cli_bool(args, "quiet")};
    bulkhead_value *reply = NULL;
    struct bh_err err = BH_ERR_INIT;
    int64_t now = bh_now_ns();
    json_t *rows;
    int status = cli_call(ctx, "build", "History", NULL, &reply);

    if (status != 0)
        return status;
    rows = json_array();
    for (size_t i = 0; i < bulkhead_count(bulkhead_get(reply, "row")); i++)
        json_array_append_new(rows, history_row(bulkhead_at(bulkhead_get(reply, "row"), i), now));
    if (cli_list_print(ctx->out, &history_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(reply);
    return status;
}
