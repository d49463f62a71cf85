/*
 * cmd_login.c - `login` and `logout`.
 *
 * Room: client.  A password comes from standard input or from the terminal without an echo; on the
 * command line it is taken with a warning, because the process list shows it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/authfile.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"

#define SECRET_MAX ((size_t)64 << 10)

const struct cli_opt cmd_login_opts[] = {
    {.name = "authfile",
     .kind = CLI_STRING,
     .help = "Keep the login in this file",
     .metavar = "file",
     .complete = "file"},
    {.name = "get-login", .kind = CLI_BOOL, .help = "Print the user that is logged in"},
    {.name = "list", .kind = CLI_BOOL, .help = "List the registries that have a login"},
    {.name = "password", .letter = 'p', .kind = CLI_STRING, .help = "Password or token"},
    {.name = "password-stdin", .kind = CLI_BOOL, .help = "Read the password from standard input"},
    {.name = "tls-verify",
     .kind = CLI_BOOL,
     .help = "Require HTTPS and a certificate that can be verified",
     .def = "true"},
    {.name = "username", .letter = 'u', .kind = CLI_STRING, .help = "Name of the user"},
    {0},
};

const struct cli_opt cmd_logout_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "Remove all logins"},
    {.name = "authfile",
     .kind = CLI_STRING,
     .help = "Remove the login from this file",
     .metavar = "file",
     .complete = "file"},
    {0},
};

/* ---- what the user types ------------------------------------------------------------------- */

/* A line of standard input, without its end. */
static int read_line(bool hidden, char **out, struct bh_err *err) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT_MAX(SECRET_MAX);
    struct termios was, now;
    bool echo = hidden && isatty(0) && tcgetattr(0, &was) == 0;
    ssize_t n;
    char c;

    if (echo) {
        now = was;
        now.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(0, TCSAFLUSH, &now);
    }
    while ((n = read(0, &c, 1)) == 1 && c != '\n')
        bh_buf_addc(&b, c);
    if (echo) {
        tcsetattr(0, TCSAFLUSH, &was);
        (void)!write(2, "\n", 1);
    }
    if (n < 0)
        return bh_err_errno(err, errno, "read standard input");
    if (b.len > 0 && b.data[b.len - 1] == '\r')
        b.data[--b.len] = '\0';
    if (bh_buf_failed(&b))
        return bh_err_set(err, BH_E_LIMIT, "standard input: the line is too long");
    *out = bh_xstrdup(bh_buf_str(&b));
    if (b.data != NULL)
        explicit_bzero(b.data, b.cap);
    return 0;
}

/* All of standard input, less one end of line. */
static int read_all(char **out, struct bh_err *err) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT_MAX(SECRET_MAX);
    char part[4096];
    ssize_t n;

    while ((n = bh_read_full(0, part, sizeof part)) > 0)
        bh_buf_add(&b, part, (size_t)n);
    explicit_bzero(part, sizeof part);
    if (n < 0)
        return bh_err_errno(err, errno, "read standard input");
    while (b.len > 0 && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == '\r'))
        b.data[--b.len] = '\0';
    if (bh_buf_failed(&b) || b.len == 0)
        return bh_err_set(err, BH_E_INVALID, "standard input holds no password");
    *out = bh_xstrdup(bh_buf_str(&b));
    explicit_bzero(b.data, b.cap);
    return 0;
}

static int ask(const char *prompt, bool hidden, char **out, struct bh_err *err) {
    if (!isatty(0)) {
        bh_err_set(err, BH_E_INVALID, "cannot perform an interactive login from a non TTY device");
        return bh_err_hint(err, "give --username and --password-stdin");
    }
    (void)!write(2, prompt, strlen(prompt));
    return read_line(hidden, out, err);
}

static int gather(struct cli_ctx *ctx, const struct cli_args *args, struct cli_auth *a, struct bh_err *err) {
    const char *user = cli_str(args, "username"), *password = cli_str(args, "password");

    if (password != NULL && cli_bool(args, "password-stdin")) {
        bh_err_set(err, BH_E_INVALID, "--password and --password-stdin are mutually exclusive");
        return err->code;
    }
    if (cli_bool(args, "password-stdin") && (user == NULL || user[0] == '\0'))
        return bh_err_set(err, BH_E_INVALID, "must provide --username with --password-stdin");
    if (password != NULL)
        cli_warn(ctx->out, "a password on the command line is seen in the process list; use --password-stdin");
    if (user != NULL && user[0] != '\0')
        a->username = bh_xstrdup(user);
    else if (ask("Username: ", false, &a->username, err) != 0)
        return err->code;
    if (a->username[0] == '\0')
        return bh_err_set(err, BH_E_INVALID, "username is empty");
    if (password != NULL)
        a->password = bh_xstrdup(password);
    else if (cli_bool(args, "password-stdin") ? read_all(&a->password, err) != 0
                                              : ask("Password: ", true, &a->password, err) != 0)
        return err->code;
    return a->password[0] != '\0' ? 0 : bh_err_set(err, BH_E_INVALID, "password is empty");
}

/* ---- login --------------------------------------------------------------------------------- */

static bulkhead_value *request_of(const struct cli_args *args, const char *server, const struct cli_auth *a) {
    bulkhead_value *request = bulkhead_map_new(), *credential = bulkhead_map_new(), *remote = bulkhead_map_new();
    char scope[BH_REF_TEXT_SIZE];

    cli_auth_scope_of_key(server, scope, sizeof scope);
    bulkhead_set_str(credential, "scope", scope[0] != '\0' ? scope : "docker.io");
    bulkhead_set_str(credential, "username", a->username);
    bulkhead_set_str(credential, "password", a->password);
    bulkhead_set_str(credential, "identity_token", a->identity_token);
    if (cli_given(args, "tls-verify"))
        bulkhead_set_uint(remote, "tls_verify", cli_bool(args, "tls-verify") ? 1 : 2);
    bulkhead_set_str(request, "server", server);
    bulkhead_set(request, "credential", credential);
    bulkhead_set(request, "remote", remote);
    return request;
}

static int keep(struct cli_ctx *ctx, const struct cli_auth_place *where, const char *server, struct cli_auth *a,
                bool kept, const bulkhead_value *reply) {
    const char *token = bulkhead_get_str(reply, "identity_token"), *status = bulkhead_get_str(reply, "status");
    struct bh_err err = BH_ERR_INIT;
    char *place BH_SCOPE_FREE = NULL;
    bool plain = false;

    bool same = kept && (token[0] == '\0' || a->identity_token != NULL);

    if (token[0] != '\0' && a->identity_token == NULL)
        a->identity_token = bh_xstrdup(token);
    if (!same && cli_auth_store(where, server, a, &place, &plain, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (plain)
        cli_say(ctx->out, "The login is kept unencrypted in %s; a credential helper keeps it safer.", place);
    cli_put_word(ctx->out, status[0] != '\0' ? status : "Login Succeeded");
    cli_put(ctx->out, "\n");
    return 0;
}

static int get_login(struct cli_ctx *ctx, const struct cli_auth_place *where, const char *server) {
    struct bh_err err = BH_ERR_INIT;
    struct cli_auth a = {0};
    char name[BH_REF_TEXT_SIZE];
    bool found = false;

    if (cli_remote_name_of_server(server, name, &err) != 0 || cli_auth_find(where, name, &a, &found, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (found) {
        cli_put_word(ctx->out, a.username != NULL ? a.username : "<token>");
        cli_put(ctx->out, "\n");
    }
    cli_auth_fini(&a);
    return found ? 0
                 : cli_failf(ctx->out, CLI_EXIT_FAILED, "not logged into %s", server[0] != '\0' ? server : "docker.io");
}

static int list_logins(struct cli_ctx *ctx, const struct cli_auth_place *where) {
    struct bh_err err = BH_ERR_INIT;
    char **list = NULL;
    size_t n = 0;

    if (cli_auth_list(where, &list, &n, &err) != 0)
        return cli_fail(ctx->out, &err);
    for (size_t i = 0; i < n; i++) {
        cli_put_word(ctx->out, list[i]);
        cli_put(ctx->out, "\n");
        free(list[i]);
    }
    free(list);
    return 0;
}

/* Without a word about who: what is kept already is tried again, as docker does. */
static int known(const struct cli_auth_place *where, const struct cli_args *args, const char *server,
                 struct cli_auth *a, bool *out_found, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];

    *out_found = false;
    if (cli_given(args, "username") || cli_given(args, "password") || cli_bool(args, "password-stdin") ||
        (where->file != NULL && where->file[0] != '\0' && access(where->file, F_OK) != 0))
        return 0;
    if (cli_remote_name_of_server(server, name, err) != 0)
        return err->code;
    return cli_auth_find(where, name, a, out_found, err);
}

int cmd_login(struct cli_ctx *ctx, const struct cli_args *args) {
    const struct cli_auth_place where = cli_auth_place_of(ctx, args);
    const char *server = args->operand_count > 0 ? args->operands[0] : "";
    struct bh_err err = BH_ERR_INIT;
    struct cli_auth a = {0};
    bulkhead_value *reply = NULL;
    bool found;
    int status;

    if (cli_bool(args, "list"))
        return list_logins(ctx, &where);
    if (cli_bool(args, "get-login"))
        return get_login(ctx, &where, server);
    if (known(&where, args, server, &a, &found, &err) != 0 || (!found && gather(ctx, args, &a, &err) != 0)) {
        cli_auth_fini(&a);
        return cli_fail(ctx->out, &err);
    }
    if (found)
        cli_say(ctx->out, "Authenticating with existing credentials...%s%s%s", a.username != NULL ? " [Username: " : "",
                a.username != NULL ? a.username : "", a.username != NULL ? "]" : "");
    status = cli_call_take(ctx, "registry", "Login", request_of(args, server, &a), &reply);
    if (status == 0)
        status = keep(ctx, &where, server, &a, found, reply);
    bulkhead_value_free(reply);
    cli_auth_fini(&a);
    return status;
}

/* ---- logout -------------------------------------------------------------------------------- */

static int logout_one(struct cli_ctx *ctx, const struct cli_auth_place *where, const char *server) {
    const char *shown = server[0] != '\0' ? server : "https://index.docker.io/v1/";
    struct bh_err err = BH_ERR_INIT;
    bool was_there = false;

    if (cli_auth_erase(where, server, &was_there, &err) != 0)
        return cli_fail(ctx->out, &err);
    if (was_there)
        cli_put(ctx->out, "Removing login credentials for %s\n", shown);
    else
        cli_say(ctx->out, "Not logged in to %s", shown);
    return 0;
}

static int logout_all(struct cli_ctx *ctx, const struct cli_auth_place *where) {
    struct bh_err err = BH_ERR_INIT;
    char **list = NULL;
    size_t n = 0;
    int status = 0;

    if (cli_auth_list(where, &list, &n, &err) != 0)
        return cli_fail(ctx->out, &err);
    for (size_t i = 0; i < n; i++) {
        int r = logout_one(ctx, where, list[i]);

        status = status != 0 ? status : r;
        free(list[i]);
    }
    free(list);
    return status;
}

int cmd_logout(struct cli_ctx *ctx, const struct cli_args *args) {
    const struct cli_auth_place where = cli_auth_place_of(ctx, args);

    if (cli_bool(args, "all"))
        return logout_all(ctx, &where);
    return logout_one(ctx, &where, args->operand_count > 0 ? args->operands[0] : "");
}
