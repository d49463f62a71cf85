/*
 * limit.h - one way to say that a limit of the engine's config was met, and how to raise it.
 *
 * Room: worker.
 */
#ifndef UNP_LIMIT_H
#define UNP_LIMIT_H

#include "base/err.h"

/* The message is set already and names the key and the value; adds reason "limit" and the advice.
 * key: as in the config ("limits.entries"); NULL: not configurable.  Returns err->code. */
int unp_limit(struct bh_err *err, const char *key);

#endif
