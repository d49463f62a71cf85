/*
 * manifest_list.c - see manifest_list.h.
 *
 * Room: client.
 */
#include "cli/manifest_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"
#include "oci/ref.h"

#define INDEX_TYPE           "application/vnd.oci.image.index.v1+json"
#define DOCKER_LIST_TYPE     "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"

/* "docker.io/library/x:1" -> one file name. */
int cli_manifest_list_path(const struct cli_ctx *ctx, const char *name, char **out, struct bh_err *err) {
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

int cli_manifest_list_read(const char *path, const char *name, json_t **out, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;

    if (access(path, F_OK) != 0) {
        bh_err_set(err, BH_E_NOT_FOUND, "No such manifest: %s", name);
        return bh_err_hint(err, "make it with `manifest create`");
    }
    if (bh_file_read(AT_FDCWD, path, CLI_MANIFEST_LIST_MAX, &text, err) != 0)
        return err->code;
    if (bh_json_parse(bh_buf_str(&text), text.len, CLI_MANIFEST_LIST_MAX, path, out, err) != 0)
        return err->code;
    if (json_is_array(*out))
        return 0;
    json_decref(*out);
    return bh_err_set(err, BH_E_INVALID, "%s: expected a list", path);
}

int cli_manifest_list_write(const char *path, const json_t *list, struct bh_err *err) {
    char *text BH_SCOPE_FREE = json_dumps(list, JSON_INDENT(4));

    if (bh_make_parents(path, 0700) != 0)
        return bh_err_errno(err, errno, "make the folder of %s", path);
    return bh_file_replace(AT_FDCWD, path, text, strlen(text), 0600, false, err);
}

const char *cli_manifest_list_type(const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!bh_str_eq(json_string_value(json_object_get(json_array_get(list, i), "mediaType")), DOCKER_MANIFEST_TYPE))
            return INDEX_TYPE;
    return DOCKER_LIST_TYPE;
}

char *cli_manifest_list_document(const json_t *list, const char *type) {
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

json_t *cli_manifest_list_find(const json_t *list, const char *of) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *entry = json_array_get(list, i);

        if (bh_str_eq(json_string_value(json_object_get(entry, "name")), of) ||
            bh_str_eq(json_string_value(json_object_get(entry, "digest")), of))
            return entry;
    }
    return NULL;
}
