/*
 * tar_reader.c - the state machine over header blocks, extensions and data.
 *
 * Room: worker.  Trusts nothing.  Must not look at data of files, and must not let two readings of one
 * archive be possible: what is ambiguous is refused.
 * How one entry is put together from its headers is in tar_entry.c.
 */
#include "unpack/tar_reader.h"

#include <string.h>

#include "unpack/tar_entry.h"
#include "unpack/limit.h"

void unp_tar_init(struct unp_tar *t, const struct unp_tar_limits *limits, unp_tar_fn *fn, void *arg) {
    memset(t, 0, sizeof *t);
    t->limits = *limits;
    t->fn = fn;
    t->arg = arg;
    size_t ext_max = limits->max_pax > limits->max_path ? limits->max_pax : limits->max_path;
    bh_buf_init(&t->ext, ext_max + 1);
    bh_buf_init(&t->pax_bytes, ext_max + 1);
    bh_buf_init(&t->long_name, ext_max + 1);
    bh_buf_init(&t->long_link, ext_max + 1);
    bh_buf_init(&t->name, 0);
    unp_pax_init(&t->pax);
    unp_pax_init(&t->global);
}

void unp_tar_fini(struct unp_tar *t) {
    bh_buf_fini(&t->ext);
    bh_buf_fini(&t->pax_bytes);
    bh_buf_fini(&t->long_name);
    bh_buf_fini(&t->long_link);
    bh_buf_fini(&t->name);
    unp_pax_fini(&t->pax);
    unp_pax_fini(&t->global);
    unp_sparse_fini(&t->sparse);
}

static int bad(const struct unp_tar *t, struct bh_err *err, const char *what) {
    bh_err_set(err, BH_E_INVALID, "tar: at byte %llu: %s", (unsigned long long)t->at, what);
    return bh_err_reason(err, "invalid-tar");
}

static int cut_off(const struct unp_tar *t, struct bh_err *err, const char *where) {
    bh_err_set(err, BH_E_INVALID, "tar: it ends after %llu bytes inside %s", (unsigned long long)t->at, where);
    bh_err_hint(err, "the archive was cut off: fetch or make it again");
    return bh_err_reason(err, "cut-off");
}

/* ---- extended headers ---------------------------------------------------------------------- */

static int finish_long(struct unp_tar *t, struct bh_buf *to, bool *has, struct bh_err *err) {
    size_t n = t->ext.len == 0 ? 0 : strnlen(t->ext.data, t->ext.len);
    for (size_t i = n; i < t->ext.len; i++)
        if (t->ext.data[i] != 0)
            return bad(t, err, "a long name has bytes behind its end");
    if (n == 0)
        return bad(t, err, "a long name is empty");
    if (*has)
        return bad(t, err, "two long names for one entry");
    bh_buf_reset(to);
    bh_buf_add(to, t->ext.data, n);
    *has = true;
    return 0;
}

static int finish_pax(struct unp_tar *t, struct bh_err *err) {
    if (t->has_pax)
        return bad(t, err, "two extended headers for one entry");
    struct bh_buf swap = t->pax_bytes;
    t->pax_bytes = t->ext;
    t->ext = swap;
    t->has_pax = true;
    return unp_pax_parse(&t->pax, bh_buf_str(&t->pax_bytes), t->pax_bytes.len, t->ext_at, err);
}

static int finish_extension(struct unp_tar *t, struct bh_err *err) {
    t->state = UNP_TAR_HEADER;
    switch (t->ext_type) {
    case 'x':
        return finish_pax(t, err);
    case 'g':
        return unp_pax_parse_global(&t->global, bh_buf_str(&t->ext), t->ext.len, t->ext_at, err);
    case 'L':
        return finish_long(t, &t->long_name, &t->has_long_name, err);
    default:
        return finish_long(t, &t->long_link, &t->has_long_link, err);
    }
}

static int begin_extension(struct unp_tar *t, const struct unp_tar_header *h, struct bh_err *err) {
    bool is_name = h->type == 'L' || h->type == 'K';
    uint64_t max = is_name ? (uint64_t)t->limits.max_path + 1 : t->limits.max_pax;
    if ((uint64_t)h->size > max) {
        bh_err_set(err, BH_E_LIMIT, "tar: at byte %llu: %s of %llu bytes, %s is %u", (unsigned long long)t->at,
                   is_name ? "a name" : "an extended header", (unsigned long long)h->size,
                   is_name ? "limits.path" : "the limit", is_name ? t->limits.max_path : t->limits.max_pax);
        return unp_limit(err, is_name ? "limits.path" : NULL);
    }
    if (h->type == 'g' && (t->has_pax || t->has_long_name || t->has_long_link))
        return bad(t, err, "a global header between an entry and its own");
    t->ext_type = h->type;
    t->ext_size = (uint64_t)h->size;
    t->ext_at = t->at;
    bh_buf_reset(&t->ext);
    t->state = UNP_TAR_EXTENSION;
    return t->ext_size == 0 ? finish_extension(t, err) : 0;
}

static int extension_block(struct unp_tar *t, const unsigned char *b, struct bh_err *err) {
    uint64_t rest = t->ext_size - t->ext.len;
    bh_buf_add(&t->ext, b, rest < UNP_TAR_BLK ? (size_t)rest : UNP_TAR_BLK);
    if (bh_buf_failed(&t->ext))
        return bh_err_set(err, BH_E_LIMIT, "tar: out of memory for an extended header");
    return t->ext.len == t->ext_size ? finish_extension(t, err) : 0;
}

/* ---- entries ------------------------------------------------------------------------------- */

void unp_tar_clear_pending(struct unp_tar *t) {
    if (t->has_pax)
        unp_pax_reset(&t->pax);
    t->has_pax = false;
    t->has_long_name = false;
    t->has_long_link = false;
    t->is_sparse = false;
    t->sparse.n = 0;
}

void unp_tar_pass_data(struct unp_tar *t, uint64_t size) {
    t->skip = (size + UNP_TAR_BLK - 1) / UNP_TAR_BLK * UNP_TAR_BLK; /* sizes stay below 2^62 */
    t->state = t->skip > 0 ? UNP_TAR_DATA : UNP_TAR_HEADER;
}

static int zero_block(struct unp_tar *t, struct bh_err *err) {
    if (t->has_pax || t->has_long_name || t->has_long_link)
        return bad(t, err, "an extended header without its entry");
    if (++t->zero_blocks == 2)
        t->state = UNP_TAR_DONE;
    return 0;
}

static int header_block(struct unp_tar *t, const unsigned char *b, struct bh_err *err) {
    if (b[0] == 0 && unp_tar_is_zero(b))
        return zero_block(t, err);
    if (t->zero_blocks != 0)
        return bad(t, err, "a header behind a zero block");
    struct unp_tar_header h;
    int rc = unp_tar_header_read(b, t->at - UNP_TAR_BLK, &h, err);
    if (rc != 0)
        return rc;
    if (h.type == 'x' || h.type == 'g' || h.type == 'L' || h.type == 'K')
        return begin_extension(t, &h, err);
    return unp_tar_begin_entry(t, &h, err);
}

static int old_sparse_block(struct unp_tar *t, const unsigned char *b, struct bh_err *err) {
    int rc = unp_sparse_add_old(&t->sparse, b, 21, err);
    if (rc != 0 || b[504] != 0)
        return rc;
    return unp_tar_tell_entry(t, err);
}

static int map_block(struct unp_tar *t, const unsigned char *b, struct bh_err *err) {
    bool done = false;
    if (t->stored < UNP_TAR_BLK)
        return bad(t, err, "a sparse map is longer than its entry");
    t->stored -= UNP_TAR_BLK;
    int rc = unp_sparse_block(&t->lines, &t->sparse, b, &done, err);
    if (rc != 0 || !done)
        return rc;
    return unp_tar_tell_entry(t, err);
}

static int take_block(struct unp_tar *t, const unsigned char *b, struct bh_err *err) {
    t->at += UNP_TAR_BLK;
    switch (t->state) {
    case UNP_TAR_HEADER:
        return header_block(t, b, err);
    case UNP_TAR_EXTENSION:
        return extension_block(t, b, err);
    case UNP_TAR_OLD_SPARSE:
        return old_sparse_block(t, b, err);
    case UNP_TAR_MAP:
        return map_block(t, b, err);
    default:
        return bh_err_set(err, BH_E_INTERNAL, "tar reader in state %d", (int)t->state);
    }
}

/* ---- feeding ------------------------------------------------------------------------------- */

/* What is all zeros at first and something else later is no tar (a disk image, say). */
static bool looks_behind(const struct unp_tar *t) {
    return t->limits.strict_end || t->entries == 0;
}

static int after_end(struct unp_tar *t, const unsigned char *p, size_t n, struct bh_err *err) {
    for (size_t i = 0; looks_behind(t) && i < n; i++)
        if (p[i] != 0)
            return bad(t, err, "bytes behind the end of the archive");
    t->at += n;
    return 0;
}

/* Bytes of p that were used; t->have or a whole block has grown by them. */
static size_t fill_block(struct unp_tar *t, const unsigned char *p, size_t n, const unsigned char **out_block) {
    if (t->have == 0 && n >= UNP_TAR_BLK) {
        *out_block = p;
        return UNP_TAR_BLK;
    }
    size_t k = UNP_TAR_BLK - t->have < n ? UNP_TAR_BLK - t->have : n;
    memcpy(t->block + t->have, p, k);
    t->have += k;
    if (t->have == UNP_TAR_BLK) {
        t->have = 0;
        *out_block = t->block;
    }
    return k;
}

int unp_tar_feed(struct unp_tar *t, const void *data, size_t n, struct bh_err *err) {
    const unsigned char *p = data;
    while (n > 0) {
        if (t->state == UNP_TAR_DONE)
            return after_end(t, p, n, err);
        size_t k;
        if (t->state == UNP_TAR_DATA) {
            k = t->skip < n ? (size_t)t->skip : n;
            unp_tar_skip(t, k);
        } else {
            const unsigned char *block = NULL;
            k = fill_block(t, p, n, &block);
            int rc = block == NULL ? 0 : take_block(t, block, err);
            if (rc != 0)
                return rc;
        }
        p += k;
        n -= k;
    }
    return 0;
}

uint64_t unp_tar_skippable(const struct unp_tar *t) {
    if (t->state == UNP_TAR_DONE)
        return looks_behind(t) ? 0 : UINT64_MAX;
    return t->state == UNP_TAR_DATA ? t->skip : 0;
}

void unp_tar_skip(struct unp_tar *t, uint64_t n) {
    t->at += n;
    if (t->state != UNP_TAR_DATA)
        return;
    t->skip -= n;
    if (t->skip == 0)
        t->state = UNP_TAR_HEADER;
}

int unp_tar_end(struct unp_tar *t, struct bh_err *err) {
    t->at += t->have;
    if (t->state == UNP_TAR_DONE)
        return 0;
    if (t->at > 0 && t->at < UNP_TAR_BLK)
        return bad(t, err, "the data is over; this is not a tar archive");
    if (t->state == UNP_TAR_DATA)
        return cut_off(t, err, "a file");
    if (t->state != UNP_TAR_HEADER || t->have != 0)
        return cut_off(t, err, "a header");
    if (t->has_pax || t->has_long_name || t->has_long_link)
        return cut_off(t, err, "a header");
    if (t->limits.strict_end)
        return cut_off(t, err, "the archive: the two zero blocks at its end are missing");
    return 0;
}
