/*
 * context_read.c - see context_read.h.
 *
 * Room: worker.  Trusts nothing: the list is a user's, the old list another worker's.
 */
#include "unpack/context_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "layer/layer_format.h"
#include "store.pb-c.h"
#include "unpack/limit.h"
#include "unpack/view.h"

#define ENTRY_MAX  ((size_t)1 << 20) /* memory that one entry may take unpacked */
#define XATTRS_MAX UNP_PAX_XATTRS

typedef Bulkhead__Store__V1__ContextEntry entry_msg;

const uint8_t unp_empty_sha256[32] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
                                      0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
                                      0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

static int refuse(struct bh_err *err, struct unp_text path, const char *what) {
    char shown[UNP_SHOWN];

    bh_err_set(err, BH_E_INVALID, "context: '%s' %s", unp_shown(path, shown), what);
    return bh_err_reason(err, "invalid-context");
}

static int broken(struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "context: its list is no list of entries");
    return bh_err_reason(err, "invalid-context");
}

static int no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "context: not enough memory for so many files");
    return unp_limit(err, NULL);
}

int unp_context_init(struct unp_context *c, const struct bh_job_params *p, struct bh_err *err) {
    const struct unp_tree_limits limits = {.max_entries = p->max_entries,
                                           .max_sparse = p->max_sparse,
                                           .max_depth = p->max_depth,
                                           .max_xattrs = p->max_xattrs,
                                           .max_path = p->max_path < 65535 ? p->max_path : 65535};

    memset(c, 0, sizeof *c);
    c->params = p;
    c->contents.size = sizeof(struct unp_content);
    c->mask = 1023;
    c->buckets = calloc(c->mask + 1, sizeof *c->buckets);
    if (c->buckets == NULL)
        return no_memory(err);
    return unp_tree_init(&c->tree, &limits, err);
}

void unp_context_fini(struct unp_context *c) {
    unp_tree_fini(&c->tree);
    for (uint32_t i = 0; i < c->contents.n_chunks; i++)
        free(c->contents.chunks[i]);
    free(c->contents.chunks);
    free(c->buckets);
    free(c->wanted);
    free(c->files);
}

/* ---- contents ------------------------------------------------------------------------------ */

/* A user can choose digests for an old list only by finding files that have them; those of a new list need not
 * exist, so the seed of the tree is in it. */
static uint32_t slot_of(const struct unp_context *c, const uint8_t *sha256, uint32_t mask) {
    uint64_t v[2];

    memcpy(v, sha256, sizeof v);
    v[0] = (v[0] ^ c->tree.seed[0]) * (c->tree.seed[1] | 1);
    v[1] = (v[1] ^ c->tree.seed[1]) * (c->tree.seed[0] | 1);
    v[0] ^= v[1] >> 29 ^ v[0] >> 32;
    return (uint32_t)v[0] & mask;
}

static bool grow(struct unp_context *c) {
    uint32_t mask = c->mask * 2 + 1;
    uint32_t *buckets = calloc((size_t)mask + 1, sizeof *buckets);

    if (buckets == NULL)
        return false;
    for (uint32_t i = 1; i < c->contents.n; i++) {
        struct unp_content *k = unp_context_content(c, i);
        uint32_t *slot = &buckets[slot_of(c, k->sha256, mask)];

        k->hash_next = *slot;
        *slot = i;
    }
    free(c->buckets);
    c->buckets = buckets;
    c->mask = mask;
    return true;
}

static uint32_t content_find(const struct unp_context *c, const uint8_t *sha256) {
    uint32_t i = c->buckets[slot_of(c, sha256, c->mask)];

    while (i != 0 && memcmp(unp_context_content(c, i)->sha256, sha256, 32) != 0)
        i = unp_context_content(c, i)->hash_next;
    return i;
}

static int content_add(struct unp_context *c, const struct unp_content *k, uint32_t *out, struct bh_err *err) {
    if (c->contents.n > c->mask && !grow(c))
        return no_memory(err);
    *out = unp_pool_add(&c->contents);
    if (*out == 0)
        return no_memory(err);
    uint32_t *slot = &c->buckets[slot_of(c, k->sha256, c->mask)];
    struct unp_content *mine = unp_context_content(c, *out);

    *mine = *k;
    mine->hash_next = *slot;
    *slot = *out;
    return 0;
}

static int want(struct unp_context *c, uint32_t content, struct bh_err *err) {
    if (c->n_wanted == c->cap_wanted) {
        uint32_t cap = c->cap_wanted * 2 + 256;
        uint32_t *v = realloc(c->wanted, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        c->wanted = v;
        c->cap_wanted = cap;
    }
    c->wanted[c->n_wanted++] = content;
    return 0;
}

/* The content of a file of the new list. */
static int content_of(struct unp_context *c, const entry_msg *m, struct unp_text path, uint64_t number, uint32_t *out,
                      struct bh_err *err) {
    *out = content_find(c, m->sha256.data);
    if (*out == 0) {
        struct unp_content k = {.size = m->size, .at = c->missing, .number = number, .pack = c->packs};

        memcpy(k.sha256, m->sha256.data, sizeof k.sha256);
        if (content_add(c, &k, out, err) != 0 || want(c, *out, err) != 0)
            return err->code;
        c->missing += m->size;
        unp_context_content(c, *out)->used = true;
        return 0;
    }
    struct unp_content *k = unp_context_content(c, *out);

    if (k->size != m->size)
        return refuse(err, path, "has a digest that belongs to a file of another size");
    if (k->pack < c->packs) {
        c->kept += k->used ? 0 : k->size;
        c->in_use[k->pack / 8] |= (uint8_t)(1u << k->pack % 8);
    }
    k->used = true;
    return 0;
}

int unp_context_old(struct unp_context *c, int list_fd, struct bh_err *err) {
    struct bh_context_head head;
    struct unp_view v;
    struct bh_arena arena;
    uint32_t i;
    int rc;

    bh_arena_init(&arena, (size_t)1 << 20);
    rc = unp_view_context_list(&v, list_fd, &arena, &head, err);
    c->packs = rc == 0 ? head.packs : 0;
    for (uint32_t n = 0; rc == 0 && n < v.n_records; n++) {
        const struct bh_context_record *r = v.records[n];
        struct unp_content k = {.size = r->length, .at = r->at, .pack = r->pack};

        memcpy(k.sha256, r->sha256, sizeof k.sha256);
        if (S_ISREG(r->mode) && r->length > 0 && content_find(c, r->sha256) == 0)
            rc = content_add(c, &k, &i, err);
    }
    unp_view_fini(&v);
    bh_arena_fini(&arena);
    return rc;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool part_ok(struct unp_text p) {
    return p.n > 0 && p.n <= BH_LAYER_NAME_MAX && !(p.s[0] == '.' && (p.n == 1 || (p.n == 2 && p.s[1] == '.')));
}

/* The folder at path, which has been listed. */
static int find_dir(struct unp_context *c, struct unp_text path, uint32_t *out, struct bh_err *err) {
    struct unp_text rest = path;
    uint32_t at = UNP_ROOT;
    uint32_t depth = 0;

    if (path.n == c->last_len && memcmp(path.s, c->last_dir, path.n) == 0 && c->last_at != 0) {
        *out = c->last_at;
        return 0;
    }
    while (rest.n > 0) {
        const char *slash = memchr(rest.s, '/', rest.n);
        struct unp_text part = {rest.s, slash == NULL ? rest.n : (size_t)(slash - rest.s)};
        size_t cut = part.n + (slash != NULL);

        if (!part_ok(part) || (slash != NULL && rest.n == cut)) /* "a//b" has the folder "a/" */
            return refuse(err, path, "is a name with an empty, '.', '..' or too long part");
        if (++depth >= c->tree.limits.max_depth) {
            bh_err_set(err, BH_E_LIMIT, "context: a name is too deep, limits.depth is %u", c->tree.limits.max_depth);
            return unp_limit(err, "limits.depth");
        }
        at = unp_tree_lookup(&c->tree, at, part);
        if (at == 0 || !unp_inode_is_dir(unp_inode_at(&c->tree, unp_dent_at(&c->tree, at)->inode)))
            return refuse(err, path, "is the folder of an entry and was not listed before it as a folder");
        rest.s += cut;
        rest.n -= cut;
    }
    if (path.n <= sizeof c->last_dir) {
        memcpy(c->last_dir, path.s, path.n);
        c->last_len = path.n;
        c->last_at = at;
    }
    *out = at;
    return 0;
}

static int new_name(struct unp_context *c, struct unp_text path, uint32_t *out, struct bh_err *err) {
    size_t cut = path.n;
    uint32_t parent;

    if (path.n == 0 || path.s[0] == '/' || memchr(path.s, 0, path.n) != NULL)
        return refuse(err, path, "is no relative name");
    if (path.n > c->tree.limits.max_path) {
        bh_err_set(err, BH_E_LIMIT, "context: a name is too long, limits.path is %u", c->tree.limits.max_path);
        return unp_limit(err, "limits.path");
    }
    while (cut > 0 && path.s[cut - 1] != '/')
        cut--;
    struct unp_text base = {path.s + cut, path.n - cut};

    if (!part_ok(base))
        return refuse(err, path, "is a name with an empty, '.', '..' or too long part");
    if (find_dir(c, (struct unp_text){path.s, cut > 0 ? cut - 1 : 0}, &parent, err) != 0)
        return err->code;
    if (unp_tree_lookup(&c->tree, parent, base) != 0)
        return refuse(err, path, "is listed twice");
    return unp_tree_child(&c->tree, parent, base, out, err);
}

/* ---- entries ------------------------------------------------------------------------------- */

static int xattrs_of(struct unp_context *c, const entry_msg *m, struct unp_inode *i, enum unp_type type,
                     struct bh_err *err) {
    static struct unp_xattr list[XATTRS_MAX];
    struct unp_entry e = {.type = type, .xattrs = list};

    if (m->n_xattr > XATTRS_MAX)
        return refuse(err, (struct unp_text){(char *)m->path.data, m->path.len}, "has too many extended attributes");
    for (size_t k = 0; k < m->n_xattr; k++)
        list[e.n_xattrs++] = (struct unp_xattr){{m->xattr[k]->name, strlen(m->xattr[k]->name)},
                                                {(char *)m->xattr[k]->value.data, m->xattr[k]->value.len}};
    return unp_tree_xattrs(&c->tree, &e, &i->xattrs, err);
}

static int describe(struct unp_context *c, const entry_msg *m, struct unp_inode *i, enum unp_type type,
                    struct bh_err *err) {
    int64_t sec = m->mtime_ns / 1000000000;
    int64_t nsec = m->mtime_ns % 1000000000;

    i->mode = (uint16_t)((m->type & S_IFMT) | (S_ISLNK(m->type) ? 0777 : m->mode & 07777));
    i->mtime = nsec < 0 ? sec - 1 : sec;
    i->mtime_nsec = (uint32_t)(nsec < 0 ? nsec + 1000000000 : nsec);
    i->nlink = 1;
    return m->n_xattr == 0 ? 0 : xattrs_of(c, m, i, type, err);
}

static int add_file(struct unp_context *c, const entry_msg *m, struct unp_text path, uint64_t number,
                    struct unp_inode *i, struct bh_err *err) {
    uint32_t content = 0;

    if (m->sha256.len != 32)
        return refuse(err, path, "is a file without a SHA-256");
    if (m->size > c->params->max_unpacked - c->total) {
        bh_err_set(err, BH_E_LIMIT, "the context is too large, limits.unpacked is %llu",
                   (unsigned long long)c->params->max_unpacked);
        return unp_limit(err, "limits.unpacked");
    }
    c->total += m->size;
    if (m->size == 0 && memcmp(m->sha256.data, unp_empty_sha256, 32) != 0)
        return refuse(err, path, "is an empty file with a digest of something else");
    if (m->size > 0 && content_of(c, m, path, number, &content, err) != 0)
        return err->code;
    i->size = m->size;
    i->u.at = content;
    return describe(c, m, i, UNP_REG, err);
}

static int add_link(struct unp_context *c, const entry_msg *m, struct unp_text path, struct unp_inode *i,
                    struct bh_err *err) {
    char *copy;

    if (m->link.len == 0 || m->link.len > BH_LAYER_SYMLINK_MAX || memchr(m->link.data, 0, m->link.len) != NULL)
        return refuse(err, path, "is a symbolic link without a target, or with one that is too long");
    copy = bh_arena_alloc(&c->tree.arena, m->link.len);
    if (copy == NULL)
        return no_memory(err);
    memcpy(copy, m->link.data, m->link.len);
    i->u.link = copy;
    i->size = m->link.len;
    return describe(c, m, i, UNP_SYMLINK, err);
}

static int add_hard_link(struct unp_context *c, const entry_msg *m, struct unp_text path, uint32_t dent,
                         uint32_t *inode, struct bh_err *err) {
    uint64_t other = m->hard_link - 1;
    struct unp_inode *i;

    *inode = other < c->n_files ? c->files[other] : 0;
    if (*inode == 0)
        return refuse(err, path, "is another name of something that is no earlier file");
    i = unp_inode_at(&c->tree, *inode);
    i->nlink++;
    if (i->nid == 0)
        i->nid = *inode;
    unp_dent_at(&c->tree, dent)->inode = *inode;
    return 0;
}

/* The n-th entry is this file (or none): later ones may be further names of it. */
static int note_file(struct unp_context *c, uint32_t inode, struct bh_err *err) {
    if (c->n_files == c->cap_files) {
        uint64_t cap = c->cap_files * 2 + 1024;
        uint32_t *v = realloc(c->files, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        c->files = v;
        c->cap_files = cap;
    }
    c->files[c->n_files++] = inode;
    return 0;
}

static int add_new(struct unp_context *c, const entry_msg *m, struct unp_text path, uint32_t dent, uint64_t number,
                   uint32_t *inode, struct bh_err *err) {
    struct unp_inode *i;

    if (unp_tree_new_inode(&c->tree, 0, inode, err) != 0)
        return err->code;
    unp_dent_at(&c->tree, dent)->inode = *inode;
    i = unp_inode_at(&c->tree, *inode);
    switch (m->type) {
    case S_IFREG:
        return add_file(c, m, path, number, i, err);
    case S_IFLNK:
        return add_link(c, m, path, i, err);
    case S_IFDIR:
        i->u.dent = dent;
        return describe(c, m, i, UNP_DIR, err);
    default:
        return refuse(err, path, "is neither a file nor a folder nor a symbolic link");
    }
}

static int add_entry(struct unp_context *c, const entry_msg *m, struct bh_err *err) {
    struct unp_text path = {(char *)m->path.data, m->path.len};
    uint64_t number = c->n_files;
    uint32_t inode = 0;
    uint32_t dent;

    if (number >= c->params->max_entries) {
        bh_err_set(err, BH_E_LIMIT, "the context has too many files, limits.entries is %llu",
                   (unsigned long long)c->params->max_entries);
        return unp_limit(err, "limits.entries");
    }
    if (new_name(c, path, &dent, err) != 0)
        return err->code;
    if (m->hard_link != 0 && m->type == S_IFREG) {
        if (add_hard_link(c, m, path, dent, &inode, err) != 0)
            return err->code;
    } else if (add_new(c, m, path, dent, number, &inode, err) != 0) {
        return err->code;
    }
    return note_file(c, S_ISREG(m->type) ? inode : 0, err);
}

/* ---- the list ------------------------------------------------------------------------------ */

/* Memory of one entry: given back all at once. */
struct scratch {
    size_t used;
    max_align_t bytes[ENTRY_MAX / sizeof(max_align_t)];
};

static void *scratch_alloc(void *arg, size_t n) {
    struct scratch *s = arg;
    size_t step = (n + sizeof(max_align_t) - 1) / sizeof(max_align_t);

    if (step > ENTRY_MAX / sizeof(max_align_t) - s->used)
        return NULL;
    s->used += step;
    return &s->bytes[s->used - step];
}

static void scratch_free(void *arg, void *p) {
    (void)arg;
    (void)p;
}

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; *p < end && shift < 63; shift += 7) {
        uint8_t b = *(*p)++;

        *out |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return true;
    }
    return false;
}

#define ENTRY_TAG 0x0a /* field 1 of ContextEntries */

int unp_context_parse(struct unp_context *c, const uint8_t *data, size_t n, struct bh_err *err) {
    static struct scratch scratch;
    ProtobufCAllocator alloc = {.alloc = scratch_alloc, .free = scratch_free, .allocator_data = &scratch};
    const uint8_t *p = data;
    const uint8_t *end = data + n;
    uint64_t len;

    while (p < end) {
        if (*p++ != ENTRY_TAG || !varint(&p, end, &len) || len > (uint64_t)(end - p))
            return broken(err);
        scratch.used = 0;
        entry_msg *m = bulkhead__store__v1__context_entry__unpack(&alloc, (size_t)len, p);
        if (m == NULL)
            return broken(err);
        if (add_entry(c, m, err) != 0)
            return err->code;
        p += len;
    }
    return 0;
}

int unp_context_read(struct unp_context *c, int fd, struct bh_err *err) {
    struct stat st;
    void *map;
    int rc;

    if (fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "list of the context");
    if (st.st_size == 0)
        return 0;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return bh_err_errno(err, errno, "map the list of the context");
    rc = unp_context_parse(c, map, (size_t)st.st_size, err);
    munmap(map, (size_t)st.st_size);
    return rc;
}
