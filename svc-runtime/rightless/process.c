/*
 * process.c - see process.h.
 *
 * Room: a child of launch without rights.
 */
#include "rightless/process.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/capname.h"

uint64_t lnc_process_caps(const struct lnc_oci *c) {
    const uint64_t known = ((uint64_t)1 << (RT_CAP_LAST + 1)) - 1;
    bool all = (c->spec->flags & (RT_PRIVILEGED | RT_EXEC_PRIVILEGED)) != 0;

    return (all ? known : c->spec->caps & known) & (c->userns ? known : c->own_caps);
}

/* ---- environment ------------------------------------------------------------------------------- */

static bool env_has(const struct rt_spec *s, const char *name) {
    size_t n = strlen(name);

    for (uint32_t i = 0; i < s->env.n; i++)
        if (strncmp(s->env.item[i], name, n) == 0 && s->env.item[i][n] == '=')
            return true;
    return false;
}

static void env_add(const struct rt_spec *s, const char *name, const char *value, lnc_process_each each,
                    struct bh_buf *b) {
    BH_SCOPE_FREE char *entry = bh_xasprintf("%s=%s", name, value);

    if (!env_has(s, name) && value[0] != 0)
        each(b, entry);
}

void lnc_process_env(const struct lnc_oci *c, lnc_process_each each, struct bh_buf *b) {
    const struct rt_spec *s = c->spec;

    for (uint32_t i = 0; i < s->env.n; i++)
        if (strchr(s->env.item[i], '=') != NULL) /* never the host's value for it */
            each(b, s->env.item[i]);
    env_add(s, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", each, b);
    env_add(s, "HOSTNAME", s->hostname, each, b);
    env_add(s, "TERM", s->flags & RT_TTY ? "xterm" : "", each, b);
    env_add(s, "HOME", c->user->home, each, b);
}

/* ---- limits ------------------------------------------------------------------------------------- */

/* Set in the container's user namespace, where a limit can only be lowered: ours is the most that it gets. */
bool lnc_process_limit(const struct lnc_oci *c, uint32_t i, struct lnc_limit *out) {
    /* in the order of RLIMIT_* */
    static const char *const names[LNC_LIMITS] = {"cpu",      "fsize",  "data",    "stack", "core",  "rss",
                                                  "nproc",    "nofile", "memlock", "as",    "locks", "sigpending",
                                                  "msgqueue", "nice",   "rtprio",  "rttime"};
    const struct rt_ulimit *u = &c->spec->ulimits[i];

    for (uint32_t k = 0; k < LNC_LIMITS; k++) {
        if (strcmp(u->name, names[k]) != 0)
            continue;
        *out = (struct lnc_limit){.which = k, .name = names[k]};
        out->hard = u->hard < c->own_limits[k] ? u->hard : c->own_limits[k];
        out->soft = u->soft < out->hard ? u->soft : out->hard;
        return true;
    }
    return false;
}

/* In a user namespace the score can only be raised; a wish to lower it would end the start. */
bool lnc_process_oom(const struct lnc_oci *c) {
    return c->spec->oom_score_adj > c->own_oom ||
           (!c->userns && c->spec->oom_score_adj != 0 && c->own_caps & (1u << 24));
}

/* ---- for the monitor ------------------------------------------------------------------------------ */

static void add_text(struct bh_buf *b, const char *text) {
    bh_buf_add(b, text, strlen(text) + 1);
}

static void limits(const struct lnc_oci *c, struct rt_enter *e) {
    struct lnc_limit u;

    for (uint32_t i = 0; i < c->spec->n_ulimits && e->n_limits < RT_ENTER_MAX_LIMITS; i++)
        if (lnc_process_limit(c, i, &u)) {
            e->limits[e->n_limits].which = u.which;
            e->limits[e->n_limits].soft = u.soft;
            e->limits[e->n_limits++].hard = u.hard;
        }
}

void lnc_process_enter(struct bh_buf *b, const struct lnc_oci *c) {
    const struct rt_spec *s = c->spec;
    static struct rt_enter e;

    e = (struct rt_enter){.version = RT_ENTER_VERSION,
                          .flags = s->flags,
                          .uid = c->user->uid,
                          .gid = c->user->gid,
                          .n_groups = c->user->n_groups,
                          .caps = lnc_process_caps(c),
                          .umask = s->umask != 0 ? s->umask & 0777 : 022,
                          .rows = s->tty_rows,
                          .cols = s->tty_cols,
                          .argc = s->args.n};
    memcpy(e.groups, c->user->groups, sizeof(e.groups));
    limits(c, &e);
    bh_buf_add(b, &e, sizeof(e));
    add_text(b, s->cwd[0] == '/' ? s->cwd : "/");
    for (uint32_t i = 0; i < s->args.n; i++)
        add_text(b, s->args.item[i]);
    lnc_process_env(c, add_text, b);
    if (bh_buf_failed(b))
        return;
    e.text_size = b->len - sizeof(e);
    for (size_t i = sizeof(e); i < b->len; i++)
        e.envc += b->data[i] == 0;
    e.envc -= 1 + e.argc;
    memcpy(b->data, &e, sizeof(e));
}
