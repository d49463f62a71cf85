/*
 * archive.h - an image archive: its members, and the plan that is made of them.
 *
 * Room: worker.  A member is found by its cleaned name; names of the archive are never anything
 * else than keys into this table.
 */
#ifndef UNP_ARCHIVE_H
#define UNP_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "oci/manifest.h"
#include "unpack/jobs.h"
#include "unpack/tar_reader.h"
#include "worker.pb-c.h"

#define UNP_MEMBERS_MAX 262144u

struct unp_member {
    const char *name;
    const char *link; /* hard link: name from the root; symlink: as written; else NULL */
    enum unp_type type;
    bool sparse;
    uint64_t at; /* offset of the data in the file */
    uint64_t size;
};

struct unp_archive {
    int fd;
    uint64_t base; /* where the tar starts in fd */
    uint64_t size;
    const struct bh_job_params *params;
    struct bh_arena *arena;
    struct unp_member *members; /* sorted by name */
    size_t n;
    size_t cap;
};

/* Read all headers.  BH_E_INVALID (reasons "invalid-tar", "unsafe-name", "duplicate-member"). */
int unp_archive_list(struct unp_archive *a, struct bh_err *err);
void unp_archive_fini(struct unp_archive *a);
/* A regular file, or a link inside the archive to one, followed once; NULL if there is none. */
const struct unp_member *unp_archive_find(const struct unp_archive *a, const char *name);
/* The bytes of a small member, in the arena.  BH_E_LIMIT (naming limits.document). */
int unp_archive_read(const struct unp_archive *a, const struct unp_member *m, const char *what,
                     const unsigned char **out, struct bh_err *err);
/* Find, check size and digest, read. *out_m NULL: not in the archive. */
int unp_archive_blob(const struct unp_archive *a, const struct bh_desc *d, const char *what,
                     const struct unp_member **out_m, const unsigned char **out, struct bh_err *err);

/* ---- the plan ------------------------------------------------------------------------------ */

struct unp_plan {
    const struct unp_archive *archive;
    struct bh_arena *arena;
    struct bh_oci_limits limits;
    Bulkhead__Worker__V1__Plan pb;
    size_t cap_images;
    size_t cap_indexes;
    size_t cap_blobs;
    unsigned documents; /* read so far */
};

/* Each adds what it finds to the plan. */
int unp_plan_oci(struct unp_plan *plan, const struct unp_member *index_json, struct bh_err *err);
int unp_plan_docker(struct unp_plan *plan, const struct unp_member *manifest_json, struct bh_err *err);

/* One more slot at the end of a list of the plan. */
int unp_plan_push(struct unp_plan *plan, void ***list, size_t *n, size_t *cap, void *item, struct bh_err *err);
int unp_plan_name(struct unp_plan *plan, size_t *n, Bulkhead__Worker__V1__PlanName ***names, const char *name,
                  const char *source, struct bh_err *err);
/* Parse a config and fill config, config_digest, reduced, platform and diff ids of an image whose
 * layers are known. */
int unp_plan_config(struct unp_plan *plan, Bulkhead__Worker__V1__PlanImage *image, const unsigned char *data, size_t n,
                    const char *what, struct bh_err *err);
char *unp_plan_text(struct unp_plan *plan, const char *s, struct bh_err *err);

#endif
