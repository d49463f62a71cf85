/*
 * peer.c - who is connected, what each user has under way, and the replies on their way out.
 *
 * Room: every room that serves.  Trusts the kernel's credentials that the transport hands over, and
 * nothing that a peer says.  Never blocks; the server's lock is held in every function but one.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/server_priv.h"

unsigned bh_peer_roles(const struct bh_server *s, uid_t uid, gid_t gid) {
    if (uid == 0)
        return BH_ROLE_ADMIN;
    return s->config.roles_of != NULL ? s->config.roles_of(s->config.roles_arg, uid, gid) : BH_ROLE_NOBODY;
}

static struct bh_uid_use *use_of(struct bh_server *s, uid_t uid) {
    struct bh_uid_use *u;

    HASH_FIND(hh, s->uses, &uid, sizeof uid, u);
    if (u == NULL) {
        u = calloc(1, sizeof *u);
        if (u == NULL)
            return NULL;
        u->uid = uid;
        HASH_ADD(hh, s->uses, uid, sizeof u->uid, u);
    }
    u->peers++;
    return u;
}

struct bh_peer_link *bh_peer_add(struct bh_server *s, uint32_t pipe, uid_t uid, gid_t gid, pid_t pid, unsigned roles) {
    struct bh_peer_link *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->pipe = pipe;
    p->who = (struct bh_peer){.uid = uid, .gid = gid, .pid = pid, .roles = roles};
    p->use = use_of(s, uid);
    if (p->use == NULL) {
        free(p);
        return NULL;
    }
    HASH_ADD(hh, s->peers, pipe, sizeof p->pipe, p);
    return p;
}

void bh_use_put(struct bh_server *s, struct bh_uid_use *use) {
    if (use->peers > 0 || use->calls > 0)
        return;
    HASH_DELETE(hh, s->uses, use);
    free(use);
}

struct bh_peer_link *bh_peer_find(struct bh_server *s, uint32_t pipe) {
    struct bh_peer_link *p;

    HASH_FIND(hh, s->peers, &pipe, sizeof pipe, p);
    return p;
}

void bh_peer_remove(struct bh_server *s, struct bh_peer_link *p) {
    s->unsent -= p->unsent;
    HASH_DELETE(hh, s->peers, p);
    p->use->peers--;
    bh_use_put(s, p->use);
    free(p);
}

struct bh_call *bh_peer_call(struct bh_peer_link *p, uint64_t id) {
    struct bh_call *c;

    DL_FOREACH(p->calls, c) {
        if (c->id == id)
            return c;
    }
    return NULL;
}

void bh_outbox_add(struct bh_server *s, struct bh_outbox *o, struct bh_peer_link *p, struct bh_slot *slot,
                   struct bh_msg *take_msg) {
    if (p == NULL) {
        bh_msg_free(take_msg);
        take_msg = NULL;
    }
    o->v[o->n].slot = slot;
    o->v[o->n].msg = take_msg;
    o->n++;
    if (take_msg == NULL) {
        if (p != NULL)
            o->kick = p->pipe; /* no memory for an answer: better no connection than a silent one */
        return;
    }
    s->unsent++;
    if (++p->unsent > BH_UNSENT_MAX)
        o->kick = p->pipe; /* sends and does not read */
}

void bh_outbox_flush(struct bh_server *s, struct bh_outbox *o) {
    for (unsigned i = 0; i < o->n; i++) {
        if (o->v[i].msg != NULL)
            bh_slot_reply(o->v[i].slot, o->v[i].msg);
        else
            bh_slot_drop(o->v[i].slot);
    }
    o->n = 0;
    if (o->kick != 0)
        bh_tserver_kick(s->transport, o->kick);
    o->kick = 0;
}

void bh_server_wake(struct bh_server *s, int64_t at) {
    uint64_t one = 1;

    if (at >= s->next_wake)
        return;
    s->next_wake = at;
    (void)!write(s->wake_fd, &one, sizeof one);
}
