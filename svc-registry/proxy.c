/*
 * proxy.c - which proxy an address goes through: https_proxy, http_proxy and no_proxy of [registry].
 *
 * Room: registry.  Pure.  Hosts of the loopback never go through one.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "svc-registry/conf_priv.h"

/* An address without its brackets: how many bytes, 0: it is a name. */
static size_t address_of(const char *text, unsigned char out[16]) {
    char bare[64];
    size_t n = strlen(text);
    bool bracketed = n > 2 && text[0] == '[' && text[n - 1] == ']';

    if (!bh_str_copy_n(bare, sizeof bare, text + bracketed, bracketed ? n - 2 : n))
        return 0;
    return inet_pton(AF_INET, bare, out) == 1 ? 4 : inet_pton(AF_INET6, bare, out) == 1 ? 16 : 0;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, size_t bits) {
    unsigned char mask = (unsigned char)(0xff00 >> bits % 8);

    return memcmp(a, b, bits / 8) == 0 && (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0);
}

/* "10.0.0.0/8", "fd00::/8", "fd00::1" */
static bool in_network(const char *pattern, const char *host) {
    unsigned char net[16], addr[16];
    char text[64];
    size_t n = strcspn(pattern, "/"), size;
    uint64_t bits = 0;

    if (!bh_str_copy_n(text, sizeof text, pattern, n) || (size = address_of(text, net)) == 0 ||
        address_of(host, addr) != size)
        return false;
    if (pattern[n] == '\0')
        return memcmp(net, addr, size) == 0;
    return bh_str_u64(pattern + n + 1, &bits) && bits <= 8 * size && same_bits(net, addr, bits);
}

static bool fits(const char *pattern, const struct reg_url *u) {
    char host[300], *port;
    uint64_t number;
    size_t n, have = strlen(u->host);

    if (strcmp(pattern, "*") == 0)
        return true;
    if (in_network(pattern, u->host))
        return true;
    if (!bh_str_copy(host, sizeof host, pattern))
        return false;
    port = host[0] == '[' ? strstr(host, "]:") : strrchr(host, ':');
    if (port && host[0] == '[')
        port++;
    if (port && bh_str_u64(port + 1, &number)) {
        if (number != u->port)
            return false;
        *port = '\0';
    }
    if (in_network(host, u->host))
        return true;
    const char *name = host + (bh_str_starts(host, "*.") ? 2 : host[0] == '.');
    n = strlen(name);
    if (n == 0 || n > have || strcasecmp(u->host + have - n, name) != 0)
        return false;
    return n == have || u->host[have - n - 1] == '.';
}

static bool excluded(const char *list, const struct reg_url *u) {
    char word[300];

    while (*list) {
        size_t n = strcspn(list, ", \t");
        if (n > 0 && bh_str_copy_n(word, sizeof word, list, n) && fits(word, u))
            return true;
        list += n + (list[n] != '\0');
    }
    return false;
}

const char *reg_conf_proxy(const struct reg_conf *conf, const struct reg_url *u) {
    const char *proxy = u->plain ? conf->http_proxy : conf->https_proxy;

    return !*proxy || reg_host_is_loopback(u->host) || excluded(conf->no_proxy, u) ? "" : proxy;
}
