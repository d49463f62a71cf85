/*
 * step.c - one instruction of a stage.
 *
 * Room: build.
 */
#include "job.h"

int build_step(struct build_site *site, const struct build_instruction *in, struct bh_err *err) {
    if (build_cancelled(&site->job->cancel))
        return bh_err_set(err, BH_E_CANCELLED, "the build has ended");
    switch (in->op) {
    case BUILD_RUN:
        return build_step_run(site, in, err);
    case BUILD_COPY:
    case BUILD_ADD:
        return build_step_copy(site, in, err);
    case BUILD_WORKDIR:
        return build_step_workdir(site, in, err);
    default:
        return build_step_meta(site, in, err);
    }
}
