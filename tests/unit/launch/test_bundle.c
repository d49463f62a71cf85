/*
 * test_bundle.c - what a child of launch without rights writes beside the OCI configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rightless/bundle.h"

static char *args[] = {"prog"};
static char *hosts[] = {"db:10.0.0.9", "six:2001:db8::2", "nocolon"};
static char *dns[] = {"10.1.1.1", "10.1.1.2"};
static char *search[] = {"a.example", "b.example"};

static struct rt_spec plain(void) {
    return (struct rt_spec){.args = {args, 1},
                            .cwd = "/",
                            .user = "",
                            .hostname = "box",
                            .domainname = "dom",
                            .seccomp_profile = "",
                            .tty_rows = 24,
                            .tty_cols = 80};
}

static void texts(void **state) {
    struct rt_spec s = plain();
    struct lnc_texts t;

    (void)state;
    s.extra_hosts = (struct rt_strings){hosts, 3};
    s.dns = (struct rt_strings){dns, 2};
    s.dns_search = (struct rt_strings){search, 2};
    lnc_texts_write(&s, &t);
    assert_non_null(strstr(bh_buf_str(&t.hosts), "127.0.0.1\tbox.dom box\n10.0.0.9\tdb\n2001:db8::2\tsix\n"));
    assert_null(strstr(bh_buf_str(&t.hosts), "nocolon"));
    assert_string_equal(bh_buf_str(&t.hostname), "box\n");
    assert_string_equal(bh_buf_str(&t.resolv),
                        "nameserver 10.1.1.1\nnameserver 10.1.1.2\nsearch a.example b.example\n");
    bh_buf_fini(&t.hosts);
    bh_buf_fini(&t.hostname);
    bh_buf_fini(&t.resolv);
}

/* The words of the command line, one after the other. */
static void expect_words(const struct rt_monitor_orders *o, const char *const *words) {
    const char *at = o->argv;
    uint32_t n = 0;

    for (; words[n] != NULL; n++, at += strlen(at) + 1)
        assert_string_equal(at, words[n]);
    assert_int_equal(o->argc, n);
}

static void orders(void **state) {
    struct rt_spec s = plain();
    struct rt_launch_request q = {.id = "abc", .oci = RT_OCI_CRUN_BARE, .stdio = 6};
    struct lnc_bundle b = {.oci = {.spec = &s, .stage = "/mnt", .base = 7}, .q = &q, .root = "/r", .monitor_uid = 5};
    static struct rt_monitor_orders o;

    (void)state;
    lnc_orders_fill(&b, &o);
    assert_string_equal(o.socket_name, "abc.sock");
    assert_string_equal(o.record_name, "run");
    assert_string_equal(o.console_path, "");
    assert_true(o.stdio == 6 && o.uid == 5 && o.container_uid == 7 && o.rows == 24);
    expect_words(&o, (const char *const[]){"crun", "--root", "/r/run/launch/oci", "--log", "/mnt/bundle/log",
                                           "--cgroup-manager=disabled", "run", "--detach", "--bundle", "/mnt/bundle",
                                           "--pid-file", "/mnt/bundle/pid", "abc", NULL});
    assert_true(o.filter[0] == 0 && !o.cgroup && !o.oom_set);
    q.oci = RT_OCI_RUNC;
    memcpy(q.exec_id, "def", 4);
    s.flags = RT_TTY;
    lnc_orders_fill(&b, &o);
    assert_string_equal(o.socket_name, "def.sock");
    assert_string_equal(o.record_name, "exec-def");
    expect_words(&o, (const char *const[]){"runc", "--root", "/r/run/launch/oci", "--log", "/mnt/bundle/log", "exec",
                                           "--detach", "--process", "/mnt/bundle/process.json", "--pid-file",
                                           "/mnt/bundle/pid", "--console-socket", "/mnt/bundle/tty", "abc", NULL});
}

/* An exec session that its monitor starts itself: no file, no OCI runtime, the container's filter. */
static void entering(void **state) {
    struct rt_spec s = plain();
    struct rt_launch_request q = {.id = "abc", .exec_id = "def", .oci = RT_OCI_CRUN};
    struct lnc_bundle b = {.oci = {.spec = &s, .stage = "/mnt", .base = 7, .userns = true, .cgroup = true},
                           .q = &q,
                           .root = "/r",
                           .enter = true};
    static struct rt_monitor_orders o;

    (void)state;
    s.oom_score_adj = 300;
    s.flags = RT_TTY;
    lnc_orders_fill(&b, &o);
    assert_string_equal(o.filter, "/r/run/launch/oci/abc/seccomp.bpf");
    assert_string_equal(o.program, "prog");
    assert_string_equal(o.record_name, "exec-def");
    assert_true(o.argc == 0 && o.stage[0] == 0 && o.console_path[0] == 0 && o.pid_path[0] == 0);
    assert_true(o.cgroup && o.oom_set && o.oom_score_adj == 300);
    assert_int_equal(lnc_bundle_count(&b), 2);
    assert_string_equal(lnc_bundle_place(&b, LNC_BUNDLE_ORDERS).path, "");
    assert_string_equal(lnc_bundle_place(&b, LNC_BUNDLE_CONFIG).path, "");
    b.enter = false;
    assert_string_equal(lnc_bundle_place(&b, LNC_BUNDLE_ORDERS).path, "");
    assert_string_equal(lnc_bundle_place(&b, LNC_BUNDLE_CONFIG).path, "/mnt/bundle/process.json");
}

static void host(void **state) {
    struct rt_device devices[] = {{"/dev/null", "/dev/mine", "rw"}, {"/etc/passwd", "/dev/file", "rw"}};
    struct rt_spec s = plain();
    struct lnc_oci o = {.spec = &s};
    struct bh_err err = BH_ERR_INIT;
    struct rlimit own;

    (void)state;
    s.devices = devices;
    s.n_devices = 2;
    assert_int_equal(lnc_host_look(&o, &err), BH_E_INVALID); /* what is no device is not one */
    assert_non_null(strstr(err.msg, "\"/etc/passwd\": not a device node"));
    bh_err_clear(&err);
    devices[1].source = "/dev/nosuch";
    assert_int_equal(lnc_host_look(&o, &err), BH_E_INVALID);
    assert_non_null(strstr(err.msg, "No such file"));
    bh_err_clear(&err);
    s.n_devices = 1;
    o.n_devices = 0;
    assert_int_equal(lnc_host_look(&o, &err), 0);
    assert_true(o.n_devices > 0);
    assert_string_equal(o.devices[0].path, "/dev/mine");
    assert_true(o.devices[0].major == 1 && o.devices[0].minor == 3 && !o.devices[0].block);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
    assert_int_equal(o.own_limits[RLIMIT_NOFILE], own.rlim_max);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(orders), cmocka_unit_test(entering),
                                       cmocka_unit_test(host)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
