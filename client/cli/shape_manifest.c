/*
 * shape_manifest.c - descriptors, platforms and manifests, see shape.h.
 *
 * Room: client.  The members stand in the order of docker's structures.
 */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "cli/shape.h"
#include "oci/json.h"

#define MANIFEST_MAX         ((size_t)4 << 20)
#define DOCKER_MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"

static void set_given(json_t *o, const char *key, const char *value) {
    if (value[0] != '\0')
        json_object_set_new(o, key, shape_text(value));
}

json_t *shape_platform(const bulkhead_value *image_config) {
    const bulkhead_value *p = bulkhead_get(image_config, "platform"),
                         *features = bulkhead_get(image_config, "os_features");
    json_t *out = json_object();

    json_object_set_new(out, "architecture", shape_text(bulkhead_get_str(p, "architecture")));
    json_object_set_new(out, "os", shape_text(bulkhead_get_str(p, "os")));
    set_given(out, "os.version", bulkhead_get_str(p, "os_version"));
    if (bulkhead_count(features) > 0)
        json_object_set_new(out, "os.features", shape_strings(features));
    set_given(out, "variant", bulkhead_get_str(p, "variant"));
    return out;
}

json_t *shape_platform_entry(const json_t *entry) {
    static const char *const more[] = {"os.version", "os.features", "variant"};
    const json_t *p = json_object_get(entry, "platform");
    const char *architecture = json_string_value(json_object_get(p, "architecture"));
    const char *os = json_string_value(json_object_get(p, "os"));
    json_t *out = json_object();

    json_object_set_new(out, "architecture", json_string(architecture != NULL ? architecture : ""));
    json_object_set_new(out, "os", json_string(os != NULL ? os : ""));
    for (size_t i = 0; i < BH_ARRAY_LEN(more); i++)
        if (json_object_get(p, more[i]) != NULL)
            json_object_set(out, more[i], json_object_get(p, more[i]));
    return out;
}

json_t *shape_descriptor(const bulkhead_value *desc, json_t *take_platform) {
    json_t *out = json_object();

    json_object_set_new(out, "mediaType", shape_text(bulkhead_get_str(desc, "media_type")));
    json_object_set_new(out, "digest", shape_text(bulkhead_get_str(desc, "digest")));
    json_object_set_new(out, "size", json_integer((json_int_t)bulkhead_get_uint(desc, "size")));
    if (take_platform != NULL)
        json_object_set_new(out, "platform", take_platform);
    return out;
}

int shape_manifest(const char *ref, const bulkhead_value *document, json_t *take_platform, json_t **out,
                   struct bh_err *err) {
    const bulkhead_value *desc = bulkhead_get(document, "desc");
    bool docker = strcmp(bulkhead_get_str(desc, "media_type"), DOCKER_MANIFEST_TYPE) == 0;
    struct bh_buf raw BH_SCOPE_BUF = BH_BUF_INIT;
    json_t *manifest = NULL;
    size_t n = 0;
    const void *data = bulkhead_get_bytes(document, "data", &n);

    if (bh_json_parse(data, n, MANIFEST_MAX, "manifest", &manifest, err) != 0) {
        json_decref(take_platform);
        return err->code;
    }
    bh_base64_add(&raw, data, n);
    *out = json_object();
    json_object_set_new(*out, "Ref", shape_text(ref));
    json_object_set_new(*out, "Descriptor", shape_descriptor(desc, take_platform));
    json_object_set_new(*out, "Raw", json_string(bh_buf_str(&raw)));
    json_object_set_new(*out, docker ? "SchemaV2Manifest" : "OCIManifest", manifest);
    return 0;
}
