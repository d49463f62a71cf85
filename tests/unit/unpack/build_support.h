/*
 * build_support.h - layers, contexts and requests of builds on memory files, and what comes out as text.
 */
#ifndef TEST_UNPACK_BUILD_SUPPORT_H
#define TEST_UNPACK_BUILD_SUPPORT_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "oci/digest.h"
#include "store.pb-c.h"
#include "support.h"
#include "unpack/context_list.h"
#include "unpack/crew.h"
#include "unpack/job.h"
#include "unpack/view.h"
#include "worker.pb-c.h"

#define MORE 200 /* descriptors of a job, from here on */

typedef Bulkhead__Store__V1__ContextEntry entry_msg;
typedef Bulkhead__Store__V1__ComposeItem item_msg;
typedef Bulkhead__Store__V1__LayerStack stack_msg;
typedef Bulkhead__Store__V1__LayerComposeRequest compose_msg;
typedef Bulkhead__Worker__V1__ComposeSource source_msg;
typedef Bulkhead__Worker__V1__Result result_msg;

static inline struct bh_job_params made_params(void) {
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END};
    struct bh_err err = BH_ERR_INIT;

    unp_params_settle(&p, &err);
    return p;
}

static inline int made_file(const void *data, size_t n) {
    int fd = memfd_create("made", MFD_CLOEXEC);

    bh_pwrite_all(fd, data, n, 0);
    return fd;
}

/* ---- layers -------------------------------------------------------------------------------- */

static inline int made_layer_of(const struct bh_buf *tar) {
    struct bh_job_params p = made_params();
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct unp_fds fds = {.source = made_file(tar->data, tar->len), .out = memfd_create("layer", 0), .blob = -1};

    if (unp_job_layer(&fds, &p, &result, &err) != 0) {
        fprintf(stderr, "layer: %s\n", err.msg);
        abort();
    }
    close(fds.source);
    return fds.out;
}

static inline int made_layer(const struct made *v, size_t n) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;

    for (size_t i = 0; i < n; i++)
        made_add(&tar, v[i]);
    made_end(&tar);
    return made_layer_of(&tar);
}
#define MADE_LAYER(...)                                                                                                \
    made_layer((const struct made[]){__VA_ARGS__}, sizeof((struct made[]){__VA_ARGS__}) / sizeof(struct made))

/* ---- contexts ------------------------------------------------------------------------------ */

static int64_t made_mtime __attribute__((unused)) = 1000000000000000000;

struct made_entry {
    const char *path;
    char type;        /* 'f', 'd', 'l', or another: refused */
    const char *data; /* of files; target of links */
    unsigned mode;    /* 0: 0644 or 0755 */
    uint64_t hard_link;
    const char *xattr; /* "user.name=value" */
    size_t size;       /* of data; 0: strlen */
};

static inline size_t made_size(const struct made_entry *e) {
    return e->size != 0 ? e->size : strlen(e->data);
}

static inline void made_varint(struct bh_buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        bh_buf_addc(b, (char)(v | 0x80));
    bh_buf_addc(b, (char)v);
}

static inline void made_list_add(struct bh_buf *list, const struct made_entry *e) {
    entry_msg m = BULKHEAD__STORE__V1__CONTEXT_ENTRY__INIT;
    Bulkhead__Store__V1__ContextXattr x = BULKHEAD__STORE__V1__CONTEXT_XATTR__INIT;
    Bulkhead__Store__V1__ContextXattr *xs[] = {&x};
    struct bh_digest d = {0};
    struct bh_err err = BH_ERR_INIT;
    char name[64];
    uint8_t *to;
    size_t n;

    m.path = (ProtobufCBinaryData){strlen(e->path), (uint8_t *)e->path};
    m.type = e->type == 'f' ? S_IFREG : e->type == 'd' ? S_IFDIR : e->type == 'l' ? S_IFLNK : S_IFIFO;
    m.mode = e->mode != 0 ? e->mode : e->type == 'd' ? 0755 : 0644;
    m.mtime_ns = made_mtime;
    m.hard_link = e->hard_link;
    if (e->type == 'f' && e->hard_link == 0) {
        m.size = made_size(e);
        bh_digest_of(BH_DIGEST_SHA256, e->data, m.size, &d, &err);
        m.sha256 = (ProtobufCBinaryData){32, d.bytes};
    }
    if (e->type == 'l')
        m.link = (ProtobufCBinaryData){strlen(e->data), (uint8_t *)e->data};
    if (e->xattr != NULL) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(e->xattr, "="), e->xattr);
        x.name = name;
        x.value = (ProtobufCBinaryData){strlen(e->xattr) - strlen(name) - 1, (uint8_t *)e->xattr + strlen(name) + 1};
        m.xattr = xs;
        m.n_xattr = 1;
    }
    n = bulkhead__store__v1__context_entry__get_packed_size(&m);
    bh_buf_addc(list, 0x0a);
    made_varint(list, n);
    to = bh_buf_room(list, n);
    bulkhead__store__v1__context_entry__pack(&m, to);
    bh_buf_grew(list, n);
}

struct made_context {
    int list;
    int pack[BH_CONTEXT_PACKS];
    unsigned n_packs;
    uint64_t received;
    uint64_t kept;
    uint64_t asked; /* files */
};

struct made_feeding {
    const struct made_entry *v;
    int asks;
    int to;
    uint64_t asked;
    size_t cut; /* bytes to leave out at the end */
};

static inline void *made_feed(void *arg) {
    struct made_feeding *f = arg;
    BH_SCOPE_BUF struct bh_buf all = BH_BUF_INIT;
    uint64_t number;

    while (bh_read_full(f->asks, &number, sizeof number) == (ssize_t)sizeof number) {
        bh_buf_add(&all, f->v[number].data, made_size(&f->v[number]));
        f->asked++;
    }
    if (all.len > f->cut)
        bh_write_all(f->to, all.data, all.len - f->cut);
    close(f->to);
    close(f->asks);
    return NULL;
}

static inline int made_context_of(const struct bh_buf *list, const struct made_entry *v, const struct made_context *old,
                                  size_t cut, struct made_context *out, struct bh_err *err) {
    struct bh_job_params p = made_params();
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct made_feeding f = {.v = v, .cut = cut};
    int asks[2], bytes[2];
    pthread_t thread;
    int raw = made_file(list->data, list->len);

    if (pipe(asks) != 0 || pipe(bytes) != 0)
        abort();
    f.asks = asks[0];
    f.to = bytes[1];
    *out = (struct made_context){.list = memfd_create("list", 0)};
    struct unp_fds fds = {
        .source = bytes[0], .out = out->list, .blob = memfd_create("pack", 0), .more = MORE, .n_more = 2};
    dup2(raw, MORE);
    dup2(asks[1], MORE + 1);
    close(asks[1]);
    close(raw);
    if (old != NULL) {
        dup2(old->list, MORE + 2);
        fds.n_more = 3;
    }
    pthread_create(&thread, NULL, made_feed, &f);
    int rc = unp_job_context(&fds, &p, &result, err);
    close(MORE + 1); /* the job did, unless it failed before */
    close(bytes[0]);
    pthread_join(thread, NULL);
    if (rc == 0) {
        result_msg *r = bulkhead__worker__v1__result__unpack(NULL, result.len, (const uint8_t *)result.data);
        for (unsigned i = 0; old != NULL && i < old->n_packs; i++)
            out->pack[out->n_packs++] = old->pack[i];
        if (r->context->received > 0)
            out->pack[out->n_packs++] = fds.blob;
        out->received = r->context->received;
        out->kept = r->context->kept;
        out->asked = f.asked;
        bulkhead__worker__v1__result__free_unpacked(r, NULL);
    }
    return rc;
}

static inline int made_context_try(const struct made_entry *v, size_t n, const struct made_context *old,
                                   struct made_context *out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf list = BH_BUF_INIT;

    for (size_t i = 0; i < n; i++)
        made_list_add(&list, &v[i]);
    return made_context_of(&list, v, old, 0, out, err);
}

/* ---- requests ------------------------------------------------------------------------------ */

struct made_item {
    const char *from;      /* names of layers, lowest first, or one of a context; NULL: none */
    const char *source[4]; /* NULL-ended */
    const char *target;
    const char *chown; /* "1:2"; NULL: 0:0 */
    const char *chmod;
    const char *exclude[4];
    const char *ignore[4];
    const char *data;
    unsigned mode;
    bool wildcard, parents, unpack, mkdir, link, folder; /* folder: itself, not its content */
    bool keep;                                           /* owner as in the source */
    bool opaque, whiteouts;
};

struct maker {
    const char *name[16]; /* of sources */
    int fd[16];
    const struct made_context *context[16]; /* else a layer */
    unsigned n;
    unsigned flags;
    int64_t clamp;
    bool with_place;
    char content[160];
    char place[160];
    char diff_id[160];
    uint64_t files;
    bool empty;
};

static inline void maker_layer(struct maker *k, const char *name, int fd) {
    k->name[k->n] = name;
    k->fd[k->n++] = fd;
}
static inline void maker_context(struct maker *k, const char *name, const struct made_context *c) {
    k->name[k->n] = name;
    k->context[k->n] = c;
    k->fd[k->n++] = c->list;
}

static inline void made_stack(stack_msg *s, const char *names, char **room) {
    static char text[64][32];
    static unsigned next;
    const char *p = names;

    *s = (stack_msg)BULKHEAD__STORE__V1__LAYER_STACK__INIT;
    if (strncmp(names, "ctx:", 4) == 0) {
        s->context = (char *)names;
        return;
    }
    s->diff_id = room;
    while (*p != '\0') {
        size_t n = strcspn(p, " ");
        snprintf(text[next % 64], sizeof text[0], "%.*s", (int)n, p);
        s->diff_id[s->n_diff_id++] = text[next++ % 64];
        p += n + (p[n] == ' ');
    }
}

static inline size_t made_texts(const char *const *v, char **out) {
    size_t n = 0;

    for (; n < 4 && v[n] != NULL; n++)
        out[n] = (char *)v[n];
    return n;
}

struct made_request {
    item_msg item[8];
    item_msg *items[8];
    stack_msg stack[9];
    char *names[9][16];
    ProtobufCBinaryData sources[8][4];
    char *exclude[8][4];
    char *ignore[8][4];
};

static inline void made_request_item(struct made_request *r, size_t i, const struct made_item *m) {
    item_msg *t = &r->item[i];

    *t = (item_msg)BULKHEAD__STORE__V1__COMPOSE_ITEM__INIT;
    r->items[i] = t;
    if (m->from != NULL) {
        made_stack(&r->stack[i], m->from, r->names[i]);
        t->from = &r->stack[i];
    }
    for (size_t k = 0; k < 4 && m->source[k] != NULL; k++)
        r->sources[i][t->n_source++] = (ProtobufCBinaryData){strlen(m->source[k]), (uint8_t *)m->source[k]};
    t->source = r->sources[i];
    t->target = (ProtobufCBinaryData){strlen(m->target), (uint8_t *)m->target};
    t->opaque = m->opaque;
    t->whiteouts = m->whiteouts;
    if (m->keep)
        t->uid = t->gid = -1;
    if (m->chown != NULL) {
        t->uid = atoi(m->chown);
        t->gid = atoi(strchr(m->chown, ':') + 1);
    }
    t->chmod = (char *)(m->chmod != NULL ? m->chmod : "");
    t->n_exclude = made_texts(m->exclude, r->exclude[i]);
    t->exclude = r->exclude[i];
    t->n_ignore = made_texts(m->ignore, r->ignore[i]);
    t->ignore = r->ignore[i];
    if (m->data != NULL)
        t->data = (ProtobufCBinaryData){strlen(m->data), (uint8_t *)m->data};
    t->mode = m->mode;
    t->wildcard = m->wildcard;
    t->parents = m->parents;
    t->unpack = m->unpack;
    t->mkdir = m->mkdir;
    t->link = m->link;
    t->contents = !m->folder;
}

static inline int made_job_fds(struct maker *k, Bulkhead__Worker__V1__ComposeJob *job, struct unp_fds *fds) {
    static source_msg source[16];
    static source_msg *sources[16];
    static uint32_t packs[16][BH_CONTEXT_PACKS];
    unsigned n = 1;
    size_t size;
    uint8_t *data;

    for (unsigned i = 0; i < k->n; i++) {
        source[i] = (source_msg)BULKHEAD__WORKER__V1__COMPOSE_SOURCE__INIT;
        sources[i] = &source[i];
        source[i].name = (char *)k->name[i];
        source[i].fd = n;
        dup2(k->fd[i], MORE + (int)n++);
        source[i].pack = packs[i];
        for (unsigned p = 0; k->context[i] != NULL && p < k->context[i]->n_packs; p++) {
            packs[i][source[i].n_pack++] = n;
            dup2(k->context[i]->pack[p], MORE + (int)n++);
        }
    }
    job->source = sources;
    job->n_source = k->n;
    size = bulkhead__worker__v1__compose_job__get_packed_size(job);
    data = calloc(1, size + 1);
    bulkhead__worker__v1__compose_job__pack(job, data);
    int fd = made_file(data, size);
    free(data);
    dup2(fd, MORE);
    close(fd);
    fds->more = MORE;
    fds->n_more = n;
    return 0;
}

static inline int made_compose(struct maker *k, const char *onto, const struct made_item *v, size_t n, int *out_fd,
                               struct bh_err *err) {
    static struct made_request r;
    Bulkhead__Worker__V1__ComposeJob job = BULKHEAD__WORKER__V1__COMPOSE_JOB__INIT;
    compose_msg q = BULKHEAD__STORE__V1__LAYER_COMPOSE_REQUEST__INIT;
    struct bh_job_params p = made_params();
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct unp_fds fds = {.source = -1, .out = memfd_create("layer", 0), .blob = memfd_create("scratch", 0)};

    memset(&r, 0, sizeof r);
    for (size_t i = 0; i < n; i++)
        made_request_item(&r, i, &v[i]);
    q.item = r.items;
    q.n_item = n;
    q.clamp_mtime_ns = k->clamp;
    q.with_place = k->with_place;
    if (onto != NULL) {
        made_stack(&r.stack[8], onto, r.names[8]);
        q.onto = &r.stack[8];
    }
    job.request = &q;
    p.flags = k->flags;
    made_job_fds(k, &job, &fds);
    int rc = unp_job_compose(&fds, &p, &result, err);
    close(fds.blob);
    if (rc == 0) {
        result_msg *m = bulkhead__worker__v1__result__unpack(NULL, result.len, (const uint8_t *)result.data);
        snprintf(k->content, sizeof k->content, "%s", m->compose->content);
        snprintf(k->place, sizeof k->place, "%s", m->compose->place);
        snprintf(k->diff_id, sizeof k->diff_id, "%s", m->compose->layer != NULL ? m->compose->layer->diff_id : "");
        k->files = m->compose->files;
        k->empty = m->compose->empty;
        bulkhead__worker__v1__result__free_unpacked(m, NULL);
    }
    if (out_fd != NULL)
        *out_fd = fds.out;
    else
        close(fds.out);
    return rc;
}

/* ---- text ---------------------------------------------------------------------------------- */

static inline void shown_xattrs(struct bh_buf *out, struct unp_text x) {
    for (size_t at = 0; at + 4 <= x.n;) {
        struct bh_erofs_xattr h;
        memcpy(&h, x.s + at, 4);
        if (h.name_index != BH_XATTR_TRUSTED && strncmp(x.s + at + 4, "overlay.", 8) != 0)
            bh_buf_addf(out, " {%u.%.*s=%.*s}", h.name_index, h.name_len, x.s + at + 4, h.value_size,
                        h.name_index == BH_XATTR_USER ? x.s + at + 4 + h.name_len : "");
        at += (4u + h.name_len + h.value_size + 3) & ~3u;
    }
}

static inline void shown_node(struct bh_buf *out, const struct unp_vnode *n, const char *path) {
    struct unp_file f;
    struct bh_err err = BH_ERR_INIT;
    char data[256] = "";

    if (unp_view_file(n, &f, &err) != 0) {
        bh_buf_addf(out, "! %s\n", err.msg);
        return;
    }
    bh_buf_addf(out, "%c %04o %u:%u %s",
                S_ISDIR(f.mode)   ? 'd'
                : S_ISLNK(f.mode) ? 'l'
                                  : 'f',
                f.mode & 07777u, f.uid, f.gid, path);
    if (S_ISLNK(f.mode))
        bh_buf_addf(out, " -> %.*s", (int)f.link.n, f.link.s);
    if (S_ISREG(f.mode) && f.size > 0 && f.size < sizeof data &&
        bh_pread_full(f.fd, data, (size_t)f.size, (off_t)f.at) == (ssize_t)f.size)
        bh_buf_addf(out, " = %.*s", (int)f.size, data);
    if (f.same != 0)
        bh_buf_adds(out, " (+)");
    shown_xattrs(out, f.xattrs);
    bh_buf_addc(out, '\n');
}

static inline void shown_dir(struct bh_buf *out, const struct unp_vnode *dir, const char *path) {
    struct unp_vnames names;
    struct bh_err err = BH_ERR_INIT;
    char sub[4096];

    if (unp_view_list(dir, &names, &err) != 0) {
        bh_buf_addf(out, "! %s\n", err.msg);
        return;
    }
    for (size_t i = 0; i < names.n; i++) {
        snprintf(sub, sizeof sub, "%s/%.*s", path, (int)names.v[i].name.n, names.v[i].name.s);
        shown_node(out, names.v[i].node, sub);
        shown_dir(out, names.v[i].node, sub);
    }
    unp_vnames_fini(&names);
}

/* A stack of layer files as text. */
static inline void shown_layers(const int *fd, uint32_t n, struct bh_buf *out) {
    struct unp_layer layer[16];
    struct unp_layer *list[16];
    struct unp_view v;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    bh_arena_init(&arena, (size_t)64 << 20);
    for (uint32_t i = 0; i < n; i++) {
        list[i] = &layer[i];
        if (unp_layer_open(&layer[i], fd[i], &err) != 0)
            abort();
    }
    if (unp_view_layers(&v, list, n, &arena, &err) == 0)
        shown_dir(out, v.root, "");
    for (uint32_t i = 0; i < n; i++)
        unp_layer_close(&layer[i]);
    bh_arena_fini(&arena);
}

#endif
