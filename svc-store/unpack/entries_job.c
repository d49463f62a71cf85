/*
 * entries_job.c - job "entries": the tree of a layer file as a flat list (entries.h).
 *
 * Room: worker.  The index was written by another worker and is trusted no more than a tar: every
 * offset is checked before it is used, and a walk that visits more than the file can hold is refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "layer/layer_check.h"
#include "unpack/entries.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

#define DEPTH_MAX  1024
#define OUT_BUFFER ((size_t)1 << 20)

struct walk {
    struct bh_layer_header h;
    const unsigned char *index; /* index_size bytes */
    int out;
    struct bh_buf buf;
    uint64_t written;
    uint64_t entries;
    uint64_t dirs;
    char path[BH_ENTRY_PATH_MAX];
};

static int bad(const char *what, struct bh_err *err) {
    bh_err_set(err, BH_E_DATA_LOSS, "layer index: %s", what);
    return bh_err_reason(err, "bad-layer");
}

static const struct bh_erofs_inode *inode_at(const struct walk *w, uint64_t nid) {
    uint64_t at = nid * BH_EROFS_SLOT;

    if (nid > w->h.inode_size / BH_EROFS_SLOT || at % BH_EROFS_INODE_STEP != 0 ||
        !bh_layer_inside(at, sizeof(struct bh_erofs_inode), 0, w->h.inode_size))
        return NULL;
    return (const struct bh_erofs_inode *)(w->index + at);
}

static uint64_t xattr_bytes(const struct bh_erofs_inode *ino) {
    return ino->i_xattr_icount == 0 ? 0 : sizeof(struct bh_erofs_xattr_head) + 4u * (ino->i_xattr_icount - 1u);
}

/* Bytes [0, n) of a directory or a long symlink, which lie in the tail area. */
static const unsigned char *tail_data(const struct walk *w, const struct bh_erofs_inode *ino, uint64_t n) {
    uint64_t at = (uint64_t)ino->i_u * BH_LAYER_BLK;

    if (!bh_layer_inside(at, n, w->h.index_offset + w->h.inode_size, w->h.tail_size))
        return NULL;
    return w->index + (at - w->h.index_offset);
}

static const unsigned char *link_target(const struct walk *w, const struct bh_erofs_inode *ino) {
    uint64_t at = (uint64_t)((const unsigned char *)(ino + 1) - w->index) + xattr_bytes(ino);

    if (ino->i_size > BH_LAYER_SYMLINK_MAX)
        return NULL;
    if (ino->i_format == BH_EROFS_PLAIN)
        return tail_data(w, ino, ino->i_size);
    return bh_layer_inside(at, ino->i_size, 0, w->h.inode_size) ? w->index + at : NULL;
}

static bool is_opaque(const struct walk *w, const struct bh_erofs_inode *ino) {
    uint64_t at = (uint64_t)((const unsigned char *)(ino + 1) - w->index) + sizeof(struct bh_erofs_xattr_head);
    uint64_t end = at - sizeof(struct bh_erofs_xattr_head) + xattr_bytes(ino);

    while (ino->i_xattr_icount > 0 && end <= w->h.inode_size && at + sizeof(struct bh_erofs_xattr) <= end) {
        struct bh_erofs_xattr x;
        uint64_t name = at + sizeof x;

        memcpy(&x, w->index + at, sizeof x);
        if (name + x.name_len + x.value_size > end)
            return false;
        if (x.name_index == BH_XATTR_TRUSTED && x.name_len == strlen(BH_XATTR_OPAQUE) &&
            memcmp(w->index + name, BH_XATTR_OPAQUE, x.name_len) == 0)
            return true;
        at = name + ((uint64_t)x.name_len + x.value_size + 3) / 4 * 4;
    }
    return false;
}

/* ---- writing ------------------------------------------------------------------------------- */

static int flush(struct walk *w, struct bh_err *err) {
    if (bh_write_all(w->out, bh_buf_str(&w->buf), w->buf.len) != 0)
        return bh_err_errno(err, errno, "write the list of a layer's entries");
    w->written += w->buf.len;
    bh_buf_reset(&w->buf);
    return 0;
}

static int put(struct walk *w, const struct bh_erofs_inode *ino, size_t path_len, struct bh_err *err) {
    static const char zeros[8];
    bool link = (ino->i_mode & S_IFMT) == S_IFLNK;
    const unsigned char *target = link ? link_target(w, ino) : (const unsigned char *)"";
    struct bh_entry e = {
        .mode = ino->i_mode,
        .uid = ino->i_uid,
        .gid = ino->i_gid,
        .length = (ino->i_mode & S_IFMT) == S_IFREG ? ino->i_size : 0,
        .mtime = ino->i_mtime,
        .nsec = ino->i_mtime_nsec,
        .path_len = (uint16_t)path_len,
        .link_len = link ? (uint16_t)ino->i_size : 0,
    };
    size_t n = sizeof e + path_len + e.link_len;

    if (target == NULL)
        return bad("a symlink without target", err);
    if ((ino->i_mode & S_IFMT) == S_IFCHR)
        e.flags |= BH_ENTRY_WHITEOUT;
    if ((ino->i_mode & S_IFMT) == S_IFDIR && is_opaque(w, ino))
        e.flags |= BH_ENTRY_OPAQUE;
    e.size = (uint32_t)((n + 7) / 8 * 8);
    bh_buf_add(&w->buf, &e, sizeof e);
    bh_buf_add(&w->buf, w->path, path_len);
    bh_buf_add(&w->buf, target, e.link_len);
    bh_buf_add(&w->buf, zeros, e.size - n);
    if (bh_buf_failed(&w->buf))
        return bh_err_set(err, BH_E_LIMIT, "layer index: no memory to list it");
    w->entries++;
    return w->buf.len < OUT_BUFFER ? 0 : flush(w, err);
}

/* ---- walking ------------------------------------------------------------------------------- */

static int walk_dir(struct walk *w, uint64_t nid, size_t path_len, unsigned depth, struct bh_err *err);

static int walk_entry(struct walk *w, const char *name, size_t n, uint64_t nid, size_t path_len, unsigned depth,
                      struct bh_err *err) {
    const struct bh_erofs_inode *ino = inode_at(w, nid);
    size_t at = path_len;

    if ((n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.'))
        return 0;
    if (ino == NULL || n == 0 || memchr(name, '/', n) != NULL)
        return bad("an entry that cannot be", err);
    if (path_len + 1 + n > sizeof w->path)
        return bad("a path that is too long", err);
    if (path_len > 0)
        w->path[at++] = '/';
    memcpy(w->path + at, name, n);
    at += n;
    if (w->entries > w->h.tail_size / sizeof(struct bh_erofs_dirent))
        return bad("more entries than it has room for", err);
    if (put(w, ino, at, err) != 0)
        return err->code;
    return (ino->i_mode & S_IFMT) == S_IFDIR ? walk_dir(w, nid, at, depth + 1, err) : 0;
}

static int walk_block(struct walk *w, const unsigned char *block, size_t used, size_t path_len, unsigned depth,
                      struct bh_err *err) {
    struct bh_erofs_dirent first;
    struct bh_erofs_dirent d;
    struct bh_erofs_dirent next;
    size_t count;

    if (used < sizeof first)
        return bad("a directory block that is too short", err);
    memcpy(&first, block, sizeof first);
    count = first.nameoff / sizeof first;
    if (count == 0 || first.nameoff % sizeof first != 0 || first.nameoff > used)
        return bad("a directory block without entries", err);
    for (size_t i = 0; i < count; i++) {
        size_t end = used;

        memcpy(&d, block + i * sizeof d, sizeof d);
        if (i + 1 < count) {
            memcpy(&next, block + (i + 1) * sizeof d, sizeof d);
            end = next.nameoff;
        }
        if (d.nameoff < first.nameoff || end > used || d.nameoff > end)
            return bad("a name outside of its block", err);
        /* zeros fill up all blocks but the last */
        end = d.nameoff + strnlen((const char *)block + d.nameoff, end - d.nameoff);
        if (walk_entry(w, (const char *)block + d.nameoff, end - d.nameoff, d.nid, path_len, depth, err) != 0)
            return err->code;
    }
    return 0;
}

static int walk_dir(struct walk *w, uint64_t nid, size_t path_len, unsigned depth, struct bh_err *err) {
    const struct bh_erofs_inode *ino = inode_at(w, nid);
    const unsigned char *data;

    if (ino == NULL || depth > DEPTH_MAX || w->dirs++ > w->h.inodes)
        return bad("directories that go in circles or too deep", err);
    data = tail_data(w, ino, ino->i_size);
    if (data == NULL)
        return bad("a directory outside of the tail area", err);
    for (uint64_t at = 0; at < ino->i_size; at += BH_LAYER_BLK) {
        uint64_t left = ino->i_size - at;

        if (walk_block(w, data + at, left < BH_LAYER_BLK ? (size_t)left : BH_LAYER_BLK, path_len, depth, err) != 0)
            return err->code;
    }
    return 0;
}

/* ---- job ----------------------------------------------------------------------------------- */

static int walk_all(struct walk *w, struct bh_err *err) {
    if (walk_dir(w, BH_EROFS_ROOT_NID, 0, 0, err) != 0)
        return err->code;
    return flush(w, err);
}

int unp_job_entries(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                    struct bh_err *err) {
    Bulkhead__Worker__V1__EntriesResult pb = BULKHEAD__WORKER__V1__ENTRIES_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    struct walk w = {.out = fds->out};
    uint64_t skip;
    void *map;
    int rc;

    (void)p;
    if (bh_layer_open(fds->source, &w.h, err) != 0)
        return err->code;
    skip = w.h.index_offset % (uint64_t)sysconf(_SC_PAGESIZE);
    map = mmap(NULL, w.h.index_size + skip, PROT_READ, MAP_SHARED, fds->source, (off_t)(w.h.index_offset - skip));
    if (map == MAP_FAILED)
        return bh_err_errno(err, errno, "map the index of a layer");
    w.index = (const unsigned char *)map + skip;
    bh_buf_init(&w.buf, OUT_BUFFER + 64 * 1024);
    rc = walk_all(&w, err);
    munmap(map, w.h.index_size + skip);
    bh_buf_fini(&w.buf);
    if (rc != 0)
        return rc;
    pb.entries = w.entries;
    pb.size = w.written;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_ENTRIES;
    r.entries = &pb;
    return unp_result_pack(&r, result, err);
}
