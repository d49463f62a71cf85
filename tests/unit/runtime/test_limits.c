/*
 * test_limits.c - which limits are allowed, which are dropped with a warning, what fills in for what was left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/limits.h"
#include "wire/launch_wire.h"

#define MB  ((uint64_t)1 << 20)
#define ALL 0x3ffu

struct row {
    struct rt_limits in;
    const char *error; /* NULL: taken */
};

static int settle(struct rt_limits *l, uint32_t held, struct bh_strlist *warnings, struct bh_arena *arena,
                  struct bh_err *err) {
    const struct rt_limits_host host = {.held = held, .cpus = "0-3,6", .mems = "0", .n_cpus = 4};

    *warnings = (struct bh_strlist){0};
    return rt_limits_settle(l, &host, arena, warnings, err);
}

/* In the words and ranges of docker 28. */
static void test_ranges(void **state) {
    static const struct row rows[] = {
        {{0}, NULL},
        {{.memory = 6 * MB}, NULL},
        {{.memory = 6 * MB - 1}, "Minimum memory limit allowed is 6MB"},
        {{.memory = 64 * MB, .swap = 64 * MB}, NULL},
        {{.memory = 64 * MB, .swap = -1}, NULL},
        {{.swap = -1}, NULL},
        {{.swap = -2}, "a limit of memory and swap is a size, or -1 for no limit of swap"},
        {{.memory = 64 * MB, .swap = 32 * MB},
         "Minimum memoryswap limit should be larger than memory limit, see usage"},
        {{.swap = 64 * MB}, "You should always set the Memory limit when using Memoryswap limit, see usage"},
        {{.reservation = 1}, "Minimum memory reservation allowed is 6MB"},
        {{.reservation = 32 * MB}, NULL},
        {{.memory = 32 * MB, .reservation = 64 * MB},
         "Minimum memory limit can not be less than memory reservation limit, see usage"},
        {{.flags = RT_LIMIT_SWAPPINESS, .swappiness = 101},
         "Invalid value: 101, valid memory swappiness range is 0-100"},
        {{.nano_cpus = 4000000000}, NULL},
        {{.nano_cpus = 4000000001}, "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"},
        {{.nano_cpus = -1}, "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"},
        {{.nano_cpus = 9999999}, "Range of CPUs is from 0.01 to 4.00, as that is the least that the kernel gives"},
        {{.nano_cpus = 1000000000, .period = 50000},
         "Conflicting options: Nano CPUs and CPU Period cannot both be set"},
        {{.nano_cpus = 1000000000, .quota = 50000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"},
        {{.period = 999}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"},
        {{.period = 1000001}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"},
        {{.period = -1}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"},
        {{.period = 1000, .quota = 1000, .shares = 1}, NULL},
        {{.quota = 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"},
        {{.quota = -1}, NULL},
        {{.shares = -1}, "invalid CPU shares (-1): value must be a positive integer"},
        {{.cpus = "0-3"}, NULL},
        {{.cpus = "6,0"}, NULL},
        {{.cpus = "0-4"}, "Requested CPUs are not available - requested 0-4, available: 0-3,6"},
        {{.cpus = "x"}, "Invalid value x for cpuset cpus: invalid format: x"},
        {{.cpus = "1-0"}, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"},
        {{.cpus = "0,"}, "Invalid value 0, for cpuset cpus: invalid format: 0,"},
        {{.cpus = "0-"}, "Invalid value 0- for cpuset cpus: invalid format: 0-"},
        {{.cpus = "9999"}, "Invalid value 9999 for cpuset cpus: invalid format: 9999"},
        {{.cpus = "0\n"}, "Invalid value 0\n for cpuset cpus: invalid format: 0\n"},
        {{.mems = "3"}, "Requested memory nodes are not available - requested 3, available: 0"},
        {{.blkio_weight = 10}, NULL},
        {{.blkio_weight = 9}, "Range of blkio weight is from 10 to 1000"},
        {{.blkio_weight = 1001}, "Range of blkio weight is from 10 to 1000"},
        {{.memory = INT64_MAX}, "a memory limit of that size is none: leave it out"},
    };
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct rt_limits l = rows[i].in;
        struct bh_err err = BH_ERR_INIT;
        struct bh_strlist warnings;

        assert_int_equal(settle(&l, ALL, &warnings, &arena, &err), rows[i].error != NULL ? BH_E_INVALID : 0);
        if (rows[i].error != NULL)
            assert_string_equal(err.msg, rows[i].error);
        assert_int_equal(warnings.n, 0);
    }
    bh_arena_fini(&arena);
}

static void test_defaults(void **state) {
    struct rt_limits l = {.memory = 8 * MB, .pids = -5};
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist warnings;
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(settle(&l, ALL, &warnings, &arena, &err), 0);
    assert_int_equal(l.swap, 16 * MB);
    assert_int_equal(l.pids, 0);
    assert_int_equal(l.flags, RT_LIMIT_OOM_KNOWN);
    l = (struct rt_limits){.flags = RT_LIMIT_NO_OOM_KILL};
    assert_int_equal(settle(&l, ALL, &warnings, &arena, &err), 0);
    assert_int_equal(warnings.n, 1);
    assert_non_null(strstr(warnings.v[0], "no memory limit is set"));
    bh_arena_fini(&arena);
}

/* A limit that cannot be held is told and dropped, each by itself. */
static void test_dropped(void **state) {
    static const struct {
        struct rt_limits in;
        uint32_t lacks;
        const char *warning;
    } rows[] = {
        {{.memory = 8 * MB}, RT_HELD_MEMORY, "memory limit"},
        {{.reservation = 8 * MB}, RT_HELD_RESERVATION, "memory soft limit"},
        {{.flags = RT_LIMIT_SWAPPINESS}, RT_HELD_SWAPPINESS, "memory swappiness"},
        {{.flags = RT_LIMIT_NO_OOM_KILL, .memory = 0}, RT_HELD_OOM_KILL, "OomKillDisable"},
        {{.pids = 9}, RT_HELD_PIDS, "PIDs limit"},
        {{.shares = 9}, RT_HELD_CPU_SHARES, "CPU shares"},
        {{.quota = 9000}, RT_HELD_CPU_CFS, "Period or quota discarded"},
        {{.cpus = "0"}, RT_HELD_CPUSET, "Cpuset discarded"},
        {{.blkio_weight = 20}, RT_HELD_BLKIO, "Weight discarded"},
    };
    struct rt_limits l = {.memory = 8 * MB}, cpus = {.nano_cpus = 1000000000};
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist warnings;
    struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        struct rt_limits one = rows[i].in;

        assert_true(rt_limits_any(&one));
        assert_int_equal(settle(&one, ALL & ~rows[i].lacks, &warnings, &arena, &err), 0);
        assert_int_equal(warnings.n, 1);
        assert_non_null(strstr(warnings.v[0], rows[i].warning));
        assert_false(rt_limits_any(&one));
    }
    assert_int_equal(settle(&l, ALL & ~(uint32_t)RT_HELD_SWAP, &warnings, &arena, &err), 0);
    assert_int_equal(l.swap, -1);
    assert_int_equal(l.memory, 8 * MB);
    assert_non_null(strstr(warnings.v[0], "Memory limited without swap"));
    assert_int_equal(settle(&cpus, 0, &warnings, &arena, &err), BH_E_INVALID);
    bh_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges), cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_dropped)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
