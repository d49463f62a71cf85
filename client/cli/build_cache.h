/*
 * build_cache.h - --cache-from and --cache-to as the client has its part in them: folders, and names for credentials.
 *
 * Room: client, with the caller's rights.  What the texts mean is the engine's to say; only a folder is the client's.
 */
#ifndef BH_CLI_BUILD_CACHE_H
#define BH_CLI_BUILD_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "bulkhead/bulkhead.h"
#include "cli/opt.h"
#include "cli/tarprog.h"

#define BUILD_CACHES_MAX 32 /* of each option */

struct build_cache_side {
    const char *text[BUILD_CACHES_MAX]; /* as the engine gets it */
    char ref[BUILD_CACHES_MAX][1024];   /* "" if there is none */
    size_t n;
    int fd[BUILD_CACHES_MAX]; /* in the order of those that have one */
    size_t n_fds;
    struct cli_tar *tar[BUILD_CACHES_MAX]; /* of the target's fds */
};
struct build_caches {
    struct build_cache_side from, to;
};

void build_caches_init(struct build_caches *c);
/* A folder that cannot be read is told as a warning, and left out. */
int build_caches_open(struct build_caches *c, struct cli_ctx *ctx, const struct cli_args *args, struct bh_err *err);
void build_caches_set(const struct build_caches *c, bulkhead_value *request);
/* The engine has its own copies of the descriptors now. */
void build_caches_given(struct build_caches *c);
/* After a build that worked: the folders are whole. */
int build_caches_finish(struct build_caches *c, struct bh_err *err);
void build_caches_fini(struct build_caches *c);

#endif
