/*
 * compose_target.h - a name in the root that a composed layer lies on, and putting things there.
 *
 * Room: worker.  For compose_place.c and compose_unpack.c.
 */
#ifndef UNP_COMPOSE_TARGET_H
#define UNP_COMPOSE_TARGET_H

#include "unpack/compose.h"

/* A name in the new root: what this request has made of it, and what the layers below have there. */
struct unp_spot {
    uint32_t dent;                 /* 0: not in the new layer */
    const struct unp_vnode *under; /* NULL: nothing below, or hidden */
};

/* The way down to a spot. */
struct unp_route {
    struct unp_spot at[UNP_PARTS_MAX];
    struct unp_text name[UNP_PARTS_MAX];
    size_t depth; /* at[0] is the root */
};

struct unp_placing {
    struct unp_compose *c;
    const struct unp_view *onto; /* NULL: nothing */
    const unp_item_msg *item;
};

/* BH_E_INVALID, reason "target-conflict": "what: name". */
int unp_target_refuse(const char *what, struct unp_text name, struct bh_err *err);
/* Where the path leads, the last part followed too; what is missing is walked as if it were there. */
int unp_target_resolve(struct unp_placing *p, struct unp_text path, struct unp_route *r, struct bh_err *err);
/* Folders at[1 .. depth] are in the new layer afterwards.  last_mode: of the last one, should it be made. */
int unp_target_make(struct unp_placing *p, struct unp_route *r, size_t depth, uint16_t last_mode, struct bh_err *err);

int unp_spot_child(const struct unp_compose *c, const struct unp_spot *dir, struct unp_text name, struct unp_spot *out,
                   struct bh_err *err);
bool unp_spot_exists(const struct unp_compose *c, const struct unp_spot *s);
uint16_t unp_spot_mode(const struct unp_compose *c, const struct unp_spot *s); /* 0: not there */
/* Its inode in the new layer; NULL: none. */
const struct unp_inode *unp_spot_made(const struct unp_compose *c, const struct unp_spot *s);
/* The name itself in the new layer; dir is a folder that is in it. */
int unp_spot_name(struct unp_compose *c, uint32_t dir, struct unp_text name, struct unp_spot *s, struct bh_err *err);
/* What the name stands for from now on. */
int unp_spot_inode(struct unp_compose *c, struct unp_spot *s, const struct unp_file *f, uint32_t *out,
                   struct bh_err *err);
int unp_spot_describe(struct unp_compose *c, struct unp_inode *i, const struct unp_file *f, struct bh_err *err);
/* A folder of the layers below is said once more, as it is. */
int unp_spot_restate(struct unp_compose *c, uint32_t dir, struct unp_text name, struct unp_spot *s, struct bh_err *err);
/* A file or link in place of whatever file or link is there. */
int unp_spot_put(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s,
                 const struct unp_file *f, const struct unp_data *d, struct bh_err *err);
int unp_compose_no_memory(struct bh_err *err);

/* ADD: unpacks the file into the folder that the item's target is, unless it is no archive (*out_done false). */
int unp_compose_unpack(struct unp_placing *p, const struct unp_file *f, bool *out_done, struct bh_err *err);

#endif
