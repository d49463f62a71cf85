/*
 * stdio.h - the standard streams of an attached container or exec session.
 *
 * Room: client.  The engine's monitor gets ends of pipes, never the user's own descriptors (a shared
 * open file description would let it change flags of the caller's terminal).  Bytes are carried
 * unread but for the detach keys.
 */
#ifndef BH_CLI_STDIO_H
#define BH_CLI_STDIO_H

#include <stdbool.h>

#include "base/err.h"
#include "cli/engine.h"
#include "cli/opt.h"

struct cli_stdio_options {
    bool in, out, err;       /* what is attached */
    bool tty;                /* raw mode, one output, window size */
    const char *detach_keys; /* NULL: the default */
    bool sig_proxy;          /* pass signals on (never with tty) */
};

struct cli_stdio;

/* Makes the pipes; theirs[i] is -1 where nothing is attached. */
int cli_stdio_open(const struct cli_stdio_options *options, struct cli_stdio **out, struct bh_err *err);
const int *cli_stdio_theirs(const struct cli_stdio *s);
/* After the descriptors were handed over: close our copies of their ends. */
void cli_stdio_started(struct cli_stdio *s);

/* What the session needs of the engine while it runs. */
struct cli_stdio_peer {
    struct cli_ctx *ctx;
    const char *service_resize; /* "ContainerResize" or "ExecResize" */
    const char *key;            /* "container" or "exec_id" */
    const char *id;
    const char *kill_container; /* signals go here; NULL: nowhere */
};

enum cli_stdio_end { CLI_STDIO_ENDED, CLI_STDIO_DETACHED, CLI_STDIO_FAILED };

/* Carry bytes until both outputs have ended, or the detach keys. */
enum cli_stdio_end cli_stdio_run(struct cli_stdio *s, const struct cli_stdio_peer *peer);
void cli_stdio_free(struct cli_stdio *s);

/* Once more tell the window size (after a start); nothing without tty. */
void cli_stdio_resize(const struct cli_stdio_peer *peer);

#endif
