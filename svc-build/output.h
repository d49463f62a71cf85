/*
 * output.h - a build's result that goes out instead of into the list of images: archives, root file systems.
 *
 * Room: build.  The bytes go from the store into the caller's descriptor.
 */
#ifndef BUILD_OUTPUT_H
#define BUILD_OUTPUT_H

#include "job.h"

/* BH_E_INVALID: no such kind, or one that needs a descriptor came without. */
int build_output_kind(struct build_out *out, struct bh_err *err);
/* The archive of an image, or of all images of its index, with the caller's names in it. */
int build_output_archive(struct build_job *job, const struct build_out *out, const struct build_made *made, bool index,
                         const struct bh_strlist *names, struct bh_err *err);
/* All files of the stage as one tar; of several, each in a folder of its platform's name. */
int build_output_files(struct build_site **sites, size_t n, int fd, struct bh_err *err);
/* The layers from number `first` on become one, which lies on those before it.  BH_DIGEST_NONE: they hold nothing. */
int build_flatten(struct build_site *site, size_t first, struct bh_digest *out, uint64_t *out_size, struct bh_err *err);

#endif
