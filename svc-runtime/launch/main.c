/*
 * main.c - the start of launch: arguments, own mount namespace, folders, probes, then the loop.
 *
 * Room: launch.  It runs as root with the capabilities that supervisor/rooms_table.h names, in the host's
 * pid and network namespaces, because containers outlive it.  Descriptors 3 (supervisor) and 4
 * (runtime) are its only ways to be spoken to; it has no socket of its own and opens none but the
 * monitors'.  It cannot have a seccomp list of what it does: a filter would bind the OCI runtime and
 * the containers as well, for which docker's profile is set instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"
#include "loop.h"
#include "proc/control.h"

static int parse_args(struct launch *l, int argc, char **argv, struct bh_err *err) {
    const struct option known[] = {
        {"root", required_argument, NULL, 'r'},        {"bin-dir", required_argument, NULL, 'b'},
        {"oci-runtime", required_argument, NULL, 'o'}, {"monitor-uid", required_argument, NULL, 1},
        {"monitor-gid", required_argument, NULL, 2},   {"runtime-uid", required_argument, NULL, 3},
        {"runtime-gid", required_argument, NULL, 4},   {NULL, 0, NULL, 0}};
    uint32_t ids[5] = {0};
    uint64_t id;
    bool ok = true;

    for (int o; ok && (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (o == 'r')
            ok = optarg[0] == '/' && bh_str_copy(l->root, sizeof(l->root), optarg);
        else if (o == 'b')
            ok = optarg[0] == '/' && bh_str_copy(l->libexec, sizeof(l->libexec), optarg);
        else if (o == 'o')
            ok = bh_str_copy(l->force_runtime, sizeof(l->force_runtime), optarg);
        else if ((ok = o < 5 && bh_str_u64(optarg, &id) && id > 0 && id < UINT32_MAX))
            ids[o] = (uint32_t)id;
    }
    l->monitor_uid = ids[1];
    l->monitor_gid = ids[2] != 0 ? ids[2] : ids[1];
    l->runtime_uid = ids[3];
    l->runtime_gid = ids[4] != 0 ? ids[4] : ids[3];
    if (!ok || l->root[0] == 0 || l->libexec[0] == 0 || ids[1] == 0 || ids[3] == 0)
        return bh_err_set(err, BH_E_INVALID,
                          "bulkhead-launch needs --root DIR --bin-dir DIR --monitor-uid N --runtime-uid N");
    return 0;
}

/* The one line of the engine's configuration that is for launch: storage_form = "extracted". */
static void read_config(struct launch *l) {
    char text[65536];
    ssize_t n = bh_pread_full(BH_FD_CONFIG, text, sizeof(text) - 1, 0);
    char *save = NULL;

    text[n > 0 ? n : 0] = 0;
    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " \t");
        if (strncmp(line, "storage_form", 12) == 0 && strstr(line, "\"extracted\"") != NULL)
            l->force_extracted = true;
    }
}

#define CGROUP "/sys/fs/cgroup"

/* One entry of the cgroup tree of before, put where it was, on the tmpfs that hides that tree. */
static int keep_controller(int old, const char *name, struct bh_err *err) {
    BH_SCOPE_CLOSE int tree = -1;
    char path[320], target[256];
    ssize_t n = readlinkat(old, name, target, sizeof(target) - 1);

    snprintf(path, sizeof(path), CGROUP "/%s", name);
    if (n > 0) {
        target[n] = 0;
        return symlink(target, path) == 0 ? 0 : bh_err_errno(err, errno, "link %s", path);
    }
    tree = (int)syscall(SYS_open_tree, old, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0 || mkdir(path, 0755) != 0 ||
        syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return bh_err_errno(err, errno, "keep %s", path);
    return 0;
}

/* crun refuses a hybrid cgroup tree: our own namespace has one without its v2 part. */
static int hide_unified(struct bh_err *err) {
    BH_SCOPE_DIR DIR *old = bh_dir_open(AT_FDCWD, CGROUP);
    int r = 0;

    if (old == NULL || access(CGROUP "/unified/cgroup.procs", F_OK) != 0)
        return 0;
    if (mount("tmpfs", CGROUP, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") != 0)
        r = bh_err_errno(err, errno, "mount over " CGROUP);
    for (struct dirent *e; r == 0 && (e = bh_dir_next(old)) != NULL;)
        if (strcmp(e->d_name, "unified") != 0)
            r = keep_controller(dirfd(old), e->d_name, err);
    return r;
}

static int open_own_procs(void) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;
    char path[512], *at;

    if (bh_file_read(AT_FDCWD, "/proc/self/cgroup", 65536, &text, &ignored) != 0 ||
        (at = strstr(bh_buf_str(&text), ":devices:")) == NULL)
        return -1;
    at += strlen(":devices:");
    snprintf(path, sizeof(path), CGROUP "/devices%.*s/cgroup.procs", (int)strcspn(at, "\n"), at);
    return open(path, O_WRONLY | O_CLOEXEC);
}

/* Mounts of the host still come in, ours never go out. */
static int own_mounts(struct bh_err *err) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return bh_err_errno(err, errno, "make a mount namespace of our own");
    return hide_unified(err);
}

/* The most that a container can be given by --ulimit is what we have; without SYS_RESOURCE this changes nothing. */
static void raise_limits(void) {
    static const int which[] = {RLIMIT_NOFILE, RLIMIT_NPROC,      RLIMIT_MEMLOCK,  RLIMIT_STACK, RLIMIT_CORE,
                                RLIMIT_FSIZE,  RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE,  RLIMIT_RTPRIO};
    struct rlimit now, wish;

    for (size_t i = 0; i < BH_ARRAY_LEN(which); i++) {
        if (getrlimit((__rlimit_resource_t)which[i], &now) != 0)
            continue;
        wish = (struct rlimit){now.rlim_cur, which[i] == RLIMIT_NOFILE ? 1048576 : RLIM_INFINITY};
        if (wish.rlim_max > now.rlim_max)
            setrlimit((__rlimit_resource_t)which[i], &wish);
    }
}

int main(int argc, char **argv) {
    static struct launch l;
    struct bh_err err = BH_ERR_INIT;
    int r = parse_args(&l, argc, argv, &err);

    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    umask(022);
    raise_limits();
    for (unsigned i = 0; i < LNC_MAX_CACHED; i++)
        l.layer[i].file = -1;
    read_config(&l);
    if (r == 0)
        r = own_mounts(&err);
    l.own_procs = open_own_procs();
    if (r == 0)
        r = lnc_folders(&l, &err);
    if (r == 0)
        r = lnc_probe(&l, &err);
    if (r == 0)
        r = lnc_loop(&l, &err);
    if (r != 0)
        bh_log_err("launch-failed", &err);
    return r == 0 ? 0 : 1;
}
