/*
 * test_compose.c - layers made of files of other layers and contexts: what BuildKit's COPY and ADD do, case by case.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "build_support.h"
#include "unpack/compose.h"

#define ITEMS(...)                                                                                                     \
    (const struct made_item[]){__VA_ARGS__}, sizeof((struct made_item[]){__VA_ARGS__}) / sizeof(struct made_item)

static int base; /* a small root file system */
static struct made_context ctx;

static const struct made_entry entries[] = {
    {.path = "app", .type = 'd'},
    {.path = "app/a.txt", .type = 'f', .data = "alpha"},
    {.path = "app/b.md", .type = 'f', .data = "beta"},
    {.path = "app/bin", .type = 'd', .mode = 0700},
    {.path = "app/bin/tool", .type = 'f', .data = "#!", .mode = 0755},
    {.path = "app/bin/tool2", .type = 'f', .hard_link = 5},
    {.path = "app/here", .type = 'l', .data = "a.txt"},
    {.path = "away", .type = 'l', .data = "../../../app/a.txt"},
    {.path = "empty", .type = 'd'},
    {.path = "folder", .type = 'l', .data = "app/bin"},
    {.path = "note", .type = 'f', .data = "", .xattr = "user.mark=yes"},
    {.path = "one.txt", .type = 'f', .data = "1"},
    {.path = "two.txt", .type = 'f', .data = "22"},
};

static int setup(void **state) {
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    if (unp_crew_start(&err) != 0)
        fail_msg("%s", err.msg);
    base = MADE_LAYER(
        {.name = "bin", .type = '2', .link = "usr/bin"}, {.name = "etc/", .type = '5', .mode = 0750, .uid = 3},
        {.name = "etc/passwd", .data = "root:x:0:0"}, {.name = "loop", .type = '2', .link = "loop"},
        {.name = "out", .type = '2', .link = "/../../srv/data"}, {.name = "usr/bin/", .type = '5', .mode = 0755},
        {.name = "usr/bin/sh", .data = "shell", .mode = 0755});
    if (made_context_try(entries, sizeof entries / sizeof entries[0], NULL, &ctx, &err) != 0)
        fail_msg("%s", err.msg);
    return 0;
}

static struct maker maker(void) {
    struct maker k = {0};

    maker_layer(&k, "base", base);
    maker_context(&k, "ctx:1", &ctx);
    return k;
}

/* What the new layer has, alone. */
static void made_is(const char *onto, const struct made_item *v, size_t n, const char *want) {
    struct maker k = maker();
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    int fd;

    if (made_compose(&k, onto, v, n, &fd, &err) != 0)
        fail_msg("%s", err.msg);
    if (k.empty) {
        assert_string_equal("(empty)", want);
        close(fd);
        return;
    }
    shown_layers(&fd, 1, &got);
    assert_string_equal(bh_buf_str(&got), want);
    close(fd);
}

static void fails(const char *onto, const struct made_item *v, size_t n, int code, const char *text) {
    struct maker k = maker();
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(made_compose(&k, onto, v, n, NULL, &err), code);
    if (strstr(err.msg, text) == NULL)
        fail_msg("%s", err.msg);
}

/* ---- cases --------------------------------------------------------------------------------- */

static void files(void **state) {
    (void)state;
    made_is("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/etc/"}),
            "d 0750 3:0 /etc\nf 0644 0:0 /etc/one.txt = 1\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/etc"}),
            "d 0750 3:0 /etc\nf 0644 0:0 /etc/one.txt = 1\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/etc/x"}),
            "d 0750 3:0 /etc\nf 0644 0:0 /etc/x = 1\n");
    made_is(
        "base", ITEMS({.from = "ctx:1", .source = {"/one.txt", "two.txt"}, .target = "/new/deep/"}),
        "d 0755 0:0 /new\nd 0755 0:0 /new/deep\nf 0644 0:0 /new/deep/one.txt = 1\nf 0644 0:0 /new/deep/two.txt = 22\n");
    made_is("base",
            ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/new/x", .chown = "7:8", .chmod = "0600"}),
            "d 0755 7:8 /new\nf 0600 7:8 /new/x = 1\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"note"}, .target = "/"}), "f 0644 0:0 /note {1.mark=yes}\n");
}

static void folders(void **state) {
    (void)state;
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/srv"}),
            "d 0755 0:0 /srv\nf 0644 0:0 /srv/a.txt = alpha\nf 0644 0:0 /srv/b.md = beta\nd 0700 0:0 /srv/bin\n"
            "f 0755 0:0 /srv/bin/tool = #! (+)\nf 0755 0:0 /srv/bin/tool2 = #! (+)\nl 0777 0:0 /srv/here -> a.txt\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app/bin"}, .target = "/usr/bin"}),
            "d 0755 0:0 /usr\nd 0755 0:0 /usr/bin\nf 0755 0:0 /usr/bin/tool = #! (+)\nf 0755 0:0 /usr/bin/tool2 = #! "
            "(+)\n");
    /* the folder that is there keeps its mode, one below it takes the source's */
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/usr", .exclude = {"*.*", "here", "bin/*"}}),
            "d 0755 0:0 /usr\nd 0700 0:0 /usr/bin\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app/bin"}, .target = "/x", .folder = true}),
            "d 0700 0:0 /x\nf 0755 0:0 /x/tool = #! (+)\nf 0755 0:0 /x/tool2 = #! (+)\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"empty"}, .target = "/etc"}), "(empty)");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"empty"}, .target = "/e"}), "d 0755 0:0 /e\n");
    made_is(NULL, ITEMS({.from = "base", .source = {"/etc"}, .target = "/etc", .keep = true}),
            "d 0750 3:0 /etc\nf 0644 0:0 /etc/passwd = root:x:0:0\n");
}

static void links(void **state) {
    (void)state;
    /* in the target: as in a chroot */
    made_is("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/bin/one"}),
            "d 0755 0:0 /usr\nd 0755 0:0 /usr/bin\nf 0644 0:0 /usr/bin/one = 1\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/out/"}),
            "d 0755 0:0 /srv\nd 0755 0:0 /srv/data\nf 0644 0:0 /srv/data/one.txt = 1\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/bin/one", .link = true}),
            "d 0755 0:0 /bin\nf 0644 0:0 /bin/one = 1\n");
    fails("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/loop/x"}), BH_E_INVALID, "symbolic links");
    /* as a source: followed, inside the context */
    made_is("base", ITEMS({.from = "ctx:1", .source = {"away"}, .target = "/x"}), "f 0644 0:0 /x = alpha\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"folder"}, .target = "/x", .exclude = {"tool2"}}),
            "d 0700 0:0 /x\nf 0755 0:0 /x/tool = #!\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"../../one.txt"}, .target = "/x"}), "f 0644 0:0 /x = 1\n");
    /* what one item made, the next one follows */
    made_is(NULL,
            ITEMS({.from = "base", .source = {"/"}, .target = "/", .exclude = {"*", "!bin"}},
                  {.from = "ctx:1", .source = {"one.txt"}, .target = "/bin/"}),
            "l 0777 0:0 /bin -> usr/bin\nd 0755 0:0 /usr\nd 0755 0:0 /usr/bin\nf 0644 0:0 /usr/bin/one.txt = 1\n");
}

static void patterns(void **state) {
    (void)state;
    made_is("base", ITEMS({.from = "ctx:1", .source = {"*.txt"}, .target = "/d/", .wildcard = true}),
            "d 0755 0:0 /d\nf 0644 0:0 /d/one.txt = 1\nf 0644 0:0 /d/two.txt = 22\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"a*/[ab].*"}, .target = "/d/", .wildcard = true}),
            "d 0755 0:0 /d\nf 0644 0:0 /d/a.txt = alpha\nf 0644 0:0 /d/b.md = beta\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app/he*"}, .target = "/d/", .wildcard = true}),
            "d 0755 0:0 /d\nf 0644 0:0 /d/here = alpha\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"*.none"}, .target = "/d/", .wildcard = true}), "(empty)");
    fails("base", ITEMS({.from = "ctx:1", .source = {"[*"}, .target = "/d/", .wildcard = true}), BH_E_INVALID,
          "malformed");
    fails("base", ITEMS({.from = "ctx:1", .source = {"*.txt"}, .target = "/d", .wildcard = true}), BH_E_INVALID,
          "end with a /");
    made_is("base",
            ITEMS({.from = "ctx:1", .source = {"*.txt"}, .target = "/d/", .wildcard = true, .ignore = {"two*"}}),
            "d 0755 0:0 /d\nf 0644 0:0 /d/one.txt = 1\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"/"}, .target = "/d", .ignore = {"**", "!app/bin/tool"}}),
            "d 0755 0:0 /d\nd 0755 0:0 /d/app\nd 0700 0:0 /d/app/bin\nf 0755 0:0 /d/app/bin/tool = #!\n");
    fails("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/d", .ignore = {"*.txt"}}), BH_E_NOT_FOUND,
          "\"/one.txt\": not found");
}

static void parents(void **state) {
    (void)state;
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app/bin/tool"}, .target = "/d/", .parents = true}),
            "d 0755 0:0 /d\nd 0755 0:0 /d/app\nd 0700 0:0 /d/app/bin\nf 0755 0:0 /d/app/bin/tool = #!\n");
    made_is("base", ITEMS({.from = "ctx:1", .source = {"app/./bin/tool"}, .target = "/d/", .parents = true}),
            "d 0755 0:0 /d\nd 0700 0:0 /d/bin\nf 0755 0:0 /d/bin/tool = #!\n");
    made_is("base",
            ITEMS({.from = "ctx:1", .source = {"**/*.txt"}, .target = "/d/", .parents = true, .wildcard = true}),
            "d 0755 0:0 /d\nd 0755 0:0 /d/app\nf 0644 0:0 /d/app/a.txt = alpha\nf 0644 0:0 /d/one.txt = 1\n"
            "f 0644 0:0 /d/two.txt = 22\n");
    fails("base", ITEMS({.from = "ctx:1", .source = {"app/none"}, .target = "/d/", .parents = true}), BH_E_NOT_FOUND,
          "\"/app/none\": not found");
}

static void conflicts(void **state) {
    (void)state;
    fails("base", ITEMS({.from = "ctx:1", .source = {"none"}, .target = "/"}), BH_E_NOT_FOUND, "\"/none\": not found");
    fails("base", ITEMS({.from = "ctx:1", .source = {"one.txt/"}, .target = "/"}), BH_E_NOT_FOUND, "not found");
    fails("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/etc/passwd/x"}), BH_E_INVALID,
          "not a directory");
    fails("base", ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/etc/passwd"}), BH_E_INVALID,
          "cannot copy to non-directory");
    fails("base",
          ITEMS({.from = "base", .source = {"/"}, .target = "/", .exclude = {"*", "!bin"}},
                {.from = "ctx:1", .source = {"app"}, .target = "/", .exclude = {"*.*", "here"}}),
          BH_E_INVALID, "cannot copy to non-directory: bin");
    fails("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "etc"}), BH_E_INVALID, "absolute");
    fails("base", ITEMS({.from = "ctx:1", .source = {"one.txt"}, .target = "/x", .chmod = "abc"}), BH_E_INVALID,
          "chmod");
}

static void made_things(void **state) {
    (void)state;
    made_is("base", ITEMS({.mkdir = true, .target = "/etc"}), "(empty)");
    made_is("base", ITEMS({.mkdir = true, .target = "/bin/sub", .chown = "5:6"}),
            "d 0755 0:0 /usr\nd 0755 0:0 /usr/bin\nd 0755 5:6 /usr/bin/sub\n");
    fails("base", ITEMS({.mkdir = true, .target = "/etc/passwd"}), BH_E_INVALID, "not a directory");
    made_is("base", ITEMS({.data = "hello\n", .target = "/etc/motd", .mode = 0640}),
            "d 0750 3:0 /etc\nf 0640 0:0 /etc/motd = hello\n\n");
    made_is("base", ITEMS({.data = "", .target = "/x"}), "f 0644 0:0 /x\n");
}

static void modes(void **state) {
    static const struct {
        const char *chmod;
        unsigned from, to;
    } v[] = {{"755", 0100644, 0100755},         {"4755", 0100644, 0104755},   {"u+x", 0100644, 0100744},
             {"a=r", 0100755, 0100444},         {"go-rwx", 0100755, 0100700}, {"u=rwX,go=rX", 0100644, 0100644},
             {"u=rwX,go=rX", 0040700, 0040755}, {"+x", 0100644, 0100755},     {"g=u", 0100640, 0100660},
             {"u+s,+t", 0100755, 0105755},      {"o=", 0100757, 0100750}};
    static const char *const bad[] = {"8", "17777", "u", "u+q", "rwx", "u+x,", ",", "755x"};
    struct bh_err err = BH_ERR_INIT;
    uint16_t got;

    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        assert_int_equal(unp_chmod_apply(v[i].chmod, (uint16_t)v[i].from, &got, &err), 0);
        if (got != v[i].to)
            fail_msg("%s: %o", v[i].chmod, got);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (unp_chmod_apply(bad[i], 0100644, &got, &err) != BH_E_INVALID)
            fail_msg("%s", bad[i]);
}

static void digest_of(const struct made_item *v, size_t n, unsigned flags, char out[160]) {
    struct maker k = maker();
    struct bh_err err = BH_ERR_INIT;

    k.flags = flags;
    if (made_compose(&k, "base", v, n, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    snprintf(out, 160, "%s", k.content);
}

static void digests(void **state) {
    char a[160], b[160];

    (void)state;
    digest_of(ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x"}), 0, a);
    digest_of(ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x"}), BH_JOB_F_ONLY_DIGEST, b);
    assert_string_equal(a, b);
    digest_of(ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x", .ignore = {"*.txt"}}), BH_JOB_F_ONLY_DIGEST,
              b);
    assert_string_equal(a, b); /* only files that are left out by it make a difference */
    digest_of(ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x", .exclude = {"*.txt"}}), BH_JOB_F_ONLY_DIGEST,
              b);
    assert_string_not_equal(a, b);
    digest_of(ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x", .chmod = "600"}), BH_JOB_F_ONLY_DIGEST, b);
    assert_string_not_equal(a, b);
    digest_of(ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x", .chown = "1:1"}), BH_JOB_F_ONLY_DIGEST, b);
    assert_string_not_equal(a, b);
    digest_of(ITEMS({.from = "base", .source = {"/etc/passwd"}, .target = "/x"}), BH_JOB_F_ONLY_DIGEST, a);
    digest_of(ITEMS({.from = "base", .source = {"/usr/bin/sh"}, .target = "/x"}), BH_JOB_F_ONLY_DIGEST, b);
    assert_string_not_equal(a, b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),       cmocka_unit_test(folders), cmocka_unit_test(links),
        cmocka_unit_test(patterns),    cmocka_unit_test(parents), cmocka_unit_test(conflicts),
        cmocka_unit_test(made_things), cmocka_unit_test(modes),   cmocka_unit_test(digests),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
