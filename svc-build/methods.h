/*
 * methods.h - the one service of the build room, for its main and for tests/table.
 *
 * Room: build.
 */
#ifndef SVC_BUILD_METHODS_H
#define SVC_BUILD_METHODS_H

#include "rpc/method.h"

extern const struct bh_service build_service;

#endif
