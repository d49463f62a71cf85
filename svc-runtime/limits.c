/*
 * limits.c - see limits.h.
 *
 * Room: runtime.  Foreign: the limits.  The sets of processors and memory nodes are the only text among them; they are
 * taken apart here and go on as they came.
 */
#include "svc-runtime/limits.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "wire/launch_wire.h"

#define MIN_MEMORY ((uint64_t)6 << 20)
#define MAX_SET    8192 /* processors */
#define BILLION    INT64_C(1000000000)

struct settle {
    struct rt_limits *l;
    const struct rt_limits_host *host;
    struct bh_arena *arena;
    struct bh_strlist *warnings;
};

static bool holds(const struct settle *s, uint32_t what) {
    return (s->host->held & what) == what;
}

static int warn(const struct settle *s, const char *text, struct bh_err *err) {
    return bh_strlist_add(s->warnings, s->arena, text, err);
}

/* Warns when something was asked for that does not hold; what to drop is the caller's. */
static int lacks(const struct settle *s, uint32_t what, bool asked, bool *out, const char *text, struct bh_err *err) {
    *out = asked && !holds(s, what);
    return *out ? warn(s, text, err) : 0;
}

/* ---- memory ------------------------------------------------------------------------------------ */

static int drop_memory(const struct settle *s, struct bh_err *err) {
    struct rt_limits *l = s->l;
    bool none, no_swap, no_soft, no_swappiness;

    if (lacks(s, RT_HELD_MEMORY, l->memory != 0, &none,
              "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation "
              "discarded.",
              err) != 0)
        return err->code;
    if (none) {
        l->memory = 0;
        l->swap = -1;
    }
    if (lacks(s, RT_HELD_SWAP, l->memory != 0 && l->swap != -1, &no_swap,
              "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited "
              "without swap.",
              err) != 0 ||
        lacks(s, RT_HELD_RESERVATION, l->reservation != 0, &no_soft,
              "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation "
              "discarded.",
              err) != 0 ||
        lacks(s, RT_HELD_SWAPPINESS, (l->flags & RT_LIMIT_SWAPPINESS) != 0, &no_swappiness,
              "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory "
              "swappiness discarded.",
              err) != 0)
        return err->code;
    if (no_swap)
        l->swap = -1;
    if (no_soft)
        l->reservation = 0;
    if (no_swappiness) {
        l->flags &= ~(uint32_t)RT_LIMIT_SWAPPINESS;
        l->swappiness = 0;
    }
    return 0;
}

static int settle_memory(const struct settle *s, struct bh_err *err) {
    struct rt_limits *l = s->l;

    if (l->memory > INT64_MAX / 2 || l->reservation > INT64_MAX / 2)
        return bh_err_set(err, BH_E_INVALID, "a memory limit of that size is none: leave it out");
    if (l->memory != 0 && l->memory < MIN_MEMORY)
        return bh_err_set(err, BH_E_INVALID, "Minimum memory limit allowed is 6MB");
    if (l->memory != 0 && l->swap == 0)
        l->swap = 2 * (int64_t)l->memory;
    if (drop_memory(s, err) != 0)
        return err->code;
    if (l->memory != 0 && l->swap > 0 && (uint64_t)l->swap < l->memory)
        return bh_err_set(err, BH_E_INVALID, "Minimum memoryswap limit should be larger than memory limit, see usage");
    if (l->memory == 0 && l->swap > 0)
        return bh_err_set(err, BH_E_INVALID,
                          "You should always set the Memory limit when using Memoryswap limit, see usage");
    if (l->swap < -1)
        return bh_err_set(err, BH_E_INVALID, "a limit of memory and swap is a size, or -1 for no limit of swap");
    if (l->swappiness > 100)
        return bh_err_set(err, BH_E_INVALID, "Invalid value: %u, valid memory swappiness range is 0-100",
                          l->swappiness);
    if (l->reservation != 0 && l->reservation < MIN_MEMORY)
        return bh_err_set(err, BH_E_INVALID, "Minimum memory reservation allowed is 6MB");
    if (l->memory != 0 && l->memory < l->reservation)
        return bh_err_set(err, BH_E_INVALID,
                          "Minimum memory limit can not be less than memory reservation limit, see usage");
    return 0;
}

/* Whether the killer is on is told of every container where it can be switched off, as docker has it. */
static int settle_oom(const struct settle *s, struct bh_err *err) {
    struct rt_limits *l = s->l;
    bool gone;

    l->flags &= ~(uint32_t)RT_LIMIT_OOM_KNOWN;
    if (lacks(s, RT_HELD_OOM_KILL, (l->flags & RT_LIMIT_NO_OOM_KILL) != 0, &gone,
              "Your kernel does not support OomKillDisable. OomKillDisable discarded.", err) != 0)
        return err->code;
    if (gone)
        l->flags &= ~(uint32_t)RT_LIMIT_NO_OOM_KILL;
    if (holds(s, RT_HELD_OOM_KILL))
        l->flags |= RT_LIMIT_OOM_KNOWN;
    if (!(l->flags & RT_LIMIT_NO_OOM_KILL) || l->memory != 0)
        return 0;
    return warn(s,
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
                "running out of resources.",
                err);
}

static int settle_pids(const struct settle *s, struct bh_err *err) {
    bool gone;

    if (s->l->pids < 0)
        s->l->pids = 0;
    if (lacks(s, RT_HELD_PIDS, s->l->pids != 0, &gone,
              "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit "
              "discarded.",
              err) != 0)
        return err->code;
    if (gone)
        s->l->pids = 0;
    return 0;
}

/* ---- processors -------------------------------------------------------------------------------- */

static int check_cpus(const struct settle *s, struct bh_err *err) {
    const struct rt_limits *l = s->l;

    if (l->nano_cpus > 0 && l->period > 0)
        return bh_err_set(err, BH_E_INVALID, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
    if (l->nano_cpus > 0 && l->quota > 0)
        return bh_err_set(err, BH_E_INVALID, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    if (l->nano_cpus > 0 && !holds(s, RT_HELD_CPU_CFS))
        return bh_err_set(err, BH_E_INVALID,
                          "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup "
                          "is not mounted");
    if (l->nano_cpus < 0 || l->nano_cpus > s->host->n_cpus * BILLION)
        return bh_err_set(err, BH_E_INVALID, "Range of CPUs is from 0.01 to %u.00, as there are only %u CPUs available",
                          s->host->n_cpus, s->host->n_cpus);
    if (l->nano_cpus != 0 && l->nano_cpus < BILLION / 100) /* docker says so when the container is started */
        return bh_err_set(err, BH_E_INVALID,
                          "Range of CPUs is from 0.01 to %u.00, as that is the least that the "
                          "kernel gives",
                          s->host->n_cpus);
    if (l->shares < 0)
        return bh_err_set(err, BH_E_INVALID, "invalid CPU shares (%lld): value must be a positive integer",
                          (long long)l->shares);
    return 0;
}

static int settle_cpu(const struct settle *s, struct bh_err *err) {
    struct rt_limits *l = s->l;
    bool no_shares, no_cfs;

    if (check_cpus(s, err) != 0 ||
        lacks(s, RT_HELD_CPU_SHARES, l->shares != 0, &no_shares,
              "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.", err) != 0 ||
        lacks(s, RT_HELD_CPU_CFS, l->period != 0 || l->quota != 0, &no_cfs,
              "Your kernel does not support CPU CFS scheduler or the cgroup is not mounted. Period or quota "
              "discarded.",
              err) != 0)
        return err->code;
    if (no_shares)
        l->shares = 0;
    if (no_cfs)
        l->period = l->quota = 0;
    if (l->period != 0 && (l->period < 1000 || l->period > 1000000))
        return bh_err_set(err, BH_E_INVALID,
                          "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    if (l->quota > 0 && l->quota < 1000)
        return bh_err_set(err, BH_E_INVALID, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
    return 0;
}

/* ---- sets of processors and memory nodes ------------------------------------------------------- */

struct set {
    unsigned char bits[MAX_SET / 8];
};

static bool take_number(const char **p, unsigned *out) {
    size_t n = strspn(*p, "0123456789");

    if (n == 0 || n > 4)
        return false;
    *out = 0;
    for (; n > 0; n--, (*p)++)
        *out = *out * 10 + (unsigned)(**p - '0');
    return *out < MAX_SET;
}

/* "0-2,5" */
static bool set_parse(const char *text, struct set *out) {
    const char *p = text;

    *out = (struct set){0};
    for (;;) {
        unsigned first, last;

        if (!take_number(&p, &first))
            return false;
        last = first;
        if (*p == '-' && (p++, !take_number(&p, &last) || last < first))
            return false;
        for (unsigned i = first; i <= last; i++)
            out->bits[i / 8] |= (unsigned char)(1u << (i % 8));
        if (*p == 0)
            return true;
        if (*p++ != ',')
            return false;
    }
}

static int check_set(const char *text, const char *available, const char *what, const char *plural,
                     struct bh_err *err) {
    struct set want, have;

    if (text == NULL || *text == 0)
        return 0;
    if (strlen(text) > 1024 || !set_parse(text, &want))
        return bh_err_set(err, BH_E_INVALID, "Invalid value %.80s for cpuset %s: invalid format: %.80s", text, what,
                          text);
    if (!set_parse(available, &have))
        return 0; /* the kernel tells at the start */
    for (size_t i = 0; i < sizeof want.bits; i++)
        if (want.bits[i] & ~have.bits[i])
            return bh_err_set(err, BH_E_INVALID, "Requested %s are not available - requested %.80s, available: %s",
                              plural, text, available);
    return 0;
}

static int settle_cpuset(const struct settle *s, struct bh_err *err) {
    struct rt_limits *l = s->l;
    bool asked = (l->cpus != NULL && *l->cpus != 0) || (l->mems != NULL && *l->mems != 0), gone;

    if (lacks(s, RT_HELD_CPUSET, asked, &gone,
              "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.", err) != 0)
        return err->code;
    if (gone)
        l->cpus = l->mems = NULL;
    if (check_set(l->cpus, s->host->cpus, "cpus", "CPUs", err) != 0)
        return err->code;
    return check_set(l->mems, s->host->mems, "mems", "memory nodes", err);
}

/* ---- disks ------------------------------------------------------------------------------------- */

static int settle_blkio(const struct settle *s, struct bh_err *err) {
    struct rt_limits *l = s->l;
    bool gone;

    if (lacks(s, RT_HELD_BLKIO, l->blkio_weight != 0, &gone,
              "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
              err) != 0)
        return err->code;
    if (gone)
        l->blkio_weight = 0;
    if (l->blkio_weight != 0 && (l->blkio_weight < 10 || l->blkio_weight > 1000))
        return bh_err_set(err, BH_E_INVALID, "Range of blkio weight is from 10 to 1000");
    return 0;
}

int rt_limits_settle(struct rt_limits *l, const struct rt_limits_host *host, struct bh_arena *arena,
                     struct bh_strlist *warnings, struct bh_err *err) {
    const struct settle s = {.l = l, .host = host, .arena = arena, .warnings = warnings};

    if (settle_memory(&s, err) != 0 || settle_oom(&s, err) != 0 || settle_pids(&s, err) != 0 ||
        settle_cpu(&s, err) != 0 || settle_cpuset(&s, err) != 0)
        return err->code;
    return settle_blkio(&s, err);
}

bool rt_limits_any(const struct rt_limits *l) {
    return l->memory != 0 || l->reservation != 0 || l->nano_cpus != 0 || l->swap > 0 || l->shares != 0 ||
           l->period != 0 || l->quota > 0 || l->pids != 0 || l->blkio_weight != 0 ||
           (l->flags & (RT_LIMIT_SWAPPINESS | RT_LIMIT_NO_OOM_KILL)) != 0 || (l->cpus != NULL && *l->cpus != 0) ||
           (l->mems != NULL && *l->mems != 0);
}
