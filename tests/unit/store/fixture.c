/*
 * fixture.c - see fixture.h.
 */
#include "fixture.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "layer/layer_format.h"
#include "svc-store/check.h"
#include "svc-store/container.h"
#include "svc-store/lease.h"
#include "svc-store/place.h"
#include "svc-store/publish.h"

const struct store_who fixture_root = {.owner = 0, .all = true};

static void open_store(struct fixture *f) {
    struct store_options options;
    struct bh_err err = BH_ERR_INIT;

    store_options_init(&options);
    options.reserve = 64 << 10;
    assert_ok(store_open(&f->store, f->dir, &options, &err), err);
}

int fixture_setup(void **state) {
    struct fixture *f = bh_xcalloc(1, sizeof *f);

    strcpy(f->dir, "/tmp/bh-store-XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    f->clock = 1700000000;
    bh_arena_init(&f->arena, (size_t)64 << 20);
    open_store(f);
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int fixture_teardown(void **state) {
    struct fixture *f = *state;

    store_close(&f->store);
    nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    bh_arena_fini(&f->arena);
    free(f);
    return 0;
}

void fixture_restart(struct fixture *f) {
    store_close(&f->store);
    open_store(f);
}

void fixture_reopen(struct fixture *f) {
    open_store(f);
}

/* ---- layers -------------------------------------------------------------------------------- */

static void fill_header(struct bh_layer_header *h, struct bh_erofs_super *sb, const struct bh_digest *d, size_t tar) {
    memcpy(h->magic, BH_LAYER_MAGIC, sizeof h->magic);
    h->version = BH_LAYER_VERSION;
    h->tar_offset = BH_LAYER_TAR_OFFSET;
    h->tar_size = tar;
    h->extra_offset = h->index_offset = BH_LAYER_TAR_OFFSET + tar;
    h->index_size = 1024;
    h->inode_size = h->tail_size = 512;
    h->inodes = 1;
    memcpy(h->diff_id, d->bytes, 32);
    sb->magic = BH_EROFS_MAGIC;
    sb->blkszbits = BH_LAYER_BLKBITS;
    sb->root_nid = BH_EROFS_ROOT_NID;
    sb->inos = 1;
    sb->blocks = (uint32_t)((h->index_offset + h->index_size) / BH_LAYER_BLK);
    sb->meta_blkaddr = (uint32_t)(h->index_offset / BH_LAYER_BLK);
    memcpy(sb->uuid, d->bytes, 16);
}

const char *fixture_layer(struct fixture *f, uid_t owner, int64_t lease, const char *text) {
    return fixture_layer_into(&f->store, &f->arena, owner, lease, text);
}

const char *fixture_layer_into(struct store *s, struct bh_arena *arena, uid_t owner, int64_t lease, const char *text) {
    static const unsigned char zero_sha[32];
    unsigned char file[BH_LAYER_HEADER_SIZE + 512 + 1024] = {0};
    STORE_SCOPE_WRITE struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct store_temp t;
    struct bh_digest d;
    char *id = bh_arena_alloc(arena, STORE_DIGEST_SIZE);

    strcpy((char *)file + BH_LAYER_HEADER_SIZE, text);
    assert_ok(bh_digest_of(BH_DIGEST_SHA256, file + BH_LAYER_HEADER_SIZE, 512, &d, &err), err);
    bh_digest_format(&d, id);
    fill_header((void *)file, (void *)(file + BH_LAYER_SB_OFFSET), &d, 512);
    assert_ok(store_temp_open(&s->place, &t, &err), err);
    assert_int_equal(bh_write_all(t.fd, file, sizeof file), 0);
    assert_ok(store_temp_publish(&s->place, &t, STORE_LAYERS, id, &err), err);
    assert_ok(store_write_begin(s->index, STORE_LAZY, &db, &err), err);
    assert_ok(
        store_exec(db, NULL, &err,
                   "INSERT OR IGNORE INTO layer(diff_id, owner, state, durable, tar_size, file_size, index_offset,"
                   " index_size, index_sha256, entries, added_ns) VALUES(?,?,0,0,512,?,?,1024,?,0,0)",
                   "tiiib", id, (int64_t)owner, (int64_t)sizeof file, (int64_t)(BH_LAYER_HEADER_SIZE + 512),
                   (const void *)zero_sha, sizeof zero_sha),
        err);
    if (lease != STORE_LEASE_NONE)
        assert_ok(store_lease_add(db, lease, STORE_LEASE_LAYER, id, &err), err);
    assert_ok(store_write_commit(&db, &err), err);
    return id;
}

/* ---- images -------------------------------------------------------------------------------- */

static void fill_config(struct fixture *f, const struct fixture_image *im, int64_t lease, struct bh_image_config *c) {
    struct bh_err err = BH_ERR_INIT;
    char *created = bh_arena_alloc(&f->arena, BH_RFC3339_SIZE);

    bh_image_config_init(c);
    c->os = "linux";
    c->architecture = "amd64";
    c->created_ns = f->clock++ * BH_NSEC;
    bh_time_rfc3339(c->created_ns, created);
    c->created = created;
    if (im->cmd != NULL)
        assert_ok(bh_strlist_add(&c->config.cmd, &f->arena, im->cmd, &err), err);
    if (im->label != NULL) {
        char key[64];
        const char *eq = strchr(im->label, '=');

        bh_str_copy_n(key, sizeof key, im->label, (size_t)(eq - im->label));
        assert_ok(bh_pairs_set(&c->config.labels, &f->arena, key, eq + 1, &err), err);
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(im->layers) && im->layers[i] != NULL; i++) {
        const struct bh_history h = {.created = created, .created_by = im->layers[i], .author = "", .comment = ""};
        struct bh_digest d;

        assert_ok(bh_digest_parse(fixture_layer(f, im->owner, lease, im->layers[i]), &d, &err), err);
        assert_ok(bh_image_config_add_layer(c, &d, &h, &f->arena, &err), err);
    }
}

const char *fixture_image(struct fixture *f, const struct fixture_image *im) {
    const uint64_t sizes[4] = {512, 512, 512, 512};
    struct store_publish_image p = {0};
    struct bh_err err = BH_ERR_INIT;
    struct bh_image_config c;
    struct bh_ref name;
    int64_t lease;

    assert_ok(store_lease_take(&f->store, im->owner, "test", &lease, &err), err);
    fill_config(f, im, lease, &c);
    assert_ok(store_image_make(&c, sizes, NULL, &f->arena, &p.image, &err), err);
    if (im->parent != NULL)
        p.image.parent = im->parent;
    if (im->name != NULL) {
        assert_ok(bh_ref_parse_tagged(im->name, &name, &err), err);
        p.names = &name;
        p.n_names = 1;
    }
    assert_ok(store_publish(&f->store, im->owner, &lease, &p, 1, NULL, NULL, &err), err);
    return p.image.id;
}

bool fixture_exists(struct fixture *f, const struct store_who *who, const char *name) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    struct store_found found;

    assert_ok(store_read_begin(f->store.index, &db, &err), err);
    return store_find(db, who, name, &found, &err) == 0;
}

void fixture_container(struct fixture *f, const char *id, const char *image_id, bool running) {
    const struct store_container c = {.id = id, .name = id, .image_id = image_id, .owner = 0, .running = running};
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_container_note(&f->store, &c, &err), err);
}

int64_t fixture_count(struct fixture *f, const char *sql) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct bh_err err = BH_ERR_INIT;
    int64_t n = -1;

    assert_ok(store_read_begin(f->store.index, &db, &err), err);
    assert_ok(store_get_int(db, &n, NULL, &err, sql, ""), err);
    return n;
}

static int finding(void *arg, const struct store_finding *x, struct bh_err *err) {
    (void)arg;
    (void)err;
    print_error("%s %s: %s\n", x->kind, x->object, x->text);
    return 0;
}

void fixture_clean(struct fixture *f) {
    const struct store_check check = {.found = finding};
    struct bh_err err = BH_ERR_INIT;
    uint64_t checked, findings;

    assert_ok(store_check(&f->store, &check, &checked, &findings, &err), err);
    assert_int_equal(findings, 0);
}
