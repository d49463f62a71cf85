/*
 * pull_layer.c - one layer: the store's pipe on one side, the places that have the blob on the other.
 *
 * Room: registry.  The bytes go from the socket into the pipe and are kept nowhere.  A lost connection is resumed from
 * what the pipe took; a place that fails is followed by the next, also in the middle; what turns out to be wrong after
 * it was resumed is fetched once more from its first byte, because the part that was there may have been the wrong one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "svc-registry/body.h"
#include "svc-registry/pull_int.h"

#define URLS_MAX  8
#define TRIES_MAX 8 /* of a layer, when others that bring it fail */

/* The bytes on their way. */
struct fetch {
    struct reg_pull_layer *l;
    struct reg_body body;
    struct reg_http_fd out;
    struct reg_http_response answer;
    const char *url; /* of a foreign layer: asked instead of the registry */
    bool resumed;    /* what the store has is not all of one answer */
};

static int head(void *arg, const struct reg_http_response *answer, struct bh_err *err) {
    struct fetch *f = arg;
    int64_t length = answer->length > INT64_MAX ? -1 : (int64_t)answer->length;

    return reg_body_head(&f->body, answer->status, reg_http_header(answer, "content-range"), length, err);
}

static int sink(void *arg, const void *data, size_t n, struct bh_err *err) {
    struct fetch *f = arg;

    if (reg_body_take(&f->body, &data, &n, err) != 0 || (n > 0 && reg_http_to_fd(&f->out, data, n, err) != 0))
        return err->code;
    reg_line_progress(&f->l->line, REG_LAYER_DOWNLOADING, f->body.at, f->body.size);
    return 0;
}

/* No blob.  A part that is not given (416) may be the wrong part of ours: the whole is asked for then. */
static int refused(struct fetch *f, struct reg_remote *remote, struct bh_err *err) {
    if (f->answer.status == 404) {
        bh_err_set(err, BH_E_NOT_FOUND, "%s: the registry has a manifest that names it, and not the blob",
                   f->l->im->familiar);
        return bh_err_reason(err, "blob-unknown");
    }
    if (f->answer.status == 416) {
        bh_err_set(err, BH_E_DATA_LOSS, "%s: the registry does not send the rest of the blob", f->l->im->familiar);
        return bh_err_reason(err, "bad-range");
    }
    return reg_remote_status(remote, &f->answer, f->l->im->familiar, err);
}

/* One answer of one place. */
static int fetch_once(struct fetch *f, struct reg_remote *remote, struct bh_err *err) {
    char below[BH_DIGEST_TEXT_MAX + 16], range[48];
    const char *headers[] = {range};
    struct reg_http_request req = {.method = "GET",
                                   .headers = headers,
                                   .n_headers = f->body.at > 0,
                                   .head = head,
                                   .sink = sink,
                                   .arg = f,
                                   .tries = 1,
                                   .cancel_fd = f->l->im->stop.fd,
                                   .what = f->l->im->familiar};

    snprintf(below, sizeof below, "blobs/%s", f->l->desc->digest_text);
    snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", f->body.at);
    reg_body_init(&f->body, f->body.size, f->body.at);
    req.url = f->url;
    if (reg_remote_send(remote, &req, below, &f->answer, err) != 0)
        return err->code;
    if (f->answer.status != 200 && f->answer.status != 206)
        return refused(f, remote, err);
    return reg_body_end(&f->body, err);
}

static void retrying(void *arg, unsigned seconds) {
    struct fetch *f = arg;

    reg_line_progress(&f->l->line, REG_LAYER_RETRYING, 0, seconds);
}

/* All that is missing, from one place, in as many answers as it takes. */
static int fetch_from(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct fetch *f = arg;
    struct reg_retry retry;

    reg_retry_init(&retry, f->l->im->caller.tries, f->l->im->stop.fd);
    retry.pausing = retrying;
    retry.arg = f;
    for (;;) {
        uint64_t before = f->body.at;

        f->resumed = f->resumed || before > 0;
        if (fetch_once(f, remote, err) == 0)
            return 0;
        if (reg_retry_wait(&retry, f->answer.status != 0 ? &f->answer : NULL, f->body.at - before, err) != 0)
            return err->code;
        bh_err_clear(err);
    }
}

/* A foreign layer that the registry has not is where its descriptor says: without any proof of ours, and no nearer to
 * this host than the registry. */
static int fetch_elsewhere(struct fetch *f, struct bh_err *err) {
    const struct bh_strlist *urls = &f->l->desc->urls;

    for (size_t i = 0; i < urls->n && i < URLS_MAX && err->code != 0 && err->code != BH_E_CANCELLED; i++) {
        bh_err_clear(err);
        f->url = urls->v[i];
        reg_source_ask_from(&f->l->im->source, f->l->first, fetch_from, f, &f->l->used, err);
    }
    return err->code;
}

static int fetch(struct fetch *f, struct bh_err *err) {
    if (f->body.at == f->body.size ||
        reg_source_ask_from(&f->l->im->source, f->l->first, fetch_from, f, &f->l->used, err) != BH_E_NOT_FOUND)
        return err->code;
    return fetch_elsewhere(f, err);
}

/* ---- the store's side --------------------------------------------------------------------------- */

/* Events that come while the bytes go are read by a thread of their own: the store waits for its reader. */
struct drain {
    pthread_t thread;
    struct reg_layer *layer;
    struct bh_err err; /* code 0: the layer is durable */
};

static void *drain_events(void *arg) {
    struct drain *d = arg;
    struct reg_layer_event ev = {0};

    while (!ev.done && reg_layer_next(d->layer, &ev, &d->err) == 0)
        continue;
    return NULL;
}

static int feed_pipe(struct reg_pull_layer *l, struct reg_layer *layer, uint64_t offset, bool *out_resumed,
                     struct bh_err *err) {
    const int cancel_fd = l->im->stop.fd;
    struct drain drain = {.layer = layer};
    struct fetch f = {.l = l, .out = {.fd = reg_layer_pipe(layer), .cancel_fd = cancel_fd}, .resumed = offset > 0};
    int r;

    if (offset > l->desc->size)
        return bh_err_set(err, BH_E_INTERNAL, "the store continues a layer after its end");
    r = pthread_create(&drain.thread, NULL, drain_events, &drain);
    if (r != 0)
        return bh_err_errno(err, r, "start a thread");
    reg_body_init(&f.body, l->desc->size, offset);
    r = fetch(&f, err);
    if (r == 0)
        (void)reg_line_state(&l->line, REG_LAYER_VERIFYING, &(struct bh_err)BH_ERR_INIT);
    reg_layer_close_pipe(layer);
    if (r == 0) {
        (void)reg_line_state(&l->line, REG_LAYER_DOWNLOADED, &(struct bh_err)BH_ERR_INIT);
        reg_line_progress(&l->line, REG_LAYER_EXTRACTING, l->desc->size, l->desc->size);
    }
    pthread_join(drain.thread, NULL);
    reg_http_response_fini(&f.answer);
    *out_resumed = f.resumed;
    /* a reader that went away says why itself; otherwise the end of the bytes is our doing */
    if (drain.err.code != 0 && (r == 0 || strcmp(err->reason, "reader-gone") == 0)) {
        *err = drain.err;
        r = err->code;
    }
    return r;
}

/* Until the store says what it wants. */
static int first_event(struct reg_pull_layer *l, struct reg_layer *layer, struct reg_layer_event *ev,
                       struct bh_err *err) {
    bool told = false;

    for (;;) {
        if (reg_layer_next(layer, ev, err) != 0)
            return err->code;
        if (!ev->waiting)
            return 0;
        if (!told && reg_line_state(&l->line, REG_LAYER_WAITING, err) != 0)
            return err->code;
        told = true;
    }
}

struct reg_layer_ask reg_pull_ask_of(const struct reg_pull_layer *l) {
    return (struct reg_layer_ask){.digest = l->desc->digest_text,
                                  .media_type = l->desc->media_type,
                                  .diff_id = l->diff_id,
                                  .size = l->desc->size};
}

static int try_layer(struct reg_pull_layer *l, bool restart, bool *out_resumed, struct bh_err *err) {
    struct reg_layer_ask ask = reg_pull_ask_of(l);
    struct reg_layer *layer = NULL;
    struct reg_layer_event ev;
    int r;

    ask.restart = restart;
    ask.alone = l->im->p->ask->diff_ids.n > 0;
    if (reg_layer_begin(l->im->p->hold, &ask, &layer, err) != 0)
        return err->code;
    if (!reg_pull_live_add(l->im, layer)) {
        reg_layer_free(layer);
        return bh_err_set(err, BH_E_CANCELLED, "cancelled");
    }
    r = first_event(l, layer, &ev, err);
    if (r == 0 && (ev.have || ev.done))
        r = reg_line_state(&l->line, REG_LAYER_EXISTS, err);
    else if (r == 0) {
        r = feed_pipe(l, layer, ev.offset, out_resumed, err);
        if (r == 0)
            r = reg_line_state(&l->line, REG_LAYER_PULLED, err);
    }
    reg_pull_live_remove(l->im, layer);
    reg_layer_free(layer);
    return r;
}

/* Wrong bytes, as the store or the size told it. */
static bool wrong_content(const struct bh_err *err) {
    return err->code == BH_E_DATA_LOSS || err->code == BH_E_INVALID;
}

/* Another call brought the same layer and failed: now it is ours to bring. */
static bool left_to_us(const struct bh_err *err) {
    return err->code == BH_E_ABORTED && strcmp(err->reason, "again") == 0;
}

/* What came was wrong: once more from its first byte, from the same place when a part of it was there before, else from
 * the next.  False: there is none. */
static bool try_elsewhere(struct reg_pull_layer *l, bool resumed, const struct bh_err *err) {
    if (!wrong_content(err))
        return false;
    if (!resumed || l->again) {
        if (l->used + 1 >= l->im->source.places.n)
            return false;
        l->first = l->used + 1;
    }
    l->again = true;
    return true;
}

int reg_pull_one_layer(struct reg_pull_layer *l, struct bh_err *err) {
    bool resumed = false;

    l->first = l->used = l->im->source.at;
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        bh_err_clear(err);
        if (reg_stop_check(&l->im->stop, err) != 0)
            return err->code;
        if (try_layer(l, l->again, &resumed, err) == 0)
            return 0;
        if (left_to_us(err))
            continue;
        if (!try_elsewhere(l, resumed, err))
            break;
        (void)reg_line_state(&l->line, REG_LAYER_PULLING, &(struct bh_err)BH_ERR_INIT);
    }
    return bh_err_prefix(err, "layer %s", l->desc->digest_text);
}
