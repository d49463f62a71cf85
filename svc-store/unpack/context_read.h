/*
 * context_read.h - the list that a client sends, as a tree; and its contents, each once.
 *
 * Room: worker.  Names must be clean and their folders listed before them; a digest stands for one content, so a
 * file that moved or has copies travels once or not at all.
 */
#ifndef UNP_CONTEXT_READ_H
#define UNP_CONTEXT_READ_H

#include "unpack/context_list.h"
#include "unpack/jobs.h"
#include "unpack/tree.h"

struct unp_content {
    uint8_t sha256[32];
    uint64_t size;
    uint64_t at;
    uint64_t number; /* of the first entry that has it */
    uint32_t pack;
    uint32_t hash_next;
    bool used; /* by the new list */
};

struct unp_context {
    const struct bh_job_params *params;
    struct unp_tree tree; /* u.at of a file: number of its content, 0 when empty; nid, nlink: names of one file */
    struct unp_pool contents;
    uint32_t *buckets;
    uint32_t mask;
    uint32_t *wanted; /* contents, in the order of the list */
    uint32_t n_wanted;
    uint32_t cap_wanted;
    uint64_t missing; /* bytes of these */
    uint64_t kept;
    uint64_t total;
    uint32_t packs; /* of the old context; the new pack has this number */
    uint8_t in_use[(BH_CONTEXT_PACKS + 7) / 8];
    uint32_t *files; /* inode of each entry so far, for hard links; 0: no file */
    uint64_t n_files;
    uint64_t cap_files;
    char last_dir[4096];
    size_t last_len;
    uint32_t last_at;
};

extern const uint8_t unp_empty_sha256[32];

static inline struct unp_content *unp_context_content(const struct unp_context *c, uint32_t i) {
    return unp_pool_at(&c->contents, i);
}

int unp_context_init(struct unp_context *c, const struct bh_job_params *p, struct bh_err *err);
void unp_context_fini(struct unp_context *c);
/* The list of the context before this one: what is in its packs need not come again. */
int unp_context_old(struct unp_context *c, int list_fd, struct bh_err *err);
/* fd: packed ContextEntries.  BH_E_INVALID (reason "invalid-context"), BH_E_LIMIT. */
int unp_context_read(struct unp_context *c, int fd, struct bh_err *err);
/* The same for bytes in memory. */
int unp_context_parse(struct unp_context *c, const uint8_t *data, size_t n, struct bh_err *err);

#endif
