/*
 * credential.c - which of the caller's credentials is for a repository.
 *
 * Room: registry.  A credential goes to the host of its scope and to no other, whatever a registry says.
 */
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "svc-registry/auth.h"

#define HUB "docker.io"

static bool is_hub(const char *host, size_t n) {
    static const char *const names[] = {HUB, "index.docker.io", "registry-1.docker.io"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == n && strncasecmp(names[i], host, n) == 0)
            return true;
    }
    return false;
}

static bool same_host(const char *a, size_t n, const char *host) {
    size_t m = strlen(host);

    return (n == m && strncasecmp(a, host, n) == 0) || (is_hub(a, n) && is_hub(host, m));
}

/* What follows the host in a scope: without scheme, without the "/v1/" of old keys, without a slash at the end. */
static void cut_scope(const char *scope, const char **host, size_t *n_host, const char **path, size_t *n_path) {
    if (strncasecmp(scope, "https://", 8) == 0)
        scope += 8;
    else if (strncasecmp(scope, "http://", 7) == 0)
        scope += 7;
    *host = scope;
    *n_host = strcspn(scope, "/");
    *path = scope + *n_host + (scope[*n_host] == '/');
    *n_path = strlen(*path);
    while (*n_path > 0 && (*path)[*n_path - 1] == '/')
        (*n_path)--;
    if (*n_path == 2 && (strncmp(*path, "v1", 2) == 0 || strncmp(*path, "v2", 2) == 0))
        *n_path = 0;
}

const struct reg_credential *reg_credential_for(const struct reg_credential *list, size_t n, const char *host,
                                                const char *path) {
    const struct reg_credential *best = NULL;
    size_t longest = 0;

    for (size_t i = 0; i < n; i++) {
        const char *h, *p;
        size_t n_host, n_path;
        cut_scope(list[i].scope, &h, &n_host, &p, &n_path);
        if (n_host == 0 || !same_host(h, n_host, host))
            continue;
        if (n_path > 0 && (strncmp(path, p, n_path) != 0 || (path[n_path] != '/' && path[n_path] != '\0')))
            continue;
        if (!best || n_path > longest) {
            best = &list[i];
            longest = n_path;
        }
    }
    return best;
}
