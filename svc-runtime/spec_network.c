/*
 * spec_network.c - names and addresses that a container is told: host name, resolver, extra hosts.
 *
 * Room: runtime.  Foreign: all of it; it ends up in files of the container (hostname, hosts,
 * resolv.conf), so nothing that could start a new line or word gets through.
 */
#include "svc-runtime/spec_make.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"

static bool host_chars(const char *s, size_t max) {
    size_t n = strlen(s);

    if (n == 0 || n > max || s[0] == '-' || s[0] == '.')
        return false;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")] == 0;
}

static bool is_address(const char *s) {
    unsigned char raw[16];

    return inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1;
}

static int check_extra_host(const char *entry, struct bh_arena *arena, struct bh_err *err) {
    const char *colon = strchr(entry, ':');
    const char *name = colon != NULL ? bh_oci_strdup(arena, entry, (size_t)(colon - entry), err) : "";

    if (name == NULL)
        return err->code;
    if (colon != NULL && strcmp(colon + 1, "host-gateway") == 0)
        return bh_err_set(err, BH_E_UNIMPLEMENTED, "--add-host %s: host-gateway needs networks, which come later",
                          entry);
    if (!host_chars(name, 253) || !is_address(colon + 1))
        return bh_err_set(err, BH_E_INVALID, "bad format for add-host: \"%s\": write it as NAME:ADDRESS", entry);
    return 0;
}

static int check_lists(const struct rt_request *req, struct bh_arena *arena, struct bh_err *err) {
    for (size_t i = 0; i < req->extra_hosts.n; i++)
        if (check_extra_host(req->extra_hosts.v[i], arena, err) != 0)
            return err->code;
    for (size_t i = 0; i < req->dns.n; i++)
        if (!is_address(req->dns.v[i]))
            return bh_err_set(err, BH_E_INVALID, "%s is not an ip address (--dns)", req->dns.v[i]);
    for (size_t i = 0; i < req->dns_search.n; i++)
        if (strcmp(req->dns_search.v[i], ".") != 0 && !host_chars(req->dns_search.v[i], 253))
            return bh_err_set(err, BH_E_INVALID, "%s is not a valid domain (--dns-search)", req->dns_search.v[i]);
    for (size_t i = 0; i < req->dns_option.n; i++)
        if (!host_chars(req->dns_option.v[i], 64) &&
            req->dns_option.v[i][strspn(req->dns_option.v[i], "abcdefghijklmnopqrstuvwxyz0123456789-:")] != 0)
            return bh_err_set(err, BH_E_INVALID, "%s is not a resolver option (--dns-option)", req->dns_option.v[i]);
    return 0;
}

int rt_spec_names(const struct rt_request *req, const char *id, struct bh_arena *arena, struct rt_spec *spec,
                  struct bh_err *err) {
    const char *host = req->hostname;

    if (*host != 0 && (spec->flags & RT_UTS_HOST))
        return bh_err_set(err, BH_E_INVALID, "conflicting options: hostname and the UTS mode");
    if (*host != 0 && !host_chars(host, 64))
        return bh_err_set(err, BH_E_INVALID, "invalid hostname format: %s", host);
    if (*req->domainname != 0 && !host_chars(req->domainname, 64))
        return bh_err_set(err, BH_E_INVALID, "invalid domainname format: %s", req->domainname);
    if (*host == 0) {
        host = bh_oci_strdup(arena, id, 12, err);
        if (host == NULL)
            return err->code;
    }
    spec->hostname = (char *)host;
    spec->domainname = (char *)req->domainname;
    if (check_lists(req, arena, err) != 0 || rt_strings_of(&req->extra_hosts, arena, &spec->extra_hosts, err) != 0 ||
        rt_strings_of(&req->dns, arena, &spec->dns, err) != 0 ||
        rt_strings_of(&req->dns_search, arena, &spec->dns_search, err) != 0 ||
        rt_strings_of(&req->dns_option, arena, &spec->dns_option, err) != 0)
        return err->code;
    return 0;
}
