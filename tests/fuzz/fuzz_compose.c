/*
 * fuzz_compose.c - any request to copy files between two small layers and a context; and any index as the source.
 *
 * Held to: no crash; what is refused has a reason; the digest is the same with and without a layer; a layer that is
 * made is one that launch's verifier takes, and the same twice.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "layer/layer_check.h"
#include "oci/digest.h"
#include "rightless/verify.h"
#include "unpack/compose.h"
#include "unpack/crew.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MORE 200
enum { REQUEST, LOW, HIGH, LIST, PACK, SOURCES };

/* ---- what there is to copy ------------------------------------------------------------------- */

static void tar_add(struct bh_buf *tar, const char *name, char type, const char *text) {
    unsigned char b[1024] = {0};
    size_t n = type == '0' ? strlen(text) : 0;
    unsigned sum = 0;

    strncpy((char *)b, name, 99);
    memcpy(b + 100,
           "0000755\0"
           "0000001\0"
           "0000002\0",
           24);
    snprintf((char *)b + 124, 12, "%011zo", n);
    memcpy(b + 136, "00000000000", 11);
    memset(b + 148, ' ', 8);
    b[156] = (unsigned char)type;
    if (type == '1' || type == '2')
        strncpy((char *)b + 157, text, 99);
    memcpy(b + 257,
           "ustar\0"
           "00",
           8);
    for (int i = 0; i < 512; i++)
        sum += b[i];
    snprintf((char *)b + 148, 8, "%06o", sum);
    memcpy(b + 512, text, n);
    bh_buf_add(tar, b, n > 0 ? 1024 : 512);
}

static struct bh_job_params params(void) {
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC,
                              .size = BH_JOB_TO_END,
                              .max_entries = 3000,
                              .max_unpacked = 8 << 20,
                              .max_sparse = 1 << 20,
                              .max_depth = 64};
    struct bh_err err = BH_ERR_INIT;

    unp_params_settle(&p, &err);
    return p;
}

static int layer(const struct bh_buf *tar) {
    struct bh_job_params p = params();
    BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct unp_fds fds = {.source = memfd_create("tar", 0), .out = memfd_create("layer", 0), .blob = -1};

    bh_pwrite_all(fds.source, tar->data, tar->len, 0);
    if (unp_job_layer(&fds, &p, &result, &err) != 0)
        abort();
    close(fds.source);
    return fds.out;
}

static void make_layers(void) {
    BH_SCOPE_BUF struct bh_buf low = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf high = BH_BUF_INIT;

    tar_add(&low, "bin", '2', "usr/bin");
    tar_add(&low, "usr/bin/sh", '0', "shell");
    tar_add(&low, "usr/bin/bash", '1', "usr/bin/sh");
    tar_add(&low, "etc/passwd", '0', "root");
    tar_add(&low, "loop", '2', "loop/x");
    tar_add(&low, "pipe", '6', "");
    tar_add(&high, "etc/.wh.passwd", '0', "");
    tar_add(&high, "etc/new.tar", '0', "new");
    tar_add(&high, "d/", '5', "");
    dup2(layer(&low), MORE + LOW);
    dup2(layer(&high), MORE + HIGH);
}

static void put_record(struct bh_buf *b, const char *path, uint32_t mode, uint64_t at, uint64_t n) {
    static const char zeros[8];
    struct bh_context_record r = {.mode = mode, .length = n, .at = at, .path_len = (uint16_t)strlen(path)};

    r.size = (uint32_t)((sizeof r + r.path_len + 7) / 8 * 8);
    bh_buf_add(b, &r, sizeof r);
    bh_buf_add(b, path, r.path_len);
    bh_buf_add(b, zeros, r.size - sizeof r - r.path_len);
}

/* "a.tar" is one. */
static void make_context(void) {
    BH_SCOPE_BUF struct bh_buf list = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf tar = BH_BUF_INIT;
    struct bh_context_head head = {.entries = 4, .packs = 1};
    int pack = memfd_create("pack", 0);
    int fd = memfd_create("list", 0);

    tar_add(&tar, "bin/in", '0', "x");
    tar_add(&tar, "usr/bin", '2', "../sbin");
    bh_pwrite_all(pack, tar.data, tar.len, 0);
    memcpy(head.magic, BH_CONTEXT_MAGIC, sizeof head.magic);
    bh_buf_add(&list, &head, sizeof head);
    put_record(&list, "a.tar", S_IFREG | 0644, 0, tar.len);
    put_record(&list, "src", S_IFDIR | 0700, 0, 0);
    put_record(&list, "src/a.c", S_IFREG | 0640, 1, 5);
    put_record(&list, "src/b.txt", S_IFREG | 0640, 0, 0);
    head.size = list.len;
    memcpy(list.data, &head, sizeof head);
    bh_pwrite_all(fd, list.data, list.len, 0);
    dup2(fd, MORE + LIST);
    dup2(pack, MORE + PACK);
}

static void prepare(void) {
    static bool done;
    struct bh_err err = BH_ERR_INIT;

    if (done)
        return;
    done = true;
    if (unp_crew_start(&err) != 0)
        abort();
    make_layers();
    make_context();
}

/* ---- one request ----------------------------------------------------------------------------- */

static int run(unsigned flags, int *out_layer, struct bh_buf *result) {
    struct bh_job_params p = params();
    struct bh_err err = BH_ERR_INIT;
    struct unp_fds fds = {.source = -1,
                          .out = memfd_create("layer", 0),
                          .blob = memfd_create("scratch", 0),
                          .more = MORE,
                          .n_more = SOURCES};

    p.flags = flags;
    int rc = unp_job_compose(&fds, &p, result, &err);
    if (rc != err.code || (rc != 0 && err.msg[0] == '\0'))
        abort();
    close(fds.blob);
    *out_layer = fds.out;
    return rc;
}

static void check_layer(int fd, const Bulkhead__Worker__V1__ComposeResult *r) {
    struct bh_layer_header h;
    struct bh_err err = BH_ERR_INIT;

    if (r->layer == NULL)
        return;
    if (bh_layer_open(fd, &h, &err) != 0 || lnc_verify_layer(fd, h.diff_id, &err) != 0) {
        bh_write_all(2, err.msg, strlen(err.msg));
        abort();
    }
}

static void twice(void) {
    Bulkhead__Worker__V1__Result *r[3] = {NULL, NULL, NULL};
    int rc[3];

    for (int i = 0; i < 3; i++) {
        BH_SCOPE_BUF struct bh_buf result = BH_BUF_INIT;
        int fd;

        rc[i] = run(i < 2 ? 0 : BH_JOB_F_ONLY_DIGEST, &fd, &result);
        if (rc[i] == 0) {
            r[i] = bulkhead__worker__v1__result__unpack(NULL, result.len, (const uint8_t *)result.data);
            if (i == 0)
                check_layer(fd, r[i]->compose);
        }
        close(fd);
    }
    if (rc[0] != rc[1] || (rc[0] == 0 && rc[2] != 0))
        abort();
    if (rc[0] == 0 &&
        (strcmp(r[0]->compose->content, r[2]->compose->content) != 0 ||
         (r[0]->compose->layer != NULL) != (r[1]->compose->layer != NULL) ||
         (r[0]->compose->layer != NULL && strcmp(r[0]->compose->layer->diff_id, r[1]->compose->layer->diff_id) != 0)))
        abort();
    for (int i = 0; i < 3; i++)
        if (r[i] != NULL)
            bulkhead__worker__v1__result__free_unpacked(r[i], NULL);
}

static void write_request(const uint8_t *request, size_t n) {
    Bulkhead__Worker__V1__ComposeSource source[3];
    Bulkhead__Worker__V1__ComposeSource *sources[] = {&source[0], &source[1], &source[2]};
    Bulkhead__Worker__V1__ComposeJob job = BULKHEAD__WORKER__V1__COMPOSE_JOB__INIT;
    static const char *const names[] = {"a", "b", "ctx:1"};
    static const uint32_t fds[] = {LOW, HIGH, LIST};
    uint32_t pack = PACK;
    uint8_t packed[512];
    size_t len;
    int fd = memfd_create("request", 0);

    for (int i = 0; i < 3; i++) {
        source[i] = (Bulkhead__Worker__V1__ComposeSource)BULKHEAD__WORKER__V1__COMPOSE_SOURCE__INIT;
        source[i].name = (char *)names[i];
        source[i].fd = fds[i];
    }
    source[2].pack = &pack;
    source[2].n_pack = 1;
    job.source = sources;
    job.n_source = 3;
    len = bulkhead__worker__v1__compose_job__pack(&job, packed);
    packed[len++] = 0x12; /* field 2: the request, as it is */
    for (size_t v = n; len < sizeof packed; v >>= 7) {
        packed[len++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        if (v <= 0x7f)
            break;
    }
    bh_pwrite_all(fd, packed, len, 0);
    bh_pwrite_all(fd, request, n, (off_t)len);
    dup2(fd, MORE + REQUEST);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    prepare();
    if (size > 65536)
        return 0;
    write_request(data, size);
    twice();
    return 0;
}
