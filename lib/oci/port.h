/*
 * port.h - ports that an image or a container exposes: "80/tcp", and ranges of them as people write them.
 *
 * Room: all that see configs, and the client.  Pure.
 */
#ifndef BH_OCI_PORT_H
#define BH_OCI_PORT_H

#include <stdint.h>

#include "base/err.h"
#include "oci/types.h"

struct bh_ports {
    uint32_t first, last; /* 1 to 65535 */
    const char *proto;    /* "tcp", "udp", "sctp" */
};
/* PORT[-PORT][/PROTO], tcp without PROTO, whose case does not count.  BH_E_INVALID. */
int bh_ports_parse(const char *spec, struct bh_ports *out, struct bh_err *err);
/* What a word of EXPOSE exposes: "80:81" and "127.0.0.1:80:81" are "81", a mapping is warned of and not kept. */
const char *bh_ports_exposed(const char *word);
/* Into a list of "PORT/PROTO", which stays sorted by text, with none twice. */
int bh_ports_add(struct bh_strlist *ports, struct bh_arena *arena, const char *spec, struct bh_err *err);

#endif
