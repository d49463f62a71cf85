/*
 * conf_priv.h - a snapshot of the administrator's decisions as its readers make it, see conf.h.
 *
 * Room: registry, for conf.c, registries.c, certs.c, policy.c, proxy.c and endpoint.c.
 */
#ifndef REG_CONF_PRIV_H
#define REG_CONF_PRIV_H

#include <stdatomic.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "svc-registry/conf.h"

enum reg_pull_from { REG_FROM_ALL, REG_FROM_DIGEST, REG_FROM_TAG };

struct reg_mirror {
    const char *location; /* host[:port][/path] */
    bool insecure;
    enum reg_pull_from pull_from;
};

struct reg_rule {
    const char *prefix; /* host[:port][/path] or "*.example.com" */
    const char *location;
    bool insecure, blocked;
    struct reg_mirror *mirrors;
    size_t n_mirrors;
};

struct reg_alias {
    const char *name, *target;
};

struct reg_certs {
    struct reg_certs *next;
    const char *host;
    struct reg_tls *tls[2]; /* [0] that does not verify, [1] that does */
};

enum reg_policy_kind { REG_POLICY_ACCEPT, REG_POLICY_REJECT, REG_POLICY_UNKNOWN };

struct reg_policy_rule {
    const char *scope; /* "" = the default of its level */
    bool transport;    /* for "docker" only, else the overall default */
    enum reg_policy_kind kind;
    const char *type; /* of a requirement that cannot be verified here: "signedBy" */
};

struct reg_conf {
    atomic_uint refs;
    struct bh_arena arena; /* all text */
    struct reg_settings settings;
    struct reg_rule *rules;
    size_t n_rules;
    const char **search;
    size_t n_search;
    struct reg_alias *aliases;
    size_t n_aliases;
    bool enforcing;          /* short-name-mode: a short name with more than one meaning is refused */
    struct reg_certs *certs; /* the last one, host "", is for all others */
    struct reg_policy_rule *policy;
    size_t n_policy;
    const char *http_proxy, *https_proxy, *no_proxy; /* "" = none */
};

const char *reg_conf_keep(struct reg_conf *c, const char *text, size_t n, struct bh_err *err);
void *reg_conf_alloc(struct reg_conf *c, size_t n, size_t size, struct bh_err *err); /* zeroed */

/* registries.c: call for each file, in order; policy.c: one file.  certs.c: all files.  name: for messages. */
int reg_registries_read(struct reg_conf *c, const char *name, const char *text, size_t n, struct bh_err *err);
int reg_policy_read(struct reg_conf *c, const char *text, size_t n, struct bh_err *err);

struct reg_cert_file {
    const char *host, *name; /* of certs.d/HOST/NAME */
    const char *text;
};
int reg_certs_read(struct reg_conf *c, const struct reg_cert_file *files, size_t n, struct bh_err *err);
void reg_certs_free(struct reg_certs *list);

/* Does prefix ("host", "host/path", "*.domain") cover name ("host[:port]/path[:tag|@digest]")?  Its length, 0: no. */
size_t reg_prefix_fits(const char *prefix, const char *name);
/* The rule with the longest prefix, or NULL. */
const struct reg_rule *reg_rule_for(const struct reg_conf *c, const char *name);

#endif
