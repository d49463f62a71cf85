/* Which part of an upper a step of a build takes: tree/filter.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "tree/tree.h"

static int read_text(const char *text, size_t n, struct tree_filter *out) {
    BH_SCOPE_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_write_all(fd, text, n), 0);
    return tree_filter_read(fd, out, &err);
}

static void refused(const char *text, size_t n) {
    struct tree_filter f;

    if (read_text(text, n, &f) != BH_E_INVALID)
        fail_msg("taken: %s", text);
    tree_filter_fini(&f);
}

static void test_parts(void **state) {
    static const char text[] = "-/root/.cache\0-/mnt\0-/a/b/c";
    static const struct {
        const char *path;
        enum tree_part part;
    } rows[] = {{"", TREE_IN},
                {"root", TREE_HOLDS_OUT},
                {"root/.cache", TREE_OUT},
                {"root/.cache/x", TREE_OUT},
                {"root/.cachex", TREE_IN},
                {"root/x", TREE_IN},
                {"mnt", TREE_OUT},
                {"mntx", TREE_IN},
                {"a/b", TREE_HOLDS_OUT},
                {"a/b/d", TREE_IN}};
    struct tree_filter f;

    (void)state;
    assert_int_equal(read_text(text, sizeof text, &f), 0);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        if (tree_filter_part(&f, rows[i].path) != rows[i].part)
            fail_msg("%s: %d", rows[i].path, (int)tree_filter_part(&f, rows[i].path));
    tree_filter_fini(&f);
}

static void test_below(void **state) {
    static const char text[] = "+/root/.cache\0-/root/.cache/a/x\0T1500000000";
    struct tree_filter f;

    (void)state;
    assert_int_equal(read_text(text, sizeof text, &f), 0);
    assert_int_equal(tree_filter_part(&f, ""), TREE_ABOVE);
    assert_int_equal(tree_filter_part(&f, "root"), TREE_ABOVE);
    assert_int_equal(tree_filter_part(&f, "etc"), TREE_OUT);
    assert_int_equal(tree_filter_part(&f, "root/.cachex"), TREE_OUT);
    assert_int_equal(tree_filter_part(&f, "root/.cache"), TREE_HOLDS_OUT);
    assert_int_equal(tree_filter_part(&f, "root/.cache/a/b"), TREE_IN);
    assert_int_equal(tree_filter_part(&f, "root/.cache/a"), TREE_HOLDS_OUT);
    assert_int_equal(tree_filter_part(&f, "root/.cache/a/x/y"), TREE_OUT);
    assert_true(f.clamp);
    assert_int_equal(f.clamp_ns, 1500000000);
    tree_filter_fini(&f);
}

static void test_refused(void **state) {
    static const char *const bad[] = {"x/y", "-", "-/", "-rel", "+rel", "T", "Tx", "T1x"};
    BH_SCOPE_BUF struct bh_buf many = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct tree_filter f;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++)
        refused(bad[i], strlen(bad[i]) + 1);
    refused("-/a", 3); /* cut off */
    refused("+/a\0+/b", 8);
    for (int i = 0; i <= TREE_FILTER_MAX; i++)
        bh_buf_add(&many, "-/a", 4);
    refused(many.data, many.len);
    assert_int_equal(tree_filter_read(777, &f, &err), 0); /* none given */
    assert_int_equal(tree_filter_part(&f, "x"), TREE_IN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
