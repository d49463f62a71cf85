/*
 * fuzz_conf.c - the engine's configuration.  Besides memory safety: every member that the parser made
 * can be reached, and a refusal names the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_into(struct bh_conf_table *t, int depth) {
    const char *key;

    for (size_t i = 0; i < 50 && depth < 8 && (key = bh_conf_key_at(t, i)) != NULL; i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_conf_table *in = NULL;
        const char *const *list;
        const char *s;
        uint64_t u;
        bool b;
        size_t n;
        long tables;

        (void)bh_conf_get_str(t, key, &s, &err);
        (void)bh_conf_get_u64(t, key, 1, 100, &u, &err);
        (void)bh_conf_get_bytes(t, key, &u, &err);
        (void)bh_conf_get_bool(t, key, &b, &err);
        (void)bh_conf_get_strlist(t, key, &list, &n, &err);
        if (bh_conf_get_table(t, key, &in, &err) == 1)
            look_into(in, depth + 1);
        tables = bh_conf_tables(t, key, &err);
        for (long k = 0; k < tables && k < 10; k++)
            look_into(bh_conf_table_at(t, key, (size_t)k), depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_conf *conf = NULL;

    if (bh_conf_parse((const char *)data, size, "f.toml", &conf, &err) == 0) {
        (void)bh_conf_check_known(conf, &err);
        look_into(bh_conf_root(conf), 0);
    } else if (strncmp(err.msg, "f.toml", 6) != 0) {
        abort();
    }
    bh_conf_free(conf);
    return 0;
}
