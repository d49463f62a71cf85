/*
 * test_authfile.c - which login is found for which repository, what is written and what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "cli/authfile.h"
#include "oci/ref.h"

static char folder[] = "/tmp/bh-authfile-XXXXXX";
static char file[64];

static int setup(void **state) {
    static const char *const vars[] = {"DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"};

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    for (size_t i = 0; i < BH_ARRAY_LEN(vars); i++)
        unsetenv(vars[i]);
    setenv("HOME", folder, 1);
    snprintf(file, sizeof file, "%s/config.json", folder);
    return 0;
}

static int teardown(void **state) {
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void put_file(const char *text) {
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_file_replace(AT_FDCWD, file, text, strlen(text), 0600, false, &err), 0);
}

static void test_scopes(void **state) {
    static const char *const rows[][2] = {
        {"https://index.docker.io/v1/", "docker.io"},
        {"index.docker.io", "docker.io"},
        {"https://registry.example/v2/", "registry.example"},
        {"http://127.0.0.1:5000", "127.0.0.1:5000"},
        {"registry.example/team/", "registry.example/team"},
        {"registry.example:443", "registry.example:443"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        char out[256];

        cli_auth_scope_of_key(rows[i][0], out, sizeof out);
        assert_string_equal(out, rows[i][1]);
    }
}

static const char *name_of(const struct bh_ref *ref) {
    static char name[BH_REF_TEXT_SIZE];

    bh_ref_name(ref, name);
    return name;
}

static void check_user(const char *name, const char *user, const char *scope) {
    const struct cli_auth_place where = {.file = file};
    struct bh_err err = BH_ERR_INIT;
    struct cli_auth a;
    struct bh_ref ref;
    bool found;

    assert_int_equal(bh_ref_parse(name, &ref, &err), 0);
    assert_int_equal(cli_auth_find(&where, name_of(&ref), &a, &found, &err), 0);
    assert_int_equal(found, user != NULL);
    if (user != NULL) {
        assert_string_equal(a.username, user);
        assert_string_equal(a.scope, scope);
    }
    cli_auth_fini(&a);
}

/* "dTpw" is u:p; the longest prefix at a "/" counts, and never another host's. */
static void test_longest_prefix(void **state) {
    (void)state;
    put_file("{\"auths\":{\"r.example\":{\"auth\":\"aG9zdDpw\"},\"r.example/team\":{\"auth\":\"dGVhbTpw\"},"
             "\"r.example/team/app\":{\"username\":\"app\",\"password\":\"p\"},"
             "\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnA=\"}},\"other\":1}");
    check_user("r.example/x", "host", "r.example");
    check_user("r.example/team/x", "team", "r.example/team");
    check_user("r.example/teams", "host", "r.example");
    check_user("r.example/team/app:1", "app", "r.example/team/app");
    check_user("r.example:5000/team/app", NULL, NULL);
    check_user("debian", "hub", "docker.io");
    check_user("evil.example/r.example/team", NULL, NULL);
}

static void test_refused(void **state) {
    static const char *const bad[] = {"[",
                                      "[]",
                                      "{\"auths\":{\"r.example\":{\"auth\":\"!!\"}}}",
                                      "{\"auths\":{\"r.example\":{\"auth\":\"dQ==\"}}}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"credsStore\":\"../x\"}",
                                      "{\"credsStore\":\"/bin/sh\"}"};
    const struct cli_auth_place where = {.file = file};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct cli_auth a;
        struct bh_ref ref;
        bool found;

        put_file(bad[i]);
        assert_int_equal(bh_ref_parse("r.example/x", &ref, &err), 0);
        assert_int_not_equal(cli_auth_find(&where, name_of(&ref), &a, &found, &err), 0);
        assert_true(err.msg[0] != '\0');
    }
}

static void test_store_and_erase(void **state) {
    const struct cli_auth_place where = {.file = file};
    struct cli_auth a = {.username = bh_xstrdup("me"), .password = bh_xstrdup("a:b \xc3\xa9")};
    struct bh_err err = BH_ERR_INIT;
    char *place = NULL, **list;
    struct bh_buf text = BH_BUF_INIT;
    bool plain = false, was = false;
    struct stat st;
    size_t n;

    (void)state;
    put_file("{\"psFormat\":\"x\",\"auths\":{\"o.example\":{\"auth\":\"dTpw\"}}}");
    assert_int_equal(cli_auth_store(&where, "r.example:5000", &a, &place, &plain, &err), 0);
    assert_true(plain);
    assert_string_equal(place, file);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    check_user("r.example:5000/x", "me", "r.example:5000");
    check_user("o.example/x", "u", "o.example");
    assert_int_equal(bh_file_read(AT_FDCWD, file, 4096, &text, &err), 0);
    assert_non_null(strstr(bh_buf_str(&text), "psFormat"));
    assert_null(strstr(bh_buf_str(&text), "a:b"));
    assert_int_equal(cli_auth_list(&where, &list, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(list[0], "o.example");
    assert_string_equal(list[1], "r.example:5000");
    assert_int_equal(cli_auth_erase(&where, "https://r.example:5000", &was, &err), 0);
    assert_true(was);
    check_user("r.example:5000/x", NULL, NULL);
    assert_int_equal(cli_auth_erase(&where, "r.example:5000", &was, &err), 0);
    assert_false(was);
    bh_buf_fini(&text);
    free(list[0]);
    free(list[1]);
    free(list);
    free(place);
    cli_auth_fini(&a);
}

/* A helper in $PATH that keeps what it is given in a file; the secret is in no argument. */
static void test_helper(void **state) {
    static const char script[] =
        "#!/bin/sh\nd=$(dirname \"$0\")\n"
        "case $1 in\n"
        "store) cat >\"$d/kept\";;\n"
        "get) read -r url; [ -e \"$d/kept\" ] || { echo 'credentials not found in native keychain'; exit 1; }\n"
        "     sed -e \"s/ServerURL.:[^,]*/ServerURL\\\":\\\"$(echo \"$url\" | tr / _)\\\"/\" \"$d/kept\";;\n"
        "erase) rm \"$d/kept\";;\n"
        "list) echo '{\"https://r.example\":\"me\"}';;\nesac\n";
    const struct cli_auth_place where = {.file = file};
    struct cli_auth a = {.username = bh_xstrdup("me"), .password = bh_xstrdup("secret\"\\")}, back;
    struct bh_err err = BH_ERR_INIT;
    char path[300], program[128], *place = NULL;
    bool plain = true, found = false, was;
    struct bh_buf text = BH_BUF_INIT;
    struct bh_ref ref;

    (void)state;
    snprintf(program, sizeof program, "%s/docker-credential-test", folder);
    assert_int_equal(bh_file_replace(AT_FDCWD, program, script, strlen(script), 0755, false, &err), 0);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    setenv("PATH", path, 1);
    put_file("{\"credHelpers\":{\"r.example\":\"test\"}}");
    assert_int_equal(bh_ref_parse("r.example/x", &ref, &err), 0);
    assert_int_equal(cli_auth_find(&where, name_of(&ref), &back, &found, &err), 0);
    assert_false(found);
    assert_int_equal(cli_auth_store(&where, "r.example", &a, &place, &plain, &err), 0);
    assert_false(plain);
    assert_string_equal(place, "test");
    assert_int_equal(bh_file_read(AT_FDCWD, file, 4096, &text, &err), 0);
    assert_null(strstr(bh_buf_str(&text), "secret"));
    assert_int_equal(cli_auth_find(&where, name_of(&ref), &back, &found, &err), 0);
    assert_true(found);
    assert_string_equal(back.username, "me");
    assert_string_equal(back.password, "secret\"\\");
    cli_auth_fini(&back);
    assert_int_equal(cli_auth_erase(&where, "r.example", &was, &err), 0);
    assert_true(was);
    assert_int_equal(cli_auth_find(&where, name_of(&ref), &back, &found, &err), 0);
    assert_false(found);
    bh_buf_fini(&text);
    free(place);
    cli_auth_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scopes),          cmocka_unit_test(test_longest_prefix), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_store_and_erase), cmocka_unit_test(test_helper),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
