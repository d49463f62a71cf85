/*
 * cmd_rooms.c - `system rooms`: the engine's processes and what the kernel says of their rights.
 *
 * Room: client.
 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/shape.h"
#include "cli/table.h"

const struct cli_opt cmd_system_rooms_opts[] = {
    {.name = "format", .kind = CLI_STRING, .help = "table, table TEMPLATE, json, or a template"},
    {0},
};

static const struct cli_field room_fields[] = {
    {"Name", "ROOM"},         {"State", "STATE"},
    {"Pid", "PID"},           {"Uid", "UID"},
    {"Caps", "CAPS"},         {"Seccomp", "SECCOMP"},
    {"NoNewPrivs", "NNP"},    {"Namespaces", "NAMESPACES"},
    {"Restarts", "RESTARTS"}, {"Threads", "THREADS"},
    {"Fds", "FDS"},           {"Rss", "RSS"},
    {"Uptime", "UP"},         {0},
};
static const struct cli_list room_list = {
    .fields = room_fields,
    .table = "{{.Name}}\t{{.State}}\t{{.Pid}}\t{{.Uid}}\t{{.Caps}}\t{{.Seccomp}}\t{{.NoNewPrivs}}\t{{.Namespaces}}\t"
             "{{.Restarts}}\t{{.Rss}}",
};

static void caps_cell(char *dst, size_t size, uint64_t caps) {
    int n = __builtin_popcountll(caps);

    if (n == 0)
        bh_str_copy(dst, size, "none");
    else
        snprintf(dst, size, "%d (%llx)", n, (unsigned long long)caps);
}

static json_t *room_row(const bulkhead_value *room) {
    static const char *const modes[] = {"off", "strict", "filter"};
    const bulkhead_value *ns = bulkhead_get(room, "own_namespace");
    char caps[CLI_CELL_SIZE], rss[CLI_CELL_SIZE], up[CLI_CELL_SIZE], names[128] = "";
    uint64_t mode = bulkhead_get_uint(room, "seccomp_mode");
    json_t *row = json_object();
    size_t used = 0;

    for (size_t i = 0; i < bulkhead_count(ns); i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? "," : "",
                                 bulkhead_str(bulkhead_at(ns, i)));
    caps_cell(caps, sizeof caps, bulkhead_get_uint(room, "cap_effective") | bulkhead_get_uint(room, "cap_permitted"));
    cli_cell_size(rss, sizeof rss, bulkhead_get_uint(room, "rss_kb") * 1024);
    bh_human_duration(up, sizeof up, (bh_now_ns() - bulkhead_get_int(room, "started_ns")) / BH_NSEC);
    json_object_set_new(row, "Name", shape_text(bulkhead_get_str(room, "name")));
    json_object_set_new(row, "State", shape_text(bulkhead_get_str(room, "state")));
    json_object_set_new(row, "Pid", json_integer(bulkhead_get_int(room, "pid")));
    json_object_set_new(row, "Uid", json_integer(bulkhead_get_int(room, "uid")));
    json_object_set_new(row, "Gid", json_integer(bulkhead_get_int(room, "gid")));
    json_object_set_new(row, "Caps", json_string(caps));
    json_object_set_new(row, "CapEffective", json_integer(bulkhead_get_int(room, "cap_effective")));
    json_object_set_new(row, "CapPermitted", json_integer(bulkhead_get_int(room, "cap_permitted")));
    json_object_set_new(row, "CapBounding", json_integer(bulkhead_get_int(room, "cap_bounding")));
    json_object_set_new(row, "CapInheritable", json_integer(bulkhead_get_int(room, "cap_inheritable")));
    json_object_set_new(row, "CapAmbient", json_integer(bulkhead_get_int(room, "cap_ambient")));
    json_object_set_new(row, "Seccomp", json_string(mode < 3 ? modes[mode] : "?"));
    json_object_set_new(row, "NoNewPrivs", json_string(bulkhead_get_bool(room, "no_new_privs") ? "yes" : "no"));
    json_object_set_new(row, "Namespaces", json_string(names[0] != '\0' ? names : "-"));
    json_object_set_new(row, "Restarts", json_integer(bulkhead_get_int(room, "restarts")));
    json_object_set_new(row, "Threads", json_integer(bulkhead_get_int(room, "threads")));
    json_object_set_new(row, "Fds", json_integer(bulkhead_get_int(room, "open_fds")));
    json_object_set_new(row, "Rss", json_string(rss));
    json_object_set_new(row, "Uptime", json_string(up));
    return row;
}

int cmd_system_rooms(struct cli_ctx *ctx, const struct cli_args *args) {
    struct cli_list_opts opts = {.format = cli_str(args, "format")};
    struct bh_err err = BH_ERR_INIT;
    bulkhead_value *reply = NULL;
    const bulkhead_value *rooms;
    json_t *rows;
    int status = cli_call(ctx, "runtime", "Rooms", NULL, &reply);

    if (status != 0)
        return status;
    rows = json_array();
    rooms = bulkhead_get(reply, "room");
    for (size_t i = 0; i < bulkhead_count(rooms); i++)
        json_array_append_new(rows, room_row(bulkhead_at(rooms, i)));
    if (cli_list_print(ctx->out, &room_list, &opts, rows, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(rows);
    bulkhead_value_free(reply);
    return status;
}
