/*
 * push.c - see push.h: from a local name to a manifest on a registry.
 *
 * Room: registry.
 */
#include "svc-registry/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/manifest_put.h"
#include "svc-registry/push_int.h"
#include "svc-registry/short_name.h"

#define IMAGE_ARENA ((size_t)64 << 20)

/* ---- is it here, may it go there ------------------------------------------------------------------ */

/* In docker's words, which tell a wrong tag from a repository of which nothing is here. */
static int not_here(const struct bh_ref *ref, bool other_tags, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];

    if (other_tags)
        bh_ref_familiar(ref, name);
    else
        bh_ref_familiar_name(ref, name);
    bh_err_set(err, BH_E_NOT_FOUND, "%s: %s",
               other_tags ? "tag does not exist" : "An image does not exist locally with the tag", name);
    return bh_err_reason(err, "no-such-image");
}

/* Names are looked for before the network is asked; ids are the store's to find. */
static int check_here(struct reg_push_image_state *im, struct reg_known *known, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE], hex[BH_REF_HEX_SIZE];
    const struct reg_known_ask ask = {
        .owner = im->p->ask->caller.owner, .digest = "", .platform = im->p->ask->platform, .name = name};
    enum bh_ref_kind kind;
    struct bh_ref ref;

    *known = (struct reg_known){.manifest_digest = "", .index_digest = ""};
    if (bh_ref_parse_any(im->local, &ref, &kind, hex, err) != 0)
        return err->code;
    if (kind != BH_REF_NAME || hex[0] != '\0')
        return 0;
    bh_ref_default_tag(&ref);
    bh_ref_format(&ref, name);
    if (reg_store_known(im->p->room->store, &ask, &im->arena, known, err) != 0)
        return err->code;
    return known->known ? 0 : not_here(&ref, known->repository, err);
}

/* What the tag means there now; "" = nothing. */
static int ask_tag(struct reg_push_image_state *im, char out_digest[BH_DIGEST_TEXT_SIZE], struct bh_err *err) {
    struct reg_manifest m = {0};
    int r = reg_remote_manifest_head(im->remote, im->target.tag, im->familiar, &m, err);

    out_digest[0] = '\0';
    if (r == 0)
        bh_str_copy(out_digest, BH_DIGEST_TEXT_SIZE, m.digest);
    reg_manifest_fini(&m);
    if (r == BH_E_NOT_FOUND || r == BH_E_UNIMPLEMENTED) {
        bh_err_clear(err);
        r = 0;
    }
    return r;
}

/* An upload that is begun is the one thing that tells whether we may; the first blob goes there. */
static int check_rights(struct reg_push_image_state *im, struct bh_err *err) {
    bool mounted;

    if (im->has_probe)
        return 0;
    if (reg_upload_begin(&im->probe, NULL, NULL, &mounted, err) != 0)
        return err->code;
    im->has_probe = true;
    return 0;
}

/* ---- the documents -------------------------------------------------------------------------------- */

static int told_compressing(void *arg, const char *diff_id, uint64_t current, uint64_t total, struct bh_err *err) {
    struct reg_push_image_state *im = arg;
    struct reg_line line;

    (void)err;
    reg_line_init(&line, im->p->listener, im->number, diff_id);
    reg_line_progress(&line, REG_LAYER_COMPRESSING, current, total);
    return reg_stop_check(&im->p->stop, err);
}

static int open_image(struct reg_push_image_state *im, struct bh_err *err) {
    char repository[BH_REF_TEXT_SIZE];
    const struct reg_push *ask = im->p->ask;
    const struct reg_push_ask open = {.name = im->local,
                                      .platform = ask->platform,
                                      .compression = ask->compression,
                                      .level = ask->level,
                                      .force_compression = ask->force_compression,
                                      .kept = ask->kept,
                                      .repository = repository};

    bh_ref_name(&im->target, repository);
    if (reg_hold_begin(im->p->room->store, ask->caller.owner, "push", &im->hold, err) != 0)
        return err->code;
    if (reg_hold_push(im->hold, &open, told_compressing, im, &im->arena, &im->image, err) != 0)
        return err->code;
    if (im->image.n_manifests == 0)
        return bh_err_set(err, BH_E_INTERNAL, "the store gave no manifest of %s", im->local);
    return 0;
}

/* What the tag will mean. */
static const struct bh_desc *top_of(const struct reg_push_image_state *im) {
    return im->image.has_index ? &im->image.index : &im->image.manifests[0].desc;
}

static int put_manifests(struct reg_push_image_state *im, struct bh_err *err) {
    const struct reg_push_image *image = &im->image;

    for (size_t i = 0; i < image->n_manifests; i++) {
        const struct reg_push_manifest *m = &image->manifests[i];
        const struct reg_manifest_put put = {.data = m->data,
                                             .size = m->size,
                                             .media_type = m->desc.media_type,
                                             .digest = m->desc.digest_text,
                                             .name = image->has_index ? m->desc.digest_text : im->target.tag,
                                             .what = im->familiar};

        if (reg_manifest_put(im->remote, &put, err) != 0)
            return err->code;
    }
    if (!image->has_index)
        return 0;
    const struct reg_manifest_put put = {.data = image->index_data,
                                         .size = image->index_size,
                                         .media_type = image->index.media_type,
                                         .digest = image->index.digest_text,
                                         .name = im->target.tag,
                                         .what = im->familiar};
    return reg_manifest_put(im->remote, &put, err);
}

/* That this repository has these blobs and the manifest; a push that worked is not undone by a note that did not. */
static void note_sources(struct reg_push_image_state *im) {
    BH_SCOPE_FREE const char **v = NULL;
    struct bh_err err = BH_ERR_INIT;
    char repository[BH_REF_TEXT_SIZE];
    struct bh_strlist all = {.present = true};
    size_t room = 0;

    for (size_t i = 0; i < im->image.n_manifests; i++)
        room += im->image.manifests[i].n_layers;
    v = bh_xcalloc(room + 1, sizeof *v);
    for (size_t i = 0; i < im->image.n_manifests; i++)
        for (size_t k = 0; k < im->image.manifests[i].n_layers; k++)
            v[all.n++] = im->image.manifests[i].layers[k].desc.digest_text;
    all.v = v;
    bh_ref_name(&im->target, repository);
    if (reg_hold_note_source(im->hold, repository, &all, top_of(im)->digest_text, &err) != 0)
        bh_log_err("blob-source-not-noted", &err);
}

static int tell_end(struct reg_push_image_state *im, struct bh_err *err) {
    const struct bh_desc *top = top_of(im);
    char canonical[BH_REF_TEXT_SIZE];
    const struct reg_event end = {
        .number = im->number, .reference = canonical, .digest = top->digest_text, .size = top->size};

    bh_ref_format(&im->target, canonical);
    if (reg_tell_status(im->p->listener, im->number, err, "%s: digest: %s size: %" PRIu64, im->target.tag,
                        top->digest_text, top->size) != 0)
        return err->code;
    return reg_tell(im->p->listener, &end, err);
}

/* ---- one image ------------------------------------------------------------------------------------ */

static int send_image(struct reg_push_image_state *im, struct bh_err *err) {
    return check_rights(im, err) != 0 || reg_push_blobs(im, err) != 0 ? err->code : put_manifests(im, err);
}

/* Is this image known by that digest in that repository?  As it was pulled, or what an earlier push made of it. */
static int looks_there(struct reg_push_image_state *im, const struct reg_known *here, const char *digest, bool *out,
                       struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];
    const struct reg_known_ask ask = {
        .owner = im->p->ask->caller.owner, .digest = "", .platform = im->p->ask->platform, .name = name};
    struct bh_ref ref = im->target;
    struct reg_known pushed;

    *out = false;
    if (digest[0] == '\0' || !here->known)
        return 0;
    *out = strcmp(digest, here->manifest_digest) == 0 || strcmp(digest, here->index_digest) == 0;
    if (*out)
        return 0;
    ref.tag[0] = '\0';
    bh_str_copy(ref.digest, sizeof ref.digest, digest);
    bh_ref_format(&ref, name);
    if (reg_store_known(im->p->room->store, &ask, &im->arena, &pushed, err) != 0)
        return err->code;
    *out = pushed.known && strcmp(pushed.id, here->id) == 0;
    return 0;
}

/* Unless it looks as if all of it were there, the right to push is asked for before the store compresses anything. */
static int push_here(struct reg_push_image_state *im, struct bh_err *err) {
    char there[BH_DIGEST_TEXT_SIZE];
    struct reg_known known;
    bool same;

    if (check_here(im, &known, err) != 0 || ask_tag(im, there, err) != 0 ||
        looks_there(im, &known, there, &same, err) != 0)
        return err->code;
    if (!same && check_rights(im, err) != 0)
        return err->code;
    if (open_image(im, err) != 0)
        return err->code;
    if (strcmp(there, top_of(im)->digest_text) == 0) {
        if (reg_push_tell_there(im, err) != 0)
            return err->code;
    } else if (send_image(im, err) != 0) {
        return err->code;
    }
    note_sources(im);
    return tell_end(im, err);
}

static void state_init(struct reg_push_image_state *im, struct reg_pushing *p, unsigned number,
                       const struct bh_ref *target) {
    im->p = p;
    im->number = number;
    im->local = p->ask->references[number];
    im->target = *target;
    bh_ref_familiar(target, im->familiar);
    bh_arena_init(&im->arena, IMAGE_ARENA);
    pthread_mutex_init(&im->lock, NULL);
}

static void state_free(struct reg_push_image_state *im) {
    if (im->hold != NULL)
        reg_hold_end(im->hold);
    bh_arena_fini(&im->arena);
    pthread_mutex_destroy(&im->lock);
    free(im);
}

static int push_image(struct reg_pushing *p, unsigned number, const struct bh_ref *target, struct bh_err *err) {
    struct reg_push_image_state *im = bh_xcalloc(1, sizeof *im);
    char repository[BH_REF_TEXT_SIZE];
    int r;

    state_init(im, p, number, target);
    bh_ref_name(target, repository);
    r = reg_source_open(&im->source, p->room, p->conf, &p->caller, target, REG_PUSH, err);
    if (r == 0) {
        r = reg_source_remote(&im->source, 0, &im->remote, err);
        reg_upload_init(&im->probe, im->remote, im->familiar);
        if (r == 0 && strcmp(p->repository, repository) != 0) /* once for all its tags */
            r = reg_tell_status(p->listener, number, err, "The push refers to repository [%s]", repository);
        bh_str_copy(p->repository, sizeof p->repository, repository);
        if (r == 0)
            r = push_here(im, err);
        if (im->has_probe)
            reg_upload_abandon(&im->probe);
        reg_upload_fini(&im->probe);
        reg_source_close(&im->source);
    }
    state_free(im);
    return r;
}

/* Where it goes: the destination, or what the local name says. */
static int push_reference(struct reg_pushing *p, unsigned number, struct bh_err *err) {
    const char *text = p->ask->destination[0] != '\0' ? p->ask->destination : p->ask->references[number];
    struct bh_ref target;
    char note[256];

    if (reg_complete(p->conf, text, &target, note, err) != 0)
        return err->code;
    if (note[0] != '\0' && reg_tell_status(p->listener, number, err, "%s", note) != 0)
        return err->code;
    if (target.digest[0] != '\0')
        return bh_err_set(err, BH_E_INVALID, "cannot push a digest reference");
    if (bh_ref_default_tag(&target) && reg_tell_status(p->listener, number, err, "Using default tag: latest") != 0)
        return err->code;
    return push_image(p, number, &target, err);
}

int reg_push(struct reg_room *room, const struct reg_push *ask, const struct reg_listener *listener,
             struct bh_err *err) {
    struct reg_pushing p = {.room = room, .ask = ask, .listener = listener};
    int r = 0;

    if (ask->n_references == 0)
        return bh_err_set(err, BH_E_INVALID, "no reference was given");
    if (ask->destination[0] != '\0' && ask->n_references != 1)
        return bh_err_set(err, BH_E_INVALID, "one destination takes one image");
    if (reg_stop_init(&p.stop, ask->caller.cancel_fd, NULL, NULL, err) != 0)
        return err->code;
    p.conf = reg_room_conf(room);
    p.jobs = ask->jobs != 0 ? ask->jobs : reg_conf_settings(p.conf)->push_jobs;
    p.caller = ask->caller;
    p.caller.cancel_fd = p.stop.fd;
    if (p.caller.tries == 0)
        p.caller.tries = reg_conf_settings(p.conf)->tries;
    for (unsigned i = 0; r == 0 && i < ask->n_references; i++)
        r = push_reference(&p, i, err);
    reg_stop_fini(&p.stop);
    reg_conf_unref(p.conf);
    return r;
}
