/*
 * settings.c - see settings.h.
 *
 * Room: a child of the supervisor that is nobody.  The text is the administrator's; tables that the
 * supervisor does not know are the rooms'.  Users are looked up in /etc/passwd itself: name services
 * would load code.
 */
#include "rightless/settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"

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
static void find_users(struct sup_settings *s) {
    bool all = true;

    for (unsigned i = 0; i < SUP_N_USERS && all; i++)
        all = find_ids("/etc/passwd", sup_user_names[i], &s->users[i].uid, &s->users[i].gid) == 2;
    for (unsigned i = 0; i < SUP_N_USERS && !all; i++)
        s->users[i] = (struct sup_user){s->config.uid_base + i, s->config.uid_base + i};
}

/* A typing error must not pass for a default.  Tables of the rooms are checked by them. */
static int check_keys(struct bh_conf_table *top, struct bh_err *err) {
    static const char *const known[][2] = {
        {NULL, " engine rooms socket store limits registry build storage_form test "},
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

static int read_files(struct sup_config *c, struct bh_conf_table *t, struct bh_err *err) {
    static const struct {
        const char *key, *fallback, *tail; /* of a folder: which files in it */
    } known[SUP_N_FILES] = {{"registry.registries_conf", "/etc/bulkhead/registries.conf", ""},
                            {"registry.registries_conf", "/etc/bulkhead/registries.conf", ".d/*.conf"},
                            {"registry.policy", "/etc/bulkhead/policy.json", ""},
                            {"registry.certs_dir", "/etc/bulkhead/certs.d", "/*/*.[ck]*[ty]"}};

    for (unsigned i = 0; i < SUP_N_FILES; i++) {
        const char *path = known[i].fallback;
        if (bh_conf_get_str(t, known[i].key, &path, err) < 0)
            return err->code;
        if (*path != '/' || snprintf(c->files[i], PATH_MAX, "%s%s", path, known[i].tail) >= PATH_MAX)
            return bh_err_set(err, BH_E_INVALID, "configuration: %s: \"%s\" is no absolute path", known[i].key, path);
    }
    return 0;
}

int sup_settings_read(const void *arg, void *out, struct bh_err *err) {
    BH_SCOPE_CONF struct bh_conf *conf = NULL;
    const struct sup_text *t = arg;
    struct sup_settings *s = out;

    if (bh_conf_parse(bh_buf_str(t->text), t->text->len, t->name, &conf, err) < 0 ||
        check_keys(bh_conf_root(conf), err) < 0 || read_values(&s->config, bh_conf_root(conf), err) < 0 ||
        read_files(&s->config, bh_conf_root(conf), err) < 0)
        return err->code;
    find_users(s);
    return 0;
}
