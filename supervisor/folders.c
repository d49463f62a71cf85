/*
 * folders.c - DIR and what is in it: made at start, each folder with its owner; one engine for each DIR.
 *
 * Room: supervisor.  DIR is the administrator's choice; what lies in the rooms' folders is theirs
 * and is never opened here, but for the removal of sockets that an engine before left behind.
 * Must not follow links inside DIR: every step is made by a descriptor of the folder above.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

#define DEFAULT_ROOT "/var/lib/bulkhead"
#define DEFAULT_RUN  "/run/bulkhead"

/* Opens, or makes, dir/name and gives it owner and mode. */
static int own_folder(const char *dir, const char *name, uid_t uid, gid_t gid, mode_t mode, struct bh_err *err) {
    BH_SCOPE_CLOSE int parent = open(dir, O_DIRECTORY | O_PATH | O_CLOEXEC);

    if (parent < 0)
        return bh_err_errno(err, errno, "open folder %s", dir);
    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make folder %s/%s", dir, name);
    BH_SCOPE_CLOSE int fd = openat(parent, name, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
        return bh_err_errno(err, errno, "take over folder %s/%s", dir, name);
    return 0;
}

static int make_path(const char *path, struct bh_err *err) {
    char part[PATH_MAX];

    if (path[0] != '/' || !bh_str_copy(part, sizeof part, path))
        return bh_err_set(err, BH_E_INVALID, "make folder %s: not an absolute path", path);
    for (char *p = part + 1; p;) {
        p = strchr(p, '/');
        if (p)
            *p = '\0';
        if (mkdir(part, 0711) < 0 && errno != EEXIST)
            return bh_err_errno(err, errno, "make folder %s", part);
        if (p)
            *p++ = '/';
    }
    return 0;
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

/* Without --root state and sockets live apart; DIR/run is a link then, so that DIR tells all. */
static int link_run(const char *root, struct bh_err *err) {
    int rc = make_path(DEFAULT_RUN, err);

    if (rc == 0 && symlink(DEFAULT_RUN, DEFAULT_ROOT "/run") < 0 && errno != EEXIST)
        rc = bh_err_errno(err, errno, "link %s/run to %s", root, DEFAULT_RUN);
    return rc;
}

static int resolve(const char *path, char out[PATH_MAX], struct bh_err *err) {
    return realpath(path, out) ? 0 : bh_err_errno(err, errno, "open folder %s", path);
}

int sup_folders_make(struct sup_engine *e, const char *root, struct bh_err *err) {
    const char *chosen = root ? root : e->config.root[0] ? e->config.root : DEFAULT_ROOT;
    char given[PATH_MAX], run[PATH_MAX + 8];
    BH_SCOPE_FREE char *cwd = chosen[0] == '/' ? NULL : getcwd(NULL, 0);

    if ((size_t)snprintf(given, sizeof given, "%s%s%s", cwd ? cwd : "", cwd ? "/" : "", chosen) >= sizeof given)
        return bh_err_set(err, BH_E_INVALID, "start engine: path too long");
    int rc = make_path(given, err);
    if (rc == 0)
        rc = resolve(given, e->root, err);
    if (rc == 0)
        rc = lock_root(e, err);
    if (rc == 0 && strcmp(e->root, DEFAULT_ROOT) == 0)
        rc = link_run(e->root, err);
    if (rc < 0)
        return rc;
    snprintf(run, sizeof run, "%s/run", e->root);
    rc = make_path(run, err);
    if (rc == 0)
        rc = resolve(run, e->run_dir, err);
    if (rc < 0)
        return rc;
    if ((size_t)snprintf(e->state_dir, sizeof e->state_dir, "%s/state", e->root) >= sizeof e->state_dir ||
        (size_t)snprintf(e->stage, sizeof e->stage, "%s/stage", e->run_dir) >= sizeof e->stage ||
        strlen(e->run_dir) + strlen("/registry/rpc.sock") >= sizeof((struct sockaddr_un *)0)->sun_path) {
        bh_err_set(err, BH_E_INVALID, "start engine in %s: the path of its sockets would be too long", e->root);
        return bh_err_hint(err, "choose a --root of at most 80 characters");
    }
    return make_path(e->state_dir, err);
}

/* A room that binds does not like to find a name taken; the engine before may have been killed. */
static void remove_stale_sockets(const struct sup_engine *e, const char *name) {
    static const char *const sockets[] = {"rpc.sock", "fd.sock"};
    char path[PATH_MAX + 32];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", e->run_dir, name);
    BH_SCOPE_CLOSE int dir = open(path, O_DIRECTORY | O_PATH | O_NOFOLLOW | O_CLOEXEC);
    for (unsigned i = 0; i < BH_ARRAY_LEN(sockets) && dir >= 0; i++) {
        if (fstatat(dir, sockets[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
            (void)unlinkat(dir, sockets[i], 0);
    }
}

static int own_room_folders(struct sup_engine *e, const struct sup_row *row, struct bh_err *err) {
    const struct sup_user *user = row->user == SUP_USER_ROOT ? &(struct sup_user){0, 0} : &e->users[row->user];
    int rc = 0;

    if (row->flags & (SUP_STATE | SUP_HOST))
        rc = own_folder(e->state_dir, row->name, user->uid, user->gid, 0700, err);
    if (rc == 0 && (row->flags & SUP_HOST))
        return own_folder(e->run_dir, row->name, 0, 0, 0700, err);
    /* The group bit makes the sockets belong to the clients' group. */
    if (rc == 0)
        rc = own_folder(e->run_dir, row->name, user->uid, e->config.socket_gid, 02711, err);
    if (rc == 0)
        remove_stale_sockets(e, row->name);
    return rc;
}

int sup_folders_own(struct sup_engine *e, struct bh_err *err) {
    const struct sup_user *monitor = &e->users[SUP_USER_MONITOR], *runtime = &e->users[SUP_USER_RUNTIME];
    int rc = 0;

    if (chmod(e->state_dir, 0711) < 0 || chmod(e->run_dir, 0711) < 0)
        return bh_err_errno(err, errno, "set mode of %s", e->state_dir);
    for (unsigned i = 0; i < SUP_N_ROOMS && rc == 0; i++)
        rc = own_room_folders(e, &sup_rows[i], err);
    if (rc == 0)
        rc = own_folder(e->state_dir, "monitor", 0, runtime->gid, 0751, err);
    if (rc == 0)
        rc = own_folder(e->run_dir, "monitor", monitor->uid, runtime->gid, 02750, err);
    return rc == 0 ? own_folder(e->run_dir, "stage", 0, 0, 0700, err) : rc;
}
