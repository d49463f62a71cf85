/*
 * fetch.h - ADD of an address: one body, hashed while it passes, as a tar with one file.
 *
 * Room: registry.  Foreign bytes that nobody reads here.  The tar goes into the pipe of whoever asked.
 */
#ifndef REG_FETCH_H
#define REG_FETCH_H

#include "oci/digest.h"
#include "svc-registry/remote.h"

struct reg_fetch {
    const char *url;
    const char *checksum; /* "" = none */
    const char *etag, *last_modified;
    int fd;    /* a pipe, for the tar */
    int spool; /* an empty file, for a body whose length is not told; -1: those are refused */
    bool raw;  /* no tar: the body alone */
    /* results */
    bool not_modified;
    char digest[BH_DIGEST_TEXT_SIZE];
    uint64_t size;
    char new_etag[256], new_modified[64], filename[256];
    int64_t mtime_ns;
};
/* BH_E_DATA_LOSS (reason "digest-mismatch"); BH_E_NOT_FOUND; others as reg_http_send. */
int reg_fetch_run(struct reg_fetch *f, struct reg_room *room, struct reg_conf *conf, const struct reg_caller *caller,
                  struct bh_err *err);

#endif
