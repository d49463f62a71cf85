/*
 * pull.c - see pull.h: from what a user wrote to an image in the store.
 *
 * Room: registry.
 */
#include "svc-registry/pull.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/pages.h"
#include "svc-registry/pull_int.h"

#define IMAGE_ARENA ((size_t)64 << 20)
#define HOST_JOBS   3

int reg_pull_policy_parse(const char *text, enum reg_pull_policy *out, struct bh_err *err) {
    static const struct {
        const char *text;
        enum reg_pull_policy policy;
    } rows[] = {{"", REG_PULL_ALWAYS},
                {"always", REG_PULL_ALWAYS},
                {"missing", REG_PULL_MISSING},
                {"newer", REG_PULL_NEWER},
                {"never", REG_PULL_NEVER}};

    for (size_t i = 0; i < BH_ARRAY_LEN(rows); i++) {
        if (strcmp(text, rows[i].text) == 0) {
            *out = rows[i].policy;
            return 0;
        }
    }
    return bh_err_set(err, BH_E_INVALID, "pull policy \"%.40s\" is none of always, missing, newer, never", text);
}

/* ---- one image ---------------------------------------------------------------------------------- */

static int begin_hold(struct reg_pulling *p, struct bh_err *err) {
    return p->hold != NULL ? 0 : reg_hold_begin(p->room->store, p->ask->caller.owner, "pull", &p->hold, err);
}

static const char *tag_or_digest(const struct bh_ref *ref) {
    return ref->digest[0] != '\0' ? ref->digest : ref->tag;
}

/* Does the owner have what this digest (of a manifest or an index) means? */
static int look_up(struct reg_pull_image *im, const char *digest, struct reg_known *out, struct bh_err *err) {
    const struct reg_known_ask ask = {
        .owner = im->p->ask->caller.owner, .digest = digest, .platform = im->p->ask->platform, .name = ""};

    if (reg_store_known(im->p->room->store, &ask, &im->arena, out, err) != 0)
        return err->code;
    out->index_digest = out->known && strcmp(out->manifest_digest, digest) != 0 ? digest : "";
    return 0;
}

/* Or what this name means? */
static int look_up_name(struct reg_pull_image *im, struct reg_known *out, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];
    const struct reg_known_ask ask = {
        .owner = im->p->ask->caller.owner, .digest = "", .platform = im->p->ask->platform, .name = name};
    struct bh_ref ref = im->ref;

    if (ref.digest[0] != '\0')
        ref.tag[0] = '\0';
    bh_ref_format(&ref, name);
    return reg_store_known(im->p->room->store, &ask, &im->arena, out, err);
}

static int tell_end(struct reg_pull_image *im, const char *id, bool is_new, struct bh_err *err) {
    char canonical[BH_REF_TEXT_SIZE];
    const struct reg_event end = {
        .number = im->number, .reference = canonical, .id = id, .digest = im->top, .is_new = is_new};

    bh_ref_format(&im->ref, canonical);
    if (reg_tell_status(im->p->listener, im->number, err, "Digest: %s", im->top) != 0 ||
        reg_tell_status(im->p->listener, im->number, err, "Status: %s %s",
                        is_new ? "Downloaded newer image for" : "Image is up to date for", im->familiar) != 0)
        return err->code;
    return reg_tell(im->p->listener, &end, err);
}

/* The names it gets: the tag unless a digest decided, and always the digest. */
static int put_image(struct reg_pull_image *im, const char *manifest_digest, const char *index_digest,
                     struct bh_err *err) {
    char tagged[BH_REF_TEXT_SIZE], pinned[BH_REF_TEXT_SIZE], source[BH_REF_TEXT_SIZE];
    const char *names[2] = {pinned, tagged};
    const struct reg_image_put put = {.manifest_digest = manifest_digest,
                                      .index_digest = index_digest,
                                      .names = {.present = true, .n = im->ref.digest[0] == '\0' ? 2 : 1, .v = names},
                                      .source = source};
    struct bh_ref ref = im->ref;
    struct reg_image_done done;

    bh_ref_format(&ref, tagged);
    ref.tag[0] = '\0';
    bh_str_copy(ref.digest, sizeof ref.digest, im->top);
    bh_ref_format(&ref, pinned);
    bh_ref_name(&ref, source);
    if (begin_hold(im->p, err) != 0 || reg_hold_image(im->p->hold, &put, &im->arena, &done, err) != 0)
        return err->code;
    return tell_end(im, done.id, done.is_new, err);
}

static int tell_begin(struct reg_pull_image *im, struct bh_err *err) {
    return reg_tell_status(im->p->listener, im->number, err, "%s: Pulling from %s", tag_or_digest(&im->ref),
                           im->ref.path);
}

static int ask_top(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct reg_pull_image *im = arg;
    struct reg_manifest *out = im->top_answer;

    bh_err_clear(err);
    if (im->by_head) {
        if (reg_remote_manifest_head(remote, tag_or_digest(&im->ref), im->familiar, out, err) == 0)
            return 0;
        if (err->code != BH_E_UNIMPLEMENTED)
            return err->code;
        bh_err_clear(err);
    }
    if (reg_remote_manifest(remote, tag_or_digest(&im->ref), im->familiar, out, err) == 0)
        return 0;
    if (err->code == BH_E_NOT_FOUND && im->ref.digest[0] == '\0')
        reg_tags_hint(remote, im->ref.tag, err);
    return err->code;
}

/* What the name means at the registry; only the digest when a HEAD is all that is needed. */
static int resolve(struct reg_pull_image *im, bool by_head, struct reg_manifest *out, struct bh_err *err) {
    size_t at = 0;

    im->by_head = by_head;
    im->top_answer = out;
    if (reg_source_ask(&im->source, ask_top, im, &at, err) != 0)
        return err->code;
    if (im->ref.digest[0] != '\0' && strcmp(out->digest, im->ref.digest) != 0) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: the registry answers with %s", im->familiar, out->digest);
        return bh_err_reason(err, "digest-mismatch");
    }
    im->source.at = at;
    bh_str_copy(im->top, sizeof im->top, out->digest);
    return 0;
}

static int bring(struct reg_pull_image *im, struct reg_manifest *top, struct bh_err *err) {
    if (top->data.len == 0 && resolve(im, false, top, err) != 0)
        return err->code;
    if (begin_hold(im->p, err) != 0 || reg_pull_documents(im, top, err) != 0 || reg_pull_layers(im, err) != 0)
        return err->code;
    return put_image(im, im->manifest_digest, im->top_is_index ? im->top : "", err);
}

/* The store may have the image already: asked for by name first, so that a HEAD is enough. */
static int from_registry(struct reg_pull_image *im, bool here, struct bh_err *err) {
    struct reg_manifest top = {0};
    struct reg_known known = {0};
    int r = resolve(im, here, &top, err);

    if (r == 0)
        r = look_up(im, im->top, &known, err);
    if (r == 0)
        r = tell_begin(im, err);
    if (r == 0)
        r = known.known ? put_image(im, known.manifest_digest, known.index_digest, err) : bring(im, &top, err);
    reg_manifest_fini(&top);
    return r;
}

static int keep_local(struct reg_pull_image *im, const struct reg_known *k, struct bh_err *err) {
    bh_str_copy(im->top, sizeof im->top, k->index_digest[0] != '\0' ? k->index_digest : k->manifest_digest);
    return tell_end(im, k->id, false, err);
}

static int by_policy(struct reg_pull_image *im, struct bh_err *err) {
    enum reg_pull_policy policy = im->p->ask->policy;
    struct reg_known local = {0};
    int r;

    if (look_up_name(im, &local, err) != 0)
        return err->code;
    if (local.known && (policy == REG_PULL_MISSING || policy == REG_PULL_NEVER))
        return keep_local(im, &local, err);
    if (policy == REG_PULL_NEVER) {
        bh_err_set(err, BH_E_NOT_FOUND, "No such image: %s", im->familiar);
        return bh_err_hint(err, "the pull policy is \"never\"");
    }
    r = from_registry(im, local.known, err);
    if (r == 0 || policy != REG_PULL_NEWER || !local.known || r == BH_E_CANCELLED)
        return r;
    if (reg_tell_warning(im->p->listener, im->number, err, "%s; the image that is here is kept", err->msg) != 0)
        return err->code;
    bh_err_clear(err);
    return keep_local(im, &local, err);
}

static int pull_image(struct reg_pulling *p, unsigned number, const struct bh_ref *ref, struct bh_err *err) {
    struct reg_pull_image *im = bh_xcalloc(1, sizeof *im);
    char canonical[BH_REF_TEXT_SIZE];
    int r;

    im->p = p;
    im->number = number;
    im->ref = *ref;
    bh_ref_familiar(ref, im->familiar);
    bh_ref_format(ref, canonical);
    bh_arena_init(&im->arena, IMAGE_ARENA);
    r = reg_policy_check(p->conf, canonical, err);
    if (r == 0)
        r = reg_source_open(&im->source, p->room, p->conf, &p->caller, ref, REG_PULL, err);
    if (r == 0) {
        r = by_policy(im, err);
        reg_source_close(&im->source);
    }
    bh_arena_fini(&im->arena);
    free(im);
    return r;
}

/* ---- all tags ------------------------------------------------------------------------------------- */

struct tags {
    struct bh_arena arena;
    struct bh_strlist list;
    const char *what;
};

static int take_tag(void *arg, const char *tag, bool *out_stop, struct bh_err *err) {
    struct tags *t = arg;

    (void)out_stop;
    if (!reg_tag_valid(tag))
        return 0;
    if (t->list.n == REG_MAX_TAGS)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d tags", t->what, REG_MAX_TAGS);
    return bh_strlist_add(&t->list, &t->arena, tag, err);
}

static int ask_tags(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct tags *t = arg;
    const struct reg_pages pages = {
        .below = "tags/list?n=1000", .key = "tags", .what = t->what, .take = take_tag, .arg = t};

    t->list.n = 0;
    return reg_pages_read(remote, &pages, err);
}

static int list_tags(struct reg_pulling *p, const struct bh_ref *ref, struct tags *t, struct bh_err *err) {
    struct reg_source source;
    int r;

    if (reg_source_open(&source, p->room, p->conf, &p->caller, ref, REG_LIST, err) != 0)
        return err->code;
    r = reg_source_ask(&source, ask_tags, t, NULL, err);
    reg_source_close(&source);
    return r;
}

static int pull_all_tags(struct reg_pulling *p, unsigned number, struct bh_ref *ref, struct bh_err *err) {
    char what[BH_REF_TEXT_SIZE];
    struct tags t = {.what = what};
    int r;

    if (ref->tag[0] != '\0' || ref->digest[0] != '\0')
        return bh_err_set(err, BH_E_INVALID, "tag can't be used with --all-tags/-a");
    bh_ref_familiar_name(ref, what);
    bh_arena_init(&t.arena, IMAGE_ARENA);
    r = list_tags(p, ref, &t, err);
    if (r == 0 && t.list.n == 0)
        r = bh_err_set(err, BH_E_NOT_FOUND, "%s has no tags", what);
    for (size_t i = 0; r == 0 && i < t.list.n; i++) {
        bh_str_copy(ref->tag, sizeof ref->tag, t.list.v[i]);
        r = pull_image(p, number, ref, err);
    }
    bh_arena_fini(&t.arena);
    return r;
}

/* ---- what the user wrote ------------------------------------------------------------------------ */

static int pull_reference(struct reg_pulling *p, unsigned number, struct bh_err *err) {
    const char *text = p->ask->references[number];
    struct bh_ref ref;
    char note[256];

    if (reg_complete(p->conf, text, &ref, note, err) != 0 || bh_ref_check_pull(&ref, err) != 0)
        return err->code;
    if (note[0] != '\0' && reg_tell_status(p->listener, number, err, "%s", note) != 0)
        return err->code;
    if (p->ask->all_tags)
        return pull_all_tags(p, number, &ref, err);
    if (bh_ref_default_tag(&ref) && reg_tell_status(p->listener, number, err, "Using default tag: latest") != 0)
        return err->code;
    return pull_image(p, number, &ref, err);
}

static void kick_layers(void *arg) {
    struct reg_pulling *p = arg;

    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < REG_PULL_LIVE; i++)
        if (p->live[i] != NULL)
            reg_layer_cancel(p->live[i]);
    pthread_mutex_unlock(&p->lock);
}

static int prepare(struct reg_pulling *p, struct bh_err *err) {
    p->settings = reg_conf_settings(p->conf);
    p->jobs = p->ask->jobs != 0 ? p->ask->jobs : p->settings->jobs;
    if (p->jobs > REG_PULL_LIVE)
        p->jobs = REG_PULL_LIVE;
    p->caller = p->ask->caller;
    p->caller.cancel_fd = p->stop.fd;
    if (p->caller.tries == 0)
        p->caller.tries = p->settings->tries;
    if (p->ask->platform[0] != '\0')
        return bh_platform_parse(p->ask->platform, &p->want, err);
    bh_platform_host(&p->want);
    return 0;
}

int reg_pull(struct reg_room *room, const struct reg_pull *ask, const struct reg_listener *listener,
             struct bh_err *err) {
    struct reg_pulling p = {.room = room, .ask = ask, .listener = listener, .lock = PTHREAD_MUTEX_INITIALIZER};
    int r;

    if (ask->n_references == 0)
        return bh_err_set(err, BH_E_INVALID, "no reference was given");
    if (reg_stop_init(&p.stop, ask->caller.cancel_fd, kick_layers, &p, err) != 0)
        return err->code;
    p.conf = reg_room_conf(room);
    r = prepare(&p, err);
    for (unsigned i = 0; r == 0 && i < ask->n_references; i++)
        r = pull_reference(&p, i, err);
    reg_stop_fini(&p.stop);
    if (p.hold != NULL)
        reg_hold_end(p.hold);
    reg_conf_unref(p.conf);
    pthread_mutex_destroy(&p.lock);
    return r;
}
