/*
 * test_check.c - the lint checks, each with files that it warns of and files that it does not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "dump.h"
#include "svc-build/recipe_check.h"
#include "svc-build/recipe_stages.h"

struct checked {
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
    int rc;
};

/* env: of the base image of every stage, NULL: not known. */
static void check(struct checked *x, const char *text, const char *ignore, const char *env) {
    struct build_inputs in = {.build_platform = "linux/amd64", .target_platform = "linux/arm64"};
    const char *entries[1] = {env};
    struct bh_strlist list = {true, env != NULL && env[0] != '\0', entries};
    const struct bh_strlist *lists[] = {&list, &list, &list, &list};
    BH_SCOPE_IGNORE struct bh_ignore *ig = NULL;
    struct build_check_input input = {.in = &in, .image_env = env != NULL ? lists : NULL};
    struct bh_err err = BH_ERR_INIT;

    bh_arena_init(&x->arena, (size_t)16 << 20);
    build_notes_init(&x->notes, &x->arena, "Dockerfile");
    assert_int_equal(build_recipe_parse(text, strlen(text), &x->arena, &x->notes, &x->r, &err), 0);
    assert_int_equal(x->notes.errors, 0);
    if (ignore != NULL)
        assert_int_equal(bh_ignore_parse(ignore, strlen(ignore), ".dockerignore", &ig, &err), 0);
    input.ignore = ig;
    x->rc = build_recipe_check(&x->r, &input, &x->arena, &x->notes, &err);
}

struct row {
    const char *text;
    const char *want; /* dump_notes */
    const char *message;
};

static void check_rows(const struct row *rows, size_t n, const char *ignore, const char *env) {
    for (size_t i = 0; i < n; i++) {
        struct checked x;

        check(&x, rows[i].text, ignore, env);
        assert_int_equal(x.rc, 0);
        expect_notes(rows[i].text, &x.notes, rows[i].want, rows[i].message);
        bh_arena_fini(&x.arena);
    }
}

static void test_names_and_case(void **state) {
    static const struct row rows[] = {
        {"FROM a AS b\nRUN x", "", NULL},
        {"FROM a AS Build", "1:11+5 StageNameCasing\n", "Stage name 'Build' should be lowercase"},
        {"FROM a as b", "1:8+2 FromAsCasing\n", "'as' and 'FROM' keywords' casing do not match"},
        {"from a AS b", "1:8+2 FromAsCasing\n", "'AS' and 'from' keywords' casing do not match"},
        {"from a as b", "", NULL},
        {"FROM a AS scratch\nFROM b AS context", "1:11+7 ReservedStageName\n2:11+7 ReservedStageName\n",
         "Stage name should not use the same name as reserved stage \"scratch\""},
        {"FROM a AS b\nFROM c AS b", "2:11+1 DuplicateStageName\n",
         "Duplicate stage name \"b\", stage names should be unique"},
        {"FROM a AS b\nFROM c AS B", "2:11+1 StageNameCasing\n2:11+1 DuplicateStageName\n", NULL},
        {"FROM a\nrun x\nRUN y", "2:1+3 ConsistentInstructionCasing\n",
         "Command 'run' should match the case of the command majority (uppercase)"},
        {"from a\nrun x\nRUN y", "3:1+3 ConsistentInstructionCasing\n",
         "Command 'RUN' should match the case of the command majority (lowercase)"},
        {"FROM a\nRun x", "2:1+3 ConsistentInstructionCasing\n", NULL},
        {"# check=experimental=all\n# a is it\nFROM x AS b\n# c is\nARG c\n# d is\nARG e f\n\n# no\n\nARG g",
         "3:1+4 InvalidDefinitionDescription\n7:1+3 InvalidDefinitionDescription\n",
         "Comment for FROM should follow the format: `# b <description>`"},
        {"# a is it\nFROM x AS b", "", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), NULL, NULL);
}

static void test_from(void **state) {
    static const struct row rows[] = {
        {"ARG A=a\nFROM $A", "", NULL},
        {"ARG VERSION=1\nFROM a:$VERSIN", "2:6+9 InvalidDefaultArgInFrom\n2:6+9 UndefinedArgInFrom (VERSION)\n", NULL},
        {"FROM a$X", "1:6+3 UndefinedArgInFrom\n", "FROM argument 'X' is not declared"},
        {"ARG X\nFROM a$X", "", NULL},
        {"ARG X\nFROM $X", "2:6+2 InvalidDefaultArgInFrom\n",
         "Default value for ARG $X results in empty or invalid base image name"},
        {"ARG X\nFROM a:${X}", "2:6+6 InvalidDefaultArgInFrom\n", NULL},
        {"ARG X\nFROM a:${X:-1}", "", NULL},
        {"FROM --platform=$TARGETPLATFORM a", "1:17+15 RedundantTargetPlatform\n",
         "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"},
        {"FROM --platform=$BUILDPLATFORM a", "", NULL},
        {"FROM --platform=linux/$TARGETARCH a", "", NULL},
        {"FROM --platform=linux/amd64 a", "1:17+11 FromPlatformFlagConstDisallowed\n",
         "FROM --platform flag should not use constant value \"linux/amd64\""},
        {"FROM --platform=linux/amd64 a AS build_amd64", "", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), NULL, NULL);
}

static void test_instructions(void **state) {
    static const struct row rows[] = {
        {"FROM a\nMAINTAINER me", "2:1+10 MaintainerDeprecated\n",
         "Maintainer instruction is deprecated in favor of using label"},
        {"FROM a\nCMD x\nENTRYPOINT [\"y\"]", "2:1+3 JSONArgsRecommended\n",
         "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"},
        {"FROM a\nSHELL [\"/x\"]\nCMD x", "", NULL},
        {"FROM a AS b\nSHELL [\"/x\"]\nFROM b\nENTRYPOINT x", "", NULL},
        {"FROM a\nENTRYPOINT ['y']\nRUN [\"a\", b]",
         "2:1+10 JSONArgsRecommended\n2:1+10 InvalidJSONForm\n"
         "3:1+3 InvalidJSONForm\n",
         NULL},
        {"FROM a\nRUN [ -f x ]", "", NULL},
        {"FROM a\nCMD [\"a\"]\nCMD [\"b\"]\nFROM c\nCMD [\"a\"]", "2:1+3 MultipleInstructionsDisallowed\n",
         "Multiple CMD instructions should not be used in the same stage because only the last one will be used"},
        {"FROM a\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\nENTRYPOINT [\"a\"]\nENTRYPOINT [\"a\"]",
         "2:1+11 MultipleInstructionsDisallowed\n4:1+10 MultipleInstructionsDisallowed\n", NULL},
        {"FROM a\nENV k v\nLABEL k v\nENV a=b", "2:5+1 LegacyKeyValueFormat\n3:7+1 LegacyKeyValueFormat\n",
         "\"ENV key=value\" should be used instead of legacy \"ENV key value\" format"},
        {"FROM a\nWORKDIR b\nWORKDIR c", "2:9+1 WorkdirRelativePath\n",
         "Relative workdir \"b\" can have unexpected results if the base image changes"},
        {"FROM a\nWORKDIR /b\nWORKDIR c", "", NULL},
        {"FROM a AS x\nWORKDIR /b\nFROM x\nWORKDIR c", "", NULL},
        {"FROM a\nENV D=/d\nWORKDIR $D", "", NULL},
        {"FROM a\nARG API_KEY my_token auth\nENV DB_PASSWORD=x monkey=1 PUBLIC_KEY=2 KEY_FILE=3 TOKENS=4",
         "2:5+7 SecretsUsedInArgOrEnv\n2:13+8 SecretsUsedInArgOrEnv\n2:22+4 SecretsUsedInArgOrEnv\n"
         "3:5+11 SecretsUsedInArgOrEnv\n",
         "Do not use ARG or ENV instructions for sensitive data (ARG \"API_KEY\")"},
        {"FROM a\nLABEL api_key=x", "", NULL},
        {"FROM a\nEXPOSE 80/TCP 81/udp", "2:8+6 ExposeProtoCasing\n",
         "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"},
        {"FROM a\nEXPOSE 80:80 127.0.0.1:1:2/Udp [::1]:1:2",
         "2:8+5 ExposeInvalidFormat\n2:14+17 ExposeProtoCasing\n"
         "2:14+17 ExposeInvalidFormat\n2:32+9 ExposeInvalidFormat\n",
         "EXPOSE instruction should not define an IP address or host-port mapping, found '80:80'"},
        {"FROM a\nRUN a \\\n\n  b \\\n\n  c\nRUN d \\\n\n  e", "3:1+1 NoEmptyContinuation\n8:1+1 NoEmptyContinuation\n",
         "Empty continuation line"},
        {"FROM a\nRUN a \\\n# c\n  b", "", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), NULL, NULL);
}

static void test_variables(void **state) {
    static const struct row unknown[] = {
        {"FROM a\nWORKDIR /$HOME", "", NULL}, /* the image may have it */
        {"FROM a\nARG VERSION=1\nLABEL v=$VERSON", "3:9+7 UndefinedVar (VERSION)\n",
         "Usage of undefined variable '$VERSON'"},
        {"FROM scratch\nLABEL v=$X", "2:9+2 UndefinedVar\n", "Usage of undefined variable '$X'"},
        {"FROM scratch\nLABEL v=$X w=${X}", "2:9+2 UndefinedVar\n", NULL},
        {"FROM scratch\nLABEL v=$PATH", "", NULL},
        {"FROM scratch\nARG X\nLABEL v=$X", "", NULL},
        {"FROM scratch AS s\nENV X=1\nFROM s\nLABEL v=$X w=$Y", "4:14+2 UndefinedVar\n", NULL},
        {"FROM scratch\nCOPY a \\\n  ${X}/b", "3:3+2 UndefinedVar\n", NULL},
        {"FROM scratch\nRUN echo $X", "", NULL},
        {"FROM scratch\nRUN --mount=type=cache,target=$X/y z", "2:31+2 UndefinedVar\n", NULL},
        {"FROM scratch\nCOPY <<E /x\n$X\nE", "3:1+2 UndefinedVar\n", NULL},
        {"FROM scratch\nARG A=$X", "2:7+2 UndefinedVar\n", NULL},
        {"FROM scratch\nLABEL a=$1 b=$@", "", NULL},
        {"FROM scratch\nLABEL a='$X'", "", NULL},
    };
    static const struct row known[] = {
        {"FROM a\nWORKDIR /$HOME", "2:10+5 UndefinedVar (HOPE)\n", NULL},
        {"FROM a\nWORKDIR /$HOPE", "", NULL},
        {"FROM a\nUSER $QUITE_ELSE", "2:6+11 UndefinedVar\n", NULL},
    };

    (void)state;
    check_rows(unknown, BH_ARRAY_LEN(unknown), NULL, NULL);
    check_rows(known, BH_ARRAY_LEN(known), NULL, "HOPE=/x");
}

static void test_ignored(void **state) {
    static const struct row rows[] = {
        {"FROM a\nCOPY x/secret ok /d/\nADD ./x/../secret/a /d/\nADD http://h/secret /d/\nCOPY --from=b secret /d\n"
         "COPY . /d/",
         "2:6+8 CopyIgnoredFile\n3:5+15 CopyIgnoredFile\n",
         "Attempting to Copy file \"x/secret\" that is excluded by .dockerignore"},
    };
    static const struct row all[] = {{"FROM a\nCOPY . /", "2:6+1 CopyIgnoredFile\n", NULL}};
    static const struct row negated[] = {{"FROM a\nCOPY secret /", "", NULL}};

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), "**/secret", NULL);
    check_rows(all, BH_ARRAY_LEN(all), "*", NULL);
    check_rows(negated, BH_ARRAY_LEN(negated), "secret\n!secret/x", NULL);
}

static void test_rules(void **state) {
    static const struct row rows[] = {
        {"# check=skip=JSONArgsRecommended\nFROM a as b\nCMD x", "2:8+2 FromAsCasing\n", NULL},
        {"# check=skip=JSONArgsRecommended, FromAsCasing ;error=false\nFROM a as b\nCMD x", "", NULL},
        {"# check=skip=all\nFROM a as b\nCMD x", "", NULL},
        {"# check=skip=NotYetKnown\nFROM a", "", NULL},
        {"FROM a\n# check=skip=JSONArgsRecommended\nCMD x\nFROM b\nCMD x", "5:1+3 JSONArgsRecommended\n", NULL},
        {"FROM a\n# check=skip=all\nMAINTAINER x", "", NULL},
        {"# check=quiet=all\nFROM a as b", "1:9+9 invalid-check\n", "invalid check option \"quiet=all\""},
        {"# check=all\nFROM a", "1:9+3 invalid-check\n", NULL},
        {"# check=error=perhaps\nFROM a", "1:9+13 invalid-check\n", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), NULL, NULL);
}

static void test_error(void **state) {
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"# check=error=true\nFROM a as b", BH_E_INVALID},
        {"# check=error=true\nFROM a AS b", 0},
        {"# check=error=true;skip=FromAsCasing\nFROM a as b", 0},
        {"FROM a as b", 0},
        {"# check=nonsense\nFROM a", BH_E_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct checked x;

        check(&x, rows[i].text, NULL, NULL);
        assert_int_equal(build_notes_verdict(&x.notes, &err), rows[i].want);
        bh_arena_fini(&x.arena);
    }
}

static void test_url(void **state) {
    char url[128];

    (void)state;
    assert_string_equal(build_check_url("StageNameCasing", url),
                        "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/");
    assert_string_equal(build_check_url("InvalidJSONForm", url), "");
    assert_string_equal(build_check_url("unknown-flag", url), "");
}

/* With an arena that is too small at any point, every step says so and none goes on with half of it. */
static void test_memory(void **state) {
    static const char text[] =
        "ARG A=1\nFROM a:$A AS b\nENV X=$A Y=\"z w\"\nARG B=$X\nFROM b\n# check=skip=all\nCMD x\n"
        "COPY --from=b $X <<E /d\n$Y\nE\nEXPOSE $Y\nRUN --mount=type=cache,target=$X y\n";
    struct build_inputs in = {.build_platform = "linux/amd64", .target_platform = "linux/arm64"};
    struct build_check_input input = {.in = &in};
    bool good = false;

    (void)state;
    for (size_t max = 16; !good; max += 64) {
        struct bh_arena arena;
        struct build_notes notes;
        struct build_recipe r;
        struct build_globals g;
        struct build_stages s;
        struct bh_err err = BH_ERR_INIT;
        int rc;

        bh_arena_init(&arena, max);
        build_notes_init(&notes, &arena, "Dockerfile");
        rc = build_recipe_parse(text, sizeof text - 1, &arena, &notes, &r, &err);
        if (rc == 0)
            rc = build_globals_init(&g, &r, &in, &arena, &err);
        if (rc == 0)
            rc = build_stages_resolve(&r, &g, &arena, &notes, &s, &err);
        if (rc == 0)
            rc = build_recipe_check(&r, &input, &arena, &notes, &err);
        good = rc == 0;
        assert_int_equal(rc, good ? 0 : BH_E_LIMIT);
        if (good && notes.errors > 0)
            fail_msg("%zu: %s", max, notes.n > 0 ? notes.v[0].message : "?");
        bh_arena_fini(&arena);
        assert_true(max < 1 << 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_case), cmocka_unit_test(test_from),    cmocka_unit_test(test_instructions),
        cmocka_unit_test(test_variables),      cmocka_unit_test(test_ignored), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_error),   cmocka_unit_test(test_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
