/*
 * layout_index.c - index.json of a layout: which manifests have which tag.
 *
 * Room: client.  What is in it and not understood stays as it is when an entry is added.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/layout_int.h"
#include "oci/json.h"

#define INDEX "index.json"

static const char *tag_of(const struct bh_desc *d) {
    const char *tag = bh_pairs_get(&d->annotations, BH_ANNOTATION_REF_NAME);

    return tag != NULL ? tag : "";
}

static int parse(const struct cli_layout *l, const struct bh_buf *text, struct bh_arena *arena, struct bh_index *out,
                 struct bh_err *err) {
    struct bh_doc doc;

    if (bh_doc_parse(bh_buf_str(text), text->len, NULL, INDEX, NULL, arena, &doc, err) != 0)
        return bh_err_prefix(err, "%s", l->path);
    if (doc.kind != BH_DOC_INDEX)
        return bh_err_set(err, BH_E_INVALID, "%s/%s is not an index", l->path, INDEX);
    *out = doc.index;
    return 0;
}

int cli_layout_find(const struct cli_layout *l, const char *tag, struct bh_arena *arena, struct bh_desc *out,
                    struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    const struct bh_desc *found = NULL;
    struct bh_index index;

    if (cli_layout_read_file(l, INDEX, &text, err) != 0 || parse(l, &text, arena, &index, err) != 0)
        return err->code;
    for (size_t i = 0; i < index.n_entries; i++) {
        if (tag[0] != '\0' && strcmp(tag_of(&index.entries[i]), tag) != 0)
            continue;
        if (found != NULL && tag[0] == '\0')
            return bh_err_set(err, BH_E_INVALID, "%s holds %zu images: say which, as oci:%s:TAG", l->path,
                              index.n_entries, l->path);
        if (found != NULL)
            return bh_err_set(err, BH_E_INVALID, "%s: more than one image has the tag %s", l->path, tag);
        found = &index.entries[i];
    }
    if (found == NULL)
        return bh_err_set(err, BH_E_NOT_FOUND, "%s holds no image%s%s", l->path, tag[0] != '\0' ? " with the tag " : "",
                          tag);
    *out = *found;
    return 0;
}

int cli_layout_find_digest(const struct cli_layout *l, const char *digest, struct bh_arena *arena, struct bh_desc *out,
                           struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    struct bh_index index;

    if (cli_layout_read_file(l, INDEX, &text, err) != 0 || parse(l, &text, arena, &index, err) != 0)
        return err->code;
    for (size_t i = 0; i < index.n_entries; i++)
        if (strcmp(index.entries[i].digest_text, digest) == 0) {
            *out = index.entries[i];
            return 0;
        }
    return bh_err_set(err, BH_E_NOT_FOUND, "%s/%s names no image %.100s", l->path, INDEX, digest);
}

/* ---- an entry more --------------------------------------------------------------------------------------- */

static int load(const struct cli_layout *l, json_t **out, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    struct bh_index index;
    struct bh_arena arena;
    int r;

    if (faccessat(l->fd, INDEX, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        *out = json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType", BH_MT_OCI_INDEX, "manifests");
        return 0;
    }
    if (cli_layout_read_file(l, INDEX, &text, err) != 0)
        return err->code;
    bh_arena_init(&arena, (size_t)64 << 20);
    r = parse(l, &text, &arena, &index, err); /* so that what is written again was right */
    bh_arena_fini(&arena);
    return r == 0 ? bh_json_parse(bh_buf_str(&text), text.len, CLI_LAYOUT_DOCUMENT_MAX, INDEX, out, err) : r;
}

static bool same_entry(const json_t *entry, const struct bh_desc *desc, const char *tag) {
    const char *have =
        json_string_value(json_object_get(json_object_get(entry, "annotations"), BH_ANNOTATION_REF_NAME));

    if (tag[0] != '\0' || have != NULL)
        return have != NULL && strcmp(have, tag) == 0;
    return bh_str_eq(json_string_value(json_object_get(entry, "digest")), desc->digest_text);
}

static json_t *new_entry(const struct bh_desc *desc, const char *tag) {
    json_t *entry = json_object();

    json_object_set_new(entry, "mediaType", json_string(desc->media_type));
    json_object_set_new(entry, "digest", json_string(desc->digest_text));
    json_object_set_new(entry, "size", json_integer((json_int_t)desc->size));
    if (tag[0] != '\0')
        json_object_set_new(entry, "annotations", json_pack("{s:s}", BH_ANNOTATION_REF_NAME, tag));
    return entry;
}

static int change(const struct cli_layout *l, const struct bh_desc *desc, const char *tag, struct bh_err *err) {
    BH_SCOPE_JSON json_t *root = NULL;
    char *text BH_SCOPE_FREE = NULL;
    json_t *list;

    if (load(l, &root, err) != 0)
        return err->code;
    list = json_object_get(root, "manifests");
    for (size_t i = json_array_size(list); i > 0; i--)
        if (same_entry(json_array_get(list, i - 1), desc, tag))
            json_array_remove(list, i - 1);
    if (json_array_append_new(list, new_entry(desc, tag)) == 0)
        text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (text == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory to write %s", l->path, INDEX);
    return bh_file_replace(l->fd, INDEX, text, strlen(text), 0644, true, err);
}

int cli_layout_set(const struct cli_layout *l, const struct bh_desc *desc, const char *tag, struct bh_err *err) {
    int r;

    /* two copies into one layout: each adds its entry to what the other wrote */
    if (flock(l->fd, LOCK_EX) != 0)
        return bh_err_errno(err, errno, "lock %s", l->path);
    r = change(l, desc, tag, err);
    flock(l->fd, LOCK_UN);
    return r;
}
