/*
 * compose_place.c - where what was picked goes: files, folders and links into the tree of the new layer.
 *
 * Room: worker.  What a name in the target means is compose_target.c's to say.
 */
#include <string.h>

#include "layer/layer_format.h"
#include "unpack/compose_target.h"

static struct unp_text pick_name(const struct unp_pick *k) {
    return (struct unp_text){k->name, k->name_len};
}

/* Another name of a file that is there already, if it is one. */
static int put_link(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s,
                    const struct unp_vnode *node, const struct unp_file *f, bool *out_done, struct bh_err *err) {
    struct unp_compose *c = p->c;
    const void *who = node->view->records != NULL ? (const void *)node->view->records : (const void *)node->view;
    uint32_t first;

    *out_done = false;
    if (f->same == 0 || (unp_spot_exists(c, s) && S_ISDIR(unp_spot_mode(c, s))))
        return 0;
    if (unp_spot_name(c, dir, name, s, err) != 0)
        return err->code;
    if (!unp_same_note(&c->linked, who, f->same, s->dent, &first))
        return unp_compose_no_memory(err);
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

static int put_node(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s,
                    const struct unp_vnode *node, struct bh_err *err) {
    struct unp_file f;
    bool done;

    if (unp_view_file(node, &f, err) != 0 || unp_compose_attributes(p->c, p->item, &f, err) != 0 ||
        put_link(p, dir, name, s, node, &f, &done, err) != 0)
        return err->code;
    const struct unp_data d = {.fd = f.fd, .at = f.at};

    return done ? 0 : unp_spot_put(p, dir, name, s, &f, &d, err);
}

/* A folder: made as the source is; one that is there takes the source's attributes, but for the target itself. */
static int put_dir(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s,
                   const struct unp_vnode *node, bool top, struct bh_err *err) {
    struct unp_compose *c = p->c;
    struct unp_file f;
    uint32_t inode;

    if (unp_spot_exists(c, s) && !S_ISDIR(unp_spot_mode(c, s)))
        return unp_target_refuse("cannot copy to non-directory", name, err);
    if (top && unp_spot_exists(c, s))
        return unp_spot_restate(c, dir, name, s, err);
    if (unp_view_file(node, &f, err) != 0 || unp_compose_attributes(c, p->item, &f, err) != 0 ||
        unp_spot_name(c, dir, name, s, err) != 0)
        return err->code;
    c->placed++;
    if (unp_spot_made(c, s) != NULL)
        return unp_spot_describe(c, unp_inode_at(&c->tree, unp_dent_at(&c->tree, s->dent)->inode), &f, err);
    return unp_spot_inode(c, s, &f, &inode, err);
}

/* What layers further down have under the name stays hidden. */
static int put_whiteout(struct unp_placing *p, uint32_t dir, struct unp_text name, struct unp_spot *s,
                        struct bh_err *err) {
    if (unp_spot_name(p->c, dir, name, s, err) != 0)
        return err->code;
    unp_dent_at(&p->c->tree, s->dent)->flags |= UNP_D_WHITEOUT;
    p->c->placed++;
    return 0;
}

static int put_pick(struct unp_placing *p, uint32_t dir, struct unp_spot *s, const struct unp_pick *n,
                    struct bh_err *err) {
    if (S_ISCHR(n->node->mode))
        return put_whiteout(p, dir, pick_name(n), s, err);
    if (!unp_vnode_is_dir(n->node))
        return put_node(p, dir, pick_name(n), s, n->node, err);
    if (put_dir(p, dir, pick_name(n), s, n->node, false, err) != 0)
        return err->code;
    if (n->node->hides)
        unp_dent_at(&p->c->tree, s->dent)->flags |= UNP_D_OPAQUE;
    return 0;
}

/* Everything below a folder that stands at `into`.  Picks of a folder's content follow it. */
static int put_below(struct unp_placing *p, const struct unp_match *m, struct unp_spot into, struct bh_err *err) {
    const struct unp_picks *k = &p->c->picks;
    uint32_t folder[UNP_PARTS_MAX]; /* picks on the way down */
    struct unp_spot at[UNP_PARTS_MAX];
    size_t depth = 0;

    folder[0] = m->first;
    at[0] = into;
    for (uint32_t i = m->first + 1; i < m->end; i++) {
        const struct unp_pick *n = &k->v[i];
        struct unp_spot s;

        while (folder[depth] != n->parent)
            depth--;
        if (unp_spot_child(p->c, &at[depth], pick_name(n), &s, err) != 0 ||
            put_pick(p, at[depth].dent, &s, n, err) != 0)
            return err->code;
        if (unp_vnode_is_dir(n->node)) {
            folder[++depth] = i;
            at[depth] = s;
        }
    }
    return 0;
}

static bool wants_folder(const unp_item_msg *item) {
    return item->target.len == 0 || item->target.data[item->target.len - 1] == '/';
}

/* The target's own name, or below it the source's. */
static int aim(struct unp_placing *p, const struct unp_match *m, bool dir, struct unp_route *r, struct bh_err *err) {
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    const struct unp_spot *last;
    struct unp_spot s;

    if (unp_target_resolve(p, target, r, err) != 0)
        return err->code;
    if (wants_folder(p->item) && unp_target_make(p, r, r->depth, 0755, err) != 0)
        return err->code;
    last = &r->at[r->depth];
    if ((dir && (p->item->contents || p->item->parents)) || !unp_spot_exists(p->c, last) ||
        (!dir && !S_ISDIR(unp_spot_mode(p->c, last))))
        return 0;
    if (m->base.n == 0)
        return 0;
    if (unp_spot_child(p->c, last, m->base, &s, err) != 0)
        return err->code;
    if (r->depth + 1 == UNP_PARTS_MAX)
        return unp_target_refuse("path is too deep", m->base, err);
    r->at[++r->depth] = s;
    r->name[r->depth] = m->base;
    return 0;
}

/* Of COPY and ADD the target folder itself is none of the source's: it is made as one that nobody has described. */
static bool is_copy(const unp_item_msg *item) {
    return item->contents && item->wildcard && !item->parents;
}

static int place_match(struct unp_placing *p, const struct unp_match *m, struct bh_err *err) {
    static struct unp_route r;
    const struct unp_vnode *node = p->c->picks.v[m->first].node;
    bool dir = unp_vnode_is_dir(node);
    struct unp_spot *s;
    int rc;

    if (p->item->unpack && S_ISREG(node->mode)) {
        struct unp_file f;
        bool done;

        if (unp_view_file(node, &f, err) != 0 || unp_compose_unpack(p, &f, &done, err) != 0 || done)
            return err->code;
    }
    if (aim(p, m, dir, &r, err) != 0)
        return err->code;
    s = &r.at[r.depth];
    if (r.depth == 0)
        return dir ? put_below(p, m, *s, err)
                   : unp_target_refuse("cannot replace to directory with file", m->base, err);
    if (unp_target_make(p, &r, r.depth - 1, 0755, err) != 0)
        return err->code;
    if (!dir)
        return put_node(p, r.at[r.depth - 1].dent, r.name[r.depth], s, node, err);
    if (unp_spot_exists(p->c, s) || !is_copy(p->item))
        rc = put_dir(p, r.at[r.depth - 1].dent, r.name[r.depth], s, node, true, err);
    else
        rc = unp_target_make(p, &r, r.depth, 0755, err);
    return rc != 0 ? rc : put_below(p, m, *s, err);
}

/* ---- items --------------------------------------------------------------------------------- */

static int place_folder(struct unp_placing *p, struct bh_err *err) {
    static struct unp_route r;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    uint16_t mode = p->item->mode != 0 ? (uint16_t)(p->item->mode & 07777) : 0755;
    size_t there;

    if (unp_target_resolve(p, target, &r, err) != 0)
        return err->code;
    /* nothing is said of folders that are there, unless something is made in them */
    for (there = r.depth; there > 0 && unp_spot_exists(p->c, &r.at[there]); there--)
        continue;
    if (there == 0) {
        const struct unp_spot *last = &r.at[r.depth];

        return S_ISDIR(unp_spot_mode(p->c, last)) || r.depth == 0
                   ? 0
                   : unp_target_refuse("not a directory", r.name[r.depth], err);
    }
    return unp_target_make(p, &r, r.depth, mode, err);
}

static int place_bytes(struct unp_placing *p, struct bh_err *err) {
    static struct unp_route r;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    int64_t t = p->item->mtime_ns;
    struct unp_file f = {
        .mode = (uint16_t)(S_IFREG | (p->item->mode != 0 ? p->item->mode & 07777 : 0644)),
        .mtime = t > 0 ? t / 1000000000 : 0,
        .mtime_nsec = t > 0 ? (uint32_t)(t % 1000000000) : 0,
        .size = p->item->data.len,
    };
    const struct unp_data d = {.bytes = p->item->data.data, .fd = -1};

    if (unp_compose_attributes(p->c, p->item, &f, err) != 0 || unp_target_resolve(p, target, &r, err) != 0)
        return err->code;
    if (r.depth == 0 || wants_folder(p->item))
        return unp_target_refuse("a file needs a name, this is a directory", target, err);
    if (unp_target_make(p, &r, r.depth - 1, 0755, err) != 0)
        return err->code;
    return unp_spot_put(p, r.at[r.depth - 1].dent, r.name[r.depth], &r.at[r.depth], &f, &d, err);
}

static int check_target(const unp_item_msg *item, struct bh_err *err) {
    struct unp_text t = {(char *)item->target.data, item->target.len};

    if (t.n == 0 || t.s[0] != '/' || memchr(t.s, 0, t.n) != NULL || t.n > 8192)
        return unp_target_refuse("the target is no absolute path", t, err);
    return 0;
}

/* Several files into one name: that must be a folder. */
static int check_several(struct unp_placing *p, uint32_t first, uint32_t end, struct bh_err *err) {
    static struct unp_route r;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};

    if (end - first < 2 || wants_folder(p->item) || p->item->parents)
        return 0;
    if (unp_target_resolve(p, target, &r, err) != 0)
        return err->code;
    if (S_ISDIR(unp_spot_mode(p->c, &r.at[r.depth])) || r.depth == 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "more than one source file: the destination must be a directory and end with a /");
    return bh_err_reason(err, "target-conflict");
}

static int place_matches(struct unp_placing *p, uint32_t *next, uint32_t item, struct bh_err *err) {
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

/* ---- targets ------------------------------------------------------------------------------- */

static int note_target(struct unp_placing *p, const struct unp_route *r, uint32_t item, struct bh_err *err) {
    size_t n = 1;
    char *text;

    for (size_t i = 1; i <= r->depth; i++)
        n += r->name[i].n + 1;
    text = bh_arena_alloc(&p->c->arena, n + 1);
    if (text == NULL)
        return unp_compose_no_memory(err);
    p->c->targets[item] = text;
    for (size_t i = 1; i <= r->depth; i++) {
        *text++ = '/';
        memcpy(text, r->name[i].s, r->name[i].n);
        text += r->name[i].n;
    }
    if (r->depth == 0)
        *text++ = '/';
    *text = '\0';
    return 0;
}

/* A folder that hides what is below it, in the layers and of earlier items.  One that is only made has the attributes
 * that were asked for. */
static int make_opaque(struct unp_placing *p, struct unp_route *r, struct bh_err *err) {
    const unp_item_msg *item = p->item;
    uint16_t mode = item->mode != 0 ? (uint16_t)(item->mode & 07777) : 0755;
    struct unp_dent *d;

    if (r->depth == 0)
        return unp_target_refuse("the root can hide nothing", (struct unp_text){"/", 1}, err);
    if (unp_target_make(p, r, r->depth, mode, err) != 0)
        return err->code;
    p->c->placed++;
    unp_tree_empty(&p->c->tree, r->at[r->depth].dent);
    d = unp_dent_at(&p->c->tree, r->at[r->depth].dent);
    d->flags |= UNP_D_OPAQUE;
    if (item->mkdir) {
        struct unp_inode *i = unp_inode_at(&p->c->tree, d->inode);

        i->mode = (uint16_t)(S_IFDIR | mode);
        i->uid = item->uid > 0 ? (uint32_t)item->uid : 0;
        i->gid = item->gid > 0 ? (uint32_t)item->gid : 0;
    }
    return 0;
}

static int begin_item(struct unp_placing *p, uint32_t next, uint32_t item, struct bh_err *err) {
    static struct unp_route r;
    const struct unp_picks *k = &p->c->picks;
    struct unp_text target = {(char *)p->item->target.data, p->item->target.len};
    bool folder = p->item->mkdir || (next < k->n_match && k->match[next].item == item &&
                                     unp_vnode_is_dir(k->v[k->match[next].first].node));

    if (check_target(p->item, err) != 0 || unp_target_resolve(p, target, &r, err) != 0 ||
        note_target(p, &r, item, err) != 0)
        return err->code;
    return p->item->opaque && folder ? make_opaque(p, &r, err) : 0;
}

int unp_compose_place(struct unp_compose *c, struct bh_err *err) {
    const Bulkhead__Store__V1__LayerComposeRequest *q = c->job->request;
    struct unp_placing p = {.c = c};
    uint32_t next = 0;

    if (q->onto != NULL && unp_compose_view(c, q->onto, &c->views[q->n_item], &p.onto, err) != 0)
        return err->code;
    c->targets = bh_arena_alloc(&c->arena, (q->n_item + 1) * sizeof *c->targets);
    if (c->targets == NULL)
        return unp_compose_no_memory(err);
    for (uint32_t i = 0; i < q->n_item; i++) {
        p.item = q->item[i];
        if (begin_item(&p, next, i, err) != 0)
            return err->code;
        int rc = p.item->mkdir          ? place_folder(&p, err)
                 : p.item->from == NULL ? place_bytes(&p, err)
                                        : place_matches(&p, &next, i, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}
