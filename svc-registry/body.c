/*
 * body.c - see body.h.
 */
#include "svc-registry/body.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

void reg_body_init(struct reg_body *b, uint64_t size, uint64_t start) {
    *b = (struct reg_body){.size = size, .start = start, .at = start};
}

static bool number(const char **p, char end, uint64_t *out) {
    const char *stop = strchr(*p, end);
    char text[24];

    if (stop == NULL || !bh_str_copy_n(text, sizeof text, *p, (size_t)(stop - *p)) || !bh_str_u64(text, out))
        return false;
    *p = stop + (end != '\0');
    return true;
}

bool reg_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *size) {
    const char *p = text;

    if (strncasecmp(p, "bytes ", 6) != 0)
        return false;
    for (p += 6; *p == ' '; p++)
        continue;
    if (!number(&p, '-', first) || !number(&p, '/', last) || *last < *first)
        return false;
    if (strcmp(p, "*") == 0) {
        *size = UINT64_MAX;
        return true;
    }
    return number(&p, '\0', size) && *last < *size;
}

static int wrong_size(const struct reg_body *b, uint64_t told, struct bh_err *err) {
    bh_err_set(err, BH_E_DATA_LOSS, "the registry sends %" PRIu64 " bytes where its manifest says %" PRIu64, told,
               b->size);
    return bh_err_reason(err, "wrong-size");
}

static int partial(struct reg_body *b, const char *content_range, struct bh_err *err) {
    uint64_t first, last, size;

    if (!reg_content_range(content_range, &first, &last, &size) || first != b->start) {
        bh_err_set(err, BH_E_DATA_LOSS,
                   "the registry was asked for bytes from %" PRIu64 " on and answered with \"%.80s\"", b->start,
                   content_range);
        return bh_err_reason(err, "bad-range");
    }
    if (size != UINT64_MAX && size != b->size)
        return wrong_size(b, size, err);
    if (last >= b->size)
        return wrong_size(b, last + 1, err);
    b->skip = 0;
    return 0;
}

int reg_body_head(struct reg_body *b, long status, const char *content_range, int64_t length, struct bh_err *err) {
    b->at = b->start;
    if (status == 206)
        return partial(b, content_range, err);
    if (status != 200)
        return bh_err_set(err, BH_E_INTERNAL, "status %ld has no blob for a body", status);
    if (length >= 0 && (uint64_t)length != b->size)
        return wrong_size(b, (uint64_t)length, err);
    b->skip = b->start;
    return 0;
}

int reg_body_take(struct reg_body *b, const void **data, size_t *n, struct bh_err *err) {
    size_t drop = *n < b->skip ? *n : (size_t)b->skip;

    b->skip -= drop;
    *data = (const char *)*data + drop;
    *n -= drop;
    if (*n > b->size - b->at)
        return wrong_size(b, b->at + *n, err);
    b->at += *n;
    return 0;
}

int reg_body_end(const struct reg_body *b, struct bh_err *err) {
    if (b->at == b->size)
        return 0;
    bh_err_set(err, BH_E_UNAVAILABLE, "the connection ended after %" PRIu64 " of %" PRIu64 " bytes", b->at, b->size);
    return bh_err_reason(err, "connection-lost");
}
