/*
 * compose_filter.h - which files below a source are left out: .dockerignore, --exclude, and the pattern of --parents.
 *
 * Room: worker.  Lines of .dockerignore hold for paths of the view, --exclude and --parents for paths below the
 * source.  A folder that is left out may hold something that is not: it is asked about its content then.
 */
#ifndef UNP_COMPOSE_FILTER_H
#define UNP_COMPOSE_FILTER_H

#include "unpack/compose.h"

struct bh_ignore;
struct bh_pattern;

struct unp_filter {
    struct bh_ignore *ignore;  /* NULL: none */
    struct bh_ignore *exclude; /* NULL: none */
    struct bh_pattern *only;   /* NULL: all */
    uint64_t hits;             /* of `only` */
    char *path;                /* of the view, NUL-terminated */
    size_t below;              /* where in path the part below the source starts */
};

enum unp_verdict {
    UNP_TAKE,
    UNP_LEAVE,     /* but what is below may be taken */
    UNP_LEAVE_ALL, /* nothing below is taken */
};

/* A folder on the way; what its lines said goes on to what is below. */
struct unp_filter_at {
    size_t len; /* of its path */
    unsigned char *ignore;
    unsigned char *exclude;
    bool inside; /* of what `only` matched */
};

int unp_filter_open(struct unp_filter *f, const unp_item_msg *item, struct bh_err *err);
void unp_filter_close(struct unp_filter *f);
/* From now on only what matches, with all that is below it. */
int unp_filter_only(struct unp_filter *f, struct unp_text pattern, struct bh_err *err);
/* The source itself: *out_verdict as below. */
int unp_filter_start(struct unp_filter *f, struct unp_text source, bool dir, struct unp_filter_at *out,
                     enum unp_verdict *out_verdict, struct bh_err *err);
int unp_filter_enter(struct unp_filter *f, const struct unp_filter_at *above, struct unp_text name,
                     struct unp_filter_at *out, enum unp_verdict *out_verdict, struct bh_err *err);
void unp_filter_leave(struct unp_filter_at *at);
/* Does any line of .dockerignore say anything?  Then a source that is left out counts as absent. */
bool unp_filter_hides(const struct unp_filter *f);

#endif
