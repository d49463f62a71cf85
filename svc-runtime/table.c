/*
 * table.c - all containers by id and by name, see container.h.
 *
 * Room: runtime.  Names belong to owners: two users may both have a "web", and nobody learns from an
 * error that another user's container exists.  An administrator's own names come first.
 */
#include "svc-runtime/container.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define GRAVES   256
#define GRAVE_NS (600 * BH_NSEC)

struct grave {
    char id[RT_ID_SIZE];
    uid_t owner;
    int64_t buried_ns; /* monotonic */
    struct rt_status status;
};

struct rt_table {
    pthread_mutex_t lock;
    struct rt_container *by_id;
    struct grave *graves; /* a ring */
    unsigned next_grave;
};

struct rt_table *rt_table_new(void) {
    struct rt_table *t = bh_xcalloc(1, sizeof *t);

    pthread_mutex_init(&t->lock, NULL);
    t->graves = bh_xcalloc(GRAVES, sizeof *t->graves);
    return t;
}

static bool may_see(const struct rt_caller *who, uid_t owner) {
    return who->admin || who->uid == owner;
}

static struct rt_container *by_name(struct rt_table *t, uid_t owner, const char *name) {
    for (struct rt_container *c = t->by_id; c != NULL; c = c->hh.next)
        if (c->owner == owner && strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

static int name_taken(const struct rt_container *by, const char *name, struct bh_err *err) {
    bh_err_set(err, BH_E_CONFLICT,
               "Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or "
               "rename) that container to be able to reuse that name.",
               name, by->id);
    return bh_err_reason(err, "name-in-use");
}

int rt_table_add(struct rt_table *t, struct rt_container *c, struct bh_err *err) {
    const struct rt_container *other;
    int r = 0;

    pthread_mutex_lock(&t->lock);
    other = by_name(t, c->owner, c->name);
    if (other != NULL) {
        r = name_taken(other, c->name, err);
    } else {
        rt_container_ref(c);
        HASH_ADD_STR(t->by_id, id, c);
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

void rt_table_remove(struct rt_table *t, struct rt_container *c) {
    struct rt_container *found = NULL;

    pthread_mutex_lock(&t->lock);
    HASH_FIND_STR(t->by_id, c->id, found);
    if (found == c)
        HASH_DEL(t->by_id, c);
    pthread_mutex_unlock(&t->lock);
    if (found == c)
        rt_container_unref(c);
}

int rt_table_rename(struct rt_table *t, struct rt_container *c, const char *name, struct bh_err *err) {
    const struct rt_container *other;
    int r = 0;

    pthread_mutex_lock(&t->lock);
    other = by_name(t, c->owner, name);
    if (other != NULL && other != c)
        r = name_taken(other, name, err);
    else
        bh_str_copy(c->name, sizeof c->name, name);
    pthread_mutex_unlock(&t->lock);
    return r;
}

void rt_table_name(struct rt_table *t, struct rt_container *c, char out[RT_NAME_SIZE]) {
    pthread_mutex_lock(&t->lock);
    bh_str_copy(out, RT_NAME_SIZE, c->name);
    pthread_mutex_unlock(&t->lock);
}

/* ---- look-up ------------------------------------------------------------------------------- */

struct search {
    const struct rt_caller *who;
    const char *text;
    struct rt_container *found;
    unsigned n;
    char candidates[200]; /* "0123456789ab (web), .." */
};

static void add_candidate(struct search *s, struct rt_container *c) {
    size_t used = strlen(s->candidates);

    if (s->n++ < 4)
        snprintf(s->candidates + used, sizeof s->candidates - used, "%s%.12s (%.32s)", used > 0 ? ", " : "", c->id,
                 c->name);
    s->found = c;
}

static void search_names(struct rt_table *t, struct search *s) {
    const char *name = *s->text == '/' ? s->text + 1 : s->text;
    struct rt_container *own = by_name(t, s->who->uid, name);

    if (own != NULL) {
        add_candidate(s, own);
        return;
    }
    for (struct rt_container *c = t->by_id; c != NULL && s->who->admin; c = c->hh.next)
        if (strcmp(c->name, name) == 0)
            add_candidate(s, c);
}

static void search_prefixes(struct rt_table *t, struct search *s) {
    if (*s->text == 0 || strlen(s->text) >= RT_ID_SIZE)
        return;
    for (struct rt_container *c = t->by_id; c != NULL; c = c->hh.next)
        if (may_see(s->who, c->owner) && bh_str_starts(c->id, s->text))
            add_candidate(s, c);
}

static void search_id(struct rt_table *t, struct search *s) {
    struct rt_container *c = NULL;

    if (strlen(s->text) != RT_ID_SIZE - 1)
        return;
    HASH_FIND_STR(t->by_id, s->text, c);
    if (c != NULL && may_see(s->who, c->owner))
        add_candidate(s, c);
}

static int no_such(const char *text, struct bh_err *err) {
    bh_err_set(err, BH_E_NOT_FOUND, "No such container: %s", text);
    return bh_err_reason(err, "no-such-container");
}

static int ambiguous(const struct search *s, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "%s is ambiguous, it could be any of %u containers: %s%s", s->text, s->n,
               s->candidates, s->n > 4 ? ", .." : "");
    bh_err_reason(err, "ambiguous");
    return bh_err_hint(err, "write more of the id");
}

int rt_table_find(struct rt_table *t, const struct rt_caller *who, const char *text, struct rt_container **out,
                  struct bh_err *err) {
    struct search s = {.who = who, .text = text};

    pthread_mutex_lock(&t->lock);
    search_id(t, &s);
    if (s.n == 0)
        search_names(t, &s);
    if (s.n == 0)
        search_prefixes(t, &s);
    if (s.n == 1)
        *out = rt_container_ref(s.found);
    pthread_mutex_unlock(&t->lock);
    if (s.n == 0)
        return no_such(text, err);
    return s.n > 1 ? ambiguous(&s, err) : 0;
}

static int by_age(const void *a, const void *b) {
    const struct rt_container *x = *(struct rt_container *const *)a, *y = *(struct rt_container *const *)b;

    return (x->created_ns > y->created_ns) - (x->created_ns < y->created_ns);
}

void rt_table_list(struct rt_table *t, const struct rt_caller *who, struct rt_container ***out, size_t *out_n) {
    struct rt_container **list;
    size_t n = 0;

    pthread_mutex_lock(&t->lock);
    list = bh_xcalloc(HASH_COUNT(t->by_id) + 1, sizeof *list);
    for (struct rt_container *c = t->by_id; c != NULL; c = c->hh.next)
        if (may_see(who, c->owner))
            list[n++] = rt_container_ref(c);
    pthread_mutex_unlock(&t->lock);
    qsort(list, n, sizeof *list, by_age);
    *out = list;
    *out_n = n;
}

void rt_table_list_free(struct rt_container **list, size_t n) {
    for (size_t i = 0; i < n; i++)
        rt_container_unref(list[i]);
    free(list);
}

/* ---- graves -------------------------------------------------------------------------------- */

void rt_table_bury(struct rt_table *t, struct rt_container *c) {
    struct rt_status status = rt_container_status(c);
    struct grave *g;

    pthread_mutex_lock(&t->lock);
    g = &t->graves[t->next_grave++ % GRAVES];
    *g = (struct grave){.owner = c->owner, .buried_ns = bh_mono_ns(), .status = status};
    memcpy(g->id, c->id, sizeof g->id);
    pthread_mutex_unlock(&t->lock);
}

bool rt_table_grave(struct rt_table *t, const struct rt_caller *who, const char *id, struct rt_status *out) {
    bool found = false;

    if (strlen(id) != RT_ID_SIZE - 1)
        return false;
    pthread_mutex_lock(&t->lock);
    for (unsigned i = 0; i < GRAVES && !found; i++) {
        const struct grave *g = &t->graves[i];

        found = strcmp(g->id, id) == 0 && may_see(who, g->owner) && bh_mono_ns() - g->buried_ns < GRAVE_NS;
        if (found)
            *out = g->status;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}
