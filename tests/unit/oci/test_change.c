/*
 * test_change.c - the instructions of --change: what they make of a config, what they refuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "oci/change.h"

/* The config that rows start from. */
static void base_config(struct bh_image_config *c) {
    static const char text[] =
        "{\"config\":{\"Env\":[\"PATH=/bin\",\"X=1\"],\"Cmd\":[\"old\"],\"WorkingDir\":\"/srv\"},"
        "\"rootfs\":{\"diff_ids\":[]}}";
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_image_config_parse(text, strlen(text), "base", NULL, &arena, c, &err), 0);
}

/* The written config between "config":{ and },"rootfs". */
static void written(const struct bh_image_config *c, struct bh_buf *out) {
    static const char head[] = "{\"architecture\":\"\",\"os\":\"\",\"config\":{";
    static const char tail[] = "},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";

    bh_image_config_write(c, out);
    assert_memory_equal(out->data, head, strlen(head));
    bh_buf_shift(out, strlen(head));
    out->len -= strlen(tail);
    assert_string_equal(out->data + out->len, tail);
    out->data[out->len] = '\0';
}

#define ENV  "\"Env\":[\"PATH=/bin\",\"X=1\"]"
#define CMD  ",\"Cmd\":[\"old\"]"
#define DIR  ",\"WorkingDir\":\"/srv\""
#define KEEP ENV CMD DIR

static const struct {
    const char *change;
    const char *want;
} rows[] = {
    {"", KEEP},
    {"\n \n# comment\n", KEEP},
    {"CMD echo hi", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"echo hi\"]" DIR},
    {"cmd [\"a\", \"b c\"]", ENV ",\"Cmd\":[\"a\",\"b c\"]" DIR},
    {"CMD []", ENV ",\"Cmd\":[]" DIR},
    {"CMD ['a']", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"['a']\"]" DIR},
    {"CMD [\"a\", 1]", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"[\\\"a\\\", 1]\"]" DIR},
    {"CMD [\"a\"] x", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"[\\\"a\\\"] x\"]" DIR},
    {"CMD echo $X", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $X\"]" DIR},
    {"CMD a \\\n  b \\\n# note\n\n  c", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"a b c\"]" DIR},
    {"CMD a \\", ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"a\"]" DIR},
    {"CMD a\r\nUSER u\r\n", "\"User\":\"u\"," ENV ",\"Cmd\":[\"/bin/sh\",\"-c\",\"a\"]" DIR},
    {"ENTRYPOINT [\"/e\"]", ENV DIR ",\"Entrypoint\":[\"/e\"]"},
    {"ENTRYPOINT exec e", ENV DIR ",\"Entrypoint\":[\"/bin/sh\",\"-c\",\"exec e\"]"},
    {"ENTRYPOINT []", ENV DIR},
    {"CMD [\"c\"]\nENTRYPOINT [\"/e\"]", ENV ",\"Cmd\":[\"c\"]" DIR ",\"Entrypoint\":[\"/e\"]"},
    {"ENTRYPOINT [\"/e\"]\nCMD [\"c\"]", ENV ",\"Cmd\":[\"c\"]" DIR ",\"Entrypoint\":[\"/e\"]"},
    {"ENV A=1", "\"Env\":[\"PATH=/bin\",\"X=1\",\"A=1\"]" CMD DIR},
    {"ENV A=1 B=2", "\"Env\":[\"PATH=/bin\",\"X=1\",\"A=1\",\"B=2\"]" CMD DIR},
    {"ENV X=2 Y=$X", "\"Env\":[\"PATH=/bin\",\"X=2\",\"Y=1\"]" CMD DIR},
    {"ENV X=2\nENV Y=$X", "\"Env\":[\"PATH=/bin\",\"X=2\",\"Y=2\"]" CMD DIR},
    {"ENV PATH=/x:$PATH", "\"Env\":[\"PATH=/x:/bin\",\"X=1\"]" CMD DIR},
    {"ENV A=\"a b\" B='c $X' C=d\\ e", "\"Env\":[\"PATH=/bin\",\"X=1\",\"A=a b\",\"B=c $X\",\"C=d e\"]" CMD DIR},
    {"ENV A one two", "\"Env\":[\"PATH=/bin\",\"X=1\",\"A=one two\"]" CMD DIR},
    {"ENV A=", "\"Env\":[\"PATH=/bin\",\"X=1\",\"A=\"]" CMD DIR},
    {"ENV A=b=c", "\"Env\":[\"PATH=/bin\",\"X=1\",\"A=b=c\"]" CMD DIR},
    {"LABEL b=2 a=1", KEEP ",\"Labels\":{\"a\":\"1\",\"b\":\"2\"}"},
    {"LABEL \"a b\"=\"c d\"", KEEP ",\"Labels\":{\"a b\":\"c d\"}"},
    {"LABEL k v w", KEEP ",\"Labels\":{\"k\":\"v w\"}"},
    {"LABEL k=$X k=2", KEEP ",\"Labels\":{\"k\":\"2\"}"},
    {"EXPOSE 80 53/udp", "\"ExposedPorts\":{\"53/udp\":{},\"80/tcp\":{}}," KEEP},
    {"EXPOSE ${X}", "\"ExposedPorts\":{\"1/tcp\":{}}," KEEP},
    {"EXPOSE 7-8", "\"ExposedPorts\":{\"7/tcp\":{},\"8/tcp\":{}}," KEEP},
    {"USER me:group", "\"User\":\"me:group\"," KEEP},
    {"USER $X", "\"User\":\"1\"," KEEP},
    {"VOLUME /a /b", ENV CMD ",\"Volumes\":{\"/a\":{},\"/b\":{}}" DIR},
    {"VOLUME [\"/a b\"]", ENV CMD ",\"Volumes\":{\"/a b\":{}}" DIR},
    {"WORKDIR /x", ENV CMD ",\"WorkingDir\":\"/x\""},
    {"WORKDIR x/../y/.", ENV CMD ",\"WorkingDir\":\"/srv/y\""},
    {"WORKDIR ../../..", ENV CMD ",\"WorkingDir\":\"/\""},
    {"WORKDIR /a//b/", ENV CMD ",\"WorkingDir\":\"/a/b\""},
    {"WORKDIR /a b", ENV CMD ",\"WorkingDir\":\"/a b\""},
    {"STOPSIGNAL SIGQUIT", KEEP ",\"StopSignal\":\"SIGQUIT\""},
    {"STOPSIGNAL 9", KEEP ",\"StopSignal\":\"9\""},
    {"STOPSIGNAL RTMIN+3", KEEP ",\"StopSignal\":\"RTMIN+3\""},
    {"ONBUILD RUN x $Y", KEEP ",\"OnBuild\":[\"RUN x $Y\"]"},
    {"HEALTHCHECK NONE", ENV CMD ",\"Healthcheck\":{\"Test\":[\"NONE\"]}" DIR},
    {"HEALTHCHECK CMD curl x", ENV CMD ",\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"curl x\"]}" DIR},
    {"HEALTHCHECK --interval=1s --timeout=2ms --start-period=1m --start-interval=1h --retries=4 CMD [\"a\"]",
     ENV CMD ",\"Healthcheck\":{\"Test\":[\"CMD\",\"a\"],\"Interval\":1000000000,\"Timeout\":2000000,"
             "\"StartPeriod\":60000000000,\"StartInterval\":3600000000000,\"Retries\":4}" DIR},
};

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        struct bh_image_config c;

        base_config(&c);
        if (bh_change_apply(rows[i].change, &c.config, &arena, &err) != 0)
            fail_msg("%s: %s", rows[i].change, err.msg);
        written(&c, &out);
        assert_string_equal(bh_buf_str(&out), rows[i].want);
    }
}

static const struct {
    const char *change;
    const char *tail;
} bad[] = {
    {"FROM x", "FROM is not a valid change command"},
    {"RUN x", "RUN is not a valid change command"},
    {"nonsense", "nonsense is not a valid change command"},
    {"=", "= is not a valid change command"},
    {"CMD", "CMD requires at least one argument"},
    {"ENTRYPOINT ", "ENTRYPOINT requires at least one argument"},
    {"ENV", "ENV requires at least one argument"},
    {"ENV A", "ENV must have two arguments"},
    {"ENV A=1 B", "Syntax error - can't find = in \"B\". Must be of the form: name=value"},
    {"ENV =1", "ENV names can not be blank"},
    {"ENV $NO=1", "ENV names can not be blank"},
    {"ENV A='x", "looking for matching single-quote"},
    {"ENV A=${X", "looking for matching brace"},
    {"ENV A=\"${NO:?must be set}\"", "NO: must be set"},
    {"ENV \"A\tB\"=1", "ENV names do not take control characters"},
    {"LABEL", "LABEL requires at least one argument"},
    {"LABEL a", "LABEL must have two arguments"},
    {"EXPOSE", "EXPOSE requires at least one argument"},
    {"EXPOSE x", "invalid port \"x\": expected PORT[-PORT][/tcp|udp|sctp]"},
    {"EXPOSE 70000", "invalid port \"70000\": expected PORT[-PORT][/tcp|udp|sctp]"},
    {"USER", "USER requires exactly one argument"},
    {"USER a b", "USER requires exactly one argument"},
    {"USER $NO", "USER requires exactly one argument"},
    {"VOLUME", "VOLUME requires at least one argument"},
    {"VOLUME []", "VOLUME requires at least one argument"},
    {"VOLUME [\"\"]", "VOLUME specified can not be an empty string"},
    {"VOLUME [\"a\\nb\"]", "VOLUME does not take control characters"},
    {"WORKDIR", "WORKDIR requires exactly one argument"},
    {"WORKDIR \"a\tb\"", "WORKDIR does not take control characters"},
    {"STOPSIGNAL", "STOPSIGNAL requires exactly one argument"},
    {"STOPSIGNAL SIGFOO", "invalid signal: SIGFOO"},
    {"STOPSIGNAL 65", "invalid signal: 65"},
    {"STOPSIGNAL 0", "invalid signal: 0"},
    {"ONBUILD", "ONBUILD requires at least one argument"},
    {"ONBUILD ONBUILD RUN x", "ONBUILD isn't allowed as an ONBUILD trigger"},
    {"ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"},
    {"ONBUILD MAINTAINER", "MAINTAINER isn't allowed as an ONBUILD trigger"},
    {"HEALTHCHECK", "unknown type \"\" for HEALTHCHECK: expected CMD or NONE"},
    {"HEALTHCHECK RUN x", "unknown type \"RUN\" for HEALTHCHECK: expected CMD or NONE"},
    {"HEALTHCHECK CMD", "HEALTHCHECK CMD requires a command"},
    {"HEALTHCHECK CMD []", "HEALTHCHECK CMD requires a command"},
    {"HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"},
    {"HEALTHCHECK --retries=1 NONE", "HEALTHCHECK NONE takes no arguments"},
    {"HEALTHCHECK --retries=x CMD a", "HEALTHCHECK --retries: \"x\" is no count"},
    {"HEALTHCHECK --retries=-1 CMD a", "HEALTHCHECK --retries: \"-1\" is no count"},
    {"HEALTHCHECK --interval=5 CMD a", "HEALTHCHECK --interval: \"5\" is no duration"},
    {"HEALTHCHECK --interval=1us CMD a", "HEALTHCHECK --interval cannot be less than 1ms"},
    {"HEALTHCHECK --interval=-1s CMD a", "HEALTHCHECK --interval cannot be less than 1ms"},
    {"HEALTHCHECK --foo CMD a", "unknown flag for HEALTHCHECK: --foo"},
    {"CMD a\x1b[31m", "a change holds the control character 0x1b"},
    {"CMD \xff", "a change is not UTF-8 text"},
};

static void test_bad(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT, text = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        struct bh_image_config c;
        size_t n = strlen(bad[i].tail);

        base_config(&c);
        /* A good line before the bad one must leave no trace either. */
        bh_buf_addf(&text, "ENV X=changed\n%s", bad[i].change);
        if (bh_change_apply(bh_buf_str(&text), &c.config, &arena, &err) != BH_E_INVALID)
            fail_msg("accepted: %s", bad[i].change);
        assert_string_equal(err.reason, "invalid-change");
        if (strlen(err.msg) < n || strcmp(err.msg + strlen(err.msg) - n, bad[i].tail) != 0)
            fail_msg("%s: message \"%s\"", bad[i].change, err.msg);
        written(&c, &out);
        assert_string_equal(bh_buf_str(&out), KEEP);
    }
}

static void test_limits(void **state) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c;

    (void)state;
    base_config(&c);
    bh_buf_adds(&text, "LABEL ");
    for (int i = 0; text.len + 10 < BH_CHANGE_MAX; i++)
        bh_buf_addf(&text, "k%d=v ", i);
    assert_int_equal(bh_change_apply(bh_buf_str(&text), &c.config, &arena, &err), BH_E_LIMIT); /* of the arena */
    while (text.len <= BH_CHANGE_MAX)
        bh_buf_addc(&text, ' ');
    assert_int_equal(bh_change_apply(bh_buf_str(&text), &c.config, &arena, &err), BH_E_LIMIT);
    assert_non_null(strstr(err.msg, "the limit is 65536"));
}

/* Every way the arena can run out leaves the config as it was. */
static void test_memory(void **state) {
    static const char text[] =
        "CMD [\"a\"]\nENV A=\"b $PATH\" C=d\nLABEL x=1\nEXPOSE 80-82\nVOLUME /v\nWORKDIR w\n"
        "ONBUILD RUN x\nHEALTHCHECK --retries=2 CMD [\"a\"]\nUSER u\nSTOPSIGNAL TERM\nENTRYPOINT e";
    int r = -1;

    (void)state;
    for (size_t max = 0; r != 0; max += 16) {
        BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        struct bh_image_config c;
        struct bh_arena tight;

        assert_true(max < 100000);
        base_config(&c);
        bh_arena_init(&tight, max);
        r = bh_change_apply(text, &c.config, &tight, &err);
        assert_true(r == 0 || r == BH_E_LIMIT);
        written(&c, &out);
        assert_int_equal(strcmp(bh_buf_str(&out), KEEP) == 0, r != 0);
        bh_arena_fini(&tight);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_limits), cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, start, stop);
}
