/*
 * layout_pack.c - see layout_pack.h.
 *
 * Room: client.  The archive has an index.json with that image alone, and only the blobs that belong to it.
 */
#include "cli/layout_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/ustar.h"
#include "cli/layout.h"

#define DEPTH_MAX     4 /* indexes within each other */
#define BLOBS_MAX     4096
#define BUILDKIT_TYPE "application/vnd.buildkit.cacheconfig."

struct packing {
    struct cli_layout layout;
    struct bh_arena arena;
    int fd;
    const char *seen[BLOBS_MAX]; /* digests that are in the archive */
    size_t n;
    bool foreign;
};

/* ---- tar ----------------------------------------------------------------------------------------- */

static int write_all(const struct packing *x, const void *data, size_t n, struct bh_err *err) {
    return bh_write_all(x->fd, data, n) == 0 ? 0 : bh_err_errno(err, errno, "write the archive of %s", x->layout.path);
}

static int pad(const struct packing *x, uint64_t size, struct bh_err *err) {
    static const char zeros[BH_USTAR_BLOCK];

    return write_all(x, zeros, bh_ustar_padding(size), err);
}

static int add_header(const struct packing *x, const char *name, uint64_t size, struct bh_err *err) {
    char h[BH_USTAR_BLOCK];

    bh_ustar_header(h, &(struct bh_ustar){.name = name, .type = '0', .mode = 0644, .size = size});
    return write_all(x, h, sizeof h, err);
}

static int add_file(const struct packing *x, const char *name, const void *data, size_t n, struct bh_err *err) {
    return add_header(x, name, n, err) != 0 || write_all(x, data, n, err) != 0 ? err->code : pad(x, n, err);
}

static int add_content(const struct packing *x, const char *name, int fd, uint64_t size, struct bh_err *err) {
    if (add_header(x, name, size, err) != 0)
        return err->code;
    for (uint64_t left = size; left > 0;) {
        ssize_t n = sendfile(x->fd, fd, NULL, left < ((uint64_t)1 << 30) ? (size_t)left : (size_t)1 << 30);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? bh_err_errno(err, errno, "write the archive of %s", x->layout.path)
                         : bh_err_set(err, BH_E_DATA_LOSS, "%s/%s became shorter", x->layout.path, name);
        left -= (uint64_t)n;
    }
    return pad(x, size, err);
}

/* ---- blobs --------------------------------------------------------------------------------------- */

static int add_blob(struct packing *x, const struct bh_desc *d, struct bh_err *err) {
    char name[BH_LAYOUT_PATH_SIZE];
    BH_SCOPE_CLOSE int fd = -1;

    for (size_t i = 0; i < x->n; i++)
        if (strcmp(x->seen[i], d->digest_text) == 0)
            return 0;
    if (x->n == BLOBS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: an image of more than %d blobs", x->layout.path, BLOBS_MAX);
    if (cli_layout_blob(&x->layout, d, &fd, err) != 0)
        return err->code;
    x->seen[x->n++] = d->digest_text;
    bh_layout_blob_path(&d->digest, name);
    return add_content(x, name, fd, d->size, err);
}

static int add_tree(struct packing *x, const struct bh_desc *d, unsigned depth, struct bh_err *err);

static int add_entries(struct packing *x, const struct bh_index *index, unsigned depth, struct bh_err *err) {
    for (size_t i = 0; i < index->n_entries; i++) {
        if (add_tree(x, &index->entries[i], depth + 1, err) == 0)
            continue;
        if (err->code != BH_E_NOT_FOUND)
            return err->code;
        bh_err_clear(err); /* a layout need not have all platforms */
    }
    return 0;
}

static int add_parts(struct packing *x, const struct bh_manifest *m, struct bh_err *err) {
    if (add_blob(x, &m->config, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n_layers; i++)
        if (add_blob(x, &m->layers[i], err) != 0)
            return err->code;
    return 0;
}

/* A manifest or an index with all that it names. */
static int add_tree(struct packing *x, const struct bh_desc *d, unsigned depth, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    struct bh_doc doc;

    if (depth > DEPTH_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d indexes within each other", x->layout.path, DEPTH_MAX);
    if (cli_layout_read(&x->layout, d, &text, err) != 0)
        return err->code;
    if (memmem(bh_buf_str(&text), text.len, BUILDKIT_TYPE, strlen(BUILDKIT_TYPE)) != NULL) {
        x->foreign = true;
        return 0;
    }
    if (bh_doc_parse(bh_buf_str(&text), text.len, d->media_type, d->digest_text, NULL, &x->arena, &doc, err) != 0 ||
        add_blob(x, d, err) != 0)
        return err->code;
    return doc.kind == BH_DOC_INDEX ? add_entries(x, &doc.index, depth, err) : add_parts(x, &doc.manifest, err);
}

/* ---- the archive --------------------------------------------------------------------------------- */

static int add_top(const struct packing *x, const struct bh_desc *d, struct bh_err *err) {
    struct bh_index index = {.media_type = BH_MT_OCI_INDEX, .artifact_type = "", .n_entries = 1};
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT, marker BH_SCOPE_BUF = BH_BUF_INIT;
    struct bh_desc entry = *d;
    static const char end[2 * BH_USTAR_BLOCK];

    entry.annotations = (struct bh_pairs){0}; /* no name goes along */
    index.entries = &entry;
    bh_index_write(&index, &text);
    bh_layout_write(&marker);
    if (add_file(x, "oci-layout", bh_buf_str(&marker), marker.len, err) != 0 ||
        add_file(x, "index.json", bh_buf_str(&text), text.len, err) != 0)
        return err->code;
    return write_all(x, end, sizeof end, err);
}

static int pick_one(struct packing *x, const struct cli_layout_pick *pick, struct bh_desc *out, struct bh_err *err) {
    if (pick->digest[0] != '\0')
        return cli_layout_find_digest(&x->layout, pick->digest, &x->arena, out, err);
    if (pick->tag[0] == '\0' && pick->or_tag[0] != '\0' &&
        cli_layout_find(&x->layout, pick->or_tag, &x->arena, out, err) == 0)
        return 0;
    bh_err_clear(err);
    return cli_layout_find(&x->layout, pick->tag, &x->arena, out, err);
}

static int pack(struct packing *x, const struct cli_layout_pick *pick, struct bh_err *err) {
    struct bh_desc top;

    if (pick_one(x, pick, &top, err) != 0 || add_tree(x, &top, 0, err) != 0)
        return err->code;
    if (x->foreign)
        return 0;
    if (add_top(x, &top, err) != 0)
        return err->code;
    return lseek(x->fd, 0, SEEK_SET) == 0 ? 0 : bh_err_errno(err, errno, "read the archive of %s", x->layout.path);
}

static int open_temp(struct packing *x, struct bh_err *err) {
    const char *tmp = getenv("TMPDIR");

    tmp = tmp != NULL && tmp[0] == '/' ? tmp : "/tmp";
    x->fd = open(tmp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return x->fd >= 0 ? 0 : bh_err_errno(err, errno, "make a file in %s", tmp);
}

int cli_layout_pack(const struct cli_layout_pick *pick, int *out_fd, bool *out_foreign, struct bh_err *err) {
    BH_SCOPE_FREE struct packing *x = bh_xcalloc(1, sizeof *x);

    *out_foreign = false;
    x->fd = -1;
    if (cli_layout_open(&x->layout, pick->dir, err) != 0)
        return err->code;
    bh_arena_init(&x->arena, (size_t)64 << 20);
    if (open_temp(x, err) == 0 && pack(x, pick, err) == 0 && !x->foreign)
        *out_fd = bh_take_fd(&x->fd);
    *out_foreign = x->foreign;
    if (x->fd >= 0)
        close(x->fd);
    bh_arena_fini(&x->arena);
    cli_layout_close(&x->layout);
    return err->code;
}
