/*
 * cmd_ps.c - `ps`: the containers.
 *
 * Room: client.  docker 28's columns, fields and words of the status.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/ps.h"
#include "cli/shape.h"
#include "cli/table.h"
#include "oci/port.h"

const struct cli_opt cmd_ps_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Show all containers, not only running ones"},
    {.name = "filter", .letter = 'f', .kind = CLI_LIST, .help = "Show what matches KEY=VALUE", .metavar = "filter"},
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {.name = "last", .letter = 'n', .kind = CLI_INT, .help = "Show the N newest, in any state", .def = "-1"},
    {.name = "latest", .letter = 'l', .kind = CLI_BOOL, .help = "Show the newest, in any state"},
    {.name = "no-trunc", .kind = CLI_BOOL, .help = "Do not cut"},
    {.name = "noheading", .kind = CLI_BOOL, .help = "Leave the headings out"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Show IDs only"},
    {.name = "size", .letter = 's', .kind = CLI_BOOL, .help = "Show sizes"},
    {0},
};

static const struct cli_field fields[] = {
    {"ID", "CONTAINER ID"},      {"Names", "NAMES"},
    {"Image", "IMAGE"},          {"Command", "COMMAND"},
    {"CreatedAt", "CREATED AT"}, {"RunningFor", "CREATED"},
    {"Ports", "PORTS"},          {"State", "STATE"},
    {"Status", "STATUS"},        {"Size", "SIZE"},
    {"Labels", "LABELS"},        {"Mounts", "MOUNTS"},
    {"Networks", "NETWORKS"},    {"LocalVolumes", "LOCAL VOLUMES"},
    {"Platform", "PLATFORM"},    {0},
};
const struct cli_list cli_ps_list = {
    .fields = fields,
    .table = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
    .quiet = "{{.ID}}",
};
static const char table_size[] =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

static void status_text(char *dst, size_t size, const bulkhead_value *state, int64_t now) {
    const char *status = bulkhead_get_str(state, "status");
    char age[CLI_CELL_SIZE];

    if (strcmp(status, "running") == 0 || strcmp(status, "paused") == 0) {
        bh_human_duration(age, sizeof age, (now - bulkhead_get_int(state, "started_ns")) / BH_NSEC);
        snprintf(dst, size, "Up %s%s", age, strcmp(status, "paused") == 0 ? " (Paused)" : "");
    } else if (strcmp(status, "exited") == 0) {
        bh_human_duration(age, sizeof age, (now - bulkhead_get_int(state, "finished_ns")) / BH_NSEC);
        snprintf(dst, size, "Exited (%lld) %s ago", (long long)bulkhead_get_int(state, "exit_code"), age);
    } else if (strcmp(status, "created") == 0) {
        snprintf(dst, size, "Created");
    } else if (strcmp(status, "dead") == 0) {
        snprintf(dst, size, "Dead");
    } else if (strcmp(status, "removing") == 0) {
        snprintf(dst, size, "Removal In Progress");
    } else {
        snprintf(dst, size, "%s", status);
    }
}

static char *command_text(const bulkhead_value *command, bool no_trunc) {
    struct bh_buf text = BH_BUF_INIT;
    char *cut, *quoted;

    for (size_t i = 0; i < bulkhead_count(command); i++) {
        const char *word = bulkhead_str(bulkhead_at(command, i));
        const char *quote = i > 0 && strchr(word, ' ') != NULL ? "'" : ""; /* as docker: the program itself never */

        bh_buf_addf(&text, "%s%s%s%s", i > 0 ? " " : "", quote, word, quote);
    }
    cut = no_trunc ? bh_xstrdup(bh_buf_str(&text)) : cli_cell_cut(bh_buf_str(&text), 20);
    bh_buf_reset(&text);
    bh_buf_add_json_str(&text, cut, strlen(cut)); /* docker quotes as Go does; the same but for rare bytes */
    free(cut);
    quoted = bh_buf_take(&text);
    return quoted;
}

static int by_port(const void *a, const void *b) {
    const struct bh_ports *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return strcmp(x->proto, y->proto);
}

static void add_range(struct bh_buf *text, const struct bh_ports *p) {
    bh_buf_addf(text, "%s%u", text->len > 0 ? ", " : "", p->first);
    if (p->last > p->first)
        bh_buf_addf(text, "-%u", p->last);
    bh_buf_addf(text, "/%s", p->proto);
}

/* Neighbours as ranges, in docker's order: of each protocol all ranges but the last, then the last ones. */
static char *ports_text(const bulkhead_value *list) {
    struct bh_ports *ports BH_SCOPE_FREE = bh_xcalloc(bulkhead_count(list) + 1, sizeof *ports);
    struct bh_ports last[3]; /* one for each protocol */
    struct bh_buf text = BH_BUF_INIT;
    size_t n = 0, n_last = 0;

    for (size_t i = 0; i < bulkhead_count(list); i++) {
        struct bh_err ignored = BH_ERR_INIT;

        n += bh_ports_parse(bulkhead_str(bulkhead_at(list, i)), &ports[n], &ignored) == 0;
    }
    qsort(ports, n, sizeof *ports, by_port);
    for (size_t i = 0, k; i < n; i++) {
        for (k = 0; k < n_last && strcmp(last[k].proto, ports[i].proto) != 0; k++)
            ;
        if (k < n_last && ports[i].first == last[k].last + 1) {
            last[k].last = ports[i].last;
            continue;
        }
        if (k < n_last)
            add_range(&text, &last[k]);
        last[k] = ports[i];
        n_last += k == n_last;
    }
    for (size_t k = 0; k < n_last; k++)
        add_range(&text, &last[k]);
    return bh_buf_take(&text);
}

/* Each cut at 15, as docker does. */
static char *mounts_text(const bulkhead_value *mounts, bool no_trunc) {
    struct bh_buf text = BH_BUF_INIT;

    for (size_t i = 0; i < bulkhead_count(mounts); i++) {
        const char *source = bulkhead_get_str(bulkhead_at(mounts, i), "source");
        BH_SCOPE_FREE char *cut = no_trunc ? bh_xstrdup(source) : cli_cell_cut(source, 15);

        bh_buf_addf(&text, "%s%s", i > 0 ? "," : "", cut);
    }
    return bh_buf_take(&text);
}

static char *labels_text(const bulkhead_value *labels) {
    struct bh_buf text = BH_BUF_INIT;

    for (size_t i = 0; i < bulkhead_count(labels); i++) {
        const bulkhead_value *l = bulkhead_at(labels, i);

        bh_buf_addf(&text, "%s%s=%s", i > 0 ? "," : "", bulkhead_get_str(l, "key"), bulkhead_get_str(l, "value"));
    }
    return bh_buf_take(&text);
}

/* A name without the digest behind it; cut when there is only an ID left. */
static char *image_text(const char *image, bool no_trunc) {
    char id[CLI_CELL_SIZE * 2];

    if (!no_trunc && bh_str_starts(image, "sha256:")) {
        cli_cell_id(id, sizeof id, image, false);
        return bh_xstrdup(id);
    }
    return bh_xstrndup(image, no_trunc ? strlen(image) : strcspn(image, "@"));
}

static void set_taken(json_t *row, const char *key, char *take_text) {
    json_object_set_new(row, key, shape_text(take_text));
    free(take_text);
}

json_t *cli_ps_row(const bulkhead_value *c, int64_t now, bool no_trunc, bool size) {
    char id[CLI_CELL_SIZE * 2], cell[CLI_CELL_SIZE], rw[CLI_CELL_SIZE], root[CLI_CELL_SIZE], status[128];
    const bulkhead_value *state = bulkhead_get(c, "state");
    json_t *row = json_object();

    set_taken(row, "Command", command_text(bulkhead_get(c, "command"), no_trunc));
    cli_cell_time(cell, sizeof cell, bulkhead_get_int(c, "created_ns"));
    json_object_set_new(row, "CreatedAt", json_string(cell));
    cli_cell_id(id, sizeof id, bulkhead_get_str(c, "id"), no_trunc);
    json_object_set_new(row, "ID", shape_text(id));
    set_taken(row, "Image", image_text(bulkhead_get_str(c, "image"), no_trunc));
    set_taken(row, "Labels", labels_text(bulkhead_get(c, "label")));
    json_object_set_new(row, "LocalVolumes", json_string("0"));
    set_taken(row, "Mounts", mounts_text(bulkhead_get(c, "mount"), no_trunc));
    json_object_set_new(row, "Names", shape_text(bulkhead_get_str(c, "name")));
    json_object_set_new(row, "Networks", shape_text(bulkhead_get_str(c, "network")));
    json_object_set_new(row, "Platform", json_string("linux"));
    set_taken(row, "Ports", ports_text(bulkhead_get(c, "port")));
    cli_cell_ago(cell, sizeof cell, bulkhead_get_int(c, "created_ns"), now);
    json_object_set_new(row, "RunningFor", json_string(cell));
    bh_human_size(rw, sizeof rw, bulkhead_get_uint(c, "size_rw"), 3);
    bh_human_size(root, sizeof root, bulkhead_get_uint(c, "size_root"), 3);
    if (size)
        snprintf(status, sizeof status, "%s (virtual %s)", rw, root);
    else
        snprintf(status, sizeof status, "0B");
    json_object_set_new(row, "Size", json_string(status));
    json_object_set_new(row, "State", shape_text(bulkhead_get_str(state, "status")));
    status_text(status, sizeof status, state, now);
    json_object_set_new(row, "Status", json_string(status));
    json_object_set_new(row, "_labels", shape_pairs(bulkhead_get(c, "label")));
    return row;
}

int cmd_ps(struct cli_ctx *ctx, const struct cli_args *args) {
    bool size = cli_bool(args, "size"), no_trunc = cli_bool(args, "no-trunc");
    struct cli_list_opts opts = {.format = cli_str(args, "format"),
                                 .quiet = cli_bool(args, "quiet"),
                                 .no_heading = cli_bool(args, "noheading"),
                                 .table = size ? table_size : NULL};
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int64_t last = cli_bool(args, "latest") ? 1 : cli_int(args, "last");
    const bulkhead_value *containers;
    struct bh_err err = BH_ERR_INIT;
    json_t *rows;
    int status;

    bulkhead_set_bool(request, "all", cli_bool(args, "all"));
    bulkhead_set_int(request, "last", last > 0 ? last : 0);
    bulkhead_set_bool(request, "size", size);
    if ((status = cli_set_filters(ctx, args, request)) != 0) {
        bulkhead_value_free(request);
        return status;
    }
    if ((status = cli_call_take(ctx, "runtime", "ContainerList", request, &reply)) != 0)
        return status;
    rows = json_array();
    containers = bulkhead_get(reply, "container");
    for (size_t i = 0; i < bulkhead_count(containers); i++)
        json_array_append_new(rows, cli_ps_row(bulkhead_at(containers, i), bh_now_ns(), no_trunc, size));
    if (cli_list_print(ctx->out, &cli_ps_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(reply);
    return status;
}
