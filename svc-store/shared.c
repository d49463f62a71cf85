/*
 * shared.c - content is read by this room itself before a second image is built on it.
 *
 * Room: store.  The digest of a layer comes from the worker that read it, and what it read may have taken
 * it over: then its file has the name of another layer.  The image that it came with is the attacker's
 * anyway; but nobody else's may ever run it.  So the first sharing hashes the file, once.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gc.h"
#include "image.h"
#include "layer.h"
#include "layer/layer_format.h"

struct known {
    bool present;
    bool verified;
    uint64_t size; /* of the bytes that the digest is of */
};

static int look(struct store *s, enum store_tree tree, const char *digest, struct known *out, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    sqlite3_stmt *st;
    int r;

    *out = (struct known){0};
    if (store_read_begin(s->index, &db, err) != 0)
        return err->code;
    r = tree == STORE_LAYERS
            ? store_query(db, &st, err, "SELECT verified, tar_size FROM layer WHERE diff_id=? AND state=0", "t", digest)
            : store_query(db, &st, err, "SELECT verified, size FROM blob WHERE digest=? AND state=0", "t", digest);
    if (r != 0)
        return r;
    r = store_step(db, st, err);
    if (r < 0)
        return r;
    if (r == 1)
        *out = (struct known){true, sqlite3_column_int64(st, 0) != 0, (uint64_t)sqlite3_column_int64(st, 1)};
    return 0;
}

static int read_again(struct store *s, enum store_tree tree, const char *digest, uint64_t size, bool *out_good,
                      struct bh_err *err) {
    struct bh_err why = BH_ERR_INIT;
    char got[STORE_DIGEST_SIZE] = "";
    BH_SCOPE_CLOSE int fd = -1;

    if (store_file_open(&s->place, tree, digest, &fd, &why) == 0)
        store_hash_range(fd, tree == STORE_LAYERS ? BH_LAYER_TAR_OFFSET : 0, size, digest, got, &why);
    /* too short or not there is as wrong as another digest; a disk that fails is not */
    if (why.code != 0 && why.code != BH_E_DATA_LOSS) {
        *err = why;
        return err->code;
    }
    *out_good = strcmp(got, digest) == 0;
    return 0;
}

static int note_good(struct store *s, enum store_tree tree, const char *digest, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int r;

    if (store_write_begin(s->index, STORE_LAZY, &db, err) != 0)
        return err->code;
    r = tree == STORE_LAYERS
            ? store_exec(db, NULL, err, "UPDATE layer SET verified=1 WHERE diff_id=? AND state=0", "t", digest)
            : store_exec(db, NULL, err, "UPDATE blob SET verified=1 WHERE digest=? AND state=0", "t", digest);
    return r != 0 ? r : store_write_commit(&db, err);
}

static int damage_row(struct store *s, enum store_tree tree, const char *digest, struct bh_err *err) {
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    int r;

    if (store_write_begin(s->index, STORE_FULL, &db, err) != 0)
        return err->code;
    r = tree == STORE_LAYERS
            ? store_exec(db, NULL, err, "UPDATE layer SET state=3 WHERE diff_id=? AND state=0", "t", digest)
            : store_exec(db, NULL, err, "UPDATE blob SET state=3 WHERE digest=? AND state=0", "t", digest);
    return r != 0 ? r : store_write_commit(&db, err);
}

/* The row stays for the images that name it; the file of whoever brings the content next takes its place. */
static int note_bad(struct store *s, enum store_tree tree, const char *digest, struct bh_err *err) {
    int r;

    bh_log(BH_LOG_ERR, "content-false", "kind=%s digest=%s", tree == STORE_LAYERS ? "layer" : "blob", digest);
    store_tidy_begin(s);
    r = damage_row(s, tree, digest, err);
    if (r == 0)
        r = store_file_unlink(&s->place, tree, digest, err);
    store_tidy_end(s);
    return r;
}

int store_shared_verify(struct store *s, enum store_tree tree, const char *digest, struct bh_err *err) {
    struct known known;
    bool good;

    if (look(s, tree, digest, &known, err) != 0)
        return err->code;
    if (!known.present || known.verified)
        return 0;
    if (read_again(s, tree, digest, known.size, &good, err) != 0)
        return err->code;
    return good ? note_good(s, tree, digest, err) : note_bad(s, tree, digest, err);
}
