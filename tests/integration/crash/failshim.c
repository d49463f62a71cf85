/*
 * failshim.c - LD_PRELOAD: the k-th call that changes a file fails, or is where the process is killed.
 *
 * BH_FAIL_AT=k        which call, counted from 1 over all threads
 * BH_FAIL_ERRNO=n     fail with it (default EIO); BH_FAIL_STICKY=1: and so do all later ones
 * BH_FAIL_KILL=1      instead: SIGKILL before the call is made
 * BH_FAIL_COUNT=path  at the end write how many there were
 * BH_FAIL_LOG=path    append what a power cut would make of the files: "w INODE" written, "s INODE SIZE" synced,
 *                     "l FOLDER INODE" a name in a folder, "u INODE" one less
 * Output to descriptors 0-2 is not counted.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static atomic_long calls;

static long number(const char *name, long otherwise) {
    const char *s = getenv(name);

    return s != NULL ? atol(s) : otherwise;
}

static int fails(void) {
    long at = number("BH_FAIL_AT", 0);
    long n = atomic_fetch_add(&calls, 1) + 1;

    if (at == 0 || n < at || (n > at && !number("BH_FAIL_STICKY", 0)))
        return 0;
    if (number("BH_FAIL_KILL", 0)) {
        kill(getpid(), SIGKILL);
        pause();
    }
    errno = (int)number("BH_FAIL_ERRNO", EIO);
    return 1;
}

/* ---- the log ------------------------------------------------------------------------------- */

static void note(const char *line, int n) {
    static int fd = -2;

    if (fd == -2)
        fd = getenv("BH_FAIL_LOG") != NULL ? open(getenv("BH_FAIL_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd >= 0)
        syscall(SYS_write, fd, line, (size_t)n);
}

static void note_file(char what, int fd) {
    struct stat st;
    char line[80];

    if (getenv("BH_FAIL_LOG") != NULL && fstat(fd, &st) == 0)
        note(line,
             snprintf(line, sizeof line, "%c %llu %lld\n", what, (unsigned long long)st.st_ino, (long long)st.st_size));
}

/* A new name: "ab/<digits>" or one without a folder. */
static void note_name(int dir, const char *path) {
    const char *slash = strchr(path, '/');
    struct stat folder, st;
    char above[256], line[80];

    if (getenv("BH_FAIL_LOG") == NULL)
        return;
    snprintf(above, sizeof above, "%.*s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".");
    if (fstatat(dir, above, &folder, 0) == 0 && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        note(line, snprintf(line, sizeof line, "l %llu %llu\n", (unsigned long long)folder.st_ino,
                            (unsigned long long)st.st_ino));
}

/* Before it goes; its number may soon be another file's. */
static void note_unlink(int dir, const char *path) {
    struct stat st;
    char line[40];

    if (getenv("BH_FAIL_LOG") != NULL && fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        note(line, snprintf(line, sizeof line, "u %llu\n", (unsigned long long)st.st_ino));
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("BH_FAIL_COUNT");
    FILE *f = path != NULL ? fopen(path, "w") : NULL;

    if (f != NULL) {
        fprintf(f, "%ld\n", atomic_load(&calls));
        fclose(f);
    }
}

#define REAL(type, name, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (real == NULL)                                                                                                  \
    *(void **)&real = dlsym(RTLD_NEXT, name)

#define WRITER(fn, sname, decl, types, args)                                                                           \
    EXPORT ssize_t fn decl {                                                                                           \
        REAL(ssize_t, sname, types);                                                                                   \
        if (fd > 2 && fails())                                                                                         \
            return -1;                                                                                                 \
        if (fd > 2)                                                                                                    \
            note_file('w', fd);                                                                                        \
        return real args;                                                                                              \
    }
#define COMMA ,
WRITER(write, "write", (int fd, const void *p, size_t n), int COMMA const void *COMMA size_t, (fd, p, n))
WRITER(pwrite, "pwrite", (int fd, const void *p, size_t n, off_t at), int COMMA const void *COMMA size_t COMMA off_t,
       (fd, p, n, at))
WRITER(pwrite64, "pwrite64", (int fd, const void *p, size_t n, off_t at),
       int COMMA const void *COMMA size_t COMMA off_t, (fd, p, n, at))

#define ACT(fn, sname, decl, types, args, then)                                                                        \
    EXPORT int fn decl {                                                                                               \
        REAL(int, sname, types);                                                                                       \
        int r = fails() ? -1 : real args;                                                                              \
                                                                                                                       \
        if (r == 0)                                                                                                    \
            then;                                                                                                      \
        return r;                                                                                                      \
    }
ACT(fsync, "fsync", (int fd), int, (fd), note_file('s', fd))
ACT(fdatasync, "fdatasync", (int fd), int, (fd), note_file('s', fd))
ACT(ftruncate, "ftruncate", (int fd, off_t n), int COMMA off_t, (fd, n), (void)0)
ACT(ftruncate64, "ftruncate64", (int fd, off_t n), int COMMA off_t, (fd, n), (void)0)
ACT(linkat, "linkat", (int a, const char *x, int b, const char *y, int f),
    int COMMA const char *COMMA int COMMA const char *COMMA int, (a, x, b, y, f), note_name(b, y))
ACT(renameat2, "renameat2", (int a, const char *x, int b, const char *y, unsigned f),
    int COMMA const char *COMMA int COMMA const char *COMMA unsigned, (a, x, b, y, f), note_name(b, y))
ACT(mkdirat, "mkdirat", (int d, const char *p, mode_t m), int COMMA const char *COMMA mode_t, (d, p, m),
    note_name(d, p))
ACT(fchmod, "fchmod", (int fd, mode_t m), int COMMA mode_t, (fd, m), (void)0)
ACT(fallocate, "fallocate", (int fd, int m, off_t a, off_t n), int COMMA int COMMA off_t COMMA off_t, (fd, m, a, n),
    (void)0)

EXPORT int unlinkat(int dir, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    if (fails())
        return -1;
    note_unlink(dir, path);
    return real(dir, path, flags);
}
