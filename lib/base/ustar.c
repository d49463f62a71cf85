/*
 * ustar.c - see ustar.h.
 */
#include "base/ustar.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define OCTAL_MAX ((uint64_t)1 << 33) /* 11 digits */

struct header {
    char name[BH_USTAR_NAME], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6],
        version[2];
    char uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
static_assert(sizeof(struct header) == BH_USTAR_BLOCK, "a header is one block");

static void octal(char *field, size_t width, uint64_t value) {
    snprintf(field, width, "%0*llo", (int)width - 1, (unsigned long long)value);
}

static void put_size(char field[12], uint64_t size) {
    if (size < OCTAL_MAX) {
        octal(field, 12, size);
        return;
    }
    field[0] = (char)0x80;
    for (int i = 11; i > 3; i--, size >>= 8)
        field[i] = (char)(size & 0xff);
}

void bh_ustar_header(char out[BH_USTAR_BLOCK], const struct bh_ustar *e) {
    struct header h = {.type = e->type, .magic = "ustar", .version = {'0', '0'}};
    unsigned sum = 0;

    snprintf(h.name, sizeof h.name, "%s", e->name);
    octal(h.mode, sizeof h.mode, e->mode);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    put_size(h.size, e->size);
    octal(h.mtime, sizeof h.mtime, e->mtime_s > 0 && (uint64_t)e->mtime_s < OCTAL_MAX ? (uint64_t)e->mtime_s : 0);
    memset(h.sum, ' ', sizeof h.sum);
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    octal(h.sum, 7, sum);
    memcpy(out, &h, sizeof h);
}

size_t bh_ustar_padding(uint64_t size) {
    return (size_t)((BH_USTAR_BLOCK - size % BH_USTAR_BLOCK) % BH_USTAR_BLOCK);
}
