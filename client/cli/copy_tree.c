/*
 * copy_tree.c - see copy_tree.h.
 *
 * Room: client.
 */
#include "cli/copy_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ARENA     ((size_t)64 << 20)
#define DEPTH_MAX 3

struct run {
    struct cli_copy *c;
    struct bh_arena arena;
};

/* ---- the blobs of a manifest ---------------------------------------------------------------------------------- */

struct blobs {
    struct cli_copy_blob *v;
    size_t n;
};

static void add_blob(struct blobs *b, const struct bh_desc *d) {
    if (d->urls.n > 0)
        return; /* lies elsewhere for everybody */
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->v[i].desc->digest_text, d->digest_text) == 0)
            return;
    b->v[b->n++] = (struct cli_copy_blob){.desc = d};
}

static void tell(struct cli_copy *c, const struct cli_copy_blob *b, const char *state, uint64_t size) {
    char id[BH_DIGEST_SHORT_SIZE];

    bh_digest_short(&b->desc->digest, id);
    cli_progress_item(c->progress, id, state, 0, size);
}

static int begin(struct cli_copy *c, struct cli_copy_blob *b, struct bh_err *err) {
    const char *state = c->to->is_layout ? c->from->is_layout ? "Copying" : "Downloading" : "Pushing";

    tell(c, b, state, b->desc->size);
    return cli_copy_blob_begin(c->from, c->to, b, err);
}

static int end(struct cli_copy *c, struct cli_copy_blob *b, struct bh_err *err) {
    if (cli_copy_blob_end(c->to, b, err) != 0)
        return err->code;
    if (c->to->is_layout)
        tell(c, b, b->there ? "Already exists" : c->from->is_layout ? "Copied" : "Download complete", 0);
    else
        tell(c, b, b->there ? "Layer already exists" : "Pushed", 0);
    return 0;
}

/* `jobs` calls are under way at once; the oldest is waited for. */
static int run_blobs(struct cli_copy *c, struct blobs *b, struct bh_err *err) {
    size_t begun = 0, done = 0;
    int r = 0;

    while (r == 0 && done < b->n) {
        if (begun < b->n && begun - done < c->jobs)
            r = begin(c, &b->v[begun++], err);
        else
            r = end(c, &b->v[done++], err);
    }
    for (size_t i = done; i < begun; i++)
        cli_copy_blob_abort(c->to, &b->v[i]);
    return r;
}

static int copy_blobs(struct cli_copy *c, const struct bh_manifest *m, struct bh_err *err) {
    struct blobs b = {.v = bh_xcalloc(m->n_layers + 1, sizeof *b.v)};
    int r;

    for (size_t i = 0; i < m->n_layers; i++)
        add_blob(&b, &m->layers[i]);
    add_blob(&b, &m->config);
    r = run_blobs(c, &b, err);
    free(b.v);
    return r;
}

/* ---- from the top down, and back up with the manifests ------------------------------------------------------------
 */

static int copy_document(struct run *run, const struct cli_copy_document *d, unsigned depth, struct bh_err *err);

static int copy_entry(struct run *run, const struct bh_desc *entry, unsigned depth, struct bh_err *err) {
    struct cli_copy_document d;
    int r = cli_copy_document_get(run->c->from, entry, &run->arena, &d, err);

    if (r != 0)
        return r;
    r = copy_document(run, &d, depth, err);
    bh_buf_fini(&d.data);
    return r;
}

static int copy_document(struct run *run, const struct cli_copy_document *d, unsigned depth, struct bh_err *err) {
    const struct bh_index *index = &d->doc.index;

    if (depth > DEPTH_MAX)
        return bh_err_set(err, BH_E_LIMIT, "more than %d indexes within each other", DEPTH_MAX);
    if (d->doc.kind == BH_DOC_MANIFEST) {
        if (copy_blobs(run->c, &d->doc.manifest, err) != 0)
            return err->code;
    } else {
        for (size_t i = 0; i < index->n_entries; i++)
            if (copy_entry(run, &index->entries[i], depth + 1, err) != 0)
                return err->code;
    }
    return cli_copy_document_put(run->c->to, d, depth == 0, err);
}

/* What the name means, and of an index the one manifest that is wanted when not all are. */
static int take_top(struct run *run, struct cli_copy_document *top, struct bh_err *err) {
    struct cli_copy *c = run->c;

    if (cli_copy_document_get(c->from, NULL, &run->arena, top, err) != 0)
        return err->code;
    for (unsigned depth = 0; !c->all && top->doc.kind == BH_DOC_INDEX; depth++) {
        long at = bh_index_choose(&top->doc.index, &c->want);
        struct cli_copy_document next;

        if (at < 0 || depth == DEPTH_MAX)
            bh_index_no_match(&c->want, c->from->word, err);
        else if (cli_copy_document_get(c->from, &top->doc.index.entries[at], &run->arena, &next, err) == 0) {
            bh_buf_fini(&top->data);
            *top = next;
            continue;
        }
        bh_buf_fini(&top->data);
        return err->code;
    }
    return 0;
}

static void tell_end(struct cli_copy *c, const struct cli_copy_document *top) {
    char line[BH_REF_TEXT_SIZE + BH_DIGEST_TEXT_SIZE + 64];
    struct bh_err ignored = BH_ERR_INIT;
    const char *name = c->to->word;
    struct bh_ref ref;

    if (c->to->is_layout && c->to->folder.tag[0] != '\0')
        name = c->to->folder.tag;
    else if (!c->to->is_layout && bh_ref_parse_tagged(c->to->word, &ref, &ignored) == 0)
        name = ref.digest[0] != '\0' ? ref.digest : ref.tag;
    snprintf(line, sizeof line, "%.1000s: digest: %s size: %zu", name, top->desc.digest_text, top->data.len);
    cli_progress_line(c->progress, line);
}

static int open_target(struct cli_copy *c, struct bh_err *err) {
    return c->to->is_layout ? cli_layout_make(&c->to->layout, c->to->folder.dir, err) : 0;
}

int cli_copy_run(struct cli_copy *c, struct bh_err *err) {
    struct run run = {.c = c};
    struct cli_copy_document top;
    int r;

    if (c->from->is_layout && cli_layout_open(&c->from->layout, c->from->folder.dir, err) != 0)
        return err->code;
    bh_arena_init(&run.arena, ARENA);
    r = take_top(&run, &top, err);
    if (r == 0) {
        r = open_target(c, err); /* after the source was seen to be there */
        if (r == 0)
            r = copy_document(&run, &top, 0, err);
        if (r == 0)
            tell_end(c, &top);
        bh_buf_fini(&top.data);
    }
    bh_arena_fini(&run.arena);
    return r;
}
