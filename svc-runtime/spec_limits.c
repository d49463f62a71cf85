/*
 * spec_limits.c - --ulimit, --sysctl, --shm-size, --oom-score-adj of a container; limits.c has those of its cgroup.
 *
 * Room: runtime.  Foreign: all of it.  A sysctl must lie in a namespace of the container, and its
 * value keeps to a small grammar (CVE-2022-0811: a '+' in a value smuggled a second setting).
 * launch has the same list.
 */
#include "svc-runtime/spec_make.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define MAX_ULIMITS 32

static bool ulimit_known(const char *name) {
    static const char *const known[] = {"core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue", "nice",
                                        "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}

static int make_ulimits(const struct rt_request *req, struct bh_arena *arena, struct rt_spec *spec,
                        struct bh_err *err) {
    struct rt_ulimit *list;

    if (req->n_ulimits == 0)
        return 0;
    if (req->n_ulimits > MAX_ULIMITS)
        return bh_err_set(err, BH_E_LIMIT, "%zu ulimits: at most %d are allowed", req->n_ulimits, MAX_ULIMITS);
    list = bh_oci_alloc(arena, req->n_ulimits * sizeof *list, err);
    if (list == NULL)
        return err->code;
    for (size_t i = 0; i < req->n_ulimits; i++) {
        const struct rt_req_ulimit *u = &req->ulimits[i];

        if (!ulimit_known(u->name))
            return bh_err_set(err, BH_E_INVALID, "invalid ulimit type: %s", u->name);
        if (u->soft > u->hard)
            return bh_err_set(err, BH_E_INVALID,
                              "ulimit %s: soft limit must be less than or equal to hard limit: %llu > %llu", u->name,
                              (unsigned long long)u->soft, (unsigned long long)u->hard);
        list[i] = (struct rt_ulimit){.name = (char *)u->name, .soft = u->soft, .hard = u->hard};
    }
    spec->ulimits = list;
    spec->n_ulimits = (uint32_t)req->n_ulimits;
    return 0;
}

static bool plain_chars(const char *s, size_t n, const char *more) {
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!ok && (c == 0 || strchr(more, c) == NULL))
            return false;
    }
    return n > 0;
}

enum sysctl_home { SYSCTL_NONE, SYSCTL_IPC, SYSCTL_NET };

static enum sysctl_home sysctl_home(const char *name, size_t n) {
    static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",          "kernel.sem",
                                      "kernel.shmall", "kernel.shmmax", "kernel.shm_rmid_forced", "kernel.shmmni"};

    for (size_t i = 0; i < BH_ARRAY_LEN(ipc); i++)
        if (strlen(ipc[i]) == n && memcmp(ipc[i], name, n) == 0)
            return SYSCTL_IPC;
    if (n > 10 && memcmp(name, "fs.mqueue.", 10) == 0)
        return SYSCTL_IPC;
    if (n > 4 && memcmp(name, "net.", 4) == 0)
        return SYSCTL_NET;
    return SYSCTL_NONE;
}

static int check_sysctl(const char *text, const struct rt_spec *spec, struct bh_err *err) {
    const char *eq = strchr(text, '=');
    size_t n = eq != NULL ? (size_t)(eq - text) : 0;
    enum sysctl_home home = eq != NULL ? sysctl_home(text, n) : SYSCTL_NONE;

    if (eq == NULL)
        return bh_err_set(err, BH_E_INVALID, "sysctl '%s': write it as NAME=VALUE", text);
    if (home == SYSCTL_NONE || !plain_chars(text, n, "._-/") || strstr(text, "..") != NULL ||
        memchr(text, '/', n) != NULL) {
        bh_err_set(err, BH_E_INVALID, "sysctl '%s' is not allowed", text);
        return bh_err_hint(err, "only those of the container's own ipc and network namespaces can be set");
    }
    if (!plain_chars(eq + 1, strlen(eq + 1), " \t._-,:") || strlen(eq + 1) > 255)
        return bh_err_set(err, BH_E_INVALID, "sysctl '%s': the value has characters that are not allowed", text);
    if ((home == SYSCTL_NET && (spec->flags & RT_NET_HOST)) || (home == SYSCTL_IPC && (spec->flags & RT_IPC_HOST)))
        return bh_err_set(err, BH_E_INVALID, "sysctl '%s' is not allowed as the namespace is the host's", text);
    return 0;
}

int rt_spec_limits(const struct rt_request *req, struct bh_arena *arena, struct rt_spec *spec, struct bh_err *err) {
    if (make_ulimits(req, arena, spec, err) != 0)
        return err->code;
    for (size_t i = 0; i < req->sysctls.n; i++)
        if (check_sysctl(req->sysctls.v[i], spec, err) != 0)
            return err->code;
    if (req->oom_score_adj < -1000 || req->oom_score_adj > 1000)
        return bh_err_set(err, BH_E_INVALID, "Invalid value %d, range for oom score adj is [-1000, 1000]",
                          req->oom_score_adj);
    if (req->shm_size > (UINT64_C(1) << 50))
        return bh_err_set(err, BH_E_INVALID, "a /dev/shm of %llu bytes is over the limit of 1 PiB",
                          (unsigned long long)req->shm_size);
    spec->oom_score_adj = req->oom_score_adj;
    spec->shm_size = req->shm_size;
    spec->limits = req->limits;
    spec->limits.flags &= ~(uint32_t)RT_LIMIT_OOM_KNOWN; /* for inspect alone */
    return rt_strings_of(&req->sysctls, arena, &spec->sysctls, err);
}
