/*
 * test_build.c - the store's side of builds with real workers: contexts, layers of files, images, the cache, and who
 * may have what.
 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "direct_worker.h"
#include "store.pb-c.h"
#include "svc-store/assemble.h"
#include "svc-store/cache.h"
#include "svc-store/check.h"
#include "svc-store/compose.h"
#include "svc-store/context.h"
#include "svc-store/gc.h"
#include "svc-store/lease.h"
#include "svc-store/place.h"
#include "svc-store/worker.h"

typedef Bulkhead__Store__V1__ContextEntry entry_msg;
typedef Bulkhead__Store__V1__ComposeItem item_msg;
typedef Bulkhead__Store__V1__LayerStack stack_msg;
typedef Bulkhead__Store__V1__LayerComposeRequest compose_msg;

static int setup(void **state) {
    struct bh_err err = BH_ERR_INIT;
    int r = fixture_setup(state);
    struct store *s = r == 0 ? &((struct fixture *)*state)->store : NULL;

    if (r == 0 && (r = store_workers_open(s, &direct_worker_ops, NULL, &err)) == 0)
        r = store_workers_ahead(s, 1, &err); /* some jobs find it ready, some are quicker */
    return r;
}

static int teardown(void **state) {
    store_workers_close(&((struct fixture *)*state)->store);
    return fixture_teardown(state);
}

/* ---- a client that puts a context ---------------------------------------------------------- */

struct client {
    const char *const *files; /* name, content, name, content, .., NULL */
    struct bh_buf list;
    struct bh_buf bytes;
    unsigned step; /* of recv */
    unsigned asked;
    bool begun;
    bool hang_up; /* after the list */
};

static void list_add(struct bh_buf *list, const char *path, const char *data) {
    entry_msg m = BULKHEAD__STORE__V1__CONTEXT_ENTRY__INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d;
    size_t n;

    m.path = (ProtobufCBinaryData){strlen(path), (uint8_t *)path};
    m.type = data != NULL ? S_IFREG : S_IFDIR;
    m.mode = data != NULL ? 0644 : 0755;
    if (data != NULL) {
        m.size = strlen(data);
        bh_digest_of(BH_DIGEST_SHA256, data, m.size, &d, &err);
        m.sha256 = (ProtobufCBinaryData){32, d.bytes};
    }
    n = bulkhead__store__v1__context_entry__get_packed_size(&m);
    assert_true(n < 128);
    bh_buf_addc(list, 0x0a);
    bh_buf_addc(list, (char)n);
    bulkhead__store__v1__context_entry__pack(&m, bh_buf_room(list, n));
    bh_buf_grew(list, n);
}

static int begin(void *arg, struct bh_err *err) {
    struct client *c = arg;

    (void)err;
    c->begun = true;
    return 0;
}

static int recv_chunk(void *arg, const void **out, size_t *out_n, struct bh_err *err) {
    static const unsigned char end[] = {0x10, 1};
    struct client *c = arg;
    const struct {
        const void *p;
        size_t n;
    } chunks[] = {{c->list.data, c->list.len}, {end, sizeof end}, {c->bytes.data, c->bytes.len}};

    (void)err;
    *out = NULL;
    *out_n = 0;
    if (c->step < (c->hang_up ? 2 : 3)) {
        *out = chunks[c->step].n > 0 ? chunks[c->step].p : NULL;
        *out_n = chunks[c->step++].n;
    }
    return 0;
}

static void stop(void *arg) {
    (void)arg;
}

static int want(void *arg, const uint64_t *numbers, size_t n, bool last, struct bh_err *err) {
    struct client *c = arg;

    (void)last;
    (void)err;
    for (size_t i = 0; i < n; i++)
        bh_buf_adds(&c->bytes, c->files[numbers[i] * 2 + 1]);
    c->asked += (unsigned)n;
    return 0;
}

static int try_put(struct fixture *f, uid_t owner, const char *id, struct client *c, struct store_context_result *out,
                   struct bh_err *err) {
    struct store_context_put p = {.owner = owner,
                                  .key = "folder",
                                  .id = id,
                                  .begin = begin,
                                  .recv = recv_chunk,
                                  .stop = stop,
                                  .want = want,
                                  .arg = c,
                                  .cancel_fd = -1};

    for (size_t i = 0; c->files[i] != NULL; i += 2)
        list_add(&c->list, c->files[i], c->files[i + 1][0] == '/' ? NULL : c->files[i + 1]);
    store_context_put(&f->store, &p, out, err);
    bh_buf_fini(&c->list);
    bh_buf_fini(&c->bytes);
    return err->code;
}

static struct store_context_result put(struct fixture *f, uid_t owner, const char *id, const char *const *files,
                                       unsigned *out_asked) {
    struct client c = {.files = files};
    struct store_context_result r;
    struct bh_err err = BH_ERR_INIT;

    assert_ok(try_put(f, owner, id, &c, &r, &err), err);
    *out_asked = c.begun ? c.asked : 1000;
    return r;
}

static const char *const first[] = {"a", "alpha", "b", "beta", "c", "alpha", "d", "/", "d/e", "epsilon", NULL};
static const char *const second[] = {"a", "alpha", "b", "BETA", "moved", "epsilon", NULL};

static void context_is_kept(void **state) {
    struct fixture *f = *state;
    struct store_context_result r, s;
    unsigned asked;

    r = put(f, 1, "", first, &asked);
    assert_int_equal(asked, 3); /* "c" is "a" */
    assert_int_equal(r.sent, 16);
    s = put(f, 1, r.id, first, &asked);
    assert_int_equal(asked, 1000); /* known by its id: nothing travelled */
    assert_string_equal(r.id, s.id);
    s = put(f, 1, "", first, &asked);
    assert_int_equal(asked, 0); /* known by its list */
    s = put(f, 1, "", second, &asked);
    assert_int_equal(asked, 1);
    assert_int_equal(s.kept, 12);
    s = put(f, 2, r.id, first, &asked);
    assert_int_equal(asked, 3); /* another owner has nothing of it */
    assert_string_equal(r.id, s.id);
}

/* Contexts that nobody uses give way to a new one; those in use do not, and then it is refused before a file is open.
 */
static void files_of_contexts_are_bounded(void **state) {
    struct fixture *f = *state;
    struct store_contexts *t = &f->store.contexts;
    struct store_context *used[2];
    struct store_context_result r[3];
    struct client c = {.files = first};
    struct bh_err err = BH_ERR_INIT;
    unsigned asked;

    t->max_files = 1 + BH_CONTEXT_PACKS + 2; /* one in the making beside one of two files */
    r[0] = put(f, 1, "", first, &asked);
    r[1] = put(f, 2, "", first, &asked);
    assert_int_equal(t->files, 4);
    r[2] = put(f, 3, "", first, &asked);
    assert_int_equal(t->files, 4);
    assert_null(store_context_use(&f->store, 1, r[0].id, 0)); /* the least used gave way */
    used[0] = store_context_use(&f->store, 2, r[1].id, 0);
    used[1] = store_context_use(&f->store, 3, r[2].id, 0);
    assert_true(used[0] != NULL && used[1] != NULL);
    assert_int_equal(try_put(f, 1, "", &c, &r[0], &err), BH_E_LIMIT);
    assert_string_equal(err.reason, "too-many-contexts");
    assert_int_equal(t->files, 4);
    store_context_drop(&f->store, 2, r[1].id); /* out of the table, and still open */
    assert_int_equal(t->files, 4);
    store_context_done(&f->store, used[0]);
    assert_int_equal(t->files, 2);
    put(f, 1, "", first, &asked);
    put(f, 1, "", second, &asked); /* what it would build on may not stay beside it: all is asked for once more */
    assert_int_equal(asked, 3);
    store_context_done(&f->store, used[1]);
    assert_int_equal(t->files, 4);
}

static void context_that_breaks_leaves_nothing(void **state) {
    struct fixture *f = *state;
    const char *const bad[] = {"../a", "x", NULL};
    struct client c = {.files = first, .hang_up = true};
    struct client d = {.files = bad};
    struct store_context_result r;
    struct bh_err err = BH_ERR_INIT;
    size_t n;

    assert_int_equal(try_put(f, 1, "", &c, &r, &err), BH_E_ABORTED);
    bh_err_clear(&err);
    assert_int_equal(try_put(f, 1, "", &d, &r, &err), BH_E_INVALID);
    BH_SCOPE_FREE struct store_context_info *v = store_context_list(&f->store, &fixture_root, &n);
    assert_int_equal(n, 0);
}

/* ---- composing ----------------------------------------------------------------------------- */

struct build {
    struct store_for f;
    int64_t lease;
};

static struct build build_of(struct fixture *f, uid_t owner) {
    struct build b = {.f = {.who = {.owner = owner}, .cancel_fd = -1}};
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_lease_take(&f->store, owner, "build", &b.lease, &err), err);
    b.f.lease = b.lease;
    return b;
}

static int copy(struct fixture *f, struct build *b, const char *context, const char *from, const char *source,
                const char *target, const char *onto, bool only_digest, struct store_composed *out,
                struct bh_err *err) {
    compose_msg q = BULKHEAD__STORE__V1__LAYER_COMPOSE_REQUEST__INIT;
    item_msg item = BULKHEAD__STORE__V1__COMPOSE_ITEM__INIT;
    item_msg *items[] = {&item};
    stack_msg stack = BULKHEAD__STORE__V1__LAYER_STACK__INIT;
    stack_msg under = BULKHEAD__STORE__V1__LAYER_STACK__INIT;
    ProtobufCBinaryData src = {strlen(source), (uint8_t *)source};
    char *layers[] = {(char *)from};
    char *unders[] = {(char *)onto};

    if (context != NULL) {
        stack.context = (char *)context;
    } else {
        stack.diff_id = layers;
        stack.n_diff_id = 1;
    }
    item.from = &stack;
    item.source = &src;
    item.n_source = 1;
    item.target = (ProtobufCBinaryData){strlen(target), (uint8_t *)target};
    item.contents = true;
    under.diff_id = unders;
    under.n_diff_id = onto != NULL;
    q.item = items;
    q.n_item = 1;
    q.onto = &under;
    q.only_digest = only_digest;
    if (store_compose(&f->store, &b->f, &q, out, err) != 0)
        return err->code;
    store_composed_fini(out); /* where targets led is asked for from outside */
    return 0;
}

static struct store_composed copied(struct fixture *f, struct build *b, const char *context, const char *from,
                                    const char *source, const char *target, const char *onto, bool only_digest) {
    struct store_composed c;
    struct bh_err err = BH_ERR_INIT;

    assert_ok(copy(f, b, context, from, source, target, onto, only_digest, &c, &err), err);
    return c;
}

static const char *file(struct fixture *f, struct build *b, const char *layer, const char *path) {
    Bulkhead__Store__V1__LayerFileRequest q = BULKHEAD__STORE__V1__LAYER_FILE_REQUEST__INIT;
    stack_msg stack = BULKHEAD__STORE__V1__LAYER_STACK__INIT;
    char *layers[] = {(char *)layer};
    struct bh_err err = BH_ERR_INIT;
    const void *data;
    uint32_t mode;
    char *text;
    size_t n;

    stack.diff_id = layers;
    stack.n_diff_id = 1;
    q.from = &stack;
    q.path = (ProtobufCBinaryData){strlen(path), (uint8_t *)path};
    if (store_layer_file(&f->store, &b->f, &q, &f->arena, &data, &n, &mode, &err) != 0)
        return bh_arena_strdup(&f->arena, err.msg);
    text = bh_arena_alloc(&f->arena, n + 1);
    memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

static void layers_are_made_of_files(void **state) {
    struct fixture *f = *state;
    struct build b = build_of(f, 1);
    struct store_composed c, d, e;
    struct store_context_result ctx;
    unsigned asked;

    ctx = put(f, 1, "", first, &asked);
    d = copied(f, &b, ctx.id, NULL, "/", "/app", NULL, true);
    c = copied(f, &b, ctx.id, NULL, "/", "/app", NULL, false);
    assert_string_equal(c.content, d.content);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer WHERE state=0"), 1);
    assert_string_equal(file(f, &b, c.layer.diff_id, "/app/d/e"), "epsilon");
    assert_string_equal(file(f, &b, c.layer.diff_id, "/app/none"), "\"/app/none\": not found");
    e = copied(f, &b, ctx.id, NULL, "/", "/app", NULL, false);
    assert_string_equal(c.layer.diff_id, e.layer.diff_id); /* the same bytes again */
    e = copied(f, &b, NULL, c.layer.diff_id, "/app/a", "/app/z", c.layer.diff_id, false);
    assert_string_equal(file(f, &b, e.layer.diff_id, "/app/z"), "alpha");
    d = copied(f, &b, NULL, c.layer.diff_id, "/app/a", "/app/z", NULL, true);
    assert_string_equal(e.content, d.content);
    store_lease_drop(&f->store, &b.lease);
    store_gc_now(&f->store);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 0);
    fixture_clean(f);
}

static void layers_of_others_are_not_given(void **state) {
    struct fixture *f = *state;
    struct build b = build_of(f, 1);
    struct build other = build_of(f, 2);
    struct store_composed c, d;
    struct store_context_result ctx;
    struct bh_err err = BH_ERR_INIT;
    unsigned asked;

    ctx = put(f, 1, "", first, &asked);
    c = copied(f, &b, ctx.id, NULL, "a", "/a", NULL, false);
    assert_int_equal(copy(f, &other, NULL, c.layer.diff_id, "/a", "/a", NULL, true, &d, &err), BH_E_NOT_FOUND);
    assert_string_equal(err.reason, "no-such-layer");
    bh_err_clear(&err);
    assert_int_equal(copy(f, &other, ctx.id, NULL, "/a", "/a", NULL, true, &d, &err), BH_E_NOT_FOUND);
    assert_string_equal(err.reason, "no-such-context");
    bh_err_clear(&err);
    copied(f, &b, NULL, c.layer.diff_id, "/a", "/a", NULL, true);
    assert_int_equal(copy(f, &other, NULL, c.layer.diff_id, "/a", "/a", NULL, true, &d, &err), BH_E_NOT_FOUND);
}

/* ---- images and the cache ------------------------------------------------------------------ */

static struct store_assembled image(struct fixture *f, struct build *b, const char *layer, const char *name) {
    const struct bh_history h = {.created = "", .created_by = "COPY", .author = "", .comment = ""};
    struct bh_image_config config;
    struct store_assembled out;
    struct bh_err err = BH_ERR_INIT;
    struct bh_digest d;
    struct store_assemble a = {
        .who = b->f.who, .lease = b->lease, .config = &config, .names = &name, .n_names = name != NULL, .parent = ""};

    bh_image_config_init(&config);
    config.os = "linux";
    config.architecture = "amd64";
    assert_ok(bh_digest_parse(layer, &d, &err), err);
    assert_ok(bh_image_config_add_layer(&config, &d, &h, &f->arena, &err), err);
    assert_ok(store_assemble(&f->store, &a, &f->arena, &out, &err), err);
    return out;
}

static void images_live_as_their_names_say(void **state) {
    struct fixture *f = *state;
    struct store_who who = {.owner = 1};
    struct build b = build_of(f, 1);
    struct store_composed c;
    struct store_assembled t, n;
    unsigned asked;

    c = copied(f, &b, put(f, 1, "", first, &asked).id, NULL, "a", "/a", NULL, false);
    t = image(f, &b, c.layer.diff_id, NULL);
    store_gc_now(&f->store); /* the lease keeps it */
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image WHERE state=1"), 1);
    n = image(f, &b, c.layer.diff_id, "made:1");
    assert_string_equal(t.id, n.id); /* the same config */
    assert_true(fixture_exists(f, &who, "made:1"));
    store_lease_drop(&f->store, &b.lease);
    store_gc_now(&f->store);
    assert_true(fixture_exists(f, &who, "made:1"));
    fixture_clean(f);
    b = build_of(f, 2);
    c = copied(f, &b, put(f, 2, "", second, &asked).id, NULL, "b", "/b", NULL, false);
    image(f, &b, c.layer.diff_id, NULL);
    store_lease_drop(&f->store, &b.lease);
    store_gc_now(&f->store);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM image"), 1);
    fixture_clean(f);
}

/* Whether one that was there already stays. */
static bool cached(struct fixture *f, struct build *b, const char *key, const char *layer, bool replace) {
    char *layers[] = {(char *)layer};
    const struct store_cache_new n = {.key = key,
                                      .diff_ids = layers,
                                      .n_diff_ids = layer != NULL,
                                      .note = key,
                                      .n_note = strlen(key),
                                      .kind = "regular",
                                      .description = "COPY a /a",
                                      .replace = replace};
    struct bh_err err = BH_ERR_INIT;
    bool stays;

    assert_ok(store_cache_put(&f->store, &b->f.who, b->lease, &n, &stays, &err), err);
    return stays;
}

static struct store_cached lookup(struct fixture *f, struct build *b, const char *key) {
    struct store_cached c;
    struct bh_err err = BH_ERR_INIT;

    assert_ok(store_cache_get(&f->store, &b->f.who, b->lease, key, &f->arena, &c, &err), err);
    return c;
}

/* Records are not synced: a power cut may leave one and take the name of its layer's file. */
static void a_record_without_its_layer_is_forgotten(void **state) {
    struct fixture *f = *state;
    struct build b = build_of(f, 1);
    struct store_composed c, d;
    struct bh_err err = BH_ERR_INIT;
    unsigned asked;
    struct store_context_result ctx = put(f, 1, "", first, &asked);

    c = copied(f, &b, ctx.id, NULL, "a", "/a", NULL, false);
    d = copied(f, &b, ctx.id, NULL, "b", "/b", NULL, false);
    cached(f, &b, "sha256:lost", c.layer.diff_id, false);
    cached(f, &b, "sha256:kept", d.layer.diff_id, false);
    assert_ok(store_file_unlink(&f->store.place, STORE_LAYERS, c.layer.diff_id, &err), err);
    fixture_restart(f);
    b = build_of(f, 1);
    assert_false(lookup(f, &b, "sha256:lost").found);
    assert_true(lookup(f, &b, "sha256:kept").found);
    fixture_clean(f);
}

static void cache_keeps_layers(void **state) {
    struct fixture *f = *state;
    struct build b = build_of(f, 1);
    struct build other = build_of(f, 2);
    struct store_composed c, d;
    struct store_context_result ctx;
    struct store_cached got;
    unsigned asked;

    ctx = put(f, 1, "", first, &asked);
    c = copied(f, &b, ctx.id, NULL, "a", "/a", NULL, false);
    d = copied(f, &b, ctx.id, NULL, "b", "/b", NULL, false);
    assert_false(cached(f, &b, "sha256:one", c.layer.diff_id, false));
    assert_true(cached(f, &b, "sha256:one", d.layer.diff_id, false));
    cached(f, &b, "sha256:none", NULL, false);
    store_lease_drop(&f->store, &b.lease);
    store_gc_now(&f->store);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 1);
    assert_false(lookup(f, &other, "sha256:one").found);
    b = build_of(f, 1);
    got = lookup(f, &b, "sha256:one");
    assert_true(got.found);
    assert_string_equal(got.diff_ids[0], c.layer.diff_id);
    assert_memory_equal(got.note, "sha256:one", 10);
    assert_true(lookup(f, &b, "sha256:none").found);
    d = copied(f, &b, ctx.id, NULL, "b", "/b", NULL, false);
    assert_false(cached(f, &b, "sha256:one", d.layer.diff_id, true));
    assert_string_equal(lookup(f, &b, "sha256:one").diff_ids[0], d.layer.diff_id);
    fixture_clean(f);
}

static void cache_is_pruned(void **state) {
    struct fixture *f = *state;
    struct build b = build_of(f, 1);
    struct store_who who = {.owner = 1};
    static const struct store_filters none;
    struct store_cache_prune p = {.who = who, .filters = &none};
    struct store_cache_record *v;
    struct store_context_result ctx;
    struct bh_err err = BH_ERR_INIT;
    struct store_composed c;
    uint64_t bytes;
    unsigned asked;
    size_t n;

    ctx = put(f, 1, "", first, &asked);
    c = copied(f, &b, ctx.id, NULL, "a", "/a", NULL, false);
    cached(f, &b, "sha256:one", c.layer.diff_id, false);
    assert_ok(store_cache_list(&f->store, &who, &none, &f->arena, &v, &n, &err), err);
    assert_int_equal(n, 2);
    assert_string_equal(v[0].kind, "source.local");
    assert_true(v[0].in_use && v[1].in_use && v[1].size > 0);
    who.owner = 2;
    assert_ok(store_cache_list(&f->store, &who, &none, &f->arena, &v, &n, &err), err);
    assert_int_equal(n, 0);
    store_lease_drop(&f->store, &b.lease);
    f->store.contexts.first->used_ns = 1; /* long ago */
    p.dry_run = true;
    assert_ok(store_cache_prune(&f->store, &p, &f->arena, &v, &n, &bytes, &err), err);
    assert_int_equal(n, 2);
    p.dry_run = false;
    p.keep_bytes = (uint64_t)1 << 40;
    assert_ok(store_cache_prune(&f->store, &p, &f->arena, &v, &n, &bytes, &err), err);
    assert_int_equal(n, 0);
    p.keep_bytes = 0;
    assert_ok(store_cache_prune(&f->store, &p, &f->arena, &v, &n, &bytes, &err), err);
    assert_int_equal(n, 2);
    assert_true(bytes > 0);
    assert_int_equal(fixture_count(f, "SELECT count(*) FROM layer"), 0);
    fixture_clean(f);
}

/* What is over the budget goes, least used first; what a build under way has stays. */
static void budget_holds(void **state) {
    struct fixture *f = *state;
    struct build b = build_of(f, 1);
    struct build later;
    struct store_context_result ctx;
    struct store_options o = store_options_now(&f->store);
    struct store_composed c[3];
    const char *const names[] = {"a", "b", "d/e"};
    unsigned asked;

    ctx = put(f, 1, "", first, &asked);
    for (int i = 0; i < 3; i++)
        c[i] = copied(f, &b, ctx.id, NULL, names[i], "/x", NULL, false);
    cached(f, &b, "sha256:0", c[0].layer.diff_id, false);
    cached(f, &b, "sha256:1", c[1].layer.diff_id, false);
    store_lease_drop(&f->store, &b.lease);
    o.max_cache = c[0].layer.file_size * 5 / 2;
    store_options_set(&f->store, &o);
    later = build_of(f, 1);
    assert_true(lookup(f, &later, "sha256:0").found); /* used last, and in use now */
    c[2] = copied(f, &later, ctx.id, NULL, names[2], "/x", NULL, false);
    cached(f, &later, "sha256:2", c[2].layer.diff_id, false);
    assert_true(lookup(f, &later, "sha256:0").found);
    assert_false(lookup(f, &later, "sha256:1").found);
    assert_true(lookup(f, &later, "sha256:2").found);
    fixture_clean(f);
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(context_is_kept),
        T(context_that_breaks_leaves_nothing),
        T(files_of_contexts_are_bounded),
        T(layers_are_made_of_files),
        T(layers_of_others_are_not_given),
        T(images_live_as_their_names_say),
        T(a_record_without_its_layer_is_forgotten),
        T(cache_keeps_layers),
        T(cache_is_pruned),
        T(budget_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
