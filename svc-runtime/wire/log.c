/*
 * log.c - see log.h.
 */
#include "wire/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fdio.h"

void rt_log_name(unsigned n, char out[16]) {
    if (n == 0)
        snprintf(out, 16, "log");
    else
        snprintf(out, 16, "log.%u", n);
}

static int log_open_file(struct rt_log *log) {
    struct stat st;

    log->fd = openat(log->dirfd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (log->fd < 0)
        return -1;
    if (fstat(log->fd, &st) != 0)
        return -1;
    log->size = (uint64_t)st.st_size;
    return 0;
}

int rt_log_open(struct rt_log *log, int dirfd, uint64_t max_size, uint32_t max_files, struct bh_err *err) {
    *log = (struct rt_log){.dirfd = dirfd,
                           .fd = -1,
                           .max_size = max_size != 0 ? max_size : RT_LOG_DEFAULT_SIZE,
                           .max_files = max_files != 0 ? max_files : RT_LOG_DEFAULT_FILES};
    if (log->max_files > RT_LOG_MAX_FILES)
        log->max_files = RT_LOG_MAX_FILES;
    if (log_open_file(log) != 0)
        return bh_err_errno(err, errno, "open the container's log");
    return 0;
}

static int log_rotate(struct rt_log *log) {
    char from[16], to[16];

    close(log->fd);
    log->fd = -1;
    if (log->max_files == 1 && unlinkat(log->dirfd, "log", 0) != 0)
        return -1;
    for (unsigned n = log->max_files - 1; n > 0; n--) {
        rt_log_name(n - 1, from);
        rt_log_name(n, to);
        if (renameat(log->dirfd, from, log->dirfd, to) != 0 && errno != ENOENT)
            return -1;
    }
    return log_open_file(log);
}

/* A write that stops half-way (disk full) is taken back, so that the file stays a row of whole entries. */
static int log_write(struct rt_log *log, const struct rt_log_entry *e, const void *data) {
    struct iovec iov[2] = {{(void *)e, sizeof(*e)}, {(void *)data, e->len}};
    size_t want = sizeof(*e) + e->len;
    ssize_t r;

    do
        r = writev(log->fd, iov, 2);
    while (r < 0 && errno == EINTR);
    if (r == (ssize_t)want) {
        log->size += want;
        return 0;
    }
    if (r >= 0) {
        if (ftruncate(log->fd, (off_t)log->size) != 0)
            return -1;
        errno = ENOSPC;
    }
    return -1;
}

int rt_log_append(struct rt_log *log, unsigned stream, int64_t time_ns, const void *data, uint32_t len) {
    struct rt_log_entry e = {.time_ns = time_ns, .len = len, .stream = (uint8_t)stream};

    if (log->fd < 0 && log_open_file(log) != 0)
        return -1;
    if (log->size > 0 && log->size + sizeof(e) + len > log->max_size && log_rotate(log) != 0)
        return -1;
    return log_write(log, &e, data);
}

void rt_log_close(struct rt_log *log) {
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

int rt_log_read(int fd, uint64_t *offset, struct rt_log_entry *entry, void *data, struct bh_err *err) {
    struct rt_log_entry e;
    ssize_t r = bh_pread_full(fd, &e, sizeof(e), (off_t)*offset);

    if (r < 0)
        return bh_err_errno(err, errno, "read the container's log");
    if ((size_t)r < sizeof(e))
        return 0;
    if (e.len > RT_LOG_ENTRY_MAX || (e.stream != 1 && e.stream != 2))
        return bh_err_set(err, BH_E_DATA_LOSS, "the container's log is damaged at byte %llu",
                          (unsigned long long)*offset);
    r = bh_pread_full(fd, data, e.len, (off_t)(*offset + sizeof(e)));
    if (r < 0)
        return bh_err_errno(err, errno, "read the container's log");
    if ((size_t)r < e.len)
        return 0;
    *offset += sizeof(e) + e.len;
    *entry = e;
    return 1;
}
