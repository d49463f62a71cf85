/*
 * cmd_images.c - `images`: one row for each name of each image.
 *
 * Room: client.  docker 28's table, fields and rules for rows (an image with digests alone, a
 * dangling one, --digests).
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/images_tree.h"
#include "cli/shape.h"
#include "cli/table.h"

const struct cli_opt cmd_images_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Show all images, also intermediate ones"},
    {.name = "digests", .kind = CLI_BOOL, .help = "Show digests"},
    {.name = "filter", .letter = 'f', .kind = CLI_LIST, .help = "Show what matches KEY=VALUE", .metavar = "filter"},
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "no-trunc", .kind = CLI_BOOL, .help = "Do not cut IDs"},
    {.name = "noheading", .kind = CLI_BOOL, .help = "Leave the headings out"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Show IDs only"},
    {.name = "sort",
     .kind = CLI_STRING,
     .help = "Sort by a column",
     .def = "created",
     .complete = "created|id|repository|size|tag"},
    {.name = "tree", .kind = CLI_BOOL, .help = "List the platforms of each image as a tree"},
    {0},
};

static const struct cli_field fields[] = {
    {"ID", "IMAGE ID"},
    {"Repository", "REPOSITORY"},
    {"Tag", "TAG"},
    {"Digest", "DIGEST"},
    {"CreatedSince", "CREATED"},
    {"CreatedAt", "CREATED AT"},
    {"Size", "SIZE"},
    {"Containers", "CONTAINERS"},
    {"VirtualSize", "SIZE"},
    {"SharedSize", "SHARED SIZE"},
    {"UniqueSize", "UNIQUE SIZE"},
    {0},
};
static const struct cli_list list = {
    .fields = fields,
    .table = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
    .quiet = "{{.ID}}",
};
static const char table_digests[] = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

struct row_maker {
    json_t *rows;
    int64_t now;
    bool no_trunc;
    bool plain;   /* only what the tables of this list name */
    bool digests; /* of them, the one with digests */
    bool by_size;
    bool sizes; /* shared and unique sizes were asked for */
};

/* What only a --format can name. */
static void add_more(const struct row_maker *m, const bulkhead_value *image, const char *size, json_t *row) {
    char at[CLI_CELL_SIZE] = "N/A", containers[CLI_CELL_SIZE];
    char shared[CLI_CELL_SIZE] = "N/A",
         unique[CLI_CELL_SIZE] = "N/A"; /* as docker, which counts them for `system df -v` alone */
    int64_t created = bulkhead_get_int(image, "created_ns");

    if (created != 0)
        cli_cell_time(at, sizeof at, created);
    if (m->sizes) {
        cli_cell_size(shared, sizeof shared, bulkhead_get_uint(image, "shared_size"));
        cli_cell_size(unique, sizeof unique, bulkhead_get_uint(image, "unique_size"));
    }
    snprintf(containers, sizeof containers, "%llu", (unsigned long long)bulkhead_get_uint(image, "containers"));
    json_object_set_new(row, "Containers", json_string(containers));
    json_object_set_new(row, "CreatedAt", json_string(at));
    json_object_set_new(row, "SharedSize", json_string(shared));
    json_object_set_new(row, "UniqueSize", json_string(unique));
    json_object_set_new(row, "VirtualSize", json_string(size));
    json_object_set_new(row, "_labels", shape_pairs(bulkhead_get(image, "label")));
}

static void add_row(struct row_maker *m, const bulkhead_value *image, const char *repo, const char *tag,
                    const char *digest) {
    char id[CLI_CELL_SIZE * 2], since[CLI_CELL_SIZE] = "N/A", size[CLI_CELL_SIZE];
    int64_t created = bulkhead_get_int(image, "created_ns");
    json_t *row = json_object();

    cli_cell_id(id, sizeof id, bulkhead_get_str(image, "id"), m->no_trunc);
    if (created != 0)
        cli_cell_ago(since, sizeof since, created, m->now);
    cli_cell_size(size, sizeof size, bulkhead_get_uint(image, "size"));
    json_object_set_new(row, "CreatedSince", json_string(since));
    if (m->digests)
        json_object_set_new(row, "Digest", shape_text(digest));
    json_object_set_new(row, "ID", shape_text(id));
    json_object_set_new(row, "Repository", shape_text(repo));
    json_object_set_new(row, "Size", json_string(size));
    json_object_set_new(row, "Tag", shape_text(tag));
    if (m->by_size)
        json_object_set_new(row, "_bytes", json_integer((json_int_t)bulkhead_get_uint(image, "size")));
    if (!m->plain)
        add_more(m, image, size, row);
    json_array_append_new(m->rows, row);
}

/* Digest of `repo` among "repo@sha256:.." entries, NULL if there is none. */
static const char *digest_of(const bulkhead_value *digests, const char *repo, size_t repo_len) {
    for (size_t i = 0; i < bulkhead_count(digests); i++) {
        const char *entry = bulkhead_str(bulkhead_at(digests, i)), *at = strchr(entry, '@');

        if (at != NULL && (size_t)(at - entry) == repo_len && memcmp(entry, repo, repo_len) == 0)
            return at + 1;
    }
    return NULL;
}

static bool has_tag_of(const bulkhead_value *tags, const char *repo, size_t repo_len) {
    for (size_t i = 0; i < bulkhead_count(tags); i++) {
        const char *tag = bulkhead_str(bulkhead_at(tags, i)), *colon = strrchr(tag, ':');

        if (colon != NULL && (size_t)(colon - tag) == repo_len && memcmp(tag, repo, repo_len) == 0)
            return true;
    }
    return false;
}

static void add_image(void *arg, const bulkhead_value *image) {
    struct row_maker *m = arg;
    const bulkhead_value *tags = bulkhead_get(image, "repo_tags"), *digests = bulkhead_get(image, "repo_digests");
    size_t before = json_array_size(m->rows);

    for (size_t i = 0; i < bulkhead_count(tags); i++) {
        const char *tag = bulkhead_str(bulkhead_at(tags, i)), *colon = strrchr(tag, ':');
        char *repo = bh_xstrndup(tag, (size_t)(colon != NULL ? colon - tag : 0));
        const char *digest = digest_of(digests, repo, strlen(repo));

        add_row(m, image, repo, colon != NULL ? colon + 1 : "<none>", digest != NULL ? digest : "<none>");
        free(repo);
    }
    for (size_t i = 0; i < bulkhead_count(digests); i++) {
        const char *entry = bulkhead_str(bulkhead_at(digests, i)), *at = strchr(entry, '@');
        char *repo;

        if (at == NULL || has_tag_of(tags, entry, (size_t)(at - entry)))
            continue;
        repo = bh_xstrndup(entry, (size_t)(at - entry));
        add_row(m, image, repo, "<none>", at + 1);
        free(repo);
    }
    if (json_array_size(m->rows) == before)
        add_row(m, image, "<none>", "<none>", "<none>");
}

static const char *sort_key;

static int compare_rows(const void *a, const void *b) {
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

    if (strcmp(sort_key, "_bytes") == 0) {
        json_int_t n = json_integer_value(json_object_get(x, sort_key));
        json_int_t k = json_integer_value(json_object_get(y, sort_key));

        return n < k ? 1 : n > k ? -1 : 0;
    }
    return strcmp(json_string_value(json_object_get(x, sort_key)), json_string_value(json_object_get(y, sort_key)));
}

static int sort_rows(struct cli_ctx *ctx, const char *by, json_t **rows) {
    static const struct {
        const char *name, *key;
    } keys[] = {{"id", "ID"}, {"repository", "Repository"}, {"size", "_bytes"}, {"tag", "Tag"}};
    size_t n = json_array_size(*rows);
    json_t **order, *sorted;

    if (by == NULL || strcmp(by, "created") == 0)
        return 0; /* the engine's order */
    sort_key = NULL;
    for (size_t i = 0; i < BH_ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].name, by) == 0)
            sort_key = keys[i].key;
    }
    if (sort_key == NULL)
        return cli_failf(ctx->out, CLI_EXIT_USAGE, "--sort %s: not one of created, id, repository, size, tag", by);
    order = bh_xcalloc(n, sizeof *order);
    for (size_t i = 0; i < n; i++)
        order[i] = json_array_get(*rows, i);
    qsort(order, n, sizeof(json_t *), compare_rows);
    sorted = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append(sorted, order[i]);
    free(order);
    json_decref(*rows);
    *rows = sorted;
    return 0;
}

/* shared_size and unique_size cost the engine a look at every layer: asked for when they are shown. */
static bool wants_sizes(const char *format) {
    return format != NULL && (strstr(format, "SharedSize") != NULL || strstr(format, "UniqueSize") != NULL);
}

/* The list comes in parts, each below the size of a message. */
static int take_pages(struct cli_ctx *ctx, bulkhead_value *request, void (*add)(void *arg, const bulkhead_value *image),
                      void *arg) {
    for (bool more = true; more;) {
        const bulkhead_value *images;
        bulkhead_value *reply = NULL;
        int status = cli_call(ctx, "store", "ImageList", request, &reply);
        size_t n;

        if (status != 0)
            return status;
        images = bulkhead_get(reply, "image");
        n = bulkhead_count(images);
        for (size_t i = 0; i < n; i++)
            add(arg, bulkhead_at(images, i));
        more = bulkhead_get_bool(reply, "more") && n > 0;
        if (more)
            bulkhead_set_str(request, "after", bulkhead_get_str(bulkhead_at(images, n - 1), "id"));
        bulkhead_value_free(reply);
    }
    return 0;
}

/* What --all, a filter and the operand leave. */
static int set_choice(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *request) {
    bulkhead_set_bool(request, "all", cli_bool(args, "all"));
    bulkhead_set_bool(request, "paged", true);
    if (args->operand_count > 0)
        bulkhead_set_str(request, "match", args->operands[0]);
    return cli_set_filters(ctx, args, request);
}

struct tree_maker {
    struct images_tree *tree;
    bool untagged;
};

static void add_to_tree(void *arg, const bulkhead_value *image) {
    const struct tree_maker *m = arg;
    bool named =
        bulkhead_count(bulkhead_get(image, "repo_tags")) + bulkhead_count(bulkhead_get(image, "repo_digests")) > 0;

    if (named || m->untagged)
        images_tree_add(m->tree, image);
}

/* As docker: those without a name are shown with --all; here also to whoever asks for them. */
static bool wants_untagged(const struct cli_args *args) {
    for (size_t i = 0; i < cli_count(args, "filter"); i++)
        if (bh_str_starts(cli_item(args, "filter", i), "dangling="))
            return true;
    return cli_bool(args, "all");
}

static int print_tree(struct cli_ctx *ctx, const struct cli_args *args) {
    static const char *const never[] = {"quiet", "no-trunc", "digests", "format", "sort", "noheading"};
    bulkhead_value *request = bulkhead_map_new();
    struct tree_maker m = {.tree = images_tree_new(), .untagged = wants_untagged(args)};
    int status = 0;

    for (size_t i = 0; status == 0 && i < BH_ARRAY_LEN(never); i++)
        if (cli_given(args, never[i]))
            status = cli_failf(ctx->out, CLI_EXIT_FAILED, "--%s is not yet supported with --tree", never[i]);
    bulkhead_set_bool(request, "platforms", true);
    if (status == 0)
        status = set_choice(ctx, args, request);
    if (status == 0)
        status = take_pages(ctx, request, add_to_tree, &m);
    if (status == 0)
        images_tree_print(ctx->out, m.tree);
    images_tree_free(m.tree);
    bulkhead_value_free(request);
    return status;
}

int cmd_images(struct cli_ctx *ctx, const struct cli_args *args) {
    struct row_maker m = {.now = bh_now_ns(), .no_trunc = cli_bool(args, "no-trunc")};
    struct cli_list_opts opts = {.format = cli_str(args, "format"),
                                 .quiet = cli_bool(args, "quiet"),
                                 .no_heading = cli_bool(args, "noheading"),
                                 .table = cli_bool(args, "digests") ? table_digests : NULL};
    bulkhead_value *request;
    struct bh_err err = BH_ERR_INIT;
    int status;

    if (cli_bool(args, "tree"))
        return print_tree(ctx, args);
    request = bulkhead_map_new();
    m.sizes = wants_sizes(opts.format);
    m.plain = cli_list_is_plain(&opts);
    m.digests = !m.plain || cli_bool(args, "digests");
    m.by_size = cli_str(args, "sort") != NULL && strcmp(cli_str(args, "sort"), "size") == 0;
    bulkhead_set_bool(request, "sizes", m.sizes);
    m.rows = json_array();
    status = set_choice(ctx, args, request);
    if (status == 0)
        status = take_pages(ctx, request, add_image, &m);
    bulkhead_value_free(request);
    if (status == 0)
        status = sort_rows(ctx, cli_str(args, "sort"), &m.rows);
    if (status == 0 && cli_list_print(ctx->out, &list, &opts, m.rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(m.rows);
    return status;
}
