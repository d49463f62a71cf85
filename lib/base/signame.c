/*
 * signame.c - see signame.h.  The table is Linux' for every processor but mips and sparc, which
 * this engine does not run on.  Pure.
 */
#include "base/signame.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

#define RTMIN 34 /* the C library keeps 32 and 33 */
#define RTMAX 64

static const char *const names[] = {
    "",          "SIGHUP",  "SIGINT",    "SIGQUIT", "SIGILL",   "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE",    "SIGKILL", "SIGUSR1",   "SIGSEGV", "SIGUSR2",  "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT",   "SIGSTOP", "SIGTSTP",  "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU",   "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",   "SIGPWR",  "SIGSYS",
};

static const struct {
    const char *name;
    int number;
} others[] = {{"IOT", 6}, {"CLD", 17}, {"POLL", 29}, {"UNUSED", 31}, {"RTMIN", RTMIN}, {"RTMAX", RTMAX}};

static int in_range(uint64_t v) {
    return v >= 1 && v <= RTMAX ? (int)v : 0;
}

int bh_signal_parse(const char *text) {
    uint64_t v;

    if (bh_str_u64(text, &v))
        return in_range(v);
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 1; i < BH_ARRAY_LEN(names); i++) {
        if (strcasecmp(text, names[i] + 3) == 0)
            return (int)i;
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(others); i++) {
        if (strcasecmp(text, others[i].name) == 0)
            return others[i].number;
    }
    if (strncasecmp(text, "RTMIN+", 6) == 0 && bh_str_u64(text + 6, &v) && v <= RTMAX - RTMIN)
        return RTMIN + (int)v;
    if (strncasecmp(text, "RTMAX-", 6) == 0 && bh_str_u64(text + 6, &v) && v <= RTMAX - RTMIN)
        return RTMAX - (int)v;
    return 0;
}

const char *bh_signal_name(int number) {
    return number > 0 && number < (int)BH_ARRAY_LEN(names) ? names[number] : "";
}
