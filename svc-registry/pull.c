/*
 * pull.c - see pull.h: from what a user wrote to images, several side by side, told one after the other.
 *
 * Room: registry.
 */
#include "svc-registry/pull.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/order.h"
#include "svc-registry/pages.h"
#include "svc-registry/pull_int.h"
#include "svc-registry/short_name.h"

#define TAGS_ARENA ((size_t)64 << 20)
#define IMAGES     3 /* side by side */

int reg_pull_policy_parse(const char *text, enum reg_pull_policy *out, struct bh_err *err) {
    static const struct {
        const char *text;
        enum reg_pull_policy policy;
    } rows[] = {{"", REG_PULL_ALWAYS},
                {"always", REG_PULL_ALWAYS},
                {"missing", REG_PULL_MISSING},
                {"newer", REG_PULL_NEWER},
                {"never", REG_PULL_NEVER}};

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (strcmp(text, rows[i].text) == 0) {
            *out = rows[i].policy;
            return 0;
        }
    }
    return bh_err_set(err, BH_E_INVALID, "pull policy \"%.40s\" is none of always, missing, newer, never", text);
}

/* ---- all tags ------------------------------------------------------------------------------------- */

struct tags {
    struct bh_arena *arena;
    struct bh_strlist list;
    char what[BH_REF_TEXT_SIZE];
};

static int take_tag(void *arg, const char *tag, bool *out_stop, struct bh_err *err) {
    struct tags *t = arg;

    (void)out_stop;
    if (!reg_tag_valid(tag))
        return 0;
    if (t->list.n == REG_MAX_TAGS)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d tags", t->what, REG_MAX_TAGS);
    return bh_strlist_add(&t->list, t->arena, tag, err);
}

static int ask_tags(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct tags *t = arg;
    const struct reg_pages pages = {
        .below = "tags/list?n=1000", .key = "tags", .what = t->what, .take = take_tag, .arg = t};

    t->list.n = 0;
    return reg_pages_read(remote, &pages, err);
}

static int list_tags(struct reg_pulling *p, const struct bh_ref *ref, struct tags *t, struct bh_err *err) {
    struct reg_source source;
    int r;

    bh_ref_familiar_name(ref, t->what);
    if (reg_source_open(&source, p->room, p->conf, &p->caller, ref, REG_LIST, err) != 0)
        return err->code;
    r = reg_source_ask(&source, ask_tags, t, NULL, err);
    reg_source_close(&source);
    if (r == 0 && t->list.n == 0)
        r = bh_err_set(err, BH_E_NOT_FOUND, "%s has no tags", t->what);
    return r;
}

/* ---- what the user wrote ------------------------------------------------------------------------ */

/* Of -a: the repository whose tags are taken. */
struct reference {
    struct bh_ref repository;
    char note[256];
    _Atomic(bool) unreachable;
};

/* One image of a reference; with -a there are many. */
struct item {
    unsigned number;
    bool first;         /* of its reference */
    const char *tag;    /* NULL: what the reference says */
    struct bh_err *err; /* NULL: it is here, or was not begun */
    bool here, is_new;
};

struct set {
    struct reg_pulling *p;
    struct bh_arena arena;
    struct reference *refs;
    struct item *items;
    size_t n, room;
    struct reg_order *order;
};

static struct item *add_item(struct set *s, unsigned number, const char *tag) {
    if (s->n == s->room) {
        s->room = 2 * s->room + 16;
        s->items = bh_xrealloc(s->items, s->room * sizeof *s->items);
    }
    s->items[s->n] =
        (struct item){.number = number, .first = s->n == 0 || s->items[s->n - 1].number != number, .tag = tag};
    return &s->items[s->n++];
}

static void keep_error(struct item *it, const struct bh_err *err) {
    it->err = bh_xcalloc(1, sizeof *it->err);
    *it->err = *err;
}

/* A reserved name is one wherever short names lead to. */
static int meanings_of(const struct reg_pulling *p, unsigned number, struct reg_meanings *out, struct bh_err *err) {
    const char *text = p->ask->references[number];
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref written;

    if (bh_ref_parse(text, &written, &ignored) == 0 && bh_ref_check_pull(&written, err) != 0)
        return err->code;
    if (reg_meanings_of(p->conf, text, out, err) != 0)
        return err->code;
    for (size_t i = 0; i < out->n; i++)
        if (bh_ref_check_pull(&out->v[i], err) != 0)
            return err->code;
    return 0;
}

struct listing {
    struct set *s;
    struct tags tags;
};

static int list_meaning(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err) {
    struct listing *l = arg;

    (void)out_found; /* one without tags is not what was meant */
    if (ref->tag[0] != '\0' || ref->digest[0] != '\0')
        return bh_err_set(err, BH_E_INVALID, "tag can't be used with --all-tags/-a");
    return list_tags(l->s->p, ref, &l->tags, err);
}

static int add_all_tags(struct set *s, unsigned number, struct bh_err *err) {
    BH_SCOPE_FREE struct reg_meanings *m = bh_xcalloc(1, sizeof *m);
    struct reference *r = &s->refs[number];
    struct listing l = {.s = s, .tags = {.arena = &s->arena}};
    size_t at = 0;

    if (meanings_of(s->p, number, m, err) != 0 || reg_each_meaning(m, list_meaning, &l, &at, err) != 0)
        return err->code;
    r->repository = m->v[at];
    memcpy(r->note, m->note, sizeof r->note);
    for (size_t i = 0; i < l.tags.list.n; i++)
        add_item(s, number, l.tags.list.v[i]);
    return 0;
}

/* What cannot be an image stands in the list with its error. */
static void add_references(struct set *s) {
    for (unsigned i = 0; i < s->p->ask->n_references && !reg_stop_is_set(&s->p->stop); i++) {
        struct bh_err err = BH_ERR_INIT;

        if (!s->p->ask->all_tags)
            add_item(s, i, NULL);
        else if (add_all_tags(s, i, &err) != 0)
            keep_error(add_item(s, i, NULL), &err);
    }
}

/* ---- side by side -------------------------------------------------------------------------------- */

struct attempt {
    struct set *s;
    struct item *item;
    const struct reg_listener *to;
    bool several; /* registries may be asked */
};

static int pull_meaning(void *arg, const struct bh_ref *ref, bool *out_found, struct bh_err *err) {
    const struct attempt *a = arg;
    struct reg_pull_result result = {0};
    char name[BH_REF_TEXT_SIZE];
    int r;

    bh_ref_format(ref, name);
    if (a->several && reg_tell_status(a->to, a->item->number, err, "Trying to pull %s...", name) != 0)
        return err->code;
    r = reg_pull_image(a->s->p, a->item->number, ref, a->to, &result, err);
    *out_found = result.found;
    a->item->is_new = r == 0 && result.is_new;
    return r;
}

/* As podman: under whichever of the names it is here, that is what is meant from then on. */
static int prefer_known(struct set *s, struct reg_meanings *m, struct bh_err *err) {
    bool known = false;

    for (size_t i = 0; m->n > 1 && i < m->n && !known; i++) {
        if (reg_pull_is_here(s->p, &m->v[i], &known, err) != 0)
            return err->code;
        if (known)
            m->v[0] = m->v[i];
    }
    if (known || s->p->ask->policy == REG_PULL_NEVER)
        m->n = 1;
    return 0;
}

static int pull_reference(const struct attempt *a, struct reg_meanings *m, struct bh_err *err) {
    struct attempt this = *a;
    bool defaulted = false;

    if (meanings_of(a->s->p, a->item->number, m, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n; i++)
        defaulted = bh_ref_default_tag(&m->v[i]);
    if (m->note[0] != '\0' && reg_tell_status(a->to, a->item->number, err, "%s", m->note) != 0)
        return err->code;
    if (defaulted && reg_tell_status(a->to, a->item->number, err, "Using default tag: latest") != 0)
        return err->code;
    if (prefer_known(a->s, m, err) != 0)
        return err->code;
    this.several = m->n > 1;
    return reg_each_meaning(m, pull_meaning, &this, NULL, err);
}

static int pull_tag(const struct attempt *a, struct bh_err *err) {
    const struct reference *r = &a->s->refs[a->item->number];
    struct bh_ref ref = r->repository;
    bool ignored;

    bh_str_copy(ref.tag, sizeof ref.tag, a->item->tag);
    if (a->item->first && r->note[0] != '\0' && reg_tell_status(a->to, a->item->number, err, "%s", r->note) != 0)
        return err->code;
    return pull_meaning((void *)a, &ref, &ignored, err);
}

static void run_item(struct set *s, size_t i) {
    BH_SCOPE_FREE struct reg_meanings *m = bh_xcalloc(1, sizeof *m);
    struct item *it = &s->items[i];
    struct attempt a = {.s = s, .item = it, .to = reg_order_of(s->order, i)};
    struct bh_err err = BH_ERR_INIT;

    it->here = (it->tag != NULL ? pull_tag(&a, &err) : pull_reference(&a, m, &err)) == 0;
    if (it->here)
        return;
    keep_error(it, &err);
    if (err.code == BH_E_UNAVAILABLE) /* its other tags will fare no better */
        s->refs[it->number].unreachable = true;
}

static int one(void *arg, size_t i, struct bh_err *err) {
    struct set *s = arg;

    (void)err;
    reg_order_begin(s->order, i);
    if (!reg_stop_is_set(&s->p->stop) && s->items[i].err == NULL && !s->refs[s->items[i].number].unreachable)
        run_item(s, i);
    reg_order_end(s->order, i);
    return 0;
}

/* Of all tags together there is one word, as docker has it. */
static void tell_repositories(struct set *s) {
    struct bh_err ignored = BH_ERR_INIT; /* a client that is gone has been noticed */

    for (unsigned number = 0; number < s->p->ask->n_references; number++) {
        bool here = false, is_new = false;
        char name[BH_REF_TEXT_SIZE];

        for (size_t i = 0; i < s->n; i++) {
            here |= s->items[i].here && s->items[i].number == number;
            is_new |= s->items[i].is_new && s->items[i].number == number;
        }
        bh_ref_familiar_name(&s->refs[number].repository, name);
        if (here)
            (void)reg_pull_tell_status(s->p->listener, number, name, is_new, &ignored);
    }
}

/* The first error is the call's; the others are told before. */
static int result(struct set *s, struct bh_err *err) {
    for (size_t i = 0; i < s->n; i++) {
        const struct bh_err *e = s->items[i].err;

        if (e == NULL || (err->code != 0 && e->code == BH_E_CANCELLED))
            continue;
        if (err->code == 0)
            *err = *e;
        else
            (void)reg_tell_warning(s->p->listener, s->items[i].number, &(struct bh_err)BH_ERR_INIT, "%s%s%s", e->msg,
                                   e->hint[0] != '\0' ? "; " : "", e->hint);
    }
    return err->code != 0 ? err->code : reg_stop_check(&s->p->stop, err);
}

static void run_set(struct set *s) {
    struct bh_err ignored = BH_ERR_INIT; /* each item has its own */

    add_references(s);
    s->order = reg_order_new(s->p->listener, s->n);
    (void)reg_jobs_run(s->n, IMAGES, one, s, &s->p->stop, &ignored);
    reg_order_free(s->order);
}

static int pull_all(struct reg_pulling *p, struct bh_err *err) {
    struct set s = {.p = p, .refs = bh_xcalloc(p->ask->n_references, sizeof *s.refs)};

    bh_arena_init(&s.arena, TAGS_ARENA);
    run_set(&s);
    if (p->ask->all_tags)
        tell_repositories(&s);
    (void)result(&s, err);
    for (size_t i = 0; i < s.n; i++)
        free(s.items[i].err);
    free(s.items);
    free(s.refs);
    bh_arena_fini(&s.arena);
    return err->code;
}

static int prepare(struct reg_pulling *p, struct bh_err *err) {
    p->settings = reg_conf_settings(p->conf);
    p->jobs = p->ask->jobs != 0 ? p->ask->jobs : p->settings->jobs;
    if (p->jobs > REG_PULL_LIVE)
        p->jobs = REG_PULL_LIVE;
    p->caller = p->ask->caller;
    p->caller.cancel_fd = p->stop.fd;
    if (p->ask->hold != 0)
        p->hold = reg_hold_of(p->room->store, p->ask->hold);
    if (p->caller.tries == 0)
        p->caller.tries = p->settings->tries;
    if (p->ask->platform[0] != '\0')
        return bh_platform_parse(p->ask->platform, &p->want, err);
    bh_platform_host(&p->want);
    return 0;
}

int reg_pull(struct reg_room *room, const struct reg_pull *ask, const struct reg_listener *listener,
             struct bh_err *err) {
    struct reg_pulling p = {.room = room, .ask = ask, .listener = listener, .lock = PTHREAD_MUTEX_INITIALIZER};

    if (ask->n_references == 0)
        return bh_err_set(err, BH_E_INVALID, "no reference was given");
    if (reg_stop_init(&p.stop, ask->caller.cancel_fd, NULL, NULL, err) != 0)
        return err->code;
    p.conf = reg_room_conf(room);
    if (prepare(&p, err) == 0) {
        sem_init(&p.slots, 0, p.jobs);
        (void)pull_all(&p, err);
        sem_destroy(&p.slots);
    }
    reg_stop_fini(&p.stop);
    if (p.hold != NULL)
        reg_hold_end(p.hold);
    reg_conf_unref(p.conf);
    pthread_mutex_destroy(&p.lock);
    return err->code;
}
