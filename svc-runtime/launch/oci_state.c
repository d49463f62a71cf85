/*
 * oci_state.c - forgets what crun or runc keep of a container that has ended: their files, its cgroups.
 *
 * Room: launch's children.  Starting the OCI runtime for it would take longer than the removal of all
 * the rest, so the usual case, flat files and empty cgroups, is done here; anything else is left to
 * `delete --force`, which also ends what still runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "launch.h"

#define CGROUP "/sys/fs/cgroup"

static bool cgroup_gone(const char *controller, const char *id) {
    char path[512];

    snprintf(path, sizeof(path), CGROUP "/%s/bulkhead/%s", controller, id);
    return rmdir(path) == 0 || errno == ENOENT || errno == ENOTDIR;
}

static bool cgroups_gone(const char *id) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(AT_FDCWD, CGROUP);
    bool gone = cgroup_gone(".", id);

    for (struct dirent *e; gone && (e = bh_dir_next(d)) != NULL;)
        gone = e->d_type == DT_REG || cgroup_gone(e->d_name, id);
    return gone;
}

void lnc_runtime_delete(const struct launch *l, const struct rt_launch_request *q) {
    char root[PATH_MAX], path[PATH_MAX + 80], *program = (char *)RT_OCI_PROGRAM(q->oci);
    int status = 0;

    snprintf(root, sizeof(root), "%s/run/launch/oci", l->root);
    snprintf(path, sizeof(path), "%s/%s", root, q->id);
    if (access(path, F_OK) != 0 || (cgroups_gone(q->id) && lnc_flat_remove(AT_FDCWD, path) == 0))
        return;
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {program, "--root", root, "delete", "--force", (char *)q->id, NULL};

        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        execvp(program, argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        bh_log(BH_LOG_DEBUG, "oci-delete", "container=%.12s status=%d", q->id, status);
}
