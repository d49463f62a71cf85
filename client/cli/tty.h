/*
 * tty.h - the caller's terminal: raw mode that is always undone, its size, the detach keys.
 *
 * Room: client.  Raw mode is restored at exit and on signals that end the program; one terminal at a
 * time.  Bytes of the terminal are passed on, never interpreted, but for the detach keys.
 */
#ifndef BH_CLI_TTY_H
#define BH_CLI_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cli_tty_size {
    uint16_t rows, columns;
};

/* Raw mode on fd until cli_tty_restore, exit() or a deadly signal (INT, TERM, HUP, QUIT: restored,
 * then delivered again with its default action unless the program has a handler of its own). */
int cli_tty_raw(int fd, struct bh_err *err);
void cli_tty_restore(void);
/* false if fd is no terminal or tells 0x0; then *out is 24x80. */
bool cli_tty_size(int fd, struct cli_tty_size *out);
/* A descriptor that becomes readable on SIGWINCH (drain it with cli_tty_winch_drain); -1 on failure.
 * It belongs to this file: do not close it. */
int cli_tty_winch_fd(struct bh_err *err);
void cli_tty_winch_drain(void);
/* "the input device is not a TTY" (exit 1) if a terminal was asked for and fd is none. */
int cli_tty_need(int fd, bool want_tty, bool want_stdin, struct bh_err *err);

#define CLI_DETACH_MAX     16
#define CLI_DETACH_DEFAULT "ctrl-p,ctrl-q"

/* The detach keys and how many of them were seen.  Bytes that began like the keys and went on
 * differently are passed on late, never lost. */
struct cli_detach {
    unsigned char keys[CLI_DETACH_MAX];
    size_t key_count;
    size_t seen;
};

/* docker's syntax: single characters and ctrl-X with X of a-z @ [ \ ] ^ _, commas between; "" means
 * no keys.  BH_E_INVALID names the part. */
int cli_detach_parse(const char *keys, struct cli_detach *out, struct bh_err *err);
/* Take n input bytes; write those to pass on to out (room for n + CLI_DETACH_MAX) and their number to
 * *out_n.  True once the keys are complete: pass on what is in out, then detach. */
bool cli_detach_feed(struct cli_detach *d, const unsigned char *in, size_t n, unsigned char *out, size_t *out_n);

#endif
