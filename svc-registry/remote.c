/*
 * remote.c - one repository at one place, see remote.h: where requests go, with what proof, by TLS or plain.
 *
 * Room: registry.  What is learned about a place (plain HTTP, tokens) stays with its remote.
 */
#include "svc-registry/remote.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/answer.h"
#include "svc-registry/tokens.h"

enum scheme { UNKNOWN, TLS, PLAIN };

struct reg_remote {
    struct reg_room *room;
    struct reg_conf *conf;
    struct reg_place place;
    const struct reg_caller *caller;
    struct reg_auth *auth;
    pthread_mutex_t lock;
    enum scheme scheme;
    _Atomic(int) reach; /* enum reg_reach of its own answers: nothing it names may lie nearer */
    bool writes;
};

/* ---- life ---------------------------------------------------------------------------------------- */

/* The place's own terms for its own host, each other host its own. */
static int terms_for(void *arg, const struct reg_url *url, struct reg_terms *out, struct bh_err *err) {
    const struct reg_remote *r = arg;
    char host[300];

    if (reg_terms_of(r->conf, url, out, err) != 0)
        return err->code;
    snprintf(host, sizeof host, "%s:%u", url->host, url->port);
    if (strcasecmp(host, r->place.host) == 0 ||
        (strcasecmp(url->host, r->place.host) == 0 && url->port == (url->plain ? 80 : 443)))
        out->tls = r->place.tls;
    return 0;
}

static int first_scope(struct reg_remote *r, const char *path, const char *actions, struct bh_err *err) {
    char scope[700];

    if (!*path)
        return strchr(actions, ':') ? reg_auth_add_scope(r->auth, actions, err) : 0;
    snprintf(scope, sizeof scope, "repository:%s:%s", path, actions);
    return reg_auth_add_scope(r->auth, scope, err);
}

int reg_remote_open(struct reg_room *room, struct reg_conf *conf, const struct reg_place *place,
                    const struct reg_caller *caller, const char *actions, struct reg_remote **out, struct bh_err *err) {
    const struct reg_settings *s = reg_conf_settings(conf);
    struct reg_remote *r = bh_xcalloc(1, sizeof *r);
    const struct reg_auth_setup setup = {
        .http = room->http,
        .tokens = room->tokens,
        .owner = caller->owner,
        .host = r->place.host,
        .credential = reg_credential_for(caller->credentials, caller->n_credentials, place->name, place->path),
        .terms = terms_for,
        .terms_arg = r,
        .times = &s->times,
        .cancel_fd = caller->cancel_fd,
        .tries = caller->tries ? caller->tries : s->tries,
        .offline = caller->offline};

    r->room = room;
    r->conf = reg_conf_ref(conf);
    r->place = *place;
    r->caller = caller;
    r->writes = strstr(actions, "push") || strstr(actions, "delete") || strchr(actions, '*');
    pthread_mutex_init(&r->lock, NULL);
    r->auth = reg_auth_new(&setup);
    if (first_scope(r, place->path, actions, err) != 0) {
        reg_remote_free(r);
        return err->code;
    }
    *out = r;
    return 0;
}

void reg_remote_free(struct reg_remote *r) {
    if (!r)
        return;
    reg_auth_free(r->auth);
    reg_conf_unref(r->conf);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int reg_remote_also(struct reg_remote *r, const char *other_path, struct bh_err *err) {
    return first_scope(r, other_path, "pull", err);
}

const char *reg_remote_host(const struct reg_remote *r) {
    return r->place.host;
}
const char *reg_remote_path(const struct reg_remote *r) {
    return r->place.path;
}
struct reg_auth *reg_remote_auth(struct reg_remote *r) {
    return r->auth;
}

/* ---- one exchange -------------------------------------------------------------------------------- */

static int base_url(const struct reg_remote *r, bool plain, struct reg_url *out, struct bh_err *err) {
    char text[400];

    snprintf(text, sizeof text, "%s://%s/", plain ? "http" : "https", r->place.host);
    return reg_url_parse(text, NULL, out, err);
}

static int full_url(const struct reg_remote *r, const struct reg_url *base, const char *below, char out[REG_URL_SIZE],
                    struct bh_err *err) {
    char origin[300];
    int n;

    reg_url_origin(base, origin);
    if (*below == '/') /* not of the repository: "/v2/", "/v2/_catalog" */
        n = snprintf(out, REG_URL_SIZE, "%s%s", origin, below);
    else
        n = snprintf(out, REG_URL_SIZE, "%s/v2/%s/%s", origin, r->place.path, below);
    return n < REG_URL_SIZE ? 0 : bh_err_set(err, BH_E_INVALID, "%s: the address is too long", r->place.host);
}

/* With proof: again after a 401 when there is better proof, at most twice. */
static int send_proven(struct reg_remote *r, struct reg_http_request *req, const struct reg_url *base,
                       struct reg_http_response *out, struct bh_err *err) {
    struct reg_url target;
    bool own;

    if (reg_url_parse(req->url, NULL, &target, err) != 0)
        return err->code;
    own = reg_url_same_origin(base, &target);
    if (!own) { /* a Location elsewhere: no proof of ours */
        req->authorization = NULL;
        req->guarded = true;
        req->reach = (enum reg_reach)r->reach;
        return reg_http_send(r->room->http, req, out, err);
    }
    for (unsigned tries = 0;; tries++) {
        REG_SCOPE_SECRET char *header = NULL;
        unsigned number;
        bool again = false;
        if (reg_auth_current(r->auth, base, &header, &number, err) != 0)
            return err->code;
        req->authorization = header;
        if (reg_http_send(r->room->http, req, out, err) != 0)
            return err->code;
        r->reach = (int)out->reach;
        if (out->status != 401 || out->redirected || tries == 2)
            return 0;
        if (reg_auth_refused(r->auth, base, out, number, &again, err) != 0)
            return err->code;
        if (!again)
            return 0;
    }
}

/* Only where plain HTTP is allowed at all, and only when TLS did not even begin. */
static bool try_plain(const struct reg_remote *r, const struct bh_err *e) {
    bool with_port = strrchr(r->place.host, ':') > strrchr(r->place.host, ']') && strrchr(r->place.host, ':');

    if (!r->place.may_plain)
        return false;
    if (strcmp(e->reason, "plain-http") == 0 || strcmp(e->reason, "no-tls") == 0)
        return true;
    return !with_port && strcmp(e->reason, "connect") == 0;
}

static int send_first(struct reg_remote *r, struct reg_http_request *req, const char *below,
                      struct reg_http_response *out, enum scheme scheme, struct bh_err *err) {
    char url[REG_URL_SIZE];
    struct reg_url base;

    if (base_url(r, scheme == PLAIN, &base, err) != 0)
        return err->code;
    if (!below)
        return send_proven(r, req, &base, out, err);
    if (full_url(r, &base, below, url, err) != 0)
        return err->code;
    req->url = url;
    int rc = send_proven(r, req, &base, out, err);
    req->url = NULL;
    return rc;
}

/* The first request finds out how this place speaks; others of the same remote wait for it. */
static int discover(struct reg_remote *r, struct reg_http_request *req, const char *below,
                    struct reg_http_response *out, struct bh_err *err) {
    struct bh_err first = BH_ERR_INIT;
    int rc = send_first(r, req, below, out, TLS, &first);

    r->scheme = TLS;
    if (rc != 0 && try_plain(r, &first)) {
        struct bh_err second = BH_ERR_INIT;
        rc = send_first(r, req, below, out, PLAIN, &second);
        bool better = strcmp(first.reason, "connect") == 0 && strcmp(second.reason, "connect") != 0;
        if (rc == 0 || better || strcmp(first.reason, "plain-http") == 0) {
            r->scheme = PLAIN;
            first = second;
        }
    }
    if (rc != 0)
        *err = first;
    return rc;
}

static enum scheme scheme_of(struct reg_remote *r) {
    pthread_mutex_lock(&r->lock);
    enum scheme s = r->scheme;
    pthread_mutex_unlock(&r->lock);
    return s;
}

/* No way to the hub: the full name says which registry a short one meant. */
static int name_fully(const struct reg_remote *r, struct bh_err *err) {
    const char *path = r->place.path, *rest = bh_str_starts(path, "library/") ? path + strlen("library/") : path;
    const char *familiar = strchr(rest, '/') ? path : rest;
    size_t n = strlen(familiar);
    char full[sizeof err->msg];

    if (strcmp(r->place.name, "docker.io") != 0 || n == 0 || strncmp(err->msg, familiar, n) != 0 ||
        !strchr(":@", err->msg[n]))
        return err->code;
    snprintf(full, sizeof full, "docker.io/%s%s", path, err->msg + n);
    memcpy(err->msg, full, sizeof full);
    return err->code;
}

static int send_request(struct reg_remote *r, struct reg_http_request *full, const char *below,
                        struct reg_http_response *out, struct bh_err *err) {
    enum scheme scheme = scheme_of(r);

    if (scheme != UNKNOWN || !below)
        return send_first(r, full, below, out, scheme == PLAIN ? PLAIN : TLS, err);
    pthread_mutex_lock(&r->lock);
    if (r->scheme == UNKNOWN) {
        int rc = discover(r, full, below, out, err);
        pthread_mutex_unlock(&r->lock);
        return rc;
    }
    pthread_mutex_unlock(&r->lock);
    return send_first(r, full, below, out, scheme_of(r), err);
}

int reg_remote_send(struct reg_remote *r, const struct reg_http_request *req, const char *below,
                    struct reg_http_response *out, struct bh_err *err) {
    const struct reg_settings *s = reg_conf_settings(r->conf);
    struct reg_http_request full = *req;

    full.terms = terms_for;
    full.terms_arg = r;
    full.times = &s->times;
    full.cancel_fd = r->caller->cancel_fd;
    if (!full.tries)
        full.tries = r->caller->tries ? r->caller->tries : s->tries;
    return send_request(r, &full, req->url ? NULL : below, out, err) == 0 ? 0 : name_fully(r, err);
}

int reg_remote_location(struct reg_remote *r, const struct reg_http_response *answer, char out[REG_URL_SIZE],
                        struct bh_err *err) {
    const char *location = reg_http_header(answer, "location");
    struct reg_url base, url;

    if (!*location) {
        bh_err_set(err, BH_E_UNAVAILABLE, "%s: the registry gave no Location", r->place.host);
        return bh_err_reason(err, "bad-location");
    }
    if (base_url(r, scheme_of(r) == PLAIN, &base, err) != 0 || reg_url_parse(location, answer->url, &url, err) != 0) {
        bh_err_prefix(err, "%s: Location", r->place.host);
        return bh_err_reason(err, "bad-location");
    }
    if (url.plain && !base.plain) {
        bh_err_set(err, BH_E_UNAVAILABLE, "%s: the registry's Location leads from https to http, which is refused",
                   r->place.host);
        return bh_err_reason(err, "bad-location");
    }
    memcpy(out, url.text, sizeof url.text);
    return 0;
}

static int no_success(struct reg_remote *r, const struct reg_http_response *answer, const char *what, bool manifest,
                      struct bh_err *err) {
    const struct reg_answer_about about = {.name = what,
                                           .host = r->place.name,
                                           .manifest = manifest,
                                           .write = r->writes,
                                           .known_user = reg_auth_has_credential(r->auth)};

    return reg_answer_error(answer, &about, err);
}

int reg_remote_status(struct reg_remote *r, const struct reg_http_response *answer, const char *what,
                      struct bh_err *err) {
    return no_success(r, answer, what, false, err);
}

int reg_remote_manifest_status(struct reg_remote *r, const struct reg_http_response *answer, const char *what,
                               struct bh_err *err) {
    return no_success(r, answer, what, true, err);
}

/* ---- several places ------------------------------------------------------------------------------ */

bool reg_place_next(const struct reg_places *places, size_t i, const struct bh_err *err) {
    static const int ours[] = {BH_E_CANCELLED, BH_E_INTERNAL, BH_E_DEADLINE, BH_E_ABORTED};

    for (size_t k = 0; k < BH_ARRAY_LEN(ours); k++) {
        if (err->code == ours[k])
            return false;
    }
    return i + 1 < places->n;
}

/* A word about the repository, not about the way to it. */
static bool is_definite(const struct bh_err *e) {
    return e->code != BH_E_UNAVAILABLE;
}

/* What both begin with, up to the first ": ": the name, which stands there already. */
static size_t same_start(const char *a, const char *b) {
    const char *end = strstr(a, ": ");
    size_t n = end ? (size_t)(end - a) + 2 : 0;

    return n > 0 && strncmp(a, b, n) == 0 ? n : 0;
}

/* The last place is the registry itself: its word counts, unless it could not be had and a mirror gave one.  What the
 * others said stands behind it in the order tried. */
int reg_places_failed(const struct reg_places *places, const struct bh_err *errs, size_t n, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf others = BH_BUF_INIT_MAX(sizeof err->msg);
    size_t chosen = n - 1;

    for (size_t i = 0; !is_definite(&errs[n - 1]) && i < n && chosen == n - 1; i++)
        chosen = is_definite(&errs[i]) ? i : chosen;
    *err = errs[chosen];
    for (size_t i = 0; i < n; i++) {
        char cut[260];
        if (i == chosen || errs[i].code == 0) /* 0: it was not asked */
            continue;
        const char *told = errs[i].msg + same_start(errs[i].msg, err->msg);
        (void)bh_str_copy_n(cut, sizeof cut, told, strnlen(told, sizeof cut - 1));
        bh_buf_addf(&others, "%s%s%s: %s", others.len ? "; " : "", places->v[i].mirror ? "mirror " : "",
                    places->v[i].host, cut);
    }
    if (others.len == 0)
        return err->code;
    size_t at = strlen(err->msg);
    if (chosen == n - 1)
        snprintf(err->msg + at, sizeof err->msg - at, " (before it were tried: %s)", bh_buf_str(&others));
    else
        snprintf(err->msg + at, sizeof err->msg - at, " (said by %s; also tried: %s)", places->v[chosen].host,
                 bh_buf_str(&others));
    return err->code;
}

int reg_each_place(const struct reg_visit *v, const struct reg_places *places, reg_at_place *at, void *arg,
                   struct bh_err *err) {
    struct bh_err errs[REG_MAX_PLACES];

    for (size_t i = 0; i < places->n; i++) {
        struct reg_remote *remote = NULL;
        errs[i] = (struct bh_err)BH_ERR_INIT;
        int rc = reg_remote_open(v->room, v->conf, &places->v[i], v->caller, v->actions, &remote, &errs[i]);
        if (rc == 0)
            rc = at(arg, remote, &errs[i]);
        reg_remote_free(remote);
        if (rc == 0)
            return 0;
        if (!reg_place_next(places, i, &errs[i]))
            return reg_places_failed(places, errs, i + 1, err);
    }
    return bh_err_set(err, BH_E_INTERNAL, "no place to try");
}
