/*
 * search.h - repositories by a word: the hub's search, or the catalog of a registry that has none.
 *
 * Room: registry.  Foreign: the answer is JSON, capped; descriptions are free text and stay as they came.
 */
#ifndef REG_SEARCH_H
#define REG_SEARCH_H

#include "svc-registry/remote.h"

struct reg_hit {
    const char *name, *description;
    uint32_t stars;
    bool official, automated;
};

struct reg_search {
    const char *term;
    uint32_t limit;     /* 1..100 */
    uint64_t min_stars; /* filters */
    int official;       /* -1 either, 0 no, 1 yes */
    /* results, in the arena */
    struct bh_arena *arena;
    struct reg_hit hits[100];
    size_t n_hits;
    bool catalog;
    char what[300]; /* for errors */
};
#define REG_TERM_SIZE 256
/* "HOST/word" goes to HOST, a lone word to the index of the hub: the place and the word. */
int reg_search_route(const struct reg_conf *conf, const char *text, const struct reg_route_options *options,
                     struct reg_place *out, char out_term[REG_TERM_SIZE], struct bh_err *err);
/* "stars" = "3", "is-official" = "true".  BH_E_INVALID with docker's words. */
int reg_search_filter(struct reg_search *s, const char *key, const char *value, struct bh_err *err);
int reg_search_run(struct reg_search *s, struct reg_remote *r, struct bh_err *err);

#endif
