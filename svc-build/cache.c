/*
 * cache.c - results of earlier builds: what a step with these inputs led to.
 *
 * Room: build.  The records lie in the store, each user has his own.  A record tells layers and when they were
 * made, so that an image that is built again from them is the same to the last byte.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "job.h"
#include "room.h"

bool build_cache_on(const struct build_site *site) {
    const struct build_ask *ask = site->job->ask;
    char number[24];

    if (ask->no_cache)
        return false;
    snprintf(number, sizeof number, "%zu", site->index);
    for (size_t i = 0; i < ask->no_cache_filter.n; i++)
        if (strcmp(ask->no_cache_filter.v[i], site->label) == 0 || strcmp(ask->no_cache_filter.v[i], number) == 0)
            return false;
    return true;
}

/* "1 <when it was made, ns>" */
static bool read_note(const struct build_cached *c, struct build_result *out) {
    if (c->n > 1 || c->n_note < 3 || strncmp(c->note, "1 ", 2) != 0 || !bh_str_i64(c->note + 2, &out->created_ns))
        return false;
    out->has_layer = c->n == 1;
    if (out->has_layer)
        out->layer = c->layers[0];
    return true;
}

/* For the caches that go out. */
static void note(struct build_site *site, const struct bh_digest *key, const struct build_result *r) {
    if (site->n_records == site->cap_records) {
        site->cap_records = site->cap_records == 0 ? 32 : 2 * site->cap_records;
        site->records = bh_xrealloc(site->records, site->cap_records * sizeof *site->records);
    }
    site->records[site->n_records++] = (struct build_record){*key, *r};
}

static int look_here(struct build_site *site, const struct bh_digest *key, bool *out_found, struct build_result *out,
                     struct bh_err *err) {
    struct build_cached c = {0};

    *out_found = false;
    *out = (struct build_result){0};
    if (!build_cache_on(site))
        return 0;
    if (build_cache_get(site->job->room->store, build_hold_number(site->job->hold), key, &site->arena, &c, err) != 0)
        return err->code;
    *out_found = c.found && read_note(&c, out);
    return 0;
}

static int keep(struct build_site *site, const struct bh_digest *key, struct build_result *r, const char *description,
                struct bh_err *err) {
    struct build_cache_put p = {.layers = &r->layer,
                                .n = r->has_layer,
                                .kind = "regular",
                                .description = description,
                                .replace = !build_cache_on(site)};
    struct build_result kept;
    bool stays, found = false;
    char note[40];

    p.n_note = (size_t)snprintf(note, sizeof note, "1 %lld", (long long)r->created_ns);
    p.note = note;
    if (build_cache_put(site->job->room->store, build_hold_number(site->job->hold), key, &p, &stays, err) != 0)
        return err->code;
    if (!stays)
        return 0;
    /* two builds did the same step at a time: the first one's result counts for both */
    if (look_here(site, key, &found, &kept, err) != 0)
        return err->code;
    if (found)
        *r = kept;
    return 0;
}

/* What comes from elsewhere is found here the next time. */
static int look_elsewhere(struct build_site *site, const struct bh_digest *key, bool *out_found,
                          struct build_result *out, struct bh_err *err) {
    BH_SCOPE_FREE char *text = NULL;
    const char *name = NULL;

    if (!build_cache_from_key(site, key, out, &name))
        return 0;
    *out_found = true;
    text = bh_xasprintf("imported from %s", name);
    return keep(site, key, out, text, err);
}

int build_cache_look(struct build_site *site, const struct bh_digest *key, bool *out_found, struct build_result *out,
                     struct bh_err *err) {
    if (look_here(site, key, out_found, out, err) != 0 ||
        (!*out_found && look_elsewhere(site, key, out_found, out, err) != 0))
        return err->code;
    if (*out_found)
        note(site, key, out);
    return 0;
}

int build_cache_keep(struct build_site *site, const struct bh_digest *key, struct build_result *r,
                     const char *description, struct bh_err *err) {
    if (keep(site, key, r, description, err) != 0)
        return err->code;
    note(site, key, r);
    return 0;
}
