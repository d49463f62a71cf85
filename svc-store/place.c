/*
 * place.c - see place.h.
 */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define RESERVE_NAME "reserve"
#define HEX_LEN      64

static int tree_fd(const struct store_place *p, enum store_tree tree) {
    return tree == STORE_LAYERS ? p->layers_fd : p->blobs_fd;
}

static const char *tree_name(enum store_tree tree) {
    return tree == STORE_LAYERS ? "layer" : "blob";
}

/* ---- opening ------------------------------------------------------------------------------- */

static int open_dir(int at, const char *name, int *out, struct bh_err *err) {
    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make folder %s of the store", name);
    *out = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (*out < 0)
        return bh_err_errno(err, errno, "open folder %s of the store", name);
    return 0;
}

static int open_tree(int root, const char *name, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int dir = -1;

    if (open_dir(root, name, &dir, err) != 0)
        return err->code;
    return open_dir(dir, "sha256", out, err);
}

/* Since Linux 6.10 a process may link a file that it opened itself; before, that took a capability
 * or /proc, and a room has neither. */
static bool can_link_unnamed(int ingest) {
    BH_SCOPE_CLOSE int fd = openat(ingest, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0 || linkat(fd, "", ingest, "probe", AT_EMPTY_PATH) != 0)
        return false;
    unlinkat(ingest, "probe", 0);
    return true;
}

int store_place_open(struct store_place *p, const char *path, struct bh_err *err) {
    *p = (struct store_place){.root_fd = -1, .ingest_fd = -1, .partial_fd = -1, .layers_fd = -1, .blobs_fd = -1};
    if (!bh_str_copy(p->path, sizeof p->path, path))
        return bh_err_set(err, BH_E_INVALID, "path of the store is too long: %s", path);
    p->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->root_fd < 0)
        return bh_err_errno(err, errno, "open the store's folder %s", path);
    if (open_dir(p->root_fd, "ingest", &p->ingest_fd, err) != 0 ||
        open_dir(p->root_fd, "partial", &p->partial_fd, err) != 0 ||
        open_tree(p->root_fd, "layers", &p->layers_fd, err) != 0 ||
        open_tree(p->root_fd, "blobs", &p->blobs_fd, err) != 0) {
        store_place_close(p);
        return err->code;
    }
    p->named = !can_link_unnamed(p->ingest_fd);
    return 0;
}

void store_place_close(struct store_place *p) {
    int *fds[] = {&p->root_fd, &p->ingest_fd, &p->partial_fd, &p->layers_fd, &p->blobs_fd};

    for (size_t i = 0; i < BH_ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* ---- temporary files ----------------------------------------------------------------------- */

static int temp_named(struct store_place *p, struct store_temp *out, struct bh_err *err) {
    static unsigned long counter;

    for (int tries = 0; tries < 100; tries++) {
        unsigned long n = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);

        snprintf(out->name, sizeof out->name, "t%lu", n);
        out->fd = openat(p->ingest_fd, out->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (out->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    out->name[0] = '\0';
    return store_write_error(p, errno, "make a temporary file", 0, err);
}

int store_temp_open(struct store_place *p, struct store_temp *out, struct bh_err *err) {
    *out = (struct store_temp)STORE_TEMP_INIT;
    if (p->named)
        return temp_named(p, out, err);
    out->fd = openat(p->ingest_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (out->fd < 0)
        return store_write_error(p, errno, "make a temporary file", 0, err);
    return 0;
}

void store_temp_drop(struct store_place *p, struct store_temp *t) {
    if (t->fd >= 0)
        close(t->fd);
    if (t->name[0] != '\0' && !t->partial)
        unlinkat(p->ingest_fd, t->name, 0);
    *t = (struct store_temp)STORE_TEMP_INIT;
}

/* ---- unfinished downloads ------------------------------------------------------------------ */

int store_partial_file(struct store_place *p, int64_t k, struct store_temp *out, struct bh_err *err) {
    *out = (struct store_temp){.fd = -1, .partial = true};
    snprintf(out->name, sizeof out->name, "p%lld", (long long)k);
    out->fd = openat(p->partial_fd, out->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out->fd < 0)
        return store_write_error(p, errno, "make the file of a download", 0, err);
    return 0;
}

void store_partial_unlink(struct store_place *p, int64_t k) {
    char name[40];

    snprintf(name, sizeof name, "p%lld", (long long)k);
    unlinkat(p->partial_fd, name, 0);
}

uint64_t store_partial_size(struct store_place *p, int64_t k) {
    char name[40];
    struct stat st;

    snprintf(name, sizeof name, "p%lld", (long long)k);
    if (fstatat(p->partial_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return (uint64_t)st.st_size;
}

int store_partial_each(struct store_place *p, store_partial_fn *fn, void *arg, struct bh_err *err) {
    int fd = openat(p->partial_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    int r = 0;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return bh_err_errno(err, errno, "list the unfinished downloads of the store");
    }
    while (r == 0 && (e = readdir(dir)) != NULL) {
        struct stat st;
        uint64_t k;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (e->d_name[0] != 'p' || !bh_str_u64(e->d_name + 1, &k) || k > INT64_MAX || !S_ISREG(st.st_mode))
            k = UINT64_MAX;
        r = fn(arg, (int64_t)k, e->d_name, (uint64_t)st.st_size);
    }
    closedir(dir);
    return r;
}

/* ---- names --------------------------------------------------------------------------------- */

/* "ab/<hex>" below the tree. */
static void file_path(const char *digest, char out[HEX_LEN + 4]) {
    const char *hex = strchr(digest, ':') + 1;

    snprintf(out, HEX_LEN + 4, "%.2s/%.64s", hex, hex);
}

static int make_prefix(struct store_place *p, enum store_tree tree, const char *path, struct bh_err *err) {
    char prefix[3] = {path[0], path[1], '\0'};
    int fd = tree_fd(p, tree);

    if (mkdirat(fd, prefix, 0700) != 0) {
        if (errno == EEXIST)
            return 0;
        return store_write_error(p, errno, "make a folder of the store", 0, err);
    }
    if (fsync(fd) != 0)
        return store_write_error(p, errno, "sync a folder of the store", 0, err);
    return 0;
}

static int temp_link(struct store_place *p, struct store_temp *t, int tree, const char *path) {
    if (t->name[0] == '\0')
        return linkat(t->fd, "", tree, path, AT_EMPTY_PATH);
    if (renameat2(t->partial ? p->partial_fd : p->ingest_fd, t->name, tree, path, RENAME_NOREPLACE) != 0)
        return -1;
    t->name[0] = '\0';
    return 0;
}

int store_temp_publish(struct store_place *p, struct store_temp *t, enum store_tree tree, const char *digest,
                       struct bh_err *err) {
    char path[HEX_LEN + 4];
    int r = 0;

    file_path(digest, path);
    if (fchmod(t->fd, 0444) != 0)
        r = store_write_error(p, errno, "set the mode of a new file", 0, err);
    else if (make_prefix(p, tree, path, err) != 0)
        r = err->code;
    else if (temp_link(p, t, tree_fd(p, tree), path) != 0 && errno != EEXIST)
        r = store_write_error(p, errno, tree == STORE_LAYERS ? "name a new layer" : "name a new blob", 0, err);
    store_temp_drop(p, t);
    return r;
}

bool store_partial_unname(struct store_place *p, int64_t k, enum store_tree tree, const char *digest) {
    char path[HEX_LEN + 4], name[40];

    file_path(digest, path);
    snprintf(name, sizeof name, "p%lld", (long long)k);
    return renameat2(tree_fd(p, tree), path, p->partial_fd, name, RENAME_NOREPLACE) == 0 &&
           fchmodat(p->partial_fd, name, 0600, 0) == 0;
}

/* ---- files by digest ----------------------------------------------------------------------- */

int store_file_open(struct store_place *p, enum store_tree tree, const char *digest, int *out_fd, struct bh_err *err) {
    char path[HEX_LEN + 4];
    int fd;

    file_path(digest, path);
    fd = openat(tree_fd(p, tree), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        bh_err_errno(err, errno, "open %s %s", tree_name(tree), digest);
        if (errno == ENOENT) {
            err->code = BH_E_DATA_LOSS;
            bh_err_hint(err, "the store has lost a file: run `bulkhead system check --repair`");
        }
        return err->code;
    }
    *out_fd = fd;
    return 0;
}

int store_file_unlink(struct store_place *p, enum store_tree tree, const char *digest, struct bh_err *err) {
    char path[HEX_LEN + 4];

    file_path(digest, path);
    if (unlinkat(tree_fd(p, tree), path, 0) != 0 && errno != ENOENT)
        return bh_err_errno(err, errno, "remove %s %s", tree_name(tree), digest);
    return 0;
}

bool store_file_stat(struct store_place *p, enum store_tree tree, const char *digest, uint64_t *out_size,
                     uint64_t *out_disk) {
    char path[HEX_LEN + 4];
    struct stat st;

    file_path(digest, path);
    if (fstatat(tree_fd(p, tree), path, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return false;
    *out_size = (uint64_t)st.st_size;
    *out_disk = (uint64_t)st.st_blocks * 512;
    return true;
}

int store_file_sync_name(struct store_place *p, enum store_tree tree, const char *digest, struct bh_err *err) {
    char path[HEX_LEN + 4];
    BH_SCOPE_CLOSE int dir = -1;

    file_path(digest, path);
    path[2] = '\0';
    dir = openat(tree_fd(p, tree), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) != 0)
        return store_write_error(p, errno, "sync a folder of the store", 0, err);
    return 0;
}

static bool name_is_digest(const char *prefix, const char *name, char out[STORE_DIGEST_SIZE]) {
    struct bh_digest d;

    if (!bh_digest_from_hex(name, strlen(name), &d) || strncmp(prefix, name, 2) != 0 || strlen(prefix) != 2)
        return false;
    bh_digest_format(&d, out);
    return true;
}

static int each_in(DIR *dir, const char *prefix, store_file_fn *fn, void *arg, struct bh_err *err) {
    const struct dirent *e;
    int r;

    while ((e = readdir(dir)) != NULL) {
        char path[280];
        char digest[STORE_DIGEST_SIZE];
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%.8s/%s", prefix, e->d_name);
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        r = fn(arg, S_ISREG(st.st_mode) && name_is_digest(prefix, e->d_name, digest) ? digest : NULL, path,
               (uint64_t)st.st_size);
        if (r != 0)
            return r;
    }
    (void)err;
    return 0;
}

int store_file_each(struct store_place *p, enum store_tree tree, store_file_fn *fn, void *arg, struct bh_err *err) {
    for (unsigned i = 0; i < 256; i++) {
        char prefix[3];
        DIR *dir;
        int fd;
        int r;

        snprintf(prefix, sizeof prefix, "%02x", i);
        fd = openat(tree_fd(p, tree), prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            return bh_err_errno(err, errno, "open folder %s of the store", prefix);
        dir = fdopendir(fd);
        if (dir == NULL) {
            close(fd);
            return bh_err_errno(err, ENOMEM, "list folder %s of the store", prefix);
        }
        r = each_in(dir, prefix, fn, arg, err);
        closedir(dir);
        if (r != 0)
            return r;
    }
    return 0;
}

int store_stray_unlink(struct store_place *p, enum store_tree tree, const char *path, struct bh_err *err) {
    if (unlinkat(tree_fd(p, tree), path, 0) != 0 && errno != ENOENT &&
        unlinkat(tree_fd(p, tree), path, AT_REMOVEDIR) != 0)
        return bh_err_errno(err, errno, "remove %s from the store", path);
    return 0;
}

void store_ingest_clean(struct store_place *p) {
    int fd = openat(p->ingest_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            unlinkat(p->ingest_fd, e->d_name, 0);
    closedir(dir);
}

/* ---- room on the disk ---------------------------------------------------------------------- */

uint64_t store_place_free(const struct store_place *p) {
    struct statvfs v;

    if (fstatvfs(p->root_fd, &v) != 0)
        return 0;
    return (uint64_t)v.f_bavail * v.f_frsize;
}

static int disk_full(const struct store_place *p, const char *what, uint64_t need, struct bh_err *err) {
    char have[24];
    char want[24];

    bh_human_size(have, sizeof have, store_place_free(p), 3);
    bh_human_size(want, sizeof want, need, 3);
    if (need > 0)
        bh_err_set(err, BH_E_LIMIT,
                   "%s: no space left on the file system of the image store (state/store): %s free, %s needed", what,
                   have, want);
    else
        bh_err_set(err, BH_E_LIMIT, "%s: no space left on the file system of the image store (state/store): %s free",
                   what, have);
    bh_err_reason(err, "disk-full");
    return bh_err_hint(err, "make room with `bulkhead image prune -a` or `bulkhead rmi`, or enlarge the file system "
                            "that holds the engine's state folder");
}

int store_write_error(struct store_place *p, int errno_value, const char *what, uint64_t need, struct bh_err *err) {
    if (errno_value == ENOSPC || errno_value == EDQUOT)
        return disk_full(p, what, need, err);
    return bh_err_errno(err, errno_value, "%s", what);
}

int store_worker_full(struct store_place *p, const char *what, uint64_t need, struct bh_err *err) {
    if (strstr(err->msg, "No space left on device") == NULL)
        return err->code;
    return disk_full(p, what, need == UINT64_MAX ? 0 : need, err);
}

int store_room_check(struct store_place *p, const char *what, uint64_t need, struct bh_err *err) {
    if (need <= store_place_free(p))
        return 0;
    return disk_full(p, what, need, err);
}

bool store_reserve_take(struct store_place *p) {
    if (unlinkat(p->root_fd, RESERVE_NAME, 0) != 0)
        return false;
    bh_log(BH_LOG_WARN, "reserve-used", "bytes=%llu", (unsigned long long)p->reserve);
    return true;
}

void store_reserve_restore(struct store_place *p) {
    struct stat st;
    BH_SCOPE_CLOSE int fd = -1;

    if (p->reserve == 0)
        return;
    if (fstatat(p->root_fd, RESERVE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && (uint64_t)st.st_blocks * 512 >= p->reserve)
        return;
    fd = openat(p->root_fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    /* not while the disk is full: a reserve of a few bytes would help nobody */
    if (fallocate(fd, 0, 0, (off_t)p->reserve) != 0)
        unlinkat(p->root_fd, RESERVE_NAME, 0);
}

static uint64_t used_below(int at, const char *name, int depth) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    uint64_t sum = 0;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((e = readdir(dir)) != NULL) {
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        sum += (uint64_t)st.st_blocks * 512;
        if (S_ISDIR(st.st_mode) && depth > 0)
            sum += used_below(fd, e->d_name, depth - 1);
    }
    closedir(dir);
    return sum;
}

uint64_t store_place_used(struct store_place *p) {
    return used_below(p->root_fd, ".", 3);
}
