/*
 * spec.c - see spec.h.  One walk over the fields serves both directions, so that the order in
 * which they are written and read cannot differ.
 */
#include "wire/spec.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"

#define SPEC_MAGIC  "BHSP"
#define MAX_STRINGS 65536u
#define MAX_STRUCTS 4096u /* mounts, ulimits, devices: of each */

/* Exactly one of `out` (writing) and `in` (reading) is set.  The first error sticks. */
struct walk {
    struct bh_buf *out;
    const unsigned char *in;
    size_t left;
    struct bh_arena *arena;
    uint32_t strings;
    const char *bad; /* what is wrong, NULL while all is well */
};

static void walk_bytes(struct walk *w, void *data, size_t n) {
    if (w->bad != NULL)
        return;
    if (w->out != NULL) {
        bh_buf_add(w->out, data, n);
        return;
    }
    if (w->left < n) {
        w->bad = "it ends too early";
        return;
    }
    memcpy(data, w->in, n);
    w->in += n;
    w->left -= n;
}

static void walk_u32(struct walk *w, uint32_t *v) {
    walk_bytes(w, v, sizeof(*v)); /* little-endian hosts only, see layer_format.h */
}

static void walk_u64(struct walk *w, uint64_t *v) {
    walk_bytes(w, v, sizeof(*v));
}

static void read_str(struct walk *w, uint32_t n, char **s) {
    char *p;

    if (n > w->left) {
        w->bad = "a string is longer than the rest";
        return;
    }
    if (memchr(w->in, 0, n) != NULL) {
        w->bad = "a string holds a NUL";
        return;
    }
    p = bh_arena_alloc(w->arena, (size_t)n + 1);
    if (p == NULL) {
        w->bad = "it needs too much memory";
        return;
    }
    memcpy(p, w->in, n);
    p[n] = 0;
    w->in += n;
    w->left -= n;
    *s = p;
}

static void walk_str(struct walk *w, char **s) {
    uint32_t n = 0;

    if (w->bad == NULL && ++w->strings > MAX_STRINGS)
        w->bad = "it holds too many strings";
    if (w->out != NULL)
        n = *s != NULL ? (uint32_t)strlen(*s) : 0;
    walk_u32(w, &n);
    if (w->bad != NULL)
        return;
    if (w->out != NULL)
        bh_buf_add(w->out, *s, n);
    else
        read_str(w, n, s);
}

/* Count of an array; when reading, the zeroed memory for it.  `least` is the smallest size of one element
 * as it is written: a count that cannot be there is refused before anything is allocated. */
static void *walk_array(struct walk *w, uint32_t *n, void *items, size_t size, size_t least, uint32_t max) {
    void *p;

    walk_u32(w, n);
    if (w->out != NULL || w->bad != NULL)
        return items;
    if (*n > max || (size_t)*n > w->left / least) {
        w->bad = "a list is too long";
        return NULL;
    }
    p = bh_arena_alloc(w->arena, (size_t)*n * size + 1);
    if (p == NULL) {
        w->bad = "it needs too much memory";
        return NULL;
    }
    memset(p, 0, (size_t)*n * size);
    return p;
}

static void walk_strings(struct walk *w, struct rt_strings *s) {
    s->item = walk_array(w, &s->n, s->item, sizeof(*s->item), 4, MAX_STRINGS);
    for (uint32_t i = 0; w->bad == NULL && i < s->n; i++)
        walk_str(w, &s->item[i]);
}

static void walk_mount(struct walk *w, struct rt_mount *m) {
    walk_u32(w, &m->kind);
    walk_u32(w, &m->flags);
    walk_u32(w, &m->propagation);
    walk_u32(w, &m->mode);
    walk_u64(w, &m->size);
    walk_str(w, &m->source);
    walk_str(w, &m->target);
}

static void walk_lists(struct walk *w, struct rt_spec *s) {
    s->mounts = walk_array(w, &s->n_mounts, s->mounts, sizeof(*s->mounts), 32, MAX_STRUCTS);
    for (uint32_t i = 0; w->bad == NULL && i < s->n_mounts; i++)
        walk_mount(w, &s->mounts[i]);
    s->ulimits = walk_array(w, &s->n_ulimits, s->ulimits, sizeof(*s->ulimits), 20, MAX_STRUCTS);
    for (uint32_t i = 0; w->bad == NULL && i < s->n_ulimits; i++) {
        walk_str(w, &s->ulimits[i].name);
        walk_u64(w, &s->ulimits[i].soft);
        walk_u64(w, &s->ulimits[i].hard);
    }
    s->devices = walk_array(w, &s->n_devices, s->devices, sizeof(*s->devices), 12, MAX_STRUCTS);
    for (uint32_t i = 0; w->bad == NULL && i < s->n_devices; i++) {
        walk_str(w, &s->devices[i].source);
        walk_str(w, &s->devices[i].target);
        walk_str(w, &s->devices[i].access);
    }
}

static void walk_blob(struct walk *w, void **data, uint32_t *n) {
    walk_u32(w, n);
    if (w->bad == NULL && w->out == NULL && *n > w->left)
        w->bad = "a file is longer than the rest";
    if (w->bad == NULL && w->out == NULL && (*data = bh_arena_alloc(w->arena, (size_t)*n + 1)) == NULL)
        w->bad = "it needs too much memory";
    if (w->bad == NULL && *n > 0)
        walk_bytes(w, *data, *n);
}

static void walk_files(struct walk *w, struct rt_spec *s) {
    s->files = walk_array(w, &s->n_files, s->files, sizeof(*s->files), 24, RT_MAX_FILES);
    for (uint32_t i = 0; w->bad == NULL && i < s->n_files; i++) {
        walk_str(w, &s->files[i].target);
        walk_blob(w, &s->files[i].data, &s->files[i].n);
        walk_u32(w, &s->files[i].mode);
        walk_u32(w, &s->files[i].uid);
        walk_u32(w, &s->files[i].gid);
        walk_u32(w, &s->files[i].socket);
        if (w->bad == NULL && s->files[i].socket > (s->files[i].n == 0))
            w->bad = "a file is neither a socket nor content";
    }
}

static void walk_rule(struct walk *w, struct rt_seccomp_rule *r) {
    walk_strings(w, &r->names);
    walk_str(w, &r->action);
    walk_u32(w, &r->errno_ret);
    r->args = walk_array(w, &r->n_args, r->args, sizeof(*r->args), 24, RT_MAX_SECCOMP_ARGS);
    for (uint32_t i = 0; w->bad == NULL && i < r->n_args; i++) {
        walk_u32(w, &r->args[i].index);
        walk_u64(w, &r->args[i].value);
        walk_u64(w, &r->args[i].value_two);
        walk_str(w, &r->args[i].op);
    }
}

static void walk_seccomp(struct walk *w, struct rt_seccomp *c) {
    walk_str(w, &c->action);
    walk_u32(w, &c->errno_ret);
    walk_strings(w, &c->arches);
    walk_strings(w, &c->flags);
    c->rules = walk_array(w, &c->n_rules, c->rules, sizeof(*c->rules), 16, RT_MAX_SECCOMP_RULES);
    for (uint32_t i = 0; w->bad == NULL && i < c->n_rules; i++)
        walk_rule(w, &c->rules[i]);
}

static bool has_seccomp(const struct rt_seccomp *c) {
    return c->action != NULL && c->action[0] != 0;
}

static bool is_word(const char *s) {
    return s != NULL && s[0] != 0;
}

/* Beside memory and processors, which came first. */
static bool has_limits(const struct rt_limits *l) {
    return l->reservation != 0 || l->swap != 0 || l->shares != 0 || l->period != 0 || l->quota != 0 || l->pids != 0 ||
           l->blkio_weight != 0 || l->flags != 0 || is_word(l->cpus) || is_word(l->mems);
}

static bool has_more(const struct rt_spec *s) {
    return s->n_files > 0 || s->limits.memory != 0 || s->limits.nano_cpus != 0 || has_seccomp(&s->seccomp);
}

static void walk_i64(struct walk *w, int64_t *v) {
    walk_bytes(w, v, sizeof(*v));
}

/* Left out, as the part before it, where it holds nothing: records from before there were limits end here. */
static void walk_limits(struct walk *w, struct rt_limits *l) {
    if (w->out != NULL ? !has_limits(l) : w->left == 0)
        return;
    walk_u64(w, &l->reservation);
    walk_i64(w, &l->swap);
    walk_i64(w, &l->shares);
    walk_i64(w, &l->period);
    walk_i64(w, &l->quota);
    walk_i64(w, &l->pids);
    walk_u32(w, &l->blkio_weight);
    walk_u32(w, &l->flags);
    walk_u32(w, &l->swappiness);
    walk_str(w, &l->cpus);
    walk_str(w, &l->mems);
    if (w->bad == NULL && !has_limits(l))
        w->bad = "its limits are empty";
}

/* What most specifications have not got is left out of them; there, it holds something: one form for each. */
static void walk_more(struct walk *w, struct rt_spec *s) {
    if (w->out != NULL ? !has_more(s) && !has_limits(&s->limits) : w->left == 0)
        return;
    walk_files(w, s);
    walk_u64(w, &s->limits.memory);
    walk_i64(w, &s->limits.nano_cpus);
    walk_seccomp(w, &s->seccomp);
    if (w->bad == NULL && w->out == NULL && !has_seccomp(&s->seccomp) && s->seccomp.n_rules > 0)
        w->bad = "it has rules of a seccomp profile and no profile";
    walk_limits(w, &s->limits);
    if (w->bad == NULL && !has_more(s) && !has_limits(&s->limits))
        w->bad = "its last part is empty";
}

static void walk_spec(struct walk *w, struct rt_spec *s) {
    char magic[4] = SPEC_MAGIC;
    uint32_t version = RT_SPEC_VERSION;

    walk_bytes(w, magic, sizeof(magic));
    walk_u32(w, &version);
    if (w->bad == NULL && (memcmp(magic, SPEC_MAGIC, 4) != 0 || version != RT_SPEC_VERSION))
        w->bad = "it is not of this version";
    walk_u32(w, &s->flags);
    walk_strings(w, &s->args);
    walk_strings(w, &s->env);
    walk_str(w, &s->cwd);
    walk_str(w, &s->user);
    walk_strings(w, &s->group_add);
    walk_u64(w, &s->caps);
    walk_str(w, &s->hostname);
    walk_str(w, &s->domainname);
    walk_strings(w, &s->extra_hosts);
    walk_strings(w, &s->dns);
    walk_strings(w, &s->dns_search);
    walk_strings(w, &s->dns_option);
    walk_strings(w, &s->sysctls);
    walk_lists(w, s);
    walk_u64(w, &s->shm_size);
    walk_bytes(w, &s->oom_score_adj, sizeof(s->oom_score_adj));
    walk_u32(w, &s->umask);
    walk_u64(w, &s->log_max_size);
    walk_u32(w, &s->log_max_files);
    walk_u32(w, &s->tty_rows);
    walk_u32(w, &s->tty_cols);
    walk_str(w, &s->seccomp_profile);
    walk_more(w, s);
}

int rt_spec_encode(const struct rt_spec *spec, struct bh_buf *out, struct bh_err *err) {
    struct rt_spec copy = *spec; /* the walk does not change what the pointers lead to when it writes */
    struct walk w = {.out = out};

    bh_buf_init(out, RT_SPEC_MAX);
    walk_spec(&w, &copy);
    if (w.bad == NULL && !bh_buf_failed(out))
        return 0;
    bh_buf_fini(out);
    return bh_err_set(err, BH_E_LIMIT, "container specification is too large: %s",
                      w.bad != NULL ? w.bad : "over 2 MiB in all");
}

int rt_spec_decode(const void *data, size_t n, struct bh_arena *arena, struct rt_spec *out, struct bh_err *err) {
    struct walk w = {.in = data, .left = n, .arena = arena};
    struct rt_spec s = {0};

    if (n > RT_SPEC_MAX)
        return bh_err_set(err, BH_E_INVALID, "container specification is larger than 2 MiB");
    walk_spec(&w, &s);
    if (w.bad == NULL && w.left != 0)
        w.bad = "bytes are left over";
    if (w.bad == NULL && s.args.n == 0)
        w.bad = "it has no program to run";
    if (w.bad != NULL)
        return bh_err_set(err, BH_E_INVALID, "container specification is malformed: %s", w.bad);
    *out = s;
    return 0;
}

int rt_spec_read(int fd, struct bh_arena *arena, struct rt_spec *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(RT_SPEC_MAX);
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || (size_t)st.st_size > RT_SPEC_MAX)
        return bh_err_set(err, BH_E_INVALID, "the specification is no file of at most 2 MiB");
    void *to = bh_buf_room(&text, (size_t)st.st_size);
    if (to == NULL || bh_pread_full(fd, to, (size_t)st.st_size, 0) != st.st_size)
        return bh_err_set(err, BH_E_INVALID, "the specification cannot be read");
    return rt_spec_decode(to, (size_t)st.st_size, arena, out, err);
}
