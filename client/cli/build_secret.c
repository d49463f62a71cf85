/*
 * build_secret.c - --secret: what RUN --mount=type=secret gets, from a file or the environment.
 *
 * Room: client.  A value never stands on a command line or in a message.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/build_int.h"

struct secret_spec {
    char id[128], source[4096], env[256];
};

static int parse_secret(const char *text, struct secret_spec *out, struct bh_err *err) {
    char *copy BH_SCOPE_FREE = bh_xstrdup(text);
    char *save = NULL;

    memset(out, 0, sizeof *out);
    for (char *part = strtok_r(copy, ",", &save); part != NULL; part = strtok_r(NULL, ",", &save)) {
        char *eq = strchr(part, '=');
        bool good = eq != NULL;

        if (good)
            *eq++ = '\0';
        if (good && strcmp(part, "id") == 0)
            good = bh_str_copy(out->id, sizeof out->id, eq);
        else if (good && (strcmp(part, "src") == 0 || strcmp(part, "source") == 0))
            good = bh_str_copy(out->source, sizeof out->source, eq);
        else if (good && strcmp(part, "env") == 0)
            good = bh_str_copy(out->env, sizeof out->env, eq);
        else if (good)
            good = strcmp(part, "type") == 0 && (strcmp(eq, "file") == 0 || strcmp(eq, "env") == 0);
        if (!good) {
            bh_err_set(err, BH_E_INVALID,
                       "invalid argument \"%.100s\" for \"--secret\" flag: id=ID[,src=FILE|,env=NAME]", text);
            return bh_err_reason(err, "usage");
        }
    }
    if (out->id[0] == '\0' && bh_str_copy(out->id, sizeof out->id, out->env) && out->id[0] == '\0')
        return bh_err_set(err, BH_E_INVALID, "--secret %.100s: it has no id", text);
    return 0;
}

static int add_secret(const char *text, bulkhead_value *list, struct bh_err *err) {
    struct bh_buf value BH_SCOPE_BUF = BH_BUF_INIT;
    struct secret_spec spec;
    bulkhead_value *item;
    const char *env;

    if (parse_secret(text, &spec, err) != 0)
        return err->code;
    env = getenv(spec.env[0] != '\0' ? spec.env : spec.id);
    if (spec.source[0] == '\0' && env == NULL)
        return bh_err_set(err, BH_E_NOT_FOUND, "secret %s: no src= was given, and the environment has no %s", spec.id,
                          spec.env[0] != '\0' ? spec.env : spec.id);
    if (spec.source[0] == '\0')
        bh_buf_adds(&value, env);
    else if (bh_file_read(AT_FDCWD, spec.source, (size_t)512 << 10, &value, err) != 0)
        return bh_err_prefix(err, "secret %s", spec.id);
    item = bulkhead_map_new();
    bulkhead_set_str(item, "id", spec.id);
    bulkhead_set_bytes(item, "value", bh_buf_str(&value), value.len);
    bulkhead_add(list, item);
    if (value.data != NULL)
        explicit_bzero(value.data, value.cap);
    return 0;
}

int build_secrets_set(const struct cli_args *args, bulkhead_value *request, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();
    int r = 0;

    for (size_t i = 0; r == 0 && i < cli_count(args, "secret"); i++)
        r = add_secret(cli_item(args, "secret", i), list, err);
    bulkhead_set(request, "secret", list);
    return r;
}
