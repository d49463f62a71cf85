/*
 * fuzz_reg_rules.c - registries.conf and policy.json.  The first byte chooses the file.  Besides memory safety: a file
 * that was taken gives every meaning of a name a list of places that ends with one that is no mirror, and an answer of
 * the policy; a refusal names the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "svc-registry/endpoint.h"
#include "svc-registry/short_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_ref(const struct reg_conf *c, const struct bh_ref *ref) {
    const struct reg_route_options options = {REG_PULL, 0, true};
    static struct reg_places places;
    struct bh_err err = BH_ERR_INIT;
    char text[BH_REF_TEXT_SIZE];

    bh_ref_format(ref, text);
    (void)reg_policy_check(c, text, &err);
    if (reg_route(c, ref, &options, &places, &err) != 0)
        return;
    if (places.n == 0 || places.n > REG_MAX_PLACES || places.v[places.n - 1].mirror)
        abort();
    for (size_t k = 0; k < places.n; k++) {
        if (!*places.v[k].host || !*places.v[k].path || !places.v[k].tls)
            abort();
    }
}

static void use(const struct reg_conf *c) {
    static const char *const names[] = {
        "debian", "a.example/x/y:1", "w.corp.example:5000/z", "localhost:5000/a",
        "docker.io/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000"};
    static struct reg_meanings meanings;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bh_err err = BH_ERR_INIT;
        if (reg_meanings_of(c, names[i], &meanings, &err) != 0)
            continue;
        if (meanings.n == 0 || meanings.n > REG_MAX_SEARCH)
            abort();
        for (size_t k = 0; k < meanings.n; k++)
            use_ref(c, &meanings.v[k]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_buf bundle = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *c = NULL;
    const char *name;

    if (size == 0 || size > 65536)
        return 0;
    name = data[0] % 2 ? "registries.conf" : "policy.json";
    bh_buf_addf(&bundle, "/etc/bulkhead/%s %zu\n", name, size - 1);
    bh_buf_add(&bundle, data + 1, size - 1);
    if (reg_conf_make("", 0, bundle.data, bundle.len, &c, &err) == 0)
        use(c);
    else if (!strstr(err.msg, name) && err.code != BH_E_LIMIT)
        abort();
    reg_conf_unref(c);
    bh_buf_fini(&bundle);
    return 0;
}
