/*
 * conf.h - what the administrator decided about registries, as one snapshot that is never changed.
 *
 * Room: registry.  Read from the engine's config ([registry]) and the files that it names (registries.conf,
 * certs.d, policy.json), which the supervisor passes as text.  A reload makes a new snapshot; calls that
 * run keep theirs.  Administrators' files: strict, errors name file and line, no content can crash the room.
 */
#ifndef REG_CONF_H
#define REG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "svc-registry/http.h"

struct reg_conf;

/* config: the engine's config file.  bundle: the files it names, as
 * proc/control.h tells; size 0: none. */
int reg_conf_make(const char *config, size_t config_size, const void *bundle, size_t bundle_size, struct reg_conf **out,
                  struct bh_err *err);
struct reg_conf *reg_conf_ref(struct reg_conf *conf);
void reg_conf_unref(struct reg_conf *conf);
void reg_scope_conf(struct reg_conf **conf);
#define REG_SCOPE_CONF __attribute__((cleanup(reg_scope_conf)))

struct reg_settings {
    uint32_t jobs;      /* layers of a pull at once, 3 */
    uint32_t push_jobs; /* 5 */
    uint32_t tries;     /* REG_TRIES */
    struct reg_times times;
    bool insecure_by_user;     /* --tls-verify=false is honoured for everybody, else for administrators */
    bool allow_foreign_layers; /* layers that are fetched from urls of the manifest */
    const char *search_index;  /* host that docker.io's search goes to; "" = index.docker.io */
};
const struct reg_settings *reg_conf_settings(const struct reg_conf *conf);
/* unqualified-search-registries: HOST[:PORT][/PATH] each, in order. */
const char *const *reg_conf_search(const struct reg_conf *conf, size_t *out_n);

/* TLS terms for host[:port] (certs.d); `verify` as decided. */
int reg_conf_tls(const struct reg_conf *conf, const char *host_port, bool verify, const struct reg_tls **out,
                 struct bh_err *err);
/* The proxy for an address, "" = none. */
const char *reg_conf_proxy(const struct reg_conf *conf, const struct reg_url *url);

/* policy.json: may images of this name be taken?  0, or BH_E_DENIED (reason "policy").
 * canonical: "registry.example:5000/team/app:tag" or "..@sha256:..".  What asks for signatures is refused here:
 * this is the place where they will be verified. */
int reg_policy_check(const struct reg_conf *conf, const char *canonical, struct bh_err *err);

#endif
