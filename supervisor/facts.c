/*
 * facts.c - what the kernel says of a process: ids, capabilities, filters, namespaces.
 *
 * Room: supervisor.  Reads /proc only, which a process cannot lie in (but for its name, which is not
 * read).  Whatever cannot be read stays zero.
 */
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

static uint64_t number(const char *status, const char *line, int base) {
    const char *at = strstr(status, line);

    return at ? strtoull(at + strlen(line), NULL, base) : 0;
}

static uint64_t inode(int proc, const char *name) {
    struct stat st;

    return fstatat(proc, name, &st, 0) == 0 ? st.st_ino : 0;
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
    const char *status = bh_buf_str(&text);
    out->uid = (uint32_t)number(status, "\nUid:", 10);
    out->gid = (uint32_t)number(status, "\nGid:", 10);
    out->seccomp_mode = (uint32_t)number(status, "\nSeccomp:", 10);
    out->seccomp_filters = (uint32_t)number(status, "\nSeccomp_filters:", 10);
    out->no_new_privs = (uint32_t)number(status, "\nNoNewPrivs:", 10);
    out->threads = (uint32_t)number(status, "\nThreads:", 10);
    out->rss_kb = (uint32_t)number(status, "\nVmRSS:", 10);
    out->cap_inheritable = number(status, "\nCapInh:", 16);
    out->cap_permitted = number(status, "\nCapPrm:", 16);
    out->cap_effective = number(status, "\nCapEff:", 16);
    out->cap_bounding = number(status, "\nCapBnd:", 16);
    out->cap_ambient = number(status, "\nCapAmb:", 16);
    out->ns_mnt = inode(proc, "ns/mnt");
    out->ns_pid = inode(proc, "ns/pid");
    out->ns_net = inode(proc, "ns/net");
    out->ns_ipc = inode(proc, "ns/ipc");
    out->ns_uts = inode(proc, "ns/uts");
    out->ns_user = inode(proc, "ns/user");
    out->ns_cgroup = inode(proc, "ns/cgroup");
    out->open_fds = count_fds(proc);
    /* Files in the /proc of a process that is not dumpable belong to root. */
    out->dumpable = fstatat(proc, "status", &st, 0) == 0 && st.st_uid == out->uid && out->uid != 0;
}
