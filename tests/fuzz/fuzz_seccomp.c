/*
 * fuzz_seccomp.c - seccomp profiles.  Besides memory safety: of what was accepted, every word is a known one.
 */
#include <stdint.h>
#include <stdlib.h>

#include "oci/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

static void check_rule(const struct bh_seccomp_rule *r) {
    must(bh_seccomp_action_known(r->action) && r->errno_ret <= BH_SECCOMP_ERRNO_MAX && r->names.n > 0);
    must(r->n_args <= BH_SECCOMP_ARGS_MAX);
    for (size_t i = 0; i < r->names.n; i++)
        must(bh_seccomp_name_ok(r->names.v[i]));
    for (size_t i = 0; i < r->n_args; i++)
        must(r->args[i].index < BH_SECCOMP_ARGS_MAX && bh_seccomp_op_known(r->args[i].op));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_seccomp p;
    struct bh_arena arena;

    bh_arena_init(&arena, (size_t)64 << 20);
    if (bh_seccomp_parse(data, size, &arena, &p, &err) == 0) {
        must(bh_seccomp_action_known(p.action) && p.n_rules <= BH_SECCOMP_RULES_MAX);
        for (size_t i = 0; i < p.arches.n; i++)
            must(bh_seccomp_arch_known(p.arches.v[i]));
        for (size_t i = 0; i < p.n_rules; i++)
            check_rule(&p.rules[i]);
    } else {
        must(err.code != 0);
    }
    bh_arena_fini(&arena);
    return 0;
}
