/*
 * build_input.h - what `build` is given: a Dockerfile, an ignore file, a folder of files.
 *
 * Room: client, with the caller's rights.  A tar on standard input is unpacked by tar(1) into a private
 * temporary folder, which then is the context; a Dockerfile on standard input has none.
 */
#ifndef BH_CLI_BUILD_INPUT_H
#define BH_CLI_BUILD_INPUT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "ignore/ignore.h"

struct build_input {
    struct bh_buf dockerfile; /* empty with url: it is in the archive */
    char *name;               /* of the Dockerfile, for messages */
    char *folder;             /* the context; NULL: none */
    char *url;                /* the context is this archive; NULL: it is not */
    char *temp;               /* unpacked here, removed by build_input_fini */
    struct bh_ignore *ignore; /* NULL: nothing is left out */
    char **ignore_lines;
    size_t n_ignore_lines;
};

/* path: PATH, URL or "-" of the command line.  file: --file, NULL.  ignorefile: --ignorefile, NULL. */
int build_input_open(struct build_input *in, const char *path, const char *file, const char *ignorefile,
                     struct bh_err *err);
/* A named context: a folder, or an archive that is unpacked; in->folder is where.  Others are refused. */
int build_input_named(struct build_input *in, const char *value, struct bh_err *err);
/* A repository, which is not fetched. */
bool build_input_is_git(const char *text);
void build_input_fini(struct build_input *in);

#endif
