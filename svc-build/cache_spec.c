/*
 * cache_spec.c - see cache_spec.h.
 *
 * Room: build.
 */
#include "cache_spec.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/types.h"

static const struct {
    const char *name;
    enum build_cache_type type;
} types[] = {{"registry", BUILD_CACHE_REGISTRY}, {"local", BUILD_CACHE_LOCAL}, {"inline", BUILD_CACHE_INLINE}};

/* Keys of BuildKit that say nothing here: manifests are those of OCI in any case, and a folder is the client's. */
static const char *const accepted[] = {"dest", "src", "tag", "digest", "oci-mediatypes", "image-manifest"};

static int find_type(const char *word, struct build_cache_spec *out, struct bh_err *err) {
    for (size_t i = 0; i < BH_ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, word) == 0) {
            out->type = types[i].type;
            return 0;
        }
    bh_err_set(err, BH_E_UNIMPLEMENTED, "cache type \"%.60s\" is not known", word);
    return bh_err_hint(err, "known: registry, local, inline");
}

static int find_bool(const char *key, const char *value, bool *out, struct bh_err *err) {
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0 && strcmp(value, "1") != 0 && strcmp(value, "0") != 0)
        return bh_err_set(err, BH_E_INVALID, "%s=%.40s is neither true nor false", key, value);
    *out = value[0] == 't' || value[0] == '1';
    return 0;
}

static int find_compression(const char *value, struct build_cache_spec *out, struct bh_err *err) {
    static const char *const known[] = {"gzip", "zstd"};

    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++)
        if (strcmp(known[i], value) == 0) {
            out->compression = known[i];
            return 0;
        }
    return bh_err_set(err, BH_E_INVALID, "compression=%.40s is neither gzip nor zstd", value);
}

static int set_level(const char *value, struct build_cache_spec *out, struct bh_err *err) {
    uint64_t level;

    if (!bh_str_u64(value, &level) || level > 22)
        return bh_err_set(err, BH_E_INVALID, "compression-level=%.40s is no level", value);
    out->level = (uint32_t)level;
    return 0;
}

static int set_mode(const char *value, struct build_cache_spec *out, struct bh_err *err) {
    out->max = strcmp(value, "max") == 0;
    return out->max || strcmp(value, "min") == 0
               ? 0
               : bh_err_set(err, BH_E_INVALID, "mode=%.40s is neither min nor max", value);
}

static bool is_accepted(const char *key) {
    for (size_t i = 0; i < BH_ARRAY_LEN(accepted); i++)
        if (strcmp(accepted[i], key) == 0)
            return true;
    return false;
}

static int set_part(const char *key, const char *value, struct bh_arena *arena, struct build_cache_spec *out,
                    struct bh_err *err) {
    if (strcmp(key, "type") == 0)
        return find_type(value, out, err);
    if (strcmp(key, "mode") == 0)
        return set_mode(value, out, err);
    if (strcmp(key, "ignore-error") == 0)
        return find_bool(key, value, &out->ignore_error, err);
    if (strcmp(key, "force-compression") == 0)
        return find_bool(key, value, &out->force_compression, err);
    if (strcmp(key, "compression") == 0)
        return find_compression(value, out, err);
    if (strcmp(key, "compression-level") == 0)
        return set_level(value, out, err);
    if (strcmp(key, "ref") == 0) {
        out->ref = bh_oci_strdup(arena, value, strlen(value), err);
        return out->ref == NULL ? err->code : 0;
    }
    return is_accepted(key) ? 0 : bh_err_set(err, BH_E_INVALID, "key \"%.60s\" is not known", key);
}

static int read_parts(const char *text, struct bh_arena *arena, struct build_cache_spec *out, struct bh_err *err) {
    BH_SCOPE_FREE char *copy = bh_xstrdup(text);
    char *save = NULL;

    for (char *part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(part, '=');

        if (eq == NULL)
            return bh_err_set(err, BH_E_INVALID, "\"%.60s\" is not KEY=VALUE", part);
        *eq = '\0';
        if (set_part(part, eq + 1, arena, out, err) != 0)
            return err->code;
    }
    if (out->type == BUILD_CACHE_NAME)
        return bh_err_set(err, BH_E_INVALID, "type= is missing");
    if (out->type == BUILD_CACHE_REGISTRY && out->ref[0] == '\0')
        return bh_err_set(err, BH_E_INVALID, "type=registry needs ref=NAME");
    return 0;
}

static int read_text(const char *text, const char *option, struct bh_arena *arena, struct build_cache_spec *out,
                     struct bh_err *err) {
    *out = (struct build_cache_spec){.ref = "", .compression = ""};
    if (strchr(text, '=') != NULL)
        return read_parts(text, arena, out, err) == 0 ? 0 : bh_err_prefix(err, "--%s %.200s", option, text);
    out->ref = text;
    return 0;
}

int build_cache_spec_from(const char *text, struct bh_arena *arena, struct build_cache_spec *out, struct bh_err *err) {
    if (read_text(text, "cache-from", arena, out, err) != 0)
        return err->code;
    if (out->type != BUILD_CACHE_INLINE)
        return 0;
    bh_err_set(err, BH_E_INVALID, "--cache-from %.200s: what an image carries is read by its name", text);
    return bh_err_hint(err, "write NAME, or type=registry,ref=NAME");
}

/* A name alone is one on a registry, as buildx has it. */
int build_cache_spec_to(const char *text, struct bh_arena *arena, struct build_cache_spec *out, struct bh_err *err) {
    if (read_text(text, "cache-to", arena, out, err) != 0)
        return err->code;
    if (out->type == BUILD_CACHE_NAME)
        out->type = BUILD_CACHE_REGISTRY;
    return 0;
}

bool build_cache_spec_local(const char *text) {
    const char *type = strstr(text, "type=local");

    return type != NULL && (type == text || type[-1] == ',') && (type[10] == '\0' || type[10] == ',');
}
