/*
 * test_credential.c - a credential goes to the host of its scope, for what lies below its path, and nowhere else.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-registry/auth.h"

static const struct reg_credential list[] = {
    {"registry.example", "host", "", "", ""},
    {"registry.example/team", "team", "", "", ""},
    {"registry.example/team/app", "app", "", "", ""},
    {"https://index.docker.io/v1/", "hub", "", "", ""},
    {"localhost:5000", "port", "", "", ""},
    {"https://old.example/v1/", "old", "", "", ""},
    {"[::1]:5000/x", "six", "", "", ""},
    {"", "nowhere", "", "", ""},
    {"/team", "nowhere", "", "", ""},
};

static void test_choice(void **state) {
    static const struct {
        const char *host, *path, *user;
    } rows[] = {
        {"registry.example", "other/x", "host"},
        {"registry.example", "team/x", "team"},
        {"registry.example", "team/app", "app"},
        {"registry.example", "team/app/deep", "app"},
        {"registry.example", "teamwork/app", "host"},
        {"registry.example", "team", "team"},
        {"REGISTRY.example", "other/x", "host"},
        {"docker.io", "library/debian", "hub"},
        {"registry-1.docker.io", "a/b", "hub"},
        {"index.docker.io", "a/b", "hub"},
        {"localhost:5000", "a", "port"},
        {"old.example", "a/b", "old"},
        {"[::1]:5000", "x/y", "six"},
        {"[::1]:5000", "y", NULL},
        {"registry.example:443", "a", NULL},
        {"registry.example.evil", "team/app", NULL},
        {"evil-registry.example", "a", NULL},
        {"localhost", "a", NULL},
        {"localhost:50001", "a", NULL},
        {"team", "team", NULL},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const struct reg_credential *c = reg_credential_for(list, BH_ARRAY_LEN(list), rows[i].host, rows[i].path);
        if ((c ? c->username : NULL) != rows[i].user && (!c || !rows[i].user || strcmp(c->username, rows[i].user) != 0))
            fail_msg("%s/%s: %s", rows[i].host, rows[i].path, c ? c->username : "none");
    }
    assert_null(reg_credential_for(NULL, 0, "docker.io", "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_choice)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
