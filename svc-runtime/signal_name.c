/*
 * signal_name.c - signals as users write them, see signal_name.h.
 *
 * Room: runtime.  Reads foreign text; keeps nothing.  The numbers are those of Linux on every
 * machine that we run on, written out because the kernel's table, not libc's, is what a container
 * sees (libc keeps 32 and 33 for itself, a container's process may use them).
 */
#include "svc-runtime/signal_name.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

#define RTMIN 34 /* as docker has it: after the two that libc keeps */
#define RTMAX RT_SIGNAL_MAX

static const struct {
    const char *name;
    int number;
} names[] = {
    {"HUP", 1},   {"INT", 2},   {"QUIT", 3},  {"ILL", 4},     {"TRAP", 5},      {"ABRT", 6},
    {"IOT", 6},   {"BUS", 7},   {"FPE", 8},   {"KILL", 9},    {"USR1", 10},     {"SEGV", 11},
    {"USR2", 12}, {"PIPE", 13}, {"ALRM", 14}, {"TERM", 15},   {"STKFLT", 16},   {"CHLD", 17},
    {"CLD", 17},  {"CONT", 18}, {"STOP", 19}, {"TSTP", 20},   {"TTIN", 21},     {"TTOU", 22},
    {"URG", 23},  {"XCPU", 24}, {"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27},     {"WINCH", 28},
    {"IO", 29},   {"POLL", 29}, {"PWR", 30},  {"SYS", 31},    {"RTMIN", RTMIN}, {"RTMAX", RTMAX},
};

/* "+3" after RTMIN, "-3" after RTMAX; "" is 0. */
static bool offset_of(const char *text, char sign, uint64_t *out) {
    if (*text == 0) {
        *out = 0;
        return true;
    }
    return *text == sign && bh_str_u64(text + 1, out) && *out <= RTMAX - RTMIN;
}

static int realtime(const char *name) {
    uint64_t n = 0;

    if (strncasecmp(name, "RTMIN", 5) == 0 && offset_of(name + 5, '+', &n))
        return RTMIN + (int)n;
    if (strncasecmp(name, "RTMAX", 5) == 0 && offset_of(name + 5, '-', &n))
        return RTMAX - (int)n;
    return 0;
}

static int by_name(const char *name) {
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (size_t i = 0; i < BH_ARRAY_LEN(names); i++)
        if (strcasecmp(name, names[i].name) == 0)
            return names[i].number;
    return realtime(name);
}

int rt_signal_parse(const char *text, int *out, struct bh_err *err) {
    uint64_t number = 0;
    int n = bh_str_u64(text, &number) ? (number <= RT_SIGNAL_MAX ? (int)number : 0) : by_name(text);

    if (n <= 0) {
        bh_err_set(err, BH_E_INVALID, "invalid signal: %s", text);
        bh_err_reason(err, "invalid-signal");
        return bh_err_hint(err, "use a name such as TERM or SIGKILL, or a number from 1 to %d", RT_SIGNAL_MAX);
    }
    *out = n;
    return 0;
}
