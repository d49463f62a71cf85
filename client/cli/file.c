/*
 * file.c - see file.h.
 *
 * Room: client.
 */
#include "cli/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/str.h"

int cli_input_open(const char *path, const char *verb, int *out_fd, struct bh_err *err) {
    int fd;

    if (path == NULL || strcmp(path, "-") == 0) {
        if (isatty(0)) {
            bh_err_set(err, BH_E_INVALID, "%s: standard input is a terminal", verb);
            return bh_err_hint(err, "redirect an archive into it, or name a file");
        }
        fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
    } else {
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (fd < 0)
        return bh_err_errno(err, errno, "open %s", path != NULL ? path : "standard input");
    *out_fd = fd;
    return 0;
}

int cli_output_open(const char *path, const char *what, struct cli_output *out, struct bh_err *err) {
    struct stat st;

    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (path == NULL || strcmp(path, "-") == 0) {
        if (isatty(1)) {
            bh_err_set(err, BH_E_INVALID, "cowardly refusing to write %s to a terminal", what);
            return bh_err_hint(err, "use the -o flag or redirect");
        }
        out->fd = fcntl(1, F_DUPFD_CLOEXEC, 3);
        return out->fd >= 0 ? 0 : bh_err_errno(err, errno, "standard output");
    }
    if (!bh_str_copy(out->path, sizeof out->path, path))
        return bh_err_set(err, BH_E_INVALID, "the name of the output file is too long");
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* a device or a pipe is written in place */
        if (S_ISDIR(st.st_mode))
            return bh_err_set(err, BH_E_INVALID, "open %s: it is a folder", path);
        out->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return out->fd >= 0 ? 0 : bh_err_errno(err, errno, "open %s", path);
    }
    snprintf(out->temp, sizeof out->temp, "%s.XXXXXX", path);
    out->fd = mkostemp(out->temp, O_CLOEXEC);
    if (out->fd < 0) {
        out->temp[0] = '\0';
        return bh_err_errno(err, errno, "create %s", path);
    }
    return 0;
}

int cli_output_commit(struct cli_output *out, struct bh_err *err) {
    int r = close(out->fd);

    out->fd = -1;
    if (r != 0) {
        r = bh_err_errno(err, errno, "write %s", out->path[0] != '\0' ? out->path : "standard output");
        cli_output_abort(out);
        return r;
    }
    if (out->temp[0] != '\0' && rename(out->temp, out->path) != 0) {
        r = bh_err_errno(err, errno, "rename to %s", out->path);
        cli_output_abort(out);
        return r;
    }
    return 0;
}

void cli_output_abort(struct cli_output *out) {
    if (out->fd >= 0)
        close(out->fd);
    if (out->temp[0] != '\0')
        unlink(out->temp);
}
