/*
 * lane.h - pooled connections: a lane is a libcurl handle that only ever speaks to one origin under one set of terms.
 *
 * Room: registry, for http*.c.  A lane serves one exchange at a time.
 */
#ifndef REG_LANE_H
#define REG_LANE_H

#include <curl/curl.h>
#include <pthread.h>

#include "svc-registry/http.h"

/* Memory that held tokens is wiped when it is given back: for libcurl and for the JSON of token servers. */
void reg_wipe_free(void *p);

struct reg_lane {
    struct reg_lane *next;
    CURLM *multi;
    CURL *easy;
    int64_t idle_since;
    enum reg_reach reach; /* of the newest connection */
    uint64_t tls_id;
    char key[800]; /* origin and proxy */
};

struct reg_http {
    pthread_mutex_t lock;
    struct reg_lane *idle;
    unsigned n_idle;
};

int reg_lane_take(struct reg_http *http, const struct reg_url *url, const struct reg_terms *terms,
                  struct reg_lane **out, struct bh_err *err);
/* broken: the connection is not used again. */
void reg_lane_give(struct reg_http *http, struct reg_lane *lane, bool broken);

/* http_hop.c: one request, one answer, no redirect followed, nothing sent again. */
struct reg_hop {
    const struct reg_http_request *req;
    const struct reg_url *url;
    struct reg_terms terms;
    bool authorize; /* this is still the origin that the authorization is for */
    bool guarded;   /* the address must not lie nearer than reach */
    enum reg_reach reach;
    bool drop_redirect; /* a redirect's body is not wanted */
};
int reg_http_hop(struct reg_http *http, const struct reg_hop *hop, struct reg_http_response *out,
                 enum reg_reach *out_reach, struct bh_err *err);

#endif
