/*
 * info.c - see info.h.
 *
 * Room: a child of launch that is nobody.  It asks the OCI runtime for its version, which is the one
 * reason that it may start a program; one that hangs is ended by its alarm.
 */
#include "rightless/info.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "proc/sandbox.h"
#include "wire/launch_wire.h"

#define PATIENCE_S 5

static bool find_program(const char *name, char *out, size_t size) {
    static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

    for (size_t i = 0; i < BH_ARRAY_LEN(dirs); i++) {
        snprintf(out, size, "%s/%s", dirs[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    out[0] = 0;
    return false;
}

/* "crun version 1.8.1": what follows the word. */
static void take_version(const char *path, char *out, size_t size) {
    char text[512], *argv[] = {(char *)path, "--version", NULL}, *env[] = {NULL};
    int p[2];

    if (pipe2(p, O_CLOEXEC) != 0)
        return;
    if (fork() == 0) {
        alarm(PATIENCE_S); /* outlives the exec */
        dup2(p[1], 1);
        execve(path, argv, env);
        _exit(127);
    }
    close(p[1]);
    ssize_t n = bh_read_full(p[0], text, sizeof(text) - 1);
    close(p[0]);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    const char *at = strstr(text, "version ");
    snprintf(out, size, "%.63s", at != NULL ? at + 8 : text);
}

static uint32_t cgroup_kind(void) {
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
        return 2;
    if (access("/sys/fs/cgroup/unified", F_OK) == 0)
        return 3;
    return access("/sys/fs/cgroup/devices", F_OK) == 0;
}

#define CGROUP "/sys/fs/cgroup/"

/* By the cgroup that those of all containers are in, which the first container, the one of the trial, has made: the
 * root of a tree has no limits, in version 2 a controller shows below it only once it was handed on. */
static uint32_t limits_held(void) {
    static const struct {
        uint32_t held;
        const char *file;
    } rows[] = {{RT_HELD_MEMORY, "memory/bulkhead/memory.limit_in_bytes"},
                {RT_HELD_MEMORY | RT_HELD_RESERVATION, "bulkhead/memory.max"},
                {RT_HELD_RESERVATION, "memory/bulkhead/memory.soft_limit_in_bytes"},
                {RT_HELD_SWAP, "memory/bulkhead/memory.memsw.limit_in_bytes"},
                {RT_HELD_SWAP, "bulkhead/memory.swap.max"},
                {RT_HELD_SWAPPINESS, "memory/bulkhead/memory.swappiness"},
                {RT_HELD_OOM_KILL, "memory/bulkhead/memory.oom_control"},
                {RT_HELD_CPU_CFS, "cpu/bulkhead/cpu.cfs_quota_us"},
                {RT_HELD_CPU_CFS, "bulkhead/cpu.max"},
                {RT_HELD_CPU_SHARES, "cpu/bulkhead/cpu.shares"},
                {RT_HELD_CPU_SHARES, "bulkhead/cpu.weight"},
                {RT_HELD_CPUSET, "cpuset/bulkhead/cpuset.cpus"},
                {RT_HELD_CPUSET, "bulkhead/cpuset.cpus"},
                {RT_HELD_PIDS, "pids/bulkhead/pids.max"},
                {RT_HELD_PIDS, "bulkhead/pids.max"},
                {RT_HELD_BLKIO, "blkio/bulkhead/blkio.weight"},
                {RT_HELD_BLKIO, "bulkhead/io.weight"},
                {RT_HELD_BLKIO, "bulkhead/io.bfq.weight"}};
    uint32_t held = 0;
    char path[128];

    for (size_t k = 0; k < BH_ARRAY_LEN(rows); k++) {
        snprintf(path, sizeof(path), CGROUP "%s", rows[k].file);
        if (access(path, F_OK) == 0)
            held |= rows[k].held;
    }
    return held;
}

/* "" when neither version of cgroups tells. */
static void take_set(const char *v1, const char *v2, char *out, size_t size) {
    BH_SCOPE_CLOSE int one = open(v1, O_RDONLY | O_CLOEXEC), two = open(v2, O_RDONLY | O_CLOEXEC);
    ssize_t n = one >= 0 || two >= 0 ? bh_read_full(one >= 0 ? one : two, out, size - 1) : 0;

    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

int lnc_info_look(const void *arg, void *out, struct bh_err *err) {
    struct rt_launch_info *i = out;

    (void)err;
    if (find_program(RT_OCI_PROGRAM(*(const uint32_t *)arg), i->runtime_path, sizeof(i->runtime_path)))
        take_version(i->runtime_path, i->runtime_version, sizeof(i->runtime_version));
    i->kernel_fsverity = access("/sys/fs/ext4/features/verity", F_OK) == 0 || access("/proc/sys/fs/verity", F_OK) == 0;
    i->landlock_abi = (uint32_t)bh_sandbox_landlock_abi();
    i->apparmor = access("/sys/kernel/security/apparmor", F_OK) == 0;
    i->selinux = access("/sys/fs/selinux/enforce", F_OK) == 0;
    i->cgroup = cgroup_kind();
    i->held = limits_held();
    take_set(CGROUP "cpuset/cpuset.effective_cpus", CGROUP "cpuset.cpus.effective", i->cpus, sizeof(i->cpus));
    take_set(CGROUP "cpuset/cpuset.effective_mems", CGROUP "cpuset.mems.effective", i->mems, sizeof(i->mems));
    return 0;
}
