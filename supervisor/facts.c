/*
 * facts.c - what the kernel says of a process: ids, capabilities, filters, namespaces.
 *
 * Room: supervisor.  Reads /proc only, which a process cannot lie in (but for its name, which is not
 * read).  Whatever cannot be read stays zero.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

static uint64_t field(const char *status, const char *name, int base) {
    const char *at = strstr(status, name);

    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

static void read_status(int proc, struct bh_control_room *out) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(65536);
    struct bh_err err = BH_ERR_INIT;

    if (bh_file_read(proc, "status", 65536, &text, &err) < 0)
        return;
    const char *s = bh_buf_str(&text);
    out->uid = (uint32_t)field(s, "\nUid:", 10);
    out->gid = (uint32_t)field(s, "\nGid:", 10);
    out->seccomp_mode = (uint32_t)field(s, "\nSeccomp:", 10);
    out->seccomp_filters = (uint32_t)field(s, "\nSeccomp_filters:", 10);
    out->no_new_privs = (uint32_t)field(s, "\nNoNewPrivs:", 10);
    out->threads = (uint32_t)field(s, "\nThreads:", 10);
    out->rss_kb = (uint32_t)field(s, "\nVmRSS:", 10);
    out->cap_inheritable = field(s, "\nCapInh:", 16);
    out->cap_permitted = field(s, "\nCapPrm:", 16);
    out->cap_effective = field(s, "\nCapEff:", 16);
    out->cap_bounding = field(s, "\nCapBnd:", 16);
    out->cap_ambient = field(s, "\nCapAmb:", 16);
}

static uint64_t ns_inode(int proc, const char *name) {
    char path[24];
    struct stat st;

    snprintf(path, sizeof path, "ns/%s", name);
    return fstatat(proc, path, &st, 0) == 0 ? st.st_ino : 0;
}

static void read_namespaces(int proc, struct bh_control_room *out) {
    out->ns_mnt = ns_inode(proc, "mnt");
    out->ns_pid = ns_inode(proc, "pid");
    out->ns_net = ns_inode(proc, "net");
    out->ns_ipc = ns_inode(proc, "ipc");
    out->ns_uts = ns_inode(proc, "uts");
    out->ns_user = ns_inode(proc, "user");
    out->ns_cgroup = ns_inode(proc, "cgroup");
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
    char path[32];
    struct stat st;

    memset(out, 0, sizeof *out);
    out->type = BH_CONTROL_ROOM;
    (void)bh_str_copy(out->name, sizeof out->name, name);
    out->pid = pid;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    BH_SCOPE_CLOSE int proc = pid > 0 ? open(path, O_DIRECTORY | O_PATH | O_CLOEXEC) : -1;
    if (proc < 0)
        return;
    read_status(proc, out);
    read_namespaces(proc, out);
    out->open_fds = count_fds(proc);
    /* Files in the /proc of a process that is not dumpable belong to root. */
    out->dumpable = fstatat(proc, "status", &st, 0) == 0 && st.st_uid == out->uid && out->uid != 0;
}
