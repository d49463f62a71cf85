/* The head of an answer and its bytes: size, start, status, length, Content-Range, then pieces of the body. */
#include <stdlib.h>
#include <string.h>

#include "svc-registry/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bh_err err = BH_ERR_INIT;
    struct reg_body b;
    char range[64] = "";
    uint64_t size, start, passed = 0;

    if (n < 4)
        return 0;
    size = data[0];
    start = size == 0 ? 0 : data[1] % (size + 1);
    reg_body_init(&b, size, start);
    size_t text = data[3] % sizeof range;
    if (text > n - 4)
        text = n - 4;
    memcpy(range, data + 4, text);
    if (reg_body_head(&b, data[2] & 1 ? 206 : 200, range, data[2] & 2 ? -1 : (int64_t)size, &err) != 0)
        return 0;
    for (size_t at = 4 + text; at < n; at += 7) {
        const void *piece = data + at;
        size_t len = n - at < 7 ? n - at : 7;

        if (reg_body_take(&b, &piece, &len, &err) != 0)
            break;
        passed += len;
    }
    if (passed > size - start || b.at > size)
        abort();
    return 0;
}
