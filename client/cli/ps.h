/*
 * ps.h - containers as rows of a list, as `ps` and `system df -v` show them.
 *
 * Room: client.
 */
#ifndef BH_CLI_PS_H
#define BH_CLI_PS_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/bulkhead.h"
#include "cli/table.h"

extern const struct cli_list cli_ps_list;
/* c: a ContainerSummary; the row is the caller's. */
json_t *cli_ps_row(const bulkhead_value *c, int64_t now, bool no_trunc, bool size);

#endif
