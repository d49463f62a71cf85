/*
 * methods.c - what the store offers: one row for each method of proto/store.proto.
 *
 * Room: store.  The dispatcher checks role, size and kind before a handler runs; docs/protocol.md has
 * this table.
 */
#include "methods.h"

#include "store.pb-c.h"

#define PEOPLE (BH_ROLE_ADMIN | BH_ROLE_USER)
#define ROOMS  (BH_ROLE_RUNTIME | BH_ROLE_BUILD)
#define BRING  (BH_ROLE_REGISTRY | BH_ROLE_BUILD)
#define AGAIN  BH_METHOD_IDEMPOTENT
#define NOTED  BH_METHOD_AUDITED

#define QUICK_MS 60000

static const struct bh_method methods[] = {
    {.name = "Ping", .roles = BH_ROLE_ANY, .flags = AGAIN, .handler = bh_rpc_ping},
    {.name = "Version", .roles = BH_ROLE_ANY, .flags = AGAIN, .handler = bh_rpc_version},

    {"ImageList", BH_UNARY, PEOPLE, 0, QUICK_MS, AGAIN, store_rpc_image_list},
    {"ImageInspect", BH_UNARY, PEOPLE, 0, QUICK_MS, AGAIN, store_rpc_image_inspect},
    {"ImageHistory", BH_UNARY, PEOPLE, 0, QUICK_MS, AGAIN, store_rpc_image_history},
    {"ImageTag", BH_UNARY, PEOPLE, 0, QUICK_MS, NOTED, store_rpc_image_tag},
    {"ImageUntag", BH_UNARY, PEOPLE, 0, QUICK_MS, NOTED, store_rpc_image_untag},
    {"ImageRemove", BH_UNARY, PEOPLE, 0, 0, NOTED, store_rpc_image_remove},
    {"ImagePrune", BH_UNARY, PEOPLE, 0, 0, NOTED, store_rpc_image_prune},
    {"ImageDiff", BH_SERVER_STREAM, PEOPLE, 0, 0, AGAIN, store_rpc_image_diff},

    {"Load", BH_BIDI_STREAM, PEOPLE | BH_ROLE_BUILD, 0, 0, NOTED | BH_METHOD_FDS, store_rpc_load},
    {"Import", BH_BIDI_STREAM, PEOPLE, 0, 0, NOTED | BH_METHOD_FDS, store_rpc_import},
    {"Save", BH_SERVER_STREAM, PEOPLE | BH_ROLE_BUILD, 0, 0, BH_METHOD_FDS, store_rpc_save},

    {"Df", BH_UNARY, PEOPLE, 0, QUICK_MS, AGAIN, store_rpc_df},
    {"Check", BH_SERVER_STREAM, BH_ROLE_ADMIN, 0, 0, NOTED, store_rpc_check},
    {"Info", BH_UNARY, PEOPLE, 0, QUICK_MS, AGAIN, store_rpc_info},

    {"ImageOpen", BH_UNARY, ROOMS, 0, QUICK_MS, AGAIN | BH_METHOD_FDS, store_rpc_image_open},
    {"ContainerNote", BH_UNARY, ROOMS, 0, QUICK_MS, AGAIN, store_rpc_container_note},
    {"ContainerForget", BH_UNARY, ROOMS, 0, QUICK_MS, AGAIN, store_rpc_container_forget},
    {"ContainerSync", BH_UNARY, ROOMS, 1 << 20, QUICK_MS, AGAIN, store_rpc_container_sync},
    {"Commit", BH_UNARY, ROOMS, 1 << 20, 0, NOTED | BH_METHOD_FDS, store_rpc_commit},
    {"ProfileRead", BH_UNARY, BH_ROLE_RUNTIME, 0, QUICK_MS, AGAIN, store_rpc_profile_read},

    {"Hold", BH_SERVER_STREAM, BRING, 0, 0, 0, store_rpc_hold},
    {"DocumentPut", BH_UNARY, BRING, 1 << 20, QUICK_MS, 0, store_rpc_document_put},
    {"LayerHave", BH_UNARY, BRING, 1 << 20, QUICK_MS, AGAIN, store_rpc_layer_have},
    {"LayerPut", BH_SERVER_STREAM, BRING, 0, 0, BH_METHOD_FDS, store_rpc_layer_put},
    {"ImageKnown", BH_UNARY, BRING, 0, QUICK_MS, AGAIN, store_rpc_image_known},
    {"ImagePut", BH_UNARY, BRING, 0, 0, NOTED, store_rpc_image_put},
    {"PushOpen", BH_SERVER_STREAM, BRING, 0, 0, NOTED, store_rpc_push_open},
    {"BlobOpen", BH_UNARY, BRING, 0, QUICK_MS, AGAIN | BH_METHOD_FDS, store_rpc_blob_open},
    {"BlobSourceNote", BH_UNARY, BRING, 0, QUICK_MS, AGAIN, store_rpc_blob_source_note},

    {"ContextPut", BH_BIDI_STREAM, PEOPLE | BRING, 0, 0, 0, store_rpc_context_put},
    {"LayerCompose", BH_UNARY, BH_ROLE_BUILD, 16 << 20, 0, 0, store_rpc_layer_compose},
    {"LayerTar", BH_UNARY, ROOMS, 0, 0, BH_METHOD_FDS, store_rpc_layer_tar},
    {"LayersOpen", BH_UNARY, BH_ROLE_RUNTIME, 0, QUICK_MS, AGAIN | BH_METHOD_FDS, store_rpc_layers_open},
    {"LayerFile", BH_UNARY, BH_ROLE_BUILD, 0, 0, AGAIN, store_rpc_layer_file},
    {"ImageMake", BH_UNARY, BH_ROLE_BUILD, 4 << 20, 0, NOTED, store_rpc_image_make},
    {"IndexMake", BH_UNARY, BH_ROLE_BUILD, 16 << 20, 0, NOTED, store_rpc_index_make},
    {"CacheGet", BH_UNARY, BH_ROLE_BUILD, 0, QUICK_MS, AGAIN, store_rpc_cache_get},
    {"CachePut", BH_UNARY, BH_ROLE_BUILD, 1 << 20, QUICK_MS, AGAIN, store_rpc_cache_put},
    {"CacheList", BH_UNARY, PEOPLE, 0, QUICK_MS, AGAIN, store_rpc_cache_list},
    {"CachePrune", BH_UNARY, PEOPLE, 0, 0, NOTED, store_rpc_cache_prune},
};

const struct bh_service store_service = {
    .desc = &bulkhead__store__v1__store__descriptor,
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
};
