/*
 * confine.h - the last step of a helper of launch, before it looks at what is foreign.
 *
 * Room: a child of launch that is nobody, or root of a container's user namespace without a capability
 * (launch/helper.c made it so).  Its answer goes to descriptor 3; what it works on is 4 and up.
 */
#ifndef RLS_CONFINE_H
#define RLS_CONFINE_H

#include <stdint.h>

#include "base/err.h"

enum { RLS_FD_ANSWER = 3, RLS_FD = 4 };

/* No path, no process, no system call but memory, read and write; a file grows to max_file bytes at most. */
int lnc_confine(uint64_t max_file, struct bh_err *err);

#endif
