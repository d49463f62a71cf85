/*
 * fuzz_store_result.c - what a worker that was taken over could hand back to the store.
 *
 * First byte: which reader.  Accepted plans go on to the choice of images.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svc-store/diff.h"
#include "svc-store/plan.h"
#include "svc-store/result.h"
#include "svc-store/unpack/entries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void plan(const struct bh_buf *packed) {
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;
    struct store_plan p;
    struct store_choice c;

    bh_arena_init(&arena, (size_t)16 << 20);
    if (store_result_plan(packed, &arena, &p, &err) == 0) {
        store_plan_choose(&p, "", &arena, &c, &err);
        store_plan_choose(&p, "linux/arm64", &arena, &c, &err);
    }
    bh_arena_fini(&arena);
}

static int ignore(void *arg, char kind, const char *path, size_t n, struct bh_err *err) {
    (void)kind;
    (void)err;
    for (size_t i = 0; i < n; i++)
        *(volatile size_t *)arg += (unsigned char)path[i];
    return 0;
}

/* Two lists out of one input, stacked and compared. */
static void entries(const uint8_t *data, size_t size) {
    size_t half = size / 16 * 8;
    const struct bh_entry *a[256], *b[256], *stacked[512];
    void *copy = aligned_alloc(8, (size + 15) / 8 * 8);
    struct bh_err err = BH_ERR_INIT;
    uint64_t n = size > 0 ? data[size - 1] : 0;
    uint64_t m = size > 1 ? data[size - 2] : 0;
    size_t sum = 0;

    memcpy(copy, data, size);
    if (store_entries_read(copy, half, n, a, &err) == 0 &&
        store_entries_read((char *)copy + half, size / 8 * 8 - half, m, b, &err) == 0)
        store_compare(a, n, stacked, store_stack(a, n, b, m, stacked), ignore, &sum, &err);
    free(copy);
}

static void documents(const struct bh_buf *packed) {
    char digest[STORE_DIGEST_SIZE];
    struct store_document_result d;
    struct bh_image_config config;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;
    const void *reduced;
    uint64_t size;
    size_t n;

    bh_arena_init(&arena, (size_t)16 << 20);
    if (store_result_document(packed, &arena, &d, &err) == 0)
        for (size_t i = 0; i < d.n_entries; i++)
            if (d.entries[i].digest[0] == '\0' || d.entries[i].media == NULL)
                abort();
    bh_err_clear(&err);
    store_result_config(packed, &arena, &config, &reduced, &n, &err);
    bh_err_clear(&err);
    store_result_compress(packed, digest, &size, &err);
    bh_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_buf packed = {.data = (char *)data + 1, .len = size - 1, .cap = size - 1};
    struct store_layer_result layer;
    struct bh_err err = BH_ERR_INIT;

    if (size < 2)
        return 0;
    if (data[0] % 4 == 3)
        documents(&packed);
    else if (data[0] % 4 == 0)
        plan(&packed);
    else if (data[0] % 4 == 1)
        store_result_layer(&packed, &layer, &err);
    else
        entries(data + 1, size - 1);
    return 0;
}
