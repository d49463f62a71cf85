/*
 * engine.h - the command line's way to the engine: one client of libbulkhead for the whole run.
 *
 * Room: client.  Every command gets its connection here; errors of the library become errors that
 * out.h prints.
 */
#ifndef BH_CLI_ENGINE_H
#define BH_CLI_ENGINE_H

#include "base/err.h"
#include "bulkhead/bulkhead.h"
#include "cli/opt.h"

/* Opened on first use.  NULL after an error that has been printed. */
bulkhead *cli_engine(struct cli_ctx *ctx);
void cli_engine_close(struct cli_ctx *ctx);
void cli_error_of(const struct bulkhead_error *from, struct bh_err *to);
/* Print an error of the library; returns the exit status. */
int cli_fail_engine(struct cli_ctx *ctx, const struct bulkhead_error *err);
/* bulkhead_call on the engine's connection; an error is printed and its exit status returned. */
int cli_call(struct cli_ctx *ctx, const char *service, const char *method, const bulkhead_value *request,
             bulkhead_value **out_reply);
/* As cli_call, the request is freed. */
int cli_call_take(struct cli_ctx *ctx, const char *service, const char *method, bulkhead_value *take_request,
                  bulkhead_value **out_reply);

/* --filter key=value of a list option -> the repeated field "filter" of a request. */
int cli_set_filters(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *request);
/* A list option -> a repeated string field, left out when it was not given. */
void cli_set_list(const struct cli_args *args, const char *option, bulkhead_value *request, const char *field);
/* The same of KEY=VALUE -> a repeated Pair; without an = the value is empty. */
void cli_set_pairs(const struct cli_args *args, const char *option, bulkhead_value *request, const char *field);
void cli_add_pair(bulkhead_value *list, const char *entry);

#endif
