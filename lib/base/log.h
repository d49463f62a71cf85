/*
 * log.h - one line an event on standard error: stable event name, key=value, foreign bytes escaped.
 *
 * Room: all.  The supervisor reads the lines of its rooms and adds room and pid.  A line has at
 * most 2,000 bytes.  Secrets are never passed to these functions.
 *
 *   bh_log(BH_LOG_INFO, "layer-stored", "digest=%s size=%llu", digest, size);
 *   ->  <6>layer-stored digest=sha256:.. size=123
 */
#ifndef BH_BASE_LOG_H
#define BH_BASE_LOG_H

#include "base/err.h"

enum bh_log_level { BH_LOG_ERR = 3, BH_LOG_WARN = 4, BH_LOG_INFO = 6, BH_LOG_DEBUG = 7 };

void bh_log_level(enum bh_log_level least); /* default BH_LOG_INFO */
void bh_log(enum bh_log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The error of a failed act: event, then code, message and hint. */
void bh_log_err(const char *event, const struct bh_err *err);

#endif
