/* A specification: decoded or refused; what is decoded encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "wire/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bh_arena arena;
    struct rt_spec spec;
    struct bh_buf again;
    struct bh_err err = BH_ERR_INIT;

    bh_arena_init(&arena, 16 << 20);
    if (rt_spec_decode(data, n, &arena, &spec, &err) == 0) {
        if (rt_spec_encode(&spec, &again, &err) != 0 || again.len != n || memcmp(again.data, data, n) != 0)
            abort();
        bh_buf_fini(&again);
    }
    bh_arena_fini(&arena);
    return 0;
}
