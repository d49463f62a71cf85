/*
 * certs.c - TLS terms of each host out of certs.d: HOST[:PORT]/{*.crt, NAME.cert, NAME.key}.
 *
 * Room: registry.  Administrators' files, read as OpenSSL reads PEM.
 */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/conf_priv.h"

static int add_host(struct reg_conf *c, struct reg_certs **end, const char *host, const struct reg_tls_parts *parts,
                    struct bh_err *err) {
    struct reg_certs *made = bh_xcalloc(1, sizeof *made);

    *end = made; /* freed with the snapshot, also when half made */
    made->host = reg_conf_keep(c, host, strlen(host), err);
    if (!made->host || reg_tls_new(parts, false, &made->tls[0], err) != 0 ||
        reg_tls_new(parts, true, &made->tls[1], err) != 0)
        return err->code;
    return 0;
}

/* The files of one host, which stand next to each other from files[0] on. */
static int read_host(struct reg_conf *c, struct reg_certs **end, const struct reg_cert_file *files, size_t n,
                     struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf ca = BH_BUF_INIT;
    struct reg_tls_parts parts = {0};
    char dir[300];

    snprintf(dir, sizeof dir, "certs.d/%s", files->host);
    parts.dir = dir;
    for (size_t i = 0; i < n; i++) {
        if (bh_str_ends(files[i].name, ".crt"))
            bh_buf_addf(&ca, "%s\n", files[i].text);
        if (bh_str_ends(files[i].name, ".cert") && !parts.cert)
            parts.cert = files[i].text;
        if (bh_str_ends(files[i].name, ".key") && !parts.key)
            parts.key = files[i].text;
    }
    parts.ca = ca.len > 0 ? bh_buf_str(&ca) : NULL;
    return add_host(c, end, files->host, &parts, err);
}

int reg_certs_read(struct reg_conf *c, const struct reg_cert_file *files, size_t n, struct bh_err *err) {
    static const struct reg_tls_parts none = {.dir = "certs.d"};
    struct reg_certs **end = &c->certs;

    for (size_t i = 0, next; i < n; i = next) { /* glob() sorted them */
        for (next = i; next < n && strcmp(files[next].host, files[i].host) == 0; next++)
            continue;
        if (read_host(c, end, files + i, next - i, err) != 0)
            return err->code;
        end = &(*end)->next;
    }
    return add_host(c, end, "", &none, err);
}

void reg_certs_free(struct reg_certs *list) {
    while (list) {
        struct reg_certs *next = list->next;
        reg_tls_free(list->tls[0]);
        reg_tls_free(list->tls[1]);
        free(list);
        list = next;
    }
}

int reg_conf_tls(const struct reg_conf *conf, const char *host_port, bool verify, const struct reg_tls **out,
                 struct bh_err *err) {
    const struct reg_certs *at = conf->certs;

    (void)err;
    while (*at->host && strcmp(at->host, host_port) != 0)
        at = at->next;
    *out = at->tls[verify];
    return 0;
}
