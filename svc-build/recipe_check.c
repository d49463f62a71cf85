/*
 * recipe_check.c - see recipe_check.h.  Owns the lint checks.
 * Room: build.  Pure.
 */
#include "recipe_check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static const struct {
    const char *name;
    const char *page;
} checks[] = {
#define X(name, page) {#name, page},
    BUILD_CHECK_LIST(X)
#undef X
};

const char *build_check_url(const char *name, char out[128]) {
    out[0] = '\0';
    for (size_t i = 0; i < BH_ARRAY_LEN(checks); i++) {
        if (strcmp(checks[i].name, name) == 0 && checks[i].page[0] != '\0')
            snprintf(out, 128, "https://docs.docker.com/go/dockerfile/rule/%s/", checks[i].page);
    }
    return out;
}
