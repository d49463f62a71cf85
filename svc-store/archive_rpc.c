/*
 * archive_rpc.c - handlers of load, import and save: archives by descriptor or as chunks.
 *
 * Room: store.  A descriptor of a client may be anything: only regular files are read in place, all
 * else is copied first; and what is read in place may change under us, so every digest is checked.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "hold.h"
#include "import.h"
#include "load.h"
#include "methods.h"
#include "save.h"
#include "spool.h"
#include "store.pb-c.h"

#define MSG(name) Bulkhead__Store__V1__##name

/* ---- the archive of a call ----------------------------------------------------------------- */

struct incoming {
    int fd;                 /* the client's, or -1 */
    struct store_temp temp; /* or a copy */
};

static int next_chunk(void *call, const void **out, size_t *out_n, struct bh_err *err) {
    return bh_call_recv_bytes(call, out, out_n, err);
}

static int take_one_fd(struct bh_call *call, int *out, struct bh_err *err) {
    int fds[4];
    unsigned n = 0;

    if (bh_call_take_fds(call, fds, BH_ARRAY_LEN(fds), &n, err) != 0)
        return err->code;
    for (unsigned i = 1; i < n; i++)
        close(fds[i]);
    if (n == 0)
        return bh_err_set(err, BH_E_INVALID, "a descriptor was announced and none was sent");
    *out = fds[0];
    return 0;
}

/* A file that can be read at any place, and how far in it the archive starts: where the client's offset is. */
static int receive(struct store *s, struct bh_call *call, struct incoming *in, struct bh_err *err) {
    *in = (struct incoming){.fd = -1, .temp = STORE_TEMP_INIT};
    if (!bh_call_wants_fds(call))
        return store_spool(s, next_chunk, call, &in->temp, err);
    if (take_one_fd(call, &in->fd, err) != 0)
        return err->code;
    if (store_fd_seekable(in->fd) && lseek(in->fd, 0, SEEK_CUR) == 0)
        return 0;
    return store_spool_fd(s, in->fd, bh_call_cancel_fd(call), &in->temp, err);
}

static int incoming_fd(const struct incoming *in) {
    return in->temp.fd >= 0 ? in->temp.fd : in->fd;
}

static void incoming_end(struct store *s, struct incoming *in) {
    if (in->fd >= 0)
        close(in->fd);
    store_temp_drop(&s->place, &in->temp);
}

/* ---- load ---------------------------------------------------------------------------------- */

struct telling {
    struct bh_call *call;
    bool quiet;
    bool deaf; /* the client takes no more: the load goes on to its end or its cancel */
};

static void load_event(void *arg, const struct store_load_event *e) {
    struct telling *t = arg;
    MSG(LoadEvent) m = BULKHEAD__STORE__V1__LOAD_EVENT__INIT;
    struct bh_err ignored = BH_ERR_INIT;

    if (t->deaf || (t->quiet && e->layer != NULL))
        return;
    if (e->layer != NULL)
        m.layer = (char *)e->layer;
    m.current = e->current;
    m.total = e->total;
    if (e->loaded != NULL)
        m.loaded = (char *)e->loaded;
    m.is_id = e->is_id;
    if (e->note != NULL)
        m.note = (char *)e->note;
    if (bh_call_send_msg(t->call, &m.base, &ignored) != 0)
        t->deaf = true;
}

static int load_archive(struct store *s, struct bh_call *call, struct store_load *load, struct bh_err *err) {
    struct incoming in;
    int r = receive(s, call, &in, err);

    if (r == 0) {
        load->fd = incoming_fd(&in);
        load->cancel_fd = bh_call_cancel_fd(call);
        r = store_load(s, load, err);
    }
    incoming_end(s, &in);
    return r;
}

/* For a build, whose hold keeps what comes. */
static int load_held(struct store *s, struct bh_call *call, uint64_t hold, struct store_load *load,
                     struct bh_err *err) {
    struct store_hold *h;

    if (store_hold_use(s, hold, bh_call_peer(call)->uid, &h, err) != 0)
        return err->code;
    load->who = h->who;
    load->lease = h->lease;
    load_archive(s, call, load, err);
    store_hold_done(s, h);
    return err->code;
}

int store_rpc_load(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(LoadRequest) *req = (const MSG(LoadRequest) *)request;
    struct telling telling = {.call = call, .quiet = req->quiet};
    struct store_load load = {
        .who = store_who_of(call),
        .platform = req->platform,
        .event = load_event,
        .arg = &telling,
    };

    if ((bh_call_peer(call)->roles & BH_ROLE_BUILD) != 0)
        return load_held(room, call, req->hold, &load, err);
    return load_archive(room, call, &load, err);
}

/* ---- import -------------------------------------------------------------------------------- */

/* No spool: a worker reads a root file system in one pass, also from a pipe. */
static int import_fd(struct bh_call *call, struct store *s, struct store_import *im, char id[STORE_DIGEST_SIZE],
                     struct bh_err *err) {
    struct store_temp temp = STORE_TEMP_INIT;
    BH_SCOPE_CLOSE int fd = -1;
    int r;

    if (bh_call_wants_fds(call)) {
        if (take_one_fd(call, &fd, err) != 0)
            return err->code;
        im->fd = fd;
        im->waits = !store_fd_seekable(fd);
        return store_import(s, im, id, err);
    }
    if (store_spool(s, next_chunk, call, &temp, err) != 0)
        return err->code;
    im->fd = temp.fd;
    r = store_import(s, im, id, err);
    store_temp_drop(&s->place, &temp);
    return r;
}

int store_rpc_import(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(ImportRequest) *req = (const MSG(ImportRequest) *)request;
    struct store_import im = {
        .who = store_who_of(call),
        .reference = req->reference,
        .message = req->message,
        .platform = req->platform,
        .source = req->source,
        .changes = (const char *const *)req->change,
        .n_changes = req->n_change,
        .cancel_fd = bh_call_cancel_fd(call),
    };
    MSG(ImportReply) reply = BULKHEAD__STORE__V1__IMPORT_REPLY__INIT;
    char id[STORE_DIGEST_SIZE];

    if (import_fd(call, room, &im, id, err) != 0)
        return err->code;
    reply.id = id;
    return bh_call_send_msg(call, &reply.base, err);
}

/* ---- save ---------------------------------------------------------------------------------- */

static int save_chunk(void *call, const void *data, size_t n, struct bh_err *err) {
    return bh_call_send_bytes(call, data, n, err);
}

int store_rpc_save(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const MSG(SaveRequest) *req = (const MSG(SaveRequest) *)request;
    struct store_save save = {
        .who = store_who_of(call),
        .names = (const char *const *)req->name,
        .n_names = req->n_name,
        .platform = req->platform,
    };
    struct store_tarout out = {.fd = -1, .sink = save_chunk, .arg = call};
    BH_SCOPE_CLOSE int fd = -1;

    if ((bh_call_peer(call)->roles & BH_ROLE_BUILD) != 0) {
        static const char *const none[] = {NULL};

        save.who = (struct store_who){.owner = req->owner};
        save.tags = req->n_tag > 0 ? (const char *const *)req->tag : none;
        save.n_tags = req->n_tag;
        save.index = req->index;
    }
    if (req->format[0] != '\0') {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "save: format %.64s is not known", req->format);
        return bh_err_hint(err, "leave the format out: the archive is an OCI layout and a docker archive at once");
    }
    if (bh_call_wants_fds(call)) {
        if (take_one_fd(call, &fd, err) != 0)
            return err->code;
        out.fd = fd;
    }
    return store_save(room, &save, &out, err);
}
