/*
 * save.c - see save.h.
 *
 * Room: store.  Reads rows and its own files only.  A lease holds everything until the last byte is out.
 */
#include "save.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "gc.h"
#include "lease.h"
#include "oci/manifest.h"
#include "place.h"
#include "save_set.h"

#define SAVE_ARENA ((size_t)64 << 20)

/* ---- documents ----------------------------------------------------------------------------- */

static int index_entry(struct store_saving *x, const struct store_saved_image *im, const struct store_saved_name *name,
                       struct bh_desc *d, struct bh_err *err) {
    const struct store_saved_index *index = name != NULL ? name->index : im->index;
    char full[BH_REF_TEXT_SIZE];

    *d = (struct bh_desc){
        .media_type = im->manifest_media, .digest_text = im->manifest, .size = im->manifest_size, .artifact_type = ""};
    if (index != NULL)
        *d = (struct bh_desc){
            .media_type = index->media, .digest_text = index->digest, .size = index->size, .artifact_type = ""};
    if (bh_digest_parse(d->digest_text, &d->digest, err) != 0 || name == NULL)
        return err->code;
    bh_ref_format(&name->ref, full);
    if (bh_pairs_set(&d->annotations, &x->arena, BH_ANNOTATION_IMAGE_NAME, full, err) != 0)
        return err->code;
    return bh_pairs_set(&d->annotations, &x->arena, BH_ANNOTATION_REF_NAME, name->ref.tag, err);
}

static int write_index(struct store_saving *x, struct bh_buf *out, struct bh_err *err) {
    struct bh_index index = {.media_type = BH_MT_OCI_INDEX, .artifact_type = ""};
    size_t n = 0;

    for (size_t i = 0; i < x->n_images; i++)
        n += x->images[i].n_names > 0 ? x->images[i].n_names : 1;
    index.entries = bh_oci_alloc(&x->arena, (n + 1) * sizeof *index.entries, err);
    if (index.entries == NULL)
        return err->code;
    for (size_t i = 0; i < x->n_images; i++) {
        const struct store_saved_image *im = &x->images[i];

        if (im->n_names == 0 && !im->part && index_entry(x, im, NULL, &index.entries[index.n_entries++], err) != 0)
            return err->code;
        for (size_t j = 0; j < im->n_names; j++)
            if (index_entry(x, im, &im->names[j], &index.entries[index.n_entries++], err) != 0)
                return err->code;
    }
    bh_index_write(&index, out);
    return 0;
}

static int write_archive(struct store_saving *x, struct bh_buf *out, struct bh_err *err) {
    struct bh_archive archive = {0};

    archive.images = bh_oci_alloc(&x->arena, (x->n_images + 1) * sizeof *archive.images, err);
    if (archive.images == NULL)
        return err->code;
    for (size_t i = 0; i < x->n_images; i++) {
        const struct store_saved_image *im = &x->images[i];
        struct bh_archive_image *a = &archive.images[archive.n_images];

        if (im->part)
            continue;
        archive.n_images++;
        a->config = store_saving_path(x, im->id, err);
        a->layers = im->layers;
        a->layers.present = true;
        if (a->config == NULL)
            return err->code;
        for (size_t j = 0; j < im->n_names; j++) {
            char text[BH_REF_TEXT_SIZE];

            bh_ref_familiar(&im->names[j].ref, text);
            if (bh_strlist_add(&a->repo_tags, &x->arena, text, err) != 0)
                return err->code;
        }
    }
    bh_archive_write(&archive, out);
    return 0;
}

static int row_cmp(const void *a, const void *b) {
    const struct bh_repository_row *x = a;
    const struct bh_repository_row *y = b;
    int r = strcmp(x->name, y->name);

    return r != 0 ? r : strcmp(x->tag, y->tag);
}

static int write_repositories(struct store_saving *x, struct bh_buf *out, struct bh_err *err) {
    struct bh_repository_row *rows;
    size_t max = 0;
    size_t n = 0;

    for (size_t i = 0; i < x->n_images; i++)
        max += x->images[i].n_names;
    rows = bh_oci_alloc(&x->arena, (max + 1) * sizeof *rows, err);
    if (rows == NULL)
        return err->code;
    for (size_t i = 0; i < x->n_images; i++) {
        const struct store_saved_image *im = &x->images[i];

        for (size_t j = 0; j < im->n_names && im->top_layer[0] != '\0'; j++) {
            char name[BH_REF_TEXT_SIZE];

            bh_ref_familiar_name(&im->names[j].ref, name);
            rows[n].name = bh_oci_strdup(&x->arena, name, strlen(name), err);
            rows[n].tag = im->names[j].ref.tag;
            rows[n].id = im->top_layer + strlen("sha256:");
            if (rows[n++].name == NULL)
                return err->code;
        }
    }
    qsort(rows, n, sizeof *rows, row_cmp);
    if (n > 0)
        bh_repositories_write(rows, n, out);
    return 0;
}

typedef int writer_fn(struct store_saving *x, struct bh_buf *out, struct bh_err *err);

static int layout_document(struct store_saving *x, struct bh_buf *out, struct bh_err *err) {
    (void)x;
    (void)err;
    bh_layout_write(out);
    return 0;
}

static int put_document(struct store_saving *x, struct store_tarout *out, const char *name, writer_fn *write,
                        struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;

    if (write(x, &text, err) != 0)
        return err->code;
    if (bh_buf_failed(&text))
        return bh_err_set(err, BH_E_LIMIT, "%s of the archive is over %d MiB", name, 64);
    if (text.len == 0)
        return 0;
    return store_tarout_bytes(out, name, text.data, text.len, err);
}

/* ---- writing ------------------------------------------------------------------------------- */

static int piece_cmp(const void *a, const void *b) {
    return strcmp(((const struct store_piece *)a)->digest, ((const struct store_piece *)b)->digest);
}

static int put_piece(struct store_saving *x, struct store_tarout *out, const struct store_piece *p,
                     struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;
    const char *path = store_saving_path(x, p->digest, err);

    if (path == NULL)
        return err->code;
    if (p->data != NULL)
        return store_tarout_bytes(out, path, p->data, p->n, err);
    if (store_file_open(&x->s->place, p->tree, p->digest, &fd, err) != 0)
        return err->code;
    return store_tarout_file(out, path, fd, p->offset, p->size, err);
}

static int put_all(struct store_saving *x, struct store_tarout *out, struct bh_err *err) {
    qsort(x->pieces, x->n_pieces, sizeof *x->pieces, piece_cmp);
    if (put_document(x, out, "oci-layout", layout_document, err) != 0 ||
        put_document(x, out, "index.json", write_index, err) != 0 ||
        put_document(x, out, "manifest.json", write_archive, err) != 0 ||
        put_document(x, out, "repositories", write_repositories, err) != 0 ||
        store_tarout_dir(out, "blobs/", err) != 0 || store_tarout_dir(out, "blobs/sha256/", err) != 0)
        return err->code;
    for (size_t i = 0; i < x->n_pieces; i++)
        if (put_piece(x, out, &x->pieces[i], err) != 0)
            return err->code;
    return store_tarout_end(out, err);
}

static int save_all(struct store_saving *x, struct store_tarout *out, struct bh_err *err) {
    int r;

    if (x->save->n_names == 0)
        return bh_err_set(err, BH_E_INVALID, "no image to save was named");
    if (store_lease_take(x->s, x->save->who.owner, "save", &x->lease, err) != 0)
        return err->code;
    /* shared: between choosing and the lease nothing may be collected */
    store_tidy_share(x->s);
    r = store_saving_choose(x, err);
    store_tidy_end(x->s);
    return r != 0 ? r : put_all(x, out, err);
}

int store_save(struct store *s, const struct store_save *save, struct store_tarout *out, struct bh_err *err) {
    struct store_saving x = {.s = s, .save = save};
    uint64_t removals = store_removals(s);
    int r;

    bh_arena_init(&x.arena, SAVE_ARENA);
    r = save_all(&x, out, err);
    store_lease_drop(s, &x.lease);
    if (store_removals(s) != removals) /* what was removed meanwhile lived on for us */
        store_gc_now(s);
    bh_arena_fini(&x.arena);
    return r;
}
