/*
 * rootfs.c - the mounts of one container, made in a mount namespace that only its child has.
 *
 * Room: launch, in the child of one start or walk.  Everything is attached here, in launch's user
 * namespace, before the container's exists, so that nodev and nosuid cannot be taken off in there
 * (docs/threat-model.md).  Paths that an image can shape are only walked with RESOLVE_IN_ROOT; what is
 * missing there is made by a child with the rights of the container's root.
 * Nothing is ever unmounted: the mounts end with the namespaces that hold them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "launch.h"
#include "rightless/point.h"

/* ---- user namespace ------------------------------------------------------------------------- */

static int write_map(pid_t pid, const char *which, uint32_t base, struct bh_err *err) {
    char path[64], text[64];
    int n = snprintf(text, sizeof(text), "0 %u %u\n", base, LNC_IDS);
    BH_SCOPE_CLOSE int fd = -1;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, which);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        return bh_err_errno(err, errno, "map the container's ids");
    return 0;
}

/* A namespace with the container's map, as a descriptor; its one process ends at once. */
int lnc_userns(uint32_t base, int *out, struct bh_err *err) {
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    char path[64];
    int r;

    if (pid == 0)
        for (;;)
            pause();
    if (pid < 0) {
        bh_err_errno(err, errno, "make a user namespace");
        return bh_err_hint(err, "see sysctl user.max_user_namespaces");
    }
    r = write_map(pid, "uid_map", base, err) != 0 ? err->code : write_map(pid, "gid_map", base, err);
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    if (r == 0 && (*out = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        r = bh_err_errno(err, errno, "open %s", path);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return r;
}

/* A detached copy of what `path` shows, ids shifted where there is a user namespace. */
int lnc_idmapped(int from, const char *path, int userns, unsigned flags, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int m = (int)syscall(SYS_open_tree, from, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    struct mount_attr attr = {.attr_set = flags};

    if (userns >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t)userns;
    }
    if (m < 0 || syscall(SYS_mount_setattr, m, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
        return bh_err_errno(err, errno, "take %s for the container", path);
    *out = bh_take_fd(&m);
    return 0;
}

static int attach_at(int mount, const char *path, struct bh_err *err) {
    if (syscall(SYS_move_mount, mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return bh_err_errno(err, errno, "attach a mount to %s", path);
    return 0;
}

/* ---- the stage and the root ------------------------------------------------------------------ */

int lnc_stage(const struct launch *l, const char *id, int *dir, struct bh_err *err) {
    char path[PATH_MAX];

    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return bh_err_errno(err, errno, "make a mount namespace for the container");
    if (mount("tmpfs", l->stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=16m") != 0)
        return bh_err_errno(err, errno, "mount a tmpfs on %s", l->stage);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"rootfs", "bundle", "l"};

        snprintf(path, sizeof(path), "%s/%s", l->stage, names[i]);
        if (mkdir(path, 0755) != 0) /* the OCI runtime opens rootfs as the container's root */
            return bh_err_errno(err, errno, "make %s", path);
    }
    close(*dir);
    snprintf(path, sizeof(path), "%s/state/launch/containers/%s", l->root, id);
    *dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *dir >= 0 ? 0 : bh_err_errno(err, errno, "open %s", path);
}

/* Layers, then the folder of mount points, then the upper when it is only to be read: as <stage>/l/<i>. */
static int add_lowers(const struct lnc_mounts *m, const struct lnc_request *r, int container_dir, unsigned n_lowers,
                      struct bh_err *err) {
    const unsigned flags = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
    int rc = 0;

    for (unsigned i = 0; i < n_lowers && rc == 0; i++) {
        BH_SCOPE_CLOSE int tree = -1;
        char path[96];

        snprintf(path, sizeof(path), "%s/l/%u", m->l->stage, i);
        if (i < r->q.n_layers)
            rc = lnc_layer_tree(m->l, r->slots[i], m->userns, &tree, err);
        else if (i == r->q.n_layers)
            rc = lnc_idmapped(container_dir, "../../init-layer", m->userns, flags, &tree, err);
        else
            rc = lnc_idmapped(container_dir, "upper", -1, flags, &tree, err);
        if (rc == 0 && mkdir(path, 0711) != 0)
            rc = bh_err_errno(err, errno, "make %s", path);
        if (rc == 0)
            rc = attach_at(tree, path, err);
    }
    return rc;
}

/* The root folder's owner and mode are those of the highest layer, as if that had been extracted. */
static int dress_upper(const struct lnc_mounts *m, unsigned n_layers, int container_dir, struct bh_err *err) {
    struct stat lower;
    char path[96];

    snprintf(path, sizeof(path), "%s/l/%u", m->l->stage, n_layers > 0 ? n_layers - 1 : 0);
    if (stat(path, &lower) != 0)
        return bh_err_errno(err, errno, "look at the highest layer");
    if (fchownat(container_dir, "upper", lower.st_uid, lower.st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
        fchmodat(container_dir, "upper", lower.st_mode & 07777, 0) != 0)
        return bh_err_errno(err, errno, "give the upper folder to the container");
    return 0;
}

/* Descriptors of upper and work must be of this mount namespace: overlay refuses mounts of another. */
static int add_upper(const struct lnc_mounts *m, int container_dir, int fds[2], struct bh_buf *opts,
                     struct bh_err *err) {
    fds[0] = openat(container_dir, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fds[1] = openat(container_dir, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fds[0] < 0 || fds[1] < 0)
        return bh_err_errno(err, errno, "open the container's upper folder");
    /* The last unmount of an overlay syncs the host's whole file system, unless it is volatile; such an
     * upper is marked, and the mark must go before it is mounted again (restart). */
    unlinkat(fds[1], "work/incompat/volatile/dirty", 0);
    unlinkat(fds[1], "work/incompat/volatile", AT_REMOVEDIR);
    unlinkat(fds[1], "work/incompat", AT_REMOVEDIR);
    bh_buf_addf(opts, "%s,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", m->fleeting ? ",volatile" : "", fds[0],
                fds[1]);
    return 0;
}

/* The highest layer stands first.  A single one that is only read is bound: overlay wants two. */
static int mount_overlay(const struct lnc_mounts *m, unsigned n_lowers, int container_dir, bool writable,
                         const char *path, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf opts = BH_BUF_INIT;
    int fds[2] = {-1, -1};
    bool ok;

    bh_buf_adds(&opts, "userxattr,index=off,lowerdir=");
    for (unsigned i = n_lowers; i-- > 0;)
        bh_buf_addf(&opts, "%s/l/%u%s", m->l->stage, i, i > 0 ? ":" : "");
    if (writable && add_upper(m, container_dir, fds, &opts, err) != 0)
        return err->code;
    if (n_lowers == 1 && !writable)
        ok = mount(strchr(bh_buf_str(&opts), '/'), path, NULL, MS_BIND, NULL) == 0;
    else
        ok = mount("overlay", path, "overlay", MS_NODEV | (writable ? 0 : MS_RDONLY), bh_buf_str(&opts)) == 0;
    int e = errno;
    bh_fdpass_close(fds, 2);
    return ok ? 0 : bh_err_errno(err, e, "stack the layers with overlay");
}

int lnc_rootfs(struct lnc_mounts *m, const struct lnc_request *r, int container_dir, bool writable, bool with_upper,
               struct bh_err *err) {
    unsigned n_lowers = r->q.n_layers + 1 + with_upper;
    char path[96];
    int rc = add_lowers(m, r, container_dir, n_lowers, err);

    if (rc == 0 && writable && m->dress)
        rc = dress_upper(m, r->q.n_layers, container_dir, err);
    snprintf(path, sizeof(path), "%s/rootfs", m->l->stage);
    if (rc == 0)
        rc = mount_overlay(m, n_lowers, container_dir, writable, path, err);
    if (rc == 0 && (m->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        rc = bh_err_errno(err, errno, "open %s", path);
    for (unsigned i = 0; i < n_lowers && rc == 0; i++) {
        snprintf(path, sizeof(path), "%s/l/%u", m->l->stage, i);
        umount2(path, MNT_DETACH); /* overlay has its own hold on them */
    }
    return rc;
}

/* ---- binds and tmpfs of the user ------------------------------------------------------------------ */

static int bind_dress(const struct lnc_mounts *m, const struct rt_mount *b, int mount, struct bh_err *err) {
    static const uint64_t propagation[] = {MS_PRIVATE, MS_PRIVATE, MS_SHARED, MS_SHARED, MS_SLAVE, MS_SLAVE};
    struct mount_attr attr = {.propagation = propagation[b->propagation <= RT_PROP_RSLAVE ? b->propagation : 0]};

    if (b->flags & RT_MOUNT_RO)
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (b->flags & RT_MOUNT_NOEXEC)
        attr.attr_set |= MOUNT_ATTR_NOEXEC;
    if (m->userns >= 0)
        attr.attr_set |= MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
    if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) != 0)
        return bh_err_errno(err, errno, "set the options of the mount of %s", b->source);
    attr = (struct mount_attr){.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)m->userns};
    if (b->flags & RT_MOUNT_IDMAP && m->userns >= 0 &&
        syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
        return bh_err_errno(err, errno, "shift the owners of %s", b->source);
    return 0;
}

int lnc_binds_take(const struct lnc_mounts *m, const struct rt_spec *spec, int *fds, struct bh_err *err) {
    for (uint32_t i = 0; i < spec->n_mounts; i++) {
        const struct rt_mount *b = &spec->mounts[i];

        fds[i] = -1;
        if (b->target[0] != '/' || b->target[strspn(b->target, "/")] == 0)
            return bh_err_set(err, BH_E_INVALID, "invalid mount target \"%s\": it must be an absolute path below /",
                              b->target);
        if (b->kind != RT_MOUNT_BIND)
            continue;
        if (b->source[0] != '/')
            return bh_err_set(err, BH_E_INVALID, "invalid mount source \"%s\": it must be an absolute path", b->source);
        if (access(b->source, F_OK) != 0 && errno == ENOENT && b->flags & RT_MOUNT_MAKE_SOURCE &&
            bh_make_parents(b->source, 0755) == 0)
            mkdir(b->source, 0755); /* that it is missing is told below */
        fds[i] = (int)syscall(SYS_open_tree, AT_FDCWD, b->source,
                              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (b->flags & RT_MOUNT_RECURSIVE ? AT_RECURSIVE : 0));
        if (fds[i] < 0 && errno == ENOENT)
            return bh_err_set(err, BH_E_INVALID, "bind source path does not exist: %s", b->source);
        if (fds[i] < 0)
            return bh_err_errno(err, errno, "bind source path %s", b->source);
        if (bind_dress(m, b, fds[i], err) != 0)
            return err->code;
    }
    return 0;
}

static int tmpfs_make(const struct lnc_mounts *m, const struct rt_mount *b, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    unsigned attr = (b->flags & RT_MOUNT_EXEC ? 0 : MOUNT_ATTR_NOEXEC) |
                    (b->flags & RT_MOUNT_SUID ? 0 : MOUNT_ATTR_NOSUID) |
                    (b->flags & RT_MOUNT_DEV ? 0 : MOUNT_ATTR_NODEV);
    struct mount_attr ro = {.attr_set = b->flags & RT_MOUNT_RO ? MOUNT_ATTR_RDONLY : 0};
    const char *keys[] = {"source", "mode", "size"};
    char values[3][24] = {"tmpfs"};

    snprintf(values[1], sizeof(values[1]), "%o", b->mode != 0 ? b->mode & 07777 : 01777);
    snprintf(values[2], sizeof(values[2]), "%llu", (unsigned long long)b->size);
    for (unsigned i = 0; fs >= 0 && i < (b->size != 0 ? 3u : 2u); i++)
        if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, keys[i], values[i], 0) != 0)
            return bh_err_errno(err, errno, "tmpfs %s: set %s=%s", b->target, keys[i], values[i]);
    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0 ||
        (*out = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr)) < 0 ||
        fchownat(*out, "", m->base, m->base, AT_EMPTY_PATH) != 0 || /* as an option, it would show the host's ids */
        syscall(SYS_mount_setattr, *out, "", AT_EMPTY_PATH, &ro, sizeof(ro)) != 0)
        return bh_err_errno(err, errno, "make a tmpfs for %s", b->target);
    return 0;
}

static int open_inside(const struct lnc_mounts *m, const char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd;

    /* ".." is not sure to stay inside while somebody renames or mounts: the kernel says EAGAIN. */
    while ((fd = (int)syscall(SYS_openat2, m->root, path, &how, sizeof(how))) < 0 && errno == EAGAIN)
        ;
    return fd;
}

/* A mount point that is missing is made by a child that has the container's own rights. */
static int attach_inside(const struct lnc_mounts *m, int mount, const char *target, bool folder, struct bh_err *err) {
    const struct lnc_point point = {target, folder};
    const struct lnc_who owner = {m->root, m->userns, (uint64_t)1 << CAP_DAC_OVERRIDE};
    const struct bh_ask a = {.work = lnc_point_make, .arg = &point, .become = lnc_become, .who = &owner};
    BH_SCOPE_CLOSE int at = open_inside(m, target);

    if (at < 0 && errno == ENOENT && bh_ask(&a, err) != 0)
        return err->code;
    if (at < 0 && (at = open_inside(m, target)) < 0)
        return bh_err_errno(err, errno, "open the mount point %s in the container", target);
    if (syscall(SYS_move_mount, mount, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return bh_err_errno(err, errno, "mount %s: is a directory put onto a file, or a file onto a directory?",
                            target);
    return 0;
}

/* The layers' own files at the source, as a mount that can be read-only where others are not. */
static int self_make(const struct lnc_mounts *m, const struct rt_mount *b, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int at = open_inside(m, b->source);

    return at < 0 ? bh_err_errno(err, errno, "open %s in the container", b->source)
                  : lnc_idmapped(at, "", -1, b->flags & RT_MOUNT_RO ? MOUNT_ATTR_RDONLY : 0, out, err);
}

/* The OCI runtime binds it, with the flags that it has here. */
static int attach_late(const struct lnc_mounts *m, int mount, uint32_t i, bool folder, struct bh_err *err) {
    char path[96];

    snprintf(path, sizeof(path), "%s/late%u", m->l->stage, i);
    if ((folder ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0)) != 0)
        return bh_err_errno(err, errno, "make %s", path);
    return attach_at(mount, path, err);
}

/* Shallow targets come first in a specification: a mount on /a does not hide one on /a/b. */
int lnc_binds_attach(const struct lnc_mounts *m, const struct rt_spec *spec, int *fds, struct bh_err *err) {
    for (uint32_t i = 0; i < spec->n_mounts; i++)
        if (spec->mounts[i].kind != RT_MOUNT_BIND &&
            (spec->mounts[i].kind == RT_MOUNT_TMPFS ? tmpfs_make : self_make)(m, &spec->mounts[i], &fds[i], err) != 0)
            return err->code;
    for (uint32_t i = 0; i < spec->n_mounts; i++) {
        const struct rt_mount *b = &spec->mounts[i];
        struct stat st;
        bool folder = fstat(fds[i], &st) == 0 && S_ISDIR(st.st_mode);
        if ((lnc_is_late(b->target) ? attach_late(m, fds[i], i, folder, err)
                                    : attach_inside(m, fds[i], b->target, folder, err)) != 0)
            return err->code;
    }
    return 0;
}
