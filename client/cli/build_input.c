/*
 * build_input.c - see build_input.h.
 *
 * Room: client.
 */
#include "cli/build_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/file.h"
#include "cli/tarprog.h"

#define DOCKERFILE_MAX ((size_t)1 << 20)
#define HEAD_SIZE      512

static bool is_url(const char *text) {
    return bh_str_starts(text, "http://") || bh_str_starts(text, "https://");
}

bool build_input_is_git(const char *text) {
    return bh_str_starts(text, "git@") || bh_str_starts(text, "git://") || bh_str_starts(text, "ssh://") ||
           (is_url(text) && (bh_str_ends(text, ".git") || strstr(text, ".git#") != NULL));
}

/* ---- standard input ------------------------------------------------------------------------ */

/* A tar, plain or compressed, and not a Dockerfile?  By its first bytes, as docker looks. */
static bool is_archive(const char *p, size_t n) {
    static const struct {
        const char *bytes;
        size_t n, at;
    } magic[] = {{"\x1f\x8b", 2, 0},
                 {"BZh", 3, 0},
                 {"\xfd"
                  "7zXZ\0",
                  6, 0},
                 {"\x28\xb5\x2f\xfd", 4, 0},
                 {"ustar", 5, 257}};

    for (size_t i = 0; i < BH_ARRAY_LEN(magic); i++)
        if (n >= magic[i].at + magic[i].n && memcmp(p + magic[i].at, magic[i].bytes, magic[i].n) == 0)
            return true;
    return n == HEAD_SIZE && memchr(p, '\0', n) != NULL; /* a tar of before 1988 */
}

static int read_rest(int fd, const char *what, struct bh_buf *out, struct bh_err *err) {
    char part[16384];
    ssize_t n;

    out->max = DOCKERFILE_MAX;
    while ((n = bh_read_full(fd, part, sizeof part)) > 0)
        bh_buf_add(out, part, (size_t)n);
    if (n < 0)
        return bh_err_errno(err, errno, "read %s", what);
    if (bh_buf_failed(out))
        return bh_err_set(err, BH_E_LIMIT, "%s: a Dockerfile has at most %zu bytes", what, DOCKERFILE_MAX);
    return 0;
}

static int make_temp(struct build_input *in, struct bh_err *err) {
    const char *tmp = getenv("TMPDIR");

    in->temp = bh_xasprintf("%s/bulkhead-context-XXXXXX", tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    if (mkdtemp(in->temp) != NULL)
        return 0;
    bh_err_errno(err, errno, "make %s", in->temp);
    free(in->temp);
    in->temp = NULL;
    return err->code;
}

static int unpack_file(struct build_input *in, int fd, struct bh_err *err) {
    char *path BH_SCOPE_FREE = bh_xasprintf("%s/files", in->temp);

    if (mkdir(path, 0700) != 0)
        return bh_err_errno(err, errno, "make %s", path);
    if (cli_tar_unpack(fd, path, err) != 0)
        return bh_err_prefix(err, "unpack the context");
    in->folder = bh_take_ptr(path);
    return 0;
}

/* The first bytes have been read already: they go into a file with the rest, which tar reads. */
static int unpack(struct build_input *in, int fd, const char *head, size_t n_head, struct bh_err *err) {
    BH_SCOPE_CLOSE int spool = -1;
    char part[65536];
    ssize_t n;

    if (make_temp(in, err) != 0)
        return err->code;
    spool = open(in->temp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool < 0)
        return bh_err_errno(err, errno, "make a file in %s", in->temp);
    if (bh_write_all(spool, head, n_head) != 0)
        return bh_err_errno(err, errno, "keep the context in %s", in->temp);
    while ((n = bh_read_full(fd, part, sizeof part)) > 0)
        if (bh_write_all(spool, part, (size_t)n) != 0)
            return bh_err_errno(err, errno, "keep the context in %s", in->temp);
    if (n < 0)
        return bh_err_errno(err, errno, "read standard input");
    if (lseek(spool, 0, SEEK_SET) != 0)
        return bh_err_errno(err, errno, "read the context again");
    return unpack_file(in, spool, err);
}

/* `build -`: what is it? */
static int take_stdin(struct build_input *in, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    char head[HEAD_SIZE];
    ssize_t n;

    if (cli_input_open("-", "build", &fd, err) != 0)
        return err->code;
    n = bh_read_full(fd, head, sizeof head);
    if (n < 0)
        return bh_err_errno(err, errno, "read standard input");
    if (is_archive(head, (size_t)n))
        return unpack(in, fd, head, (size_t)n, err);
    bh_buf_add(&in->dockerfile, head, (size_t)n);
    in->name = bh_xstrdup("Dockerfile");
    return read_rest(fd, "standard input", &in->dockerfile, err);
}

/* ---- the Dockerfile ------------------------------------------------------------------------ */

/* A name is meant from where the caller stands; what is not there may be meant inside the context. */
static char *find_dockerfile(const struct build_input *in, const char *file) {
    char *inside;

    if (file != NULL && in->temp == NULL && (file[0] == '/' || access(file, F_OK) == 0))
        return bh_xstrdup(file);
    inside = bh_xasprintf("%s/%s", in->folder, file != NULL ? file : "Dockerfile");
    if (file == NULL && access(inside, F_OK) != 0) {
        char *lower = bh_xasprintf("%s/dockerfile", in->folder);

        if (access(lower, F_OK) == 0) {
            free(inside);
            return lower;
        }
        free(lower);
    }
    return inside;
}

static int read_dockerfile(struct build_input *in, const char *file, char **out_path, struct bh_err *err) {
    if (file != NULL && strcmp(file, "-") == 0) {
        BH_SCOPE_CLOSE int fd = -1;

        in->name = bh_xstrdup("Dockerfile");
        if (cli_input_open("-", "build", &fd, err) != 0)
            return err->code;
        return read_rest(fd, "standard input", &in->dockerfile, err);
    }
    *out_path = find_dockerfile(in, file);
    in->name = bh_xstrdup(file != NULL ? file : "Dockerfile");
    if (access(*out_path, F_OK) != 0) {
        bh_err_set(err, BH_E_NOT_FOUND, "failed to read dockerfile: open %s: no such file or directory",
                   in->temp != NULL ? in->name : *out_path);
        return bh_err_hint(err, "name it with -f");
    }
    if (bh_file_read(AT_FDCWD, *out_path, DOCKERFILE_MAX, &in->dockerfile, err) != 0)
        return bh_err_prefix(err, "failed to read dockerfile");
    return 0;
}

/* ---- the ignore file ----------------------------------------------------------------------- */

static void split_lines(struct build_input *in, const char *text, size_t n) {
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t k = end != NULL ? (size_t)(end - text) : n;

        in->ignore_lines = bh_xrealloc(in->ignore_lines, (in->n_ignore_lines + 1) * sizeof *in->ignore_lines);
        in->ignore_lines[in->n_ignore_lines++] = bh_xstrndup(text, k);
        text += k + (end != NULL);
        n -= k + (end != NULL);
    }
}

/* *out_found false: there is no such file, which is no error. */
static int try_ignore(struct build_input *in, const char *path, bool *out_found, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;

    *out_found = access(path, F_OK) == 0;
    if (!*out_found)
        return 0;
    if (bh_file_read(AT_FDCWD, path, BH_IGNORE_FILE_MAX, &text, err) != 0 ||
        bh_ignore_parse(bh_buf_str(&text), text.len, path, &in->ignore, err) != 0)
        return err->code;
    split_lines(in, bh_buf_str(&text), text.len);
    return 0;
}

/* <Dockerfile>.dockerignore beside the Dockerfile goes before .dockerignore of the context. */
static int read_ignore(struct build_input *in, const char *dockerfile, const char *ignorefile, struct bh_err *err) {
    char *path BH_SCOPE_FREE = NULL;
    bool found = false;

    if (ignorefile != NULL) {
        if (try_ignore(in, ignorefile, &found, err) != 0)
            return err->code;
        return found ? 0 : bh_err_set(err, BH_E_NOT_FOUND, "ignore file %s is not there", ignorefile);
    }
    if (dockerfile != NULL) {
        path = bh_xasprintf("%s.dockerignore", dockerfile);
        if (try_ignore(in, path, &found, err) != 0 || found)
            return err->code;
        free(path);
    }
    path = bh_xasprintf("%s/.dockerignore", in->folder);
    return try_ignore(in, path, &found, err);
}

/* ---- all ----------------------------------------------------------------------------------- */

static int take_path(struct build_input *in, const char *path, struct bh_err *err) {
    struct stat st;

    if (strcmp(path, "-") == 0)
        return take_stdin(in, err);
    if (build_input_is_git(path)) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "context %s: repositories of git are not fetched", path);
        return bh_err_hint(err, "clone it and build the folder");
    }
    if (is_url(path)) {
        in->url = bh_xstrdup(path);
        return 0;
    }
    if (stat(path, &st) != 0) {
        bh_err_errno(err, errno, "unable to prepare context: path \"%.500s\" not found", path);
        return err->code;
    }
    if (!S_ISDIR(st.st_mode))
        return bh_err_set(err, BH_E_INVALID, "unable to prepare context: path \"%.500s\" is not a folder", path);
    in->folder = bh_xstrdup(path);
    return 0;
}

int build_input_open(struct build_input *in, const char *path, const char *file, const char *ignorefile,
                     struct bh_err *err) {
    char *dockerfile BH_SCOPE_FREE = NULL;

    if (strcmp(path, "-") == 0 && file != NULL && strcmp(file, "-") == 0)
        return bh_err_set(err, BH_E_INVALID, "invalid argument: can't use stdin for both build context and dockerfile");
    if (take_path(in, path, err) != 0)
        return err->code;
    if (in->url != NULL)
        in->name = bh_xstrdup(file != NULL ? file : "Dockerfile");
    if (in->folder == NULL)
        return 0;
    if (read_dockerfile(in, file, &dockerfile, err) != 0)
        return err->code;
    return read_ignore(in, dockerfile, ignorefile, err);
}

static int not_fetched(const char *value, struct bh_err *err) {
    if (build_input_is_git(value)) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "build context %s: repositories of git are not fetched", value);
        return bh_err_hint(err, "clone it and name the folder");
    }
    if (!bh_str_starts(value, "target:"))
        return 0;
    bh_err_set(err, BH_E_UNIMPLEMENTED, "build context %s: targets of a bake file are no named contexts", value);
    return bh_err_hint(err, "name a folder or an image");
}

int build_input_named(struct build_input *in, const char *value, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    struct stat st;

    if (not_fetched(value, err) != 0)
        return err->code;
    fd = open(value, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return bh_err_errno(err, errno, "build context %s", value);
    if (S_ISDIR(st.st_mode)) {
        in->folder = bh_xstrdup(value);
        return 0;
    }
    return make_temp(in, err) != 0 ? err->code : unpack_file(in, fd, err);
}

void build_input_fini(struct build_input *in) {
    if (in->temp != NULL)
        cli_tree_remove(in->temp);
    bh_buf_fini(&in->dockerfile);
    bh_ignore_free(in->ignore);
    for (size_t i = 0; i < in->n_ignore_lines; i++)
        free(in->ignore_lines[i]);
    free(in->ignore_lines);
    free(in->name);
    free(in->folder);
    free(in->url);
    free(in->temp);
}
