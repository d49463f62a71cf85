/*
 * err.c - see err.h.  Pure: no allocation, no I/O.
 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int bh_err_set(struct bh_err *err, int code, const char *fmt, ...) {
    va_list ap;

    err->code = code;
    err->reason[0] = '\0';
    err->hint[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return code;
}

int bh_err_from_errno(int errno_value) {
    switch (errno_value) {
    case ENOENT:
    case ESRCH:
        return BH_E_NOT_FOUND;
    case EEXIST:
        return BH_E_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return BH_E_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG:
        return BH_E_LIMIT;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return BH_E_INVALID;
    case ETIMEDOUT:
        return BH_E_DEADLINE;
    case ECANCELED:
        return BH_E_CANCELLED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
        return BH_E_UNAVAILABLE;
    default:
        return BH_E_INTERNAL;
    }
}

int bh_err_errno(struct bh_err *err, int errno_value, const char *fmt, ...) {
    va_list ap;
    size_t n;

    err->code = bh_err_from_errno(errno_value);
    err->reason[0] = '\0';
    err->hint[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(errno_value));
    return err->code;
}

int bh_err_prefix(struct bh_err *err, const char *fmt, ...) {
    char phrase[256];
    char old[sizeof err->msg];
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    vsnprintf(phrase, sizeof phrase, fmt, ap);
    va_end(ap);
    memcpy(old, err->msg, sizeof old);
    n = strlen(phrase);
    memcpy(err->msg, phrase, n);
    snprintf(err->msg + n, sizeof err->msg - n, ": %.*s", (int)(sizeof err->msg - n - 3), old);
    return err->code;
}

int bh_err_reason(struct bh_err *err, const char *reason) {
    snprintf(err->reason, sizeof err->reason, "%s", reason);
    return err->code;
}

int bh_err_hint(struct bh_err *err, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
    return err->code;
}

void bh_err_clear(struct bh_err *err) {
    err->code = BH_OK;
    err->reason[0] = err->msg[0] = err->hint[0] = '\0';
}

unsigned bh_err_to_wire(int code) {
    return code >= 0 || code < -16 ? (code == 0 ? 0U : 2U) : (unsigned)-code;
}

int bh_err_from_wire(unsigned wire) {
    return wire == 0 ? BH_OK : wire > 16 ? BH_E_UNKNOWN : -(int)wire;
}

const char *bh_err_text(int code) {
    switch (code) {
#define X(name, wire, text, exit)                                                                                      \
    case BH_E_##name:                                                                                                  \
        return text;
        BH_ERR_LIST(X)
#undef X
    default:
        return code == 0 ? "ok" : "unknown error";
    }
}

int bh_err_exit_status(int code) {
    switch (code) {
#define X(name, wire, text, exit)                                                                                      \
    case BH_E_##name:                                                                                                  \
        return exit;
        BH_ERR_LIST(X)
#undef X
    default:
        return code == 0 ? 0 : 1;
    }
}
