/*
 * manifest.h - image manifests, indexes, and the small documents of archives, read and written.
 *
 * Room: the worker reads foreign bytes with it; store, registry, runtime read what a worker passed.
 * Pure.  Nothing is trusted: kind is told by content *and* media type and both must agree, so that
 * no document is an index for one reader and a manifest for another (CVE-2021-41190).  Digests are
 * over the bytes as they came; callers keep those bytes, the structs here are for reading only.
 * Unknown keys are ignored, as the specification asks; a known key in other letter case is refused.
 * Source: OCI image specification 1.1; docker distribution manifest v2 schema 2.
 */
#ifndef BH_OCI_MANIFEST_H
#define BH_OCI_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "oci/digest.h"
#include "oci/platform.h"
#include "oci/types.h"

#define BH_MT_OCI_INDEX             "application/vnd.oci.image.index.v1+json"
#define BH_MT_OCI_MANIFEST          "application/vnd.oci.image.manifest.v1+json"
#define BH_MT_OCI_CONFIG            "application/vnd.oci.image.config.v1+json"
#define BH_MT_OCI_EMPTY             "application/vnd.oci.empty.v1+json"
#define BH_MT_OCI_LAYER             "application/vnd.oci.image.layer.v1.tar"
#define BH_MT_OCI_LAYER_GZIP        "application/vnd.oci.image.layer.v1.tar+gzip"
#define BH_MT_OCI_LAYER_ZSTD        "application/vnd.oci.image.layer.v1.tar+zstd"
#define BH_MT_DOCKER_LIST           "application/vnd.docker.distribution.manifest.list.v2+json"
#define BH_MT_DOCKER_MANIFEST       "application/vnd.docker.distribution.manifest.v2+json"
#define BH_MT_DOCKER_CONFIG         "application/vnd.docker.container.image.v1+json"
#define BH_MT_DOCKER_LAYER          "application/vnd.docker.image.rootfs.diff.tar"
#define BH_MT_DOCKER_LAYER_GZIP     "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define BH_MT_DOCKER_SCHEMA1        "application/vnd.docker.distribution.manifest.v1+json"
#define BH_MT_DOCKER_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"

#define BH_ANNOTATION_REF_NAME       "org.opencontainers.image.ref.name"
#define BH_ANNOTATION_IMAGE_NAME     "io.containerd.image.name"
#define BH_ANNOTATION_REFERENCE_TYPE "vnd.docker.reference.type"

struct bh_oci_limits {
    size_t max_bytes;   /* of a document */
    size_t max_layers;  /* of a manifest, config or docker-archive image */
    size_t max_entries; /* of an index or a docker-archive */
};
#define BH_OCI_LIMITS_DEFAULT                                                                                          \
    { .max_bytes = (size_t)4 << 20, .max_layers = 500, .max_entries = 1000 }

struct bh_desc {
    const char *media_type;    /* "" if absent */
    const char *digest_text;   /* as written; passes the grammar */
    struct bh_digest digest;   /* alg BH_DIGEST_NONE: cannot be verified, content must not be used */
    uint64_t size;             /* bytes, at most 2^62 */
    const char *artifact_type; /* "" if absent */
    bool has_platform;
    struct bh_platform platform; /* as written, not normalised */
    struct bh_strlist urls;
    struct bh_pairs annotations;
};

struct bh_manifest {
    bool docker; /* docker v2 schema 2, else OCI */
    const char *media_type;
    const char *artifact_type; /* "" if absent */
    struct bh_desc config;
    struct bh_desc *layers;
    size_t n_layers;
    bool has_subject;
    struct bh_desc subject;
    struct bh_pairs annotations;
};

struct bh_index {
    bool docker; /* docker manifest list, else OCI */
    const char *media_type;
    const char *artifact_type;
    struct bh_desc *entries;
    size_t n_entries;
    bool has_subject;
    struct bh_desc subject;
    struct bh_pairs annotations;
};

enum bh_doc_kind { BH_DOC_MANIFEST = 1, BH_DOC_INDEX = 2 };

struct bh_doc {
    enum bh_doc_kind kind;
    struct bh_manifest manifest; /* kind BH_DOC_MANIFEST */
    struct bh_index index;       /* kind BH_DOC_INDEX */
};

/* Read a manifest or an index.
 * media_type: what the carrier said (Content-Type, descriptor), NULL or "" if it said nothing; when
 * both it and the body's mediaType are there they must be equal.
 * what: names the document in errors ("manifest sha256:12..").  limits NULL: the defaults.
 * BH_E_INVALID (reasons "invalid-manifest", "schema1"), BH_E_LIMIT naming the limit. */
int bh_doc_parse(const void *data, size_t n, const char *media_type, const char *what,
                 const struct bh_oci_limits *limits, struct bh_arena *arena, struct bh_doc *out, struct bh_err *err);

/* The entry for a platform: exact, then lower variants, first in index order; attestations and
 * entries of unknown/unknown are passed over; an entry without platform serves only if nothing else
 * does and it is the only image entry.  -1 if none. */
long bh_index_choose(const struct bh_index *index, const struct bh_platform *want);
/* "no matching manifest for linux/arm64 in the manifest list entries" as docker says it. */
int bh_index_no_match(const struct bh_platform *want, const char *what, struct bh_err *err);
bool bh_desc_is_attestation(const struct bh_desc *d);

/* What a layer's media type says about its form.  Content decides; this is for refusing early. */
enum bh_layer_form {
    BH_LAYER_UNKNOWN = 0, /* not a layer that this engine reads */
    BH_LAYER_TAR,
    BH_LAYER_GZIP,
    BH_LAYER_ZSTD,
    BH_LAYER_ENCRYPTED,
};
/* out_foreign (may be NULL): non-distributable or docker foreign layer. */
enum bh_layer_form bh_media_layer(const char *media_type, bool *out_foreign);
bool bh_media_is_manifest(const char *media_type);
bool bh_media_is_index(const char *media_type);
bool bh_media_is_config(const char *media_type);
/* Is this manifest a runnable image?  Else BH_E_INVALID, reason "not-an-image", with the type in the message. */
int bh_manifest_check_image(const struct bh_manifest *m, const char *what, struct bh_err *err);

/* Writers.  The bytes depend on the struct alone: fixed key order, sorted maps, no blanks.
 * The caller checks bh_buf_failed. */
void bh_manifest_write(const struct bh_manifest *m, struct bh_buf *out);
void bh_index_write(const struct bh_index *index, struct bh_buf *out);
void bh_desc_write(const struct bh_desc *d, struct bh_buf *out);

/* --- docker-archive: manifest.json and repositories ------------------------------------------- */

struct bh_archive_image {
    const char *config;          /* member name, cleaned: relative, no "." or ".." pieces */
    struct bh_strlist repo_tags; /* as written, each a valid reference */
    struct bh_strlist layers;    /* member names, cleaned, lowest first */
};
struct bh_archive {
    struct bh_archive_image *images;
    size_t n_images;
};
int bh_archive_parse(const void *data, size_t n, const struct bh_oci_limits *limits, struct bh_arena *arena,
                     struct bh_archive *out, struct bh_err *err);
void bh_archive_write(const struct bh_archive *archive, struct bh_buf *out);
/* The old `repositories` file: name, tag, id of the top layer (64 hex); rows sorted by the writer's caller,
 * rows of one name next to each other. */
struct bh_repository_row {
    const char *name; /* familiar name */
    const char *tag;
    const char *id;
};
void bh_repositories_write(const struct bh_repository_row *rows, size_t n, struct bh_buf *out);

/* --- OCI layout --------------------------------------------------------------------------------- */

/* index.json: bh_doc_parse with media_type NULL, kind BH_DOC_INDEX.  The marker file: */
int bh_layout_parse(const void *data, size_t n, struct bh_err *err); /* version 1.x or BH_E_INVALID */
void bh_layout_write(struct bh_buf *out);
/* "blobs/sha256/<hex>" */
#define BH_LAYOUT_PATH_SIZE 160
void bh_layout_blob_path(const struct bh_digest *d, char out[BH_LAYOUT_PATH_SIZE]);
/* And back; false if the name is not a blob of a known algorithm. */
bool bh_layout_blob_digest(const char *path, struct bh_digest *out);

#endif
