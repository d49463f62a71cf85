/*
 * lost.h - rows about files whose names a power cut has taken.
 *
 * Room: store.  Content is synced before it gets its name, the name perhaps not: what no image needs then is not worth
 * a repair and is forgotten at start.
 */
#ifndef STORE_LOST_H
#define STORE_LOST_H

#include "store.h"

/* `list` gives k, STORE_LEASE_LAYER or _BLOB, and digest; `forget` is run with the k of each whose file is not there.
 */
int store_lost_forget(struct store *s, const char *list, const char *forget, struct bh_err *err);

#endif
