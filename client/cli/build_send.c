/*
 * build_send.c - the files of a build that leave the machine: its context, and the named ones that it uses.
 *
 * Room: client.  The Dockerfile was checked before; only files that it can need travel, and of those only what the
 * store lacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/build_int.h"
#include "cli/context.h"
#include "cli/engine.h"

int build_send_context(struct build *x) {
    const bulkhead_value *needed = bulkhead_get(x->check, "context_path");
    struct cli_context_options o = {.root = x->input.folder, .ignore = x->input.ignore};
    const char **paths BH_SCOPE_FREE = NULL;
    int64_t started = bh_now_ns();
    char note[100], size[32];
    uint64_t sent = 0;
    int status;

    if (x->input.folder == NULL || bulkhead_count(needed) == 0)
        return 0;
    paths = bh_xcalloc(bulkhead_count(needed), sizeof *paths);
    for (size_t i = 0; i < bulkhead_count(needed); i++)
        paths[i] = bulkhead_str(bulkhead_at(needed, i));
    o.needed = paths;
    o.n_needed = bulkhead_count(needed);
    status = cli_context_send(x->ctx, &o, &x->context_id, &sent);
    if (status != 0)
        return status;
    bh_human_size(size, sizeof size, sent, 4);
    snprintf(note, sizeof note, "transferring context: %s done", size);
    build_view_own(x->view, "[internal] load build context", note, started);
    return 0;
}

static bool uses_name(const bulkhead_value *names, const char *name) {
    for (size_t i = 0; i < bulkhead_count(names); i++)
        if (strcmp(bulkhead_str(bulkhead_at(names, i)), name) == 0)
            return true;
    return false;
}

static int add_named(struct build *x, const char *text, bulkhead_value *list) {
    static const char *const all[] = {"/"};
    const char *eq = strchr(text, '=');
    char *name BH_SCOPE_FREE = NULL;
    char *id BH_SCOPE_FREE = NULL;
    struct cli_context_options o = {.needed = all, .n_needed = 1};
    bulkhead_value *item;
    uint64_t sent;
    int status;

    if (eq == NULL || eq == text || eq[1] == '\0')
        return cli_failf(x->ctx->out, CLI_EXIT_USAGE,
                         "invalid argument \"%s\" for \"--build-context\" flag: a context is NAME=VALUE", text);
    name = bh_xstrndup(text, (size_t)(eq - text));
    if (x->check != NULL && !uses_name(bulkhead_get(x->check, "context_name"), name))
        return 0;
    item = bulkhead_map_new();
    bulkhead_set_str(item, "name", name);
    if (bh_str_starts(eq + 1, BUILD_IMAGE_CONTEXT)) {
        bulkhead_set_str(item, "reference", eq + 1 + strlen(BUILD_IMAGE_CONTEXT));
    } else {
        struct build_input named = {0};
        struct bh_err err = BH_ERR_INIT;

        if (build_input_named(&named, eq + 1, &err) != 0) {
            status = cli_fail(x->ctx->out, &err);
        } else {
            o.root = named.folder;
            status = cli_context_send(x->ctx, &o, &id, &sent);
        }
        build_input_fini(&named);
        if (status != 0) {
            bulkhead_value_free(item);
            return status;
        }
        bulkhead_set_str(item, "context", id);
    }
    bulkhead_add(list, item);
    return 0;
}

int build_send_named(struct build *x, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();
    int status = 0;

    for (size_t i = 0; status == 0 && i < cli_count(x->args, "build-context"); i++)
        status = add_named(x, cli_item(x->args, "build-context", i), list);
    bulkhead_set(request, "named", list);
    return status;
}
