/*
 * fuzz_json_config.c - image configs.  Besides memory safety: what was accepted can be written, and
 * what is written is accepted and written the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "oci/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

static void check(const struct bh_image_config *c, struct bh_arena *arena) {
    BH_SCOPE_BUF struct bh_buf one = BH_BUF_INIT, two = BH_BUF_INIT;
    struct bh_image_config again, copy;
    struct bh_err err = BH_ERR_INIT;
    struct bh_platform p;

    bh_image_config_write(c, &one);
    must(!bh_buf_failed(&one));
    must(bh_image_config_parse(one.data, one.len, "again", NULL, arena, &again, &err) == 0);
    must(bh_image_config_copy(&again, arena, &copy, &err) == 0);
    bh_image_config_write(&copy, &two);
    must(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    for (size_t i = 0; i < c->config.env.n; i++)
        must(strchr(c->config.env.v[i], '=') != NULL);
    bh_image_config_platform(c, &p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c;
    struct bh_arena arena;

    bh_arena_init(&arena, (size_t)64 << 20);
    if (bh_image_config_parse(data, size, "config", NULL, &arena, &c, &err) == 0)
        check(&c, &arena);
    bh_arena_fini(&arena);
    return 0;
}
