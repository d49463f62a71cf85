/*
 * base64.c - see base64.h.
 */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void bh_base64_add(struct bh_buf *out, const void *data, size_t n) {
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16;

        if (left > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            v |= p[i + 2];
        bh_buf_addc(out, digits[v >> 18]);
        bh_buf_addc(out, digits[v >> 12 & 63]);
        bh_buf_addc(out, left > 1 ? digits[v >> 6 & 63] : '=');
        bh_buf_addc(out, left > 2 ? digits[v & 63] : '=');
    }
}

static int value_of(char c) {
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

bool bh_base64_read(struct bh_buf *out, const char *text, size_t n) {
    size_t start = out->len;
    uint32_t v = 0;
    unsigned have = 0;

    while (n > 0 && text[n - 1] == '=')
        n--;
    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        int d = value_of(text[i]);

        if (d < 0) {
            out->len = start;
            return false;
        }
        v = v << 6 | (uint32_t)d;
        have += 6;
        if (have >= 8) {
            have -= 8;
            bh_buf_addc(out, (char)(v >> have & 0xff));
        }
    }
    return !bh_buf_failed(out);
}
