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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine.h"

#define DEFAULT_UID_BASE 268369920u /* 2^28 - 2^16: just below the pool of the containers' ids */
#define DEFAULT_RESTART  5000
#define CLIENT_GROUP     "bulkhead" /* members may open the sockets */
#define ID_FILE_MAX      ((size_t)16 << 20)

/* The numbers of a line "name:x:N:M" of /etc/passwd or "name:x:N:" of /etc/group: how many there are. */
static int find_ids(const char *file, const char *name, uint32_t *out_first, uint32_t *out_second) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(ID_FILE_MAX);
    struct bh_err ignored = BH_ERR_INIT;
    size_t n = strlen(name);
    char *save = NULL;

    if (bh_file_read(AT_FDCWD, file, ID_FILE_MAX, &text, &ignored) < 0 || text.len == 0)
        return 0;
    for (char *l = strtok_r(text.data, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        const char *numbers = strncmp(l, name, n) == 0 && l[n] == ':' ? strchr(l + n + 1, ':') : NULL;
        if (numbers)
            return sscanf(numbers, ":%u:%u", out_first, out_second);
    }
    return 0;
}

/* All six system users, or six numbers in a row: never a mixture. */
int sup_users_find(struct sup_engine *e, struct bh_err *err) {
    struct sup_user *u = e->users;
    bool all = true;

    for (unsigned i = 0; i < SUP_N_USERS && all; i++)
        all = find_ids("/etc/passwd", sup_user_names[i], &u[i].uid, &u[i].gid) == 2;
    for (unsigned i = 0; i < SUP_N_USERS && !all; i++)
        u[i] = (struct sup_user){e->config.uid_base + i, e->config.uid_base + i};
    for (unsigned i = 0; i <= SUP_N_USERS; i++) { /* the last one is root */
        for (unsigned j = 0; j < i; j++) {
            if (u[i].uid == u[j].uid)
                return bh_err_set(err, BH_E_INVALID, "users of the rooms: %s has the uid %u of another, or of root",
                                  sup_user_names[j], u[j].uid);
        }
    }
    return 0;
}

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

/* A typing error must not pass for a default.  Tables of the rooms are checked by them. */
static int check_keys(struct bh_conf_table *top, struct bh_err *err) {
    static const char *const known[][2] = {
        {NULL, " engine rooms socket store limits runtime registry build storage_form test "},
        {"engine", " root "},
        {"rooms", " uid_base admin_uids restart_max_ms "},
        {"socket", " mode group "},
    };
    int rc = 1;

    for (unsigned i = 0; i < BH_ARRAY_LEN(known) && rc >= 0; i++) {
        struct bh_conf_table *t = top;
        rc = known[i][0] ? bh_conf_get_table(top, known[i][0], &t, err) : 1;
        if (rc == 1)
            rc = bh_conf_only_keys(t, known[i][1], err);
    }
    return rc < 0 ? rc : 0;
}

static int read_values(struct sup_config *c, struct bh_conf_table *t, struct bh_err *err) {
    const char *root = "", *mode = "0660", *group = NULL, *admins = "";
    uint64_t base = DEFAULT_UID_BASE, restart = DEFAULT_RESTART;

    if (bh_conf_get_str(t, "engine.root", &root, err) < 0 || bh_conf_get_str(t, "socket.mode", &mode, err) < 0 ||
        bh_conf_get_str(t, "socket.group", &group, err) < 0 ||
        bh_conf_get_str(t, "rooms.admin_uids", &admins, err) < 0 ||
        bh_conf_get_u64(t, "rooms.restart_max_ms", 10, 60000, &restart, err) < 0 ||
        bh_conf_get_u64(t, "rooms.uid_base", 1000, 0xfffffff0u, &base, err) < 0)
        return err->code;
    c->restart_max_ms = (int64_t)restart;
    c->uid_base = (uint32_t)base;
    c->socket_gid = c->uid_base + SUP_N_USERS;
    c->socket_mode = (mode_t)strtoul(mode, NULL, 8);
    if ((*root && *root != '/') || !bh_str_copy(c->root, sizeof c->root, root))
        return bh_err_set(err, BH_E_INVALID, "configuration: engine.root: \"%s\" is no absolute path", root);
    if (c->socket_mode != 0600 && c->socket_mode != 0660 && c->socket_mode != 0666)
        return bh_err_set(err, BH_E_INVALID, "configuration: socket.mode: \"%s\" is not 0600, 0660 or 0666", mode);
    if (strspn(admins, "0123456789,") != strlen(admins) || !bh_str_copy(c->admins, sizeof c->admins, admins))
        return bh_err_set(err, BH_E_INVALID, "configuration: rooms.admin_uids: \"%s\" is not like \"1000,1001\"",
                          admins);
    if (find_ids("/etc/group", group ? group : CLIENT_GROUP, &c->socket_gid, &(uint32_t){0}) < 1 && group)
        return bh_err_set(err, BH_E_INVALID, "configuration: socket.group: no group \"%s\"", group);
    return 0;
}

/* A memfd that nobody, not even its owner, can change any more. */
static int seal(const struct bh_buf *text, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = memfd_create("bulkhead-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || bh_write_all(fd, bh_buf_str(text), text->len) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return bh_err_errno(err, errno, "copy configuration");
    return bh_take_fd(&fd);
}

/* Called again with every SIGHUP: a text with an error changes nothing; a good one goes to the rooms,
 * while users and sockets stay as they were made at the start. */
int sup_config_load(struct sup_engine *e, struct bh_err *err) {
    struct sup_config fresh = {0};
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BH_CONF_MAX_BYTES);
    BH_SCOPE_CONF struct bh_conf *conf = NULL;
    const char *path = e->config_path;

    if (path[0] && (check_owner(path, err) < 0 || bh_file_read(AT_FDCWD, path, BH_CONF_MAX_BYTES, &text, err) < 0))
        return err->code;
    if (bh_conf_parse(bh_buf_str(&text), text.len, path, &conf, err) < 0 || check_keys(bh_conf_root(conf), err) < 0 ||
        read_values(&fresh, bh_conf_root(conf), err) < 0)
        return err->code;
    int fd = seal(&text, err);
    if (fd < 0)
        return fd;
    if (e->config_fd >= 0)
        close(e->config_fd);
    else
        e->config = fresh;
    e->config_fd = fd;
    return 0;
}
