/*
 * lost.c - see lost.h.
 */
#include "lost.h"

#include "base/mem.h"
#include "index.h"
#include "lease.h"
#include "place.h"

static int list_lost(struct store *s, const char *list, int64_t **out, size_t *out_n, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    size_t cap = 0;
    int r;

    if (store_read_begin(s->index, &db, err) != 0 || store_query(db, &st, err, list, "") != 0)
        return err->code;
    while ((r = store_step(db, st, err)) > 0) {
        enum store_tree tree = sqlite3_column_int64(st, 1) == STORE_LEASE_LAYER ? STORE_LAYERS : STORE_BLOBS;
        uint64_t size, disk;

        if (store_file_stat(&s->place, tree, store_text(st, 2), &size, &disk))
            continue;
        if (*out_n == cap) {
            cap = cap * 2 + 16;
            *out = bh_xrealloc(*out, cap * sizeof **out);
        }
        (*out)[(*out_n)++] = sqlite3_column_int64(st, 0);
    }
    return r < 0 ? r : 0;
}

int store_lost_forget(struct store *s, const char *list, const char *forget, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    BH_SCOPE_FREE int64_t *lost = NULL;
    size_t n = 0;

    if (list_lost(s, list, &lost, &n, err) != 0)
        return err->code;
    if (n == 0)
        return 0;
    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (store_exec(db, NULL, err, forget, "i", lost[i]) != 0)
            return err->code;
    return store_write_commit(&db, err);
}
