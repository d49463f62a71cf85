/*
 * folders.c - DIR and what is in it: made at start, each folder with its owner; one engine for each DIR.
 *
 * Room: supervisor.  DIR is the administrator's choice; what lies in the rooms' folders is theirs
 * and is never opened here, but for the removal of sockets that an engine before left behind.
 * Must not follow links inside DIR: every step is made by a descriptor of the folder above.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

#define DEFAULT_ROOT "/var/lib/bulkhead"
#define DEFAULT_RUN  "/run/bulkhead"

/* Opens, or makes, dir/name, gives it owner and mode, and removes the sockets of an engine before:
 * a room that binds does not like to find a name taken. */
static int own_folder(const char *dir, const char *name, const struct sup_user *owner, mode_t mode,
                      struct bh_err *err) {
    BH_SCOPE_CLOSE int parent = open(dir, O_DIRECTORY | O_PATH | O_CLOEXEC);

    if (parent < 0)
        return bh_err_errno(err, errno, "open folder %s", dir);
    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make folder %s/%s", dir, name);
    BH_SCOPE_CLOSE int fd = openat(parent, name, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, owner->uid, owner->gid) < 0 || fchmod(fd, mode) < 0)
        return bh_err_errno(err, errno, "take over folder %s/%s", dir, name);
    (void)unlinkat(fd, "rpc.sock", 0);
    (void)unlinkat(fd, "fd.sock", 0);
    return 0;
}

/* Makes path and what is above it, then its real name. */
static int make_path(const char *path, char out[PATH_MAX], struct bh_err *err) {
    if (bh_make_parents(path, 0711) < 0 || (mkdir(path, 0711) < 0 && errno != EEXIST))
        return bh_err_errno(err, errno, "make folder %s", path);
    return realpath(path, out) ? 0 : bh_err_errno(err, errno, "open folder %s", path);
}

static int lock_root(struct sup_engine *e, struct bh_err *err) {
    char path[PATH_MAX + 8], text[32] = "";

    snprintf(path, sizeof path, "%s/lock", e->root);
    e->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (e->lock_fd < 0)
        return bh_err_errno(err, errno, "open %s", path);
    if (flock(e->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        (void)bh_pread_full(e->lock_fd, text, sizeof text - 1, 0);
        text[strcspn(text, "\n")] = '\0';
        bh_err_set(err, BH_E_EXISTS, "start engine in %s: process %s already runs one there", e->root, text);
        return bh_err_hint(err, "use that engine, or another --root");
    }
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(e->lock_fd, 0) < 0 || bh_pwrite_all(e->lock_fd, text, (size_t)n, 0) < 0)
        return bh_err_errno(err, errno, "write %s", path);
    return 0;
}

int sup_folders_make(struct sup_engine *e, const char *root, struct bh_err *err) {
    const char *chosen = root ? root : e->config.root[0] ? e->config.root : DEFAULT_ROOT;
    char path[PATH_MAX + 8];

    if (make_path(chosen, e->root, err) < 0 || lock_root(e, err) < 0)
        return err->code;
    snprintf(path, sizeof path, "%s/run", e->root);
    /* Without --root state and sockets live apart; DIR/run is a link then, so that DIR tells all. */
    if (strcmp(e->root, DEFAULT_ROOT) == 0 &&
        (make_path(DEFAULT_RUN, e->run_dir, err) < 0 || (symlink(DEFAULT_RUN, path) < 0 && errno != EEXIST)))
        return bh_err_errno(err, errno, "link %s to " DEFAULT_RUN, path);
    if (make_path(path, e->run_dir, err) < 0)
        return err->code;
    snprintf(path, sizeof path, "%s/state", e->root);
    if (make_path(path, e->state_dir, err) < 0)
        return err->code;
    if (strlen(e->run_dir) + sizeof "/registry/rpc.sock" > sizeof((struct sockaddr_un *)0)->sun_path) {
        bh_err_set(err, BH_E_INVALID, "start engine in %s: the path of its sockets would be too long", e->root);
        return bh_err_hint(err, "choose a --root of at most 80 characters");
    }
    snprintf(e->stage, sizeof e->stage, "%s/stage", e->run_dir);
    return chmod(e->state_dir, 0711) < 0 || chmod(e->run_dir, 0711) < 0
               ? bh_err_errno(err, errno, "set mode of %s", e->state_dir)
               : 0;
}

int sup_folders_own(struct sup_engine *e, struct bh_err *err) {
    const gid_t runtime = e->users[SUP_USER_RUNTIME].gid;
    const struct sup_user root = {0, 0}, lists = {0, runtime}, monitor = {e->users[SUP_USER_MONITOR].uid, runtime};

    for (unsigned i = 0; i < SUP_N_ROOMS; i++) {
        const struct sup_row *row = &sup_rows[i];
        const struct sup_user *user = &e->users[row->user], shared = {user->uid, e->config.socket_gid};
        bool host = (row->flags & SUP_HOST) != 0;
        if ((row->flags & (SUP_HOST | SUP_STATE)) && own_folder(e->state_dir, row->name, user, 0700, err) < 0)
            return err->code;
        /* The group bit makes the sockets belong to the clients' group. */
        if (own_folder(e->run_dir, row->name, host ? &root : &shared, host ? 0700 : 02711, err) < 0)
            return err->code;
    }
    if (own_folder(e->state_dir, "monitor", &lists, 0751, err) < 0 ||
        own_folder(e->run_dir, "monitor", &monitor, 02750, err) < 0)
        return err->code;
    return own_folder(e->run_dir, "stage", &root, 0700, err);
}

/* In a chroot "/" is no mount: nothing below could make mounts private, change its root or, as the
 * kernel forbids it, make a user namespace.  So the chroot's tree becomes a mount, and that the root
 * of a mount namespace of our own.  The way up there is free because a current folder outside the root
 * is not stopped by it; above the topmost folder is that itself. */
int sup_folders_own_root(struct sup_engine *e, struct bh_err *err) {
    BH_SCOPE_CLOSE int tree = -1;
    struct statx st;

    if (statx(AT_FDCWD, "/", 0, 0, &st) == 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return 0;
    bool out = chdir("/") == 0 && unshare(CLONE_NEWNS) == 0 &&
               mount("/", e->stage, NULL, MS_BIND | MS_REC, NULL) == 0 &&
               (tree = open(e->stage, O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0 && chroot(e->stage) == 0;
    for (int i = 0; out && i < 256; i++)
        out = chdir("..") == 0;
    if (!out || mount(NULL, ".", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
        syscall(SYS_move_mount, tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(tree) < 0 ||
        chroot(".") < 0)
        return bh_err_errno(err, errno, "make a root of its own of the chroot that bulkheadd runs in");
    return 0;
}
