/*
 * test_options.c - the store's part of the engine's configuration: every key, and that none passes that is not known.
 */
#include "fixture.h"

#include <string.h>

static int parse(const char *text, struct store_options *o, struct bh_err *err) {
    *err = (struct bh_err)BH_ERR_INIT;
    store_options_init(o);
    return store_options_read(o, text, strlen(text), err);
}

static void test_every_key(void **state) {
    struct store_options o;
    struct bh_err err;

    (void)state;
    assert_ok(parse("", &o, &err), err);
    assert_int_equal(o.keep, STORE_KEEP_ALWAYS);
    assert_int_equal(o.partial_days, 7);
    assert_int_equal(o.reserve, 4 << 20);
    assert_ok(
        parse("[store]\nkeep = \"source\"\nverify_layers = true\nworkers = 3\nreserve = \"1MiB\"\npartial_days = 2\n"
              "[limits]\nentries = 1\nunpacked = \"2\"\narchive = \"3\"\ndocument = \"4\"\npath = 5\ndepth = 6\n"
              "xattrs = 7\nlayers = 8\nimages = 9\n"
              "[build]\ncache_max = \"10GiB\"\n"
              "[registry]\njobs = 1\n",
              &o, &err),
        err);
    assert_true(o.keep == STORE_KEEP_SOURCE && o.rehash && o.workers == 3 && o.reserve == 1 << 20);
    assert_true(o.partial_days == 2 && o.max_entries == 1 && o.max_unpacked == 2 && o.max_archive == 3);
    assert_true(o.max_document == 4 && o.max_path == 5 && o.max_depth == 6 && o.max_xattrs == 7);
    assert_true(o.max_layers == 8 && o.max_images == 9 && o.max_cache == (uint64_t)10 << 30);
}

static void test_refused(void **state) {
    static const char *const rows[] = {
        "[store]\nkeeps = \"always\"\n", "[store]\nkeep = \"some\"\n",   "[store]\nworkers = 65\n",
        "[limits]\nentrys = 1\n",        "[limits]\nimages = 10001\n",   "[limits]\npath = -1\n",
        "[build]\ncache = \"1GiB\"\n",   "[build]\ncache_max = \"x\"\n", "[store]\nverify_layers = 1\n",
    };
    struct store_options o;
    struct bh_err err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(parse(rows[i], &o, &err), BH_E_INVALID);
        assert_int_equal(o.max_entries, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_key), cmocka_unit_test(test_refused)};

    return cmocka_run_group_tests_name("store options", tests, NULL, NULL);
}
