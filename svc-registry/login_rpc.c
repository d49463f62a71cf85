/*
 * login_rpc.c - handler: are these the right words for this registry?
 *
 * Room: registry.  Nothing is kept: the client writes what comes back into its own file.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/types.h"
#include "svc-registry/answer.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/methods.h"

#define HUB_KEY "https://index.docker.io/v1/"

/* "https://index.docker.io/v1/", "registry.example:5000", "https://registry.example/" -> host[:port] */
static int host_of(const char *server, char out[BH_REF_DOMAIN_MAX + 1], struct bh_err *err) {
    const char *start = strstr(server, "://") ? strstr(server, "://") + 3 : server;

    if (bh_str_copy_n(out, BH_REF_DOMAIN_MAX + 1, start, strcspn(start, "/")))
        return 0;
    return bh_err_set(err, BH_E_INVALID, "login: the name of the registry is too long");
}

static int probe(struct reg_remote *r, const char *host, struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    const struct reg_http_request req = {.method = "GET", .what = host};
    char text[400];

    if (reg_remote_send(r, &req, "/v2/", &answer, err) != 0)
        return err->code;
    if (answer.redirected) {
        bh_err_set(err, BH_E_UNAVAILABLE, "login to %s: it sends us to another server, which has not seen the password",
                   host);
        return bh_err_reason(err, "redirect");
    }
    if (answer.status == 200)
        return 0;
    reg_answer_text(&answer, text, sizeof text);
    if (answer.status == 401 || answer.status == 403) {
        bool said = *text && !bh_str_starts(text, "unauthorized: authentication required");
        bh_err_set(err, BH_E_UNAUTHENTICATED, "login to %s: %s", host,
                   said ? text : "unauthorized: incorrect username or password");
        return bh_err_reason(err, "unauthorized");
    }
    if (answer.status == 404) {
        bh_err_set(err, BH_E_UNAVAILABLE, "login to %s: this is no registry: it answers 404 to /v2/", host);
        return bh_err_reason(err, "no-registry");
    }
    return reg_remote_status(r, &answer, host, err);
}

static int reply_login(struct bh_call *call, const struct reg_remote *remote, const struct reg_auth *auth,
                       struct bh_err *err) {
    REG_MSG(LoginReply) reply = BULKHEAD__REGISTRY__V1__LOGIN_REPLY__INIT;
    const char *identity = reg_auth_identity(auth), *host = reg_remote_host(remote);

    reply.status = (char *)"Login Succeeded";
    reply.identity_token = (char *)(identity ? identity : "");
    reply.server = (char *)(strcmp(host, "registry-1.docker.io") == 0 ? HUB_KEY : host);
    return bh_call_reply(call, &reply.base, err);
}

int reg_rpc_login(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const REG_MSG(LoginRequest) *req = (const REG_MSG(LoginRequest) *)request;
    REG_SCOPE_CONF struct reg_conf *conf = reg_room_conf(room);
    char host[BH_REF_DOMAIN_MAX + 1];
    struct reg_remote *remote = NULL;
    struct reg_credential credential;
    struct reg_caller caller;
    struct reg_place place;

    if (!req->credential || (!*req->credential->username && !*req->credential->identity_token))
        return bh_err_set(err, BH_E_INVALID, "login: a username is needed");
    if (host_of(req->server, host, err) != 0 || reg_caller_of(call, req->remote, &caller, err) != 0)
        return err->code;
    const struct reg_route_options options = {REG_LIST, caller.tls_verify, caller.admin};
    if (reg_route_host(conf, host, &options, &place, err) != 0)
        return err->code;
    if (reg_credential_of(req->credential, &credential, err) != 0)
        return err->code;
    credential.scope = place.name;
    caller.credentials = &credential;
    caller.n_credentials = 1;
    caller.offline = true;
    if (reg_remote_open(room, conf, &place, &caller, "", &remote, err) != 0)
        return err->code;
    int rc = probe(remote, place.name, err);
    if (rc == 0)
        rc = reply_login(call, remote, reg_remote_auth(remote), err);
    reg_remote_free(remote);
    return rc;
}
