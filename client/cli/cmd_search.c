/*
 * cmd_search.c - `search` and `tags`: what a registry offers.
 *
 * Room: client.  Everything shown was written by somebody else; the table escapes it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "cli/shape.h"
#include "cli/table.h"

#define DESCRIPTION_MAX 45

const struct cli_opt cmd_search_opts[] = {
    {.name = "filter", .letter = 'f', .kind = CLI_LIST, .help = "Show what matches KEY=VALUE", .metavar = "filter"},
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "limit", .kind = CLI_INT, .help = "Show so many results at most", .def = "25"},
    {.name = "no-trunc", .kind = CLI_BOOL, .help = "Do not cut descriptions"},
    {0},
};

const struct cli_opt cmd_tags_opts[] = {
    {.name = "filter",
     .letter = 'f',
     .kind = CLI_STRING,
     .help = "Show tags that match this pattern",
     .metavar = "pattern"},
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "limit", .kind = CLI_INT, .help = "Show so many tags at most, 0 for all", .def = "0"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Show the tags alone"},
    {0},
};

static const struct cli_field search_fields[] = {
    {"Index", "INDEX"},     {"Name", "NAME"},           {"Description", "DESCRIPTION"},
    {"StarCount", "STARS"}, {"IsOfficial", "OFFICIAL"}, {0},
};
static const struct cli_list search_list = {
    .fields = search_fields,
    .table = "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
};

static const struct cli_field tags_fields[] = {{"Repository", "REPOSITORY"}, {"Tag", "TAG"}, {0}};
static const struct cli_list tags_list = {
    .fields = tags_fields, .table = "{{.Repository}}\t{{.Tag}}", .quiet = "{{.Tag}}"};

/* One line, as docker: breaks become blanks; then cut. */
static json_t *description(const char *text, bool no_trunc) {
    char *line BH_SCOPE_FREE = bh_xstrdup(text);
    char *cut BH_SCOPE_FREE = NULL;

    for (char *p = line; *p != '\0'; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    cut = no_trunc ? bh_xstrdup(line) : cli_cell_cut(line, DESCRIPTION_MAX);
    return shape_text(cut);
}

/* Of several registries a name has its own in front. */
static json_t *name_of(const bulkhead_value *hit, bool several) {
    char *whole BH_SCOPE_FREE = bh_xasprintf("%s/%s", bulkhead_get_str(hit, "index"), bulkhead_get_str(hit, "name"));

    return shape_text(several ? whole : bulkhead_get_str(hit, "name"));
}

/* In JSON truth has a word of its own, as docker has it. */
static json_t *search_rows(const bulkhead_value *reply, bool no_trunc, bool as_json) {
    const char *const words[2] = {as_json ? "false" : "", as_json ? "true" : "[OK]"};
    const bulkhead_value *hits = bulkhead_get(reply, "hit");
    bool several = bulkhead_get_bool(reply, "several");
    json_t *rows = json_array();

    for (size_t i = 0; i < bulkhead_count(hits); i++) {
        const bulkhead_value *hit = bulkhead_at(hits, i);
        json_t *row = json_object();
        char stars[24];

        snprintf(stars, sizeof stars, "%llu", (unsigned long long)bulkhead_get_uint(hit, "stars"));
        json_object_set_new(row, "Description", description(bulkhead_get_str(hit, "description"), no_trunc));
        if (several || !as_json) /* docker's JSON has no such key */
            json_object_set_new(row, "Index", shape_text(bulkhead_get_str(hit, "index")));
        json_object_set_new(row, "IsOfficial", json_string(words[bulkhead_get_bool(hit, "official")]));
        json_object_set_new(row, "Name", name_of(hit, several));
        json_object_set_new(row, "StarCount", json_string(stars));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void warn_about(struct cli_ctx *ctx, const bulkhead_value *reply) {
    const bulkhead_value *catalogs = bulkhead_get(reply, "catalog"), *failed = bulkhead_get(reply, "warning");

    for (size_t i = 0; i < bulkhead_count(failed); i++)
        cli_warn(ctx->out, "%s", bulkhead_str(bulkhead_at(failed, i)));
    for (size_t i = 0; i < bulkhead_count(catalogs); i++)
        cli_warn(ctx->out, "%s has no search: these are its repositories whose names fit",
                 bulkhead_str(bulkhead_at(catalogs, i)));
}

int cmd_search(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format")};
    const char *term = args->operands[0]; /* "host/term" is for that host, by the rule of references */
    int64_t limit = cli_int(args, "limit");
    bulkhead_value *request, *remote = NULL, *reply = NULL;
    struct bh_err err = BH_ERR_INIT;
    json_t *rows;
    int status;

    if (limit < 0 || limit > 100) /* 0: the default, as docker has it */
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "limit %lld is outside the range of [1, 100]", (long long)limit);
    if ((status = cli_remote_make(ctx, args, CLI_REMOTE_SEARCH, &term, 1, &remote)) != 0)
        return status;
    request = bulkhead_map_new();
    bulkhead_set(request, "remote", remote);
    bulkhead_set_str(request, "term", term);
    bulkhead_set_uint(request, "limit", (uint64_t)limit);
    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "registry", "Search", request, &reply)) != 0)
        return status;
    warn_about(ctx, reply);
    rows = search_rows(reply, cli_bool(args, "no-trunc"),
                       opts.format != NULL &&
                           (strcmp(opts.format, "json") == 0 || strcmp(opts.format, "{{json .}}") == 0));
    if (cli_list_print(ctx->out, &search_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(reply);
    return status;
}

/* The registry's pages are asked for one after the other until all or `limit` are here. */
static int take_tags(struct cli_ctx *ctx, bulkhead_value *request, uint64_t limit, json_t *rows) {
    for (bool more = true; more && (limit == 0 || json_array_size(rows) < limit);) {
        bulkhead_value *reply = NULL;
        const bulkhead_value *tags;
        int status;

        bulkhead_set_uint(request, "limit", limit == 0 ? 0 : limit - json_array_size(rows));
        if ((status = cli_call(ctx, "registry", "TagList", request, &reply)) != 0)
            return status;
        tags = bulkhead_get(reply, "tag");
        for (size_t i = 0; i < bulkhead_count(tags); i++) {
            json_t *row = json_object();

            json_object_set_new(row, "Repository", shape_text(bulkhead_get_str(reply, "repository")));
            json_object_set_new(row, "Tag", shape_text(bulkhead_str(bulkhead_at(tags, i))));
            json_array_append_new(rows, row);
        }
        more = bulkhead_get_bool(reply, "more") && bulkhead_count(tags) > 0;
        if (more)
            bulkhead_set_str(request, "last", bulkhead_str(bulkhead_at(tags, bulkhead_count(tags) - 1)));
        bulkhead_value_free(reply);
    }
    return 0;
}

int cmd_tags(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format"), .quiet = cli_bool(args, "quiet")};
    const char *name = args->operands[0];
    int64_t limit = cli_int(args, "limit");
    bulkhead_value *request, *remote = NULL;
    struct bh_err err = BH_ERR_INIT;
    json_t *rows;
    int status;

    if (limit < 0)
        return cli_failf(ctx->out, CLI_EXIT_USAGE, "invalid argument \"%lld\" for \"--limit\" flag: below 0",
                         (long long)limit);
    if ((status = cli_remote_make(ctx, args, CLI_REMOTE_LIST, &name, 1, &remote)) != 0)
        return status;
    request = bulkhead_map_new();
    bulkhead_set(request, "remote", remote);
    bulkhead_set_str(request, "repository", name);
    bulkhead_set_str(request, "pattern", cli_str(args, "filter"));
    rows = json_array();
    status = take_tags(ctx, request, (uint64_t)limit, rows);
    bulkhead_value_free(request);
    if (status == 0 && cli_list_print(ctx->out, &tags_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    return status;
}
