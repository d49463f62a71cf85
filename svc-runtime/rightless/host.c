/*
 * host.c - what the host lets a container have: devices, limits, capabilities.
 *
 * Room: a child of launch without rights: it sees what every user of the host can see.  Its limits and
 * its bounding set are those of launch, for it has only lost, never changed them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "rightless/bundle.h"

#define MAX_DEVICES  4096
#define DEVICE_DEPTH 3

struct devices {
    struct lnc_device item[MAX_DEVICES];
    uint32_t n;
};

static void device_add(struct devices *all, const char *source, const char *target, const char *access) {
    struct stat st;

    if (all->n == MAX_DEVICES || stat(source, &st) != 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
        return;
    all->item[all->n++] = (struct lnc_device){.path = target,
                                              .access = access,
                                              .block = S_ISBLK(st.st_mode),
                                              .major = major(st.st_rdev),
                                              .minor = minor(st.st_rdev),
                                              .mode = st.st_mode & 0777};
}

/* --privileged: all that the host has, but for terminals and what docker leaves out.  The names live as long as
 * the child. */
static void devices_below(struct devices *all, const char *dir, unsigned depth) {
    static const char skip[] = " pts shm fd mqueue console stdin stdout stderr ptmx core ";
    BH_SCOPE_DIR DIR *d = bh_dir_open(AT_FDCWD, dir);

    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;) {
        char word[280];

        snprintf(word, sizeof(word), " %s ", e->d_name);
        if (e->d_name[0] == '.' || strstr(skip, word) != NULL)
            continue;
        char *path = bh_xasprintf("%s/%s", dir, e->d_name);
        if (e->d_type == DT_DIR && depth < DEVICE_DEPTH)
            devices_below(all, path, depth + 1);
        else if (e->d_type == DT_CHR || e->d_type == DT_BLK)
            device_add(all, path, path, "");
    }
}

/* A device that was asked for by name must be there. */
static int device_named(struct devices *all, const struct rt_device *d, struct bh_err *err) {
    uint32_t before = all->n;

    device_add(all, d->source, d->target, d->access);
    if (all->n > before)
        return 0;
    return bh_err_set(err, BH_E_INVALID, "error gathering device information while adding custom device \"%s\": %s",
                      d->source, access(d->source, F_OK) != 0 ? strerror(errno) : "not a device node");
}

int lnc_host_look(struct lnc_oci *o, struct bh_err *err) {
    static struct devices all;
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;
    struct rlimit own;

    if (o->spec->flags & RT_PRIVILEGED)
        devices_below(&all, "/dev", 0);
    for (uint32_t i = 0; i < o->spec->n_devices; i++)
        if (device_named(&all, &o->spec->devices[i], err) != 0)
            return err->code;
    o->mqueue = access("/dev/mqueue", F_OK) == 0;
    o->devices = all.item;
    o->n_devices = all.n;
    for (unsigned i = 0; i < LNC_LIMITS; i++)
        o->own_limits[i] = getrlimit((__rlimit_resource_t)i, &own) == 0 ? own.rlim_max : 0;
    if (bh_file_read(AT_FDCWD, "/proc/self/oom_score_adj", 16, &text, &ignored) == 0 && text.len > 1) {
        text.data[text.len - 1] = 0;
        bh_str_i64(text.data, &o->own_oom);
    }
    for (unsigned i = 0; i < 64 && i <= CAP_LAST_CAP; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            o->own_caps |= (uint64_t)1 << i;
    return 0;
}
