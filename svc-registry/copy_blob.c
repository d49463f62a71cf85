/*
 * copy_blob.c - one blob from one registry to another.
 *
 * Room: registry.  The bytes stand in a buffer between the two connections; when it is full, the receiving side sends
 * it as a chunk while the other waits.  Whether they are the right ones is for the receiving registry to say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "svc-registry/blob.h"
#include "svc-registry/copy_int.h"
#include "svc-registry/upload.h"

#define BUFFER     ((size_t)4 << 20)
#define BUFFER_MIN ((size_t)1 << 20)  /* when many travel at once */
#define BUFFER_MAX ((size_t)16 << 20) /* for registries that want large chunks */

struct stream {
    struct reg_copying *c;
    const struct bh_desc *desc;
    struct reg_line line;
    struct reg_upload up;
    struct reg_blob_read in;
    char *buffer;
    size_t cap, n; /* bytes in it, not yet sent */
    size_t taken;  /* of the memory of all */
};

static void pausing(void *arg, unsigned seconds) {
    struct stream *s = arg;

    if (s->c->listener != NULL)
        reg_line_progress(&s->line, REG_LAYER_RETRYING, 0, seconds);
}

static int flush_chunk(struct stream *s, struct bh_err *err) {
    struct reg_retry retry;
    size_t done = 0;

    reg_retry_init(&retry, s->c->caller.tries, s->c->stop.fd);
    retry.pausing = pausing;
    retry.arg = s;
    while (done < s->n) {
        uint64_t before = s->up.at;

        if (reg_upload_chunk(&s->up, s->buffer + done, s->n - done, err) != 0) {
            if (reg_retry_wait(&retry, s->up.answer.status != 0 ? &s->up.answer : NULL, 0, err) != 0)
                return err->code;
            bh_err_clear(err);
            if (reg_upload_where(&s->up, err) != 0)
                return err->code;
            if (s->up.at < before || s->up.at > before + (s->n - done))
                return bh_err_set(err, BH_E_DATA_LOSS, "%s: the registry lost a part of the upload", s->c->familiar);
        }
        done += (size_t)(s->up.at - before);
    }
    s->n = 0;
    return 0;
}

static int sink(void *arg, const void *data, size_t n, struct bh_err *err) {
    struct stream *s = arg;
    const char *p;

    for (p = data; n > 0;) {
        size_t piece = s->cap - s->n < n ? s->cap - s->n : n;

        memcpy(s->buffer + s->n, p, piece);
        s->n += piece;
        p += piece;
        n -= piece;
        if (s->n == s->cap && s->in.body.size > s->cap && flush_chunk(s, err) != 0)
            return err->code;
    }
    if (s->c->listener != NULL)
        reg_line_progress(&s->line, REG_LAYER_PUSHING, s->in.body.at, s->in.body.size);
    return 0;
}

/* What is left in the buffer; a blob that fits into it travels as one. */
static int finish(struct stream *s, struct bh_err *err) {
    const struct reg_upload_watch watch = {
        .pausing = pausing, .arg = s, .tries = s->c->caller.tries, .cancel_fd = s->c->stop.fd};
    const struct reg_upload_blob whole = {
        .digest = s->desc->digest_text, .size = s->desc->size, .data = s->buffer, .fd = -1};

    if (s->in.body.size <= s->cap)
        return reg_upload_send(&s->up, &whole, &watch, err);
    if (flush_chunk(s, err) != 0)
        return err->code;
    return reg_upload_finish(&s->up, s->desc->digest_text, err);
}

/* Waits until others give some back: each has one buffer at most, and needs nothing else to end. */
static void take_memory(struct reg_copying *c, size_t n) {
    pthread_mutex_lock(&c->lock);
    while (c->memory < n)
        pthread_cond_wait(&c->given, &c->lock);
    c->memory -= n;
    pthread_mutex_unlock(&c->lock);
}

static void give_memory(struct reg_copying *c, size_t n) {
    pthread_mutex_lock(&c->lock);
    c->memory += n;
    pthread_cond_broadcast(&c->given);
    pthread_mutex_unlock(&c->lock);
}

/* A fair part of what all may have, and what the registry wants in any case. */
static size_t buffer_size(const struct stream *s) {
    size_t part = REG_COPY_MEMORY / (s->c->jobs > 0 ? s->c->jobs : 1);

    part = part > BUFFER ? BUFFER : part < BUFFER_MIN ? BUFFER_MIN : part;
    return s->up.chunk_min > part ? (size_t)s->up.chunk_min : part;
}

static int run_stream(struct stream *s, struct reg_source *from, struct bh_err *err) {
    s->cap = buffer_size(s);
    if (s->cap > BUFFER_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: the registry wants chunks of %zu bytes", s->c->familiar, s->cap);
    if (s->desc->size < s->cap)
        s->cap = (size_t)s->desc->size + 1;
    take_memory(s->c, s->cap);
    s->taken = s->cap;
    if (reg_stop_check(&s->c->stop, err) != 0)
        return err->code;
    s->buffer = malloc(s->cap); /* the registry's wish */
    if (s->buffer == NULL)
        return bh_err_set(err, BH_E_LIMIT, "%s: no memory for chunks of %zu bytes", s->c->familiar, s->cap);
    s->in = (struct reg_blob_read){.digest = s->desc->digest_text,
                                   .size = s->desc->size,
                                   .what = s->c->familiar,
                                   .tries = s->c->caller.tries,
                                   .cancel_fd = s->c->stop.fd,
                                   .sink = sink,
                                   .pausing = pausing,
                                   .arg = s};
    if (reg_blob_read(&s->in, from, err) != 0)
        return err->code;
    return finish(s, err);
}

static int tell(struct stream *s, enum reg_layer_state state, const char *text, struct bh_err *err) {
    return s->c->listener == NULL ? 0 : reg_line_text(&s->line, state, text, err);
}

/* Mounts only work within one registry, and the same name means the same registry. */
static bool same_registry(const struct reg_copying *c, const struct reg_source *from) {
    return strcmp(c->target.domain, from->ref.domain) == 0 && strcmp(c->target.path, from->ref.path) != 0;
}

static int bring(struct stream *s, struct reg_source *from, struct bh_err *err) {
    const char *path = same_registry(s->c, from) ? from->ref.path : NULL;
    bool mounted = false;

    if (path != NULL && reg_remote_also(s->c->remote, path, err) != 0)
        return err->code;
    if (reg_upload_begin(&s->up, s->desc->digest_text, path, &mounted, err) != 0)
        return err->code;
    if (mounted)
        return tell(s, REG_LAYER_MOUNTED, path, err);
    if (run_stream(s, from, err) != 0)
        return err->code;
    return tell(s, REG_LAYER_PUSHED, NULL, err);
}

int reg_copy_blob(struct reg_copying *c, struct reg_source *from, const struct bh_desc *desc, struct bh_err *err) {
    struct stream s = {.c = c, .desc = desc};
    bool there = false;
    int r = reg_stop_check(&c->stop, err);

    reg_line_init(&s.line, c->listener, 0, desc->digest_text);
    reg_upload_init(&s.up, c->remote, c->familiar);
    if (r == 0)
        r = reg_upload_there(c->remote, desc->digest_text, desc->size, c->familiar, &there, err);
    if (r == 0)
        r = there ? tell(&s, REG_LAYER_THERE, NULL, err) : bring(&s, from, err);
    free(s.buffer);
    give_memory(c, s.taken);
    reg_blob_read_fini(&s.in);
    reg_upload_fini(&s.up);
    return r == 0 ? 0 : bh_err_prefix(err, "blob %s", desc->digest_text);
}
