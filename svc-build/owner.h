/*
 * owner.h - whose files: "user[:group]" of --chown and USER, looked up in the stage's own files.
 *
 * Room: build.  Foreign: the text and what /etc/passwd and /etc/group of an image hold.
 */
#ifndef BUILD_OWNER_H
#define BUILD_OWNER_H

#include "job.h"

/* As docker's builder: a number without a group is the group as well; a name brings its own group.
 * BH_E_NOT_FOUND: there is no such name. */
int build_owner_find(struct build_site *site, const char *text, int64_t *out_uid, int64_t *out_gid, struct bh_err *err);

/* The number in field `field` (from 0) of the line of /etc/passwd or /etc/group that begins with "name:". */
bool build_owner_in_file(const char *text, size_t n, const char *name, unsigned field, int64_t *out);

#endif
