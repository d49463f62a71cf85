/*
 * config.h - the image config (what an image id is the digest of), typed, both ways.
 *
 * Room: the worker reads foreign bytes with it; store, runtime and build handle the struct.  Pure.
 * Nothing of it is trusted: strings have no NUL, names have no control bytes, an Env entry without
 * '=' is refused (CVE-2026-57231: such an entry took the value of the engine's own environment).
 * Whoever stores an image keeps the bytes it came with; the writer is for images made here.
 * Unknown keys are ignored; a known key in other letter case is refused.
 * Source: OCI image specification, config.md; docker's additions Healthcheck, OnBuild, Shell.
 */
#ifndef BH_OCI_CONFIG_H
#define BH_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "oci/platform.h"
#include "oci/types.h"

struct bh_healthcheck {
    bool present;
    struct bh_strlist test; /* {"NONE"}, {"CMD", ...}, {"CMD-SHELL", text}; empty: inherit */
    int64_t interval_ns;    /* 0: inherit */
    int64_t timeout_ns;
    int64_t start_period_ns;
    int64_t start_interval_ns;
    int64_t retries;
};

/* Strings that are absent are "". */
struct bh_run_config {
    const char *user;
    const char *working_dir;
    const char *hostname;
    const char *domainname;
    const char *stop_signal;
    struct bh_strlist env; /* KEY=value, order kept */
    struct bh_strlist entrypoint;
    struct bh_strlist cmd;
    struct bh_strlist exposed_ports; /* "80/tcp", sorted */
    struct bh_strlist volumes;       /* paths, sorted */
    struct bh_strlist on_build;
    struct bh_strlist shell;
    struct bh_pairs labels;
    struct bh_healthcheck healthcheck;
    bool args_escaped;
    bool has_stop_timeout;
    int64_t stop_timeout; /* seconds */
};

struct bh_history {
    const char *created; /* RFC 3339 as written, or "" */
    const char *created_by;
    const char *author;
    const char *comment;
    bool empty_layer;
};

struct bh_image_config {
    const char *created; /* RFC 3339 as written, or "" */
    int64_t created_ns;  /* since 1970; 0 when created is "" */
    const char *author;
    const char *comment;
    const char *architecture;
    const char *variant;
    const char *os;
    const char *os_version;
    struct bh_strlist os_features;
    struct bh_run_config config;
    struct bh_digest *diff_ids; /* sha256, lowest layer first */
    size_t n_diff_ids;
    struct bh_history *history;
    size_t n_history;
    struct bh_strlist build_cache; /* steps of a build that its layers are the results of: docs/store-format.md */
};

#define BH_BUILD_CACHE_KEY "bulkhead.build.cache.v1"
#define BH_BUILD_CACHE_MAX 2000 /* lines */

/* All fields empty ("" and 0): the start for an image that is made here. */
void bh_image_config_init(struct bh_image_config *c);
/* what names the document in errors; limits NULL: the defaults.
 * BH_E_INVALID (reason "invalid-config"), BH_E_LIMIT naming the limit. */
int bh_image_config_parse(const void *data, size_t n, const char *what, const struct bh_oci_limits *limits,
                          struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err);
/* Deterministic: fixed key order, sorted maps, no blanks.  The caller checks bh_buf_failed. */
void bh_image_config_write(const struct bh_image_config *c, struct bh_buf *out);
/* A copy whose lists can be changed without touching src. */
int bh_image_config_copy(const struct bh_image_config *src, struct bh_arena *arena, struct bh_image_config *out,
                         struct bh_err *err);
/* Do n layers of a manifest fit diff_ids?  BH_E_INVALID naming both counts. */
int bh_image_config_check_layers(const struct bh_image_config *c, size_t n_layers, const char *what,
                                 struct bh_err *err);
void bh_image_config_platform(const struct bh_image_config *c, struct bh_platform *out);
/* Append one layer: diff_id (NULL for a step without layer) and its history row (copied). */
int bh_image_config_add_layer(struct bh_image_config *c, const struct bh_digest *diff_id,
                              const struct bh_history *history, struct bh_arena *arena, struct bh_err *err);

/* Env helpers: value of KEY or NULL; set replaces in place or appends. */
const char *bh_env_get(const struct bh_strlist *env, const char *key);
int bh_env_set(struct bh_strlist *env, struct bh_arena *arena, const char *key, const char *value, struct bh_err *err);

#endif
