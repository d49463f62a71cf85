/*
 * direct_worker.h - workers for tests: bulkhead-unpack started by fork and exec, without a supervisor.
 *
 * The binary is $BH_TEST_UNPACK, else bin/bulkhead-unpack of this build.
 */
#ifndef TEST_DIRECT_WORKER_H
#define TEST_DIRECT_WORKER_H

#include "svc-store/worker.h"

extern const struct store_worker_ops direct_worker_ops;

#endif
