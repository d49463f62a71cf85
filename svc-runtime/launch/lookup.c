/*
 * lookup.c - user, groups and home of a container's process, from its own /etc/passwd and /etc/group.
 *
 * Room: a child of launch that is root of the container's user namespace and nothing else, chrooted
 * to the container.  Both files are the image's: regular files only, 1 MiB at most, 2 s at most.
 * The rules are docker's (moby/sys/user GetExecUser): numbers need no entry, names do.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"

#define FILE_MAX   ((size_t)1 << 20)
#define PATIENCE_S 2

/* A FIFO or device in the file's place must not hold us up: not blocking, and only regular files are read. */
static void read_regular(const char *path, struct bh_buf *out, struct lnc_user *u) {
    BH_SCOPE_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    bh_buf_init(out, FILE_MAX + 1);
    if (fd < 0 || fstat(fd, &st) != 0)
        return;
    if (!S_ISREG(st.st_mode)) { /* the OCI runtime reads them too, and would wait for ever */
        u->code = BH_E_INVALID;
        snprintf(u->msg, sizeof(u->msg), "%s of the image is no regular file", path);
        return;
    }
    while (out->len < FILE_MAX && bh_buf_room(out, 65536) != NULL && (n = read(fd, out->data + out->len, 65536)) > 0)
        bh_buf_grew(out, (size_t)n);
}

struct question {
    int root, userns;
    const struct rt_spec *spec;
};

static void lookup_child(const void *arg, int to) {
    const struct question *q = arg;
    struct bh_buf passwd, group;
    struct bh_err err = BH_ERR_INIT;
    struct lnc_user u = {0};

    alarm(PATIENCE_S);
    u.code = lnc_enter(q->root, q->userns, &err);
    snprintf(u.msg, sizeof(u.msg), "%s", err.msg);
    if (u.code == 0) {
        read_regular("/etc/passwd", &passwd, &u);
        read_regular("/etc/group", &group, &u);
    }
    if (u.code == 0)
        lnc_lookup_in(bh_buf_str(&passwd), passwd.len, bh_buf_str(&group), group.len, q->spec->user,
                      &q->spec->group_add, &u);
    bh_write_all(to, &u, sizeof(u));
}

int lnc_lookup(int root, int userns, const struct rt_spec *spec, struct lnc_user *out, struct bh_err *err) {
    const struct question q = {root, userns, spec};
    BH_SCOPE_BUF struct bh_buf answer = BH_BUF_INIT_MAX(131072);

    if (lnc_ask(lookup_child, &q, &answer, NULL, err) != 0)
        return err->code;
    if (answer.len == sizeof(*out))
        memcpy(out, answer.data, sizeof(*out));
    if (answer.len != sizeof(*out) || out->n_groups > BH_ARRAY_LEN(out->groups))
        return bh_err_set(err, BH_E_INVALID, "the image's /etc/passwd and /etc/group could not be read within %d s",
                          PATIENCE_S);
    out->msg[sizeof(out->msg) - 1] = 0;
    out->home[sizeof(out->home) - 1] = 0;
    if (out->code != 0)
        return bh_err_set(err, out->code, "%s", out->msg);
    if (userns >= 0 && (out->uid >= LNC_IDS || out->gid >= LNC_IDS))
        return bh_err_set(err, BH_E_INVALID, "user %u:%u is outside the container's range of %u ids", out->uid,
                          out->gid, LNC_IDS);
    return 0;
}
