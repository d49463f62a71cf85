/*
 * fuzz_tar.c - any bytes as a tar: read it, build the tree, write the index.
 *
 * Held to: no crash; the same entries whatever pieces the bytes come in; and whatever is accepted gives a
 * layer file that launch's verifier, which is other code, accepts too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "layer/layer_check.h"
#include "rightless/verify.h"
#include "unpack/index.h"
#include "unpack/tar_reader.h"
#include "unpack/tree.h"

static const struct unp_tar_limits tar_limits = {.max_entries = 2000, .max_path = 4096, .max_pax = 65536};
static const struct unp_tree_limits tree_limits = {
    .max_entries = 2000, .max_sparse = 1 << 20, .max_depth = 64, .max_xattrs = 65536, .max_path = 4096};

struct trace {
    uint64_t hash;
    struct unp_tree *tree; /* NULL: only the trace */
};

static void mix(struct trace *t, const void *p, size_t n) {
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        t->hash = (t->hash ^ b[i]) * 0x100000001b3ull;
}

static int entry(void *arg, const struct unp_entry *e, struct bh_err *err) {
    struct trace *t = arg;
    uint64_t numbers[] = {e->type,       e->mode, e->uid,     e->gid,       (uint64_t)e->mtime,
                          e->mtime_nsec, e->size, e->data_at, e->data_size, e->n_xattrs};
    mix(t, numbers, sizeof numbers);
    mix(t, e->name.s, e->name.n);
    mix(t, e->link.s, e->link.n);
    return t->tree == NULL ? 0 : unp_tree_apply(t->tree, e, err);
}

static int read_all(const uint8_t *data, size_t size, size_t piece, struct trace *t, uint64_t *entries) {
    static struct unp_tar tar;
    struct bh_err err = BH_ERR_INIT;
    int rc = 0;
    unp_tar_init(&tar, &tar_limits, entry, t);
    for (size_t at = 0; rc == 0 && at < size; at += piece)
        rc = unp_tar_feed(&tar, data + at, size - at < piece ? size - at : piece, &err);
    if (rc == 0)
        rc = unp_tar_end(&tar, &err);
    if ((rc == 0) != (err.code == 0) || (rc != 0 && err.msg[0] == '\0'))
        abort();
    *entries = tar.entries;
    unp_tar_fini(&tar);
    return rc;
}

static void write_layer(struct unp_tree *tree, const uint8_t *data, size_t size, uint64_t entries) {
    static int fd = -1;
    const uint8_t diff_id[32] = {1, 2, 3};
    struct bh_layer_header header;
    struct unp_index index;
    struct bh_err err = BH_ERR_INIT;
    if (fd < 0)
        fd = memfd_create("layer", 0);
    if (ftruncate(fd, 0) != 0 || bh_pwrite_all(fd, data, size, BH_LAYER_TAR_OFFSET) != 0)
        abort();
    int rc = unp_index_layout(&index, tree, &err);
    if (rc == 0)
        rc = unp_index_write(&index, fd, size, diff_id, entries, &header, &err);
    unp_index_fini(&index);
    if (rc != 0)
        return;
    if (bh_layer_open(fd, &header, &err) != 0 || lnc_verify_layer(fd, diff_id, &err) != 0) {
        write(2, err.msg, strlen(err.msg));
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_err err = BH_ERR_INIT;
    struct unp_tree tree;
    struct trace whole = {.tree = &tree};
    struct trace pieces = {.tree = NULL};
    uint64_t entries;
    uint64_t again;
    if (unp_tree_init(&tree, &tree_limits, &err) != 0)
        abort();
    int rc = read_all(data, size, size, &whole, &entries);
    if (rc == 0) {
        if (read_all(data, size, 97, &pieces, &again) != 0 || pieces.hash != whole.hash || again != entries)
            abort();
        write_layer(&tree, data, size, entries);
    }
    unp_tree_fini(&tree);
    return 0;
}
