/*
 * json.h - foreign JSON: read strictly, looked into by type, errors naming the place.
 *
 * Room: worker, store, registry, runtime; not supervisor, not launch.  Pure.
 * A document is refused when it is too long, too deep, has too many values, has a duplicate key, an escaped NUL, bytes
 * that are not UTF-8, a number that does not fit, or bytes after its end.  jansson types appear
 * here and in lib/oci/ *.c only.  Digests are over the original bytes: nothing here re-writes a document.
 */
#ifndef BH_OCI_JSON_H
#define BH_OCI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/types.h"

#define BH_JSON_DEPTH_MAX  64
#define BH_JSON_VALUES_MAX 200000 /* bounds the memory of a parsed document to some 40 MB */

/* Parse data[0..n).  max: ceiling in bytes, checked first (BH_E_LIMIT).  what names the document.
 * The root is an object or an array.  Free with json_decref or BH_SCOPE_JSON. */
int bh_json_parse(const void *data, size_t n, size_t max, const char *what, json_t **out, struct bh_err *err);
void bh_scope_json(json_t **root);
#define BH_SCOPE_JSON __attribute__((cleanup(bh_scope_json)))

/* jansson seeds its tables from a file at first use; this seeds them from getrandom.  A room that may
 * not open files calls it before its sandbox closes (bh_json_parse does it too). */
void bh_json_startup(void);

/* A value with its place, for messages like `manifest x: layers[3].size: expected a number`.
 * Lives on the stack; the parent outlives the child. */
struct bh_json_at {
    const json_t *v;
    const struct bh_json_at *up; /* NULL at the root */
    const char *key;             /* member name; NULL: list element or root */
    size_t index;
    const char *what; /* root only: the document */
};

struct bh_json_at bh_json_root(const json_t *root, const char *what);
/* false, and out->v NULL, if absent or null. */
bool bh_json_member(const struct bh_json_at *at, const char *key, struct bh_json_at *out);
struct bh_json_at bh_json_element(const struct bh_json_at *at, size_t i);
/* BH_E_INVALID "what: path: text". */
int bh_json_fail(const struct bh_json_at *at, struct bh_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int bh_json_need_object(const struct bh_json_at *at, struct bh_err *err);
/* An array with at most max elements; BH_E_LIMIT naming limit_name. */
int bh_json_need_array(const struct bh_json_at *at, size_t max, const char *limit_name, struct bh_err *err);
/* Refuse a member whose name is one of known[] (NULL-ended) but for letter case: another reader could
 * take it for the known one.  strict: refuse every member that is not in known[]. */
int bh_json_check_keys(const struct bh_json_at *at, const char *const *known, bool strict, struct bh_err *err);

/* How a text may look. */
enum bh_text_rule {
    BH_TEXT_LINE, /* no control bytes */
    BH_TEXT_FREE, /* tab, newline and other control bytes allowed (history, labels, env); NUL never is */
};

/* Optional members: absent or null gives the default ("" / 0 / false / not present).  A wrong type fails. */
int bh_json_str(const struct bh_json_at *at, const char *key, enum bh_text_rule rule, struct bh_arena *arena,
                const char **out, struct bh_err *err);
int bh_json_u64(const struct bh_json_at *at, const char *key, bool required, uint64_t max, uint64_t *out,
                struct bh_err *err);
int bh_json_i64(const struct bh_json_at *at, const char *key, int64_t *out, struct bh_err *err);
int bh_json_bool(const struct bh_json_at *at, const char *key, bool *out, struct bh_err *err);
int bh_json_strlist(const struct bh_json_at *at, const char *key, enum bh_text_rule rule, size_t max,
                    struct bh_arena *arena, struct bh_strlist *out, struct bh_err *err);
/* {"key": "value"}: sorted by key. */
int bh_json_pairs(const struct bh_json_at *at, const char *key, enum bh_text_rule rule, size_t max,
                  struct bh_arena *arena, struct bh_pairs *out, struct bh_err *err);
/* {"name": {}}: the names, sorted. */
int bh_json_set(const struct bh_json_at *at, const char *key, size_t max, struct bh_arena *arena,
                struct bh_strlist *out, struct bh_err *err);
/* The text of a string value itself. */
int bh_json_text(const struct bh_json_at *at, enum bh_text_rule rule, struct bh_arena *arena, const char **out,
                 struct bh_err *err);

#endif
