/*
 * registries.c - reads registries.conf (version 2): rules by prefix, mirrors, search registries, aliases.
 *
 * Room: registry.  The administrator's files: after registries.conf come those of registries.conf.d, in order; a rule
 * for the same prefix, an alias of the same name, a list of search registries take the place of what came before.
 * Strict: a key that is not known is an error, because a typing error in `blocked` must not pass for "allowed".  Keys
 * of other engines that mean nothing here are accepted by name.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/ref.h"
#include "svc-registry/conf_priv.h"
#include "svc-registry/short_name.h"

#define MAX_MIRRORS 20

static int say(struct bh_conf_table *t, const char *key, const char *text, struct bh_err *err) {
    char where[300];

    bh_conf_where(t, key, where, sizeof where);
    bh_err_set(err, BH_E_INVALID, "%s: %s: %s", where, key ? key : "registry", text);
    return bh_err_reason(err, "invalid-config-file");
}

/* host[:port][/path], as a reference could start. */
static bool is_place(const char *text, bool wildcard) {
    char probe[BH_REF_TEXT_SIZE];
    struct bh_ref ref;
    struct bh_err ignored = BH_ERR_INIT;
    size_t host = strcspn(text, "/");

    if (wildcard && bh_str_starts(text, "*."))
        return text[2] && !strchr(text, '/') &&
               strspn(text + 2, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(text + 2);
    if (host == 0 || text[strlen(text) - 1] == '/' || strlen(text) > 400)
        return false;
    /* "host" alone is no reference: give it a path; a dot or port makes the first piece a host. */
    bool plain = strcspn(text, ".:") >= host && strncmp(text, "localhost", host) != 0 && text[0] != '[';
    snprintf(probe, sizeof probe, "%.*s%s%s/x", (int)host, text, plain ? ":1" : "", text + host);
    return bh_ref_parse(probe, &ref, &ignored) == 0 && !ref.tag[0] && !ref.digest[0];
}

static int get_place(struct reg_conf *c, struct bh_conf_table *t, const char *key, bool wildcard, const char **out,
                     struct bh_err *err) {
    const char *s = NULL;
    int rc = bh_conf_get_str(t, key, &s, err);

    if (rc != 1)
        return rc;
    if (!is_place(s, wildcard))
        return say(t, key, "is not of the form HOST[:PORT][/PATH]", err);
    *out = reg_conf_keep(c, s, strlen(s), err);
    return *out ? 1 : err->code;
}

static int read_mirror(struct reg_conf *c, struct bh_conf_table *t, bool digest_only, struct reg_mirror *m,
                       struct bh_err *err) {
    static const char *const words[] = {"all", "digest-only", "tag-only"};
    const char *from = NULL;
    int rc;

    if (bh_conf_only_keys(t, " location insecure pull-from-mirror ", err) < 0 ||
        bh_conf_get_bool(t, "insecure", &m->insecure, err) < 0)
        return err->code;
    rc = get_place(c, t, "location", false, &m->location, err);
    if (rc != 1)
        return rc < 0 ? rc : say(t, NULL, "a mirror needs a location", err);
    rc = bh_conf_get_str(t, "pull-from-mirror", &from, err);
    m->pull_from = digest_only ? REG_FROM_DIGEST : REG_FROM_ALL;
    if (rc != 1)
        return rc;
    if (digest_only)
        return say(t, "pull-from-mirror", "cannot stand with mirror-by-digest-only", err);
    for (unsigned i = 0; i < BH_ARRAY_LEN(words); i++) {
        if (strcmp(from, words[i]) == 0) {
            m->pull_from = (enum reg_pull_from)i;
            return 0;
        }
    }
    return say(t, "pull-from-mirror", "is not all, digest-only or tag-only", err);
}

static int read_mirrors(struct reg_conf *c, struct bh_conf_table *t, bool digest_only, struct reg_rule *r,
                        struct bh_err *err) {
    long n = bh_conf_tables(t, "mirror", err);

    if (n < 0)
        return (int)n;
    if (n > MAX_MIRRORS)
        return say(t, "mirror", "more than 20 mirrors", err);
    r->mirrors = reg_conf_alloc(c, (size_t)n, sizeof *r->mirrors, err);
    for (; r->mirrors && r->n_mirrors < (size_t)n; r->n_mirrors++) {
        if (read_mirror(c, bh_conf_table_at(t, "mirror", r->n_mirrors), digest_only, &r->mirrors[r->n_mirrors], err) !=
            0)
            return err->code;
    }
    return r->mirrors ? 0 : err->code;
}

static int read_rule(struct reg_conf *c, struct bh_conf_table *t, struct reg_rule *r, struct bh_err *err) {
    bool digest_only = false;

    if (bh_conf_only_keys(t, " prefix location insecure blocked mirror mirror-by-digest-only ", err) < 0 ||
        bh_conf_get_bool(t, "insecure", &r->insecure, err) < 0 ||
        bh_conf_get_bool(t, "blocked", &r->blocked, err) < 0 ||
        bh_conf_get_bool(t, "mirror-by-digest-only", &digest_only, err) < 0 ||
        get_place(c, t, "prefix", true, &r->prefix, err) < 0 ||
        get_place(c, t, "location", false, &r->location, err) < 0)
        return err->code;
    if (!r->prefix && !r->location)
        return say(t, NULL, "needs a prefix or a location", err);
    if (!r->prefix)
        r->prefix = r->location;
    if (r->location && bh_str_starts(r->prefix, "*."))
        return say(t, "location", "cannot stand with a prefix that starts with \"*.\"", err);
    return read_mirrors(c, t, digest_only, r, err);
}

/* Room for n more behind the n_old that earlier files gave. */
static void *grow(struct reg_conf *c, const void *old, size_t n_old, size_t n, size_t size, struct bh_err *err) {
    void *p = reg_conf_alloc(c, n_old + n, size, err);

    if (p && n_old > 0)
        memcpy(p, old, n_old * size);
    return p;
}

/* The place of the rule with this prefix, or behind the last. */
static size_t rule_at(const struct reg_conf *c, const char *prefix) {
    size_t i = 0;

    while (i < c->n_rules && strcmp(c->rules[i].prefix, prefix) != 0)
        i++;
    return i;
}

static int read_rules(struct reg_conf *c, struct bh_conf_table *top, struct bh_err *err) {
    long n = bh_conf_tables(top, "registry", err);

    if (n < 0)
        return (int)n;
    BH_SCOPE_FREE bool *own = bh_xcalloc(c->n_rules + (size_t)n + 1, sizeof *own);
    c->rules = grow(c, c->rules, c->n_rules, (size_t)n, sizeof *c->rules, err);
    for (size_t i = 0; c->rules && i < (size_t)n; i++) {
        struct reg_rule r = {0};
        struct bh_conf_table *t = bh_conf_table_at(top, "registry", i);
        if (read_rule(c, t, &r, err) != 0)
            return err->code;
        size_t at = rule_at(c, r.prefix);
        if (own[at])
            return say(t, NULL, "another [[registry]] has the same prefix", err);
        own[at] = true;
        c->n_rules += at == c->n_rules;
        c->rules[at] = r;
    }
    return c->rules ? 0 : err->code;
}

static int read_search(struct reg_conf *c, struct bh_conf_table *top, struct bh_err *err) {
    const char *const *list = NULL;
    size_t n = 0;
    int rc = bh_conf_get_strlist(top, "unqualified-search-registries", &list, &n, err);

    if (rc != 1)
        return rc;
    if (n > REG_MAX_SEARCH)
        return say(top, "unqualified-search-registries", "more than 20 registries", err);
    c->search = reg_conf_alloc(c, n, sizeof *c->search, err);
    for (size_t i = 0; c->search && i < n; i++) {
        if (!is_place(list[i], false))
            return say(top, "unqualified-search-registries", "an entry is no host", err);
        c->search[i] = reg_conf_keep(c, list[i], strlen(list[i]), err);
        if (!c->search[i])
            return err->code;
    }
    c->n_search = n;
    return c->search ? 0 : err->code;
}

/* An empty target takes an alias of an earlier file away. */
static int read_alias(struct reg_conf *c, struct bh_conf_table *t, const char *name, struct reg_alias *a,
                      struct bh_err *err) {
    const char *target = NULL;
    int rc;

    if (strchr(name, ':') || strchr(name, '@') || reg_has_domain(name))
        return say(t, name, "is no short name", err);
    rc = bh_conf_get_str(t, name, &target, err);
    if (rc != 1)
        return rc < 0 ? rc : say(t, name, "has no target", err);
    if (*target && (!is_place(target, false) || !strchr(target, '/')))
        return say(t, name, "leads to no full name of a repository", err);
    a->name = reg_conf_keep(c, name, strlen(name), err);
    a->target = a->name ? reg_conf_keep(c, target, strlen(target), err) : NULL;
    return a->target ? 0 : err->code;
}

static int read_aliases(struct reg_conf *c, struct bh_conf_table *top, struct bh_err *err) {
    struct bh_conf_table *t = NULL;
    int rc = bh_conf_get_table(top, "aliases", &t, err);
    size_t n = 0;

    if (rc != 1)
        return rc;
    while (bh_conf_key_at(t, n))
        n++;
    c->aliases = grow(c, c->aliases, c->n_aliases, n, sizeof *c->aliases, err);
    for (size_t i = 0; c->aliases && i < n; i++) {
        if (read_alias(c, t, bh_conf_key_at(t, i), &c->aliases[c->n_aliases], err) != 0)
            return err->code;
        c->n_aliases++;
    }
    return c->aliases ? 0 : err->code;
}

static int read_mode(struct reg_conf *c, struct bh_conf_table *top, struct bh_err *err) {
    const char *mode = NULL;
    int rc = bh_conf_get_str(top, "short-name-mode", &mode, err);

    if (rc != 1)
        return rc;
    c->enforcing = strcmp(mode, "enforcing") == 0;
    if (!c->enforcing && strcmp(mode, "permissive") != 0 && strcmp(mode, "disabled") != 0)
        return say(top, "short-name-mode", "is not enforcing, permissive or disabled", err);
    return 0;
}

/* Helpers that podman would start: here credentials are the client's business, so the names are only looked at. */
static int check_helpers(struct bh_conf_table *top, struct bh_err *err) {
    const char *const *list;
    size_t n;

    return bh_conf_get_strlist(top, "credential-helpers", &list, &n, err);
}

int reg_registries_read(struct reg_conf *c, const char *name, const char *text, size_t n, struct bh_err *err) {
    BH_SCOPE_CONF struct bh_conf *parsed = NULL;

    if (bh_conf_parse(text, n, name, &parsed, err) != 0)
        return err->code;
    struct bh_conf_table *top = bh_conf_root(parsed);
    for (size_t i = 0; bh_conf_key_at(top, i); i++) {
        if (strcmp(bh_conf_key_at(top, i), "registries") == 0)
            return say(top, "registries", "this is the old form of the file (version 1): write [[registry]] tables",
                       err);
    }
    if (bh_conf_only_keys(top,
                          " registry unqualified-search-registries aliases short-name-mode credential-helpers"
                          " additional-layer-store-auth-helper ",
                          err) < 0 ||
        read_rules(c, top, err) != 0 || read_search(c, top, err) < 0 || read_aliases(c, top, err) < 0 ||
        read_mode(c, top, err) < 0 || check_helpers(top, err) < 0)
        return err->code;
    return 0;
}

/* ---- which rule --------------------------------------------------------------------------------- */

size_t reg_prefix_fits(const char *prefix, const char *name) {
    size_t n = strlen(prefix), host = strcspn(name, "/");

    if (bh_str_starts(prefix, "*.")) {
        size_t bare = host; /* the port is not looked at */
        for (size_t i = 0; i < host; i++)
            bare = name[i] == ':' ? i : bare;
        return bare > n - 1 && strncmp(name + bare - (n - 1), prefix + 1, n - 1) == 0 ? n : 0;
    }
    if (strncmp(name, prefix, n) != 0)
        return 0;
    /* Whole pieces: "a.example/team" does not cover "a.example/teamwork". */
    bool ends = n > host ? strchr("/:@", name[n]) != NULL : name[n] == '/';
    return ends || name[n] == '\0' ? n : 0;
}

const struct reg_rule *reg_rule_for(const struct reg_conf *c, const char *name) {
    const struct reg_rule *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < c->n_rules; i++) {
        size_t n = reg_prefix_fits(c->rules[i].prefix, name);
        if (n > longest) {
            longest = n;
            best = &c->rules[i];
        }
    }
    return best;
}
