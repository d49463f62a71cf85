/*
 * context.c - the table of contexts; see context.h.
 */
#include "context.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define KEPT_NS      (INT64_C(24) * 3600 * BH_NSEC)
#define CONTEXTS_MAX 96u                    /* of all owners */
#define FILES_EACH   (1 + BH_CONTEXT_PACKS) /* its list and its packs */
#define FILES_MAX    ((rlim_t)CONTEXTS_MAX * FILES_EACH)
#define OF_ONE_KEY   4              /* older ones may be in a build */
#define FRESH_NS     (60 * BH_NSEC) /* from the put to the first step */

/* Half of what this process may have open: calls, layers and clients need the rest. */
static unsigned files_limit(void) {
    struct rlimit l;
    rlim_t half = getrlimit(RLIMIT_NOFILE, &l) == 0 ? l.rlim_cur / 2 : 0;

    return (unsigned)(half < FILES_MAX ? half : FILES_MAX);
}

void store_contexts_init(struct store_contexts *t) {
    pthread_mutex_init(&t->lock, NULL);
    t->first = NULL;
    t->n = 0;
    t->files = 0;
    t->max_files = files_limit();
}

/* Under the lock. */
static void context_free(struct store_contexts *t, struct store_context *c) {
    t->files -= c->files;
    for (unsigned i = 0; i < c->n_packs; i++)
        close(c->pack[i]);
    if (c->list >= 0)
        close(c->list);
    free(c->key);
    free(c);
}

void store_contexts_fini(struct store_contexts *t) {
    struct store_context *c;

    while ((c = t->first) != NULL) {
        t->first = c->next;
        context_free(t, c);
    }
    pthread_mutex_destroy(&t->lock);
}

struct store_context *store_context_new(uid_t owner, const char *key, const char *id) {
    struct store_context *c = bh_xcalloc(1, sizeof *c);

    c->owner = owner;
    c->key = bh_xstrdup(key);
    bh_str_copy(c->id, sizeof c->id, id);
    c->list = -1;
    c->created_ns = c->used_ns = bh_now_ns();
    c->refs = 1;
    return c;
}

/* Under the lock; the last one to give it back frees it. */
static void unref(struct store_contexts *t, struct store_context *c) {
    if (--c->refs == 0)
        context_free(t, c);
}

static void take_out(struct store_contexts *t, struct store_context **at) {
    struct store_context *c = *at;

    *at = c->next;
    t->n--;
    unref(t, c);
}

static struct store_context *use_first(struct store_contexts *t, uid_t owner, const char *id, const char *key,
                                       int64_t lease) {
    struct store_context *c;

    pthread_mutex_lock(&t->lock);
    for (c = t->first; c != NULL; c = c->next)
        if (c->owner == owner && (id == NULL || strcmp(c->id, id) == 0) && (key == NULL || strcmp(c->key, key) == 0))
            break;
    if (c != NULL) {
        c->refs++;
        c->uses++;
        c->used_ns = bh_now_ns();
        c->lease = lease != 0 ? lease : c->lease;
    }
    pthread_mutex_unlock(&t->lock);
    return c;
}

struct store_context *store_context_use(struct store *s, uid_t owner, const char *id, int64_t lease) {
    return use_first(&s->contexts, owner, id, NULL, lease);
}

struct store_context *store_context_newest(struct store *s, uid_t owner, const char *key) {
    return use_first(&s->contexts, owner, NULL, key, 0);
}

void store_context_done(struct store *s, struct store_context *c) {
    pthread_mutex_lock(&s->contexts.lock);
    unref(&s->contexts, c);
    pthread_mutex_unlock(&s->contexts.lock);
}

/* Under the lock.  Older ones of the same key go when nobody uses them. */
static void drop_older(struct store_contexts *t, const struct store_context *c) {
    unsigned seen = 0;

    for (struct store_context **at = &t->first; *at != NULL;) {
        bool same = (*at)->owner == c->owner && strcmp((*at)->key, c->key) == 0;

        seen += same;
        if (same && seen > OF_ONE_KEY && (*at)->refs == 1)
            take_out(t, at);
        else
            at = &(*at)->next;
    }
}

static struct store_context **least_used(struct store_contexts *t) {
    struct store_context **found = NULL;

    for (struct store_context **at = &t->first; *at != NULL; at = &(*at)->next)
        if ((*at)->refs == 1 && (found == NULL || (*at)->used_ns < (*found)->used_ns))
            found = at;
    return found;
}

bool store_context_reserve(struct store *s, struct store_context *c) {
    struct store_contexts *t = &s->contexts;
    struct store_context **oldest;
    bool ok;

    pthread_mutex_lock(&t->lock);
    while (t->files + FILES_EACH > t->max_files && (oldest = least_used(t)) != NULL)
        take_out(t, oldest);
    ok = t->files + FILES_EACH <= t->max_files;
    if (ok)
        t->files += c->files = FILES_EACH;
    pthread_mutex_unlock(&t->lock);
    return ok;
}

int store_contexts_full(const struct store *s, struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "context: builds that run use all %u files that contexts may have open",
               s->contexts.max_files);
    bh_err_reason(err, "too-many-contexts");
    return bh_err_hint(err, "try again when one of them has ended, or give the engine a higher limit of open files");
}

void store_context_add(struct store *s, struct store_context *c) {
    struct store_contexts *t = &s->contexts;
    struct store_context **oldest;

    pthread_mutex_lock(&t->lock);
    t->files -= c->files - (1 + c->n_packs);
    c->files = 1 + c->n_packs;
    while (t->n >= CONTEXTS_MAX && (oldest = least_used(t)) != NULL)
        take_out(t, oldest);
    c->next = t->first;
    t->first = c;
    t->n++;
    drop_older(t, c);
    pthread_mutex_unlock(&t->lock);
}

void store_context_drop(struct store *s, uid_t owner, const char *id) {
    struct store_contexts *t = &s->contexts;

    pthread_mutex_lock(&t->lock);
    for (struct store_context **at = &t->first; *at != NULL;) {
        if ((*at)->owner == owner && strcmp((*at)->id, id) == 0)
            take_out(t, at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&t->lock);
}

void store_context_sweep(struct store *s) {
    struct store_contexts *t = &s->contexts;
    int64_t old = bh_now_ns() - KEPT_NS;

    pthread_mutex_lock(&t->lock);
    for (struct store_context **at = &t->first; *at != NULL;) {
        if ((*at)->refs == 1 && (*at)->used_ns < old)
            take_out(t, at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&t->lock);
}

struct store_context_info *store_context_list(struct store *s, const struct store_who *who, size_t *out_n) {
    struct store_contexts *t = &s->contexts;
    struct store_context_info *v;
    size_t n = 0;

    pthread_mutex_lock(&t->lock);
    v = bh_xcalloc(t->n + 1, sizeof *v);
    for (const struct store_context *c = t->first; c != NULL; c = c->next) {
        if (!who->all && c->owner != who->owner)
            continue;
        v[n] = (struct store_context_info){.owner = c->owner,
                                           .bytes = c->bytes,
                                           .created_ns = c->created_ns,
                                           .used_ns = c->used_ns,
                                           .uses = c->uses,
                                           .lease = c->lease,
                                           .in_use = c->refs > 1 || c->used_ns > bh_now_ns() - FRESH_NS};
        bh_str_copy(v[n].id, sizeof v[n].id, c->id);
        bh_str_copy(v[n++].key, sizeof v->key, c->key);
    }
    pthread_mutex_unlock(&t->lock);
    *out_n = n;
    return v;
}
