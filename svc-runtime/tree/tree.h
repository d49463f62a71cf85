/*
 * tree.h - the parts of bulkhead-tree: one walk of a container's files, written as tar, list or number.
 *
 * Room: tree; a child of launch that is root of the container's user namespace only, chrooted to
 * what it walks.  File names and contents are the container's: bytes to be copied, never followed.
 * Descriptors: 3 what is walked (or, extracting, filled), 4 what it is compared with (or the layer
 * file), 5 output, 6 the report.
 */
#ifndef TREE_TREE_H
#define TREE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

enum { TREE_FD_ROOT = 3, TREE_FD_OTHER = 4, TREE_FD_OUTPUT = 5, TREE_FD_REPORT = 6 };

#define TREE_MAX_DEPTH 2000 /* folders inside each other; one descriptor each */

/* One thing that the walk meets.  The working directory is the folder that holds it. */
struct tree_item {
    const char *path; /* from the root, without a leading slash */
    const char *name; /* its last part; "." for the root */
    struct stat st;
    bool whiteout; /* overlay's character device 0:0 */
    bool opaque;   /* a folder that hides those below it */
    int other;     /* DIFF: folder of the other tree that corresponds to the holding one, -1: none */
};

#define TREE_SKIP 1 /* from `item`: what is in this folder is left out */

/* Called for each item, folders before what is in them, in the order of names (whiteouts first).
 * `leave` (may be NULL) is called after what is in a folder. */
struct tree_visitor {
    int (*item)(void *arg, const struct tree_item *it, struct bh_err *err);
    int (*leave)(void *arg, const struct tree_item *it, struct bh_err *err);
    void *arg;
    bool overlay; /* what is walked is an upper: whiteouts and opaque folders mean something */
};

int tree_walk(const struct tree_visitor *v, int other, struct bh_err *err);

/* Calls fn with the sorted names in the folder; fd is not consumed. */
struct tree_names {
    char **item;
    size_t n;
};
int tree_names_read(int fd, struct tree_names *out, struct bh_err *err);
void tree_names_free(struct tree_names *names);

/* tar.c: ustar with pax records where ustar cannot tell. */
struct tree_tar {
    int fd;
    struct bh_buf out;
    struct bh_buf pax;
    uint64_t offset;
};
struct tree_tar_entry {
    const char *path; /* folders end with a slash */
    const char *link; /* of symlinks and hard links, NULL */
    char type;        /* '0' '1' '2' '3' '4' '5' '6' */
    struct stat st;
    const struct bh_buf *xattrs; /* pax records, ready made; NULL */
};
void tree_tar_init(struct tree_tar *t, int fd);
int tree_tar_header(struct tree_tar *t, const struct tree_tar_entry *e, struct bh_err *err);
/* Content of `size` bytes from fd; a file that has shrunk meanwhile is filled with zeros. */
int tree_tar_content(struct tree_tar *t, int fd, uint64_t size, struct bh_err *err);
int tree_tar_end(struct tree_tar *t, struct bh_err *err);
/* "12 key=value\n" with its own length in front. */
void tree_pax_add(struct bh_buf *b, const char *key, const void *value, size_t n);

/* filter.c: a part of an upper, as a RUN of a build wants it.  Records, each with a NUL at its end:
 * "-/path" leave it out, "+/path" only it and what is in it, "T<ns>" no time is later than this. */
#define TREE_FILTER_MAX 256
struct tree_filter {
    char *text;                           /* the records; what follows points into it */
    const char *without[TREE_FILTER_MAX]; /* without their leading slash */
    unsigned n;
    const char *below; /* NULL: everything */
    bool clamp;
    int64_t clamp_ns;
};
enum tree_part {
    TREE_IN,
    TREE_OUT,
    TREE_ABOVE,     /* a folder on the way to what is wanted; not itself */
    TREE_HOLDS_OUT, /* a folder on the way to what is left out */
};
/* A descriptor that is not open: everything.  tree_filter_fini also after an error. */
int tree_filter_read(int fd, struct tree_filter *out, struct bh_err *err);
void tree_filter_fini(struct tree_filter *f);
enum tree_part tree_filter_part(const struct tree_filter *f, const char *path);

int tree_archive(bool overlay, struct bh_err *err); /* commit, export */
int tree_diff(struct bh_err *err);
int tree_size(struct bh_err *err);
int tree_extract(struct bh_err *err);
/* All below the root but for the file `info`, which tells launch whose folder it was. */
int tree_remove(struct bh_err *err);

#endif
