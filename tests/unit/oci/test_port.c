/*
 * test_port.c - ports as people write them, ranges, and the list that a config keeps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arena.h"
#include "base/mem.h"
#include "oci/port.h"

static void test_parse(void **state) {
    static const struct {
        const char *spec;
        struct bh_ports want;
    } rows[] = {{"80", {80, 80, "tcp"}},
                {"80/UDP", {80, 80, "udp"}},
                {"1-65535/sctp", {1, 65535, "sctp"}},
                {"8000-8010", {8000, 8010, "tcp"}},
                {"9-9/Tcp", {9, 9, "tcp"}}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_ports p;

        assert_int_equal(bh_ports_parse(rows[i].spec, &p, &err), 0);
        assert_int_equal(p.first, rows[i].want.first);
        assert_int_equal(p.last, rows[i].want.last);
        assert_string_equal(p.proto, rows[i].want.proto);
    }
}

static void test_exposed(void **state) {
    static const char *const rows[][2] = {
        {"80", "80"}, {"80:81", "81"}, {"127.0.0.1:80:81/udp", "81/udp"}, {"[::1]:5:6", "6"}, {"7-9:17-19", "17-19"}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        assert_string_equal(bh_ports_exposed(rows[i][0]), rows[i][1]);
}

static void test_add(void **state) {
    static const char *const refused[] = {"",    "0",     "65536", "x",       "80/xyz", "80/",     "-80",
                                          "80-", "90-80", "1-2-3", "80 /tcp", "+80",    "80/tcp/", "999999999999"};
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist l = {0};

    (void)state;
    assert_int_equal(bh_ports_add(&l, &arena, "80", &err), 0);
    assert_int_equal(bh_ports_add(&l, &arena, "80/TCP", &err), 0);
    assert_int_equal(bh_ports_add(&l, &arena, "53/udp", &err), 0);
    assert_int_equal(bh_ports_add(&l, &arena, "79-81/tcp", &err), 0);
    assert_int_equal(l.n, 4);
    assert_string_equal(l.v[0], "53/udp");
    assert_string_equal(l.v[3], "81/tcp");
    for (size_t i = 0; i < BH_ARRAY_LEN(refused); i++) {
        if (bh_ports_add(&l, &arena, refused[i], &err) != BH_E_INVALID)
            fail_msg("accepted: %s", refused[i]);
    }
    assert_int_equal(bh_ports_add(&l, &arena, "1-65535", &err), 0);
    assert_int_equal(l.n, 65536);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_exposed),
        cmocka_unit_test(test_add),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
