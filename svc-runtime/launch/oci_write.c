/*
 * oci_write.c - what the host lets a container have, and the child that writes the OCI configuration.
 *
 * Room: launch's children.  Devices, limits and capabilities are looked up here, with rights; the text is
 * written by a child without any (rightless/oci.c) and passed on unread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cap-ng.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"

#define MAX_DEVICES  4096
#define MAX_JSON     ((size_t)64 << 20)
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

static void add_facts(struct lnc_oci *o, struct devices *all) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;
    struct rlimit own;

    if (o->spec->flags & RT_PRIVILEGED)
        devices_below(all, "/dev", 0);
    for (uint32_t i = 0; i < o->spec->n_devices; i++)
        device_add(all, o->spec->devices[i].source, o->spec->devices[i].target, o->spec->devices[i].access);
    o->devices = all->item;
    o->n_devices = all->n;
    for (unsigned i = 0; i < LNC_LIMITS; i++)
        o->own_limits[i] = getrlimit((__rlimit_resource_t)i, &own) == 0 ? own.rlim_max : 0;
    if (bh_file_read(AT_FDCWD, "/proc/self/oom_score_adj", 16, &text, &ignored) == 0 && text.len > 1) {
        text.data[text.len - 1] = 0;
        bh_str_i64(text.data, &o->own_oom);
    }
    capng_get_caps_process();
    for (unsigned i = 0; i < 64 && (int)i <= CAP_LAST_CAP; i++)
        if (capng_have_capability(CAPNG_BOUNDING_SET, i))
            o->own_caps |= (uint64_t)1 << i;
}

struct writing {
    const struct lnc_oci *o;
    bool process;
};

static void write_child(const void *arg, int to) {
    const struct writing *w = arg;
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT_MAX(MAX_JSON);
    struct bh_err err = BH_ERR_INIT;

    if (lnc_rightless(to, to, &err) != 0) {
        bh_log_err("oci-not-written", &err);
        return;
    }
    (w->process ? lnc_oci_process : lnc_oci_config)(&b, w->o);
    if (!bh_buf_failed(&b))
        bh_write_all(to, b.data, b.len);
}

int lnc_oci_write(struct lnc_oci *o, const char *name, struct bh_err *err) {
    static struct devices all;
    const struct writing w = {o, strcmp(name, "process.json") == 0};
    BH_SCOPE_BUF struct bh_buf json = BH_BUF_INIT_MAX(MAX_JSON + 1);
    char path[96];

    add_facts(o, &all);
    snprintf(path, sizeof(path), "%s/bundle/%s", o->stage, name);
    BH_SCOPE_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return bh_err_errno(err, errno, "make %s", path);
    if (lnc_ask(write_child, &w, &json, NULL, err) != 0)
        return err->code;
    if (json.len == 0 || bh_buf_failed(&json))
        return bh_err_set(err, BH_E_INTERNAL, "the configuration of the container could not be written");
    return bh_write_all(fd, json.data, json.len) == 0 ? 0 : bh_err_errno(err, errno, "write %s", path);
}
