/*
 * pages.h - lists that a registry gives page by page: tags, and repositories of a catalog.
 *
 * Room: registry.  Foreign: pages are JSON of at most REG_DOCUMENT_MAX, names that break the grammar are left out, the
 * number of pages and names is limited, and a server that leads in a circle is left.
 */
#ifndef REG_PAGES_H
#define REG_PAGES_H

#include "svc-registry/remote.h"

#define REG_MAX_TAGS 200000

struct reg_pages {
    const char *below; /* first address: "tags/list?n=1000", "/v2/_catalog?n=1000" */
    const char *key;   /* "tags", "repositories" */
    const char *what;
    bool once; /* one page is enough */
    /* Takes a name; *out_stop: no more are wanted. */
    int (*take)(void *arg, const char *name, bool *out_stop, struct bh_err *err);
    void *arg;
};
int reg_pages_read(struct reg_remote *r, const struct reg_pages *p, struct bh_err *err);

bool reg_tag_valid(const char *tag);
/* Up to five names of the list that are near to one that is not there, the nearest first; how many. */
#define REG_NEAR 5
size_t reg_tags_near(const char *const *tags, size_t n, const char *wanted, const char *out[REG_NEAR]);
/* After "manifest unknown": asks for the tags and puts near ones into the error's hint, or that the registry shows no
 * such repository.  wanted: "" for a digest.  Fails silently; other errors stay as they are. */
void reg_tags_hint(struct reg_remote *r, const char *wanted, struct bh_err *err);

#endif
