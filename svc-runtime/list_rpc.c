/*
 * list_rpc.c - handlers: ps and inspect.
 *
 * Room: runtime.  What a reply shows of a container is made in one place, summary().
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "imageconf/imageconf.h"
#include "rpc/server.h"
#include "svc-runtime/convert_rpc.h"
#include "svc-runtime/methods.h"

struct summary_parts {
    RT_MSG(ContainerSummary) summary;
    RT_MSG(ContainerState) state;
};

static void state_msg(struct rt_status *s, RT_MSG(ContainerState) * m) {
    bulkhead__runtime__v1__container_state__init(m);
    m->status = (char *)rt_state_name(s->state);
    m->pid = s->pid;
    m->exit_code = s->exit_code;
    m->error = s->error;
    m->started_ns = s->started_ns;
    m->finished_ns = s->finished_ns;
    m->oom_killed = s->oom_killed;
}

static int mounts_msg(const struct rt_facts *f, struct bh_arena *arena, RT_MSG(ContainerSummary) * m,
                      struct bh_err *err) {
    RT_MSG(Mount) *all = bh_oci_alloc(arena, (f->n_mounts + 1) * sizeof *all, err);

    m->mount = bh_oci_alloc(arena, (f->n_mounts + 1) * sizeof *m->mount, err);
    if (all == NULL || m->mount == NULL)
        return err->code;
    for (size_t i = 0; i < f->n_mounts; i++) {
        const struct rt_req_mount *x = &f->mounts[i];

        bulkhead__runtime__v1__mount__init(&all[i]);
        all[i].type = (char *)x->type;
        all[i].source = (char *)x->source;
        all[i].target = (char *)x->target;
        all[i].propagation = (char *)x->propagation;
        all[i].read_only = x->read_only;
        m->mount[i] = &all[i];
    }
    m->n_mount = f->n_mounts;
    return 0;
}

/* Points into the item and its container, which the caller keeps until the reply is packed. */
static int summary(struct rt_item *it, struct bh_arena *arena, RT_MSG(ContainerSummary) * *out, struct bh_err *err) {
    struct summary_parts *p = bh_oci_alloc(arena, sizeof *p, err);
    const struct rt_container *c = it->c;
    RT_MSG(ContainerSummary) * m;

    if (p == NULL)
        return err->code;
    m = &p->summary;
    bulkhead__runtime__v1__container_summary__init(m);
    state_msg(&it->status, &p->state);
    m->id = (char *)c->id;
    m->name = it->name;
    m->image = (char *)it->image;
    m->image_id = c->image_id;
    m->command = (char **)c->facts->command.v;
    m->n_command = c->facts->command.n;
    m->created_ns = c->created_ns;
    m->state = &p->state;
    m->network = (char *)c->facts->network;
    m->size_rw = it->size_rw;
    m->size_root = it->size_root;
    m->owner = c->owner;
    m->port = (char **)rt_item_ports(it)->v;
    m->n_port = rt_item_ports(it)->n;
    m->restart_count = it->status.restarts;
    if (bh_imageconf_pairs_to_msg(&c->facts->labels, arena, &m->n_label, &m->label, err) != 0 ||
        mounts_msg(c->facts, arena, m, err) != 0)
        return err->code;
    *out = m;
    return 0;
}

/* ---- ps ---------------------------------------------------------------------------------------- */

static int reply_list(struct bh_call *call, struct rt_item *items, size_t n, struct bh_arena *arena,
                      struct bh_err *err) {
    RT_MSG(ContainerListReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_LIST_REPLY__INIT;

    reply.container = bh_oci_alloc(arena, (n + 1) * sizeof *reply.container, err);
    if (reply.container == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (summary(&items[i], arena, &reply.container[i], err) != 0)
            return err->code;
    reply.n_container = n;
    return bh_call_reply(call, &reply.base, err);
}

static int list(struct rt_room *room, struct bh_call *call, const RT_MSG(ContainerListRequest) * msg,
                struct bh_arena *arena, struct bh_err *err) {
    struct rt_list_want want = {.all = msg->all, .size = msg->size, .last = msg->last, .n_filters = msg->n_filter};
    struct rt_caller who = rt_caller_of(call);
    struct bh_pair *filters = NULL;
    struct rt_item *items = NULL;
    size_t n = 0;
    int r;

    if (rt_filters_of(msg->filter, msg->n_filter, arena, &filters, err) != 0)
        return err->code;
    want.filters = filters;
    if (rt_list(room, &who, &want, arena, &items, &n, err) != 0)
        return err->code;
    r = reply_list(call, items, n, arena, err);
    rt_items_free(items, n);
    return r;
}

int rt_rpc_list(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = list(room, call, (const RT_MSG(ContainerListRequest) *)request, &arena, err);
    bh_arena_fini(&arena);
    return r;
}

/* ---- inspect ----------------------------------------------------------------------------------- */

static int unpack_row(struct rt_container *c, struct bh_arena *arena, RT_MSG(ContainerInspectReply) * reply,
                      struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf request = BH_BUF_INIT_MAX((size_t)16 << 20), config = BH_BUF_INIT_MAX((size_t)16 << 20);
    ProtobufCAllocator alloc = rt_arena_allocator(arena);

    if (rt_container_blobs(c, NULL, &request, &config, err) != 0)
        return err->code;
    reply->spec = bulkhead__runtime__v1__container_spec__unpack(&alloc, request.len, (const uint8_t *)request.data);
    reply->config = bulkhead__image__v1__image_config__unpack(&alloc, config.len, (const uint8_t *)config.data);
    if (reply->spec == NULL || reply->config == NULL)
        return bh_err_set(err, BH_E_DATA_LOSS, "the row of container %s cannot be read", c->id);
    return 0;
}

/* The one that it was made for, or would be started with. */
static const char *runtime_of(struct rt_room *room, struct rt_container *c) {
    int oci = atomic_load(&c->oci);

    if (oci < 0)
        rt_host(room, &oci);
    return oci >= 0 && oci < RT_OCI_N ? RT_OCI_PROGRAM(oci) : "";
}

static int fill_inspect(struct rt_room *room, struct rt_item *it, struct bh_arena *arena,
                        RT_MSG(ContainerInspectReply) * reply, struct bh_err *err) {
    struct rt_container *c = it->c;
    char log_path[RT_ID_SIZE + 32];
    struct bh_strlist execs = {0};

    if (unpack_row(c, arena, reply, err) != 0 || summary(it, arena, &reply->summary, err) != 0 ||
        rt_exec_list(c, arena, &execs, err) != 0)
        return err->code;
    if (c->facts->command.n > 0) {
        reply->path = (char *)c->facts->command.v[0];
        reply->args = (char **)c->facts->command.v + 1;
        reply->n_args = c->facts->command.n - 1;
    }
    snprintf(log_path, sizeof log_path, "state/monitor/%s/log", c->id); /* below the engine's --root */
    reply->log_path = (char *)bh_oci_strdup(arena, log_path, strlen(log_path), err);
    if (reply->log_path == NULL)
        return err->code;
    reply->id_base = it->status.id_base;
    reply->exec_id = (char **)execs.v;
    reply->n_exec_id = execs.n;
    reply->oci_runtime = (char *)runtime_of(room, c);
    reply->storage_form = (char *)(rt_host(room, NULL).form == RT_FORM_EROFS ? "erofs" : "extracted");
    return 0;
}

static int inspect(struct rt_room *room, struct bh_call *call, const RT_MSG(ContainerInspectRequest) * msg,
                   struct bh_arena *arena, struct bh_err *err) {
    RT_MSG(ContainerInspectReply) reply = BULKHEAD__RUNTIME__V1__CONTAINER_INSPECT_REPLY__INIT;
    RT_SCOPE_CONTAINER struct rt_container *c = NULL;
    struct rt_item it;

    if (rt_find(room, call, msg->container, &c, err) != 0)
        return err->code;
    it = (struct rt_item){.c = c, .status = rt_container_status(c), .image = c->image};
    rt_table_name(room->table, c, it.name);
    if (msg->size)
        rt_item_measure(&it, arena);
    if (fill_inspect(room, &it, arena, &reply, err) != 0)
        return err->code;
    return bh_call_reply(call, &reply.base, err);
}

int rt_rpc_inspect(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, RT_CALL_ARENA);
    r = inspect(room, call, (const RT_MSG(ContainerInspectRequest) *)request, &arena, err);
    bh_arena_fini(&arena);
    return r;
}
