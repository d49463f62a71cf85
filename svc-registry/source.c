/*
 * source.c - see source.h.
 */
#include "svc-registry/source.h"

#include <stdlib.h>

#include "base/mem.h"

int reg_source_open(struct reg_source *s, struct reg_room *room, struct reg_conf *conf, const struct reg_caller *caller,
                    const struct bh_ref *ref, enum reg_use use, struct bh_err *err) {
    const struct reg_route_options options = {.use = use, .tls_verify = caller->tls_verify, .admin = caller->admin};

    *s = (struct reg_source){.room = room, .conf = conf, .caller = caller, .ref = *ref};
    s->actions = use == REG_PUSH ? "pull,push" : "pull";
    if (reg_route(conf, ref, &options, &s->places, err) != 0)
        return err->code;
    pthread_mutex_init(&s->lock, NULL);
    return 0;
}

void reg_source_close(struct reg_source *s) {
    for (size_t i = 0; i < s->places.n; i++)
        if (s->remote[i] != NULL)
            reg_remote_free(s->remote[i]);
    pthread_mutex_destroy(&s->lock);
}

int reg_source_remote(struct reg_source *s, size_t i, struct reg_remote **out, struct bh_err *err) {
    int r = 0;

    pthread_mutex_lock(&s->lock);
    if (s->remote[i] == NULL)
        r = reg_remote_open(s->room, s->conf, &s->places.v[i], s->caller, s->actions, &s->remote[i], err);
    *out = s->remote[i];
    pthread_mutex_unlock(&s->lock);
    return r;
}

int reg_source_ask(struct reg_source *s, reg_at_place *ask, void *arg, size_t *out_i, struct bh_err *err) {
    return reg_source_ask_from(s, s->at, ask, arg, out_i, err);
}

int reg_source_ask_from(struct reg_source *s, size_t first, reg_at_place *ask, void *arg, size_t *out_i,
                        struct bh_err *err) {
    BH_SCOPE_FREE struct bh_err *errs = bh_xcalloc(REG_MAX_PLACES, sizeof *errs);
    size_t i = first;

    for (;;) {
        struct reg_remote *remote = NULL;

        if (reg_source_remote(s, i, &remote, &errs[i]) == 0 && ask(arg, remote, &errs[i]) == 0) {
            if (out_i != NULL)
                *out_i = i;
            return 0;
        }
        if (i + 1 >= s->places.n || !reg_place_next(&s->places, i, &errs[i]))
            break;
        i++;
    }
    if (i == first || errs[i].code == BH_E_CANCELLED) {
        *err = errs[i];
        return err->code;
    }
    return reg_places_failed(&s->places, errs, i + 1, err);
}
