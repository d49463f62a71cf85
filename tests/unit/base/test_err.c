/*
 * test_err.c - errors: set, prefixed, carried over the wire.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"

static void test_set(void **state) {
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(bh_err_set(&err, BH_E_NOT_FOUND, "open %s: %d", "x", 5), BH_E_NOT_FOUND);
    assert_int_equal(err.code, BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "open x: 5");
    assert_int_equal(bh_err_reason(&err, "no-such-image"), BH_E_NOT_FOUND);
    assert_int_equal(bh_err_hint(&err, "pull %s", "it"), BH_E_NOT_FOUND);
    assert_string_equal(err.hint, "pull it");
    assert_int_equal(bh_err_prefix(&err, "load %s", "a"), BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "load a: open x: 5");
    assert_string_equal(err.reason, "no-such-image"); /* a prefix keeps them, a new error does not */
    bh_err_set(&err, BH_E_INVALID, "other");
    assert_string_equal(err.reason, "");
    assert_string_equal(err.hint, "");
    bh_err_clear(&err);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.msg, "");
}

static void test_errno(void **state) {
    static const struct {
        int from;
        int to;
    } rows[] = {{ENOENT, BH_E_NOT_FOUND}, {EEXIST, BH_E_EXISTS},  {EACCES, BH_E_DENIED},      {ENOSPC, BH_E_LIMIT},
                {ENOMEM, BH_E_LIMIT},     {EINVAL, BH_E_INVALID}, {ETIMEDOUT, BH_E_DEADLINE}, {EPIPE, BH_E_UNAVAILABLE},
                {EIO, BH_E_INTERNAL},     {EROFS, BH_E_DENIED},   {ECANCELED, BH_E_CANCELLED}};
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(bh_err_errno(&err, rows[i].from, "act"), rows[i].to);
    assert_int_equal(bh_err_errno(&err, ENOENT, "open %s", "/x"), BH_E_NOT_FOUND);
    assert_string_equal(err.msg, "open /x: No such file or directory");
}

static void test_long(void **state) {
    struct bh_err err = BH_ERR_INIT;
    char text[3000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    bh_err_set(&err, BH_E_INVALID, "%s", text);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    bh_err_prefix(&err, "front %s", text);
    assert_memory_equal(err.msg, "front xxx", 9);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    bh_err_reason(&err, text);
    bh_err_hint(&err, "%s", text);
    assert_int_equal(strlen(err.reason), sizeof err.reason - 1);
    assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
    bh_err_errno(&err, ENOENT, "%s", text);
    assert_true(strlen(err.msg) < sizeof err.msg);
}

static void test_wire(void **state) {
    (void)state;
    for (unsigned wire = 0; wire <= 16; wire++)
        assert_int_equal(bh_err_to_wire(bh_err_from_wire(wire)), wire);
    assert_int_equal(bh_err_from_wire(17), BH_E_UNKNOWN);
    assert_int_equal(bh_err_from_wire(UINT32_MAX), BH_E_UNKNOWN);
    assert_int_equal(bh_err_to_wire(-17), 2);
    assert_int_equal(bh_err_to_wire(5), 2);
    assert_string_equal(bh_err_text(BH_E_CONFLICT), "conflict");
    assert_string_equal(bh_err_text(0), "ok");
    assert_string_equal(bh_err_text(-99), "unknown error");
    assert_int_equal(bh_err_exit_status(0), 0);
    assert_int_equal(bh_err_exit_status(BH_E_INVALID), 1);
    assert_int_equal(bh_err_exit_status(-99), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_set), cmocka_unit_test(test_errno),
                                       cmocka_unit_test(test_long), cmocka_unit_test(test_wire)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
