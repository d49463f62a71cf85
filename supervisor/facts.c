/*
 * facts.c - what the kernel says of a process: ids, capabilities, filters, namespaces.
 *
 * Room: supervisor.  Reads /proc only, which a process cannot lie in (but for its name, which is not
 * read).  Whatever cannot be read stays zero.
 */
#include <fcntl.h>
#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

#define FIELD(member) offsetof(struct bh_control_room, member), sizeof((struct bh_control_room *)0)->member

/* Lines of /proc/PID/status, and the base of their numbers. */
static const struct {
    const char *line;
    int base;
    size_t at, size;
} status_fields[] = {
    {"\nUid:", 10, FIELD(uid)},
    {"\nGid:", 10, FIELD(gid)},
    {"\nSeccomp:", 10, FIELD(seccomp_mode)},
    {"\nSeccomp_filters:", 10, FIELD(seccomp_filters)},
    {"\nNoNewPrivs:", 10, FIELD(no_new_privs)},
    {"\nThreads:", 10, FIELD(threads)},
    {"\nVmRSS:", 10, FIELD(rss_kb)},
    {"\nCapInh:", 16, FIELD(cap_inheritable)},
    {"\nCapPrm:", 16, FIELD(cap_permitted)},
    {"\nCapEff:", 16, FIELD(cap_effective)},
    {"\nCapBnd:", 16, FIELD(cap_bounding)},
    {"\nCapAmb:", 16, FIELD(cap_ambient)},
};

static const struct {
    const char *name;
    size_t at, size;
} namespaces[] = {
    {"ns/mnt", FIELD(ns_mnt)}, {"ns/pid", FIELD(ns_pid)},   {"ns/net", FIELD(ns_net)},       {"ns/ipc", FIELD(ns_ipc)},
    {"ns/uts", FIELD(ns_uts)}, {"ns/user", FIELD(ns_user)}, {"ns/cgroup", FIELD(ns_cgroup)},
};

/* Little-endian or not: the members have 4 or 8 bytes. */
static void store(struct bh_control_room *out, size_t at, size_t size, uint64_t value) {
    uint32_t half = (uint32_t)value;

    memcpy((char *)out + at, size == sizeof value ? (void *)&value : (void *)&half, size);
}

static uint32_t count_fds(int proc) {
    int fd = openat(proc, "fd", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    uint32_t n = 0;

    for (struct dirent *d; dir && (d = readdir(dir)) != NULL;)
        n += d->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

void sup_facts_read(const char *name, pid_t pid, struct bh_control_room *out) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(65536);
    struct bh_err ignored = BH_ERR_INIT;
    char path[32];
    struct stat st;

    *out = (struct bh_control_room){.type = BH_CONTROL_ROOM, .pid = pid};
    (void)bh_str_copy(out->name, sizeof out->name, name);
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    BH_SCOPE_CLOSE int proc = pid > 0 ? open(path, O_DIRECTORY | O_PATH | O_CLOEXEC) : -1;
    if (proc < 0 || bh_file_read(proc, "status", 65536, &text, &ignored) < 0)
        return;
    for (unsigned i = 0; i < BH_ARRAY_LEN(status_fields); i++) {
        const char *at = strstr(bh_buf_str(&text), status_fields[i].line);
        if (at)
            store(out, status_fields[i].at, status_fields[i].size,
                  strtoull(at + strlen(status_fields[i].line), NULL, status_fields[i].base));
    }
    for (unsigned i = 0; i < BH_ARRAY_LEN(namespaces); i++) {
        if (fstatat(proc, namespaces[i].name, &st, 0) == 0)
            store(out, namespaces[i].at, namespaces[i].size, st.st_ino);
    }
    out->open_fds = count_fds(proc);
    /* Files in the /proc of a process that is not dumpable belong to root. */
    out->dumpable = fstatat(proc, "status", &st, 0) == 0 && st.st_uid == out->uid && out->uid != 0;
}
