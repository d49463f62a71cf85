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

    if (reg_source_open(&source, p->room, p->conf, &p->caller, ref, REG_LIST, err) != 0)
        return err->code;
    r = reg_source_ask(&source, ask_tags, t, NULL, err);
    reg_source_close(&source);
    if (r == 0 && t->list.n == 0)
        r = bh_err_set(err, BH_E_NOT_FOUND, "%s has no tags", t->what);
    return r;
}

/* ---- what the user wrote ------------------------------------------------------------------------ */

struct reference {
    struct bh_ref ref;
    char note[256];
    bool defaulted; /* its tag */
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

static int add_all_tags(struct set *s, unsigned number, struct bh_err *err) {
    struct bh_ref *ref = &s->refs[number].ref;
    struct tags t = {.arena = &s->arena};

    if (ref->tag[0] != '\0' || ref->digest[0] != '\0')
        return bh_err_set(err, BH_E_INVALID, "tag can't be used with --all-tags/-a");
    bh_ref_familiar_name(ref, t.what);
    if (list_tags(s->p, ref, &t, err) != 0)
        return err->code;
    for (size_t i = 0; i < t.list.n; i++)
        add_item(s, number, t.list.v[i]);
    return 0;
}

static int add_reference(struct set *s, unsigned number, struct bh_err *err) {
    const char *text = s->p->ask->references[number];
    struct reference *r = &s->refs[number];

    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref written;

    /* A reserved name is one wherever short names lead to. */
    if (bh_ref_parse(text, &written, &ignored) == 0 && bh_ref_check_pull(&written, err) != 0)
        return err->code;
    if (reg_complete(s->p->conf, text, &r->ref, r->note, err) != 0 || bh_ref_check_pull(&r->ref, err) != 0)
        return err->code;
    if (s->p->ask->all_tags)
        return add_all_tags(s, number, err);
    r->defaulted = bh_ref_default_tag(&r->ref);
    add_item(s, number, NULL);
    return 0;
}

/* What cannot be an image stands in the list with its error. */
static void add_references(struct set *s) {
    for (unsigned i = 0; i < s->p->ask->n_references && !reg_stop_is_set(&s->p->stop); i++) {
        struct bh_err err = BH_ERR_INIT;

        if (add_reference(s, i, &err) != 0)
            keep_error(add_item(s, i, NULL), &err);
    }
}

/* ---- side by side -------------------------------------------------------------------------------- */

static int tell_begin(const struct reg_listener *to, const struct item *it, const struct reference *r,
                      struct bh_err *err) {
    if (it->first && r->note[0] != '\0' && reg_tell_status(to, it->number, err, "%s", r->note) != 0)
        return err->code;
    return r->defaulted ? reg_tell_status(to, it->number, err, "Using default tag: latest") : 0;
}

static void run_item(struct set *s, size_t i) {
    const struct reg_listener *to = reg_order_of(s->order, i);
    struct item *it = &s->items[i];
    struct reference *r = &s->refs[it->number];
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref = r->ref;

    if (it->tag != NULL)
        bh_str_copy(ref.tag, sizeof ref.tag, it->tag);
    if (tell_begin(to, it, r, &err) == 0 && reg_pull_image(s->p, it->number, &ref, to, &it->is_new, &err) == 0) {
        it->here = true;
        return;
    }
    keep_error(it, &err);
    if (err.code == BH_E_UNAVAILABLE) /* its other tags will fare no better */
        r->unreachable = true;
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
        bh_ref_familiar_name(&s->refs[number].ref, name);
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
