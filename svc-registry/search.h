/*
 * search.h - repositories by a word: where to look, the hub's search, the catalog of a registry that has none.
 *
 * Room: registry.  Foreign: the answer is JSON, capped; descriptions are free text and stay as they came.
 */
#ifndef REG_SEARCH_H
#define REG_SEARCH_H

#include "svc-registry/remote.h"
#include "svc-registry/short_name.h"

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
/* Where a word is looked for, and the word. */
struct reg_search_route {
    char host[REG_MAX_SEARCH][BH_REF_DOMAIN_MAX + 1]; /* as a reference names it: "docker.io" */
    size_t n;
    char term[REG_TERM_SIZE];
};
/* "HOST/word" goes to HOST, a lone word to all search registries, each once; without such to docker.io. */
int reg_search_route(const struct reg_conf *conf, const char *text, struct reg_search_route *out, struct bh_err *err);
/* The i-th host of it; docker.io is searched at its index. */
int reg_search_place(const struct reg_conf *conf, const struct reg_search_route *route, size_t i,
                     const struct reg_route_options *options, struct reg_place *out, struct bh_err *err);
/* "stars" = "3", "is-official" = "true".  BH_E_INVALID with docker's words. */
int reg_search_filter(struct reg_search *s, const char *key, const char *value, struct bh_err *err);
int reg_search_run(struct reg_search *s, struct reg_remote *r, struct bh_err *err);

#endif
