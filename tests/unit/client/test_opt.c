/*
 * test_opt.c - words of the command line into options and operands, and what is said of wrong ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "capture.h"
#include "cli/opt.h"

static const struct cli_opt run_opts[] = {
    {.name = "cap-add", .kind = CLI_LIST, .help = "Add a capability"},
    {.name = "cpus", .kind = CLI_FLOAT, .help = "CPUs"},
    {.name = "detach", .letter = 'd', .kind = CLI_BOOL, .help = "Run in the background"},
    {.name = "env", .letter = 'e', .kind = CLI_LIST, .help = "Set a variable"},
    {.name = "hostname", .letter = 'h', .kind = CLI_STRING, .help = "Host name"},
    {.name = "interactive", .letter = 'i', .kind = CLI_BOOL, .help = "Keep standard input open"},
    {.name = "ip", .kind = CLI_STRING, .help = "Address"},
    {.name = "isolation", .kind = CLI_STRING, .flags = CLI_OPT_IGNORED, .help = "Isolation"},
    {.name = "message", .letter = 'm', .kind = CLI_STRING, .help = "Message"},
    {.name = "name", .kind = CLI_STRING, .help = "Name"},
    {.name = "pause", .kind = CLI_BOOL, .flags = CLI_OPT_LATER, .help = "Pause"},
    {.name = "pids-limit", .kind = CLI_INT, .flags = CLI_OPT_LATER, .help = "Processes"},
    {.name = "publish", .letter = 'p', .kind = CLI_LIST, .help = "Publish a port"},
    {.name = "pull", .kind = CLI_STRING, .def = "missing", .help = "Pull", .complete = "always|missing|never"},
    {.name = "rm", .kind = CLI_BOOL, .help = "Remove at the end"},
    {.name = "shm-size", .kind = CLI_BYTES, .def = "64m", .help = "Size of /dev/shm"},
    {.name = "sig-proxy", .kind = CLI_BOOL, .def = "true", .help = "Pass signals on"},
    {.name = "stop-timeout", .kind = CLI_INT, .def = "10", .help = "Seconds"},
    {.name = "tty", .letter = 't', .kind = CLI_BOOL, .help = "A terminal"},
    {.name = "wait", .kind = CLI_DURATION, .help = "Time"},
    {.name = "color", .kind = CLI_STRING, .flags = CLI_OPT_OPTIONAL, .implied = "auto", .help = "Colours"},
    {.name = NULL},
};
static const struct cli_opt ls_opts[] = {
    {.name = "all", .letter = 'a', .kind = CLI_BOOL, .help = "All"},
    {.name = "filter", .letter = 'f', .kind = CLI_LIST, .help = "Filter", .metavar = "filter"},
    {.name = "quiet", .letter = 'q', .kind = CLI_BOOL, .help = "Quiet"},
    {.name = NULL},
};

/* What a command saw, as text. */
static char seen[1024];

static void add(const char *fmt, const char *a, const char *b) {
    size_t n = strlen(seen);

    snprintf(seen + n, sizeof seen - n, fmt, a, b);
}

static int run_seen(struct cli_ctx *ctx, const struct cli_args *args) {
    snprintf(seen, sizeof seen, "%s", args->called);
    for (size_t i = 0; i < args->given_count; i++)
        add(" %s=%s", args->given[i].opt->name, args->given[i].value);
    add(" |%s%s", "", "");
    for (int i = 0; i < args->operand_count; i++)
        add(" %s%s", args->operands[i], "");
    if (ctx->debug)
        add(" debug %s%s", ctx->host, "");
    return 0;
}

static const struct cli_command commands[] = {
    {.path = "run",
     .aliases = "container run",
     .operands = "IMAGE [COMMAND] [ARG...]",
     .summary = "Run a command",
     .flags = CLI_CMD_STOP,
     .min_operands = 1,
     .max_operands = -1,
     .opts = run_opts,
     .complete = "image",
     .run = run_seen},
    {.path = "image ls",
     .aliases = "image list, images",
     .operands = "[REPOSITORY]",
     .summary = "List images",
     .max_operands = 1,
     .opts = ls_opts,
     .run = run_seen},
    {.path = "rmi",
     .aliases = "image rm, image remove",
     .operands = "IMAGE...",
     .summary = "Remove images",
     .min_operands = 1,
     .max_operands = -1,
     .opts = ls_opts,
     .run = run_seen},
    {.path = "tag", .operands = "A B", .summary = "Tag", .min_operands = 2, .max_operands = 2, .run = run_seen},
    {.path = "info", .summary = "Info", .run = run_seen},
    {.path = "push", .summary = "Send", .flags = CLI_CMD_LATER, .max_operands = -1},
    {.path = "secret", .summary = "Hidden", .flags = CLI_CMD_HIDDEN, .run = run_seen},
    {.path = "image", .summary = "All about images"},
    CLI_COMMANDS_BUILTIN,
    {.path = NULL},
};
static const struct cli_app app = {"bulkhead", "1.2.3", "Images", "ipc:///default", commands};

#define MAX_WORDS 24

/* Splits at blanks; "_" stands for an empty word.  argv[0] is the program. */
static int split(char *line, char **argv) {
    int n = 0;

    argv[n++] = (char *)"bulkhead";
    for (char *w = strtok(line, " "); w && n < MAX_WORDS; w = strtok(NULL, " "))
        argv[n++] = strcmp(w, "_") == 0 ? (char *)"" : w;
    argv[n] = NULL;
    return n;
}

static int call(const char *line, struct capture *c) {
    char copy[512], *argv[MAX_WORDS + 1];
    struct cli_ctx ctx = {.out = &c->out};

    snprintf(copy, sizeof copy, "%s", line);
    seen[0] = '\0';
    return cli_dispatch(&app, &ctx, split(copy, argv), argv);
}

static void test_words(void **state) {
    static const char *const rows[][2] = {
        {"run -it x", "run interactive=true tty=true | x"},
        {"run -p8080:80 -eA=b x", "run publish=8080:80 env=A=b | x"},
        {"run -m=text x", "run message=text | x"},
        {"run -m text x", "run message=text | x"},
        {"run -itm=text x", "run interactive=true tty=true message=text | x"},
        {"run -dp 80:80 x", "run detach=true publish=80:80 | x"},
        {"run --name=a --name b x", "run name=a name=b | x"},
        {"run --name _ x", "run name= | x"},
        {"run --name= x", "run name= | x"},
        {"run --rm=false -t=0 x", "run rm=false tty=0 | x"},
        {"run --rm x -it --rm -- y", "run rm=true | x -it --rm -- y"},
        {"run -- -x", "run | -x"},
        {"run -e -x img", "run env=-x | img"},
        {"run -h web x", "run hostname=web | x"},
        {"run --color x", "run color=auto | x"},
        {"run --color=never x", "run color=never | x"},
        {"run -ip 1:2 x", "run interactive=true publish=1:2 | x"},
        {"run --isolation=hyperv x", "run isolation=hyperv | x"},
        {"run --pause=false x", "run pause=false | x"},
        {"run x - y", "run | x - y"},
        {"container run x", "container run | x"},
        {"images -a repo -q", "images all=true quiet=true | repo"},
        {"image ls -qa", "image ls quiet=true all=true |"},
        {"image list --filter a=b -f c=d", "image list filter=a=b filter=c=d |"},
        {"images -- -q", "images | -q"},
        {"images -", "images | -"},
        {"rmi a -f x b", "rmi filter=x | a b"},
        {"image rm a", "image rm | a"},
        {"tag a b", "tag | a b"},
        {"-D -H ipc:///x info", "info | debug ipc:///x"},
        {"--host=ipc:///x --debug info", "info | debug ipc:///x"},
        {"-DHipc:///y info", "info | debug ipc:///y"},
        {"-D info", "info | debug ipc:///default"},
        {"secret", "secret |"},
    };

    (void)state;
    unsetenv("BULKHEAD_HOST");
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct capture c;
        int status;

        capture_open(&c);
        status = call(rows[i][0], &c);
        if (status != 0 || strcmp(seen, rows[i][1]) != 0)
            fail_msg("%s\n  got  %d %s%s\n  want %s", rows[i][0], status, seen, capture_read(c.err_fd), rows[i][1]);
        capture_close(&c);
    }
}

static void test_wrong_words(void **state) {
    static const struct {
        const char *line;
        int status;
        const char *said;
    } rows[] = {
        {"run --nmae x", 125, "unknown flag: --nmae; did you mean --name? see 'bulkhead run --help'"},
        {"run --x y", 125, "unknown flag: --x; see 'bulkhead run --help'"},
        {"run --na x y", 125, "unknown flag: --na; did you mean --name? see 'bulkhead run --help'"},
        {"run -x y", 125, "unknown shorthand flag: 'x' in -x; see 'bulkhead run --help'"},
        {"run -itx y", 125, "unknown shorthand flag: 'x' in -itx; see 'bulkhead run --help'"},
        {"run -detach y", 125,
         "unknown shorthand flag: 'd' in -detach; did you mean --detach? see 'bulkhead run --help'"},
        {"run -rm y", 125, "unknown shorthand flag: 'r' in -rm; did you mean --rm? see 'bulkhead run --help'"},
        {"run -name=a y", 125,
         "unknown shorthand flag: 'n' in -name=a; did you mean --name? see 'bulkhead run --help'"},
        {"run --name", 125, "flag needs an argument: --name; see 'bulkhead run --help'"},
        {"run -ie", 125, "flag needs an argument: 'e' in -ie; see 'bulkhead run --help'"},
        {"run --rm=maybe x", 125,
         "invalid argument \"maybe\" for \"--rm\" flag: true or false is expected; see 'bulkhead run --help'"},
        {"run -t=2 x", 125,
         "invalid argument \"2\" for \"-t, --tty\" flag: true or false is expected; see 'bulkhead run --help'"},
        {"run --stop-timeout 1x y", 125,
         "invalid argument \"1x\" for \"--stop-timeout\" flag: a whole number is expected; see 'bulkhead run --help'"},
        {"run --shm-size big y", 125,
         "invalid argument \"big\" for \"--shm-size\" flag: a size is expected, such as 512m or 2g; see 'bulkhead run "
         "--help'"},
        {"run --wait soon y", 125,
         "invalid argument \"soon\" for \"--wait\" flag: a duration is expected, such as 1h30m or 10s; see 'bulkhead "
         "run "
         "--help'"},
        {"run --cpus nan y", 125,
         "invalid argument \"nan\" for \"--cpus\" flag: a number is expected, such as 1.5; see 'bulkhead run --help'"},
        {"run --pids-limit 5 y", 125, "flag --pids-limit is not available in this version of bulkhead; leave it out"},
        {"run --pause y", 125, "flag --pause is not available in this version of bulkhead; leave it out"},
        {"run ---x y", 125, "bad flag syntax: ---x; see 'bulkhead run --help'"},
        {"run --=x y", 125, "bad flag syntax: --=x; see 'bulkhead run --help'"},
        {"run", 1, "'bulkhead run' requires at least 1 argument; see 'bulkhead run --help'"},
        {"tag a", 1, "'bulkhead tag' requires exactly 2 arguments; see 'bulkhead tag --help'"},
        {"tag a b c", 1, "'bulkhead tag' requires exactly 2 arguments; see 'bulkhead tag --help'"},
        {"images a b", 1, "'bulkhead image ls' requires at most 1 argument; see 'bulkhead image ls --help'"},
        {"info x", 1, "'bulkhead info' accepts no arguments; see 'bulkhead info --help'"},
        {"imagse", 1, "unknown command: bulkhead imagse; did you mean 'bulkhead images'? see 'bulkhead --help'"},
        {"rnu x", 1, "unknown command: bulkhead rnu; did you mean 'bulkhead run'? see 'bulkhead --help'"},
        {"frobnicate", 1, "unknown command: bulkhead frobnicate; see 'bulkhead --help'"},
        {"image lss", 1,
         "unknown command: bulkhead image lss; did you mean 'bulkhead image ls'? see 'bulkhead image --help'"},
        {"image -q", 125, "unknown flag: -q; see 'bulkhead image --help'"},
        {"push -a x --all", 125, "'bulkhead push' is not available in this version"},
        {"--nope info", 125, "unknown flag: --nope; see 'bulkhead --help'"},
        {"--tls info", 125, "flag --tls is not available in this version of bulkhead; leave it out"},
        {"run --n\x1b[2Jx y", 125, "unknown flag: --n\\x1b[2Jx; see 'bulkhead run --help'"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct capture c;
        char want[512], *err, *out;
        int status;

        capture_open(&c);
        status = call(rows[i].line, &c);
        err = capture_read(c.err_fd);
        out = capture_read(c.out_fd);
        snprintf(want, sizeof want, "bulkhead: %s\n", rows[i].said);
        if (status != rows[i].status || strcmp(err, want) != 0 || *out || *seen)
            fail_msg("%s\n  got  %d %s\n  want %d %s", rows[i].line, status, err, rows[i].status, want);
        free(err);
        free(out);
        capture_close(&c);
    }
}

static void test_values(void **state) {
    char *argv[] = {
        (char *)"--wait", (char *)"1m30s", (char *)"--cpus=1.5", (char *)"-eA=1", (char *)"-eB=2", (char *)"img", NULL};
    struct bh_err err = BH_ERR_INIT;
    struct cli_args a;
    bool help;

    (void)state;
    assert_int_equal(cli_args_parse(&app, &commands[0], 6, argv, &a, &help, &err), 0);
    assert_false(help);
    assert_int_equal(cli_duration_ns(&a, "wait"), 90000000000);
    assert_true(cli_float(&a, "cpus") > 1.49 && cli_float(&a, "cpus") < 1.51);
    assert_int_equal(cli_count(&a, "env"), 2);
    assert_string_equal(cli_item(&a, "env", 1), "B=2");
    assert_null(cli_item(&a, "env", 2));
    assert_string_equal(cli_str(&a, "pull"), "missing");
    assert_false(cli_given(&a, "pull"));
    assert_null(cli_str(&a, "name"));
    assert_true(cli_bool(&a, "sig-proxy"));
    assert_false(cli_bool(&a, "tty"));
    assert_int_equal(cli_int(&a, "stop-timeout"), 10);
    assert_int_equal(cli_bytes(&a, "shm-size"), 64 << 20);
    assert_string_equal(a.operands[0], "img");
    assert_null(a.operands[1]);
    cli_args_fini(&a);
}

static void test_help(void **state) {
    static const struct {
        const char *line, *has;
        bool on_stderr;
    } rows[] = {
        {"images --help",
         "Usage:  bulkhead images [OPTIONS] [REPOSITORY]\n\nList images\n\nAliases:\n  bulkhead image ls, "
         "bulkhead image list, bulkhead images\n\nOptions:\n  -a, --all             All\n  -f, --filter "
         "filter   Filter\n  -q, --quiet           Quiet\n",
         false},
        {"images -h", "Usage:  bulkhead images", false},
        {"help images", "Usage:  bulkhead images", false},
        {"image --help",
         "Usage:  bulkhead image COMMAND\n\nAll about images\n\nCommands:\n  ls          List images\n  rm  "
         "        Remove images\n",
         false},
        {"image", "Usage:  bulkhead image COMMAND", true},
        {"--help", "Management Commands:\n  container   Manage containers\n  image       All about images\n", false},
        {"", "Usage:  bulkhead [OPTIONS] COMMAND", true},
        {"run --help", "      --pull string        Pull (default \"missing\")\n", false},
        {"run --help", "      --pids-limit int     Processes (not available yet)\n", false},
        {"run --help", "      --isolation string   Isolation (accepted, has no effect)\n", false},
        {"run --help", "      --stop-timeout int   Seconds (default 10)\n", false},
        {"push --help", "not available in this version", false},
        {"--version", "bulkhead version 1.2.3\n", false},
        {"-v", "bulkhead version 1.2.3\n", false},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_err err = BH_ERR_INIT;
        struct capture c;
        char *s;

        capture_open(&c);
        assert_int_equal(call(rows[i].line, &c), 0);
        cli_out_flush(&c.out, &err);
        s = capture_read(rows[i].on_stderr ? c.err_fd : c.out_fd);
        if (!strstr(s, rows[i].has))
            fail_msg("%s\n  got\n%s\n  want\n%s", rows[i].line, s, rows[i].has);
        free(s);
        capture_close(&c);
    }
}

static void test_help_width(void **state) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    (void)state;
    cli_help_command(&app, &commands[0], "run", 60, &b);
    for (const char *p = bh_buf_str(&b); *p; p += strcspn(p, "\n") + 1)
        assert_true(strcspn(p, "\n") <= 62); /* a single word may stand out */
}

static void test_distance(void **state) {
    (void)state;
    assert_int_equal(cli_edit_distance("", "abc"), 3);
    assert_int_equal(cli_edit_distance("run", "run"), 0);
    assert_int_equal(cli_edit_distance("rnu", "run"), 1);
    assert_int_equal(cli_edit_distance("RUN", "run"), 0);
    assert_int_equal(cli_edit_distance("ps", "push"), 2);
}

static void test_host(void **state) {
    struct capture c;

    (void)state;
    capture_open(&c);
    setenv("BULKHEAD_HOST", "ipc:///env", 1);
    assert_int_equal(call("-D info", &c), 0);
    assert_string_equal(seen, "info | debug ipc:///env");
    assert_int_equal(call("-D -H ipc:///x info", &c), 0);
    assert_string_equal(seen, "info | debug ipc:///x");
    unsetenv("BULKHEAD_HOST");
    capture_close(&c);
}

static void test_documents(void **state) {
    static const char *const shells[] = {"bash", "zsh", "fish"};
    struct bh_err err = BH_ERR_INIT;
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    json_t *j;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(shells); i++) {
        bh_buf_reset(&b);
        assert_int_equal(cli_doc_completion(&app, shells[i], &b, &err), 0);
        assert_non_null(strstr(bh_buf_str(&b), "cap-add"));
        assert_null(strstr(bh_buf_str(&b), "secret"));
        assert_null(strstr(bh_buf_str(&b), "%_"));
    }
    assert_int_equal(cli_doc_completion(&app, "tcsh", &b, &err), BH_E_INVALID);
    bh_buf_reset(&b);
    cli_doc_man(&app, &commands[1], &b);
    assert_non_null(strstr(bh_buf_str(&b), "bulkhead-image-ls(1)"));
    assert_non_null(strstr(bh_buf_str(&b), "*\\-a*, *\\-\\-all*\n\tAll."));
    bh_buf_reset(&b);
    cli_doc_json(&app, &b);
    j = json_loads(bh_buf_str(&b), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "commands"), 1), "path")),
                        "image ls");
    json_decref(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_wrong_words), cmocka_unit_test(test_values),
        cmocka_unit_test(test_help),  cmocka_unit_test(test_help_width),  cmocka_unit_test(test_distance),
        cmocka_unit_test(test_host),  cmocka_unit_test(test_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
