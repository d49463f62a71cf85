/*
 * profile_job.c - a seccomp profile, read strictly and told as a message.
 *
 * Room: worker.
 */
#include "oci/seccomp.h"
#include "unpack/job.h"
#include "unpack/limits.h"
#include "unpack/result_pb.h"
#include "unpack/source.h"

typedef Bulkhead__Store__V1__SeccompRule rule_msg;
typedef Bulkhead__Store__V1__SeccompArg arg_msg;
typedef Bulkhead__Store__V1__SeccompWhen when_msg;

static int args_to_msg(const struct bh_seccomp_rule *r, struct bh_arena *arena, rule_msg *out, struct bh_err *err) {
    arg_msg *v = bh_oci_alloc(arena, (r->n_args + 1) * sizeof *v, err);

    out->arg = bh_oci_alloc(arena, (r->n_args + 1) * sizeof *out->arg, err);
    if (v == NULL || out->arg == NULL)
        return err->code;
    for (size_t i = 0; i < r->n_args; i++) {
        v[i] = (arg_msg)BULKHEAD__STORE__V1__SECCOMP_ARG__INIT;
        v[i].index = r->args[i].index;
        v[i].value = r->args[i].value;
        v[i].value_two = r->args[i].value_two;
        v[i].op = (char *)r->args[i].op;
        out->arg[i] = &v[i];
    }
    out->n_arg = r->n_args;
    return 0;
}

static int when_to_msg(const struct bh_seccomp_when *w, struct bh_arena *arena, when_msg **out, struct bh_err *err) {
    *out = NULL;
    if (w->caps.n == 0 && w->kernel == 0)
        return 0;
    *out = bh_oci_alloc(arena, sizeof **out, err);
    if (*out == NULL)
        return err->code;
    **out = (when_msg)BULKHEAD__STORE__V1__SECCOMP_WHEN__INIT;
    (*out)->cap = (char **)w->caps.v;
    (*out)->n_cap = w->caps.n;
    (*out)->kernel = w->kernel;
    return 0;
}

static int rules_to_msg(const struct bh_seccomp *p, struct bh_arena *arena, Bulkhead__Store__V1__SeccompProfile *out,
                        struct bh_err *err) {
    rule_msg *v = bh_oci_alloc(arena, (p->n_rules + 1) * sizeof *v, err);

    out->rule = bh_oci_alloc(arena, (p->n_rules + 1) * sizeof *out->rule, err);
    if (v == NULL || out->rule == NULL)
        return err->code;
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct bh_seccomp_rule *r = &p->rules[i];

        v[i] = (rule_msg)BULKHEAD__STORE__V1__SECCOMP_RULE__INIT;
        v[i].name = (char **)r->names.v;
        v[i].n_name = r->names.n;
        v[i].action = (char *)r->action;
        v[i].errno_ret = r->errno_ret;
        if (args_to_msg(r, arena, &v[i], err) != 0 || when_to_msg(&r->includes, arena, &v[i].includes, err) != 0 ||
            when_to_msg(&r->excludes, arena, &v[i].excludes, err) != 0)
            return err->code;
        out->rule[i] = &v[i];
    }
    out->n_rule = p->n_rules;
    return 0;
}

static int tell(const struct bh_seccomp *p, struct bh_arena *arena, struct bh_buf *result, struct bh_err *err) {
    Bulkhead__Store__V1__SeccompProfile pb = BULKHEAD__STORE__V1__SECCOMP_PROFILE__INIT;
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;

    pb.action = (char *)p->action;
    pb.errno_ret = p->errno_ret;
    pb.arch = (char **)p->arches.v;
    pb.n_arch = p->arches.n;
    pb.flag = (char **)p->flags.v;
    pb.n_flag = p->flags.n;
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_PROFILE;
    r.profile = &pb;
    return rules_to_msg(p, arena, &pb, err) != 0 ? err->code : unp_result_pack(&r, result, err);
}

int unp_job_profile(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                    struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct unp_source source;
    struct bh_seccomp profile;
    struct bh_arena arena;

    if (unp_source_open(&source, fds->source, p->offset, p->size, err) != 0 ||
        unp_source_whole(&source, BH_SECCOMP_TEXT_MAX, "seccomp profile", &text, err) != 0)
        return err->code;
    bh_arena_init(&arena, UNP_DOCUMENT_ARENA);
    if (bh_seccomp_parse(bh_buf_str(&text), text.len, &arena, &profile, err) == 0)
        tell(&profile, &arena, result, err);
    bh_arena_fini(&arena);
    return err->code;
}
