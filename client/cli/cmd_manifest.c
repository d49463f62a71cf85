/*
 * cmd_manifest.c - `manifest inspect|create|annotate|push|rm`: what a registry has, and lists of several platforms.
 *
 * Room: client.  A list in the making is a file of the user below the configuration folder
 * (manifests/NAME, one JSON document of ours), until it is pushed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "oci/json.h"

#define LIST_MAX             ((size_t)4 << 20)
#define INDEX_TYPE           "application/vnd.oci.image.index.v1+json"
#define DOCKER_LIST_TYPE     "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"

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

/* ---- inspect ------------------------------------------------------------------------------- */

static json_t *platform_of(const bulkhead_value *desc) {
    const bulkhead_value *p = bulkhead_get(desc, "platform");
    json_t *out = json_object();

    json_object_set_new(out, "architecture", json_string(bulkhead_get_str(p, "architecture")));
    json_object_set_new(out, "os", json_string(bulkhead_get_str(p, "os")));
    if (bulkhead_get_str(p, "variant")[0] != '\0')
        json_object_set_new(out, "variant", json_string(bulkhead_get_str(p, "variant")));
    if (bulkhead_get_str(p, "os_version")[0] != '\0')
        json_object_set_new(out, "os.version", json_string(bulkhead_get_str(p, "os_version")));
    return out;
}

static json_t *descriptor_of(const bulkhead_value *desc) {
    json_t *out = json_object();

    json_object_set_new(out, "mediaType", json_string(bulkhead_get_str(desc, "media_type")));
    json_object_set_new(out, "digest", json_string(bulkhead_get_str(desc, "digest")));
    json_object_set_new(out, "size", json_integer((json_int_t)bulkhead_get_uint(desc, "size")));
    if (bulkhead_type_of(bulkhead_get(desc, "platform")) == BULKHEAD_MAP)
        json_object_set_new(out, "platform", platform_of(desc));
    return out;
}

static int parse_document(const bulkhead_value *document, json_t **out, struct bh_err *err) {
    size_t n = 0;
    const void *data = bulkhead_get_bytes(document, "data", &n);

    return bh_json_parse(data, n, LIST_MAX, "manifest", out, err);
}

static int verbose_rows(const bulkhead_value *reply, json_t *rows, struct bh_err *err) {
    const bulkhead_value *list = bulkhead_get(reply, "manifest");
    size_t n = bulkhead_count(list);

    for (size_t i = 0; i < (n > 0 ? n : 1); i++) {
        const bulkhead_value *document = n > 0 ? bulkhead_at(list, i) : bulkhead_get(reply, "top");
        const bulkhead_value *desc = bulkhead_get(document, "desc");
        json_t *manifest = NULL, *row;
        char ref[BH_REF_TEXT_SIZE];

        if (parse_document(document, &manifest, err) != 0)
            return err->code;
        snprintf(ref, sizeof ref, "%s@%s", bulkhead_get_str(reply, "reference"), bulkhead_get_str(desc, "digest"));
        row = json_object();
        json_object_set_new(row, "Ref", json_string(n > 0 ? ref : bulkhead_get_str(reply, "reference")));
        json_object_set_new(row, "Descriptor", descriptor_of(desc));
        json_object_set_new(row,
                            strcmp(bulkhead_get_str(desc, "media_type"), DOCKER_MANIFEST_TYPE) == 0 ? "SchemaV2Manifest"
                                                                                                    : "OCIManifest",
                            manifest);
        json_array_append_new(rows, row);
    }
    return 0;
}

static int put_verbose(struct cli_ctx *ctx, const bulkhead_value *reply) {
    json_t *rows = json_array();
    struct bh_err err = BH_ERR_INIT;
    int r = verbose_rows(reply, rows, &err);

    if (r == 0)
        cli_put_json(ctx->out, json_array_size(rows) == 1 ? json_array_get(rows, 0) : rows);
    json_decref(rows);
    return r == 0 ? 0 : cli_fail(ctx->out, &err);
}

/* ---- the list in the making ---------------------------------------------------------------- */

/* "docker.io/library/x:1" -> one file name. */
static int path_of(const struct cli_ctx *ctx, const char *name, char **out, struct bh_err *err) {
    const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");
    char text[BH_REF_TEXT_SIZE];
    struct bh_ref ref;

    if (bh_ref_parse_tagged(name, &ref, err) != 0)
        return err->code;
    bh_ref_format(&ref, text);
    for (char *p = text; *p != '\0'; p++)
        if (*p == '/')
            *p = '_';
    if (ctx->config != NULL)
        *out = bh_xasprintf("%s/manifests/%s", ctx->config, text);
    else if (xdg != NULL && xdg[0] == '/')
        *out = bh_xasprintf("%s/bulkhead/manifests/%s", xdg, text);
    else if (home != NULL && home[0] == '/')
        *out = bh_xasprintf("%s/.config/bulkhead/manifests/%s", home, text);
    else
        return bh_err_set(err, BH_E_INVALID, "no place for manifest lists: HOME is not set");
    return 0;
}

static int read_list(const char *path, const char *name, json_t **out, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;

    if (access(path, F_OK) != 0) {
        bh_err_set(err, BH_E_NOT_FOUND, "No such manifest: %s", name);
        return bh_err_hint(err, "make it with `manifest create`");
    }
    if (bh_file_read(AT_FDCWD, path, LIST_MAX, &text, err) != 0)
        return err->code;
    if (bh_json_parse(bh_buf_str(&text), text.len, LIST_MAX, path, out, err) != 0)
        return err->code;
    if (json_is_array(*out))
        return 0;
    json_decref(*out);
    return bh_err_set(err, BH_E_INVALID, "%s: expected a list", path);
}

static int write_list(const char *path, const json_t *list, struct bh_err *err) {
    char *text BH_SCOPE_FREE = json_dumps(list, JSON_INDENT(4));

    if (bh_make_parents(path, 0700) != 0)
        return bh_err_errno(err, errno, "make the folder of %s", path);
    return bh_file_replace(AT_FDCWD, path, text, strlen(text), 0600, false, err);
}

/* Entries remember where they came from: "repository" and "name" beside the descriptor. */
static int add_entry(struct cli_ctx *ctx, const struct cli_args *args, const char *name, json_t *list) {
    bulkhead_value *reply = NULL;
    int status = look(ctx, args, name, false, true, &reply);
    const bulkhead_value *desc, *platform;
    struct bh_err ignored = BH_ERR_INIT;
    char text[BH_REF_TEXT_SIZE] = "";
    struct bh_ref ref;
    json_t *entry, *p;

    if (status != 0)
        return status;
    if (bulkhead_count(bulkhead_get(reply, "manifest")) > 0) {
        bulkhead_value_free(reply);
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "%s is a manifest list, a list holds manifests of images", name);
    }
    desc = bulkhead_get(bulkhead_get(reply, "top"), "desc");
    platform = bulkhead_get(bulkhead_get(reply, "image_config"), "platform");
    if (bh_ref_parse(bulkhead_get_str(reply, "reference"), &ref, &ignored) == 0)
        bh_ref_name(&ref, text);
    entry = descriptor_of(desc);
    p = json_object();
    json_object_set_new(p, "architecture", json_string(bulkhead_get_str(platform, "architecture")));
    json_object_set_new(p, "os", json_string(bulkhead_get_str(platform, "os")));
    if (bulkhead_get_str(platform, "variant")[0] != '\0')
        json_object_set_new(p, "variant", json_string(bulkhead_get_str(platform, "variant")));
    json_object_set_new(entry, "platform", p);
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

    if (path_of(ctx, name, &path, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (access(path, F_OK) == 0 && !cli_bool(args, "amend"))
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "refusing to amend an existing manifest list with no --amend flag");
    if (access(path, F_OK) == 0 && read_list(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (list == NULL)
        list = json_array();
    for (int i = 1; status == 0 && i < args->operand_count; i++)
        status = add_entry(ctx, args, args->operands[i], list);
    if (status == 0 && write_list(path, list, &err) != 0)
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

    if (path_of(ctx, name, &path, &err) != 0 || read_list(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i);

        if (!bh_str_eq(json_string_value(json_object_get(entry, "name")), of) &&
            !bh_str_eq(json_string_value(json_object_get(entry, "digest")), of))
            continue;
        annotate(args, entry);
        return write_list(path, list, &err) == 0 ? 0 : cli_fail(ctx->out, &err);
    }
    return cli_failf(ctx->out, CLI_EXIT_FAILED, "manifest for image %s does not exist in %s", of, name);
}

/* ---- push ---------------------------------------------------------------------------------- */

/* All manifests docker's: its list; else an OCI index. */
static const char *type_of(const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!bh_str_eq(json_string_value(json_object_get(json_array_get(list, i), "mediaType")), DOCKER_MANIFEST_TYPE))
            return INDEX_TYPE;
    return DOCKER_LIST_TYPE;
}

static char *document_of(const json_t *list, const char *type) {
    json_t *root = json_object(), *manifests = json_array();
    char *text;

    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_copy(json_array_get(list, i));

        json_object_del(entry, "repository");
        json_object_del(entry, "name");
        json_array_append_new(manifests, entry);
    }
    json_object_set_new(root, "schemaVersion", json_integer(2));
    json_object_set_new(root, "mediaType", json_string(type));
    json_object_set_new(root, "manifests", manifests);
    text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(root);
    return text;
}

/* A list in the making goes before what the registry has, as with docker. */
static int put_local(struct cli_ctx *ctx, const char *name, bool *out_here) {
    char *path BH_SCOPE_FREE = NULL, *text BH_SCOPE_FREE = NULL;
    struct bh_err err = BH_ERR_INIT;
    json_t *list = NULL, *document;

    if (path_of(ctx, name, &path, &err) != 0 || access(path, F_OK) != 0)
        return 0; /* the engine says what is wrong with a name */
    if (read_list(path, name, &list, &err) != 0)
        return cli_fail(ctx->out, &err);
    *out_here = true;
    text = document_of(list, type_of(list));
    json_decref(list);
    document = json_loads(text, 0, NULL);
    cli_put_json(ctx->out, document);
    json_decref(document);
    return 0;
}

int cmd_manifest_inspect(struct cli_ctx *ctx, const struct cli_args *args) {
    /* docker: [LIST] NAME; the list is only where a local one would be looked for */
    const char *name = args->operands[args->operand_count - 1];
    struct bh_err err = BH_ERR_INIT;
    bulkhead_value *reply = NULL;
    json_t *top = NULL;
    bool here = false;
    int status = put_local(ctx, name, &here);

    if (here || status != 0)
        return status;
    if ((status = look(ctx, args, name, cli_bool(args, "verbose"), false, &reply)) != 0)
        return status;
    if (cli_bool(args, "raw")) {
        size_t n = 0;
        const void *data = bulkhead_get_bytes(bulkhead_get(reply, "top"), "data", &n);

        cli_put_text(ctx->out, data, n);
    } else if (cli_bool(args, "verbose")) {
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

static int push(struct cli_ctx *ctx, const struct cli_args *args, const char *name, const json_t *list) {
    const char *type = type_of(list);
    char *text BH_SCOPE_FREE = document_of(list, type);
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

    if (path_of(ctx, name, &path, &err) != 0 || read_list(path, name, &list, &err) != 0)
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

        if (path_of(ctx, args->operands[i], &path, &err) != 0)
            return cli_fail(ctx->out, &err);
        if (unlink(path) != 0)
            status = cli_failf(ctx->out, CLI_EXIT_FAILED, "No such manifest: %s", args->operands[i]);
    }
    return status;
}
