/*
 * copy.c - see copy.h: documents of a copy, from the top down, and back up with the manifests.
 *
 * Room: registry.
 */
#include "svc-registry/copy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "svc-registry/copy_int.h"
#include "svc-registry/manifest_put.h"
#include "svc-registry/pages.h"
#include "svc-registry/short_name.h"

#define DOCUMENT_ARENA ((size_t)64 << 20)
#define DEPTH_MAX      3

int reg_copying_begin(struct reg_copying *c, struct reg_room *room, const struct reg_caller *caller, const char *target,
                      struct bh_err *err) {
    char note[256];

    *c = (struct reg_copying){.room = room, .memory = REG_COPY_MEMORY};
    if (reg_stop_init(&c->stop, caller->cancel_fd, NULL, NULL, err) != 0)
        return err->code;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->given, NULL);
    c->conf = reg_room_conf(room);
    c->caller = *caller;
    c->caller.cancel_fd = c->stop.fd;
    if (c->caller.tries == 0)
        c->caller.tries = reg_conf_settings(c->conf)->tries;
    c->jobs = reg_conf_settings(c->conf)->push_jobs;
    if (reg_complete(c->conf, target, &c->target, note, err) == 0) {
        bh_ref_default_tag(&c->target);
        bh_ref_familiar(&c->target, c->familiar);
        if (reg_source_open(&c->to, room, c->conf, &c->caller, &c->target, REG_PUSH, err) == 0) {
            if (reg_source_remote(&c->to, 0, &c->remote, err) == 0 &&
                reg_hold_begin(room->store, caller->owner, "copy", &c->hold, err) == 0)
                return 0;
            reg_source_close(&c->to);
        }
    }
    reg_conf_unref(c->conf);
    reg_stop_fini(&c->stop);
    pthread_cond_destroy(&c->given);
    pthread_mutex_destroy(&c->lock);
    return err->code;
}

void reg_copying_end(struct reg_copying *c) {
    reg_hold_end(c->hold);
    reg_source_close(&c->to);
    reg_conf_unref(c->conf);
    reg_stop_fini(&c->stop);
    pthread_cond_destroy(&c->given);
    pthread_mutex_destroy(&c->lock);
}

int reg_copy_read(struct reg_copying *c, const struct reg_manifest *m, struct bh_arena *arena,
                  struct reg_document_info *out, struct bh_err *err) {
    const struct reg_document doc = {.digest = m->digest,
                                     .media_type = m->media_type,
                                     .data = bh_buf_str(&m->data),
                                     .size = m->data.len,
                                     .read_only = true};

    *out = (struct reg_document_info){0};
    return reg_hold_document(c->hold, &doc, arena, out, err);
}

/* ---- a manifest and its blobs ---------------------------------------------------------------------- */

struct blobs {
    struct reg_copying *c;
    struct reg_source *from;
    const struct bh_desc **v;
    size_t n;
};

static void add_blob(struct blobs *b, const struct bh_desc *d) {
    if (d->urls.n > 0)
        return; /* lies elsewhere for everybody */
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->v[i]->digest_text, d->digest_text) == 0)
            return;
    b->v[b->n++] = d;
}

static int one_blob(void *arg, size_t i, struct bh_err *err) {
    struct blobs *b = arg;

    return reg_copy_blob(b->c, b->from, b->v[i], err);
}

static int copy_blobs(struct reg_copying *c, struct reg_source *from, const struct reg_document_info *info,
                      struct bh_err *err) {
    BH_SCOPE_FREE const struct bh_desc **v = bh_xcalloc(info->n_layers + 1, sizeof(struct bh_desc *));
    struct blobs b = {.c = c, .from = from, .v = v};

    for (size_t i = 0; i < info->n_layers; i++)
        add_blob(&b, &info->layers[i]);
    add_blob(&b, &info->config);
    return reg_jobs_run(b.n, c->jobs, one_blob, &b, &c->stop, err);
}

/* ---- an index and its manifests -------------------------------------------------------------------- */

struct digest_ask {
    const char *name, *what;
    struct reg_manifest *out;
};

static int ask_manifest(void *arg, struct reg_remote *remote, struct bh_err *err) {
    struct digest_ask *a = arg;

    if (reg_remote_manifest(remote, a->name, a->what, a->out, err) != 0)
        reg_tags_hint(remote, strchr(a->name, ':') != NULL ? "" : a->name, err);
    return err->code;
}

static int copy_entry(struct reg_copying *c, struct reg_source *from, const struct bh_desc *entry, unsigned depth,
                      struct bh_err *err) {
    struct reg_manifest m = {0};
    struct digest_ask ask = {.name = entry->digest_text, .what = c->familiar, .out = &m};
    int r = reg_source_ask(from, ask_manifest, &ask, NULL, err);

    if (r == 0)
        r = reg_copy_tree(c, from, &m, entry->digest_text, depth + 1, err);
    reg_manifest_fini(&m);
    return r;
}

int reg_copy_tree(struct reg_copying *c, struct reg_source *from, const struct reg_manifest *m, const char *name,
                  unsigned depth, struct bh_err *err) {
    struct reg_document_info info;
    struct bh_arena arena;
    int r;

    if (depth > DEPTH_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%s: more than %d indexes within each other", c->familiar, DEPTH_MAX);
    bh_arena_init(&arena, DOCUMENT_ARENA);
    r = reg_copy_read(c, m, &arena, &info, err);
    if (r == 0 && !info.is_index)
        r = copy_blobs(c, from, &info, err);
    for (size_t i = 0; r == 0 && info.is_index && i < info.n_entries; i++)
        r = copy_entry(c, from, &info.entries[i], depth, err);
    if (r == 0) {
        const struct reg_manifest_put put = {.data = bh_buf_str(&m->data),
                                             .size = m->data.len,
                                             .media_type = m->media_type[0] != '\0' ? m->media_type : info.media_type,
                                             .digest = m->digest,
                                             .name = name,
                                             .what = c->familiar};

        r = reg_manifest_put(c->remote, &put, err);
    }
    bh_arena_fini(&arena);
    return r;
}

/* ---- the copy -------------------------------------------------------------------------------------- */

/* What the source's name means, and of an index the one manifest that is wanted when not all are. */
static int take_top(struct reg_copying *c, const struct reg_copy *ask, struct reg_source *from,
                    struct reg_manifest *top, struct bh_err *err) {
    const char *name = from->ref.digest[0] != '\0' ? from->ref.digest : from->ref.tag;
    char what[BH_REF_TEXT_SIZE];
    struct digest_ask first = {.name = name, .what = what, .out = top};
    struct reg_document_info info;
    struct bh_platform want;
    struct bh_arena arena;
    int r;

    bh_ref_familiar(&from->ref, what);
    if (reg_source_ask(from, ask_manifest, &first, &from->at, err) != 0)
        return err->code;
    if (ask->all_platforms)
        return 0;
    bh_platform_host(&want);
    if (ask->platform[0] != '\0' && bh_platform_parse(ask->platform, &want, err) != 0)
        return err->code;
    bh_arena_init(&arena, DOCUMENT_ARENA);
    r = reg_copy_read(c, top, &arena, &info, err);
    for (unsigned depth = 0; r == 0 && info.is_index; depth++) {
        const struct bh_index plain = {.entries = info.entries, .n_entries = info.n_entries};
        long at = bh_index_choose(&plain, &want);
        struct digest_ask next = {.what = what, .out = top};

        if (at < 0 || depth == DEPTH_MAX) {
            r = bh_index_no_match(&want, what, err);
            break;
        }
        next.name = info.entries[at].digest_text;
        reg_manifest_fini(top);
        *top = (struct reg_manifest){0};
        r = reg_source_ask(from, ask_manifest, &next, NULL, err);
        if (r == 0)
            r = reg_copy_read(c, top, &arena, &info, err);
    }
    bh_arena_fini(&arena);
    return r;
}

static int tell_end(struct reg_copying *c, const struct reg_manifest *top, struct bh_err *err) {
    char canonical[BH_REF_TEXT_SIZE];
    const struct reg_event end = {.reference = canonical, .digest = top->digest, .size = top->data.len};

    bh_ref_format(&c->target, canonical);
    if (reg_tell_status(c->listener, 0, err, "%s: digest: %s size: %zu",
                        c->target.digest[0] != '\0' ? c->target.digest : c->target.tag, top->digest,
                        top->data.len) != 0)
        return err->code;
    return reg_tell(c->listener, &end, err);
}

/* A target that is a digest must be the one that comes. */
static const char *target_name(struct reg_copying *c, const struct reg_manifest *top, struct bh_err *err) {
    if (c->target.digest[0] == '\0')
        return c->target.tag;
    if (strcmp(c->target.digest, top->digest) == 0)
        return c->target.digest;
    bh_err_set(err, BH_E_INVALID, "what is copied has the digest %s, not %s", top->digest, c->target.digest);
    return NULL;
}

static bool is_there(struct reg_copying *c, const char *name, const struct reg_manifest *top, int *out_code,
                     struct bh_err *err) {
    struct reg_manifest m = {0};
    bool same;

    *out_code = reg_remote_manifest_head(c->remote, name, c->familiar, &m, err);
    same = *out_code == 0 && strcmp(m.digest, top->digest) == 0;
    reg_manifest_fini(&m);
    if (*out_code == BH_E_NOT_FOUND || *out_code == BH_E_UNIMPLEMENTED) {
        bh_err_clear(err);
        *out_code = 0;
    }
    return same;
}

static int copy_from(struct reg_copying *c, const struct reg_copy *ask, struct reg_source *from, struct bh_err *err) {
    struct reg_manifest top = {0};
    const char *name = NULL;
    int r = take_top(c, ask, from, &top, err);

    if (r == 0) {
        name = target_name(c, &top, err);
        r = name == NULL ? err->code : 0;
    }
    if (r == 0 && !is_there(c, name, &top, &r, err) && r == 0)
        r = reg_copy_tree(c, from, &top, name, 0, err);
    if (r == 0)
        r = tell_end(c, &top, err);
    reg_manifest_fini(&top);
    return r;
}

int reg_copy(struct reg_room *room, const struct reg_copy *ask, const struct reg_listener *listener,
             struct bh_err *err) {
    char note[256], canonical[BH_REF_TEXT_SIZE];
    struct reg_copying c;
    struct reg_source from;
    struct bh_ref ref;
    int r;

    if (reg_copying_begin(&c, room, &ask->caller, ask->target, err) != 0)
        return err->code;
    c.listener = listener;
    if (ask->jobs != 0)
        c.jobs = ask->jobs;
    r = reg_complete(c.conf, ask->source, &ref, note, err);
    if (r == 0) {
        bh_ref_default_tag(&ref);
        bh_ref_format(&ref, canonical);
        r = reg_policy_check(c.conf, canonical, err);
    }
    if (r == 0)
        r = reg_source_open(&from, room, c.conf, &c.caller, &ref, REG_PULL, err);
    if (r == 0) {
        r = copy_from(&c, ask, &from, err);
        reg_source_close(&from);
    }
    reg_copying_end(&c);
    return r;
}
