/*
 * test_inside.c - the last steps of an exec session's process, here without a container around it.
 *
 * Orders that do not hold are refused by any user; the rest needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "monitor/enter.h"
#include "wire/enter.h"
#include "wire/spec.h"

struct result {
    struct mon_step_report failed; /* step 0: none */
    int status;
    char out[8192];
};

static struct sock_filter allow_all = {BPF_RET | BPF_K, 0, 0, 0x7fff0000};

static struct rt_enter plain(uint32_t argc, uint32_t envc) {
    return (struct rt_enter){.version = RT_ENTER_VERSION, .argc = argc, .envc = envc, .umask = 022};
}

/* n bytes of text behind e, whatever e says. */
static struct result go(const struct rt_enter *e, const char *text, size_t n, bool filter) {
    static struct mon_enter enter;
    struct result r = {0};
    int report[2], out[2], fd = memfd_create("orders", 0);

    assert_true(pipe(report) == 0 && pipe(out) == 0 && fd >= 0);
    assert_true(write(fd, e, sizeof(*e)) == (ssize_t)sizeof(*e) && write(fd, text, n) == (ssize_t)n);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        bh_set_cloexec(report[1], true);
        enter = (struct mon_enter){.report = report[1], .terminal = -1, .cgroup_v2 = -1, .n_filter = filter};
        enter.filter[0] = allow_all;
        mon_inside(&enter, fd);
    }
    close(report[1]);
    close(out[1]);
    if (bh_read_full(report[0], &r.failed, sizeof(r.failed)) != (ssize_t)sizeof(r.failed))
        r.failed.step = 0;
    assert_true(bh_read_full(out[0], r.out, sizeof(r.out) - 1) >= 0);
    assert_int_equal(waitpid(pid, &r.status, 0), pid);
    close(report[0]);
    close(out[0]);
    close(fd);
    return r;
}

static struct result run(struct rt_enter e, const char *text, size_t n, bool filter) {
    e.text_size = n;
    return go(&e, text, n, filter);
}

static void refused(const struct rt_enter *e, const char *text, size_t n) {
    struct result r = go(e, text, n, false);

    assert_int_equal(r.failed.step, MON_STEP_ORDERS);
    assert_int_equal(WEXITSTATUS(r.status), 125);
}

static void malformed(void **state) {
    static const char text[] = "/\0/bin/true\0A=1";
    static const size_t n = sizeof(text);
    struct rt_enter e = plain(1, 1);

    (void)state;
    e.text_size = n;
    for (size_t cut = 0; cut < n; cut++) /* shorter than it says */
        refused(&e, text, cut);
    for (size_t cut = 1; cut < n; cut++) { /* with a size that is true, but words that are missing or have no end */
        e.text_size = cut;
        refused(&e, text, cut);
    }
    e.text_size = n + 1;
    refused(&e, text, n);
    e.text_size = UINT64_MAX;
    refused(&e, text, n);
    e.text_size = n;
    for (uint32_t more = 0; more < 3; more++) { /* other counts than there are words */
        e.argc = more;
        e.envc = more == 1 ? 2 : 1;
        refused(&e, text, n);
    }
    e = plain(UINT32_MAX, 3);
    e.text_size = n;
    refused(&e, text, n);
    e = plain(1, 1);
    e.text_size = n;
    e.version++;
    refused(&e, text, n);
    e.version--;
    e.n_groups = RT_ENTER_MAX_GROUPS + 1;
    refused(&e, text, n);
    e.n_groups = 0;
    e.n_limits = RT_ENTER_MAX_LIMITS + 1;
    refused(&e, text, n);
}

#define TEXT(s) s, sizeof(s)

static void need_root(void) {
    if (getuid() != 0)
        skip();
}

static void not_run(void **state) {
    static const struct {
        const char *text;
        size_t n;
        uint32_t step;
        int error;
    } rows[] = {{TEXT("/nosuch\0true\0PATH=/bin"), MON_STEP_FOLDER, ENOENT},
                {TEXT("/etc/passwd\0true\0PATH=/bin"), MON_STEP_FOLDER, ENOTDIR},
                {TEXT("/\0nosuch\0PATH=/bin"), MON_STEP_PROGRAM, ENOENT},
                {TEXT("/\0\0PATH=/bin"), MON_STEP_PROGRAM, ENOENT},
                {TEXT("/\0true\0PATH="), MON_STEP_PROGRAM, ENOENT},
                {TEXT("/\0true\0XPATH=/bin"), MON_STEP_PROGRAM, ENOENT},
                {TEXT("/bin\0true\0PATH=::"), MON_STEP_PROGRAM, ENOENT}, /* an empty part is no folder */
                {TEXT("/\0/etc\0PATH=/bin"), MON_STEP_PROGRAM, EISDIR},
                {TEXT("/\0/etc/passwd/x\0PATH=/bin"), MON_STEP_PROGRAM, ENOTDIR},
                {TEXT("/\0/etc/passwd\0PATH=/bin"), MON_STEP_PROGRAM, EACCES}};

    (void)state;
    need_root();
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct result r = run(plain(1, 1), rows[i].text, rows[i].n, false);

        if (r.failed.step != rows[i].step || r.failed.value != rows[i].error)
            fail_msg("row %zu: step %u, %s", i, r.failed.step, strerror(r.failed.value));
        if (r.failed.step == MON_STEP_FOLDER)
            assert_string_equal(r.failed.what, rows[i].text);
    }
}

static void runs(void **state) {
    struct result r;

    (void)state;
    need_root();
    r = run(plain(3, 2), TEXT("/tmp\0sh\0-c\0pwd; echo $A; exit 7\0A=b c\0PATH=/nosuch:/bin"), false);
    assert_int_equal(r.failed.step, 0);
    assert_string_equal(r.out, "/tmp\nb c\n");
    assert_int_equal(WEXITSTATUS(r.status), 7);
}

static void expect(const struct result *r, const char *line) {
    if (strstr(r->out, line) == NULL)
        fail_msg("no %s in %s", line, r->out);
}

static void rights(void **state) {
    struct rt_enter e = plain(2, 1);
    struct result r;

    (void)state;
    need_root();
    e.uid = 65533;
    e.gid = 65532;
    e.n_groups = 2;
    e.groups[0] = 7;
    e.groups[1] = 8;
    e.caps = 0x21;
    e.umask = 027;
    e.flags = RT_NO_NEW_PRIVS;
    r = run(e, TEXT("/\0cat\0/proc/self/status\0PATH=/bin"), true);
    expect(&r, "\nUmask:\t0027\n");
    expect(&r, "\nUid:\t65533\t65533\t65533\t65533\n");
    expect(&r, "\nGid:\t65532\t65532\t65532\t65532\n");
    expect(&r, "\nGroups:\t7 8 \n");
    expect(&r, "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
               "CapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\n");
    expect(&r, "\nNoNewPrivs:\t1\nSeccomp:\t2\n");
    expect(&r, "\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    e.uid = e.gid = 0;
    e.flags = 0;
    r = run(e, TEXT("/\0cat\0/proc/self/status\0PATH=/bin"), true);
    expect(&r, "\nCapPrm:\t0000000000000021\nCapEff:\t0000000000000021\nCapBnd:\t0000000000000021\n");
    expect(&r, "\nNoNewPrivs:\t0\nSeccomp:\t2\n");
    r = run(e, TEXT("/\0cat\0/proc/self/status\0PATH=/bin"), false);
    expect(&r, "\nSeccomp:\t0\n");
}

static void limits(void **state) {
    struct rt_enter e = plain(2, 1);
    struct result r;

    (void)state;
    need_root();
    e.n_limits = 2;
    e.limits[0].which = RLIMIT_NOFILE;
    e.limits[0].soft = 50;
    e.limits[0].hard = 60;
    e.limits[1].which = RLIMIT_CORE;
    r = run(e, TEXT("/\0cat\0/proc/self/limits\0PATH=/bin"), false);
    expect(&r, "Max open files            50                   60                   files");
    expect(&r, "Max core file size        0                    0                    bytes");
    e.limits[0].soft = 70; /* above the hard one */
    r = run(e, TEXT("/\0true\0x\0PATH=/bin"), false);
    assert_int_equal(r.failed.step, MON_STEP_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(malformed), cmocka_unit_test(not_run), cmocka_unit_test(runs),
                                       cmocka_unit_test(rights), cmocka_unit_test(limits)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
