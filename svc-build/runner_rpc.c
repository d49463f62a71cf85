/*
 * runner_rpc.c - calls to the runtime, see runner.h.
 *
 * Room: build.
 */
#include "runner.h"

#include <string.h>

#include "base/mem.h"
#include "imageconf/imageconf.h"
#include "rpc/client.h"
#include "runtime.pb-c.h"

#define SERVICE "bulkhead.runtime.v1.Runtime/"

#define RT_MSG(name) Bulkhead__Runtime__V1__##name

struct build_runner {
    struct bh_conn *conn;
};

int build_runner_open(const char *dir, struct build_runner **out, struct bh_err *err) {
    struct build_runner *r = bh_xcalloc(1, sizeof *r);

    if (bh_conn_open(dir, &r->conn, err) != 0) {
        free(r);
        return err->code;
    }
    *out = r;
    return 0;
}

static int mounts_msg(const struct build_exec *x, struct bh_arena *arena, RT_MSG(StepRequest) * req,
                      struct bh_err *err) {
    RT_MSG(StepMount) *all = bh_oci_alloc(arena, (x->n_mounts + 1) * sizeof *all, err);

    req->mount = bh_oci_alloc(arena, (x->n_mounts + 1) * sizeof *req->mount, err);
    if (all == NULL || req->mount == NULL)
        return err->code;
    req->n_mount = x->n_mounts;
    for (size_t i = 0; i < x->n_mounts; i++) {
        const struct build_exec_mount *m = &x->mounts[i];

        bulkhead__runtime__v1__step_mount__init(&all[i]);
        all[i].type = (char *)m->type;
        all[i].target = (char *)m->target;
        all[i].source = (char *)(m->source != NULL ? m->source : "");
        all[i].size = m->size;
        all[i].data = (ProtobufCBinaryData){.len = m->n_data, .data = (uint8_t *)m->data};
        all[i].mode = m->mode;
        all[i].uid = m->uid;
        all[i].gid = m->gid;
        all[i].read_only = m->read_only;
        req->mount[i] = &all[i];
    }
    return 0;
}

static int ulimits_msg(const struct build_ask *ask, struct bh_arena *arena, RT_MSG(StepRequest) * req,
                       struct bh_err *err) {
    RT_MSG(Ulimit) *all = bh_oci_alloc(arena, (ask->n_ulimits + 1) * sizeof *all, err);

    req->ulimit = bh_oci_alloc(arena, (ask->n_ulimits + 1) * sizeof *req->ulimit, err);
    if (all == NULL || req->ulimit == NULL)
        return err->code;
    req->n_ulimit = ask->n_ulimits;
    for (size_t i = 0; i < ask->n_ulimits; i++) {
        bulkhead__runtime__v1__ulimit__init(&all[i]);
        all[i].name = (char *)ask->ulimits[i].name;
        all[i].soft = ask->ulimits[i].soft;
        all[i].hard = ask->ulimits[i].hard;
        req->ulimit[i] = &all[i];
    }
    return 0;
}

static int request_msg(const struct build_exec *x, struct bh_arena *arena, RT_MSG(StepRequest) * req,
                       struct bh_err *err) {
    bulkhead__runtime__v1__step_request__init(req);
    req->owner = x->ask->owner;
    req->admin = x->ask->admin;
    req->hold = x->hold;
    req->command = (char **)x->command.v;
    req->n_command = x->command.n;
    req->env = (char **)x->env.v;
    req->n_env = x->env.n;
    req->user = (char *)x->user;
    req->workdir = (char *)x->workdir;
    req->network = (char *)x->network;
    req->privileged = x->privileged;
    req->extra_host = (char **)x->ask->extra_hosts.v;
    req->n_extra_host = x->ask->extra_hosts.n;
    req->shm_size = x->ask->shm_size;
    req->limits = (Bulkhead__Common__V1__Limits *)x->ask->limits; /* judged by runtime, which knows the host */
    req->exclude = (char **)x->exclude.v;
    req->n_exclude = x->exclude.n;
    req->separate = (char **)x->separate.v;
    req->n_separate = x->separate.n;
    req->hostname = (char *)"buildkitsandbox";
    req->cap_add = (char **)x->ask->cap_add.v;
    req->n_cap_add = x->ask->cap_add.n;
    req->security_opt = (char **)x->ask->security_opts.v;
    req->n_security_opt = x->ask->security_opts.n;
    req->clamp_mtime = x->ask->has_epoch;
    req->clamp_mtime_ns = x->ask->epoch_ns;
    if (bh_imageconf_to_msg(x->image, arena, &req->config, err) != 0 || mounts_msg(x, arena, req, err) != 0)
        return err->code;
    return ulimits_msg(x->ask, arena, req, err);
}

static int change_of(const char *diff_id, uint64_t size, struct build_exec_change *out, struct bh_err *err) {
    *out = (struct build_exec_change){.changed = diff_id[0] != '\0', .size = size};
    return out->changed ? bh_digest_parse(diff_id, &out->layer, err) : 0;
}

static int take_done(const RT_MSG(StepEvent) * e, const struct build_exec *x, struct bh_arena *arena,
                     struct build_exec_result *out, struct bh_err *err) {
    struct build_exec_result r = {.exit_code = e->exit_code};

    if (change_of(e->diff_id, e->tar_size, &r.change, err) != 0)
        return err->code;
    if (r.exit_code == 0 && (e->n_separate != x->separate.n || e->n_separate_size != x->separate.n))
        return bh_err_set(err, BH_E_INTERNAL, "the runtime gave %zu layers of caches, not %zu", e->n_separate,
                          x->separate.n);
    r.separate = bh_oci_alloc(arena, (x->separate.n + 1) * sizeof *r.separate, err);
    if (r.separate == NULL)
        return err->code;
    for (size_t i = 0; r.exit_code == 0 && i < x->separate.n; i++)
        if (change_of(e->separate[i], e->separate_size[i], &r.separate[i], err) != 0)
            return err->code;
    *out = r;
    return 0;
}

struct follow {
    const struct build_exec *x;
    build_exec_begun *begun;
    build_exec_output *output;
    void *arg;
    struct bh_arena *arena;
    bool done;
};

static int one_event(struct follow *f, const void *data, size_t n, struct build_exec_result *out, struct bh_err *err) {
    RT_MSG(StepEvent) *e = bulkhead__runtime__v1__step_event__unpack(NULL, n, data);
    int r = 0;

    if (e == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "the runtime tells of a step what cannot be read");
    if (e->container_id[0] != '\0')
        f->begun(f->arg, e->container_id);
    if (e->data.len > 0)
        f->output(f->arg, e->stream, e->data.data, e->data.len);
    if (e->done) {
        f->done = true;
        r = take_done(e, f->x, f->arena, out, err);
    }
    bulkhead__runtime__v1__step_event__free_unpacked(e, NULL);
    return r;
}

static int follow(struct follow *f, struct bh_stream *stream, struct build_exec_result *out, struct bh_err *err) {
    for (;;) {
        const void *data = NULL;
        size_t n = 0;

        if (bh_stream_recv(stream, &data, &n, err) != 0)
            return err->code;
        if (data == NULL)
            break;
        if (one_event(f, data, n, out, err) != 0)
            return err->code;
    }
    if (bh_stream_finish(stream, NULL, NULL, err) != 0)
        return err->code;
    return f->done ? 0 : bh_err_set(err, BH_E_INTERNAL, "the runtime did not tell how a step ended");
}

/* One for each socket, in the order of the mounts. */
static unsigned sockets_of(const struct build_exec *x, int fds[BUILD_EXEC_SOCKETS]) {
    unsigned n = 0;

    for (size_t i = 0; i < x->n_mounts; i++)
        if (strcmp(x->mounts[i].type, "socket") == 0 && n < BUILD_EXEC_SOCKETS)
            fds[n++] = x->mounts[i].fd;
    return n;
}

int build_exec(struct build_runner *r, const struct build_exec *x, struct build_cancel *cancel, build_exec_begun *begun,
               build_exec_output *output, void *arg, struct bh_arena *arena, struct build_exec_result *out,
               struct bh_err *err) {
    struct follow f = {.x = x, .begun = begun, .output = output, .arg = arg, .arena = arena};
    int fds[BUILD_EXEC_SOCKETS];
    const unsigned n_fds = sockets_of(x, fds);
    const struct bh_stream_options options = {.announce_fds = n_fds > 0};
    struct bh_stream *stream = NULL;
    RT_MSG(StepRequest) req;
    struct build_wait wait;
    int code = 0;

    if (request_msg(x, arena, &req, err) != 0 ||
        bh_stream_open(r->conn, SERVICE "Step", &req.base, &options, &stream, err) != 0)
        return err->code;
    build_wait_begin(cancel, &wait, stream);
    if (n_fds > 0)
        code = bh_stream_send_fds(stream, fds, n_fds, err);
    if (code == 0)
        code = follow(&f, stream, out, err);
    build_wait_end(cancel, &wait);
    bh_stream_free(stream);
    return code;
}
