/*
 * methods.h - the handlers of the registry service, by file, and its table.
 *
 * Room: registry.
 */
#ifndef SVC_REGISTRY_METHODS_H
#define SVC_REGISTRY_METHODS_H

#include "rpc/method.h"

extern const struct bh_service registry_service;

/* search_rpc.c, tags_rpc.c, inspect_rpc.c, login_rpc.c, fetch_rpc.c, resolve_rpc.c */
bh_handler reg_rpc_search, reg_rpc_tag_list, reg_rpc_remote_delete, reg_rpc_remote_inspect, reg_rpc_login,
    reg_rpc_fetch, reg_rpc_resolve;

/* pull_rpc.c, push_rpc.c */
bh_handler reg_rpc_pull, reg_rpc_push, reg_rpc_copy, reg_rpc_manifest_push;

/* blob_rpc.c */
bh_handler reg_rpc_blob_push, reg_rpc_blob_fetch;

#endif
