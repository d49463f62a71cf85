/*
 * support.h - tars put together block by block, for the tests of the worker's readers.
 */
#ifndef TEST_UNPACK_SUPPORT_H
#define TEST_UNPACK_SUPPORT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

struct made {
    const char *name;
    char type; /* 0: '0' */
    const char *link;
    const char *data; /* NULL: none */
    size_t size;      /* of data; 0: strlen */
    unsigned mode;    /* 0: 0644 */
    unsigned uid;
    unsigned mtime; /* 0: 2001 */
};

static inline void made_sum(unsigned char *b) {
    unsigned sum = 0;
    memset(b + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += b[i];
    snprintf((char *)b + 148, 8, "%06o", sum);
}

static inline void made_header(unsigned char *b, const struct made *m, size_t size) {
    memset(b, 0, 512);
    strncpy((char *)b, m->name, 100);
    snprintf((char *)b + 100, 8, "%07o", m->mode == 0 ? 0644u : m->mode);
    snprintf((char *)b + 108, 8, "%07o", m->uid);
    snprintf((char *)b + 116, 8, "%07o", 0u);
    snprintf((char *)b + 124, 12, "%011zo", size);
    snprintf((char *)b + 136, 12, "%011o", m->mtime != 0 ? m->mtime : 1000000000u);
    b[156] = (unsigned char)(m->type == 0 ? '0' : m->type);
    if (m->link != NULL)
        strncpy((char *)b + 157, m->link, 100);
    memcpy(b + 257,
           "ustar\0"
           "00",
           8);
    made_sum(b);
}

static inline void made_add(struct bh_buf *tar, struct made m) {
    static const char zeros[512];
    unsigned char block[512];
    size_t size = m.data == NULL ? 0 : (m.size != 0 ? m.size : strlen(m.data));
    made_header(block, &m, size);
    bh_buf_add(tar, block, sizeof block);
    if (size > 0)
        bh_buf_add(tar, m.data, size);
    bh_buf_add(tar, zeros, (512 - size % 512) % 512);
}

static inline void made_end(struct bh_buf *tar) {
    static const char zeros[1024];
    bh_buf_add(tar, zeros, sizeof zeros);
}

#endif
