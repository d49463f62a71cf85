/*
 * name.c - see name.h.
 *
 * Room: store.  What a user typed is parsed by lib/oci; here it only meets the index.
 */
#include "name.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

/* ---- forms --------------------------------------------------------------------------------- */

void store_name_ref(const struct store_name *n, struct bh_ref *out) {
    const char *slash = strchr(n->repo, '/');
    size_t domain = slash != NULL ? (size_t)(slash - n->repo) : 0;

    out->domain[0] = out->path[0] = out->tag[0] = out->digest[0] = '\0';
    bh_str_copy_n(out->domain, sizeof out->domain, n->repo, domain);
    bh_str_copy(out->path, sizeof out->path, slash != NULL ? slash + 1 : n->repo);
    bh_str_copy(out->tag, sizeof out->tag, n->tag);
    bh_str_copy(out->digest, sizeof out->digest, n->digest);
}

const char *store_name_familiar(const struct store_name *n, struct bh_arena *arena, struct bh_err *err) {
    char text[BH_REF_TEXT_SIZE];
    struct bh_ref ref;

    store_name_ref(n, &ref);
    bh_ref_familiar(&ref, text);
    return bh_oci_strdup(arena, text, strlen(text), err);
}

const char *store_name_with_digest(const struct store_name *n, const char *digest, struct bh_arena *arena,
                                   struct bh_err *err) {
    struct store_name by_digest = {n->repo, "", digest};

    return store_name_familiar(&by_digest, arena, err);
}

/* ---- finding ------------------------------------------------------------------------------- */

static int not_found(const char *text, struct bh_err *err) {
    char shown[BH_REF_TEXT_SIZE];
    struct bh_ref ref;
    struct bh_err ignored = BH_ERR_INIT;

    if (bh_ref_parse_tagged(text, &ref, &ignored) == 0)
        bh_ref_familiar(&ref, shown);
    else
        bh_str_escape(shown, sizeof shown, text, strlen(text), false);
    bh_err_set(err, BH_E_NOT_FOUND, "No such image: %s", shown);
    bh_err_reason(err, "no-such-image");
    return bh_err_hint(err, "`bulkhead images -a` lists what is here; `bulkhead load` brings images in");
}

static int take(struct store_db *db, sqlite3_stmt *st, struct store_found *out, struct bh_err *err) {
    int r = store_step(db, st, err);

    if (r <= 0)
        return r;
    out->k = sqlite3_column_int64(st, 0);
    out->owner = (uid_t)sqlite3_column_int64(st, 1);
    bh_str_copy(out->id, sizeof out->id, store_text(st, 2));
    out->name_owner = (uid_t)sqlite3_column_int64(st, 3);
    bh_str_copy(out->index, sizeof out->index, store_text(st, 4));
    sqlite3_reset(st);
    return 1;
}

/* 1 found, 0 not. */
static int find_tag(struct store_db *db, const struct store_who *who, const char *repo, const char *tag,
                    struct store_found *out, struct bh_err *err) {
    sqlite3_stmt *st;

    if (store_query(db, &st, err,
                    "SELECT i.k, i.owner, i.id, n.owner, n.idx FROM name n JOIN image i ON i.k=n.image"
                    " WHERE n.repo=?1 AND n.tag=?2 AND n.digest='' AND (n.owner=?3 OR ?4)"
                    " ORDER BY n.owner<>?3, n.owner LIMIT 1",
                    "ttii", repo, tag, (int64_t)who->owner, (int64_t)who->all) != 0)
        return err->code;
    return take(db, st, out, err);
}

/* By "repo@digest": a name that says so, or any name of that repository for an image with that manifest. */
static int find_repo_digest(struct store_db *db, const struct store_who *who, const char *repo, const char *digest,
                            struct store_found *out, struct bh_err *err) {
    sqlite3_stmt *st;
    int r;

    if (store_query(db, &st, err,
                    "SELECT i.k, i.owner, i.id, n.owner, n.idx FROM name n JOIN image i ON i.k=n.image"
                    " WHERE n.repo=?1 AND (n.digest=?2 OR EXISTS(SELECT 1 FROM manifest m WHERE m.image=i.k AND"
                    " m.digest=?2)) AND (n.owner=?3 OR ?4) ORDER BY n.owner<>?3, n.owner LIMIT 1",
                    "ttii", repo, digest, (int64_t)who->owner, (int64_t)who->all) != 0)
        return err->code;
    r = take(db, st, out, err);
    if (r == 1)
        bh_str_copy(out->manifest, sizeof out->manifest, digest);
    return r;
}

static int find_name(struct store_db *db, const struct store_who *who, struct bh_ref *ref, struct store_found *out,
                     struct bh_err *err) {
    char repo[BH_REF_TEXT_SIZE];
    int r;

    bh_ref_name(ref, repo);
    if (ref->digest[0] != '\0') {
        r = find_repo_digest(db, who, repo, ref->digest, out, err);
    } else {
        bh_ref_default_tag(ref);
        r = find_tag(db, who, repo, ref->tag, out, err);
    }
    if (r == 1) {
        out->by_name = true;
        out->ref = *ref;
    }
    return r;
}

static int ambiguous(struct store_db *db, sqlite3_stmt *st, const char *text, const char *first, struct bh_err *err) {
    char list[400] = "";
    size_t len = (size_t)snprintf(list, sizeof list, "%.19s", first + 7);
    int n = 1;
    int r;

    do {
        if (n < 8)
            len += (size_t)snprintf(list + len, sizeof list - len, ", %.19s", store_text(st, 2) + 7);
        n++;
    } while ((r = store_step(db, st, err)) > 0);
    if (r < 0)
        return r;
    bh_err_set(err, BH_E_INVALID, "ID prefix %s is ambiguous: %d images start so: %s%s", text, n, list,
               n > 8 ? ", .." : "");
    bh_err_reason(err, "ambiguous-id");
    return bh_err_hint(err, "give more digits of the ID");
}

/* All digests of configs and manifests in [low, high); one image may be there by both. */
static int find_range(struct store_db *db, const struct store_who *who, const char *low, const char *high, bool kept,
                      const char *text, struct store_found *out, struct bh_err *err) {
    sqlite3_stmt *st;
    char manifest[STORE_DIGEST_SIZE];
    int r;

    if (store_query(db, &st, err,
                    "SELECT k, owner, id, owner, min(m) FROM ("
                    " SELECT k, owner, id, '' AS m FROM image WHERE id>=?1 AND id<?2 AND (state=0 OR ?5)"
                    " UNION ALL SELECT i.k, i.owner, i.id, m.digest FROM manifest m JOIN image i ON i.k=m.image"
                    "  WHERE m.digest>=?1 AND m.digest<?2 AND (i.state=0 OR ?5))"
                    " WHERE owner=?3 OR ?4 GROUP BY id ORDER BY id LIMIT 100",
                    "ttiii", low, high, (int64_t)who->owner, (int64_t)who->all, (int64_t)kept) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r <= 0)
        return r;
    out->k = sqlite3_column_int64(st, 0);
    out->owner = (uid_t)sqlite3_column_int64(st, 1);
    bh_str_copy(out->id, sizeof out->id, store_text(st, 2));
    bh_str_copy(manifest, sizeof manifest, store_text(st, 4));
    r = store_step(db, st, err);
    if (r < 0)
        return r;
    if (r > 0)
        return ambiguous(db, st, text, out->id, err);
    bh_str_copy(out->manifest, sizeof out->manifest, manifest);
    return 1;
}

/* Of several owners' rows for one id the asker's own is taken, else the lowest. */
static int own_row(struct store_db *db, const struct store_who *who, bool kept, struct store_found *out,
                   struct bh_err *err) {
    sqlite3_stmt *st;

    if (store_query(db, &st, err,
                    "SELECT k, owner, id, owner, '' FROM image WHERE id=?1 AND (owner=?2 OR ?3) AND (state=0 OR ?4)"
                    " ORDER BY owner<>?2, owner LIMIT 1",
                    "tiii", out->id, (int64_t)who->owner, (int64_t)who->all, (int64_t)kept) != 0)
        return err->code;
    return take(db, st, out, err);
}

static int find_hex(struct store_db *db, const struct store_who *who, const char *hex, bool kept, const char *text,
                    struct store_found *out, struct bh_err *err) {
    char low[STORE_DIGEST_SIZE];
    char high[STORE_DIGEST_SIZE];
    int r;

    snprintf(low, sizeof low, "sha256:%s", hex);
    snprintf(high, sizeof high, "sha256:%sg", hex); /* 'g' sorts behind every digit */
    r = find_range(db, who, low, high, kept, text, out, err);
    if (r != 1)
        return r;
    return own_row(db, who, kept, out, err);
}

static int find(struct store_db *db, const struct store_who *who, const char *text, bool kept, struct store_found *out,
                struct bh_err *err) {
    char hex[BH_REF_HEX_SIZE];
    enum bh_ref_kind kind;
    struct bh_ref ref;
    int r = 0;

    memset(out, 0, sizeof *out);
    if (bh_ref_parse_any(text, &ref, &kind, hex, err) != 0)
        return err->code;
    if (kind == BH_REF_NAME)
        r = find_name(db, who, &ref, out, err);
    if (r == 0 && hex[0] != '\0')
        r = find_hex(db, who, hex, kept, text, out, err);
    if (r < 0)
        return r;
    return r == 1 ? 0 : not_found(text, err);
}

int store_find(struct store_db *db, const struct store_who *who, const char *text, struct store_found *out,
               struct bh_err *err) {
    return find(db, who, text, false, out, err);
}

int store_find_kept(struct store_db *db, const struct store_who *who, const char *text, struct store_found *out,
                    struct bh_err *err) {
    return find(db, who, text, true, out, err);
}

/* ---- setting ------------------------------------------------------------------------------- */

int store_name_set(struct store_db *db, uid_t owner, const struct bh_ref *ref, int64_t image, const char *index,
                   char previous[STORE_DIGEST_SIZE], struct bh_err *err) {
    const char *digest = ref->tag[0] != '\0' ? "" : ref->digest;
    char repo[BH_REF_TEXT_SIZE];
    sqlite3_stmt *st;
    int64_t now = bh_now_ns();
    int r;

    previous[0] = '\0';
    bh_ref_name(ref, repo);
    if (store_query(db, &st, err,
                    "SELECT i.k, i.id FROM name n JOIN image i ON i.k=n.image"
                    " WHERE n.owner=? AND n.repo=? AND n.tag=? AND n.digest=?",
                    "ittt", (int64_t)owner, repo, ref->tag, digest) != 0)
        return err->code;
    r = store_step(db, st, err);
    if (r < 0)
        return r;
    if (r == 1 && sqlite3_column_int64(st, 0) != image)
        bh_str_copy(previous, STORE_DIGEST_SIZE, store_text(st, 1));
    sqlite3_reset(st);
    if (store_exec(db, NULL, err,
                   "INSERT INTO name(owner, repo, tag, digest, image, set_ns, idx) VALUES(?,?,?,?,?,?,?)"
                   " ON CONFLICT(owner, repo, tag, digest) DO UPDATE SET image=excluded.image, set_ns=excluded.set_ns,"
                   " idx=excluded.idx",
                   "itttiit", (int64_t)owner, repo, ref->tag, digest, image, now, index) != 0)
        return err->code;
    return store_exec(db, NULL, err, "UPDATE image SET last_tag_ns=? WHERE k=?", "ii", now, image);
}

int store_name_remove(struct store_db *db, uid_t owner, const char *repo, const char *tag, const char *digest,
                      struct bh_err *err) {
    return store_exec(db, NULL, err, "DELETE FROM name WHERE owner=? AND repo=? AND tag=? AND digest=?", "ittt",
                      (int64_t)owner, repo, tag, digest);
}
