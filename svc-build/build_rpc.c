/*
 * build_rpc.c - handler: Build/Build.
 *
 * Room: build.  Foreign: the request.  One conversion each way: message to struct build_ask, events to messages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"
#include "build.pb-c.h"
#include "cache_spec.h"
#include "convert_rpc.h"
#include "job.h"
#include "log.h"
#include "methods.h"
#include "room.h"
#include "rpc/server.h"

#define MAX_AGENTS 16
#define MAX_FDS    64
#define MIN_MEMORY ((uint64_t)6 << 20)

/* ---- request --------------------------------------------------------------------------------- */

static struct bh_strlist list_of(char **v, size_t n) {
    return (struct bh_strlist){.present = n > 0, .n = n, .v = (const char **)v};
}

static int ulimits_of(const BD_MSG(BuildRequest) * m, struct bh_arena *arena, struct build_ask *out,
                      struct bh_err *err) {
    out->ulimits = bh_oci_alloc(arena, (m->n_ulimit + 1) * sizeof *out->ulimits, err);
    if (out->ulimits == NULL)
        return err->code;
    for (size_t i = 0; i < m->n_ulimit; i++) {
        const char *eq = strchr(m->ulimit[i], '='), *colon = eq != NULL ? strchr(eq, ':') : NULL;
        struct build_ulimit *u = &out->ulimits[i];
        char soft[24];

        if (eq == NULL ||
            !bh_str_copy_n(soft, sizeof soft, eq + 1, colon != NULL ? (size_t)(colon - eq - 1) : strlen(eq + 1)) ||
            !bh_str_u64(soft, &u->soft) || (colon != NULL && !bh_str_u64(colon + 1, &u->hard)))
            return bh_err_set(err, BH_E_INVALID, "invalid ulimit \"%.100s\": NAME=SOFT[:HARD]", m->ulimit[i]);
        u->name = bh_oci_strdup(arena, m->ulimit[i], (size_t)(eq - m->ulimit[i]), err);
        if (u->name == NULL)
            return err->code;
        if (colon == NULL)
            u->hard = u->soft;
    }
    out->n_ulimits = m->n_ulimit;
    return 0;
}

static int named_of(const BD_MSG(BuildRequest) * m, struct bh_arena *arena, struct build_ask *out, struct bh_err *err) {
    out->named = bh_oci_alloc(arena, (m->n_named + 1) * sizeof *out->named, err);
    out->secrets = bh_oci_alloc(arena, (m->n_secret + 1) * sizeof *out->secrets, err);
    if (out->named == NULL || out->secrets == NULL)
        return err->code;
    out->n_named = m->n_named;
    for (size_t i = 0; i < m->n_named; i++)
        out->named[i] = (struct build_named){.name = m->named[i]->name,
                                             .context = m->named[i]->context,
                                             .reference = m->named[i]->reference,
                                             .url = m->named[i]->url,
                                             .archive = m->named[i]->archive,
                                             .fd = -1};
    out->n_secrets = m->n_secret;
    for (size_t i = 0; i < m->n_secret; i++)
        out->secrets[i] = (struct build_secret){m->secret[i]->id, m->secret[i]->value.data, m->secret[i]->value.len};
    return 0;
}

static int outs_of(const BD_MSG(BuildRequest) * m, struct bh_arena *arena, struct build_ask *out, struct bh_err *err) {
    out->outs = bh_oci_alloc(arena, (m->n_more_output + 1) * sizeof *out->outs, err);
    if (out->outs == NULL)
        return err->code;
    out->n_outs = m->n_more_output + 1;
    out->outs[0] = (struct build_out){.type = m->output, .names = list_of(m->tag, m->n_tag), .push = m->push, .fd = -1};
    for (size_t i = 0; i < m->n_more_output; i++)
        out->outs[i + 1] = (struct build_out){.type = m->more_output[i]->type,
                                              .names = list_of(m->more_output[i]->name, m->more_output[i]->n_name),
                                              .push = m->more_output[i]->push,
                                              .fd = -1};
    return 0;
}

/* Proxies come with the build arguments, those of the command line first. */
static int args_of(const BD_MSG(BuildRequest) * m, struct bh_arena *arena, struct build_ask *out, struct bh_err *err) {
    for (size_t i = 0; i < m->n_proxy_arg; i++)
        if (bh_pairs_set(&out->build_args, arena, m->proxy_arg[i]->key, m->proxy_arg[i]->value, err) != 0)
            return err->code;
    for (size_t i = 0; i < m->n_build_arg; i++)
        if (bh_pairs_set(&out->build_args, arena, m->build_arg[i]->key, m->build_arg[i]->value, err) != 0)
            return err->code;
    if (build_pairs_of(m->label, m->n_label, arena, &out->labels, err) != 0)
        return err->code;
    return build_pairs_of(m->annotation, m->n_annotation, arena, &out->annotations, err);
}

/* A SOURCE_DATE_EPOCH among the build arguments counts as the option. */
static int epoch_of(const BD_MSG(BuildRequest) * m, struct build_ask *out, struct bh_err *err) {
    const char *text = bh_pairs_get(&out->build_args, "SOURCE_DATE_EPOCH");
    int64_t seconds = m->source_date_epoch;

    out->has_epoch = m->has_epoch || (text != NULL && text[0] != '\0');
    if (!m->has_epoch && out->has_epoch && !bh_str_i64(text, &seconds))
        return bh_err_set(err, BH_E_INVALID, "SOURCE_DATE_EPOCH \"%.40s\" is not a number of seconds", text);
    if (out->has_epoch && (seconds < 0 || seconds > INT64_C(253402300799)))
        return bh_err_set(err, BH_E_INVALID, "SOURCE_DATE_EPOCH is not a time between 1970 and 9999");
    out->epoch_ns = out->has_epoch ? seconds * BH_NSEC : 0;
    return 0;
}

/* As docker; told before anything is done.  The others are judged by runtime, which knows the host. */
static int limits_of(const BD_MSG(BuildRequest) * m, struct bh_err *err) {
    if (m->limits != NULL && m->limits->memory != 0 && m->limits->memory < MIN_MEMORY)
        return bh_err_set(err, BH_E_INVALID, "--memory: minimum memory limit allowed is 6MB");
    return 0;
}

static int network_of(const char *network, struct bh_err *err) {
    static const char *const known[] = {"", "default", "none", "host"};

    for (size_t i = 0; i < BH_ARRAY_LEN(known); i++)
        if (strcmp(network, known[i]) == 0)
            return 0;
    bh_err_set(err, BH_E_UNIMPLEMENTED, "--network=%.60s: this mode comes with a later version", network);
    return bh_err_hint(err, "known now: none, host");
}

static int ask_of(struct bh_call *call, const BD_MSG(BuildRequest) * m, struct bh_arena *arena, struct build_ask *out,
                  struct bh_err *err) {
    const struct bh_peer *peer = bh_call_peer(call);

    *out = (struct build_ask){.owner = peer->uid,
                              .admin = (peer->roles & BH_ROLE_ADMIN) != 0,
                              .dockerfile = m->dockerfile.data,
                              .n_dockerfile = m->dockerfile.len,
                              .file_name = m->dockerfile_name,
                              .context = m->context,
                              .context_url = m->context_url,
                              .ignore = list_of(m->ignore, m->n_ignore),
                              .target = m->target,
                              .platforms = list_of(m->platform, m->n_platform),
                              .network = m->network,
                              .extra_hosts = list_of(m->extra_host, m->n_extra_host),
                              .cache_from = list_of(m->cache_from, m->n_cache_from),
                              .cache_to = list_of(m->cache_to, m->n_cache_to),
                              .no_cache_filter = list_of(m->no_cache_filter, m->n_no_cache_filter),
                              .security_opts = list_of(m->security_opt, m->n_security_opt),
                              .cap_add = list_of(m->cap_add, m->n_cap_add),
                              .no_cache = m->no_cache,
                              .pull = m->pull,
                              .squash = m->squash,
                              .classic = m->classic,
                              .shm_size = m->shm_size,
                              .limits = m->limits,
                              .jobs = m->jobs,
                              .remote = m->remote,
                              .cancel_fd = bh_call_cancel_fd(call)};
    if (network_of(m->network, err) != 0 || limits_of(m, err) != 0 || ulimits_of(m, arena, out, err) != 0 ||
        named_of(m, arena, out, err) != 0 || outs_of(m, arena, out, err) != 0 || args_of(m, arena, out, err) != 0)
        return err->code;
    return epoch_of(m, out, err);
}

/* ---- events ---------------------------------------------------------------------------------- */

struct sink {
    struct bh_call *call;
    struct build_log *log;
};

static int send_event(void *arg, const struct build_event *e, struct bh_err *err) {
    struct sink *s = arg;
    struct build_event_msg room;
    const BD_MSG(BuildEvent) *m = build_event_msg(e, &room);

    build_log_add(s->log, &m->base);
    return bh_call_send_msg(s->call, &m->base, err);
}

/* ---- the call -------------------------------------------------------------------------------- */

static int make_id(char out[24], struct bh_err *err) {
    unsigned char raw[8];

    if (getrandom(raw, sizeof raw, 0) != sizeof raw)
        return bh_err_set(err, BH_E_INTERNAL, "no random bytes for a build's id");
    bh_hex(raw, sizeof raw, out);
    return 0;
}

/* What has come in one message, and how far it has been given away. */
struct taken {
    int fds[MAX_FDS];
    unsigned n, at;
};

static int next_fd(struct taken *t) {
    return t->at < t->n ? t->fds[t->at++] : -1;
}

static unsigned locals(const struct bh_strlist *texts) {
    unsigned n = 0;

    for (size_t i = 0; i < texts->n; i++)
        n += build_cache_spec_local(texts->v[i]);
    return n;
}

static int *cache_fds(struct taken *t, const struct bh_strlist *texts, struct bh_arena *arena, struct bh_err *err) {
    int *fds = bh_oci_alloc(arena, (texts->n + 1) * sizeof *fds, err);

    for (size_t i = 0; fds != NULL && i < texts->n; i++)
        fds[i] = build_cache_spec_local(texts->v[i]) ? next_fd(t) : -1;
    return fds;
}

static unsigned archives(const struct build_ask *ask) {
    unsigned n = 0;

    for (size_t i = 0; i < ask->n_named; i++)
        n += ask->named[i].archive;
    return n;
}

static unsigned outputs(const BD_MSG(BuildRequest) * m) {
    unsigned n = m->output_fd;

    for (size_t i = 0; i < m->n_more_output; i++)
        n += m->more_output[i]->fd;
    return n;
}

static void give_outputs(struct taken *t, const BD_MSG(BuildRequest) * m, struct build_ask *ask) {
    for (size_t i = 0; i < ask->n_outs; i++)
        if (i == 0 ? m->output_fd : m->more_output[i - 1]->fd)
            ask->outs[i].fd = next_fd(t);
}

static void give_agents(struct taken *t, const BD_MSG(BuildRequest) * m, struct build_ask *ask) {
    for (size_t i = 0; i < m->n_ssh && t->at < t->n; i++)
        ask->agents[ask->n_agents++] = (struct build_agent){.id = m->ssh[i], .fd = next_fd(t)};
}

/* In the order of build.proto.  What has come is the call's to close, also when it is too little. */
static int take_fds(struct bh_call *call, const BD_MSG(BuildRequest) * m, struct bh_arena *arena, struct build_ask *ask,
                    struct bh_err *err) {
    const unsigned want =
        outputs(m) + (unsigned)m->n_ssh + locals(&ask->cache_from) + locals(&ask->cache_to) + archives(ask);
    struct taken t = {.n = 0};

    if (m->n_ssh > MAX_AGENTS)
        return bh_err_set(err, BH_E_LIMIT, "%zu ssh agents: at most %d can be given", m->n_ssh, MAX_AGENTS);
    if (want > MAX_FDS)
        return bh_err_set(err, BH_E_LIMIT, "more than %d outputs, agents, caches and archives", MAX_FDS);
    if (want > 0 && bh_call_take_fds(call, t.fds, MAX_FDS, &t.n, err) != 0)
        return err->code;
    ask->agents = bh_oci_alloc(arena, (m->n_ssh + 1) * sizeof *ask->agents, err);
    if (ask->agents != NULL) {
        give_outputs(&t, m, ask);
        give_agents(&t, m, ask);
        ask->cache_from_fd = cache_fds(&t, &ask->cache_from, arena, err);
        ask->cache_to_fd = cache_fds(&t, &ask->cache_to, arena, err);
        for (size_t i = 0; i < ask->n_named; i++)
            ask->named[i].fd = ask->named[i].archive ? next_fd(&t) : -1;
    }
    bh_fdpass_close(t.fds + t.at, t.n - t.at);
    if (err->code != 0)
        return err->code;
    return t.n == want ? 0
                       : bh_err_set(err, BH_E_INVALID,
                                    "%u descriptors came for outputs, agents, caches and archives, not %u", t.n, want);
}

static void close_fds(struct build_ask *ask) {
    for (size_t i = 0; i < ask->n_outs; i++)
        bh_fdpass_close(&ask->outs[i].fd, 1);
    for (size_t i = 0; i < ask->n_agents; i++)
        bh_fdpass_close(&ask->agents[i].fd, 1);
    for (size_t i = 0; i < ask->n_named; i++)
        bh_fdpass_close(&ask->named[i].fd, 1);
    if (ask->cache_from_fd != NULL)
        bh_fdpass_close(ask->cache_from_fd, (unsigned)ask->cache_from.n);
    if (ask->cache_to_fd != NULL)
        bh_fdpass_close(ask->cache_to_fd, (unsigned)ask->cache_to.n);
}

static int run(struct build_room *room, struct bh_call *call, const struct build_ask *ask, struct bh_arena *arena,
               struct bh_err *err) {
    struct sink sink = {.call = call};
    struct build_event first = {0};
    struct build_job job;
    int r;

    build_job_init(&job, room, ask, arena);
    sink.log = build_log_new(&job);
    job.progress = build_progress_new(send_event, &sink, ask->classic);
    r = make_id(job.id, err);
    if (r == 0) {
        first.build_id = job.id;
        build_tell(job.progress, &first);
        r = build_solve(&job, err);
    }
    build_log_end(sink.log, r, err);
    build_hold_end(job.hold);
    build_progress_free(job.progress);
    build_job_fini(&job);
    return r;
}

int build_rpc_build(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const BD_MSG(BuildRequest) *m = (const BD_MSG(BuildRequest) *)request;
    struct build_ask ask = {.n_outs = 0};
    struct bh_arena arena;
    int r;

    bh_arena_init(&arena, BUILD_RECIPE_ARENA + BUILD_CALL_ARENA);
    r = ask_of(call, m, &arena, &ask, err);
    if (r == 0)
        r = take_fds(call, m, &arena, &ask, err);
    if (r == 0)
        r = run(room, call, &ask, &arena, err);
    close_fds(&ask);
    bh_arena_wipe(&arena);
    bh_arena_fini(&arena);
    return r;
}
