/*
 * cmd_manifest.c - `manifest inspect|create|annotate|push|rm`: what a registry has, and lists of several platforms.
 *
 * Room: client.  A list in the making is the user's (manifest_list.h), until it is pushed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/manifest_list.h"
#include "cli/remote.h"
#include "cli/shape.h"
#include "oci/json.h"

#define INSECURE                                                                                                       \
    { .name = "insecure", .kind = CLI_BOOL, .help = "Do not require HTTPS and a certificate" }

const struct cli_opt cmd_manifest_inspect_opts[] = {
    INSECURE,
    {.name = "raw", .kind = CLI_BOOL, .help = "Print the document as it is on the registry"},
    {.name = "verbose", .letter = 'v', .kind = CLI_BOOL, .help = "Show the manifests of all platforms"},
    {0},
};
const struct cli_opt cmd_manifest_create_opts[] = {
    {.name = "amend", .letter = 'a', .kind = CLI_BOOL, .help = "Add to a list that is there"},
    INSECURE,
    {0},
};
const struct cli_opt cmd_manifest_annotate_opts[] = {
    {.name = "arch", .kind = CLI_STRING, .help = "Set the architecture"},
    {.name = "os", .kind = CLI_STRING, .help = "Set the operating system"},
    {.name = "os-features", .kind = CLI_LIST, .help = "Set features of the operating system"},
    {.name = "os-version", .kind = CLI_STRING, .help = "Set the version of the operating system"},
    {.name = "variant", .kind = CLI_STRING, .help = "Set the variant of the architecture"},
    {0},
};
const struct cli_opt cmd_manifest_push_opts[] = {
    INSECURE,
    {.name = "purge", .letter = 'p', .kind = CLI_BOOL, .help = "Remove the local list when it is pushed"},
    {0},
};
const struct cli_opt cmd_manifest_rm_opts[] = {{0}};

/* ---- the registry's side ------------------------------------------------------------------- */

static int remote_of(struct cli_ctx *ctx, const struct cli_args *args, enum cli_remote_use use, const char *name,
                     bulkhead_value **out) {
    int status = cli_remote_make(ctx, args, use, &name, 1, out);

    if (status == 0 && cli_bool(args, "insecure"))
        bulkhead_set_uint(*out, "tls_verify", 2);
    return status;
}

static int look(struct cli_ctx *ctx, const struct cli_args *args, const char *name, bool all, bool config,
                bulkhead_value **out_reply) {
    bulkhead_value *request, *remote = NULL;
    int status = remote_of(ctx, args, CLI_REMOTE_PULL, name, &remote);

    if (status != 0)
        return status;
    request = bulkhead_map_new();
    bulkhead_set_str(request, "reference", name);
    bulkhead_set_bool(request, "all_platforms", all);
    bulkhead_set_bool(request, "config", config);
    bulkhead_set(request, "remote", remote);
    return cli_call_take(ctx, "registry", "RemoteInspect", request, out_reply);
}

/* ---- the list in the making ---------------------------------------------------------------- */

/* Entries remember where they came from: "repository" and "name" beside the descriptor. */
static int add_entry(struct cli_ctx *ctx, const struct cli_args *args, const char *name, json_t *list) {
    bulkhead_value *reply = NULL;
    int status = look(ctx, args, name, false, true, &reply);
    const bulkhead_value *desc;
    struct bh_err ignored = BH_ERR_INIT;
    char text[BH_REF_TEXT_SIZE] = "";
    struct bh_ref ref;
    json_t *entry;

    if (status != 0)
        return status;
    if (bulkhead_count(bulkhead_get(reply, "manifest")) > 0) {
        bulkhead_value_free(reply);
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "%s is a manifest list, a list holds manifests of images", name);
    }
    desc = bulkhead_get(bulkhead_get(reply, "top"), "desc");
    if (bh_ref_parse(bulkhead_get_str(reply, "reference"), &ref, &ignored) == 0)
        bh_ref_name(&ref, text);
    entry = shape_descriptor(desc, shape_platform(bulkhead_get(reply, "image_config")));
    json_object_set_new(entry, "repository", json_string(text));
    json_object_set_new(entry, "name", json_string(name));
    for (size_t i = json_array_size(list); i > 0; i--)
        if (bh_str_eq(json_string_value(json_object_get(json_array_get(list, i - 1), "name")), name))
            json_array_remove(list, i - 1);
    json_array_append_new(list, entry);
    bulkhead_value_free(reply);
    return 0;
}

int cmd_manifest_create(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *name = args->operands[0];
    char *path BH_SCOPE_FREE = NULL;
    struct bh_err err = BH_ERR_INIT;
    json_t *list = NULL;
    int status = 0;

    if (cli_manifest_list_path(ctx, name, &path, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (access(path, F_OK) == 0 && !cli_bool(args, "amend"))
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "refusing to amend an existing manifest list with no --amend flag");
    if (access(path, F_OK) == 0 && cli_manifest_list_read(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (list == NULL)
        list = json_array();
    for (int i = 1; status == 0 && i < args->operand_count; i++)
        status = add_entry(ctx, args, args->operands[i], list);
    if (status == 0 && cli_manifest_list_write(path, list, &err) != 0)
        status = cli_fail(ctx->out, &err);
    json_decref(list);
    if (status == 0) {
        cli_put(ctx->out, "Created manifest list ");
        cli_put_word(ctx->out, name);
        cli_put(ctx->out, "\n");
    }
    return status;
}

static void set_member(json_t *o, const char *key, const char *value) {
    if (value != NULL && value[0] != '\0')
        json_object_set_new(o, key, json_string(value));
}

static void annotate(const struct cli_args *args, json_t *entry) {
    json_t *p = json_object_get(entry, "platform");

    set_member(p, "architecture", cli_str(args, "arch"));
    set_member(p, "os", cli_str(args, "os"));
    set_member(p, "os.version", cli_str(args, "os-version"));
    set_member(p, "variant", cli_str(args, "variant"));
    if (cli_count(args, "os-features") > 0) {
        json_t *features = json_array();

        for (size_t i = 0; i < cli_count(args, "os-features"); i++)
            json_array_append_new(features, json_string(cli_item(args, "os-features", i)));
        json_object_set_new(p, "os.features", features);
    }
}

int cmd_manifest_annotate(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *name = args->operands[0], *of = args->operands[1];
    char *path BH_SCOPE_FREE = NULL;
    BH_SCOPE_JSON json_t *list = NULL;
    struct bh_err err = BH_ERR_INIT;
    json_t *entry;

    if (cli_manifest_list_path(ctx, name, &path, &err) != 0 || cli_manifest_list_read(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    entry = cli_manifest_list_find(list, of);
    if (entry == NULL)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "manifest for image %s does not exist in %s", of, name);
    annotate(args, entry);
    return cli_manifest_list_write(path, list, &err) == 0 ? 0 : cli_fail(ctx->out, &err);
}

/* ---- inspect ------------------------------------------------------------------------------- */

static int parse_document(const bulkhead_value *document, json_t **out, struct bh_err *err) {
    size_t n = 0;
    const void *data = bulkhead_get_bytes(document, "data", &n);

    return bh_json_parse(data, n, CLI_MANIFEST_LIST_MAX, "manifest", out, err);
}

/* Of an index each manifest with the platform that its entry tells, else the one with that of its config. */
static int verbose_rows(const bulkhead_value *reply, json_t *rows, struct bh_err *err) {
    const bulkhead_value *list = bulkhead_get(reply, "manifest"), *top = bulkhead_get(reply, "top");
    const char *reference = bulkhead_get_str(reply, "reference");
    BH_SCOPE_JSON json_t *index = NULL;
    json_t *row = NULL;

    if (bulkhead_count(list) == 0) {
        if (shape_manifest(reference, top, shape_platform(bulkhead_get(reply, "image_config")), &row, err) != 0)
            return err->code;
        json_array_append_new(rows, row);
        return 0;
    }
    if (parse_document(top, &index, err) != 0)
        return err->code;
    for (size_t i = 0; i < bulkhead_count(list); i++) {
        const bulkhead_value *document = bulkhead_at(list, i);
        char *ref BH_SCOPE_FREE =
            bh_xasprintf("%s@%s", reference, bulkhead_get_str(bulkhead_get(document, "desc"), "digest"));
        json_t *platform = shape_platform_entry(json_array_get(json_object_get(index, "manifests"), i));

        if (shape_manifest(ref, document, platform, &row, err) != 0)
            return err->code;
        json_array_append_new(rows, row);
    }
    return 0;
}

/* A manifest stands alone, those of an index in a list, even when there is one. */
static void put_rows(struct cli_ctx *ctx, const json_t *rows, bool list) {
    cli_put_json_html(ctx->out, list ? rows : json_array_get(rows, 0), "\t");
}

static int put_verbose(struct cli_ctx *ctx, const bulkhead_value *reply) {
    BH_SCOPE_JSON json_t *rows = json_array();
    struct bh_err err = BH_ERR_INIT;

    if (verbose_rows(reply, rows, &err) != 0)
        return cli_fail(ctx->out, &err);
    put_rows(ctx, rows, bulkhead_count(bulkhead_get(reply, "manifest")) > 0);
    return 0;
}

/* Of a list in the making: the manifest that an entry names, with the platform that the list gives it. */
static int add_local_row(struct cli_ctx *ctx, const struct cli_args *args, const json_t *entry, json_t *rows) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *repository = json_string_value(json_object_get(entry, "repository"));
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    char *pinned BH_SCOPE_FREE =
        bh_xasprintf("%s@%s", repository != NULL ? repository : "", digest != NULL ? digest : "");
    char ref[BH_REF_TEXT_SIZE] = "";
    bulkhead_value *reply = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref named;
    json_t *row = NULL;
    int status = look(ctx, args, pinned, false, false, &reply);

    if (status != 0)
        return status;
    if (name != NULL && bh_ref_parse_tagged(name, &named, &err) == 0)
        bh_ref_format(&named, ref);
    bh_err_clear(&err);
    if (shape_manifest(ref, bulkhead_get(reply, "top"), shape_platform_entry(entry), &row, &err) != 0)
        status = cli_fail(ctx->out, &err);
    else
        json_array_append_new(rows, row);
    bulkhead_value_free(reply);
    return status;
}

/* only NULL: all of the list. */
static int put_local_verbose(struct cli_ctx *ctx, const struct cli_args *args, const json_t *list, const json_t *only) {
    BH_SCOPE_JSON json_t *rows = json_array();
    int status = 0;

    for (size_t i = 0; status == 0 && i < json_array_size(list); i++)
        if (only == NULL || json_array_get(list, i) == only)
            status = add_local_row(ctx, args, json_array_get(list, i), rows);
    if (status == 0)
        put_rows(ctx, rows, only == NULL);
    return status;
}

/* A list in the making goes before what the registry has, as with docker: [LIST] NAME. */
static int put_local(struct cli_ctx *ctx, const struct cli_args *args, bool *out_here) {
    const char *name = args->operands[0], *of = args->operands[1];
    char *path BH_SCOPE_FREE = NULL, *text BH_SCOPE_FREE = NULL;
    BH_SCOPE_JSON json_t *list = NULL, *document = NULL;
    struct bh_err err = BH_ERR_INIT;
    const json_t *only = NULL;

    if (cli_manifest_list_path(ctx, name, &path, &err) != 0 || access(path, F_OK) != 0)
        return 0; /* the engine says what is wrong with a name */
    if (cli_manifest_list_read(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    only = of != NULL ? cli_manifest_list_find(list, of) : NULL;
    if (of != NULL && (only == NULL || !cli_bool(args, "verbose")))
        return 0; /* what it is without the list */
    *out_here = true;
    if (cli_bool(args, "verbose"))
        return put_local_verbose(ctx, args, list, only);
    text = cli_manifest_list_document(list, cli_manifest_list_type(list));
    document = json_loads(text, 0, NULL);
    cli_put_json(ctx->out, document);
    return 0;
}

int cmd_manifest_inspect(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *name = args->operands[args->operand_count - 1];
    bool here = false, verbose = cli_bool(args, "verbose");
    struct bh_err err = BH_ERR_INIT;
    bulkhead_value *reply = NULL;
    json_t *top = NULL;
    int status = put_local(ctx, args, &here);

    if (here || status != 0)
        return status;
    if ((status = look(ctx, args, name, verbose, verbose, &reply)) != 0)
        return status;
    if (cli_bool(args, "raw")) {
        size_t n = 0;
        const void *data = bulkhead_get_bytes(bulkhead_get(reply, "top"), "data", &n);

        cli_put_text(ctx->out, data, n);
    } else if (verbose) {
        status = put_verbose(ctx, reply);
    } else if (parse_document(bulkhead_get(reply, "top"), &top, &err) == 0) {
        cli_put_json(ctx->out, top);
        json_decref(top);
    } else {
        status = cli_fail(ctx->out, &err);
    }
    bulkhead_value_free(reply);
    return status;
}

/* ---- push ---------------------------------------------------------------------------------- */

static int push(struct cli_ctx *ctx, const struct cli_args *args, const char *name, const json_t *list) {
    const char *type = cli_manifest_list_type(list);
    char *text BH_SCOPE_FREE = cli_manifest_list_document(list, type);
    bulkhead_value *request, *desc, *from, *remote = NULL, *reply = NULL;
    int status = remote_of(ctx, args, CLI_REMOTE_PUSH, name, &remote);

    if (status != 0)
        return status;
    request = bulkhead_map_new();
    desc = bulkhead_map_new();
    from = bulkhead_list_new();
    bulkhead_set_str(desc, "media_type", type);
    for (size_t i = 0; i < json_array_size(list); i++)
        bulkhead_add_str(from, json_string_value(json_object_get(json_array_get(list, i), "repository")));
    bulkhead_set_str(request, "reference", name);
    bulkhead_set(request, "desc", desc);
    bulkhead_set_bytes(request, "data", text, strlen(text));
    bulkhead_set(request, "mount_from", from);
    bulkhead_set(request, "remote", remote);
    status = cli_call_take(ctx, "registry", "ManifestPush", request, &reply);
    if (status == 0) {
        cli_put_word(ctx->out, bulkhead_get_str(reply, "digest"));
        cli_put(ctx->out, "\n");
    }
    bulkhead_value_free(reply);
    return status;
}

int cmd_manifest_push(struct cli_ctx *ctx, const struct cli_args *args) {
    const char *name = args->operands[0];
    char *path BH_SCOPE_FREE = NULL;
    BH_SCOPE_JSON json_t *list = NULL;
    struct bh_err err = BH_ERR_INIT;
    int status;

    if (cli_manifest_list_path(ctx, name, &path, &err) != 0 || cli_manifest_list_read(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    status = push(ctx, args, name, list);
    if (status == 0 && cli_bool(args, "purge") && unlink(path) != 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "remove %s: %s", path, strerror(errno));
    return status;
}

int cmd_manifest_rm(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bh_err err = BH_ERR_INIT;
    int status = 0;

    for (int i = 0; i < args->operand_count; i++) {
        char *path BH_SCOPE_FREE = NULL;

        if (cli_manifest_list_path(ctx, args->operands[i], &path, &err) != 0)
            return cli_fail(ctx->out, &err);
        if (unlink(path) != 0)
            status = cli_failf(ctx->out, CLI_EXIT_FAILED, "No such manifest: %s", args->operands[i]);
    }
    return status;
}
