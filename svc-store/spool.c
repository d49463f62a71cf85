/*
 * spool.c - see spool.h.
 */
#include "spool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"

#define STEP ((size_t)1 << 20)

static int copy(struct store *s, store_spool_next *next, void *arg, int to, struct bh_err *err) {
    const uint64_t max = store_options_now(s).max_archive;
    uint64_t total = 0;
    const void *data;
    size_t n;

    for (;;) {
        if (next(arg, &data, &n, err) != 0)
            return err->code;
        if (n == 0)
            return 0;
        total += n;
        if (total > max) {
            bh_err_set(err, BH_E_LIMIT, "the archive is over the limit of %llu bytes (limits.archive)",
                       (unsigned long long)max);
            return bh_err_reason(err, "archive-too-large");
        }
        if (bh_write_all(to, data, n) != 0)
            return store_write_error(&s->place, errno, "keep the archive while it is read", n, err);
    }
}

int store_spool(struct store *s, store_spool_next *next, void *arg, struct store_temp *out, struct bh_err *err) {
    if (store_temp_open(&s->place, out, err) != 0)
        return err->code;
    if (copy(s, next, arg, out->fd, err) != 0)
        store_temp_drop(&s->place, out);
    return err->code;
}

bool store_fd_seekable(int fd) {
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

struct from_fd {
    int fd;
    int cancel_fd;
    char *buf;
};

static int next_of_fd(void *arg, const void **out, size_t *out_n, struct bh_err *err) {
    struct from_fd *f = arg;
    ssize_t n;

    for (;;) {
        struct pollfd p[2] = {{.fd = f->fd, .events = POLLIN}, {.fd = f->cancel_fd, .events = POLLIN}};

        if (poll(p, f->cancel_fd >= 0 ? 2 : 1, -1) < 0 && errno != EINTR)
            return bh_err_errno(err, errno, "wait for the archive");
        if (f->cancel_fd >= 0 && p[1].revents != 0)
            return bh_err_set(err, BH_E_CANCELLED, "the client has gone while its archive was read");
        if (p[0].revents == 0)
            continue;
        n = read(f->fd, f->buf, STEP);
        if (n >= 0)
            break;
        if (errno != EINTR && errno != EAGAIN)
            return bh_err_errno(err, errno, "read the archive");
    }
    *out = f->buf;
    *out_n = (size_t)n;
    return 0;
}

int store_spool_fd(struct store *s, int fd, int cancel_fd, struct store_temp *out, struct bh_err *err) {
    struct from_fd f = {.fd = fd, .cancel_fd = cancel_fd, .buf = malloc(STEP)};
    int r;

    if (f.buf == NULL)
        return bh_err_set(err, BH_E_LIMIT, "no memory to read the archive");
    r = store_spool(s, next_of_fd, &f, out, err);
    free(f.buf);
    return r;
}
