/*
 * context.c - the files of a build's context go to the store, those that it lacks.
 *
 * Room: client.  The conversation is told in proto/store.proto at ContextPut: the list by content, then the
 * bytes that are asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "bulkhead/bulkhead.h"
#include "client.h"
#include "store.pb-c.h"

#define PACKED_MAX ((size_t)1 << 30)
#define CHUNK_MAX  ((size_t)512 << 10)
#define ENTRY_TAG  0x0a /* field 1 of ContextEntries, a message */

static int too_large(struct bulkhead_error *out_err) {
    struct bh_err err = BH_ERR_INIT;

    bh_err_set(&err, BH_E_LIMIT, "the list of the context's files is over %zu bytes", PACKED_MAX);
    return client_fail(&err, out_err);
}

static void add_varint(struct bh_buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        bh_buf_addc(b, (char)(v | 0x80));
    bh_buf_addc(b, (char)v);
}

static void add_entry(struct bh_buf *b, const struct bulkhead_context_entry *e) {
    Bulkhead__Store__V1__ContextEntry m = BULKHEAD__STORE__V1__CONTEXT_ENTRY__INIT;
    size_t n;
    void *room;

    m.path = (ProtobufCBinaryData){strlen(e->path), (uint8_t *)e->path};
    m.type = e->type;
    m.mode = e->mode;
    m.size = e->size;
    m.mtime_ns = e->mtime_ns;
    m.hard_link = e->hard_link;
    if (e->link != NULL)
        m.link = (ProtobufCBinaryData){strlen(e->link), (uint8_t *)e->link};
    if (e->type == 0100000)
        m.sha256 = (ProtobufCBinaryData){sizeof e->sha256, (uint8_t *)e->sha256};
    n = bulkhead__store__v1__context_entry__get_packed_size(&m);
    bh_buf_addc(b, ENTRY_TAG);
    add_varint(b, n);
    if ((room = bh_buf_room(b, n)) != NULL) {
        bulkhead__store__v1__context_entry__pack(&m, room);
        bh_buf_grew(b, n);
    }
}

int bulkhead_context_pack(const struct bulkhead_context_entry *entries, size_t n, void **out, size_t *out_n,
                          struct bulkhead_error *out_err) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT_MAX(PACKED_MAX);

    for (size_t i = 0; i < n; i++)
        add_entry(&b, &entries[i]);
    if (bh_buf_failed(&b))
        return too_large(out_err);
    *out_n = b.len;
    *out = bh_buf_take(&b);
    return 0;
}

/* Where the entry at p ends. */
static size_t entry_size(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    size_t at = 1;

    for (unsigned shift = 0; at < n && shift < 64; shift += 7) {
        v |= (uint64_t)(p[at] & 0x7f) << shift;
        if ((p[at++] & 0x80) == 0)
            break;
    }
    return v > n - at ? n : at + (size_t)v;
}

/* Chunks hold whole entries: each is a message of its own. */
static int send_list(bulkhead_stream *s, const unsigned char *p, size_t n, struct bulkhead_error *err) {
    static const unsigned char end[] = {0x10, 1}; /* ContextEntries.end = true */

    while (n > 0) {
        size_t part = 0;

        while (part < n) {
            size_t one = entry_size(p + part, n - part);

            if (part > 0 && part + one > CHUNK_MAX)
                break;
            part += one;
        }
        if (bulkhead_stream_send(s, p, part, err) != 0)
            return err->code;
        p += part;
        n -= part;
    }
    return bulkhead_stream_send(s, end, sizeof end, err);
}

struct putting {
    bulkhead_stream *s;
    uint64_t *want; /* numbers of entries whose content is asked for */
    size_t n_want;
    char *id;
    uint64_t sent;
    bool asked_all;
};

static void take_event(struct putting *p, const bulkhead_value *event) {
    const bulkhead_value *want = bulkhead_get(event, "want");
    size_t n = bulkhead_count(want);

    if (n > 0) {
        p->want = bh_xrealloc(p->want, (p->n_want + n) * sizeof *p->want);
        for (size_t i = 0; i < n; i++)
            p->want[p->n_want++] = (uint64_t)bulkhead_int(bulkhead_at(want, i));
    }
    p->asked_all = p->asked_all || bulkhead_get_bool(event, "asked_all");
    p->sent += bulkhead_get_uint(event, "sent");
    if (bulkhead_get_str(event, "id")[0] != '\0') {
        free(p->id);
        p->id = bh_xstrdup(bulkhead_get_str(event, "id"));
    }
}

/* Events until all has been asked for, or to the end.  *out_end: the service has finished its side. */
static int take_events(struct putting *p, bool to_end, bool *out_end, struct bulkhead_error *err) {
    *out_end = false;
    while (to_end || (!p->asked_all && p->id == NULL)) {
        bulkhead_value *event = NULL;

        if (bulkhead_stream_recv_value(p->s, &event, err) != 0)
            return err->code;
        if (event == NULL) {
            *out_end = true;
            return 0;
        }
        take_event(p, event);
        bulkhead_value_free(event);
    }
    return 0;
}

/* The first event tells whether the list is wanted at all. */
static int converse(struct putting *p, const void *packed, size_t n, bulkhead_context_content *content, void *arg,
                    struct bulkhead_error *err) {
    bulkhead_value *first = NULL;
    bool end;

    if (bulkhead_stream_recv_value(p->s, &first, err) != 0)
        return err->code;
    if (first == NULL)
        return bulkhead_stream_finish(p->s, NULL, err);
    take_event(p, first);
    bulkhead_value_free(first);
    if (p->id == NULL) {
        if (send_list(p->s, packed, n, err) != 0 || take_events(p, false, &end, err) != 0)
            return err->code;
        for (size_t i = 0; i < p->n_want; i++)
            if (content(arg, (size_t)p->want[i], p->s, err) != 0)
                return err->code;
        if (bulkhead_stream_close_send(p->s, err) != 0)
            return err->code;
    }
    if (take_events(p, true, &end, err) != 0)
        return err->code;
    return bulkhead_stream_finish(p->s, NULL, err);
}

int bulkhead_context_put(bulkhead *b, const char *key, const char *id, const void *packed, size_t n_packed,
                         bulkhead_context_content *content, void *arg, char **out_id, uint64_t *out_sent,
                         struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new();
    struct putting p = {0};
    int r;

    bulkhead_set_str(request, "key", key);
    bulkhead_set_str(request, "id", id);
    r = bulkhead_stream_open(b, "store", "ContextPut", request, NULL, 0, &p.s, err);
    bulkhead_value_free(request);
    if (r == 0) {
        r = converse(&p, packed, n_packed, content, arg, err);
        bulkhead_stream_free(p.s);
    }
    free(p.want);
    if (r == 0 && p.id == NULL) {
        struct bh_err lost = BH_ERR_INIT;

        bh_err_set(&lost, BH_E_INTERNAL, "the store took the context and told no id");
        r = client_fail(&lost, err);
    }
    if (r != 0) {
        free(p.id);
        return r;
    }
    *out_id = p.id;
    *out_sent = p.sent;
    return 0;
}
