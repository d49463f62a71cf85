/*
 * policy.h - who may ask for what of a container.
 *
 * Room: runtime.  Pure.  The one place that says which options belong to administrators.
 */
#ifndef RT_POLICY_H
#define RT_POLICY_H

#include "base/err.h"
#include "svc-runtime/request.h"

/* BH_E_DENIED (reason "administrator-only") naming the first option that this caller may not use. */
int rt_policy_create(const struct rt_caller *who, const struct rt_request *req, struct bh_err *err);
int rt_policy_exec(const struct rt_caller *who, const struct rt_exec_request *req, struct bh_err *err);

#endif
