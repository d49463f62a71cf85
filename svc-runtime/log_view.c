/*
 * log_view.c - reading the log of a container, see log_view.h.
 *
 * Room: runtime, read-only below /monitor.  Trusts the entry headers no further than rt_log_read
 * checks them.  A line belongs to the entry where it starts; "the last N lines" are counted in one
 * pass over the files and handed out in a second.
 */
#include "svc-runtime/log_view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "wire/log.h"

static int open_file(const struct rt_log_view *v, unsigned n, ino_t *out_inode) {
    char name[16];
    struct stat st;
    int fd;

    rt_log_name(n, name);
    fd = openat(v->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return -1;
    }
    *out_inode = st.st_ino;
    return fd;
}

static void take_file(struct rt_log_view *v, int fd, ino_t inode) {
    if (v->fd >= 0)
        close(v->fd);
    v->fd = fd;
    v->inode = inode;
    v->offset = 0;
}

static bool open_oldest(struct rt_log_view *v) {
    unsigned n = 0;
    char name[16];
    ino_t inode;

    for (unsigned i = 1; i < RT_LOG_MAX_FILES; i++) {
        rt_log_name(i, name);
        if (faccessat(v->dirfd, name, F_OK, 0) != 0)
            break;
        n = i;
    }
    for (;; n--) {
        int fd = open_file(v, n, &inode);

        if (fd >= 0) {
            take_file(v, fd, inode);
            return true;
        }
        if (n == 0)
            return false;
    }
}

/* The file written after the one that we have; -1 when ours is the newest. */
static int find_next(const struct rt_log_view *v, ino_t *out_inode) {
    int newer = -1;

    for (unsigned i = 0; i < RT_LOG_MAX_FILES; i++) {
        ino_t inode;
        int fd = open_file(v, i, &inode);

        if (fd < 0 || inode == v->inode) {
            if (fd >= 0)
                close(fd);
            break;
        }
        if (newer >= 0)
            close(newer);
        newer = fd;
        *out_inode = inode;
    }
    return newer;
}

static bool wanted(const struct rt_log_view *v, const struct rt_log_entry *e) {
    return e->stream < RT_LOG_STREAMS && (v->want.streams >> e->stream & 1) && e->time_ns >= v->want.since_ns;
}

/* One entry of any kind: 1, none left: 0.  A file that has a newer one beside it grows no more, so
 * its end is looked at once again before it is left. */
static int next_entry(struct rt_log_view *v, struct rt_log_entry *e, struct bh_err *err) {
    if (v->fd < 0 && !open_oldest(v))
        return 0;
    for (;;) {
        int r = rt_log_read(v->fd, &v->offset, e, v->data, err);
        ino_t inode = 0;
        int newer;

        if (r != 0)
            return r;
        newer = find_next(v, &inode);
        if (newer < 0)
            return 0;
        r = rt_log_read(v->fd, &v->offset, e, v->data, err);
        if (r != 0) {
            close(newer);
            return r;
        }
        take_file(v, newer, inode);
    }
}

/* Lines that start in data[0..n); *open: the stream is inside a line. */
static uint64_t count_starts(const char *data, size_t n, bool *open) {
    uint64_t lines = 0;

    while (n > 0) {
        const char *nl = memchr(data, '\n', n);
        size_t len = nl != NULL ? (size_t)(nl - data) + 1 : n;

        lines += !*open;
        *open = nl == NULL;
        data += len;
        n -= len;
    }
    return lines;
}

static int count_lines(struct rt_log_view *v, uint64_t *out, struct bh_err *err) {
    bool open[RT_LOG_STREAMS] = {false};
    struct rt_log_entry e;
    uint64_t lines = 0;
    int r;

    while ((r = next_entry(v, &e, err)) > 0) {
        if (v->want.until_ns != 0 && e.time_ns >= v->want.until_ns)
            break;
        if (wanted(v, &e))
            lines += count_starts(v->data, e.len, &open[e.stream]);
    }
    *out = lines;
    return r < 0 ? r : 0;
}

int rt_log_view_open(struct rt_log_view *v, int dirfd, const struct rt_log_want *want, struct bh_err *err) {
    uint64_t lines = 0;

    *v = (struct rt_log_view){.dirfd = dirfd, .fd = -1, .want = *want, .data = bh_xmalloc(RT_LOG_ENTRY_MAX)};
    if (!want->tail_set)
        return 0;
    if (count_lines(v, &lines, err) != 0) {
        rt_log_view_close(v);
        return err->code;
    }
    v->skip = lines > want->tail ? lines - want->tail : 0;
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
    return 0;
}

void rt_log_view_close(struct rt_log_view *v) {
    if (v->fd >= 0)
        close(v->fd);
    v->fd = -1;
    free(v->data);
    v->data = NULL;
}

/* How much of data[0..n) belongs to lines that are left out. */
static size_t skip_lines(struct rt_log_view *v, unsigned stream, const char *data, size_t n) {
    size_t at = 0;

    while (at < n) {
        const char *nl;

        if (!v->open_line[stream]) {
            v->skipping[stream] = v->skip > 0;
            v->skip -= v->skip > 0;
        }
        if (!v->skipping[stream])
            break;
        nl = memchr(data + at, '\n', n - at);
        v->open_line[stream] = nl == NULL;
        at = nl != NULL ? (size_t)(nl - data) + 1 : n;
    }
    return at;
}

static int hand_out(struct rt_log_view *v, const struct rt_log_entry *e, rt_log_sink *sink, void *arg,
                    struct bh_err *err) {
    size_t at = skip_lines(v, e->stream, v->data, e->len);

    if (at == e->len)
        return 0;
    v->open_line[e->stream] = v->data[e->len - 1] != '\n';
    v->skipping[e->stream] = false;
    return sink(arg, e->stream, e->time_ns, v->data + at, e->len - at, err);
}

int rt_log_view_read(struct rt_log_view *v, rt_log_sink *sink, void *arg, bool *out_done, struct bh_err *err) {
    struct rt_log_entry e;
    int r;

    while ((r = next_entry(v, &e, err)) > 0) {
        if (v->want.until_ns != 0 && e.time_ns >= v->want.until_ns) {
            if (out_done != NULL)
                *out_done = true;
            return 0;
        }
        if (wanted(v, &e) && e.len > 0 && hand_out(v, &e, sink, arg, err) != 0)
            return err->code;
    }
    return r < 0 ? r : 0;
}
