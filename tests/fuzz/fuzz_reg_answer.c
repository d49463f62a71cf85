/*
 * fuzz_reg_answer.c - bodies of errors.  The first byte chooses the status.  Besides memory safety: there is always an
 * error, with a text, and no byte of it is one that a terminal obeys.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svc-registry/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int statuses[] = {400, 401, 403, 404, 405, 418, 429, 500, 503};
    const struct reg_answer_about about = {.name = "a:1", .host = "h", .manifest = size % 2, .write = size % 3 == 0};
    struct reg_http_response r = REG_HTTP_RESPONSE_INIT;
    struct bh_err err = BH_ERR_INIT;

    if (size == 0 || size > REG_ERROR_BODY_MAX)
        return 0;
    r.status = statuses[data[0] % (sizeof statuses / sizeof statuses[0])];
    r.header[0] =
        (struct reg_header){"content-type", data[0] & 0x80 ? "text/plain; charset=utf-8" : "application/json"};
    r.n_headers = 1;
    bh_buf_add(&r.body, data + 1, size - 1);
    if (reg_answer_error(&r, &about, &err) >= 0 || !*err.msg)
        abort();
    for (const unsigned char *c = (const unsigned char *)err.msg; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            abort();
    }
    reg_http_response_fini(&r);
    return 0;
}
