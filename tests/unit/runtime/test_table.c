/* All containers by name, id and prefix; who sees which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/container.h"

static const struct rt_caller root = {.uid = 0, .admin = true}, ann = {.uid = 1000}, bob = {.uid = 1001};

/* A table lives as long as its room; the tests keep theirs where the leak checker sees them. */
static struct rt_table *new_table(void) {
    static struct rt_table *kept[16];
    static unsigned n;

    assert_true(n < sizeof kept / sizeof kept[0]);
    return kept[n++] = rt_table_new();
}

static struct rt_container *make(const char *id_start, const char *name, uid_t owner, int64_t created) {
    char id[RT_ID_SIZE];
    struct rt_record rec = {.id = id,
                            .name = name,
                            .owner = owner,
                            .created_ns = created,
                            .image = "img",
                            .image_id = "sha256:0",
                            .image_ref = ""};

    memset(id, '0', sizeof id - 1);
    id[sizeof id - 1] = 0;
    memcpy(id, id_start, strlen(id_start));
    return rt_container_new(NULL, &rec, NULL);
}

static struct rt_container *add(struct rt_table *t, const char *id, const char *name, uid_t owner, int64_t created) {
    struct rt_container *c = make(id, name, owner, created);
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(rt_table_add(t, c, &err), 0);
    rt_container_unref(c); /* the table's reference is left */
    return c;
}

static void find(struct rt_table *t, const struct rt_caller *who, const char *text, const struct rt_container *want,
                 int code, const char *message) {
    struct rt_container *got = NULL;
    struct bh_err err = BH_ERR_INIT;
    int r = rt_table_find(t, who, text, &got, &err);

    if (r != code || got != want)
        fail_msg("'%s': %d %s", text, r, err.msg);
    if (message != NULL && strstr(err.msg, message) == NULL)
        fail_msg("'%s': %s", text, err.msg);
    rt_container_unref(got);
}

static void look_up(void **state) {
    struct rt_table *t = new_table();
    struct rt_container *web = add(t, "abc1", "web", 1000, 1), *db = add(t, "abc2", "db", 1000, 2);
    struct rt_container *other = add(t, "abd1", "web", 1001, 3);

    (void)state;
    find(t, &ann, "web", web, 0, NULL);
    find(t, &ann, "/web", web, 0, NULL);
    find(t, &bob, "web", other, 0, NULL);
    find(t, &ann, "abc1", web, 0, NULL);
    find(t, &ann, db->id, db, 0, NULL);
    find(t, &ann, "abc", NULL, BH_E_INVALID, "abc is ambiguous, it could be any of 2 containers");
    find(t, &ann, "ab", NULL, BH_E_INVALID, "abc2000000");
    find(t, &bob, "ab", other, 0, NULL); /* a prefix is unique among what one may see */
    find(t, &bob, "abc1", NULL, BH_E_NOT_FOUND, "No such container: abc1");
    find(t, &bob, web->id, NULL, BH_E_NOT_FOUND, "No such container: abc1");
    find(t, &ann, "", NULL, BH_E_NOT_FOUND, "No such container: ");
    find(t, &ann, "/", NULL, BH_E_NOT_FOUND, NULL);
    find(t, &ann, "nosuch", NULL, BH_E_NOT_FOUND, "No such container: nosuch");
    find(t, &root, "db", db, 0, NULL);
    find(t, &root, "web", NULL, BH_E_INVALID, "web is ambiguous");
    find(t, &root, "abd", other, 0, NULL);
}

static void names_are_taken_by_owner(void **state) {
    struct rt_table *t = new_table();
    struct rt_container *web = add(t, "a1", "web", 1000, 1), *again = make("a2", "web", 1000, 2);
    struct rt_container *others = make("a3", "web", 1001, 3);
    struct bh_err err = BH_ERR_INIT;
    char text[300];

    (void)state;
    assert_int_equal(rt_table_add(t, again, &err), BH_E_CONFLICT);
    snprintf(text, sizeof text, "The container name \"/web\" is already in use by container \"%s\". You have to remove",
             web->id);
    assert_non_null(strstr(err.msg, text));
    assert_string_equal(err.reason, "name-in-use");
    bh_err_clear(&err);
    assert_int_equal(rt_table_add(t, others, &err), 0);
    assert_int_equal(rt_table_rename(t, others, "db", &err), 0);
    find(t, &bob, "db", others, 0, NULL);
    find(t, &bob, "web", NULL, BH_E_NOT_FOUND, NULL);
    rt_table_remove(t, web);
    assert_int_equal(rt_table_add(t, again, &err), 0);
    find(t, &ann, "web", again, 0, NULL);
    rt_container_unref(again);
    rt_container_unref(others);
}

static void own_name_goes_before_id_prefix(void **state) {
    struct rt_table *t = new_table();
    struct rt_container *named = add(t, "99", "abc", 1000, 1);

    (void)state;
    add(t, "abc", "zz", 1000, 2);
    find(t, &ann, "abc", named, 0, NULL);
}

static void lists_are_by_age_and_owner(void **state) {
    struct rt_table *t = new_table();
    struct rt_container **list = NULL, *late = add(t, "a1", "late", 1000, 30), *early = add(t, "a2", "early", 1000, 10);
    size_t n = 0;

    (void)state;
    add(t, "a3", "other", 1001, 20);
    rt_table_list(t, &ann, &list, &n);
    assert_int_equal(n, 2);
    assert_ptr_equal(list[0], early);
    assert_ptr_equal(list[1], late);
    rt_table_list_free(list, n);
    rt_table_list(t, &root, &list, &n);
    assert_int_equal(n, 3);
    rt_table_list_free(list, n);
}

static void graves(void **state) {
    struct rt_table *t = new_table();
    struct rt_container *c = add(t, "a1", "web", 1000, 1);
    struct rt_status s = {0};
    char id[RT_ID_SIZE];

    (void)state;
    memcpy(id, c->id, sizeof id);
    assert_true(rt_container_event(c, &(struct rt_event){.type = RT_EV_STARTED, .when_ns = 1}));
    assert_true(rt_container_event(c, &(struct rt_event){.type = RT_EV_EXITED, .exit_code = 7, .when_ns = 2}));
    assert_int_equal(c->exits, 1);
    assert_false(rt_table_grave(t, &ann, id, &s));
    rt_table_bury(t, c);
    rt_table_remove(t, c);
    assert_true(rt_table_grave(t, &ann, id, &s));
    assert_int_equal(s.exit_code, 7);
    assert_false(rt_table_grave(t, &bob, id, &s));
    assert_false(rt_table_grave(t, &ann, "a1", &s));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(look_up), cmocka_unit_test(names_are_taken_by_owner),
                                       cmocka_unit_test(own_name_goes_before_id_prefix),
                                       cmocka_unit_test(lists_are_by_age_and_owner), cmocka_unit_test(graves)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
