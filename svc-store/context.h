/*
 * context.h - the contexts of builds: what a client's folder had in it, kept from one build to the next.
 *
 * Room: store.  A context is a list that a worker has written and packs of contents, all of them files without a
 * name: they go when the last descriptor does, so nothing is left behind by any end of this process, and nothing of
 * them outlives it.  This room looks at no byte of a list; a context's id is the digest of the list as it came, so a
 * client that has changed nothing sends nothing.
 */
#ifndef STORE_CONTEXT_H
#define STORE_CONTEXT_H

#include "store.h"
#include "unpack/context_list.h"

#define STORE_CONTEXT_ID_SIZE 72 /* "ctx:" and 64 hex digits */

struct store_context {
    struct store_context *next; /* newest first */
    uid_t owner;
    char *key;
    char id[STORE_CONTEXT_ID_SIZE];
    int list;
    int pack[BH_CONTEXT_PACKS];
    unsigned n_packs;
    unsigned files; /* that count in the table: of list and packs; while it is made, as many as there can be */
    uint64_t entries;
    uint64_t bytes; /* of the disk, what it shares with another of its key not counted twice */
    int64_t created_ns;
    int64_t used_ns;
    uint32_t uses;
    int64_t lease; /* of the build that used it last */
    unsigned refs; /* one of them the table's */
};

void store_contexts_init(struct store_contexts *t);
void store_contexts_fini(struct store_contexts *t);

/* NULL when the owner has none of that id.  It stays as it is until it is given back; while the lease (0: none) lives
 * it counts as in use. */
struct store_context *store_context_use(struct store *s, uid_t owner, const char *id, int64_t lease);
void store_context_done(struct store *s, struct store_context *c);

struct store_context_put {
    uid_t owner;
    const char *key;
    const char *id; /* that it will have, "" if unknown */
    /* The list is wanted. */
    int (*begin)(void *arg, struct bh_err *err);
    /* The next chunk of the client; *out NULL: its end. */
    int (*recv)(void *arg, const void **out, size_t *out_n, struct bh_err *err);
    /* From another thread: recv shall give the end. */
    void (*stop)(void *arg);
    /* Numbers of entries that are wanted; last: there are no more. */
    int (*want)(void *arg, const uint64_t *numbers, size_t n, bool last, struct bh_err *err);
    void *arg;
    int cancel_fd;
};
struct store_context_result {
    char id[STORE_CONTEXT_ID_SIZE];
    uint64_t sent;
    uint64_t kept;
};
int store_context_put(struct store *s, const struct store_context_put *p, struct store_context_result *out,
                      struct bh_err *err);

/* For context_put.c: one in the making, given back with store_context_done or added. */
struct store_context *store_context_new(uid_t owner, const char *key, const char *id);
/* Before it opens its files: room for as many as it can have.  Others that nobody uses give way. */
bool store_context_reserve(struct store *s, struct store_context *c);
int store_contexts_full(const struct store *s, struct bh_err *err);
/* The newest of that key, as by store_context_use: what it has need not come again. */
struct store_context *store_context_newest(struct store *s, uid_t owner, const char *key);
void store_context_add(struct store *s, struct store_context *c);

/* For cache.c: what there is, and taking it away. */
struct store_context_info {
    uid_t owner;
    char id[STORE_CONTEXT_ID_SIZE];
    char key[128];
    uint64_t bytes;
    int64_t created_ns;
    int64_t used_ns;
    uint32_t uses;
    int64_t lease;
    bool in_use; /* right now; or by a build that is about to */
};
/* malloc'd; the newest first. */
struct store_context_info *store_context_list(struct store *s, const struct store_who *who, size_t *out_n);
void store_context_drop(struct store *s, uid_t owner, const char *id);
/* Those that nobody has used for a day. */
void store_context_sweep(struct store *s);

#endif
