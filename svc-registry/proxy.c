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

/* "10.0.0.0/8" against "10.1.2.3" */
static bool in_network(const char *pattern, const char *host) {
    char text[64];
    struct in_addr net, addr;
    const char *slash = strchr(pattern, '/');
    uint64_t bits;

    if (!slash || !bh_str_copy_n(text, sizeof text, pattern, (size_t)(slash - pattern)) ||
        !bh_str_u64(slash + 1, &bits) || bits > 32 || inet_pton(AF_INET, text, &net) != 1 ||
        inet_pton(AF_INET, host, &addr) != 1)
        return false;
    uint32_t mask = bits ? 0xffffffffu << (32 - bits) : 0;
    return ((ntohl(net.s_addr) ^ ntohl(addr.s_addr)) & mask) == 0;
}

static bool fits(const char *pattern, const struct reg_url *u) {
    char host[300], *port;
    uint64_t number;
    size_t n, have = strlen(u->host);

    if (strcmp(pattern, "*") == 0)
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
