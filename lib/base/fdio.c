/*
 * fdio.c - see fdio.h.
 */
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

int bh_write_all(int fd, const void *data, size_t n) {
    const char *p = data;

    while (n > 0) {
        ssize_t r = write(fd, p, n);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        p += r;
        n -= (size_t)r;
    }
    return 0;
}

int bh_pwrite_all(int fd, const void *data, size_t n, off_t at) {
    const char *p = data;

    while (n > 0) {
        ssize_t r = pwrite(fd, p, n, at);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        p += r;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

ssize_t bh_read_full(int fd, void *data, size_t n) {
    size_t got = 0;

    while (got < n) {
        ssize_t r = read(fd, (char *)data + got, n - got);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

ssize_t bh_pread_full(int fd, void *data, size_t n, off_t at) {
    size_t got = 0;

    while (got < n) {
        ssize_t r = pread(fd, (char *)data + got, n - got, at + (off_t)got);

        if (r < 0) {
            if (errno == EINTR)
                continue;
            return -1;
        }
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/* The file has as many bytes as are allowed: is that all?  0 or the error. */
static int check_end(int fd, const char *path, size_t max, struct bh_err *err) {
    char probe;
    ssize_t r;

    do
        r = read(fd, &probe, 1);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return bh_err_errno(err, errno, "read %s", path);
    return r == 0 ? 0 : bh_err_set(err, BH_E_LIMIT, "%s is larger than %zu bytes", path, max);
}

static int read_to_end(int fd, const char *path, size_t max, struct bh_buf *out, struct bh_err *err) {
    while (out->len < max) {
        size_t want = max - out->len < 65536 ? max - out->len : 65536;
        void *to = bh_buf_room(out, want);
        ssize_t r;

        if (to == NULL)
            return bh_err_set(err, BH_E_LIMIT, "read %s: out of memory", path);
        r = read(fd, to, want);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return bh_err_errno(err, errno, "read %s", path);
        if (r == 0)
            return 0;
        bh_buf_grew(out, (size_t)r);
    }
    return check_end(fd, path, max, err);
}

int bh_file_read(int dirfd, const char *path, size_t max, struct bh_buf *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r;

    if (fd < 0)
        return bh_err_errno(err, errno, "open %s", path);
    bh_buf_init(out, max);
    r = read_to_end(fd, path, max, out, err);
    if (r != 0)
        bh_buf_fini(out);
    return r;
}

static int replace_with(int dirfd, const char *name, const char *temp, const void *data, size_t n, mode_t mode,
                        bool durable, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return bh_err_errno(err, errno, "create %s", temp);
    if (bh_write_all(fd, data, n) != 0)
        return bh_err_errno(err, errno, "write %s", temp);
    if (durable && fdatasync(fd) != 0)
        return bh_err_errno(err, errno, "sync %s", temp);
    if (renameat(dirfd, temp, dirfd, name) != 0)
        return bh_err_errno(err, errno, "rename %s to %s", temp, name);
    return 0;
}

int bh_file_replace(int dirfd, const char *name, const void *data, size_t n, mode_t mode, bool durable,
                    struct bh_err *err) {
    char temp[256];
    int r;

    if (snprintf(temp, sizeof temp, "%s.new", name) >= (int)sizeof temp)
        return bh_err_set(err, BH_E_INVALID, "file name too long: %.64s...", name);
    r = replace_with(dirfd, name, temp, data, n, mode, durable, err);
    if (r != 0) {
        unlinkat(dirfd, temp, 0);
        return r;
    }
    if (durable) {
        BH_SCOPE_CLOSE int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (dir < 0 || fsync(dir) != 0)
            return bh_err_errno(err, errno, "sync the folder of %s", name);
    }
    return 0;
}

int bh_make_parents(const char *path, mode_t mode) {
    char part[PATH_MAX];

    if (!bh_str_copy(part, sizeof(part), path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (char *p = part; *p != 0 && (p = strchr(p + 1, '/')) != NULL; *p = '/') {
        *p = 0;
        if (mkdir(part, mode) != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

DIR *bh_dir_open(int dirfd, const char *path) {
    BH_SCOPE_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

    if (d != NULL)
        bh_take_fd(&fd);
    return d;
}

struct dirent *bh_dir_next(DIR *d) {
    struct dirent *e = NULL;

    while (d != NULL && (e = readdir(d)) != NULL && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
        ;
    return e;
}

void bh_scope_dir(DIR **d) {
    if (*d != NULL)
        closedir(*d);
}

int bh_set_nonblock(int fd, bool on) {
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -1;
    return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

int bh_set_cloexec(int fd, bool on) {
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}
