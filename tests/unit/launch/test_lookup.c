/*
 * test_lookup.c - users and groups as docker finds them, from files of any quality.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rightless/lookup.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "web:x:33:34:w:/srv/web:/bin/sh\n"
                             "bad line\n"
                             ":x:7:7::/:\n"
                             "neg:x:-1:5::/n:\n"
                             "huge:x:4294967296:5::/n:\n"
                             "rel:x:50:50::relative:\n"
                             "1000:x:60:61::/digits:\n"
                             "last:x:70:71::/last:/bin/sh"; /* no newline */
static const char group[] =
    "root:x:0:\nweb:x:34:\nvideo:x:44:web,last\naudio:x:45:xweb,webx\nstaff:x:46:root,web\n2000:x:80:\n";

static const struct {
    const char *user;
    int code;
    uint32_t uid, gid, n_groups;
    const char *home;
    const char *msg;
} table[] = {
    {"", 0, 0, 0, 1, "/root", NULL},
    {"root", 0, 0, 0, 1, "/root", NULL},
    {"0", 0, 0, 0, 1, "/root", NULL},
    {"web", 0, 33, 34, 2, "/srv/web", NULL},
    {"33", 0, 33, 34, 2, "/srv/web", NULL},
    {"web:", 0, 33, 34, 2, "/srv/web", NULL},
    {"web:video", 0, 33, 44, 0, "/srv/web", NULL},
    {"web:99", 0, 33, 99, 0, "/srv/web", NULL},
    {"1234", 0, 1234, 0, 0, "/", NULL},
    {"1234:video", 0, 1234, 44, 0, "/", NULL},
    {":video", 0, 0, 44, 0, "/root", NULL},
    {"last", 0, 70, 71, 1, "/last", NULL},
    {"rel", 0, 50, 50, 0, "/", NULL},
    {"1000", 0, 60, 61, 0, "/digits", NULL}, /* a name that looks like a number wins, as with docker */
    {"0:2000", 0, 0, 80, 0, "/root", NULL},
    {"nosuch", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user nosuch: no matching entries in passwd file"},
    {"neg", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user neg: no matching entries in passwd file"},
    {"huge", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user huge: no matching entries in passwd file"},
    {"-1", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user -1: no matching entries in passwd file"},
    {"4294967296", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user 4294967296: no matching entries in passwd file"},
    {"2147483648", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user 2147483648: no matching entries in passwd file"},
    {"0x0", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user 0x0: no matching entries in passwd file"},
    {" 0", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user  0: no matching entries in passwd file"},
    {"web:nosuch", BH_E_INVALID, 0, 0, 0, NULL, "unable to find group nosuch: no matching entries in group file"},
    {"a\nb", BH_E_INVALID, 0, 0, 0, NULL, "unable to find user a\\x0ab: no matching entries in passwd file"},
};

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(table); i++) {
        struct lnc_user u;

        lnc_lookup_in(passwd, strlen(passwd), group, strlen(group), table[i].user, NULL, &u);
        if (u.code != table[i].code || (table[i].msg != NULL && strcmp(u.msg, table[i].msg) != 0))
            print_message("\"%s\": %d %s\n", table[i].user, u.code, u.msg);
        assert_int_equal(u.code, table[i].code);
        if (table[i].msg != NULL) {
            assert_string_equal(u.msg, table[i].msg);
            continue;
        }
        assert_int_equal(u.uid, table[i].uid);
        assert_int_equal(u.gid, table[i].gid);
        assert_int_equal(u.n_groups, table[i].n_groups + 1); /* and its own, as with docker */
        assert_int_equal(u.groups[table[i].n_groups], table[i].gid);
        assert_string_equal(u.home, table[i].home);
    }
}

static void test_group_add(void **state) {
    char *add[] = {"audio", "99", "audio"}, *wrong[] = {"nosuch"};
    const struct rt_strings some = {add, 3}, none = {wrong, 1};
    struct lnc_user u;

    (void)state;
    lnc_lookup_in(passwd, strlen(passwd), group, strlen(group), "web", &some, &u);
    assert_int_equal(u.code, 0);
    assert_int_equal(u.n_groups, 5); /* video, staff, its own, audio, 99 */
    assert_int_equal(u.groups[2], 34);
    assert_int_equal(u.groups[3], 45);
    lnc_lookup_in(passwd, strlen(passwd), group, strlen(group), "web", &none, &u);
    assert_string_equal(u.msg, "unable to find group nosuch: no matching entries in group file");
}

static void test_no_files(void **state) {
    struct lnc_user u;

    (void)state;
    lnc_lookup_in("", 0, "", 0, "", NULL, &u);
    assert_int_equal(u.code, 0);
    assert_int_equal(u.uid + u.gid + u.groups[0], 0);
    assert_string_equal(u.home, "/");
    lnc_lookup_in("", 0, "", 0, "12:34", NULL, &u);
    assert_int_equal(u.uid, 12);
    assert_int_equal(u.gid, 34);
    lnc_lookup_in("a\0:x:0:0\n\0\0:::", 13, "\0", 1, "web", NULL, &u);
    assert_int_equal(u.code, BH_E_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_group_add),
                                       cmocka_unit_test(test_no_files)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
