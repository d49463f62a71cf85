/*
 * pull_image.c - one image: what its name means there, what of it is here, the rest brought, published in one commit.
 *
 * Room: registry.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/pages.h"
#include "svc-registry/pull_int.h"

#define IMAGE_ARENA ((size_t)64 << 20)

static int begin_hold(struct reg_pulling *p, struct bh_err *err) {
    int r = 0;

    pthread_mutex_lock(&p->lock);
    if (p->hold == NULL)
        r = reg_hold_begin(p->room->store, p->ask->caller.owner, "pull", &p->hold, err);
    pthread_mutex_unlock(&p->lock);
    return r;
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
static int look_up_name(struct reg_pulling *p, const struct bh_ref *of, struct bh_arena *arena, struct reg_known *out,
                        struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];
    const struct reg_known_ask ask = {
        .owner = p->ask->caller.owner, .digest = "", .platform = p->ask->platform, .name = name};
    struct bh_ref ref = *of;

    if (ref.digest[0] != '\0')
        ref.tag[0] = '\0';
    bh_ref_format(&ref, name);
    return reg_store_known(p->room->store, &ask, arena, out, err);
}

int reg_pull_is_here(struct reg_pulling *p, const struct bh_ref *ref, bool *out_known, struct bh_err *err) {
    struct reg_known known = {0};
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, IMAGE_ARENA);
    r = look_up_name(p, ref, &arena, &known, err);
    *out_known = r == 0 && known.known;
    bh_arena_fini(&arena);
    return r;
}

int reg_pull_tell_status(const struct reg_listener *to, unsigned number, const char *what, bool is_new,
                         struct bh_err *err) {
    return reg_tell_status(to, number, err, "Status: %s %s",
                           is_new ? "Downloaded newer image for" : "Image is up to date for", what);
}

static int tell_end(struct reg_pull_image *im, const char *id, bool is_new, struct bh_err *err) {
    char canonical[BH_REF_TEXT_SIZE];
    const struct reg_event end = {
        .number = im->number, .reference = canonical, .id = id, .digest = im->top, .is_new = is_new};

    bh_ref_format(&im->ref, canonical);
    im->is_new = is_new;
    if (reg_tell_status(im->listener, im->number, err, "Digest: %s", im->top) != 0 ||
        (!im->p->ask->all_tags && reg_pull_tell_status(im->listener, im->number, im->familiar, is_new, err) != 0))
        return err->code;
    return reg_tell(im->listener, &end, err);
}

/* The names it gets: the tag unless a digest decided, and always the digest. */
static int put_image(struct reg_pull_image *im, const char *manifest_digest, const char *index_digest,
                     struct bh_err *err) {
    char tagged[BH_REF_TEXT_SIZE], pinned[BH_REF_TEXT_SIZE], source[BH_REF_TEXT_SIZE];
    const char *names[2] = {pinned, tagged};
    const struct reg_image_put put = {.manifest_digest = manifest_digest,
                                      .index_digest = index_digest,
                                      .names = {.present = true, .n = im->ref.digest[0] == '\0' ? 2 : 1, .v = names},
                                      .source = source,
                                      .guard = im->p->ask->hold != 0};
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
    return reg_tell_status(im->listener, im->number, err, "%s: Pulling from %s", tag_or_digest(&im->ref), im->ref.path);
}

static int ask_top(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct reg_pull_image *im = arg;
    struct reg_manifest *out = im->top_answer;

    bh_err_clear(err);
    int r = BH_E_UNIMPLEMENTED;

    if (im->by_head)
        r = reg_remote_manifest_head(remote, tag_or_digest(&im->ref), im->familiar, out, err);
    if (r == BH_E_UNIMPLEMENTED) {
        bh_err_clear(err);
        r = reg_remote_manifest(remote, tag_or_digest(&im->ref), im->familiar, out, err);
    }
    if (r != 0)
        reg_tags_hint(remote, im->ref.digest[0] != '\0' ? "" : im->ref.tag, err);
    return r;
}

/* What the name means at the registry; only the digest when a HEAD is all that is needed. */
static int resolve(struct reg_pull_image *im, bool by_head, struct reg_manifest *out, struct bh_err *err) {
    size_t at = 0;

    im->by_head = by_head;
    im->top_answer = out;
    if (reg_source_ask(&im->source, ask_top, im, &at, err) != 0)
        return err->code;
    im->found = true;
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
    if (im->p->ask->diff_ids.n > 0)
        return 0; /* there is no image to tell of */
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

/* For a build, whose hold they come under: what the owner has as images does not matter. */
static int layers_alone(struct reg_pull_image *im, struct bh_err *err) {
    struct reg_manifest top = {0};
    int r = resolve(im, false, &top, err);

    if (r == 0)
        r = bring(im, &top, err);
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

    if (im->p->ask->diff_ids.n > 0)
        return layers_alone(im, err);
    if (look_up_name(im->p, &im->ref, &im->arena, &local, err) != 0)
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
    if (reg_tell_warning(im->listener, im->number, err, "%s; the image that is here is kept", err->msg) != 0)
        return err->code;
    bh_err_clear(err);
    return keep_local(im, &local, err);
}

static void kick_layers(void *arg) {
    struct reg_pull_image *im = arg;

    pthread_mutex_lock(&im->lock);
    for (size_t i = 0; i < REG_PULL_LIVE; i++)
        if (im->live[i] != NULL)
            reg_layer_cancel(im->live[i]);
    pthread_mutex_unlock(&im->lock);
}

static int run(struct reg_pull_image *im, struct bh_err *err) {
    char canonical[BH_REF_TEXT_SIZE];

    bh_ref_format(&im->ref, canonical);
    if (reg_policy_check(im->p->conf, canonical, err) != 0 ||
        reg_source_open(&im->source, im->p->room, im->p->conf, &im->caller, &im->ref, REG_PULL, err) != 0)
        return err->code;
    (void)by_policy(im, err);
    reg_source_close(&im->source);
    return err->code;
}

int reg_pull_image(struct reg_pulling *p, unsigned number, const struct bh_ref *ref,
                   const struct reg_listener *listener, struct reg_pull_result *out, struct bh_err *err) {
    struct reg_pull_image *im = bh_xcalloc(1, sizeof *im);
    int r;

    im->p = p;
    im->number = number;
    im->listener = listener;
    im->ref = *ref;
    bh_ref_familiar(ref, im->familiar);
    r = reg_stop_init(&im->stop, p->stop.fd, kick_layers, im, err);
    if (r == 0) {
        pthread_mutex_init(&im->lock, NULL);
        bh_arena_init(&im->arena, IMAGE_ARENA);
        im->caller = p->caller;
        im->caller.cancel_fd = im->stop.fd;
        r = run(im, err);
        *out = (struct reg_pull_result){.found = im->found, .is_new = r == 0 && im->is_new};
        reg_stop_fini(&im->stop);
        bh_arena_fini(&im->arena);
        pthread_mutex_destroy(&im->lock);
    }
    free(im);
    return r;
}
