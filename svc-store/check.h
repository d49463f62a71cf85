/*
 * check.h - is everything there, is it what it says, and is there nothing else?
 *
 * Room: store.  Reads every file again; what is found is told, and with repair mended where that loses
 * nothing that is whole: strays go, an image that has lost a part goes with its names.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store.h"

struct store_finding {
    const char *kind;   /* "missing", "corrupt", "orphan", "unresolved" */
    const char *object; /* digest, name or path */
    const char *text;
    bool repaired;
};

struct store_check {
    bool repair;
    bool quick; /* sizes only, contents are not read */
    int (*found)(void *arg, const struct store_finding *f, struct bh_err *err);
    bool (*cancelled)(void *arg); /* may be NULL */
    void *arg;
};

/* *out_checked: objects looked at; *out_findings: how many were not as they should be. */
int store_check(struct store *s, const struct store_check *check, uint64_t *out_checked, uint64_t *out_findings,
                struct bh_err *err);

#endif
