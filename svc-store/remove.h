/*
 * remove.h - rmi, untag and prune: which names and images go, and why not.
 *
 * Room: store.  The rules are docker's (classic store), as a table of facts and verdicts that touches
 * nothing; doing is one synced commit, then the files.
 */
#ifndef STORE_REMOVE_H
#define STORE_REMOVE_H

#include "base/arena.h"
#include "store.h"

/* What is known of the image and of what was asked. */
struct store_remove_case {
    bool by_name; /* else by id */
    bool force;
    bool single;     /* at most one tag, beside digests of the same repository */
    bool names_left; /* by_name: others remain when this one is gone */
    bool children;
    bool running; /* a running container uses it */
    bool stopped; /* a stopped one does */
};
enum store_remove_verdict {
    STORE_REMOVE_UNTAG,      /* only the name goes */
    STORE_REMOVE_DELETE,     /* names and image go */
    STORE_REFUSE_NAME_USED,  /* its last name, and a container uses it: needs force */
    STORE_REFUSE_CHILDREN,   /* force does not help */
    STORE_REFUSE_RUNNING,    /* force does not help */
    STORE_REFUSE_REFERENCED, /* more than one name: needs force */
    STORE_REFUSE_STOPPED,    /* needs force */
};
enum store_remove_verdict store_remove_decide(const struct store_remove_case *c);

struct store_removed {
    const char *untagged; /* or NULL */
    const char *deleted;  /* or NULL */
};
struct store_removal {
    struct store_removed *items; /* in the arena */
    size_t n_items;
    size_t cap;
    uint64_t reclaimed; /* bytes of the disk */
};

/* Everything told is in the arena.  BH_E_CONFLICT, reason "image-in-use" or "image-has-names". */
int store_remove(struct store *s, const struct store_who *who, const char *text, bool force, bool no_prune,
                 struct bh_arena *arena, struct store_removal *out, struct bh_err *err);
/* Only the name; the image stays, unnamed if it was the last. */
int store_untag(struct store *s, const struct store_who *who, const char *text, struct bh_arena *arena,
                struct store_removal *out, struct bh_err *err);
/* previous: id of the image that had the target name, or "". */
int store_tag(struct store *s, const struct store_who *who, const char *source, const char *target,
              char previous[STORE_DIGEST_SIZE], struct bh_err *err);

struct store_filters;
int store_prune(struct store *s, const struct store_who *who, bool all, const struct store_filters *filters,
                bool dry_run, struct bh_arena *arena, struct store_removal *out, struct bh_err *err);

int store_removal_add(struct store_removal *r, struct bh_arena *arena, const char *untagged, const char *deleted,
                      struct bh_err *err);
/* Inside the write transaction: names of the image go, then the image (kept hidden while containers use it). */
struct store_db;
int store_image_delete(struct store_db *db, int64_t k, struct bh_arena *arena, struct store_removal *out,
                       struct bh_err *err);

#endif
