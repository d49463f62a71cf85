/*
 * test_context.c - lists of contexts: what is asked for, what is kept, and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "build_support.h"
#include "unpack/context_read.h"

#define N(v) (sizeof(v) / sizeof(v[0]))

static int setup(void **state) {
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    return unp_crew_start(&err);
}

static void shown_context(const struct made_context *c, struct bh_buf *out) {
    struct unp_view v;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    bh_arena_init(&arena, (size_t)16 << 20);
    if (unp_view_context(&v, c->list, c->pack, c->n_packs, &arena, &err) != 0)
        fail_msg("%s", err.msg);
    shown_dir(out, v.root, "");
    unp_view_fini(&v);
    bh_arena_fini(&arena);
}

static void is(const struct made_context *c, const char *want) {
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;

    shown_context(c, &got);
    assert_string_equal(bh_buf_str(&got), want);
}

static void contents_travel_once(void **state) {
    const struct made_entry a[] = {{.path = "z", .type = 'f', .data = "one"},
                                   {.path = "b", .type = 'd'},
                                   {.path = "b/c", .type = 'f', .data = "two"},
                                   {.path = "b/d", .type = 'f', .data = "one"},
                                   {.path = "b.x", .type = 'f', .data = ""}};
    const struct made_entry b[] = {{.path = "moved", .type = 'f', .data = "two"},
                                   {.path = "new", .type = 'f', .data = "three"}};
    const struct made_entry c[] = {{.path = "last", .type = 'f', .data = "three"}};
    struct made_context x, y, z;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    assert_int_equal(made_context_try(a, N(a), NULL, &x, &err), 0);
    assert_int_equal(x.asked, 2);
    assert_int_equal(x.received, 6);
    is(&x, "d 0755 0:0 /b\nf 0644 0:0 /b/c = two\nf 0644 0:0 /b/d = one\nf 0644 0:0 /b.x\nf 0644 0:0 /z = one\n");
    assert_int_equal(made_context_try(b, N(b), &x, &y, &err), 0);
    assert_int_equal(y.asked, 1);
    assert_int_equal(y.kept, 3);
    is(&y, "f 0644 0:0 /moved = two\nf 0644 0:0 /new = three\n");
    assert_int_equal(made_context_try(c, N(c), &y, &z, &err), 0);
    assert_int_equal(z.asked, 0);
    assert_int_equal(z.n_packs, 2);
    is(&z, "f 0644 0:0 /last = three\n");
    assert_int_equal(made_context_try(NULL, 0, &z, &x, &err), 0);
    is(&x, "");
}

static void refused(const struct made_entry *v, size_t n, int code, const char *text) {
    struct made_context c;
    struct bh_err err = BH_ERR_INIT;
    int rc = made_context_try(v, n, NULL, &c, &err);

    if (rc != code || strstr(err.msg, text) == NULL)
        fail_msg("%d %s", rc, err.msg);
}
#define REFUSED(code, text, ...)                                                                                       \
    refused((const struct made_entry[]){__VA_ARGS__}, N(((const struct made_entry[]){__VA_ARGS__})), code, text)

static void names_that_lead_out(void **state) {
    (void)state;
    REFUSED(BH_E_INVALID, "no relative name", {.path = "/etc/passwd", .type = 'f', .data = "x"});
    REFUSED(BH_E_INVALID, "'..'", {.path = "..", .type = 'd'});
    REFUSED(BH_E_INVALID, "'..'", {.path = "a", .type = 'd'}, {.path = "a/../../b", .type = 'f', .data = "x"});
    REFUSED(BH_E_INVALID, "'.'", {.path = "./a", .type = 'f', .data = "x"});
    REFUSED(BH_E_INVALID, "empty", {.path = "a", .type = 'd'}, {.path = "a//b", .type = 'f', .data = "x"});
    REFUSED(BH_E_INVALID, "empty", {.path = "a/", .type = 'd'});
    REFUSED(BH_E_INVALID, "no relative name", {.path = "", .type = 'd'});
    REFUSED(BH_E_INVALID, "not listed", {.path = "a/b", .type = 'f', .data = "x"});
    /* a link is no folder, wherever it leads */
    REFUSED(BH_E_INVALID, "not listed", {.path = "a", .type = 'l', .data = "/etc"},
            {.path = "a/b", .type = 'f', .data = "x"});
    REFUSED(BH_E_INVALID, "not listed", {.path = "a", .type = 'f', .data = "x"},
            {.path = "a/b", .type = 'f', .data = "x"});
    REFUSED(BH_E_INVALID, "twice", {.path = "a", .type = 'd'}, {.path = "a", .type = 'f', .data = "x"});
}

static void things_that_are_no_files(void **state) {
    (void)state;
    REFUSED(BH_E_INVALID, "neither a file", {.path = "pipe", .type = 'p'});
    REFUSED(BH_E_INVALID, "symbolic link", {.path = "l", .type = 'l', .data = ""});
    REFUSED(BH_E_INVALID, "no earlier file", {.path = "a", .type = 'f', .hard_link = 1});
    REFUSED(BH_E_INVALID, "no earlier file", {.path = "d", .type = 'd'}, {.path = "a", .type = 'f', .hard_link = 1});
    REFUSED(BH_E_INVALID, "no earlier file", {.path = "a", .type = 'f', .hard_link = 99});
}

static void limits_hold(void **state) {
    char deep[1200], name[300], longer[5000];
    struct bh_job_params p = made_params();
    BH_SCOPE_BUF struct bh_buf list = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    static struct unp_context c;

    (void)state;
    memset(name, 'n', 256);
    name[256] = '\0';
    REFUSED(BH_E_INVALID, "too long part", {.path = name, .type = 'd'});
    memset(longer, 'n', 4999);
    longer[4999] = '\0';
    REFUSED(BH_E_LIMIT, "limits.path", {.path = longer, .type = 'd'});
    for (size_t i = 0; i < 300; i++) {
        memcpy(deep + i * 2, "d/", 2);
        deep[i * 2 + 1] = '\0';
        made_list_add(&list, &(struct made_entry){.path = deep, .type = 'd'});
        deep[i * 2 + 1] = '/';
    }
    assert_int_equal(unp_context_init(&c, &p, &err), 0);
    assert_int_equal(unp_context_parse(&c, (const uint8_t *)list.data, list.len, &err), BH_E_LIMIT);
    assert_non_null(strstr(err.msg, "limits.depth"));
    unp_context_fini(&c);
    bh_err_clear(&err);
    p.max_entries = 3;
    bh_buf_reset(&list);
    for (char *q = "abcd"; *q != '\0'; q++)
        made_list_add(&list, &(struct made_entry){.path = (char[]){*q, 0}, .type = 'd'});
    assert_int_equal(unp_context_init(&c, &p, &err), 0);
    assert_int_equal(unp_context_parse(&c, (const uint8_t *)list.data, list.len, &err), BH_E_LIMIT);
    assert_non_null(strstr(err.msg, "limits.entries"));
    unp_context_fini(&c);
}

static void a_million_names(void **state) {
    struct bh_job_params p = made_params();
    struct bh_buf list = BH_BUF_INIT_MAX((size_t)256 << 20);
    struct bh_err err = BH_ERR_INIT;
    static struct unp_context c;
    char path[32];

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        snprintf(path, sizeof path, i % 1000 == 0 ? "d%u" : "d%u/f%u", i / 1000, i % 1000);
        made_list_add(&list, &(struct made_entry){.path = path, .type = i % 1000 == 0 ? 'd' : 'f', .data = "same"});
    }
    assert_int_equal(unp_context_init(&c, &p, &err), 0);
    if (unp_context_parse(&c, (const uint8_t *)list.data, list.len, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(c.n_wanted, 1);
    made_list_add(&list, &(struct made_entry){.path = "more", .type = 'd'});
    unp_context_fini(&c);
    assert_int_equal(unp_context_init(&c, &p, &err), 0);
    assert_int_equal(unp_context_parse(&c, (const uint8_t *)list.data, list.len, &err), BH_E_LIMIT);
    unp_context_fini(&c);
    bh_buf_fini(&list);
}

static void bytes_that_are_not_what_was_said(void **state) {
    const struct made_entry said[] = {{.path = "a", .type = 'f', .data = "what was said"}};
    const struct made_entry came[] = {{.path = "a", .type = 'f', .data = "what was sent"}};
    BH_SCOPE_BUF struct bh_buf list = BH_BUF_INIT;
    struct made_context c;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    made_list_add(&list, said);
    assert_int_equal(made_context_of(&list, came, NULL, 0, &c, &err), BH_E_ABORTED);
    assert_string_equal(err.reason, "context-changed");
    bh_err_clear(&err);
    assert_int_equal(made_context_of(&list, said, NULL, 1, &c, &err), BH_E_ABORTED);
    assert_non_null(strstr(err.msg, "too early"));
}

/* No list at all, a list that is cut off anywhere, lists of other workers that are damaged. */
static void broken_lists(void **state) {
    const struct made_entry v[] = {{.path = "a", .type = 'd'},
                                   {.path = "a/b", .type = 'f', .data = "bytes"},
                                   {.path = "c", .type = 'l', .data = "a"}};
    struct bh_job_params p = made_params();
    BH_SCOPE_BUF struct bh_buf list = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    static struct unp_context c;
    struct made_context good;
    char bytes[1024];
    struct stat st;
    unsigned refusals = 0;

    (void)state;
    for (size_t i = 0; i < N(v); i++)
        made_list_add(&list, &v[i]);
    for (size_t n = 1; n < list.len; n++) {
        assert_int_equal(unp_context_init(&c, &p, &err), 0);
        refusals += unp_context_parse(&c, (const uint8_t *)list.data, n, &err) != 0;
        bh_err_clear(&err);
        unp_context_fini(&c);
    }
    assert_true(refusals >= list.len - 1 - N(v)); /* where an entry ends is a list */
    assert_int_equal(made_context_try(v, N(v), NULL, &good, &err), 0);
    fstat(good.list, &st);
    assert_true((size_t)st.st_size <= sizeof bytes);
    assert_int_equal(pread(good.list, bytes, sizeof bytes, 0), st.st_size);
    refusals = 0;
    for (size_t i = 0; i < (size_t)st.st_size; i++) {
        struct bh_arena arena;
        struct unp_view view;
        BH_SCOPE_BUF struct bh_buf shown = BH_BUF_INIT;
        char one = (char)(bytes[i] ^ 0xff);
        int copy = made_file(bytes, (size_t)st.st_size);

        bh_arena_init(&arena, (size_t)1 << 20);
        bh_pwrite_all(copy, &one, 1, (off_t)i);
        if (unp_view_context(&view, copy, good.pack, good.n_packs, &arena, &err) == 0)
            shown_dir(&shown, view.root, "");
        else
            refusals++;
        bh_err_clear(&err);
        unp_view_fini(&view);
        bh_arena_fini(&arena);
        close(copy);
    }
    assert_true(refusals > 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents_travel_once),
        cmocka_unit_test(names_that_lead_out),
        cmocka_unit_test(things_that_are_no_files),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_million_names),
        cmocka_unit_test(bytes_that_are_not_what_was_said),
        cmocka_unit_test(broken_lists),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
