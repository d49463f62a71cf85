/*
 * container.c - the folders of containers, their id ranges, signals, freezing, removal.
 *
 * Room: launch.  A container's folder is named by its id, which loop.c has checked to be 64 hex
 * digits.  What lies in `upper` was made by the container and is never opened here: bulkhead-tree
 * removes it, confined to that folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "launch.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* ---- folders of launch itself ------------------------------------------------------------- */

static int folder(int parent, const char *name, mode_t mode, int *out, struct bh_err *err) {
    if (mkdirat(parent, name, mode) != 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make folder %s", name);
    *out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* DIR/run may be a link */
    return *out >= 0 ? 0 : bh_err_errno(err, errno, "open folder %s", name);
}

/* Mount points that docker keeps out of the container's own layer, too: they never show in a commit. */
static int init_layer(int lowest, struct bh_err *err) {
    static const struct {
        const char *name;
        mode_t mode;
    } points[] = {{"init-layer", S_IFDIR | 0755},
                  {"init-layer/dev", S_IFDIR | 0755},
                  {"init-layer/dev/pts", S_IFDIR | 0755},
                  {"init-layer/dev/shm", S_IFDIR | 0755},
                  {"init-layer/proc", S_IFDIR | 0755},
                  {"init-layer/sys", S_IFDIR | 0755},
                  {"init-layer/etc", S_IFDIR | 0755},
                  {"init-layer/etc/hosts", S_IFREG | 0644},
                  {"init-layer/.dockerenv", S_IFREG | 0644},
                  {"init-layer/etc/hostname", S_IFREG | 0644},
                  {"init-layer/dev/console", S_IFREG | 0644},
                  {"init-layer/etc/resolv.conf", S_IFREG | 0644}};

    for (size_t i = 0; i < BH_ARRAY_LEN(points); i++)
        if ((S_ISDIR(points[i].mode) ? mkdirat(lowest, points[i].name, points[i].mode & 07777)
                                     : mknodat(lowest, points[i].name, points[i].mode, 0)) != 0 &&
            errno != EEXIST)
            return bh_err_errno(err, errno, "make %s", points[i].name);
    return symlinkat("/proc/mounts", lowest, "init-layer/etc/mtab") == 0 || errno == EEXIST
               ? 0
               : bh_err_errno(err, errno, "make init-layer/etc/mtab");
}

static void slots_learn(struct launch *l) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(l->containers, ".");
    struct bh_err ignored = BH_ERR_INIT;
    struct lnc_record rec;
    int dir;

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;)
        if (lnc_ct_open(l, e->d_name, &dir, &rec, &ignored) == 0) {
            l->slots[rec.slot / 8] |= (unsigned char)(1u << (rec.slot % 8));
            close(dir);
        }
}

int lnc_folders(struct launch *l, struct bh_err *err) {
    BH_SCOPE_CLOSE int root = open(l->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), state = -1, run = -1, own = -1;
    BH_SCOPE_CLOSE int oci = -1, layers = -1, extracted = -1;
    const struct {
        const int *parent;
        const char *name;
        mode_t mode;
        int *out;
    } rows[] = {{&root, "state", 0711, &state},
                {&root, "run", 0711, &run},
                {&state, "launch", 0700, &l->lowest},
                {&state, "monitor", 0751, &l->monitors},
                {&l->lowest, "containers", 0700, &l->containers},
                {&l->lowest, "extracted", 0700, &extracted},
                {&run, "launch", 0700, &own},
                {&own, "oci", 0700, &oci},
                {&own, "layers", 0700, &layers},
                {&run, "monitor", 02750, &l->run_monitor}};
    char path[PATH_MAX];
    struct stat st;

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (folder(*rows[i].parent, rows[i].name, rows[i].mode, rows[i].out, err) != 0)
            return err->code;
    if (fstat(l->run_monitor, &st) == 0 && st.st_uid == l->monitor_uid)
        l->runtime_gid = st.st_gid; /* the supervisor made it and knows the group */
    else if (fchown(l->run_monitor, l->monitor_uid, l->runtime_gid) != 0 || fchmod(l->run_monitor, 02750) != 0)
        return bh_err_errno(err, errno, "give run/monitor to the monitors");
    /* The mount points of layers, private to our namespace. */
    snprintf(path, sizeof(path), "%s/run/launch/layers", l->root);
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=1m") != 0)
        return bh_err_errno(err, errno, "mount a tmpfs on %s", path);
    slots_learn(l);
    return init_layer(l->lowest, err);
}

/* ---- one container's folder ---------------------------------------------------------------- */

int lnc_ct_save(int dir, const struct lnc_record *rec, bool durable, struct bh_err *err) {
    return bh_file_replace(dir, "info", rec, sizeof(*rec), 0600, durable, err);
}

uint32_t lnc_ct_base(const struct lnc_record *rec) {
    return rec->spec_flags & (RT_USERNS_HOST | RT_PRIVILEGED) ? 0 : LNC_ID_POOL + rec->slot * LNC_IDS;
}

int lnc_ct_open(const struct launch *l, const char *id, int *out_dir, struct lnc_record *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int dir = openat(l->containers, id, OPEN_DIR);
    BH_SCOPE_CLOSE int fd = dir >= 0 ? openat(dir, "info", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

    if (fd < 0 && errno == ENOENT)
        return bh_err_set(err, BH_E_NOT_FOUND, "container %.12s is not known to launch", id);
    if (fd < 0 || bh_read_full(fd, out, sizeof(*out)) != (ssize_t)sizeof(*out) || out->version != 1 ||
        out->slot >= LNC_SLOTS)
        return bh_err_set(err, BH_E_DATA_LOSS, "the record of container %.12s cannot be read", id);
    *out_dir = bh_take_fd(&dir);
    return 0;
}

static int slot_take(struct launch *l, uint32_t *out, struct bh_err *err) {
    for (uint32_t i = 0; i < LNC_SLOTS; i++)
        if (!(l->slots[i / 8] & (1u << (i % 8)))) {
            l->slots[i / 8] |= (unsigned char)(1u << (i % 8));
            *out = i;
            return 0;
        }
    return bh_err_set(err, BH_E_LIMIT, "all %u ranges of ids are taken by containers", LNC_SLOTS);
}

void lnc_ct_free_slot(struct launch *l, uint32_t slot) {
    if (slot < LNC_SLOTS)
        l->slots[slot / 8] &= (unsigned char)~(1u << (slot % 8));
}

static int monitor_folder(const struct launch *l, const char *id, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    int r = folder(l->monitors, id, 0700, &fd, err);

    if (r == 0 && (fchown(fd, l->monitor_uid, l->runtime_gid) != 0 || fchmod(fd, 02750) != 0))
        r = bh_err_errno(err, errno, "give the folder of container %.12s to its monitor", id);
    return r;
}

/* Files without a record (it was not durable, and the power went): nobody knows whose ids they have. */
static int refuse_orphans(int dir, const char *id, struct bh_err *err) {
    if (unlinkat(dir, "upper", AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    bh_err_set(err, BH_E_DATA_LOSS, "container %.12s has files, but its record was lost in a power cut", id);
    return bh_err_hint(err, "remove the container");
}

/* state/monitor/<id> is there first and goes last: by it a sweep finds what a death left half made or half removed. */
int lnc_ct_make(struct launch *l, const char *id, bool durable, struct bh_err *err) {
    struct lnc_record rec = {.version = 1};
    BH_SCOPE_CLOSE int dir = -1, sub = -1, work = -1;
    int r = monitor_folder(l, id, err) == 0 ? lnc_ct_open(l, id, &dir, &rec, err) : -1;

    if (r == BH_E_NOT_FOUND) {
        bh_err_clear(err);
        if ((r = slot_take(l, &rec.slot, err)) != 0)
            return r;
        if ((r = folder(l->containers, id, 0700, &dir, err)) != 0 || (r = refuse_orphans(dir, id, err)) != 0 ||
            (r = folder(dir, "upper", 0755, &sub, err)) != 0 || (r = folder(dir, "work", 0700, &work, err)) != 0 ||
            (r = lnc_ct_save(dir, &rec, durable, err)) != 0)
            lnc_ct_free_slot(l, rec.slot);
        else if (fchown(sub, lnc_ct_base(&rec), lnc_ct_base(&rec)) != 0) /* for a walk before the first start */
            r = bh_err_errno(err, errno, "give the upper folder to the container");
    }
    return r == 0 ? 0 : err->code;
}

/* ---- removal --------------------------------------------------------------------------------- */

int lnc_flat_remove(int at, const char *name) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(at, name);

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;)
        if (e->d_type != DT_DIR)
            unlinkat(dirfd(d), e->d_name, 0);
    return unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

/* In a child.  The record goes last: after a crash the removal can be asked for again. */
int lnc_ct_delete(const struct launch *l, const struct rt_launch_request *q, int32_t *out_slot, struct bh_err *err) {
    const char *id = q->id;
    BH_SCOPE_CLOSE int dir = -1, pidfd = -1;
    struct bh_err ignored = BH_ERR_INIT;
    struct lnc_record rec = {0};
    char name[80];
    int r = lnc_ct_open(l, id, &dir, &rec, &ignored);

    if (r != 0) { /* no record, or none that can be read: whatever there is goes, its range is nobody's */
        rec.slot = UINT32_MAX;
        dir = openat(l->containers, id, OPEN_DIR);
    }
    bh_err_clear(&ignored);
    if (dir >= 0 && rt_pid_open(dir, "run", &pidfd, NULL, &ignored) == 0)
        return bh_err_set(err, BH_E_CONFLICT, "container %.12s is running", id);
    lnc_runtime_delete(l, q);
    snprintf(name, sizeof(name), "%s.sock", id); /* of a monitor that was killed */
    unlinkat(l->run_monitor, name, 0);
    r = dir >= 0 ? lnc_tree_helper(l, "remove", dir, -1, err) : 0;
    if (r == 0 && dir >= 0 &&
        ((unlinkat(dir, "info", 0) != 0 && errno != ENOENT) || unlinkat(l->containers, id, AT_REMOVEDIR) != 0))
        r = bh_err_errno(err, errno, "remove its folder");
    if (r == 0 && lnc_flat_remove(l->monitors, id) != 0) /* only its monitor wrote there */
        r = bh_err_errno(err, errno, "remove the logs");
    if (r != 0)
        return bh_err_prefix(err, "remove container %.12s", id);
    *out_slot = (int32_t)rec.slot;
    return 0;
}

/* ---- signals --------------------------------------------------------------------------------- */

static ino_t pid_namespace(int proc, const char *pid) {
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "%s/ns/pid", pid);
    return fstatat(proc, path, &st, 0) == 0 ? st.st_ino : 0;
}

/* Every process in the pid namespace of `pid`; new ones may be born meanwhile, so KILL of the first is
 * what ends a container for sure. */
static int signal_all(pid_t pid, int sig, struct bh_err *err) {
    BH_SCOPE_DIR DIR *d = opendir("/proc");
    char name[16];
    ino_t ns;

    if (d == NULL)
        return bh_err_errno(err, errno, "read /proc");
    snprintf(name, sizeof(name), "%d", (int)pid);
    ns = pid_namespace(dirfd(d), name);
    if (ns == 0 || ns == pid_namespace(dirfd(d), "self"))
        return bh_err_set(err, BH_E_UNIMPLEMENTED, "the container shares the host's process ids");
    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;) {
        BH_SCOPE_CLOSE int pidfd =
            e->d_name[0] >= '1' && e->d_name[0] <= '9' ? (int)syscall(SYS_pidfd_open, atoi(e->d_name), 0) : -1;

        if (pidfd >= 0 && pid_namespace(dirfd(d), e->d_name) == ns)
            syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
    }
    return 0;
}

static int running(const struct launch *l, const struct rt_launch_request *q, int *out_pidfd, pid_t *out_pid,
                   struct bh_err *err) {
    BH_SCOPE_CLOSE int dir = -1;
    struct lnc_record rec;
    char name[80];
    int r = lnc_ct_open(l, q->id, &dir, &rec, err);

    if (r != 0)
        return r;
    snprintf(name, sizeof(name), q->exec_id[0] != 0 ? "exec-%s" : "run", q->exec_id);
    r = rt_pid_open(dir, name, out_pidfd, out_pid, err);
    if (r == BH_E_NOT_FOUND) {
        bh_err_set(err, BH_E_CONFLICT, "container %.12s is not running", q->id);
        bh_err_reason(err, "not-running");
    }
    return err->code;
}

int lnc_ct_signal(const struct launch *l, const struct rt_launch_request *q, struct bh_err *err) {
    BH_SCOPE_CLOSE int pidfd = -1;
    pid_t pid = 0;
    int r = running(l, q, &pidfd, &pid, err);

    if (r != 0)
        return r;
    if (syscall(SYS_pidfd_send_signal, pidfd, q->arg, NULL, 0) != 0)
        return bh_err_errno(err, errno, "send signal %d to container %.12s", q->arg, q->id);
    return 0;
}

/* By the container's own cgroup, in version 2 or 1; one that has none is stopped process by process. */
int lnc_ct_freeze(const struct launch *l, const struct rt_launch_request *q, struct bh_err *err) {
    static const struct {
        const char *path, *off, *on;
    } kinds[] = {{"/sys/fs/cgroup/bulkhead/%s/cgroup.freeze", "0", "1"},
                 {"/sys/fs/cgroup/freezer/bulkhead/%s/freezer.state", "THAWED", "FROZEN"}};
    BH_SCOPE_CLOSE int pidfd = -1;
    pid_t pid = 0;

    if (running(l, q, &pidfd, &pid, err) != 0)
        return err->code;
    for (size_t i = 0; i < BH_ARRAY_LEN(kinds); i++) {
        const char *word = q->arg ? kinds[i].on : kinds[i].off;
        char path[160];

        snprintf(path, sizeof(path), kinds[i].path, q->id);
        BH_SCOPE_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            return bh_write_all(fd, word, strlen(word)) == 0 ? 0
                                                             : bh_err_errno(err, errno, "write %s to %s", word, path);
    }
    return signal_all(pid, q->arg ? SIGSTOP : SIGCONT, err);
}
