/*
 * authhelper.h - one call of a docker-credential-NAME program: get, store, erase, list.
 *
 * Room: client, with the caller's rights.  The program is the user's, found by $PATH; it is given the
 * secret on standard input and has 60 s and 1 MiB for its answer.
 */
#ifndef BH_CLI_AUTHHELPER_H
#define BH_CLI_AUTHHELPER_H

#include "base/buf.h"
#include "base/err.h"

/* name: "secretservice".  in: what it reads.  BH_E_NOT_FOUND when it says that it has no such login. */
int cli_helper_call(const char *name, const char *action, const struct bh_buf *in, struct bh_buf *out,
                    struct bh_err *err);

#endif
