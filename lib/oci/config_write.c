/*
 * config_write.c - image configs made here, as bytes (see config.h).
 * Room: store (import, commit) and build.  Pure.  Trusts the struct: its texts are valid UTF-8.
 * The bytes depend on the struct alone, because the image id is a digest of them: fixed key order,
 * sorted maps, no blanks, absent values left out.
 */
#include <inttypes.h>

#include "oci/config.h"
#include "oci/write.h"

/* {"name":{}, ...} */
static void write_set(struct bh_buf *b, const char *key, const struct bh_strlist *l) {
    if (!l->present)
        return;
    bh_write_key(b, key);
    bh_buf_addc(b, '{');
    for (size_t i = 0; i < l->n; i++) {
        bh_write_key(b, l->v[i]);
        bh_buf_adds(b, "{}");
    }
    bh_buf_addc(b, '}');
}

static void write_number(struct bh_buf *b, const char *key, int64_t v) {
    if (v == 0)
        return;
    bh_write_key(b, key);
    bh_buf_addf(b, "%" PRId64, v);
}

static void write_true(struct bh_buf *b, const char *key, bool v) {
    if (!v)
        return;
    bh_write_key(b, key);
    bh_buf_adds(b, "true");
}

static void write_health(struct bh_buf *b, const struct bh_healthcheck *h) {
    if (!h->present)
        return;
    bh_write_key(b, "Healthcheck");
    bh_buf_addc(b, '{');
    bh_write_strlist(b, "Test", &h->test);
    write_number(b, "Interval", h->interval_ns);
    write_number(b, "Timeout", h->timeout_ns);
    write_number(b, "StartPeriod", h->start_period_ns);
    write_number(b, "StartInterval", h->start_interval_ns);
    write_number(b, "Retries", h->retries);
    bh_buf_addc(b, '}');
}

static void write_run_config(struct bh_buf *b, const struct bh_run_config *c) {
    bh_write_key(b, "config");
    bh_buf_addc(b, '{');
    bh_write_str(b, "Hostname", c->hostname);
    bh_write_str(b, "Domainname", c->domainname);
    bh_write_str(b, "User", c->user);
    write_set(b, "ExposedPorts", &c->exposed_ports);
    bh_write_strlist(b, "Env", &c->env);
    bh_write_strlist(b, "Cmd", &c->cmd);
    write_health(b, &c->healthcheck);
    write_true(b, "ArgsEscaped", c->args_escaped);
    write_set(b, "Volumes", &c->volumes);
    bh_write_str(b, "WorkingDir", c->working_dir);
    bh_write_strlist(b, "Entrypoint", &c->entrypoint);
    bh_write_strlist(b, "OnBuild", &c->on_build);
    bh_write_pairs(b, "Labels", &c->labels);
    bh_write_str(b, "StopSignal", c->stop_signal);
    if (c->has_stop_timeout) {
        bh_write_key(b, "StopTimeout");
        bh_buf_addf(b, "%" PRId64, c->stop_timeout);
    }
    bh_write_strlist(b, "Shell", &c->shell);
    bh_buf_addc(b, '}');
}

static void write_rootfs(struct bh_buf *b, const struct bh_image_config *c) {
    char text[BH_DIGEST_TEXT_SIZE];

    bh_write_key(b, "rootfs");
    bh_buf_adds(b, "{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        if (i > 0)
            bh_buf_addc(b, ',');
        bh_digest_format(&c->diff_ids[i], text);
        bh_write_text(b, text);
    }
    bh_buf_adds(b, "]}");
}

static void write_history(struct bh_buf *b, const struct bh_image_config *c) {
    if (c->n_history == 0)
        return;
    bh_write_key(b, "history");
    bh_buf_addc(b, '[');
    for (size_t i = 0; i < c->n_history; i++) {
        const struct bh_history *h = &c->history[i];

        bh_buf_adds(b, i > 0 ? ",{" : "{");
        bh_write_str(b, "created", h->created);
        bh_write_str(b, "created_by", h->created_by);
        bh_write_str(b, "author", h->author);
        bh_write_str(b, "comment", h->comment);
        write_true(b, "empty_layer", h->empty_layer);
        bh_buf_addc(b, '}');
    }
    bh_buf_addc(b, ']');
}

void bh_image_config_write(const struct bh_image_config *c, struct bh_buf *out) {
    bh_buf_addc(out, '{');
    bh_write_str(out, "created", c->created);
    bh_write_str(out, "author", c->author);
    bh_write_str(out, "comment", c->comment);
    bh_write_key(out, "architecture");
    bh_write_text(out, c->architecture);
    bh_write_str(out, "variant", c->variant);
    bh_write_key(out, "os");
    bh_write_text(out, c->os);
    bh_write_str(out, "os.version", c->os_version);
    bh_write_strlist(out, "os.features", &c->os_features);
    write_run_config(out, &c->config);
    write_rootfs(out, c);
    write_history(out, c);
    bh_write_strlist(out, BH_BUILD_CACHE_KEY, &c->build_cache);
    bh_buf_addc(out, '}');
}
