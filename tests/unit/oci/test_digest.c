/*
 * test_digest.c - the grammar of digests, and hashing against known answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "oci/digest.h"

#define HEX32    "0123456789abcdef0123456789abcdef"
#define HEX64    HEX32 HEX32
#define HEX128   HEX64 HEX64
#define EMPTY256 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

enum want { GOOD, UNKNOWN_ALG, BAD };

static const struct {
    const char *text;
    enum want want;
} rows[] = {
    {"sha256:" HEX64, GOOD},
    {"sha512:" HEX128, GOOD},
    {EMPTY256, GOOD},
    {"blake3:" HEX64, UNKNOWN_ALG},
    {"md5:" HEX32, UNKNOWN_ALG},
    {"sha384:" HEX64 HEX32, UNKNOWN_ALG},
    {"sha256+b64u:" HEX64, UNKNOWN_ALG},
    {"multihash+base58:" HEX64, UNKNOWN_ALG},
    {"x:" HEX32 "ABCDEF", UNKNOWN_ALG},
    {"", BAD},
    {":", BAD},
    {"sha256", BAD},
    {"sha256:", BAD},
    {":" HEX64, BAD},
    {"sha256:" HEX32, BAD},
    {"sha256:" HEX64 "0", BAD},
    {"sha256:" HEX32 "0123456789abcdef0123456789abcde", BAD},
    {"sha256:" HEX32 "0123456789ABCDEF0123456789abcdef", BAD},
    {"SHA256:" HEX64, BAD},
    {"Sha512:" HEX128, BAD},
    {"sha256:" HEX32 "0123456789abcdef0123456789abcdeg", BAD},
    {"sha256:" HEX32 "0123456789abcdef0123456789abcde ", BAD},
    {" sha256:" HEX64, BAD},
    {"sha512:" HEX64, BAD},
    {"sha384:" HEX64, BAD},
    {"sha256::" HEX64, BAD},
    {"sha256+:" HEX64, BAD},
    {"+sha256:" HEX64, BAD},
    {"a++b:" HEX64, BAD},
    {"256:" HEX64, BAD},
    {"md5:0123456789abcdef0123456789abcde", BAD},
    {"sha256:" HEX64 "\n", BAD},
    {"x\xc3\xa9:" HEX64, BAD},
};

static void test_grammar(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_digest d = {.bytes = {1}};
        int r = bh_digest_parse(rows[i].text, &d, &err);

        if (bh_digest_grammar(rows[i].text, strlen(rows[i].text)) != (rows[i].want != BAD))
            fail_msg("grammar of \"%s\"", rows[i].text);
        if (r != (rows[i].want == GOOD ? 0 : rows[i].want == BAD ? BH_E_INVALID : BH_E_UNIMPLEMENTED))
            fail_msg("parse of \"%s\" gave %d", rows[i].text, r);
        if (r == 0) {
            char text[BH_DIGEST_TEXT_SIZE];

            bh_digest_format(&d, text);
            assert_string_equal(text, rows[i].text);
        } else {
            assert_int_equal(d.bytes[0], 1); /* output untouched */
            assert_true(err.reason[0] != '\0');
        }
    }
}

static void test_grammar_limit(void **state) {
    char text[400];

    (void)state;
    memset(text, 'a', sizeof text);
    text[1] = ':';
    assert_true(bh_digest_grammar(text, BH_DIGEST_TEXT_MAX));
    assert_false(bh_digest_grammar(text, BH_DIGEST_TEXT_MAX + 1));
    text[40] = '\0';
    assert_false(bh_digest_grammar(text, 100));
}

static void test_known_answers(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d, e;
    char text[BH_DIGEST_TEXT_SIZE];

    (void)state;
    assert_int_equal(bh_digest_startup(&err), 0);
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, "", 0, &d, &err), 0);
    bh_digest_format(&d, text);
    assert_string_equal(text, EMPTY256);
    bh_digest_short(&d, text);
    assert_string_equal(text, "e3b0c44298fc");
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, "abc", 3, &d, &err), 0);
    bh_digest_hex(&d, text);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(bh_digest_from_hex(text, 64, &e));
    assert_true(bh_digest_equal(&d, &e));
    assert_false(bh_digest_from_hex(text, 63, &e));
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA512, "abc", 3, &e, &err), 0);
    bh_digest_format(&e, text);
    assert_string_equal(text, "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    assert_false(bh_digest_equal(&d, &e));
    assert_true(bh_digest_cmp(&d, &e) < 0 && bh_digest_cmp(&e, &d) > 0 && bh_digest_cmp(&d, &d) == 0);
}

static void test_incremental(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest whole, parts;
    unsigned char data[1000];
    struct bh_hash h;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, data, sizeof data, &whole, &err), 0);
    assert_int_equal(bh_sha256_init(&h, &err), 0);
    for (size_t i = 0; i < sizeof data; i += 8)
        bh_sha256_update(&h, data + i, 8);
    assert_int_equal(bh_sha256_final(&h, &parts, &err), 0);
    assert_true(bh_digest_equal(&whole, &parts));
    /* After final the state is gone: neither crash nor a digest. */
    bh_sha256_update(&h, data, 8);
    assert_int_equal(bh_sha256_final(&h, &parts, &err), BH_E_INTERNAL);
    bh_hash_fini(&h);
}

static void test_unset(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest none = {0}, other = {0};
    char text[BH_DIGEST_TEXT_SIZE] = "x";
    struct bh_hash h;

    (void)state;
    assert_false(bh_digest_equal(&none, &other));
    bh_digest_format(&none, text);
    assert_string_equal(text, "");
    bh_digest_short(&none, text);
    assert_string_equal(text, "");
    assert_int_equal(bh_hash_init(&h, BH_DIGEST_NONE, &err), BH_E_UNIMPLEMENTED);
    assert_int_equal(bh_digest_verify(&none, "a", 1, "blob", &err), BH_E_UNIMPLEMENTED);
}

static void test_verify(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d;

    (void)state;
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, "abc", 3, &d, &err), 0);
    assert_int_equal(bh_digest_verify(&d, "abc", 3, "blob", &err), 0);
    assert_int_equal(bh_digest_verify(&d, "abd", 3, "blob", &err), BH_E_DATA_LOSS);
    assert_string_equal(err.reason, "digest-mismatch");
    assert_non_null(strstr(err.msg, "sha256:ba7816bf"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),     cmocka_unit_test(test_grammar_limit), cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_incremental), cmocka_unit_test(test_unset),         cmocka_unit_test(test_verify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
