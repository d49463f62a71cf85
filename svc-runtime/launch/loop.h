/*
 * loop.h - requests in, reports out.
 *
 * Room: launch.  Serves until the supervisor says STOP or goes away; 0 then.  When runtime goes away
 * launch ends too: the supervisor starts a new pair.  Containers and monitors are not touched.
 */
#ifndef LNC_LOOP_H
#define LNC_LOOP_H

#include "launch.h"

int lnc_loop(struct launch *l, struct bh_err *err);

#endif
