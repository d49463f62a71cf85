/*
 * value.h - inside of a bulkhead_value; seen by client/lib only.
 */
#ifndef BULKHEAD_LIB_VALUE_H
#define BULKHEAD_LIB_VALUE_H

#include "bulkhead/bulkhead.h"

/* A reply may hold tens of thousands of them: kept small, a text lies behind its value in one allocation. */
struct bulkhead_value {
    enum bulkhead_type type;
    bool borrowed_keys; /* MAP: the keys are the compiled-in names of fields, not copies */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        size_t cap; /* LIST, MAP */
    };
    union {
        char *data;             /* STRING, BYTES: n bytes and a NUL */
        bulkhead_value **items; /* LIST, MAP */
    };
    char **keys; /* MAP */
    size_t n;
};

bulkhead_value *value_new(enum bulkhead_type type);
/* A map for n fields; value_put adds one that it does not have yet, and borrows the name. */
bulkhead_value *value_record(size_t n);
void value_put(bulkhead_value *record, const char *static_key, bulkhead_value *take_v);
/* Take the value of a key out again without freeing it; NULL if there is none. */
bulkhead_value *value_detach(bulkhead_value *map, const char *key);
bulkhead_value *value_bytes(enum bulkhead_type type, const void *data, size_t n);

#endif
