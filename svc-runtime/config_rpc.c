/*
 * config_rpc.c - the packed config of a container's row <-> struct bh_image_config.
 *
 * Room: runtime.  The configs come from the store, which had a worker reduce the image's JSON; they are
 * checked again by lib/imageconf.
 */
#include "imageconf/imageconf.h"
#include "svc-runtime/convert_rpc.h"

int rt_config_unpack(struct rt_blob packed, struct bh_arena *arena, struct bh_image_config *out, struct bh_err *err) {
    ProtobufCAllocator alloc = rt_arena_allocator(arena);
    const Bulkhead__Image__V1__ImageConfig *msg =
        bulkhead__image__v1__image_config__unpack(&alloc, packed.n, packed.data);

    if (msg == NULL)
        return bh_err_set(err, BH_E_DATA_LOSS, "the stored config of a container cannot be read");
    return bh_imageconf_from_msg(msg, arena, out, err);
}

int rt_config_pack(const struct bh_image_config *c, struct bh_arena *arena, struct bh_buf *out, struct bh_err *err) {
    Bulkhead__Image__V1__ImageConfig *msg = NULL;
    size_t n;
    void *p;

    if (bh_imageconf_to_msg(c, arena, &msg, err) != 0)
        return err->code;
    n = bulkhead__image__v1__image_config__get_packed_size(msg);
    p = bh_buf_room(out, n);
    if (p == NULL)
        return bh_err_set(err, BH_E_LIMIT, "an image config of %zu bytes is too large", n);
    bulkhead__image__v1__image_config__pack(msg, p);
    bh_buf_grew(out, n);
    return 0;
}
