/*
 * url.h - addresses: cut into parts, compared by origin, resolved against another.
 *
 * Room: registry.  Foreign: Location, realm and Link come from servers.  Pure; libcurl's parser behind it,
 * so that what is judged is what is connected to.  A user or password in an address is refused.
 */
#ifndef REG_URL_H
#define REG_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "svc-registry/http.h"

struct reg_url {
    bool plain;              /* http, else https */
    char host[260];          /* lower case; "[::1]" with brackets */
    uint16_t port;           /* always set */
    char text[REG_URL_SIZE]; /* normalised, no fragment */
};

/* http and https only.  base: what a relative text is resolved against, or NULL.  BH_E_INVALID. */
int reg_url_parse(const char *text, const char *base, struct reg_url *out, struct bh_err *err);
bool reg_url_same_origin(const struct reg_url *a, const struct reg_url *b);
/* "https://host", with :port unless it is the scheme's. */
void reg_url_origin(const struct reg_url *u, char out[300]);
/* localhost, *.localhost, 127.0.0.0/8, ::1 */
bool reg_host_is_loopback(const char *host);
/* Appends "key=value" percent-encoded, with ? or &.  false: over REG_URL_SIZE. */
bool reg_url_add_query(char url[REG_URL_SIZE], const char *key, const char *value);

/* Link: <..>; rel="next" of a paged list: the address, resolved and of the same origin, or "" when there is no
 * next page.  BH_E_INVALID when it leads elsewhere. */
int reg_link_next(const char *header, const char *base, char out[REG_URL_SIZE], struct bh_err *err);

#endif
