/*
 * context_cache.h - what the files of a context hashed to last time, so that unchanged ones are not read again.
 *
 * Room: client.  A file below ~/.cache/bulkhead, one for each context folder, mode 0600.  An entry holds
 * only while device, inode, size, mtime and ctime are the same and the ctime is older than the note of it
 * by more than a tick of the clock; what is wrong with the file makes it empty, never an error.
 */
#ifndef BH_CLI_CONTEXT_CACHE_H
#define BH_CLI_CONTEXT_CACHE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "cli/sha256.h"

struct context_cache;

/* root: the context's folder, an absolute path. */
struct context_cache *context_cache_open(const char *root);
bool context_cache_find(const struct context_cache *c, const struct stat *st, unsigned char out[CLI_SHA256_SIZE]);
void context_cache_note(struct context_cache *c, const struct stat *st, const unsigned char sha256[CLI_SHA256_SIZE]);
/* Keeps what was found and noted since it was opened, if anything is new; frees. */
void context_cache_close(struct context_cache *c);

#endif
