/*
 * facts.c - what the kernel says of a process: ids, capabilities, filters, namespaces.
 *
 * Room: supervisor.  Reads /proc only, which a process cannot lie in (but for its name, which is not
 * read).  Whatever cannot be read stays zero.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"
#include "facts_table.h"

static uint64_t number(const char *status, const char *line, int base) {
    const char *at = strstr(status, line);

    return at ? strtoull(at + strlen(line), NULL, base) : 0;
}

static uint32_t count_fds(int proc) {
    BH_SCOPE_DIR DIR *dir = bh_dir_open(proc, "fd");
    uint32_t n = 0;

    while (bh_dir_next(dir))
        n++;
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
    for (unsigned i = 0; i < BH_ARRAY_LEN(facts); i++) {
        uint64_t wide = facts[i].base ? number(bh_buf_str(&text), facts[i].name, facts[i].base)
                        : fstatat(proc, facts[i].name, &st, 0) == 0 ? st.st_ino
                                                                    : 0;
        uint32_t narrow = (uint32_t)wide;
        memcpy((char *)out + facts[i].at, facts[i].size == sizeof wide ? (void *)&wide : (void *)&narrow,
               facts[i].size);
    }
    out->open_fds = count_fds(proc);
    /* Files in the /proc of a process that is not dumpable belong to root. */
    out->dumpable = fstatat(proc, "status", &st, 0) == 0 && st.st_uid == out->uid && out->uid != 0;
}
