/*
 * fuzz_owner.c - a name, a NUL byte, and any bytes as an image's passwd or group file.
 *
 * Besides memory safety: a number that is found is one that an owner can be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "owner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size < 300 ? size : 300) : NULL;

    if (nul == NULL)
        return 0;
    for (unsigned field = 0; field < 4; field++) {
        const char *text = (const char *)nul + 1;
        size_t n = size - (size_t)(text - (const char *)data);
        char *copy = malloc(n > 0 ? n : 1); /* so that a step behind the end is seen */
        int64_t id = -1;

        if (copy == NULL)
            return 0;
        memcpy(copy, text, n);
        if (build_owner_in_file(copy, n, (const char *)data, field, &id) && (id < 0 || id > 4294967294))
            abort();
        free(copy);
    }
    return 0;
}
