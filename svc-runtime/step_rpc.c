/*
 * step_rpc.c - handler: one RUN of a build.
 *
 * Room: runtime.  Foreign: the request, which the build room made of a Dockerfile.  It names the user on
 * whose behalf it asks; the store checks the hold, policy.c what that user may ask for.
 */
#include <string.h>

#include "base/fdpass.h"
#include "base/mem.h"
#include "imageconf/imageconf.h"
#include "rpc/server.h"
#include "svc-runtime/convert_rpc.h"
#include "svc-runtime/methods.h"
#include "svc-runtime/spec_make.h"
#include "svc-runtime/step.h"

#define MAX_PATHS 200

static int send_output(void *arg, unsigned stream, const void *data, size_t n, struct bh_err *err) {
    RT_MSG(StepEvent) event = BULKHEAD__RUNTIME__V1__STEP_EVENT__INIT;

    event.stream = stream;
    event.data = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
    return bh_call_send_msg(arg, &event.base, err);
}

static struct rt_req_mount folder_of(const RT_MSG(StepMount) * x) {
    return (struct rt_req_mount){.type = x->type,
                                 .source = x->source,
                                 .target = x->target,
                                 .propagation = "",
                                 .tmpfs_size = x->size,
                                 .tmpfs_mode = x->mode,
                                 .read_only = x->read_only,
                                 .self = strcmp(x->type, "layer") == 0};
}

static int file_of(const RT_MSG(StepMount) * x, struct bh_arena *arena, struct rt_file *out, struct bh_err *err) {
    *out = (struct rt_file){.data = x->data.data,
                            .n = (uint32_t)x->data.len,
                            .mode = x->mode,
                            .uid = x->uid,
                            .gid = x->gid,
                            .socket = strcmp(x->type, "socket") == 0};
    if (x->uid > 65535 || x->gid > 65535)
        return bh_err_set(err, BH_E_INVALID, "the owner %u:%u of %s: a container has 65536 ids", x->uid, x->gid,
                          x->target);
    return rt_path_clean(x->target, "mount target", arena, &out->target, err);
}

/* The descriptors come in the order of the mounts. */
static int add_file(const RT_MSG(StepMount) * x, struct bh_arena *arena, struct rt_step *out, struct bh_err *err) {
    if (out->n_files == RT_MAX_FILES)
        return bh_err_set(err, BH_E_LIMIT, "more than %d secrets and sockets in one RUN", RT_MAX_FILES);
    if (file_of(x, arena, &out->files[out->n_files], err) != 0)
        return err->code;
    if (out->files[out->n_files++].socket == 0)
        return 0;
    if (out->n_doors == RT_MAX_DOORS)
        return bh_err_set(err, BH_E_LIMIT, "more than %d sockets of agents in one RUN", RT_MAX_DOORS);
    if (x->data.len > 0)
        return bh_err_set(err, BH_E_INVALID, "a socket has no content");
    out->doors[out->n_doors++] = (struct rt_door){-1, -1};
    return 0;
}

static int mounts_of(const RT_MSG(StepRequest) * m, struct bh_arena *arena, struct rt_step *out, struct bh_err *err) {
    out->req.mounts = bh_oci_alloc(arena, (m->n_mount + 1) * sizeof *out->req.mounts, err);
    out->files = bh_oci_alloc(arena, RT_MAX_FILES * sizeof *out->files, err);
    if (out->req.mounts == NULL || out->files == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_mount; i++) {
        const RT_MSG(StepMount) *x = m->mount[i];

        if (strcmp(x->type, "tmpfs") == 0 || strcmp(x->type, "layer") == 0)
            out->req.mounts[out->req.n_mounts++] = folder_of(x);
        else if (strcmp(x->type, "file") != 0 && strcmp(x->type, "socket") != 0)
            return bh_err_set(err, BH_E_UNIMPLEMENTED, "a mount of type %s is not known to the runtime", x->type);
        else if (add_file(x, arena, out, err) != 0)
            return err->code;
    }
    return 0;
}

static int ulimits_of(const RT_MSG(StepRequest) * m, struct bh_arena *arena, struct rt_request *out,
                      struct bh_err *err) {
    out->ulimits = bh_oci_alloc(arena, (m->n_ulimit + 1) * sizeof *out->ulimits, err);
    if (out->ulimits == NULL)
        return err->code;
    out->n_ulimits = m->n_ulimit;
    for (size_t i = 0; i < m->n_ulimit; i++)
        out->ulimits[i] =
            (struct rt_req_ulimit){.name = m->ulimit[i]->name, .soft = m->ulimit[i]->soft, .hard = m->ulimit[i]->hard};
    return 0;
}

static int request_of(const RT_MSG(StepRequest) * m, struct bh_arena *arena, struct rt_request *out,
                      struct bh_err *err) {
    *out = (struct rt_request){.image = "",
                               .command = rt_list_of(m->command, m->n_command),
                               .env = rt_list_of(m->env, m->n_env),
                               .workdir = m->workdir,
                               .user = m->user,
                               .hostname = m->hostname,
                               .domainname = "",
                               .privileged = m->privileged,
                               .userns = "",
                               .network = m->network,
                               .pid = "",
                               .ipc = "",
                               .uts = "",
                               .cgroupns = "",
                               .cap_add = rt_list_of(m->cap_add, m->n_cap_add),
                               .security_opt = rt_list_of(m->security_opt, m->n_security_opt),
                               .extra_hosts = rt_list_of(m->extra_host, m->n_extra_host),
                               .shm_size = m->shm_size,
                               .limits = rt_limits_of(m->limits),
                               .stop_signal = "",
                               .log_driver = "none",
                               .platform = ""};
    return ulimits_of(m, arena, out, err);
}

static int paths_of(char **v, size_t n, struct bh_strlist *out, struct bh_err *err) {
    for (size_t i = 0; i < n; i++)
        if (v[i][0] != '/' || v[i][1] == 0 || v[i][strlen(v[i]) - 1] == '/')
            return bh_err_set(err, BH_E_INVALID, "a path that a step leaves out is not absolute and clean: \"%s\"",
                              v[i]);
    if (n > MAX_PATHS)
        return bh_err_set(err, BH_E_LIMIT, "a RUN with %zu mounts: at most %d are allowed", n, MAX_PATHS);
    *out = rt_list_of(v, n);
    return 0;
}

static int step_of(struct bh_call *call, const RT_MSG(StepRequest) * m, struct bh_arena *arena, struct rt_step *out,
                   struct bh_err *err) {
    *out = (struct rt_step){.who = {.uid = m->owner, .admin = m->admin},
                            .hold = m->hold,
                            .clamp = m->clamp_mtime,
                            .clamp_ns = m->clamp_mtime_ns,
                            .input = m->stdin.data,
                            .n_input = m->stdin.len,
                            .cancel_fd = bh_call_cancel_fd(call),
                            .sink = send_output,
                            .arg = call};
    if (m->config == NULL)
        return bh_err_set(err, BH_E_INVALID, "a step needs the config of what it runs on");
    if (rt_random_id(out->id, err) != 0 || bh_imageconf_from_msg(m->config, arena, &out->config, err) != 0 ||
        request_of(m, arena, &out->req, err) != 0 || mounts_of(m, arena, out, err) != 0 ||
        paths_of(m->exclude, m->n_exclude, &out->exclude, err) != 0)
        return err->code;
    return paths_of(m->separate, m->n_separate, &out->separate, err);
}

static int say_begin(struct bh_call *call, const struct rt_step *step, struct bh_err *err) {
    RT_MSG(StepEvent) event = BULKHEAD__RUNTIME__V1__STEP_EVENT__INIT;

    event.container_id = (char *)step->id;
    return bh_call_send_msg(call, &event.base, err);
}

static int say_done(struct bh_call *call, const struct rt_step *step, const struct rt_step_result *result,
                    struct bh_err *err) {
    RT_MSG(StepEvent) event = BULKHEAD__RUNTIME__V1__STEP_EVENT__INIT;
    char *separate[MAX_PATHS + 1];
    uint64_t sizes[MAX_PATHS + 1];

    event.done = true;
    event.exit_code = result->exit_code;
    event.diff_id = (char *)result->change.diff_id;
    event.tar_size = result->change.tar_size;
    if (result->separate != NULL) {
        for (size_t i = 0; i < step->separate.n; i++) {
            separate[i] = result->separate[i].diff_id;
            sizes[i] = result->separate[i].tar_size;
        }
        event.separate = separate;
        event.separate_size = sizes;
        event.n_separate = event.n_separate_size = step->separate.n;
    }
    return bh_call_send_msg(call, &event.base, err);
}

/* What came is ours to close, also when it is not what was announced. */
static int take_callers(struct bh_call *call, struct rt_step *step, struct bh_err *err) {
    int fds[RT_MAX_DOORS];
    unsigned n = 0;

    if (step->n_doors == 0)
        return 0;
    if (bh_call_take_fds(call, fds, RT_MAX_DOORS, &n, err) != 0)
        return err->code;
    for (unsigned i = 0; i < n && i < step->n_doors; i++)
        step->doors[i].caller = fds[i];
    if (n == step->n_doors)
        return 0;
    for (unsigned i = step->n_doors; i < n; i++)
        bh_fdpass_close(&fds[i], 1);
    return bh_err_set(err, BH_E_INVALID, "%u descriptors came for %u sockets of a RUN", n, step->n_doors);
}

static int run(struct rt_room *room, struct bh_call *call, const RT_MSG(StepRequest) * m, struct bh_arena *arena,
               struct bh_err *err) {
    struct rt_step step;
    struct rt_step_result result;

    if (step_of(call, m, arena, &step, err) != 0)
        return err->code;
    if (take_callers(call, &step, err) == 0 && rt_doors_open(step.doors, step.n_doors, err) == 0 &&
        say_begin(call, &step, err) == 0 && rt_step(room, &step, arena, &result, err) == 0)
        say_done(call, &step, &result, err);
    rt_doors_close(step.doors, step.n_doors);
    return err->code;
}

int rt_rpc_step(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = run(room, call, (const RT_MSG(StepRequest) *)request, &arena, err);
    bh_arena_wipe(&arena); /* secrets may have been copied */
    bh_arena_fini(&arena);
    return r;
}
