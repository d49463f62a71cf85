/*
 * confine.h - the last step of a helper of launch, before it looks at what is foreign.
 *
 * Room: a child of launch that is nobody, or root of a container's user namespace without a capability
 * (proc/ask.h).  What it works on is descriptor RLS_FD and up.
 */
#ifndef RLS_CONFINE_H
#define RLS_CONFINE_H

#include <stdint.h>

#include "proc/ask.h"

#define RLS_FD BH_ASK_FD

/* No path, no process, no system call but memory, read and write; a file grows to max_file bytes at most. */
int lnc_confine(uint64_t max_file, struct bh_err *err);

#endif
