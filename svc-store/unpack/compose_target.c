/*
 * compose_target.c - names in the root that a composed layer will lie on: followed, made, described.
 *
 * Room: worker.  A target is a path as in a chroot: links of the layers below and of what this request has made lead
 * on inside it, 40 at most, ".." stops at the root.  Folders that are there already keep what they are and are said
 * once more with what they are, because an upper layer's word on a folder is what a mount shows.
 */
#include "unpack/compose_target.h"

#include <string.h>

#include "layer/layer_format.h"
#include "unpack/limit.h"

int unp_compose_no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "not enough memory to copy so many files");
    return unp_limit(err, NULL);
}

int unp_target_refuse(const char *what, struct unp_text name, struct bh_err *err) {
    char shown[UNP_SHOWN];

    bh_err_set(err, BH_E_INVALID, "%s: %s", what, unp_shown(name, shown));
    return bh_err_reason(err, "target-conflict");
}

/* ---- spots --------------------------------------------------------------------------------- */

const struct unp_inode *unp_spot_made(const struct unp_compose *c, const struct unp_spot *s) {
    uint32_t inode = s->dent == 0 ? 0 : unp_dent_at(&c->tree, s->dent)->inode;

    return inode == 0 ? NULL : unp_inode_at(&c->tree, inode);
}

bool unp_spot_exists(const struct unp_compose *c, const struct unp_spot *s) {
    return unp_spot_made(c, s) != NULL || s->under != NULL;
}

uint16_t unp_spot_mode(const struct unp_compose *c, const struct unp_spot *s) {
    const struct unp_inode *i = unp_spot_made(c, s);

    return i != NULL ? i->mode : s->under != NULL ? s->under->mode : 0;
}

/* What the layers below have in it is not there any more. */
static bool hides(const struct unp_compose *c, const struct unp_spot *dir) {
    return dir->dent != 0 && (unp_dent_at(&c->tree, dir->dent)->flags & UNP_D_OPAQUE) != 0;
}

int unp_spot_child(const struct unp_compose *c, const struct unp_spot *dir, struct unp_text name, struct unp_spot *out,
                   struct bh_err *err) {
    const struct unp_inode *i;

    *out = (struct unp_spot){0};
    if (dir->dent != 0)
        out->dent = unp_tree_lookup(&c->tree, dir->dent, name);
    if (dir->under != NULL && !hides(c, dir) && unp_view_lookup(dir->under, name, &out->under, err) != 0)
        return err->code;
    i = unp_spot_made(c, out);
    if (i != NULL && (!unp_inode_is_dir(i) || (out->under != NULL && !unp_vnode_is_dir(out->under))))
        out->under = NULL;
    return 0;
}

static struct unp_spot root_of(const struct unp_placing *p) {
    return (struct unp_spot){UNP_ROOT, p->onto != NULL && !p->item->link ? p->onto->root : NULL};
}

/* ---- following ----------------------------------------------------------------------------- */

struct todo {
    struct unp_parts parts;
    unsigned links;
};

static int push(struct todo *t, struct unp_text path, struct bh_err *err) {
    struct unp_text bad;

    if (unp_parts_push(&t->parts, path, BH_LAYER_NAME_MAX, &bad))
        return 0;
    return unp_target_refuse(bad.n > BH_LAYER_NAME_MAX ? "file name too long" : "path is too deep", bad, err);
}

static int target_of(struct unp_placing *p, const struct unp_spot *s, struct unp_text *out, struct bh_err *err) {
    const struct unp_inode *i = unp_spot_made(p->c, s);
    struct unp_file f;

    if (i != NULL) {
        *out = (struct unp_text){i->u.link, i->size};
        return 0;
    }
    if (unp_view_file(s->under, &f, err) != 0)
        return err->code;
    *out = f.link;
    return 0;
}

static int follow(struct unp_placing *p, struct todo *t, struct unp_route *r, const struct unp_spot *link,
                  struct bh_err *err) {
    struct unp_text target;

    if (target_of(p, link, &target, err) != 0)
        return err->code;
    if (++t->links > UNP_LINKS_MAX)
        return unp_target_refuse("too many levels of symbolic links", target, err);
    if (target.s[0] == '/')
        r->depth = 0;
    return push(t, target, err);
}

/* Where the path leads, the last part followed too; what is missing is walked as if it were there. */
int unp_target_resolve(struct unp_placing *p, struct unp_text path, struct unp_route *r, struct bh_err *err) {
    static struct todo t;

    t.parts.n = 0;
    t.links = 0;
    r->depth = 0;
    r->at[0] = root_of(p);
    if (push(&t, path, err) != 0)
        return err->code;
    while (t.parts.n > 0) {
        struct unp_text name = t.parts.v[--t.parts.n];
        struct unp_spot s;

        if (name.n == 2 && name.s[0] == '.' && name.s[1] == '.') {
            r->depth -= r->depth > 0;
            continue;
        }
        if (unp_spot_child(p->c, &r->at[r->depth], name, &s, err) != 0)
            return err->code;
        if (unp_spot_exists(p->c, &s) && S_ISLNK(unp_spot_mode(p->c, &s))) {
            if (follow(p, &t, r, &s, err) != 0)
                return err->code;
            continue;
        }
        if (unp_spot_exists(p->c, &s) && !S_ISDIR(unp_spot_mode(p->c, &s)) && t.parts.n > 0)
            return unp_target_refuse("not a directory", name, err);
        if (r->depth + 1 == UNP_PARTS_MAX || r->depth >= p->c->params->max_depth)
            return unp_target_refuse("path is too deep", name, err);
        r->at[++r->depth] = s;
        r->name[r->depth] = name;
    }
    return 0;
}

/* ---- making -------------------------------------------------------------------------------- */

static int keep_xattrs(struct unp_compose *c, struct unp_text encoded, const struct unp_xblob **out,
                       struct bh_err *err) {
    struct unp_xblob *b;

    *out = NULL;
    if (encoded.n == 0)
        return 0;
    b = bh_arena_alloc(&c->tree.arena, sizeof *b + encoded.n);
    if (b == NULL)
        return unp_compose_no_memory(err);
    b->len = (uint32_t)encoded.n;
    memcpy(b->bytes, encoded.s, encoded.n);
    *out = b;
    return 0;
}

int unp_spot_describe(struct unp_compose *c, struct unp_inode *i, const struct unp_file *f, struct bh_err *err) {
    i->mode = f->mode;
    i->uid = f->uid;
    i->gid = f->gid;
    i->mtime = f->mtime;
    i->mtime_nsec = f->mtime_nsec;
    i->flags = 0;
    return keep_xattrs(c, f->xattrs, &i->xattrs, err);
}

/* The name in the new layer, below a folder that is in it. */
int unp_spot_name(struct unp_compose *c, uint32_t dir, struct unp_text name, struct unp_spot *s, struct bh_err *err) {
    return s->dent != 0 ? 0 : unp_tree_child(&c->tree, dir, name, &s->dent, err);
}

int unp_spot_inode(struct unp_compose *c, struct unp_spot *s, const struct unp_file *f, uint32_t *out,
                   struct bh_err *err) {
    if (unp_tree_new_inode(&c->tree, f->mode, out, err) != 0 ||
        unp_spot_describe(c, unp_inode_at(&c->tree, *out), f, err) != 0)
        return err->code;
    unp_dent_at(&c->tree, s->dent)->inode = *out;
    if (S_ISDIR(f->mode))
        unp_inode_at(&c->tree, *out)->u.dent = s->dent;
    return 0;
}

/* A folder of the layers below is said once more, as it is. */
int unp_spot_restate(struct unp_compose *c, uint32_t dir, struct unp_text name, struct unp_spot *s,
                     struct bh_err *err) {
    struct unp_file f;
    uint32_t inode;

    if (unp_spot_made(c, s) != NULL)
        return 0;
    if (unp_view_file(s->under, &f, err) != 0 || unp_spot_name(c, dir, name, s, err) != 0)
        return err->code;
    return unp_spot_inode(c, s, &f, &inode, err);
}

/* A folder that nobody has described: 0755, of root or of --chown's owner. */
static int make_dir(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s, uint16_t mode,
                    struct bh_err *err) {
    int64_t t = p->item->mtime_ns;
    const struct unp_file f = {
        .mode = (uint16_t)(S_IFDIR | mode),
        .uid = p->item->uid > 0 ? (uint32_t)p->item->uid : 0,
        .gid = p->item->gid > 0 ? (uint32_t)p->item->gid : 0,
        .mtime = t > 0 ? t / 1000000000 : 0,
        .mtime_nsec = t > 0 ? (uint32_t)(t % 1000000000) : 0,
    };
    uint32_t inode;

    p->c->placed++;
    if (unp_spot_name(p->c, dir, name, s, err) != 0)
        return err->code;
    return unp_spot_inode(p->c, s, &f, &inode, err);
}

/* Folders at[1 .. depth] are in the new layer afterwards.  last_mode: of the last one, should it be made. */
int unp_target_make(struct unp_placing *p, struct unp_route *r, size_t depth, uint16_t last_mode, struct bh_err *err) {
    for (size_t i = 1; i <= depth; i++) {
        uint32_t dir = r->at[i - 1].dent;
        struct unp_spot *s = &r->at[i];
        int rc;

        if (!unp_spot_exists(p->c, s))
            rc = make_dir(p, dir, r->name[i], s, i == depth ? last_mode : 0755, err);
        else if (!S_ISDIR(unp_spot_mode(p->c, s)))
            rc = unp_target_refuse("not a directory", r->name[i], err);
        else
            rc = unp_spot_restate(p->c, dir, r->name[i], s, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- putting ------------------------------------------------------------------------------- */

static int new_data(struct unp_compose *c, const struct unp_data *d, uint32_t *out, struct bh_err *err) {
    *out = unp_pool_add(&c->data);
    if (*out == 0)
        return unp_compose_no_memory(err);
    *(struct unp_data *)unp_pool_at(&c->data, *out) = *d;
    return 0;
}

int unp_spot_put(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s,
                 const struct unp_file *f, const struct unp_data *d, struct bh_err *err) {
    struct unp_compose *c = p->c;
    uint32_t inode;
    uint32_t data = 0;

    if (unp_spot_exists(c, s) && S_ISDIR(unp_spot_mode(c, s)))
        return unp_target_refuse("cannot replace to directory with file", name, err);
    if (S_ISREG(f->mode) && f->size > 0 && new_data(c, d, &data, err) != 0)
        return err->code;
    if (unp_spot_name(c, dir, name, s, err) != 0 || unp_spot_inode(c, s, f, &inode, err) != 0)
        return err->code;
    struct unp_inode *i = unp_inode_at(&c->tree, inode);

    c->placed++;
    s->under = NULL;
    if (S_ISLNK(f->mode)) {
        char *copy = bh_arena_alloc(&c->tree.arena, f->link.n + 1);

        if (copy == NULL)
            return unp_compose_no_memory(err);
        memcpy(copy, f->link.s, f->link.n);
        i->u.link = copy;
        i->size = f->link.n;
    } else {
        i->size = f->size;
        i->u.at = data;
    }
    return 0;
}
