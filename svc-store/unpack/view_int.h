/*
 * view_int.h - between view.c and view_context.c.
 *
 * Room: worker.
 */
#ifndef UNP_VIEW_INT_H
#define UNP_VIEW_INT_H

#include "unpack/view.h"

#define BH_VIEW_LAYERS 512u

/* NULL with err set. */
struct unp_vnode *unp_vnode_new(struct unp_view *v, unsigned n_parts, struct bh_err *err);
int unp_vnames_add(struct unp_vnames *names, struct unp_text name, const struct unp_vnode *node, struct bh_err *err);

int unp_context_lookup(const struct unp_vnode *dir, struct unp_text name, const struct unp_vnode **out,
                       struct bh_err *err);
int unp_context_names(const struct unp_vnode *dir, struct unp_vnames *out, struct bh_err *err);
int unp_context_file(const struct unp_vnode *n, struct unp_file *out, struct bh_err *err);

#endif
