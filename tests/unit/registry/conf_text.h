/*
 * conf_text.h - a configuration out of texts, as the supervisor hands it over.
 */
#ifndef TEST_CONF_TEXT_H
#define TEST_CONF_TEXT_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "svc-registry/conf.h"

struct conf_text {
    const char *config, *registries, *policy;
    const char *certs[4][2];    /* "HOST/ca.crt", text */
    const char *drop_ins[4][2]; /* of registries.conf.d: "10-name.conf", text */
};

static inline void conf_add(struct bh_buf *out, const char *path, const char *text) {
    bh_buf_addf(out, "%s %zu\n%s", path, strlen(text), text);
}

static inline int conf_make(const struct conf_text *t, struct reg_conf **out, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf bundle = BH_BUF_INIT;
    char path[300];

    if (t->registries)
        conf_add(&bundle, "/etc/bulkhead/registries.conf", t->registries);
    for (size_t i = 0; i < 4 && t->drop_ins[i][0]; i++) {
        snprintf(path, sizeof path, "/etc/bulkhead/registries.conf.d/%s", t->drop_ins[i][0]);
        conf_add(&bundle, path, t->drop_ins[i][1]);
    }
    if (t->policy)
        conf_add(&bundle, "/etc/bulkhead/policy.json", t->policy);
    for (size_t i = 0; i < 4 && t->certs[i][0]; i++) {
        snprintf(path, sizeof path, "/etc/bulkhead/certs.d/%s", t->certs[i][0]);
        conf_add(&bundle, path, t->certs[i][1]);
    }
    const char *config = t->config ? t->config : "";
    return reg_conf_make(config, strlen(config), bh_buf_str(&bundle), bundle.len, out, err);
}

#endif
