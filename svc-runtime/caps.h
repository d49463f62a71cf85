/*
 * caps.h - sets of capabilities as bits, by docker's rules for --cap-add and --cap-drop.
 *
 * Room: runtime.  Pure.
 */
#ifndef RT_CAPS_H
#define RT_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/types.h"
#include "wire/capname.h"

uint64_t rt_caps_default(void); /* docker's fourteen */
uint64_t rt_caps_all(void);
/* "NET_ADMIN", "cap_net_admin", "ALL" -> bit number, -1 for ALL; false: unknown. */
bool rt_cap_parse(const char *name, int *out);
/* BH_E_INVALID, `invalid CapAdd: unknown capability: "X"`. */
int rt_caps_compute(const struct bh_strlist *add, const struct bh_strlist *drop, bool privileged, uint64_t *out,
                    struct bh_err *err);

#endif
