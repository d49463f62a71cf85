/*
 * info.h - what this host has, as far as everybody can see it.
 *
 * Room: a child of launch without rights.
 */
#ifndef RLS_INFO_H
#define RLS_INFO_H

#include "base/err.h"

/* arg: uint32_t, RT_OCI_*, whose path and version are told; out: struct rt_launch_info. */
int lnc_info_look(const void *arg, void *out, struct bh_err *err);

#endif
