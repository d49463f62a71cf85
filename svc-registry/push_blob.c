/*
 * push_blob.c - one blob to the registry, by the cheapest way that it offers.
 *
 * Room: registry.
 */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/push_int.h"

#define MOUNTS_MAX 3 /* repositories that are tried as a source */

static int tell(struct reg_push_blob *b, enum reg_layer_state state, const char *text, struct bh_err *err) {
    return b->silent ? 0 : reg_line_text(&b->line, state, text, err);
}

static void sent(void *arg, uint64_t bytes) {
    struct reg_push_blob *b = arg;

    if (!b->silent)
        reg_line_progress(&b->line, REG_LAYER_PUSHING, bytes, b->desc->size);
}

static void pausing(void *arg, unsigned seconds) {
    struct reg_push_blob *b = arg;

    if (!b->silent)
        reg_line_progress(&b->line, REG_LAYER_RETRYING, 0, seconds);
}

/* "registry.example:5000/team/app" -> "team/app" when it is on the target's registry and is not the target. */
static const char *path_of_source(const struct reg_push_blob *b, const char *source, struct bh_ref *out) {
    struct bh_err err = BH_ERR_INIT;
    const struct bh_ref *target = &b->im->target;

    if (bh_ref_parse(source, out, &err) != 0 || strcmp(out->domain, target->domain) != 0 ||
        strcmp(out->path, target->path) == 0)
        return NULL;
    return out->path;
}

/* From a repository that is known to have it.  A registry that will not begins an upload instead, which is used; one
 * that fails at it is sent the bytes. */
static int mount(struct reg_push_blob *b, struct reg_upload *u, bool *out_mounted, struct bh_err *err) {
    size_t tried = 0;

    *out_mounted = false;
    for (size_t i = 0; b->sources != NULL && i < b->sources->n && tried < MOUNTS_MAX; i++) {
        struct bh_ref ref;
        const char *path = path_of_source(b, b->sources->v[i], &ref);

        if (path == NULL)
            continue;
        tried++;
        if (reg_remote_also(b->im->remote, path, err) != 0)
            return err->code;
        reg_upload_abandon(u);
        if (reg_upload_begin(u, b->desc->digest_text, path, out_mounted, err) == 0) {
            if (*out_mounted)
                return tell(b, REG_LAYER_MOUNTED, path, err);
        } else if (reg_stop_check(&b->im->p->stop, err) != 0) {
            return err->code;
        }
        bh_err_clear(err);
    }
    return 0;
}

/* The upload that was begun to see whether we may. */
static void take_probe(struct reg_push_image_state *im, struct reg_upload *u) {
    pthread_mutex_lock(&im->lock);
    if (im->has_probe) {
        im->has_probe = false;
        u->begun = im->probe.begun;
        u->chunk_min = im->probe.chunk_min;
        bh_str_copy(u->location, sizeof u->location, im->probe.location);
    }
    pthread_mutex_unlock(&im->lock);
}

static int upload(struct reg_push_blob *b, struct reg_upload *u, struct bh_err *err) {
    const struct reg_upload_watch watch = {
        .sent = sent, .pausing = pausing, .arg = b, .tries = b->im->p->caller.tries, .cancel_fd = b->im->p->stop.fd};
    struct reg_upload_blob blob = {.digest = b->desc->digest_text, .size = b->desc->size, .data = b->data, .fd = -1};
    BH_SCOPE_CLOSE int fd = -1;
    uint64_t offset = 0, size = b->desc->size;

    if (b->data == NULL && reg_hold_blob(b->im->hold, b->desc->digest_text, &fd, &offset, &size, err) != 0)
        return err->code;
    if (size != b->desc->size)
        return bh_err_set(err, BH_E_INTERNAL, "the store opened %s with another size", b->desc->digest_text);
    blob.fd = fd;
    blob.offset = (off_t)offset;
    if (!u->begun)
        take_probe(b->im, u);
    sent(b, 0);
    if (reg_upload_send(u, &blob, &watch, err) != 0)
        return err->code;
    return tell(b, REG_LAYER_PUSHED, NULL, err);
}

int reg_push_one_blob(struct reg_push_blob *b, struct bh_err *err) {
    struct reg_upload u;
    bool there = false, mounted = false;
    int r = reg_stop_check(&b->im->p->stop, err);

    reg_upload_init(&u, b->im->remote, b->im->familiar);
    if (r == 0)
        r = reg_upload_there(b->im->remote, b->desc->digest_text, b->desc->size, b->im->familiar, &there, err);
    if (r == 0 && there)
        r = tell(b, REG_LAYER_THERE, NULL, err);
    else if (r == 0)
        r = mount(b, &u, &mounted, err);
    if (r == 0 && !there && !mounted)
        r = upload(b, &u, err);
    reg_upload_fini(&u);
    return r == 0 ? 0 : bh_err_prefix(err, "blob %s", b->desc->digest_text);
}
