/*
 * copy_side.h - where an image is copied from or to: a registry by the engine, or a layout by the user's own rights.
 *
 * Room: client.  Only the client may look into the user's folders, and only the registry room has a network: a blob
 * goes between them as an open file beside a call.
 */
#ifndef BH_CLI_COPY_SIDE_H
#define BH_CLI_COPY_SIDE_H

#include "cli/remote.h"
#include "bulkhead/bulkhead.h"
#include "cli/layout.h"
#include "cli/opt.h"
#include "oci/ref.h"

struct cli_copy_side {
    const char *word; /* as the user wrote it, without docker:// */
    bool is_layout;
    struct cli_layout_name folder; /* of a layout */
    struct cli_layout layout;
    bulkhead *engine; /* of a registry, and its requests with what belongs to every call */
    bulkhead_value *inspect, *manifest, *blob;
};
/* "oci:DIR[:TAG]", "docker://NAME" or NAME; opens nothing. */
int cli_copy_side_init(struct cli_copy_side *s, const char *word, struct bh_err *err);
void cli_copy_side_fini(struct cli_copy_side *s);
/* 0 or an exit status whose error has been printed. */
int cli_copy_side_connect(struct cli_copy_side *s, struct cli_ctx *ctx, const struct cli_args *args,
                          enum cli_remote_use use);

/* A manifest or index; the strings are the struct's, what was parsed is in the arena. */
struct cli_copy_document {
    struct bh_buf data;
    struct bh_desc desc;
    struct bh_doc doc;
};
/* entry NULL: what the name means. */
int cli_copy_document_get(struct cli_copy_side *from, const struct bh_desc *entry, struct bh_arena *arena,
                          struct cli_copy_document *out, struct bh_err *err);
/* named: by the target's own name, else by its digest alone. */
int cli_copy_document_put(struct cli_copy_side *to, const struct cli_copy_document *d, bool named, struct bh_err *err);

/* A blob on its way. */
struct cli_copy_blob {
    const struct bh_desc *desc;
    bulkhead_stream *call; /* NULL: nothing is under way */
    struct cli_layout_file file;
    bool there; /* the target had it */
};
/* One of the two sides is a registry: the call is under way; else all is done. */
int cli_copy_blob_begin(struct cli_copy_side *from, struct cli_copy_side *to, struct cli_copy_blob *b,
                        struct bh_err *err);
int cli_copy_blob_end(struct cli_copy_side *to, struct cli_copy_blob *b, struct bh_err *err);
void cli_copy_blob_abort(struct cli_copy_side *to, struct cli_copy_blob *b);

#endif
