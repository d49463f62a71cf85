/*
 * config_rpc.c - image configs: generated messages <-> struct bh_image_config.
 *
 * Room: runtime.  The configs come from the store, which had a worker reduce the image's JSON; digests
 * are parsed again here, everything else is moved.
 */
#include <string.h>

#include "base/mem.h"
#include "svc-runtime/convert_rpc.h"

typedef Bulkhead__Image__V1__ImageConfig config_msg;
typedef Bulkhead__Image__V1__RunConfig run_msg;
typedef Bulkhead__Image__V1__HistoryEntry history_msg;

#define LIST(bit) BULKHEAD__IMAGE__V1__LIST_BIT__LIST_##bit

/* ---- message -> plain -------------------------------------------------------------------------- */

static struct bh_strlist list_of(char **v, size_t n, uint32_t lists, unsigned bit) {
    struct bh_strlist out = rt_list_of(v, n);

    out.present = n > 0 || (lists & bit) != 0;
    return out;
}

static void health_of(const Bulkhead__Image__V1__Healthcheck *m, struct bh_healthcheck *out) {
    if (m == NULL)
        return;
    *out = (struct bh_healthcheck){.present = true,
                                   .test = rt_list_of(m->test, m->n_test),
                                   .interval_ns = m->interval_ns,
                                   .timeout_ns = m->timeout_ns,
                                   .start_period_ns = m->start_period_ns,
                                   .start_interval_ns = m->start_interval_ns,
                                   .retries = m->retries};
}

static int run_of(const run_msg *m, struct bh_arena *arena, struct bh_run_config *out, struct bh_err *err) {
    uint32_t lists = m->lists;

    out->user = m->user;
    out->working_dir = m->working_dir;
    out->hostname = m->hostname;
    out->domainname = m->domainname;
    out->stop_signal = m->stop_signal;
    out->env = list_of(m->env, m->n_env, lists, LIST(ENV));
    out->entrypoint = list_of(m->entrypoint, m->n_entrypoint, lists, LIST(ENTRYPOINT));
    out->cmd = list_of(m->cmd, m->n_cmd, lists, LIST(CMD));
    out->exposed_ports = list_of(m->exposed_ports, m->n_exposed_ports, lists, LIST(EXPOSED_PORTS));
    out->volumes = list_of(m->volumes, m->n_volumes, lists, LIST(VOLUMES));
    out->on_build = list_of(m->on_build, m->n_on_build, lists, LIST(ON_BUILD));
    out->shell = list_of(m->shell, m->n_shell, lists, LIST(SHELL));
    if (rt_pairs_of(m->labels, m->n_labels, arena, &out->labels, err) != 0)
        return err->code;
    out->labels.present = m->n_labels > 0 || (lists & LIST(LABELS)) != 0;
    health_of(m->healthcheck, &out->healthcheck);
    out->args_escaped = m->args_escaped;
    out->has_stop_timeout = m->has_stop_timeout;
    out->stop_timeout = m->stop_timeout;
    return 0;
}

static int diff_ids_of(const config_msg *m, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    out->diff_ids = bh_oci_alloc(arena, (m->n_diff_ids + 1) * sizeof *out->diff_ids, err);
    if (out->diff_ids == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_diff_ids; i++)
        if (bh_digest_parse(m->diff_ids[i], &out->diff_ids[i], err) != 0)
            return bh_err_prefix(err, "layer %zu of the image", i);
    out->n_diff_ids = m->n_diff_ids;
    return 0;
}

static int history_of(const config_msg *m, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    out->history = bh_oci_alloc(arena, (m->n_history + 1) * sizeof *out->history, err);
    if (out->history == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_history; i++) {
        const history_msg *h = m->history[i];

        out->history[i] = (struct bh_history){.created = h->created,
                                              .created_by = h->created_by,
                                              .author = h->author,
                                              .comment = h->comment,
                                              .empty_layer = h->empty_layer};
    }
    out->n_history = m->n_history;
    return 0;
}

int rt_config_of(const config_msg *m, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    struct bh_image_config c;

    bh_image_config_init(&c);
    c.created = m->created;
    c.created_ns = m->created_ns;
    c.author = m->author;
    c.comment = m->comment;
    c.os_features = rt_list_of(m->os_features, m->n_os_features);
    if (m->platform != NULL) {
        c.architecture = m->platform->architecture;
        c.variant = m->platform->variant;
        c.os = m->platform->os;
        c.os_version = m->platform->os_version;
    }
    if ((m->config != NULL && run_of(m->config, arena, &c.config, err) != 0) || diff_ids_of(m, arena, &c, err) != 0 ||
        history_of(m, arena, &c, err) != 0)
        return err->code;
    *out = c;
    return 0;
}

int rt_config_unpack(struct rt_blob packed, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    ProtobufCAllocator alloc = rt_arena_allocator(arena);
    const config_msg *msg = bulkhead__image__v1__image_config__unpack(&alloc, packed.n, packed.data);

    if (msg == NULL)
        return bh_err_set(err, BH_E_DATA_LOSS, "the stored config of a container cannot be read");
    return rt_config_of(msg, arena, out, err);
}

/* ---- plain -> message -------------------------------------------------------------------------- */

static void health_msg(const struct bh_healthcheck *h, Bulkhead__Image__V1__Healthcheck *m) {
    bulkhead__image__v1__healthcheck__init(m);
    m->n_test = h->test.n;
    m->test = (char **)h->test.v;
    m->interval_ns = h->interval_ns;
    m->timeout_ns = h->timeout_ns;
    m->start_period_ns = h->start_period_ns;
    m->start_interval_ns = h->start_interval_ns;
    m->retries = h->retries;
}

/* One list of strings: pointer, count, and its bit when it was there at all. */
static void put_list(const struct bh_strlist *l, char ***v, size_t *n, run_msg *m, unsigned bit) {
    *v = (char **)l->v;
    *n = l->n;
    if (l->present || l->n > 0)
        m->lists |= bit;
}

static int run_to(const struct bh_run_config *c, struct bh_arena *arena, run_msg *m, struct bh_err *err) {
    m->user = (char *)c->user;
    m->working_dir = (char *)c->working_dir;
    m->hostname = (char *)c->hostname;
    m->domainname = (char *)c->domainname;
    m->stop_signal = (char *)c->stop_signal;
    put_list(&c->env, &m->env, &m->n_env, m, LIST(ENV));
    put_list(&c->entrypoint, &m->entrypoint, &m->n_entrypoint, m, LIST(ENTRYPOINT));
    put_list(&c->cmd, &m->cmd, &m->n_cmd, m, LIST(CMD));
    put_list(&c->exposed_ports, &m->exposed_ports, &m->n_exposed_ports, m, LIST(EXPOSED_PORTS));
    put_list(&c->volumes, &m->volumes, &m->n_volumes, m, LIST(VOLUMES));
    put_list(&c->on_build, &m->on_build, &m->n_on_build, m, LIST(ON_BUILD));
    put_list(&c->shell, &m->shell, &m->n_shell, m, LIST(SHELL));
    m->labels = rt_pairs_msg(&c->labels, arena, err);
    if (m->labels == NULL)
        return err->code;
    m->n_labels = c->labels.n;
    if (c->labels.present || c->labels.n > 0)
        m->lists |= LIST(LABELS);
    m->args_escaped = c->args_escaped;
    m->has_stop_timeout = c->has_stop_timeout;
    m->stop_timeout = c->stop_timeout;
    return 0;
}

static int diff_ids_to(const struct bh_image_config *c, struct bh_arena *arena, config_msg *m, struct bh_err *err) {
    m->diff_ids = bh_oci_alloc(arena, (c->n_diff_ids + 1) * sizeof *m->diff_ids, err);
    if (m->diff_ids == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        char text[BH_DIGEST_TEXT_SIZE];

        bh_digest_format(&c->diff_ids[i], text);
        m->diff_ids[i] = (char *)bh_oci_strdup(arena, text, strlen(text), err);
        if (m->diff_ids[i] == NULL)
            return err->code;
    }
    m->n_diff_ids = c->n_diff_ids;
    return 0;
}

static int history_to(const struct bh_image_config *c, struct bh_arena *arena, config_msg *m, struct bh_err *err) {
    history_msg *all = bh_oci_alloc(arena, (c->n_history + 1) * sizeof *all, err);

    m->history = bh_oci_alloc(arena, (c->n_history + 1) * sizeof *m->history, err);
    if (m->history == NULL || all == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_history; i++) {
        const struct bh_history *h = &c->history[i];

        bulkhead__image__v1__history_entry__init(&all[i]);
        all[i].created = (char *)h->created;
        all[i].created_by = (char *)h->created_by;
        all[i].author = (char *)h->author;
        all[i].comment = (char *)h->comment;
        all[i].empty_layer = h->empty_layer;
        m->history[i] = &all[i];
    }
    m->n_history = c->n_history;
    return 0;
}

struct config_parts {
    config_msg config;
    run_msg run;
    Bulkhead__Image__V1__Platform platform;
    Bulkhead__Image__V1__Healthcheck health;
};

config_msg *rt_config_msg(const struct bh_image_config *c, struct bh_arena *arena, struct bh_err *err) {
    struct config_parts *p = bh_oci_alloc(arena, sizeof *p, err);

    if (p == NULL)
        return NULL;
    bulkhead__image__v1__image_config__init(&p->config);
    bulkhead__image__v1__run_config__init(&p->run);
    bulkhead__image__v1__platform__init(&p->platform);
    p->config.created = (char *)c->created;
    p->config.created_ns = c->created_ns;
    p->config.author = (char *)c->author;
    p->config.comment = (char *)c->comment;
    p->config.os_features = (char **)c->os_features.v;
    p->config.n_os_features = c->os_features.n;
    p->platform.architecture = (char *)c->architecture;
    p->platform.variant = (char *)c->variant;
    p->platform.os = (char *)c->os;
    p->platform.os_version = (char *)c->os_version;
    p->config.platform = &p->platform;
    p->config.config = &p->run;
    if (run_to(&c->config, arena, &p->run, err) != 0 || diff_ids_to(c, arena, &p->config, err) != 0 ||
        history_to(c, arena, &p->config, err) != 0)
        return NULL;
    if (c->config.healthcheck.present) {
        health_msg(&c->config.healthcheck, &p->health);
        p->run.healthcheck = &p->health;
    }
    return &p->config;
}

int rt_config_pack(const struct bh_image_config *c, struct bh_arena *arena, struct bh_buf *out, struct bh_err *err) {
    const config_msg *msg = rt_config_msg(c, arena, err);
    size_t n;
    void *p;

    if (msg == NULL)
        return err->code;
    n = bulkhead__image__v1__image_config__get_packed_size(msg);
    p = bh_buf_room(out, n);
    if (p == NULL)
        return bh_err_set(err, BH_E_LIMIT, "an image config of %zu bytes is too large", n);
    bulkhead__image__v1__image_config__pack(msg, p);
    bh_buf_grew(out, n);
    return 0;
}
