/*
 * tar_pax.c - "length key=value\n" records.
 *
 * Room: worker.  Trusts nothing.  Must not guess: a size that another reader would take otherwise
 * shows it other entries than us (CVE-2025-62518).
 */
#include "unpack/tar_pax.h"

#include <string.h>

#include "unpack/tar_number.h"

#define PAX_DECODED_MAX ((size_t)16 << 20)
#define PAX_PAIRS_MAX   ((size_t)4 << 20)

struct record {
    struct unp_text key;
    struct unp_text value;
};

void unp_pax_init(struct unp_pax *p) {
    memset(p, 0, sizeof *p);
    bh_buf_init(&p->pairs, PAX_PAIRS_MAX);
    bh_buf_init(&p->decoded, PAX_DECODED_MAX);
}

void unp_pax_fini(struct unp_pax *p) {
    bh_buf_fini(&p->pairs);
    bh_buf_fini(&p->decoded);
}

void unp_pax_reset(struct unp_pax *p) {
    struct bh_buf pairs = p->pairs;
    struct bh_buf decoded = p->decoded;
    memset(p, 0, offsetof(struct unp_pax, xattrs)); /* n_xattrs says how much of the list counts */
    p->n_xattrs = 0;
    bh_buf_reset(&pairs);
    bh_buf_reset(&decoded);
    p->pairs = pairs;
    p->decoded = decoded;
}

static int bad(struct bh_err *err, uint64_t at, const char *what) {
    bh_err_set(err, BH_E_INVALID, "tar: extended header at byte %llu: %s", (unsigned long long)at, what);
    return bh_err_reason(err, "invalid-tar");
}

/* Cut one record off the front.  0, or -1 when it is malformed. */
static int next_record(const char **data, size_t *n, struct record *out) {
    size_t digits = 0;
    uint64_t len = 0;
    while (digits < *n && (*data)[digits] != ' ')
        digits++;
    if (digits > 10 || !unp_pax_u64(*data, digits, &len) || len > *n || len < digits + 3)
        return -1;
    const char *key = *data + digits + 1;
    const char *end = *data + len - 1;
    if (key >= end || *end != '\n')
        return -1;
    const char *eq = memchr(key, '=', (size_t)(end - key));
    if (eq == NULL || eq == key)
        return -1;
    out->key = (struct unp_text){key, (size_t)(eq - key)};
    out->value = (struct unp_text){eq + 1, (size_t)(end - eq - 1)};
    *data += len;
    *n -= len;
    return 0;
}

static bool key_is(struct unp_text key, const char *name) {
    return strlen(name) == key.n && memcmp(key.s, name, key.n) == 0;
}

static bool key_starts(struct unp_text *key, const char *prefix) {
    size_t n = strlen(prefix);
    if (key->n <= n || memcmp(key->s, prefix, n) != 0)
        return false;
    key->s += n;
    key->n -= n;
    return true;
}

static bool set_name(struct unp_text *field, struct unp_text v) {
    *field = v.n == 0 ? (struct unp_text){NULL, 0} : v; /* an empty value takes an earlier one back */
    return memchr(v.s, 0, v.n) == NULL;
}

static bool set_id(bool *has, uint32_t *field, struct unp_text v) {
    uint64_t n = 0;
    *has = v.n > 0;
    if (v.n > 0 && (!unp_pax_u64(v.s, v.n, &n) || n > UINT32_MAX))
        return false;
    *field = (uint32_t)n;
    return true;
}

static bool set_u64(bool *has, uint64_t *field, struct unp_text v) {
    *has = v.n > 0;
    return v.n == 0 || unp_pax_u64(v.s, v.n, field);
}

static bool set_time(struct unp_pax *p, struct unp_text v) {
    p->has_mtime = v.n > 0;
    return v.n == 0 || unp_pax_time(v.s, v.n, &p->mtime, &p->mtime_nsec);
}

static bool add_pair(struct unp_pax *p, struct unp_text v, bool is_offset) {
    uint64_t n = 0;
    if (p->half_pair == is_offset || !unp_pax_u64(v.s, v.n, &n))
        return false;
    p->half_pair = is_offset;
    bh_buf_add(&p->pairs, &n, sizeof n);
    return !bh_buf_failed(&p->pairs);
}

static bool set_sparse(struct unp_pax *p, struct unp_text key, struct unp_text v) {
    bool ignored = false;
    uint64_t count = 0;
    p->sparse = true;
    if (key_is(key, "major"))
        return set_u64(&p->has_major, &p->major, v);
    if (key_is(key, "minor"))
        return set_u64(&p->has_minor, &p->minor, v);
    if (key_is(key, "name"))
        return set_name(&p->sparse_name, v);
    if (key_is(key, "size") || key_is(key, "realsize"))
        return set_u64(&p->has_real, &p->real_size, v);
    if (key_is(key, "numblocks"))
        return set_u64(&ignored, &count, v);
    if (key_is(key, "map")) {
        p->sparse_map = v;
        return true;
    }
    if (key_is(key, "offset") || key_is(key, "numbytes"))
        return add_pair(p, v, key.s[0] == 'o');
    return false; /* a form of sparse file that is not known here */
}

static struct unp_xattr *xattr_slot(struct unp_pax *p, struct unp_text name) {
    for (unsigned i = 0; i < p->n_xattrs; i++)
        if (p->xattrs[i].name.n == name.n && memcmp(p->xattrs[i].name.s, name.s, name.n) == 0)
            return &p->xattrs[i];
    if (p->n_xattrs == UNP_PAX_XATTRS)
        return NULL;
    struct unp_xattr *x = &p->xattrs[p->n_xattrs++];
    *x = (struct unp_xattr){.name = name};
    return x;
}

static bool set_xattr(struct unp_pax *p, struct unp_text name, struct unp_text value) {
    if (memchr(name.s, 0, name.n) != NULL)
        return false;
    struct unp_xattr *x = xattr_slot(p, name);
    if (x == NULL)
        return false;
    x->value = value;
    return true;
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == 0 ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

static bool base64(struct unp_pax *p, struct unp_text in, struct unp_text *out) {
    while (in.n > 0 && in.s[in.n - 1] == '=')
        in.n--;
    char *to = bh_buf_room(&p->decoded, in.n);
    if (to == NULL)
        return false;
    uint32_t acc = 0;
    unsigned bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < in.n; i++) {
        int d = base64_digit(in.s[i]);
        if (d < 0)
            return false;
        acc = acc << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[len++] = (char)(acc >> bits & 0xff);
        }
    }
    bh_buf_grew(&p->decoded, len);
    *out = (struct unp_text){to, len};
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool percent(struct unp_pax *p, struct unp_text in, struct unp_text *out) {
    char *to = bh_buf_room(&p->decoded, in.n);
    size_t len = 0;
    if (to == NULL)
        return false;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.s[i];
        if (c == '%' && i + 2 < in.n && hex_digit(in.s[i + 1]) >= 0 && hex_digit(in.s[i + 2]) >= 0) {
            c = (char)(hex_digit(in.s[i + 1]) << 4 | hex_digit(in.s[i + 2]));
            i += 2;
        }
        to[len++] = c;
    }
    bh_buf_grew(&p->decoded, len);
    *out = (struct unp_text){to, len};
    return true;
}

static bool set_libarchive_xattr(struct unp_pax *p, struct unp_text name, struct unp_text value) {
    struct unp_text n;
    struct unp_text v;
    /* Decoded bytes are pointed at, so they must not move: take all that one header can need at once. */
    if (p->decoded.len == 0 && bh_buf_room(&p->decoded, p->decoded_room) == NULL)
        return false;
    return percent(p, name, &n) && base64(p, value, &v) && set_xattr(p, n, v);
}

static bool apply(struct unp_pax *p, struct record r) {
    if (key_is(r.key, "path"))
        return set_name(&p->path, r.value);
    if (key_is(r.key, "linkpath"))
        return set_name(&p->link, r.value);
    if (key_is(r.key, "size"))
        return set_u64(&p->has_size, &p->size, r.value);
    if (key_is(r.key, "uid"))
        return set_id(&p->has_uid, &p->uid, r.value);
    if (key_is(r.key, "gid"))
        return set_id(&p->has_gid, &p->gid, r.value);
    if (key_is(r.key, "mtime"))
        return set_time(p, r.value);
    if (key_starts(&r.key, "GNU.sparse."))
        return set_sparse(p, r.key, r.value);
    if (key_starts(&r.key, "SCHILY.xattr."))
        return set_xattr(p, r.key, r.value);
    if (key_starts(&r.key, "LIBARCHIVE.xattr."))
        return set_libarchive_xattr(p, r.key, r.value);
    return true;
}

static int bad_record(struct bh_err *err, uint64_t at, struct unp_text key) {
    char what[160];
    int n = key.n > 80 ? 80 : (int)key.n;
    __builtin_snprintf(what, sizeof what, "the value of '%.*s' is not valid", n, key.s);
    return bad(err, at, what);
}

int unp_pax_parse(struct unp_pax *p, const char *data, size_t n, uint64_t at, struct bh_err *err) {
    p->decoded_room = n;
    while (n > 0) {
        struct record r;
        if (next_record(&data, &n, &r) != 0)
            return bad(err, at, "a record's length does not fit");
        if (!apply(p, r))
            return bad_record(err, at, r.key);
    }
    if (p->half_pair)
        return bad(err, at, "a sparse offset has no length");
    return 0;
}

static bool global_allowed(struct unp_text key) {
    return !key_is(key, "path") && !key_is(key, "linkpath") && !key_is(key, "size") &&
           !key_starts(&key, "GNU.sparse.") && !key_starts(&key, "SCHILY.xattr.") &&
           !key_starts(&key, "LIBARCHIVE.xattr.");
}

int unp_pax_parse_global(struct unp_pax *p, const char *data, size_t n, uint64_t at, struct bh_err *err) {
    while (n > 0) {
        struct record r;
        if (next_record(&data, &n, &r) != 0)
            return bad(err, at, "a record's length does not fit");
        if (!global_allowed(r.key))
            return bad(err, at, "names, sizes and attributes cannot be set for all entries at once");
        if (!apply(p, r))
            return bad_record(err, at, r.key);
    }
    return 0;
}
