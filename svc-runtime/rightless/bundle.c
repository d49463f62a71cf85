/*
 * bundle.c - see bundle.h.
 *
 * Room: a child of launch without rights.
 */
#include "rightless/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "rightless/confine.h"
#include "rightless/process.h"

#define MAX_JSON ((size_t)16 << 20) /* what launch's folder for it holds */

unsigned lnc_bundle_count(const struct lnc_bundle *b) {
    return b->q->exec_id[0] != 0 ? LNC_BUNDLE_HOSTS : LNC_BUNDLE_FILES + b->oci.spec->n_files;
}

struct lnc_bundle_place lnc_bundle_place(const struct lnc_bundle *b, unsigned i) {
    static const char *const names[] = {"", "bundle/config.json", "hosts", "hostname", "resolv.conf"};
    struct lnc_bundle_place p = {.mode = 0644};

    if (i == LNC_BUNDLE_ORDERS || (i == LNC_BUNDLE_CONFIG && b->enter))
        return p;
    if (i == LNC_BUNDLE_CONFIG) {
        snprintf(p.path, sizeof(p.path), "%s/%s", b->oci.stage,
                 b->q->exec_id[0] != 0 ? "bundle/process.json" : names[i]);
        return p;
    }
    p.uid = p.gid = b->oci.base;
    if (i < LNC_BUNDLE_FILES) {
        snprintf(p.path, sizeof(p.path), "%s/%s", b->oci.stage, names[i]);
        return p;
    }
    const struct rt_file *f = &b->oci.spec->files[i - LNC_BUNDLE_FILES];
    snprintf(p.path, sizeof(p.path), "%s/file%u", b->oci.stage, i - LNC_BUNDLE_FILES);
    p.socket = f->socket;
    p.mode = f->mode & 0777;
    p.uid += f->uid % LNC_IDS;
    p.gid += f->gid % LNC_IDS;
    return p;
}

static int check(const struct lnc_oci *o, struct bh_err *err) {
    const struct lnc_user *u = o->user;

    if (u->n_groups > BH_ARRAY_LEN(u->groups) || memchr(u->home, 0, sizeof(u->home)) == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the answer about the user of the process cannot be read");
    if (o->userns && (u->uid >= LNC_IDS || u->gid >= LNC_IDS))
        return bh_err_set(err, BH_E_INVALID, "user %u:%u is outside the container's range of %u ids", u->uid, u->gid,
                          LNC_IDS);
    if (o->base != 0 && o->spec->flags & RT_PID_HOST)
        return bh_err_set(err, BH_E_INVALID,
                          "--pid=host needs --userns=host as well: the host's processes have other ids");
    return 0;
}

static int put(unsigned which, const void *data, size_t n, struct bh_err *err) {
    return bh_write_all(RLS_FD + (int)which, data, n) == 0
               ? 0
               : bh_err_errno(err, errno, "write the configuration of the container");
}

int lnc_bundle_write(const void *arg, void *out, struct bh_err *err) {
    static struct rt_monitor_orders orders;
    struct lnc_bundle b = *(const struct lnc_bundle *)arg;
    bool exec = b.q->exec_id[0] != 0;
    struct bh_buf json = BH_BUF_INIT_MAX(MAX_JSON);
    struct lnc_texts texts;

    (void)out;
    if (lnc_host_look(&b.oci, err) != 0)
        return err->code;
    if (!exec)
        lnc_texts_write(b.oci.spec, &texts);
    if (lnc_confine(MAX_JSON, err) != 0 || check(&b.oci, err) != 0)
        return err->code;
    (b.enter ? lnc_process_enter : exec ? lnc_oci_process : lnc_oci_config)(&json, &b.oci);
    if (bh_buf_failed(&json))
        return bh_err_set(err, BH_E_LIMIT, "the configuration of the container is too long");
    lnc_orders_fill(&b, &orders);
    if (put(LNC_BUNDLE_ORDERS, &orders, sizeof(orders), err) != 0 ||
        put(LNC_BUNDLE_CONFIG, json.data, json.len, err) != 0)
        return err->code;
    if (!exec && (put(LNC_BUNDLE_HOSTS, texts.hosts.data, texts.hosts.len, err) != 0 ||
                  put(LNC_BUNDLE_HOSTNAME, texts.hostname.data, texts.hostname.len, err) != 0 ||
                  put(LNC_BUNDLE_RESOLV, texts.resolv.data, texts.resolv.len, err) != 0))
        return err->code;
    for (uint32_t i = 0; !exec && i < b.oci.spec->n_files; i++)
        if (put(LNC_BUNDLE_FILES + i, b.oci.spec->files[i].data, b.oci.spec->files[i].n, err) != 0)
            return err->code;
    return 0;
}
