/*
 * copy_side.c - see copy_side.h.
 *
 * Room: client.
 */
#include "cli/copy_side.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/engine.h"
#include "cli/remote.h"

/* ---- a side ------------------------------------------------------------------------------------------------ */

int cli_copy_side_init(struct cli_copy_side *s, const char *word, struct bh_err *err) {
    *s = (struct cli_copy_side){.layout.fd = -1};
    s->word = bh_str_starts(word, "docker://") ? word + 9 : word;
    return cli_layout_name_parse(word, &s->is_layout, &s->folder, err);
}

void cli_copy_side_fini(struct cli_copy_side *s) {
    cli_layout_close(&s->layout);
    bulkhead_value_free(s->inspect);
    bulkhead_value_free(s->manifest);
    bulkhead_value_free(s->blob);
}

static int new_request(struct cli_copy_side *s, struct cli_ctx *ctx, const struct cli_args *args,
                       enum cli_remote_use use, bulkhead_value **out) {
    bulkhead_value *remote = NULL;
    const struct cli_remote_names group = {use, &s->word, 1,
                                           cli_str(args, use == CLI_REMOTE_PULL ? "src-creds" : "dest-creds")};
    int status = cli_remote_make_all(ctx, args, &group, 1, &remote);

    if (status != 0)
        return status;
    *out = bulkhead_map_new();
    bulkhead_set_str(*out, "reference", s->word);
    bulkhead_set(*out, "remote", remote);
    return 0;
}

int cli_copy_side_connect(struct cli_copy_side *s, struct cli_ctx *ctx, const struct cli_args *args,
                          enum cli_remote_use use) {
    int status;

    if (s->is_layout)
        return 0;
    s->engine = cli_engine(ctx);
    if (s->engine == NULL)
        return CLI_EXIT_FAILED;
    if ((status = new_request(s, ctx, args, use, &s->inspect)) != 0 ||
        (status = new_request(s, ctx, args, use, &s->manifest)) != 0)
        return status;
    return new_request(s, ctx, args, use, &s->blob);
}

/* "host:1/name:tag@digest" -> "host:1/name@digest". */
static void name_by_digest(const struct cli_copy_side *s, const char *digest, char out[BH_REF_TEXT_SIZE]) {
    const char *at = strchr(s->word, '@');
    int n = (int)(at != NULL ? (size_t)(at - s->word) : strlen(s->word));

    for (int i = n; i > 0 && s->word[i - 1] != '/'; i--)
        if (s->word[i - 1] == ':')
            n = i - 1;
    snprintf(out, BH_REF_TEXT_SIZE, "%.*s@%s", n, s->word, digest);
}

static int call(struct cli_copy_side *s, const char *method, const bulkhead_value *request, bulkhead_value **out,
                struct bh_err *err) {
    struct bulkhead_error e = {0};

    if (bulkhead_call(s->engine, "registry", method, request, 0, out, &e) == 0)
        return 0;
    cli_error_of(&e, err);
    return err->code;
}

static void set_desc(bulkhead_value *request, const struct bh_desc *d) {
    bulkhead_value *desc = bulkhead_map_new();

    bulkhead_set_str(desc, "media_type", d->media_type);
    bulkhead_set_str(desc, "digest", d->digest_text);
    bulkhead_set_uint(desc, "size", d->size);
    bulkhead_set(request, "desc", desc);
}

/* ---- documents ------------------------------------------------------------------------------------------------ */

static int keep_reply(const bulkhead_value *reply, struct bh_arena *arena, struct cli_copy_document *out,
                      struct bh_err *err) {
    const bulkhead_value *top = bulkhead_get(reply, "top"), *desc = bulkhead_get(top, "desc");
    const char *digest = bulkhead_get_str(desc, "digest"), *type = bulkhead_get_str(desc, "media_type");
    const void *data;
    size_t n = 0;

    data = bulkhead_get_bytes(top, "data", &n);
    bh_buf_add(&out->data, data, n);
    if (bh_buf_failed(&out->data))
        return bh_err_set(err, BH_E_LIMIT, "a manifest is too large");
    out->desc = (struct bh_desc){.size = n};
    if (bh_digest_parse(digest, &out->desc.digest, err) != 0)
        return err->code;
    out->desc.digest_text = bh_oci_strdup(arena, digest, strlen(digest), err);
    out->desc.media_type = bh_oci_strdup(arena, type, strlen(type), err);
    return out->desc.digest_text != NULL && out->desc.media_type != NULL ? 0 : err->code;
}

static int ask_registry(struct cli_copy_side *from, const struct bh_desc *entry, struct bh_arena *arena,
                        struct cli_copy_document *out, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];
    bulkhead_value *reply = NULL;
    int r;

    if (entry != NULL)
        name_by_digest(from, entry->digest_text, name);
    bulkhead_set_str(from->inspect, "reference", entry != NULL ? name : from->word);
    if (call(from, "RemoteInspect", from->inspect, &reply, err) != 0)
        return err->code;
    r = keep_reply(reply, arena, out, err);
    bulkhead_value_free(reply);
    return r;
}

static int read_layout(struct cli_copy_side *from, const struct bh_desc *entry, struct bh_arena *arena,
                       struct cli_copy_document *out, struct bh_err *err) {
    if (entry != NULL)
        out->desc = *entry;
    else if (cli_layout_find(&from->layout, from->folder.tag, arena, &out->desc, err) != 0)
        return err->code;
    return cli_layout_read(&from->layout, &out->desc, &out->data, err);
}

int cli_copy_document_get(struct cli_copy_side *from, const struct bh_desc *entry, struct bh_arena *arena,
                          struct cli_copy_document *out, struct bh_err *err) {
    char what[BH_DIGEST_TEXT_SIZE + 16];
    struct bh_doc *doc = &out->doc;
    int r;

    *out = (struct cli_copy_document){.data = BH_BUF_INIT};
    r = from->is_layout ? read_layout(from, entry, arena, out, err) : ask_registry(from, entry, arena, out, err);
    if (r == 0) {
        snprintf(what, sizeof what, "manifest %s", out->desc.digest_text);
        r = bh_doc_parse(bh_buf_str(&out->data), out->data.len, out->desc.media_type, what, NULL, arena, doc, err);
    }
    if (r != 0)
        bh_buf_fini(&out->data);
    else if (out->desc.media_type[0] == '\0')
        out->desc.media_type = doc->kind == BH_DOC_INDEX ? doc->index.media_type : doc->manifest.media_type;
    return r;
}

int cli_copy_document_put(struct cli_copy_side *to, const struct cli_copy_document *d, bool named, struct bh_err *err) {
    char name[BH_REF_TEXT_SIZE];
    bulkhead_value *reply = NULL;

    if (to->is_layout) {
        if (cli_layout_write(&to->layout, &d->desc, bh_buf_str(&d->data), d->data.len, err) != 0)
            return err->code;
        return named ? cli_layout_set(&to->layout, &d->desc, to->folder.tag, err) : 0;
    }
    name_by_digest(to, d->desc.digest_text, name);
    bulkhead_set_str(to->manifest, "reference", named ? to->word : name);
    set_desc(to->manifest, &d->desc);
    bulkhead_set_bytes(to->manifest, "data", bh_buf_str(&d->data), d->data.len);
    if (call(to, "ManifestPush", to->manifest, &reply, err) != 0)
        return err->code;
    bulkhead_value_free(reply);
    return 0;
}

/* ---- blobs --------------------------------------------------------------------------------------------------------
 */

static int open_call(struct cli_copy_side *s, const char *method, const struct bh_desc *desc, int fd,
                     bulkhead_stream **out, struct bh_err *err) {
    struct bulkhead_error e = {0};

    set_desc(s->blob, desc);
    if (bulkhead_stream_open(s->engine, "registry", method, s->blob, &fd, 1, out, &e) == 0)
        return 0;
    cli_error_of(&e, err);
    return err->code;
}

static int copy_bytes(int from, int to, const char *what, struct bh_err *err) {
    char *block BH_SCOPE_FREE = bh_xmalloc((size_t)1 << 18);
    ssize_t n;

    while ((n = bh_read_full(from, block, (size_t)1 << 18)) > 0)
        if (bh_write_all(to, block, (size_t)n) != 0)
            return bh_err_errno(err, errno, "write blob %s", what);
    return n == 0 ? 0 : bh_err_errno(err, errno, "read blob %s", what);
}

static int copy_here(struct cli_copy_side *from, struct cli_copy_side *to, struct cli_copy_blob *b,
                     struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;

    if (cli_layout_blob(&from->layout, b->desc, &fd, err) != 0 ||
        copy_bytes(fd, b->file.fd, b->desc->digest_text, err) != 0)
        return err->code;
    return cli_layout_file_commit(&to->layout, b->desc, &b->file, true, err);
}

static int send(struct cli_copy_side *from, struct cli_copy_side *to, struct cli_copy_blob *b, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;

    if (cli_layout_blob(&from->layout, b->desc, &fd, err) != 0)
        return err->code;
    return open_call(to, "BlobPush", b->desc, fd, &b->call, err);
}

int cli_copy_blob_begin(struct cli_copy_side *from, struct cli_copy_side *to, struct cli_copy_blob *b,
                        struct bh_err *err) {
    int r;

    b->file.fd = -1;
    if (!to->is_layout)
        return send(from, to, b, err);
    b->there = cli_layout_has(&to->layout, b->desc);
    if (b->there)
        return 0;
    if (cli_layout_file_open(&to->layout, b->desc, &b->file, err) != 0)
        return err->code;
    r = from->is_layout ? copy_here(from, to, b, err)
                        : open_call(from, "BlobFetch", b->desc, b->file.fd, &b->call, err);
    if (r != 0)
        cli_layout_file_abort(&to->layout, &b->file);
    return r;
}

int cli_copy_blob_end(struct cli_copy_side *to, struct cli_copy_blob *b, struct bh_err *err) {
    struct bulkhead_error e = {0};
    bulkhead_value *reply = NULL;
    int r = 0;

    if (b->call == NULL)
        return 0;
    if (bulkhead_stream_finish(b->call, &reply, &e) != 0) {
        cli_error_of(&e, err);
        r = err->code;
    } else if (to->is_layout) {
        r = cli_layout_file_commit(&to->layout, b->desc, &b->file, false, err);
    } else {
        b->there = bulkhead_get_bool(reply, "there");
    }
    bulkhead_value_free(reply);
    cli_copy_blob_abort(to, b);
    return r;
}

void cli_copy_blob_abort(struct cli_copy_side *to, struct cli_copy_blob *b) {
    if (b->call == NULL)
        return;
    bulkhead_stream_cancel(b->call);
    bulkhead_stream_free(b->call);
    b->call = NULL;
    if (to->is_layout)
        cli_layout_file_abort(&to->layout, &b->file);
}
