/*
 * view.c - see view.h: folders of layers merged, and names followed.
 *
 * Room: worker.  Trusts no index: depth and number of what is read are the caller's to limit, since it asks for
 * one folder at a time; memory is the arena's.
 */
#include "unpack/view.h"

#include <stdlib.h>
#include <string.h>

#include "unpack/tree.h"
#include "unpack/view_int.h"

static int no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "not enough memory for the names of so many files");
    return bh_err_reason(err, "limit");
}

struct unp_vnode *unp_vnode_new(struct unp_view *v, unsigned n_parts, struct bh_err *err) {
    struct unp_vnode *n = bh_arena_alloc(v->arena, sizeof *n + n_parts * sizeof n->part[0]);

    if (n == NULL) {
        no_memory(err);
        return NULL;
    }
    *n = (struct unp_vnode){.view = v, .n_parts = (uint16_t)n_parts, .record = UINT32_MAX};
    return n;
}

/* ---- merging ------------------------------------------------------------------------------- */

struct stack {
    struct unp_vpart part[BH_VIEW_LAYERS];
    unsigned n;
    bool closed; /* nothing below counts any more */
    bool hides;  /* and there is a folder above it */
};

static bool is_whiteout(const struct bh_erofs_inode *ino) {
    return S_ISCHR(ino->i_mode);
}

/* One more layer, below those that are there already. */
static void stack_add(struct stack *s, const struct unp_layer *l, uint32_t layer, const struct bh_erofs_inode *ino) {
    if (s->closed)
        return;
    if (s->n > 0 && !S_ISDIR(ino->i_mode)) { /* a whiteout, too */
        s->closed = s->hides = true;
        return;
    }
    s->part[s->n++] = (struct unp_vpart){ino, layer};
    s->hides = S_ISDIR(ino->i_mode) && unp_layer_is_opaque(l, ino);
    s->closed = !S_ISDIR(ino->i_mode) || s->hides;
}

static int stack_node(struct unp_view *v, const struct stack *s, const struct unp_vnode **out, struct bh_err *err) {
    struct unp_vnode *n;

    *out = NULL;
    if (s->n == 0 || (is_whiteout(s->part[0].ino) && !v->hiding))
        return 0;
    n = unp_vnode_new(v, s->n, err);
    if (n == NULL)
        return err->code;
    n->mode = s->part[0].ino->i_mode;
    n->hides = s->hides && v->hiding;
    memcpy(n->part, s->part, s->n * sizeof s->part[0]);
    *out = n;
    return 0;
}

int unp_view_layers(struct unp_view *v, struct unp_layer **layers, uint32_t n, struct bh_arena *arena,
                    struct bh_err *err) {
    struct unp_vnode *root;

    *v = (struct unp_view){.arena = arena, .layers = layers, .n_layers = n};
    if (n > BH_VIEW_LAYERS)
        return bh_err_set(err, BH_E_LIMIT, "%u layers are more than fit on one another", n);
    root = unp_vnode_new(v, n, err);
    if (root == NULL)
        return err->code;
    root->mode = 0040755;
    root->n_parts = 0;
    for (uint32_t i = n; i > 0; i--) {
        const struct bh_erofs_inode *ino = unp_layer_inode(layers[i - 1], BH_EROFS_ROOT_NID);

        if (ino == NULL || !S_ISDIR(ino->i_mode))
            return unp_layer_bad("no root", err);
        root->part[root->n_parts++] = (struct unp_vpart){ino, i - 1};
        if (unp_layer_is_opaque(layers[i - 1], ino))
            break;
    }
    /* a root that no entry of the tar describes says nothing about the layers below it */
    for (unsigned i = 0; i < root->n_parts; i++)
        if ((layers[root->part[i].layer]->h.flags & BH_LAYER_F_ROOT_IMPLIED) == 0) {
            root->mode = root->part[i].ino->i_mode;
            break;
        }
    v->root = root;
    return 0;
}

static int layers_lookup(const struct unp_vnode *dir, struct unp_text name, const struct unp_vnode **out,
                         struct bh_err *err) {
    struct unp_view *v = dir->view;
    struct stack s = {.n = 0};

    for (unsigned i = 0; i < dir->n_parts && !s.closed; i++) {
        const struct unp_layer *l = v->layers[dir->part[i].layer];
        const struct bh_erofs_inode *ino;

        if (unp_layer_lookup(l, dir->part[i].ino, name, &ino, err) != 0)
            return err->code;
        if (ino != NULL)
            stack_add(&s, l, dir->part[i].layer, ino);
    }
    return stack_node(v, &s, out, err);
}

int unp_view_lookup(const struct unp_vnode *dir, struct unp_text name, const struct unp_vnode **out,
                    struct bh_err *err) {
    *out = NULL;
    if (!unp_vnode_is_dir(dir))
        return 0;
    return dir->view->records != NULL ? unp_context_lookup(dir, name, out, err) : layers_lookup(dir, name, out, err);
}

/* ---- listing ------------------------------------------------------------------------------- */

struct found {
    struct unp_text name;
    const struct bh_erofs_inode *ino;
    uint32_t layer;
    uint32_t order; /* 0: the uppermost layer */
};
struct listing {
    const struct unp_layer *l;
    struct found *v;
    size_t n;
    size_t cap;
    uint32_t layer;
    uint32_t order;
};

static int note_name(void *arg, struct unp_text name, uint64_t nid, struct bh_err *err) {
    struct listing *x = arg;
    const struct bh_erofs_inode *ino = unp_layer_inode(x->l, nid);

    if (ino == NULL)
        return unp_layer_bad("a name without inode", err);
    if (x->n == x->cap) {
        size_t cap = x->cap * 2 + 64;
        struct found *v = realloc(x->v, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        x->v = v;
        x->cap = cap;
    }
    x->v[x->n++] = (struct found){name, ino, x->layer, x->order};
    return 0;
}

static int text_cmp(struct unp_text a, struct unp_text b) {
    int c = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int found_cmp(const void *a, const void *b) {
    const struct found *x = a;
    const struct found *y = b;
    int c = text_cmp(x->name, y->name);

    return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

int unp_vnames_add(struct unp_vnames *names, struct unp_text name, const struct unp_vnode *node, struct bh_err *err) {
    if (names->n == names->cap) {
        size_t cap = names->cap * 2 + 64;
        struct unp_vname *v = realloc(names->v, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        names->v = v;
        names->cap = cap;
    }
    names->v[names->n++] = (struct unp_vname){name, node};
    return 0;
}

void unp_vnames_fini(struct unp_vnames *names) {
    free(names->v);
    *names = (struct unp_vnames){0};
}

static int merge(struct unp_view *v, const struct listing *x, struct unp_vnames *out, struct bh_err *err) {
    for (size_t i = 0, next; i < x->n; i = next) {
        const struct unp_vnode *node;
        struct stack s = {.n = 0};

        for (next = i; next < x->n && text_cmp(x->v[i].name, x->v[next].name) == 0; next++)
            stack_add(&s, v->layers[x->v[next].layer], x->v[next].layer, x->v[next].ino);
        if (stack_node(v, &s, &node, err) != 0 || (node != NULL && unp_vnames_add(out, x->v[i].name, node, err) != 0))
            return err->code;
    }
    return 0;
}

static int layers_list(const struct unp_vnode *dir, struct unp_vnames *out, struct bh_err *err) {
    struct listing x = {.n = 0};
    int rc = 0;

    for (unsigned i = 0; i < dir->n_parts && rc == 0; i++) {
        x.layer = dir->part[i].layer;
        x.order = i;
        x.l = dir->view->layers[x.layer];
        rc = unp_layer_dir(x.l, dir->part[i].ino, note_name, &x, err);
    }
    if (rc == 0 && x.n > 0) {
        if (dir->n_parts > 1)
            qsort(x.v, x.n, sizeof *x.v, found_cmp);
        rc = merge(dir->view, &x, out, err);
    }
    free(x.v);
    return rc;
}

int unp_view_list(const struct unp_vnode *dir, struct unp_vnames *out, struct bh_err *err) {
    *out = (struct unp_vnames){0};
    if (!unp_vnode_is_dir(dir))
        return 0;
    return dir->view->records != NULL ? unp_context_names(dir, out, err) : layers_list(dir, out, err);
}

/* ---- attributes ---------------------------------------------------------------------------- */

static int layers_file(const struct unp_vnode *n, struct unp_file *out, struct bh_err *err) {
    const struct unp_vpart *p = &n->part[0];
    const struct unp_layer *l;
    const struct bh_erofs_inode *ino;

    *out = (struct unp_file){.mode = n->mode, .fd = -1, .xattrs = {"", 0}};
    if (n->n_parts == 0)
        return 0;           /* root of nothing */
    if (n == n->view->root) /* as its mode was chosen */
        while (p + 1 < n->part + n->n_parts && (n->view->layers[p->layer]->h.flags & BH_LAYER_F_ROOT_IMPLIED) != 0)
            p++;
    l = n->view->layers[p->layer];
    ino = p->ino;
    out->uid = ino->i_uid;
    out->gid = ino->i_gid;
    out->mtime = ino->i_mtime;
    out->mtime_nsec = ino->i_mtime_nsec;
    if (!unp_layer_xattrs(l, ino, &out->xattrs))
        return unp_layer_bad("xattrs outside of their area", err);
    if (S_ISREG(ino->i_mode)) {
        out->size = ino->i_size;
        out->fd = l->fd;
        if (!unp_layer_content(l, ino, &out->at))
            return unp_layer_bad("content outside of the file", err);
    } else if (S_ISLNK(ino->i_mode)) {
        out->link = (struct unp_text){(const char *)unp_layer_target(l, ino), (size_t)ino->i_size};
        if (out->link.s == NULL)
            return unp_layer_bad("a symlink without target", err);
    }
    if (ino->i_nlink > 1 && !S_ISDIR(ino->i_mode) && !is_whiteout(ino))
        out->same = (uint64_t)p->layer << 32 | ino->i_ino;
    return 0;
}

int unp_view_file(const struct unp_vnode *n, struct unp_file *out, struct bh_err *err) {
    return n->view->records != NULL ? unp_context_file(n, out, err) : layers_file(n, out, err);
}

/* ---- following ----------------------------------------------------------------------------- */

bool unp_parts_push(struct unp_parts *p, struct unp_text path, size_t name_max, struct unp_text *bad) {
    size_t end = path.n;

    while (end > 0) {
        size_t start = end;

        while (start > 0 && path.s[start - 1] != '/')
            start--;
        struct unp_text part = {path.s + start, end - start};
        end = start > 0 ? start - 1 : 0;
        if (part.n == 0 || (part.n == 1 && part.s[0] == '.'))
            continue;
        if (part.n > name_max || p->n == UNP_PARTS_MAX) {
            *bad = part;
            return false;
        }
        p->v[p->n++] = part;
    }
    return true;
}

struct follow {
    struct unp_parts todo;
    const struct unp_vnode *at[UNP_PARTS_MAX]; /* the way down: at[0] is the root */
    size_t depth;
    unsigned links;
};

static int too_deep(struct bh_err *err) {
    return bh_err_set(err, BH_E_LIMIT, "a path with more than %u parts", UNP_PARTS_MAX);
}

static int push(struct follow *f, struct unp_text path, struct bh_err *err) {
    struct unp_text bad;

    return unp_parts_push(&f->todo, path, SIZE_MAX, &bad) ? 0 : too_deep(err);
}

static int follow_link(struct follow *f, const struct unp_vnode *link, struct bh_err *err) {
    struct unp_file file;

    if (++f->links > UNP_LINKS_MAX) {
        bh_err_set(err, BH_E_INVALID, "too many levels of symbolic links");
        return bh_err_reason(err, "symlink-loop");
    }
    if (unp_view_file(link, &file, err) != 0)
        return err->code;
    if (file.link.s[0] == '/')
        f->depth = 0;
    return push(f, file.link, err);
}

/* *gone: there is no such name. */
static int step(struct follow *f, bool follow, bool *gone, struct bh_err *err) {
    struct unp_text name = f->todo.v[--f->todo.n];
    const struct unp_vnode *node;

    if (name.n == 2 && name.s[0] == '.' && name.s[1] == '.') {
        f->depth -= f->depth > 0;
        return 0;
    }
    if (unp_view_lookup(f->at[f->depth], name, &node, err) != 0)
        return err->code;
    *gone = node == NULL;
    if (node == NULL)
        return 0;
    if (S_ISLNK(node->mode) && (follow || f->todo.n > 0))
        return follow_link(f, node, err);
    if (f->depth + 1 == UNP_PARTS_MAX)
        return too_deep(err);
    f->at[++f->depth] = node;
    return 0;
}

int unp_view_find(const struct unp_view *v, struct unp_text path, bool follow, const struct unp_vnode **out,
                  struct bh_err *err) {
    static struct follow f; /* 24 KiB */
    bool gone = false;

    f.todo.n = f.depth = 0;
    f.links = 0;
    f.at[0] = v->root;
    *out = NULL;
    if (push(&f, path, err) != 0)
        return err->code;
    while (f.todo.n > 0 && !gone)
        if (step(&f, follow, &gone, err) != 0)
            return err->code;
    *out = gone ? NULL : f.at[f.depth];
    return 0;
}
