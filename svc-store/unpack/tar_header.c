/*
 * tar_header.c - checksum, form and fields of one header block.
 *
 * Room: worker.  Trusts nothing.  Must not take a text field for a C string: a full field has no NUL.
 */
#include "unpack/tar_header.h"

#include <string.h>

#include "unpack/tar_number.h"

/* Offsets of the fields. */
enum {
    F_NAME = 0,
    F_MODE = 100,
    F_UID = 108,
    F_GID = 116,
    F_SIZE = 124,
    F_MTIME = 136,
    F_SUM = 148,
    F_TYPE = 156,
    F_LINK = 157,
    F_MAGIC = 257,
    F_PREFIX = 345,
    F_STAR_END = 508,
};

bool unp_tar_is_zero(const unsigned char block[UNP_TAR_BLK]) {
    uint64_t acc = 0;
    for (size_t i = 0; i < UNP_TAR_BLK; i += 8) {
        uint64_t w;
        memcpy(&w, block + i, 8);
        acc |= w;
    }
    return acc == 0;
}

bool unp_tar_checksum_ok(const unsigned char block[UNP_TAR_BLK]) {
    int64_t want = 0;
    if (!unp_tar_field(block + F_SUM, 8, &want))
        return false;
    uint32_t plain = 8 * ' ';
    for (size_t i = 0; i < UNP_TAR_BLK; i++)
        plain += block[i];
    for (size_t i = F_SUM; i < F_SUM + 8; i++)
        plain -= block[i];
    if (want == (int64_t)plain)
        return true;
    int64_t signed_sum = INT64_C(8) * ' ';
    for (size_t i = 0; i < UNP_TAR_BLK; i++)
        signed_sum += i >= F_SUM && i < F_SUM + 8 ? 0 : (signed char)block[i];
    return want == signed_sum;
}

static enum unp_tar_form form_of(const unsigned char *b) {
    if (memcmp(b + F_MAGIC, "ustar  ", 8) == 0)
        return UNP_TAR_GNU;
    if (memcmp(b + F_MAGIC, "ustar", 6) == 0)
        return memcmp(b + F_STAR_END, "tar", 4) == 0 ? UNP_TAR_STAR : UNP_TAR_USTAR;
    return UNP_TAR_V7;
}

static void text(const unsigned char *b, size_t at, size_t width, const char **out, size_t *out_len) {
    *out = (const char *)b + at;
    *out_len = strnlen(*out, width);
}

static int bad(struct bh_err *err, uint64_t at, const char *what) {
    bh_err_set(err, BH_E_INVALID, "tar header at byte %llu: %s", (unsigned long long)at, what);
    return bh_err_reason(err, "invalid-tar");
}

static int numbers(const unsigned char *b, uint64_t at, struct unp_tar_header *h, struct bh_err *err) {
    int64_t mode = 0;
    if (!unp_tar_field(b + F_MODE, 8, &mode))
        return bad(err, at, "the mode is not a number");
    if (!unp_tar_field(b + F_UID, 8, &h->uid) || !unp_tar_field(b + F_GID, 8, &h->gid))
        return bad(err, at, "an owner is not a number");
    if (!unp_tar_field(b + F_SIZE, 12, &h->size))
        return bad(err, at, "the size is not a number");
    if (h->size < 0)
        return bad(err, at, "the size is negative");
    if (!unp_tar_field(b + F_MTIME, 12, &h->mtime))
        return bad(err, at, "the time is not a number");
    h->mode = (uint32_t)(mode & 07777);
    return 0;
}

int unp_tar_header_read(const unsigned char block[UNP_TAR_BLK], uint64_t at, struct unp_tar_header *out,
                        struct bh_err *err) {
    if (!unp_tar_checksum_ok(block))
        return bad(err, at, at == 0 ? "wrong checksum; this is not a tar archive" : "wrong checksum");
    *out = (struct unp_tar_header){.form = form_of(block), .block = block};
    int rc = numbers(block, at, out, err);
    if (rc != 0)
        return rc;
    out->type = (char)block[F_TYPE];
    if (out->type == '\0') {
        out->type = '0';
        out->old_regular = true;
    }
    text(block, F_NAME, 100, &out->name, &out->name_len);
    text(block, F_LINK, 100, &out->link, &out->link_len);
    if (out->form == UNP_TAR_USTAR)
        text(block, F_PREFIX, 155, &out->prefix, &out->prefix_len);
    else if (out->form == UNP_TAR_STAR)
        text(block, F_PREFIX, 131, &out->prefix, &out->prefix_len);
    return 0;
}

bool unp_tar_no_data(char type) {
    return type >= '1' && type <= '6';
}
