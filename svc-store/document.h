/*
 * document.h - a manifest, an index or a config that came from outside: read by a worker, kept by a hold.
 *
 * Room: store.  The bytes are hashed here and looked at nowhere but in the worker; they become files when
 * an image is made of them.
 */
#ifndef STORE_DOCUMENT_H
#define STORE_DOCUMENT_H

#include "hold.h"

struct store_document_in {
    const char *digest; /* that the bytes must have, "" = whatever they have */
    const char *media;  /* as the carrier told, "" if it told nothing */
    const void *data;
    size_t n;
    bool config;
    bool read_only;
    int cancel_fd;
};

/* The worker's Result is appended to out; out_digest is that of the bytes. */
int store_document_in(struct store *s, struct store_hold *h, const struct store_document_in *d, struct bh_buf *out,
                      char out_digest[STORE_DIGEST_SIZE], struct bh_err *err);

#endif
