/*
 * spec_isolation.c - what stands between a container and the host: namespaces, capabilities,
 * --security-opt, devices.
 *
 * Room: runtime.  Foreign: all of it.  policy.c has refused what this caller may not ask for; this
 * file refuses what is not known, and never takes an unknown word for "no lock".
 */
#include "svc-runtime/spec_make.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-runtime/caps.h"

static int later(struct bh_err *err, const char *option, const char *value, const char *known) {
    bh_err_set(err, BH_E_UNIMPLEMENTED, "%s=%s: this mode comes with a later version", option, value);
    bh_err_reason(err, "not-yet");
    return bh_err_hint(err, "known now: %s", known);
}

/* What docker knows comes later; anything else is a slip. */
static int no_such_mode(struct bh_err *err, const char *option, const char *value, const char *known) {
    if (strncmp(value, "container:", 10) == 0 || strcmp(value, "none") == 0)
        return later(err, option, value, known);
    bh_err_set(err, BH_E_INVALID, "%s: invalid mode: %s", option, value);
    return bh_err_hint(err, "known: %s", known);
}

static int one_namespace(const char *option, const char *value, const char *known, uint32_t flag, struct rt_spec *spec,
                         struct bh_err *err) {
    if (strcmp(value, "host") == 0)
        spec->flags |= flag;
    else if (*value != 0 && strcmp(value, "private") != 0)
        return no_such_mode(err, option, value, known);
    return 0;
}

static int make_namespaces(const struct rt_request *req, struct rt_spec *spec, struct bh_err *err) {
    const char *ipc = strcmp(req->ipc, "shareable") == 0 ? "private" : req->ipc;

    if (strcmp(req->network, "host") == 0)
        spec->flags |= RT_NET_HOST;
    else if (*req->network != 0 && strcmp(req->network, "none") != 0)
        return later(err, "--network", req->network, "none, host");
    if (one_namespace("--userns", req->userns, "host", RT_USERNS_HOST, spec, err) != 0 ||
        one_namespace("--pid", req->pid, "host", RT_PID_HOST, spec, err) != 0 ||
        one_namespace("--ipc", ipc, "private, host", RT_IPC_HOST, spec, err) != 0 ||
        one_namespace("--uts", req->uts, "host", RT_UTS_HOST, spec, err) != 0)
        return err->code;
    if (one_namespace("--cgroupns", req->cgroupns, "private, host", RT_CGROUPNS_HOST, spec, err) != 0)
        return err->code;
    /* docker's --privileged is root of the host; in a user namespace of its own it would not be that */
    if (req->privileged)
        spec->flags |= RT_PRIVILEGED | RT_USERNS_HOST;
    return 0;
}

/* "seccomp=unconfined" and docker's older "seccomp:unconfined". */
static const char *value_of(const char *option, const char *key) {
    size_t n = strlen(key);

    if (strncmp(option, key, n) != 0 || (option[n] != '=' && option[n] != ':'))
        return NULL;
    return option + n + 1;
}

static int no_new_privs(const char *value, struct rt_spec *spec, struct bh_err *err) {
    if (value == NULL || strcmp(value, "true") == 0)
        spec->flags |= RT_NO_NEW_PRIVS;
    else if (strcmp(value, "false") == 0)
        spec->flags &= ~(uint32_t)RT_NO_NEW_PRIVS;
    else
        return bh_err_set(err, BH_E_INVALID, "invalid --security-opt: \"no-new-privileges=%s\"", value);
    return 0;
}

/* The last of several counts.  A profile travels as its text; a worker of the store reads it (create.c). */
static int seccomp_option(const char *value, struct rt_made *made, struct bh_err *err) {
    const char *text = value + strspn(value, " \t\r\n");

    made->profile = NULL;
    made->spec.flags &= ~(uint32_t)RT_SECCOMP_UNCONFINED;
    if (strcmp(value, "unconfined") == 0)
        made->spec.flags |= RT_SECCOMP_UNCONFINED;
    else if (*text == '{')
        made->profile = value;
    else if (strcmp(value, "builtin") != 0 && strcmp(value, "default") != 0) {
        bh_err_set(err, BH_E_INVALID, "invalid --security-opt: \"seccomp=%.100s\" is no profile", value);
        return bh_err_hint(err, "unconfined, builtin, or the text of a profile in docker's JSON form");
    }
    return 0;
}

static int security_option(const char *option, struct rt_made *made, struct bh_arena *arena, struct bh_err *err) {
    const char *seccomp = value_of(option, "seccomp"), *paths = value_of(option, "systempaths");
    const char *nnp = value_of(option, "no-new-privileges");

    if (nnp != NULL || strcmp(option, "no-new-privileges") == 0)
        return no_new_privs(nnp, &made->spec, err);
    if (seccomp != NULL)
        return seccomp_option(seccomp, made, err);
    if (paths != NULL && strcmp(paths, "unconfined") == 0) {
        made->spec.flags |= RT_UNMASKED;
        return 0;
    }
    if (value_of(option, "label") != NULL)
        return 0; /* SELinux: as docker on a host without it */
    if (value_of(option, "apparmor") != NULL)
        return rt_spec_warn(made, arena, "AppArmor profiles are not applied: --security-opt apparmor is ignored", err);
    bh_err_set(err, BH_E_INVALID, "invalid --security-opt: \"%s\"", option);
    return bh_err_hint(err, "known: no-new-privileges, seccomp=.., systempaths=unconfined, label=.., apparmor=..");
}

static int make_devices(const struct rt_request *req, struct bh_arena *arena, struct rt_spec *spec,
                        struct bh_err *err) {
    struct rt_device *list;

    if (req->n_devices == 0)
        return 0;
    if (req->n_devices > 64)
        return bh_err_set(err, BH_E_LIMIT, "%zu devices: at most 64 are allowed", req->n_devices);
    list = bh_oci_alloc(arena, req->n_devices * sizeof *list, err);
    if (list == NULL)
        return err->code;
    for (size_t i = 0; i < req->n_devices; i++) {
        const struct rt_req_device *d = &req->devices[i];
        const char *access = *d->access != 0 ? d->access : "rwm";

        if (strlen(access) > 3 || access[strspn(access, "rwm")] != 0)
            return bh_err_set(err, BH_E_INVALID, "invalid device mode: %s", access);
        if (rt_path_clean(d->source, "device", arena, &list[i].source, err) != 0 ||
            rt_path_clean(*d->target != 0 ? d->target : d->source, "device", arena, &list[i].target, err) != 0)
            return err->code;
        list[i].access = (char *)access;
    }
    spec->devices = list;
    spec->n_devices = (uint32_t)req->n_devices;
    return 0;
}

int rt_spec_isolation(const struct rt_request *req, struct bh_arena *arena, struct rt_made *made, struct bh_err *err) {
    if (make_namespaces(req, &made->spec, err) != 0 ||
        rt_caps_compute(&req->cap_add, &req->cap_drop, req->privileged, &made->spec.caps, err) != 0)
        return err->code;
    for (size_t i = 0; i < req->security_opt.n; i++)
        if (security_option(req->security_opt.v[i], made, arena, err) != 0)
            return err->code;
    return make_devices(req, arena, &made->spec, err);
}
