/*
 * fuzz_json_manifest.c - manifests, indexes, docker-archive and layout documents.  Besides memory
 * safety: what was accepted can be written, and what is written is accepted and written the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

static void write_doc(const struct bh_doc *doc, struct bh_buf *out) {
    if (doc->kind == BH_DOC_MANIFEST)
        bh_manifest_write(&doc->manifest, out);
    else
        bh_index_write(&doc->index, out);
    must(!bh_buf_failed(out));
}

static void check_doc(const struct bh_doc *doc, struct bh_arena *arena) {
    BH_SCOPE_BUF struct bh_buf one = BH_BUF_INIT, two = BH_BUF_INIT;
    const struct bh_platform want = {.os = "linux", .arch = "arm", .variant = "v7"};
    struct bh_err err = BH_ERR_INIT;
    struct bh_doc again;

    write_doc(doc, &one);
    must(bh_doc_parse(one.data, one.len, NULL, "again", NULL, arena, &again, &err) == 0);
    must(again.kind == doc->kind);
    write_doc(&again, &two);
    must(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    if (doc->kind == BH_DOC_MANIFEST)
        (void)bh_manifest_check_image(&doc->manifest, "doc", &err);
    else
        must(bh_index_choose(&doc->index, &want) < (long)doc->index.n_entries);
}

static void check_archive(const struct bh_archive *a, struct bh_arena *arena) {
    BH_SCOPE_BUF struct bh_buf one = BH_BUF_INIT, two = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_archive again;

    bh_archive_write(a, &one);
    must(bh_archive_parse(one.data, one.len, NULL, arena, &again, &err) == 0);
    bh_archive_write(&again, &two);
    must(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_arena arena;
    struct bh_archive archive;
    struct bh_doc doc;

    bh_arena_init(&arena, (size_t)64 << 20);
    if (bh_doc_parse(data, size, NULL, "doc", NULL, &arena, &doc, &err) == 0)
        check_doc(&doc, &arena);
    (void)bh_doc_parse(data, size, BH_MT_DOCKER_LIST, "doc", NULL, &arena, &doc, &err);
    if (bh_archive_parse(data, size, NULL, &arena, &archive, &err) == 0)
        check_archive(&archive, &arena);
    (void)bh_layout_parse(data, size, &err);
    bh_arena_fini(&arena);
    return 0;
}
