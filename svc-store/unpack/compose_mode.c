/*
 * compose_mode.c - --chmod, and what else an item says of its files: octal, or symbolic as chmod(1) has it.
 *
 * Room: worker.  Pure.
 */
#include <string.h>

#include "unpack/compose.h"

static int bad(const char *text, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID,
               "invalid chmod parameter: '%.100s': it should be octal and between 0 and 07777, or "
               "symbolic like u=rwX,go=rX",
               text);
    return bh_err_reason(err, "invalid-mode");
}

static bool octal(const char *s, unsigned *out) {
    unsigned v = 0;

    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '7' || v > 0777)
            return false;
        v = v * 8 + (unsigned)(*s - '0');
    }
    *out = v;
    return true;
}

#define U 04700u
#define G 02070u
#define O 01007u

static unsigned who_of(const char **s) {
    unsigned who = 0;

    for (; **s != '\0' && strchr("ugoa", **s) != NULL; ++*s)
        who |= **s == 'u' ? U : **s == 'g' ? G : **s == 'o' ? O : 07777u;
    return who;
}

/* r, w, x for all three; the caller cuts out whom they are for. */
static bool perms_of(const char **s, unsigned mode, unsigned *out) {
    bool exec = (mode & 0170000) == 0040000 || (mode & 0111) != 0;

    *out = 0;
    if (**s != '\0' && strchr("ugo", **s) != NULL) { /* as another has it */
        unsigned shift = **s == 'u' ? 6 : **s == 'g' ? 3 : 0;

        *out = (mode >> shift & 7) * 0111;
        ++*s;
        return true;
    }
    for (; **s != '\0' && strchr("rwxXst", **s) != NULL; ++*s)
        *out |= **s == 'r'   ? 0444u
                : **s == 'w' ? 0222u
                : **s == 'x' ? 0111u
                : **s == 'X' ? (exec ? 0111u : 0u)
                : **s == 's' ? 06000u
                             : 01000u;
    return **s == '\0' || strchr(",+-=", **s) != NULL;
}

static unsigned act(char op, unsigned mode, unsigned who, unsigned perms) {
    bool dir = (mode & 0170000) == 0040000;
    unsigned bits = perms & who;

    if (op == '+')
        return mode | bits;
    if (op == '-')
        return mode & ~bits;
    /* "=" leaves setuid and setgid of a folder alone unless it names them, as GNU chmod does */
    return (mode & ~(who & (dir ? 01777u : 07777u))) | bits;
}

static bool clause(const char **s, unsigned *mode) {
    unsigned who = who_of(s);

    if (**s == '\0' || strchr("+-=", **s) == NULL)
        return false;
    while (**s != '\0' && strchr("+-=", **s) != NULL) {
        char op = *(*s)++;
        unsigned perms;

        if (!perms_of(s, *mode, &perms))
            return false;
        *mode = act(op, *mode, who == 0 ? 07777u : who, perms);
    }
    return **s == '\0' || **s == ',';
}

int unp_chmod_apply(const char *chmod, uint16_t mode, uint16_t *out, struct bh_err *err) {
    unsigned m = mode;
    unsigned v;
    const char *s = chmod;

    *out = mode;
    if (*s == '\0')
        return 0;
    if (octal(s, &v)) {
        *out = (uint16_t)((mode & 0170000) | v);
        return 0;
    }
    for (;;) {
        if (!clause(&s, &m))
            return bad(chmod, err);
        if (*s == '\0')
            break;
        s++;
    }
    *out = (uint16_t)m;
    return 0;
}

int unp_compose_attributes(const struct unp_compose *c, const unp_item_msg *item, struct unp_file *f,
                           struct bh_err *err) {
    int64_t clamp = c->job->request->clamp_mtime_ns;

    if (item->uid >= 0)
        f->uid = (uint32_t)item->uid;
    if (item->gid >= 0)
        f->gid = (uint32_t)item->gid;
    if (clamp > 0 && f->mtime > clamp / 1000000000)
        f->mtime = clamp / 1000000000;
    return S_ISLNK(f->mode) ? 0 : unp_chmod_apply(item->chmod, f->mode, &f->mode, err);
}
