/*
 * compose_unpack.c - ADD of an archive: told by its content, inflated if need be, its members put below the target.
 *
 * Room: worker.  The archive is read by the one tar reader into a tree of its own, where no name and no link leads
 * out; that tree is then laid over the target as docker's extraction does: a folder over a folder keeps what is
 * inside, anything else replaces what was there.  Whiteouts and devices of the archive are left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "unpack/archive_spool.h"
#include "unpack/compose_target.h"
#include "unpack/limit.h"

#define READ_SIZE ((size_t)64 << 10)

struct unpacking {
    struct unp_placing *p;
    struct unp_tree tree; /* of the archive; lives until its names are copied */
    int fd;               /* where the plain tar is */
    uint64_t at;
    uint64_t size;
    struct unp_route *route;
    struct unp_same linked; /* inodes of the archive: the first name of each */
};

/* ---- what it is ---------------------------------------------------------------------------- */

static bool is_tar(int fd, uint64_t at, uint64_t size) {
    unsigned char block[UNP_TAR_BLK];

    return size >= sizeof block && bh_pread_full(fd, block, sizeof block, (off_t)at) == (ssize_t)sizeof block &&
           !unp_tar_is_zero(block) && unp_tar_checksum_ok(block);
}

/* A file that is compressed and broken, or holds something else, is a file like any other. */
static int find_tar(struct unpacking *u, const struct unp_file *f, bool *out, struct bh_err *err) {
    struct unp_compose *c = u->p->c;
    const struct unp_fds fds = {.source = f->fd, .out = c->fds->blob};
    struct bh_job_params params = *c->params;
    enum unp_codec codec;
    uint64_t size = 0;

    *out = false;
    if (f->size < UNP_TAR_BLK && f->size < 20)
        return 0;
    params.offset = f->at;
    params.size = f->size;
    params.max_unpacked = c->params->max_unpacked > c->scratch ? c->params->max_unpacked - c->scratch : 1;
    if (unp_spool(&fds, &params, c->scratch, &codec, &size, err) != 0) {
        if (err->code == BH_E_LIMIT)
            return err->code;
        bh_err_clear(err);
        return 0;
    }
    u->fd = codec == UNP_PLAIN ? f->fd : fds.out;
    u->at = codec == UNP_PLAIN ? f->at : c->scratch;
    u->size = codec == UNP_PLAIN ? f->size : size;
    *out = is_tar(u->fd, u->at, u->size);
    if (*out && codec != UNP_PLAIN)
        c->scratch += (size + UNP_TAR_BLK - 1) / UNP_TAR_BLK * UNP_TAR_BLK;
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int feed_all(const struct unpacking *u, struct unp_tar *tar, struct bh_err *err) {
    unsigned char *buf = malloc(READ_SIZE);
    uint64_t done = 0;
    int rc = buf == NULL ? unp_compose_no_memory(err) : 0;

    while (rc == 0 && done < u->size) {
        uint64_t skip = unp_tar_skippable(tar);
        size_t n = u->size - done < READ_SIZE ? (size_t)(u->size - done) : READ_SIZE;

        if (skip > 0) {
            skip = skip < u->size - done ? skip : u->size - done;
            unp_tar_skip(tar, skip);
            done += skip;
            continue;
        }
        if (bh_pread_full(u->fd, buf, n, (off_t)(u->at + done)) != (ssize_t)n) {
            rc = bh_err_set(err, BH_E_DATA_LOSS, "an archive is shorter than it should be");
            break;
        }
        rc = unp_tar_feed(tar, buf, n, err);
        done += n;
    }
    free(buf);
    return rc != 0 ? rc : unp_tar_end(tar, err);
}

static int read_tar(struct unpacking *u, struct bh_err *err) {
    const struct bh_job_params *p = u->p->c->params;
    const struct unp_tar_limits tar_limits = {
        .max_entries = p->max_entries, .max_path = p->max_path, .max_pax = p->max_pax};
    const struct unp_tree_limits limits = {.max_entries = p->max_entries,
                                           .max_sparse = p->max_sparse,
                                           .max_depth = p->max_depth,
                                           .max_xattrs = p->max_xattrs,
                                           .max_path = p->max_path};
    static struct unp_tar tar;

    if (unp_tree_init(&u->tree, &limits, err) != 0)
        return err->code;
    unp_tar_init(&tar, &tar_limits, unp_tree_apply, &u->tree);
    feed_all(u, &tar, err);
    unp_tar_fini(&tar);
    return err->code != 0 ? bh_err_prefix(err, "ADD of an archive") : 0;
}

/* ---- laying over --------------------------------------------------------------------------- */

/* Owners and modes of members are the archive's: what ADD says holds for the folder that it has to make. */
static struct unp_file file_of(const struct unpacking *u, const struct unp_inode *i) {
    int64_t clamp = u->p->c->job->request->clamp_mtime_ns;
    struct unp_file f = {
        .mode = i->mode,
        .uid = i->uid,
        .gid = i->gid,
        .mtime = i->mtime,
        .mtime_nsec = i->mtime_nsec,
        .size = S_ISREG(i->mode) ? i->size : 0,
        .xattrs = {"", 0},
        .fd = u->fd,
    };

    if (clamp > 0 && f.mtime > clamp / 1000000000)
        f.mtime = clamp / 1000000000;
    if (i->xattrs != NULL)
        f.xattrs = (struct unp_text){(const char *)i->xattrs->bytes, i->xattrs->len};
    if (S_ISLNK(i->mode))
        f.link = (struct unp_text){i->u.link, i->size};
    return f;
}

/* The pieces of a sparse file outlive the archive's tree. */
static int data_of(struct unpacking *u, const struct unp_inode *i, struct unp_data *out, struct bh_err *err) {
    const struct unp_sparse_file *s;
    struct unp_sparse_file *copy;
    struct unp_extent *map;

    *out = (struct unp_data){.fd = u->fd, .at = u->at + i->u.at};
    if ((i->flags & UNP_I_SPARSE) == 0)
        return 0;
    s = unp_pool_at(&u->tree.sparse, (uint32_t)i->u.at);
    copy = bh_arena_alloc(&u->p->c->arena, sizeof *copy);
    map = bh_arena_alloc(&u->p->c->arena, (s->n + 1) * sizeof *map);
    if (copy == NULL || map == NULL)
        return unp_compose_no_memory(err);
    if (s->n > 0)
        memcpy(map, s->map, s->n * sizeof *map);
    *copy = *s;
    copy->map = map;
    out->at = u->at + s->data_at;
    out->sparse = copy;
    return 0;
}

/* A folder that a file takes the place of goes with all that is in it. */
static void clear_spot(struct unp_compose *c, struct unp_spot *s) {
    if (s->dent != 0) {
        unp_tree_empty(&c->tree, s->dent);
        unp_dent_at(&c->tree, s->dent)->inode = 0;
    }
    s->under = NULL;
}

static int lay_file(struct unpacking *u, const struct unp_dent *d, struct unp_spot *s, struct bh_err *err) {
    struct unp_compose *c = u->p->c;
    const struct unp_inode *i = unp_inode_at(&u->tree, d->inode);
    uint32_t dir = u->route->at[u->route->depth].dent;
    struct unp_text name = {d->name, d->name_len};
    const struct unp_file f = file_of(u, i);
    struct unp_data data = {.fd = -1};
    uint32_t first;

    if (unp_spot_exists(c, s) && S_ISDIR(unp_spot_mode(c, s)))
        clear_spot(c, s);
    if (unp_spot_name(c, dir, name, s, err) != 0)
        return err->code;
    if (!unp_same_note(&u->linked, u, d->inode, s->dent, &first))
        return unp_compose_no_memory(err);
    if (first != s->dent && unp_dent_at(&c->tree, first)->inode != 0) {
        unp_dent_at(&c->tree, s->dent)->inode = unp_dent_at(&c->tree, first)->inode;
        c->placed++;
        return 0;
    }
    if (S_ISREG(i->mode) && data_of(u, i, &data, err) != 0)
        return err->code;
    return unp_spot_put(u->p, dir, name, s, &f, &data, err);
}

/* Where links of the target lead is looked at for folders that the archive does not describe only. */
static int follow_spot(struct unpacking *u, struct unp_text name, struct bh_err *err) {
    static struct unp_route way;
    struct unp_route *r = u->route;
    char *path;
    size_t n = 0;

    for (size_t i = 1; i <= r->depth; i++)
        n += r->name[i].n + 1;
    path = bh_arena_alloc(&u->p->c->arena, n + name.n + 2);
    if (path == NULL)
        return unp_compose_no_memory(err);
    n = 0;
    for (size_t i = 1; i <= r->depth; i++) {
        path[n++] = '/';
        memcpy(path + n, r->name[i].s, r->name[i].n);
        n += r->name[i].n;
    }
    path[n++] = '/';
    memcpy(path + n, name.s, name.n);
    if (unp_target_resolve(u->p, (struct unp_text){path, n + name.n}, &way, err) != 0 ||
        unp_target_make(u->p, &way, way.depth, 0755, err) != 0)
        return err->code;
    *r = way;
    return 0;
}

static int lay_children(struct unpacking *u, uint32_t dir, struct bh_err *err);

static int enter(struct unpacking *u, const struct unp_dent *d, struct unp_spot *s, struct bh_err *err) {
    struct unp_compose *c = u->p->c;
    struct unp_route *r = u->route;
    const struct unp_inode *i = unp_inode_at(&u->tree, d->inode);
    bool implied = (i->flags & UNP_I_IMPLIED) != 0;
    struct unp_text name = {d->name, d->name_len};
    struct unp_file f = file_of(u, i);
    uint32_t dir = r->at[r->depth].dent;
    uint32_t inode;

    if (implied && unp_spot_exists(c, s) && S_ISLNK(unp_spot_mode(c, s)))
        return follow_spot(u, name, err);
    if (r->depth + 1 == UNP_PARTS_MAX)
        return unp_target_refuse("path is too deep", name, err);
    if (implied && S_ISDIR(unp_spot_mode(c, s))) {
        if (unp_spot_restate(c, dir, name, s, err) != 0)
            return err->code;
    } else {
        if (!S_ISDIR(unp_spot_mode(c, s)))
            s->under = NULL;
        if (unp_spot_name(c, dir, name, s, err) != 0)
            return err->code;
        c->placed++;
        const struct unp_inode *made = unp_spot_made(c, s);

        if (made != NULL && unp_inode_is_dir(made))
            unp_spot_describe(c, unp_inode_at(&c->tree, unp_dent_at(&c->tree, s->dent)->inode), &f, err);
        else
            unp_spot_inode(c, s, &f, &inode, err);
        if (err->code != 0)
            return err->code;
    }
    r->at[++r->depth] = *s;
    r->name[r->depth] = name;
    return 0;
}

static int lay_dir(struct unpacking *u, uint32_t dent, struct unp_spot *s, struct bh_err *err) {
    struct unp_route *saved = malloc(sizeof *saved); /* following a link leaves this way */
    int rc;

    if (saved == NULL)
        return unp_compose_no_memory(err);
    *saved = *u->route;
    rc = enter(u, unp_dent_at(&u->tree, dent), s, err);
    if (rc == 0)
        rc = lay_children(u, dent, err);
    *u->route = *saved;
    free(saved);
    return rc;
}

static int lay_child(struct unpacking *u, uint32_t dent, struct bh_err *err) {
    const struct unp_dent *d = unp_dent_at(&u->tree, dent);
    const struct unp_inode *i = d->inode == 0 ? NULL : unp_inode_at(&u->tree, d->inode);
    struct unp_spot s;

    if (i == NULL || (i->flags & UNP_I_LEFT_OUT) != 0 || (d->name_len >= 4 && memcmp(d->name, ".wh.", 4) == 0))
        return 0;
    if (unp_spot_child(u->p->c, &u->route->at[u->route->depth], (struct unp_text){d->name, d->name_len}, &s, err) != 0)
        return err->code;
    return unp_inode_is_dir(i) ? lay_dir(u, dent, &s, err) : lay_file(u, d, &s, err);
}

/* In the order of the archive: the tree has the newest first. */
static int lay_children(struct unpacking *u, uint32_t dir, struct bh_err *err) {
    uint32_t *v;
    size_t n = 0;
    int rc = 0;

    for (uint32_t d = unp_dent_at(&u->tree, dir)->child; d != 0; d = unp_dent_at(&u->tree, d)->next)
        n++;
    v = malloc((n + 1) * sizeof *v);
    if (v == NULL)
        return unp_compose_no_memory(err);
    for (uint32_t d = unp_dent_at(&u->tree, dir)->child, at = (uint32_t)n; d != 0; d = unp_dent_at(&u->tree, d)->next)
        v[--at] = d;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = lay_child(u, v[i], err);
    free(v);
    return rc;
}

static int lay_all(struct unpacking *u, struct bh_err *err) {
    static struct unp_route route;
    struct unp_text target = {(char *)u->p->item->target.data, u->p->item->target.len};

    u->route = &route;
    if (unp_target_resolve(u->p, target, &route, err) != 0 ||
        unp_target_make(u->p, &route, route.depth, 0755, err) != 0)
        return err->code;
    return lay_children(u, UNP_ROOT, err);
}

int unp_compose_unpack(struct unp_placing *p, const struct unp_file *f, bool *out_done, struct bh_err *err) {
    struct unpacking u = {.p = p};

    *out_done = false;
    if (f->size == 0 || find_tar(&u, f, out_done, err) != 0 || !*out_done)
        return err->code;
    if (read_tar(&u, err) == 0)
        lay_all(&u, err);
    unp_tree_fini(&u.tree);
    unp_same_fini(&u.linked);
    return err->code;
}
