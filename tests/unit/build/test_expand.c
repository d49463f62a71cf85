/*
 * test_expand.c - variables: every form, splitting, the scope of ARG and ENV, mounts with variables.
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
#include "oci/config.h"
#include "svc-build/recipe_expand.h"

static const char *lookup(void *user, const char *name) {
    static const char *const vars[][2] = {
        {"A", "one"},         {"PATH", "/usr/local/bin"},
        {"EMPTY", ""},        {"S", "a b"},
        {"LEAD", "  x  y"},   {"TRAIL", "x   "},
        {"FILE", "a.tar.gz"}, {"U", "\xc3\xa4\xc3\xb6\xc3\xbc"},
        {"STAR", "a*b?c"},    {"BS", "a\\b"},
        {"AA", "banana"},     {"Q", "it's \"x\""},
        {"A1_b", "under"},
    };

    (void)user;
    for (size_t i = 0; i < BH_ARRAY_LEN(vars); i++) {
        if (strcmp(vars[i][0], name) == 0)
            return vars[i][1];
    }
    return NULL;
}

struct row {
    const char *word;
    const char *want; /* NULL: refused */
};

static void check_rows(const struct row *rows, size_t n, char escape, unsigned flags) {
    struct bh_arena arena;
    struct build_expand x = {.escape = escape, .flags = flags, .lookup = lookup, .arena = &arena};

    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        struct bh_err err = BH_ERR_INIT;
        const char *out = "untouched";
        int r = build_expand_word(&x, rows[i].word, &out, &err);

        if (r != (rows[i].want != NULL ? 0 : BH_E_INVALID))
            fail_msg("%s: %d %s", rows[i].word, r, r == 0 ? out : err.msg);
        if (strcmp(out, rows[i].want != NULL ? rows[i].want : "untouched") != 0)
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].word, out, rows[i].want);
        if (r != 0 && !bh_str_starts(err.msg, "failed to process \""))
            fail_msg("%s", err.msg);
    }
    bh_arena_fini(&arena);
}

static void test_plain(void **state) {
    static const struct row rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"a b", "a b"},
        {"$A", "one"},
        {"${A}", "one"},
        {"x$A-y", "xone-y"},
        {"$Ax", ""},
        {"${A}x", "onex"},
        {"$A1_b.", "under."},
        {"$A$PATH", "one/usr/local/bin"},
        {"$NO", ""},
        {"${NO}", ""},
        {"$", "$"},
        {"a$", "a$"},
        {"$.", "$."},
        {"$ A", "$ A"},
        {"$1x", "x"},
        {"${1}x", "x"},
        {"$12x", "x"},
        {"$001", ""},
        {"$0$@$*$#$?$-$$$!", ""},
        {"${@}${*}", ""},
        {"$@@", "@"},
        {"${1:-w}", "w"},
        {"${@:-w}", "w"},
        {"${@:+w}", ""},
        {"\\$A", "$A"},
        {"\\${A}", "${A}"},
        {"\\\\$A", "\\one"},
        {"a\\", "a"},
        {"a\\\\", "a\\"},
        {"a\\tb", "atb"},
        {"a\\'b", "a'b"},
        {"<<E", "<<E"},
        {"a<b", "a<b"},
        {"\xc3\xa9$A", "\xc3\xa9"
                       "one"},
        {"$U", "\xc3\xa4\xc3\xb6\xc3\xbc"},
        {"${A}}", "one}"},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), '\\', 0);
}

static void test_quotes(void **state) {
    static const struct row rows[] = {
        {"'$A'", "$A"},        {"'a\\b'", "a\\b"},     {"'a\\'", "a\\"},       {"'it''s'", "its"},
        {"'\"'", "\""},        {"\"$A\"", "one"},      {"\"${S}\"", "a b"},    {"\"a\\\"b\"", "a\"b"},
        {"\"\\$A\"", "$A"},    {"\"a\\\\b\"", "a\\b"}, {"\"a\\nb\"", "a\\nb"}, {"\"a\\'b\"", "a\\'b"},
        {"\"'$A'\"", "'one'"}, {"\"\"", ""},           {"he'll'o", "hello"},   {"$Q", "it's \"x\""},
        {"'a", NULL},          {"\"a", NULL},          {"\"a\\\"", NULL},      {"a\\\\'b", NULL},
        {"\"${A\"", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), '\\', 0);
}

static void test_forms(void **state) {
    static const struct row rows[] = {
        {"${NO:-d}", "d"},
        {"${NO-d}", "d"},
        {"${EMPTY:-d}", "d"},
        {"${EMPTY-d}", ""},
        {"${A:-d}", "one"},
        {"${A-d}", "one"},
        {"${NO:-}", ""},
        {"${NO:-a b}", "a b"},
        {"${NO:-$A}", "one"},
        {"${NO:-${EMPTY:-${A}}}", "one"},
        {"${NO:-\"}\"}", "}"},
        {"${NO:-\\}}", "}"},
        {"${NO:-'$A'}", "$A"},
        {"${NO:-\\$A:}", "$A:"},
        {"${NO:-{x}", "{x"},
        {"${NO:-x}}", "x}"},
        {"${A:+alt}", "alt"},
        {"${A+alt}", "alt"},
        {"${EMPTY:+alt}", ""},
        {"${EMPTY+alt}", "alt"},
        {"${NO:+alt}", ""},
        {"${NO+alt}", ""},
        {"${A:+${PATH}:}x", "/usr/local/bin:x"},
        {"${A:?no}", "one"},
        {"${A?no}", "one"},
        {"${EMPTY?no}", ""},
        {"${EMPTY:?no}", NULL},
        {"${NO:?no}", NULL},
        {"${NO?no}", NULL},
        {"${NO?}", NULL},
        {"${", NULL},
        {"${}", NULL},
        {"${A", NULL},
        {"${:}", NULL},
        {"${:-x}", NULL},
        {"${{A}", NULL},
        {"${.}", NULL},
        {"${A.}", NULL},
        {"${A:x}", NULL},
        {"${A:=x}", NULL},
        {"${A=x}", NULL},
        {"${A:#x}", NULL},
        {"${A:", NULL},
        {"${A:-x", NULL},
        {"${A:-${B}", NULL},
        {"${A,,}", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), '\\', 0);
}

static void test_patterns(void **state) {
    static const struct row rows[] = {
        {"${FILE#a}", ".tar.gz"},
        {"${FILE#*.}", "tar.gz"},
        {"${FILE##*.}", "gz"},
        {"${FILE%.*}", "a.tar"},
        {"${FILE%%.*}", "a"},
        {"${FILE%.gz}", "a.tar"},
        {"${FILE%.xz}", "a.tar.gz"},
        {"${FILE#?}", ".tar.gz"},
        {"${FILE%?}", "a.tar.g"},
        {"${FILE#}", "a.tar.gz"},
        {"${FILE##*}", ""},
        {"${FILE%%*}", ""},
        {"${FILE#*}", "a.tar.gz"},
        {"${FILE#$NO}", "a.tar.gz"},
        {"${FILE%${NO:-.gz}}", "a.tar"},
        {"${PATH##*/}", "bin"},
        {"${PATH%/*}", "/usr/local"},
        {"${NO#x}", ""},
        {"${U#?}", "\xc3\xb6\xc3\xbc"},
        {"${U%?}", "\xc3\xa4\xc3\xb6"},
        {"${STAR#a\\*}", "b?c"},
        {"${STAR%\\?c}", "a*b"},
        {"${BS#a\\\\}", "b"},
        {"${STAR#a\\x}", NULL},
        {"${FILE/./-}", "a-tar.gz"},
        {"${FILE//./-}", "a-tar-gz"},
        {"${FILE/.*/}", "a"},
        {"${FILE//?/x}", "xxxxxxxx"},
        {"${FILE/tar/$A}", "a.one.gz"},
        {"${FILE/nothing/x}", "a.tar.gz"},
        {"${PATH//\\//-}", "-usr-local-bin"},
        {"${AA//an/x}", "bxxa"},
        {"${AA/a*n/x}", "bxa"},
        {"${AA//a/}", "bnn"},
        {"${AA///-}", "-b-a-n-a-n-a-"},
        {"${AA//*/x}", "x"},
        {"${NO/a/b}", ""},
        {"${FILE/a/\\}}", "\\}.tar.gz"}, /* as docker, not as a shell */
        {"${FILE/a}", NULL},
        {"${FILE//a", NULL},
        {"${FILE/a/b", NULL},
        {"${STAR/\\q/x}", NULL},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows), '\\', 0);
}

static void test_modes(void **state) {
    static const struct row backquote[] = {
        {"`$A", "$A"}, {"\\$A", "\\one"}, {"C:\\x", "C:\\x"}, {"\"`\"\"", "\""}, {"a`", "a"},
    };
    static const struct row skip_quotes[] = {
        {"it's $A", "it's one"}, {"\"$A\"", "\"one\""}, {"\\$A", "$A"}, {"a\nb\n", "a\nb\n"}, {"${NO:-\"x\"}", "\"x\""},
    };
    static const struct row keep[] = {
        {"$A $NO ${NO} ${NO:-x} ${NO#y}", "one $NO ${NO} ${NO:-x} ${NO#y}"},
        {"${NO/a/b}", "${NO/a/b}"},
        {"'$A'", "'$A'"},
        {"\"a\"", "\"a\""},
        {"a\\ b", "a\\ b"},
    };

    (void)state;
    check_rows(backquote, BH_ARRAY_LEN(backquote), '`', 0);
    check_rows(skip_quotes, BH_ARRAY_LEN(skip_quotes), '\\', BUILD_EXPAND_SKIP_QUOTES);
    check_rows(keep, BH_ARRAY_LEN(keep), '\\',
               BUILD_EXPAND_KEEP_UNSET | BUILD_EXPAND_RAW_QUOTES | BUILD_EXPAND_RAW_ESCAPES);
}

static void test_split(void **state) {
    static const struct row rows[] = {
        {"", ""},
        {"a", "a|"},
        {" a  b ", "a|b|"},
        {"x${S}y", "xa|by|"},
        {"x\"${S}\"y", "xa by|"},
        {"x${LEAD}y", "x|x|yy|"},
        {"${TRAIL}y", "x|y|"},
        {"\"${TRAIL}\"y", "x   y|"},
        {"a\\ b", "a b|"},
        {"a' 'b", "a b|"},
        {"'' a", "a|"},
        {"x${NO:-a b}y", "xa|by|"},
        {"a\\\" b", "a\"|b|"},
        {"cat << E", "cat|<< E|"},
        {"\"a b", NULL},
    };
    struct bh_arena arena;
    struct build_expand x = {.escape = '\\', .lookup = lookup, .arena = &arena};

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        struct bh_strlist l = {0};

        assert_int_equal(build_expand_words(&x, rows[i].word, &l, &err), rows[i].want != NULL ? 0 : BH_E_INVALID);
        for (size_t k = 0; k < l.n; k++)
            bh_buf_addf(&got, "%s|", l.v[k]);
        assert_string_equal(bh_buf_str(&got), rows[i].want != NULL ? rows[i].want : "");
    }
    bh_arena_fini(&arena);
}

static void test_messages(void **state) {
    static const struct {
        const char *word;
        const char *want;
    } rows[] = {
        {"${NO:?}", "NO: is not allowed to be unset"},
        {"${EMPTY:?}", "EMPTY: is not allowed to be empty"},
        {"${NO?because $A}", "NO: because one"},
        {"${A", "syntax error: missing '}'"},
        {"${A:-", "syntax error: missing '}'"},
        {"${A/x", "syntax error: missing '/' in ${}"},
        {"${}", "syntax error: bad substitution"},
        {"${A:=x}", "unsupported modifier (:=) in substitution"},
        {"${A=x}", "unsupported modifier (=) in substitution"},
        {"'a", "unexpected end of statement while looking for matching single-quote"},
        {"\"a", "unexpected end of statement while looking for matching double-quote"},
    };
    struct bh_arena arena;
    struct build_expand x = {.escape = '\\', .lookup = lookup, .arena = &arena};

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        const char *out;

        assert_int_equal(build_expand_word(&x, rows[i].word, &out, &err), BH_E_INVALID);
        if (!bh_str_ends(err.msg, rows[i].want))
            fail_msg("%s: %s", rows[i].word, err.msg);
    }
    bh_arena_fini(&arena);
}

static int expand_text(const char *text, const char *value) {
    struct bh_arena arena;
    struct bh_strlist env = {0};
    struct build_recipe r = {.escape = '\\'};
    struct build_inputs in = {.build_platform = "linux/amd64", .target_platform = "linux/amd64"};
    struct build_globals g;
    struct build_scope s;
    struct bh_err err = BH_ERR_INIT;
    struct build_word word = {.s = text};
    struct build_instruction user = {.op = BUILD_USER, .word = word}, out;
    int rc;

    bh_arena_init(&arena, (size_t)64 << 20);
    assert_int_equal(build_globals_init(&g, &r, &in, &arena, &err), 0);
    assert_int_equal(bh_env_set(&env, &arena, "V", value, &err), 0);
    build_scope_init(&s, &g, &env, &arena);
    rc = build_instruction_expand(&user, &s, &out, &err);
    bh_arena_fini(&arena);
    return rc;
}

/* Words that would take for ever, or all memory. */
static void test_cost(void **state) {
    BH_SCOPE_BUF struct bh_buf deep = BH_BUF_INIT, big = BH_BUF_INIT, many = BH_BUF_INIT, stars = BH_BUF_INIT;

    (void)state;
    for (int i = 0; i < 50000; i++) {
        bh_buf_adds(&deep, "${U:-");
        bh_buf_adds(&big, "aaaaaaaaaa");
        bh_buf_adds(&many, "$V");
    }
    assert_int_equal(expand_text(bh_buf_str(&deep), "x"), BH_E_LIMIT);
    assert_int_equal(expand_text(bh_buf_str(&many), ""), BH_E_LIMIT);
    assert_int_equal(expand_text("$V$V$V$V", bh_buf_str(&big)), BH_E_LIMIT);
    assert_int_equal(expand_text("${V//a/$V}", bh_buf_str(&big)), BH_E_LIMIT);
    assert_int_equal(expand_text("${V//a*b/x}", bh_buf_str(&big)), BH_E_LIMIT);
    assert_int_equal(expand_text("${V##*a*a*a*a*b}", bh_buf_str(&big)), 0);
    bh_buf_adds(&stars, "${V%%");
    for (int i = 0; i < 2000; i++)
        bh_buf_adds(&stars, "*a");
    bh_buf_adds(&stars, "b}");
    assert_int_equal(expand_text(bh_buf_str(&stars), bh_buf_str(&big)), 0);
}

/* --- scope --------------------------------------------------------------------------------------- */

struct scene {
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
    struct bh_pairs args;
    struct build_inputs in;
    struct build_globals g;
    struct build_scope s;
};

static void scene_begin(struct scene *sc, const char *text, const char *const *args) {
    struct bh_err err = BH_ERR_INIT;

    memset(sc, 0, sizeof *sc);
    bh_arena_init(&sc->arena, (size_t)16 << 20);
    build_notes_init(&sc->notes, &sc->arena, "Dockerfile");
    assert_int_equal(build_recipe_parse(text, strlen(text), &sc->arena, &sc->notes, &sc->r, &err), 0);
    assert_int_equal(sc->notes.errors, 0);
    for (; args != NULL && args[0] != NULL; args += 2)
        assert_int_equal(bh_pairs_set(&sc->args, &sc->arena, args[0], args[1], &err), 0);
    sc->in = (struct build_inputs){
        .build_args = &sc->args, .build_platform = "linux/amd64", .target_platform = "linux/arm/v7"};
    assert_int_equal(build_globals_init(&sc->g, &sc->r, &sc->in, &sc->arena, &err), 0);
}

/* Run ARG and ENV of stage i; others are expanded and shown. */
static void scene_run(struct scene *sc, size_t i, const struct bh_strlist *env, struct bh_buf *out) {
    struct bh_err err = BH_ERR_INIT;

    build_scope_init(&sc->s, &sc->g, env, &sc->arena);
    for (size_t k = 0; k < sc->r.stages[i].n; k++) {
        const struct build_instruction *in = sc->r.stages[i].v[k];
        struct build_instruction copy;

        if (in->op == BUILD_ARG) {
            assert_int_equal(build_scope_declare(&sc->s, in, &err), 0);
            continue;
        }
        assert_int_equal(build_instruction_expand(in, &sc->s, &copy, &err), 0);
        if (in->op == BUILD_ENV)
            assert_int_equal(build_scope_set_env(&sc->s, &copy, &err), 0);
        dump_instruction(&copy, out);
    }
}

static void test_scope(void **state) {
    static const char *const given[] = {"G", "given", "http_proxy", "p", "NOBODY", "x", "E", "arg", NULL};
    static const char *base_env[] = {"PATH=/bin", "E=image"};
    static const struct bh_strlist env = {true, 2, base_env};
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"FROM a\nUSER $G", "USER ||\n"}, /* not declared */
        {"FROM a\nARG G\nUSER $G", "USER |given|\n"},
        {"FROM a\nARG G=def\nUSER $G", "USER |given|\n"},
        {"FROM a\nARG H=def\nUSER $H", "USER |def|\n"},
        {"FROM a\nARG H=a I=$H-b\nUSER $I", "USER |a-b|\n"},
        {"FROM a\nARG H\nUSER ${H:-none}", "USER |none|\n"},
        {"ARG H=glob\nFROM a\nUSER $H", "USER ||\n"},
        {"ARG H=glob\nFROM a\nARG H\nUSER $H", "USER |glob|\n"},
        {"ARG H=glob\nFROM a\nARG H=own\nUSER $H", "USER |own|\n"},
        {"ARG H=x\nARG I=$H-$G-y\nFROM a\nARG I\nUSER $I", "USER |x--y|\n"},
        {"ARG G=x\nARG I=$G\nFROM a\nARG I\nUSER $I", "USER |given|\n"},
        {"FROM a\nARG E=def\nUSER $E", "USER |image|\n"}, /* the image's ENV wins */
        {"FROM a\nARG H=x\nENV H=env\nUSER $H", "ENV [H=env]\nUSER |env|\n"},
        {"FROM a\nENV H=env\nARG H=x\nUSER $H", "ENV [H=env]\nUSER |env|\n"},
        {"FROM a\nENV a=1\nENV a=2 b=$a\nUSER $a$b", "ENV [a=1]\nENV [a=2] [b=1]\nUSER |21|\n"},
        {"FROM a\nENV PATH=$PATH:/x", "ENV [PATH=/bin:/x]\n"},
        {"FROM a\nENV k \"a b\" $PATH", "ENV [k a b /bin]\n"},
        {"FROM a\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDARCH BUILDVARIANT "
         "TARGETSTAGE\n"
         "USER $TARGETPLATFORM|$TARGETOS|$TARGETARCH|$TARGETVARIANT|$BUILDPLATFORM|$BUILDARCH|$BUILDVARIANT|"
         "$TARGETSTAGE",
         "USER |linux/arm/v7|linux|arm|v7|linux/amd64|amd64||default|\n"},
        {"FROM a\nUSER x$TARGETARCH", "USER |x|\n"},
        {"FROM a\nENV P=\"80 443\"\nEXPOSE $P 22/udp \"$P\"", "ENV [P=80 443]\nEXPOSE |80|443|22/udp|80 443|\n"},
        {"FROM a\nENV D=\"a b\"\nCOPY --chown=$D --chmod=${M:-644} --exclude=$D $D x$D /$D",
         "ENV [D=a b]\nCOPY chown=a b chmod=644 exclude|a b| |a b|xa b| -> /a b\n"},
        {"FROM a\nENV D=v\nCOPY <<E <<'F' <<-G /x\n$D \"$D\" \\$D\nE\n$D\nF\n\t$D\nG",
         "ENV [D=v]\nCOPY | <0:E:v \"v\" $D\n> <0':F:$D\n> <0-:G:v\n> -> /x\n"},
        {"FROM a\nENV D=v\nRUN echo $D\nCMD [\"$D\"]\nONBUILD RUN $D\nHEALTHCHECK CMD $D",
         "ENV [D=v]\nRUN sh|echo $D|\nCMD exec|$D|\nONBUILD |RUN $D|\nHEALTHCHECK sh|$D| 0 0 0 0 0\n"},
        {"FROM a\nENV D=v\nLABEL $D=$D 'a b'=\"x\\\"y\"\nVOLUME $D [x]\nVOLUME [\"$D\"]\nWORKDIR \"/$D\"\nSTOPSIGNAL "
         "$D",
         "ENV [D=v]\nLABEL [v=v] [a b=x\"y]\nVOLUME |v|[x]|\nVOLUME |v|\nWORKDIR |/v|\nSTOPSIGNAL |v|\n"},
        {"# escape=`\nFROM a\nENV D=v\nWORKDIR C:\\$D`$D", "ENV [D=v]\nWORKDIR |C:\\v$D|\n"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
        struct scene sc;

        scene_begin(&sc, rows[i].text, given);
        scene_run(&sc, 0, &env, &got);
        if (strcmp(bh_buf_str(&got), rows[i].want) != 0)
            fail_msg("---\n%s\n--- gives\n%s--- expected\n%s", rows[i].text, bh_buf_str(&got), rows[i].want);
        bh_arena_fini(&sc.arena);
    }
}

static void join(const struct bh_strlist *l, struct bh_buf *out) {
    bh_buf_reset(out);
    for (size_t i = 0; i < l->n; i++)
        bh_buf_addf(out, "%s|", l->v[i]);
}

static void test_run_env(void **state) {
    static const char *const given[] = {"G", "given", "HTTP_PROXY", "p", "NOBODY", "x", "no_proxy", "l", NULL};
    static const char *base_env[] = {"PATH=/bin", "E=image"};
    static const struct bh_strlist env = {true, 2, base_env};
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist l;
    struct scene sc;

    (void)state;
    scene_begin(&sc, "FROM a\nARG G H E=arg no_proxy\nENV F=f", given);
    scene_run(&sc, 0, &env, &got);
    assert_int_equal(build_scope_run_env(&sc.s, false, &sc.arena, &l, &err), 0);
    join(&l, &got);
    assert_string_equal(bh_buf_str(&got), "PATH=/bin|E=image|F=f|G=given|no_proxy=l|HTTP_PROXY=p|");
    assert_int_equal(build_scope_run_env(&sc.s, true, &sc.arena, &l, &err), 0);
    join(&l, &got);
    assert_string_equal(bh_buf_str(&got), "PATH=/bin|E=image|F=f|G=given|no_proxy=l|");
    assert_int_equal(build_scope_arg_list(&sc.s, &sc.arena, &l, &err), 0);
    join(&l, &got);
    assert_string_equal(bh_buf_str(&got), "G=given|E=arg|");
    assert_int_equal(build_unused_args(&sc.r, &sc.in, &sc.arena, &l, &err), 0);
    join(&l, &got);
    assert_string_equal(bh_buf_str(&got), "NOBODY|");
    assert_true(build_arg_is_proxy("FTP_PROXY") && build_arg_is_proxy("all_proxy"));
    assert_false(build_arg_is_proxy("Http_proxy") || build_arg_is_proxy("xhttp_proxy"));
    bh_arena_fini(&sc.arena);
}

/* A fork of a scope does not see what is set in the other. */
static void test_fork(void **state) {
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct build_scope fork;
    struct scene sc;

    (void)state;
    scene_begin(&sc, "FROM a\nARG A=1\nENV B=2\nFROM b\nARG A=3 C=4\nENV B=5", NULL);
    scene_run(&sc, 0, NULL, &got);
    fork = sc.s;
    assert_int_equal(build_scope_declare(&fork, sc.r.stages[1].v[0], &err), 0);
    assert_int_equal(build_scope_set_env(&fork, sc.r.stages[1].v[1], &err), 0);
    assert_string_equal(build_scope_get(&sc.s, "A"), "1");
    assert_string_equal(build_scope_get(&sc.s, "B"), "2");
    assert_null(build_scope_get(&sc.s, "C"));
    assert_string_equal(build_scope_get(&fork, "A"), "3");
    assert_string_equal(build_scope_get(&fork, "B"), "5");
    assert_string_equal(build_scope_get(&fork, "C"), "4");
    bh_arena_fini(&sc.arena);
}

static void test_refused(void **state) {
    static const char *const texts[] = {
        "FROM a\nUSER ${X",
        "FROM a\nVOLUME $X",
        "FROM a\nENV $X=1",
        "FROM a\nLABEL \"\"=1",
        "FROM a\nEXPOSE ${X:?}",
        "FROM a\nCOPY a ${X:?no}",
        "FROM a\nCOPY <<E /x\n${X:?}\nE",
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(texts); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct build_instruction out;
        struct scene sc;

        scene_begin(&sc, texts[i], NULL);
        build_scope_init(&sc.s, &sc.g, NULL, &sc.arena);
        assert_int_equal(build_instruction_expand(sc.r.stages[0].v[0], &sc.s, &out, &err), BH_E_INVALID);
        assert_true(bh_str_starts(err.msg, "line 2: "));
        bh_arena_fini(&sc.arena);
    }
}

/* --- mounts -------------------------------------------------------------------------------------- */

static void show_mount(const struct build_mount *m, struct bh_buf *out) {
    static const char *const types[] = {"bind", "cache", "tmpfs", "secret", "ssh"};
    static const char *const sharings[] = {"shared", "private", "locked"};

    bh_buf_addf(out, "%s from=%s source=%s target=%s id=%s %s %s", types[m->type], m->from != NULL ? m->from : "-",
                m->source, m->target, m->id, sharings[m->sharing], m->read_only ? "ro" : "rw");
    if (m->required)
        bh_buf_adds(out, " required");
    if (m->size > 0)
        bh_buf_addf(out, " size=%lu", (unsigned long)m->size);
    if (m->env != NULL)
        bh_buf_addf(out, " env=%s", m->env);
    if (m->has_mode)
        bh_buf_addf(out, " mode=%o", m->mode);
    if (m->has_uid || m->has_gid)
        bh_buf_addf(out, " %u:%u", m->uid, m->gid);
}

static void test_mounts(void **state) {
    static const struct {
        const char *mount;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"target=/x", "bind from=- source= target=/x id= shared ro"},
        {"type=bind,source=a,target=/x,from=b,rw", "bind from=b source=a target=/x id= shared rw"},
        {"src=a,dst=/x,ro=false", "bind from=- source=a target=/x id= shared rw"},
        {"destination=/x,readwrite=0", "bind from=- source= target=/x id= shared ro"},
        {"type=cache,target=/c", "cache from=- source= target=/c id=/c shared rw"},
        {"TYPE=Cache,Target=/c,id=$V,sharing=LOCKED,ro", "cache from=- source= target=/c id=val locked ro"},
        {"type=cache,target=/${V}/c,uid=$N,gid=6,mode=0750", "cache from=- source= target=/val/c id=/val/c shared rw "
                                                             "mode=750 5:6"},
        {"type=$T,target=/c", "cache from=- source= target=/c id=/c shared rw"},
        {"type=tmpfs,target=/t,size=64m", "tmpfs from=- source= target=/t id= shared rw size=67108864"},
        {"type=secret,id=k", "secret from=- source= target=/run/secrets/k id=k shared ro"},
        {"type=secret,src=k,target=/s,required=true,mode=0400", "secret from=- source=k target=/s id=k shared ro "
                                                                "required mode=400"},
        {"type=secret,target=/root/.k", "secret from=- source= target=/root/.k id=.k shared ro"},
        {"type=secret,id=k,env=KEY", "secret from=- source= target= id=k shared ro env=KEY"},
        {"type=secret,id=k,env=", "secret from=- source= target= id=k shared ro env=k"},
        {"type=ssh", "ssh from=- source= target= id=default shared ro"},
        {"type=ssh,id=a,target=/s,required", "ssh from=- source= target=/s id=a shared ro required"},
        {"type=$V,target=/c", NULL},
        {"type=cache,target=$NO", "cache from=- source= target= id=. shared rw"},
        {"type=bind", "bind from=- source= target= id= shared ro"},
        {"type=cache,target=a/../b/", "cache from=- source= target=a/../b/ id=b shared rw"},
        {"type=cache,target=$NO/", NULL},
        {"type=cache,target=/c,sharing=$V", NULL},
        {"type=cache,target=/c,uid=$V", NULL},
        {"type=tmpfs,target=/c,size=$V", NULL},
        {"target=/c,rw=$V", NULL},
        {"type=$T,target=/c,size=1", NULL},
    };
    static const char *vars[] = {"V=val", "N=5", "T=cache"};
    static const struct bh_strlist env = {true, 3, vars};

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_FREE char *text = bh_xasprintf("FROM a\nRUN --mount=%s x\n", rows[i].mount);
        BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        struct build_mount m;
        struct scene sc;
        int r;

        scene_begin(&sc, text, NULL);
        build_scope_init(&sc.s, &sc.g, &env, &sc.arena);
        r = build_mount_read(&sc.r.stages[0].v[0]->run.mounts[0], &sc.s, &sc.arena, &m, &err);
        if (r != (rows[i].want != NULL ? 0 : BH_E_INVALID))
            fail_msg("%s: %d %s", rows[i].mount, r, err.msg);
        if (r == 0)
            show_mount(&m, &got);
        if (r == 0 && strcmp(bh_buf_str(&got), rows[i].want) != 0)
            fail_msg("%s: %s, expected %s", rows[i].mount, bh_buf_str(&got), rows[i].want);
        bh_arena_fini(&sc.arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_quotes), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_modes),  cmocka_unit_test(test_split),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_cost),   cmocka_unit_test(test_scope),
        cmocka_unit_test(test_run_env),  cmocka_unit_test(test_fork),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_mounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
