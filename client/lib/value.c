/*
 * value.c - the value tree of bulkhead.h.
 *
 * Room: client.  Plain data owned by the caller; sizes are bounded by the messages they come from.
 * Getters never fail, so that a caller reads a reply without a ladder of checks.
 */
#include "value.h"

#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/mem.h"

bulkhead_value *value_new(enum bulkhead_type type) {
    bulkhead_value *v = bh_xcalloc(1, sizeof *v);

    v->type = type;
    return v;
}

bulkhead_value *value_bytes(enum bulkhead_type type, const void *data, size_t n) {
    bulkhead_value *v = bh_xmalloc(sizeof *v + n + 1);

    *v = (bulkhead_value){.type = type, .data = (char *)(v + 1), .n = n};
    if (n > 0)
        memcpy(v->data, data, n);
    v->data[n] = '\0';
    return v;
}

bulkhead_value *bulkhead_map_new(void) {
    return value_new(BULKHEAD_MAP);
}

bulkhead_value *bulkhead_list_new(void) {
    return value_new(BULKHEAD_LIST);
}

static bool has_items(const bulkhead_value *v) {
    return v->type == BULKHEAD_LIST || v->type == BULKHEAD_MAP;
}

void bulkhead_value_free(bulkhead_value *v) {
    if (v == NULL)
        return;
    if (has_items(v)) {
        for (size_t i = 0; i < v->n; i++) {
            bulkhead_value_free(v->items[i]);
            if (v->keys != NULL && !v->borrowed_keys)
                free(v->keys[i]);
        }
        free(v->items);
        free(v->keys);
    }
    free(v);
}

bulkhead_value *value_record(size_t n) {
    bulkhead_value *v = bulkhead_map_new();

    v->borrowed_keys = true;
    v->cap = n;
    v->items = bh_xcalloc(n, sizeof *v->items);
    v->keys = bh_xcalloc(n, sizeof *v->keys);
    return v;
}

void value_put(bulkhead_value *record, const char *static_key, bulkhead_value *take_v) {
    if (take_v == NULL)
        return;
    record->keys[record->n] = (char *)(uintptr_t)static_key;
    record->items[record->n++] = take_v;
}

static void own_keys(bulkhead_value *map) {
    for (size_t i = 0; i < map->n && map->borrowed_keys; i++)
        map->keys[i] = bh_xstrdup(map->keys[i]);
    map->borrowed_keys = false;
}

static void append(bulkhead_value *v, const char *key, bulkhead_value *take_item) {
    if (v->type == BULKHEAD_MAP)
        own_keys(v);
    if (v->n == v->cap) {
        v->cap = v->cap == 0 ? 8 : v->cap * 2;
        v->items = bh_xrealloc(v->items, v->cap * sizeof *v->items);
        if (v->type == BULKHEAD_MAP)
            v->keys = bh_xrealloc(v->keys, v->cap * sizeof *v->keys);
    }
    if (v->type == BULKHEAD_MAP)
        v->keys[v->n] = bh_xstrdup(key);
    v->items[v->n++] = take_item;
}

void bulkhead_set(bulkhead_value *map, const char *key, bulkhead_value *take_v) {
    if (take_v == NULL)
        return;
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i], key) == 0) {
            bulkhead_value_free(map->items[i]);
            map->items[i] = take_v;
            return;
        }
    }
    append(map, key, take_v);
}

bulkhead_value *value_detach(bulkhead_value *map, const char *key) {
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i], key) == 0) {
            bulkhead_value *v = map->items[i];

            if (!map->borrowed_keys)
                free(map->keys[i]);
            memmove(&map->keys[i], &map->keys[i + 1], (map->n - i - 1) * sizeof *map->keys);
            memmove(&map->items[i], &map->items[i + 1], (map->n - i - 1) * sizeof *map->items);
            map->n--;
            return v;
        }
    }
    return NULL;
}

void bulkhead_add(bulkhead_value *list, bulkhead_value *take_v) {
    if (take_v != NULL)
        append(list, NULL, take_v);
}

void bulkhead_set_str(bulkhead_value *map, const char *key, const char *s) {
    if (s != NULL)
        bulkhead_set(map, key, value_bytes(BULKHEAD_STRING, s, strlen(s)));
}

void bulkhead_set_int(bulkhead_value *map, const char *key, int64_t i) {
    bulkhead_value *v = value_new(BULKHEAD_INT);

    v->i = i;
    bulkhead_set(map, key, v);
}

void bulkhead_set_uint(bulkhead_value *map, const char *key, uint64_t u) {
    bulkhead_value *v = value_new(BULKHEAD_UINT);

    v->u = u;
    bulkhead_set(map, key, v);
}

void bulkhead_set_bool(bulkhead_value *map, const char *key, bool b) {
    bulkhead_value *v = value_new(BULKHEAD_BOOL);

    v->b = b;
    bulkhead_set(map, key, v);
}

void bulkhead_set_bytes(bulkhead_value *map, const char *key, const void *data, size_t n) {
    bulkhead_set(map, key, value_bytes(BULKHEAD_BYTES, data, n));
}

void bulkhead_add_str(bulkhead_value *list, const char *s) {
    if (s != NULL)
        bulkhead_add(list, value_bytes(BULKHEAD_STRING, s, strlen(s)));
}

enum bulkhead_type bulkhead_type_of(const bulkhead_value *v) {
    return v == NULL ? BULKHEAD_NULL : v->type;
}

const bulkhead_value *bulkhead_get(const bulkhead_value *map, const char *key) {
    if (map == NULL || map->type != BULKHEAD_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i], key) == 0)
            return map->items[i];
    }
    return NULL;
}

const char *bulkhead_str(const bulkhead_value *v) {
    return v != NULL && (v->type == BULKHEAD_STRING || v->type == BULKHEAD_BYTES) ? v->data : "";
}

int64_t bulkhead_int(const bulkhead_value *v) {
    if (v == NULL)
        return 0;
    switch (v->type) {
    case BULKHEAD_INT:
        return v->i;
    case BULKHEAD_UINT:
        return v->u > INT64_MAX ? INT64_MAX : (int64_t)v->u;
    case BULKHEAD_BOOL:
        return v->b;
    default:
        return 0;
    }
}

const char *bulkhead_get_str(const bulkhead_value *map, const char *key) {
    return bulkhead_str(bulkhead_get(map, key));
}

int64_t bulkhead_get_int(const bulkhead_value *map, const char *key) {
    return bulkhead_int(bulkhead_get(map, key));
}

uint64_t bulkhead_get_uint(const bulkhead_value *map, const char *key) {
    const bulkhead_value *v = bulkhead_get(map, key);

    if (v != NULL && v->type == BULKHEAD_UINT)
        return v->u;
    return bulkhead_int(v) < 0 ? 0 : (uint64_t)bulkhead_int(v);
}

bool bulkhead_get_bool(const bulkhead_value *map, const char *key) {
    const bulkhead_value *v = bulkhead_get(map, key);

    return v != NULL && v->type == BULKHEAD_BOOL && v->b;
}

const void *bulkhead_get_bytes(const bulkhead_value *map, const char *key, size_t *out_n) {
    const bulkhead_value *v = bulkhead_get(map, key);
    bool has = v != NULL && (v->type == BULKHEAD_BYTES || v->type == BULKHEAD_STRING);

    *out_n = has ? v->n : 0;
    return has ? v->data : "";
}

size_t bulkhead_count(const bulkhead_value *v) {
    return v != NULL && (v->type == BULKHEAD_LIST || v->type == BULKHEAD_MAP) ? v->n : 0;
}

const bulkhead_value *bulkhead_at(const bulkhead_value *list, size_t i) {
    return i < bulkhead_count(list) ? list->items[i] : NULL;
}

const char *bulkhead_key_at(const bulkhead_value *map, size_t i) {
    return i < bulkhead_count(map) && map->keys != NULL ? map->keys[i] : "";
}

const bulkhead_value *bulkhead_value_at(const bulkhead_value *map, size_t i) {
    return bulkhead_at(map, i);
}

static void add_base64(struct bh_buf *out, const char *data, size_t n) {
    bh_buf_addc(out, '"');
    bh_base64_add(out, data, n);
    bh_buf_addc(out, '"');
}

static void add_json(struct bh_buf *out, const bulkhead_value *v) {
    if (v == NULL) {
        bh_buf_adds(out, "null");
        return;
    }
    switch (v->type) {
    case BULKHEAD_NULL:
        bh_buf_adds(out, "null");
        break;
    case BULKHEAD_BOOL:
        bh_buf_adds(out, v->b ? "true" : "false");
        break;
    case BULKHEAD_INT:
        bh_buf_addf(out, "%lld", (long long)v->i);
        break;
    case BULKHEAD_UINT:
        bh_buf_addf(out, "%llu", (unsigned long long)v->u);
        break;
    case BULKHEAD_STRING:
        bh_buf_add_json_str(out, v->data, v->n);
        break;
    case BULKHEAD_BYTES:
        add_base64(out, v->data, v->n);
        break;
    case BULKHEAD_LIST:
    case BULKHEAD_MAP:
        bh_buf_addc(out, v->type == BULKHEAD_MAP ? '{' : '[');
        for (size_t i = 0; i < v->n; i++) {
            if (i > 0)
                bh_buf_addc(out, ',');
            if (v->type == BULKHEAD_MAP) {
                bh_buf_add_json_str(out, v->keys[i], strlen(v->keys[i]));
                bh_buf_addc(out, ':');
            }
            add_json(out, v->items[i]);
        }
        bh_buf_addc(out, v->type == BULKHEAD_MAP ? '}' : ']');
        break;
    }
}

char *bulkhead_to_json(const bulkhead_value *v) {
    struct bh_buf out = BH_BUF_INIT;

    add_json(&out, v);
    return bh_buf_take(&out);
}
