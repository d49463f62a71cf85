/*
 * capture.h - a struct cli_out whose two descriptors are files that a test reads back.
 */
#ifndef TEST_CAPTURE_H
#define TEST_CAPTURE_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/out.h"

struct capture {
    struct cli_out out;
    int out_fd, err_fd;
};

static inline void capture_open(struct capture *c) {
    c->out_fd = memfd_create("out", MFD_CLOEXEC);
    c->err_fd = memfd_create("err", MFD_CLOEXEC);
    cli_out_init(&c->out, "bulkhead", c->out_fd, c->err_fd);
}

/* What was written so far, as a string of the caller. */
static inline char *capture_read(int fd) {
    off_t n = lseek(fd, 0, SEEK_END);
    char *s = bh_xcalloc((size_t)n + 1, 1);

    if (pread(fd, s, (size_t)n, 0) != n)
        abort();
    return s;
}

static inline void capture_close(struct capture *c) {
    cli_out_close(&c->out, 0);
    close(c->out_fd);
    close(c->err_fd);
}

#endif
