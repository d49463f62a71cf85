/*
 * manifest_put.h - a manifest or index to a registry, and what it must have before.
 *
 * Room: registry.
 */
#ifndef REG_MANIFEST_PUT_H
#define REG_MANIFEST_PUT_H

#include "svc-registry/remote.h"

struct reg_manifest_put {
    const void *data;
    size_t size;
    const char *media_type;
    const char *digest; /* of data */
    const char *name;   /* tag or digest that it gets */
    const char *what;   /* for errors */
};
/* BH_E_DATA_LOSS (reason "digest-mismatch") when the registry made another document of it. */
int reg_manifest_put(struct reg_remote *remote, const struct reg_manifest_put *put, struct bh_err *err);

#endif
