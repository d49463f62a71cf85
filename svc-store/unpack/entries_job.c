/*
 * entries_job.c - job "entries": the tree of a layer file as a flat list (entries.h).
 *
 * Room: worker.  The index was written by another worker and is trusted no more than a tar: every
 * offset is checked before it is used, and a walk that visits more than the file can hold is refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "unpack/entries.h"
#include "unpack/job.h"
#include "unpack/layer_read.h"
#include "unpack/result_pb.h"

#define DEPTH_MAX  1024
#define OUT_BUFFER ((size_t)1 << 20)

struct walk {
    struct unp_layer layer;
    int out;
    struct bh_buf buf;
    uint64_t written;
    uint64_t entries;
    uint64_t dirs;
    char path[BH_ENTRY_PATH_MAX];
};

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
    const unsigned char *target = link ? unp_layer_target(&w->layer, ino) : (const unsigned char *)"";
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
        return unp_layer_bad("a symlink without target", err);
    if ((ino->i_mode & S_IFMT) == S_IFCHR)
        e.flags |= BH_ENTRY_WHITEOUT;
    if ((ino->i_mode & S_IFMT) == S_IFDIR && unp_layer_is_opaque(&w->layer, ino))
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

struct place {
    struct walk *w;
    size_t path_len;
    unsigned depth;
};

static int walk_dir(struct walk *w, uint64_t nid, size_t path_len, unsigned depth, struct bh_err *err);

static int walk_entry(void *arg, struct unp_text name, uint64_t nid, struct bh_err *err) {
    const struct place *p = arg;
    struct walk *w = p->w;
    const struct bh_erofs_inode *ino = unp_layer_inode(&w->layer, nid);
    size_t at = p->path_len;

    if (ino == NULL)
        return unp_layer_bad("a name without inode", err);
    if (p->path_len + 1 + name.n > sizeof w->path)
        return unp_layer_bad("a path that is too long", err);
    if (p->path_len > 0)
        w->path[at++] = '/';
    memcpy(w->path + at, name.s, name.n);
    at += name.n;
    if (w->entries > w->layer.h.tail_size / sizeof(struct bh_erofs_dirent))
        return unp_layer_bad("more entries than it has room for", err);
    if (put(w, ino, at, err) != 0)
        return err->code;
    return (ino->i_mode & S_IFMT) == S_IFDIR ? walk_dir(w, nid, at, p->depth + 1, err) : 0;
}

static int walk_dir(struct walk *w, uint64_t nid, size_t path_len, unsigned depth, struct bh_err *err) {
    const struct bh_erofs_inode *ino = unp_layer_inode(&w->layer, nid);
    struct place p = {w, path_len, depth};

    if (ino == NULL || depth > DEPTH_MAX || w->dirs++ > w->layer.h.inodes)
        return unp_layer_bad("directories that go in circles or too deep", err);
    return unp_layer_dir(&w->layer, ino, walk_entry, &p, err);
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
    int rc;

    (void)p;
    if (unp_layer_open(&w.layer, fds->source, err) != 0)
        return err->code;
    bh_buf_init(&w.buf, OUT_BUFFER + 65536);
    rc = walk_all(&w, err);
    unp_layer_close(&w.layer);
    bh_buf_fini(&w.buf);
    if (rc != 0)
        return rc;
    pb.entries = w.entries;
    pb.size = w.written;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_ENTRIES;
    r.entries = &pb;
    return unp_result_pack(&r, result, err);
}
