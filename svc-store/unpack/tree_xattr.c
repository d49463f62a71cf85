/*
 * tree_xattr.c - which extended attributes of an entry come into the index, and their encoding.
 *
 * Room: worker.  Trusts nothing: an attribute of a layer is kept only if docs/store-format.md 3.5 names
 * it.  Overlay's own marks in particular never pass (they could point into other layers).
 */
#include <stdlib.h>
#include <string.h>

#include "layer/layer_format.h"
#include "unpack/tree.h"
#include "unpack/limit.h"

struct attr {
    uint8_t index;
    struct unp_text name; /* without prefix */
    struct unp_text value;
};

/* Both opaque marks and their padding: room that is always kept free. */
#define OPAQUE_ROOM 64u

static bool cut_prefix(struct unp_text *name, const char *prefix) {
    size_t n = strlen(prefix);
    if (name->n < n || memcmp(name->s, prefix, n) != 0)
        return false;
    name->s += n;
    name->n -= n;
    return true;
}

static uint32_t le32(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* struct vfs_cap_data of linux/capability.h, revisions 2 and 3. */
static bool capability_ok(struct unp_text v) {
    if (v.n != 20 && v.n != 24)
        return false;
    uint32_t magic = le32(v.s);
    return (magic & ~1u) == (v.n == 20 ? 0x02000000u : 0x03000000u);
}

/* One step of the order that a valid list has: user obj, users, group obj, groups, mask, other. */
static bool acl_step(unsigned tag, unsigned *last, bool *need_mask) {
    static const unsigned order[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20};
    unsigned rank = 0;
    while (rank < 6 && order[rank] != tag)
        rank++;
    bool many = tag == 0x02 || tag == 0x08;
    bool ok = rank < 6 && (rank + 1 > *last || (many && rank + 1 == *last));
    *last = rank + 1;
    *need_mask = *need_mask || many;
    return ok;
}

/* struct posix_acl_xattr_header and entries of linux/posix_acl_xattr.h, version 2. */
static bool acl_ok(struct unp_text v) {
    unsigned last = 0;
    unsigned seen = 0;
    bool need_mask = false;
    if (v.n < 4 + 3 * 8 || (v.n - 4) % 8 != 0 || le32(v.s) != 2)
        return false;
    for (size_t i = 4; i < v.n; i += 8) {
        unsigned tag = le32(v.s + i) & 0xffff;
        unsigned perm = le32(v.s + i) >> 16;
        if (perm > 7 || !acl_step(tag, &last, &need_mask))
            return false;
        seen |= tag;
    }
    return (seen & 0x25) == 0x25 && (!need_mask || (seen & 0x10) != 0);
}

static bool allowed(enum unp_type type, const struct unp_xattr *x, struct attr *out) {
    struct unp_text name = x->name;
    out->value = x->value;
    if (x->value.n > UINT16_MAX)
        return false;
    if (cut_prefix(&name, "user.")) {
        struct unp_text rest = name;
        *out = (struct attr){BH_XATTR_USER, name, x->value};
        return (type == UNP_REG || type == UNP_DIR) && name.n >= 1 && name.n <= 250 &&
               !cut_prefix(&rest, BH_XATTR_OVERLAY);
    }
    if (cut_prefix(&name, "security.")) {
        *out = (struct attr){BH_XATTR_SECURITY, name, x->value};
        return type == UNP_REG && name.n == strlen(BH_XATTR_CAPABILITY) && cut_prefix(&name, BH_XATTR_CAPABILITY) &&
               capability_ok(x->value);
    }
    if (!cut_prefix(&name, "system.posix_acl_") || type == UNP_SYMLINK || !acl_ok(x->value))
        return false;
    bool is_default = name.n == 7 && memcmp(name.s, "default", 7) == 0;
    bool is_access = name.n == 6 && memcmp(name.s, "access", 6) == 0;
    *out = (struct attr){is_default ? BH_XATTR_ACL_DEFAULT : BH_XATTR_ACL_ACCESS, {"", 0}, x->value};
    return is_access || (is_default && type == UNP_DIR);
}

static int attr_cmp(const void *a, const void *b) {
    const struct attr *x = a;
    const struct attr *y = b;
    if (x->index != y->index)
        return (int)x->index - (int)y->index;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int c = memcmp(x->name.s, y->name.s, n);
    return c != 0 ? c : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

static size_t attr_size(const struct attr *a) {
    return (sizeof(struct bh_erofs_xattr) + a->name.n + a->value.n + 3) & ~(size_t)3;
}

static unsigned char *attr_put(unsigned char *to, const struct attr *a) {
    struct bh_erofs_xattr head = {
        .name_len = (uint8_t)a->name.n, .name_index = a->index, .value_size = (uint16_t)a->value.n};
    memcpy(to, &head, sizeof head);
    if (a->name.n > 0)
        memcpy(to + sizeof head, a->name.s, a->name.n);
    if (a->value.n > 0)
        memcpy(to + sizeof head + a->name.n, a->value.s, a->value.n);
    return to + attr_size(a);
}

static int encode(struct unp_tree *t, struct attr *list, size_t n, size_t max, const struct unp_xblob **out,
                  struct bh_err *err) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += attr_size(&list[i]);
    if (size > max) {
        bh_err_set(err, BH_E_LIMIT, "layer: extended attributes of one file take %zu bytes, limits.xattrs is %zu", size,
                   max);
        return unp_limit(err, "limits.xattrs");
    }
    struct unp_xblob *blob = bh_arena_alloc(&t->arena, sizeof *blob + size);
    if (blob == NULL)
        return unp_tree_no_memory(err);
    qsort(list, n, sizeof *list, attr_cmp);
    memset(blob->bytes, 0, size);
    blob->len = (uint32_t)size;
    unsigned char *to = blob->bytes;
    for (size_t i = 0; i < n; i++)
        to = attr_put(to, &list[i]);
    *out = blob;
    return 0;
}

int unp_tree_xattrs(struct unp_tree *t, const struct unp_entry *e, const struct unp_xblob **out, struct bh_err *err) {
    struct attr list[UNP_PAX_XATTRS];
    size_t n = 0;
    uint32_t max = t->limits.max_xattrs < BH_XATTR_MAX_BYTES ? t->limits.max_xattrs : BH_XATTR_MAX_BYTES;
    for (unsigned i = 0; i < e->n_xattrs; i++)
        if (allowed(e->type, &e->xattrs[i], &list[n]))
            n++;
    *out = NULL;
    if (n == 0)
        return 0;
    size_t room = sizeof(struct bh_erofs_xattr_head) + OPAQUE_ROOM;
    return encode(t, list, n, max > room ? max - room : 0, out, err);
}

/* The entries of a blob that was made above. */
static size_t decode(const struct unp_xblob *in, struct attr *list, size_t max) {
    size_t n = 0;
    size_t at = 0;
    while (in != NULL && at < in->len && n < max) {
        struct bh_erofs_xattr head;
        memcpy(&head, in->bytes + at, sizeof head);
        const char *name = (const char *)in->bytes + at + sizeof head;
        list[n] = (struct attr){head.name_index, {name, head.name_len}, {name + head.name_len, head.value_size}};
        at += attr_size(&list[n++]);
    }
    return n;
}

int unp_tree_opaque(struct unp_tree *t, const struct unp_xblob *in, const struct unp_xblob **out, struct bh_err *err) {
    struct attr list[UNP_PAX_XATTRS + 2];
    struct unp_text name = {BH_XATTR_OPAQUE, strlen(BH_XATTR_OPAQUE)};
    size_t n = decode(in, list, UNP_PAX_XATTRS);
    list[n++] = (struct attr){BH_XATTR_USER, name, {"y", 1}};
    list[n++] = (struct attr){BH_XATTR_TRUSTED, name, {"y", 1}};
    return encode(t, list, n, BH_XATTR_MAX_BYTES - sizeof(struct bh_erofs_xattr_head), out, err);
}
