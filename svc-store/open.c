/*
 * open.c - start of the store: folders, index, and what the last crash has left.
 *
 * Room: store.  After store_open nothing is half-done: no temporary file, no lease, no row that is
 * about to go, no file without a row.  A row without its file is left for `system check` to tell.
 */
#include <string.h>

#include "base/log.h"
#include "cache.h"
#include "gc.h"
#include "compose.h"
#include "context.h"
#include "image.h"
#include "layer.h"
#include "lease.h"
#include "parked.h"
#include "partial.h"
#include "place.h"
#include "worker.h"

struct orphans {
    struct store *s;
    struct store_db *db;
    enum store_tree tree;
    unsigned removed;
    struct bh_err *err;
};

static int orphan(void *arg, const char *digest, const char *path, uint64_t size) {
    struct orphans *o = arg;
    bool known = false;
    int64_t k;

    (void)size;
    if (digest != NULL &&
        (o->tree == STORE_LAYERS
             ? store_get_int(o->db, &k, &known, o->err, "SELECT k FROM layer WHERE diff_id=?", "t", digest)
             : store_get_int(o->db, &k, &known, o->err, "SELECT k FROM blob WHERE digest=?", "t", digest)) != 0)
        return o->err->code;
    if (known || digest == NULL) /* what is no file of ours stays: check tells about it */
        return 0;
    o->removed++;
    return store_stray_unlink(&o->s->place, o->tree, path, o->err);
}

static int remove_orphans(struct store *s, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct orphans o = {.s = s, .err = err};

    if (store_read_begin(s->index, &db, err) != 0)
        return err->code;
    o.db = db;
    o.tree = STORE_LAYERS;
    if (store_file_each(&s->place, STORE_LAYERS, orphan, &o, err) != 0)
        return err->code;
    o.tree = STORE_BLOBS;
    if (store_file_each(&s->place, STORE_BLOBS, orphan, &o, err) != 0)
        return err->code;
    if (o.removed > 0)
        bh_log(BH_LOG_INFO, "orphans-removed", "files=%u", o.removed);
    return 0;
}

static int recover(struct store *s, struct bh_err *err) {
    store_ingest_clean(&s->place);
    if (store_lease_drop_all(s, err) != 0 || store_parked_recover(s, err) != 0 || store_cache_recover(s, err) != 0)
        return err->code;
    store_gc_now(s);
    if (store_partial_recover(s, err) != 0 || remove_orphans(s, err) != 0)
        return err->code;
    store_reserve_restore(&s->place);
    return 0;
}

int store_open(struct store *s, const char *path, const struct store_options *options, struct bh_err *err) {
    memset(s, 0, sizeof *s);
    s->options = *options;
    pthread_mutex_init(&s->options_lock, NULL);
    store_flight_init(&s->flight);
    pthread_mutex_init(&s->holds.lock, NULL);
    pthread_cond_init(&s->holds.changed, NULL);
    store_contexts_init(&s->contexts);
    store_memo_init(&s->memo);
    pthread_rwlock_init(&s->tidy, NULL);
    if (store_place_open(&s->place, path, err) != 0)
        return err->code;
    s->place.reserve = options->reserve;
    if (store_index_open(&s->place, &s->index, err) != 0 || recover(s, err) != 0) {
        store_close(s);
        return err->code;
    }
    return 0;
}

void store_close(struct store *s) {
    store_workers_close(s);
    store_index_close(s->index);
    s->index = NULL;
    store_place_close(&s->place);
    store_flight_fini(&s->flight);
    store_contexts_fini(&s->contexts);
    store_memo_fini(&s->memo);
    pthread_mutex_destroy(&s->holds.lock);
    pthread_cond_destroy(&s->holds.changed);
    pthread_mutex_destroy(&s->options_lock);
    pthread_rwlock_destroy(&s->tidy);
}
