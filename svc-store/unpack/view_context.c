/*
 * view_context.c - the view of a context: records in the order of a walk, so that what is below a folder follows it.
 *
 * Room: worker.  Another worker wrote the list; order, lengths and ranges are checked once, when it is opened.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "unpack/tree.h"
#include "unpack/view_int.h"

#define ENTRIES_MAX 4000000u

static int bad(const char *what, struct bh_err *err) {
    bh_err_set(err, BH_E_DATA_LOSS, "list of a context: %s", what);
    return bh_err_reason(err, "bad-context");
}

static struct unp_text path_of(const struct bh_context_record *r) {
    return (struct unp_text){r->text + r->xattr_len, r->path_len};
}

static bool record_ok(const struct unp_view *v, const struct bh_context_record *r, size_t left) {
    if (left < sizeof *r || r->size > left || r->size % 8 != 0 || r->xattr_len % 4 != 0 ||
        r->xattr_len > BH_XATTR_MAX_BYTES || r->path_len == 0 ||
        sizeof *r + (size_t)r->xattr_len + r->path_len + r->link_len > r->size || r->nsec >= 1000000000)
        return false;
    if (S_ISREG(r->mode))
        return r->length == 0 ||
               (r->pack < v->n_packs && (v->pack_sizes == NULL || (r->at <= v->pack_sizes[r->pack] &&
                                                                   r->length <= v->pack_sizes[r->pack] - r->at)));
    return S_ISDIR(r->mode) || (S_ISLNK(r->mode) && r->link_len > 0);
}

/* Where the record stands: in the folder that is open at this depth, behind the sibling before it. */
struct walk {
    uint32_t dir[UNP_PARTS_MAX];         /* open folders, by number */
    struct unp_text last[UNP_PARTS_MAX]; /* name of the last one in each */
    size_t depth;
};

static bool below(struct unp_text path, struct unp_text dir) {
    return path.n > dir.n + 1 && path.s[dir.n] == '/' && memcmp(path.s, dir.s, dir.n) == 0;
}

static bool name_ok(struct unp_text name) {
    return name.n > 0 && name.n <= BH_LAYER_NAME_MAX && memchr(name.s, '/', name.n) == NULL &&
           memchr(name.s, 0, name.n) == NULL &&
           !(name.s[0] == '.' && (name.n == 1 || (name.n == 2 && name.s[1] == '.')));
}

static bool in_order(struct unp_text last, struct unp_text name) {
    int c = last.n == 0 ? -1 : memcmp(last.s, name.s, last.n < name.n ? last.n : name.n);

    return c < 0 || (c == 0 && last.n < name.n);
}

/* Closes the folders that the path is not in; the rest of the path must be one name. */
static bool place(struct unp_view *v, struct walk *w, uint32_t number) {
    struct unp_text path = path_of(v->records[number]);
    struct unp_text name = path;

    while (w->depth > 0 && !below(path, path_of(v->records[w->dir[w->depth]])))
        v->ends[w->dir[w->depth--]] = number;
    if (w->depth > 0) {
        size_t cut = path_of(v->records[w->dir[w->depth]]).n + 1;

        name = (struct unp_text){path.s + cut, path.n - cut};
    }
    if (!name_ok(name) || !in_order(w->last[w->depth], name))
        return false;
    w->last[w->depth] = name;
    v->ends[number] = number + 1;
    if (!S_ISDIR(v->records[number]->mode))
        return true;
    if (++w->depth == UNP_PARTS_MAX)
        return false;
    w->dir[w->depth] = number;
    w->last[w->depth] = (struct unp_text){"", 0};
    return true;
}

static int read_records(struct unp_view *v, const struct bh_context_head *head, struct bh_err *err) {
    static struct walk w;
    const char *p = (const char *)(head + 1);
    size_t left = (size_t)head->size - sizeof *head;

    w.depth = 0;
    w.last[0] = (struct unp_text){"", 0};
    for (uint32_t i = 0; i < v->n_records; i++) {
        const struct bh_context_record *r = (const void *)p;

        if (!record_ok(v, r, left))
            return bad("a record that cannot be", err);
        v->records[i] = r;
        if (!place(v, &w, i))
            return bad("names out of order", err);
        p += r->size;
        left -= r->size;
    }
    for (; w.depth > 0; w.depth--)
        v->ends[w.dir[w.depth]] = v->n_records;
    return left == 0 ? 0 : bad("more than its records", err);
}

static int map_list(struct unp_view *v, int fd, const struct bh_context_head **out, struct bh_err *err) {
    const struct bh_context_head *head;
    struct stat st;

    if (fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "list of a context");
    if ((uint64_t)st.st_size < sizeof *head)
        return bad("too short", err);
    v->map_size = (size_t)st.st_size;
    v->map = mmap(NULL, v->map_size, PROT_READ, MAP_SHARED, fd, 0);
    if (v->map == MAP_FAILED) {
        v->map = NULL;
        return bh_err_errno(err, errno, "map the list of a context");
    }
    head = v->map;
    if (memcmp(head->magic, BH_CONTEXT_MAGIC, sizeof head->magic) != 0 || head->size != v->map_size ||
        head->entries > ENTRIES_MAX || head->entries > head->size / sizeof(struct bh_context_record) ||
        head->packs > BH_CONTEXT_PACKS)
        return bad("a head that does not fit", err);
    *out = head;
    return 0;
}

static int size_packs(struct unp_view *v, const int *packs, struct bh_err *err) {
    uint64_t *sizes = bh_arena_alloc(v->arena, (v->n_packs + 1) * sizeof *sizes);
    struct stat st;

    if (sizes == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for a context");
    for (uint32_t i = 0; i < v->n_packs; i++) {
        if (fstat(packs[i], &st) != 0)
            return bh_err_errno(err, errno, "files of a context");
        sizes[i] = (uint64_t)st.st_size;
    }
    v->pack_sizes = sizes;
    return 0;
}

static int open_list(struct unp_view *v, const struct bh_context_head *head, struct bh_err *err) {
    struct unp_vnode *root;

    v->n_records = (uint32_t)head->entries;
    v->records = malloc((v->n_records + 1) * sizeof *v->records);
    v->ends = malloc((v->n_records + 1) * sizeof *v->ends);
    root = unp_vnode_new(v, 0, err);
    if (root == NULL)
        return err->code;
    if (v->records == NULL || v->ends == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for a context of %u files", v->n_records);
    root->mode = 0040755;
    v->root = root;
    return read_records(v, head, err);
}

int unp_view_context(struct unp_view *v, int list_fd, const int *packs, uint32_t n_packs, struct bh_arena *arena,
                     struct bh_err *err) {
    const struct bh_context_head *head;

    *v = (struct unp_view){.arena = arena, .packs = packs, .n_packs = n_packs};
    if (map_list(v, list_fd, &head, err) != 0)
        return err->code;
    if (head->packs > n_packs)
        return bad("more packs than are here", err);
    return size_packs(v, packs, err) != 0 ? err->code : open_list(v, head, err);
}

int unp_view_context_list(struct unp_view *v, int list_fd, struct bh_arena *arena, struct bh_context_head *out,
                          struct bh_err *err) {
    const struct bh_context_head *head;

    *v = (struct unp_view){.arena = arena};
    if (map_list(v, list_fd, &head, err) != 0)
        return err->code;
    *out = *head;
    v->n_packs = head->packs;
    return open_list(v, head, err);
}

void unp_view_fini(struct unp_view *v) {
    if (v->map != NULL)
        munmap(v->map, v->map_size);
    free(v->records);
    free(v->ends);
    *v = (struct unp_view){0};
}

/* ---- nodes --------------------------------------------------------------------------------- */

static const struct unp_vnode *node_of(struct unp_view *v, uint32_t record, struct bh_err *err) {
    struct unp_vnode *n = unp_vnode_new(v, 0, err);

    if (n == NULL)
        return NULL;
    n->record = record;
    n->mode = (uint16_t)v->records[record]->mode;
    return n;
}

static uint32_t first_of(const struct unp_vnode *dir) {
    return dir->record == UINT32_MAX ? 0 : dir->record + 1;
}

static uint32_t end_of(const struct unp_vnode *dir) {
    return dir->record == UINT32_MAX ? dir->view->n_records : dir->view->ends[dir->record];
}

static struct unp_text name_in(const struct unp_vnode *dir, uint32_t record) {
    struct unp_text path = path_of(dir->view->records[record]);
    size_t cut = dir->record == UINT32_MAX ? 0 : path_of(dir->view->records[dir->record]).n + 1u;

    return (struct unp_text){path.s + cut, path.n - cut};
}

int unp_context_lookup(const struct unp_vnode *dir, struct unp_text name, const struct unp_vnode **out,
                       struct bh_err *err) {
    uint32_t end = end_of(dir);

    for (uint32_t i = first_of(dir); i < end; i = dir->view->ends[i]) {
        struct unp_text at = name_in(dir, i);

        if (at.n != name.n || memcmp(at.s, name.s, name.n) != 0)
            continue;
        *out = node_of(dir->view, i, err);
        return *out == NULL ? err->code : 0;
    }
    return 0;
}

int unp_context_names(const struct unp_vnode *dir, struct unp_vnames *out, struct bh_err *err) {
    uint32_t end = end_of(dir);

    for (uint32_t i = first_of(dir); i < end; i = dir->view->ends[i]) {
        const struct unp_vnode *n = node_of(dir->view, i, err);

        if (n == NULL || unp_vnames_add(out, name_in(dir, i), n, err) != 0)
            return err->code;
    }
    return 0;
}

int unp_context_file(const struct unp_vnode *n, struct unp_file *out, struct bh_err *err) {
    const struct bh_context_record *r;

    (void)err;
    *out = (struct unp_file){.mode = n->mode, .fd = -1, .xattrs = {"", 0}};
    if (n->record == UINT32_MAX)
        return 0;
    r = n->view->records[n->record];
    out->mtime = r->mtime;
    out->mtime_nsec = r->nsec;
    out->xattrs = (struct unp_text){r->text, r->xattr_len};
    out->same = r->same;
    if (S_ISLNK(r->mode))
        out->link = (struct unp_text){r->text + r->xattr_len + r->path_len, r->link_len};
    if (!S_ISREG(r->mode))
        return 0;
    out->size = r->length;
    out->sha256 = r->sha256;
    out->at = r->at;
    out->fd = r->length > 0 ? n->view->packs[r->pack] : -1;
    return 0;
}
