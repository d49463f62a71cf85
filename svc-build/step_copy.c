/*
 * step_copy.c - COPY, ADD, WORKDIR: a layer out of files that the store has.
 *
 * Room: build.  No file comes here.  First the store tells what the layer would hold, as one digest over names,
 * owners, modes and contents; an earlier build that made a layer of the same is found by it, whatever the files'
 * times are.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "job.h"
#include "key.h"
#include "owner.h"
#include "registry.h"
#include "room.h"

#define FILE_MODE 0644
#define BODY_MODE "0600" /* of what came from an address */

int build_path_join(const char *folder, const char *path, struct bh_arena *arena, const char **out,
                    struct bh_err *err) {
    BH_SCOPE_FREE char *whole = path[0] == '/' ? bh_xstrdup(path) : bh_xasprintf("%s/%s", folder, path);
    char *clean = bh_oci_alloc(arena, strlen(whole) + 2, err);
    size_t n = 0;
    char *save = NULL;

    if (clean == NULL)
        return err->code;
    for (char *part = strtok_r(whole, "/", &save); part != NULL; part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (n > 0 && clean[--n] != '/')
                ;
            continue;
        }
        clean[n++] = '/';
        memcpy(clean + n, part, strlen(part));
        n += strlen(part);
    }
    if (n == 0)
        clean[n++] = '/';
    clean[n] = '\0';
    *out = clean;
    return 0;
}

/* ---- composing ------------------------------------------------------------------------------- */

static struct build_compose compose_of(const struct build_site *site, const struct build_item *items, size_t n) {
    return (struct build_compose){.hold = build_hold_number(site->job->hold),
                                  .onto = {.layers = site->image.diff_ids, .n = site->image.n_diff_ids},
                                  .items = items,
                                  .n_items = n,
                                  .clamp = site->job->ask->has_epoch,
                                  .clamp_ns = site->job->ask->epoch_ns};
}

/* An archive has to be unpacked before it is known where its files go. */
static bool may_unpack(const struct build_compose *c) {
    for (size_t i = 0; i < c->n_items; i++)
        if (c->items[i].unpack)
            return true;
    return false;
}

/* The store tells what the files are, and what is made of them where they go: the layers below count for no more than
 * that, with --link for nothing. */
static int key_of(struct build_site *site, struct build_compose *c, struct bh_digest *out, struct bh_err *err) {
    const struct build_item *first = &c->items[0];
    struct build_composed seen = {0};
    struct build_key k;

    c->with_place = !first->mkdir && !first->link && !may_unpack(c);
    if (!first->mkdir && build_compose(site->job->room->store, c, &site->job->cancel, &site->arena, &seen, err) != 0)
        return err->code;
    if (build_key_begin(&k, first->mkdir ? "folder" : "files", err) != 0)
        return err->code;
    if (first->mkdir) {
        build_key_text(&k, first->target);
        build_key_number(&k, first->uid);
        build_key_number(&k, first->gid);
    } else {
        build_key_digests(&k, &seen.content, 1);
    }
    if (c->with_place)
        build_key_digests(&k, &seen.place, 1);
    else
        build_key_digests(&k, c->onto.layers, first->link ? 0 : c->onto.n);
    build_key_number(&k, site->job->ask->has_epoch);
    build_key_number(&k, site->job->ask->epoch_ns);
    return build_key_end(&k, out, err);
}

/* A WORKDIR that is there already has no layer, a COPY has one in any case. */
static int make_layer(struct build_site *site, struct build_compose *c, const struct bh_digest *key, const char *text,
                      struct build_result *out, struct bh_err *err) {
    struct build_composed made;
    int r;

    c->only_digest = c->with_place = false;
    if (build_slot_take(site->job, err) != 0)
        return err->code;
    r = build_compose(site->job->room->store, c, &site->job->cancel, &site->arena, &made, err);
    build_slot_give(site->job);
    if (r != 0)
        return r;
    *out = (struct build_result){.has_layer = true, .layer = made.layer, .created_ns = bh_now_ns()};
    if (made.empty && c->items[0].mkdir)
        out->has_layer = false;
    else if (made.empty && build_nothing(site->job, &out->layer, err) != 0)
        return err->code;
    return build_cache_keep(site, key, out, text, err);
}

static int files_layer(struct build_site *site, const struct build_item *items, size_t n, const char *text,
                       bool *out_cached, struct build_result *out, struct bh_err *err) {
    struct build_compose c = compose_of(site, items, n);
    struct bh_digest key;

    *out_cached = false;
    c.only_digest = true;
    if (key_of(site, &c, &key, err) != 0 || build_cache_look(site, &key, out_cached, out, err) != 0)
        return err->code;
    return *out_cached ? 0 : make_layer(site, &c, &key, text, out, err);
}

static void end_vertex(struct build_vertex_ref v, int r, bool cached, const struct bh_err *err) {
    if (r == 0)
        build_vertex_end(v, cached ? BUILD_V_CACHED : BUILD_V_DONE, NULL);
    else
        build_vertex_end(v, r == BH_E_CANCELLED ? BUILD_V_CANCELLED : BUILD_V_ERROR, err);
}

/* ---- COPY and ADD ---------------------------------------------------------------------------- */

struct copying {
    struct build_site *site;
    const struct build_instruction *in;
    const struct build_copy *copy;
    struct build_vertex_ref v;
    const char *dest; /* absolute; ends with '/' for a folder */
    struct build_item *items;
    size_t n_items;
    int64_t uid, gid;
};

static bool is_address(const char *source) {
    return bh_str_starts(source, "http://") || bh_str_starts(source, "https://");
}

static bool is_git(const char *source) {
    return bh_str_starts(source, "git://") || bh_str_starts(source, "git@") ||
           (is_address(source) && strstr(source, ".git") != NULL &&
            (bh_str_ends(source, ".git") || strstr(source, ".git#") != NULL));
}

/* A destination that is a folder keeps its slash at the end. */
static int find_dest(struct copying *x, struct bh_err *err) {
    const char *written = x->copy->dest.s, *clean = NULL;
    size_t n = strlen(written);
    bool folder = n == 0 || written[n - 1] == '/' || strcmp(written, ".") == 0 || strcmp(written, "..") == 0 ||
                  bh_str_ends(written, "/.") || bh_str_ends(written, "/..");
    const char *base = x->site->image.config.working_dir;
    BH_SCOPE_FREE char *text = NULL;

    if (build_path_join(base[0] != '\0' ? base : "/", written, &x->site->arena, &clean, err) != 0)
        return err->code;
    folder = folder && strcmp(clean, "/") != 0;
    text = bh_xasprintf("%s%s", clean, folder ? "/" : "");
    x->dest = bh_oci_strdup(&x->site->arena, text, strlen(text), err);
    return x->dest == NULL ? err->code : 0;
}

static struct build_item new_item(const struct copying *x) {
    const char *chmod = x->copy->chmod.s;

    return (struct build_item){
        .target = x->dest, .uid = x->uid, .gid = x->gid, .chmod = chmod != NULL ? chmod : "", .link = x->copy->link};
}

static int exclude_list(const struct copying *x, struct bh_strlist *out, struct bh_err *err) {
    for (size_t i = 0; i < x->copy->exclude.n; i++)
        if (bh_strlist_add(out, &x->site->arena, x->copy->exclude.v[i].s, err) != 0)
            return err->code;
    return 0;
}

static int no_context(const struct copying *x, struct bh_err *err) {
    return bh_err_set(err, BH_E_INVALID, "line %u: %s needs files of the build context, and there is none",
                      x->in->at.line, build_op_name(x->in->op));
}

/* The sources that lie in the context, a stage or an image: one item. */
static int add_files(struct copying *x, struct bh_err *err) {
    const struct build_job *job = x->site->job;
    struct build_item item = new_item(x);

    item.has_from = item.wildcard = item.contents = true;
    for (size_t i = 0; i < x->copy->sources.n; i++) {
        const char *source = x->copy->sources.v[i].s;

        if (x->in->op == BUILD_ADD && is_address(source))
            continue;
        if (!x->copy->parents && build_path_join("/", source, &x->site->arena, &source, err) != 0)
            return err->code; /* with --parents "./" marks where they begin */
        if (bh_strlist_add(&item.sources, &x->site->arena, source, err) != 0)
            return err->code;
    }
    if (item.sources.n == 0)
        return 0;
    if (x->copy->from.s != NULL) {
        if (build_source_stack(x->site, x->v, x->copy->from.s, &item.from, err) != 0)
            return err->code;
    } else {
        if (!build_has_files(&job->context))
            return no_context(x, err);
        item.from = job->context;
        item.ignore = job->ignore;
    }
    item.parents = x->copy->parents;
    item.unpack = x->in->op == BUILD_ADD && (!x->copy->has_unpack || x->copy->unpack);
    if (exclude_list(x, &item.exclude, err) != 0)
        return err->code;
    x->items[x->n_items++] = item;
    return 0;
}

static int add_heredocs(struct copying *x, struct bh_err *err) {
    bool many = x->copy->files.n + x->copy->sources.n > 1 || bh_str_ends(x->dest, "/");

    for (size_t i = 0; i < x->copy->files.n; i++) {
        const struct build_heredoc *doc = &x->copy->files.v[i];
        struct build_item item = new_item(x);
        BH_SCOPE_FREE char *text = bh_xasprintf("%s%s%s", x->dest, bh_str_ends(x->dest, "/") ? "" : "/", doc->name);

        if (many && (item.target = bh_oci_strdup(&x->site->arena, text, strlen(text), err)) == NULL)
            return err->code;
        item.data = doc->text;
        item.n_data = doc->text_len;
        item.mode = FILE_MODE;
        item.uid = item.uid < 0 ? 0 : item.uid;
        item.gid = item.gid < 0 ? 0 : item.gid;
        x->items[x->n_items++] = item;
    }
    return 0;
}

/* The body becomes a layer with one file, which is then a source as any other. */
static int add_address(struct copying *x, const char *url, struct bh_err *err) {
    static const char *body[] = {"/body"};
    struct build_item item = new_item(x);
    struct bh_digest *layer = bh_oci_alloc(&x->site->arena, sizeof *layer, err);
    const char *checksum = x->copy->checksum.s != NULL ? x->copy->checksum.s : "";
    struct build_fetched got;
    BH_SCOPE_FREE char *text = NULL;

    if (layer == NULL || build_fetch_layer(x->site->job, url, checksum, &x->site->arena, &got, layer, err) != 0)
        return err->code;
    if (bh_str_ends(x->dest, "/") && got.filename[0] == '\0')
        return bh_err_set(err, BH_E_INVALID, "line %u: cannot determine a file name from %s: write one", x->in->at.line,
                          url);
    text = bh_xasprintf("%s%s", x->dest, bh_str_ends(x->dest, "/") ? got.filename : "");
    item.unpack = x->copy->has_unpack && x->copy->unpack;
    if (!item.unpack && (item.target = bh_oci_strdup(&x->site->arena, text, strlen(text), err)) == NULL)
        return err->code;
    item.has_from = true;
    item.from = (struct build_stack){.layers = layer, .n = 1};
    item.sources = (struct bh_strlist){.present = true, .n = 1, .v = body};
    if (item.chmod[0] == '\0' && !item.unpack)
        item.chmod = BODY_MODE;
    x->items[x->n_items++] = item;
    return 0;
}

static int add_addresses(struct copying *x, struct bh_err *err) {
    for (size_t i = 0; x->in->op == BUILD_ADD && i < x->copy->sources.n; i++) {
        const char *source = x->copy->sources.v[i].s;

        if (is_git(source)) {
            bh_err_set(err, BH_E_UNIMPLEMENTED, "line %u: ADD of a git repository is not possible", x->in->at.line);
            return bh_err_hint(err, "add an archive of it by its address, or clone it into the context");
        }
        if (is_address(source) && add_address(x, source, err) != 0)
            return err->code;
    }
    return 0;
}

static int make_items(struct copying *x, struct bh_err *err) {
    x->items = bh_oci_alloc(&x->site->arena, (x->copy->sources.n + x->copy->files.n + 1) * sizeof *x->items, err);
    x->uid = x->gid = -1;
    if (x->items == NULL || find_dest(x, err) != 0)
        return err->code;
    if (x->copy->chown.s != NULL && x->copy->chown.s[0] != '\0' &&
        build_owner_find(x->site, x->copy->chown.s, &x->uid, &x->gid, err) != 0)
        return bh_err_prefix(err, "line %u", x->in->at.line);
    if (add_files(x, err) != 0 || add_addresses(x, err) != 0 || add_heredocs(x, err) != 0)
        return err->code;
    return 0;
}

/* "COPY --chown=www a b /c" */
static char *history_text(const struct copying *x) {
    struct bh_buf b = BH_BUF_INIT_MAX((size_t)4 << 20);

    bh_buf_adds(&b, build_op_name(x->in->op));
    if (x->copy->parents)
        bh_buf_adds(&b, " --parents");
    if (x->copy->chown.s != NULL && x->copy->chown.s[0] != '\0')
        bh_buf_addf(&b, " --chown=%s", x->copy->chown.s);
    if (x->copy->chmod.s != NULL && x->copy->chmod.s[0] != '\0')
        bh_buf_addf(&b, " --chmod=%s", x->copy->chmod.s);
    for (size_t i = 0; i < x->copy->sources.n; i++)
        bh_buf_addf(&b, " %s", x->copy->sources.v[i].s);
    for (size_t i = 0; i < x->copy->files.n; i++)
        bh_buf_addf(&b, " <<%s", x->copy->files.v[i].name);
    bh_buf_addf(&b, " %s", x->copy->dest.s);
    return bh_buf_take(&b);
}

int build_step_copy(struct build_site *site, const struct build_instruction *in, struct bh_err *err) {
    struct copying x = {.site = site, .in = in, .v = build_vertex_begin(site, in, "")};
    struct build_instruction expanded;
    BH_SCOPE_FREE char *text = NULL;
    bool cached = false;
    struct build_result result;
    int r = build_instruction_expand(in, &site->scope, &expanded, err);

    x.copy = &expanded.copy;
    if (r == 0)
        r = make_items(&x, err);
    if (r == 0) {
        text = history_text(&x);
        r = files_layer(site, x.items, x.n_items, text, &cached, &result, err);
    }
    if (r == 0)
        r = build_history_layer(site, text, &result, err);
    end_vertex(x.v, r, cached, err);
    return r;
}

/* ---- WORKDIR --------------------------------------------------------------------------------- */

static int folder_item(struct build_site *site, struct build_item *out, struct bh_err *err) {
    const struct build_ask *ask = site->job->ask;

    *out = (struct build_item){.target = site->image.config.working_dir,
                               .mkdir = true,
                               .mode = 0755,
                               .mtime_ns = ask->has_epoch ? ask->epoch_ns : bh_now_ns()};
    if (site->image.config.user[0] == '\0')
        return 0;
    return build_owner_find(site, site->image.config.user, &out->uid, &out->gid, err);
}

static int workdir(struct build_site *site, const char *path, bool *out_cached, struct bh_err *err) {
    const char *old = site->image.config.working_dir;
    BH_SCOPE_FREE char *text = NULL;
    struct build_result result = {0};
    struct build_item item;

    if (build_path_join(old[0] != '\0' ? old : "/", path, &site->arena, &site->image.config.working_dir, err) != 0)
        return err->code;
    text = bh_xasprintf("WORKDIR %s", site->image.config.working_dir);
    if (strcmp(site->image.config.working_dir, "/") != 0) {
        if (folder_item(site, &item, err) != 0 || files_layer(site, &item, 1, text, out_cached, &result, err) != 0)
            return err->code;
    }
    if (!result.has_layer)
        *out_cached = true; /* nothing was done */
    return result.has_layer ? build_history_layer(site, text, &result, err) : build_history_meta(site, text, err);
}

int build_step_workdir(struct build_site *site, const struct build_instruction *in, struct bh_err *err) {
    struct build_vertex_ref v = build_vertex_begin(site, in, "");
    struct build_instruction expanded;
    bool cached = false;
    int r = build_instruction_expand(in, &site->scope, &expanded, err);

    if (r == 0)
        r = workdir(site, expanded.word.s, &cached, err);
    end_vertex(v, r, cached, err);
    return r;
}
