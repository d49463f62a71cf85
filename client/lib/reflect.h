/*
 * reflect.h - protobuf messages <-> value trees, driven by the descriptors that protoc-c makes.
 *
 * Room: client.  One conversion for every message there is and will be.
 */
#ifndef BULKHEAD_LIB_REFLECT_H
#define BULKHEAD_LIB_REFLECT_H

#include <protobuf-c/protobuf-c.h>

#include "base/arena.h"
#include "base/err.h"
#include "bulkhead/bulkhead.h"

/* Repeated fields are always there (perhaps empty), sub-messages only when they are set. */
bulkhead_value *reflect_to_value(const ProtobufCMessage *m);
/* The message and all it points at live in the arena.  v NULL: an empty message.
 * BH_E_INVALID names the field that is unknown or of a wrong type. */
int reflect_to_message(const bulkhead_value *v, const ProtobufCMessageDescriptor *d, struct bh_arena *arena,
                       ProtobufCMessage **out, struct bh_err *err);

#endif
