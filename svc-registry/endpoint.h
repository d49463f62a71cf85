/*
 * endpoint.h - where a repository is to be asked for: mirrors first, then its own registry.
 *
 * Room: registry.  Pure: a reference and the administrator's rules (registries.conf) make a list of places,
 * each with all that holds for it and for it alone.  Rules: docs/man/bulkhead.toml(5), "REGISTRIES".
 */
#ifndef REG_ENDPOINT_H
#define REG_ENDPOINT_H

#include "base/arena.h"
#include "svc-registry/conf.h"
#include "oci/ref.h"

enum reg_use { REG_PULL, REG_PUSH, REG_DELETE, REG_LIST };

struct reg_place {
    char host[BH_REF_DOMAIN_MAX + 1]; /* host[:port] to connect to: "registry-1.docker.io" */
    char name[BH_REF_DOMAIN_MAX + 1]; /* host[:port] as written: "docker.io"; credentials are looked up by it */
    char path[BH_REF_PATH_MAX + 1];   /* repository there: "library/debian" */
    bool mirror;
    bool may_plain; /* http is tried when https fails to connect (loopback, insecure) */
    const struct reg_tls *tls;
};

#define REG_MAX_PLACES 32
struct reg_places {
    struct reg_place v[REG_MAX_PLACES];
    size_t n;
};

/* tls_verify as in RemoteOptions (0 as configured, 1 yes, 2 no).  admin: the caller is one.
 * BH_E_DENIED: blocked (reason "blocked"), or 2 and policy forbids (reason "tls-policy"). */
struct reg_route_options {
    enum reg_use use;
    unsigned tls_verify;
    bool admin;
};
int reg_route(const struct reg_conf *conf, const struct bh_ref *ref, const struct reg_route_options *options,
              struct reg_places *out, struct bh_err *err);

/* A registry itself, without a repository (search, login): "" is docker.io.  out->path is "". */
int reg_route_host(const struct reg_conf *conf, const char *host, const struct reg_route_options *options,
                   struct reg_place *out, struct bh_err *err);

/* Terms of an address that a server named (a redirect, a realm): those of its own host. */
int reg_terms_of(const struct reg_conf *conf, const struct reg_url *url, struct reg_terms *out, struct bh_err *err);

#endif
