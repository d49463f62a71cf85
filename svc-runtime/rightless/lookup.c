/*
 * lookup.c - see lookup.h.
 *
 * Room: a child of launch that is root of the container's user namespace without a capability, inside
 * the container's root.  Both files are the image's.
 */
#include "rightless/lookup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"

#define FILE_MAX   ((size_t)1 << 20)
#define PATIENCE_S 2

/* A line of passwd or group, cut at its colons; fields that are missing are "". */
struct entry {
    char *field[7];
};

static char *next_line(char **rest) {
    char *line = *rest;
    char *end;

    if (line == NULL || *line == 0)
        return NULL;
    end = strchr(line, '\n');
    *rest = end != NULL ? end + 1 : line + strlen(line);
    if (end != NULL)
        *end = 0;
    return line;
}

static void split(char *line, struct entry *e) {
    static char none[1];

    for (int i = 0; i < 7; i++) {
        e->field[i] = line != NULL ? line : none;
        if (line != NULL && (line = strchr(line, ':')) != NULL)
            *line++ = 0;
    }
}

/* Ids are 31 bits wide in docker. */
static bool number(const char *s, uint32_t *out) {
    uint64_t v;

    if (!bh_str_u64(s, &v) || v > INT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static void fail(struct lnc_user *u, const char *what, const char *name, const char *file) {
    char safe[128];

    bh_str_escape(safe, sizeof(safe), name, strlen(name), false);
    u->code = BH_E_INVALID;
    snprintf(u->msg, sizeof(u->msg), "unable to find %s %s: no matching entries in %s file", what, safe, file);
}

/* Returns the name of the user that was found, for the groups that list it; NULL for none. */
static const char *find_user(char *passwd, const char *want, struct lnc_user *u) {
    uint32_t id = 0, entry_id;
    bool numeric = want[0] == 0 || number(want, &id);
    struct entry e;
    char *line;

    while ((line = next_line(&passwd)) != NULL) {
        split(line, &e);
        if (!number(e.field[2], &entry_id) || e.field[0][0] == 0)
            continue;
        if (strcmp(e.field[0], want) != 0 && !(numeric && entry_id == id))
            continue;
        u->uid = entry_id;
        number(e.field[3], &u->gid);
        if (!bh_str_copy(u->home, sizeof(u->home), e.field[5]))
            u->home[0] = 0;
        return e.field[0];
    }
    u->uid = id;
    if (!numeric)
        fail(u, "user", want, "passwd");
    return NULL;
}

static void add_group(struct lnc_user *u, uint32_t gid) {
    for (uint32_t i = 0; i < u->n_groups; i++)
        if (u->groups[i] == gid)
            return;
    if (u->n_groups < BH_ARRAY_LEN(u->groups))
        u->groups[u->n_groups++] = gid;
}

static bool lists(const char *members, const char *name) {
    size_t n = strlen(name);

    for (const char *p = members; *p != 0; p += strcspn(p, ","), p += *p == ',')
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == 0))
            return true;
    return false;
}

/* Supplementary groups: those that list the user. */
static void groups_of(char *group, const char *name, struct lnc_user *u) {
    struct entry e;
    uint32_t gid;
    char *line;

    while ((line = next_line(&group)) != NULL) {
        split(line, &e);
        if (number(e.field[2], &gid) && lists(e.field[3], name))
            add_group(u, gid);
    }
}

static bool find_group(char *group, const char *want, uint32_t *out) {
    uint32_t id = 0, gid;
    bool numeric = number(want, &id);
    struct entry e;
    char *line;

    while ((line = next_line(&group)) != NULL) {
        split(line, &e);
        if (number(e.field[2], &gid) && e.field[0][0] != 0 &&
            (strcmp(e.field[0], want) == 0 || (numeric && gid == id))) {
            *out = gid;
            return true;
        }
    }
    *out = id;
    return numeric;
}

/* Parsing cuts the text up, so that each pass has a copy. */
static char *copy(const char *text, size_t n) {
    char *p = bh_xmalloc(n + 1);

    memcpy(p, text, n);
    p[n] = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] == 0)
            p[i] = '\n';
    return p;
}

void lnc_lookup_in(const char *passwd, size_t n_passwd, const char *group, size_t n_group, const char *user,
                   const struct rt_strings *add, struct lnc_user *out) {
    BH_SCOPE_FREE char *want = bh_xstrdup(user);
    BH_SCOPE_FREE char *pw = copy(passwd, n_passwd);
    char *group_part = strchr(want, ':');
    const char *name;

    *out = (struct lnc_user){0};
    if (group_part != NULL)
        *group_part++ = 0;
    name = find_user(pw, want, out);
    if (out->code == 0 && group_part != NULL && group_part[0] != 0) {
        BH_SCOPE_FREE char *gr = copy(group, n_group);

        if (!find_group(gr, group_part, &out->gid))
            fail(out, "group", group_part, "group");
    } else if (out->code == 0 && name != NULL) {
        BH_SCOPE_FREE char *gr = copy(group, n_group);

        groups_of(gr, name, out);
    }
    if (out->code == 0) /* else a program that drops the first group would be in none of those that deny it something */
        add_group(out, out->gid);
    for (uint32_t i = 0; add != NULL && i < add->n && out->code == 0; i++) {
        BH_SCOPE_FREE char *gr = copy(group, n_group);
        uint32_t gid;

        if (find_group(gr, add->item[i], &gid))
            add_group(out, gid);
        else
            fail(out, "group", add->item[i], "group");
    }
    if (out->home[0] != '/')
        bh_str_copy(out->home, sizeof(out->home), "/");
}

/* A FIFO or device in the file's place must not hold us up: not blocking, and only regular files are read. */
static int read_regular(const char *path, struct bh_buf *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    bh_buf_init(out, FILE_MAX + 1);
    if (fd < 0 || fstat(fd, &st) != 0)
        return 0;
    if (!S_ISREG(st.st_mode)) /* the OCI runtime reads them too, and would wait for ever */
        return bh_err_set(err, BH_E_INVALID, "%s of the image is no regular file", path);
    while (out->len < FILE_MAX && bh_buf_room(out, 65536) != NULL && (n = read(fd, out->data + out->len, 65536)) > 0)
        bh_buf_grew(out, (size_t)n);
    return 0;
}

int lnc_lookup_work(const void *arg, void *out, struct bh_err *err) {
    const struct rt_spec *spec = arg;
    struct lnc_user *u = out;
    struct bh_buf passwd, group;

    alarm(PATIENCE_S);
    if (read_regular("/etc/passwd", &passwd, err) != 0 || read_regular("/etc/group", &group, err) != 0)
        return err->code;
    lnc_lookup_in(bh_buf_str(&passwd), passwd.len, bh_buf_str(&group), group.len, spec->user, &spec->group_add, u);
    return u->code != 0 ? bh_err_set(err, u->code, "%s", u->msg) : 0;
}
