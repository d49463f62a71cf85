/*
 * tokens.c - the memory of tokens, see tokens.h.
 *
 * Room: registry.  At most MAX entries; the one that expires first makes room.
 */
#include "svc-registry/tokens.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define MAX     512
#define EARLY_S 10 /* a token is renewed this long before it expires, or after nine tenths of a short life */

struct entry {
    struct entry *next;
    char *key, *value;
    int64_t until_ns;
};

struct reg_tokens {
    pthread_mutex_t lock;
    struct entry *first;
    unsigned n;
};

void reg_secret_free(char *secret) {
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

void reg_scope_secret(char **secret) {
    reg_secret_free(*secret);
}

struct reg_tokens *reg_tokens_new(void) {
    struct reg_tokens *t = bh_xcalloc(1, sizeof *t);

    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void entry_free(struct entry *e) {
    free(e->key);
    reg_secret_free(e->value);
    free(e);
}

void reg_tokens_free(struct reg_tokens *t) {
    if (!t)
        return;
    for (struct entry *e = t->first, *next; e; e = next) {
        next = e->next;
        entry_free(e);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Takes the entry out.  With key NULL: the one that expires first. */
static struct entry *take(struct reg_tokens *t, const char *key) {
    struct entry **found = NULL, *e;

    for (struct entry **at = &t->first; *at; at = &(*at)->next) {
        bool is = key ? strcmp((*at)->key, key) == 0 : !found || (*at)->until_ns < (*found)->until_ns;
        if (is)
            found = at;
    }
    if (!found)
        return NULL;
    e = *found;
    *found = e->next;
    t->n--;
    return e;
}

static void put(struct reg_tokens *t, struct entry *e) {
    e->next = t->first;
    t->first = e;
    t->n++;
}

char *reg_tokens_get(struct reg_tokens *t, const char *key, int64_t *out_left) {
    char *value = NULL;

    pthread_mutex_lock(&t->lock);
    struct entry *e = take(t, key);
    int64_t left = e ? e->until_ns - bh_mono_ns() : 0;
    if (e && left > 0) {
        value = bh_xstrdup(e->value);
        put(t, e);
    } else if (e) {
        entry_free(e);
    }
    pthread_mutex_unlock(&t->lock);
    if (out_left)
        *out_left = left / BH_NSEC;
    return value;
}

void reg_tokens_put(struct reg_tokens *t, const char *key, const char *value, int64_t seconds) {
    int64_t early = seconds / 10 < EARLY_S ? seconds / 10 + 1 : EARLY_S;
    struct entry *e = bh_xcalloc(1, sizeof *e), *old, *oldest = NULL;

    e->key = bh_xstrdup(key);
    e->value = bh_xstrdup(value);
    e->until_ns = bh_mono_ns() + (seconds - early) * BH_NSEC;
    pthread_mutex_lock(&t->lock);
    old = take(t, key);
    if (t->n >= MAX)
        oldest = take(t, NULL);
    put(t, e);
    pthread_mutex_unlock(&t->lock);
    if (old)
        entry_free(old);
    if (oldest)
        entry_free(oldest);
}

void reg_tokens_drop(struct reg_tokens *t, const char *key, const char *value) {
    pthread_mutex_lock(&t->lock);
    struct entry *e = take(t, key);
    if (e && strcmp(e->value, value) != 0) { /* somebody has renewed it */
        put(t, e);
        e = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    if (e)
        entry_free(e);
}
