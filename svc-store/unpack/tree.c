/*
 * tree.c - pools, names and the table that finds them.
 *
 * Room: worker.  Trusts no count and no name.  The table is seeded, so that no archive can choose
 * names that all fall into one bucket; nothing that is written depends on its order.
 */
#include "unpack/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"
#include "unpack/limit.h"

#define POOL_CHUNK 4096u
#define ARENA_MAX  ((size_t)192 << 20)

uint32_t unp_pool_add(struct unp_pool *p) {
    if (p->n == 0)
        p->n = 1;
    uint32_t chunk = p->n / POOL_CHUNK;
    if (chunk == p->n_chunks) {
        char **more = realloc(p->chunks, (chunk + 1) * sizeof *more);
        if (more == NULL)
            return 0;
        p->chunks = more;
        p->chunks[chunk] = calloc(POOL_CHUNK, p->size);
        if (p->chunks[chunk] == NULL)
            return 0;
        p->n_chunks++;
    }
    return p->n++;
}

static void pool_fini(struct unp_pool *p) {
    for (uint32_t i = 0; i < p->n_chunks; i++)
        free(p->chunks[i]);
    free(p->chunks);
    p->chunks = NULL;
}

int unp_tree_no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "layer: not enough memory for its names and attributes");
    bh_err_hint(err, "the layer is far larger than images usually are");
    return unp_limit(err, NULL);
}

const char *unp_shown(struct unp_text name, char out[UNP_SHOWN]) {
    bh_str_escape(out, UNP_SHOWN, name.s, name.n, false);
    return out;
}

int unp_tree_init(struct unp_tree *t, const struct unp_tree_limits *limits, struct bh_err *err) {
    memset(t, 0, sizeof *t);
    t->limits = *limits;
    if (t->limits.max_depth > UNP_PARTS_MAX / 2)
        t->limits.max_depth = UNP_PARTS_MAX / 2;
    t->inodes.size = sizeof(struct unp_inode);
    t->dents.size = sizeof(struct unp_dent);
    t->sparse.size = sizeof(struct unp_sparse_file);
    bh_arena_init(&t->arena, ARENA_MAX);
    t->mask = 1023;
    t->buckets = calloc(t->mask + 1, sizeof *t->buckets);
    if (getrandom(t->seed, sizeof t->seed, 0) != sizeof t->seed)
        return bh_err_set(err, BH_E_INTERNAL, "no random numbers");
    t->seed[0] |= 1;
    t->seed[1] |= 1;
    uint32_t root = t->buckets == NULL ? 0 : unp_pool_add(&t->dents);
    if (root == 0)
        return unp_tree_no_memory(err);
    unp_dent_at(t, root)->parent = root;
    unp_dent_at(t, root)->name = "";
    return unp_tree_imply_dir(t, root, err);
}

void unp_tree_fini(struct unp_tree *t) {
    pool_fini(&t->inodes);
    pool_fini(&t->dents);
    pool_fini(&t->sparse);
    bh_arena_fini(&t->arena);
    free(t->buckets);
}

/* ---- the table ----------------------------------------------------------------------------- */

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint32_t hash_of(const struct unp_tree *t, uint32_t parent, struct unp_text name) {
    uint64_t h = fold(t->seed[0] ^ parent, t->seed[1] ^ name.n);
    size_t i = 0;
    uint64_t w;
    for (; i + 8 <= name.n; i += 8) {
        memcpy(&w, name.s + i, 8);
        h = fold(h ^ w, t->seed[1]) + t->seed[0];
    }
    w = 0;
    memcpy(&w, name.s + i, name.n - i);
    h = fold(h ^ w, t->seed[0]);
    return (uint32_t)(h ^ h >> 32);
}

static uint32_t find(const struct unp_tree *t, uint32_t parent, struct unp_text name, uint32_t hash) {
    uint32_t i = t->buckets[hash & t->mask];
    while (i != 0) {
        const struct unp_dent *d = unp_dent_at(t, i);
        if (d->hash == hash && d->parent == parent && d->name_len == name.n && memcmp(d->name, name.s, name.n) == 0)
            return i;
        i = d->hash_next;
    }
    return 0;
}

uint32_t unp_tree_lookup(const struct unp_tree *t, uint32_t parent, struct unp_text name) {
    return find(t, parent, name, hash_of(t, parent, name));
}

static bool grow_table(struct unp_tree *t) {
    uint32_t mask = t->mask * 2 + 1;
    uint32_t *buckets = calloc((size_t)mask + 1, sizeof *buckets);
    if (buckets == NULL)
        return false;
    for (uint32_t b = 0; b <= t->mask; b++) {
        for (uint32_t i = t->buckets[b], next; i != 0; i = next) {
            struct unp_dent *d = unp_dent_at(t, i);
            next = d->hash_next;
            d->hash_next = buckets[d->hash & mask];
            buckets[d->hash & mask] = i;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->mask = mask;
    return true;
}

static void table_remove(struct unp_tree *t, uint32_t dent) {
    struct unp_dent *d = unp_dent_at(t, dent);
    uint32_t *at = &t->buckets[d->hash & t->mask];
    while (*at != dent)
        at = &unp_dent_at(t, *at)->hash_next;
    *at = d->hash_next;
}

/* ---- names --------------------------------------------------------------------------------- */

int unp_tree_child(struct unp_tree *t, uint32_t parent, struct unp_text name, uint32_t *out, struct bh_err *err) {
    uint32_t hash = hash_of(t, parent, name);
    *out = find(t, parent, name, hash);
    if (*out != 0)
        return 0;
    if (t->dents.n > t->limits.max_entries * 2 + 1024) {
        bh_err_set(err, BH_E_LIMIT, "layer: too many files and directories, limits.entries is %llu",
                   (unsigned long long)t->limits.max_entries);
        return unp_limit(err, "limits.entries");
    }
    if (t->dents.n > t->mask && !grow_table(t))
        return unp_tree_no_memory(err);
    char *copy = bh_arena_alloc(&t->arena, name.n);
    uint32_t i = copy == NULL ? 0 : unp_pool_add(&t->dents);
    if (i == 0)
        return unp_tree_no_memory(err);
    memcpy(copy, name.s, name.n);
    struct unp_dent *d = unp_dent_at(t, i);
    struct unp_dent *up = unp_dent_at(t, parent);
    *d = (struct unp_dent){.name = copy, .name_len = (uint16_t)name.n, .parent = parent, .hash = hash};
    d->next = up->child;
    up->child = i;
    d->hash_next = t->buckets[hash & t->mask];
    t->buckets[hash & t->mask] = i;
    *out = i;
    return 0;
}

/* Depth first without recursion: a directory gives its children away one by one. */
void unp_tree_empty(struct unp_tree *t, uint32_t dir) {
    uint32_t at = dir;
    for (;;) {
        struct unp_dent *d = unp_dent_at(t, at);
        if (d->child != 0) {
            uint32_t child = d->child;
            d->child = unp_dent_at(t, child)->next;
            at = child;
            continue;
        }
        if (at == dir)
            return;
        table_remove(t, at);
        d->flags |= UNP_D_DEAD;
        at = d->parent;
    }
}

int unp_tree_new_inode(struct unp_tree *t, uint16_t mode, uint32_t *out, struct bh_err *err) {
    *out = unp_pool_add(&t->inodes);
    if (*out == 0)
        return unp_tree_no_memory(err);
    unp_inode_at(t, *out)->mode = mode;
    return 0;
}

int unp_tree_imply_dir(struct unp_tree *t, uint32_t dent, struct bh_err *err) {
    uint32_t inode;
    int rc = unp_tree_new_inode(t, 0040755, &inode, err);
    if (rc != 0)
        return rc;
    unp_inode_at(t, inode)->flags = UNP_I_IMPLIED;
    unp_inode_at(t, inode)->u.dent = dent;
    unp_dent_at(t, dent)->inode = inode;
    return 0;
}
