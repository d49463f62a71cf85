/*
 * test_layer_job.c - a whole layer job on memory files: its result, its file, launch's verifier over it, the same
 * bytes twice, and what happens when memory runs out at each place in turn.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "alloc_fail.h"
#include "base/fdio.h"
#include "layer/layer_check.h"
#include "oci/digest.h"
#include "rightless/verify.h"
#include "support.h"
#include "unpack/crew.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

static void sample(struct bh_buf *tar) {
    made_add(tar, (struct made){.name = "usr/bin/", .type = '5', .mode = 0755});
    made_add(tar, (struct made){.name = "usr/bin/tool", .data = "#!/bin/sh\n", .mode = 04755, .uid = 12});
    made_add(tar, (struct made){.name = "usr/bin/alias", .type = '1', .link = "usr/bin/tool"});
    made_add(tar, (struct made){.name = "bin", .type = '2', .link = "usr/bin"});
    made_add(tar, (struct made){.name = "etc/.wh.gone"});
    made_add(tar, (struct made){.name = "var/.wh..wh..opq"});
    made_add(tar, (struct made){.name = "var/pipe", .type = '6'});
    made_add(tar, (struct made){.name = "dev/null", .type = '3'});
    for (int i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "usr/share/doc/package-%d/changelog", i % 50 * 6 + i / 50);
        made_add(tar, (struct made){.name = name, .data = name});
    }
    made_end(tar);
}

static int job(const struct bh_buf *tar, int out, struct bh_buf *result, struct bh_err *err) {
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END};
    int source = memfd_create("source", 0);
    bh_pwrite_all(source, tar->data, tar->len, 0);
    const struct unp_fds fds = {.source = source, .out = out, .blob = -1};
    unp_params_settle(&p, err);
    int rc = unp_job_layer(&fds, &p, result, err);
    close(source);
    return rc;
}

static void good(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_layer_header h;
    int out = memfd_create("layer", 0);
    (void)state;
    sample(&tar);
    assert_int_equal(job(&tar, out, &result, &err), 0);
    Bulkhead__Worker__V1__Result *r =
        bulkhead__worker__v1__result__unpack(NULL, result.len, (const uint8_t *)result.data);
    assert_non_null(r);
    assert_int_equal(r->result_case, BULKHEAD__WORKER__V1__RESULT__RESULT_LAYER);
    assert_int_equal(r->layer->entries, 308);
    assert_int_equal(r->layer->left_out, 1);
    assert_int_equal(r->layer->whiteouts, 2);
    assert_int_equal(r->layer->tar_size, tar.len);
    assert_string_equal(r->layer->digest, r->layer->diff_id);
    assert_int_equal(bh_layer_open(out, &h, &err), 0);
    assert_int_equal(h.inodes, r->layer->inodes);
    assert_int_equal(h.flags, BH_LAYER_F_ROOT_IMPLIED);
    if (lnc_verify_layer(out, h.diff_id, &err) != 0)
        fail_msg("%s", err.msg);
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
    close(out);
}

static void same_twice(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct stat st[2];
    char *bytes[2];
    (void)state;
    sample(&tar);
    for (int i = 0; i < 2; i++) {
        BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
        int out = memfd_create("layer", 0);
        assert_int_equal(job(&tar, out, &result, &err), 0);
        fstat(out, &st[i]);
        bytes[i] = test_malloc((size_t)st[i].st_size);
        assert_int_equal(bh_pread_full(out, bytes[i], (size_t)st[i].st_size, 0), st[i].st_size);
        close(out);
    }
    assert_int_equal(st[0].st_size, st[1].st_size);
    assert_memory_equal(bytes[0], bytes[1], (size_t)st[0].st_size);
    test_free(bytes[0]);
    test_free(bytes[1]);
}

/* Memory fails at the first allocation, the second, ..: an error with a message each time, nothing else. */
static void no_memory(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    int rc = -1;
    (void)state;
    sample(&tar);
    for (long i = 0; rc != 0 && i < 5000; i++) {
        BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        int out = memfd_create("layer", 0);
        alloc_fail_at(i);
        rc = job(&tar, out, &result, &err);
        bool ran_out = alloc_failed();
        if (rc != 0)
            assert_true(err.code == rc && err.msg[0] != '\0');
        assert_true(rc == 0 || ran_out);
        close(out);
    }
    assert_int_equal(rc, 0);
}

/* A full disk: the write says so. */
static void no_space(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    FILE *full = fopen("/dev/full", "r+");
    (void)state;
    if (full == NULL)
        skip();
    sample(&tar);
    int rc = job(&tar, fileno(full), &result, &err);
    assert_int_equal(rc, err.code);
    assert_non_null(strstr(err.msg, "No space left"));
    fclose(full);
}

static void header_lies(void **state) {
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_layer_header h;
    int out = memfd_create("layer", 0);
    (void)state;
    sample(&tar);
    assert_int_equal(job(&tar, out, &result, &err), 0);
    /* Any byte of the fields that say where things are. */
    for (off_t at = 0; at < 96; at++) {
        unsigned char b;
        if (at >= 88 && at < 96)
            continue; /* entries: nothing depends on it */
        assert_int_equal(pread(out, &b, 1, at), 1);
        b ^= 2;
        assert_int_equal(pwrite(out, &b, 1, at), 1);
        assert_int_equal(bh_layer_open(out, &h, &err), BH_E_DATA_LOSS);
        b ^= 2;
        assert_int_equal(pwrite(out, &b, 1, at), 1);
    }
    assert_int_equal(bh_layer_open(out, &h, &err), 0);
    assert_int_equal(ftruncate(out, 4000), 0);
    assert_int_equal(bh_layer_open(out, &h, &err), BH_E_DATA_LOSS);
    close(out);
}

/* ---- downloads: a pipe, cut off, resumed --------------------------------------------------- */

/* Hardly to be compressed, so that it spans blocks. */
static void noise(struct bh_buf *tar) {
    static char data[900000];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof data; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (char)(x >> 24);
    }
    made_add(tar, (struct made){.name = "noise", .data = data, .size = sizeof data});
    made_end(tar);
}

static size_t gzip(const struct bh_buf *tar, unsigned char *out, size_t size) {
    z_stream z = {
        .next_in = (unsigned char *)tar->data, .avail_in = (uInt)tar->len, .next_out = out, .avail_out = (uInt)size};
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

/* data[resume .. end) through a pipe; blob holds what came before. */
static int download(const unsigned char *data, size_t resume, size_t end, size_t told, int blob, int out,
                    struct bh_buf *result, struct bh_err *err) {
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC,
                              .flags = BH_JOB_F_KEEP_BLOB | BH_JOB_F_EXACT,
                              .size = told - resume,
                              .resume = resume};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) >= (int)(end - resume));
    assert_int_equal(bh_write_all(ends[1], data + resume, end - resume), 0);
    close(ends[1]);
    const struct unp_fds fds = {.source = ends[0], .out = out, .blob = blob};
    unp_params_settle(&p, err);
    int rc = unp_job_layer(&fds, &p, result, err);
    close(ends[0]);
    return rc;
}

static void check_whole(const struct bh_buf *result, const unsigned char *data, size_t n, int blob) {
    Bulkhead__Worker__V1__Result *r =
        bulkhead__worker__v1__result__unpack(NULL, result->len, (const uint8_t *)result->data);
    char digest[BH_DIGEST_TEXT_SIZE];
    unsigned char *kept = malloc(n);
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d;
    assert_non_null(r);
    assert_int_equal(r->result_case, BULKHEAD__WORKER__V1__RESULT__RESULT_LAYER);
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, data, n, &d, &err), 0);
    bh_digest_format(&d, digest);
    assert_string_equal(r->layer->digest, digest);
    assert_int_equal(r->layer->size, n);
    assert_true(r->layer->blob_written);
    assert_int_equal(bh_pread_full(blob, kept, n, 0), n);
    assert_memory_equal(kept, data, n);
    bulkhead__worker__v1__result__free_unpacked(r, NULL);
    free(kept);
}

static void resumed(void **state) {
    static const size_t cuts[] = {700, 70000, 262144, 262145, 524288, 800001};
    static unsigned char data[1000000];
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    (void)state;
    noise(&tar);
    size_t n = gzip(&tar, data, sizeof data);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        int blob = memfd_create("blob", 0), out = memfd_create("layer", 0);
        assert_int_equal(download(data, 0, cuts[i], n, blob, out, &result, &err), BH_E_INVALID);
        assert_string_equal(err.reason, "short");
        assert_int_equal(lseek(blob, 0, SEEK_END), cuts[i]); /* every byte that came */
        bh_err_clear(&err);
        assert_int_equal(ftruncate(out, 0), 0);
        if (download(data, cuts[i], n, n, blob, out, &result, &err) != 0)
            fail_msg("%s", err.msg);
        check_whole(&result, data, n, blob);
        close(blob);
        close(out);
    }
}

static void other_bytes_before(void **state) {
    static unsigned char data[1000000];
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    int blob = memfd_create("blob", 0), out = memfd_create("layer", 0);
    (void)state;
    noise(&tar);
    size_t n = gzip(&tar, data, sizeof data);
    assert_int_equal(bh_pwrite_all(blob, data, 500000, 0), 0);
    assert_int_equal(bh_pwrite_all(blob, "wrong", 5, 400000), 0);
    assert_int_equal(download(data, 500000, n, n, blob, out, &result, &err), BH_E_INVALID);
    bh_err_clear(&err);
    /* a file that became shorter is our own mistake */
    assert_int_equal(ftruncate(blob, 300000), 0);
    assert_int_equal(download(data, 500000, n, n, blob, out, &result, &err), BH_E_INTERNAL);
    close(blob);
    close(out);
}

static void too_long(void **state) {
    static unsigned char data[1000000];
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    (void)state;
    noise(&tar);
    size_t n = gzip(&tar, data, sizeof data);
    for (size_t told = n - 1; told > 1; told /= 3) {
        BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
        struct bh_err err = BH_ERR_INIT;
        int blob = memfd_create("blob", 0), out = memfd_create("layer", 0);
        assert_int_equal(download(data, 0, n, told, blob, out, &result, &err), BH_E_INVALID);
        assert_string_equal(err.reason, "size-mismatch");
        close(blob);
        close(out);
    }
}

/* ---- a document, with what the carrier told of it ------------------------------------------- */

static int file_of(const char *text) {
    int fd = memfd_create("text", 0);
    assert_int_equal(bh_write_all(fd, text, strlen(text)), 0);
    return fd;
}

static int read_document(bool config, const char *media, const char *text, struct bh_buf *result, struct bh_err *err) {
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END};
    const struct unp_fds fds = {
        .source = file_of(text), .out = -1, .blob = -1, .more = file_of(media), .n_more = media[0] != '\0'};
    unp_params_settle(&p, err);
    bh_buf_reset(result);
    int rc = (config ? unp_job_config : unp_job_document)(&fds, &p, result, err);
    close(fds.source);
    close(fds.more);
    return rc;
}

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define ZEROS    "0000000000000000000000000000000000000000000000000000000000000000"

static void reads_what_it_is_told(void **state) {
    static const char manifest[] =
        "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\",\"config\":{\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:" ZEROS "\",\"size\":2},\"layers\":[]}";
    static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
                                 "\"diff_ids\":[]}}";
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    char longer[300];
    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(read_document(false, "", manifest, &result, &err), 0);
    assert_int_equal(read_document(false, MANIFEST, manifest, &result, &err), 0);
    assert_int_equal(read_document(true, "", config, &result, &err), 0);
    assert_int_equal(read_document(false, "application/vnd.oci.image.index.v1+json", manifest, &result, &err),
                     BH_E_INVALID);
    assert_string_equal(err.reason, "invalid-manifest");
    bh_err_clear(&err);
    assert_int_equal(read_document(false, longer, manifest, &result, &err), BH_E_INVALID);
    bh_err_clear(&err);
    assert_int_equal(read_document(false, "", "", &result, &err), BH_E_INVALID);
}

int main(void) {
    struct bh_err err = BH_ERR_INIT;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(same_twice),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(no_space),
        cmocka_unit_test(header_lies),
        cmocka_unit_test(resumed),
        cmocka_unit_test(other_bytes_before),
        cmocka_unit_test(too_long),
        cmocka_unit_test(reads_what_it_is_told),
    };
    if (unp_crew_start(&err) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
