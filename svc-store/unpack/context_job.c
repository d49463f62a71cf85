/*
 * context_job.c - job "context": the list of a build's context read, the contents that are missing asked for and
 * taken, and all of it written as one list (context_list.h).
 *
 * Room: worker.  The list and the bytes are a user's.  Names are placed in a tree of their own, so nothing of them
 * can lead out; a content is used only when its bytes have the digest that the list says.  Steps:
 *
 *   raw list --> tree, contents by digest --> numbers of those that no pack has --> asks
 *   source   --> [ring] --> hash, compare
 *                       --> new pack
 *   tree     --> list
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "oci/digest.h"
#include "unpack/context_list.h"
#include "unpack/context_read.h"
#include "unpack/crew.h"
#include "unpack/index_dir.h"
#include "unpack/job.h"
#include "unpack/limit.h"
#include "unpack/result_pb.h"
#include "unpack/ring.h"
#include "unpack/source.h"

#define OUT_BUFFER ((size_t)1 << 20)

/* ---- asking -------------------------------------------------------------------------------- */

/* Numbers of entries in the order of the list, then the end of the pipe. */
static int ask(struct unp_context *c, int fd, struct bh_err *err) {
    uint64_t *numbers = malloc((c->n_wanted + 1) * sizeof *numbers);
    int rc = 0;

    if (numbers == NULL)
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for the context");
    for (uint32_t i = 0; i < c->n_wanted; i++)
        numbers[i] = unp_context_content(c, c->wanted[i])->number;
    if (bh_write_all(fd, numbers, c->n_wanted * sizeof *numbers) != 0)
        rc = bh_err_errno(err, errno, "ask for files of the context");
    free(numbers);
    close(fd);
    return rc;
}

/* ---- taking -------------------------------------------------------------------------------- */

struct taking {
    struct unp_context *c;
    struct unp_ring ring;
    int pack;
    struct bh_err hash_err;
    struct bh_err write_err;
};

static int changed(struct unp_context *c, const struct unp_content *k, struct bh_err *err) {
    bh_err_set(err, BH_E_ABORTED, "file number %llu of the context changed while it was sent",
               (unsigned long long)k->number);
    (void)c;
    return bh_err_reason(err, "context-changed");
}

struct checking {
    uint32_t next; /* of c->wanted */
    uint64_t left;
    struct bh_hash hash;
};

static int check_end(struct unp_context *c, struct checking *x, struct bh_err *err) {
    const struct unp_content *k = unp_context_content(c, c->wanted[x->next++]);
    struct bh_digest d;

    if (bh_sha256_final(&x->hash, &d, err) != 0)
        return err->code;
    return memcmp(d.bytes, k->sha256, sizeof k->sha256) == 0 ? 0 : changed(c, k, err);
}

static int check_block(struct unp_context *c, struct checking *x, const unsigned char *p, size_t n,
                       struct bh_err *err) {
    while (n > 0) {
        if (x->left == 0) {
            x->left = unp_context_content(c, c->wanted[x->next])->size;
            if (bh_sha256_init(&x->hash, err) != 0)
                return err->code;
        }
        size_t part = x->left < n ? (size_t)x->left : n;

        bh_sha256_update(&x->hash, p, part);
        p += part;
        n -= part;
        x->left -= part;
        if (x->left == 0 && check_end(c, x, err) != 0)
            return err->code;
    }
    return 0;
}

static void check_contents(void *arg) {
    struct taking *t = arg;
    struct checking x = {.hash = BH_HASH_INIT};
    const unsigned char *p;
    size_t n;

    while ((p = unp_ring_next(&t->ring, 0, &n)) != NULL) {
        if (check_block(t->c, &x, p, n, &t->hash_err) != 0) {
            unp_ring_abort(&t->ring);
            break;
        }
        unp_ring_release(&t->ring, 0);
    }
    bh_hash_fini(&x.hash);
}

static void write_contents(void *arg) {
    struct taking *t = arg;
    const unsigned char *p;
    uint64_t at = 0;
    size_t n;

    while ((p = unp_ring_next(&t->ring, 1, &n)) != NULL) {
        if (bh_pwrite_all(t->pack, p, n, (off_t)at) != 0) {
            bh_err_errno(&t->write_err, errno, "write of the context");
            unp_ring_abort(&t->ring);
            return;
        }
        at += n;
        unp_ring_release(&t->ring, 1);
    }
}

static int read_contents(struct taking *t, int fd, struct bh_err *err) {
    struct unp_source source;
    uint64_t left = t->c->missing;
    int rc = unp_source_open(&source, fd, 0, BH_JOB_TO_END, err);

    while (rc == 0 && left > 0) {
        unsigned char *block = unp_ring_reserve(&t->ring);
        size_t n = 0;

        if (block == NULL)
            return bh_err_set(err, BH_E_CANCELLED, "stopped");
        rc = unp_source_read(&source, block, left < UNP_RING_BLOCK ? (size_t)left : UNP_RING_BLOCK, &n, err);
        if (rc == 0 && n == 0) {
            bh_err_set(err, BH_E_ABORTED, "the context ends %llu bytes too early", (unsigned long long)left);
            rc = bh_err_reason(err, "context-changed");
        }
        if (rc != 0)
            break;
        unp_ring_commit(&t->ring, n);
        left -= n;
    }
    if (rc == 0)
        unp_ring_end(&t->ring);
    return rc;
}

static int take(struct unp_context *c, const struct unp_fds *fds, struct bh_err *err) {
    static struct taking taking;
    struct taking *t = &taking;

    if (c->n_wanted == 0)
        return 0;
    memset(t, 0, sizeof *t);
    t->c = c;
    t->pack = fds->blob;
    unp_ring_init(&t->ring, 0);
    unp_crew_run(0, check_contents, t);
    unp_crew_run(1, write_contents, t);
    int rc = read_contents(t, fds->source, err);
    if (rc != 0)
        unp_ring_abort(&t->ring);
    unp_crew_wait(0);
    unp_crew_wait(1);
    unp_ring_fini(&t->ring);
    const struct bh_err *first = t->hash_err.code != 0 ? &t->hash_err : &t->write_err;
    if (first->code != 0 && (rc == 0 || rc == BH_E_CANCELLED)) {
        *err = *first;
        rc = first->code;
    }
    return rc;
}

/* ---- the list ------------------------------------------------------------------------------ */

struct listing {
    struct unp_context *c;
    int fd;
    uint64_t written;
    uint64_t entries;
    struct bh_buf buf;
    char path[65536 + 8];
};

static int flush(struct listing *l, struct bh_err *err) {
    if (bh_buf_failed(&l->buf))
        return bh_err_set(err, BH_E_LIMIT, "not enough memory for the list of the context");
    if (bh_pwrite_all(l->fd, bh_buf_str(&l->buf), l->buf.len, (off_t)l->written) != 0)
        return bh_err_errno(err, errno, "write the list of the context");
    l->written += l->buf.len;
    bh_buf_reset(&l->buf);
    return 0;
}

static int put_record(struct listing *l, const struct unp_inode *i, size_t path_len, struct bh_err *err) {
    static const char zeros[8];
    struct bh_context_record r = {
        .mode = i->mode, .mtime = i->mtime, .nsec = i->mtime_nsec, .path_len = (uint16_t)path_len};
    bool link = S_ISLNK(i->mode);
    size_t n;

    if (S_ISREG(i->mode) && i->size > 0) {
        const struct unp_content *k = unp_context_content(l->c, (uint32_t)i->u.at);

        r.length = i->size;
        r.pack = k->pack;
        r.at = k->at;
        memcpy(r.sha256, k->sha256, sizeof r.sha256);
    } else if (S_ISREG(i->mode)) {
        memcpy(r.sha256, unp_empty_sha256, sizeof r.sha256);
    }
    r.same = i->nlink > 1 ? i->nid : 0;
    r.link_len = link ? (uint16_t)i->size : 0;
    r.xattr_len = i->xattrs == NULL ? 0 : i->xattrs->len;
    n = sizeof r + r.xattr_len + path_len + r.link_len;
    r.size = (uint32_t)((n + 7) / 8 * 8);
    bh_buf_add(&l->buf, &r, sizeof r);
    if (r.xattr_len > 0)
        bh_buf_add(&l->buf, i->xattrs->bytes, r.xattr_len);
    bh_buf_add(&l->buf, l->path, path_len);
    if (link)
        bh_buf_add(&l->buf, i->u.link, i->size);
    bh_buf_add(&l->buf, zeros, r.size - n);
    l->entries++;
    return l->buf.len < OUT_BUFFER ? 0 : flush(l, err);
}

static int put_dir(struct listing *l, uint32_t dir, size_t path_len, struct bh_err *err) {
    struct unp_tree *t = &l->c->tree;
    struct unp_sorted names = {0};
    int rc = 0;

    for (uint32_t d = unp_dent_at(t, dir)->child; d != 0 && rc == 0; d = unp_dent_at(t, d)->next)
        if (!unp_sorted_add(&names, t, d))
            rc = unp_tree_no_memory(err);
    if (rc == 0)
        unp_sorted_sort(&names, t);
    for (size_t k = 0; rc == 0 && k < names.n; k++) {
        const struct unp_dent *d = unp_dent_at(t, names.v[k].dent);
        const struct unp_inode *i = unp_inode_at(t, d->inode);
        size_t at = path_len;

        if (at > 0)
            l->path[at++] = '/';
        memcpy(l->path + at, d->name, d->name_len); /* the limit of paths is below the room here */
        at += d->name_len;
        rc = put_record(l, i, at, err);
        if (rc == 0 && unp_inode_is_dir(i))
            rc = put_dir(l, names.v[k].dent, at, err);
    }
    free(names.v);
    return rc;
}

static int write_list(struct unp_context *c, int fd, struct bh_context_head *head, struct bh_err *err) {
    static struct listing listing;
    struct listing *l = &listing;

    *head = (struct bh_context_head){.packs = c->packs + (c->n_wanted > 0)};
    memcpy(head->magic, BH_CONTEXT_MAGIC, sizeof head->magic);
    memset(l, 0, sizeof *l);
    l->c = c;
    l->fd = fd;
    l->written = sizeof *head;
    bh_buf_init(&l->buf, OUT_BUFFER + ((size_t)1 << 20));
    if (put_dir(l, UNP_ROOT, 0, err) == 0)
        flush(l, err);
    bh_buf_fini(&l->buf);
    head->entries = l->entries;
    head->size = l->written;
    if (err->code == 0 && bh_pwrite_all(fd, head, sizeof *head, 0) != 0)
        bh_err_errno(err, errno, "write the list of the context");
    return err->code;
}

/* ---- the job ------------------------------------------------------------------------------- */

static int pack(const struct unp_context *c, const struct bh_context_head *head, struct bh_buf *result,
                struct bh_err *err) {
    Bulkhead__Worker__V1__ContextResult pb = BULKHEAD__WORKER__V1__CONTEXT_RESULT__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;

    pb.entries = head->entries;
    pb.list_size = head->size;
    pb.received = c->missing;
    pb.kept = c->kept;
    pb.in_use.data = (uint8_t *)c->in_use;
    pb.in_use.len = sizeof c->in_use;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_CONTEXT;
    r.context = &pb;
    return unp_result_pack(&r, result, err);
}

int unp_job_context(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                    struct bh_err *err) {
    static struct unp_context context;
    struct unp_context *c = &context;
    struct bh_context_head head;

    if (fds->n_more < BH_JOB_CONTEXT_OLD)
        return bh_err_set(err, BH_E_INTERNAL, "worker: descriptors of the context are missing");
    int rc = unp_context_init(c, p, err);
    if (rc == 0 && fds->n_more > BH_JOB_CONTEXT_OLD)
        rc = unp_context_old(c, fds->more + BH_JOB_CONTEXT_OLD, err);
    if (rc == 0)
        rc = unp_context_read(c, fds->more + BH_JOB_CONTEXT_LIST, err);
    if (rc == 0)
        rc = ask(c, fds->more + BH_JOB_CONTEXT_ASK, err);
    if (rc == 0)
        rc = take(c, fds, err);
    if (rc == 0)
        rc = write_list(c, fds->out, &head, err);
    if (rc == 0)
        rc = pack(c, &head, result, err);
    unp_context_fini(c);
    return rc;
}
