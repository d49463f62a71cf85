/*
 * test_tar_pax.c - records, the keys that count, and the ones that are refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "unpack/tar_pax.h"

static struct unp_pax pax;

static int parse(const char *text, size_t n) {
    struct bh_err err = BH_ERR_INIT;
    unp_pax_fini(&pax);
    unp_pax_init(&pax);
    return unp_pax_parse(&pax, text, n, 0, &err);
}
#define PARSE(text) parse(text, sizeof(text) - 1)

static void is(struct unp_text t, const char *want) {
    assert_int_equal(t.n, strlen(want));
    assert_memory_equal(t.s, want, t.n);
}

static void records(void **state) {
    (void)state;
    assert_int_equal(PARSE("9 path=x\n13 uid=70000\n"), 0);
    is(pax.path, "x");
    assert_true(pax.has_uid);
    assert_int_equal(pax.uid, 70000);
    assert_int_equal(PARSE("9 path=a\n9 path=b\n"), 0);
    is(pax.path, "b");
    assert_int_equal(PARSE("9 path=a\n8 path=\n"), 0);
    assert_null(pax.path.s);
    assert_int_equal(PARSE("13 unknown=k\n"), 0);
    assert_int_equal(PARSE("18 path=a=b\nc\nddd\n"), 0); /* values are free but for NUL */
    is(pax.path, "a=b\nc\nddd");
}

static void malformed(void **state) {
    (void)state;
    assert_int_equal(PARSE("8 path=x\n"), BH_E_INVALID);
    assert_int_equal(PARSE("11 path=x\n"), BH_E_INVALID);
    assert_int_equal(PARSE(" path=x\n"), BH_E_INVALID);
    assert_int_equal(PARSE("path=x\n"), BH_E_INVALID);
    assert_int_equal(PARSE("-9 path=x\n"), BH_E_INVALID);
    assert_int_equal(PARSE("5 =x\n"), BH_E_INVALID);
    assert_int_equal(PARSE("9 pathxx\n"), BH_E_INVALID);
    assert_int_equal(PARSE("2 \n"), BH_E_INVALID);
    assert_int_equal(PARSE("0 x=y\n"), BH_E_INVALID);
    assert_int_equal(PARSE("18446744073709551615 path=x\n"), BH_E_INVALID);
    assert_int_equal(PARSE("12 path=a\0b\n"), BH_E_INVALID);
    assert_int_equal(PARSE("11 size=-1\n"), BH_E_INVALID);
    assert_int_equal(PARSE("18 uid=4294967296\n"), BH_E_INVALID);
}

static void xattrs(void **state) {
    (void)state;
    assert_int_equal(PARSE("25 SCHILY.xattr.user.a=1\n25 SCHILY.xattr.user.b=2\n25 SCHILY.xattr.user.a=3\n"), 0);
    assert_int_equal(pax.n_xattrs, 2);
    is(pax.xattrs[0].name, "user.a");
    is(pax.xattrs[0].value, "3");
    assert_int_equal(PARSE("38 LIBARCHIVE.xattr.user.%61=aGVsbG8=\n"), 0);
    assert_int_equal(pax.n_xattrs, 1);
    is(pax.xattrs[0].name, "user.a");
    is(pax.xattrs[0].value, "hello");
    assert_int_equal(PARSE("31 LIBARCHIVE.xattr.user.a=?*!\n"), BH_E_INVALID);
}

static void sparse(void **state) {
    (void)state;
    assert_int_equal(PARSE("22 GNU.sparse.size=10\n23 GNU.sparse.offset=0\n25 GNU.sparse.numbytes=3\n"), 0);
    assert_true(pax.sparse && pax.has_real);
    assert_int_equal(pax.real_size, 10);
    assert_int_equal(pax.pairs.len, 16);
    assert_int_equal(PARSE("23 GNU.sparse.offset=0\n"), BH_E_INVALID);
    assert_int_equal(PARSE("25 GNU.sparse.numbytes=3\n"), BH_E_INVALID);
    assert_int_equal(PARSE("23 GNU.sparse.offset=0\n23 GNU.sparse.offset=0\n"), BH_E_INVALID);
}

static void global(void **state) {
    static const char good[] = "13 comment=x\n11 mtime=5\n";
    struct bh_err err = BH_ERR_INIT;
    (void)state;
    unp_pax_fini(&pax);
    unp_pax_init(&pax);
    assert_int_equal(unp_pax_parse_global(&pax, good, sizeof good - 1, 0, &err), 0);
    assert_true(pax.has_mtime);
    assert_int_equal(unp_pax_parse_global(&pax, good, sizeof good - 2, 0, &err), BH_E_INVALID);
    assert_int_equal(unp_pax_parse_global(&pax, "10 path=x\n", 10, 0, &err), BH_E_INVALID);
    assert_int_equal(unp_pax_parse_global(&pax, "10 size=1\n", 10, 0, &err), BH_E_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records), cmocka_unit_test(malformed), cmocka_unit_test(xattrs),
        cmocka_unit_test(sparse),  cmocka_unit_test(global),
    };
    unp_pax_init(&pax);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unp_pax_fini(&pax);
    return failed;
}
