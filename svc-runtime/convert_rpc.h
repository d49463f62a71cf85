/*
 * convert_rpc.h - generated message types <-> plain values; for the *_rpc.c files alone.
 *
 * Room: runtime.  Strings are shared with the message, which must live as long as the result.
 */
#ifndef RT_CONVERT_RPC_H
#define RT_CONVERT_RPC_H

#include "common.pb-c.h"
#include "image.pb-c.h"
#include "runtime.pb-c.h"

#include "svc-runtime/convert.h"

/* Shorter names for what this room speaks. */
#define RT_MSG(name) Bulkhead__Runtime__V1__##name
#define RT_LIMITS    Bulkhead__Common__V1__Limits

int rt_request_of(const RT_MSG(ContainerSpec) * msg, struct bh_arena *arena, struct rt_request *out,
                  struct bh_err *err);
struct rt_limits rt_limits_of(const RT_LIMITS *msg); /* msg may be NULL: none */
void rt_limits_msg(const struct rt_limits *l, RT_LIMITS *out);
struct bh_strlist rt_list_of(char **v, size_t n);
/* Sorted by key, of two the last counts. */
int rt_pairs_of(Bulkhead__Common__V1__Pair **v, size_t n, struct bh_arena *arena, struct bh_pairs *out,
                struct bh_err *err);
/* Key and value of filters, in order. */
int rt_filters_of(Bulkhead__Common__V1__Filter **v, size_t n, struct bh_arena *arena, struct bh_pair **out,
                  struct bh_err *err);
/* An allocator of protobuf-c that takes from an arena. */
ProtobufCAllocator rt_arena_allocator(struct bh_arena *arena);

#endif
