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
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
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

/* False: there is more than files, or they cannot be removed. */
static bool files_gone(const char *path) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(AT_FDCWD, path);

    if (d == NULL)
        return errno == ENOENT;
    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;)
        if (e->d_type != DT_DIR)
            unlinkat(dirfd(d), e->d_name, 0);
    return rmdir(path) == 0;
}

static void ask_runtime(const struct launch *l, const char *id, char *root) {
    static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    char *argv[] = {(char *)l->info.runtime_path, "--root", root, "delete", "--force", (char *)id, NULL};
    int null, status = 0;
    pid_t pid;

    pid = fork();
    if (pid == 0) {
        null = open("/dev/null", O_RDWR);
        for (int i = 0; i < 3; i++)
            dup2(null, i);
        close_range(3, ~0u, 0);
        execve(argv[0], argv, env);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        bh_log(BH_LOG_DEBUG, "oci-delete", "container=%.12s status=%d", id, status);
}

void lnc_runtime_delete(const struct launch *l, const char *id) {
    char root[PATH_MAX], path[PATH_MAX + 80];

    snprintf(root, sizeof(root), "%s/run/launch/oci", l->root);
    snprintf(path, sizeof(path), "%s/%s", root, id);
    if (access(path, F_OK) != 0 || (cgroups_gone(id) && files_gone(path)) || l->info.runtime[0] == 0)
        return;
    ask_runtime(l, id, root);
}
