/*
 * result.h - what a worker found, as plain values.
 *
 * Room: store.  result_rpc.c makes these of the worker's message.  Texts are bounded by the message;
 * digests have been parsed, offsets lie inside the archive, and nothing else is known of them.
 */
#ifndef STORE_RESULT_H
#define STORE_RESULT_H

#include "base/arena.h"
#include "base/buf.h"
#include "image.h"
#include "oci/config.h"
#include "store.h"

struct store_layer_result {
    char digest[STORE_DIGEST_SIZE]; /* of the bytes as received */
    char diff_id[STORE_DIGEST_SIZE];
    const char *codec; /* "none", "gzip", "zstd", "bzip2", "xz" */
    uint64_t size;     /* bytes as received */
    uint64_t tar_size;
    uint64_t content; /* sum of the sizes of its files */
    uint64_t file_size;
    uint64_t index_offset;
    uint64_t index_size;
    unsigned char index_sha256[32];
    uint64_t entries;
    bool blob_written;
    bool verified; /* by this room: not from the worker */
};

struct store_plan_name {
    const char *name;
    const char *source;
};
struct store_plan_layer {
    uint64_t offset;
    uint64_t size;
    const char *media;
    const char *digest; /* "" if the archive does not tell */
    const char *diff_id;
};
struct store_plan_image {
    struct store_plan_name *names;
    size_t n_names;
    const char *index_digest;
    const char *manifest_digest;
    const char *manifest_media;
    const void *manifest;
    size_t n_manifest;
    const char *config_digest;
    const char *config_media;
    const void *config_data;
    size_t n_config;
    struct bh_image_config config;
    const void *reduced; /* config, packed again */
    size_t n_reduced;
    struct store_plan_layer *layers;
    size_t n_layers;
    const char *missing;
};
struct store_plan_index {
    const char *digest;
    const char *media;
    const void *data;
    size_t n;
    struct store_plan_name *names;
    size_t n_names;
};
struct store_plan {
    bool spooled;
    uint64_t archive_size;
    struct store_plan_image *images;
    size_t n_images;
    struct store_plan_index *indexes;
    size_t n_indexes;
};

/* A manifest or an index.  Digests are of any algorithm, sizes at most 2^62. */
struct store_document_result {
    const char *digest;
    uint64_t size;
    bool is_index;
    const char *media;
    const char *artifact_type;
    struct store_desc config;   /* manifests */
    struct store_desc *entries; /* layers of a manifest, lowest first; manifests of an index */
    size_t n_entries;
    struct bh_pairs annotations;
    const char *not_an_image;
};

/* The message is unpacked into the arena.  A WorkerError becomes err, as the worker said it. */
int store_result_layer(const struct bh_buf *packed, struct store_layer_result *out, struct bh_err *err);
int store_result_plan(const struct bh_buf *packed, struct bh_arena *arena, struct store_plan *out, struct bh_err *err);
int store_result_document(const struct bh_buf *packed, struct bh_arena *arena, struct store_document_result *out,
                          struct bh_err *err);
/* An image config, and the same packed again. */
int store_result_config(const struct bh_buf *packed, struct bh_arena *arena, struct bh_image_config *out,
                        const void **out_reduced, size_t *out_n, struct bh_err *err);
/* Job "compress". */
int store_result_compress(const struct bh_buf *packed, char out_digest[STORE_DIGEST_SIZE], uint64_t *out_size,
                          struct bh_err *err);
/* Job "context". */
struct store_context_found {
    uint64_t entries;
    uint64_t received;
    uint64_t kept;
    unsigned char in_use[8]; /* a bit for each pack of the context before */
};
int store_result_context(const struct bh_buf *packed, struct store_context_found *out, struct bh_err *err);
struct store_composed;
/* Job "compose"; *out_made: there is a layer. */
int store_result_composed(const struct bh_buf *packed, struct store_composed *out, bool *out_made, struct bh_err *err);
/* Job "file": its bytes, in the arena. */
int store_result_file(const struct bh_buf *packed, struct bh_arena *arena, const void **out, size_t *out_n,
                      uint32_t *out_mode, struct bh_err *err);
/* Job "profile": the message, for the reply; runtime looks at every word of it. */
struct Bulkhead__Store__V1__SeccompProfile;
int store_result_profile(const struct bh_buf *packed, struct bh_arena *arena,
                         struct Bulkhead__Store__V1__SeccompProfile **out, struct bh_err *err);
/* Job "entries": how many records, and their bytes. */
int store_result_entries(const struct bh_buf *packed, uint64_t *out_count, uint64_t *out_size, struct bh_err *err);
/* The typed config as packed message, in the arena; and back. */
int store_config_pack(const struct bh_image_config *c, struct bh_arena *arena, const void **out, size_t *out_n,
                      struct bh_err *err);
int store_config_unpack(const void *data, size_t n, struct bh_arena *arena, struct bh_image_config *out,
                        struct bh_err *err);

#endif
