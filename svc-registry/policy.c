/*
 * policy.c - policy.json: which images may be taken at all.
 *
 * Room: registry.  The administrator's file.  Strict as its specification asks: an unknown or doubled key refuses the
 * file.  What asks for signatures is refused at the image, by name of the requirement: it cannot be verified yet, and
 * what cannot be verified is not taken.
 * Source: containers-policy.json(5).
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"
#include "svc-registry/conf_priv.h"

#define FILE_NAME "policy.json"
#define MAX_RULES 1000
#define MAX_TERMS 20

static int read_requirement(struct reg_conf *c, const struct bh_json_at *at, struct reg_policy_rule *r,
                            struct bh_err *err) {
    const char *type = "";

    if (bh_json_need_object(at, err) != 0 || bh_json_str(at, "type", BH_TEXT_LINE, &c->arena, &type, err) != 0)
        return err->code;
    if (strcmp(type, "insecureAcceptAnything") == 0)
        return 0;
    if (strcmp(type, "reject") == 0) {
        r->kind = REG_POLICY_REJECT;
        return 0;
    }
    if (strcmp(type, "signedBy") != 0 && strcmp(type, "sigstoreSigned") != 0 && strcmp(type, "signedBaseLayer") != 0)
        return bh_json_fail(at, err, "the type \"%s\" is not known", type);
    if (r->kind == REG_POLICY_ACCEPT) {
        r->kind = REG_POLICY_UNKNOWN;
        r->type = type;
    }
    return 0;
}

/* All requirements of a list must hold; an empty list is not allowed. */
static int read_list(struct reg_conf *c, const struct bh_json_at *at, struct reg_policy_rule *r, struct bh_err *err) {
    if (bh_json_need_array(at, MAX_TERMS, "requirements", err) != 0)
        return err->code;
    if (json_array_size(at->v) == 0)
        return bh_json_fail(at, err, "a list of requirements cannot be empty");
    for (size_t i = 0; i < json_array_size(at->v); i++) {
        struct bh_json_at e = bh_json_element(at, i);
        if (read_requirement(c, &e, r, err) != 0)
            return err->code;
    }
    return 0;
}

static int add(struct reg_conf *c, const struct bh_json_at *list, bool transport, const char *scope,
               struct bh_err *err) {
    struct reg_policy_rule *r = &c->policy[c->n_policy];

    *r = (struct reg_policy_rule){.transport = transport, .scope = reg_conf_keep(c, scope, strlen(scope), err)};
    if (!r->scope || read_list(c, list, r, err) != 0)
        return err->code;
    c->n_policy++;
    return 0;
}

static int read_docker(struct reg_conf *c, const struct bh_json_at *transports, struct bh_err *err) {
    struct bh_json_at docker;
    const char *scope;
    json_t *value;

    if (bh_json_need_object(transports, err) != 0)
        return err->code;
    if (!bh_json_member(transports, "docker", &docker))
        return 0;
    if (bh_json_need_object(&docker, err) != 0)
        return err->code;
    if (json_object_size(docker.v) > MAX_RULES)
        return bh_json_fail(&docker, err, "more than %d scopes", MAX_RULES);
    json_object_foreach((json_t *)docker.v, scope, value) {
        struct bh_json_at list;
        if (bh_json_member(&docker, scope, &list) && add(c, &list, true, scope, err) != 0)
            return err->code;
    }
    return 0;
}

int reg_policy_read(struct reg_conf *c, const char *text, size_t n, struct bh_err *err) {
    static const char *const known[] = {"default", "transports", NULL};
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_json_at root, part;

    if (bh_json_parse(text, n, BH_CONF_MAX_BYTES, FILE_NAME, &json, err) != 0)
        return err->code;
    root = bh_json_root(json, FILE_NAME);
    if (bh_json_need_object(&root, err) != 0 || bh_json_check_keys(&root, known, true, err) != 0)
        return err->code;
    c->policy = reg_conf_alloc(c, MAX_RULES + 2, sizeof *c->policy, err);
    if (!c->policy)
        return err->code;
    if (!bh_json_member(&root, "default", &part))
        return bh_json_fail(&root, err, "\"default\" is missing");
    if (add(c, &part, false, "", err) != 0)
        return err->code;
    return bh_json_member(&root, "transports", &part) ? read_docker(c, &part, err) : 0;
}

/* ---- asking ------------------------------------------------------------------------------------- */

static const struct reg_policy_rule *find(const struct reg_conf *c, const char *canonical) {
    const struct reg_policy_rule *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < c->n_policy; i++) {
        const struct reg_policy_rule *r = &c->policy[i];
        /* the overall default, then the transport's, then the longest scope */
        size_t n = !r->transport ? 1 : !*r->scope ? 2 : reg_prefix_fits(r->scope, canonical) + 2;
        if (r->transport && *r->scope && n == 2)
            continue;
        if (n > longest) {
            longest = n;
            best = r;
        }
    }
    return best;
}

int reg_policy_check(const struct reg_conf *conf, const char *canonical, struct bh_err *err) {
    const struct reg_policy_rule *r = find(conf, canonical);

    if (!r || r->kind == REG_POLICY_ACCEPT)
        return 0;
    if (r->kind == REG_POLICY_REJECT)
        bh_err_set(err, BH_E_DENIED, "%s: rejected by policy.json (scope \"%s\")", canonical, r->scope);
    else /* signatures are to be verified here */
        bh_err_set(err, BH_E_DENIED, "%s: policy.json asks for \"%s\" (scope \"%s\"), which cannot be verified",
                   canonical, r->type, r->scope);
    return bh_err_reason(err, "policy");
}
