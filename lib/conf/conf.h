/*
 * conf.h - the engine's configuration files: a strict subset of TOML.
 *
 * Room: supervisor (as root), so it is small and refuses what it does not know; every error names
 * file:line.  The file itself belongs to the administrator; it is not checked for malice, but no
 * content of it may crash, hang or take unbounded memory (1 MiB, 64 levels, 20,000 values).
 * Known: comments, [tables] with dotted names, [[arrays of tables]], bare and quoted keys, basic and
 * literal strings on one line, decimal integers, booleans, lists, inline tables.
 * Refused: everything else of TOML (dotted keys, long strings, fractions, dates, other
 * bases), duplicate keys, and all that TOML 1.0 refuses.
 */
#ifndef BH_CONF_CONF_H
#define BH_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define BH_CONF_MAX_BYTES ((size_t)1 << 20)

struct bh_conf;       /* a parsed file */
struct bh_conf_table; /* a table in it; lives as long as the file */

/* text[0..n) is the file's content, name stands in messages. */
int bh_conf_parse(const char *text, size_t n, const char *name, struct bh_conf **out, struct bh_err *err);
void bh_conf_free(struct bh_conf *conf);
void bh_scope_conf(struct bh_conf **conf);
#define BH_SCOPE_CONF __attribute__((cleanup(bh_scope_conf)))
struct bh_conf_table *bh_conf_root(struct bh_conf *conf);

/* Look-ups by dotted path ("limits.max_entries"), each of which marks the value as known.
 * Return 1 found (*out written), 0 absent (*out untouched, so it keeps its default),
 * BH_E_INVALID with file:line for a value of another type or out of range. */
int bh_conf_get_str(struct bh_conf_table *t, const char *path, const char **out, struct bh_err *err);
int bh_conf_get_u64(struct bh_conf_table *t, const char *path, uint64_t min, uint64_t max, uint64_t *out,
                    struct bh_err *err);
int bh_conf_get_i64(struct bh_conf_table *t, const char *path, int64_t *out, struct bh_err *err);
int bh_conf_get_bool(struct bh_conf_table *t, const char *path, bool *out, struct bh_err *err);
/* An integer or a text as "64MiB" (bh_str_bytes). */
int bh_conf_get_bytes(struct bh_conf_table *t, const char *path, uint64_t *out, struct bh_err *err);
/* A list of strings: *out points at an array of *out_n, owned by the file. */
int bh_conf_get_strlist(struct bh_conf_table *t, const char *path, const char *const **out, size_t *out_n,
                        struct bh_err *err);
int bh_conf_get_table(struct bh_conf_table *t, const char *path, struct bh_conf_table **out, struct bh_err *err);

/* [[mirror]] or mirror = [{..}]: how many, and the i-th. Negative code if the path is no array of tables; 0 if absent.
 */
long bh_conf_tables(struct bh_conf_table *t, const char *path, struct bh_err *err);
struct bh_conf_table *bh_conf_table_at(struct bh_conf_table *t, const char *path, size_t i);
/* The members of a table, for tables whose keys are names: NULL past the end.  Marks the key as known. */
const char *bh_conf_key_at(struct bh_conf_table *t, size_t i);
/* "file:12" of a member (or of the table for key NULL), for messages of the caller. */
void bh_conf_where(const struct bh_conf_table *t, const char *key, char *dst, size_t size);

/* BH_E_INVALID when the table has a member whose name is not in the list " one two ".  Marks the keys as known. */
int bh_conf_only_keys(struct bh_conf_table *t, const char *list, struct bh_err *err);
/* After all look-ups: BH_E_INVALID naming the first member that nobody asked for (a typing error). */
int bh_conf_check_known(struct bh_conf *conf, struct bh_err *err);

#endif
