/*
 * test_frame.c - the frame parser takes what the builder made and refuses everything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rpc/frame.h"

static int parse(const void *data, size_t n, struct bh_frame *f) {
    static struct bh_frame_scratch scratch;
    struct bh_err err = BH_ERR_INIT;
    /* a copy of exactly that size, so that a sanitizer sees a read past the end */
    uint8_t *copy = malloc(n != 0 ? n : 1);
    int rc;

    memcpy(copy, data, n);
    rc = bh_frame_parse(copy, n, &scratch, f, &err);
    if (rc == 0 && f->payload_len > 0)
        assert_ptr_equal(f->payload + f->payload_len, copy + n);
    free(copy);
    return rc;
}

static void round_trip(void **state) {
    (void)state;
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_frame f;
    struct bh_msg *m;

    env.kind = BH_KIND(OPEN);
    env.call = UINT64_MAX;
    env.method = "bulkhead.test.v1.Echo/Say";
    env.seq = 7;
    m = bh_frame_build(&env, "payload", 7);
    assert_non_null(m);
    assert_int_equal(parse(bh_msg_data(m), bh_msg_size(m), &f), 0);
    assert_int_equal(f.env->kind, BH_KIND(OPEN));
    assert_true(f.env->call == UINT64_MAX);
    assert_string_equal(f.env->method, env.method);
    assert_int_equal(f.payload_len, 7);
    bh_msg_free(m);
}

static void reserved(void **state) {
    (void)state;
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_frame f;
    uint8_t *at;
    struct bh_msg *m = bh_frame_reserve(3, &at);

    memcpy(at, "abc", 3);
    env.kind = BH_KIND(DATA);
    env.call = UINT64_MAX;
    env.seq = UINT64_MAX;
    bh_frame_fill(m, &env);
    assert_int_equal(bh_msg_size(m), BH_FRAME_RESERVE + 3);
    assert_int_equal(parse(bh_msg_data(m), bh_msg_size(m), &f), 0);
    assert_int_equal(f.payload_len, 3);
    bh_msg_free(m);
}

static void every_truncation(void **state) {
    (void)state;
    bh_envelope env = BH_ENVELOPE_INIT;
    struct bh_frame f;
    struct bh_msg *m;

    env.kind = BH_KIND(DONE);
    env.call = 77;
    env.message = "a message";
    m = bh_frame_build(&env, NULL, 0);
    for (size_t n = 0; n < bh_msg_size(m); n++)
        assert_int_not_equal(parse(bh_msg_data(m), n, &f), 0);
    bh_msg_free(m);
}

static void bad_headers(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"", 0},
        {"BH", 2},
        {"GET / HTTP/1.1\r\n\r\n", 18},
        {"BH\2\0\0\0\10\0", 8},         /* version */
        {"BH\1\1\0\0\10\0", 8},         /* flags */
        {"BH\1\0\1\0\10\0", 8},         /* envelope past the end */
        {"BH\1\0\0\0\7\0", 8},          /* payload inside the header */
        {"BH\1\0\0\0\11\0", 8},         /* payload past the end */
        {"BH\1\0\1\20\377\377", 8},     /* envelope over its limit */
        {"BH\1\0\2\0\12\0\12\377", 10}, /* wrong wire data */
        {"BH\1\0\2\0\11\0\10\1", 10},   /* payload inside the envelope */
    };
    struct bh_frame f;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_not_equal(parse(bad[i].bytes, bad[i].n, &f), 0);
}

static void head(uint8_t *p, size_t env_len) {
    memcpy(p, "BH\1\0", 4);
    p[4] = (uint8_t)(env_len & 255);
    p[5] = (uint8_t)(env_len >> 8);
    p[6] = (uint8_t)((8 + env_len) & 255);
    p[7] = (uint8_t)((8 + env_len) >> 8);
}

/* Two thousand empty pairs of metadata in 4 KiB would be a hundred KiB unpacked. */
static void amplification(void **state) {
    (void)state;
    uint8_t buf[8 + 4096];
    struct bh_frame f;

    head(buf, 4096);
    for (size_t i = 0; i < 4096; i += 2) {
        buf[8 + i] = 10 << 3 | 2;
        buf[9 + i] = 0;
    }
    assert_int_not_equal(parse(buf, sizeof buf, &f), 0);
    /* seventeen of them fit the memory, and are one too many */
    head(buf, 34);
    assert_int_not_equal(parse(buf, 8 + 34, &f), 0);
    head(buf, 32);
    assert_int_equal(parse(buf, 8 + 32, &f), 0);
    /* unknown fields */
    head(buf, 4096);
    for (size_t i = 0; i < 4096; i += 4)
        memcpy(buf + 8 + i, "\370\7\1\0", 3), buf[8 + i + 3] = 0;
    (void)parse(buf, sizeof buf, &f);
}

static void limits_of_the_builder(void **state) {
    (void)state;
    bh_envelope env = BH_ENVELOPE_INIT;
    char *text = malloc(5001);
    uint8_t *at;

    memset(text, 'x', 5000);
    text[5000] = '\0';
    env.message = text;
    assert_null(bh_frame_build(&env, NULL, 0));
    env.message = "";
    assert_null(bh_frame_build(&env, text, BH_FRAME_MAX_CHUNK + 1));
    assert_null(bh_frame_reserve(BH_FRAME_MAX_CHUNK + 1, &at));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),  cmocka_unit_test(reserved),      cmocka_unit_test(every_truncation),
        cmocka_unit_test(bad_headers), cmocka_unit_test(amplification), cmocka_unit_test(limits_of_the_builder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
