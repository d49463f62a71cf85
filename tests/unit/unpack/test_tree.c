/*
 * test_tree.c - what entries do to the tree: parents, links, replacing, whiteouts, attributes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "layer/layer_format.h"
#include "unpack/tree.h"

static const struct unp_tree_limits limits = {
    .max_entries = 1000, .max_sparse = 1 << 20, .max_depth = 32, .max_xattrs = 65536, .max_path = 4096};
static struct unp_tree tree;

static int setup(void **state) {
    struct bh_err err = BH_ERR_INIT;
    (void)state;
    return unp_tree_init(&tree, &limits, &err);
}

static int teardown(void **state) {
    (void)state;
    unp_tree_fini(&tree);
    return 0;
}

static int add(enum unp_type type, const char *name, const char *link) {
    struct bh_err err = BH_ERR_INIT;
    struct unp_entry e = {
        .type = type, .name = {name, strlen(name)}, .mode = 0640, .uid = 7, .size = 3, .data_at = 512};
    if (link != NULL)
        e.link = (struct unp_text){link, strlen(link)};
    int rc = unp_tree_apply(&tree, &e, &err);
    assert_true((rc == 0) == (err.msg[0] == '\0'));
    return rc;
}

/* The inode of a path, no symlinks followed; NULL if there is none. */
static const struct unp_inode *at(const char *path) {
    uint32_t d = UNP_ROOT;
    char copy[256];
    strcpy(copy, path);
    for (char *part = strtok(copy, "/"); part != NULL && d != 0; part = strtok(NULL, "/"))
        d = unp_tree_lookup(&tree, d, (struct unp_text){part, strlen(part)});
    return d == 0 || unp_dent_at(&tree, d)->inode == 0 ? NULL : unp_inode_at(&tree, unp_dent_at(&tree, d)->inode);
}

static void parents(void **state) {
    (void)state;
    assert_int_equal(add(UNP_REG, "./a//b/./c", NULL), 0);
    assert_int_equal(at("a/b/c")->mode, 0100640);
    assert_int_equal(at("a/b")->mode, 0040755);
    assert_true(at("a/b")->flags & UNP_I_IMPLIED);
    assert_int_equal(add(UNP_DIR, "a/", NULL), 0);
    assert_int_equal(at("a")->mode, 0040640);
    assert_non_null(at("a/b/c"));
    assert_int_equal(add(UNP_REG, "a/../z", NULL), 0);
    assert_non_null(at("z"));
    assert_int_equal(add(UNP_REG, "a/../../z", NULL), BH_E_INVALID);
    assert_int_equal(add(UNP_REG, "/../y", NULL), 0);
    assert_non_null(at("y"));
    assert_int_equal(add(UNP_REG, "./", NULL), BH_E_INVALID);
    assert_int_equal(add(UNP_DIR, "./", NULL), 0);
    assert_int_equal(at("")->mode, 0040640);
}

static void symlinks(void **state) {
    (void)state;
    assert_int_equal(add(UNP_SYMLINK, "lib", "usr/lib"), 0);
    assert_int_equal(add(UNP_REG, "lib/x", NULL), 0);
    assert_non_null(at("usr/lib/x"));
    assert_int_equal(add(UNP_SYMLINK, "usr/lib/up", "../../../../etc"), 0);
    assert_int_equal(add(UNP_REG, "lib/up/passwd", NULL), 0);
    assert_non_null(at("etc/passwd"));
    assert_int_equal(add(UNP_SYMLINK, "r", "r"), 0);
    assert_int_equal(add(UNP_REG, "r/x", NULL), BH_E_INVALID);
}

static void replacing(void **state) {
    (void)state;
    assert_int_equal(add(UNP_REG, "d/one", NULL), 0);
    assert_int_equal(add(UNP_REG, "d/two/three", NULL), 0);
    assert_int_equal(add(UNP_REG, "d", NULL), 0);
    assert_null(at("d/one"));
    assert_int_equal(add(UNP_REG, "d/new", NULL), 0); /* a parent that is a file becomes a directory */
    assert_non_null(at("d/new"));
    assert_null(at("d/two"));
}

static void hard_links(void **state) {
    (void)state;
    assert_int_equal(add(UNP_REG, "f", NULL), 0);
    assert_int_equal(add(UNP_LINK, "e/g", "./f"), 0);
    assert_ptr_equal(at("f"), at("e/g"));
    assert_int_equal(add(UNP_REG, "f", NULL), 0);
    assert_ptr_not_equal(at("f"), at("e/g"));
    assert_int_equal(add(UNP_LINK, "x", "missing"), BH_E_INVALID);
    assert_int_equal(add(UNP_LINK, "x", "e"), BH_E_INVALID);
    assert_int_equal(add(UNP_LINK, "x", "/"), BH_E_INVALID);
    assert_int_equal(add(UNP_LINK, "f", "f"), BH_E_INVALID);
    assert_int_equal(add(UNP_LINK, "x", "../f"), BH_E_INVALID);
    assert_int_equal(add(UNP_SYMLINK, "s", "f"), 0);
    assert_int_equal(add(UNP_LINK, "t", "s"), 0);
    assert_ptr_equal(at("s"), at("t"));
}

static void whiteouts(void **state) {
    (void)state;
    assert_int_equal(add(UNP_REG, "a/.wh.b", NULL), 0);
    assert_null(at("a/b"));
    uint32_t a = unp_tree_lookup(&tree, UNP_ROOT, (struct unp_text){"a", 1});
    uint32_t b = unp_tree_lookup(&tree, a, (struct unp_text){"b", 1});
    assert_int_equal(unp_dent_at(&tree, b)->flags, UNP_D_WHITEOUT);
    assert_int_equal(add(UNP_REG, "a/.wh..wh..opq", NULL), 0);
    assert_int_equal(unp_dent_at(&tree, a)->flags, UNP_D_OPAQUE);
    assert_int_equal(add(UNP_REG, "a/.wh.", NULL), BH_E_INVALID);
    assert_int_equal(add(UNP_REG, "a/.wh..", NULL), BH_E_INVALID);
    assert_int_equal(add(UNP_REG, "a/.wh...", NULL), BH_E_INVALID);
    assert_int_equal(add(UNP_REG, "a/.wh....", NULL), 0);
    assert_int_equal(tree.whiteouts, 6);
    assert_int_equal(add(UNP_CHR, "dev", NULL), 0);
    assert_true(at("dev")->flags & UNP_I_LEFT_OUT);
}

static int add_xattr(enum unp_type type, const char *name, const char *value, size_t n) {
    struct bh_err err = BH_ERR_INIT;
    struct unp_xattr x = {{name, strlen(name)}, {value, n}};
    struct unp_entry e = {.type = type, .name = {"x", 1}, .xattrs = &x, .n_xattrs = 1};
    if (type == UNP_SYMLINK)
        e.link = (struct unp_text){"t", 1};
    return unp_tree_apply(&tree, &e, &err);
}

static uint32_t kept(enum unp_type type, const char *name, const char *value, size_t n) {
    assert_int_equal(add_xattr(type, name, value, n), 0);
    const struct unp_xblob *b = at("x")->xattrs;
    return b == NULL ? 0 : b->len;
}

static void xattrs(void **state) {
    static const char cap2[20] = {1, 0, 0, 2};
    static const char cap3[24] = {0, 0, 0, 3};
    static const char acl[28] = {2, 0, 0,  0,  1,  0,  6,  0, -1, -1, -1, -1, 4,  0,
                                 4, 0, -1, -1, -1, -1, 32, 0, 4,  0,  -1, -1, -1, -1};
    char twisted[28];
    (void)state;
    assert_int_equal(kept(UNP_REG, "user.a", "v", 1), 4 + 1 + 1 + 2);
    assert_int_equal(kept(UNP_SYMLINK, "user.a", "v", 1), 0);
    assert_int_equal(kept(UNP_REG, "user.", "v", 1), 0);
    assert_int_equal(kept(UNP_REG, "user.overlay.opaque", "y", 1), 0);
    assert_int_equal(kept(UNP_DIR, "trusted.overlay.opaque", "y", 1), 0);
    assert_int_equal(kept(UNP_REG, "trusted.x", "y", 1), 0);
    assert_int_equal(kept(UNP_REG, "security.selinux", "y", 1), 0);
    assert_int_equal(kept(UNP_REG, "security.capability", cap2, 20), 4 + 10 + 20 + 2);
    assert_int_equal(kept(UNP_REG, "security.capability", cap3, 24), 4 + 10 + 24 + 2);
    assert_int_equal(kept(UNP_DIR, "security.capability", cap2, 20), 0);
    assert_int_equal(kept(UNP_REG, "security.capability", cap3, 20), 0);
    assert_int_equal(kept(UNP_REG, "security.capabilityx", cap2, 20), 0);
    assert_int_equal(kept(UNP_REG, "system.posix_acl_access", acl, 28), 4 + 28);
    assert_int_equal(kept(UNP_REG, "system.posix_acl_default", acl, 28), 0);
    assert_int_equal(kept(UNP_DIR, "system.posix_acl_default", acl, 28), 4 + 28);
    assert_int_equal(kept(UNP_REG, "system.posix_acl_access", acl, 20), 0);
    memcpy(twisted, acl, 28);
    twisted[4] = 32;
    assert_int_equal(kept(UNP_REG, "system.posix_acl_access", twisted, 28), 0);
}

static void opaque_order(void **state) {
    const struct unp_xblob *with = NULL;
    struct bh_err err = BH_ERR_INIT;
    (void)state;
    assert_int_equal(add_xattr(UNP_DIR, "user.zz", "v", 1), 0);
    assert_int_equal(unp_tree_opaque(&tree, at("x")->xattrs, &with, &err), 0);
    /* user.overlay.opaque, user.zz, trusted.overlay.opaque */
    assert_int_equal(with->bytes[1], BH_XATTR_USER);
    assert_memory_equal(with->bytes + 4, "overlay.opaquey", 15);
    assert_int_equal(with->bytes[20 + 1], BH_XATTR_USER);
    assert_int_equal(with->bytes[20 + 8 + 1], BH_XATTR_TRUSTED);
    assert_int_equal(with->len, 20 + 8 + 20);
}

static void limits_hold(void **state) {
    char name[32];
    int rc = 0;
    (void)state;
    assert_int_equal(
        add(UNP_REG, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33", NULL),
        BH_E_LIMIT);
    for (int i = 0; rc == 0 && i < 5000; i++) {
        snprintf(name, sizeof name, "%d/%d", i, i);
        rc = add(UNP_REG, name, NULL);
    }
    assert_int_equal(rc, BH_E_LIMIT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {T(parents),   T(symlinks), T(replacing),    T(hard_links),
                                       T(whiteouts), T(xattrs),   T(opaque_order), T(limits_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
