/*
 * manifest.c - see manifest.h.  Owns the reading of manifests and indexes.
 * Room: the worker, on foreign bytes; store, registry and runtime on what it passed.
 * Trusts nothing.  Must never take one document for two things: content, the body's mediaType and
 * the carrier's media type have to name one and the same kind.
 */
#include "oci/manifest.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"

#define SIZE_MAX_BYTES  ((uint64_t)1 << 62)
#define ANNOTATIONS_MAX 1000
#define URLS_MAX        64

static const struct bh_oci_limits default_limits = BH_OCI_LIMITS_DEFAULT;

static int parse_platform_text(const struct bh_json_at *at, const char *key, char *dst, size_t size,
                               struct bh_arena *arena, struct bh_err *err) {
    const char *text;

    if (bh_json_str(at, key, BH_TEXT_LINE, arena, &text, err) != 0)
        return err->code;
    if (!bh_str_copy(dst, size, text))
        return bh_json_fail(at, err, "\"%s\" is longer than %zu bytes", key, size - 1);
    return 0;
}

static int parse_platform(const struct bh_json_at *desc, struct bh_arena *arena, struct bh_desc *d,
                          struct bh_err *err) {
    static const char *const known[] = {"architecture", "os", "os.version", "os.features", "variant", NULL};
    struct bh_platform *p = &d->platform;
    struct bh_json_at at;

    if (!bh_json_member(desc, "platform", &at))
        return 0;
    if (bh_json_need_object(&at, err) != 0 || bh_json_check_keys(&at, known, false, err) != 0 ||
        parse_platform_text(&at, "os", p->os, sizeof p->os, arena, err) != 0 ||
        parse_platform_text(&at, "architecture", p->arch, sizeof p->arch, arena, err) != 0 ||
        parse_platform_text(&at, "variant", p->variant, sizeof p->variant, arena, err) != 0 ||
        parse_platform_text(&at, "os.version", p->os_version, sizeof p->os_version, arena, err) != 0)
        return err->code;
    d->has_platform = true;
    return 0;
}

static int parse_digest(const struct bh_json_at *desc, struct bh_arena *arena, struct bh_desc *d, struct bh_err *err) {
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_json_at at;

    if (!bh_json_member(desc, "digest", &at))
        return bh_json_fail(desc, err, "key \"digest\" is missing");
    if (bh_json_text(&at, BH_TEXT_LINE, arena, &d->digest_text, err) != 0)
        return err->code;
    if (!bh_digest_grammar(d->digest_text, strlen(d->digest_text)))
        return bh_json_fail(&at, err, "invalid digest \"%.200s\"", d->digest_text);
    /* An unknown algorithm is kept as text; the digest stays BH_DIGEST_NONE, which verifies nothing. */
    (void)bh_digest_parse(d->digest_text, &d->digest, &ignored);
    return 0;
}

static int parse_desc(const struct bh_json_at *at, struct bh_arena *arena, struct bh_desc *out, struct bh_err *err) {
    static const char *const known[] = {"mediaType", "digest",   "size",         "urls", "annotations",
                                        "data",      "platform", "artifactType", NULL};
    struct bh_desc d = {0};

    if (bh_json_need_object(at, err) != 0 || bh_json_check_keys(at, known, false, err) != 0 ||
        bh_json_str(at, "mediaType", BH_TEXT_LINE, arena, &d.media_type, err) != 0 ||
        parse_digest(at, arena, &d, err) != 0 || bh_json_u64(at, "size", true, SIZE_MAX_BYTES, &d.size, err) != 0 ||
        bh_json_strlist(at, "urls", BH_TEXT_LINE, URLS_MAX, arena, &d.urls, err) != 0 ||
        bh_json_pairs(at, "annotations", BH_TEXT_FREE, ANNOTATIONS_MAX, arena, &d.annotations, err) != 0 ||
        parse_platform(at, arena, &d, err) != 0 ||
        bh_json_str(at, "artifactType", BH_TEXT_LINE, arena, &d.artifact_type, err) != 0)
        return err->code;
    *out = d;
    return 0;
}

/* A list of descriptors; absent or null is an empty list (Go writes null for it). */
static int parse_descs(const struct bh_json_at *root, const char *key, size_t max, const char *limit_name,
                       struct bh_arena *arena, struct bh_desc **out, size_t *out_n, struct bh_err *err) {
    struct bh_desc *list;
    struct bh_json_at at;
    size_t n;

    if (!bh_json_member(root, key, &at))
        return 0;
    if (bh_json_need_array(&at, max, limit_name, err) != 0)
        return err->code;
    n = json_array_size(at.v);
    list = bh_oci_alloc(arena, n * sizeof *list, err);
    if (list == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        struct bh_json_at e = bh_json_element(&at, i);

        if (parse_desc(&e, arena, &list[i], err) != 0)
            return err->code;
    }
    *out = list;
    *out_n = n;
    return 0;
}

static int parse_subject(const struct bh_json_at *root, struct bh_arena *arena, bool *out_has, struct bh_desc *out,
                         struct bh_err *err) {
    struct bh_json_at at;

    if (!bh_json_member(root, "subject", &at))
        return 0;
    *out_has = true;
    return parse_desc(&at, arena, out, err);
}

static int parse_manifest(const struct bh_json_at *root, const struct bh_oci_limits *limits, struct bh_arena *arena,
                          struct bh_manifest *m, struct bh_err *err) {
    struct bh_json_at at;

    if (!bh_json_member(root, "config", &at))
        return bh_json_fail(root, err, "key \"config\" is missing");
    if (parse_desc(&at, arena, &m->config, err) != 0 ||
        parse_descs(root, "layers", limits->max_layers, "limits.layers", arena, &m->layers, &m->n_layers, err) != 0 ||
        parse_subject(root, arena, &m->has_subject, &m->subject, err) != 0 ||
        bh_json_str(root, "artifactType", BH_TEXT_LINE, arena, &m->artifact_type, err) != 0)
        return err->code;
    return bh_json_pairs(root, "annotations", BH_TEXT_FREE, ANNOTATIONS_MAX, arena, &m->annotations, err);
}

static int parse_index(const struct bh_json_at *root, const struct bh_oci_limits *limits, struct bh_arena *arena,
                       struct bh_index *x, struct bh_err *err) {
    if (parse_descs(root, "manifests", limits->max_entries, "limits.images", arena, &x->entries, &x->n_entries, err) !=
            0 ||
        parse_subject(root, arena, &x->has_subject, &x->subject, err) != 0 ||
        bh_json_str(root, "artifactType", BH_TEXT_LINE, arena, &x->artifact_type, err) != 0)
        return err->code;
    return bh_json_pairs(root, "annotations", BH_TEXT_FREE, ANNOTATIONS_MAX, arena, &x->annotations, err);
}

static int refuse_schema1(const char *what, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "%s: it uses the retired docker manifest schema 1", what);
    bh_err_hint(err, "ask the owner of the image to push it again with a docker newer than 1.10");
    return bh_err_reason(err, "schema1");
}

static bool is_schema1_type(const char *type) {
    return strcmp(type, BH_MT_DOCKER_SCHEMA1) == 0 || strcmp(type, BH_MT_DOCKER_SCHEMA1_SIGNED) == 0;
}

static bool has(const struct bh_json_at *root, const char *key) {
    return json_object_get(root->v, key) != NULL; /* also null: a key that is there is a claim */
}

/* What the content is, whatever it calls itself; 0 with the error set if it cannot be told. */
static enum bh_doc_kind kind_of_content(const struct bh_json_at *root, const char *what, struct bh_err *err) {
    bool manifest = has(root, "layers") || has(root, "config"), index = has(root, "manifests");
    const json_t *version = json_object_get(root->v, "schemaVersion");

    if (!manifest && !index &&
        (has(root, "fsLayers") || (json_is_integer(version) && json_integer_value(version) == 1))) {
        refuse_schema1(what, err);
        return 0;
    }
    if ((manifest && index) || has(root, "fsLayers") || has(root, "history") || has(root, "signatures")) {
        bh_json_fail(root, err, "the document is more than one of manifest, index and schema 1 manifest");
        return 0;
    }
    if (!json_is_integer(version) || json_integer_value(version) != 2) {
        bh_json_fail(root, err, "\"schemaVersion\" is not 2");
        return 0;
    }
    if (!manifest && !index) {
        bh_json_fail(root, err, "neither \"layers\" nor \"manifests\" is there: not an image manifest");
        return 0;
    }
    return manifest ? BH_DOC_MANIFEST : BH_DOC_INDEX;
}

/* The one media type that content, body and carrier agree on. */
static int agree(const struct bh_json_at *root, enum bh_doc_kind kind, const char *carrier, struct bh_arena *arena,
                 const char **out_type, struct bh_err *err) {
    const char *body, *type;

    if (bh_json_str(root, "mediaType", BH_TEXT_LINE, arena, &body, err) != 0)
        return err->code;
    if (body[0] != '\0' && carrier[0] != '\0' && strcmp(body, carrier) != 0)
        return bh_json_fail(root, err, "it calls itself %.100s but came as %.100s", body, carrier);
    type = body[0] != '\0' ? body : carrier;
    if (type[0] == '\0')
        type = kind == BH_DOC_MANIFEST ? BH_MT_OCI_MANIFEST : BH_MT_OCI_INDEX;
    if (kind == BH_DOC_MANIFEST ? !bh_media_is_manifest(type) : !bh_media_is_index(type))
        return bh_json_fail(root, err, "its media type is %.100s but its content is %s", type,
                            kind == BH_DOC_MANIFEST ? "an image manifest" : "an index");
    *out_type = bh_oci_strdup(arena, type, strlen(type), err);
    return *out_type != NULL ? 0 : err->code;
}

static int parse_root(const struct bh_json_at *root, const char *carrier, const struct bh_oci_limits *limits,
                      struct bh_arena *arena, struct bh_doc *doc, struct bh_err *err) {
    static const char *const known[] = {"schemaVersion", "mediaType", "artifactType", "config",      "layers",
                                        "manifests",     "fsLayers",  "subject",      "annotations", NULL};
    const char *type;

    if (bh_json_need_object(root, err) != 0 || bh_json_check_keys(root, known, false, err) != 0)
        return err->code;
    if (is_schema1_type(carrier))
        return refuse_schema1(root->what, err);
    doc->kind = kind_of_content(root, root->what, err);
    if (doc->kind == 0 || agree(root, doc->kind, carrier, arena, &type, err) != 0)
        return err->code;
    if (doc->kind == BH_DOC_MANIFEST) {
        doc->manifest.media_type = type;
        doc->manifest.docker = strcmp(type, BH_MT_DOCKER_MANIFEST) == 0;
        return parse_manifest(root, limits, arena, &doc->manifest, err);
    }
    doc->index.media_type = type;
    doc->index.docker = strcmp(type, BH_MT_DOCKER_LIST) == 0;
    return parse_index(root, limits, arena, &doc->index, err);
}

int bh_doc_parse(const void *data, size_t n, const char *media_type, const char *what,
                 const struct bh_oci_limits *limits, struct bh_arena *arena, struct bh_doc *out, struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_json_at root;
    struct bh_doc doc = {0};
    int r;

    if (limits == NULL)
        limits = &default_limits;
    if (bh_json_parse(data, n, limits->max_bytes, what, &json, err) != 0)
        return err->code;
    root = bh_json_root(json, what);
    r = parse_root(&root, media_type != NULL ? media_type : "", limits, arena, &doc, err);
    if (r != 0) {
        if (err->code == BH_E_INVALID && err->reason[0] == '\0')
            bh_err_reason(err, "invalid-manifest");
        return r;
    }
    *out = doc;
    return 0;
}

bool bh_desc_is_attestation(const struct bh_desc *d) {
    const char *type = bh_pairs_get(&d->annotations, BH_ANNOTATION_REFERENCE_TYPE);

    return (type != NULL && strcmp(type, "attestation-manifest") == 0) ||
           (d->has_platform && strcmp(d->platform.os, "unknown") == 0 && strcmp(d->platform.arch, "unknown") == 0);
}

long bh_index_choose(const struct bh_index *index, const struct bh_platform *want) {
    long best = -1, lone = -1;
    int best_rank = 0;
    size_t images = 0;

    for (size_t i = 0; i < index->n_entries; i++) {
        const struct bh_desc *d = &index->entries[i];
        int rank;

        if (bh_desc_is_attestation(d))
            continue;
        images++;
        if (!d->has_platform) {
            lone = (long)i;
            continue;
        }
        rank = bh_platform_rank(want, &d->platform);
        if (rank >= 0 && (best < 0 || rank < best_rank)) {
            best = (long)i;
            best_rank = rank;
        }
    }
    return best < 0 && images == 1 ? lone : best;
}

int bh_index_no_match(const struct bh_platform *want, const char *what, struct bh_err *err) {
    char text[BH_PLATFORM_TEXT_SIZE];

    bh_platform_format(want, text);
    bh_err_set(err, BH_E_NOT_FOUND, "%s: no matching manifest for %s in the manifest list entries", what, text);
    bh_err_hint(err, "choose another one with --platform");
    return bh_err_reason(err, "no-such-platform");
}
