/*
 * shape.c - see shape.h: pieces that images and containers share, and the image document.
 *
 * Room: client.
 */
#include "cli/shape.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

json_t *shape_text(const char *s) {
    json_t *out = json_string(s);

    /* A text that is no UTF-8 cannot be JSON; the engine refuses such configs, so this is a path's bytes. */
    return out != NULL ? out : json_string("");
}

json_t *shape_strings(const bulkhead_value *list) {
    json_t *out;

    if (bulkhead_type_of(list) != BULKHEAD_LIST)
        return json_null();
    out = json_array();
    for (size_t i = 0; i < bulkhead_count(list); i++)
        json_array_append_new(out, shape_text(bulkhead_str(bulkhead_at(list, i))));
    return out;
}

/* RunConfig.lists: an empty list and none at all are two things. */
enum list_bit {
    LIST_ENV = 1,
    LIST_ENTRYPOINT = 2,
    LIST_CMD = 4,
    LIST_ON_BUILD = 32,
    LIST_SHELL = 64,
    LIST_LABELS = 128
};

static json_t *shape_list(const bulkhead_value *config, enum list_bit bit, const char *field) {
    const bulkhead_value *list = bulkhead_get(config, field);
    bool there = bulkhead_count(list) > 0 || (bulkhead_get_uint(config, "lists") & bit) != 0;

    return there ? shape_strings(list) : json_null();
}

json_t *shape_pairs(const bulkhead_value *pairs) {
    json_t *out = json_object();

    for (size_t i = 0; i < bulkhead_count(pairs); i++) {
        const bulkhead_value *p = bulkhead_at(pairs, i);

        json_object_set_new(out, bulkhead_get_str(p, "key"), shape_text(bulkhead_get_str(p, "value")));
    }
    return out;
}

json_t *shape_set(const bulkhead_value *list) {
    json_t *out;

    if (bulkhead_count(list) == 0)
        return json_null();
    out = json_object();
    for (size_t i = 0; i < bulkhead_count(list); i++)
        json_object_set_new(out, bulkhead_str(bulkhead_at(list, i)), json_object());
    return out;
}

json_t *shape_time(int64_t ns) {
    char text[BH_RFC3339_SIZE];

    if (ns == 0)
        return json_string("0001-01-01T00:00:00Z");
    bh_time_rfc3339(ns, text);
    return json_string(text);
}

static json_t *shape_healthcheck(const bulkhead_value *h) {
    json_t *out;

    if (h == NULL)
        return NULL;
    out = json_object();
    json_object_set_new(out, "Test", shape_strings(bulkhead_get(h, "test")));
    if (bulkhead_get_int(h, "interval_ns") != 0)
        json_object_set_new(out, "Interval", json_integer(bulkhead_get_int(h, "interval_ns")));
    if (bulkhead_get_int(h, "timeout_ns") != 0)
        json_object_set_new(out, "Timeout", json_integer(bulkhead_get_int(h, "timeout_ns")));
    if (bulkhead_get_int(h, "start_period_ns") != 0)
        json_object_set_new(out, "StartPeriod", json_integer(bulkhead_get_int(h, "start_period_ns")));
    if (bulkhead_get_int(h, "start_interval_ns") != 0)
        json_object_set_new(out, "StartInterval", json_integer(bulkhead_get_int(h, "start_interval_ns")));
    if (bulkhead_get_int(h, "retries") != 0)
        json_object_set_new(out, "Retries", json_integer(bulkhead_get_int(h, "retries")));
    return out;
}

json_t *shape_run_config(const bulkhead_value *c) {
    json_t *out = json_object();
    json_t *health = shape_healthcheck(bulkhead_get(c, "healthcheck"));
    uint64_t lists = bulkhead_get_uint(c, "lists");
    bool labels = (lists & LIST_LABELS) != 0 || bulkhead_count(bulkhead_get(c, "labels")) > 0;

    json_object_set_new(out, "Hostname", shape_text(bulkhead_get_str(c, "hostname")));
    json_object_set_new(out, "Domainname", shape_text(bulkhead_get_str(c, "domainname")));
    json_object_set_new(out, "User", shape_text(bulkhead_get_str(c, "user")));
    json_object_set_new(out, "AttachStdin", json_false());
    json_object_set_new(out, "AttachStdout", json_false());
    json_object_set_new(out, "AttachStderr", json_false());
    if (bulkhead_count(bulkhead_get(c, "exposed_ports")) > 0)
        json_object_set_new(out, "ExposedPorts", shape_set(bulkhead_get(c, "exposed_ports")));
    json_object_set_new(out, "Tty", json_false());
    json_object_set_new(out, "OpenStdin", json_false());
    json_object_set_new(out, "StdinOnce", json_false());
    json_object_set_new(out, "Env", shape_list(c, LIST_ENV, "env"));
    json_object_set_new(out, "Cmd", shape_list(c, LIST_CMD, "cmd"));
    if (health != NULL)
        json_object_set_new(out, "Healthcheck", health);
    if (bulkhead_get_bool(c, "args_escaped"))
        json_object_set_new(out, "ArgsEscaped", json_true());
    json_object_set_new(out, "Image", json_string(""));
    json_object_set_new(out, "Volumes", shape_set(bulkhead_get(c, "volumes")));
    json_object_set_new(out, "WorkingDir", shape_text(bulkhead_get_str(c, "working_dir")));
    json_object_set_new(out, "Entrypoint", shape_list(c, LIST_ENTRYPOINT, "entrypoint"));
    json_object_set_new(out, "OnBuild", shape_list(c, LIST_ON_BUILD, "on_build"));
    json_object_set_new(out, "Labels", labels ? shape_pairs(bulkhead_get(c, "labels")) : json_null());
    if (bulkhead_get_str(c, "stop_signal")[0] != '\0')
        json_object_set_new(out, "StopSignal", shape_text(bulkhead_get_str(c, "stop_signal")));
    if (bulkhead_get_bool(c, "has_stop_timeout"))
        json_object_set_new(out, "StopTimeout", json_integer(bulkhead_get_int(c, "stop_timeout")));
    if ((lists & LIST_SHELL) != 0)
        json_object_set_new(out, "Shell", shape_list(c, LIST_SHELL, "shell"));
    return out;
}

/* What only a container has: docker 28 leaves it out of an image. */
static json_t *without_container(json_t *config) {
    static const char *const only[] = {"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr",
                                       "Tty",      "OpenStdin",  "StdinOnce",   "Image"};

    for (size_t i = 0; i < BH_ARRAY_LEN(only); i++)
        json_object_del(config, only[i]);
    return config;
}

static json_t *image_of(const bulkhead_value *summary, const bulkhead_value *config, int64_t last_tag_ns) {
    const bulkhead_value *platform = bulkhead_get(config, "platform");
    json_t *out = json_object(), *rootfs = json_object(), *driver = json_object(), *meta = json_object();
    json_int_t size = (json_int_t)bulkhead_get_uint(summary, "size");

    json_object_set_new(out, "Id", shape_text(bulkhead_get_str(summary, "id")));
    json_object_set_new(out, "RepoTags", shape_strings(bulkhead_get(summary, "repo_tags")));
    json_object_set_new(out, "RepoDigests", shape_strings(bulkhead_get(summary, "repo_digests")));
    json_object_set_new(out, "Parent", shape_text(bulkhead_get_str(summary, "parent_id")));
    json_object_set_new(out, "Comment", shape_text(bulkhead_get_str(config, "comment")));
    json_object_set_new(out, "Created",
                        bulkhead_get_str(config, "created")[0] != '\0'
                            ? shape_text(bulkhead_get_str(config, "created"))
                            : shape_time(bulkhead_get_int(summary, "created_ns")));
    json_object_set_new(out, "DockerVersion", json_string(""));
    json_object_set_new(out, "Author", shape_text(bulkhead_get_str(config, "author")));
    json_object_set_new(out, "Config", without_container(shape_run_config(bulkhead_get(config, "config"))));
    json_object_set_new(out, "Architecture", shape_text(bulkhead_get_str(platform, "architecture")));
    if (bulkhead_get_str(platform, "variant")[0] != '\0')
        json_object_set_new(out, "Variant", shape_text(bulkhead_get_str(platform, "variant")));
    json_object_set_new(out, "Os", shape_text(bulkhead_get_str(platform, "os")));
    if (bulkhead_get_str(platform, "os_version")[0] != '\0')
        json_object_set_new(out, "OsVersion", shape_text(bulkhead_get_str(platform, "os_version")));
    json_object_set_new(out, "Size", json_integer(size));
    json_object_set_new(out, "VirtualSize", json_integer(size));
    json_object_set_new(driver, "Data", json_null());
    json_object_set_new(driver, "Name", json_string("bulkhead"));
    json_object_set_new(out, "GraphDriver", driver);
    json_object_set_new(rootfs, "Type", json_string("layers"));
    json_object_set_new(rootfs, "Layers", shape_strings(bulkhead_get(config, "diff_ids")));
    json_object_set_new(out, "RootFS", rootfs);
    json_object_set_new(meta, "LastTagTime", shape_time(last_tag_ns));
    json_object_set_new(out, "Metadata", meta);
    return out;
}

json_t *shape_image(const bulkhead_value *reply) {
    return image_of(bulkhead_get(reply, "summary"), bulkhead_get(reply, "config"),
                    bulkhead_get_int(reply, "last_tag_ns"));
}

static void set_one(bulkhead_value *map, const char *key, const char *text) {
    bulkhead_value *list = bulkhead_list_new();

    bulkhead_add_str(list, text);
    bulkhead_set(map, key, list);
}

json_t *shape_remote_image(const bulkhead_value *reply, const char *tag, const char *digest) {
    const bulkhead_value *config = bulkhead_get(reply, "image_config");
    bulkhead_value *summary = bulkhead_map_new();
    json_t *out;

    bulkhead_set_str(summary, "id", bulkhead_get_str(bulkhead_get(bulkhead_get(reply, "config"), "desc"), "digest"));
    bulkhead_set_int(summary, "created_ns", bulkhead_get_int(config, "created_ns"));
    if (tag != NULL)
        set_one(summary, "repo_tags", tag);
    set_one(summary, "repo_digests", digest);
    out = image_of(summary, config, 0);
    bulkhead_value_free(summary);
    return out;
}
