/*
 * bulkhead.h - libbulkhead: talk to a Bulkhead engine from C.
 *
 * The only header that is installed.  Calls are synchronous; a client may be used by several threads
 * at once; bulkhead_cancel stops what a thread waits for, from any other thread.  The library keeps no
 * global state, prints nothing and never exits.
 *
 * Two layers.  The generic one calls any method of proto/<service>.proto by name, with requests and
 * replies as value trees whose field names are those of the .proto file; a method that a newer engine
 * has needs no new library function, only its .proto at build time.  The typed one covers what
 * orchestrators do every day, in plain structs.
 *
 * Strings are UTF-8 and NUL-terminated.  Every `out` is written only on success.
 */
#ifndef BULKHEAD_H
#define BULKHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BULKHEAD_API __attribute__((visibility("default")))
#else
#define BULKHEAD_API
#endif

/* ---- errors ------------------------------------------------------------------------------ */

/* Status codes are those of gRPC, negative. */
enum bulkhead_code {
    BULKHEAD_OK = 0,
    BULKHEAD_CANCELLED = -1,
    BULKHEAD_UNKNOWN = -2,
    BULKHEAD_INVALID = -3,
    BULKHEAD_DEADLINE = -4,
    BULKHEAD_NOT_FOUND = -5,
    BULKHEAD_EXISTS = -6,
    BULKHEAD_DENIED = -7,
    BULKHEAD_LIMIT = -8,
    BULKHEAD_CONFLICT = -9,
    BULKHEAD_ABORTED = -10,
    BULKHEAD_RANGE = -11,
    BULKHEAD_UNIMPLEMENTED = -12,
    BULKHEAD_INTERNAL = -13,
    BULKHEAD_UNAVAILABLE = -14,
    BULKHEAD_DATA_LOSS = -15,
    BULKHEAD_UNAUTHENTICATED = -16
};

/* Lives with the caller; nothing to free. */
struct bulkhead_error {
    int code;
    char reason[40];    /* stable word for programs, "" if none */
    char message[1024]; /* one line; may hold foreign bytes, escape before showing on a terminal */
    char hint[320];
};

/* ---- values: requests and replies ---------------------------------------------------------- */

enum bulkhead_type {
    BULKHEAD_NULL,
    BULKHEAD_BOOL,
    BULKHEAD_INT,  /* int64 */
    BULKHEAD_UINT, /* uint64 */
    BULKHEAD_STRING,
    BULKHEAD_BYTES,
    BULKHEAD_LIST,
    BULKHEAD_MAP /* a message: fields in the order of the .proto file, absent sub-messages left out */
};
typedef struct bulkhead_value bulkhead_value;

BULKHEAD_API bulkhead_value *bulkhead_map_new(void);
BULKHEAD_API bulkhead_value *bulkhead_list_new(void);
BULKHEAD_API void bulkhead_value_free(bulkhead_value *v);
/* Setters copy what they are given, except `take_v`, which becomes part of the map or list. */
BULKHEAD_API void bulkhead_set_str(bulkhead_value *map, const char *key, const char *s); /* s NULL: left out */
BULKHEAD_API void bulkhead_set_int(bulkhead_value *map, const char *key, int64_t i);
BULKHEAD_API void bulkhead_set_uint(bulkhead_value *map, const char *key, uint64_t u);
BULKHEAD_API void bulkhead_set_bool(bulkhead_value *map, const char *key, bool b);
BULKHEAD_API void bulkhead_set_bytes(bulkhead_value *map, const char *key, const void *data, size_t n);
BULKHEAD_API void bulkhead_set(bulkhead_value *map, const char *key, bulkhead_value *take_v);
BULKHEAD_API void bulkhead_add_str(bulkhead_value *list, const char *s);
BULKHEAD_API void bulkhead_add(bulkhead_value *list, bulkhead_value *take_v);
/* Getters never fail: a key that is absent or of another type gives "", 0, false, NULL, 0 items. */
BULKHEAD_API enum bulkhead_type bulkhead_type_of(const bulkhead_value *v);
BULKHEAD_API const bulkhead_value *bulkhead_get(const bulkhead_value *map, const char *key);
BULKHEAD_API const char *bulkhead_get_str(const bulkhead_value *map, const char *key);
BULKHEAD_API int64_t bulkhead_get_int(const bulkhead_value *map, const char *key);
BULKHEAD_API uint64_t bulkhead_get_uint(const bulkhead_value *map, const char *key);
BULKHEAD_API bool bulkhead_get_bool(const bulkhead_value *map, const char *key);
BULKHEAD_API const void *bulkhead_get_bytes(const bulkhead_value *map, const char *key, size_t *out_n);
BULKHEAD_API size_t bulkhead_count(const bulkhead_value *list_or_map);
BULKHEAD_API const bulkhead_value *bulkhead_at(const bulkhead_value *list, size_t i);
BULKHEAD_API const char *bulkhead_key_at(const bulkhead_value *map, size_t i);
BULKHEAD_API const bulkhead_value *bulkhead_value_at(const bulkhead_value *map, size_t i);
BULKHEAD_API const char *bulkhead_str(const bulkhead_value *v);
BULKHEAD_API int64_t bulkhead_int(const bulkhead_value *v);
/* JSON text, malloc'd; bytes as base64, 64-bit numbers as numbers. */
BULKHEAD_API char *bulkhead_to_json(const bulkhead_value *v);

/* ---- client -------------------------------------------------------------------------------- */

typedef struct bulkhead bulkhead;

/* host: "ipc:///run/bulkhead" or a folder; NULL: $BULKHEAD_HOST, else ipc:///run/bulkhead.
 * Nothing is dialled before the first call. */
BULKHEAD_API int bulkhead_open(const char *host, bulkhead **out, struct bulkhead_error *err);
BULKHEAD_API void bulkhead_close(bulkhead *b);
BULKHEAD_API const char *bulkhead_version(void);
/* Everything that waits on this client ends with BULKHEAD_CANCELLED, now and later. */
BULKHEAD_API void bulkhead_cancel(bulkhead *b);

/* ---- generic calls --------------------------------------------------------------------------- */

/* service: "store", "runtime", "registry", "build"; method: "ImageList".  request NULL: empty.
 * A request field that the method does not have, or of a wrong type, is BULKHEAD_INVALID.
 * timeout_ms 0: none.  *out_reply is the caller's. */
BULKHEAD_API int bulkhead_call(bulkhead *b, const char *service, const char *method, const bulkhead_value *request,
                               unsigned timeout_ms, bulkhead_value **out_reply, struct bulkhead_error *err);

typedef struct bulkhead_stream bulkhead_stream;

/* fds: descriptors to hand over (local engines only), the caller keeps its own; n_fds 0: none. */
BULKHEAD_API int bulkhead_stream_open(bulkhead *b, const char *service, const char *method,
                                      const bulkhead_value *request, const int *fds, unsigned n_fds,
                                      bulkhead_stream **out, struct bulkhead_error *err);
/* Raw bytes both ways; *out_n == 0: the other side is done.  Valid until the next receive. */
BULKHEAD_API int bulkhead_stream_send(bulkhead_stream *s, const void *data, size_t n, struct bulkhead_error *err);
BULKHEAD_API int bulkhead_stream_close_send(bulkhead_stream *s, struct bulkhead_error *err);
BULKHEAD_API int bulkhead_stream_recv(bulkhead_stream *s, const void **out, size_t *out_n, struct bulkhead_error *err);
/* The next chunk as the method's reply message; *out NULL: the other side is done. */
BULKHEAD_API int bulkhead_stream_recv_value(bulkhead_stream *s, bulkhead_value **out, struct bulkhead_error *err);
/* Wait for the end and its status; out_reply may be NULL. */
BULKHEAD_API int bulkhead_stream_finish(bulkhead_stream *s, bulkhead_value **out_reply, struct bulkhead_error *err);
BULKHEAD_API void bulkhead_stream_cancel(bulkhead_stream *s); /* any thread */
BULKHEAD_API void bulkhead_stream_free(bulkhead_stream *s);

/* ---- typed: images --------------------------------------------------------------------------- */

/* Progress of load, import, save, export; return non-zero to cancel. */
typedef int bulkhead_progress(void *arg, const bulkhead_value *event);

/* archive_fd: file or pipe.  Local: the descriptor is handed over; remote: the bytes are streamed.
 * *out_loaded: list of strings, names or IDs. */
BULKHEAD_API int bulkhead_image_load(bulkhead *b, int archive_fd, const bulkhead_value *request,
                                     bulkhead_progress *progress, void *arg, bulkhead_value **out_loaded,
                                     struct bulkhead_error *err);
/* request: ImportRequest; *out_id malloc'd "sha256:.." */
BULKHEAD_API int bulkhead_image_import(bulkhead *b, int tar_fd, const bulkhead_value *request, char **out_id,
                                       struct bulkhead_error *err);
BULKHEAD_API int bulkhead_image_save(bulkhead *b, const char *const *names, size_t n, int out_fd,
                                     struct bulkhead_error *err);

struct bulkhead_image {
    char *id;
    char **repo_tags; /* NULL-terminated */
    uint64_t size;
    int64_t created_ns;
};
BULKHEAD_API int bulkhead_image_list(bulkhead *b, struct bulkhead_image **out, size_t *out_n,
                                     struct bulkhead_error *err);
BULKHEAD_API void bulkhead_image_list_free(struct bulkhead_image *list, size_t n);

/* ---- typed: build contexts --------------------------------------------------------------------- */

/* One file, folder or symlink of a context, by what it holds.  type: S_IFREG, S_IFDIR or S_IFLNK. */
struct bulkhead_context_entry {
    const char *path; /* relative, '/' between, no ".." */
    uint32_t type, mode;
    uint64_t size;
    int64_t mtime_ns;
    const char *link;         /* of a symlink */
    unsigned char sha256[32]; /* of a regular file */
    uint64_t hard_link;       /* number + 1 of an earlier entry that is the same file, 0: none */
};
/* The entries, sorted by path, as they travel; malloc'd, freed by the caller.  The SHA-256 of these bytes is
 * what "ctx:" in the id of the context stands before. */
BULKHEAD_API int bulkhead_context_pack(const struct bulkhead_context_entry *entries, size_t n, void **out,
                                       size_t *out_n, struct bulkhead_error *err);
/* Writes the content of one entry with bulkhead_stream_send, `size` bytes; non-zero ends the call with *err. */
typedef int bulkhead_context_content(void *arg, size_t number, bulkhead_stream *s, struct bulkhead_error *err);
/* The store keeps what it has not; nothing travels when it knows `id` ("ctx:<64 hex>").  *out_id malloc'd;
 * *out_sent: bytes of content that travelled. */
BULKHEAD_API int bulkhead_context_put(bulkhead *b, const char *key, const char *id, const void *packed, size_t n_packed,
                                      bulkhead_context_content *content, void *arg, char **out_id, uint64_t *out_sent,
                                      struct bulkhead_error *err);

/* ---- typed: containers ------------------------------------------------------------------------ */

/* spec: ContainerSpec of proto/runtime.proto as a value; *out_id malloc'd, 64 hex. */
BULKHEAD_API int bulkhead_container_create(bulkhead *b, const char *name, const bulkhead_value *spec, char **out_id,
                                           struct bulkhead_error *err);
/* The same with the whole reply: `id`, and as `warning` what this host cannot do of the specification. */
BULKHEAD_API int bulkhead_container_make(bulkhead *b, const char *name, const bulkhead_value *spec,
                                         bulkhead_value **out_reply, struct bulkhead_error *err);
/* stdio: up to three descriptors (-1: not attached), ends of pipes or sockets that the engine's monitor
 * reads and writes directly; NULL: start detached. */
BULKHEAD_API int bulkhead_container_start(bulkhead *b, const char *container, const int stdio[3],
                                          struct bulkhead_error *err);
BULKHEAD_API int bulkhead_container_wait(bulkhead *b, const char *container, int *out_exit_code,
                                         struct bulkhead_error *err);
BULKHEAD_API int bulkhead_container_kill(bulkhead *b, const char *container, const char *signal,
                                         struct bulkhead_error *err);
BULKHEAD_API int bulkhead_container_stop(bulkhead *b, const char *container, int timeout_s, struct bulkhead_error *err);
BULKHEAD_API int bulkhead_container_remove(bulkhead *b, const char *container, bool force, struct bulkhead_error *err);
/* stream: 1 stdout, 2 stderr; return non-zero to stop. */
typedef int bulkhead_log_line(void *arg, int stream, int64_t time_ns, const void *data, size_t n);
BULKHEAD_API int bulkhead_container_logs(bulkhead *b, const char *container, bool follow, bulkhead_log_line *each,
                                         void *arg, struct bulkhead_error *err);
BULKHEAD_API int bulkhead_container_export(bulkhead *b, const char *container, int out_fd, struct bulkhead_error *err);

#ifdef __cplusplus
}
#endif

#endif
