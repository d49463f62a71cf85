/*
 * methods.h - the handlers of the store's methods, and what they share.
 *
 * Room: store.  A handler turns a message into plain arguments, calls the room's own code, and turns the
 * outcome into a message; generated types stay in the *_rpc.c files.
 */
#ifndef STORE_METHODS_H
#define STORE_METHODS_H

#include "rpc/method.h"
#include "rpc/server.h"
#include "store.h"

extern const struct bh_service store_service;

bh_handler store_rpc_image_list, store_rpc_image_inspect, store_rpc_image_history, store_rpc_image_tag;
bh_handler store_rpc_image_untag, store_rpc_image_remove, store_rpc_image_prune, store_rpc_image_diff;
bh_handler store_rpc_load, store_rpc_import, store_rpc_save;
bh_handler store_rpc_df, store_rpc_check, store_rpc_info;
bh_handler store_rpc_image_open, store_rpc_container_note, store_rpc_container_forget, store_rpc_container_sync;
bh_handler store_rpc_commit, store_rpc_profile_read;
bh_handler store_rpc_context_put, store_rpc_layer_compose, store_rpc_layer_tar, store_rpc_layer_file;
bh_handler store_rpc_layers_open;
bh_handler store_rpc_image_make, store_rpc_index_make, store_rpc_cache_get, store_rpc_cache_put, store_rpc_cache_list,
    store_rpc_cache_prune;
bh_handler store_rpc_hold, store_rpc_document_put, store_rpc_layer_have, store_rpc_layer_put, store_rpc_image_known,
    store_rpc_image_put;
bh_handler store_rpc_push_open, store_rpc_blob_open, store_rpc_blob_source_note;

/* Administrators act as owner 0 and see all; anybody else sees his own. */
static inline struct store_who store_who_of(const struct bh_call *call) {
    const struct bh_peer *p = bh_call_peer(call);
    bool admin = (p->roles & BH_ROLE_ADMIN) != 0;

    return (struct store_who){.owner = admin ? 0 : p->uid, .all = admin};
}

/* Memory of one reply. */
#define STORE_REPLY_ARENA ((size_t)64 << 20)
#define STORE_SCOPE_ARENA __attribute__((cleanup(bh_arena_fini)))

#endif
