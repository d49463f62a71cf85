/*
 * contenttool.c - brings content into a store as the registry room would, from files instead of a network.
 *
 *   contenttool RUN/store OWNER pull BLOBS MANIFEST [-i INDEX] [-n NAME].. [-s SOURCE] [-c BYTES] [-r] [-t]
 *   contenttool RUN/store OWNER known DIGEST PLATFORM
 *   contenttool RUN/store OWNER document FILE MEDIA config|manifest
 *   contenttool RUN/store OWNER layer FILE DIGEST SIZE DIFFID [-c BYTES] [-r] [-s SOURCE] [-w MILLISECONDS]
 *   contenttool RUN/store OWNER push NAME FOLDER [-p PLATFORM] [-z CODEC] [-l LEVEL] [-f] [-s TARGET]
 *
 * push writes all that is to be sent into FOLDER, by hex digits, and prints "manifest|index DIGEST".
 * BLOBS: a folder of files named by their hex digits.  -c: send so many bytes of each layer and close; -r: restart;
 * -t: tell the time of each step; -w: wait before sending.  Run it with the uid of the registry room.
 * Exit status 0 done, 1 refused ("code reason message" on stderr).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "rpc/client.h"
#include "store.pb-c.h"

#define MSG(name)      Bulkhead__Store__V1__##name
#define CALL(name)     "bulkhead.store.v1.Store/" name
#define LAYERS_AT_ONCE 3
#define PART           ((size_t)256 << 10)

struct options {
    const char *index;
    char *names[16];
    size_t n_names;
    const char *source;
    uint64_t cut;
    bool restart;
    bool times;
    int wait_ms;
    const char *platform;
    const char *codec;
    unsigned level;
    bool force;
};

struct tool {
    struct bh_conn *conn;
    uint32_t owner;
    uint64_t hold;
    struct bh_stream *hold_stream;
    const char *blobs;
    struct options o;
    int64_t since;
    ProtobufCMessage *replies[64]; /* freed at the end */
    size_t n_replies;
};

static void told(struct tool *t, const char *what) {
    int64_t now = bh_mono_ns();

    if (t->o.times)
        printf("%8.2f ms %s\n", (double)(now - t->since) / 1e6, what);
    t->since = now;
}

/* ---- files --------------------------------------------------------------------------------- */

static int blob_open(const char *folder, const char *digest, struct bh_err *err) {
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, strchr(digest, ':') != NULL ? strchr(digest, ':') + 1 : digest);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        bh_err_errno(err, errno, "open %s", path);
    return fd;
}

static int blob_read(int fd, struct bh_buf *out, struct bh_err *err) {
    char *room;
    ssize_t n;

    do {
        room = bh_buf_room(out, 65536);
        n = room != NULL ? read(fd, room, 65536) : -1;
        if (n < 0)
            return bh_err_set(err, BH_E_LIMIT, "read a document");
        bh_buf_grew(out, (size_t)n);
    } while (n > 0);
    return 0;
}

static int call(struct tool *t, const char *method, const ProtobufCMessage *req, const ProtobufCMessageDescriptor *type,
                ProtobufCMessage **out, struct bh_err *err) {
    if (bh_conn_call(t->conn, method, req, type, 0, 0, out, err) != 0)
        return err->code;
    if (t->n_replies < BH_ARRAY_LEN(t->replies))
        t->replies[t->n_replies++] = *out;
    return 0;
}

/* ---- calls --------------------------------------------------------------------------------- */

static int open_hold(struct tool *t, struct bh_err *err) {
    MSG(HoldRequest) req = BULKHEAD__STORE__V1__HOLD_REQUEST__INIT;
    MSG(HoldEvent) * event;
    const void *data;
    size_t n;

    req.owner = t->owner;
    req.purpose = (char *)"pull";
    if (bh_stream_open(t->conn, CALL("Hold"), &req.base, NULL, &t->hold_stream, err) != 0 ||
        bh_stream_recv(t->hold_stream, &data, &n, err) != 0)
        return err->code;
    if (data == NULL)
        return bh_stream_finish(t->hold_stream, NULL, NULL, err);
    event = bulkhead__store__v1__hold_event__unpack(NULL, n, data);
    t->hold = event->hold;
    bulkhead__store__v1__hold_event__free_unpacked(event, NULL);
    told(t, "hold");
    return 0;
}

static int put_document(struct tool *t, const struct bh_buf *data, const char *digest, const char *media, bool config,
                        MSG(DocumentPutReply) * *out, struct bh_err *err) {
    MSG(DocumentPutRequest) req = BULKHEAD__STORE__V1__DOCUMENT_PUT_REQUEST__INIT;
    ProtobufCMessage *reply;

    req.hold = t->hold;
    req.digest = (char *)digest;
    req.media_type = (char *)media;
    req.config = config;
    req.data.data = (uint8_t *)bh_buf_str(data);
    req.data.len = data->len;
    while (digest[0] != '\0' && req.data.len > PART) {
        size_t left = req.data.len - PART;

        req.more = true;
        req.data.len = PART;
        if (call(t, CALL("DocumentPut"), &req.base, &bulkhead__store__v1__document_put_reply__descriptor, &reply,
                 err) != 0)
            return err->code;
        req.data.data += PART;
        req.data.len = left;
        req.more = false;
    }
    if (call(t, CALL("DocumentPut"), &req.base, &bulkhead__store__v1__document_put_reply__descriptor, &reply, err) != 0)
        return err->code;
    *out = (MSG(DocumentPutReply) *)reply;
    told(t, config ? "config" : "manifest");
    return 0;
}

static int put_blob(struct tool *t, const char *digest, const char *media, bool config, MSG(DocumentPutReply) * *out,
                    struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT;
    BH_SCOPE_CLOSE int fd = blob_open(t->blobs, digest, err);

    if (fd < 0 || blob_read(fd, &data, err) != 0)
        return err->code;
    return put_document(t, &data, digest, media, config, out, err);
}

/* ---- layers -------------------------------------------------------------------------------- */

struct layer {
    struct tool *t;
    const char *digest;
    uint64_t size;
    const char *media;
    const char *diff_id;
    int fd;
    struct bh_err err;
    char said[200];
};

static void send_bytes(struct layer *l, int pipe, uint64_t offset) {
    char *buf = malloc(1 << 20);
    uint64_t left = l->t->o.cut != 0 ? l->t->o.cut : UINT64_MAX;
    off_t at = (off_t)offset;
    ssize_t n;

    if (l->t->o.wait_ms > 0)
        usleep((unsigned)l->t->o.wait_ms * 1000);
    while (left > 0 && (n = pread(l->fd, buf, left < 1 << 20 ? (size_t)left : 1 << 20, at)) > 0 &&
           bh_write_all(pipe, buf, (size_t)n) == 0) {
        at += n;
        left -= (uint64_t)n;
    }
    free(buf);
}

static void feed(struct layer *l, struct bh_stream *s, uint64_t offset) {
    struct bh_err ignored = BH_ERR_INIT;
    unsigned n = 0;
    int fd;

    if (bh_stream_recv_fds(s, &fd, 1, &n, &ignored) != 0 || n != 1)
        return;
    send_bytes(l, fd, offset);
    close(fd);
}

static int follow(struct layer *l, struct bh_stream *s, struct bh_err *err) {
    const void *data;
    size_t n;

    while (bh_stream_recv(s, &data, &n, err) == 0 && data != NULL) {
        MSG(LayerPutEvent) *e = bulkhead__store__v1__layer_put_event__unpack(NULL, n, data);
        size_t len = strlen(l->said);

        if (e->waiting || e->have || e->send || e->done)
            snprintf(l->said + len, sizeof l->said - len, " %s",
                     e->waiting ? "waiting"
                     : e->have  ? "have"
                     : e->send  ? "send"
                                : "done");
        if (e->send) {
            len = strlen(l->said);
            snprintf(l->said + len, sizeof l->said - len, "@%llu", (unsigned long long)e->offset);
            feed(l, s, e->offset);
        }
        bulkhead__store__v1__layer_put_event__free_unpacked(e, NULL);
    }
    if (err->code != 0)
        return err->code;
    return bh_stream_finish(s, NULL, NULL, err);
}

static void put_layer(struct layer *l) {
    const struct bh_stream_options options = {.expect_fds = true};
    MSG(LayerPutRequest) req = BULKHEAD__STORE__V1__LAYER_PUT_REQUEST__INIT;
    struct bh_stream *s;

    req.hold = l->t->hold;
    req.digest = (char *)l->digest;
    req.size = l->size;
    req.media_type = (char *)l->media;
    req.diff_id = (char *)l->diff_id;
    req.restart = l->t->o.restart;
    req.source = (char *)(l->t->o.source != NULL ? l->t->o.source : "");
    if (bh_stream_open(l->t->conn, CALL("LayerPut"), &req.base, &options, &s, &l->err) != 0)
        return;
    follow(l, s, &l->err);
    bh_stream_free(s);
}

static void *layer_thread(void *arg) {
    put_layer(arg);
    return NULL;
}

static int put_layers(struct tool *t, MSG(DocumentPutReply) * manifest, MSG(DocumentPutReply) * config,
                      struct bh_err *err) {
    struct layer *v = bh_xcalloc(manifest->n_layer + 1, sizeof *v);
    pthread_t threads[LAYERS_AT_ONCE];

    for (size_t i = 0; i < manifest->n_layer && err->code == 0; i += LAYERS_AT_ONCE) {
        size_t n = manifest->n_layer - i < LAYERS_AT_ONCE ? manifest->n_layer - i : LAYERS_AT_ONCE;

        for (size_t j = 0; j < n; j++) {
            const Bulkhead__Image__V1__Descriptor *d = manifest->layer[i + j];

            v[i + j] = (struct layer){.t = t,
                                      .digest = d->digest,
                                      .size = d->size,
                                      .media = d->media_type,
                                      .diff_id = config != NULL ? config->image_config->diff_ids[i + j] : "",
                                      .fd = blob_open(t->blobs, d->digest, err)};
            pthread_create(&threads[j], NULL, layer_thread, &v[i + j]);
        }
        for (size_t j = 0; j < n; j++) {
            pthread_join(threads[j], NULL);
            close(v[i + j].fd);
            printf("%.19s%s\n", v[i + j].digest, v[i + j].said);
            if (v[i + j].err.code != 0)
                *err = v[i + j].err;
        }
    }
    free(v);
    told(t, "layers");
    return err->code;
}

/* ---- acts ---------------------------------------------------------------------------------- */

static int put_image(struct tool *t, const char *manifest, struct bh_err *err) {
    MSG(ImagePutRequest) req = BULKHEAD__STORE__V1__IMAGE_PUT_REQUEST__INIT;
    MSG(ImagePutReply) * r;
    ProtobufCMessage *reply;

    req.hold = t->hold;
    req.manifest_digest = (char *)manifest;
    req.index_digest = (char *)(t->o.index != NULL ? t->o.index : "");
    req.name = t->o.names;
    req.n_name = t->o.n_names;
    req.source = (char *)(t->o.source != NULL ? t->o.source : "");
    if (call(t, CALL("ImagePut"), &req.base, &bulkhead__store__v1__image_put_reply__descriptor, &reply, err) != 0)
        return err->code;
    r = (MSG(ImagePutReply) *)reply;
    printf("%s%s\n", r->id, r->is_new ? " new" : "");
    for (size_t i = 0; i < r->n_replaced; i++)
        printf("replaced %s\n", r->replaced[i]);
    told(t, "image");
    return 0;
}

/* A config that is none: a blob of the artifact. */
static int put_artifact_config(struct tool *t, const Bulkhead__Image__V1__Descriptor *d, struct bh_err *err) {
    struct layer l = {.t = t,
                      .digest = d->digest,
                      .size = d->size,
                      .media = d->media_type,
                      .diff_id = "",
                      .fd = blob_open(t->blobs, d->digest, err)};

    if (l.fd < 0)
        return err->code;
    put_layer(&l);
    close(l.fd);
    *err = l.err;
    return err->code;
}

static int act_pull(struct tool *t, char **a, struct bh_err *err) {
    MSG(DocumentPutReply) * index, *manifest, *config = NULL;

    t->blobs = a[0];
    if (t->o.index != NULL && put_blob(t, t->o.index, "", false, &index, err) != 0)
        return err->code;
    if (put_blob(t, a[1], "", false, &manifest, err) != 0)
        return err->code;
    if (manifest->not_an_image[0] != '\0'
            ? put_artifact_config(t, manifest->config, err)
            : put_blob(t, manifest->config->digest, manifest->config->media_type, true, &config, err))
        return err->code;
    if (put_layers(t, manifest, config, err) != 0)
        return err->code;
    return put_image(t, a[1], err);
}

/* Only names: the image is known. */
static int act_name(struct tool *t, char **a, struct bh_err *err) {
    return put_image(t, a[0], err);
}

static int act_known(struct tool *t, char **a, struct bh_err *err) {
    MSG(ImageKnownRequest) req = BULKHEAD__STORE__V1__IMAGE_KNOWN_REQUEST__INIT;
    ProtobufCMessage *reply;

    req.owner = t->owner;
    req.digest = a[0];
    req.platform = a[1] != NULL ? a[1] : (char *)"";
    if (call(t, CALL("ImageKnown"), &req.base, &bulkhead__store__v1__image_known_reply__descriptor, &reply, err) != 0)
        return err->code;
    told(t, "known");
    printf("%s\n", ((MSG(ImageKnownReply) *)reply)->known ? ((MSG(ImageKnownReply) *)reply)->id : "unknown");
    return 0;
}

static int act_document(struct tool *t, char **a, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT;
    BH_SCOPE_CLOSE int fd = open(a[0], O_RDONLY | O_CLOEXEC);
    MSG(DocumentPutReply) * r;

    if (fd < 0 || blob_read(fd, &data, err) != 0 || put_document(t, &data, "", a[1], a[2][0] == 'c', &r, err) != 0)
        return err->code;
    printf("%s %s%s\n", r->digest, r->is_index ? "index " : "", r->media_type);
    return 0;
}

static int act_layer(struct tool *t, char **a, struct bh_err *err) {
    struct layer l = {.t = t,
                      .digest = a[1],
                      .size = strtoull(a[2], NULL, 10),
                      .media = "",
                      .diff_id = a[3],
                      .fd = open(a[0], O_RDONLY | O_CLOEXEC)};

    if (l.fd < 0)
        return bh_err_errno(err, errno, "open %s", a[0]);
    put_layer(&l);
    printf("%.19s%s\n", l.digest, l.said);
    *err = l.err;
    return err->code;
}

/* ---- push ---------------------------------------------------------------------------------- */

static int save_bytes(const char *folder, const char *digest, const void *data, size_t n, struct bh_err *err) {
    char path[4096];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, strchr(digest, ':') + 1);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || bh_write_all(fd, data, n) != 0)
        bh_err_errno(err, errno, "write %s", path);
    if (fd >= 0)
        close(fd);
    return err->code;
}

static int open_blob(struct tool *t, const char *digest, int *out_fd, uint64_t *out_offset, uint64_t *out_size,
                     struct bh_err *err) {
    const struct bh_stream_options options = {.expect_fds = true};
    MSG(BlobOpenRequest) req = BULKHEAD__STORE__V1__BLOB_OPEN_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    struct bh_stream *s;
    unsigned n = 0;

    req.hold = t->hold;
    req.digest = (char *)digest;
    if (bh_stream_open(t->conn, CALL("BlobOpen"), &req.base, &options, &s, err) != 0)
        return err->code;
    if (bh_stream_recv_fds(s, out_fd, 1, &n, err) == 0)
        bh_stream_finish(s, &bulkhead__store__v1__blob_open_reply__descriptor, &reply, err);
    bh_stream_free(s);
    if (err->code != 0 || reply == NULL)
        return err->code;
    *out_offset = ((MSG(BlobOpenReply) *)reply)->offset;
    *out_size = ((MSG(BlobOpenReply) *)reply)->size;
    protobuf_c_message_free_unpacked(reply, NULL);
    return 0;
}

static int save_blob(struct tool *t, const char *folder, const char *digest, struct bh_err *err) {
    uint64_t offset = 0, size = 0;
    int fd = -1;
    void *data;

    if (open_blob(t, digest, &fd, &offset, &size, err) != 0)
        return err->code;
    data = malloc((size_t)size + 1);
    if (bh_pread_full(fd, data, (size_t)size, (off_t)offset) != (ssize_t)size)
        bh_err_set(err, BH_E_DATA_LOSS, "a short blob");
    else
        save_bytes(folder, digest, data, (size_t)size, err);
    free(data);
    close(fd);
    return err->code;
}

static int save_document(struct tool *t, const char *folder, const Bulkhead__Image__V1__Descriptor *d,
                         const ProtobufCBinaryData *data, struct bh_err *err) {
    return data->len > 0 ? save_bytes(folder, d->digest, data->data, data->len, err)
                         : save_blob(t, folder, d->digest, err);
}

static int save_image(struct tool *t, const char *folder, const MSG(PushOpenImage) * im, struct bh_err *err) {
    told(t, "ready");
    for (size_t i = 0; i < im->n_manifest; i++) {
        const MSG(PushManifest) *m = im->manifest[i];

        if (save_document(t, folder, m->desc, &m->data, err) != 0 ||
            save_document(t, folder, m->config, &m->config_data, err) != 0)
            return err->code;
        for (size_t j = 0; j < m->n_layer; j++) {
            if (save_blob(t, folder, m->layer[j]->desc->digest, err) != 0)
                return err->code;
            for (size_t k = 0; k < m->layer[j]->n_source; k++)
                printf("source %zu %s\n", j, m->layer[j]->source[k]);
        }
        printf("manifest %s\n", m->desc->digest);
    }
    if (im->index != NULL && save_document(t, folder, im->index, &im->index_data, err) == 0)
        printf("index %s\n", im->index->digest);
    return err->code;
}

static int act_push(struct tool *t, char **a, struct bh_err *err) {
    MSG(PushOpenRequest) req = BULKHEAD__STORE__V1__PUSH_OPEN_REQUEST__INIT;
    struct bh_stream *s;
    const void *data;
    size_t n;

    req.hold = t->hold;
    req.name = a[0];
    req.platform = (char *)(t->o.platform != NULL ? t->o.platform : "");
    req.compression = (char *)(t->o.codec != NULL ? t->o.codec : "");
    req.level = t->o.level;
    req.force_compression = t->o.force;
    req.repository = (char *)(t->o.source != NULL ? t->o.source : "");
    if (bh_stream_open(t->conn, CALL("PushOpen"), &req.base, NULL, &s, err) != 0)
        return err->code;
    while (bh_stream_recv(s, &data, &n, err) == 0 && data != NULL) {
        MSG(PushOpenEvent) *e = bulkhead__store__v1__push_open_event__unpack(NULL, n, data);

        if (e->image != NULL)
            save_image(t, a[1], e->image, err);
        else if (e->current == e->total)
            printf("compressed %.19s\n", e->layer);
        bulkhead__store__v1__push_open_event__free_unpacked(e, NULL);
    }
    if (err->code == 0)
        bh_stream_finish(s, NULL, NULL, err);
    bh_stream_free(s);
    return err->code;
}

static const struct {
    const char *name;
    int n;
    bool hold;
    int (*act)(struct tool *t, char **a, struct bh_err *err);
} acts[] = {{"pull", 2, true, act_pull},         {"name", 1, true, act_name},   {"known", 2, false, act_known},
            {"document", 3, true, act_document}, {"layer", 4, true, act_layer}, {"push", 2, true, act_push}};

static int run(struct tool *t, const char *dir, const char *name, char **a, int n, struct bh_err *err) {
    if (bh_conn_open(dir, &t->conn, err) != 0)
        return err->code;
    t->since = bh_mono_ns();
    for (size_t i = 0; i < BH_ARRAY_LEN(acts); i++) {
        if (strcmp(acts[i].name, name) != 0)
            continue;
        if (n < acts[i].n)
            return bh_err_set(err, BH_E_INVALID, "%s needs %d arguments", name, acts[i].n);
        if (acts[i].hold && open_hold(t, err) != 0)
            return err->code;
        return acts[i].act(t, a, err);
    }
    return bh_err_set(err, BH_E_INVALID, "no such act: %s", name);
}

int main(int argc, char **argv) {
    struct tool t = {0};
    struct bh_err err = BH_ERR_INIT;
    int c;

    signal(SIGPIPE, SIG_IGN);
    while ((c = getopt(argc, argv, "i:n:s:c:rtw:p:z:l:f")) != -1) {
        if (c == 'i')
            t.o.index = optarg;
        else if (c == 'n' && t.o.n_names < BH_ARRAY_LEN(t.o.names))
            t.o.names[t.o.n_names++] = optarg;
        else if (c == 's')
            t.o.source = optarg;
        else if (c == 'c')
            t.o.cut = strtoull(optarg, NULL, 10);
        else if (c == 'r')
            t.o.restart = true;
        else if (c == 't')
            t.o.times = true;
        else if (c == 'p')
            t.o.platform = optarg;
        else if (c == 'z')
            t.o.codec = optarg;
        else if (c == 'l')
            t.o.level = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'f')
            t.o.force = true;
        else if (c == 'w')
            t.o.wait_ms = atoi(optarg);
        else
            return 2;
    }
    if (argc - optind < 3)
        return 2;
    t.owner = (uint32_t)strtoul(argv[optind + 1], NULL, 10);
    run(&t, argv[optind], argv[optind + 2], argv + optind + 3, argc - optind - 3, &err);
    fflush(stdout);
    if (err.code != 0)
        fprintf(stderr, "%d %s %s\n", -err.code, err.reason, err.msg);
    for (size_t i = 0; i < t.n_replies; i++)
        protobuf_c_message_free_unpacked(t.replies[i], NULL);
    if (t.hold_stream != NULL)
        bh_stream_free(t.hold_stream);
    bh_conn_close(t.conn);
    return err.code != 0;
}
