/*
 * pull.h - images from registries into the store.
 *
 * Room: registry.  Names are completed, the administrator's policy is asked before a byte is, documents go to the store
 * to be read there, layers flow from the socket into the store's pipes, and one commit makes the image visible.
 * See docs/architecture.md, "A pull, file by file".
 */
#ifndef REG_PULL_H
#define REG_PULL_H

#include "svc-registry/event.h"
#include "svc-registry/remote.h"
#include "svc-registry/room.h"

enum reg_pull_policy { REG_PULL_ALWAYS, REG_PULL_MISSING, REG_PULL_NEWER, REG_PULL_NEVER };
/* "" = always.  BH_E_INVALID. */
int reg_pull_policy_parse(const char *text, enum reg_pull_policy *out, struct bh_err *err);

struct reg_pull {
    const char *const *references;
    size_t n_references;
    bool all_tags;
    const char *platform; /* "" = this host's */
    unsigned jobs;        /* 0 = as configured */
    enum reg_pull_policy policy;
    uint64_t hold;              /* 0 = none: of a build; an image for another host takes no name away then */
    struct bh_strlist diff_ids; /* with a hold: these layers alone, and no image; none = the image */
    struct reg_caller caller;
};
/* Several side by side, with `jobs` layers at once in all; told one after the other.  One that fails does not end the
 * others: the first error is the result, the others are told as warnings. */
int reg_pull(struct reg_room *room, const struct reg_pull *ask, const struct reg_listener *listener,
             struct bh_err *err);

#endif
