/*
 * facts.c - the unchanging facts of a container, see facts.h.
 *
 * Room: runtime.  Copies foreign strings, looks into none.  The struct is written twice: once with
 * nothing behind it, to learn its size, and once for good.
 */
#include "svc-runtime/facts.h"

#include <string.h>

#include "base/mem.h"

struct bump {
    char *mem; /* NULL: only count */
    size_t used;
};

static void *room_for(struct bump *b, size_t n) {
    void *p = b->mem != NULL ? b->mem + b->used : NULL;

    b->used += (n + 15) & ~(size_t)15;
    return p;
}

static const char *put_str(struct bump *b, const char *s) {
    size_t n = strlen(s) + 1;
    char *p = room_for(b, n);

    if (p != NULL)
        memcpy(p, s, n);
    return p;
}

static void put_into(struct bump *b, struct bh_strlist *out, const struct bh_strlist *src, size_t at) {
    for (size_t i = 0; i < src->n; i++) {
        const char *s = put_str(b, src->v[i]);

        if (b->mem != NULL)
            out->v[at + i] = s;
    }
}

static struct bh_strlist put_lists(struct bump *b, const struct bh_strlist *x, const struct bh_strlist *y) {
    struct bh_strlist out = {.present = true, .n = x->n + y->n};

    out.v = room_for(b, out.n * sizeof *out.v);
    put_into(b, &out, x, 0);
    put_into(b, &out, y, x->n);
    return out;
}

static struct bh_pairs put_pairs(struct bump *b, const struct bh_pairs *src) {
    struct bh_pairs out = {.present = true, .n = src->n};

    out.v = room_for(b, out.n * sizeof *out.v);
    for (size_t i = 0; i < src->n; i++) {
        struct bh_pair p = {.key = put_str(b, src->v[i].key), .value = put_str(b, src->v[i].value)};

        if (b->mem != NULL)
            out.v[i] = p;
    }
    return out;
}

static void put_mounts(struct bump *b, struct rt_facts *f, const struct rt_request *req) {
    size_t n = 0;

    f->n_mounts = req->n_mounts;
    f->mounts = room_for(b, req->n_mounts * sizeof *f->mounts);
    f->volumes.v = room_for(b, 2 * req->n_mounts * sizeof *f->volumes.v);
    for (size_t i = 0; i < req->n_mounts; i++) {
        struct rt_req_mount m = req->mounts[i];

        m.type = put_str(b, m.type);
        m.source = put_str(b, m.source);
        m.target = put_str(b, m.target);
        m.propagation = put_str(b, m.propagation);
        m.options = (struct bh_strlist){0};
        if (b->mem == NULL)
            continue;
        f->mounts[i] = m;
        if (*m.source != 0)
            f->volumes.v[n++] = m.source;
        f->volumes.v[n++] = m.target;
    }
    f->volumes.n = n;
}

static struct rt_facts put_all(struct bump *b, const struct rt_request *req, const struct bh_image_config *config) {
    const struct bh_strlist none = {0};
    struct rt_facts f = {
        .tty = req->tty, .open_stdin = req->open_stdin, .keep_log = strcmp(req->log_driver, "none") != 0};

    f.network = put_str(b, *req->network != 0 ? req->network : "none");
    f.command = put_lists(b, &config->config.entrypoint, &config->config.cmd);
    f.ports = put_lists(b, &config->config.exposed_ports, &none);
    f.labels = put_pairs(b, &config->config.labels);
    put_mounts(b, &f, req);
    return f;
}

struct rt_facts *rt_facts_new(const struct rt_request *req, const struct bh_image_config *config) {
    struct bump count = {0}, real = {0};
    struct rt_facts *out;

    put_all(&count, req, config);
    out = bh_xmalloc(sizeof *out + 16 + count.used);
    real.mem = (char *)out + ((sizeof *out + 15) & ~(size_t)15);
    *out = put_all(&real, req, config);
    return out;
}
