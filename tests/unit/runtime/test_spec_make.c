/* Image config + request = specification: docker's rules as one table after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/caps.h"
#include "svc-runtime/policy.h"
#include "svc-runtime/spec_make.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct bh_arena arena;

static int setup(void **state) {
    (void)state;
    bh_arena_init(&arena, (size_t)16 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    bh_arena_fini(&arena);
    return 0;
}

/* "a b c" -> list; "" -> absent */
static struct bh_strlist list(const char *words) {
    struct bh_strlist l = {0};
    struct bh_err err = BH_ERR_INIT;

    while (*words != 0) {
        size_t n = strcspn(words, " ");

        assert_int_equal(bh_strlist_add(&l, &arena, bh_oci_strdup(&arena, words, n, &err), &err), 0);
        words += n + (words[n] == ' ');
    }
    l.present = l.n > 0;
    return l;
}

static struct rt_request request(void) {
    return (struct rt_request){.image = "img",
                               .workdir = "",
                               .user = "",
                               .hostname = "",
                               .domainname = "",
                               .userns = "",
                               .network = "",
                               .pid = "",
                               .ipc = "",
                               .uts = "",
                               .cgroupns = "",
                               .stop_signal = "",
                               .log_driver = "",
                               .platform = ""};
}

static struct bh_image_config image(void) {
    struct bh_image_config c;

    bh_image_config_init(&c);
    c.os = "linux";
    c.architecture = "amd64";
    c.config.cmd = list("/bin/sh");
    return c;
}

static int make(const struct rt_request *req, const struct bh_image_config *img, struct rt_made *out,
                struct bh_err *err) {
    return rt_spec_make(req, img, ID, &arena, out, err);
}

static const char *joined(const struct rt_strings *s) {
    static char text[4096];
    size_t n = 0;

    text[0] = 0;
    for (uint32_t i = 0; i < s->n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? " " : "", s->item[i]);
    return text;
}

static void must(const struct rt_request *req, const struct bh_image_config *img, struct rt_made *out) {
    struct bh_err err = BH_ERR_INIT;

    if (make(req, img, out, &err) != 0)
        fail_msg("refused: %s", err.msg);
}

static void refused(const struct rt_request *req, const char *text) {
    struct bh_image_config img = image();
    struct bh_err err = BH_ERR_INIT;
    struct rt_made made = {0};

    if (make(req, &img, &made, &err) == 0)
        fail_msg("taken, should say: %s", text);
    if (strstr(err.msg, text) == NULL)
        fail_msg("'%s' does not hold '%s'", err.msg, text);
    assert_int_equal(made.spec.args.n, 0); /* outputs only on success */
}

/* ---- command ----------------------------------------------------------------------------------- */

static void entrypoint_and_command(void **state) {
    static const struct {
        const char *img_entry, *img_cmd, *req_entry; /* req_entry NULL: not given */
        const char *req_cmd, *want;                  /* want NULL: no command specified */
    } rows[] = {
        {"", "/bin/sh -c", NULL, "", "/bin/sh -c"},
        {"", "/bin/sh", NULL, "ls -l", "ls -l"},
        {"/entry", "serve", NULL, "", "/entry serve"},
        {"/entry", "serve", NULL, "help", "/entry help"},
        {"/entry a", "", NULL, "", "/entry a"},
        {"/entry", "serve", "/other", "", "/other"},
        {"/entry", "serve", "/other", "x y", "/other x y"},
        {"/entry", "serve", "", "ls", "ls"},
        {"/entry", "serve", "", "", NULL},
        {"", "", NULL, "", NULL},
        {"", "", NULL, "ls", "ls"},
        {"", "serve", "/other", "", "/other"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_image_config img = image();
        struct rt_request req = request();
        struct bh_err err = BH_ERR_INIT;
        struct rt_made made = {0};
        int r;

        img.config.entrypoint = list(rows[i].img_entry);
        img.config.cmd = list(rows[i].img_cmd);
        req.command = list(rows[i].req_cmd);
        req.entrypoint_set = rows[i].req_entry != NULL;
        if (req.entrypoint_set)
            req.entrypoint = list(rows[i].req_entry);
        r = make(&req, &img, &made, &err);
        if (rows[i].want == NULL) {
            assert_int_equal(r, BH_E_INVALID);
            assert_string_equal(err.msg, "no command specified");
            continue;
        }
        assert_int_equal(r, 0);
        if (strcmp(joined(&made.spec.args), rows[i].want) != 0)
            fail_msg("row %zu: %s", i, joined(&made.spec.args));
    }
}

static void empty_entrypoint_word(void **state) {
    static const char *empty[] = {""};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    img.config.entrypoint = list("/entry");
    req.entrypoint_set = true;
    req.entrypoint = (struct bh_strlist){.present = true, .n = 1, .v = empty};
    req.command = list("ls");
    must(&req, &img, &made);
    assert_string_equal(joined(&made.spec.args), "ls");
}

/* ---- environment ------------------------------------------------------------------------------- */

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void environment(void **state) {
    static const struct {
        const char *img, *req, *want;
    } rows[] = {
        {"", "", PATH_DEFAULT},
        {"PATH=/x", "", "PATH=/x"},
        {"PATH=/x A=1", "", "PATH=/x A=1"},
        {"PATH=/x A=1 B=2", "A=9", "A=9 PATH=/x B=2"},
        {"PATH=/x", "PATH=/y", "PATH=/y"},
        {"A=1", "B=2", PATH_DEFAULT " B=2 A=1"},
        {"PATH=/x A=1", "A", "PATH=/x"},
        {"PATH=/x", "A=1 A=2", "A=2 PATH=/x"},
        {"PATH=/x", "A=", "A= PATH=/x"},
        {"PATH=/x A=1", "AB=2", "AB=2 PATH=/x A=1"},
        {"PATH=/x BROKEN =y A=1", "", "PATH=/x A=1"},
        {"PATH=/x", "A=b=c", "A=b=c PATH=/x"},
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_image_config img = image();
        struct rt_request req = request();
        struct rt_made made;

        img.config.env = list(rows[i].img);
        req.env = list(rows[i].req);
        must(&req, &img, &made);
        if (strcmp(joined(&made.spec.env), rows[i].want) != 0)
            fail_msg("row %zu: %s", i, joined(&made.spec.env));
    }
}

static void bad_environment(void **state) {
    struct rt_request req = request();

    (void)state;
    req.env = list("=x");
    refused(&req, "invalid environment variable: =x");
}

/* ---- one option, one effect -------------------------------------------------------------------- */

static void folders(void **state) {
    static const struct {
        const char *img, *req, *want;
    } rows[] = {{"", "", "/"},         {"/app", "", "/app"}, {"/app", "/x/", "/x"}, {"/app", "/a//b/./c", "/a/b/c"},
                {"", "/a/../b", "/b"}, {"", "/../..", "/"},  {"", "/a/b/..", "/a"}, {"", "/", "/"}};
    struct rt_request bad = request();

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct bh_image_config img = image();
        struct rt_request req = request();
        struct rt_made made;

        img.config.working_dir = rows[i].img;
        req.workdir = rows[i].req;
        must(&req, &img, &made);
        assert_string_equal(made.spec.cwd, rows[i].want);
    }
    bad.workdir = "relative";
    refused(&bad, "the working directory 'relative' is invalid, it needs to be an absolute path");
}

static void names(void **state) {
    static const char *const bad[] = {
        "-x", ".x", "a b", "a\nb", "h\xc3\xb6st", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    must(&req, &img, &made);
    assert_string_equal(made.spec.hostname, "0123456789ab");
    req.hostname = "web-1";
    must(&req, &img, &made);
    assert_string_equal(made.spec.hostname, "web-1");
    assert_string_equal(made.config.config.hostname, "web-1");
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        req.hostname = bad[i];
        refused(&req, "invalid hostname format");
    }
    req.hostname = "x";
    req.uts = "host";
    refused(&req, "conflicting options: hostname and the UTS mode");
}

static void resolver(void **state) {
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    req.dns = list("1.1.1.1 2001:db8::1");
    req.extra_hosts = list("db:10.0.0.1 six:2001:db8::2");
    req.dns_search = list("example.com .");
    req.dns_option = list("ndots:2 rotate");
    must(&req, &img, &made);
    assert_int_equal(made.spec.dns.n, 2);
    assert_int_equal(made.spec.extra_hosts.n, 2);
    req.dns = list("nohost");
    refused(&req, "nohost is not an ip address");
    req = request();
    req.extra_hosts = list("db");
    refused(&req, "bad format for add-host");
    req.extra_hosts = list("db:10.0.0.1\nx");
    refused(&req, "bad format for add-host");
    req.extra_hosts = list("a\tb:10.0.0.1");
    refused(&req, "bad format for add-host");
    req.extra_hosts = list("db:host-gateway");
    refused(&req, "come later");
    req = request();
    req.dns_search = list("a\nb");
    refused(&req, "not a valid domain");
}

static void stopping(void **state) {
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    must(&req, &img, &made);
    assert_int_equal(made.stop_signal, 15);
    assert_int_equal(made.stop_timeout, 10);
    img.config.stop_signal = "SIGQUIT";
    img.config.has_stop_timeout = true;
    img.config.stop_timeout = 3;
    must(&req, &img, &made);
    assert_int_equal(made.stop_signal, 3);
    assert_int_equal(made.stop_timeout, 3);
    req.stop_signal = "INT";
    req.stop_timeout_set = true;
    req.stop_timeout = -5;
    must(&req, &img, &made);
    assert_int_equal(made.stop_signal, 2);
    assert_int_equal(made.stop_timeout, -1);
    req.stop_signal = "NOPE";
    refused(&req, "invalid signal: NOPE");
}

static uint64_t caps(const char *add, const char *drop, bool privileged) {
    struct bh_strlist a = list(add), d = list(drop);
    struct bh_err err = BH_ERR_INIT;
    uint64_t set = 0;

    assert_int_equal(rt_caps_compute(&a, &d, privileged, &set, &err), 0);
    return set;
}

static void capabilities(void **state) {
    const uint64_t chown = 1, net_admin = UINT64_C(1) << 12, all = rt_caps_all(), def = rt_caps_default();
    struct rt_request req = request();

    (void)state;
    assert_int_equal(__builtin_popcountll(def), 14);
    assert_true(def == UINT64_C(0xa80425fb));
    assert_true(caps("", "", false) == def);
    assert_true(caps("NET_ADMIN", "", false) == (def | net_admin));
    assert_true(caps("cap_net_admin", "CAP_CHOWN", false) == ((def | net_admin) & ~chown));
    assert_true(caps("", "ALL", false) == 0);
    assert_true(caps("CHOWN", "all", false) == chown);
    assert_true(caps("ALL", "", false) == all);
    assert_true(caps("ALL", "CHOWN", false) == (all & ~chown));
    assert_true(caps("ALL", "ALL", false) == all);
    assert_true(caps("CHOWN", "CHOWN", false) == def); /* docker: what is added wins */
    assert_true(caps("", "ALL", true) == all);
    req.cap_add = list("NOPE");
    refused(&req, "invalid CapAdd: unknown capability: \"CAP_NOPE\"");
    req = request();
    req.cap_drop = list("CAP_NOPE");
    refused(&req, "invalid CapDrop: unknown capability: \"CAP_NOPE\"");
}

static void security_options(void **state) {
    static const struct {
        const char *opt;
        uint32_t flags;
        unsigned warnings;
    } rows[] = {
        {"no-new-privileges", RT_NO_NEW_PRIVS, 0},
        {"no-new-privileges=true", RT_NO_NEW_PRIVS, 0},
        {"no-new-privileges:true", RT_NO_NEW_PRIVS, 0},
        {"no-new-privileges=false", 0, 0},
        {"seccomp=unconfined", RT_SECCOMP_UNCONFINED, 0},
        {"seccomp:unconfined", RT_SECCOMP_UNCONFINED, 0},
        {"seccomp=builtin", 0, 0},
        {"seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 0, 0},
        {"systempaths=unconfined", RT_UNMASKED, 0},
        {"label=disable", 0, 0},
        {"label:type:svirt_t", 0, 0},
        {"apparmor=unconfined", 0, 1},
    };
    static const char *const bad[] = {
        "", "nonsense", "seccomp", "seccomp=", "seccomp=/etc/p.json", "systempaths=x", "no-new-privileges=maybe"};
    struct bh_image_config img = image();

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct rt_request req = request();
        struct rt_made made;

        req.security_opt = list(rows[i].opt);
        must(&req, &img, &made);
        assert_int_equal(made.spec.flags & (RT_NO_NEW_PRIVS | RT_SECCOMP_UNCONFINED | RT_UNMASKED), rows[i].flags);
        assert_int_equal(made.warnings.n, rows[i].warnings);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        const char *one[] = {bad[i]};
        struct rt_request req = request();

        req.security_opt = (struct bh_strlist){.n = 1, .v = one};
        refused(&req, "--security-opt");
    }
}

static void namespaces(void **state) {
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    req.network = req.pid = req.ipc = req.uts = req.userns = req.cgroupns = "host";
    must(&req, &img, &made);
    assert_int_equal(made.spec.flags & ~(uint32_t)RT_KEEP_LOG,
                     RT_NET_HOST | RT_PID_HOST | RT_IPC_HOST | RT_UTS_HOST | RT_USERNS_HOST | RT_CGROUPNS_HOST);
    req = request();
    req.network = "none";
    req.ipc = "shareable";
    req.cgroupns = "private";
    must(&req, &img, &made);
    assert_int_equal(made.spec.flags, RT_KEEP_LOG);
    req.network = "bridge";
    refused(&req, "--network=bridge: this mode comes with a later version");
    req = request();
    req.network = "container:x";
    refused(&req, "later version");
    req = request();
    req.pid = "container:x";
    refused(&req, "--pid=container:x");
    req = request();
    req.privileged = true;
    must(&req, &img, &made);
    assert_true((made.spec.flags & (RT_PRIVILEGED | RT_USERNS_HOST)) == (RT_PRIVILEGED | RT_USERNS_HOST));
    assert_true(made.spec.caps == rt_caps_all());
}

static void limits(void **state) {
    static struct rt_req_ulimit two[] = {{"nofile", 100, 200}, {"core", 0, 0}};
    static struct rt_req_ulimit unknown[] = {{"files", 1, 1}}, crossed[] = {{"nofile", 3, 2}};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    req.ulimits = two;
    req.n_ulimits = 2;
    req.shm_size = 1 << 20;
    req.oom_score_adj = 500;
    must(&req, &img, &made);
    assert_int_equal(made.spec.n_ulimits, 2);
    assert_string_equal(made.spec.ulimits[0].name, "nofile");
    assert_int_equal(made.spec.ulimits[0].hard, 200);
    assert_int_equal(made.spec.shm_size, 1 << 20);
    assert_int_equal(made.spec.oom_score_adj, 500);
    req.ulimits = unknown;
    req.n_ulimits = 1;
    refused(&req, "invalid ulimit type: files");
    req.ulimits = crossed;
    refused(&req, "soft limit must be less than or equal to hard limit: 3 > 2");
    req = request();
    req.oom_score_adj = 1001;
    refused(&req, "range for oom score adj");
}

static void sysctls(void **state) {
    static const char *const good[] = {"net.ipv4.ip_forward=1", "net.ipv4.ping_group_range=0\t100",
                                       "kernel.shmmax=1000", "fs.mqueue.msg_max=20", "net.core.somaxconn=1024"};
    static const char *const bad[] = {"kernel.core_pattern=x",
                                      "kernel.hostname=x",
                                      "vm.swappiness=1",
                                      "net.ipv4.x",
                                      "kernel.shmmax=1+kernel.core_pattern=x",
                                      "net.ipv4.x=1\n",
                                      "net/ipv4/x=1",
                                      "net.../../kernel.x=1",
                                      "=1",
                                      "net.=",
                                      "kernel.shm_rmid_forced=",
                                      "fs.mqueue.=1"};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(good); i++) {
        req.sysctls = (struct bh_strlist){.n = 1, .v = (const char **)&good[i]};
        must(&req, &img, &made);
        assert_int_equal(made.spec.sysctls.n, 1);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(bad); i++) {
        req.sysctls = (struct bh_strlist){.n = 1, .v = (const char **)&bad[i]};
        refused(&req, "sysctl");
    }
    req.sysctls = list("net.core.somaxconn=1");
    req.network = "host";
    refused(&req, "as the namespace is the host's");
}

static void logging(void **state) {
    struct bh_pair opts[] = {{"max-file", "3"}, {"max-size", "1m"}}, bad[] = {{"labels", "x"}},
                   zero[] = {{"max-file", "0"}};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    req.log_opts = (struct bh_pairs){.n = 2, .v = opts};
    must(&req, &img, &made);
    assert_int_equal(made.spec.log_max_files, 3);
    assert_int_equal(made.spec.log_max_size, 1 << 20);
    assert_true(made.spec.flags & RT_KEEP_LOG);
    req.log_opts = (struct bh_pairs){.n = 1, .v = bad};
    refused(&req, "log option labels=x");
    req.log_opts = (struct bh_pairs){.n = 1, .v = zero};
    refused(&req, "max-file");
    req = request();
    req.log_driver = "none";
    must(&req, &img, &made);
    assert_false(made.spec.flags & RT_KEEP_LOG);
    req.log_driver = "syslog";
    refused(&req, "no log driver named 'syslog'");
}

/* ---- mounts ------------------------------------------------------------------------------------ */

static struct rt_req_mount mount(const char *type, const char *source, const char *target, const char *options) {
    return (struct rt_req_mount){
        .type = type, .source = source, .target = target, .propagation = "", .options = list(options)};
}

static void good_mounts(void **state) {
    struct rt_req_mount m[4] = {mount("bind", "/srv/../data/", "/data/", ""), mount("tmpfs", "", "/run//x/y", ""),
                                mount("tmpfs", "", "/tmp", "size=64m,exec mode=700"),
                                mount("tmpfs", "", "/run//x", "")};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    m[0].read_only = true;
    m[0].make_source = true;
    m[0].propagation = "rslave";
    req.mounts = m;
    req.n_mounts = 4;
    must(&req, &img, &made);
    assert_int_equal(made.spec.n_mounts, 4);
    assert_string_equal(made.spec.mounts[0].source, "/data");
    assert_string_equal(made.spec.mounts[0].target, "/data");
    assert_int_equal(made.spec.mounts[0].flags, RT_MOUNT_RO | RT_MOUNT_MAKE_SOURCE | RT_MOUNT_RECURSIVE);
    assert_int_equal(made.spec.mounts[0].propagation, RT_PROP_RSLAVE);
    assert_int_equal(made.spec.mounts[1].size, 64 << 20);
    assert_int_equal(made.spec.mounts[1].mode, 0700);
    assert_int_equal(made.spec.mounts[1].flags, RT_MOUNT_EXEC);
    assert_string_equal(made.spec.mounts[2].target, "/run/x"); /* shallow targets first */
    assert_string_equal(made.spec.mounts[3].target, "/run/x/y");
}

/* Of a step: what the layers have somewhere, here or elsewhere. */
static void mounts_of_layers(void **state) {
    struct rt_req_mount m[2] = {mount("layer", "", "/b/", ""), mount("layer", "/proc/../x//y", "/c", "")};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    m[0].self = m[1].self = true;
    m[1].read_only = true;
    req.mounts = m;
    req.n_mounts = 2;
    must(&req, &img, &made);
    assert_int_equal(made.spec.mounts[0].kind, RT_MOUNT_SELF);
    assert_int_equal(made.spec.mounts[0].flags, 0);
    assert_string_equal(made.spec.mounts[0].source, "/b");
    assert_int_equal(made.spec.mounts[1].flags, RT_MOUNT_RO);
    assert_string_equal(made.spec.mounts[1].source, "/x/y");
    assert_string_equal(made.spec.mounts[1].target, "/c");
}

static void bad_mounts(void **state) {
    static const struct {
        const char *type, *source, *target, *options, *text;
    } rows[] = {
        {"bind", "data", "/data", "", "named volumes come with a later version"},
        {"bind", "", "/data", "", "field Source must not be empty"},
        {"bind", "/x", "data", "", "the target must be absolute"},
        {"bind", "/x", "", "", "field Target must not be empty"},
        {"bind", "/x", "/", "", "destination can't be '/'"},
        {"bind", "/x", "/a/../..", "", "destination can't be '/'"},
        {"volume", "v", "/v", "", "later version"},
        {"", "/x", "/v", "", "invalid mount config"},
        {"tmpfs", "/x", "/t", "", "field Source must not be specified"},
        {"tmpfs", "", "/t", "size=", "invalid tmpfs option"},
        {"tmpfs", "", "/t", "size=0", "invalid tmpfs option"},
        {"tmpfs", "", "/t", "mode=888", "invalid tmpfs option"},
        {"tmpfs", "", "/t", "mode=77777", "invalid tmpfs option"},
        {"tmpfs", "", "/t", "uid=0,context=x", "invalid tmpfs option"},
    };
    struct rt_req_mount twice[2] = {mount("tmpfs", "", "/t", ""), mount("tmpfs", "", "/t/", "")};
    struct rt_request req = request();

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct rt_req_mount m = mount(rows[i].type, rows[i].source, rows[i].target, rows[i].options);

        req.mounts = &m;
        req.n_mounts = 1;
        refused(&req, rows[i].text);
    }
    req.mounts = twice;
    req.n_mounts = 2;
    refused(&req, "Duplicate mount point: /t");
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static void labels_and_config(void **state) {
    struct bh_pair img_labels[] = {{"a", "1"}, {"b", "2"}}, req_labels[] = {{"b", "9"}, {"c", "3"}};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    img.config.labels = (struct bh_pairs){.present = true, .n = 2, .v = img_labels};
    img.config.user = "app";
    req.labels = (struct bh_pairs){.present = true, .n = 2, .v = req_labels};
    req.user = "0:0";
    must(&req, &img, &made);
    assert_int_equal(made.config.config.labels.n, 3);
    assert_string_equal(bh_pairs_get(&made.config.config.labels, "b"), "9");
    assert_string_equal(made.spec.user, "0:0");
    assert_string_equal(img.config.labels.v[1].value, "2"); /* the image's own is untouched */
    req.user = "";
    must(&req, &img, &made);
    assert_string_equal(made.spec.user, "app");
}

static void platforms(void **state) {
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_made made;

    (void)state;
    req.platform = "linux/amd64";
    must(&req, &img, &made);
    req.platform = "linux/arm64";
    refused(&req, "does not provide the specified platform (linux/arm64)");
    req.platform = "a/b/c/d/e";
    refused(&req, "a/b/c/d/e");
}

static void exec_sessions(void **state) {
    static struct rt_req_ulimit nofile[] = {{"nofile", 100, 200}};
    struct bh_image_config img = image();
    struct rt_request req = request();
    struct rt_exec_request x = {.workdir = "", .user = ""};
    struct bh_err err = BH_ERR_INIT;
    struct rt_made made;
    struct rt_spec spec = {0};

    (void)state;
    img.config.user = "app";
    img.config.env = list("PATH=/x A=1");
    img.config.working_dir = "/srv";
    req.ulimits = nofile;
    req.n_ulimits = 1;
    req.oom_score_adj = 300;
    must(&req, &img, &made);
    x.command = list("id -u");
    x.env = list("A=2 B=3");
    assert_int_equal(rt_spec_make_exec(&x, &made.spec, &arena, &spec, &err), 0);
    assert_string_equal(joined(&spec.args), "id -u");
    assert_string_equal(joined(&spec.env), "A=2 B=3 PATH=/x");
    assert_string_equal(spec.user, "app");
    assert_string_equal(spec.cwd, "/srv");
    assert_true(spec.caps == rt_caps_default());
    assert_false(spec.flags & RT_KEEP_LOG);
    assert_int_equal(spec.n_ulimits, 1); /* as docker: the container's limits hold for it */
    assert_string_equal(spec.ulimits[0].name, "nofile");
    assert_int_equal(spec.oom_score_adj, 300);
    x.privileged = true;
    x.user = "root";
    x.workdir = "/tmp/";
    assert_int_equal(rt_spec_make_exec(&x, &made.spec, &arena, &spec, &err), 0);
    assert_true(spec.flags & RT_EXEC_PRIVILEGED);
    assert_true(spec.caps == rt_caps_all());
    assert_string_equal(spec.cwd, "/tmp");
    x.command = list("");
    assert_int_equal(rt_spec_make_exec(&x, &made.spec, &arena, &spec, &err), BH_E_INVALID);
}

static void administrators_only(void **state) {
    static const struct rt_caller admin = {.uid = 0, .admin = true}, user = {.uid = 1000};
    static struct rt_req_device device = {"/dev/null", "", ""};
    struct rt_req_mount bind = mount("bind", "/x", "/x", ""), tmp = mount("tmpfs", "", "/x", "");
    struct bh_err err = BH_ERR_INIT;
    struct rt_request rows[16];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++)
        rows[i] = request();
    rows[n++].privileged = true;
    rows[n++].userns = "host";
    rows[n++].network = "host";
    rows[n++].pid = "host";
    rows[n++].ipc = "host";
    rows[n++].uts = "host";
    rows[n++].cgroupns = "host";
    rows[n++].cap_add = list("NET_ADMIN");
    rows[n++].cap_add = list("CHOWN ALL");
    rows[n++].security_opt = list("seccomp=unconfined");
    rows[n++].security_opt = list("no-new-privileges systempaths:unconfined");
    rows[n].mounts = &bind;
    rows[n++].n_mounts = 1;
    rows[n].devices = &device;
    rows[n++].n_devices = 1;
    rows[n++].oom_score_adj = -1;
    rows[n++].limits.shares = 1025;
    rows[n++].limits.blkio_weight = 10;
    for (size_t i = 0; i < n; i++) {
        bh_err_clear(&err);
        assert_int_equal(rt_policy_create(&admin, &rows[i], &err), 0);
        if (rt_policy_create(&user, &rows[i], &err) != BH_E_DENIED)
            fail_msg("row %zu was allowed", i);
        assert_string_equal(err.reason, "administrator-only");
    }
    rows[0] = request();
    rows[0].mounts = &tmp;
    rows[0].n_mounts = 1;
    rows[0].cap_add = list("CHOWN");
    rows[0].cap_drop = list("ALL");
    rows[0].security_opt = list("no-new-privileges");
    rows[0].network = "none";
    assert_int_equal(rt_policy_create(&user, &rows[0], &err), 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(entrypoint_and_command),
                                       T(empty_entrypoint_word),
                                       T(environment),
                                       T(bad_environment),
                                       T(folders),
                                       T(names),
                                       T(resolver),
                                       T(stopping),
                                       T(capabilities),
                                       T(security_options),
                                       T(namespaces),
                                       T(limits),
                                       T(sysctls),
                                       T(logging),
                                       T(good_mounts),
                                       T(mounts_of_layers),
                                       T(bad_mounts),
                                       T(labels_and_config),
                                       T(platforms),
                                       T(exec_sessions),
                                       T(administrators_only)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
