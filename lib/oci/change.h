/*
 * change.h - instructions of `commit --change` and `import --change`, applied onto a config.
 *
 * Room: store (import), runtime (commit).  Pure.  Reads one or more lines in the Dockerfile's syntax:
 * CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR, shell and JSON
 * form, quotes, continuation lines and $variables (from the config's Env) as in a Dockerfile.
 * Any other instruction is refused by name.  Several --change of one command are joined with newlines
 * into one call: an ENTRYPOINT drops the Cmd that was there unless a CMD came with it.
 */
#ifndef BH_OCI_CHANGE_H
#define BH_OCI_CHANGE_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/config.h"

#define BH_CHANGE_MAX 65536 /* bytes of one --change */

/* c is changed only when the whole text was good; its strings then belong to the arena.
 * BH_E_INVALID, reason "invalid-change". */
int bh_change_apply(const char *text, struct bh_run_config *c, struct bh_arena *arena, struct bh_err *err);
/* All --change of one command. */
int bh_change_apply_all(const char *const *text, size_t n, struct bh_run_config *c, struct bh_arena *arena,
                        struct bh_err *err);

#endif
