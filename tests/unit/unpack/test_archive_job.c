/*
 * test_archive_job.c - the plan of a docker archive and of an OCI layout, names joined when both tell the same
 * image, members found through links; and memory that runs out at each place in turn.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "alloc_fail.h"
#include "base/fdio.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "support.h"
#include "unpack/crew.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

struct doc {
    char text[2048];
    char digest[BH_DIGEST_TEXT_SIZE]; /* "sha256:<hex>" */
};

static struct bh_buf layer = BH_BUF_INIT;
static char diff_id[BH_DIGEST_TEXT_SIZE];
static struct doc config;
static struct doc manifest;

static void digest_text(const void *data, size_t n, char *out) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d;
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, data, n, &d, &err), 0);
    bh_digest_format(&d, out);
}

static void finish(struct doc *d) {
    digest_text(d->text, strlen(d->text), d->digest);
}

static int make_documents(void **state) {
    (void)state;
    made_add(&layer, (struct made){.name = "hello", .data = "hello\n"});
    made_end(&layer);
    digest_text(layer.data, layer.len, diff_id);
    snprintf(config.text, sizeof config.text,
             "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/hello\"],\"Labels\":{\"a\":\"b\"}},"
             "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]},\"history\":[{\"created_by\":\"x\"}]}",
             diff_id);
    finish(&config);
    snprintf(manifest.text, sizeof manifest.text,
             "{\"schemaVersion\":2,\"mediaType\":\"" BH_MT_OCI_MANIFEST
             "\",\"config\":{\"mediaType\":\"" BH_MT_OCI_CONFIG
             "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"" BH_MT_OCI_LAYER
             "\",\"digest\":\"%s\",\"size\":%zu}]}",
             config.digest, strlen(config.text), diff_id, layer.len);
    finish(&manifest);
    return 0;
}

static int drop_documents(void **state) {
    (void)state;
    bh_buf_fini(&layer);
    return 0;
}

static void add_blob(struct bh_buf *tar, const char *digest, const char *data, size_t n) {
    char name[100];
    snprintf(name, sizeof name, "blobs/sha256/%s", digest + 7);
    made_add(tar, (struct made){.name = name, .data = data, .size = n});
}

static void add_oci(struct bh_buf *tar) {
    char index[2048];
    snprintf(index, sizeof index,
             "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" BH_MT_OCI_MANIFEST
             "\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"" BH_ANNOTATION_REF_NAME "\":\"v1\"}}]}",
             manifest.digest, strlen(manifest.text));
    made_add(tar, (struct made){.name = "oci-layout", .data = "{\"imageLayoutVersion\":\"1.0.0\"}"});
    made_add(tar, (struct made){.name = "index.json", .data = index});
    add_blob(tar, manifest.digest, manifest.text, strlen(manifest.text));
    add_blob(tar, config.digest, config.text, strlen(config.text));
    add_blob(tar, diff_id, layer.data, layer.len);
}

static void add_docker(struct bh_buf *tar, const char *config_name, const char *layer_name) {
    char text[1024];
    snprintf(text, sizeof text, "[{\"Config\":\"%s\",\"RepoTags\":[\"test/image:1\"],\"Layers\":[\"%s\"]}]",
             config_name, layer_name);
    made_add(tar, (struct made){.name = "manifest.json", .data = text});
}

static int run(const struct bh_buf *tar, struct bh_buf *result, struct bh_err *err) {
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END};
    int source = memfd_create("archive", 0);
    bh_pwrite_all(source, tar->data, tar->len, 0);
    const struct unp_fds fds = {.source = source, .out = -1, .blob = -1};
    unp_params_settle(&p, err);
    int rc = unp_job_archive(&fds, &p, result, err);
    close(source);
    return rc;
}

static Bulkhead__Worker__V1__Result *plan_of(const struct bh_buf *tar) {
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    if (run(tar, &result, &err) != 0)
        fail_msg("%s", err.msg);
    Bulkhead__Worker__V1__Result *r =
        bulkhead__worker__v1__result__unpack(NULL, result.len, (const uint8_t *)result.data);
    assert_non_null(r);
    assert_int_equal(r->result_case, BULKHEAD__WORKER__V1__RESULT__RESULT_PLAN);
    return r;
}

static void check_image(const struct bh_buf *tar, const Bulkhead__Worker__V1__PlanImage *image) {
    assert_string_equal(image->missing, "");
    assert_string_equal(image->config_digest, config.digest);
    assert_int_equal(image->config.len, strlen(config.text));
    assert_memory_equal(image->config.data, config.text, image->config.len);
    assert_int_equal(image->n_layers, 1);
    assert_string_equal(image->layers[0]->diff_id, diff_id);
    assert_int_equal(image->layers[0]->size, layer.len);
    assert_memory_equal(tar->data + image->layers[0]->offset, layer.data, layer.len);
    assert_string_equal(image->reduced->config->cmd[0], "/hello");
    assert_string_equal(image->platform->architecture, "amd64");
}

static void oci(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    (void)state;
    add_oci(&tar);
    made_end(&tar);
    Bulkhead__Worker__V1__Result *r = plan_of(&tar);
    assert_int_equal(r->plan->n_images, 1);
    check_image(&tar, r->plan->images[0]);
    assert_string_equal(r->plan->images[0]->manifest_digest, manifest.digest);
    assert_int_equal(r->plan->images[0]->n_names, 1);
    assert_string_equal(r->plan->images[0]->names[0]->name, "v1");
    assert_string_equal(r->plan->images[0]->names[0]->source, BH_ANNOTATION_REF_NAME);
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
}

static void docker(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    (void)state;
    made_add(&tar, (struct made){.name = "real/layer.tar", .data = layer.data, .size = layer.len});
    made_add(&tar, (struct made){.name = "link/layer.tar", .type = '2', .link = "../real/layer.tar"});
    made_add(&tar, (struct made){.name = "c.json", .data = config.text});
    add_docker(&tar, "c.json", "link/layer.tar");
    made_end(&tar);
    Bulkhead__Worker__V1__Result *r = plan_of(&tar);
    assert_int_equal(r->plan->n_images, 1);
    check_image(&tar, r->plan->images[0]);
    assert_string_equal(r->plan->images[0]->manifest_digest, "");
    assert_string_equal(r->plan->images[0]->names[0]->source, "RepoTags");
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
}

/* As docker 25 and later save: both forms, one image. */
static void both(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    char config_name[100];
    char layer_name[100];
    (void)state;
    snprintf(config_name, sizeof config_name, "blobs/sha256/%s", config.digest + 7);
    snprintf(layer_name, sizeof layer_name, "blobs/sha256/%s", diff_id + 7);
    add_oci(&tar);
    add_docker(&tar, config_name, layer_name);
    made_end(&tar);
    Bulkhead__Worker__V1__Result *r = plan_of(&tar);
    assert_int_equal(r->plan->n_images, 1);
    check_image(&tar, r->plan->images[0]);
    assert_int_equal(r->plan->images[0]->n_names, 2);
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
}

static void no_memory(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    int rc = -1;
    (void)state;
    add_oci(&tar);
    add_docker(&tar, "nothing", "nothing");
    made_end(&tar);
    struct bh_buf good = {.data = tar.data, .len = tar.len};
    for (long i = 0; i < 20000; i++) {
        BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        alloc_fail_at(i);
        rc = run(&good, &result, &err);
        bool ran_out = alloc_failed();
        assert_true(rc != 0 && err.code == rc && err.msg[0] != '\0');
        if (!ran_out)
            break; /* the archive's own fault was reached: nothing failed on the way */
    }
    assert_int_equal(rc, BH_E_INVALID);
}

int main(void) {
    struct bh_err err = BH_ERR_INIT;
    const struct CMUnitTest tests[] = {cmocka_unit_test(oci), cmocka_unit_test(docker), cmocka_unit_test(both),
                                       cmocka_unit_test(no_memory)};
    if (unp_crew_start(&err) != 0)
        return 1;
    return cmocka_run_group_tests(tests, make_documents, drop_documents);
}
