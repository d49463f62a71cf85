/*
 * manifest_write.c - manifests and indexes made here, as bytes.
 * Room: store (commit, import, save) and build.  Pure.  Trusts the struct: its texts are valid UTF-8.
 * The bytes depend on the struct alone, because a digest is taken of them: fixed key order, sorted
 * maps, no blanks.  A document that came in is never written again; its own bytes are kept.
 */
#include <inttypes.h>
#include <string.h>

#include "oci/manifest.h"
#include "oci/write.h"

void bh_write_key(struct bh_buf *b, const char *key) {
    if (b->len > 0 && b->data[b->len - 1] != '{')
        bh_buf_addc(b, ',');
    bh_write_text(b, key);
    bh_buf_addc(b, ':');
}

void bh_write_text(struct bh_buf *b, const char *s) {
    bh_buf_add_json_str(b, s, strlen(s));
}

void bh_write_str(struct bh_buf *b, const char *key, const char *value) {
    if (value == NULL || value[0] == '\0')
        return;
    bh_write_key(b, key);
    bh_write_text(b, value);
}

void bh_write_strlist(struct bh_buf *b, const char *key, const struct bh_strlist *l) {
    if (!l->present)
        return;
    bh_write_key(b, key);
    bh_buf_addc(b, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0)
            bh_buf_addc(b, ',');
        bh_write_text(b, l->v[i]);
    }
    bh_buf_addc(b, ']');
}

void bh_write_pairs(struct bh_buf *b, const char *key, const struct bh_pairs *p) {
    if (!p->present)
        return;
    bh_write_key(b, key);
    bh_buf_addc(b, '{');
    for (size_t i = 0; i < p->n; i++) {
        bh_write_key(b, p->v[i].key);
        bh_write_text(b, p->v[i].value);
    }
    bh_buf_addc(b, '}');
}

static void write_platform(struct bh_buf *b, const struct bh_platform *p) {
    bh_write_key(b, "platform");
    bh_buf_addc(b, '{');
    bh_write_key(b, "architecture");
    bh_write_text(b, p->arch);
    bh_write_key(b, "os");
    bh_write_text(b, p->os);
    bh_write_str(b, "os.version", p->os_version);
    bh_write_str(b, "variant", p->variant);
    bh_buf_addc(b, '}');
}

void bh_desc_write(const struct bh_desc *d, struct bh_buf *out) {
    char text[BH_DIGEST_TEXT_SIZE];

    bh_digest_format(&d->digest, text);
    bh_buf_addc(out, '{');
    bh_write_str(out, "mediaType", d->media_type);
    bh_write_str(out, "digest", text[0] != '\0' ? text : d->digest_text);
    bh_write_key(out, "size");
    bh_buf_addf(out, "%" PRIu64, d->size);
    bh_write_strlist(out, "urls", &d->urls);
    bh_write_pairs(out, "annotations", &d->annotations);
    if (d->has_platform)
        write_platform(out, &d->platform);
    bh_write_str(out, "artifactType", d->artifact_type);
    bh_buf_addc(out, '}');
}

static void write_descs(struct bh_buf *b, const char *key, const struct bh_desc *list, size_t n) {
    bh_write_key(b, key);
    bh_buf_addc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            bh_buf_addc(b, ',');
        bh_desc_write(&list[i], b);
    }
    bh_buf_addc(b, ']');
}

static void write_head(struct bh_buf *b, const char *media_type, const char *artifact_type) {
    bh_buf_adds(b, "{\"schemaVersion\":2");
    bh_write_str(b, "mediaType", media_type);
    bh_write_str(b, "artifactType", artifact_type);
}

static void write_tail(struct bh_buf *b, const struct bh_desc *subject, const struct bh_pairs *annotations) {
    if (subject != NULL) {
        bh_write_key(b, "subject");
        bh_desc_write(subject, b);
    }
    bh_write_pairs(b, "annotations", annotations);
    bh_buf_addc(b, '}');
}

void bh_manifest_write(const struct bh_manifest *m, struct bh_buf *out) {
    write_head(out, m->media_type != NULL ? m->media_type : BH_MT_OCI_MANIFEST, m->artifact_type);
    bh_write_key(out, "config");
    bh_desc_write(&m->config, out);
    write_descs(out, "layers", m->layers, m->n_layers);
    write_tail(out, m->has_subject ? &m->subject : NULL, &m->annotations);
}

void bh_index_write(const struct bh_index *index, struct bh_buf *out) {
    write_head(out, index->media_type != NULL ? index->media_type : BH_MT_OCI_INDEX, index->artifact_type);
    write_descs(out, "manifests", index->entries, index->n_entries);
    write_tail(out, index->has_subject ? &index->subject : NULL, &index->annotations);
}
