/*
 * compose.h - a layer made of files of other layers and of contexts: what is taken, where it goes, how it is written.
 *
 * Room: worker.  Three steps, each a file of its own: picking (compose_pick.c) finds the files that the items of a
 * request mean, in their views; the digest (compose_digest.c) says what they are; placing (compose_place.c) puts them
 * into a tree, following links of the stack that the new layer will lie on.  The tree goes out as a tar
 * (compose_tar.c), which the pipeline of every layer (layer_job.c) takes.  BuildKit's COPY is the guide.
 */
#ifndef UNP_COMPOSE_H
#define UNP_COMPOSE_H

#include "oci/digest.h"
#include "unpack/job.h"
#include "unpack/source.h"
#include "unpack/tree.h"
#include "unpack/view.h"
#include "worker.pb-c.h"

typedef Bulkhead__Worker__V1__ComposeJob unp_compose_msg;
typedef Bulkhead__Store__V1__ComposeItem unp_item_msg;

/* ---- names that stand for one file --------------------------------------------------------- */

struct unp_same_slot {
    const void *view;
    uint64_t same;
    uint32_t value;
};
struct unp_same {
    struct unp_same_slot *v;
    uint32_t n;
    uint32_t mask;
};
/* *out_value: what the first name was given; value itself for the first one.  false: no memory. */
bool unp_same_note(struct unp_same *s, const void *view, uint64_t same, uint32_t value, uint32_t *out_value);
void unp_same_fini(struct unp_same *s);

/* ---- what is picked ------------------------------------------------------------------------ */

enum { UNP_P_KEPT = 1 };

struct unp_pick {
    const struct unp_vnode *node;
    const char *name;
    uint32_t parent; /* number of its folder; itself for a root */
    uint16_t name_len;
    uint8_t flags;
};

/* One thing to copy: the picks [first, end), the first of them is its root. */
struct unp_match {
    struct unp_text base; /* the last part of the source's name: what a file is called in a folder */
    uint32_t item;
    uint32_t first;
    uint32_t end;
};

struct unp_picks {
    struct unp_pick *v;
    uint32_t n;
    uint32_t cap;
    struct unp_match *match;
    uint32_t n_match;
    uint32_t cap_match;
};

/* ---- what is made -------------------------------------------------------------------------- */

/* Content of a file of the new layer; number 0 is never given out. */
struct unp_data {
    const unsigned char *bytes; /* NULL: in fd */
    uint64_t at;
    int fd;
    const struct unp_sparse_file *sparse; /* NULL: all of it, one byte after the other; else its pieces */
};

struct unp_compose {
    const struct bh_job_params *params;
    const struct unp_fds *fds;
    struct bh_arena arena;
    unp_compose_msg *job;
    struct unp_layer *layers; /* of each source, opened when first used */
    struct unp_view *contexts;
    struct unp_view *views; /* of each item, and one more for `onto` */
    int *pack_fds;          /* of all contexts, one after the other */
    struct unp_picks picks;
    struct unp_tree tree; /* u.at of a file: number of its data; nid: the dent that is written first */
    struct unp_pool data; /* struct unp_data */
    struct unp_same linked;
    char **targets;   /* of each item, links followed; in the arena */
    uint64_t placed;  /* files, folders and links that were not there */
    uint64_t scratch; /* bytes used of fds->blob */
};

int unp_compose_open(struct unp_compose *c, const struct unp_fds *fds, const struct bh_job_params *p,
                     struct bh_err *err);
void unp_compose_fini(struct unp_compose *c);
/* The view of a stack of the request; opened into *v. */
int unp_compose_view(struct unp_compose *c, const Bulkhead__Store__V1__LayerStack *stack, struct unp_view *v,
                     const struct unp_view **out, struct bh_err *err);

int unp_compose_pick(struct unp_compose *c, struct bh_err *err);
int unp_compose_digest(struct unp_compose *c, struct bh_digest *out, struct bh_err *err);
int unp_compose_place(struct unp_compose *c, struct bh_err *err);
/* After placing: what the layers below have made of it. */
int unp_compose_place_digest(struct unp_compose *c, struct bh_digest *out, struct bh_err *err);

/* chmod: "" changes nothing.  BH_E_INVALID when it is neither octal nor symbolic. */
int unp_chmod_apply(const char *chmod, uint16_t mode, uint16_t *out, struct bh_err *err);
/* Mode, owner and time of a picked file in the new layer. */
int unp_compose_attributes(const struct unp_compose *c, const unp_item_msg *item, struct unp_file *f,
                           struct bh_err *err);

/* The tree as a tar, read as any source of a layer is. */
struct unp_tarout {
    struct unp_compose *c;
    uint32_t *order; /* dents */
    uint32_t n;
    uint32_t cap;
    uint32_t next;
    struct bh_buf head; /* headers and inline data */
    size_t head_at;
    const struct unp_data *data;
    uint64_t at;   /* of the next byte in data->fd */
    uint64_t done; /* of the file */
    uint64_t left;
    size_t piece; /* of a sparse file: the one that is next */
    unsigned pad;
    bool ended;
};
int unp_tarout_open(struct unp_tarout *t, struct unp_compose *c, struct bh_err *err);
void unp_tarout_fini(struct unp_tarout *t);
int unp_tarout_pull(void *tarout, void *to, size_t n, size_t *out_n, struct bh_err *err);

#endif
