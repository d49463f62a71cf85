/*
 * verify_xattr.c - see verify_xattr.h.
 */
#include "rightless/verify_xattr.h"

#include <stdbool.h>
#include <string.h>

#include "layer/layer_format.h"

struct entry {
    uint32_t index, name_len, value_len, size; /* size: with the padding */
    const unsigned char *name, *value;
};

static bool all_zero(const unsigned char *p, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static bool entry_read(const unsigned char *p, uint32_t left, struct entry *e) {
    struct bh_erofs_xattr x;
    uint32_t exact;

    if (left < sizeof(x))
        return false;
    memcpy(&x, p, sizeof(x));
    exact = (uint32_t)sizeof(x) + x.name_len + x.value_size;
    *e = (struct entry){.index = x.name_index,
                        .name_len = x.name_len,
                        .value_len = x.value_size,
                        .size = (exact + 3) & ~3u,
                        .name = p + sizeof(x),
                        .value = p + sizeof(x) + x.name_len};
    return e->size <= left && all_zero(p + exact, e->size - exact);
}

static bool named(const struct entry *e, const char *name) {
    return e->name_len == strlen(name) && memcmp(e->name, name, e->name_len) == 0;
}

static bool is_opaque(const struct entry *e) {
    return named(e, BH_XATTR_OPAQUE) && e->value_len == 1 && e->value[0] == 'y';
}

static bool user_ok(const struct entry *e, uint32_t type) {
    size_t n = strlen(BH_XATTR_OVERLAY);

    if (e->name_len == 0 || memchr(e->name, 0, e->name_len) != NULL || (type != BH_FT_REG && type != BH_FT_DIR))
        return false;
    if (e->name_len >= n && memcmp(e->name, BH_XATTR_OVERLAY, n) == 0)
        return type == BH_FT_DIR && is_opaque(e);
    return true;
}

/* Version 2: header of 4 bytes, entries of 8 (tag, permissions, id), in the kernel's order of tags. */
static bool acl_ok(const struct entry *e) {
    uint32_t version, have = 0;
    unsigned last = 0;

    if (e->name_len != 0 || e->value_len < 4 + 3 * 8 || (e->value_len - 4) % 8 != 0)
        return false;
    memcpy(&version, e->value, 4);
    for (uint32_t at = 4; at < e->value_len; at += 8) {
        uint16_t tag, perm;

        memcpy(&tag, e->value + at, 2);
        memcpy(&perm, e->value + at + 2, 2);
        if (perm > 7 || tag == 0 || tag > 0x20 || (tag & (tag - 1)) != 0 || tag < last ||
            (tag == last && tag != 0x02 && tag != 0x08))
            return false;
        last = tag;
        have |= tag;
    }
    return version == 2 && (have & 0x25) == 0x25 &&
           (!(have & 0x0a) || have & 0x10); /* owner, group, other; mask if named */
}

static bool capability_ok(const struct entry *e, uint32_t type) {
    uint32_t magic;

    if (type != BH_FT_REG || !named(e, BH_XATTR_CAPABILITY) || (e->value_len != 20 && e->value_len != 24))
        return false;
    memcpy(&magic, e->value, 4);
    return (magic & ~1u) == (e->value_len == 20 ? 0x02000000u : 0x03000000u);
}

static bool entry_ok(const struct entry *e, uint32_t type) {
    switch (e->index) {
    case BH_XATTR_USER:
        return user_ok(e, type);
    case BH_XATTR_ACL_ACCESS:
        return type != BH_FT_LNK && acl_ok(e);
    case BH_XATTR_ACL_DEFAULT:
        return type == BH_FT_DIR && acl_ok(e);
    case BH_XATTR_TRUSTED:
        return type == BH_FT_DIR && is_opaque(e);
    case BH_XATTR_SECURITY:
        return capability_ok(e, type);
    default:
        return false;
    }
}

/* Sorted by (index, name), so that no name occurs twice. */
static bool in_order(const struct entry *a, const struct entry *b) {
    uint32_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
    int c;

    if (a->index != b->index)
        return a->index < b->index;
    c = memcmp(a->name, b->name, n);
    return c < 0 || (c == 0 && a->name_len < b->name_len);
}

int lnc_verify_xattrs(const unsigned char *p, uint32_t n, uint32_t type) {
    struct entry before = {0}, e;
    uint32_t at = sizeof(struct bh_erofs_xattr_head);
    unsigned opaque = 0;

    if (n <= at || !all_zero(p, at))
        return -1;
    while (at < n) {
        if (!entry_read(p + at, n - at, &e) || !entry_ok(&e, type) || (before.name != NULL && !in_order(&before, &e)))
            return -1;
        opaque += is_opaque(&e) && (e.index == BH_XATTR_TRUSTED || e.index == BH_XATTR_USER);
        before = e;
        at += e.size;
    }
    return opaque == 0 || opaque == 2 ? 0 : -1; /* both or none */
}
