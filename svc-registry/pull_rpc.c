/*
 * pull_rpc.c - Registry/Pull: the request as plain arguments, events as messages.
 *
 * Room: registry.
 */
#include "svc-registry/pull.h"

#include "registry.pb-c.h"
#include "rpc/server.h"
#include "svc-registry/caller_rpc.h"
#include "svc-registry/listener_rpc.h"
#include "svc-registry/methods.h"

#define STATE(name) ((int)REG_LAYER_##name == (int)BULKHEAD__REGISTRY__V1__LAYER_STATE__LAYER_##name)
_Static_assert(STATE(NONE) && STATE(PULLING) && STATE(WAITING) && STATE(DOWNLOADING) && STATE(VERIFYING) &&
                   STATE(DOWNLOADED) && STATE(EXTRACTING) && STATE(PULLED) && STATE(EXISTS) && STATE(RETRYING) &&
                   STATE(PREPARING) && STATE(COMPRESSING) && STATE(PUSHING) && STATE(PUSHED) && STATE(THERE) &&
                   STATE(MOUNTED),
               "event.h and registry.proto name the same states");

static int tell(void *arg, const struct reg_event *e, struct bh_err *err) {
    Bulkhead__Registry__V1__PullEvent msg = BULKHEAD__REGISTRY__V1__PULL_EVENT__INIT;

    msg.number = e->number;
    msg.status = reg_event_text(e->status);
    msg.layer = reg_event_text(e->layer);
    msg.state = (Bulkhead__Registry__V1__LayerState)e->state;
    msg.current = e->current;
    msg.total = e->total;
    msg.text = reg_event_text(e->text);
    msg.reference = reg_event_text(e->reference);
    msg.id = reg_event_text(e->id);
    msg.digest = reg_event_text(e->digest);
    msg.is_new = e->is_new;
    msg.warning = reg_event_text(e->warning);
    return reg_client_tell(arg, e, &msg.base, err);
}

int reg_rpc_pull(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    const Bulkhead__Registry__V1__PullRequest *req = (const Bulkhead__Registry__V1__PullRequest *)request;
    struct reg_client client = REG_CLIENT_INIT(call);
    const struct reg_listener listener = {.tell = tell, .arg = &client};
    struct reg_pull ask = {.references = (const char *const *)req->reference,
                           .n_references = req->n_reference,
                           .all_tags = req->all_tags,
                           .platform = req->platform,
                           .jobs = req->jobs};

    if ((bh_call_peer(call)->roles & BH_ROLE_BUILD) != 0 && req->hold != 0) {
        ask.hold = req->hold;
        ask.diff_ids = (struct bh_strlist){.n = req->n_diff_id, .v = (const char **)req->diff_id};
    }

    if (reg_pull_policy_parse(req->policy, &ask.policy, err) != 0 ||
        reg_caller_of(call, req->remote, &ask.caller, err) != 0)
        return err->code;
    return reg_pull(room, &ask, &listener, err);
}
