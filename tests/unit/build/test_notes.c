/*
 * test_notes.c - Dockerfiles that are refused: which errors, where, with which suggestion, and how they look.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "dump.h"
#include "oci/json.h"

struct parsed {
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
};

static void parse(struct parsed *p, const char *text, size_t n) {
    struct bh_err err = BH_ERR_INIT;

    bh_arena_init(&p->arena, BUILD_RECIPE_ARENA);
    build_notes_init(&p->notes, &p->arena, "Dockerfile");
    if (build_recipe_parse(text, n, &p->arena, &p->notes, &p->r, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
}

static void test_places(void **state) {
    static const struct {
        const char *text;
        const char *want;    /* dump_notes */
        const char *message; /* of the first */
    } rows[] = {
        {"", "0:1+1 no-instructions\n", "file with no instructions"},
        {"# only\n\n", "0:1+1 no-instructions\n", "file with no instructions"},
        {"ARG a\n", "0:1+1 no-stages\n", "dockerfile contains no stages to build"},
        {"ROM    centos:6.7\nRUN x\n", "1:1+3 unknown-instruction (FROM)\n", "unknown instruction: ROM"},
        {"rom a\n", "1:1+3 unknown-instruction (from)\n", "unknown instruction: rom"},
        {"FROM a\n RUM x\n", "2:2+3 unknown-instruction (RUN)\n", "unknown instruction: RUM"},
        {"FROM a\nENTYPOINT x\nMAINTANER y\nQUUX\n",
         "2:1+9 unknown-instruction (ENTRYPOINT)\n3:1+9 unknown-instruction (MAINTAINER)\n4:1+4 unknown-instruction\n",
         NULL},
        {"RUN x\nCOPY a b\nFROM a\n", "1:1+3 no-stage\n", "no build stage in current context"},
        {"FROM\nRUN x\n", "1:1+4 missing-arguments\n", "FROM requires either one or three arguments"},
        {"FROM a b\n", "1:6+3 invalid-arguments\n", "FROM requires either one or three arguments"},
        {"FROM a # b c\n", "1:6+7 invalid-arguments\n", NULL},
        {"FROM a XX b\n", "1:6+6 invalid-arguments\n", NULL},
        {"FROM a AS 1b\n", "1:11+2 invalid-stage-name\n",
         "invalid name for build stage: \"1b\", name can't start with a number or contain symbols"},
        {"FROM --platfrom=x a\n", "1:6+10 unknown-flag (--platform)\n", "unknown flag: --platfrom"},
        {"FROM --platform a\n", "1:6+10 missing-value\n", "missing a value on flag: --platform"},
        {"FROM a\nCOPY --form=x --chwon=1 a b\n", "2:6+6 unknown-flag (--from)\n2:15+7 unknown-flag (--chown)\n",
         "unknown flag: --form"},
        {"FROM a\nCOPY --from=a --from=b c d\n", "2:15+6 duplicate-flag\n", "duplicate flag specified: --from"},
        {"FROM a\nCOPY --link=maybe a b\n", "2:13+5 invalid-value\n",
         "expecting boolean value for flag --link, not: maybe"},
        {"FROM a\nCOPY --link= a b\n", "2:6+6 missing-value\n", "missing a value on flag: --link"},
        {"FROM a\nCOPY --from=$X a b\n", "2:13+2 variable-in-from\n", NULL},
        {"FROM a\nENV --x=y a=b\n", "2:5+3 unknown-flag\n", "unknown flag: --x"},
        {"FROM a\nADD --from=x a b\n", "2:5+6 unknown-flag\n", "unknown flag: --from"},
        {"FROM a\nCOPY a\n", "2:6+1 invalid-arguments\n",
         "COPY requires at least two arguments, but only one was provided. Destination could not be determined"},
        {"FROM a\nADD\n", "2:1+3 missing-arguments\n", NULL},
        {"FROM a\nCOPY [\"a\", 1]\n", "2:6+8 invalid-json-form\n",
         "when using JSON array syntax, arrays must be comprised of strings only"},
        {"FROM a\nCOPY a <<EOF\nx\nEOF\n", "2:8+5 invalid-heredoc\n", "COPY cannot accept a heredoc as a destination"},
        {"FROM a\nCOPY << EOF /x\nx\nEOF\n", "2:6+9 invalid-heredoc\n", "COPY has a heredoc that is none of its words"},
        {"FROM a\nRUN <<EOF\nx\n", "2:1+9 unterminated-heredoc\n", "unterminated heredoc"},
        {"FROM a\nRUN\n", "2:1+3 missing-arguments\n", "RUN requires at least one argument"},
        {"FROM a\nRUN []\n", "2:5+2 invalid-arguments\n", NULL},
        {"FROM a\nRUN --network=hots x\n", "2:15+4 invalid-value (host)\n", "invalid network mode \"hots\""},
        {"FROM a\nRUN --security=unsafe x\n", "2:16+6 invalid-value\n", "security \"unsafe\" is not valid"},
        {"FROM a\nRUN --device=x y\n", "2:14+1 unsupported-flag\n", NULL},
        {"FROM a\nRUN --mount=type=cahce,target=/x y\n", "2:13+10 invalid-mount (cache)\n",
         "unsupported mount type \"cahce\""},
        {"FROM a\nRUN --mount=type=cache,traget=/x y\n", "2:24+9 invalid-mount (target)\n",
         "unexpected key 'traget' in 'traget=/x'"},
        {"FROM a\nRUN --mount=type=cache,target=/x,sharing=lokced y\n", "2:34+14 invalid-mount (locked)\n", NULL},
        {"FROM a\nRUN --mount=type=bind,target=/x,sharing=locked y\n", "2:33+14 invalid-mount\n",
         "invalid cache sharing set for bind mount"},
        {"FROM a\nRUN --mount=type=tmpfs,target=/x,size=1z y\n", "2:34+7 invalid-mount\n",
         "invalid value for size: 1z"},
        {"FROM a\nRUN --mount=target=/x,mode=0700 y\n", "2:23+9 invalid-mount\n",
         "mode not allowed for \"bind\" type mounts"},
        {"FROM a\nRUN --mount=target=/x,from=$Y y\n", "2:23+7 invalid-mount\n",
         "'from' doesn't support variable expansion, define alias stage instead"},
        {"FROM a\nRUN --mount=type=secret y\n", "2:13+11 invalid-mount\n",
         "invalid secret mount. one of source, target required"},
        {"FROM a\nRUN --mount=type=cache,target=/ y\n", "2:13+19 invalid-mount\n", "invalid mount target \"/\""},
        {"FROM a\nRUN --mount=type=cache,target y\n", "2:24+6 invalid-mount\n",
         "invalid field 'target' must be a key=value pair"},
        {"FROM a\nRUN --mount=type=secret,id=x,mode=99 y\n", "2:30+7 invalid-mount\n", "invalid value 99 for mode"},
        {"FROM a\nRUN --mount=type=secret,id=x,source=y z\n", "2:13+25 invalid-mount\n",
         "both source and id can't be set"},
        {"FROM a\nCMD\nENTRYPOINT\nSHELL\nSHELL x\nSHELL []\n",
         "2:1+3 missing-arguments\n3:1+10 missing-arguments\n4:1+5 missing-arguments\n5:7+1 invalid-arguments\n"
         "6:7+2 invalid-arguments\n",
         "CMD requires at least one argument"},
        {"FROM a\nENV\nENV a\nENV a=b c\nENV =b\nLABEL\nARG\nARG =x\n",
         "2:1+3 missing-arguments\n3:5+1 invalid-arguments\n4:9+1 missing-value\n5:5+2 blank-name\n"
         "6:1+5 missing-arguments\n7:1+3 missing-arguments\n8:5+2 blank-name\n",
         "ENV requires at least one argument"},
        {"FROM a\nENV a=b c\n", "2:9+1 missing-value\n",
         "Syntax error - can't find = in \"c\". Must be of the form: name=value"},
        {"FROM a\nUSER\nWORKDIR\nSTOPSIGNAL\nMAINTAINER\nEXPOSE\nVOLUME\nONBUILD\nHEALTHCHECK\n",
         "2:1+4 missing-arguments\n3:1+7 missing-arguments\n4:1+10 missing-arguments\n5:1+10 missing-arguments\n"
         "6:1+6 missing-arguments\n7:1+6 missing-arguments\n8:1+7 missing-arguments\n9:1+11 missing-arguments\n",
         "USER requires exactly one argument"},
        {"FROM a\nVOLUME [\"\"]\n", "2:9+2 empty-path\n", "VOLUME specified can not be an empty string"},
        {"FROM a\nSTOPSIGNAL SIGNOT\n", "2:12+6 invalid-signal\n", "invalid signal: SIGNOT"},
        {"FROM a\nHEALTHCHECK NONE x\n", "2:13+6 invalid-arguments\n", "HEALTHCHECK NONE takes no arguments"},
        {"FROM a\nHEALTHCHECK CMD\n", "2:13+3 missing-arguments\n", "Missing command after HEALTHCHECK CMD"},
        {"FROM a\nHEALTHCHECK CND x\n", "2:13+3 invalid-arguments (CMD)\n",
         "Unknown type \"CND\" in HEALTHCHECK (try CMD)"},
        {"FROM a\nHEALTHCHECK --interval=5 --timeout=1us --retries=-1 CMD x\n",
         "2:24+1 invalid-value\n2:36+3 invalid-value\n2:50+2 invalid-value\n", "time: invalid duration \"5\""},
        {"FROM a\nONBUILD ONBUILD RUN x\nONBUILD FROM x\nONBUILD MAINTAINER x\nONBUILD RUM x\nONBUILD COPY x\n",
         "2:9+7 invalid-trigger\n3:9+4 invalid-trigger\n4:9+10 invalid-trigger\n5:9+3 unknown-instruction (RUN)\n"
         "6:14+1 invalid-arguments\n",
         "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
        {"# escape=x\nFROM a\n", "1:10+1 invalid-escape\n", "invalid escape token 'x' does not match ` or \\"},
        {"# escape=`\n# escape=`\nFROM a\n", "2:1+10 duplicate-directive\n",
         "only one escape parser directive can be used"},
        {"# syntax=example.com/my/frontend:2\nFROM a\n", "1:10+25 foreign-syntax\n", NULL},
        {"#!/bin/x\n# syntax=other\nFROM a\n", "2:10+5 foreign-syntax\n", NULL},
        {"// syntax=other\nthing\n", "1:1+15 foreign-syntax\n1:1+2 unknown-instruction\n2:1+5 unknown-instruction\n",
         NULL},
        {"# syntax=docker/dockerfile:1.99\nFROM a\n", "1:10+22 newer-syntax\n", NULL},
        {"FROM a\nRUN \xff\n", "2:5+1 invalid-text\n", "the line is not valid UTF-8"},
        {"# \xff\nFROM a\n", "", NULL},
        {"FROM a\nLABEL \xc3\xa4=\xc3\xb6 x\n", "2:11+1 missing-value\n", NULL},
        {"FROM a\nCOPY a \\\n  --chown=x b \\\n  <<E\n", "4:1+5 unterminated-heredoc\n4:3+3 invalid-heredoc\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct parsed p;

        parse(&p, rows[i].text, strlen(rows[i].text));
        expect_notes(rows[i].text, &p.notes, rows[i].want, rows[i].message);
        bh_arena_fini(&p.arena);
    }
}

static void test_nul(void **state) {
    static const char text[] = "FROM a\nRUN x\0y\nCOPY <<E /x\n\0\nE\n";
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    struct parsed p;

    (void)state;
    parse(&p, text, sizeof text - 1);
    dump_notes(&p.notes, &got);
    assert_string_equal(bh_buf_str(&got), "2:6+1 invalid-text\n4:1+1 invalid-text\n");
    bh_arena_fini(&p.arena);
}

static void test_render(void **state) {
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"ROM    centos:6.7\nRUN x\n", "Dockerfile:1:1: unknown instruction: ROM\n"
                                       "      1 | ROM    centos:6.7\n"
                                       "        | ^^^\n"
                                       "  did you mean FROM?\n"
                                       "  a Dockerfile begins with FROM; only ARG may stand in front of it\n"},
        {"FROM a\n\tCOPY --form=x a b\n", "Dockerfile:2:7: unknown flag: --form\n"
                                          "      2 |  COPY --form=x a b\n"
                                          "        |       ^^^^^^\n"
                                          "  did you mean --from?\n"},
        {"FROM a\n\x1b[31mX \xc3\xa4\n", "Dockerfile:2:1: unknown instruction: \\x1b[31mX\n"
                                         "      2 | \\x1b[31mX \xc3\xa4\n"
                                         "        | ^^^^^^^^^\n"
                                         "  a line that continues the one above needs a \\ at the end of that one\n"},
        {"", "Dockerfile: file with no instructions\n  a Dockerfile begins with FROM; only ARG may stand in front of "
             "it\n"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
        struct parsed p;

        parse(&p, rows[i].text, strlen(rows[i].text));
        build_notes_render(&p.notes, &got);
        assert_string_equal(bh_buf_str(&got), rows[i].want);
        bh_arena_fini(&p.arena);
    }
}

/* The place stays in view on a long line. */
static void test_render_long(void **state) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT, got = BH_BUF_INIT;
    struct parsed p;

    (void)state;
    bh_buf_adds(&text, "FROM a\nCOPY ");
    for (int i = 0; i < 5000; i++)
        bh_buf_adds(&text, "x ");
    bh_buf_adds(&text, "<<END\n1\nEND\n");
    parse(&p, bh_buf_str(&text), text.len);
    assert_int_equal(p.notes.errors, 1);
    build_notes_render(&p.notes, &got);
    assert_true(got.len < 700);
    assert_non_null(strstr(bh_buf_str(&got), "x <<END\n"));
    assert_non_null(strstr(bh_buf_str(&got), " ^^^^^\n"));
    bh_arena_fini(&p.arena);
}

static void test_json(void **state) {
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    BH_SCOPE_JSON json_t *list = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct parsed p;
    const json_t *first;

    (void)state;
    parse(&p, "FROM a\nCOPY --form=\"x\" a b\nRUM \x01\n", 32);
    build_notes_json(&p.notes, &out);
    assert_int_equal(bh_json_parse(bh_buf_str(&out), out.len, 1 << 20, "notes", &list, &err), 0);
    assert_int_equal(json_array_size(list), 2);
    first = json_array_get(list, 0);
#define TEXT(key, want)   assert_string_equal(json_string_value(json_object_get(first, key)), want)
#define NUMBER(key, want) assert_int_equal(json_integer_value(json_object_get(first, key)), want)
    TEXT("severity", "error");
    TEXT("code", "unknown-flag");
    TEXT("file", "Dockerfile");
    NUMBER("line", 2);
    NUMBER("column", 6);
    NUMBER("length", 6);
    TEXT("source", "COPY --form=\"x\" a b");
    TEXT("message", "unknown flag: --form");
    TEXT("suggestion", "--from");
    TEXT("hint", "");
    TEXT("url", "");
#undef TEXT
#undef NUMBER
    bh_arena_fini(&p.arena);
}

static void test_verdict(void **state) {
    static const struct {
        const char *text;
        const char *want; /* NULL: good */
    } rows[] = {
        {"FROM a\n", NULL},
        {"ROM a\n", "Dockerfile:1:1: dockerfile parse error on line 1: unknown instruction: ROM (did you mean FROM?)"},
        {"FROM a\nRUM x\nENV\n", "Dockerfile:2:1: dockerfile parse error on line 2: unknown instruction: RUM (did you "
                                 "mean RUN?) (and 1 more error)"},
        {"", "Dockerfile: file with no instructions"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct parsed p;

        parse(&p, rows[i].text, strlen(rows[i].text));
        assert_int_equal(build_notes_verdict(&p.notes, &err), rows[i].want != NULL ? BH_E_INVALID : 0);
        assert_string_equal(err.msg, rows[i].want != NULL ? rows[i].want : "");
        if (rows[i].want != NULL)
            assert_string_equal(err.reason, "invalid-dockerfile");
        bh_arena_fini(&p.arena);
    }
}

/* A file of nothing but errors is told once with a number, not line by line for ever. */
static void test_many(void **state) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT, out = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct parsed p;

    (void)state;
    for (int i = 0; i < 1000; i++)
        bh_buf_adds(&text, "XYZZY\n");
    parse(&p, bh_buf_str(&text), text.len);
    assert_int_equal(p.notes.errors, 1000);
    assert_int_equal(p.notes.n, BUILD_NOTES_MAX);
    build_notes_render(&p.notes, &out);
    assert_non_null(strstr(bh_buf_str(&out), "and 800 more\n"));
    assert_int_equal(build_notes_verdict(&p.notes, &err), BH_E_INVALID);
    bh_arena_fini(&p.arena);
}

static void test_nearest(void **state) {
    static const char *const words[] = {"FROM", "RUN", "COPY", "ENTRYPOINT", "USER", "ENV"};
    static const struct {
        const char *word;
        const char *want;
    } rows[] = {
        {"ROM", "FROM"},  {"from", NULL},   {"frm", "FROM"},
        {"RUM", "RUN"},   {"ENTRY", NULL},  {"ENTRIPOINT", "ENTRYPOINT"},
        {"CPOY", "COPY"}, {"XYZZY", NULL},  {"", NULL},
        {"EN", "ENV"},    {"UESR", "USER"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        const char *got = build_nearest(rows[i].word, words, BH_ARRAY_LEN(words));

        if (rows[i].want == NULL ? got != NULL : got == NULL || strcmp(got, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].word, got != NULL ? got : "(none)");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),  cmocka_unit_test(test_nul),         cmocka_unit_test(test_render),
        cmocka_unit_test(test_json),    cmocka_unit_test(test_verdict),     cmocka_unit_test(test_many),
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_render_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
