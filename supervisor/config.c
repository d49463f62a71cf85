/*
 * config.c - the configuration: whose it is, and that all rooms get the same.
 *
 * Room: supervisor.  The file is the administrator's: owned by root, and so is every folder above
 * it, else it is refused.  Its text goes to the rooms as it is, in a sealed memfd; what of it is the
 * supervisor's own is read by a child without rights (rightless/settings.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "engine.h"
#include "proc/ask.h"
#include "rightless/settings.h"

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

/* The registry room has no disk and no right to read client keys: what the pattern finds goes behind the text of the
 * configuration, unread, as "PATH SIZE" on a line of its own and the bytes.  The room misses what must be there. */
static int add_files(const char *pattern, struct bh_buf *out, struct bh_err *err) {
    glob_t found = {0};

    (void)glob(pattern, 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc && err->code == 0; i++) {
        BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(BH_CONF_MAX_BYTES);
        if (check_owner(found.gl_pathv[i], err) < 0 ||
            bh_file_read(AT_FDCWD, found.gl_pathv[i], BH_CONF_MAX_BYTES, &text, err) < 0)
            break;
        bh_buf_addf(out, "%s %zu\n", found.gl_pathv[i], text.len);
        bh_buf_add(out, text.data, text.len);
    }
    globfree(&found);
    return bh_buf_failed(out) ? bh_err_set(err, BH_E_LIMIT, "configuration: the files it names are too long")
                              : err->code;
}

/* A memfd that nobody, not even its owner, can change any more. */
static int seal(const struct bh_buf *text, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = memfd_create("bulkhead-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || bh_write_all(fd, bh_buf_str(text), text->len) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return bh_err_errno(err, errno, "copy configuration");
    return bh_take_fd(&fd);
}

/* No two rooms are one user, and none is root. */
static int take_users(struct sup_engine *e, const struct sup_settings *s, struct bh_err *err) {
    memcpy(e->users, s->users, sizeof s->users);
    for (unsigned i = 0; i <= SUP_N_USERS; i++) { /* the last one is root */
        for (unsigned j = 0; j < i; j++) {
            if (e->users[i].uid == e->users[j].uid)
                return bh_err_set(err, BH_E_INVALID, "users of the rooms: %s has the uid %u of another, or of root",
                                  sup_user_names[j], e->users[j].uid);
        }
    }
    return 0;
}

/* Called again with every SIGHUP: a text with an error changes nothing; a good one goes to the rooms,
 * while users and sockets stay as they were made at the start. */
int sup_config_load(struct sup_engine *e, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(9 * BH_CONF_MAX_BYTES);
    const char *path = e->config_path;
    struct sup_settings fresh = {0};
    const struct sup_text what = {path, &text};
    const struct bh_ask a = {.work = sup_settings_read, .arg = &what, .out = &fresh, .size = sizeof fresh};

    if (path[0] && (check_owner(path, err) < 0 || bh_file_read(AT_FDCWD, path, BH_CONF_MAX_BYTES, &text, err) < 0))
        return err->code;
    if (bh_ask(&a, err) < 0)
        return err->code;
    BH_SCOPE_CLOSE int fd = seal(&text, err), more = -1;
    bh_buf_addc(&text, '\0');
    for (unsigned i = 0; i < SUP_N_FILES && err->code == 0; i++)
        (void)add_files(fresh.config.files[i], &text, err);
    if (err->code || (more = seal(&text, err)) < 0 || (e->config_fd[0] < 0 && take_users(e, &fresh, err) < 0))
        return err->code;
    if (e->config_fd[0] < 0)
        e->config = fresh.config;
    bh_scope_close(&e->config_fd[0]);
    bh_scope_close(&e->config_fd[1]);
    e->config_fd[0] = bh_take_fd(&fd);
    e->config_fd[1] = bh_take_fd(&more);
    return 0;
}
