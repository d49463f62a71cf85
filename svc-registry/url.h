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
#include <sys/socket.h>

#include "base/err.h"

#define REG_URL_SIZE 4096

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
/* How far away a network address is.  A server may send us on to one that is as far as itself or farther, so
 * that a registry on the Internet cannot make this host speak to its own or its neighbours' services. */
enum reg_reach { REG_REACH_WORLD, REG_REACH_SITE, REG_REACH_LINK, REG_REACH_HOST };
enum reg_reach reg_reach_of(const struct sockaddr *sa);
/* localhost, *.localhost, 127.0.0.0/8, ::1 */
bool reg_host_is_loopback(const char *host);
/* Appends "key=value" percent-encoded, with ? or &.  false: over REG_URL_SIZE. */
bool reg_url_add_query(char url[REG_URL_SIZE], const char *key, const char *value);

/* Link: <..>; rel="next" of a paged list: the address, resolved and of the same origin, or "" when there is no
 * next page.  BH_E_INVALID when it leads elsewhere. */
int reg_link_next(const char *header, const char *base, char out[REG_URL_SIZE], struct bh_err *err);

#endif
