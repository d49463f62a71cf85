/*
 * test_body.c - what of an answer goes on to the receiver, and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-registry/body.h"

static void test_content_range(void **state) {
    static const struct {
        const char *text;
        uint64_t first, last, size; /* last 0: refused */
    } rows[] = {
        {"bytes 5-9/10", 5, 9, 10},
        {"Bytes  0-1/2", 0, 1, 2},
        {"bytes 5-9/*", 5, 9, UINT64_MAX},
        {"bytes 0-18446744073709551614/18446744073709551615", 0, UINT64_MAX - 1, UINT64_MAX},
        {"", 0, 0, 0},
        {"bytes", 0, 0, 0},
        {"bytes 5-9", 0, 0, 0},
        {"bytes 9-5/10", 0, 0, 0},
        {"bytes 5-10/10", 0, 0, 0},
        {"bytes 5-9/10 ", 0, 0, 0},
        {"bytes -5-9/10", 0, 0, 0},
        {"bytes */10", 0, 0, 0},
        {"items 5-9/10", 0, 0, 0},
        {"bytes 5-9/99999999999999999999", 0, 0, 0},
        {"bytes 00000000000000000000000005-9/10", 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        uint64_t first = 0, last = 0, size = 0;
        bool ok = reg_content_range(rows[i].text, &first, &last, &size);

        assert_int_equal(ok, rows[i].last != 0);
        if (ok) {
            assert_int_equal(first, rows[i].first);
            assert_int_equal(last, rows[i].last);
            assert_int_equal(size, rows[i].size);
        }
    }
}

/* Feeds `sent` in pieces of `piece`; returns the code, out holds what went on. */
static int feed(struct reg_body *b, const char *sent, size_t piece, char *out, struct bh_err *err) {
    size_t left = strlen(sent);

    *out = '\0';
    while (left > 0) {
        size_t n = left < piece ? left : piece;
        const void *data = sent;

        sent += n;
        left -= n;
        if (reg_body_take(b, &data, &n, err) != 0)
            return err->code;
        strncat(out, data, n);
    }
    return reg_body_end(b, err);
}

static void test_answers(void **state) {
    static const struct {
        uint64_t size, start;
        long status;
        const char *range;
        int64_t length;
        const char *sent, *want, *reason; /* reason "": all is well */
    } rows[] = {
        {10, 0, 200, "", 10, "0123456789", "0123456789", ""},
        {10, 0, 200, "", -1, "0123456789", "0123456789", ""},
        {10, 4, 206, "bytes 4-9/10", 6, "456789", "456789", ""},
        {10, 4, 206, "bytes 4-9/*", -1, "456789", "456789", ""},
        {10, 4, 200, "", 10, "0123456789", "456789", ""},
        {0, 0, 200, "", 0, "", "", ""},
        {10, 0, 200, "", -1, "0123", "0123", "connection-lost"},
        {10, 4, 200, "", 10, "01", "", "connection-lost"},
        {10, 4, 206, "bytes 4-6/10", 3, "456", "456", "connection-lost"},
        {10, 0, 200, "", -1, "0123456789x", NULL, "wrong-size"},
        {10, 4, 200, "", -1, "0123456789x", NULL, "wrong-size"},
        {10, 4, 206, "bytes 4-9/10", -1, "456789x", NULL, "wrong-size"},
        {10, 0, 200, "", 11, "", "", "wrong-size"},
        {10, 4, 206, "bytes 4-9/11", -1, "", "", "wrong-size"},
        {10, 4, 206, "bytes 4-10/*", -1, "", "", "wrong-size"},
        {10, 4, 206, "bytes 0-9/10", -1, "", "", "bad-range"},
        {10, 4, 206, "", 6, "", "", "bad-range"},
        {10, 4, 206, "junk", 6, "", "", "bad-range"},
        {10, 0, 404, "", 6, "", "", "?"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        for (size_t piece = 1; piece < 12; piece++) {
            struct bh_err err = BH_ERR_INIT;
            struct reg_body b;
            char out[32] = "";

            reg_body_init(&b, rows[i].size, rows[i].start);
            if (reg_body_head(&b, rows[i].status, rows[i].range, rows[i].length, &err) == 0)
                feed(&b, rows[i].sent, piece, out, &err);
            if (strcmp(rows[i].reason, "?") == 0)
                assert_int_not_equal(err.code, 0);
            else
                assert_string_equal(err.reason, rows[i].reason);
            assert_int_equal(err.code == 0, rows[i].reason[0] == '\0');
            if (rows[i].want != NULL)
                assert_string_equal(out, rows[i].want);
            else
                assert_true(strlen(out) <= rows[i].size - rows[i].start);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
