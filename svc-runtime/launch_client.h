/*
 * launch_client.h - asking launch, over the one SEQPACKET pair.
 *
 * Room: runtime.  launch is root and of the same build; its answers are trusted to mean what they
 * say but are still measured (size, seq, NULs).  Any number of threads may ask at the same time.
 */
#ifndef RT_LAUNCH_CLIENT_H
#define RT_LAUNCH_CLIENT_H

#include <stdbool.h>

#include "base/err.h"
#include "wire/launch_wire.h"
#include "wire/spec.h"

struct rt_launch;

/* Takes fd; makes the reader thread.  on_gone is called once, from that thread, when launch has
 * closed its end. */
int rt_launch_new(int take_fd, void (*on_gone)(void *arg), void *arg, struct rt_launch **out, struct bh_err *err);

/* version, type, ids set, any OCI runtime; the rest zero.  A container that was made for one keeps it: set oci then. */
void rt_launch_request_init(struct rt_launch_request *req, enum rt_launch_type type, const char *id);
/* Sends and waits.  The caller keeps fds.  An answer with a code becomes *err, with the reason
 * "exit-126" where launch gave a hint; *out (may be NULL) is written in any case of an answer. */
int rt_launch_call(struct rt_launch *l, struct rt_launch_request *req, const int *fds, unsigned n_fds,
                   struct rt_launch_reply *out, struct bh_err *err);
/* The same with the OCI runtime and the flags of the request as they are, and for so long at most. */
int rt_launch_try(struct rt_launch *l, struct rt_launch_request *req, const int *fds, unsigned n_fds, int patience_ms,
                  struct bh_err *err);
int rt_launch_info(struct rt_launch *l, struct rt_launch_info *out, struct bh_err *err);
/* What goes with every request from now on: RT_OCI_* for those that name none, whether layers are mounted or extracted.
 * none_why: no OCI runtime works, so START and EXEC that name none are refused with this; NULL else. */
void rt_launch_use(struct rt_launch *l, unsigned oci, bool extracted, const char *none_why);
/* The specification as a sealed memfd. */
int rt_launch_spec_fd(const struct rt_spec *spec, int *out_fd, struct bh_err *err);

#endif
