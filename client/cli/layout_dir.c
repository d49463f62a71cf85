/*
 * layout_dir.c - see layout_dir.h.  Writes plain ustar headers; blobs are below 8 GiB or refused.
 *
 * Room: client.
 */
#include "cli/layout_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"

struct layout_dir {
    int dirfd, pipe_w;
    pthread_t thread;
    struct bh_err err;
};

static int write_header(int fd, const char *name, uint64_t size, char type, struct bh_err *err) {
    unsigned sum = 0;
    char h[512] = {0};

    if (strlen(name) >= 100 || size >= (uint64_t)1 << 33)
        return bh_err_set(err, BH_E_INVALID, "%s: too large or too long a name for a layout", name);
    memcpy(h, name, strlen(name));
    memcpy(h + 100, type == '5' ? "0000755" : "0000644", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
    memcpy(h + 136, "00000000000", 12);
    memset(h + 148, ' ', 8);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 7, "%06o", sum);
    return bh_write_all(fd, h, sizeof h) == 0 ? 0 : bh_err_errno(err, errno, "write to the engine");
}

static int copy_body(int from, int to, const char *name, uint64_t size, struct bh_err *err) {
    static const char zeros[512];
    char *buffer = bh_xmalloc(1 << 18);
    uint64_t left = size;
    int r = 0;

    while (left > 0 && r == 0) {
        ssize_t n = bh_read_full(from, buffer, left < 1 << 18 ? (size_t)left : 1 << 18);

        if (n <= 0)
            r = n < 0 ? bh_err_errno(err, errno, "read %s", name)
                      : bh_err_set(err, BH_E_ABORTED, "%s became shorter while it was read", name);
        else if (bh_write_all(to, buffer, (size_t)n) != 0)
            r = bh_err_errno(err, errno, "write to the engine");
        else
            left -= (uint64_t)n;
    }
    if (r == 0 && size % 512 != 0 && bh_write_all(to, zeros, 512 - size % 512) != 0)
        r = bh_err_errno(err, errno, "write to the engine");
    free(buffer);
    return r;
}

static int pack_file(struct layout_dir *d, const char *name, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = openat(d->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "open %s", name);
    if (!S_ISREG(st.st_mode))
        return bh_err_set(err, BH_E_INVALID, "%s is not a regular file", name);
    r = write_header(d->pipe_w, name, (uint64_t)st.st_size, '0', err);
    return r != 0 ? r : copy_body(fd, d->pipe_w, name, (uint64_t)st.st_size, err);
}

static int pack_blobs(struct layout_dir *d, const char *alg, struct bh_err *err) {
    char folder[64], name[320];
    struct dirent **list = NULL;
    int n, r = 0, fd;

    snprintf(folder, sizeof folder, "blobs/%.32s", alg);
    fd = openat(d->dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : bh_err_errno(err, errno, "open %s", folder);
    n = scandirat(fd, ".", &list, NULL, alphasort);
    close(fd);
    if (n < 0)
        return bh_err_errno(err, errno, "list %s", folder);
    for (int i = 0; i < n; i++) {
        if (r == 0 && list[i]->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", folder, list[i]->d_name);
            r = pack_file(d, name, err);
        }
        free(list[i]);
    }
    free(list);
    return r;
}

static void *pack(void *arg) {
    static const char end[1024];
    struct layout_dir *d = arg;
    sigset_t all;

    /* A closed pipe is an error of write here, not the end of the program. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    if (pack_file(d, "oci-layout", &d->err) == 0 && pack_file(d, "index.json", &d->err) == 0 &&
        pack_blobs(d, "sha256", &d->err) == 0 && pack_blobs(d, "sha512", &d->err) == 0 &&
        bh_write_all(d->pipe_w, end, sizeof end) != 0)
        bh_err_errno(&d->err, errno, "write to the engine");
    close(d->pipe_w);
    return NULL;
}

int layout_dir_open(const char *path, struct layout_dir **out, int *out_fd, struct bh_err *err) {
    struct layout_dir *d = bh_xcalloc(1, sizeof *d);
    int ends[2];

    d->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dirfd < 0) {
        free(d);
        return bh_err_errno(err, errno, "open %s", path);
    }
    if (faccessat(d->dirfd, "index.json", R_OK, 0) != 0) {
        int e = errno;

        close(d->dirfd);
        free(d);
        bh_err_errno(err, e, "%s is not an OCI layout: open index.json", path);
        return bh_err_hint(err, "give a folder with oci-layout, index.json and blobs, or an archive file");
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        close(d->dirfd);
        free(d);
        return bh_err_errno(err, errno, "make a pipe");
    }
    d->pipe_w = ends[1];
    if (pthread_create(&d->thread, NULL, pack, d) != 0) {
        close(ends[0]);
        close(ends[1]);
        close(d->dirfd);
        free(d);
        return bh_err_set(err, BH_E_LIMIT, "start a thread to read %s", path);
    }
    *out = d;
    *out_fd = ends[0];
    return 0;
}

int layout_dir_close(struct layout_dir *d, struct bh_err *err) {
    int r;

    pthread_join(d->thread, NULL);
    close(d->dirfd);
    *err = d->err;
    r = d->err.code;
    free(d);
    return r;
}
