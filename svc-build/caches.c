/*
 * caches.c - see caches.h.
 *
 * Room: build.  A waiter looks at its cancel every so often: nobody wakes it for that.
 */
#include "caches.h"
#include "base/clock.h"
#include "base/cond.h"

#define LOOK_NS (BH_NSEC / 5)

void build_caches_init(struct build_caches *c) {
    *c = (struct build_caches){0};
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->write, NULL);
    bh_cond_init(&c->changed);
}

static bool is_used(const struct build_caches *c, const struct bh_digest *key, bool only_alone) {
    for (const struct build_cache_use *u = c->uses; u != NULL; u = u->next)
        if (bh_digest_equal(&u->key, key) && (u->alone || !only_alone))
            return true;
    return false;
}

static void wait_a_while(struct build_caches *c) {
    bh_cond_wait_until(&c->changed, &c->lock, bh_mono_ns() + LOOK_NS);
}

int build_cache_enter(struct build_caches *c, const struct bh_digest *key, enum build_sharing sharing,
                      struct build_cancel *cancel, struct build_cache_use *use, bool *out_own, struct bh_err *err) {
    int r = 0;

    *use = (struct build_cache_use){.key = *key, .alone = sharing != BUILD_SHARED};
    *out_own = true;
    pthread_mutex_lock(&c->lock);
    if (sharing == BUILD_PRIVATE && is_used(c, key, false)) {
        *out_own = false;
        pthread_mutex_unlock(&c->lock);
        return 0;
    }
    while (is_used(c, key, sharing != BUILD_LOCKED)) {
        if (build_cancelled(cancel)) {
            r = bh_err_set(err, BH_E_CANCELLED, "the build has ended");
            break;
        }
        wait_a_while(c);
    }
    if (r == 0) {
        use->counted = true;
        use->next = c->uses;
        c->uses = use;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

void build_cache_leave(struct build_caches *c, struct build_cache_use *use) {
    if (!use->counted)
        return;
    pthread_mutex_lock(&c->lock);
    for (struct build_cache_use **at = &c->uses; *at != NULL; at = &(*at)->next)
        if (*at == use) {
            *at = use->next;
            break;
        }
    use->counted = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}
