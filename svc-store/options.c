/*
 * options.c - the store's part of the engine's config.
 *
 * Room: store.  The file is the administrator's; a key that is wrong stops the start with its line.
 */
#include "store.h"

#include "base/str.h"

void store_options_init(struct store_options *o) {
    *o = (struct store_options){
        .keep = STORE_KEEP_SOURCE,
        .rehash = true,
        .reserve = (uint64_t)4 << 20,
        .max_archive = (uint64_t)64 << 30,
    };
}
