/*
 * log_view.h - a container's log as its readers want it: from a moment on, the last N lines, live.
 *
 * Room: runtime.  Reads the files that a monitor writes (wire/log.h), turned over or not.  Foreign:
 * the bytes of the container, which are handed on unread but for newlines.
 */
#ifndef RT_LOG_VIEW_H
#define RT_LOG_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define RT_LOG_STREAMS 3 /* index by 1 stdout, 2 stderr */

struct rt_log_want {
    unsigned streams; /* bit 1 << stream */
    int64_t since_ns; /* 0: from the start */
    int64_t until_ns; /* 0: no end */
    bool tail_set;
    uint64_t tail; /* lines; of the wanted streams and times */
};

struct rt_log_view {
    int dirfd; /* borrowed */
    int fd;    /* the file being read, -1 before the first */
    uint64_t offset;
    ino_t inode;
    struct rt_log_want want;
    uint64_t skip;                  /* lines still to be left out */
    bool open_line[RT_LOG_STREAMS]; /* the stream's last byte so far was no newline */
    bool skipping[RT_LOG_STREAMS];  /* .. and that line is one to leave out */
    char *data;                     /* of the entry handed out */
};

/* data[0..n) is valid during the call.  A code other than 0 ends the reading. */
typedef int rt_log_sink(void *arg, unsigned stream, int64_t time_ns, const void *data, size_t n, struct bh_err *err);

/* Places the view before the first entry that is wanted. */
int rt_log_view_open(struct rt_log_view *v, int dirfd, const struct rt_log_want *want, struct bh_err *err);
void rt_log_view_close(struct rt_log_view *v);
/* Hands out all that is there now.  Call again when more may have come.
 * *out_done (may be NULL): an entry at or past until_ns was met. */
int rt_log_view_read(struct rt_log_view *v, rt_log_sink *sink, void *arg, bool *out_done, struct bh_err *err);

#endif
