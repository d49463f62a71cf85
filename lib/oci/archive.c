/*
 * archive.c - the small documents of image archives: docker's manifest.json and repositories, the
 * OCI layout's marker and blob names (see manifest.h).
 * Room: the worker reads them from foreign archives; the store writes them for `save`.
 * Trusts nothing: member names are cleaned and only ever compared with names in the same archive.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/ref.h"
#include "oci/write.h"

#define MEMBER_NAME_MAX 4096
#define REPO_TAGS_MAX   1000

static const struct bh_oci_limits default_limits = BH_OCI_LIMITS_DEFAULT;

/* Drop "." and empty pieces; false for an absolute, climbing, empty or over-long name.  dst has room for
 * strlen(name)+1. */
static bool clean_name(const char *name, char *dst) {
    size_t out = 0;

    if (name[0] == '/' || strlen(name) > MEMBER_NAME_MAX)
        return false;
    while (*name != '\0') {
        size_t n = strcspn(name, "/");

        if (n == 2 && name[0] == '.' && name[1] == '.')
            return false;
        if (n > 0 && !(n == 1 && name[0] == '.')) {
            if (out > 0)
                dst[out++] = '/';
            memcpy(dst + out, name, n);
            out += n;
        }
        name += n + (name[n] == '/');
    }
    dst[out] = '\0';
    return out > 0;
}

static int parse_name(const struct bh_json_at *at, struct bh_arena *arena, const char **out, struct bh_err *err) {
    const char *text;
    char *clean;

    if (bh_json_text(at, BH_TEXT_LINE, arena, &text, err) != 0)
        return err->code;
    clean = bh_oci_alloc(arena, strlen(text) + 1, err);
    if (clean == NULL)
        return err->code;
    if (!clean_name(text, clean))
        return bh_json_fail(at, err, "\"%.200s\" is no name of a member of the archive", text);
    *out = clean;
    return 0;
}

static int parse_repo_tags(const struct bh_json_at *image, struct bh_arena *arena, struct bh_strlist *out,
                           struct bh_err *err) {
    struct bh_ref ref;

    if (bh_json_strlist(image, "RepoTags", BH_TEXT_LINE, REPO_TAGS_MAX, arena, out, err) != 0)
        return err->code;
    for (size_t i = 0; i < out->n; i++) {
        struct bh_err why = BH_ERR_INIT;

        if (bh_ref_parse(out->v[i], &ref, &why) != 0)
            return bh_json_fail(image, err, "RepoTags[%zu]: %.400s", i, why.msg);
        if (ref.tag[0] == '\0' || ref.digest[0] != '\0')
            return bh_json_fail(image, err, "RepoTags[%zu]: \"%.200s\" is not name:tag", i, out->v[i]);
    }
    return 0;
}

static int parse_layers(const struct bh_json_at *image, const struct bh_oci_limits *limits, struct bh_arena *arena,
                        struct bh_strlist *out, struct bh_err *err) {
    struct bh_strlist l = {.present = true};
    struct bh_json_at at;

    if (!bh_json_member(image, "Layers", &at))
        return 0;
    if (bh_json_need_array(&at, limits->max_layers, "limits.layers", err) != 0)
        return err->code;
    l.n = json_array_size(at.v);
    l.v = bh_oci_alloc(arena, l.n * sizeof *l.v, err);
    if (l.v == NULL)
        return err->code;
    for (size_t i = 0; i < l.n; i++) {
        struct bh_json_at e = bh_json_element(&at, i);

        if (parse_name(&e, arena, &l.v[i], err) != 0)
            return err->code;
    }
    *out = l;
    return 0;
}

static int parse_image(const struct bh_json_at *at, const struct bh_oci_limits *limits, struct bh_arena *arena,
                       struct bh_archive_image *out, struct bh_err *err) {
    static const char *const known[] = {"Config", "RepoTags", "Layers", NULL};
    struct bh_json_at config;

    if (bh_json_need_object(at, err) != 0 || bh_json_check_keys(at, known, false, err) != 0)
        return err->code;
    if (!bh_json_member(at, "Config", &config))
        return bh_json_fail(at, err, "key \"Config\" is missing");
    if (parse_name(&config, arena, &out->config, err) != 0 || parse_repo_tags(at, arena, &out->repo_tags, err) != 0)
        return err->code;
    return parse_layers(at, limits, arena, &out->layers, err);
}

static int parse_images(const struct bh_json_at *root, const struct bh_oci_limits *limits, struct bh_arena *arena,
                        struct bh_archive *out, struct bh_err *err) {
    struct bh_archive a = {0};

    if (bh_json_need_array(root, limits->max_entries, "limits.images", err) != 0)
        return err->code;
    a.n_images = json_array_size(root->v);
    a.images = bh_oci_alloc(arena, a.n_images * sizeof *a.images, err);
    if (a.images == NULL)
        return err->code;
    for (size_t i = 0; i < a.n_images; i++) {
        struct bh_json_at e = bh_json_element(root, i);

        if (parse_image(&e, limits, arena, &a.images[i], err) != 0)
            return err->code;
    }
    *out = a;
    return 0;
}

int bh_archive_parse(const void *data, size_t n, const struct bh_oci_limits *limits, struct bh_arena *arena,
                     struct bh_archive *out, struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_json_at root;

    if (limits == NULL)
        limits = &default_limits;
    if (bh_json_parse(data, n, limits->max_bytes, "manifest.json", &json, err) != 0)
        return err->code;
    root = bh_json_root(json, "manifest.json");
    if (parse_images(&root, limits, arena, out, err) != 0) {
        if (err->code == BH_E_INVALID && err->reason[0] == '\0')
            bh_err_reason(err, "invalid-manifest");
        return err->code;
    }
    return 0;
}

void bh_archive_write(const struct bh_archive *archive, struct bh_buf *out) {
    bh_buf_addc(out, '[');
    for (size_t i = 0; i < archive->n_images; i++) {
        const struct bh_archive_image *im = &archive->images[i];

        bh_buf_adds(out, i > 0 ? ",{" : "{");
        bh_write_str(out, "Config", im->config);
        if (im->repo_tags.n > 0)
            bh_write_strlist(out, "RepoTags", &im->repo_tags);
        else
            bh_buf_adds(out, ",\"RepoTags\":null");
        if (im->layers.present)
            bh_write_strlist(out, "Layers", &im->layers);
        else
            bh_buf_adds(out, ",\"Layers\":[]");
        bh_buf_addc(out, '}');
    }
    bh_buf_adds(out, "]\n");
}

void bh_repositories_write(const struct bh_repository_row *rows, size_t n, struct bh_buf *out) {
    bh_buf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        bool first = i == 0 || strcmp(rows[i - 1].name, rows[i].name) != 0;

        if (first) {
            if (i > 0)
                bh_buf_addc(out, '}');
            bh_write_key(out, rows[i].name);
            bh_buf_addc(out, '{');
        }
        bh_write_key(out, rows[i].tag);
        bh_write_text(out, rows[i].id);
    }
    bh_buf_adds(out, n > 0 ? "}}\n" : "}\n");
}

int bh_layout_parse(const void *data, size_t n, struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_json_at root;
    const char *version;

    if (bh_json_parse(data, n, 4096, "oci-layout", &json, err) != 0)
        return err->code;
    root = bh_json_root(json, "oci-layout");
    if (bh_json_need_object(&root, err) != 0)
        return err->code;
    version = json_string_value(json_object_get(json, "imageLayoutVersion"));
    if (version == NULL || !bh_str_starts(version, "1."))
        return bh_json_fail(&root, err, "image layout version %.32s is not known, only 1.x is",
                            version != NULL ? version : "(none)");
    return 0;
}

void bh_layout_write(struct bh_buf *out) {
    bh_buf_adds(out, "{\"imageLayoutVersion\":\"1.0.0\"}");
}

void bh_layout_blob_path(const struct bh_digest *d, char out[BH_LAYOUT_PATH_SIZE]) {
    char hex[BH_DIGEST_TEXT_SIZE];

    bh_digest_hex(d, hex);
    snprintf(out, BH_LAYOUT_PATH_SIZE, "blobs/%s/%s", bh_digest_alg_name(d->alg), hex);
}

bool bh_layout_blob_digest(const char *path, struct bh_digest *out) {
    struct bh_err ignored = BH_ERR_INIT;
    char text[BH_DIGEST_TEXT_SIZE];

    if (!bh_str_starts(path, "blobs/sha") || !bh_str_copy(text, sizeof text, path + strlen("blobs/")) || text[6] != '/')
        return false;
    text[6] = ':';
    return bh_digest_parse(text, out, &ignored) == 0;
}
