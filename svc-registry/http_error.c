/*
 * http_error.c - what went wrong with an exchange, and what can be done about it.
 *
 * Room: registry.  Must not put an address's query or an authorization into an error.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "svc-registry/http_int.h"

static const char *what_of(const struct reg_exchange *x) {
    return x->req->what ? x->req->what : x->origin;
}

int reg_exchange_fail(struct reg_exchange *x, int code, const char *reason, const char *fmt, ...) {
    char text[512];
    va_list ap;

    if (x->err->code)
        return x->err->code;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    bh_err_set(x->err, code, "%s: %s", what_of(x), text);
    return bh_err_reason(x->err, reason);
}

bool reg_exchange_proxied(const struct reg_exchange *x) {
    return x->hop->terms.proxy && *x->hop->terms.proxy;
}

/* What can be done about a certificate that did not pass; libcurl's words tell them apart. */
static void hint_certificate(struct reg_exchange *x) {
    const char *host = strchr(x->origin, '/') + 2;

    if (strstr(x->why, "expired"))
        bh_err_hint(x->err, "whoever runs %s has to renew the certificate", host);
    else if (strstr(x->why, "not yet valid"))
        bh_err_hint(x->err, "look at the clock of this host, then ask whoever runs %s", host);
    else if (strstr(x->why, "subject name"))
        bh_err_hint(x->err, "the certificate is for another name: use that one, or have it made for %s", host);
    else
        bh_err_hint(x->err, "put the authority that signed it into certs.d/%s/ca.crt (certs_dir in bulkhead.toml)",
                    host);
}

static int tls_failed(struct reg_exchange *x, CURLcode code) {
    bool verified = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR;
    bool plain = code == CURLE_SSL_CONNECT_ERROR &&
                 (strstr(x->why, "wrong version number") || strstr(x->why, "packet length too long") ||
                  strstr(x->why, "http request") || strstr(x->why, "record layer failure"));

    if (plain) {
        (void)reg_exchange_fail(x, BH_E_UNAVAILABLE, "plain-http",
                                "%s: server gave HTTP response to HTTPS client: it does not speak TLS", x->origin);
        return bh_err_hint(x->err,
                           "if plain HTTP is right here, set `insecure = true` for this host in registries.conf");
    }
    (void)reg_exchange_fail(x, BH_E_UNAVAILABLE,
                            code == CURLE_SSL_CONNECT_ERROR && !strstr(x->why, " alert ") ? "no-tls" : "tls",
                            "%s: tls: %s", x->origin, *x->why ? x->why : curl_easy_strerror(code));
    if (verified)
        hint_certificate(x);
    return x->err->code;
}

/* " by the proxy HOST:PORT", without the user that its address may name. */
static void by_proxy(const struct reg_exchange *x, char out[200]) {
    const char *host = reg_exchange_proxied(x) ? x->hop->terms.proxy : NULL, *at;

    out[0] = '\0';
    if (!host)
        return;
    host = strstr(host, "://") ? strstr(host, "://") + 3 : host;
    at = strrchr(host, '@');
    host = at ? at + 1 : host;
    snprintf(out, 200, " by the proxy %.*s", (int)strcspn(host, "/"), host);
}

int reg_exchange_connect_failed(struct reg_exchange *x) {
    char proxy[200];
    long number = 0;

    if (x->refused) {
        (void)reg_exchange_fail(
            x, BH_E_DENIED, "near-address",
            "%s: the registry sends us to an address of this host or network that is closer than itself", x->origin);
        return x->err->code;
    }
    curl_easy_getinfo(x->lane->easy, CURLINFO_OS_ERRNO, &number);
    by_proxy(x, proxy);
    return reg_exchange_fail(x, BH_E_UNAVAILABLE, "connect", "connect to %s:%u%s: %s", x->hop->url->host,
                             x->hop->url->port, proxy,
                             number > 0 ? strerror((int)number)
                             : *x->why  ? x->why
                                        : "no connection");
}

int reg_exchange_timed_out(struct reg_exchange *x) {
    double connected = 0; /* a connection that was used again has no times but this one */
    char proxy[200];

    curl_easy_getinfo(x->lane->easy, CURLINFO_PRETRANSFER_TIME, &connected);
    by_proxy(x, proxy);
    if (connected <= 0)
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "connect", "connect to %s:%u%s: no answer in time",
                                 x->hop->url->host, x->hop->url->port, proxy);
    return reg_exchange_fail(x, BH_E_UNAVAILABLE, "timeout", "%s: no answer in time", x->origin);
}

static int connection_lost(struct reg_exchange *x, CURLcode code) {
    return reg_exchange_fail(x, BH_E_UNAVAILABLE, "connection-lost", "%s: the connection was lost: %s", x->origin,
                             *x->why ? x->why : curl_easy_strerror(code));
}

int reg_exchange_curl_failed(struct reg_exchange *x, CURLcode code) {
    char proxy[200];

    if (x->err->code)
        return x->err->code;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        by_proxy(x, proxy);
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "dns", "look up %s: no such host, or no name server answers",
                                 code == CURLE_COULDNT_RESOLVE_PROXY ? proxy + strlen(" by ") : x->hop->url->host);
    case CURLE_COULDNT_CONNECT:
        return reg_exchange_connect_failed(x);
    case CURLE_OPERATION_TIMEDOUT:
        return reg_exchange_timed_out(x);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return tls_failed(x, code);
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
        if (strstr(x->why, " alert ")) /* TLS 1.3: a client certificate is missed only after the handshake */
            return tls_failed(x, code);
        return connection_lost(x, code);
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return connection_lost(x, code);
    case CURLE_OUT_OF_MEMORY: /* libcurl's word for a line that is too long */
        return reg_exchange_fail(x, BH_E_LIMIT, "too-large",
                                 x->begun ? "out of memory" : "the server sent a header that is too long");
    default:
        return reg_exchange_fail(x, BH_E_UNAVAILABLE, "bad-answer", "%s: %s", x->origin,
                                 *x->why ? x->why : curl_easy_strerror(code));
    }
}
