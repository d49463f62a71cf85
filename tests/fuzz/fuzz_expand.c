/*
 * fuzz_expand.c - any bytes as a word with variables.  The first byte chooses the flags, the second the escape
 * character; the value of $V is what stands behind the first newline.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "svc-build/recipe_expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *user, const char *name) {
    if (strcmp(name, "V") == 0)
        return user;
    return strcmp(name, "E") == 0 ? "" : strcmp(name, "A") == 0 ? "a b" : NULL;
}

/* With nothing to replace, splitting and joining lose blanks and no more. */
static void check_words(const struct bh_strlist *l) {
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i][0] == '\0')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct build_expand x = {.escape = '\\', .lookup = lookup};
    BH_SCOPE_FREE char *text = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct bh_strlist words;
    struct bh_arena arena;
    const char *out;
    char *value;

    if (size < 2)
        return 0;
    text = bh_xstrndup((const char *)data + 2, size - 2);
    value = strchr(text, '\n');
    if (value != NULL)
        *value++ = '\0';
    bh_arena_init(&arena, (size_t)32 << 20);
    x.flags = data[0] & 15;
    x.escape = data[1] & 1 ? '`' : '\\';
    x.user = value != NULL ? value : text;
    x.arena = &arena;
    build_expand_word(&x, text, &out, &err);
    if (build_expand_words(&x, text, &words, &err) == 0)
        check_words(&words);
    bh_arena_fini(&arena);
    return 0;
}
