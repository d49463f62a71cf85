/*
 * archive_job.c - what a docker archive or an OCI layout in a tar holds, told as a plan.
 *
 * Room: worker.  Trusts nothing.  Layers are not read here: the plan says where they are, and each
 * becomes a job of its own.
 */
#include <errno.h>
#include <sys/stat.h>

#include "unpack/archive.h"
#include "unpack/archive_spool.h"
#include "unpack/job.h"
#include "unpack/limits.h"
#include "unpack/result_pb.h"

#define PLAN_ARENA ((size_t)192 << 20)

static int open_archive(struct unp_archive *a, const struct unp_fds *fds, const struct bh_job_params *p,
                        struct unp_plan *plan, struct bh_err *err) {
    enum unp_codec codec;
    uint64_t spooled = 0;
    struct stat st;
    int rc = unp_spool(fds, p, 0, &codec, &spooled, err);
    if (rc != 0)
        return rc;
    plan->pb.codec = (Bulkhead__Worker__V1__Codec)codec;
    plan->pb.spooled = codec != UNP_PLAIN;
    a->fd = fds->source;
    a->base = p->offset;
    if (plan->pb.spooled) {
        a->fd = fds->out;
        a->base = 0;
        a->size = spooled;
    } else {
        if (fstat(fds->source, &st) != 0)
            return bh_err_errno(err, errno, "archive: its size");
        uint64_t rest = (uint64_t)st.st_size > p->offset ? (uint64_t)st.st_size - p->offset : 0;
        a->size = p->size < rest ? p->size : rest;
    }
    plan->pb.archive_size = a->base + a->size;
    return 0;
}

static int no_image(const struct unp_archive *a, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "archive: there is no image in it: neither manifest.json nor index.json");
    if (a->n == 0)
        bh_err_hint(err, "the archive is empty");
    else if (unp_archive_find(a, "repositories") != NULL)
        bh_err_hint(err, "it was saved by docker before 1.10: load and save it with a newer one first");
    else
        bh_err_hint(err, "to make an image of a file system's tar use 'bulkhead import'");
    return bh_err_reason(err, "not-an-archive");
}

static int make_plan(struct unp_archive *a, struct unp_plan *plan, struct bh_err *err) {
    const struct unp_member *index = unp_archive_find(a, "index.json");
    const struct unp_member *layout = unp_archive_find(a, "oci-layout");
    const struct unp_member *manifest = unp_archive_find(a, "manifest.json");
    const unsigned char *data;
    int rc = 0;
    if (layout != NULL && index != NULL) {
        rc = unp_archive_read(a, layout, "oci-layout", &data, err);
        if (rc == 0)
            rc = bh_layout_parse(data, (size_t)layout->size, err);
        if (rc == 0)
            rc = unp_plan_oci(plan, index, err);
    }
    if (rc == 0 && manifest != NULL)
        rc = unp_plan_docker(plan, manifest, err);
    if (rc == 0 && manifest == NULL && (index == NULL || layout == NULL))
        return no_image(a, err);
    if (rc == 0 && plan->pb.n_images == 0) {
        bh_err_set(err, BH_E_INVALID, "archive: there is no image in it: its list of images is empty");
        return bh_err_reason(err, "not-an-archive");
    }
    return rc;
}

int unp_job_archive(const struct unp_fds *fds, const struct bh_job_params *p, struct bh_buf *result,
                    struct bh_err *err) {
    Bulkhead__Worker__V1__Result r = BULKHEAD__WORKER__V1__RESULT__INIT;
    struct bh_arena arena;
    bh_arena_init(&arena, PLAN_ARENA);
    struct unp_archive archive = {.params = p, .arena = &arena};
    struct unp_plan plan = {.archive = &archive, .arena = &arena, .limits = unp_oci_limits(p)};
    plan.pb = (Bulkhead__Worker__V1__Plan)BULKHEAD__WORKER__V1__PLAN__INIT;
    int rc = open_archive(&archive, fds, p, &plan, err);
    if (rc == 0)
        rc = unp_archive_list(&archive, err);
    if (rc == 0)
        rc = make_plan(&archive, &plan, err);
    r.result_case = BULKHEAD__WORKER__V1__RESULT__RESULT_PLAN;
    r.plan = &plan.pb;
    if (rc == 0)
        rc = unp_result_pack(&r, result, err);
    unp_archive_fini(&archive);
    bh_arena_fini(&arena);
    return rc;
}
