/*
 * compose.h - layers made of files of other layers and of contexts, for builds.
 *
 * Room: store.  A worker picks, follows, hashes and writes; here it is decided whose layers may be given to it, and
 * what it made becomes a layer like any other.  The request goes to the worker as it came.
 */
#ifndef STORE_COMPOSE_H
#define STORE_COMPOSE_H

#include "result.h"
#include "store.h"

struct Bulkhead__Store__V1__LayerComposeRequest;
struct Bulkhead__Store__V1__LayerFileRequest;

/* What was found of requests before: the digests depend on the request alone. */
struct store_memo_item {
    unsigned char key[32];
    char content[STORE_DIGEST_SIZE];
    char place[STORE_DIGEST_SIZE];
    uint64_t files;
};
void store_memo_init(struct store_memo *m);
void store_memo_fini(struct store_memo *m);

/* On whose behalf, what keeps the results, and what ends the call. */
struct store_for {
    struct store_who who;
    int64_t lease;
    int cancel_fd;
    int end_fd; /* 0: none */
};

struct store_composed {
    struct store_layer_result layer; /* unless empty or only the digest was asked for */
    char content[STORE_DIGEST_SIZE];
    char place[STORE_DIGEST_SIZE]; /* "": not asked for */
    uint64_t files;
    bool empty;
    char **targets; /* of each item, links followed; store_composed_fini frees them */
    size_t n_targets;
};
void store_composed_fini(struct store_composed *c);
int store_compose(struct store *s, const struct store_for *f, const struct Bulkhead__Store__V1__LayerComposeRequest *q,
                  struct store_composed *out, struct bh_err *err);
/* *out: the file's bytes, in the arena. */
int store_layer_file(struct store *s, const struct store_for *f, const struct Bulkhead__Store__V1__LayerFileRequest *q,
                     struct bh_arena *arena, const void **out, size_t *out_n, uint32_t *out_mode, struct bh_err *err);

/* Those layers of the list that the owner has a right to are put under the lease; one he has not: BH_E_NOT_FOUND. */
int store_layers_claim(struct store *s, const struct store_who *who, int64_t lease, char *const *diff_ids, size_t n,
                       struct bh_err *err);

#endif
