/*
 * methods.h - the one service of the build room, for its main and for tests/table.
 *
 * Room: build.
 */
#ifndef SVC_BUILD_METHODS_H
#define SVC_BUILD_METHODS_H

#include "rpc/method.h"

extern const struct bh_service build_service;

/* Ceiling of what one call may take beside what its file needs. */
#define BUILD_CALL_ARENA ((size_t)32 << 20)

/* check_rpc.c, build_rpc.c, log_rpc.c */
bh_handler build_rpc_check, build_rpc_build, build_rpc_logs, build_rpc_history;

#endif
