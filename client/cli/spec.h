/*
 * spec.h - options of `run` and `create` -> ContainerSpec of proto/runtime.proto.
 *
 * Room: client.  Checks only the form; what may be asked for is the engine's to decide.
 */
#ifndef BH_CLI_SPEC_H
#define BH_CLI_SPEC_H

#include "base/err.h"
#include "bulkhead/bulkhead.h"
#include "cli/opt.h"

/* Rows shared by run and create. */
extern const struct cli_opt cli_spec_opts[];

/* The whole spec; BH_E_INVALID with reason "usage" names the option.  *out is the caller's. */
int cli_spec_of(const struct cli_args *args, bulkhead_value **out, struct bh_err *err);
/* --add-host into out's field extra_host, each as HOST:IP. */
int cli_hosts_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err);
/* --security-opt into out's field security_opt; a profile's file is read. */
int cli_security_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err);
/* The limits of run and create, and those that build has of them, into out's field limits. */
int cli_limits_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err);
int cli_build_limits_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err);
/* -e and --env-file, also for exec: "K=V" entries, a bare K taken from our own environment. */
int cli_env_of(const struct cli_args *args, bulkhead_value **out_list, struct bh_err *err);

#endif
