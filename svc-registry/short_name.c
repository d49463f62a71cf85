/*
 * short_name.c - see short_name.h.
 *
 * Room: registry.  Source: podman's rules of short names where nobody can be asked (containers-registries.conf(5)).
 */
#include "svc-registry/short_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/conf_priv.h"

bool reg_has_domain(const char *text) {
    size_t n = strcspn(text, "/");

    if (text[n] != '/')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.' || text[i] == ':' || (text[i] >= 'A' && text[i] <= 'Z'))
            return true;
    }
    return n == 9 && strncmp(text, "localhost", n) == 0;
}

/* The last that was read counts; an empty target takes an alias away. */
static const struct reg_alias *alias_of(const struct reg_conf *conf, const char *text, size_t n) {
    for (size_t i = conf->n_aliases; i-- > 0;) {
        const struct reg_alias *a = &conf->aliases[i];

        if (strlen(a->name) == n && strncmp(a->name, text, n) == 0)
            return *a->target ? a : NULL;
    }
    return NULL;
}

static int by_alias(const struct reg_alias *alias, const char *text, size_t n, struct reg_meanings *out,
                    struct bh_err *err) {
    char whole[BH_REF_TEXT_SIZE];

    if (snprintf(whole, sizeof whole, "%s%s", alias->target, text + n) >= (int)sizeof whole)
        return bh_err_set(err, BH_E_INVALID, "%s: too long", text);
    snprintf(out->note, sizeof out->note, "Resolved \"%.*s\" as an alias", (int)(n > 100 ? 100 : n), text);
    out->n = 1;
    return bh_ref_parse(whole, &out->v[0], err);
}

static int at_registry(const char *registry, const char *text, struct bh_ref *out, struct bh_err *err) {
    char whole[BH_REF_TEXT_SIZE];

    if (snprintf(whole, sizeof whole, "%s/%s", registry, text) >= (int)sizeof whole)
        return bh_err_set(err, BH_E_INVALID, "%s: too long", text);
    return bh_ref_parse(whole, out, err);
}

int reg_meanings_of(const struct reg_conf *conf, const char *text, struct reg_meanings *out, struct bh_err *err) {
    size_t n = strcspn(text, ":@");
    const struct reg_alias *alias = alias_of(conf, text, n);

    out->note[0] = '\0';
    out->n = 1;
    if (reg_has_domain(text))
        return bh_ref_parse(text, &out->v[0], err);
    if (alias != NULL)
        return by_alias(alias, text, n, out, err);
    if (conf->enforcing && conf->n_search > 1) {
        bh_err_set(err, BH_E_INVALID, "%s: a short name that could mean %s/%s or %s/%s", text, conf->search[0], text,
                   conf->search[1], text);
        return bh_err_hint(err,
                           "write the whole name, or have an alias in registries.conf (short-name-mode is enforcing)");
    }
    if (conf->n_search == 0)
        return bh_ref_parse(text, &out->v[0], err);
    for (out->n = 0; out->n < conf->n_search; out->n++)
        if (at_registry(conf->search[out->n], text, &out->v[out->n], err) != 0)
            return err->code;
    return 0;
}

int reg_complete(const struct reg_conf *conf, const char *text, struct bh_ref *out, char out_note[256],
                 struct bh_err *err) {
    BH_SCOPE_FREE struct reg_meanings *m = bh_xcalloc(1, sizeof *m);

    if (reg_meanings_of(conf, text, m, err) != 0)
        return err->code;
    *out = m->v[0];
    memcpy(out_note, m->note, sizeof m->note);
    return 0;
}

/* ---- one after the other -------------------------------------------------------------------------- */

/* A registry that wants to be asked later is as good as one that cannot be reached. */
bool reg_meaning_next(const struct bh_err *err) {
    static const int codes[] = {BH_E_NOT_FOUND, BH_E_DENIED, BH_E_UNAUTHENTICATED, BH_E_UNAVAILABLE};

    for (size_t i = 0; i < BH_ARRAY_LEN(codes); i++)
        if (err->code == codes[i])
            return true;
    return err->code == BH_E_LIMIT && strcmp(err->reason, "too-many-requests") == 0;
}

/* "Not found" is the word for all only when every registry said so.  A long word of one leaves room for the others. */
static int found_nowhere(const struct reg_meanings *m, const struct bh_err *errs, size_t n, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf all = BH_BUF_INIT_MAX(sizeof err->msg);
    size_t share = (sizeof err->msg - 64) / n;
    const struct bh_err *chosen = &errs[0];

    for (size_t i = n; i-- > 0;)
        chosen = errs[i].code != BH_E_NOT_FOUND ? &errs[i] : chosen;
    for (size_t i = 0; i < n; i++) {
        bool named = strstr(errs[i].msg, m->v[i].domain) != NULL;
        char said[sizeof err->msg];

        snprintf(said, sizeof said, "%s%s%s%s", i > 0 ? "; " : "", named ? "" : m->v[i].domain, named ? "" : ": ",
                 errs[i].msg);
        bh_buf_add(&all, said, strnlen(said, share));
    }
    *err = *chosen;
    snprintf(err->msg, sizeof err->msg, "tried %zu registries: %s", n, bh_buf_str(&all));
    return err->code;
}

int reg_each_meaning(const struct reg_meanings *m, reg_with_meaning *ask, void *arg, size_t *out_i,
                     struct bh_err *err) {
    BH_SCOPE_FREE struct bh_err *errs = bh_xcalloc(m->n, sizeof *errs);

    for (size_t i = 0; i < m->n; i++) {
        bool found = false;

        if (ask(arg, &m->v[i], &found, &errs[i]) == 0) {
            if (out_i != NULL)
                *out_i = i;
            return 0;
        }
        if (found || !reg_meaning_next(&errs[i])) {
            if (i > 0 && !found && errs[i].code != BH_E_CANCELLED)
                return found_nowhere(m, errs, i + 1, err);
            *err = errs[i];
            return err->code;
        }
    }
    if (m->n > 1)
        return found_nowhere(m, errs, m->n, err);
    *err = errs[0];
    return err->code;
}
