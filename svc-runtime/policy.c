/*
 * policy.c - which options of a container belong to administrators, see policy.h.
 *
 * Room: runtime.  Trusts the caller's identity (kernel peer credentials), nothing of the request.
 * Everything here would let a container reach, change or starve the host or another user's
 * containers; what stays inside the container's own namespaces is free to everybody.
 * Explained in docs/threat-model.md.
 */
#include "svc-runtime/policy.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-runtime/caps.h"

#define DEFAULT_SHARES 1024 /* what a new cgroup has */

static int refuse(struct bh_err *err, const char *option, const char *why) {
    bh_err_set(err, BH_E_DENIED, "%s is for administrators: %s", option, why);
    bh_err_reason(err, "administrator-only");
    return bh_err_hint(err, "run without it, or ask an administrator of this engine");
}

static bool is_host(const char *mode) {
    return strcmp(mode, "host") == 0;
}

static int check_namespaces(const struct rt_request *req, struct bh_err *err) {
    const struct {
        const char *value, *option;
    } rows[] = {
        {req->userns, "--userns=host"}, {req->network, "--network=host"}, {req->pid, "--pid=host"},
        {req->ipc, "--ipc=host"},       {req->uts, "--uts=host"},         {req->cgroupns, "--cgroupns=host"},
    };

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (is_host(rows[i].value))
            return refuse(err, rows[i].option, "it shares a namespace with the host");
    return 0;
}

/* Adding back what everybody has by default gives nothing away: "--cap-drop ALL --cap-add CHOWN". */
static int check_caps(const struct rt_request *req, struct bh_err *err) {
    for (size_t i = 0; i < req->cap_add.n; i++) {
        int bit = 0;

        if (rt_cap_parse(req->cap_add.v[i], &bit) && (bit < 0 || !(rt_caps_default() >> bit & 1)))
            return refuse(err, "--cap-add", "the capability is not one of the default set");
    }
    return 0;
}

static int check_security(const struct rt_request *req, struct bh_err *err) {
    for (size_t i = 0; i < req->security_opt.n; i++)
        if (bh_str_ends(req->security_opt.v[i], "unconfined"))
            return refuse(err, "--security-opt ..unconfined", "it takes a lock off");
    return 0;
}

/* More than the kernel gives to those who ask for nothing is taken from the others. */
static int check_weights(const struct rt_request *req, struct bh_err *err) {
    if (req->limits.shares > DEFAULT_SHARES)
        return refuse(err, "--cpu-shares above 1024", "others would get less of the processors");
    if (req->limits.blkio_weight != 0) /* what everybody has by default depends on the kernel */
        return refuse(err, "--blkio-weight", "others would get less of the disks");
    return 0;
}

static int check_mounts(const struct rt_request *req, struct bh_err *err) {
    for (size_t i = 0; i < req->n_mounts; i++)
        if (strcmp(req->mounts[i].type, "bind") == 0)
            return refuse(err, "a bind mount", "it shows files of the host");
    return 0;
}

int rt_policy_create(const struct rt_caller *who, const struct rt_request *req, struct bh_err *err) {
    if (who->admin)
        return 0;
    if (req->privileged)
        return refuse(err, "--privileged", "it takes every lock off");
    if (req->n_devices > 0)
        return refuse(err, "--device", "it opens a device of the host");
    if (req->oom_score_adj < 0)
        return refuse(err, "a negative --oom-score-adj", "others would be killed first");
    if (check_namespaces(req, err) != 0 || check_caps(req, err) != 0 || check_security(req, err) != 0 ||
        check_weights(req, err) != 0)
        return err->code;
    return check_mounts(req, err);
}

int rt_policy_exec(const struct rt_caller *who, const struct rt_exec_request *req, struct bh_err *err) {
    if (req->privileged && !who->admin)
        return refuse(err, "exec --privileged", "it takes every lock off");
    return 0;
}
