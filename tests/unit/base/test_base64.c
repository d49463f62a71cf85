/*
 * test_base64.c - the vectors of RFC 4648, section 10, and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"

static void test_vectors(void **state) {
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT, back = BH_BUF_INIT;

        bh_base64_add(&text, rows[i][0], strlen(rows[i][0]));
        assert_string_equal(bh_buf_str(&text), rows[i][1]);
        assert_true(bh_base64_read(&back, rows[i][1], strlen(rows[i][1])));
        assert_int_equal(back.len, strlen(rows[i][0]));
        assert_memory_equal(bh_buf_str(&back), rows[i][0], back.len);
    }
}

static void test_all_bytes(void **state) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT, back = BH_BUF_INIT;
    unsigned char all[256];

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    bh_base64_add(&text, all, sizeof all);
    assert_true(bh_base64_read(&back, text.data, text.len));
    assert_int_equal(back.len, 256);
    assert_memory_equal(back.data, all, 256);
}

static void test_refused(void **state) {
    static const char *const bad[] = {"Z", "Zg==Zg==", "Zm9v!", "Zm 9v", "-_==", "Zm9vY"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        BH_SCOPE_BUF struct bh_buf back = BH_BUF_INIT;

        bh_buf_addc(&back, 'x');
        assert_false(bh_base64_read(&back, bad[i], strlen(bad[i])));
        assert_int_equal(back.len, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_bytes),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
