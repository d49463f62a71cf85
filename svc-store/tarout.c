/*
 * tarout.c - see tarout.h.
 */
#include "tarout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/ustar.h"

#define COPY_STEP ((size_t)1 << 20)
#define MAX_STEP  ((size_t)64 << 20)

enum { MODE_UNKNOWN, MODE_RANGE, MODE_SENDFILE, MODE_PLAIN };

static int put(struct store_tarout *t, const void *data, size_t n, struct bh_err *err) {
    t->written += n;
    if (t->fd < 0)
        return t->sink(t->arg, data, n, err);
    if (bh_write_all(t->fd, data, n) != 0)
        return bh_err_errno(err, errno, "write the archive");
    return 0;
}

static int put_header(struct store_tarout *t, const char *name, char type, uint64_t size, struct bh_err *err) {
    char h[BH_USTAR_BLOCK];

    if (strlen(name) >= BH_USTAR_NAME)
        return bh_err_set(err, BH_E_INTERNAL, "name is too long for the archive: %s", name);
    bh_ustar_header(h, &(struct bh_ustar){.name = name, .type = type, .mode = type == '5' ? 0755 : 0644, .size = size});
    return put(t, h, sizeof h, err);
}

static int put_padding(struct store_tarout *t, uint64_t size, struct bh_err *err) {
    static const char zeros[BH_USTAR_BLOCK];
    size_t n = bh_ustar_padding(size);

    return n == 0 ? 0 : put(t, zeros, n, err);
}

int store_tarout_dir(struct store_tarout *t, const char *name, struct bh_err *err) {
    return put_header(t, name, '5', 0, err);
}

int store_tarout_bytes(struct store_tarout *t, const char *name, const void *data, size_t n, struct bh_err *err) {
    if (put_header(t, name, '0', n, err) != 0 || (n > 0 && put(t, data, n, err) != 0))
        return err->code;
    return put_padding(t, n, err);
}

/* ---- contents ------------------------------------------------------------------------------ */

static bool cannot(int e) {
    return e == EXDEV || e == EINVAL || e == EOPNOTSUPP || e == ENOSYS || e == EBADF;
}

/* Bytes copied, 0 at the end of the source, -1 with errno; falls from one way to the next. */
static ssize_t copy_in_kernel(struct store_tarout *t, int from, off_t *at, size_t n) {
    ssize_t r;

    if (t->mode == MODE_UNKNOWN || t->mode == MODE_RANGE) {
        r = copy_file_range(from, at, t->fd, NULL, n, 0);
        if (r >= 0 || !cannot(errno)) {
            t->mode = MODE_RANGE;
            return r;
        }
        t->mode = MODE_SENDFILE;
    }
    r = sendfile(t->fd, from, at, n);
    if (r < 0 && cannot(errno))
        t->mode = MODE_PLAIN;
    return r;
}

static int copy_kernel(struct store_tarout *t, const char *name, int from, uint64_t *offset, uint64_t *left,
                       struct bh_err *err) {
    while (*left > 0 && t->mode != MODE_PLAIN) {
        off_t at = (off_t)*offset;
        ssize_t n = copy_in_kernel(t, from, &at, *left < MAX_STEP ? (size_t)*left : MAX_STEP);

        if (n < 0 && (errno == EINTR || t->mode == MODE_PLAIN))
            continue;
        if (n < 0)
            return bh_err_errno(err, errno, "write %s into the archive", name);
        if (n == 0)
            return bh_err_set(err, BH_E_DATA_LOSS, "%s is shorter than it should be", name);
        *offset += (uint64_t)n;
        *left -= (uint64_t)n;
        t->written += (uint64_t)n;
    }
    return 0;
}

static int copy_plain(struct store_tarout *t, const char *name, int from, uint64_t offset, uint64_t left,
                      struct bh_err *err) {
    BH_SCOPE_FREE char *buf = left > 0 ? malloc(COPY_STEP) : NULL;

    if (left > 0 && buf == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory to write the archive");
    while (left > 0) {
        size_t want = left < COPY_STEP ? (size_t)left : COPY_STEP;
        ssize_t n = bh_pread_full(from, buf, want, (off_t)offset);

        if (n < 0)
            return bh_err_errno(err, errno, "read %s", name);
        if ((size_t)n < want)
            return bh_err_set(err, BH_E_DATA_LOSS, "%s is shorter than it should be", name);
        if (put(t, buf, want, err) != 0)
            return err->code;
        offset += want;
        left -= want;
    }
    return 0;
}

int store_tarout_file(struct store_tarout *t, const char *name, int from, uint64_t offset, uint64_t size,
                      struct bh_err *err) {
    uint64_t left = size;

    if (put_header(t, name, '0', size, err) != 0)
        return err->code;
    if (t->fd >= 0 && copy_kernel(t, name, from, &offset, &left, err) != 0)
        return err->code;
    if (copy_plain(t, name, from, offset, left, err) != 0)
        return err->code;
    return put_padding(t, size, err);
}

int store_tarout_end(struct store_tarout *t, struct bh_err *err) {
    static const char zeros[2 * BH_USTAR_BLOCK];

    return put(t, zeros, sizeof zeros, err);
}
