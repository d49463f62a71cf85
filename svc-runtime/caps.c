/*
 * caps.c - sets of capabilities, see caps.h.
 *
 * Room: runtime.  Reads names that a caller gave; who may add any is policy.c's concern.
 * Source: capabilities(7); docker's rules: ALL among the added starts from all, ALL among the
 * dropped starts from none, else from the default set.
 */
#include "svc-runtime/caps.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const char *const defaults[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW", "SETGID",
    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE",
};

bool rt_cap_parse(const char *name, int *out) {
    if (strncasecmp(name, "CAP_", 4) == 0)
        name += 4;
    if (strcasecmp(name, "ALL") == 0) {
        *out = -1;
        return true;
    }
    for (int i = 0; i <= RT_CAP_LAST; i++)
        if (strcasecmp(name, rt_cap_names[i]) == 0) {
            *out = i;
            return true;
        }
    return false;
}

uint64_t rt_caps_default(void) {
    uint64_t set = 0;

    for (size_t i = 0; i < BH_ARRAY_LEN(defaults); i++) {
        int bit = 0;

        if (rt_cap_parse(defaults[i], &bit))
            set |= UINT64_C(1) << bit;
    }
    return set;
}

uint64_t rt_caps_all(void) {
    return (UINT64_C(1) << (RT_CAP_LAST + 1)) - 1;
}

static int read_list(const struct bh_strlist *list, const char *which, uint64_t *out_set, bool *out_all,
                     struct bh_err *err) {
    *out_set = 0;
    *out_all = false;
    for (size_t i = 0; i < list->n; i++) {
        int bit = 0;

        if (!rt_cap_parse(list->v[i], &bit)) {
            char name[64];

            snprintf(name, sizeof name, "%s%s", strncasecmp(list->v[i], "CAP_", 4) == 0 ? "" : "CAP_", list->v[i]);
            for (char *p = name; *p != 0; p++)
                *p = (char)toupper((unsigned char)*p);
            bh_err_set(err, BH_E_INVALID, "invalid %s: unknown capability: \"%s\"", which, name);
            return bh_err_reason(err, "unknown-capability");
        }
        if (bit < 0)
            *out_all = true;
        else
            *out_set |= UINT64_C(1) << bit;
    }
    return 0;
}

int rt_caps_compute(const struct bh_strlist *add, const struct bh_strlist *drop, bool privileged, uint64_t *out,
                    struct bh_err *err) {
    uint64_t added, dropped;
    bool add_all, drop_all;

    if (read_list(add, "CapAdd", &added, &add_all, err) != 0 ||
        read_list(drop, "CapDrop", &dropped, &drop_all, err) != 0)
        return err->code;
    if (privileged)
        *out = rt_caps_all();
    else if (add_all)
        *out = rt_caps_all() & ~dropped;
    else if (drop_all)
        *out = added;
    else
        *out = (rt_caps_default() & ~dropped) | added;
    return 0;
}
