/*
 * signal_name.h - signals as users write them.
 *
 * Room: runtime.  Pure.  "KILL", "SIGKILL", "sigkill", "9", "RTMIN+3"; as docker: case does not
 * matter, the number must be one that Linux has.
 */
#ifndef RT_SIGNAL_NAME_H
#define RT_SIGNAL_NAME_H

#include "base/err.h"

#define RT_SIGNAL_MAX 64

/* BH_E_INVALID, "invalid signal: X". */
int rt_signal_parse(const char *text, int *out, struct bh_err *err);

#endif
