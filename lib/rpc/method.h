/*
 * method.h - what a service offers: one const row for each method.
 *
 * Room: store, registry, build, runtime.  A service declares its methods once, in a const table
 * next to the service descriptor that protoc-c generates.  Every check that a row names (role, size,
 * phase, kind) is made by the dispatcher before the handler sees anything; a handler makes one
 * conversion, message to plain arguments, and calls the room's own code.
 *
 * The table test (tests/table) tries every row with wrong role, size and truncated bytes, and
 * compares the rows with the descriptors (names, types, the stream flags of the .proto file).
 */
#ifndef BH_RPC_METHOD_H
#define BH_RPC_METHOD_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "base/err.h"

struct bh_call;

/* Who calls.  The kernel's peer credentials decide, never a field of a message. */
enum bh_role {
    BH_ROLE_NOBODY = 0,
    BH_ROLE_ADMIN = 1 << 0, /* uid 0, and the uids that the config names */
    BH_ROLE_USER = 1 << 1,  /* any other local user that may open the socket */
    BH_ROLE_STORE = 1 << 2, /* the rooms, by their uid */
    BH_ROLE_REGISTRY = 1 << 3,
    BH_ROLE_BUILD = 1 << 4,
    BH_ROLE_RUNTIME = 1 << 5,
    BH_ROLE_ANY = 0xff,
};

enum bh_kind { BH_UNARY, BH_SERVER_STREAM, BH_CLIENT_STREAM, BH_BIDI_STREAM };

enum bh_method_flags {
    BH_METHOD_IDEMPOTENT = 1 << 0, /* a client may send it again after UNAVAILABLE */
    BH_METHOD_FDS = 1 << 1,        /* descriptors may travel beside it (fd.sock) */
    BH_METHOD_AUDITED = 1 << 2,    /* changes state: one log line with the caller */
    BH_METHOD_SECRET = 1 << 3,     /* the request is wiped after use and never logged */
};

/*
 * request: unpacked into the call's arena, valid until the handler returns.
 * Unary: the handler calls bh_call_reply once before it returns 0.
 * Streams: it sends and receives chunks, may call bh_call_reply once as the last message (client
 * streams), and returns 0 for status OK.
 * A negative return is the status; err travels to the client, with reason and hint.
 */
typedef int bh_handler(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err);

struct bh_method {
    const char *name; /* as in the .proto file: "ImageList" */
    enum bh_kind kind;
    unsigned roles;       /* BH_ROLE_* that may call */
    uint32_t max_request; /* bytes of the packed request; 0: 256 KiB */
    uint32_t deadline_ms; /* the longest it may run; 0: as long as the client stays */
    unsigned flags;
    bh_handler *handler;
};

struct bh_service {
    const ProtobufCServiceDescriptor *desc; /* types of requests and replies come from here */
    const struct bh_method *methods;
    unsigned n_methods;
};

#endif
