/*
 * to_msg.c - struct of lib/oci to message; see imageconf.h.
 */
#include "imageconf/imageconf.h"

typedef Bulkhead__Common__V1__Pair pair_msg;
typedef Bulkhead__Image__V1__RunConfig run_msg;
typedef Bulkhead__Image__V1__ImageConfig config_msg;
typedef Bulkhead__Image__V1__HistoryEntry history_msg;
typedef Bulkhead__Image__V1__Descriptor desc_msg;

/* protobuf-c has char * where it means const char *; nothing writes through these. */
static char *str(const char *s) {
    return s != NULL ? (char *)s : (char *)"";
}

static void list_to_msg(const struct bh_strlist *l, uint32_t bit, uint32_t *lists, size_t *n, char ***v) {
    *n = l->n;
    *v = (char **)l->v;
    if (l->present)
        *lists |= bit;
}

int bh_imageconf_pairs_to_msg(const struct bh_pairs *p, struct bh_arena *arena, size_t *n, pair_msg ***v,
                              struct bh_err *err) {
    *n = 0;
    if (p->n == 0)
        return 0;
    *v = bh_oci_alloc(arena, p->n * sizeof **v, err);
    if (*v == NULL)
        return err->code;
    for (size_t i = 0; i < p->n; i++) {
        pair_msg *m = bh_oci_alloc(arena, sizeof *m, err);

        if (m == NULL)
            return err->code;
        bulkhead__common__v1__pair__init(m);
        m->key = str(p->v[i].key);
        m->value = str(p->v[i].value);
        (*v)[i] = m;
    }
    *n = p->n;
    return 0;
}

static int health_to_msg(const struct bh_healthcheck *h, struct bh_arena *arena, run_msg *m, struct bh_err *err) {
    Bulkhead__Image__V1__Healthcheck *out;

    if (!h->present)
        return 0;
    out = bh_oci_alloc(arena, sizeof *out, err);
    if (out == NULL)
        return err->code;
    bulkhead__image__v1__healthcheck__init(out);
    out->n_test = h->test.n;
    out->test = (char **)h->test.v;
    out->interval_ns = h->interval_ns;
    out->timeout_ns = h->timeout_ns;
    out->start_period_ns = h->start_period_ns;
    out->start_interval_ns = h->start_interval_ns;
    out->retries = h->retries;
    m->healthcheck = out;
    return 0;
}

int bh_imageconf_run_to_msg(const struct bh_run_config *c, struct bh_arena *arena, run_msg **out, struct bh_err *err) {
    run_msg *m = bh_oci_alloc(arena, sizeof *m, err);
    uint32_t lists = 0;

    if (m == NULL)
        return err->code;
    bulkhead__image__v1__run_config__init(m);
    m->user = str(c->user);
    m->working_dir = str(c->working_dir);
    m->hostname = str(c->hostname);
    m->domainname = str(c->domainname);
    m->stop_signal = str(c->stop_signal);
    list_to_msg(&c->env, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_ENV, &lists, &m->n_env, &m->env);
    list_to_msg(&c->entrypoint, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_ENTRYPOINT, &lists, &m->n_entrypoint,
                &m->entrypoint);
    list_to_msg(&c->cmd, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_CMD, &lists, &m->n_cmd, &m->cmd);
    list_to_msg(&c->exposed_ports, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_EXPOSED_PORTS, &lists, &m->n_exposed_ports,
                &m->exposed_ports);
    list_to_msg(&c->volumes, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_VOLUMES, &lists, &m->n_volumes, &m->volumes);
    list_to_msg(&c->on_build, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_ON_BUILD, &lists, &m->n_on_build, &m->on_build);
    list_to_msg(&c->shell, BULKHEAD__IMAGE__V1__LIST_BIT__LIST_SHELL, &lists, &m->n_shell, &m->shell);
    if (c->labels.present)
        lists |= BULKHEAD__IMAGE__V1__LIST_BIT__LIST_LABELS;
    m->args_escaped = c->args_escaped;
    m->has_stop_timeout = c->has_stop_timeout;
    m->stop_timeout = c->stop_timeout;
    m->lists = lists;
    if (bh_imageconf_pairs_to_msg(&c->labels, arena, &m->n_labels, &m->labels, err) != 0 ||
        health_to_msg(&c->healthcheck, arena, m, err) != 0)
        return err->code;
    *out = m;
    return 0;
}

static int diff_ids_to_msg(const struct bh_image_config *c, struct bh_arena *arena, config_msg *m, struct bh_err *err) {
    if (c->n_diff_ids == 0)
        return 0;
    m->diff_ids = bh_oci_alloc(arena, c->n_diff_ids * sizeof *m->diff_ids, err);
    if (m->diff_ids == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        m->diff_ids[i] = bh_oci_alloc(arena, BH_DIGEST_TEXT_SIZE, err);
        if (m->diff_ids[i] == NULL)
            return err->code;
        bh_digest_format(&c->diff_ids[i], m->diff_ids[i]);
    }
    m->n_diff_ids = c->n_diff_ids;
    return 0;
}

static int history_to_msg(const struct bh_image_config *c, struct bh_arena *arena, config_msg *m, struct bh_err *err) {
    if (c->n_history == 0)
        return 0;
    m->history = bh_oci_alloc(arena, c->n_history * sizeof *m->history, err);
    if (m->history == NULL)
        return err->code;
    for (size_t i = 0; i < c->n_history; i++) {
        const struct bh_history *h = &c->history[i];
        history_msg *row = bh_oci_alloc(arena, sizeof *row, err);

        if (row == NULL)
            return err->code;
        bulkhead__image__v1__history_entry__init(row);
        row->created = str(h->created);
        row->created_by = str(h->created_by);
        row->author = str(h->author);
        row->comment = str(h->comment);
        row->empty_layer = h->empty_layer;
        m->history[i] = row;
    }
    m->n_history = c->n_history;
    return 0;
}

static Bulkhead__Image__V1__Platform *platform_msg(struct bh_arena *arena, const char *os, const char *arch,
                                                   const char *variant, const char *os_version, struct bh_err *err) {
    Bulkhead__Image__V1__Platform *p = bh_oci_alloc(arena, sizeof *p, err);

    if (p == NULL)
        return NULL;
    bulkhead__image__v1__platform__init(p);
    p->os = str(os);
    p->architecture = str(arch);
    p->variant = str(variant);
    p->os_version = str(os_version);
    return p;
}

int bh_imageconf_to_msg(const struct bh_image_config *c, struct bh_arena *arena, config_msg **out, struct bh_err *err) {
    config_msg *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return err->code;
    bulkhead__image__v1__image_config__init(m);
    m->created = str(c->created);
    m->created_ns = c->created_ns;
    m->author = str(c->author);
    m->comment = str(c->comment);
    m->n_os_features = c->os_features.n;
    m->os_features = (char **)c->os_features.v;
    m->n_build_cache = c->build_cache.n;
    m->build_cache = (char **)c->build_cache.v;
    m->platform = platform_msg(arena, c->os, c->architecture, c->variant, c->os_version, err);
    if (m->platform == NULL || bh_imageconf_run_to_msg(&c->config, arena, &m->config, err) != 0 ||
        diff_ids_to_msg(c, arena, m, err) != 0 || history_to_msg(c, arena, m, err) != 0)
        return err->code;
    *out = m;
    return 0;
}

int bh_imageconf_desc_to_msg(const struct bh_desc *d, struct bh_arena *arena, desc_msg **out, struct bh_err *err) {
    desc_msg *m = bh_oci_alloc(arena, sizeof *m, err);

    if (m == NULL)
        return err->code;
    bulkhead__image__v1__descriptor__init(m);
    m->media_type = str(d->media_type);
    m->digest = str(d->digest_text);
    m->size = d->size;
    m->artifact_type = str(d->artifact_type);
    m->n_urls = d->urls.n;
    m->urls = (char **)d->urls.v;
    if (bh_imageconf_pairs_to_msg(&d->annotations, arena, &m->n_annotations, &m->annotations, err) != 0)
        return err->code;
    if (d->has_platform) {
        m->platform =
            platform_msg(arena, d->platform.os, d->platform.arch, d->platform.variant, d->platform.os_version, err);
        if (m->platform == NULL)
            return err->code;
    }
    *out = m;
    return 0;
}
