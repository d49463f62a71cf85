/*
 * rootfs.c - the mounts of one container, made in a mount namespace that only its child has.
 *
 * Room: launch, in the child of one start or walk.  Everything is attached here, in launch's user
 * namespace, before the container's exists, so that nodev and nosuid cannot be taken off in there
 * (docs/threat-model.md).  Paths that an image can shape are only walked with RESOLVE_IN_ROOT.
 * Nothing is ever unmounted: the mounts end with the namespaces that hold them.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"

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
    r = write_map(pid, "uid_map", base, err);
    if (r == 0)
        r = write_map(pid, "gid_map", base, err);
    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    *out = r == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (r == 0 && *out < 0)
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

static int attach_at(int mount, int at, const char *path, struct bh_err *err) {
    if (syscall(SYS_move_mount, mount, "", at, path,
                MOVE_MOUNT_F_EMPTY_PATH | (path[0] == 0 ? MOVE_MOUNT_T_EMPTY_PATH : 0)) != 0)
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
    if (dir == NULL)
        return 0;
    close(*dir);
    snprintf(path, sizeof(path), "%s/state/launch/containers/%s", l->root, id);
    *dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *dir >= 0 ? 0 : bh_err_errno(err, errno, "open %s", path);
}

/* Attaches mount as <stage>/l/<n> and adds it in front of the list: the highest layer stands first. */
static int add_lower(struct lnc_mounts *m, int mount, unsigned n, struct bh_buf *list, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf old = *list;
    char path[96];

    snprintf(path, sizeof(path), "%s/l/%u", m->l->stage, n);
    if (mkdir(path, 0711) != 0)
        return bh_err_errno(err, errno, "make %s", path);
    *list = (struct bh_buf)BH_BUF_INIT;
    bh_buf_addf(list, "%u%s%s", n, old.len > 0 ? ":" : "", bh_buf_str(&old));
    return attach_at(mount, AT_FDCWD, path, err);
}

/* Layers, then the folder of mount points, then the upper when it is only to be read. */
static int add_lowers(struct lnc_mounts *m, const unsigned *slots, unsigned n, int container_dir, bool with_upper,
                      struct bh_buf *list, unsigned *out_n, struct bh_err *err) {
    int r = 0;

    for (unsigned i = 0; i <= n + with_upper && r == 0; i++) {
        BH_SCOPE_CLOSE int tree = -1;
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/state/launch/init-layer", m->l->root);
        if (i < n)
            r = lnc_layer_tree(m->l, slots[i], m->userns, &tree, err);
        else if (i == n)
            r = lnc_idmapped(AT_FDCWD, path, m->userns, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, &tree, err);
        else
            r = lnc_idmapped(container_dir, "upper", -1, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, &tree, err);
        if (r == 0)
            r = add_lower(m, tree, i, list, err);
        *out_n = i + 1;
    }
    return r;
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
static int mount_overlay(const struct lnc_mounts *m, const struct bh_buf *lowers, const char *id_dir, bool writable,
                         const char *target, struct bh_err *err) {
    BH_SCOPE_CLOSE int upper = -1, work = -1;
    BH_SCOPE_BUF struct bh_buf opts = BH_BUF_INIT;
    char path[PATH_MAX];

    bh_buf_addf(&opts, "userxattr,index=off,lowerdir=%s", bh_buf_str(lowers));
    if (writable) {
        snprintf(path, sizeof(path), "%s/upper", id_dir);
        upper = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        snprintf(path, sizeof(path), "%s/work", id_dir);
        work = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (upper < 0 || work < 0)
            return bh_err_errno(err, errno, "open the container's upper folder");
        /* The last unmount of an overlay syncs the host's whole file system, unless it is volatile; such an
         * upper is marked, and the mark must go before it is mounted again (restart). */
        unlinkat(work, "work/incompat/volatile/dirty", 0);
        unlinkat(work, "work/incompat/volatile", AT_REMOVEDIR);
        unlinkat(work, "work/incompat", AT_REMOVEDIR);
        if (m->fleeting)
            bh_buf_adds(&opts, ",volatile");
        bh_buf_addf(&opts, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", upper, work);
    }
    snprintf(path, sizeof(path), "%s/l", m->l->stage);
    if (chdir(path) != 0)
        return bh_err_errno(err, errno, "enter %s", path);
    snprintf(path, sizeof(path), "%s/%s", m->l->stage, target);
    if (mount("overlay", path, "overlay", MS_NODEV | (writable ? 0 : MS_RDONLY), bh_buf_str(&opts)) != 0)
        return bh_err_errno(err, errno, "stack the layers with overlay");
    return chdir("/") == 0 ? 0 : bh_err_errno(err, errno, "leave %s", path);
}

int lnc_rootfs(struct lnc_mounts *m, const unsigned *slots, unsigned n, int container_dir, bool writable,
               bool with_upper, const char *target, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf lowers = BH_BUF_INIT;
    char link[48], id_dir[PATH_MAX], path[PATH_MAX];
    unsigned n_lowers = 0;
    ssize_t len;
    int r = add_lowers(m, slots, n, container_dir, with_upper, &lowers, &n_lowers, err);

    if (r == 0 && writable && m->dress)
        r = dress_upper(m, n, container_dir, err);
    if (r != 0)
        return r;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", container_dir);
    len = readlink(link, id_dir, sizeof(id_dir) - 1);
    id_dir[len > 0 ? len : 0] = 0;
    snprintf(path, sizeof(path), "%s/%s", m->l->stage, target);
    if (n_lowers == 1 && !writable) /* overlay wants two */
        r = mount("l/0", path, NULL, MS_BIND, NULL) == 0 ? 0 : bh_err_errno(err, errno, "bind the only layer");
    else
        r = mount_overlay(m, &lowers, id_dir, writable, target, err);
    for (unsigned i = 0; i < n_lowers && r == 0; i++) {
        snprintf(link, sizeof(link), "%s/l/%u", m->l->stage, i);
        umount2(link, MNT_DETACH); /* overlay has its own hold on them */
    }
    if (r == 0 && (m->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = bh_err_errno(err, errno, "open %s", path);
    return r;
}

/* ---- what is attached inside -------------------------------------------------------------------- */

static int open_inside(int root, const char *path, uint64_t flags) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static int make_last(const struct lnc_mounts *m, int parent, const char *name, bool folder) {
    if (folder ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0))
        return -1;
    return fchownat(parent, name, m->base, m->base, AT_SYMLINK_NOFOLLOW);
}

/* Walks down, making what is missing as the container's root would have; O_PATH of the end. */
static int make_inside(const struct lnc_mounts *m, const char *target, bool folder, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int at = open_inside(m->root, ".", O_PATH | O_DIRECTORY);
    char part[PATH_MAX];
    size_t len = 0;

    if (at < 0 || !bh_str_copy(part, sizeof(part), target))
        return bh_err_errno(err, at < 0 ? errno : ENAMETOOLONG, "open the container's root");
    while (target[len] != 0) {
        size_t start = len + strspn(target + len, "/");
        size_t end = start + strcspn(target + start, "/");
        bool last = target[end + strspn(target + end, "/")] == 0;
        char name[256];
        int next;

        if (start == end)
            break;
        part[end] = 0;
        next = open_inside(m->root, part, O_PATH);
        if (next < 0 && errno == ENOENT && bh_str_copy_n(name, sizeof(name), target + start, end - start) &&
            make_last(m, at, name, folder || !last) == 0)
            next = open_inside(m->root, part, O_PATH);
        if (next < 0)
            return bh_err_errno(err, errno, "make the mount point %s in the container", target);
        close(at);
        at = next;
        part[end] = target[end];
        len = end;
    }
    *out = bh_take_fd(&at);
    return 0;
}

int lnc_attach(const struct lnc_mounts *m, int mount, const char *target, bool folder, struct bh_err *err) {
    BH_SCOPE_CLOSE int at = -1;
    int r = make_inside(m, target, folder, &at, err);

    if (r == 0)
        r = attach_at(mount, at, "", err);
    return r == 0 ? 0 : bh_err_prefix(err, "mount %s", target);
}

/* ---- binds and tmpfs of the user ------------------------------------------------------------------ */

int lnc_binds_open(const struct rt_spec *spec, int *fds, struct bh_err *err) {
    for (uint32_t i = 0; i < spec->n_mounts; i++) {
        const struct rt_mount *b = &spec->mounts[i];

        fds[i] = -1;
        if (b->target[0] != '/' || strcmp(b->target, "/") == 0)
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
        if (fds[i] < 0) {
            bh_err_errno(err, errno, "bind source path %s", b->source);
            return errno == ENOENT ? bh_err_set(err, BH_E_INVALID, "bind source path does not exist: %s", b->source)
                                   : err->code;
        }
    }
    return 0;
}

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

static int tmpfs_make(const struct lnc_mounts *m, const struct rt_mount *b, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    unsigned attr = (b->flags & RT_MOUNT_EXEC ? 0 : MOUNT_ATTR_NOEXEC) |
                    (b->flags & RT_MOUNT_SUID ? 0 : MOUNT_ATTR_NOSUID) |
                    (b->flags & RT_MOUNT_DEV ? 0 : MOUNT_ATTR_NODEV) | (b->flags & RT_MOUNT_RO ? MOUNT_ATTR_RDONLY : 0);
    const char *keys[] = {"mode", "uid", "gid", "size"};
    char values[4][24];

    snprintf(values[0], sizeof(values[0]), "%o", b->mode != 0 ? b->mode & 07777 : 01777);
    snprintf(values[1], sizeof(values[1]), "%u", m->base);
    snprintf(values[2], sizeof(values[2]), "%u", m->base);
    snprintf(values[3], sizeof(values[3]), "%llu", (unsigned long long)b->size);
    for (unsigned i = 0; fs >= 0 && i < (b->size != 0 ? 4u : 3u); i++)
        if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, keys[i], values[i], 0) != 0)
            return bh_err_errno(err, errno, "tmpfs %s: set %s=%s", b->target, keys[i], values[i]);
    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0 ||
        (*out = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr)) < 0)
        return bh_err_errno(err, errno, "make a tmpfs for %s", b->target);
    return 0;
}

/* The OCI runtime binds it, with the flags that it has here. */
static int attach_late(const struct lnc_mounts *m, int mount, uint32_t i, bool folder, struct bh_err *err) {
    char path[96];

    snprintf(path, sizeof(path), "%s/late%u", m->l->stage, i);
    if ((folder ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0)) != 0)
        return bh_err_errno(err, errno, "make %s", path);
    return attach_at(mount, AT_FDCWD, path, err);
}

static unsigned depth_of(const char *path) {
    unsigned n = 0;

    for (; *path != 0; path++)
        n += *path == '/' && path[1] != '/' && path[1] != 0;
    return n;
}

static bool is_folder(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Shallow targets first, so that a mount on /a does not hide one on /a/b. */
int lnc_binds_attach(const struct lnc_mounts *m, const struct rt_spec *spec, int *fds, struct bh_err *err) {
    unsigned deepest = 0;
    int r = 0;

    for (uint32_t i = 0; i < spec->n_mounts; i++)
        deepest = depth_of(spec->mounts[i].target) > deepest ? depth_of(spec->mounts[i].target) : deepest;
    for (unsigned depth = 0; depth <= deepest && r == 0; depth++)
        for (uint32_t i = 0; i < spec->n_mounts && r == 0; i++) {
            const struct rt_mount *b = &spec->mounts[i];

            if (depth_of(b->target) != depth)
                continue;
            r = b->kind == RT_MOUNT_BIND ? bind_dress(m, b, fds[i], err) : tmpfs_make(m, b, &fds[i], err);
            if (r == 0 && lnc_is_late(b->target))
                r = attach_late(m, fds[i], i, is_folder(fds[i]), err);
            else if (r == 0)
                r = lnc_attach(m, fds[i], b->target, is_folder(fds[i]), err);
        }
    return r;
}
