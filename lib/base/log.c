/*
 * log.c - see log.h.  One write per line, so lines of several threads do not mix.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "base/str.h"

static enum bh_log_level least_level = BH_LOG_INFO;

void bh_log_level(enum bh_log_level least) {
    least_level = least;
}

void bh_log(enum bh_log_level level, const char *event, const char *fmt, ...) {
    char text[1500], line[2000];
    va_list ap;
    int n;

    if (level > least_level)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    n = snprintf(line, sizeof line, "<%d>%s ", (int)level, event);
    bh_str_escape(line + n, sizeof line - (size_t)n - 1, text, strlen(text), false);
    n = (int)strlen(line);
    line[n++] = '\n';
    (void)bh_write_all(2, line, (size_t)n);
}

void bh_log_err(const char *event, const struct bh_err *err) {
    bh_log(BH_LOG_ERR, event, "code=%s error=\"%s\"%s%s%s", bh_err_text(err->code), err->msg,
           err->hint[0] ? " hint=\"" : "", err->hint, err->hint[0] ? "\"" : "");
}
