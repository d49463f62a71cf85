/*
 * test_compress_job.c - a layer compressed by blocks: what zlib and zstd make of it again, the same bytes every time,
 * files that are shorter than they should be, and memory that runs out at each place in turn.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <cmocka.h>

#include "alloc_fail.h"
#include "base/fdio.h"
#include "oci/digest.h"
#include "unpack/codec.h"
#include "unpack/crew.h"
#include "unpack/job.h"
#include "unpack/result_pb.h"

#define MIB    ((size_t)1 << 20)
#define OFFSET 4096 /* where the tar starts in a layer file */

/* Text, noise and zeros by turns. */
static unsigned char *sample(size_t n) {
    unsigned char *data = calloc(1, n + 1);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        if (i / 50000 % 3 == 0)
            data[i] = (unsigned char)"layer of an image, "[i % 19];
        else if (i / 50000 % 3 == 1)
            data[i] = (unsigned char)(x >> 24);
    }
    return data;
}

struct made {
    int fd;
    size_t size;
    char digest[BH_DIGEST_TEXT_SIZE];
};

static int job(const unsigned char *data, size_t n, uint64_t told, unsigned codec, unsigned level, struct made *out,
               struct bh_err *err) {
    struct bh_job_params p = {
        .magic = BH_JOB_PARAMS_MAGIC, .offset = OFFSET, .size = told, .codec = codec, .level = level};
    struct unp_fds fds = {
        .source = memfd_create("layer", 0), .out = memfd_create("blob", 0), .blob = memfd_create("done", 0)};
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    uint64_t done = 0;
    bh_pwrite_all(fds.source, data, n, OFFSET);
    int rc = unp_job_compress(&fds, &p, &result, err);
    if (rc == 0) {
        Bulkhead__Worker__V1__Result *r =
            bulkhead__worker__v1__result__unpack(NULL, result.len, (const uint8_t *)result.data);
        if (r == NULL) { /* the test's own allocation was the one to fail */
            *out = (struct made){.fd = -1};
            rc = bh_err_set(err, BH_E_LIMIT, "out of memory");
            goto end;
        }
        assert_int_equal(r->result_case, BULKHEAD__WORKER__V1__RESULT__RESULT_COMPRESS);
        *out = (struct made){.fd = dup(fds.out), .size = r->compress->size};
        strcpy(out->digest, r->compress->digest);
        bulkhead__worker__v1__result__free_unpacked(r, NULL);
        assert_int_equal(pread(fds.blob, &done, sizeof done, 0), sizeof done);
        assert_int_equal(done, told);
    }
end:
    close(fds.source);
    close(fds.out);
    close(fds.blob);
    return rc;
}

static void inflate_all(const unsigned char *in, size_t n, unsigned char *out, size_t size) {
    z_stream z = {.next_in = (unsigned char *)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size + 1};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END); /* CRC and length are right */
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, size);
    inflateEnd(&z);
}

static void check(const struct made *m, unsigned codec, const unsigned char *want, size_t n) {
    unsigned char *packed = malloc(m->size + 1);
    unsigned char *got = malloc(n + 1);
    struct bh_digest d;
    char digest[BH_DIGEST_TEXT_SIZE];
    struct bh_err err = BH_ERR_INIT;
    struct stat st;
    assert_int_equal(fstat(m->fd, &st), 0);
    assert_int_equal(st.st_size, m->size);
    assert_int_equal(bh_pread_full(m->fd, packed, m->size, 0), m->size);
    assert_int_equal(bh_digest_of(BH_DIGEST_SHA256, packed, m->size, &d, &err), 0);
    bh_digest_format(&d, digest);
    assert_string_equal(digest, m->digest);
    if (codec == UNP_GZIP)
        inflate_all(packed, m->size, got, n);
    else
        assert_int_equal(ZSTD_decompress(got, n + 1, packed, m->size), n);
    assert_memory_equal(got, want, n);
    free(packed);
    free(got);
}

static void comes_back(void **state) {
    static const size_t sizes[] = {0, 1, 512, MIB - 1, MIB, MIB + 1, 9 * MIB + 77};
    static const unsigned levels[] = {0, 1, 2, 3, 6, 99};
    (void)state;
    for (unsigned codec = UNP_GZIP; codec <= UNP_ZSTD; codec++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *data = sample(sizes[i]);
            for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
                struct bh_err err = BH_ERR_INIT;
                struct made m;
                if (levels[l] > 5 && sizes[i] > 2 * MIB)
                    continue;
                if (job(data, sizes[i], sizes[i], codec, levels[l], &m, &err) != 0)
                    fail_msg("%s", err.msg);
                check(&m, codec, data, sizes[i]);
                close(m.fd);
            }
            free(data);
        }
}

/* Whoever takes which block, and whatever was compressed before. */
static void same_bytes(void **state) {
    size_t n = 20 * MIB + 3;
    unsigned char *data = sample(n);
    (void)state;
    for (unsigned codec = UNP_GZIP; codec <= UNP_ZSTD; codec++) {
        char first[BH_DIGEST_TEXT_SIZE] = "";
        for (int i = 0; i < 5; i++) {
            struct bh_err err = BH_ERR_INIT;
            struct made m;
            assert_int_equal(job(data, n, n, codec, 0, &m, &err), 0);
            if (i == 0)
                strcpy(first, m.digest);
            assert_string_equal(m.digest, first);
            close(m.fd);
        }
    }
    free(data);
}

static void refused(void **state) {
    unsigned char *data = sample(3 * MIB);
    struct bh_err err = BH_ERR_INIT;
    struct made m;
    (void)state;
    assert_int_equal(job(data, 3 * MIB, 3 * MIB + 1, UNP_GZIP, 0, &m, &err), BH_E_DATA_LOSS);
    bh_err_clear(&err);
    assert_int_equal(job(data, 3 * MIB, 30 * MIB, UNP_ZSTD, 0, &m, &err), BH_E_DATA_LOSS);
    bh_err_clear(&err);
    assert_int_equal(job(data, 512, 512, UNP_XZ, 0, &m, &err), BH_E_INVALID);
    bh_err_clear(&err);
    assert_int_equal(job(data, 512, BH_JOB_TO_END, UNP_GZIP, 0, &m, &err), BH_E_INVALID);
    free(data);
}

static void out_of_memory(void **state) {
    unsigned char *data = sample(2 * MIB);
    (void)state;
    for (unsigned codec = UNP_GZIP; codec <= UNP_ZSTD; codec++) {
        bool ran_out = true;
        for (long i = 0; ran_out; i++) {
            struct bh_err err = BH_ERR_INIT;
            struct made m = {.fd = -1};
            alloc_fail_at(i);
            int rc = job(data, 2 * MIB, 2 * MIB, codec, 0, &m, &err);
            ran_out = alloc_failed();
            assert_int_equal(rc, err.code);
            assert_true(rc == 0 || ran_out);
            close(m.fd);
        }
    }
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_back), cmocka_unit_test(same_bytes),
                                       cmocka_unit_test(refused), cmocka_unit_test(out_of_memory)};
    struct bh_err err = BH_ERR_INIT;
    if (unp_crew_start(&err) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
