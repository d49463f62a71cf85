/*
 * test_compose.c - layers made of files of other layers and contexts: what BuildKit's COPY and ADD do, case by case.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>

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

/* A folder that hides what is below it hides what earlier items have put there, too. */
static void hiding(void **state) {
    (void)state;
    made_is("base",
            ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/etc/app", .exclude = {"bin"}},
                  {.from = "ctx:1", .source = {"app/bin"}, .target = "/etc/app", .opaque = true}),
            "d 0750 3:0 /etc\nd 0755 0:0 /etc/app\nf 0755 0:0 /etc/app/tool = #! (+)\nf 0755 0:0 /etc/app/tool2 = #! "
            "(+)\n");
    made_is("base",
            ITEMS({.mkdir = true, .opaque = true, .target = "/etc"},
                  {.from = "ctx:1", .source = {"one.txt"}, .target = "/etc/1"}),
            "d 0755 0:0 /etc\nf 0644 0:0 /etc/1 = 1\n");
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

/* ---- stacks -------------------------------------------------------------------------------- */

/* Layers that lie on others become one that hides of those what they hide. */
static void whiteouts(void **state) {
    static const struct made_item all = {
        .from = "one two", .source = {"/"}, .target = "/", .keep = true, .whiteouts = true};
    int below = MADE_LAYER({.name = "a", .data = "a"}, {.name = "b", .data = "b"}, {.name = "d/", .type = '5'},
                           {.name = "d/x", .data = "x"}, {.name = "e/", .type = '5'}, {.name = "e/x", .data = "x"},
                           {.name = "f/", .type = '5'}, {.name = "f/x", .data = "x"}, {.name = "g/", .type = '5'},
                           {.name = "g/x", .data = "x"}, {.name = "g/y", .data = "y"});
    int one =
        MADE_LAYER({.name = ".wh.a", .data = ""}, {.name = ".wh.b", .data = ""}, {.name = ".wh.d", .data = ""},
                   {.name = "e", .data = "file"}, {.name = "f/", .type = '5'}, {.name = "f/.wh..wh..opq", .data = ""},
                   {.name = "f/y", .data = "y"}, {.name = "g/", .type = '5'}, {.name = "g/.wh.x", .data = ""});
    int two = MADE_LAYER({.name = "b", .data = "new"}, {.name = "d/", .type = '5'}, {.name = "d/z", .data = "z"},
                         {.name = "e/", .type = '5'}, {.name = "e/z", .data = "z"}, {.name = "f/", .type = '5'},
                         {.name = "f/z", .data = "z"}, {.name = "g/", .type = '5'}, {.name = "g/z", .data = "z"});
    BH_SCOPE_BUF struct bh_buf want = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct maker k = {0};
    int fds[3] = {below, one, two};

    (void)state;
    maker_layer(&k, "one", one);
    maker_layer(&k, "two", two);
    shown_layers(fds, 3, &want);
    if (made_compose(&k, NULL, &all, 1, &fds[1], &err) != 0)
        fail_msg("%s", err.msg);
    shown_layers(fds, 2, &got);
    assert_string_equal(bh_buf_str(&got), bh_buf_str(&want));
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    close(one);
    close(two);
}

static void stacks(void **state) {
    struct maker k = {0};
    struct bh_err err = BH_ERR_INIT;
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    int low = MADE_LAYER({.name = "a/", .type = '5', .mode = 0700}, {.name = "a/gone", .data = "1"},
                         {.name = "a/kept", .data = "2"}, {.name = "b/old", .data = "3"}, {.name = "c", .data = "4"},
                         {.name = "d/in", .data = "5"});
    int high = MADE_LAYER({.name = "a/.wh.gone"}, {.name = "a/new", .data = "6"}, {.name = "b/.wh..wh..opq"},
                          {.name = "b/fresh", .data = "7"}, {.name = "c/", .type = '5', .mode = 0711},
                          {.name = "c/file", .data = "8"}, {.name = ".wh.d"});
    const struct made_item all = {.from = "low high", .source = {"/"}, .target = "/", .keep = true};
    const struct made_item gone = {.from = "low high", .source = {"/a/gone"}, .target = "/"};
    const struct made_item under = {.from = "low high", .source = {"/c/file"}, .target = "/d/in"};
    int fd;

    (void)state;
    maker_layer(&k, "low", low);
    maker_layer(&k, "high", high);
    assert_int_equal(made_compose(&k, NULL, &all, 1, &fd, &err), 0);
    shown_layers(&fd, 1, &got);
    assert_string_equal(bh_buf_str(&got),
                        "d 0755 0:0 /a\nf 0644 0:0 /a/kept = 2\nf 0644 0:0 /a/new = 6\nd 0755 0:0 /b\n"
                        "f 0644 0:0 /b/fresh = 7\nd 0711 0:0 /c\nf 0644 0:0 /c/file = 8\n");
    assert_int_equal(made_compose(&k, NULL, &gone, 1, NULL, &err), BH_E_NOT_FOUND);
    bh_err_clear(&err);
    /* the target lies on the stack as it is seen: "d" is gone, so it is made */
    bh_buf_reset(&got);
    close(fd);
    assert_int_equal(made_compose(&k, "low high", &under, 1, &fd, &err), 0);
    shown_layers(&fd, 1, &got);
    assert_string_equal(bh_buf_str(&got), "d 0755 0:0 /d\nf 0644 0:0 /d/in = 8\n");
    close(fd);
    close(low);
    close(high);
}

/* Times lowered to a clamp, and whole seconds: the bytes are the same whenever files were written. */
static void same_bytes(void **state) {
    const struct made_item item = {.from = "ctx:1", .source = {"app"}, .target = "/x"};
    struct made_entry later[sizeof entries / sizeof entries[0]];
    struct maker a = maker(), b;
    struct made_context saved = ctx;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    a.clamp = 1000000000;
    assert_int_equal(made_compose(&a, "base", &item, 1, NULL, &err), 0);
    memcpy(later, entries, sizeof later);
    made_mtime = 1700000000123456789;
    assert_int_equal(made_context_try(later, sizeof later / sizeof later[0], NULL, &ctx, &err), 0);
    made_mtime = 1000000000000000000;
    b = maker();
    b.clamp = 1000000000;
    assert_int_equal(made_compose(&b, "base", &item, 1, NULL, &err), 0);
    assert_string_equal(a.diff_id, b.diff_id);
    assert_string_equal(a.content, b.content);
    b.clamp = 0;
    assert_int_equal(made_compose(&b, "base", &item, 1, NULL, &err), 0);
    assert_string_not_equal(a.diff_id, b.diff_id);
    assert_string_equal(a.content, b.content);
    ctx = saved;
}

/* Names that need more than a plain header has room for. */
static void long_names(void **state) {
    char path[600], link[400];
    struct made_entry v[] = {{.path = "d", .type = 'd'},
                             {.path = path, .type = 'f', .data = "deep"},
                             {.path = "l", .type = 'l', .data = link}};
    const struct made_item item = {.from = "ctx:1", .source = {"/"}, .target = "/", .chown = "3000000:4000000"};
    struct made_context saved = ctx;
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf want = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct maker k;
    int fd;

    (void)state;
    memset(path, 'n', 250);
    memcpy(path, "d/", 2);
    path[250] = '\0';
    memset(link, 't', 399);
    link[399] = '\0';
    if (made_context_try(v, 3, NULL, &ctx, &err) != 0)
        fail_msg("%s", err.msg);
    k = maker();
    assert_int_equal(made_compose(&k, "base", &item, 1, &fd, &err), 0);
    shown_layers(&fd, 1, &got);
    bh_buf_addf(&want,
                "d 0755 3000000:4000000 /d\nf 0644 3000000:4000000 /%s = deep\nl 0777 3000000:4000000 /l -> %s\n", path,
                link);
    assert_string_equal(bh_buf_str(&got), bh_buf_str(&want));
    close(fd);
    ctx = saved;
}

/* ---- ADD of archives ----------------------------------------------------------------------- */

static void gzip_of(const struct bh_buf *in, struct bh_buf *out) {
    z_stream z = {.next_in = (Bytef *)in->data, .avail_in = (uInt)in->len};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.avail_out = (uInt)deflateBound(&z, (uLong)in->len);
    size_t room = z.avail_out;
    z.next_out = bh_buf_room(out, room);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    bh_buf_grew(out, room - z.avail_out);
    deflateEnd(&z);
}

static void archive_of(struct bh_buf *tar) {
    made_add(tar, (struct made){.name = "bin/added", .data = "new", .mode = 0755, .uid = 9});
    made_add(tar, (struct made){.name = "bin/added2", .type = '1', .link = "bin/added"});
    made_add(tar, (struct made){.name = "etc/", .type = '5', .mode = 0711, .uid = 4});
    made_add(tar, (struct made){.name = "etc/passwd", .type = '2', .link = "shadow"});
    made_add(tar, (struct made){.name = "usr", .data = "no folder any more"});
    made_add(tar, (struct made){.name = ".wh.gone"});
    made_add(tar, (struct made){.name = "null", .type = '3'});
    made_end(tar);
}

static void add_is(const struct bh_buf *archive, const struct made_item *item, const char *want) {
    const struct made_entry v[] = {{.path = "a.tar", .type = 'f', .data = archive->data, .size = archive->len}};
    struct made_context saved = ctx;
    struct bh_err err = BH_ERR_INIT;

    if (made_context_try(v, 1, NULL, &ctx, &err) != 0)
        fail_msg("%s", err.msg);
    made_is("base", item, 1, want);
    ctx = saved;
}

static void archives(void **state) {
    const struct made_item root = {.from = "ctx:1", .source = {"a.tar"}, .target = "/", .unpack = true, .keep = true};
    const struct made_item owned = {
        .from = "ctx:1", .source = {"a.tar"}, .target = "/x", .unpack = true, .chown = "5:6"};
    const char *in_x =
        "d 0755 5:6 /x\nd 0755 0:0 /x/bin\nf 0755 9:0 /x/bin/added = new (+)\nf 0755 9:0 /x/bin/added2 = "
        "new (+)\nd 0711 4:0 /x/etc\nl 0777 0:0 /x/etc/passwd -> shadow\nf 0644 0:0 /x/usr = no folder "
        "any more\n";
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf other = BH_BUF_INIT;

    (void)state;
    archive_of(&tar);
    gzip_of(&tar, &packed);
    add_is(&tar, &owned, in_x);
    add_is(&packed, &owned, in_x);
    /* over a root: bin is a link there, which an archive that does not describe bin follows; usr goes after that */
    add_is(&tar, &root, "d 0711 4:0 /etc\nl 0777 0:0 /etc/passwd -> shadow\nf 0644 0:0 /usr = no folder any more\n");
    /* not an archive: a file */
    bh_buf_adds(&text, "no archive, but more than a block? no. and not compressed either");
    gzip_of(&text, &other);
    const struct made_item file = {.from = "ctx:1", .source = {"a.tar"}, .target = "/f/", .unpack = true};
    add_is(&text, &file,
           "d 0755 0:0 /f\nf 0644 0:0 /f/a.tar = no archive, but more than a block? no. and not compressed "
           "either\n");
    struct maker k;

    other.len--; /* cut off */
    const struct made_entry v[] = {{.path = "a.tar", .type = 'f', .data = other.data, .size = other.len}};
    struct made_context saved = ctx;
    struct bh_err err = BH_ERR_INIT;
    assert_int_equal(made_context_try(v, 1, NULL, &ctx, &err), 0);
    k = maker();
    if (made_compose(&k, "base", &file, 1, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(k.files, 2);
    ctx = saved;
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

/* What a layer of the same content would be on other layers. */
static void place_of(int layer, const struct made_item *v, size_t n, char out[160]) {
    struct maker k = {.flags = BH_JOB_F_ONLY_DIGEST, .with_place = true};
    struct bh_err err = BH_ERR_INIT;

    maker_layer(&k, "onto", layer);
    maker_context(&k, "ctx:1", &ctx);
    if (made_compose(&k, "onto", v, n, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    snprintf(out, 160, "%s", k.place);
}

static void places(void **state) {
    static const struct made_item copies[] = {
        {.from = "ctx:1", .source = {"app"}, .target = "/d/app", .wildcard = true},
        {.from = "ctx:1", .source = {"one.txt"}, .target = "/d/e/1"},
        {.data = "x", .target = "/d/e/2"}};
    int onto = MADE_LAYER({.name = "d/", .type = '5', .mode = 0750, .uid = 3}, {.name = "d/e/", .type = '5'},
                          {.name = "d/file", .data = "1"}, {.name = "other", .data = "1"});
    struct {
        int layer;
        bool same;
    } rows[] = {
        {MADE_LAYER({.name = "other", .data = "more"}, {.name = "d/", .type = '5', .mode = 0750, .uid = 3},
                    {.name = "d/e/", .type = '5'}, {.name = "d/new", .data = "1"}),
         true},
        {MADE_LAYER({.name = "d/", .type = '5', .mode = 0755, .uid = 3}, {.name = "d/e/", .type = '5'}), false},
        {MADE_LAYER({.name = "d/", .type = '5', .mode = 0750, .uid = 4}, {.name = "d/e/", .type = '5'}), false},
        {MADE_LAYER({.name = "d/", .type = '5', .mode = 0750, .uid = 3, .mtime = 7}, {.name = "d/e/", .type = '5'}),
         true},
        {MADE_LAYER({.name = "d/", .type = '5', .mode = 0750, .uid = 3}), false}, /* 0644 there, 0755 when it is made */
        {MADE_LAYER({.name = "d/", .type = '5', .mode = 0750, .uid = 3}, {.name = "d/e/", .type = '5'},
                    {.name = "d/app/", .type = '5', .mode = 0700}),
         false},
        {MADE_LAYER({.name = "x/", .type = '5', .mode = 0750, .uid = 3}, {.name = "x/e/", .type = '5'},
                    {.name = "d", .type = '2', .link = "x"}),
         false},
    };
    char want[160], got[160];

    (void)state;
    place_of(onto, copies, sizeof copies / sizeof copies[0], want);
    assert_int_equal(strncmp(want, "sha256:", 7), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        place_of(rows[i].layer, copies, sizeof copies / sizeof copies[0], got);
        if ((strcmp(want, got) == 0) != rows[i].same)
            fail_msg("row %zu", i);
        close(rows[i].layer);
    }
    close(onto);
}

/* An archive would have to be unpacked for it. */
static void no_place(void **state) {
    const struct made_item add = {.from = "ctx:1", .source = {"one.txt"}, .target = "/x", .unpack = true};
    struct maker k = maker();
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(made_compose(&k, "base", ITEMS({.from = "ctx:1", .source = {"app"}, .target = "/x"}), NULL, &err),
                     0);
    assert_string_equal(k.place, "");
    k = maker();
    k.flags = BH_JOB_F_ONLY_DIGEST;
    k.with_place = true;
    assert_int_equal(made_compose(&k, "base", &add, 1, NULL, &err), BH_E_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),       cmocka_unit_test(folders),    cmocka_unit_test(links),
        cmocka_unit_test(patterns),    cmocka_unit_test(parents),    cmocka_unit_test(conflicts),
        cmocka_unit_test(made_things), cmocka_unit_test(hiding),     cmocka_unit_test(whiteouts),
        cmocka_unit_test(modes),       cmocka_unit_test(digests),    cmocka_unit_test(archives),
        cmocka_unit_test(stacks),      cmocka_unit_test(same_bytes), cmocka_unit_test(long_names),
        cmocka_unit_test(places),      cmocka_unit_test(no_place),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
