/*
 * methods.h - the one service of the registry room, for its main and for tests/table.
 *
 * Room: registry.
 */
#ifndef SVC_REGISTRY_METHODS_H
#define SVC_REGISTRY_METHODS_H

#include "rpc/method.h"

extern const struct bh_service registry_service;

#endif
