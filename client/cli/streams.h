/*
 * streams.h - the standard streams of an attached container or exec session.
 *
 * Room: client.  The engine's monitor gets ends of pipes, never the user's own descriptors (a shared
 * open file description would let it change flags of the caller's terminal).  Bytes are carried
 * unread but for the detach keys.
 */
#ifndef BH_CLI_STREAMS_H
#define BH_CLI_STREAMS_H

#include <stdbool.h>

#include "base/err.h"
#include "cli/engine.h"
#include "cli/opt.h"

struct cli_streams_options {
    bool in, out, err;       /* what is attached */
    bool tty;                /* raw mode, one output, window size */
    const char *detach_keys; /* NULL: the default */
    bool sig_proxy;          /* pass signals on (never with tty) */
};

struct cli_streams;

/* Makes the pipes; theirs[i] is -1 where nothing is attached. */
int cli_streams_open(const struct cli_streams_options *options, struct cli_streams **out, struct bh_err *err);
const int *cli_streams_theirs(const struct cli_streams *s);
/* After the descriptors were handed over: close our copies of their ends. */
void cli_streams_started(struct cli_streams *s);

/* What the session needs of the engine while it runs. */
struct cli_streams_peer {
    struct cli_ctx *ctx;
    const char *service_resize; /* "ContainerResize" or "ExecResize" */
    const char *key;            /* "container" or "exec_id" */
    const char *id;
    const char *kill_container; /* signals go here; NULL: nowhere */
};

enum cli_streams_end {
    CLI_STREAMS_ENDED,
    CLI_STREAMS_DETACHED,
    CLI_STREAMS_FAILED, /* output was lost, the rest was carried to its end */
    CLI_STREAMS_UNREAD, /* who read our output has gone, which was told; the process goes on */
};

/* Carry bytes until both outputs have ended, or the detach keys. */
enum cli_streams_end cli_streams_run(struct cli_streams *s, const struct cli_streams_peer *peer);
void cli_streams_free(struct cli_streams *s);

/* Once more tell the window size (after a start); nothing without tty. */
void cli_streams_resize(const struct cli_streams_peer *peer);

#endif
