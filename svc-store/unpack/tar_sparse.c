/*
 * tar_sparse.c - the four ways to write a sparse map, and the one check they all pass.
 *
 * Room: worker.  Trusts no count: lists grow as entries really come.
 */
#include "unpack/tar_sparse.h"

#include <stdlib.h>

#include "unpack/tar_header.h"
#include "unpack/tar_number.h"

void unp_sparse_fini(struct unp_sparse *s) {
    free(s->v);
    *s = (struct unp_sparse){0};
}

static int bad(struct bh_err *err, const char *what) {
    bh_err_set(err, BH_E_INVALID, "tar: sparse file: %s", what);
    return bh_err_reason(err, "invalid-tar");
}

int unp_sparse_add(struct unp_sparse *s, uint64_t at, uint64_t len, struct bh_err *err) {
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 16 : s->cap * 2;
        if (s->n >= UNP_SPARSE_MAX)
            return bh_err_set(err, BH_E_LIMIT, "tar: sparse file: more than %u pieces", UNP_SPARSE_MAX);
        struct unp_extent *v = realloc(s->v, cap * sizeof *v);
        if (v == NULL)
            return bh_err_set(err, BH_E_LIMIT, "tar: sparse file: out of memory");
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = (struct unp_extent){at, len};
    return 0;
}

int unp_sparse_add_old(struct unp_sparse *s, const unsigned char *slots, size_t n_slots, struct bh_err *err) {
    for (size_t i = 0; i < n_slots; i++, slots += 24) {
        int64_t at = 0;
        int64_t len = 0;
        if (slots[0] == 0 && slots[12] == 0)
            return 0;
        if (!unp_tar_field(slots, 12, &at) || !unp_tar_field(slots + 12, 12, &len) || at < 0 || len < 0)
            return bad(err, "its map has a bad number");
        int rc = unp_sparse_add(s, (uint64_t)at, (uint64_t)len, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static size_t number_len(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && text[i] != ',')
        i++;
    return i;
}

int unp_sparse_add_text(struct unp_sparse *s, const char *text, size_t n, struct bh_err *err) {
    while (n > 0) {
        uint64_t pair[2];
        for (int k = 0; k < 2; k++) {
            size_t len = number_len(text, n);
            if (!unp_pax_u64(text, len, &pair[k]) || (len == n && k == 0) || len + 1 == n)
                return bad(err, "its map has a bad number");
            size_t cut = len < n ? len + 1 : len;
            text += cut;
            n -= cut;
        }
        int rc = unp_sparse_add(s, pair[0], pair[1], err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int unp_sparse_check(const struct unp_sparse *s, uint64_t real_size, uint64_t stored, uint64_t at, struct bh_err *err) {
    uint64_t end = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct unp_extent *x = &s->v[i];
        if (x->at < end || x->at > real_size || x->len > real_size - x->at)
            return bad(err, "its map is out of order or leaves the file");
        end = x->at + x->len;
        sum += x->len; /* at most real_size: the pieces do not overlap */
    }
    if (sum != stored) {
        bh_err_set(err, BH_E_INVALID, "tar: sparse file at byte %llu: the map names %llu bytes, the archive holds %llu",
                   (unsigned long long)at, (unsigned long long)sum, (unsigned long long)stored);
        return bh_err_reason(err, "invalid-tar");
    }
    return 0;
}

static int take_number(struct unp_sparse_lines *l, struct unp_sparse *s, struct bh_err *err) {
    uint64_t v = l->number;
    if (l->digits == 0)
        return bad(err, "its map has an empty line");
    l->number = 0;
    l->digits = 0;
    if (!l->have_count) {
        if (v > UNP_SPARSE_MAX)
            return bh_err_set(err, BH_E_LIMIT, "tar: sparse file: more than %u pieces", UNP_SPARSE_MAX);
        l->have_count = true;
        l->want = v * 2;
        return 0;
    }
    l->want--;
    l->have_offset = !l->have_offset;
    if (l->have_offset) {
        l->offset = v;
        return 0;
    }
    return unp_sparse_add(s, l->offset, v, err);
}

int unp_sparse_block(struct unp_sparse_lines *l, struct unp_sparse *s, const unsigned char *block, bool *done,
                     struct bh_err *err) {
    for (size_t i = 0; i < UNP_TAR_BLK; i++) {
        unsigned char c = block[i];
        if (c == '\n') {
            int rc = take_number(l, s, err);
            if (rc != 0)
                return rc;
            if (l->have_count && l->want == 0) {
                *done = true;
                return 0;
            }
        } else if (c >= '0' && c <= '9' && l->digits < 19) {
            l->number = l->number * 10 + (unsigned)(c - '0');
            l->digits++;
        } else {
            return bad(err, "its map has a bad number");
        }
    }
    return 0;
}
