/*
 * lane.c - the pool of connections, see lane.h; libcurl's start.
 *
 * Room: registry.  Certificates, verification and client keys belong to a lane's key, so a connection that was made
 * without verification is never found by a request that asks for it.
 */
#include "svc-registry/lane.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define MAX_IDLE 32
#define IDLE_NS  (60 * BH_NSEC)

/* ---- memory of libcurl: it holds headers with tokens, so what it gives back is wiped ------------- */

void reg_wipe_free(void *p) {
    if (p)
        OPENSSL_cleanse(p, malloc_usable_size(p));
    free(p);
}

static void *wipe_realloc(void *p, size_t n) {
    size_t had = p ? malloc_usable_size(p) : 0;

    if (n <= had && n > had / 2)
        return p;
    void *fresh = malloc(n);
    if (fresh && p)
        memcpy(fresh, p, had < n ? had : n);
    if (fresh)
        reg_wipe_free(p);
    return fresh;
}

int reg_http_new(struct reg_http **out, struct bh_err *err) {
    static bool started;

    if (!started && curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, reg_wipe_free, wipe_realloc, strdup, calloc) != 0)
        return bh_err_set(err, BH_E_INTERNAL, "start libcurl");
    started = true;
    struct reg_http *http = bh_xcalloc(1, sizeof *http);
    pthread_mutex_init(&http->lock, NULL);
    *out = http;
    return 0;
}

static void lane_free(struct reg_lane *lane) {
    if (lane->multi && lane->easy)
        curl_multi_remove_handle(lane->multi, lane->easy);
    curl_easy_cleanup(lane->easy);
    curl_multi_cleanup(lane->multi);
    free(lane);
}

void reg_http_free(struct reg_http *http) {
    if (!http)
        return;
    while (http->idle) {
        struct reg_lane *lane = http->idle;
        http->idle = lane->next;
        lane_free(lane);
    }
    pthread_mutex_destroy(&http->lock);
    free(http);
}

/* Takes out of the list those that waited too long, and the oldest when there are too many.  Lock held. */
static struct reg_lane *take_stale(struct reg_http *http) {
    struct reg_lane *stale = NULL, **at = &http->idle;
    int64_t now = bh_mono_ns();
    unsigned n = 0;

    while (*at) {
        struct reg_lane *lane = *at;
        if (++n > MAX_IDLE || now - lane->idle_since > IDLE_NS) { /* newest first */
            *at = lane->next;
            lane->next = stale;
            stale = lane;
            http->n_idle--;
        } else {
            at = &lane->next;
        }
    }
    return stale;
}

static void free_all(struct reg_lane *lane) {
    while (lane) {
        struct reg_lane *next = lane->next;
        lane_free(lane);
        lane = next;
    }
}

static struct reg_lane *find(struct reg_http *http, const char *key, uint64_t tls_id) {
    for (struct reg_lane **at = &http->idle; *at; at = &(*at)->next) {
        struct reg_lane *lane = *at;
        if (lane->tls_id == tls_id && strcmp(lane->key, key) == 0) {
            *at = lane->next;
            http->n_idle--;
            return lane;
        }
    }
    return NULL;
}

static struct reg_lane *lane_new(void) {
    struct reg_lane *lane = bh_xcalloc(1, sizeof *lane);

    lane->multi = curl_multi_init();
    lane->easy = curl_easy_init();
    if (lane->multi && lane->easy)
        return lane;
    lane_free(lane);
    return NULL;
}

int reg_lane_take(struct reg_http *http, const struct reg_url *url, const struct reg_terms *terms,
                  struct reg_lane **out, struct bh_err *err) {
    char origin[300], key[sizeof((struct reg_lane *)0)->key];
    const char *proxy = terms->proxy ? terms->proxy : "";

    reg_url_origin(url, origin);
    if (snprintf(key, sizeof key, "%s %s", origin, proxy) >= (int)sizeof key)
        return bh_err_set(err, BH_E_INVALID, "the address of the proxy is too long");
    pthread_mutex_lock(&http->lock);
    struct reg_lane *stale = take_stale(http), *lane = find(http, key, url->plain ? 0 : terms->tls->id);
    pthread_mutex_unlock(&http->lock);
    free_all(stale);
    if (!lane)
        lane = lane_new();
    if (!lane)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory for a connection", origin);
    lane->next = NULL;
    lane->tls_id = url->plain ? 0 : terms->tls->id;
    memcpy(lane->key, key, sizeof key);
    *out = lane;
    return 0;
}

void reg_lane_give(struct reg_http *http, struct reg_lane *lane, bool broken) {
    if (broken) {
        lane_free(lane);
        return;
    }
    curl_easy_reset(lane->easy); /* keeps its connection and TLS session, forgets everything else */
    lane->idle_since = bh_mono_ns();
    pthread_mutex_lock(&http->lock);
    lane->next = http->idle;
    http->idle = lane;
    http->n_idle++;
    struct reg_lane *stale = take_stale(http);
    pthread_mutex_unlock(&http->lock);
    free_all(stale);
}
