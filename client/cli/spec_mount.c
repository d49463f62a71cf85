/*
 * spec_mount.c - see spec_mount.h.
 *
 * Room: client.
 */
#include "cli/spec_mount.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static int bad(struct bh_err *err, const char *option, const char *text, const char *why) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%s\" for \"%s\" flag: %s", text, option, why);
    return bh_err_reason(err, "usage");
}

/* An absolute source; "." and ".." forms are taken from the working folder. */
static char *absolute(const char *source) {
    char here[PATH_MAX];

    if (source[0] == '/' || getcwd(here, sizeof here) == NULL)
        return bh_xstrdup(source);
    return bh_xasprintf("%s/%s", here, source);
}

static int set_propagation(bulkhead_value *m, const char *word) {
    static const char *const known[] = {"rprivate", "private", "shared", "rshared", "slave", "rslave"};

    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++) {
        if (strcmp(known[i], word) == 0) {
            bulkhead_set_str(m, "propagation", word);
            return 0;
        }
    }
    return -1;
}

static int volume_options(bulkhead_value *m, char *options, const char *text, struct bh_err *err) {
    char *save = NULL;

    for (char *o = strtok_r(options, ",", &save); o != NULL; o = strtok_r(NULL, ",", &save)) {
        if (strcmp(o, "ro") == 0)
            bulkhead_set_bool(m, "read_only", true);
        else if (strcmp(o, "rw") != 0 && strcmp(o, "z") != 0 && strcmp(o, "Z") != 0 && strcmp(o, "rbind") != 0 &&
                 strcmp(o, "nocopy") != 0 && set_propagation(m, o) != 0)
            return bad(err, "-v, --volume", text,
                       strchr(o, ':') != NULL ? "invalid spec: too many colons" : "invalid mode");
    }
    return 0;
}

int cli_mount_volume(const char *text, bulkhead_value **out, struct bh_err *err) {
    BH_SCOPE_FREE char *copy = bh_xstrdup(text);
    char *target = strchr(copy, ':'), *options = NULL, *source;
    bulkhead_value *m;

    if (target == NULL || (copy[0] != '/' && copy[0] != '.' && copy[0] != '~')) {
        bad(err, "-v, --volume", text, "named and anonymous volumes come with a later version");
        bh_err_hint(err, "give a folder of the host: -v /HOST:/CONTAINER");
        return err->code;
    }
    *target++ = '\0';
    options = strchr(target, ':');
    if (options != NULL)
        *options++ = '\0';
    if (target[0] != '/')
        return bad(err, "-v, --volume", text, "invalid mount path: mount path must be absolute");
    m = bulkhead_map_new();
    source = absolute(copy);
    bulkhead_set_str(m, "type", "bind");
    bulkhead_set_str(m, "source", source);
    free(source);
    bulkhead_set_str(m, "target", target);
    bulkhead_set_bool(m, "make_source", true);
    if (options != NULL && volume_options(m, options, text, err) != 0) {
        bulkhead_value_free(m);
        return err->code;
    }
    *out = m;
    return 0;
}

/* The next field of a line of CSV, cut out in place: "a,b" in quotes is one field, "" in it one quote. */
static char *next_field(char **at) {
    char *start = *at, *to = start;
    bool inside = false;

    if (*start == '\0')
        return NULL;
    for (; **at != '\0' && (inside || **at != ','); (*at)++) {
        if (**at != '"')
            *to++ = **at;
        else if (inside && (*at)[1] == '"')
            *to++ = *++*at;
        else
            inside = !inside;
    }
    if (**at == ',')
        (*at)++;
    *to = '\0';
    return start;
}

/* Octal, as chmod takes it. */
static bool mode_of(const char *text, uint64_t *out) {
    char *end;

    *out = strtoul(text, &end, 8);
    return text[0] >= '0' && text[0] <= '7' && *end == '\0' && *out <= 07777;
}

static bool truth(const char *value) {
    return value == NULL || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static int long_field(bulkhead_value *m, const char *key, const char *value, const char *text, struct bh_err *err) {
    uint64_t n;

    if (strcmp(key, "readonly") == 0 || strcmp(key, "ro") == 0) {
        bulkhead_set_bool(m, "read_only", truth(value));
        return 0;
    }
    if (value == NULL)
        return bad(err, "--mount", text, "a field must be KEY=VALUE");
    if (strcmp(key, "type") == 0) {
        bulkhead_set_str(m, "type", value);
    } else if (strcmp(key, "source") == 0 || strcmp(key, "src") == 0) {
        char *source = absolute(value);

        bulkhead_set_str(m, "source", source);
        free(source);
    } else if (strcmp(key, "target") == 0 || strcmp(key, "dst") == 0 || strcmp(key, "destination") == 0) {
        bulkhead_set_str(m, "target", value);
    } else if (strcmp(key, "bind-propagation") == 0) {
        if (set_propagation(m, value) != 0)
            return bad(err, "--mount", text, "unknown propagation");
    } else if (strcmp(key, "bind-nonrecursive") == 0) {
        bulkhead_set_bool(m, "non_recursive", truth(value));
    } else if (strcmp(key, "bind-recursive") == 0) {
        bulkhead_set_bool(m, "non_recursive", strcmp(value, "disabled") == 0);
    } else if (strcmp(key, "tmpfs-size") == 0) {
        if (!bh_str_bytes(value, &n))
            return bad(err, "--mount", text, "invalid value for tmpfs-size");
        bulkhead_set_uint(m, "tmpfs_size", n);
    } else if (strcmp(key, "tmpfs-mode") == 0) {
        if (!mode_of(value, &n))
            return bad(err, "--mount", text, "invalid value for tmpfs-mode");
        bulkhead_set_uint(m, "tmpfs_mode", n);
    } else {
        return bad(err, "--mount", text, "unexpected key");
    }
    return 0;
}

int cli_mount_long(const char *text, bulkhead_value **out, struct bh_err *err) {
    BH_SCOPE_FREE char *copy = bh_xstrdup(text);
    bulkhead_value *m = bulkhead_map_new();
    char *at = copy;
    const char *type;
    int r = 0;

    for (char *f = next_field(&at); f != NULL && r == 0; f = next_field(&at)) {
        char *eq = strchr(f, '=');

        if (eq != NULL)
            *eq++ = '\0';
        r = long_field(m, f, eq, text, err);
    }
    type = bulkhead_get_str(m, "type");
    if (r == 0 && (type[0] == '\0' || strcmp(type, "volume") == 0 || strcmp(type, "image") == 0)) {
        bad(err, "--mount", text, "mounts of type volume and image come with a later version");
        r = bh_err_hint(err, "use type=bind or type=tmpfs");
    } else if (r == 0 && strcmp(type, "bind") != 0 && strcmp(type, "tmpfs") != 0) {
        r = bad(err, "--mount", text, "type must be bind or tmpfs");
    } else if (r == 0 && bulkhead_get_str(m, "target")[0] != '/') {
        r = bad(err, "--mount", text,
                bulkhead_get_str(m, "target")[0] == '\0' ? "target is required"
                                                         : "invalid mount path: mount path must be absolute");
    } else if (r == 0 && strcmp(type, "bind") == 0 && bulkhead_get_str(m, "source")[0] == '\0') {
        r = bad(err, "--mount", text, "a bind mount needs a source");
    }
    if (r != 0) {
        bulkhead_value_free(m);
        return r;
    }
    *out = m;
    return 0;
}

int cli_mount_tmpfs(const char *text, bulkhead_value **out, struct bh_err *err) {
    BH_SCOPE_FREE char *copy = bh_xstrdup(text);
    bulkhead_value *m, *list;
    char *options = strchr(copy, ':'), *save = NULL;

    if (options != NULL)
        *options++ = '\0';
    if (copy[0] != '/')
        return bad(err, "--tmpfs", text, "invalid mount path: mount path must be absolute");
    m = bulkhead_map_new();
    list = bulkhead_list_new();
    bulkhead_set_str(m, "type", "tmpfs");
    bulkhead_set_str(m, "target", copy);
    for (char *o = options != NULL ? strtok_r(options, ",", &save) : NULL; o != NULL; o = strtok_r(NULL, ",", &save)) {
        uint64_t n;

        if (bh_str_starts(o, "size=") && bh_str_bytes(o + 5, &n))
            bulkhead_set_uint(m, "tmpfs_size", n);
        else if (bh_str_starts(o, "mode=") && mode_of(o + 5, &n))
            bulkhead_set_uint(m, "tmpfs_mode", n);
        else if (strcmp(o, "ro") == 0)
            bulkhead_set_bool(m, "read_only", true);
        else
            bulkhead_add_str(list, o);
    }
    bulkhead_set(m, "option", list);
    *out = m;
    return 0;
}
