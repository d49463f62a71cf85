/*
 * test_verify.c - the verifier accepts what the worker writes, and nothing that was changed.
 *
 * Layers are made by the real bulkhead-unpack out of tars of every kind of file; then each byte of
 * the index is changed.  What is still accepted may differ only in fields that are free by the
 * format: ids, times, permissions, names and targets that stay in order, values of xattrs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "layer/layer_check.h"
#include "live.h"
#include "rightless/verify.h"

static struct live g;

static bool possible(void) {
    return access(BH_BINARY_DIR "/bin/bulkhead-unpack", X_OK) == 0;
}

static int setup(void **state) {
    (void)state;
    snprintf(g.root, sizeof(g.root), "/tmp/bh-verify-XXXXXX");
    return mkdtemp(g.root) == NULL;
}

static int teardown(void **state) {
    (void)state;
    live_remove(&g);
    return 0;
}

static void sh(const char *script) {
    char line[4096];

    snprintf(line, sizeof(line), "cd %s && %s", g.root, script);
    assert_int_equal(system(line), 0);
}

static void add(const char *script) {
    char dir[128];

    sh("rm -rf d && mkdir d");
    sh(script);
    snprintf(dir, sizeof(dir), "%s/d", g.root);
    live_add_folder(&g, dir);
}

static void accept(unsigned i) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_layer_header h;

    assert_int_equal(bh_layer_open(g.layer[i], &h, &err), 0);
    if (lnc_verify_layer(g.layer[i], h.diff_id, &err) != 0)
        print_message("layer %u: %s\n", i, err.msg);
    assert_int_equal(err.code, 0);
    h.diff_id[0] ^= 1;
    assert_int_equal(lnc_verify_layer(g.layer[i], h.diff_id, &err), BH_E_DATA_LOSS);
}

static void test_accepts(void **state) {
    (void)state;
    if (!possible())
        skip();
    add("true");
    add("cd d && mkdir a b && echo x > a/f && ln a/f b/g && ln -s f a/l && ln -s $(printf 'x%.0s' $(seq 900)) long && "
        "mkfifo p && "
        "touch a/empty .wh.gone b/.wh..wh..opq && chmod 4711 a/f && ln -s $(printf 'y%.0s' $(seq 430)) a/mid && "
        "setfattr -n user.k -v v a/f");
    add("cd d && for i in $(seq 300); do touch file-with-a-rather-long-name-$i; done; mkdir -p 1/2/3/4/5/6/7/8/9");
    add("cd d && for i in $(seq 40); do ln -s target-$i-$(printf 'z%.0s' $(seq $i)) l$i; mkdir d$i; touch d$i/!x; "
        "done; touch "
        "$(printf 'n%.0s' $(seq 255))");
    for (unsigned i = 0; i < g.n_layers; i++)
        accept(i);
}

struct image {
    struct bh_layer_header h;
    unsigned char *index;
};

static void load(unsigned i, struct image *im) {
    struct bh_err err = BH_ERR_INIT;

    assert_int_equal(bh_layer_open(g.layer[i], &im->h, &err), 0);
    im->index = bh_xmalloc(im->h.index_size);
    assert_int_equal(bh_pread_full(g.layer[i], im->index, im->h.index_size, (off_t)im->h.index_offset),
                     im->h.index_size);
}

/* Fields that may differ: permissions, owner, time, for a file also which blocks of the tar it has. */
static bool free_field(const struct bh_erofs_inode *in, size_t at) {
    if (at == 4 || at == 5 || (at >= 24 && at < 44))
        return true;
    return S_ISREG(in->i_mode) && at >= 8 && at < 20;
}

/* Marks the bytes of the index that may differ; inodes are told by their running numbers. */
static unsigned char *free_bytes(const struct image *im) {
    unsigned char *map = bh_xcalloc(im->h.index_size, 1);
    uint32_t next = 1;

    for (size_t at = 64; at + 64 <= im->h.inode_size; at += 64) {
        struct bh_erofs_inode in;

        memcpy(&in, im->index + at, sizeof(in));
        if (in.i_ino == next && in.i_nlink > 0 && (in.i_format == 1 || in.i_format == 5)) {
            next++;
            for (size_t k = 0; k < 64; k++)
                map[at + k] = free_field(&in, k);
        } else {
            memset(map + at, 1, 64); /* xattrs and targets */
        }
    }
    memset(map + im->h.inode_size, 1, im->h.tail_size); /* names and targets: checked for order, not for words */
    return map;
}

static void test_every_byte(void **state) {
    struct bh_err err = BH_ERR_INIT;
    unsigned refused = 0, accepted = 0;
    unsigned char *may;
    struct image im;

    (void)state;
    if (!possible())
        skip();
    load(1, &im);
    may = free_bytes(&im);
    for (size_t at = 0; at < im.h.index_size; at++) {
        static const unsigned char with[] = {0x01, 0x80, 0xff, 0x2e, 0x2f};

        for (size_t k = 0; k < sizeof(with); k++) {
            im.index[at] ^= with[k];
            if (lnc_verify_index(&im.h, im.index, &err) == 0) {
                accepted++;
                if (!may[at])
                    print_message("byte %zu ^ %#x was accepted\n", at, with[k]);
                assert_true(may[at]);
            } else {
                refused++;
            }
            im.index[at] ^= with[k];
        }
    }
    print_message("%u changes refused, %u accepted\n", refused, accepted);
    assert_true(refused > accepted);
    free(may);
    free(im.index);
}

/* Changes that would give power, each by itself. */
static void test_attacks(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_erofs_inode *root, *in;
    struct image im;
    uint32_t n = 0;

    (void)state;
    if (!possible())
        skip();
    load(1, &im);
    root = (void *)(im.index + 64);
    for (size_t at = 128; at + 64 <= im.h.inode_size; at += 64) { /* regular files that lie at a plausible place */
        in = (void *)(im.index + at);
        if (!S_ISREG(in->i_mode) || in->i_size == 0 || in->i_ino == 0 || in->i_ino > im.h.inodes)
            continue;
        struct bh_erofs_inode was = *in;

        n++;
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        change;                                                                                                        \
        assert_int_equal(lnc_verify_index(&im.h, im.index, &err), BH_E_DATA_LOSS);                                     \
        *in = was;                                                                                                     \
    } while (0)
        REFUSED(in->i_u = 0);                                   /* our header as content */
        REFUSED(in->i_u = 7);                                   /* the block before the tar */
        REFUSED(in->i_u = (uint32_t)(im.h.index_offset / 512)); /* the index as content */
        REFUSED(in->i_size = 1ull << 40);                       /* far behind the file */
        REFUSED(in->i_size = UINT64_MAX);                       /* wraps */
        REFUSED(in->i_mode = S_IFCHR | 0666);                   /* a device */
        REFUSED(in->i_mode = S_IFBLK | 0660);
        REFUSED(in->i_mode = S_IFSOCK | 0660);
        REFUSED(in->i_format = 3); /* compressed */
        REFUSED(in->i_format = 9); /* chunks */
        REFUSED(in->i_nlink = 0);
        REFUSED(in->i_xattr_icount = 0xffff);
    }
    assert_true(n > 0);
    {
        struct bh_erofs_inode was = *root;

        in = root;
        REFUSED(in->i_u++);
        REFUSED(in->i_size += 512);
        REFUSED(in->i_size = 0);
        REFUSED(in->i_mode = S_IFREG | 0644);
    }
    free(im.index);
}

static void test_speed(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct image im;
    int64_t t;

    (void)state;
    if (!possible())
        skip();
    add("cd d && for i in $(seq 90); do mkdir d$i; (cd d$i; for k in $(seq 100); do : > f$k; done); done");
    load(g.n_layers - 1, &im);
    t = bh_mono_ns();
    assert_int_equal(lnc_verify_index(&im.h, im.index, &err), 0);
    print_message("%llu inodes verified in %lld us\n", (unsigned long long)im.h.inodes,
                  (long long)((bh_mono_ns() - t) / 1000));
    free(im.index);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepts), cmocka_unit_test(test_every_byte),
                                       cmocka_unit_test(test_attacks), cmocka_unit_test(test_speed)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
