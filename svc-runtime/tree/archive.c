/*
 * archive.c - a tree as a tar: an upper with its whiteouts (commit), or a whole root (export).
 *
 * Room: tree.  Kept xattrs: user.* but overlay's own, security.capability, POSIX ACLs; ids in them
 * are told as the container's, because this process is in the container's user namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "tree.h"

/* First path of each file with more than one name; open addressing, grows by doubling. */
struct seen {
    dev_t dev;
    ino_t ino;
    char *path; /* NULL: free */
};

/* A folder that only holds what is left out need not be told: it was made as a mount's place. */
#define MAX_WAITING 256
struct waiting {
    char *path;
    struct stat st;
};

struct archive {
    struct tree_tar tar;
    struct tree_filter filter;
    struct waiting waiting[MAX_WAITING]; /* each inside the one before */
    unsigned n_waiting;
    struct seen *seen;
    size_t n_seen, room; /* room: a power of two */
    struct bh_buf xattrs, path;
    bool overlay;
};

static struct seen *seen_slot(struct seen *table, size_t room, dev_t dev, ino_t ino) {
    size_t i = (size_t)((uint64_t)ino * 0x9E3779B97F4A7C15u ^ (uint64_t)dev) & (room - 1);

    while (table[i].path != NULL && (table[i].ino != ino || table[i].dev != dev))
        i = (i + 1) & (room - 1);
    return &table[i];
}

/* The path under which this file is in the archive already, or NULL after noting this one. */
static const char *seen_before(struct archive *a, const struct tree_item *it) {
    struct seen *s;

    if (2 * a->n_seen >= a->room) {
        size_t room = a->room == 0 ? 1024 : 2 * a->room;
        struct seen *table = bh_xcalloc(room, sizeof(*table));

        for (size_t i = 0; i < a->room; i++)
            if (a->seen[i].path != NULL)
                *seen_slot(table, room, a->seen[i].dev, a->seen[i].ino) = a->seen[i];
        free(a->seen);
        a->seen = table;
        a->room = room;
    }
    s = seen_slot(a->seen, a->room, it->st.st_dev, it->st.st_ino);
    if (s->path != NULL)
        return s->path;
    *s = (struct seen){it->st.st_dev, it->st.st_ino, bh_xstrdup(it->path)};
    a->n_seen++;
    return NULL;
}

/* ---- xattrs ----------------------------------------------------------------------------------- */

static bool wanted(const char *name) {
    if (strcmp(name, "security.capability") == 0 || bh_str_starts(name, "system.posix_acl_"))
        return true;
    return bh_str_starts(name, "user.") && !bh_str_starts(name, "user.overlay.");
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void xattr_add(struct archive *a, const struct tree_item *it, const char *name) {
    static char value[65536];
    char key[300];
    ssize_t n = lgetxattr(it->name, name, value, sizeof(value));

    if (n >= 0 && (size_t)snprintf(key, sizeof(key), "SCHILY.xattr.%s", name) < sizeof(key))
        tree_pax_add(&a->xattrs, key, value, (size_t)n);
}

/* Files without any are the rule: one call then. */
static void xattrs_read(struct archive *a, const struct tree_item *it) {
    static char list[65536];
    ssize_t n = llistxattr(it->name, list, sizeof(list));
    const char *names[1024];
    unsigned count = 0;

    bh_buf_reset(&a->xattrs);
    for (const char *p = list; n > 0 && p < list + n && count < BH_ARRAY_LEN(names); p += strlen(p) + 1)
        if (wanted(p))
            names[count++] = p;
    if (count > 1)
        qsort(names, count, sizeof(names[0]), by_name);
    for (unsigned i = 0; i < count; i++)
        xattr_add(a, it, names[i]);
}

/* ---- entries ----------------------------------------------------------------------------------- */

/* An empty file whose name alone says something; all else of it is fixed. */
static int whiteout(struct archive *a, const char *path, size_t folder_len, const char *name, struct bh_err *err) {
    struct tree_tar_entry e = {.type = '0'};

    bh_buf_reset(&a->path);
    bh_buf_add(&a->path, path, folder_len);
    if (folder_len > 0)
        bh_buf_addc(&a->path, '/');
    bh_buf_addf(&a->path, ".wh.%s", name);
    e.path = bh_buf_str(&a->path);
    return tree_tar_header(&a->tar, &e, err);
}

static int file(struct archive *a, const struct tree_item *it, struct tree_tar_entry *e, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = open(it->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? 0 : bh_err_errno(err, errno, "open a file");
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return 0; /* replaced since we looked */
    e->st = st;
    e->st.st_mtim = it->st.st_mtim; /* maybe lowered */
    r = tree_tar_header(&a->tar, e, err);
    return r == 0 ? tree_tar_content(&a->tar, fd, (uint64_t)st.st_size, err) : r;
}

static int folder(struct archive *a, const struct tree_item *it, struct tree_tar_entry *e, struct bh_err *err) {
    int r;

    if (it->path[0] == 0 && (it->st.st_mode & 07777) == 0755 && it->st.st_uid == 0 && it->st.st_gid == 0)
        return 0; /* the root as a layer without an entry for it has it */
    e->type = '5';
    bh_buf_reset(&a->path);
    bh_buf_addf(&a->path, "%s/", it->path[0] != 0 ? it->path : ".");
    e->path = bh_buf_str(&a->path);
    r = tree_tar_header(&a->tar, e, err);
    return r == 0 && it->opaque ? whiteout(a, it->path, strlen(it->path), ".wh..opq", err) : r;
}

static int entry(struct archive *a, const struct tree_item *it, struct bh_err *err) {
    struct tree_tar_entry e = {.path = it->path, .st = it->st, .xattrs = &a->xattrs};
    char target[4097];
    ssize_t n;

    if (it->whiteout)
        return whiteout(a, it->path,
                        it->name == it->path ? 0
                                             : strlen(it->path) - strlen(it->name) - (strchr(it->path, '/') != NULL),
                        it->name, err);
    if (!S_ISDIR(it->st.st_mode) && it->st.st_nlink > 1 && (e.link = seen_before(a, it)) != NULL) {
        e.type = '1';
        e.xattrs = NULL;
        return tree_tar_header(&a->tar, &e, err);
    }
    xattrs_read(a, it);
    switch (it->st.st_mode & S_IFMT) {
    case S_IFREG:
        e.type = '0';
        return file(a, it, &e, err);
    case S_IFDIR:
        return folder(a, it, &e, err);
    case S_IFLNK:
        n = readlinkat(AT_FDCWD, it->name, target, sizeof(target) - 1);
        if (n < 0)
            return errno == ENOENT || errno == EINVAL ? 0 : bh_err_errno(err, errno, "read a symlink");
        target[n] = 0;
        e.type = '2';
        e.link = target;
        return tree_tar_header(&a->tar, &e, err);
    case S_IFCHR:
        e.type = '3';
        return tree_tar_header(&a->tar, &e, err);
    case S_IFBLK:
        e.type = '4';
        return tree_tar_header(&a->tar, &e, err);
    default:
        e.type = '6';
        return tree_tar_header(&a->tar, &e, err);
    }
}

/* ---- a part of an upper ------------------------------------------------------------------------ */

static bool may_wait(const struct archive *a, const struct tree_item *it) {
    return S_ISDIR(it->st.st_mode) && !it->opaque && (it->st.st_mode & 07777) == 0755 && it->st.st_uid == 0 &&
           it->st.st_gid == 0 && a->xattrs.len == 0 && a->n_waiting < MAX_WAITING;
}

static int flush_waiting(struct archive *a, struct bh_err *err) {
    for (unsigned i = 0; i < a->n_waiting; i++) {
        const struct tree_item it = {.path = a->waiting[i].path, .name = ".", .st = a->waiting[i].st};
        struct tree_tar_entry e = {.path = it.path, .st = it.st};

        if (folder(a, &it, &e, err) != 0)
            return err->code;
        free(a->waiting[i].path);
    }
    a->n_waiting = 0;
    return 0;
}

static void clamp_time(const struct tree_filter *f, struct timespec *t) {
    const struct timespec most = {.tv_sec = f->clamp_ns / 1000000000, .tv_nsec = f->clamp_ns % 1000000000};

    if (t->tv_sec > most.tv_sec || (t->tv_sec == most.tv_sec && t->tv_nsec > most.tv_nsec))
        *t = most;
}

static int item(void *arg, const struct tree_item *seen, struct bh_err *err) {
    struct archive *a = arg;
    struct tree_item it = *seen;
    enum tree_part part = tree_filter_part(&a->filter, it.path);

    if (part == TREE_OUT)
        return TREE_SKIP;
    if (part == TREE_ABOVE)
        return 0;
    if (a->filter.clamp)
        clamp_time(&a->filter, &it.st.st_mtim);
    if (part == TREE_HOLDS_OUT) {
        xattrs_read(a, &it);
        if (may_wait(a, &it)) {
            a->waiting[a->n_waiting++] = (struct waiting){bh_xstrdup(it.path), it.st};
            return 0;
        }
    }
    return flush_waiting(a, err) != 0 ? err->code : entry(a, &it, err);
}

static int leave(void *arg, const struct tree_item *it, struct bh_err *err) {
    struct archive *a = arg;

    (void)err;
    if (a->n_waiting > 0 && tree_filter_part(&a->filter, it->path) == TREE_HOLDS_OUT &&
        strcmp(a->waiting[a->n_waiting - 1].path, it->path) == 0)
        free(a->waiting[--a->n_waiting].path);
    return 0;
}

int tree_archive(bool overlay, struct bh_err *err) {
    struct archive a = {.overlay = overlay};
    const struct tree_visitor v = {.item = item, .leave = leave, .arg = &a, .overlay = overlay};
    int r = overlay ? tree_filter_read(TREE_FD_OTHER, &a.filter, err) : 0;

    if (r != 0)
        return r;
    tree_tar_init(&a.tar, TREE_FD_OUTPUT);
    r = tree_walk(&v, -1, err);
    if (r == 0)
        r = tree_tar_end(&a.tar, err);
    return r; /* the process ends: nothing is freed */
}
