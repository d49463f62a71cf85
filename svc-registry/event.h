/*
 * event.h - what a pull, push or copy tells while it runs: lines for people, and the state of each layer.
 *
 * Room: registry.  The plain form of PullEvent and PushEvent; who listens turns it into messages (pull_rpc.c,
 * push_rpc.c).  Thread-safe where the listener is.  A listener that cannot go on (its client is gone) returns an error,
 * which ends the operation.
 */
#ifndef REG_EVENT_H
#define REG_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/digest.h"

/* As LayerState of proto/registry.proto; pull_rpc.c asserts it. */
enum reg_layer_state {
    REG_LAYER_NONE,
    REG_LAYER_PULLING,
    REG_LAYER_WAITING,
    REG_LAYER_DOWNLOADING,
    REG_LAYER_VERIFYING,
    REG_LAYER_DOWNLOADED,
    REG_LAYER_EXTRACTING,
    REG_LAYER_PULLED,
    REG_LAYER_EXISTS,
    REG_LAYER_RETRYING,
    REG_LAYER_PREPARING,
    REG_LAYER_COMPRESSING,
    REG_LAYER_PUSHING,
    REG_LAYER_PUSHED,
    REG_LAYER_THERE,
    REG_LAYER_MOUNTED,
};

struct reg_event {
    unsigned number; /* of the reference in the request */
    const char *status;
    const char *layer; /* 12 hex */
    enum reg_layer_state state;
    uint64_t current, total;
    const char *text;
    const char *reference; /* canonical: done */
    const char *id;
    const char *digest;
    uint64_t size; /* of a manifest that was pushed */
    bool is_new;
    const char *warning;
    bool droppable; /* mere progress: may be left out when the listener is busy */
};

struct reg_listener {
    int (*tell)(void *arg, const struct reg_event *e, struct bh_err *err);
    void *arg;
};

int reg_tell(const struct reg_listener *l, const struct reg_event *e, struct bh_err *err);
/* A line for people. */
int reg_tell_status(const struct reg_listener *l, unsigned number, struct bh_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int reg_tell_warning(const struct reg_listener *l, unsigned number, struct bh_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The line of one layer.  Progress is told at most ten times a second. */
struct reg_line {
    const struct reg_listener *listener;
    unsigned number;
    char layer[BH_DIGEST_SHORT_SIZE];
    int64_t told_ns;
};
/* digest: of the blob (pull) or the diff id (push). */
void reg_line_init(struct reg_line *line, const struct reg_listener *l, unsigned number, const char *digest);
int reg_line_state(struct reg_line *line, enum reg_layer_state state, struct bh_err *err);
int reg_line_text(struct reg_line *line, enum reg_layer_state state, const char *text, struct bh_err *err);
/* An error of the listener shows at its next whole event. */
void reg_line_progress(struct reg_line *line, enum reg_layer_state state, uint64_t current, uint64_t total);

#endif
