/*
 * compose_pick.c - which files of their views the items of a request mean.
 *
 * Room: worker.  Trusts no name and no index.  A source is a path inside its view (".." stops at the root, links are
 * followed in it); what lies below a folder is taken as it is, links as links.
 */
#include <stdlib.h>
#include <string.h>

#include "oci/ref.h"
#include "unpack/compose.h"
#include "unpack/compose_filter.h"
#include "unpack/limit.h"

struct picking {
    struct unp_compose *c;
    const unp_item_msg *item;
    uint32_t number; /* of the item */
    const struct unp_view *view;
    struct unp_filter filter;
};

static int no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "not enough memory to copy so many files");
    return unp_limit(err, NULL);
}

static int not_found(struct unp_text source, struct bh_err *err) {
    char shown[UNP_SHOWN];

    while (source.n > 1 && source.s[source.n - 1] == '/')
        source.n--;
    unp_shown(source, shown);
    bh_err_set(err, BH_E_NOT_FOUND, "\"%s%s\": not found", shown[0] == '/' ? "" : "/", shown);
    return bh_err_reason(err, "source-not-found");
}

static int add_pick(struct picking *p, const struct unp_vnode *node, struct unp_text name, uint32_t parent,
                    uint32_t *out, struct bh_err *err) {
    struct unp_picks *k = &p->c->picks;

    if (k->n >= p->c->params->max_entries) {
        bh_err_set(err, BH_E_LIMIT, "more files to copy than limits.entries, %llu",
                   (unsigned long long)p->c->params->max_entries);
        return unp_limit(err, "limits.entries");
    }
    if (k->n == k->cap) {
        uint32_t cap = k->cap * 2 + 256;
        struct unp_pick *v = realloc(k->v, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        k->v = v;
        k->cap = cap;
    }
    *out = k->n++;
    k->v[*out] = (struct unp_pick){.node = node, .name = name.s, .name_len = (uint16_t)name.n, .parent = parent};
    if (parent == UINT32_MAX)
        k->v[*out].parent = *out;
    return 0;
}

/* It and the folders above it, which a filter may have left out. */
static void keep(struct unp_picks *k, uint32_t i) {
    while ((k->v[i].flags & UNP_P_KEPT) == 0) {
        k->v[i].flags |= UNP_P_KEPT;
        i = k->v[i].parent;
    }
}

static int pick_below(struct picking *p, uint32_t dir, const struct unp_filter_at *at, unsigned depth,
                      struct bh_err *err);

static int pick_child(struct picking *p, uint32_t dir, const struct unp_vname *n, const struct unp_filter_at *at,
                      unsigned depth, struct bh_err *err) {
    struct unp_filter_at here;
    enum unp_verdict verdict;
    uint32_t pick;

    if (unp_filter_enter(&p->filter, at, n->name, &here, &verdict, err) != 0)
        return err->code;
    if (verdict == UNP_LEAVE_ALL || (verdict == UNP_LEAVE && !unp_vnode_is_dir(n->node))) {
        unp_filter_leave(&here);
        return 0;
    }
    if (add_pick(p, n->node, n->name, dir, &pick, err) == 0) {
        if (verdict == UNP_TAKE)
            keep(&p->c->picks, pick);
        if (unp_vnode_is_dir(n->node))
            pick_below(p, pick, &here, depth + 1, err);
    }
    unp_filter_leave(&here);
    return err->code;
}

static int pick_below(struct picking *p, uint32_t dir, const struct unp_filter_at *at, unsigned depth,
                      struct bh_err *err) {
    struct unp_vnames names;
    int rc;

    if (depth > p->c->params->max_depth) {
        bh_err_set(err, BH_E_LIMIT, "folders to copy are too deep, limits.depth is %u", p->c->params->max_depth);
        return unp_limit(err, "limits.depth");
    }
    rc = unp_view_list(p->c->picks.v[dir].node, &names, err);
    for (size_t i = 0; i < names.n && rc == 0; i++)
        rc = pick_child(p, dir, &names.v[i], at, depth, err);
    unp_vnames_fini(&names);
    return rc;
}

static int add_match(struct picking *p, struct unp_text base, uint32_t first, struct bh_err *err) {
    struct unp_picks *k = &p->c->picks;

    if (k->n_match == k->cap_match) {
        uint32_t cap = k->cap_match * 2 + 16;
        struct unp_match *v = realloc(k->match, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        k->match = v;
        k->cap_match = cap;
    }
    k->match[k->n_match++] = (struct unp_match){base, p->number, first, k->n};
    return 0;
}

static struct unp_text base_of(struct unp_text path) {
    size_t start;

    while (path.n > 0 && path.s[path.n - 1] == '/')
        path.n--;
    for (start = path.n; start > 0 && path.s[start - 1] != '/'; start--)
        continue;
    return (struct unp_text){path.s + start, path.n - start};
}

/* path: of the node in its view.  *out_taken: something of it was. */
static int pick_node(struct picking *p, const struct unp_vnode *node, struct unp_text path, bool *out_taken,
                     struct bh_err *err) {
    struct unp_filter_at at;
    enum unp_verdict verdict;
    uint32_t pick;

    *out_taken = false;
    if (unp_filter_start(&p->filter, path, unp_vnode_is_dir(node), &at, &verdict, err) != 0)
        return err->code;
    if (verdict != UNP_LEAVE_ALL && add_pick(p, node, base_of(path), UINT32_MAX, &pick, err) == 0) {
        if (verdict == UNP_TAKE)
            keep(&p->c->picks, pick);
        if (!unp_vnode_is_dir(node) || pick_below(p, pick, &at, 1, err) == 0)
            add_match(p, base_of(path), pick, err);
        *out_taken = (p->c->picks.v[pick].flags & UNP_P_KEPT) != 0;
    }
    unp_filter_leave(&at);
    return err->code;
}

/* ---- patterns ------------------------------------------------------------------------------ */

struct pattern {
    struct unp_text rest; /* parts that are still to be matched */
    char path[8192];      /* so far */
    size_t len;
    uint64_t found;
};

static struct unp_text first_part(struct unp_text *rest) {
    struct unp_text part;
    size_t n = 0;

    while (rest->n > 0 && rest->s[0] == '/') {
        rest->s++;
        rest->n--;
    }
    while (n < rest->n && rest->s[n] != '/')
        n++;
    part = (struct unp_text){rest->s, n};
    rest->s += n;
    rest->n -= n;
    while (rest->n > 0 && rest->s[0] == '/') {
        rest->s++;
        rest->n--;
    }
    return part;
}

static bool has_wildcard(struct unp_text t) {
    for (size_t i = 0; i < t.n; i++) {
        if (t.s[i] == '\\')
            i++;
        else if (strchr("*?[", t.s[i]) != NULL)
            return true;
    }
    return false;
}

static int glob(struct unp_text pattern, struct unp_text name, bool *out, struct bh_err *err) {
    char p[4096];
    char n[BH_LAYER_NAME_MAX + 1];
    int r;

    if (pattern.n >= sizeof p || name.n >= sizeof n)
        return bh_err_set(err, BH_E_LIMIT, "a pattern or name that is too long");
    memcpy(p, pattern.s, pattern.n);
    p[pattern.n] = '\0';
    memcpy(n, name.s, name.n);
    n[name.n] = '\0';
    r = bh_glob_match(p, n);
    *out = r > 0;
    if (r >= 0)
        return 0;
    bh_err_set(err, BH_E_INVALID, "pattern '%.200s' is malformed", p);
    return bh_err_reason(err, "invalid-pattern");
}

static bool append(struct pattern *m, struct unp_text name) {
    if (m->len + 1 + name.n > sizeof m->path)
        return false;
    m->path[m->len++] = '/';
    memcpy(m->path + m->len, name.s, name.n);
    m->len += name.n;
    return true;
}

static int found(struct picking *p, struct pattern *m, struct bh_err *err) {
    const struct unp_vnode *node;
    char *path = bh_arena_alloc(&p->c->arena, m->len + 1);
    bool taken;

    if (path == NULL)
        return no_memory(err);
    memcpy(path, m->path, m->len);
    m->found++;
    if (unp_view_find(p->view, (struct unp_text){path, m->len}, true, &node, err) != 0)
        return err->code;
    if (node == NULL)
        return not_found((struct unp_text){path, m->len}, err);
    return pick_node(p, node, (struct unp_text){path, m->len}, &taken, err);
}

static int match_in(struct picking *p, struct pattern *m, const struct unp_vnode *dir, unsigned depth,
                    struct bh_err *err) {
    struct unp_text rest = m->rest;
    struct unp_text part = first_part(&rest);
    struct unp_vnames names;
    size_t len = m->len;
    int rc = unp_view_list(dir, &names, err);

    for (size_t i = 0; i < names.n && rc == 0; i++) {
        bool hit;

        rc = glob(part, names.v[i].name, &hit, err);
        if (rc != 0 || !hit || (rest.n > 0 && !unp_vnode_is_dir(names.v[i].node)))
            continue;
        if (depth > p->c->params->max_depth || !append(m, names.v[i].name))
            rc = bh_err_set(err, BH_E_LIMIT, "names to copy are too long or too deep");
        else if (rest.n == 0)
            rc = found(p, m, err);
        else {
            struct unp_text saved = m->rest;

            m->rest = rest;
            rc = match_in(p, m, names.v[i].node, depth + 1, err);
            m->rest = saved;
        }
        m->len = len;
    }
    unp_vnames_fini(&names);
    return rc;
}

/* The start without wildcards is followed as a path and must be there, though what matches in it need not; in what
 * comes then, links are no folders. */
static int pick_pattern(struct picking *p, struct unp_text source, struct bh_err *err) {
    static struct pattern m;
    const struct unp_vnode *dir;
    struct unp_text rest = source;

    m.len = 0;
    m.found = 0;
    for (;;) {
        struct unp_text before = rest;
        struct unp_text part = first_part(&rest);

        if (part.n == 0 || has_wildcard(part)) {
            m.rest = before;
            break;
        }
        if (!append(&m, part))
            return bh_err_set(err, BH_E_LIMIT, "a source with a name that is too long");
    }
    if (unp_view_find(p->view, (struct unp_text){m.path, m.len}, true, &dir, err) != 0)
        return err->code;
    if (dir == NULL)
        return not_found((struct unp_text){m.path, m.len}, err);
    return match_in(p, &m, dir, 0, err);
}

/* ---- sources ------------------------------------------------------------------------------- */

static int pick_path(struct picking *p, struct unp_text source, struct bh_err *err) {
    const struct unp_vnode *node;
    bool taken;

    if (unp_view_find(p->view, source, true, &node, err) != 0)
        return err->code;
    if (node == NULL || (source.n > 0 && source.s[source.n - 1] == '/' && !unp_vnode_is_dir(node)))
        return not_found(source, err);
    if (pick_node(p, node, source, &taken, err) != 0)
        return err->code;
    return taken || !unp_filter_hides(&p->filter) ? 0 : not_found(source, err);
}

/* "a/./b/c": what is above the pivot is only a place to look in; the rest keeps its folders. */
static int pick_with_parents(struct picking *p, struct unp_text source, struct bh_err *err) {
    struct unp_text root = {"/", 1};
    struct unp_text pattern = source;
    const struct unp_vnode *node;
    uint64_t found_before;
    uint32_t pick;
    struct unp_filter_at at;
    enum unp_verdict verdict;

    for (size_t i = 0; i + 3 <= source.n; i++)
        if (memcmp(source.s + i, "/./", 3) == 0) {
            root = (struct unp_text){source.s, i};
            pattern = (struct unp_text){source.s + i + 3, source.n - i - 3};
            break;
        }
    if (unp_view_find(p->view, root, true, &node, err) != 0)
        return err->code;
    if (node == NULL)
        return not_found(root, err);
    if (unp_filter_only(&p->filter, pattern, err) != 0 ||
        unp_filter_start(&p->filter, root, true, &at, &verdict, err) != 0)
        return err->code;
    found_before = p->filter.hits;
    if (add_pick(p, node, base_of(root), UINT32_MAX, &pick, err) == 0) {
        p->c->picks.v[pick].flags |= UNP_P_KEPT;
        if (pick_below(p, pick, &at, 1, err) == 0)
            add_match(p, base_of(root), pick, err);
    }
    unp_filter_leave(&at);
    if (err->code == 0 && p->filter.hits == found_before && !has_wildcard(pattern))
        return not_found(pattern, err);
    return err->code;
}

static int pick_source(struct picking *p, struct unp_text source, struct bh_err *err) {
    if (source.n > 0 && memchr(source.s, 0, source.n) != NULL)
        return bh_err_set(err, BH_E_INVALID, "a source with a NUL in its name");
    if (p->item->parents)
        return pick_with_parents(p, source, err);
    return p->item->wildcard && has_wildcard(source) ? pick_pattern(p, source, err) : pick_path(p, source, err);
}

static int pick_item(struct unp_compose *c, uint32_t number, struct bh_err *err) {
    struct picking p = {.c = c, .number = number, .item = c->job->request->item[number]};
    int rc;

    if (p.item->from == NULL)
        return 0;
    if (unp_compose_view(c, p.item->from, &c->views[number], &p.view, err) != 0)
        return err->code;
    c->views[number].hiding = p.item->whiteouts;
    rc = unp_filter_open(&p.filter, p.item, err);
    for (size_t i = 0; i < p.item->n_source && rc == 0; i++)
        rc = pick_source(&p, (struct unp_text){(char *)p.item->source[i].data, p.item->source[i].len}, err);
    unp_filter_close(&p.filter);
    return rc;
}

/* Folders that were looked into and have nothing to take go out again. */
static int drop_left_out(struct unp_picks *k, struct bh_err *err) {
    uint32_t *number = malloc((k->n + 1) * sizeof *number);
    uint32_t matches = 0;
    uint32_t n = 0;

    if (number == NULL)
        return no_memory(err);
    for (uint32_t i = 0; i < k->n; i++) {
        number[i] = n;
        if ((k->v[i].flags & UNP_P_KEPT) == 0)
            continue;
        k->v[n] = k->v[i];
        k->v[n].parent = number[k->v[i].parent];
        n++;
    }
    number[k->n] = n;
    for (uint32_t i = 0; i < k->n_match; i++) {
        struct unp_match m = k->match[i];

        m.first = number[m.first];
        m.end = number[m.end];
        if (m.first < m.end)
            k->match[matches++] = m;
    }
    k->n = n;
    k->n_match = matches;
    free(number);
    return 0;
}

int unp_compose_pick(struct unp_compose *c, struct bh_err *err) {
    for (uint32_t i = 0; i < c->job->request->n_item; i++)
        if (pick_item(c, i, err) != 0)
            return err->code;
    return drop_left_out(&c->picks, err);
}
