/*
 * layout.h - an OCI layout folder as the source or target of a copy.
 *
 * Room: client, with the caller's rights.  The folder may be foreign: its documents are capped and read strictly, no
 * link is followed below it, and a blob is used only when it has the size and digest that its descriptor says.  Blobs
 * and index.json appear whole or not at all.
 */
#ifndef BH_CLI_LAYOUT_H
#define BH_CLI_LAYOUT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "oci/manifest.h"

#define CLI_LAYOUT_TAG_SIZE 256

/* "oci:DIR[:TAG]": the first colon ends DIR, as others have it.  *out_is false for any other word. */
struct cli_layout_name {
    char dir[4096];
    char tag[CLI_LAYOUT_TAG_SIZE]; /* "" if none was given */
};
int cli_layout_name_parse(const char *word, bool *out_is, struct cli_layout_name *out, struct bh_err *err);

struct cli_layout {
    int fd;
    char path[4096]; /* for errors */
};
/* A layout that is there; BH_E_INVALID if the folder is none. */
int cli_layout_open(struct cli_layout *l, const char *path, struct bh_err *err);
/* The same to write into; made when there is nothing or an empty folder. */
int cli_layout_make(struct cli_layout *l, const char *path, struct bh_err *err);
void cli_layout_close(struct cli_layout *l);

/* The entry of index.json with this tag; tag "": the only one.  Lives in the arena. */
int cli_layout_find(const struct cli_layout *l, const char *tag, struct bh_arena *arena, struct bh_desc *out,
                    struct bh_err *err);
/* The same by digest. */
int cli_layout_find_digest(const struct cli_layout *l, const char *digest, struct bh_arena *arena, struct bh_desc *out,
                           struct bh_err *err);
/* A manifest or index. */
int cli_layout_read(const struct cli_layout *l, const struct bh_desc *desc, struct bh_buf *out, struct bh_err *err);
/* Any blob, whose bytes have been checked; the caller closes. */
int cli_layout_blob(const struct cli_layout *l, const struct bh_desc *desc, int *out_fd, struct bh_err *err);
/* Is it there and right? */
bool cli_layout_has(const struct cli_layout *l, const struct bh_desc *desc);

/* A blob in the making; without a name where the file system can do that.  check: compare what was written. */
struct cli_layout_file {
    int fd;
    bool named;
    char temp[160], name[160];
};
int cli_layout_file_open(const struct cli_layout *l, const struct bh_desc *desc, struct cli_layout_file *out,
                         struct bh_err *err);
int cli_layout_file_commit(const struct cli_layout *l, const struct bh_desc *desc, struct cli_layout_file *f,
                           bool check, struct bh_err *err);
void cli_layout_file_abort(const struct cli_layout *l, struct cli_layout_file *f);
int cli_layout_write(const struct cli_layout *l, const struct bh_desc *desc, const void *data, size_t n,
                     struct bh_err *err);

/* Names a manifest that is there in index.json: instead of an entry with the same tag. */
int cli_layout_set(const struct cli_layout *l, const struct bh_desc *desc, const char *tag, struct bh_err *err);

#endif
