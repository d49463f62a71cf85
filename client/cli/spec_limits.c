/*
 * spec_limits.c - the limits that the kernel holds a container to: options -> Limits of proto/common.proto.
 *
 * Room: client.  Which values are allowed, and which of them this host can hold, is the engine's to say.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/spec.h"

static int usage(struct bh_err *err, const char *option, const char *value) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%s\" for \"%s\" flag: invalid size: '%s'", value, option, value);
    return bh_err_reason(err, "usage");
}

/* A size, or -1 for as much swap as there is. */
static int set_swap(const struct cli_args *args, bulkhead_value *limits, struct bh_err *err) {
    const char *text = cli_str(args, "memory-swap");
    uint64_t bytes = 0;

    if (!cli_given(args, "memory-swap"))
        return 0;
    if (strcmp(text, "-1") == 0)
        bulkhead_set_int(limits, "memory_swap", -1);
    else if (bh_str_bytes(text, &bytes) && bytes <= INT64_MAX)
        bulkhead_set_int(limits, "memory_swap", (int64_t)bytes);
    else
        return usage(err, "--memory-swap", text);
    return 0;
}

static int set_shared(const struct cli_args *args, bulkhead_value *limits, struct bh_err *err) {
    static const struct {
        const char *option, *field;
    } numbers[] = {{"cpu-shares", "cpu_shares"}, {"cpu-period", "cpu_period"}, {"cpu-quota", "cpu_quota"}};
    double cpus = cli_float(args, "cpus");

    if (fabs(cpus) > 1e6) {
        bh_err_set(err, BH_E_INVALID, "invalid argument for \"--cpus\" flag: no host has so many processors");
        return bh_err_reason(err, "usage");
    }
    bulkhead_set_uint(limits, "memory", cli_bytes(args, "memory"));
    bulkhead_set_int(limits, "nano_cpus", llround(cpus * 1e9));
    for (size_t i = 0; i < BH_ARRAY_LEN(numbers); i++)
        bulkhead_set_int(limits, numbers[i].field, cli_int(args, numbers[i].option));
    if (cli_given(args, "cpuset-cpus"))
        bulkhead_set_str(limits, "cpuset_cpus", cli_str(args, "cpuset-cpus"));
    if (cli_given(args, "cpuset-mems"))
        bulkhead_set_str(limits, "cpuset_mems", cli_str(args, "cpuset-mems"));
    return set_swap(args, limits, err);
}

static int set_own(const struct cli_args *args, bulkhead_value *limits, struct bh_err *err) {
    int64_t swappiness = cli_int(args, "memory-swappiness"), weight = cli_int(args, "blkio-weight");

    if (swappiness < -1 || swappiness > 100) {
        bh_err_set(err, BH_E_INVALID, "invalid value: %lld. Valid memory swappiness range is 0-100",
                   (long long)swappiness);
        return bh_err_reason(err, "usage");
    }
    if (weight < 0 || weight > UINT16_MAX) {
        bh_err_set(err, BH_E_INVALID, "invalid argument \"%lld\" for \"--blkio-weight\" flag: value out of range",
                   (long long)weight);
        return bh_err_reason(err, "usage");
    }
    bulkhead_set_uint(limits, "memory_reservation", cli_bytes(args, "memory-reservation"));
    bulkhead_set_bool(limits, "memory_swappiness_set", swappiness >= 0);
    bulkhead_set_uint(limits, "memory_swappiness", swappiness >= 0 ? (uint64_t)swappiness : 0);
    bulkhead_set_bool(limits, "oom_kill_disable", cli_bool(args, "oom-kill-disable"));
    bulkhead_set_int(limits, "pids_limit", cli_int(args, "pids-limit"));
    bulkhead_set_uint(limits, "blkio_weight", (uint64_t)weight);
    return 0;
}

int cli_build_limits_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err) {
    bulkhead_value *limits = bulkhead_map_new();
    int r = set_shared(args, limits, err);

    bulkhead_set(out, "limits", limits);
    return r;
}

int cli_limits_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err) {
    bulkhead_value *limits = bulkhead_map_new();
    int r = set_shared(args, limits, err) == 0 ? set_own(args, limits, err) : err->code;

    bulkhead_set(out, "limits", limits);
    return r;
}
