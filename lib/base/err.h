/*
 * err.h - the one way a function tells that it failed, and why.
 *
 * Room: all.  A function that can fail returns 0 or a negative code of the list below and takes
 * `struct bh_err *err` as its last parameter.  The struct lives on the caller's stack, nothing is
 * allocated, so an error can be reported when memory is the thing that ran out.
 * The message is set where the failure happens and names the object ("open layer sha256:12..: no
 * space left on device"); each room that the error crosses may add one phrase in front.
 * What returns an error does not log it.
 *
 * The numbers are the status codes of gRPC, so that a client in another language knows them.
 */
#ifndef BH_BASE_ERR_H
#define BH_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

/* name, wire value (gRPC), text, exit status of the command line */
#define BH_ERR_LIST(X)                                                                                                 \
    X(CANCELLED, 1, "cancelled", 1)                                                                                    \
    X(UNKNOWN, 2, "unknown error", 1)                                                                                  \
    X(INVALID, 3, "invalid argument", 1)                                                                               \
    X(DEADLINE, 4, "deadline exceeded", 1)                                                                             \
    X(NOT_FOUND, 5, "not found", 1)                                                                                    \
    X(EXISTS, 6, "already exists", 1)                                                                                  \
    X(DENIED, 7, "permission denied", 1)                                                                               \
    X(LIMIT, 8, "resource exhausted", 1)                                                                               \
    X(CONFLICT, 9, "conflict", 1)                                                                                      \
    X(ABORTED, 10, "aborted", 1)                                                                                       \
    X(RANGE, 11, "out of range", 1)                                                                                    \
    X(UNIMPLEMENTED, 12, "not implemented", 1)                                                                         \
    X(INTERNAL, 13, "internal error", 1)                                                                               \
    X(UNAVAILABLE, 14, "unavailable", 1)                                                                               \
    X(DATA_LOSS, 15, "data loss", 1)                                                                                   \
    X(UNAUTHENTICATED, 16, "unauthenticated", 1)

enum bh_err_code {
    BH_OK = 0,
#define X(name, wire, text, exit) BH_E_##name = -(wire),
    BH_ERR_LIST(X)
#undef X
};

struct bh_err {
    int code;        /* 0 or BH_E_* */
    char reason[40]; /* stable word for programs, "" if none: "no-such-image", "image-in-use" */
    char msg[1024];  /* one line, no trailing newline, no full stop, may hold foreign bytes: escape before showing */
    char hint[320];  /* what to do about it, "" if nothing is known */
};

#define BH_ERR_INIT                                                                                                    \
    { 0 }

/* Set code and message; returns code, so that callers write `return bh_err_set(...)`. */
int bh_err_set(struct bh_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As bh_err_set with ": <strerror(errno_value)>" appended; the code is derived from errno_value. */
int bh_err_errno(struct bh_err *err, int errno_value, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Put "phrase: " in front of the message that is there.  Returns err->code. */
int bh_err_prefix(struct bh_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Stable machine word and advice.  Both return err->code, so they can end a return chain. */
int bh_err_reason(struct bh_err *err, const char *reason);
int bh_err_hint(struct bh_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bh_err_clear(struct bh_err *err);

/* errno -> BH_E_* */
int bh_err_from_errno(int errno_value);
/* BH_E_* <-> wire value (positive gRPC code); an unknown wire value becomes BH_E_UNKNOWN. */
unsigned bh_err_to_wire(int code);
int bh_err_from_wire(unsigned wire);
const char *bh_err_text(int code);
int bh_err_exit_status(int code);

#endif
