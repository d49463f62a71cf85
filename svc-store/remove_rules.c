/*
 * remove_rules.c - may this image go?  docker's rules, nothing else.
 *
 * Room: store.  Pure; tests/unit/store/test_remove_rules.c has the table row by row.
 */
#include "remove.h"

static enum store_remove_verdict by_name(const struct store_remove_case *c) {
    bool used = c->running || c->stopped;

    if (!c->force && c->single && used)
        return STORE_REFUSE_NAME_USED;
    if (c->names_left)
        return STORE_REMOVE_UNTAG;
    /* the last name may always go; what still needs the image keeps it, without a word */
    if (c->children || c->running || (c->stopped && !c->force))
        return STORE_REMOVE_UNTAG;
    return STORE_REMOVE_DELETE;
}

static enum store_remove_verdict by_id(const struct store_remove_case *c) {
    if (c->children)
        return STORE_REFUSE_CHILDREN;
    if (c->running)
        return STORE_REFUSE_RUNNING;
    if (!c->single && !c->force)
        return STORE_REFUSE_REFERENCED;
    if (c->stopped && !c->force)
        return STORE_REFUSE_STOPPED;
    return STORE_REMOVE_DELETE;
}

enum store_remove_verdict store_remove_decide(const struct store_remove_case *c) {
    return c->by_name ? by_name(c) : by_id(c);
}
