/*
 * fuzz_dockerignore.c - a path, a NUL byte, and any bytes as a .dockerignore.
 *
 * Besides memory safety: a walk finds the same as a single question, and nothing below a folder that is pruned is
 * taken back in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ignore/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const struct bh_ignore *ig, char *path) {
    size_t n = bh_ignore_count(ig) + 1;
    BH_SCOPE_FREE unsigned char *above = bh_xcalloc(n, 1), *here = bh_xcalloc(n, 1);
    bool top = true, pruned = false;

    for (char *c = path;; c++) {
        char kept = *c;
        bool out;

        if (kept != '/' && kept != '\0')
            continue;
        *c = '\0';
        out = bh_ignore_walk(ig, path, top ? NULL : above, here);
        if (out != bh_ignore_match(ig, path) || (pruned && !out))
            abort();
        pruned = pruned || bh_ignore_prunes(ig, path);
        memcpy(above, here, n);
        top = false;
        *c = kept;
        if (kept == '\0')
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size < 512 ? size : 512) : NULL;
    size_t n = nul != NULL ? (size_t)(nul - data) : 0;
    BH_SCOPE_FREE char *path = bh_xmalloc(n + 3);
    BH_SCOPE_IGNORE struct bh_ignore *ig = NULL;
    struct bh_err err = BH_ERR_INIT;

    if (nul == NULL)
        return 0;
    path[0] = '/';
    memcpy(path + 1, data, n);
    path[n + 1] = '\0';
    bh_path_clean(path);
    if (bh_ignore_parse((const char *)nul + 1, size - n - 1, ".dockerignore", &ig, &err) == 0 && path[1] != '\0')
        check_path(ig, path + 1);
    return 0;
}
