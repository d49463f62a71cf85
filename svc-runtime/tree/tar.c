/*
 * tar.c - writes ustar headers, with pax records for what they cannot hold.
 *
 * Room: tree.  Output depends on the entry alone: no names of users, no time of writing.
 * POSIX.1-2017 pax, with the SCHILY.xattr records that docker and GNU tar read.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fdio.h"
#include "tree.h"

#define BLOCK   512u
#define OUT_MAX ((size_t)1 << 20)

struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], type, link[100], magic[6], version[2],
        uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

void tree_tar_init(struct tree_tar *t, int fd) {
    *t = (struct tree_tar){.fd = fd};
    bh_buf_init(&t->out, OUT_MAX + 65536);
    bh_buf_init(&t->pax, (size_t)4 << 20);
}

static int flush(struct tree_tar *t, struct bh_err *err) {
    if (t->out.len > 0 && bh_write_all(t->fd, t->out.data, t->out.len) != 0)
        return bh_err_errno(err, errno, "write the archive");
    bh_buf_reset(&t->out);
    return 0;
}

static int put(struct tree_tar *t, const void *data, size_t n, struct bh_err *err) {
    t->offset += n;
    if (n > 65536) { /* too large for what is left of the buffer in any case */
        if (flush(t, err) != 0)
            return err->code;
        return bh_write_all(t->fd, data, n) == 0 ? 0 : bh_err_errno(err, errno, "write the archive");
    }
    bh_buf_add(&t->out, data, n);
    return t->out.len >= OUT_MAX ? flush(t, err) : 0;
}

static int pad(struct tree_tar *t, struct bh_err *err) {
    static const char zeros[BLOCK];

    return t->offset % BLOCK == 0 ? 0 : put(t, zeros, BLOCK - t->offset % BLOCK, err);
}

void tree_pax_add(struct bh_buf *b, const char *key, const void *value, size_t n) {
    size_t body = strlen(key) + n + 3; /* blank, '=', newline */
    size_t total = body + 1;
    char digits[24];

    while (total != body + (size_t)snprintf(digits, sizeof(digits), "%zu", total))
        total = body + (size_t)snprintf(digits, sizeof(digits), "%zu", total);
    bh_buf_addf(b, "%zu %s=", total, key);
    bh_buf_add(b, value, n);
    bh_buf_addc(b, '\n');
}

/* width counts the NUL.  A number that does not fit goes into a record, the field stays 0. */
static void number(struct bh_buf *pax, char *field, unsigned width, uint64_t v, const char *key) {
    char text[32];

    if (v < (uint64_t)1 << (3 * (width - 1))) {
        snprintf(text, sizeof(text), "%0*llo", (int)width - 1, (unsigned long long)v);
        memcpy(field, text, width);
        return;
    }
    memset(field, '0', width - 1);
    if (key != NULL)
        tree_pax_add(pax, key, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)v));
}

/* Time before 1970 counts backwards in the fraction as well: -1.25 is 2 s before plus 0.75. */
static void times(struct bh_buf *pax, struct ustar *h, const struct timespec *t) {
    long long s = t->tv_sec;
    long ns = t->tv_nsec;
    char text[48];
    int n;

    number(pax, h->mtime, sizeof(h->mtime), s >= 0 ? (uint64_t)s : 0, NULL);
    if (ns == 0 && s >= 0 && s < (1LL << 33))
        return;
    if (s < 0 && ns != 0) {
        s++;
        ns = 1000000000 - ns;
    }
    n = snprintf(text, sizeof(text), "%s%lld", t->tv_sec < 0 && s == 0 ? "-" : "", s);
    if (ns != 0) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09ld", ns);
        while (text[n - 1] == '0')
            n--;
    }
    tree_pax_add(pax, "mtime", text, (size_t)n);
}

/* A long name is cut at a slash into prefix and name, if it can be. */
static void name(struct bh_buf *pax, struct ustar *h, const char *path) {
    size_t n = strlen(path);

    if (n <= sizeof(h->name)) {
        memcpy(h->name, path, n);
        return;
    }
    for (size_t i = n > 256 ? n : n - 101; i < n - 1 && i <= sizeof(h->prefix); i++)
        if (path[i] == '/' && i > 0) {
            memcpy(h->prefix, path, i);
            memcpy(h->name, path + i + 1, n - i - 1);
            return;
        }
    memcpy(h->name, path, sizeof(h->name));
    tree_pax_add(pax, "path", path, n);
}

static void seal(struct ustar *h) {
    const unsigned char *p = (const unsigned char *)h;
    unsigned sum = 0;
    char text[16];

    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    memset(h->chksum, ' ', sizeof(h->chksum));
    for (unsigned i = 0; i < BLOCK; i++)
        sum += p[i];
    snprintf(text, sizeof(text), "%06o", sum);
    memcpy(h->chksum, text, 7);
}

static int put_pax(struct tree_tar *t, struct bh_err *err) {
    struct ustar h = {.name = "PaxHeaders", .type = 'x'};

    number(&t->pax, h.mode, sizeof(h.mode), 0644, NULL);
    number(&t->pax, h.uid, sizeof(h.uid), 0, NULL);
    number(&t->pax, h.gid, sizeof(h.gid), 0, NULL);
    number(&t->pax, h.size, sizeof(h.size), t->pax.len, NULL);
    number(&t->pax, h.mtime, sizeof(h.mtime), 0, NULL);
    seal(&h);
    if (put(t, &h, sizeof(h), err) != 0 || put(t, t->pax.data, t->pax.len, err) != 0)
        return err->code;
    return pad(t, err);
}

int tree_tar_header(struct tree_tar *t, const struct tree_tar_entry *e, struct bh_err *err) {
    struct ustar h = {.type = e->type};
    size_t n = e->link != NULL ? strlen(e->link) : 0;
    bool device = e->type == '3' || e->type == '4';

    bh_buf_reset(&t->pax);
    name(&t->pax, &h, e->path);
    if (n > sizeof(h.link))
        tree_pax_add(&t->pax, "linkpath", e->link, n);
    memcpy(h.link, e->link != NULL ? e->link : "", n < sizeof(h.link) ? n : sizeof(h.link));
    number(&t->pax, h.mode, sizeof(h.mode), e->st.st_mode & 07777, NULL);
    number(&t->pax, h.uid, sizeof(h.uid), e->st.st_uid, "uid");
    number(&t->pax, h.gid, sizeof(h.gid), e->st.st_gid, "gid");
    number(&t->pax, h.size, sizeof(h.size), e->type == '0' ? (uint64_t)e->st.st_size : 0, "size");
    times(&t->pax, &h, &e->st.st_mtim);
    number(&t->pax, h.major, sizeof(h.major), device ? major(e->st.st_rdev) : 0, NULL);
    number(&t->pax, h.minor, sizeof(h.minor), device ? minor(e->st.st_rdev) : 0, NULL);
    if (e->xattrs != NULL)
        bh_buf_add(&t->pax, e->xattrs->data, e->xattrs->len);
    if (bh_buf_failed(&t->pax))
        return bh_err_set(err, BH_E_LIMIT, "its attributes are larger than 4 MiB");
    if (t->pax.len > 0 && put_pax(t, err) != 0)
        return err->code;
    seal(&h);
    return put(t, &h, sizeof(h), err);
}

int tree_tar_content(struct tree_tar *t, int fd, uint64_t size, struct bh_err *err) {
    static char chunk[256 << 10];

    while (size > 0) {
        size_t want = size < sizeof(chunk) ? (size_t)size : sizeof(chunk);
        ssize_t n = bh_read_full(fd, chunk, want);

        if (n < 0)
            return bh_err_errno(err, errno, "read a file");
        memset(chunk + n, 0, want - (size_t)n); /* it has become shorter since its header was written */
        if (put(t, chunk, want, err) != 0)
            return err->code;
        size -= want;
    }
    return pad(t, err);
}

int tree_tar_end(struct tree_tar *t, struct bh_err *err) {
    static const char zeros[2 * BLOCK];
    int r = put(t, zeros, sizeof(zeros), err);

    if (r == 0)
        r = flush(t, err);
    bh_buf_fini(&t->out);
    bh_buf_fini(&t->pax);
    return r;
}
