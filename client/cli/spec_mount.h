/*
 * spec_mount.h - -v, --mount and --tmpfs -> Mount messages.
 *
 * Room: client.
 */
#ifndef BH_CLI_SPEC_MOUNT_H
#define BH_CLI_SPEC_MOUNT_H

#include "base/err.h"
#include "bulkhead/bulkhead.h"

/* "SRC:DST[:OPTIONS]"; a relative SRC that begins with . is made absolute. */
int cli_mount_volume(const char *text, bulkhead_value **out, struct bh_err *err);
/* "type=bind,source=..,target=..,readonly": comma separated, as docker's CSV. */
int cli_mount_long(const char *text, bulkhead_value **out, struct bh_err *err);
/* "PATH[:OPTIONS]" */
int cli_mount_tmpfs(const char *text, bulkhead_value **out, struct bh_err *err);

#endif
