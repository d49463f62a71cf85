/*
 * fuzz_change.c - the instructions of --change.  Besides memory safety: a config that was changed is
 * one that the config reader accepts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "oci/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bh_image_config *c, struct bh_arena *arena) {
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config again;

    bh_image_config_write(c, &out);
    if (bh_image_config_parse(bh_buf_str(&out), out.len, "again", NULL, arena, &again, &err) != 0 &&
        err.code != BH_E_LIMIT)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    BH_SCOPE_FREE char *text = bh_xstrndup((const char *)data, size);
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c;
    struct bh_arena arena;

    bh_arena_init(&arena, (size_t)32 << 20);
    bh_image_config_init(&c);
    if (bh_env_set(&c.config.env, &arena, "PATH", "/bin", &err) == 0 &&
        bh_change_apply(text, &c.config, &arena, &err) == 0)
        check(&c, &arena);
    bh_arena_fini(&arena);
    return 0;
}
