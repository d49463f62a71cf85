/*
 * list_file.h - a file of NAME=VALUE lines that an option names: --env-file, --label-file, --build-arg-file.
 *
 * Room: client, with the caller's rights.
 */
#ifndef BH_CLI_LIST_FILE_H
#define BH_CLI_LIST_FILE_H

#include "base/err.h"
#include "bulkhead/bulkhead.h"

/* add: for each line in its order, without the blanks before it; empty lines and those that begin with # are left
 * out.  BH_E_INVALID, or the code of the file, with reason "usage": no UTF-8 text, a line without a name, blanks in a
 * name.  option: for messages. */
int cli_list_file(const char *option, const char *path, void (*add)(bulkhead_value *list, const char *line),
                  bulkhead_value *list, struct bh_err *err);

#endif
