/*
 * value.h - inside of a bulkhead_value; seen by client/lib only.
 */
#ifndef BULKHEAD_LIB_VALUE_H
#define BULKHEAD_LIB_VALUE_H

#include "bulkhead/bulkhead.h"

struct bulkhead_value {
    enum bulkhead_type type;
    bool b;
    int64_t i;
    uint64_t u;
    char *data;             /* STRING, BYTES: n bytes and a NUL */
    bulkhead_value **items; /* LIST, MAP */
    char **keys;            /* MAP */
    size_t n, cap;
};

bulkhead_value *value_new(enum bulkhead_type type);
/* Take the value of a key out again without freeing it; NULL if there is none. */
bulkhead_value *value_detach(bulkhead_value *map, const char *key);
bulkhead_value *value_bytes(enum bulkhead_type type, const void *data, size_t n);

#endif
