/*
 * compose_tar.c - the tree of a composed layer as a tar: the same tree gives the same bytes.
 *
 * Room: worker.  Names by their bytes, a folder before its content, a file's further names as hard links to the first.
 * POSIX ustar; what does not fit there, and xattrs, in a PAX header before it.  Times have whole seconds, as docker
 * writes them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "layer/layer_format.h"
#include "unpack/compose.h"
#include "unpack/index_dir.h"
#include "unpack/limit.h"

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2];
    char uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == UNP_TAR_BLK, "tar header");

#define NAME_MAX_BYTES (65536u + 512u)

static int no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "not enough memory to write so many files");
    return unp_limit(err, NULL);
}

/* ---- order --------------------------------------------------------------------------------- */

static int order_add(struct unp_tarout *t, uint32_t dent, struct bh_err *err) {
    if (t->n == t->cap) {
        uint32_t cap = t->cap * 2 + 1024;
        uint32_t *v = realloc(t->order, cap * sizeof *v);

        if (v == NULL)
            return no_memory(err);
        t->order = v;
        t->cap = cap;
    }
    t->order[t->n++] = dent;
    return 0;
}

static int order_dir(struct unp_tarout *t, uint32_t dir, struct bh_err *err) {
    struct unp_tree *tree = &t->c->tree;
    struct unp_sorted names = {0};
    int rc = 0;

    for (uint32_t d = unp_dent_at(tree, dir)->child; d != 0 && rc == 0; d = unp_dent_at(tree, d)->next)
        if ((unp_dent_at(tree, d)->inode != 0 || (unp_dent_at(tree, d)->flags & UNP_D_WHITEOUT) != 0) &&
            !unp_sorted_add(&names, tree, d))
            rc = no_memory(err);
    if (rc == 0)
        unp_sorted_sort(&names, tree);
    for (size_t i = 0; i < names.n && rc == 0; i++) {
        uint32_t dent = names.v[i].dent;

        rc = order_add(t, dent, err);
        if (rc == 0 && unp_dent_at(tree, dent)->inode != 0 &&
            unp_inode_is_dir(unp_inode_at(tree, unp_dent_at(tree, dent)->inode)))
            rc = order_dir(t, dent, err);
    }
    free(names.v);
    return rc;
}

/* ---- names --------------------------------------------------------------------------------- */

/* "a/b", for folders with a slash behind. */
static size_t path_of(const struct unp_tree *tree, uint32_t dent, char *to, bool slash) {
    uint32_t way[UNP_PARTS_MAX];
    size_t depth = 0;
    size_t n = 0;

    for (uint32_t d = dent; d != UNP_ROOT; d = unp_dent_at(tree, d)->parent)
        way[depth++] = d;
    while (depth > 0) {
        const struct unp_dent *d = unp_dent_at(tree, way[--depth]);

        if (n + d->name_len + 1 > NAME_MAX_BYTES)
            return 0;
        memcpy(to + n, d->name, d->name_len);
        n += d->name_len;
        if (depth > 0 || slash)
            to[n++] = '/';
    }
    return n;
}

/* Into name, or cut at a slash into prefix and name. */
static bool fits(struct header *h, const char *path, size_t n) {
    if (n <= sizeof h->name) {
        memcpy(h->name, path, n);
        return true;
    }
    for (size_t cut = n - 2; cut > 0; cut--) {
        if (path[cut] != '/' || cut > sizeof h->prefix)
            continue;
        if (n - cut - 1 > sizeof h->name)
            return false;
        memcpy(h->prefix, path, cut);
        memcpy(h->name, path + cut + 1, n - cut - 1);
        return true;
    }
    return false;
}

/* ---- PAX ----------------------------------------------------------------------------------- */

/* "LENGTH key=value\n", where the length counts itself. */
static void put_record(struct bh_buf *b, const char *key, const void *value, size_t n) {
    size_t rest = strlen(key) + n + 3;
    size_t len = rest + 1;
    char digits[24];

    while ((size_t)snprintf(digits, sizeof digits, "%zu", len) + rest != len)
        len = (size_t)snprintf(digits, sizeof digits, "%zu", len) + rest;
    bh_buf_addf(b, "%zu %s=", len, key);
    bh_buf_add(b, value, n);
    bh_buf_addc(b, '\n');
}

static void put_number(struct bh_buf *b, const char *key, uint64_t v) {
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)v);

    put_record(b, key, text, (size_t)n);
}

static const char *prefix_of(unsigned index) {
    switch (index) {
    case BH_XATTR_USER:
        return "user.";
    case BH_XATTR_ACL_ACCESS:
        return "system.posix_acl_access";
    case BH_XATTR_ACL_DEFAULT:
        return "system.posix_acl_default";
    case BH_XATTR_SECURITY:
        return "security.";
    default:
        return NULL; /* overlay's own marks stay behind */
    }
}

static void put_xattrs(struct bh_buf *b, const struct unp_xblob *x) {
    char key[320];
    size_t at = 0;

    while (x != NULL && at + sizeof(struct bh_erofs_xattr) <= x->len) {
        struct bh_erofs_xattr head;
        const char *name = (const char *)x->bytes + at + sizeof head;
        const char *prefix;

        memcpy(&head, x->bytes + at, sizeof head);
        if (at + sizeof head + head.name_len + head.value_size > x->len)
            return;
        prefix = prefix_of(head.name_index);
        at += (sizeof head + head.name_len + head.value_size + 3u) & ~(size_t)3;
        if (prefix == NULL || memchr(name, 0, head.name_len) != NULL || memchr(name, '=', head.name_len) != NULL ||
            (head.name_index == BH_XATTR_USER && head.name_len >= strlen(BH_XATTR_OVERLAY) &&
             memcmp(name, BH_XATTR_OVERLAY, strlen(BH_XATTR_OVERLAY)) == 0))
            continue;
        snprintf(key, sizeof key, "SCHILY.xattr.%s%.*s", prefix, (int)head.name_len, name);
        put_record(b, key, name + head.name_len, head.value_size);
    }
}

/* ---- headers ------------------------------------------------------------------------------- */

static void octal(char *field, size_t width, uint64_t v) {
    for (size_t i = width - 1; i-- > 0; v >>= 3)
        field[i] = (char)('0' + (v & 7));
}

static void finish(struct header *h) {
    unsigned sum = 0;

    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    memset(h->sum, ' ', sizeof h->sum);
    for (size_t i = 0; i < sizeof *h; i++)
        sum += ((const unsigned char *)h)[i];
    octal(h->sum, 7, sum);
    h->sum[6] = '\0';
}

static void put_padded(struct bh_buf *b, const void *data, size_t n) {
    static const char zeros[UNP_TAR_BLK];

    bh_buf_add(b, data, n);
    bh_buf_add(b, zeros, (UNP_TAR_BLK - n % UNP_TAR_BLK) % UNP_TAR_BLK);
}

static void put_extension(struct bh_buf *b, const struct bh_buf *records) {
    struct header h;

    memset(&h, 0, sizeof h);
    memcpy(h.name, "PaxHeaders/entry", 16);
    octal(h.mode, sizeof h.mode, 0644);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, records->len);
    octal(h.mtime, sizeof h.mtime, 0);
    h.type = 'x';
    finish(&h);
    bh_buf_add(b, &h, sizeof h);
    put_padded(b, bh_buf_str(records), records->len);
}

static void put_owner(char field[8], const char *key, uint32_t id, struct bh_buf *records) {
    if (id > 07777777)
        put_number(records, key, id);
    octal(field, 8, id > 07777777 ? 0 : id);
}

static char type_of(const struct unp_inode *i) {
    return unp_inode_is_dir(i)              ? '5'
           : (i->mode & 0170000) == 0120000 ? '2'
           : (i->mode & 0170000) == 0010000 ? '6'
                                            : '0';
}

static void put_time(struct header *h, int64_t mtime, struct bh_buf *records) {
    char text[24];

    if (mtime < 0 || mtime > 077777777777) {
        snprintf(text, sizeof text, "%lld", (long long)mtime);
        put_record(records, "mtime", text, strlen(text));
    }
    octal(h->mtime, sizeof h->mtime, mtime < 0 || mtime > 077777777777 ? 0 : (uint64_t)mtime);
}

static void put_size(struct header *h, uint64_t size, struct bh_buf *records) {
    if (size > 077777777777)
        put_number(records, "size", size);
    octal(h->size, sizeof h->size, size > 077777777777 ? 0 : size);
}

static void put_link(struct header *h, const char *target, size_t n, struct bh_buf *records) {
    if (n > sizeof h->link)
        put_record(records, "linkpath", target, n);
    memcpy(h->link, target, n > sizeof h->link ? sizeof h->link : n);
}

/* first: the dent that has this inode already, 0 when this one is the first. */
static int put_entry(struct unp_tarout *t, uint32_t dent, const struct unp_inode *i, uint32_t first,
                     struct bh_err *err) {
    static char path[NAME_MAX_BYTES];
    static char other[NAME_MAX_BYTES];
    BH_SCOPE_BUF struct bh_buf records = BH_BUF_INIT_MAX((size_t)1 << 20);
    bool regular = (i->mode & 0170000) == 0100000;
    struct header h;
    size_t n = path_of(&t->c->tree, dent, path, unp_inode_is_dir(i));
    size_t n_other = first != 0 ? path_of(&t->c->tree, first, other, false) : 0;

    if (n == 0 || (first != 0 && n_other == 0))
        return bh_err_set(err, BH_E_LIMIT, "a name that is too long for a layer");
    memset(&h, 0, sizeof h);
    if (!fits(&h, path, n)) {
        put_record(&records, "path", path, n);
        memcpy(h.name, path, n < sizeof h.name ? n : sizeof h.name);
    }
    h.type = first != 0 ? '1' : type_of(i);
    octal(h.mode, sizeof h.mode, i->mode & 07777);
    put_owner(h.uid, "uid", i->uid, &records);
    put_owner(h.gid, "gid", i->gid, &records);
    put_size(&h, regular && first == 0 ? i->size : 0, &records);
    put_time(&h, i->mtime, &records);
    if (first != 0)
        put_link(&h, other, n_other, &records);
    else if (h.type == '2')
        put_link(&h, i->u.link, i->size, &records);
    if (first == 0)
        put_xattrs(&records, i->xattrs);
    finish(&h);
    if (records.len > 0)
        put_extension(&t->head, &records);
    bh_buf_add(&t->head, &h, sizeof h);
    return bh_buf_failed(&records) || bh_buf_failed(&t->head) ? no_memory(err) : 0;
}

static int put_content(struct unp_tarout *t, const struct unp_inode *i, struct bh_err *err) {
    const struct unp_data *d = unp_pool_at(&t->c->data, (uint32_t)i->u.at);

    if (d->bytes != NULL) {
        put_padded(&t->head, d->bytes, i->size);
        return bh_buf_failed(&t->head) ? no_memory(err) : 0;
    }
    t->data = d;
    t->at = d->at;
    t->done = 0;
    t->piece = 0;
    t->left = i->size;
    t->pad = (unsigned)(UNP_TAR_BLK - i->size % UNP_TAR_BLK) % UNP_TAR_BLK;
    return 0;
}

/* An empty file in the folder whose name has a meaning: ".wh." and `of`. */
static int put_mark(struct unp_tarout *t, uint32_t dir, const char *of, size_t n_of, struct bh_err *err) {
    static const char mark[] = ".wh.";
    static char path[2 * NAME_MAX_BYTES];
    BH_SCOPE_BUF struct bh_buf records = BH_BUF_INIT_MAX((size_t)1 << 20);
    size_t n = path_of(&t->c->tree, dir, path, true);
    struct header h;

    if (n_of > NAME_MAX_BYTES - sizeof mark)
        return bh_err_set(err, BH_E_LIMIT, "a name that is too long for a layer");
    memcpy(path + n, mark, sizeof mark - 1);
    n += sizeof mark - 1;
    memcpy(path + n, of, n_of);
    n += n_of;
    memset(&h, 0, sizeof h);
    if (!fits(&h, path, n)) {
        put_record(&records, "path", path, n);
        memcpy(h.name, path, n < sizeof h.name ? n : sizeof h.name);
    }
    h.type = '0';
    octal(h.mode, sizeof h.mode, 0);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, 0);
    octal(h.mtime, sizeof h.mtime, 0);
    finish(&h);
    if (records.len > 0)
        put_extension(&t->head, &records);
    bh_buf_add(&t->head, &h, sizeof h);
    return bh_buf_failed(&records) || bh_buf_failed(&t->head) ? no_memory(err) : 0;
}

/* Hides what layers below have in the folder, and under the name. */
static int put_opaque(struct unp_tarout *t, uint32_t dent, struct bh_err *err) {
    static const char all[] = ".wh..opq";

    return put_mark(t, dent, all, sizeof all - 1, err);
}

static int put_whiteout(struct unp_tarout *t, const struct unp_dent *d, struct bh_err *err) {
    return put_mark(t, d->parent, d->name, d->name_len, err);
}

static int next_entry(struct unp_tarout *t, struct bh_err *err) {
    static const char zeros[2 * UNP_TAR_BLK];

    bh_buf_reset(&t->head);
    t->head_at = 0;
    if (t->next == t->n) {
        bh_buf_add(&t->head, zeros, t->ended ? 0 : sizeof zeros);
        t->ended = true;
        return 0;
    }
    uint32_t dent = t->order[t->next++];
    if (unp_dent_at(&t->c->tree, dent)->inode == 0)
        return put_whiteout(t, unp_dent_at(&t->c->tree, dent), err);
    struct unp_inode *i = unp_inode_at(&t->c->tree, unp_dent_at(&t->c->tree, dent)->inode);
    uint32_t first = unp_inode_is_dir(i) ? 0 : i->nid;

    i->nid = dent;
    if (first != 0)
        i->nid = first;
    if (put_entry(t, dent, i, first, err) != 0)
        return err->code;
    if ((unp_dent_at(&t->c->tree, dent)->flags & UNP_D_OPAQUE) != 0)
        return put_opaque(t, dent, err);
    return first == 0 && (i->mode & 0170000) == 0100000 && i->size > 0 ? put_content(t, i, err) : 0;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static size_t take_head(struct unp_tarout *t, unsigned char *to, size_t n) {
    size_t part = t->head.len - t->head_at;

    part = part < n ? part : n;
    memcpy(to, t->head.data + t->head_at, part);
    t->head_at += part;
    return part;
}

/* Bytes of a hole at this place; 0: there is data, at most *out_data bytes in one piece. */
static uint64_t hole_at(struct unp_tarout *t, uint64_t *out_data) {
    const struct unp_sparse_file *s = t->data->sparse;

    while (t->piece < s->n && s->map[t->piece].at + s->map[t->piece].len <= t->done)
        t->piece++;
    if (t->piece == s->n)
        return t->left;
    if (s->map[t->piece].at > t->done)
        return s->map[t->piece].at - t->done;
    *out_data = s->map[t->piece].at + s->map[t->piece].len - t->done;
    return 0;
}

static int take_data(struct unp_tarout *t, unsigned char *to, size_t n, size_t *out_n, struct bh_err *err) {
    size_t part = t->left < n ? (size_t)t->left : n;
    uint64_t data = part;
    uint64_t hole = t->data->sparse != NULL ? hole_at(t, &data) : 0;
    ssize_t got;

    if (hole > 0) {
        part = hole < part ? (size_t)hole : part;
        memset(to, 0, part);
        t->done += part;
        t->left -= part;
        *out_n = part;
        return 0;
    }
    part = data < part ? (size_t)data : part;
    got = bh_pread_full(t->data->fd, to, part, (off_t)t->at);

    if (got < 0)
        return bh_err_errno(err, errno, "read of a file to copy");
    if ((size_t)got != part)
        return bh_err_set(err, BH_E_DATA_LOSS, "a file to copy is shorter than it should be");
    t->at += part;
    t->done += part;
    t->left -= part;
    *out_n = part;
    return 0;
}

static size_t take_padding(struct unp_tarout *t, unsigned char *to, size_t n) {
    size_t part = t->pad < n ? t->pad : n;

    memset(to, 0, part);
    t->pad -= (unsigned)part;
    return part;
}

int unp_tarout_pull(void *tarout, void *to, size_t n, size_t *out_n, struct bh_err *err) {
    struct unp_tarout *t = tarout;
    unsigned char *p = to;
    size_t done = 0;

    while (done < n) {
        size_t part = 0;

        if (t->head_at < t->head.len)
            part = take_head(t, p + done, n - done);
        else if (t->left > 0) {
            if (take_data(t, p + done, n - done, &part, err) != 0)
                return err->code;
        } else if (t->pad > 0)
            part = take_padding(t, p + done, n - done);
        else if (t->ended)
            break;
        else if (next_entry(t, err) != 0)
            return err->code;
        done += part;
    }
    *out_n = done;
    return 0;
}

int unp_tarout_open(struct unp_tarout *t, struct unp_compose *c, struct bh_err *err) {
    *t = (struct unp_tarout){.c = c};
    bh_buf_init(&t->head, (size_t)16 << 20);
    return order_dir(t, UNP_ROOT, err);
}

void unp_tarout_fini(struct unp_tarout *t) {
    free(t->order);
    bh_buf_fini(&t->head);
}
