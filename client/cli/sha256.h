/*
 * sha256.h - SHA-256 of files for the command line, by the crypto library when it is first needed.
 *
 * Room: client.  Loading that library takes longer than most commands run, and only `build` hashes: so it
 * is not linked but loaded here.
 */
#ifndef BH_CLI_SHA256_H
#define BH_CLI_SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLI_SHA256_SIZE 32

int cli_sha256(const void *data, size_t n, unsigned char out[CLI_SHA256_SIZE], struct bh_err *err);
/* Reads fd to its end; *out_size is how much that was.  what names it in errors. */
int cli_sha256_fd(int fd, const char *what, unsigned char out[CLI_SHA256_SIZE], uint64_t *out_size, struct bh_err *err);

#endif
