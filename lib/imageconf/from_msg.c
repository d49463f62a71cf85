/*
 * from_msg.c - message to struct of lib/oci; see imageconf.h.
 */
#include "imageconf/imageconf.h"

#include <string.h>

typedef Bulkhead__Image__V1__RunConfig run_msg;
typedef Bulkhead__Image__V1__ImageConfig config_msg;

static struct bh_strlist list_from(size_t n, char **v, bool present) {
    return (struct bh_strlist){.present = present || n > 0, .n = n, .v = (const char **)v};
}

static int labels_from(const run_msg *m, struct bh_arena *arena, struct bh_pairs *out, struct bh_err *err) {
    out->present = (m->lists & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_LABELS) != 0 || m->n_labels > 0;
    for (size_t i = 0; i < m->n_labels; i++)
        /* again through the setter: order and uniqueness are not taken from the peer */
        if (bh_pairs_set(out, arena, m->labels[i]->key, m->labels[i]->value, err) != 0)
            return err->code;
    return 0;
}

static void health_from(const Bulkhead__Image__V1__Healthcheck *m, struct bh_healthcheck *out) {
    if (m == NULL)
        return;
    out->present = true;
    out->test = list_from(m->n_test, m->test, false);
    out->interval_ns = m->interval_ns;
    out->timeout_ns = m->timeout_ns;
    out->start_period_ns = m->start_period_ns;
    out->start_interval_ns = m->start_interval_ns;
    out->retries = m->retries;
}

int bh_imageconf_run_from_msg(const run_msg *m, struct bh_arena *arena, struct bh_run_config *out, struct bh_err *err) {
    struct bh_image_config empty;
    struct bh_run_config c;
    uint32_t l = m->lists;

    bh_image_config_init(&empty);
    c = empty.config;
    c.user = m->user;
    c.working_dir = m->working_dir;
    c.hostname = m->hostname;
    c.domainname = m->domainname;
    c.stop_signal = m->stop_signal;
    c.env = list_from(m->n_env, m->env, (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_ENV) != 0);
    c.entrypoint = list_from(m->n_entrypoint, m->entrypoint, (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_ENTRYPOINT) != 0);
    c.cmd = list_from(m->n_cmd, m->cmd, (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_CMD) != 0);
    c.on_build = list_from(m->n_on_build, m->on_build, (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_ON_BUILD) != 0);
    c.shell = list_from(m->n_shell, m->shell, (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_SHELL) != 0);
    c.exposed_ports.present = (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_EXPOSED_PORTS) != 0;
    c.volumes.present = (l & BULKHEAD__IMAGE__V1__LIST_BIT__LIST_VOLUMES) != 0;
    for (size_t i = 0; i < m->n_exposed_ports; i++)
        if (bh_strlist_add_sorted(&c.exposed_ports, arena, m->exposed_ports[i], err) != 0)
            return err->code;
    for (size_t i = 0; i < m->n_volumes; i++)
        if (bh_strlist_add_sorted(&c.volumes, arena, m->volumes[i], err) != 0)
            return err->code;
    if (labels_from(m, arena, &c.labels, err) != 0)
        return err->code;
    health_from(m->healthcheck, &c.healthcheck);
    c.args_escaped = m->args_escaped;
    c.has_stop_timeout = m->has_stop_timeout;
    c.stop_timeout = m->stop_timeout;
    *out = c;
    return 0;
}

static int diff_ids_from(const config_msg *m, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    if (m->n_diff_ids == 0)
        return 0;
    out->diff_ids = bh_oci_alloc(arena, m->n_diff_ids * sizeof *out->diff_ids, err);
    if (out->diff_ids == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_diff_ids; i++) {
        if (bh_digest_parse(m->diff_ids[i], &out->diff_ids[i], err) != 0)
            return bh_err_prefix(err, "diff_ids[%zu]", i);
        if (out->diff_ids[i].alg != BH_DIGEST_SHA256) {
            bh_err_set(err, BH_E_INVALID, "diff_ids[%zu]: only sha256 digests name layers", i);
            return bh_err_reason(err, "invalid-config");
        }
    }
    out->n_diff_ids = m->n_diff_ids;
    return 0;
}

static int history_from(const config_msg *m, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    if (m->n_history == 0)
        return 0;
    out->history = bh_oci_alloc(arena, m->n_history * sizeof *out->history, err);
    if (out->history == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_history; i++)
        out->history[i] = (struct bh_history){
            .created = m->history[i]->created,
            .created_by = m->history[i]->created_by,
            .author = m->history[i]->author,
            .comment = m->history[i]->comment,
            .empty_layer = m->history[i]->empty_layer,
        };
    out->n_history = m->n_history;
    return 0;
}

int bh_imageconf_from_msg(const config_msg *m, struct bh_arena *arena, struct bh_image_config *out,
                          struct bh_err *err) {
    struct bh_image_config c;

    bh_image_config_init(&c);
    c.created = m->created;
    c.created_ns = m->created_ns;
    c.author = m->author;
    c.comment = m->comment;
    if (m->platform != NULL) {
        c.os = m->platform->os;
        c.architecture = m->platform->architecture;
        c.variant = m->platform->variant;
        c.os_version = m->platform->os_version;
    }
    c.os_features = list_from(m->n_os_features, m->os_features, false);
    c.build_cache = list_from(m->n_build_cache, m->build_cache, false);
    if (m->config != NULL && bh_imageconf_run_from_msg(m->config, arena, &c.config, err) != 0)
        return err->code;
    if (diff_ids_from(m, arena, &c, err) != 0 || history_from(m, arena, &c, err) != 0)
        return err->code;
    *out = c;
    return 0;
}
