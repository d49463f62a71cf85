/*
 * build_send.c - the files of a build that leave the machine: its context, and the named ones that it uses.
 *
 * Room: client.  The Dockerfile was checked before; only files that it can need travel, and of those only what the
 * store lacks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/build_int.h"
#include "cli/context.h"
#include "cli/engine.h"
#include "cli/layout_pack.h"

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

void build_layouts_given(struct build *x) {
    for (size_t i = 0; i < x->n_layouts; i++)
        if (x->layout_fds[i] >= 0) {
            close(x->layout_fds[i]);
            x->layout_fds[i] = -1;
        }
}

/* FOLDER, FOLDER:TAG, FOLDER@DIGEST */
static int split_layout(const char *text, char dir[4096], char tag[256], char digest[256], struct bh_err *err) {
    const char *at = strchr(text, '@'), *slash = strrchr(text, '/'), *colon = strchr(slash != NULL ? slash : text, ':');
    size_t n = at != NULL ? (size_t)(at - text) : colon != NULL ? (size_t)(colon - text) : strlen(text);

    if (n > 0 && bh_str_copy_n(dir, 4096, text, n) && bh_str_copy(digest, 256, at != NULL ? at + 1 : "") &&
        bh_str_copy(tag, 256, at == NULL && colon != NULL ? colon + 1 : ""))
        return 0;
    return bh_err_set(err, BH_E_INVALID, "%.200s is no layout: FOLDER, FOLDER:TAG or FOLDER@DIGEST", text);
}

static int add_layout(struct build *x, const char *text, bulkhead_value *item, struct bh_err *err) {
    char dir[4096], tag[256], digest[256];
    const struct cli_layout_pick pick = {.dir = dir, .tag = tag, .digest = digest, .or_tag = "latest"};
    bool foreign;

    if (x->n_layouts == BUILD_LAYOUTS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "at most %d layouts can be contexts", BUILD_LAYOUTS_MAX);
    if (split_layout(text, dir, tag, digest, err) != 0 ||
        cli_layout_pack(&pick, &x->layout_fds[x->n_layouts], &foreign, err) != 0)
        return err->code;
    if (foreign)
        return bh_err_set(err, BH_E_INVALID, "%s holds a cache of BuildKit and no image", dir);
    x->n_layouts++;
    bulkhead_set_bool(item, "archive", true);
    return 0;
}

static bool is_address(const char *text) {
    return bh_str_starts(text, "http://") || bh_str_starts(text, "https://");
}

static int add_files(struct build *x, const char *value, bulkhead_value *item) {
    static const char *const all[] = {"/"};
    struct cli_context_options o = {.needed = all, .n_needed = 1};
    char *id BH_SCOPE_FREE = NULL;
    struct build_input named = {0};
    struct bh_err err = BH_ERR_INIT;
    uint64_t sent;
    int status;

    if (build_input_named(&named, value, &err) != 0) {
        status = cli_fail(x->ctx->out, &err);
    } else {
        o.root = named.folder;
        status = cli_context_send(x->ctx, &o, &id, &sent);
    }
    build_input_fini(&named);
    if (status == 0)
        bulkhead_set_str(item, "context", id);
    return status;
}

/* A repository of git is refused with its own words, by whoever looks at files. */
static int fill_named(struct build *x, const char *value, bulkhead_value *item) {
    struct bh_err err = BH_ERR_INIT;

    if (bh_str_starts(value, BUILD_IMAGE_CONTEXT)) {
        bulkhead_set_str(item, "reference", value + strlen(BUILD_IMAGE_CONTEXT));
        return 0;
    }
    if (bh_str_starts(value, BUILD_LAYOUT_CONTEXT))
        return add_layout(x, value + strlen(BUILD_LAYOUT_CONTEXT), item, &err) == 0 ? 0 : cli_fail(x->ctx->out, &err);
    if (!is_address(value) || build_input_is_git(value))
        return add_files(x, value, item);
    bulkhead_set_str(item, "url", value);
    return 0;
}

static int add_named(struct build *x, const char *text, bulkhead_value *list) {
    const char *eq = strchr(text, '=');
    char *name BH_SCOPE_FREE = NULL;
    bulkhead_value *item;
    int status;

    if (eq == NULL || eq == text || eq[1] == '\0')
        return cli_failf(x->ctx->out, CLI_EXIT_USAGE,
                         "invalid argument \"%s\" for \"--build-context\" flag: a context is NAME=VALUE", text);
    name = bh_xstrndup(text, (size_t)(eq - text));
    if (x->check != NULL && !uses_name(bulkhead_get(x->check, "context_name"), name))
        return 0;
    item = bulkhead_map_new();
    bulkhead_set_str(item, "name", name);
    status = fill_named(x, eq + 1, item);
    if (status != 0) {
        bulkhead_value_free(item);
        return status;
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
