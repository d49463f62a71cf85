/*
 * compose_place.c - where what was picked goes: names followed through the layers below, folders made, files put.
 *
 * Room: worker.  A target is a path as in a chroot: links of the layers below and of what this request has made lead
 * on inside it, 40 at most, ".." stops at the root.  Folders that are there already keep what they are and are said
 * once more with what they are, because an upper layer's word on a folder is what a mount shows.
 */
#include <string.h>

#include "layer/layer_format.h"
#include "unpack/compose.h"
#include "unpack/limit.h"

/* A name in the new root: what this request has made of it, and what the layers below have there. */
struct spot {
    uint32_t dent;                 /* 0: not in the new layer */
    const struct unp_vnode *under; /* NULL: nothing below, or hidden */
};

/* The way down to a spot. */
struct route {
    struct spot at[UNP_PARTS_MAX];
    struct unp_text name[UNP_PARTS_MAX];
    size_t depth; /* at[0] is the root */
};

struct placing {
    struct unp_compose *c;
    const struct unp_view *onto; /* NULL: nothing */
    const unp_item_msg *item;
};

static int no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "not enough memory to copy so many files");
    return unp_limit(err, NULL);
}

static int refuse(const char *what, struct unp_text name, struct bh_err *err) {
    char shown[UNP_SHOWN];

    bh_err_set(err, BH_E_INVALID, "%s: %s", what, unp_shown(name, shown));
    return bh_err_reason(err, "target-conflict");
}

/* ---- spots --------------------------------------------------------------------------------- */

static const struct unp_inode *made(const struct unp_compose *c, const struct spot *s) {
    uint32_t inode = s->dent == 0 ? 0 : unp_dent_at(&c->tree, s->dent)->inode;

    return inode == 0 ? NULL : unp_inode_at(&c->tree, inode);
}

static bool exists(const struct unp_compose *c, const struct spot *s) {
    return made(c, s) != NULL || s->under != NULL;
}

static uint16_t mode_of(const struct unp_compose *c, const struct spot *s) {
    const struct unp_inode *i = made(c, s);

    return i != NULL ? i->mode : s->under != NULL ? s->under->mode : 0;
}

static int child_of(const struct unp_compose *c, const struct spot *dir, struct unp_text name, struct spot *out,
                    struct bh_err *err) {
    const struct unp_inode *i;

    *out = (struct spot){0};
    if (dir->dent != 0)
        out->dent = unp_tree_lookup(&c->tree, dir->dent, name);
    if (dir->under != NULL && unp_view_lookup(dir->under, name, &out->under, err) != 0)
        return err->code;
    i = made(c, out);
    if (i != NULL && (!unp_inode_is_dir(i) || (out->under != NULL && !unp_vnode_is_dir(out->under))))
        out->under = NULL;
    return 0;
}

static struct spot root_of(const struct placing *p) {
    return (struct spot){UNP_ROOT, p->onto != NULL && !p->item->link ? p->onto->root : NULL};
}

/* ---- following ----------------------------------------------------------------------------- */

struct todo {
    struct unp_text part[UNP_PARTS_MAX];
    size_t n;
    unsigned links;
};

static int push(struct todo *t, struct unp_text path, struct bh_err *err) {
    size_t end = path.n;

    while (end > 0) {
        size_t start = end;

        while (start > 0 && path.s[start - 1] != '/')
            start--;
        struct unp_text part = {path.s + start, end - start};
        end = start > 0 ? start - 1 : 0;
        if (part.n == 0 || (part.n == 1 && part.s[0] == '.'))
            continue;
        if (part.n > BH_LAYER_NAME_MAX)
            return refuse("file name too long", part, err);
        if (t->n == UNP_PARTS_MAX)
            return refuse("path is too deep", part, err);
        t->part[t->n++] = part;
    }
    return 0;
}

static int target_of(struct placing *p, const struct spot *s, struct unp_text *out, struct bh_err *err) {
    const struct unp_inode *i = made(p->c, s);
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

static int follow(struct placing *p, struct todo *t, struct route *r, const struct spot *link, struct bh_err *err) {
    struct unp_text target;

    if (target_of(p, link, &target, err) != 0)
        return err->code;
    if (++t->links > UNP_LINKS_MAX)
        return refuse("too many levels of symbolic links", target, err);
    if (target.s[0] == '/')
        r->depth = 0;
    return push(t, target, err);
}

/* Where the path leads, the last part followed too; what is missing is walked as if it were there. */
static int resolve(struct placing *p, struct unp_text path, struct route *r, struct bh_err *err) {
    static struct todo t;

    t.n = 0;
    t.links = 0;
    r->depth = 0;
    r->at[0] = root_of(p);
    if (push(&t, path, err) != 0)
        return err->code;
    while (t.n > 0) {
        struct unp_text name = t.part[--t.n];
        struct spot s;

        if (name.n == 2 && name.s[0] == '.' && name.s[1] == '.') {
            r->depth -= r->depth > 0;
            continue;
        }
        if (child_of(p->c, &r->at[r->depth], name, &s, err) != 0)
            return err->code;
        if (exists(p->c, &s) && S_ISLNK(mode_of(p->c, &s))) {
            if (follow(p, &t, r, &s, err) != 0)
                return err->code;
            continue;
        }
        if (exists(p->c, &s) && !S_ISDIR(mode_of(p->c, &s)) && t.n > 0)
            return refuse("not a directory", name, err);
        if (r->depth + 1 == UNP_PARTS_MAX || r->depth >= p->c->params->max_depth)
            return refuse("path is too deep", name, err);
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
        return no_memory(err);
    b->len = (uint32_t)encoded.n;
    memcpy(b->bytes, encoded.s, encoded.n);
    *out = b;
    return 0;
}

static int describe(struct unp_compose *c, struct unp_inode *i, const struct unp_file *f, struct bh_err *err) {
    i->mode = f->mode;
    i->uid = f->uid;
    i->gid = f->gid;
    i->mtime = f->mtime;
    i->mtime_nsec = f->mtime_nsec;
    i->flags = 0;
    return keep_xattrs(c, f->xattrs, &i->xattrs, err);
}

/* The name in the new layer, below a folder that is in it. */
static int name_in(struct unp_compose *c, uint32_t dir, struct unp_text name, struct spot *s, struct bh_err *err) {
    return s->dent != 0 ? 0 : unp_tree_child(&c->tree, dir, name, &s->dent, err);
}

static int new_inode(struct unp_compose *c, struct spot *s, const struct unp_file *f, uint32_t *out,
                     struct bh_err *err) {
    if (unp_tree_new_inode(&c->tree, f->mode, out, err) != 0 || describe(c, unp_inode_at(&c->tree, *out), f, err) != 0)
        return err->code;
    unp_dent_at(&c->tree, s->dent)->inode = *out;
    if (S_ISDIR(f->mode))
        unp_inode_at(&c->tree, *out)->u.dent = s->dent;
    return 0;
}

/* A folder of the layers below is said once more, as it is. */
static int restate(struct unp_compose *c, uint32_t dir, struct unp_text name, struct spot *s, struct bh_err *err) {
    struct unp_file f;
    uint32_t inode;

    if (made(c, s) != NULL)
        return 0;
    if (unp_view_file(s->under, &f, err) != 0 || name_in(c, dir, name, s, err) != 0)
        return err->code;
    return new_inode(c, s, &f, &inode, err);
}

/* A folder that nobody has described: 0755, of root or of --chown's owner. */
static int make_dir(struct placing *p, uint32_t dir, struct unp_text name, struct spot *s, uint16_t mode,
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
    if (name_in(p->c, dir, name, s, err) != 0)
        return err->code;
    return new_inode(p->c, s, &f, &inode, err);
}

/* Folders at[1 .. depth] are in the new layer afterwards.  last_mode: of the last one, should it be made. */
static int make_way(struct placing *p, struct route *r, size_t depth, uint16_t last_mode, struct bh_err *err) {
    for (size_t i = 1; i <= depth; i++) {
        uint32_t dir = r->at[i - 1].dent;
        struct spot *s = &r->at[i];
        int rc;

        if (!exists(p->c, s))
            rc = make_dir(p, dir, r->name[i], s, i == depth ? last_mode : 0755, err);
        else if (!S_ISDIR(mode_of(p->c, s)))
            rc = refuse("not a directory", r->name[i], err);
        else
            rc = restate(p->c, dir, r->name[i], s, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* ---- putting ------------------------------------------------------------------------------- */

static int new_data(struct unp_compose *c, const struct unp_data *d, uint32_t *out, struct bh_err *err) {
    *out = unp_pool_add(&c->data);
    if (*out == 0)
        return no_memory(err);
    *(struct unp_data *)unp_pool_at(&c->data, *out) = *d;
    return 0;
}

static int put_file(struct placing *p, uint32_t dir, struct unp_text name, struct spot *s, const struct unp_file *f,
                    const struct unp_data *d, struct bh_err *err) {
    struct unp_compose *c = p->c;
    uint32_t inode;
    uint32_t data = 0;

    if (exists(c, s) && S_ISDIR(mode_of(c, s)))
        return refuse("cannot replace to directory with file", name, err);
    if (S_ISREG(f->mode) && f->size > 0 && new_data(c, d, &data, err) != 0)
        return err->code;
    if (name_in(c, dir, name, s, err) != 0 || new_inode(c, s, f, &inode, err) != 0)
        return err->code;
    struct unp_inode *i = unp_inode_at(&c->tree, inode);

    c->placed++;
    s->under = NULL;
    if (S_ISLNK(f->mode)) {
        char *copy = bh_arena_alloc(&c->tree.arena, f->link.n + 1);

        if (copy == NULL)
            return no_memory(err);
        memcpy(copy, f->link.s, f->link.n);
        i->u.link = copy;
        i->size = f->link.n;
    } else {
        i->size = f->size;
        i->u.at = data;
    }
    return 0;
}

static struct unp_text pick_name(const struct unp_pick *k) {
    return (struct unp_text){k->name, k->name_len};
}

/* Another name of a file that is there already, if it is one. */
static int put_link(struct placing *p, uint32_t dir, struct unp_text name, struct spot *s, const struct unp_vnode *node,
                    const struct unp_file *f, bool *out_done, struct bh_err *err) {
    struct unp_compose *c = p->c;
    const void *who = node->view->records != NULL ? (const void *)node->view->records : (const void *)node->view;
    uint32_t first;

    *out_done = false;
    if (f->same == 0 || (exists(c, s) && S_ISDIR(mode_of(c, s))))
        return 0;
    if (name_in(c, dir, name, s, err) != 0)
        return err->code;
    if (!unp_same_note(&c->linked, who, f->same, s->dent, &first))
        return no_memory(err);
    const struct unp_dent *d = unp_dent_at(&c->tree, first);
    if (first == s->dent || d->inode == 0)
        return 0;
    const struct unp_inode *i = unp_inode_at(&c->tree, d->inode);
    if (i->mode != f->mode || i->uid != f->uid || i->gid != f->gid ||
        i->size != (S_ISLNK(f->mode) ? f->link.n : f->size))
        return 0; /* an earlier item gave it another owner or mode, or replaced it */
    unp_dent_at(&c->tree, s->dent)->inode = d->inode;
    c->placed++;
    *out_done = true;
    return 0;
}

static int put_node(struct placing *p, uint32_t dir, struct unp_text name, struct spot *s, const struct unp_vnode *node,
                    struct bh_err *err) {
    struct unp_file f;
    bool done;

    if (unp_view_file(node, &f, err) != 0 || unp_compose_attributes(p->c, p->item, &f, err) != 0 ||
        put_link(p, dir, name, s, node, &f, &done, err) != 0)
        return err->code;
    const struct unp_data d = {.fd = f.fd, .at = f.at};

    return done ? 0 : put_file(p, dir, name, s, &f, &d, err);
}

/* A folder: made as the source is; one that is there takes the source's attributes, but for the target itself. */
static int put_dir(struct placing *p, uint32_t dir, struct unp_text name, struct spot *s, const struct unp_vnode *node,
                   bool top, struct bh_err *err) {
    struct unp_compose *c = p->c;
    struct unp_file f;
    uint32_t inode;

    if (exists(c, s) && !S_ISDIR(mode_of(c, s)))
        return refuse("cannot copy to non-directory", name, err);
    if (top && exists(c, s))
        return restate(c, dir, name, s, err);
    if (unp_view_file(node, &f, err) != 0 || unp_compose_attributes(c, p->item, &f, err) != 0 ||
        name_in(c, dir, name, s, err) != 0)
        return err->code;
    c->placed++;
    if (made(c, s) != NULL)
        return describe(c, unp_inode_at(&c->tree, unp_dent_at(&c->tree, s->dent)->inode), &f, err);
    return new_inode(c, s, &f, &inode, err);
}

/* Everything below a folder that stands at `into`.  Picks of a folder's content follow it. */
static int put_below(struct placing *p, const struct unp_match *m, struct spot into, struct bh_err *err) {
    const struct unp_picks *k = &p->c->picks;
    uint32_t folder[UNP_PARTS_MAX]; /* picks on the way down */
    struct spot at[UNP_PARTS_MAX];
    size_t depth = 0;

    folder[0] = m->first;
    at[0] = into;
    for (uint32_t i = m->first + 1; i < m->end; i++) {
        const struct unp_pick *n = &k->v[i];
        struct spot s;
        int rc;

        while (folder[depth] != n->parent)
            depth--;
        if (child_of(p->c, &at[depth], pick_name(n), &s, err) != 0)
            return err->code;
        if (!unp_vnode_is_dir(n->node)) {
            rc = put_node(p, at[depth].dent, pick_name(n), &s, n->node, err);
        } else {
            rc = put_dir(p, at[depth].dent, pick_name(n), &s, n->node, false, err);
            folder[++depth] = i;
            at[depth] = s;
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool wants_folder(const unp_item_msg *item) {
    return item->target.len == 0 || item->target.data[item->target.len - 1] == '/';
}

/* The target's own name, or below it the source's. */
static int aim(struct placing *p, const struct unp_match *m, bool dir, struct route *r, struct bh_err *err) {
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    const struct spot *last;
    struct spot s;

    if (resolve(p, target, r, err) != 0)
        return err->code;
    if (wants_folder(p->item) && make_way(p, r, r->depth, 0755, err) != 0)
        return err->code;
    last = &r->at[r->depth];
    if ((dir && (p->item->contents || p->item->parents)) || !exists(p->c, last) ||
        (!dir && !S_ISDIR(mode_of(p->c, last))))
        return 0;
    if (m->base.n == 0)
        return 0;
    if (child_of(p->c, last, m->base, &s, err) != 0)
        return err->code;
    if (r->depth + 1 == UNP_PARTS_MAX)
        return refuse("path is too deep", m->base, err);
    r->at[++r->depth] = s;
    r->name[r->depth] = m->base;
    return 0;
}

static int place_match(struct placing *p, const struct unp_match *m, struct bh_err *err) {
    static struct route r;
    const struct unp_vnode *node = p->c->picks.v[m->first].node;
    bool dir = unp_vnode_is_dir(node);
    struct spot *s;

    if (aim(p, m, dir, &r, err) != 0)
        return err->code;
    s = &r.at[r.depth];
    if (r.depth == 0)
        return dir ? put_below(p, m, *s, err) : refuse("cannot replace to directory with file", m->base, err);
    if (make_way(p, &r, r.depth - 1, 0755, err) != 0)
        return err->code;
    if (!dir)
        return put_node(p, r.at[r.depth - 1].dent, r.name[r.depth], s, node, err);
    if (put_dir(p, r.at[r.depth - 1].dent, r.name[r.depth], s, node, true, err) != 0)
        return err->code;
    return put_below(p, m, *s, err);
}

/* ---- items --------------------------------------------------------------------------------- */

static int place_folder(struct placing *p, struct bh_err *err) {
    static struct route r;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    uint16_t mode = p->item->mode != 0 ? (uint16_t)(p->item->mode & 07777) : 0755;
    size_t there;

    if (resolve(p, target, &r, err) != 0)
        return err->code;
    /* nothing is said of folders that are there, unless something is made in them */
    for (there = r.depth; there > 0 && exists(p->c, &r.at[there]); there--)
        continue;
    if (there == 0) {
        const struct spot *last = &r.at[r.depth];

        return S_ISDIR(mode_of(p->c, last)) || r.depth == 0 ? 0 : refuse("not a directory", r.name[r.depth], err);
    }
    return make_way(p, &r, r.depth, mode, err);
}

static int place_bytes(struct placing *p, struct bh_err *err) {
    static struct route r;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    int64_t t = p->item->mtime_ns;
    struct unp_file f = {
        .mode = (uint16_t)(S_IFREG | (p->item->mode != 0 ? p->item->mode & 07777 : 0644)),
        .mtime = t > 0 ? t / 1000000000 : 0,
        .mtime_nsec = t > 0 ? (uint32_t)(t % 1000000000) : 0,
        .size = p->item->data.len,
    };
    const struct unp_data d = {.bytes = p->item->data.data, .fd = -1};

    if (unp_compose_attributes(p->c, p->item, &f, err) != 0 || resolve(p, target, &r, err) != 0)
        return err->code;
    if (r.depth == 0 || wants_folder(p->item))
        return refuse("a file needs a name, this is a directory", target, err);
    if (make_way(p, &r, r.depth - 1, 0755, err) != 0)
        return err->code;
    return put_file(p, r.at[r.depth - 1].dent, r.name[r.depth], &r.at[r.depth], &f, &d, err);
}

static int check_target(const unp_item_msg *item, struct bh_err *err) {
    struct unp_text t = {(char *)item->target.data, item->target.len};

    if (t.n == 0 || t.s[0] != '/' || memchr(t.s, 0, t.n) != NULL || t.n > 8192)
        return refuse("the target is no absolute path", t, err);
    return 0;
}

/* Several files into one name: that must be a folder. */
static int check_several(struct placing *p, uint32_t first, uint32_t end, struct bh_err *err) {
    static struct route r;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};

    if (end - first < 2 || wants_folder(p->item) || p->item->parents)
        return 0;
    if (resolve(p, target, &r, err) != 0)
        return err->code;
    if (S_ISDIR(mode_of(p->c, &r.at[r.depth])) || r.depth == 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "more than one source file: the destination must be a directory and end with a /");
    return bh_err_reason(err, "target-conflict");
}

static int place_matches(struct placing *p, uint32_t *next, uint32_t item, struct bh_err *err) {
    const struct unp_picks *k = &p->c->picks;
    uint32_t end = *next;

    while (end < k->n_match && k->match[end].item == item)
        end++;
    if (check_several(p, *next, end, err) != 0)
        return err->code;
    for (; *next < end; ++*next)
        if (place_match(p, &k->match[*next], err) != 0)
            return err->code;
    return 0;
}

int unp_compose_place(struct unp_compose *c, struct bh_err *err) {
    const Bulkhead__Store__V1__LayerComposeRequest *q = c->job->request;
    struct placing p = {.c = c};
    uint32_t next = 0;

    if (q->onto != NULL && unp_compose_view(c, q->onto, &c->views[q->n_item], &p.onto, err) != 0)
        return err->code;
    for (uint32_t i = 0; i < q->n_item; i++) {
        p.item = q->item[i];
        if (check_target(p.item, err) != 0)
            return err->code;
        int rc = p.item->mkdir          ? place_folder(&p, err)
                 : p.item->from == NULL ? place_bytes(&p, err)
                                        : place_matches(&p, &next, i, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}
