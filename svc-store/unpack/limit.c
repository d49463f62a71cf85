/*
 * limit.c - see limit.h.
 *
 * Room: worker.
 */
#include "unpack/limit.h"

#include <stddef.h>

int unp_limit(struct bh_err *err, const char *key) {
    if (key != NULL)
        bh_err_hint(err, "if this is meant to be loaded, raise %s in the engine's config", key);
    return bh_err_reason(err, "limit");
}
