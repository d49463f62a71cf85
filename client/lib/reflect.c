/*
 * reflect.c - see reflect.h.
 *
 * Room: client.  Trusts the descriptors (they are compiled in), not the values.
 */
#include "reflect.h"

#include <string.h>

#include "value.h"

static const void *member(const ProtobufCMessage *m, unsigned offset) {
    return (const char *)m + offset;
}

static size_t element_size(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static bulkhead_value *int_value(int64_t i) {
    bulkhead_value *v = value_new(BULKHEAD_INT);

    v->i = i;
    return v;
}

static bulkhead_value *uint_value(uint64_t u) {
    bulkhead_value *v = value_new(BULKHEAD_UINT);

    v->u = u;
    return v;
}

/* One scalar or message at p; NULL for a sub-message that is not set. */
static bulkhead_value *from_element(ProtobufCType type, const void *p) {
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        return int_value(*(const int32_t *)p);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return int_value(*(const int64_t *)p);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return uint_value(*(const uint32_t *)p);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return uint_value(*(const uint64_t *)p);
    case PROTOBUF_C_TYPE_BOOL: {
        bulkhead_value *v = value_new(BULKHEAD_BOOL);

        v->b = *(const protobuf_c_boolean *)p;
        return v;
    }
    case PROTOBUF_C_TYPE_STRING: {
        const char *s = *(char *const *)p;

        return value_bytes(BULKHEAD_STRING, s != NULL ? s : "", s != NULL ? strlen(s) : 0);
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *b = p;

        return value_bytes(BULKHEAD_BYTES, b->data, b->len);
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *sub = *(ProtobufCMessage *const *)p;

        return sub != NULL ? reflect_to_value(sub) : NULL;
    }
    default: /* the contract has no floating point */
        return NULL;
    }
}

bulkhead_value *reflect_to_value(const ProtobufCMessage *m) {
    bulkhead_value *map = value_record(m->descriptor->n_fields);

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        const void *p = member(m, f->offset);

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)member(m, f->quantifier_offset);
            const char *array = *(char *const *)p;
            bulkhead_value *list = bulkhead_list_new();

            for (size_t k = 0; k < n; k++)
                bulkhead_add(list, from_element(f->type, array + k * element_size(f->type)));
            value_put(map, f->name, list);
        } else {
            value_put(map, f->name, from_element(f->type, p));
        }
    }
    return map;
}

static int wrong_type(const ProtobufCFieldDescriptor *f, struct bh_err *err) {
    return bh_err_set(err, BH_E_INVALID, "field %s of the request has a value of a wrong type", f->name);
}

static bool as_int(const bulkhead_value *v, int64_t *out) {
    if (v->type == BULKHEAD_UINT && v->u > INT64_MAX)
        return false;
    *out = bulkhead_int(v);
    return v->type == BULKHEAD_INT || v->type == BULKHEAD_UINT;
}

static bool as_uint(const bulkhead_value *v, uint64_t *out) {
    if (v->type == BULKHEAD_UINT) {
        *out = v->u;
        return true;
    }
    *out = (uint64_t)v->i;
    return v->type == BULKHEAD_INT && v->i >= 0;
}

static int string_element(const bulkhead_value *v, struct bh_arena *arena, char **out, struct bh_err *err) {
    if (strlen(v->data) != v->n)
        return bh_err_set(err, BH_E_INVALID, "a text of the request holds a NUL");
    *out = bh_arena_strdup(arena, v->data);
    return *out != NULL ? 0 : bh_err_set(err, BH_E_LIMIT, "the request is too large");
}

static int bytes_element(const bulkhead_value *v, struct bh_arena *arena, ProtobufCBinaryData *out,
                         struct bh_err *err) {
    out->len = v->n;
    out->data = bh_arena_alloc(arena, v->n);
    if (out->data == NULL)
        return bh_err_set(err, BH_E_LIMIT, "the request is too large");
    memcpy(out->data, v->data, v->n);
    return 0;
}

static int to_element(const bulkhead_value *v, const ProtobufCFieldDescriptor *f, struct bh_arena *arena, void *p,
                      struct bh_err *err) {
    int64_t i;
    uint64_t u;

    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        if (!as_int(v, &i) || i < INT32_MIN || i > INT32_MAX)
            return wrong_type(f, err);
        *(int32_t *)p = (int32_t)i;
        return 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return as_int(v, p) ? 0 : wrong_type(f, err);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        if (!as_uint(v, &u) || u > UINT32_MAX)
            return wrong_type(f, err);
        *(uint32_t *)p = (uint32_t)u;
        return 0;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return as_uint(v, p) ? 0 : wrong_type(f, err);
    case PROTOBUF_C_TYPE_BOOL:
        if (v->type != BULKHEAD_BOOL)
            return wrong_type(f, err);
        *(protobuf_c_boolean *)p = v->b;
        return 0;
    case PROTOBUF_C_TYPE_STRING:
        return v->type == BULKHEAD_STRING ? string_element(v, arena, p, err) : wrong_type(f, err);
    case PROTOBUF_C_TYPE_BYTES:
        return v->type == BULKHEAD_BYTES || v->type == BULKHEAD_STRING ? bytes_element(v, arena, p, err)
                                                                       : wrong_type(f, err);
    case PROTOBUF_C_TYPE_MESSAGE:
        if (v->type != BULKHEAD_MAP)
            return wrong_type(f, err);
        return reflect_to_message(v, f->descriptor, arena, p, err);
    default:
        return wrong_type(f, err);
    }
}

static int to_repeated(const bulkhead_value *v, const ProtobufCFieldDescriptor *f, struct bh_arena *arena,
                       ProtobufCMessage *m, struct bh_err *err) {
    size_t size = element_size(f->type), n = bulkhead_count(v);
    char *array;

    if (v->type != BULKHEAD_LIST)
        return wrong_type(f, err);
    array = bh_arena_alloc(arena, n * size);
    if (array == NULL)
        return bh_err_set(err, BH_E_LIMIT, "the request is too large");
    for (size_t k = 0; k < n; k++) {
        int r = to_element(v->items[k], f, arena, array + k * size, err);

        if (r != 0)
            return r;
    }
    *(size_t *)((char *)m + f->quantifier_offset) = n;
    *(char **)((char *)m + f->offset) = array;
    return 0;
}

int reflect_to_message(const bulkhead_value *v, const ProtobufCMessageDescriptor *d, struct bh_arena *arena,
                       ProtobufCMessage **out, struct bh_err *err) {
    ProtobufCMessage *m = bh_arena_alloc(arena, d->sizeof_message);

    if (m == NULL)
        return bh_err_set(err, BH_E_LIMIT, "the request is too large");
    protobuf_c_message_init(d, m);
    for (size_t i = 0; i < bulkhead_count(v); i++) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d, v->keys[i]);
        int r;

        if (f == NULL)
            return bh_err_set(err, BH_E_INVALID, "%s has no field %s", d->name, v->keys[i]);
        r = f->label == PROTOBUF_C_LABEL_REPEATED ? to_repeated(v->items[i], f, arena, m, err)
                                                  : to_element(v->items[i], f, arena, (char *)m + f->offset, err);
        if (r != 0)
            return r;
    }
    *out = m;
    return 0;
}
