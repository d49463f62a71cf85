/*
 * test_recipe.c - Dockerfiles that are read: lines, every instruction, every form.  Those that are refused are in
 * test_notes.c.
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

/* Parse and compare; "FROM a\n" is put in front of a text that does not begin with FROM, ARG or '#'. */
static void check(const char *text, size_t n, const char *want) {
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
    struct bh_err err = BH_ERR_INIT;
    BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;

    bh_arena_init(&arena, BUILD_RECIPE_ARENA);
    build_notes_init(&notes, &arena, "Dockerfile");
    if (build_recipe_parse(text, n, &arena, &notes, &r, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    if (notes.errors > 0) {
        build_notes_render(&notes, &got);
        fail_msg("%s:\n%s", text, bh_buf_str(&got));
    }
    dump_recipe(&r, &got);
    if (strcmp(bh_buf_str(&got), want) != 0)
        fail_msg("---\n%s\n--- gives\n%s--- expected\n%s", text, bh_buf_str(&got), want);
    bh_arena_fini(&arena);
}

struct row {
    const char *text;
    const char *want;
};

static void check_rows(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        check(rows[i].text, strlen(rows[i].text), rows[i].want);
}

/* The same behind "FROM a". */
static void check_in_stage(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        BH_SCOPE_FREE char *text = bh_xasprintf("FROM a\n%s", rows[i].text);
        BH_SCOPE_FREE char *want = bh_xasprintf("FROM base=a\n%s", rows[i].want);

        check(text, strlen(text), want);
    }
}

static void test_lines(void **state) {
    static const struct row rows[] = {
        {"FROM a", "FROM base=a\n"},
        {"from a\n", "FROM base=a\n"},
        {"FrOm a\n", "FROM base=a\n"},
        {"FROM a\r\n", "FROM base=a\n"},
        {"\xef\xbb\xbf"
         "FROM a\n",
         "FROM base=a\n"},
        {"\n\n  \t FROM a  \t\n", "FROM base=a\n"},
        {"# comment\n  # another\nFROM a\n", "FROM base=a\n"},
        {"FROM \\\n a\n", "FROM base=a\n"},
        {"FR\\\nOM a\n", "FROM base=a\n"},
        {"FROM a \\\r\n AS \\  \r\n b\r\n", "FROM base=a name=b\n"},
        {"FROM a\nRUN a \\\n# comment\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"FROM a\nRUN a \\\n   # comment\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"FROM a\nRUN a \\\n\n  \n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"FROM a\nRUN a \\\n # c \\\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"FROM a\nRUN a # no comment\n", "FROM base=a\nRUN sh|a # no comment|\n"},
        {"FROM a\nRUN a \\ \t \n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"FROM a\nRUN a \\\\\nRUN b\n", "FROM base=a\nRUN sh|a \\\\|\nRUN sh|b|\n"},
        {"FROM a\nRUN a\\b\n", "FROM base=a\nRUN sh|a\\b|\n"},
        {"FROM a\nRUN a \\", "FROM base=a\nRUN sh|a|\n"},
        {"FROM a\nRUN a \\\n", "FROM base=a\nRUN sh|a|\n"},
        {"FROM a\n\\\nRUN a\n", "FROM base=a\nRUN sh|a|\n"},
        {"FROM a\n\\\n\n", "FROM base=a\n"},
        {"FROM a\nRUN a\\\nb\\\n  c\n", "FROM base=a\nRUN sh|ab  c|\n"},
        /* directives */
        {"# escape=`\nFROM a\nRUN a `\n b\\\nRUN c\n", "FROM base=a\nRUN sh|a  b\\|\nRUN sh|c|\n"},
        {"#ESCAPE = ` \nFROM a\nRUN a `\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"# escape=\\\nFROM a\nRUN a \\\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"# comment\n# escape=`\nFROM a\nRUN a \\\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"\n# escape=`\nFROM a\nRUN a \\\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"# unknown=1\n# escape=`\nFROM a\nRUN a \\\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM a\nRUN a `\n b\n",
         "FROM base=a\nRUN sh|a  b|\n"},
        {"#!/usr/bin/env x\n# escape=`\nFROM a\nRUN a \\\n b\n", "FROM base=a\nRUN sh|a  b|\n"},
        {"# syntax=docker/dockerfile:1.7-labs\nFROM a\n", "FROM base=a\n"},
        {"# syntax=docker.io/docker/dockerfile-upstream:master\nFROM a\n", "FROM base=a\n"},
        {"# syntax=docker/dockerfile@sha256:0123456789012345678901234567890123456789012345678901234567890123\nFROM a\n",
         "FROM base=a\n"},
        {"# syntax = docker/dockerfile:1 # why\nFROM a\n", "FROM base=a\n"},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows));
}

static void test_stages(void **state) {
    static const struct row rows[] = {
        {"FROM a:1 AS b", "FROM base=a:1 name=b\n"},
        {"FROM --platform=$BUILDPLATFORM a as B\nFROM b", "FROM base=a platform=$BUILDPLATFORM name=B\nFROM base=b\n"},
        {"FROM --platform=\"linux/arm64\" a", "FROM base=a platform=linux/arm64\n"},
        {"FROM -- a", "FROM base=a\n"},
        {"ARG A=1 B\nFROM a:$A\nARG B", "ARG [A=1] [B]\nFROM base=a:$A\nARG [B]\n"},
        {"FROM scratch AS a.b-c_1", "FROM base=scratch name=a.b-c_1\n"},
        {"FROM a\tAS\tb", "FROM base=a name=b\n"},
    };

    (void)state;
    check_rows(rows, BH_ARRAY_LEN(rows));
}

static void test_commands(void **state) {
    static const struct row rows[] = {
        {"RUN echo hi", "RUN sh|echo hi|\n"},
        {"RUN [\"a\", \"b c\"]", "RUN exec|a|b c|\n"},
        {"RUN [ \"a\",\\\n \"b\" ]", "RUN exec|a|b|\n"},
        {"RUN [\"a\\\"b\\u0041\\n\"]", "RUN exec|a\"bA\n|\n"},
        {"RUN ['a']", "RUN sh|['a']|\n"},
        {"RUN [\"a\"", "RUN sh|[\"a\"|\n"},
        {"RUN [\"a\"] b", "RUN sh|[\"a\"] b|\n"},
        {"RUN [ -f x ] && y", "RUN sh|[ -f x ] && y|\n"},
        {"RUN --network=none a", "RUN sh|a| network=none\n"},
        {"RUN --network=host --security=insecure a", "RUN sh|a| network=host insecure\n"},
        {"RUN --network=default [\"a\"]", "RUN exec|a|\n"},
        {"RUN -- --network=none", "RUN sh|--network=none|\n"},
        {"RUN a --network=none", "RUN sh|a --network=none|\n"},
        {"RUN --mount=type=cache,target=/c a", "RUN sh|a| mount,type=cache,target=/c\n"},
        {"RUN --mount=target=/x,rw --mount=type=secret,id=k,required a",
         "RUN sh|a| mount,target=/x,rw=(none) mount,type=secret,id=k,required=(none)\n"},
        {"RUN --mount='type=bind,\"target=/a,b\"' a", "RUN sh|a| mount,type=bind,target=/a,b\n"},
        {"RUN --mount=type=cache,target=/c,id=$X,sharing=${Y:-locked},mode=0700,uid=1,gid=2 a",
         "RUN sh|a| mount,type=cache,target=/c,id=$X,sharing=${Y:-locked},mode=0700,uid=1,gid=2\n"},
        {"CMD a b", "CMD sh|a b|\n"},
        {"CMD [\"a\",\"b\"]", "CMD exec|a|b|\n"},
        {"CMD []", "CMD exec|\n"},
        {"ENTRYPOINT [\"/x\"]", "ENTRYPOINT exec|/x|\n"},
        {"ENTRYPOINT []", "ENTRYPOINT exec|\n"},
        {"ENTRYPOINT exec top -b", "ENTRYPOINT sh|exec top -b|\n"},
        {"SHELL [\"/bin/bash\", \"-c\"]", "SHELL exec|/bin/bash|-c|\n"},
    };

    (void)state;
    check_in_stage(rows, BH_ARRAY_LEN(rows));
}

static void test_heredocs(void **state) {
    static const struct row rows[] = {
        {"RUN <<EOF\na\nb\nEOF\nRUN c", "RUN sh|<<EOF| <0:EOF:a\nb\n> script=a\nb\n\nRUN sh|c|\n"},
        {"RUN <<EOF\n#!/bin/x\na\nEOF", "RUN sh|<<EOF| <0:EOF:#!/bin/x\na\n> script!=#!/bin/x\na\n\n"},
        {"RUN <<-EOF\n\ta\n\t\tb\n\tEOF", "RUN sh|<<-EOF| <0-:EOF:a\nb\n> script=a\nb\n\n"},
        {"RUN <<'EOF'\n$A\nEOF", "RUN sh|<<'EOF'| <0':EOF:$A\n> script=$A\n\n"},
        {"RUN <<\"E F\"\nx\nE F", "RUN sh|<<\"E F\"| <0':E F:x\n> script=x\n\n"},
        {"RUN cat <<EOF > x\na\nEOF", "RUN sh|cat <<EOF > x| <0:EOF:a\n> script=cat <<EOF > x\na\nEOF\n"},
        {"RUN cat <<A <<-B\n1\nA\n\t2\n\tB",
         "RUN sh|cat <<A <<-B| <0:A:1\n> <0-:B:2\n> script=cat <<A <<-B\n1\nA\n\t2\nB\n"},
        {"RUN 3<<E cat\nx\nE", "RUN sh|3<<E cat| <3:E:x\n> script=3<<E cat\nx\nE\n"},
        {"RUN cat <<< x", "RUN sh|cat <<< x|\n"},
        {"RUN echo $((1<<2))", "RUN sh|echo $((1<<2))|\n"},
        {"RUN echo \"<<EOF\"", "RUN sh|echo \"<<EOF\"|\n"},
        {"RUN echo it's <<EOF", "RUN sh|echo it's <<EOF|\n"},
        {"RUN cat << EOF\nx\nEOF", "RUN sh|cat << EOF| <0:EOF:x\n> script=cat << EOF\nx\nEOF\n"},
        {"RUN <<EOF\n# no comment\n\\\nx \\\nEOF", "RUN sh|<<EOF| <0:EOF:# no comment\n\\\nx \\\n> script=# no "
                                                   "comment\n\\\nx \\\n\n"},
        {"RUN <<EOF\r\na\r\nEOF\r\nRUN b", "RUN sh|<<EOF| <0:EOF:a\r\n> script=a\r\n\nRUN sh|b|\n"},
        {"RUN <<EOF\nEOF\n", "RUN sh|<<EOF| <0:EOF:> script=\n"},
        {"RUN --mount=type=cache,target=/x <<EOF\na\nEOF",
         "RUN sh|<<EOF| mount,type=cache,target=/x <0:EOF:a\n> script=a\n\n"},
        {"RUN [\"sh\", \"-c\", \"<<EOF\"]", "RUN exec|sh|-c|<<EOF|\n"},
        {"CMD cat <<EOF", "CMD sh|cat <<EOF|\n"},
        {"COPY <<EOF /x\na\nEOF", "COPY | <0:EOF:a\n> -> /x\n"},
        {"COPY <<a <<\"b\" c /d/\n1\na\n2\nb", "COPY |c| <0:a:1\n> <0':b:2\n> -> /d/\n"},
        {"COPY --chmod=755 <<-x.sh /bin/\n\techo\n\tx.sh", "COPY chmod=755 | <0-:x.sh:echo\n> -> /bin/\n"},
        {"ADD <<EOF /x\na\nEOF\nRUN b", "ADD | <0:EOF:a\n> -> /x\nRUN sh|b|\n"},
        {"COPY [\"<<EOF\", \"/x\"]", "COPY |<<EOF| -> /x\n"},
        {"ONBUILD COPY <<EOF /x\na\nEOF\nRUN b", "ONBUILD |COPY <<EOF /x\na\nEOF|\nRUN sh|b|\n"},
        {"ONBUILD RUN [\"<<EOF\"]\nRUN b", "ONBUILD |RUN [\"<<EOF\"]|\nRUN sh|b|\n"},
    };

    (void)state;
    check_in_stage(rows, BH_ARRAY_LEN(rows));
}

static void test_copy(void **state) {
    static const struct row rows[] = {
        {"COPY a b", "COPY |a| -> b\n"},
        {"COPY a b c/", "COPY |a|b| -> c/\n"},
        {"COPY [\"a b\", \"c d/\"]", "COPY |a b| -> c d/\n"},
        {"COPY --from=x --chown=1:2 --chmod=0644 --link --parents --exclude=*.md --exclude=a a b",
         "COPY from=x chown=1:2 chmod=0644 link parents exclude|*.md|a| |a| -> b\n"},
        {"COPY --link=false --parents=TRUE a b", "COPY parents |a| -> b\n"},
        {"COPY --from=0 a b", "COPY from=0 |a| -> b\n"},
        {"COPY --chown=\"$U\":g a b", "COPY chown=$U:g |a| -> b\n"},
        {"COPY $A ${B:-x y} /", "COPY |$A|${B:-x|y}| -> /\n"},
        {"ADD --checksum=sha256:abc --keep-git-dir --unpack=false --link http://x/y /z",
         "ADD checksum=sha256:abc link git=1 unpack=0 |http://x/y| -> /z\n"},
        {"ADD --keep-git-dir=false --unpack --chown=a --chmod=u+x --exclude=e a b",
         "ADD chown=a chmod=u+x git=0 unpack=1 exclude|e| |a| -> b\n"},
    };

    (void)state;
    check_in_stage(rows, BH_ARRAY_LEN(rows));
}

static void test_values(void **state) {
    static const struct row rows[] = {
        {"ENV a=b", "ENV [a=b]\n"},
        {"ENV a=b c=\"d e\" f='g h' i=j\\ k l=", "ENV [a=b] [c=\"d e\"] [f='g h'] [i=j\\ k] [l=]\n"},
        {"ENV a b  c ", "ENV [a b  c]\n"},
        {"ENV a b=c", "ENV [a b=c]\n"},
        {"ENV a=b \\\n c=d \\\n# x\n e=f", "ENV [a=b] [c=d] [e=f]\n"},
        {"ENV a=b=c", "ENV [a=b=c]\n"},
        {"ENV a=\\\"x\\\"", "ENV [a=\\\"x\\\"]\n"},
        {"ENV \"a\"=b", "ENV [\"a\"=b]\n"},
        {"LABEL a.b=\"c\" d=e", "LABEL [a.b=\"c\"] [d=e]\n"},
        {"LABEL a \"b c\"", "LABEL [a \"b c\"]\n"},
        {"LABEL a=\"x \\\n y\"", "LABEL [a=\"x  y\"]\n"},
        {"ARG a", "ARG [a]\n"},
        {"ARG a=1 b c=\"d e\" f=", "ARG [a=1] [b] [c=\"d e\"] [f=]\n"},
        {"MAINTAINER Fisher \"f@x\"", "MAINTAINER |Fisher \"f@x\"|\n"},
        {"EXPOSE 80", "EXPOSE |80|\n"},
        {"EXPOSE 80/tcp\t 443/udp $P 8000-8010", "EXPOSE |80/tcp|443/udp|$P|8000-8010|\n"},
        {"VOLUME /a /b", "VOLUME |/a|/b|\n"},
        {"VOLUME [\"/a b\", \"/c\"]", "VOLUME |/a b|/c|\n"},
        {"USER a:b", "USER |a:b|\n"},
        {"WORKDIR /a b", "WORKDIR |/a b|\n"},
        {"WORKDIR \"$HOME\"/x", "WORKDIR |\"$HOME\"/x|\n"},
        {"STOPSIGNAL SIGKILL", "STOPSIGNAL |SIGKILL|\n"},
        {"STOPSIGNAL $S", "STOPSIGNAL |$S|\n"},
        {"STOPSIGNAL 9", "STOPSIGNAL |9|\n"},
        {"HEALTHCHECK NONE", "HEALTHCHECK none\n"},
        {"HEALTHCHECK none", "HEALTHCHECK none\n"},
        {"HEALTHCHECK CMD curl x || exit 1", "HEALTHCHECK sh|curl x || exit 1| 0 0 0 0 0\n"},
        {"HEALTHCHECK --interval=5s --timeout=3m --start-period=1h --start-interval=500ms --retries=4 CMD [\"a\"]",
         "HEALTHCHECK exec|a| 5000000000 180000000000 3600000000000 500000000 4\n"},
        {"HEALTHCHECK --interval=0s cmd a", "HEALTHCHECK sh|a| 0 0 0 0 0\n"},
        {"ONBUILD RUN a b", "ONBUILD |RUN a b|\n"},
        {"onbuild   add . /x", "ONBUILD |add . /x|\n"},
        {"ONBUILD COPY --from=x a b", "ONBUILD |COPY --from=x a b|\n"},
    };

    (void)state;
    check_in_stage(rows, BH_ARRAY_LEN(rows));
}

/* Words know where they stand, also behind a line that went on. */
static void test_places(void **state) {
    static const char text[] = "# c\nFROM --platform=p  base  AS  name\n\tCOPY --from=x a \\\n\n  # c\n  b /dest\n"
                               "LABEL k=v \\\n  key=\"a value\"\n";
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
    struct bh_err err = BH_ERR_INIT;
    const struct build_from *from;
    const struct build_copy *copy;
    const struct build_pair *pair;

    (void)state;
    bh_arena_init(&arena, BUILD_RECIPE_ARENA);
    build_notes_init(&notes, &arena, "Dockerfile");
    assert_int_equal(build_recipe_parse(text, sizeof text - 1, &arena, &notes, &r, &err), 0);
    from = &r.stages[0].from->from;
    copy = &r.stages[0].v[0]->copy;
    pair = &r.stages[0].v[1]->pairs.v[1];
#define AT(word, l, c, n)                                                                                              \
    assert_int_equal((word).at.line, l);                                                                               \
    assert_int_equal((word).at.column, c);                                                                             \
    assert_int_equal((word).length, n)
    AT(from->platform, 2, 17, 1);
    AT(from->base, 2, 20, 4);
    AT(from->as, 2, 26, 2);
    AT(from->name, 2, 30, 4);
    assert_int_equal(r.stages[0].v[0]->at.line, 3);
    assert_int_equal(r.stages[0].v[0]->at.column, 2);
    assert_int_equal(r.stages[0].v[0]->last_line, 6);
    AT(copy->from, 3, 14, 1);
    AT(copy->sources.v[0], 3, 16, 1);
    AT(copy->sources.v[1], 6, 3, 1);
    AT(copy->dest, 6, 5, 5);
    AT(pair->key, 8, 3, 3);
    AT(pair->value, 8, 7, 9);
#undef AT
    assert_string_equal(r.stages[0].v[0]->text, "COPY --from=x a   b /dest");
    assert_int_equal(r.n_empty_lines, 1);
    assert_int_equal(r.empty_lines[0].line, 4);
    assert_int_equal(r.stages[0].from->comments.n, 1);
    assert_string_equal(r.stages[0].from->comments.v[0].s, "c");
    assert_string_equal(r.stages[0].name, "name");
    assert_int_equal(build_recipe_stage(&r, "NAME", 1, false), 0);
    assert_int_equal(build_recipe_stage(&r, "0", 1, false), -1);
    assert_int_equal(build_recipe_stage(&r, "0", 1, true), 0);
    assert_int_equal(build_recipe_stage(&r, "1", 1, true), -1);
    assert_int_equal(build_recipe_stage(&r, "name", 0, true), -1);
    bh_arena_fini(&arena);
}

static void test_triggers(void **state) {
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"RUN a", "RUN sh|a|\n"},
        {"COPY . /x", "COPY |.| -> /x\n"},
        {"COPY <<EOF /x\na\nEOF", "COPY | <0:EOF:a\n> -> /x\n"},
        {"ENV a=b", "ENV [a=b]\n"},
        {"EXPOSE 80", "EXPOSE |80|\n"},
        {"", NULL},
        {"# RUN a", NULL},
        {"FROM x", NULL},
        {"MAINTAINER x", NULL},
        {"ONBUILD RUN x", NULL},
        {"ROM x", NULL},
        {"RUN a\nRUN b", NULL},
        {"COPY a", NULL},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct build_pos at = {7, 3};
        struct bh_arena arena;
        struct build_instruction *in = NULL;
        struct bh_err err = BH_ERR_INIT;
        BH_SCOPE_BUF struct bh_buf got = BH_BUF_INIT;
        int r;

        bh_arena_init(&arena, 1 << 20);
        r = build_recipe_parse_trigger(rows[i].text, at, &arena, &in, &err);
        assert_int_equal(r, rows[i].want != NULL ? 0 : BH_E_INVALID);
        if (rows[i].want != NULL) {
            dump_instruction(in, &got);
            assert_string_equal(bh_buf_str(&got), rows[i].want);
            assert_int_equal(in->at.line, 7);
        }
        bh_arena_fini(&arena);
    }
}

/* A list of n words behind "FROM a\n": what must be read, or told as too large. */
static int parse_repeated(const char *head, const char *piece, size_t n, const char *tail) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_arena arena;
    struct build_notes notes;
    struct build_recipe r;
    struct bh_err err = BH_ERR_INIT;
    int rc;

    bh_buf_adds(&text, head);
    for (size_t i = 0; i < n; i++)
        bh_buf_adds(&text, piece);
    bh_buf_adds(&text, tail);
    bh_arena_init(&arena, BUILD_RECIPE_ARENA);
    build_notes_init(&notes, &arena, "Dockerfile");
    rc = build_recipe_parse(bh_buf_str(&text), text.len, &arena, &notes, &r, &err);
    if (rc == 0 && notes.errors > 0)
        rc = BH_E_INVALID;
    bh_arena_fini(&arena);
    return rc;
}

static void test_limits(void **state) {
    (void)state;
    assert_int_equal(parse_repeated("FROM a\n", "RUN x\n", BUILD_INSTRUCTIONS_MAX - 1, ""), 0);
    assert_int_equal(parse_repeated("FROM a\n", "RUN x\n", BUILD_INSTRUCTIONS_MAX, ""), BH_E_LIMIT);
    assert_int_equal(parse_repeated("", "FROM a\n", BUILD_STAGES_MAX, ""), 0);
    assert_int_equal(parse_repeated("", "FROM a\n", BUILD_STAGES_MAX + 1, ""), BH_E_LIMIT);
    assert_int_equal(parse_repeated("FROM a\nEXPOSE", " \\\n1", BUILD_WORDS_MAX, "\n"), 0);
    assert_int_equal(parse_repeated("FROM a\nEXPOSE", " \\\n1", BUILD_WORDS_MAX + 1, "\n"), BH_E_LIMIT);
    assert_int_equal(parse_repeated("FROM a\nCOPY", " --exclude=x", BUILD_FLAGS_MAX, " a b"), 0);
    assert_int_equal(parse_repeated("FROM a\nCOPY", " --exclude=x", BUILD_FLAGS_MAX + 1, " a b"), BH_E_LIMIT);
    assert_int_equal(parse_repeated("FROM a\nRUN", " <<E", BUILD_HEREDOCS_MAX + 1, "\nE"), BH_E_LIMIT);
    assert_int_equal(parse_repeated("FROM a\nRUN ", "x", BUILD_RECIPE_LINE_MAX - 4, ""), 0);
    assert_int_equal(parse_repeated("FROM a\nRUN ", "x", BUILD_RECIPE_LINE_MAX - 3, ""), BH_E_INVALID);
    assert_int_equal(parse_repeated("FROM a\nRUN <<E\n", "x", BUILD_RECIPE_LINE_MAX * 2, "\nE\n"), 0);
    assert_int_equal(parse_repeated("FROM a\n", "#\n", BUILD_RECIPE_MAX / 2 - 4, "\n"), 0);
    assert_int_equal(parse_repeated("FROM a\n", "#\n", BUILD_RECIPE_MAX / 2, "\n"), BH_E_LIMIT);
}

/* With an arena that is too small at any point the parser says so. */
static void test_memory(void **state) {
    static const char text[] = "# c\nARG A=1\nFROM a:$A AS b\n# d\nRUN --mount=type=cache,target=/x <<EOF\nx\nEOF\n"
                               "COPY --exclude=x a [\"b\"] c\nENV a=b c=d\nONBUILD RUN x\nHEALTHCHECK CMD [\"x\"]\n";
    bool good = false;

    (void)state;
    for (size_t max = 16; !good; max += 64) {
        struct bh_arena arena;
        struct build_notes notes;
        struct build_recipe r;
        struct bh_err err = BH_ERR_INIT;
        int rc;

        bh_arena_init(&arena, max);
        build_notes_init(&notes, &arena, "Dockerfile");
        rc = build_recipe_parse(text, sizeof text - 1, &arena, &notes, &r, &err);
        good = rc == 0;
        if (!good)
            assert_int_equal(rc, BH_E_LIMIT);
        bh_arena_fini(&arena);
        assert_true(max < 1 << 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),    cmocka_unit_test(test_stages),   cmocka_unit_test(test_commands),
        cmocka_unit_test(test_heredocs), cmocka_unit_test(test_copy),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_places),   cmocka_unit_test(test_triggers), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
