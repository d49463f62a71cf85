/*
 * build_int.h - one build, as the files of the command share it.
 *
 * Room: client.  Private to cmd_build.c and build_*.c.  What returns int here without an error as last parameter
 * returns 0 or an exit status whose error has been printed.
 */
#ifndef BH_CLI_BUILD_INT_H
#define BH_CLI_BUILD_INT_H

#include "cli/build_agent.h"
#include "cli/build_cache.h"
#include "cli/build_input.h"
#include "cli/build_output.h"
#include "cli/build_view.h"

/* --build-context NAME=docker-image://IMAGE, NAME=oci-layout://FOLDER[:TAG|@DIGEST] */
#define BUILD_IMAGE_CONTEXT  "docker-image://"
#define BUILD_LAYOUT_CONTEXT "oci-layout://"
#define BUILD_LAYOUTS_MAX    16

struct build {
    struct cli_ctx *ctx;
    const struct cli_args *args;
    struct build_input input;
    struct build_output outputs[BUILD_OUTPUTS_MAX];
    size_t n_outputs; /* at least one */
    struct build_agents agents;
    struct build_caches caches;
    int layout_fds[BUILD_LAYOUTS_MAX]; /* archives of named contexts */
    size_t n_layouts;
    struct build_view *view;
    bulkhead_value *check; /* CheckReply */
    char *context_id;
    char *image_id, *manifest_digest, *build_id;
};

/* build_check.c: asks the engine about the Dockerfile, into x->check. */
int build_check(struct build *x);
/* Prints what is wrong; the exit status. */
int build_check_refuse(struct build *x);
/* call: "check", "outline", "targets". */
int build_check_show(struct build *x, const char *call);

/* build_send.c: what of the context is needed, then x->context_id; the named contexts into the request. */
int build_send_context(struct build *x);
int build_send_named(struct build *x, bulkhead_value *request);
void build_layouts_given(struct build *x); /* the engine has its own copies of their descriptors */

/* build_secret.c */
int build_secrets_set(const struct cli_args *args, bulkhead_value *request, struct bh_err *err);

/* build_remote.c */
int build_remote_set(struct build *x, bulkhead_value *request);

/* build_request.c: --build-arg and --build-arg-file; --platform; the names of the result; the whole request, which is
 * the caller's. */
int build_args_set(const struct cli_args *args, bulkhead_value *request, struct bh_err *err);
bulkhead_value *build_platforms_of(const struct cli_args *args);
/* Of -t, and what name= of the output says; output NULL: of all of them. */
bulkhead_value *build_tags_of(const struct build *x, const struct build_output *output);
int build_request_make(struct build *x, bulkhead_value **out);

/* build_run.c: until the build has ended; x knows the image then. */
int build_run(struct build *x, bulkhead_value *take_request);

/* build_result.c */
int build_result_finish(struct build *x);

#endif
