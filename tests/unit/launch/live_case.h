/*
 * live_case.h - one engine for a file of tests: started once for each form of layers, with busybox as its lowest layer.
 */
#ifndef TEST_LAUNCH_LIVE_CASE_H
#define TEST_LAUNCH_LIVE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "live.h"

extern struct live g;

/* Skips the test without root, busybox or an OCI runtime. */
void need_live(void);
/* Deletes a container; nothing of it is left. */
void forget(const char *id);
/* What is wrong, if anything is. */
void show(const struct live_run *r);
/* A container that runs a script, to its end. */
void run_sh(const char *id, char *script, unsigned flags, struct live_run *r);

/* All tests in both forms; argv[1]: those whose names match. */
int live_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n);

#endif
