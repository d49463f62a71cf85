/*
 * tree_path.c - names of the archive cut into parts, and walked through the tree.
 *
 * Room: worker.  Trusts no name.  ".." is resolved by text for names, as docker does, and by
 * the tree for targets of symlinks; neither gets above the root.
 */
#include <string.h>

#include "layer/layer_format.h"
#include "unpack/tree.h"
#include "unpack/limit.h"

static bool is_dot(struct unp_text p) {
    return p.n == 1 && p.s[0] == '.';
}

static bool is_dotdot(struct unp_text p) {
    return p.n == 2 && p.s[0] == '.' && p.s[1] == '.';
}

static struct unp_text next_part(struct unp_text *rest) {
    const char *slash = memchr(rest->s, '/', rest->n);
    size_t n = slash == NULL ? rest->n : (size_t)(slash - rest->s);
    struct unp_text part = {rest->s, n};
    size_t cut = slash == NULL ? n : n + 1;
    rest->s += cut;
    rest->n -= cut;
    return part;
}

static int unsafe(struct bh_err *err, struct unp_text raw, const char *what) {
    char shown[UNP_SHOWN];
    bh_err_set(err, BH_E_INVALID, "layer: name '%s' %s", unp_shown(raw, shown), what);
    return bh_err_reason(err, "unsafe-name");
}

static int too_deep(struct bh_err *err, struct unp_text raw, uint32_t max) {
    char shown[UNP_SHOWN];
    bh_err_set(err, BH_E_LIMIT, "layer: name '%s' is too deep, limits.depth is %u", unp_shown(raw, shown), max);
    return unp_limit(err, "limits.depth");
}

int unp_path_clean(const struct unp_tree_limits *limits, struct unp_text raw, struct unp_path *out,
                   struct bh_err *err) {
    struct unp_text rest = raw;
    bool absolute = raw.n > 0 && raw.s[0] == '/';
    out->n = 0;
    while (rest.n > 0) {
        struct unp_text part = next_part(&rest);
        if (part.n == 0 || is_dot(part))
            continue;
        if (is_dotdot(part)) {
            if (out->n == 0 && !absolute)
                return unsafe(err, raw, "leads out of the layer");
            out->n -= out->n > 0;
            continue;
        }
        if (part.n > BH_LAYER_NAME_MAX)
            return unsafe(err, raw, "has a part of more than 255 bytes");
        if (out->n >= limits->max_depth)
            return too_deep(err, raw, limits->max_depth);
        out->part[out->n++] = part;
    }
    return 0;
}

/* ---- walking ------------------------------------------------------------------------------- */

struct walk {
    struct unp_tree *t;
    struct unp_text part[UNP_PARTS_MAX]; /* a stack: the next part is the last */
    size_t n;
    unsigned links;
    uint32_t at;
    uint32_t depth; /* of at */
};

/* The parts of a target go onto the stack, last one first. */
static int push_target(struct walk *w, struct unp_text target, struct bh_err *err) {
    struct unp_text rest = target;
    size_t first = w->n;
    if (++w->links > UNP_LINKS_MAX)
        return unsafe(err, target, "goes round in a circle of symbolic links");
    while (rest.n > 0) {
        struct unp_text part = next_part(&rest);
        if (part.n == 0 || is_dot(part))
            continue;
        if (part.n > BH_LAYER_NAME_MAX || w->n == UNP_PARTS_MAX)
            return unsafe(err, target, "is a symbolic link with a target that is too long");
        w->part[w->n++] = part;
    }
    for (size_t i = first, j = w->n; i + 1 < j; i++, j--) {
        struct unp_text swap = w->part[i];
        w->part[i] = w->part[j - 1];
        w->part[j - 1] = swap;
    }
    if (target.s[0] == '/') {
        w->at = UNP_ROOT;
        w->depth = 0;
    }
    return 0;
}

/* One step down.  *gone: there is no such directory, and none is to be made. */
static int step(struct walk *w, struct unp_text name, bool create, bool *gone, struct bh_err *err) {
    struct unp_tree *t = w->t;
    uint32_t child = unp_tree_lookup(t, w->at, name);
    int rc = 0;
    if (child == 0 && create)
        rc = unp_tree_child(t, w->at, name, &child, err);
    if (rc != 0)
        return rc;
    uint32_t inode = child == 0 ? 0 : unp_dent_at(t, child)->inode;
    const struct unp_inode *i = inode == 0 ? NULL : unp_inode_at(t, inode);
    if (i != NULL && (i->mode & 0170000) == 0120000)
        return push_target(w, (struct unp_text){i->u.link, i->size}, err);
    if (i == NULL || !unp_inode_is_dir(i)) {
        if (!create) {
            *gone = true;
            return 0;
        }
        t->last_len = 0; /* a file may have become a directory */
        rc = unp_tree_imply_dir(t, child, err);
    }
    w->at = child;
    if (rc == 0 && ++w->depth > t->limits.max_depth)
        return too_deep(err, name, t->limits.max_depth);
    return rc;
}

int unp_tree_walk(struct unp_tree *t, const struct unp_path *path, size_t n, bool create, uint32_t *out,
                  struct bh_err *err) {
    struct walk w; /* not zeroed: 16 KiB for each entry would show */
    bool gone = false;
    w.t = t;
    w.n = n;
    w.links = 0;
    w.depth = 0;
    w.at = UNP_ROOT;
    for (size_t i = 0; i < n; i++)
        w.part[i] = path->part[n - 1 - i];
    while (w.n > 0 && !gone) {
        struct unp_text name = w.part[--w.n];
        if (is_dotdot(name)) {
            w.depth -= w.at != UNP_ROOT;
            w.at = unp_dent_at(t, w.at)->parent;
            continue;
        }
        int rc = step(&w, name, create, &gone, err);
        if (rc != 0)
            return rc;
    }
    *out = gone ? 0 : w.at;
    return 0;
}

/* ---- the last parent ----------------------------------------------------------------------- */

/* The parts before the last as one text; 0 when there are none or they do not fit. */
static size_t parent_key(const struct unp_path *path, char *key, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i + 1 < path->n; i++) {
        if (path->part[i].n + 1 > room - n)
            return 0;
        memcpy(key + n, path->part[i].s, path->part[i].n);
        n += path->part[i].n;
        key[n++] = '/';
    }
    return n;
}

/* Names are only ever given another meaning by put() in tree_apply.c, which forgets the last parent. */
int unp_tree_parent(struct unp_tree *t, const struct unp_path *path, uint32_t *out, struct bh_err *err) {
    char key[sizeof t->last_dir];
    size_t n = parent_key(path, key, sizeof key);
    if (n > 0 && n == t->last_len && memcmp(key, t->last_dir, n) == 0) {
        *out = t->last_at;
        return 0;
    }
    int rc = unp_tree_walk(t, path, path->n - 1, true, out, err);
    if (rc != 0)
        return rc;
    memcpy(t->last_dir, key, n);
    t->last_len = n;
    t->last_at = *out;
    return 0;
}
