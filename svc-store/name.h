/*
 * name.h - names of images: setting, removing, and finding what a user means.
 *
 * Room: store.  A name belongs to its owner; two users may have the same one for different images.
 */
#ifndef STORE_NAME_H
#define STORE_NAME_H

#include "image.h"
#include "oci/ref.h"

/* What a text was found to be. */
struct store_found {
    int64_t k;
    uid_t owner;
    char id[STORE_DIGEST_SIZE];
    char manifest[STORE_DIGEST_SIZE]; /* the one asked for, else "" */
    char index[STORE_DIGEST_SIZE];    /* by_name: that its image was chosen from, else "" */
    bool by_name;
    uid_t name_owner;
    struct bh_ref ref; /* by_name: with the tag that was taken */
};

/* A name wins over an id prefix; own images win over those of others.  BH_E_NOT_FOUND (reason
 * "no-such-image", "No such image: X") or BH_E_INVALID (reason "ambiguous-id", naming candidates). */
int store_find(struct store_db *db, const struct store_who *who, const char *text, struct store_found *out,
               struct bh_err *err);
/* Also images that only containers keep; for the runtime, which holds full ids. */
int store_find_kept(struct store_db *db, const struct store_who *who, const char *text, struct store_found *out,
                    struct bh_err *err);

/* ref has a tag or a digest.  index: that the image was chosen from, or "".  previous: id of the image that had the
 * name and was another, or "". */
int store_name_set(struct store_db *db, uid_t owner, const struct bh_ref *ref, int64_t image, const char *index,
                   char previous[STORE_DIGEST_SIZE], struct bh_err *err);
int store_name_remove(struct store_db *db, uid_t owner, const char *repo, const char *tag, const char *digest,
                      struct bh_err *err);
/* "ubuntu:13.10", "ubuntu@sha256:.."; in the arena. */
const char *store_name_familiar(const struct store_name *n, struct bh_arena *arena, struct bh_err *err);
/* "ubuntu@sha256:<manifest>": for names by tag. */
const char *store_name_with_digest(const struct store_name *n, const char *digest, struct bh_arena *arena,
                                   struct bh_err *err);
void store_name_ref(const struct store_name *n, struct bh_ref *out);

#endif
