/*
 * authhelper.h - what a docker-credential-NAME program is asked: get, store, erase, list.
 *
 * Room: client, with the caller's rights.  The program is the user's, found by $PATH; it is given the
 * secret on standard input and has 60 s and 1 MiB for its answer.
 */
#ifndef BH_CLI_AUTHHELPER_H
#define BH_CLI_AUTHHELPER_H

#include "cli/authfile.h"

/* name: "secretservice"; key: as docker has it in the file.  BH_E_NOT_FOUND (reason "no-login") when it says that it
 * has no such login; out is filled but for its scope. */
int cli_helper_get(const char *name, const char *key, struct cli_auth *out, struct bh_err *err);
int cli_helper_store(const char *name, const char *key, const struct cli_auth *a, struct bh_err *err);
/* One that is not there is no error. */
int cli_helper_erase(const char *name, const char *key, struct bh_err *err);
int cli_helper_list(const char *name, void (*each)(void *arg, const char *key), void *arg, struct bh_err *err);

#endif
