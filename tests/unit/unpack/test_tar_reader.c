/*
 * test_tar_reader.c - the same entries whatever pieces the bytes come in; ends, good and bad; skipping.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support.h"
#include "unpack/tar_reader.h"

static const struct unp_tar_limits limits = {.max_entries = 100, .max_path = 4096, .max_pax = 65536};

struct seen {
    char text[4096];
};

static int note(void *arg, const struct unp_entry *e, struct bh_err *err) {
    struct seen *s = arg;
    size_t n = strlen(s->text);
    (void)err;
    snprintf(s->text + n, sizeof s->text - n, "%d:%.*s:%llu@%llu ", (int)e->type, (int)e->name.n, e->name.s,
             (unsigned long long)e->size, (unsigned long long)e->data_at);
    return 0;
}

static int read_in(const struct bh_buf *tar, size_t piece, const struct unp_tar_limits *l, struct seen *s,
                   struct bh_err *err) {
    static struct unp_tar t;
    int rc = 0;
    s->text[0] = '\0';
    unp_tar_init(&t, l, note, s);
    for (size_t at = 0; rc == 0 && at < tar->len; at += piece)
        rc = unp_tar_feed(&t, tar->data + at, tar->len - at < piece ? tar->len - at : piece, err);
    if (rc == 0)
        rc = unp_tar_end(&t, err);
    unp_tar_fini(&t);
    return rc;
}

static void sample(struct bh_buf *tar) {
    made_add(tar, (struct made){.name = "d/", .type = '5'});
    made_add(tar, (struct made){.name = "d/f", .data = "hello"});
    made_add(tar, (struct made){.name = "PaxHeaders/x", .type = 'x', .data = "21 path=d/from-a-pax\n"});
    made_add(tar, (struct made){.name = "short", .data = "0123456789"});
    made_add(tar, (struct made){.name = "././@LongLink", .type = 'L', .data = "a-gnu-name", .size = 11});
    made_add(tar, (struct made){.name = "cut", .type = '2', .link = "target"});
    made_add(tar, (struct made){.name = "zero"});
}

static void pieces(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct seen whole;
    struct seen part;
    (void)state;
    sample(&tar);
    made_end(&tar);
    assert_int_equal(read_in(&tar, tar.len, &limits, &whole, &err), 0);
    assert_string_equal(whole.text,
                        "5:d/:0@512 0:d/f:5@1024 0:d/from-a-pax:10@3072 2:a-gnu-name:0@5120 0:zero:0@5632 ");
    for (size_t piece = 1; piece < 1100; piece += 7) {
        assert_int_equal(read_in(&tar, piece, &limits, &part, &err), 0);
        assert_string_equal(part.text, whole.text);
    }
}

static void every_cut(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct seen s;
    (void)state;
    sample(&tar);
    made_end(&tar);
    size_t full = tar.len;
    for (size_t n = 1; n < full - 1024; n++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_buf cut = {.data = tar.data, .len = n, .cap = n};
        int rc = read_in(&cut, 500, &limits, &s, &err);
        /* Whole entries may be there without an end; everything else is an error that says so. */
        if (rc == 0)
            assert_int_equal(n % 512, 0);
        else
            assert_true(err.msg[0] != '\0');
    }
}

static void ends(void **state) {
    const struct unp_tar_limits strict = {.max_entries = 100, .max_path = 4096, .max_pax = 65536, .strict_end = true};
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct seen s;
    (void)state;
    made_add(&tar, (struct made){.name = "f"});
    assert_int_equal(read_in(&tar, 512, &limits, &s, &err), 0);
    assert_int_equal(read_in(&tar, 512, &strict, &s, &err), BH_E_INVALID);
    made_end(&tar);
    assert_int_equal(read_in(&tar, 512, &strict, &s, &err), 0);
    bh_buf_adds(&tar, "garbage");
    assert_int_equal(read_in(&tar, 512, &limits, &s, &err), 0);
    assert_int_equal(read_in(&tar, 512, &strict, &s, &err), BH_E_INVALID);
}

static void skipping(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    static struct unp_tar t;
    struct bh_err err = BH_ERR_INIT;
    struct seen s = {""};
    static char data[100000];
    (void)state;
    memset(data, 'x', sizeof data);
    made_add(&tar, (struct made){.name = "large", .data = data, .size = sizeof data});
    made_add(&tar, (struct made){.name = "next"});
    unp_tar_init(&t, &limits, note, &s);
    assert_int_equal(unp_tar_feed(&t, tar.data, 512, &err), 0);
    assert_int_equal(unp_tar_skippable(&t), 100352);
    unp_tar_skip(&t, 100352);
    assert_int_equal(unp_tar_feed(&t, tar.data + 512 + 100352, 512, &err), 0);
    assert_int_equal(unp_tar_end(&t, &err), 0);
    assert_string_equal(s.text, "0:large:100000@512 0:next:0@101376 ");
    unp_tar_fini(&t);
}

static void too_many(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct seen s;
    (void)state;
    for (int i = 0; i < 101; i++)
        made_add(&tar, (struct made){.name = "f"});
    assert_int_equal(read_in(&tar, 4096, &limits, &s, &err), BH_E_LIMIT);
    assert_non_null(strstr(err.msg, "limits.entries"));
}

static void checksums(void **state) {
    unsigned char b[512];
    (void)state;
    made_header(b, &(struct made){.name = "n\xffme"}, 0);
    assert_true(unp_tar_checksum_ok(b));
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += (unsigned)(i >= 148 && i < 156 ? ' ' : (signed char)b[i]);
    snprintf((char *)b + 148, 8, "%06o", sum & 0x1ffff); /* as old programs with signed chars had it */
    assert_true(unp_tar_checksum_ok(b));
    b[0] ^= 1;
    assert_false(unp_tar_checksum_ok(b));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),   cmocka_unit_test(every_cut), cmocka_unit_test(ends),
        cmocka_unit_test(skipping), cmocka_unit_test(too_many),  cmocka_unit_test(checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
