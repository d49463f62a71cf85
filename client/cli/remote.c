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

struct cli_auth_place cli_auth_place_of(const struct cli_ctx *ctx, const struct cli_args *args) {
    return (struct cli_auth_place){.file = args != NULL ? cli_str(args, "authfile") : NULL, .config = ctx->config};
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

/* --creds USER:PASSWORD is for every host that the call names. */
static void creds_of_option(const char *creds, const struct bh_ref *ref, struct cli_auth *out) {
    const char *colon = strchr(creds, ':');

    *out = (struct cli_auth){.scope = bh_xstrdup(ref->domain)};
    out->username = bh_xstrndup(creds, colon != NULL ? (size_t)(colon - creds) : strlen(creds));
    out->password = bh_xstrdup(colon != NULL ? colon + 1 : "");
}

static int add_for(const struct cli_auth_place *where, const char *creds, const char *name, bulkhead_value *list,
                   struct bh_err *err) {
    struct bh_err ignored = BH_ERR_INIT;
    struct cli_auth a = {0};
    bool found = true;
    struct bh_ref ref;

    if (bh_ref_parse(name, &ref, &ignored) != 0)
        return 0; /* the engine says what is wrong with it */
    if (creds != NULL && creds[0] != '\0')
        creds_of_option(creds, &ref, &a);
    else if (cli_auth_find(where, &ref, &a, &found, err) != 0)
        return err->code;
    if (found)
        add_credential(list, &a);
    cli_auth_fini(&a);
    return 0;
}

static int make(struct cli_ctx *ctx, const struct cli_auth_place *where, const char *creds, const char *const *names,
                size_t n, bulkhead_value **out) {
    bulkhead_value *list = bulkhead_list_new();
    struct bh_err err = BH_ERR_INIT;

    for (size_t i = 0; i < n; i++) {
        if (add_for(where, creds, names[i], list, &err) != 0) {
            bulkhead_value_free(list);
            return cli_fail(ctx->out, &err);
        }
    }
    *out = bulkhead_map_new();
    bulkhead_set(*out, "credential", list);
    return 0;
}

int cli_remote_make(struct cli_ctx *ctx, const struct cli_args *args, const char *const *names, size_t n,
                    bulkhead_value **out) {
    const struct cli_auth_place where = cli_auth_place_of(ctx, args);
    int status = make(ctx, &where, cli_str(args, "creds"), names, n, out);

    if (status != 0)
        return status;
    if (cli_given(args, "tls-verify"))
        bulkhead_set_uint(*out, "tls_verify", cli_bool(args, "tls-verify") ? 1 : 2);
    if (cli_int(args, "retry") >= 0)
        bulkhead_set_uint(*out, "retries_set", (uint64_t)cli_int(args, "retry") + 1);
    return 0;
}

int cli_remote_default(struct cli_ctx *ctx, const char *name, bulkhead_value **out) {
    const struct cli_auth_place where = cli_auth_place_of(ctx, NULL);

    return make(ctx, &where, NULL, &name, 1, out);
}

int cli_remote_ref_of_server(const char *server, struct bh_ref *out, struct bh_err *err) {
    char scope[BH_REF_TEXT_SIZE], text[BH_REF_TEXT_SIZE + 8];

    cli_auth_scope_of_key(server, scope, sizeof scope);
    if (scope[0] == '\0')
        bh_str_copy(scope, sizeof scope, "docker.io");
    /* a repository that any path prefix of the server covers */
    snprintf(text, sizeof text, "%s/x", scope);
    if (bh_ref_parse(text, out, err) != 0)
        return bh_err_set(err, BH_E_INVALID, "\"%.200s\" is not the name of a registry", server);
    return 0;
}
