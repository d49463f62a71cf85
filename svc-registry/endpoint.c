/*
 * endpoint.c - a reference and the administrator's rules make the list of places to try, see endpoint.h.
 *
 * Room: registry.  Pure.  Each place carries terms of its own; none is taken over from the one before.
 */
#include "svc-registry/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/conf_priv.h"

#define HUB      "docker.io"
#define HUB_HOST "registry-1.docker.io"

/* All names of docker's hub are one registry with one login. */
static bool is_hub(const char *host) {
    static const char *const hub[] = {"", HUB, "index.docker.io", HUB_HOST};

    for (size_t i = 0; i < BH_ARRAY_LEN(hub); i++) {
        if (strcmp(host, hub[i]) == 0)
            return true;
    }
    return false;
}

/* The name with `prefix` replaced by `location`: host and repository of a place. */
static int rewrite(const char *name, const char *prefix, const char *location, struct reg_place *p,
                   struct bh_err *err) {
    char whole[BH_REF_TEXT_SIZE];
    const char *rest = location && !bh_str_starts(prefix, "*.") ? name + strlen(prefix) : name;
    const char *slash;

    if (snprintf(whole, sizeof whole, "%s%s", rest == name ? "" : location, rest) >= (int)sizeof whole)
        return bh_err_set(err, BH_E_INVALID, "%s: too long when rewritten by registries.conf", name);
    slash = strchr(whole, '/');
    if (!slash || !slash[1] || !bh_str_copy_n(p->name, sizeof p->name, whole, (size_t)(slash - whole)) ||
        !bh_str_copy(p->path, sizeof p->path, slash + 1))
        return bh_err_set(err, BH_E_INVALID, "%s: registries.conf leads to \"%s\", which is no repository", name,
                          whole);
    if (is_hub(p->name))
        (void)bh_str_copy(p->name, sizeof p->name, HUB);
    (void)bh_str_copy(p->host, sizeof p->host, is_hub(p->name) ? HUB_HOST : p->name);
    return 0;
}

static int set_terms(const struct reg_conf *c, bool insecure, const struct reg_route_options *o, struct reg_place *p,
                     struct bh_err *err) {
    bool verify = o->tls_verify == 1 || (o->tls_verify == 0 && !insecure);

    p->may_plain = !verify || (o->tls_verify == 0 && reg_host_is_loopback(p->host));
    return reg_conf_tls(c, p->host, verify, &p->tls, err);
}

static bool mirror_serves(const struct reg_mirror *m, const struct bh_ref *ref) {
    bool by_digest = ref->digest[0] != '\0';

    return m->pull_from == REG_FROM_ALL || (m->pull_from == REG_FROM_DIGEST) == by_digest;
}

static int add_mirrors(const struct reg_conf *c, const struct reg_rule *rule, const struct bh_ref *ref,
                       const char *name, const struct reg_route_options *o, struct reg_places *out,
                       struct bh_err *err) {
    for (size_t i = 0; i < rule->n_mirrors && out->n + 1 < REG_MAX_PLACES; i++) {
        const struct reg_mirror *m = &rule->mirrors[i];
        struct reg_place *p = &out->v[out->n];
        /* A prefix with a wildcard stands for its host as written. */
        char host[BH_REF_DOMAIN_MAX + 1];
        const char *prefix = rule->prefix;
        if (!mirror_serves(m, ref))
            continue;
        if (bh_str_starts(prefix, "*.")) {
            (void)bh_str_copy(host, sizeof host, ref->domain);
            prefix = host;
        }
        *p = (struct reg_place){.mirror = true};
        if (rewrite(name, prefix, m->location, p, err) != 0 || set_terms(c, m->insecure, o, p, err) != 0)
            return err->code;
        out->n++;
    }
    return 0;
}

static int check_allowed(const struct reg_conf *c, const struct reg_rule *rule, const char *name,
                         const struct reg_route_options *o, struct bh_err *err) {
    if (rule && rule->blocked) {
        bh_err_set(err, BH_E_DENIED, "%s: the registry is blocked by registries.conf (prefix \"%s\")", name,
                   rule->prefix);
        return bh_err_reason(err, "blocked");
    }
    if (o->tls_verify == 2 && !o->admin && !c->settings.insecure_by_user && !(rule && rule->insecure)) {
        bh_err_set(err, BH_E_DENIED, "%s: TLS verification can be left out by administrators only", name);
        bh_err_reason(err, "tls-policy");
        return bh_err_hint(err,
                           "set `insecure = true` for the host in registries.conf, or insecure_by_user in [registry]");
    }
    return 0;
}

int reg_route(const struct reg_conf *conf, const struct bh_ref *ref, const struct reg_route_options *options,
              struct reg_places *out, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];
    const struct reg_rule *rule;
    struct reg_place *p;

    bh_ref_name(ref, name);
    rule = reg_rule_for(conf, name);
    out->n = 0;
    if (check_allowed(conf, rule, name, options, err) != 0)
        return err->code;
    if (rule && (options->use == REG_PULL || options->use == REG_LIST) &&
        add_mirrors(conf, rule, ref, name, options, out, err) != 0)
        return err->code;
    p = &out->v[out->n];
    *p = (struct reg_place){.mirror = false};
    if (rewrite(name, rule ? rule->prefix : "", rule ? rule->location : NULL, p, err) != 0 ||
        set_terms(conf, rule && rule->insecure, options, p, err) != 0)
        return err->code;
    out->n++;
    return 0;
}

int reg_route_host(const struct reg_conf *conf, const char *host, const struct reg_route_options *options,
                   struct reg_place *out, struct bh_err *err) {
    const struct reg_rule *rule;
    struct reg_url url;
    char text[300];

    host = is_hub(host) ? HUB : host;
    snprintf(text, sizeof text, "https://%s/", host);
    *out = (struct reg_place){.mirror = false};
    if (strpbrk(host, "/@?#") || reg_url_parse(text, NULL, &url, err) != 0 ||
        !bh_str_copy(out->name, sizeof out->name, host)) {
        bh_err_clear(err);
        return bh_err_set(err, BH_E_INVALID, "\"%s\" is no host of a registry", host);
    }
    rule = reg_rule_for(conf, host);
    snprintf(out->host, sizeof out->host, "%s", strcmp(host, HUB) == 0 ? HUB_HOST : host);
    if (check_allowed(conf, rule, host, options, err) != 0)
        return err->code;
    return set_terms(conf, rule && rule->insecure, options, out, err);
}

/* The terms of a host that nobody asked for by name: a redirect's, a token server's. */
int reg_terms_of(const struct reg_conf *conf, const struct reg_url *url, struct reg_terms *out, struct bh_err *err) {
    char host[300];
    const struct reg_rule *rule;

    if (url->port == (url->plain ? 80 : 443))
        snprintf(host, sizeof host, "%s", url->host);
    else
        snprintf(host, sizeof host, "%s:%u", url->host, url->port);
    rule = reg_rule_for(conf, host);
    out->proxy = reg_conf_proxy(conf, url);
    return reg_conf_tls(conf, host, !(rule && rule->insecure), &out->tls, err);
}
