/* The files of an image: user, passwd and group, parted by bytes 0x01. */
#include <stdlib.h>
#include <string.h>

#include "rightless/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *a = memchr(data, 1, n);
    const uint8_t *b = a != NULL ? memchr(a + 1, 1, n - (size_t)(a + 1 - data)) : NULL;
    struct lnc_user u;
    char *user;

    if (b == NULL)
        return 0;
    user = strndup((const char *)data, (size_t)(a - data));
    lnc_lookup_in((const char *)a + 1, (size_t)(b - a - 1), (const char *)b + 1, n - (size_t)(b + 1 - data), user, NULL,
                  &u);
    if (u.n_groups > 256 || u.home[0] != '/' || memchr(u.msg, 0, sizeof(u.msg)) == NULL)
        abort();
    free(user);
    return 0;
}
