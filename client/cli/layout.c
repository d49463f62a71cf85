/*
 * layout.c - see layout.h: the folder and its blobs; layout_index.c has index.json.
 *
 * Room: client.
 */
#include "cli/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/layout_int.h"
#include "cli/sha256.h"

#define BLOBS "blobs/sha256"

/* ---- names ------------------------------------------------------------------------------------------ */

int cli_layout_name_parse(const char *word, bool *out_is, struct cli_layout_name *out, struct bh_err *err) {
    const char *dir = word + 4, *colon, *tag;

    *out_is = bh_str_starts(word, "oci:");
    if (!*out_is)
        return 0;
    colon = strchr(dir, ':');
    tag = colon != NULL ? colon + 1 : "";
    if (colon == dir || *dir == '\0' || (colon != NULL && *tag == '\0') ||
        !bh_str_copy_n(out->dir, sizeof out->dir, dir, colon != NULL ? (size_t)(colon - dir) : strlen(dir)) ||
        !bh_str_copy(out->tag, sizeof out->tag, tag) ||
        tag[strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+/")] != '\0') {
        bh_err_set(err, BH_E_INVALID, "\"%.200s\" is no layout: it is written as oci:FOLDER or oci:FOLDER:TAG", word);
        return bh_err_reason(err, "usage");
    }
    return 0;
}

/* ---- files below the folder, never by a link ----------------------------------------------------------- */

static int open_below(const struct cli_layout *l, const char *name, int flags) {
    const struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, l->fd, name, &how, sizeof how);
}

static int open_file(const struct cli_layout *l, const char *name, uint64_t *out_size, int *out_fd,
                     struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = open_below(l, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;

    if (fd < 0 && (errno == ELOOP || errno == EXDEV))
        return bh_err_set(err, BH_E_INVALID, "%s/%s is a symbolic link, or reached by one", l->path, name);
    if (fd < 0 || fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "open %s/%s", l->path, name);
    if (!S_ISREG(st.st_mode))
        return bh_err_set(err, BH_E_INVALID, "%s/%s is not a regular file", l->path, name);
    *out_size = (uint64_t)st.st_size;
    *out_fd = bh_take_fd(&fd);
    return 0;
}

static int read_all(int fd, uint64_t size, const char *what, struct bh_buf *out, struct bh_err *err) {
    void *room = bh_buf_room(out, (size_t)size);
    ssize_t n;

    if (room == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory", what);
    n = bh_read_full(fd, room, (size_t)size);
    if (n < 0)
        return bh_err_errno(err, errno, "read %s", what);
    bh_buf_grew(out, (size_t)n);
    return 0;
}

int cli_layout_read_file(const struct cli_layout *l, const char *name, struct bh_buf *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    uint64_t size = 0;

    if (open_file(l, name, &size, &fd, err) != 0)
        return err->code;
    if (size > CLI_LAYOUT_DOCUMENT_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s/%s is larger than %zu bytes", l->path, name, CLI_LAYOUT_DOCUMENT_MAX);
    return read_all(fd, size, name, out, err);
}

/* ---- the folder ---------------------------------------------------------------------------------------- */

static int open_folder(struct cli_layout *l, const char *path, struct bh_err *err) {
    *l = (struct cli_layout){.fd = -1};
    if (!bh_str_copy(l->path, sizeof l->path, path))
        return bh_err_set(err, BH_E_INVALID, "the path of the layout is too long");
    l->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return l->fd >= 0 ? 0 : bh_err_errno(err, errno, "open %s", path);
}

static int check_marker(const struct cli_layout *l, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;

    if (cli_layout_read_file(l, "oci-layout", &text, err) == 0 &&
        bh_layout_parse(bh_buf_str(&text), text.len, err) == 0)
        return 0;
    bh_err_prefix(err, "%s is not an OCI layout", l->path);
    return bh_err_hint(err, "give a folder with oci-layout, index.json and blobs");
}

int cli_layout_open(struct cli_layout *l, const char *path, struct bh_err *err) {
    if (open_folder(l, path, err) != 0)
        return err->code;
    if (check_marker(l, err) == 0)
        return 0;
    cli_layout_close(l);
    return err->code;
}

static int is_empty(const struct cli_layout *l, struct bh_err *err) {
    DIR *dir BH_SCOPE_DIR = bh_dir_open(l->fd, ".");

    if (dir == NULL)
        return bh_err_errno(err, errno, "list %s", l->path);
    return bh_dir_next(dir) == NULL
               ? 0
               : bh_err_set(err, BH_E_INVALID, "%s has files in it and is not an OCI layout", l->path);
}

static int make_folders(const struct cli_layout *l, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    int fd;

    if (faccessat(l->fd, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        if (check_marker(l, err) != 0)
            return err->code;
    } else {
        bh_layout_write(&text);
        if (is_empty(l, err) != 0 ||
            bh_file_replace(l->fd, "oci-layout", bh_buf_str(&text), text.len, 0644, false, err) != 0)
            return err->code;
    }
    if ((mkdirat(l->fd, "blobs", 0777) != 0 && errno != EEXIST) ||
        (mkdirat(l->fd, BLOBS, 0777) != 0 && errno != EEXIST))
        return bh_err_errno(err, errno, "make %s/%s", l->path, BLOBS);
    fd = open_below(l, BLOBS, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return bh_err_errno(err, errno, "open %s/%s, which must be a folder and no link", l->path, BLOBS);
    close(fd);
    return 0;
}

int cli_layout_make(struct cli_layout *l, const char *path, struct bh_err *err) {
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return bh_err_errno(err, errno, "make %s", path);
    if (open_folder(l, path, err) != 0)
        return err->code;
    if (make_folders(l, err) == 0)
        return 0;
    cli_layout_close(l);
    return err->code;
}

void cli_layout_close(struct cli_layout *l) {
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* ---- blobs ---------------------------------------------------------------------------------------------- */

static int blob_path(const struct cli_layout *l, const struct bh_desc *desc, char out[BH_LAYOUT_PATH_SIZE],
                     struct bh_err *err) {
    if (desc->digest.alg != BH_DIGEST_SHA256)
        return bh_err_set(err, BH_E_UNIMPLEMENTED, "%s: %s cannot be verified here, only sha256 is", l->path,
                          desc->digest_text);
    bh_layout_blob_path(&desc->digest, out);
    return 0;
}

static int check_bytes(const struct cli_layout *l, const struct bh_desc *desc, int fd, struct bh_err *err) {
    struct bh_digest have = {.alg = BH_DIGEST_SHA256};
    char text[BH_DIGEST_TEXT_SIZE];
    uint64_t size = 0;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return bh_err_errno(err, errno, "read %s", desc->digest_text);
    if (cli_sha256_fd(fd, desc->digest_text, have.bytes, &size, err) != 0)
        return err->code;
    if (size == desc->size && bh_digest_equal(&have, &desc->digest))
        return 0;
    bh_digest_format(&have, text);
    bh_err_set(err, BH_E_DATA_LOSS, "%s: blob %s is damaged: its content has the digest %s", l->path, desc->digest_text,
               text);
    return bh_err_reason(err, "digest-mismatch");
}

static int open_blob(const struct cli_layout *l, const struct bh_desc *desc, int *out_fd, struct bh_err *err) {
    char path[BH_LAYOUT_PATH_SIZE];
    BH_SCOPE_CLOSE int fd = -1;
    uint64_t size = 0;

    if (blob_path(l, desc, path, err) != 0 || open_file(l, path, &size, &fd, err) != 0)
        return err->code;
    if (size != desc->size) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: blob %s has %" PRIu64 " bytes, its descriptor says %" PRIu64, l->path,
                   desc->digest_text, size, desc->size);
        return bh_err_reason(err, "wrong-size");
    }
    *out_fd = bh_take_fd(&fd);
    return 0;
}

int cli_layout_blob(const struct cli_layout *l, const struct bh_desc *desc, int *out_fd, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;

    if (open_blob(l, desc, &fd, err) != 0 || check_bytes(l, desc, fd, err) != 0)
        return err->code;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return bh_err_errno(err, errno, "read %s", desc->digest_text);
    *out_fd = bh_take_fd(&fd);
    return 0;
}

bool cli_layout_has(const struct cli_layout *l, const struct bh_desc *desc) {
    BH_SCOPE_CLOSE int fd = -1;
    struct bh_err ignored = BH_ERR_INIT;

    return cli_layout_blob(l, desc, &fd, &ignored) == 0;
}

int cli_layout_read(const struct cli_layout *l, const struct bh_desc *desc, struct bh_buf *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    struct bh_digest have = {.alg = BH_DIGEST_SHA256};

    if (desc->size > CLI_LAYOUT_DOCUMENT_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: manifest %s is larger than %zu bytes", l->path, desc->digest_text,
                          CLI_LAYOUT_DOCUMENT_MAX);
    if (open_blob(l, desc, &fd, err) != 0 || read_all(fd, desc->size, desc->digest_text, out, err) != 0 ||
        cli_sha256(bh_buf_str(out), out->len, have.bytes, err) != 0)
        return err->code;
    if (bh_digest_equal(&have, &desc->digest))
        return 0;
    bh_err_set(err, BH_E_DATA_LOSS, "%s: manifest %s is damaged: its content has another digest", l->path,
               desc->digest_text);
    return bh_err_reason(err, "digest-mismatch");
}

/* ---- blobs in the making ---------------------------------------------------------------------------------- */

int cli_layout_file_open(const struct cli_layout *l, const struct bh_desc *desc, struct cli_layout_file *out,
                         struct bh_err *err) {
    char hex[BH_DIGEST_TEXT_SIZE];

    *out = (struct cli_layout_file){.fd = -1};
    if (blob_path(l, desc, out->name, err) != 0)
        return err->code;
    bh_digest_hex(&desc->digest, hex);
    snprintf(out->temp, sizeof out->temp, BLOBS "/.%.64s.%ld", hex, (long)getpid());
    out->fd = openat(l->fd, BLOBS, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (out->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL)) {
        out->named = true;
        out->fd = openat(l->fd, out->temp, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0666);
    }
    return out->fd >= 0 ? 0 : bh_err_errno(err, errno, "make a file in %s/%s", l->path, BLOBS);
}

static int publish(const struct cli_layout *l, struct cli_layout_file *f, struct bh_err *err) {
    char self[64];

    if (fdatasync(f->fd) != 0)
        return bh_err_errno(err, errno, "write %s/%s", l->path, f->name);
    if (!f->named) {
        snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd);
        if (linkat(AT_FDCWD, self, l->fd, f->temp, AT_SYMLINK_FOLLOW) != 0)
            return bh_err_errno(err, errno, "write %s/%s", l->path, f->name);
        f->named = true;
    }
    if (renameat(l->fd, f->temp, l->fd, f->name) != 0)
        return bh_err_errno(err, errno, "write %s/%s", l->path, f->name);
    f->named = false;
    return 0;
}

int cli_layout_file_commit(const struct cli_layout *l, const struct bh_desc *desc, struct cli_layout_file *f,
                           bool check, struct bh_err *err) {
    int r = check ? check_bytes(l, desc, f->fd, err) : 0;

    if (r == 0)
        r = publish(l, f, err);
    cli_layout_file_abort(l, f);
    return r;
}

void cli_layout_file_abort(const struct cli_layout *l, struct cli_layout_file *f) {
    if (f->named)
        unlinkat(l->fd, f->temp, 0);
    if (f->fd >= 0)
        close(f->fd);
    *f = (struct cli_layout_file){.fd = -1};
}

int cli_layout_write(const struct cli_layout *l, const struct bh_desc *desc, const void *data, size_t n,
                     struct bh_err *err) {
    struct cli_layout_file f;

    if (cli_layout_has(l, desc))
        return 0;
    if (cli_layout_file_open(l, desc, &f, err) != 0)
        return err->code;
    if (bh_write_all(f.fd, data, n) != 0) {
        bh_err_errno(err, errno, "write %s/%s", l->path, f.name);
        cli_layout_file_abort(l, &f);
        return err->code;
    }
    return cli_layout_file_commit(l, desc, &f, true, err);
}
