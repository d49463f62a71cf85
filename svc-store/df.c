/*
 * df.c - see df.h.
 */
#include "df.h"

#include "partial.h"
#include "place.h"

#define OF_WHO "i.state=0 AND (?1 OR i.owner=?2)"

static int number(struct store_db *db, const struct store_who *who, const char *sql, uint64_t *out,
                  struct bh_err *err) {
    int64_t n = 0;

    if (store_get_int(db, &n, NULL, err, sql, "ii", (int64_t)who->all, (int64_t)who->owner) != 0)
        return err->code;
    *out = (uint64_t)n;
    return 0;
}

static int numbers(struct store_db *db, const struct store_who *who, struct store_df *df, struct bh_err *err) {
    uint64_t images = 0, active = 0, names = 0, layers = 0, used = 0;

    if (number(db, who, "SELECT count(*) FROM image i WHERE " OF_WHO, &images, err) != 0 ||
        number(db, who,
               "SELECT count(*) FROM image i WHERE " OF_WHO " AND EXISTS(SELECT 1 FROM container c WHERE c.image=i.k)",
               &active, err) != 0 ||
        number(db, who, "SELECT count(*) FROM name WHERE ?1 OR owner=?2", &names, err) != 0 ||
        number(db, who,
               "SELECT count(*) FROM layer WHERE k IN (SELECT il.layer FROM image_layer il JOIN image i ON i.k=il.image"
               " WHERE " OF_WHO ")",
               &layers, err) != 0 ||
        number(db, who,
               "SELECT ifnull(sum(ifnull(content,tar_size)),0) FROM layer WHERE k IN (SELECT il.layer FROM image_layer "
               "il JOIN image i"
               " ON i.k=il.image WHERE " OF_WHO ")",
               &df->size, err) != 0 ||
        number(db, who,
               "SELECT ifnull(sum(ifnull(content,tar_size)),0) FROM layer WHERE k IN (SELECT il.layer FROM image_layer "
               "il JOIN image i"
               " ON i.k=il.image WHERE " OF_WHO " AND EXISTS(SELECT 1 FROM container c WHERE c.image=i.k))",
               &used, err) != 0 ||
        number(db, who,
               "SELECT ifnull(sum(size),0) FROM blob WHERE kind=4 AND state=0 AND digest IN (SELECT ml.digest FROM"
               " manifest_layer ml JOIN manifest m ON m.k=ml.manifest JOIN image i ON i.k=m.image WHERE " OF_WHO ")",
               &df->blobs, err) != 0)
        return err->code;
    df->images = (uint32_t)images;
    df->active = (uint32_t)active;
    df->names = (uint32_t)names;
    df->layers = (uint32_t)layers;
    df->reclaimable = df->size - used;
    return 0;
}

int store_df(struct store *s, const struct store_who *who, struct store_df *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_partials partials;
    struct store_df df = {0};

    if (store_read_begin(s->index, &db, err) != 0 || numbers(db, who, &df, err) != 0)
        return err->code;
    store_read_end(db);
    db = NULL;
    if (store_partial_count(s, who, &partials, err) != 0)
        return err->code;
    df.partials = (uint32_t)partials.n;
    df.partials_size = partials.bytes;
    df.free = store_place_free(&s->place);
    if (who->all)
        df.disk = store_place_used(&s->place);
    *out = df;
    return 0;
}
