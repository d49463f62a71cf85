/*
 * config.c - the supervisor's part of the configuration, and the users of the rooms.
 *
 * Room: supervisor.  The file is the administrator's: owned by root, and so is every folder above
 * it, else it is refused.  Its text goes to the rooms as it is, in a sealed memfd; tables that the
 * supervisor does not know are theirs.  Users are looked up in /etc/passwd itself: name services
 * would load code into this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine.h"

#define DEFAULT_UID_BASE 268369920u /* 2^28 - 2^16: just below the pool of the containers' ids */
#define CLIENT_GROUP     "bulkhead" /* members may open the sockets */

/* ---- /etc/passwd and /etc/group ---------------------------------------------------------- */

static bool find_user(const char *name, struct sup_user *out) {
    FILE *f = fopen("/etc/passwd", "re");
    struct passwd *p = NULL;

    while (f && (p = fgetpwent(f)) != NULL && strcmp(p->pw_name, name) != 0)
        ;
    if (p)
        *out = (struct sup_user){p->pw_uid, p->pw_gid};
    if (f)
        fclose(f);
    return p != NULL;
}

static bool find_group(const char *name, gid_t *out) {
    FILE *f = fopen("/etc/group", "re");
    struct group *g = NULL;

    while (f && (g = fgetgrent(f)) != NULL && strcmp(g->gr_name, name) != 0)
        ;
    if (g)
        *out = g->gr_gid;
    if (f)
        fclose(f);
    return g != NULL;
}

/* All six system users, or six numbers in a row: never a mixture. */
int sup_users_find(struct sup_engine *e, struct bh_err *err) {
    bool all = true;

    for (unsigned i = 0; i < SUP_N_USERS && all; i++)
        all = find_user(sup_user_names[i], &e->users[i]);
    for (unsigned i = 0; i < SUP_N_USERS && !all; i++)
        e->users[i] = (struct sup_user){e->config.uid_base + i, e->config.uid_base + i};
    for (unsigned i = 0; i < SUP_N_USERS; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (e->users[i].uid == e->users[j].uid || e->users[i].uid == 0)
                return bh_err_set(err, BH_E_INVALID, "users of the rooms: %s has the uid %u of another",
                                  sup_user_names[i], e->users[i].uid);
        }
    }
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------- */

/* Nobody but root may be able to change the file or to put another in its place. */
static int check_owner(const char *path, struct bh_err *err) {
    char part[PATH_MAX];
    struct stat st;

    if (!realpath(path, part))
        return bh_err_errno(err, errno, "open configuration %s", path);
    for (;;) {
        if (stat(part, &st) < 0)
            return bh_err_errno(err, errno, "open configuration %s", part);
        bool sticky = S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX);
        if (st.st_uid != 0 || ((st.st_mode & 022) && !sticky)) {
            bh_err_set(err, BH_E_DENIED, "open configuration %s: %s can be changed by others than root", path, part);
            return bh_err_hint(err, "chown root %s; chmod go-w %s", part, part);
        }
        if (strcmp(part, "/") == 0)
            return 0;
        char *slash = strrchr(part, '/');
        slash[slash == part ? 1 : 0] = '\0';
    }
}

static int add_admin(struct sup_config *c, const char *who, struct bh_err *err) {
    size_t len = strlen(c->admins);
    struct sup_user user;
    uint64_t uid;

    if (!bh_str_u64(who, &uid) || uid >= UINT32_MAX) {
        if (!find_user(who, &user))
            return bh_err_set(err, BH_E_INVALID, "configuration: rooms.admin_uids: no user \"%s\"", who);
        uid = user.uid;
    }
    int n = snprintf(c->admins + len, sizeof c->admins - len, "%s%u", len ? "," : "", (unsigned)uid);
    if ((size_t)n >= sizeof c->admins - len)
        return bh_err_set(err, BH_E_LIMIT, "configuration: rooms.admin_uids: too many");
    return 0;
}

static int read_admins(struct sup_config *c, struct bh_conf_table *t, struct bh_err *err) {
    const char *const *list = NULL;
    size_t n = 0;
    int rc = bh_conf_get_strlist(t, "rooms.admin_uids", &list, &n, err);

    for (size_t i = 0; rc >= 0 && i < n; i++)
        rc = add_admin(c, list[i], err);
    return rc < 0 ? rc : 0;
}

static int read_socket(struct sup_config *c, struct bh_conf_table *t, struct bh_err *err) {
    const char *mode = NULL, *group = NULL;
    unsigned bits;
    int rc = bh_conf_get_str(t, "socket.mode", &mode, err);

    if (rc >= 0)
        rc = bh_conf_get_str(t, "socket.group", &group, err);
    if (rc < 0)
        return rc;
    if (mode) {
        if (sscanf(mode, "%o", &bits) != 1 || (bits != 0660 && bits != 0666 && bits != 0600))
            return bh_err_set(err, BH_E_INVALID, "configuration: socket.mode: \"%s\" is not 0600, 0660 or 0666", mode);
        c->socket_mode = (mode_t)bits;
    }
    c->socket_gid = c->uid_base + SUP_N_USERS;
    if (!find_group(group ? group : CLIENT_GROUP, &c->socket_gid) && group)
        return bh_err_set(err, BH_E_INVALID, "configuration: socket.group: no group \"%s\"", group);
    return 0;
}

static int read_values(struct sup_config *c, struct bh_conf_table *t, struct bh_err *err) {
    uint64_t base = DEFAULT_UID_BASE;
    const char *root = NULL;
    int rc = bh_conf_get_str(t, "engine.root", &root, err);

    if (rc >= 0)
        rc = bh_conf_get_u64(t, "rooms.uid_base", 1000, 0xfffffff0u, &base, err);
    if (rc < 0)
        return rc;
    c->uid_base = (uint32_t)base;
    if (root && (root[0] != '/' || !bh_str_copy(c->root, sizeof c->root, root)))
        return bh_err_set(err, BH_E_INVALID, "configuration: engine.root: \"%s\" is no absolute path", root);
    rc = read_admins(c, t, err);
    return rc < 0 ? rc : read_socket(c, t, err);
}

/* A memfd that nobody, not even its owner, can change any more. */
static int seal(const struct bh_buf *text, struct bh_err *err) {
    int fd = memfd_create("bulkhead-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && bh_write_all(fd, bh_buf_str(text), text->len) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return fd;
    bh_err_errno(err, errno, "copy configuration");
    if (fd >= 0)
        close(fd);
    return err->code;
}

int sup_config_load(struct sup_engine *e, struct bh_err *err) {
    struct sup_config fresh = {.socket_mode = 0660};
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BH_CONF_MAX_BYTES);
    BH_SCOPE_CONF struct bh_conf *conf = NULL;
    int rc = 0;

    if (e->config_path[0]) {
        rc = check_owner(e->config_path, err);
        if (rc == 0)
            rc = bh_file_read(AT_FDCWD, e->config_path, BH_CONF_MAX_BYTES, &text, err);
    }
    if (rc == 0)
        rc = bh_conf_parse(bh_buf_str(&text), text.len, e->config_path[0] ? e->config_path : "(none)", &conf, err);
    if (rc == 0)
        rc = read_values(&fresh, bh_conf_root(conf), err);
    int fd = rc == 0 ? seal(&text, err) : rc;
    if (fd < 0)
        return fd;
    if (e->config_fd >= 0)
        close(e->config_fd);
    e->config_fd = fd;
    e->config = fresh;
    return 0;
}
