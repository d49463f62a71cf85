/*
 * extract.c - lays a verified layer out as files, for hosts whose kernel cannot mount it.
 *
 * Room: tree, as a throw-away child of launch: chrooted to the folder that it fills, with the
 * capabilities to make files of every owner and no others.  Reads the index that launch has just
 * verified, never the tar's headers; its own bounds checks are a second line.  docs/store-format.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "layer/layer_check.h"
#include "tree.h"

struct extract {
    struct bh_layer_header h;
    const unsigned char *index;
    char **first; /* by inode number: the path of a file with several names */
    struct bh_buf path;
    struct bh_err *err;
};

static int fill(struct extract *x, int dir, const struct bh_erofs_inode *in);

static const unsigned char *bytes(const struct extract *x, uint64_t at, uint64_t n) {
    return bh_layer_inside(at, n, 0, x->h.index_size) ? x->index + at : NULL;
}

static uint64_t xattr_bytes(const struct bh_erofs_inode *in) {
    return in->i_xattr_icount == 0 ? 0 : 12 + ((uint64_t)in->i_xattr_icount - 1) * 4;
}

static int broken(struct extract *x) {
    return bh_err_set(x->err, BH_E_DATA_LOSS, "the index has changed since it was verified");
}

/* ---- attributes -------------------------------------------------------------------------------- */

static int set_xattr(struct extract *x, int fd, const struct bh_erofs_xattr *e) {
    static const char *const prefix[] = {"", "user.",    "system.posix_acl_access", "system.posix_acl_default", "",
                                         "", "security."};
    char name[300];

    if (e->name_index >= BH_ARRAY_LEN(prefix) || prefix[e->name_index][0] == 0)
        return 0; /* trusted.overlay.opaque: its twin below user. is what our overlay reads */
    snprintf(name, sizeof(name), "%s%.*s", prefix[e->name_index], e->name_len, e->name);
    if (fsetxattr(fd, name, e->name + e->name_len, e->value_size, 0) != 0)
        return bh_err_errno(x->err, errno, "set %s", name);
    return 0;
}

static int set_xattrs(struct extract *x, int fd, uint64_t at, const struct bh_erofs_inode *in) {
    uint64_t left = xattr_bytes(in), pos = 12;
    const unsigned char *p = bytes(x, at + sizeof(*in), left);
    int r = 0;

    while (r == 0 && p != NULL && pos + sizeof(struct bh_erofs_xattr) <= left) {
        const struct bh_erofs_xattr *e = (const void *)(p + pos);
        uint64_t size = (sizeof(*e) + e->name_len + e->value_size + 3) & ~(uint64_t)3;

        if (size > left - pos)
            return broken(x);
        r = set_xattr(x, fd, e);
        pos += size;
    }
    return r;
}

static int set_all(struct extract *x, int fd, uint64_t at, const struct bh_erofs_inode *in) {
    const struct timespec t[2] = {{in->i_mtime, in->i_mtime_nsec}, {in->i_mtime, in->i_mtime_nsec}};
    int r;

    if (fchown(fd, in->i_uid, in->i_gid) != 0)
        return bh_err_errno(x->err, errno, "set an owner");
    r = set_xattrs(x, fd, at, in);
    if (r == 0 && fchmod(fd, in->i_mode & 07777) != 0)
        r = bh_err_errno(x->err, errno, "set a mode");
    if (r == 0 && futimens(fd, t) != 0)
        r = bh_err_errno(x->err, errno, "set a time");
    return r;
}

static int set_name(struct extract *x, int dir, const char *name, const struct bh_erofs_inode *in) {
    const struct timespec t[2] = {{in->i_mtime, in->i_mtime_nsec}, {in->i_mtime, in->i_mtime_nsec}};

    if (fchownat(dir, name, in->i_uid, in->i_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
        utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW) != 0)
        return bh_err_errno(x->err, errno, "set owner and time");
    return 0;
}

/* ---- kinds of files ------------------------------------------------------------------------------ */

static int copy(struct extract *x, int to, const struct bh_erofs_inode *in) {
    loff_t from = (loff_t)in->i_u * BH_LAYER_BLK;
    uint64_t left = in->i_size;

    while (left > 0) {
        ssize_t n = copy_file_range(TREE_FD_OTHER, &from, to, NULL, left, 0);

        if (n <= 0)
            return bh_err_errno(x->err, n < 0 ? errno : EIO, "copy a file's content");
        left -= (uint64_t)n;
    }
    return 0;
}

static int make_file(struct extract *x, int dir, const char *name, uint64_t at, const struct bh_erofs_inode *in) {
    BH_SCOPE_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return bh_err_errno(x->err, errno, "create a file");
    return copy(x, fd, in) == 0 ? set_all(x, fd, at, in) : x->err->code;
}

static int make_link(struct extract *x, int dir, const char *name, uint64_t at, const struct bh_erofs_inode *in) {
    bool is_inline = in->i_format == BH_EROFS_INLINE;
    uint64_t where =
        is_inline ? at + sizeof(*in) + xattr_bytes(in) : (uint64_t)in->i_u * BH_LAYER_BLK - x->h.index_offset;
    const unsigned char *p = bytes(x, where, in->i_size);
    char target[BH_LAYER_SYMLINK_MAX + 1];

    if (p == NULL || in->i_size > BH_LAYER_SYMLINK_MAX)
        return broken(x);
    memcpy(target, p, in->i_size);
    target[in->i_size] = 0;
    if (symlinkat(target, dir, name) != 0)
        return bh_err_errno(x->err, errno, "make a symlink");
    return set_name(x, dir, name, in);
}

static int make_folder(struct extract *x, int dir, const char *name, uint64_t at, const struct bh_erofs_inode *in) {
    BH_SCOPE_CLOSE int fd = -1;

    if (mkdirat(dir, name, 0700) != 0)
        return bh_err_errno(x->err, errno, "make a folder");
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return bh_err_errno(x->err, errno, "open a folder");
    return fill(x, fd, in) == 0 ? set_all(x, fd, at, in) : x->err->code;
}

static int make_node(struct extract *x, int dir, const char *name, const struct bh_erofs_inode *in) {
    bool fifo = S_ISFIFO(in->i_mode);

    if (mknodat(dir, name, fifo ? S_IFIFO | 0600 : S_IFCHR, 0) != 0)
        return bh_err_errno(x->err, errno, "make a %s", fifo ? "fifo" : "whiteout");
    if (fifo && fchmodat(dir, name, in->i_mode & 07777, 0) != 0)
        return bh_err_errno(x->err, errno, "set a mode");
    return fifo ? set_name(x, dir, name, in) : 0;
}

/* chown clears setuid and friends, so the mode of a fifo is set again by set_name's caller order: kept simple, fifos
 * with such bits do not matter. */
static int make(struct extract *x, int dir, const char *name, uint64_t nid) {
    uint64_t at = nid * BH_EROFS_SLOT;
    const unsigned char *p = bytes(x, at, sizeof(struct bh_erofs_inode));
    struct bh_erofs_inode in;

    if (p == NULL)
        return broken(x);
    memcpy(&in, p, sizeof(in));
    if (!S_ISDIR(in.i_mode) && in.i_nlink > 1) {
        if (in.i_ino == 0 || in.i_ino > x->h.inodes)
            return broken(x);
        if (x->first[in.i_ino] != NULL)
            return linkat(AT_FDCWD, x->first[in.i_ino], dir, name, 0) == 0
                       ? 0
                       : bh_err_errno(x->err, errno, "make a hard link");
        x->first[in.i_ino] = bh_xasprintf("/%s", bh_buf_str(&x->path));
    }
    switch (in.i_mode & S_IFMT) {
    case S_IFREG:
        return make_file(x, dir, name, at, &in);
    case S_IFDIR:
        return make_folder(x, dir, name, at, &in);
    case S_IFLNK:
        return make_link(x, dir, name, at, &in);
    default:
        return make_node(x, dir, name, &in);
    }
}

/* ---- folders ----------------------------------------------------------------------------------------- */

static int entry(struct extract *x, int dir, const struct bh_erofs_dirent *e, const char *name, size_t len) {
    size_t before = x->path.len;
    char text[BH_LAYER_NAME_MAX + 1];
    int r;

    if (len == 0 || len > BH_LAYER_NAME_MAX)
        return broken(x);
    memcpy(text, name, len);
    text[len] = 0;
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return 0;
    if (strlen(text) != len || strchr(text, '/') != NULL)
        return broken(x);
    if (before > 0)
        bh_buf_addc(&x->path, '/');
    bh_buf_add(&x->path, text, len);
    r = make(x, dir, text, e->nid);
    if (r == 0) {
        x->path.len = before;
        x->path.data[before] = 0;
    }
    return r;
}

static int block(struct extract *x, int dir, const unsigned char *p, uint32_t size) {
    struct bh_erofs_dirent e;
    uint32_t n;
    int r = 0;

    memcpy(&e, p, sizeof(e));
    n = e.nameoff / (uint32_t)sizeof(e);
    for (uint32_t i = 0; i < n && r == 0; i++) {
        uint32_t end;

        if ((i + 1) * sizeof(e) > size)
            return broken(x);
        memcpy(&e, p + i * sizeof(e), sizeof(e));
        if (e.nameoff >= size)
            return broken(x);
        end = e.nameoff + (uint32_t)strnlen((const char *)p + e.nameoff, size - e.nameoff);
        if (i + 1 < n) {
            struct bh_erofs_dirent next;

            if ((i + 2) * sizeof(e) > size)
                return broken(x);
            memcpy(&next, p + (i + 1) * sizeof(e), sizeof(next));
            end = next.nameoff;
        }
        r = end > size || end <= e.nameoff ? broken(x)
                                           : entry(x, dir, &e, (const char *)p + e.nameoff, end - e.nameoff);
    }
    return r;
}

static int fill(struct extract *x, int dir, const struct bh_erofs_inode *in) {
    uint64_t at = (uint64_t)in->i_u * BH_LAYER_BLK - x->h.index_offset;
    const unsigned char *p = bytes(x, at, in->i_size);
    int r = p == NULL ? broken(x) : 0;

    for (uint64_t done = 0; r == 0 && done < in->i_size; done += BH_LAYER_BLK) {
        uint64_t left = in->i_size - done;

        r = left < sizeof(struct bh_erofs_dirent)
                ? broken(x)
                : block(x, dir, p + done, (uint32_t)(left < BH_LAYER_BLK ? left : BH_LAYER_BLK));
    }
    return r;
}

int tree_extract(struct bh_err *err) {
    struct extract x = {.err = err};
    BH_SCOPE_CLOSE int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct bh_erofs_inode in;
    uint64_t page;
    int r = bh_layer_open(TREE_FD_OTHER, &x.h, err);

    if (r != 0)
        return r;
    page = x.h.index_offset % 4096;
    x.index =
        mmap(NULL, x.h.index_size + page, PROT_READ, MAP_PRIVATE, TREE_FD_OTHER, (off_t)(x.h.index_offset - page));
    if (x.index == MAP_FAILED || root < 0)
        return bh_err_errno(err, errno, "map the index");
    x.index += page;
    x.first = bh_xcalloc(x.h.inodes + 1, sizeof(*x.first));
    memcpy(&in, x.index + (size_t)BH_EROFS_ROOT_NID * BH_EROFS_SLOT, sizeof(in));
    r = fill(&x, root, &in);
    if (r == 0)
        r = set_all(&x, root, (size_t)BH_EROFS_ROOT_NID * BH_EROFS_SLOT, &in);
    if (r != 0 && x.path.len > 0)
        bh_err_prefix(err, "/%s", bh_buf_str(&x.path));
    return r;
}
