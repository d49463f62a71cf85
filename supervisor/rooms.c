/*
 * rooms.c - the tables behind rooms.h.
 *
 * Room: supervisor.  Trusts nothing, reads nothing.
 */
#include "rooms.h"

#include <linux/capability.h>

#include "base/mem.h"
#include "proc/control.h"
#include "rooms_table.h"
