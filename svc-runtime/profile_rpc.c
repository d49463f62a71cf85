/*
 * profile_rpc.c - a seccomp profile's text goes to the store, whose worker reads it, and comes back as values.
 *
 * Room: runtime.  The text is looked at nowhere in this room.
 */
#include <string.h>

#include "oci/seccomp.h"
#include "rpc/client.h"
#include "store.pb-c.h"
#include "svc-runtime/store.h"

#define CALL_MS 30000

static int copy_list(char **v, size_t n, struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err) {
    *out = (struct bh_strlist){0};
    for (size_t i = 0; i < n; i++)
        if (bh_strlist_add(out, arena, v[i], err) != 0)
            return err->code;
    return 0;
}

static int copy_when(const Bulkhead__Store__V1__SeccompWhen *m, struct bh_arena *arena, struct bh_seccomp_when *out,
                     struct bh_err *err) {
    *out = (struct bh_seccomp_when){0};
    if (m == NULL)
        return 0;
    out->kernel = m->kernel;
    return copy_list(m->cap, m->n_cap, arena, &out->caps, err);
}

static const char *copy_text(const char *s, struct bh_arena *arena, struct bh_err *err) {
    return bh_oci_strdup(arena, s, strlen(s), err);
}

static int copy_rule(const Bulkhead__Store__V1__SeccompRule *m, struct bh_arena *arena, struct bh_seccomp_rule *out,
                     struct bh_err *err) {
    out->action = copy_text(m->action, arena, err);
    out->args = bh_oci_alloc(arena, (m->n_arg + 1) * sizeof *out->args, err);
    if (out->action == NULL || out->args == NULL || copy_list(m->name, m->n_name, arena, &out->names, err) != 0 ||
        copy_when(m->includes, arena, &out->includes, err) != 0 ||
        copy_when(m->excludes, arena, &out->excludes, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n_arg; i++) {
        out->args[i] = (struct bh_seccomp_arg){.index = m->arg[i]->index,
                                               .value = m->arg[i]->value,
                                               .value_two = m->arg[i]->value_two,
                                               .op = copy_text(m->arg[i]->op, arena, err)};
        if (out->args[i].op == NULL)
            return err->code;
    }
    out->n_args = m->n_arg;
    out->errno_ret = m->errno_ret;
    return 0;
}

static int copy_profile(const Bulkhead__Store__V1__SeccompProfile *m, struct bh_arena *arena, struct bh_seccomp *out,
                        struct bh_err *err) {
    out->action = copy_text(m->action, arena, err);
    out->errno_ret = m->errno_ret;
    out->rules = bh_oci_alloc(arena, (m->n_rule + 1) * sizeof *out->rules, err);
    if (out->action == NULL || out->rules == NULL || copy_list(m->arch, m->n_arch, arena, &out->arches, err) != 0 ||
        copy_list(m->flag, m->n_flag, arena, &out->flags, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n_rule; i++)
        if (copy_rule(m->rule[i], arena, &out->rules[i], err) != 0)
            return err->code;
    out->n_rules = m->n_rule;
    return 0;
}

int rt_store_profile(struct rt_store *s, const char *text, struct bh_arena *arena, struct bh_seccomp *out,
                     struct bh_err *err) {
    Bulkhead__Store__V1__ProfileReadRequest req = BULKHEAD__STORE__V1__PROFILE_READ_REQUEST__INIT;
    const Bulkhead__Store__V1__ProfileReadReply *r;
    BH_SCOPE_MSG ProtobufCMessage *reply = NULL;

    *out = (struct bh_seccomp){0};
    req.text.data = (uint8_t *)text;
    req.text.len = strlen(text);
    if (bh_conn_call(rt_store_conn(s), "bulkhead.store.v1.Store/ProfileRead", &req.base,
                     &bulkhead__store__v1__profile_read_reply__descriptor, CALL_MS, BH_CALL_IDEMPOTENT, &reply,
                     err) != 0)
        return err->code;
    r = (const Bulkhead__Store__V1__ProfileReadReply *)reply;
    if (r->profile == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the store told nothing of a seccomp profile");
    return copy_profile(r->profile, arena, out, err);
}
