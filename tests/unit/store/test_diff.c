/*
 * test_diff.c - stacking of layers' entries and comparing of two stacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "svc-store/diff.h"
#include "svc-store/unpack/entries.h"

#define MAX 32

struct list {
    const struct bh_entry *v[MAX];
    size_t n;
};

/* "d /a", "f /a/b", "w /c" (whiteout), "o /d" (opaque folder), "F /x" (a file of another size) */
static const struct bh_entry *entry(const char *text) {
    size_t n = strlen(text) - 3;
    struct bh_entry *e = bh_xcalloc(1, sizeof *e + n + 8);

    e->mode = text[0] == 'd' || text[0] == 'o' ? S_IFDIR | 0755 : text[0] == 'w' ? S_IFCHR : S_IFREG | 0644;
    e->flags = text[0] == 'w' ? BH_ENTRY_WHITEOUT : text[0] == 'o' ? BH_ENTRY_OPAQUE : 0;
    e->length = text[0] == 'F';
    e->path_len = (uint16_t)n;
    memcpy(e->text, text + 3, n);
    return e;
}

static int by_path(const void *a, const void *b) {
    const struct bh_entry *x = *(const struct bh_entry *const *)a;
    const struct bh_entry *y = *(const struct bh_entry *const *)b;

    return store_path_cmp(x->text, x->path_len, y->text, y->path_len);
}

static struct list make(const char *const *texts) {
    struct list l = {0};

    for (; *texts != NULL; texts++)
        l.v[l.n++] = entry(*texts);
    qsort(l.v, l.n, sizeof l.v[0], by_path);
    return l;
}

static void drop(struct list *l) {
    for (size_t i = 0; i < l->n; i++)
        free((void *)l->v[i]);
}

static int add(void *arg, char kind, const char *path, size_t n, struct bh_err *err) {
    (void)err;
    bh_buf_addf(arg, "%c%.*s ", kind, (int)n, path);
    return 0;
}

static void expect(const char *const *a, const char *const *b1, const char *const *b2, const char *want) {
    const char *const none[] = {NULL};
    BH_SCOPE_BUF struct bh_buf told = BH_BUF_INIT;
    struct list la = make(a), lb1 = make(b1), lb2 = make(b2 != NULL ? b2 : none);
    const struct bh_entry *stacked[2 * MAX];
    size_t n = store_stack(lb1.v, lb1.n, lb2.v, lb2.n, stacked);
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(store_compare(la.v, la.n, stacked, n, add, &told, &err), 0);
    assert_string_equal(bh_buf_str(&told), want);
    drop(&la);
    drop(&lb1);
    drop(&lb2);
}

#define L(...)                                                                                                         \
    (const char *const[]) {                                                                                            \
        __VA_ARGS__, NULL                                                                                              \
    }

static void order_is_that_of_a_walk(void **state) {
    static const char *const sorted[] = {"a", "a/b", "a/b/c", "a/c", "a ", "a-b", "a.b", "ab", "b"};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(sorted); i++)
        for (size_t j = 0; j < BH_ARRAY_LEN(sorted); j++) {
            int r = store_path_cmp(sorted[i], strlen(sorted[i]), sorted[j], strlen(sorted[j]));

            assert_int_equal(i == j ? 0 : i < j ? -1 : 1, r == 0 ? 0 : r < 0 ? -1 : 1);
        }
}

static void same_is_silent(void **state) {
    (void)state;
    expect(L("d /a", "f /a/b"), L("d /a", "f /a/b"), NULL, "");
    expect(L("d /a", "f /a/b"), L("d /a", "F /a/b"), L("f /a/b"), "");
}

static void kinds_and_folders_on_the_way(void **state) {
    (void)state;
    expect(L("d /a", "d /a/b", "f /a/b/x"), L("d /a", "d /a/b", "f /a/b/x"), L("d /a", "d /a/b", "f /a/b/new"),
           "Ca Ca/b Aa/b/new ");
    expect(L("d /a", "f /a/x", "f /a/y"), L("d /a", "f /a/x", "f /a/y"), L("F /a/x", "w /a/y"), "Ca Ca/x Da/y ");
    expect(L("d /a", "d /a/b", "f /a/b/x", "f /a/b/y"), L("d /a"), NULL, "Ca Da/b ");
    expect(L("d /a", "f /a/x", "d /ab", "f /ab/x"), L("d /a", "F /a/x", "d /ab", "F /ab/x"), NULL,
           "Ca Ca/x Cab Cab/x ");
}

static void whiteouts_and_opaque_folders(void **state) {
    (void)state;
    expect(L("d /a", "f /a/x", "f /b"), L("d /a", "f /a/x", "f /b"), L("w /a"), "Da ");
    expect(L("d /a", "f /a/x", "f /a/z"), L("d /a", "f /a/x", "f /a/z"), L("o /a", "f /a/y", "f /a/z"),
           "Ca Da/x Aa/y ");
    /* a file inside of an opaque folder must not end the hiding */
    expect(L("d /a", "f /a/x", "f /a/z"), L("d /a", "f /a/x", "f /a/z"), L("o /a", "f /a/b"), "Ca Aa/b Da/x Da/z ");
    expect(L("d /a", "d /a/b", "f /a/b/x"), L("d /a", "d /a/b", "f /a/b/x"), L("d /a", "f /a/b"), "Ca Ca/b Da/b/x ");
    expect(L("f /a"), L("f /a"), L("w /nosuch"), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_that_of_a_walk),
        cmocka_unit_test(same_is_silent),
        cmocka_unit_test(kinds_and_folders_on_the_way),
        cmocka_unit_test(whiteouts_and_opaque_folders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
