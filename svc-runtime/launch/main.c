/*
 * main.c - the start of launch: arguments, own mount namespace, folders, then the loop.
 *
 * Room: launch.  It runs as root with the capabilities that supervisor/rooms_table.h names, in the host's
 * pid and network namespaces, because containers outlive it.  Descriptors 3 (supervisor) and 4
 * (runtime) are its only ways to be spoken to; it has no socket of its own and opens none but the
 * monitors'.  It cannot have a seccomp list of what it does: a filter would bind the OCI runtime and
 * the containers as well, for which docker's profile is set instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"
#include "proc/control.h"

static int parse_args(struct launch *l, int argc, char **argv, struct bh_err *err) {
    bool ok = argc == 4 && argv[1][0] == '/' && bh_str_copy(l->root, sizeof(l->root), argv[1]) && argv[2][0] == '/' &&
              bh_str_copy(l->libexec, sizeof(l->libexec), argv[2]) &&
              sscanf(argv[3], "%u:%u:%u:%u", &l->monitor_uid, &l->monitor_gid, &l->runtime_uid, &l->runtime_gid) == 4;

    return ok && l->monitor_uid != 0 && l->runtime_uid != 0
               ? 0
               : bh_err_set(err, BH_E_INVALID, "bulkhead-launch needs DIR BIN-DIR MONITOR-UID:GID:RUNTIME-UID:GID");
}

#define CGROUP "/sys/fs/cgroup"

/* Mounts of the host still come in, ours never go out.  crun refuses a hybrid cgroup tree: our own namespace shows a
 * hierarchy of version 1 in place of the v2 part, where it may make what it makes everywhere. */
static int own_mounts(struct bh_err *err) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return bh_err_errno(err, errno, "make a mount namespace of our own");
    if (access(CGROUP "/unified/cgroup.procs", F_OK) == 0 &&
        mount(CGROUP "/devices", CGROUP "/unified", NULL, MS_BIND, NULL) != 0)
        return bh_err_errno(err, errno, "mount over " CGROUP "/unified");
    return 0;
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

/* A folder that everybody may walk through, to hide behind a tmpfs in each child; nothing that is
 * needed there may lie below it. */
static int choose_stage(struct launch *l, struct bh_err *err) {
    static const char *const places[] = {"/mnt", "/media", "/srv", "/opt", "/home"};
    struct stat st;

    for (size_t i = 0; i < BH_ARRAY_LEN(places); i++) {
        size_t n = strlen(places[i]);

        if ((strncmp(l->root, places[i], n) == 0 && l->root[n] == '/') ||
            (strncmp(l->libexec, places[i], n) == 0 && l->libexec[n] == '/') || lstat(places[i], &st) != 0 ||
            !S_ISDIR(st.st_mode))
            continue;
        l->stage = places[i];
        return 0;
    }
    return bh_err_set(err, BH_E_UNAVAILABLE, "none of /mnt, /media, /srv, /opt, /home can be mounted over");
}

static int open_tree_program(struct launch *l, struct bh_err *err) {
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bulkhead-tree", l->libexec);
    l->tree_fd = open(path, O_RDONLY | O_CLOEXEC);
    return l->tree_fd >= 0 ? 0 : bh_err_errno(err, errno, "open %s", path);
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
    l.own_procs = open_own_procs();
    if (r == 0 && own_mounts(&err) == 0 && choose_stage(&l, &err) == 0 && open_tree_program(&l, &err) == 0 &&
        lnc_folders(&l, &err) == 0) {
        lnc_extracted_clean(&l);
        lnc_loop(&l, &err);
    }
    if (err.code != 0)
        bh_log_err("launch-failed", &err);
    return err.code == 0 ? 0 : 1;
}
