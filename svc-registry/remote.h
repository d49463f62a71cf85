/*
 * remote.h - one repository at one place, for one call: addresses, tokens, errors.
 *
 * Room: registry.  A remote is made for each attempt at a place and ended with it; nothing of it is used at the
 * next place.  Several threads of the call may send on it at once.
 */
#ifndef REG_REMOTE_H
#define REG_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "svc-registry/auth.h"
#include "svc-registry/endpoint.h"
#include "svc-registry/http.h"
#include "svc-registry/room.h"

/* Who asks, and how.  Lives as long as the call. */
struct reg_caller {
    uid_t owner;
    bool admin;
    const struct reg_credential *credentials;
    size_t n_credentials;
    unsigned tls_verify; /* RemoteOptions.tls_verify */
    unsigned tries;      /* 0: as configured */
    int cancel_fd;
    bool offline; /* login: an identity token is wanted */
};

struct reg_remote;
/* actions: "pull", "pull,push", "delete", "*".  Does not connect. */
int reg_remote_open(struct reg_room *room, struct reg_conf *conf, const struct reg_place *place,
                    const struct reg_caller *caller, const char *actions, struct reg_remote **out, struct bh_err *err);
void reg_remote_free(struct reg_remote *r);
/* Also ask for `pull` on another repository of the same registry (cross-repository mount). */
int reg_remote_also(struct reg_remote *r, const char *other_path, struct bh_err *err);

struct reg_auth *reg_remote_auth(struct reg_remote *r);
const char *reg_remote_host(const struct reg_remote *r); /* host[:port] */
const char *reg_remote_path(const struct reg_remote *r); /* repository */

/*
 * Sends req to "<base>/v2/<repository>/<below>", to "<base><below>" when below starts with a slash, or, when req->url
 * is set, to that address: a Location that the registry gave, already absolute or relative to `out->url` of before
 * (reg_remote_location).  Fills url, tls, times, proxy, allow_plain, authorization, cancel_fd, tries of a copy of
 * req; a 401 is answered by getting a token, once for each new challenge, also when an old one has expired in mid
 * push.  The token goes to the registry's own origin only.
 * Any status is a success: look at out->status.
 * A body with `from_fd` or `body` is sent again from its start after a 401.
 */
int reg_remote_send(struct reg_remote *r, const struct reg_http_request *req, const char *below,
                    struct reg_http_response *out, struct bh_err *err);
/* The Location header of an answer, made absolute and checked (scheme, no user part).  BH_E_INVALID. */
int reg_remote_location(struct reg_remote *r, const struct reg_http_response *answer, char out[REG_URL_SIZE],
                        struct bh_err *err);
/* An answer that is no success -> an error with docker's words; what = familiar reference ("debian:nosuch"). */
int reg_remote_status(struct reg_remote *r, const struct reg_http_response *answer, const char *what,
                      struct bh_err *err);
/* The same where a manifest was asked for: 404 is "manifest for X not found: manifest unknown: ..", reason
 * "manifest-unknown". */
int reg_remote_manifest_status(struct reg_remote *r, const struct reg_http_response *answer, const char *what,
                               struct bh_err *err);

/* After a failure at places[i]: shall the next be tried?  False for cancelled calls and errors of our own. */
bool reg_place_next(const struct reg_places *places, size_t i, const struct bh_err *err);
/* After the last: one error that names every place in the order tried.  errs[i] is the failure at places[i]. */
int reg_places_failed(const struct reg_places *places, const struct bh_err *errs, size_t n, struct bh_err *err);

/* Tries places in their order, with a remote for each, until one succeeds or a failure is our own. */
typedef int reg_at_place(void *arg, struct reg_remote *remote, struct bh_err *err);
struct reg_visit {
    struct reg_room *room;
    struct reg_conf *conf;
    const struct reg_caller *caller;
    const char *actions;
};
int reg_each_place(const struct reg_visit *v, const struct reg_places *places, reg_at_place *at, void *arg,
                   struct bh_err *err);

/* The manifest or index of a tag or digest, at one place: bytes as they came, capped, with its digest checked
 * when the reference has one, and Docker-Content-Digest compared otherwise. */
struct reg_manifest {
    struct bh_buf data;
    char media_type[256]; /* of Content-Type, without parameters; "" if absent */
    char digest[BH_DIGEST_TEXT_SIZE];
};
int reg_remote_manifest(struct reg_remote *r, const char *tag_or_digest, const char *what, struct reg_manifest *out,
                        struct bh_err *err);
void reg_manifest_fini(struct reg_manifest *m);
/* HEAD: digest and media type only (policy "newer", re-pull).  data stays empty.  BH_E_NOT_FOUND: it is not there;
 * BH_E_UNIMPLEMENTED: the registry tells no digest, ask by GET. */
int reg_remote_manifest_head(struct reg_remote *r, const char *tag_or_digest, const char *what,
                             struct reg_manifest *out, struct bh_err *err);
/* A small blob (a config) whole, digest checked. */
int reg_remote_blob(struct reg_remote *r, const char *digest, uint64_t size, const char *what, struct bh_buf *out,
                    struct bh_err *err);

#endif
