/*
 * remote.c - see remote.h.
 *
 * Room: client.
 */
#include "cli/remote.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/engine.h"

const struct cli_opt cli_remote_opts[] = {
    {.name = "authfile",
     .kind = CLI_STRING,
     .help = "Read credentials from this file",
     .metavar = "file",
     .complete = "file"},
    {.name = "creds", .kind = CLI_STRING, .help = "Use these credentials, as USER[:PASSWORD]"},
    {.name = "retry", .kind = CLI_INT, .help = "Try so many times when the network fails", .def = "-1"},
    {.name = "tls-verify",
     .kind = CLI_BOOL,
     .help = "Require HTTPS and a certificate that can be verified",
     .def = "true"},
    {0},
};

/* Once for each: a call may ask for several places. */
static void warn(void *arg, const char *text) {
    static char last[256];
    const struct cli_ctx *ctx = arg;

    if (strncmp(last, text, sizeof last - 1) == 0)
        return;
    bh_str_copy_n(last, sizeof last, text, strnlen(text, sizeof last - 1));
    cli_warn(ctx->out, "%s", text);
}

struct cli_auth_place cli_auth_place_of(struct cli_ctx *ctx, const struct cli_args *args) {
    return (struct cli_auth_place){
        .file = args != NULL ? cli_str(args, "authfile") : NULL, .config = ctx->config, .warn = warn, .arg = ctx};
}

static bool has_scope(const bulkhead_value *list, const char *scope) {
    for (size_t i = 0; i < bulkhead_count(list); i++)
        if (strcmp(bulkhead_get_str(bulkhead_at(list, i), "scope"), scope) == 0)
            return true;
    return false;
}

static void add_credential(bulkhead_value *list, const struct cli_auth *a) {
    bulkhead_value *c;

    if (has_scope(list, a->scope))
        return;
    c = bulkhead_map_new();
    bulkhead_set_str(c, "scope", a->scope);
    bulkhead_set_str(c, "username", a->username);
    bulkhead_set_str(c, "password", a->password);
    bulkhead_set_str(c, "identity_token", a->identity_token);
    bulkhead_set_str(c, "registry_token", a->registry_token);
    bulkhead_add(list, c);
}

/* --creds USER:PASSWORD is for the registries that the call names: not for their mirrors, and of those that a short
 * name may mean for the first. */
static void creds_of_option(const char *creds, const char *host, struct cli_auth *out) {
    const char *colon = strchr(creds, ':');

    *out = (struct cli_auth){.scope = bh_xstrdup(host)};
    out->username = bh_xstrndup(creds, colon != NULL ? (size_t)(colon - creds) : strlen(creds));
    out->password = bh_xstrdup(colon != NULL ? colon + 1 : "");
}

/* whole: the option is for this repository, not for all of its registry. */
static int add_for(const struct cli_auth_place *where, const char *creds, bool whole, const bulkhead_value *place,
                   bulkhead_value *list, struct bh_err *err) {
    const char *name = bulkhead_get_str(place, "name");
    char host[BH_REF_TEXT_SIZE];
    struct cli_auth a = {0};
    bool found = true;

    if (bulkhead_get_uint(place, "meaning") > 0)
        creds = NULL;
    if (creds != NULL && creds[0] != '\0' && bulkhead_get_bool(place, "mirror"))
        return 0;
    if (creds != NULL && creds[0] != '\0' &&
        bh_str_copy_n(host, sizeof host, name, whole ? strlen(name) : strcspn(name, "/")))
        creds_of_option(creds, host, &a);
    else if (cli_auth_find(where, name, &a, &found, err) != 0)
        return err->code;
    if (found)
        add_credential(list, &a);
    cli_auth_fini(&a);
    return 0;
}

static int resolve(struct cli_ctx *ctx, const struct cli_remote_names *group, bulkhead_value **out_reply) {
    bulkhead_value *request = bulkhead_map_new(), *list = bulkhead_list_new();

    for (size_t i = 0; i < group->n; i++)
        bulkhead_add_str(list, group->names[i]);
    bulkhead_set(request, "reference", list);
    bulkhead_set_uint(request, "use", group->use);
    return cli_call_take(ctx, "registry", "Resolve", request, out_reply);
}

static int add_group(struct cli_ctx *ctx, const struct cli_auth_place *where, const char *creds,
                     const struct cli_remote_names *group, bulkhead_value *list) {
    bulkhead_value *reply = NULL;
    struct bh_err err = BH_ERR_INIT;
    bool own = group->creds != NULL && group->creds[0] != '\0';
    int status = resolve(ctx, group, &reply);

    if (own)
        creds = group->creds;

    for (size_t i = 0; status == 0 && i < bulkhead_count(bulkhead_get(reply, "reference")); i++) {
        const bulkhead_value *places = bulkhead_get(bulkhead_at(bulkhead_get(reply, "reference"), i), "place");

        for (size_t k = 0; status == 0 && k < bulkhead_count(places); k++)
            if (add_for(where, creds, own, bulkhead_at(places, k), list, &err) != 0)
                status = cli_fail(ctx->out, &err);
    }
    bulkhead_value_free(reply);
    return status;
}

static int make(struct cli_ctx *ctx, const struct cli_auth_place *where, const char *creds,
                const struct cli_remote_names *groups, size_t n, bulkhead_value **out) {
    bulkhead_value *list = bulkhead_list_new();
    int status = 0;

    for (size_t i = 0; status == 0 && i < n; i++)
        if (groups[i].n > 0)
            status = add_group(ctx, where, creds, &groups[i], list);
    if (status != 0) {
        bulkhead_value_free(list);
        return status;
    }
    *out = bulkhead_map_new();
    bulkhead_set(*out, "credential", list);
    return 0;
}

int cli_remote_make_all(struct cli_ctx *ctx, const struct cli_args *args, const struct cli_remote_names *groups,
                        size_t n, bulkhead_value **out) {
    const struct cli_auth_place where = cli_auth_place_of(ctx, args);
    int status;

    if (cli_given(args, "retry") && (cli_int(args, "retry") < 0 || cli_int(args, "retry") > 20))
        return cli_failf(ctx->out, CLI_EXIT_USAGE, "invalid argument \"%lld\" for \"--retry\" flag: 0 to 20",
                         (long long)cli_int(args, "retry"));
    status = make(ctx, &where, cli_str(args, "creds"), groups, n, out);
    if (status != 0)
        return status;
    if (cli_given(args, "tls-verify"))
        bulkhead_set_uint(*out, "tls_verify", cli_bool(args, "tls-verify") ? 1 : 2);
    if (cli_int(args, "retry") >= 0)
        bulkhead_set_uint(*out, "retries_set", (uint64_t)cli_int(args, "retry") + 1);
    return 0;
}

int cli_remote_make(struct cli_ctx *ctx, const struct cli_args *args, enum cli_remote_use use, const char *const *names,
                    size_t n, bulkhead_value **out) {
    const struct cli_remote_names group = {.use = use, .names = names, .n = n};

    return cli_remote_make_all(ctx, args, &group, 1, out);
}

int cli_remote_default(struct cli_ctx *ctx, const char *name, bulkhead_value **out) {
    const struct cli_auth_place where = cli_auth_place_of(ctx, NULL);
    const struct cli_remote_names group = {.use = CLI_REMOTE_PULL, .names = &name, .n = 1};

    return make(ctx, &where, NULL, &group, 1, out);
}

int cli_remote_name_of_server(const char *server, char out[BH_REF_TEXT_SIZE], struct bh_err *err) {
    char scope[BH_REF_TEXT_SIZE - 8];
    struct bh_ref ref;

    cli_auth_scope_of_key(server, scope, sizeof scope);
    if (scope[0] == '\0')
        bh_str_copy(scope, sizeof scope, "docker.io");
    /* a repository that any path prefix of the server covers */
    snprintf(out, BH_REF_TEXT_SIZE, "%s/x", scope);
    if (bh_ref_parse(out, &ref, err) != 0)
        return bh_err_set(err, BH_E_INVALID, "\"%.200s\" is not the name of a registry", server);
    return 0;
}
