/*
 * layer.c - seals layer files, has them verified, mounts them once for all containers.
 *
 * Room: launch.  A layer file comes from the store by descriptor and is foreign until a child
 * without rights has verified its index; before that it is sealed, so that what was verified is what
 * stays.  The kernel reads it only after both.  docs/store-format.md; lib/layer/layer_format.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"
#include "rightless/verify.h"

/* No writer is left (the lease proves it), none can come (owner and mode), and where the file system
 * can, the bytes are pinned by fs-verity. */
static int seal(int fd, struct bh_err *err) {
    struct fsverity_enable_arg verity = {.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096};
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || flags < 0 || (flags & O_ACCMODE) != O_RDONLY || flags & O_PATH)
        return bh_err_set(err, BH_E_INVALID, "seal layer: this is no regular file opened for reading");
    if (fchown(fd, 0, 0) != 0 || fchmod(fd, 0444) != 0)
        return bh_err_errno(err, errno, "seal layer: take it over");
    if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0) {
        if (errno == EAGAIN)
            return bh_err_set(err, BH_E_CONFLICT, "seal layer: somebody still has it open for writing");
        bh_err_errno(err, errno, "seal layer: the file system grants no lease");
        return bh_err_hint(err, "put the engine's folder on a local file system such as ext4 or xfs");
    }
    fcntl(fd, F_SETLEASE, F_UNLCK);
    (void)ioctl(fd, FS_IOC_ENABLE_VERITY, &verity); /* few file systems can; the seal does not rest on it */
    return 0;
}

static int verify(int fd, const unsigned char *diff_id, struct bh_err *err) {
    const struct bh_ask a = {.work = lnc_verify_work, .arg = diff_id, .fds = &fd, .n_fds = 1};

    if (bh_ask(&a, err) == BH_E_ABORTED) {
        bh_err_set(err, BH_E_DATA_LOSS, "verify layer: the process that reads it was ended");
        return bh_err_reason(err, "bad-layer");
    }
    return err->code;
}

static int layer_fs(int file, int *out_mount, struct bh_err *err) {
    BH_SCOPE_CLOSE int fs = (int)syscall(SYS_fsopen, "erofs", FSOPEN_CLOEXEC);
    char source[48];

    snprintf(source, sizeof(source), "/proc/self/fd/%d", file);
    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", source, 0) != 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) != 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        return bh_err_errno(err, errno, "open a layer as EROFS");
    *out_mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    return *out_mount >= 0 ? 0 : bh_err_errno(err, errno, "mount a layer");
}

static void point_of(const struct launch *l, unsigned slot, char *out, size_t size) {
    snprintf(out, size, "%s/run/launch/layers/%u", l->root, slot);
}

/* Attached in our own namespace: kernels before 6.15 copy no mount that is attached nowhere. */
static int mount_layer(struct launch *l, unsigned slot, int file, struct bh_err *err) {
    BH_SCOPE_CLOSE int m = -1;
    char path[PATH_MAX];
    int r = layer_fs(file, &m, err);

    if (r != 0)
        return r;
    point_of(l, slot, path, sizeof(path));
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make %s", path);
    if (syscall(SYS_move_mount, m, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return bh_err_errno(err, errno, "attach a layer to %s", path);
    l->layer[slot].mounted = true;
    return 0;
}

static void forget(struct launch *l, unsigned slot) {
    char path[PATH_MAX];

    if (l->layer[slot].mounted) {
        point_of(l, slot, path, sizeof(path));
        umount2(path, MNT_DETACH); /* containers have copies of their own */
    }
    if (l->layer[slot].file >= 0)
        close(l->layer[slot].file);
    l->layer[slot] = (struct lnc_layer){.file = -1};
}

static const char *path_of(const char *name, char out[96]) {
    snprintf(out, 96, "extracted/%s", name);
    return out;
}

/* A folder below extracted/, by a child that nobody waits for: loop.c reaps it. */
static void drop_extracted(const struct launch *l, const char *name) {
    BH_SCOPE_CLOSE int at = openat(l->lowest, "extracted", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    BH_SCOPE_CLOSE int dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct bh_err err = BH_ERR_INIT;

    if (dir >= 0 && fork() == 0) {
        if (lnc_tree_helper(l, "remove", dir, -1, &err) == 0)
            unlinkat(at, name, AT_REMOVEDIR);
        _exit(0);
    }
}

void lnc_extracted_clean(const struct launch *l) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(l->lowest, "extracted");

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;)
        if (e->d_name[0] == '.')
            drop_extracted(l, e->d_name);
}

/* A layer that the store has removed must not hold its disk space because we remember it. */
void lnc_layers_sweep(struct launch *l) {
    char hex[65], gone[72], from[96], to[96];
    struct stat st;

    for (unsigned i = 0; i < LNC_MAX_CACHED; i++) {
        if (l->layer[i].file < 0 || (fstat(l->layer[i].file, &st) == 0 && st.st_nlink > 0))
            continue;
        bh_hex(l->layer[i].diff_id, 32, hex);
        snprintf(gone, sizeof(gone), ".%s.gone", hex);
        if (!l->layer[i].mounted && renameat(l->lowest, path_of(hex, from), l->lowest, path_of(gone, to)) == 0)
            drop_extracted(l, gone); /* renamed first: the same layer may be wanted again while this is removed */
        forget(l, i);
    }
}

/* Same inode, unchanged since (sealing it again would change ctime), for the same diffID. */
static bool is_known(const struct lnc_layer *y, const struct stat *st, const unsigned char *diff_id) {
    return y->file >= 0 && y->dev == st->st_dev && y->ino == st->st_ino && y->changed.tv_sec == st->st_ctim.tv_sec &&
           y->changed.tv_nsec == st->st_ctim.tv_nsec && memcmp(y->diff_id, diff_id, 32) == 0;
}

static unsigned slot_for_new(struct launch *l) {
    unsigned oldest = 0;

    for (unsigned i = 0; i < LNC_MAX_CACHED; i++) {
        if (l->layer[i].file < 0)
            return i;
        if (l->layer[i].used < l->layer[oldest].used)
            oldest = i;
    }
    forget(l, oldest);
    return oldest;
}

static int layer_ready(struct launch *l, int fd, const unsigned char *diff_id, bool mounted, unsigned *out,
                       struct bh_err *err) {
    struct stat st;
    unsigned slot;

    if (fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "look at a layer");
    for (slot = 0; slot < LNC_MAX_CACHED; slot++)
        if (is_known(&l->layer[slot], &st, diff_id))
            break;
    if (slot == LNC_MAX_CACHED) {
        if (seal(fd, err) != 0 || verify(fd, diff_id, err) != 0)
            return err->code;
        slot = slot_for_new(l);
        l->layer[slot] = (struct lnc_layer){.file = fcntl(fd, F_DUPFD_CLOEXEC, 12), .dev = st.st_dev, .ino = st.st_ino};
        memcpy(l->layer[slot].diff_id, diff_id, 32);
        fstat(fd, &st);
        l->layer[slot].changed = st.st_ctim;
    }
    if (mounted && !l->layer[slot].mounted && mount_layer(l, slot, fd, err) != 0)
        return bh_err_reason(err, RT_NO_MOUNT);
    l->layer[slot].used = ++l->clock;
    *out = slot;
    return 0;
}

int lnc_layers_ready(struct launch *l, struct lnc_request *r, unsigned first_fd, struct bh_err *err) {
    bool mounted = !(r->q.flags & RT_LAUNCH_EXTRACTED);
    char hex[65];

    for (unsigned i = 0; i < r->q.n_layers; i++) {
        if (layer_ready(l, r->fds[first_fd + i], r->q.diff_ids[i], mounted, &r->slots[i], err) != 0) {
            bh_hex(r->q.diff_ids[i], 32, hex);
            return bh_err_prefix(err, "layer sha256:%.12s", hex);
        }
    }
    return 0;
}

/* ---- in a child: the tree of one layer ------------------------------------------------------ */

/* Files of the layer as bulkhead-tree lays them out in a folder; one that is there is complete. */
static int extract(const struct launch *l, const struct lnc_layer *y, const char *hex, struct bh_err *err) {
    char temp[96], final[96];
    BH_SCOPE_CLOSE int dir = -1;

    snprintf(final, sizeof(final), "extracted/%s", hex);
    snprintf(temp, sizeof(temp), "extracted/.%s.%d", hex, (int)getpid());
    if (mkdirat(l->lowest, temp, 0755) != 0 || (dir = openat(l->lowest, temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return bh_err_errno(err, errno, "make a folder for an extracted layer");
    if (lnc_tree_helper(l, "extract", dir, y->file, err) != 0)
        return bh_err_prefix(err, "layer sha256:%.12s", hex);
    if (syncfs(dir) != 0)
        return bh_err_errno(err, errno, "sync an extracted layer");
    if (renameat(l->lowest, temp, l->lowest, final) == 0)
        return 0;
    if (errno != EEXIST && errno != ENOTEMPTY)
        return bh_err_errno(err, errno, "name an extracted layer");
    drop_extracted(l, strrchr(temp, '/') + 1); /* another start was faster */
    return 0;
}

int lnc_layer_tree(const struct launch *l, unsigned slot, int userns, int *out_mount, struct bh_err *err) {
    const struct lnc_layer *y = &l->layer[slot];
    char path[PATH_MAX], hex[65];
    int r;

    point_of(l, slot, path, sizeof(path));
    if (!y->mounted) {
        bh_hex(y->diff_id, 32, hex);
        snprintf(path, sizeof(path), "%s/state/launch/extracted/%s", l->root, hex);
        if (access(path, F_OK) != 0 && (r = extract(l, y, hex, err)) != 0)
            return r;
    }
    return lnc_idmapped(AT_FDCWD, path, userns, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, out_mount, err);
}
