/*
 * build_output.h - where the result of a build goes: the image list, an archive, a tar, a folder.
 *
 * Room: client, with the caller's rights.
 */
#ifndef BH_CLI_BUILD_OUTPUT_H
#define BH_CLI_BUILD_OUTPUT_H

#include <stdbool.h>

#include "cli/file.h"
#include "cli/opt.h"
#include "cli/tarprog.h"

struct build_output {
    const char *type; /* for BuildRequest.output */
    bool push;        /* type=registry, or push=true */
    char name[1024];  /* of the image, beside those of -t; several between commas */
    int fd;           /* to be given to the engine; -1: none */
    struct cli_output file;
    bool has_file;
    struct cli_tar *tar; /* type=local */
};

#define BUILD_OUTPUTS_MAX 8

/* The image list. */
void build_output_init(struct build_output *o);
int build_output_open(struct build_output *o, const char *text, struct bh_err *err);
/* The engine has its own copy of the descriptor now. */
void build_output_given(struct build_output *o);
/* After a build that worked: the file appears, the folder is whole.  0 or an exit status. */
int build_output_finish(struct build_output *o, struct cli_ctx *ctx);
/* What was not finished leaves nothing. */
void build_output_fini(struct build_output *o);

#endif
