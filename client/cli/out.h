/*
 * out.h - what the program says: data on standard output, talk on standard error.
 *
 * Room: client.  Text from outside goes through the functions that escape it; a control byte of a
 * label or of an error never reaches a terminal.  A failed write to standard output is remembered
 * and makes the exit status 1, so `bulkhead save > /full/disk` cannot look like success.
 * Nothing else in the program writes to descriptors 1 and 2 (but the streams of a container).
 */
#ifndef BH_CLI_OUT_H
#define BH_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

struct cli_out {
    const char *program; /* prefix of errors: "bulkhead" */
    int out_fd, err_fd;
    struct bh_buf pending; /* data not written yet */
    int write_errno;       /* first failure on out_fd, 0 if none */
    bool out_tty, err_tty;
    bool color; /* err_tty, NO_COLOR unset or empty, TERM set and not dumb */
};

void cli_out_init(struct cli_out *o, const char *program, int out_fd, int err_fd);
/* Flush; prints "write standard output: ..." if that failed at any time (silently on a closed pipe).
 * Returns the exit status: `status` if that is not 0, else 1 after a failed write, else 0. */
int cli_out_close(struct cli_out *o, int status);

/* Data.  Buffered; flushed at 64 KiB, by cli_out_flush, and before anything goes to standard error. */
void cli_put(struct cli_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_put_raw(struct cli_out *o, const void *data, size_t n);
/* Text that holds foreign bytes: escaped (newlines and tabs kept) when standard output is a
 * terminal, unchanged in a pipe or file. */
void cli_put_text(struct cli_out *o, const char *s, size_t n);
/* Foreign text that is one word of a line: always escaped, newlines too. */
void cli_put_word(struct cli_out *o, const char *s);
void cli_put_json(struct cli_out *o, const json_t *value); /* four spaces of indent, newline at the end */
/* With another indent, and <, > and & written as Go's encoder does: \u003c. */
void cli_put_json_html(struct cli_out *o, const json_t *value, const char *indent);
/* 0 or BH_E_* with the error of the first failed write; commands that stream check it. */
int cli_out_flush(struct cli_out *o, struct bh_err *err);

/* Talk, on standard error.  The formatted line is escaped (newlines kept). */
void cli_say(struct cli_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "bulkhead: warning: ..." */
void cli_warn(struct cli_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "bulkhead: <message>; <hint>" in one line.  Returns the exit status of the error's code, 125 for
 * the reason "usage", so that commands end with `return cli_fail(ctx->out, &err);`. */
int cli_fail(struct cli_out *o, const struct bh_err *err);
/* As cli_fail for a message of our own. */
int cli_failf(struct cli_out *o, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* "Are you sure you want to continue? [y/N] ": text first on standard output as docker does.  True
 * only for y or Y; at the end of input false. */
bool cli_confirm(struct cli_out *o, int in_fd, const char *warning);

#endif
