/*
 * test_oci.c - the configuration for the OCI runtime: valid JSON, docker's defaults, nothing injected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "rightless/oci.h"

static char *args[] = {"sh", "-c", "echo \"hi\"\n\x01\\"};
static char *env[] = {"A=1", "HOST_SECRET", "HOME=/h", "B=\"],\"root\":{\"path\":\"/"};

static struct rt_spec plain(void) {
    return (struct rt_spec){.args = {args, 3},
                            .env = {env, 4},
                            .cwd = "/w",
                            .user = "",
                            .caps = 0xa80425fb,
                            .hostname = "box",
                            .domainname = "",
                            .seccomp_profile = ""};
}

static json_t *config(const struct rt_spec *s, bool userns) {
    const struct lnc_user u = {.uid = 5, .gid = 6, .n_groups = 2, .groups = {7, 8}, .home = "/home/u"};
    const struct lnc_oci o = {.spec = s,
                              .user = &u,
                              .id = "abc",
                              .stage = "/mnt",
                              .base = userns ? 268500992u : 0,
                              .userns = userns,
                              .cgroup = true,
                              .own_caps = 0x1fffffffffull & ~(1ull << 24),
                              .own_limits = {[7] = 1000}}; /* nofile */
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT;
    json_error_t e;
    json_t *j;

    lnc_oci_config(&b, &o);
    j = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, &e);
    if (j == NULL)
        print_message("%s at %d: %.400s\n", e.text, e.position, b.data);
    assert_non_null(j);
    return j;
}

/* "process.user.uid" */
static json_t *at(json_t *j, const char *path) {
    BH_SCOPE_FREE char *copy = bh_xstrdup(path);
    char *save = NULL;

    for (char *key = strtok_r(copy, ".", &save); key != NULL; key = strtok_r(NULL, ".", &save))
        j = key[0] >= '0' && key[0] <= '9' ? json_array_get(j, (size_t)atoi(key)) : json_object_get(j, key);
    return j;
}

static bool holds(json_t *list, const char *word) {
    size_t i;
    json_t *v;

    json_array_foreach(list, i, v) if (json_is_string(v) && strcmp(json_string_value(v), word) == 0) return true;
    return false;
}

static json_t *mount_of(json_t *j, const char *target) {
    size_t i;
    json_t *v;

    json_array_foreach(at(j, "mounts"), i,
                       v) if (strcmp(json_string_value(at(v, "destination")), target) == 0) return v;
    return NULL;
}

static bool allowed(json_t *j, const char *call) {
    size_t i;
    json_t *v;

    json_array_foreach(at(j, "linux.seccomp.syscalls"), i,
                       v) if (holds(at(v, "names"), call) &&
                              strcmp(json_string_value(at(v, "action")), "SCMP_ACT_ALLOW") == 0) return true;
    return false;
}

static void test_default(void **state) {
    const struct rt_spec s = plain();
    json_t *j = config(&s, true);

    (void)state;
    assert_string_equal(json_string_value(at(j, "process.args.2")), "echo \"hi\"\n\x01\\");
    assert_string_equal(json_string_value(at(j, "root.path")), "/mnt/rootfs");
    assert_int_equal(json_integer_value(at(j, "process.user.uid")), 5);
    assert_int_equal(json_integer_value(at(j, "process.user.additionalGids.1")), 8);
    assert_int_equal(json_array_size(at(j, "process.capabilities.effective")), 14);
    assert_int_equal(json_array_size(at(j, "process.capabilities.inheritable")), 0);
    assert_true(holds(at(j, "process.capabilities.bounding"), "CAP_CHOWN"));
    assert_false(holds(at(j, "process.capabilities.bounding"), "CAP_SYS_ADMIN"));
    assert_true(holds(at(j, "process.env"), "HOME=/h") && holds(at(j, "process.env"), "HOSTNAME=box"));
    assert_false(holds(at(j, "process.env"), "HOST_SECRET")); /* an entry without '=' never takes the host's value */
    assert_true(holds(at(j, "process.env"), env[3]));
    assert_int_equal(json_integer_value(at(j, "linux.uidMappings.0.hostID")), 268500992);
    assert_int_equal(json_integer_value(at(j, "linux.uidMappings.0.size")), 65536);
    assert_int_equal(json_array_size(at(j, "linux.namespaces")), 7);
    assert_non_null(mount_of(j, "/dev/shm"));
    assert_true(holds(at(mount_of(j, "/sys"), "options"), "ro"));
    assert_true(holds(at(j, "linux.maskedPaths"), "/proc/kcore"));
    assert_string_equal(json_string_value(at(j, "linux.cgroupsPath")), "/bulkhead/abc");
    json_decref(j);
}

static void test_seccomp(void **state) {
    static const char *const never[] = {"keyctl",
                                        "add_key",
                                        "request_key",
                                        "bpf",
                                        "perf_event_open",
                                        "userfaultfd",
                                        "mount",
                                        "io_uring_setup",
                                        "io_uring_enter",
                                        "io_uring_register",
                                        "unshare",
                                        "setns",
                                        "init_module",
                                        "kexec_load",
                                        "open_by_handle_at",
                                        "socketcall",
                                        "clone3"};
    static const char *const always[] = {"read",    "execve", "clone",  "socket",
                                         "openat2", "futex",  "ptrace", "landlock_restrict_self"};
    struct rt_spec s = plain();
    json_t *j = config(&s, true);

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(never); i++)
        assert_false(allowed(j, never[i]));
    for (size_t i = 0; i < BH_ARRAY_LEN(always); i++)
        assert_true(allowed(j, always[i]));
    assert_null(at(j, "linux.seccomp.architectures")); /* the native one alone */
    json_decref(j);
    s.caps |= 1u << 21;
    j = config(&s, true);
    assert_true(allowed(j, "mount") && allowed(j, "clone3"));
    json_decref(j);
    static char *names[] = {"mkdir", "od\"d"};
    static struct rt_seccomp_arg a[] = {{1, 2, 3, "SCMP_CMP_MASKED_EQ"}};
    static struct rt_seccomp_rule rules[] = {{{names, 2}, "SCMP_ACT_ERRNO", 13, a, 1},
                                             {{names, 1}, "SCMP_ACT_ALLOW", 1, NULL, 0}};
    s.seccomp = (struct rt_seccomp){"SCMP_ACT_ALLOW", 1, {names, 1}, {NULL, 0}, rules, 2};
    s.flags = RT_PRIVILEGED; /* also then: it was asked for by name */
    j = config(&s, true);
    assert_string_equal(json_string_value(at(j, "linux.seccomp.defaultAction")), "SCMP_ACT_ALLOW");
    assert_null(at(j, "linux.seccomp.defaultErrnoRet"));
    assert_int_equal(json_array_size(at(j, "linux.seccomp.architectures")), 1);
    assert_int_equal(json_array_size(at(j, "linux.seccomp.syscalls")), 2);
    assert_true(holds(at(j, "linux.seccomp.syscalls.0.names"), "od\"d"));
    assert_int_equal(json_integer_value(at(j, "linux.seccomp.syscalls.0.errnoRet")), 13);
    assert_int_equal(json_integer_value(at(j, "linux.seccomp.syscalls.0.args.0.value")), 2);
    assert_null(at(j, "linux.seccomp.syscalls.1.args"));
    json_decref(j);
    s.seccomp = (struct rt_seccomp){0};
    s.flags = RT_SECCOMP_UNCONFINED;
    j = config(&s, true);
    assert_null(at(j, "linux.seccomp"));
    json_decref(j);
}

static void test_privileged(void **state) {
    struct rt_spec s = plain();
    json_t *j;

    (void)state;
    s.flags = RT_PRIVILEGED | RT_NET_HOST;
    j = config(&s, false);
    assert_null(at(j, "linux.maskedPaths"));
    assert_null(at(j, "linux.seccomp"));
    assert_null(at(j, "linux.uidMappings"));
    assert_int_equal(json_array_size(at(j, "process.capabilities.effective")), 36); /* what launch itself has */
    assert_false(holds(at(mount_of(j, "/sys"), "options"), "ro"));
    json_decref(j);
}

static void test_limits_and_sysctls(void **state) {
    static struct rt_ulimit u[] = {{"nofile", 100, UINT64_MAX}, {"nosuch", 1, 1}};
    static char *sysctl[] = {"net.core.somaxconn=5", "kernel.shmmax=6", "kernel.core_pattern=|/x", "net/x=1", "vm.x=1",
                             "fs.mqueue.a=1+"};
    struct rt_spec s = plain();
    json_t *j;

    (void)state;
    s.ulimits = u;
    s.n_ulimits = 2;
    s.sysctls = (struct rt_strings){sysctl, 6};
    j = config(&s, true);
    assert_int_equal(json_array_size(at(j, "process.rlimits")), 1);
    assert_int_equal(json_integer_value(at(j, "process.rlimits.0.hard")), 1000); /* no more than launch has */
    assert_non_null(json_object_get(at(j, "linux.sysctl"), "kernel.shmmax"));
    assert_non_null(json_object_get(at(j, "linux.sysctl"), "net.core.somaxconn"));
    assert_null(json_object_get(at(j, "linux.sysctl"), "kernel.core_pattern"));
    assert_null(json_object_get(at(j, "linux.sysctl"), "vm.x"));
    json_decref(j);
    s.flags = RT_NET_HOST;
    j = config(&s, true);
    assert_null(json_object_get(at(j, "linux.sysctl"), "net.core.somaxconn"));
    json_decref(j);
}

static int64_t number(json_t *j, const char *path) {
    assert_true(json_is_integer(at(j, path)));
    return json_integer_value(at(j, path));
}

/* Nothing that was not asked for, not even as a zero: the OCI runtime would write it. */
static void test_cgroup_limits(void **state) {
    struct rt_spec s = plain();
    json_t *j = config(&s, true);

    (void)state;
    assert_int_equal(json_object_size(at(j, "linux.resources.memory")), 0);
    assert_int_equal(json_object_size(at(j, "linux.resources.cpu")), 0);
    assert_null(at(j, "linux.resources.pids"));
    assert_null(at(j, "linux.resources.blockIO"));
    json_decref(j);
    s.limits = (struct rt_limits){.memory = 64 << 20,
                                  .reservation = 32 << 20,
                                  .swap = 100 << 20,
                                  .nano_cpus = 1500000000,
                                  .shares = 300,
                                  .pids = 20,
                                  .blkio_weight = 500,
                                  .flags = RT_LIMIT_SWAPPINESS | RT_LIMIT_NO_OOM_KILL,
                                  .swappiness = 0,
                                  .cpus = "0-2,\"",
                                  .mems = "0"};
    j = config(&s, true);
    assert_int_equal(number(j, "linux.resources.memory.limit"), 64 << 20);
    assert_int_equal(number(j, "linux.resources.memory.reservation"), 32 << 20);
    assert_int_equal(number(j, "linux.resources.memory.swap"), 100 << 20);
    assert_int_equal(number(j, "linux.resources.memory.swappiness"), 0);
    assert_true(json_is_true(at(j, "linux.resources.memory.disableOOMKiller")));
    assert_int_equal(number(j, "linux.resources.cpu.period"), 100000);
    assert_int_equal(number(j, "linux.resources.cpu.quota"), 150000);
    assert_int_equal(number(j, "linux.resources.cpu.shares"), 300);
    assert_string_equal(json_string_value(at(j, "linux.resources.cpu.cpus")), "0-2,\"");
    assert_int_equal(number(j, "linux.resources.pids.limit"), 20);
    assert_int_equal(number(j, "linux.resources.blockIO.weight"), 500);
    json_decref(j);
    s.limits = (struct rt_limits){.memory = 64 << 20, .swap = -1, .period = 50000, .quota = -1};
    j = config(&s, true);
    assert_null(at(j, "linux.resources.memory.swap"));
    assert_int_equal(number(j, "linux.resources.cpu.period"), 50000);
    assert_int_equal(number(j, "linux.resources.cpu.quota"), -1);
    json_decref(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_default), cmocka_unit_test(test_seccomp),
                                       cmocka_unit_test(test_privileged), cmocka_unit_test(test_limits_and_sysctls),
                                       cmocka_unit_test(test_cgroup_limits)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
