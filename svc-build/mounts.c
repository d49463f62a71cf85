/*
 * mounts.c - see mounts.h.
 *
 * Room: build.
 */
#include "mounts.h"

#include <string.h>

#include "base/mem.h"
#include "room.h"

int build_mounts_read(struct build_mounts *m, struct build_site *site, const struct build_instruction *in,
                      struct build_vertex_ref v, struct bh_strlist *args, struct bh_err *err) {
    (void)args;
    *m = (struct build_mounts){.site = site, .v = v, .n = in->run.n_mounts};
    if (in->run.n_mounts > 0 || in->run.shebang)
        return bh_err_set(err, BH_E_UNIMPLEMENTED, "line %u: RUN --mount comes with a later version", in->at.line);
    return 0;
}

void build_mounts_key(const struct build_mounts *m, struct build_key *k) {
    build_key_number(k, (int64_t)m->n);
}

int build_mounts_make(struct build_mounts *m, struct bh_err *err) {
    (void)m;
    (void)err;
    return 0;
}

int build_mounts_env(const struct build_mounts *m, struct bh_strlist *env, struct bh_err *err) {
    (void)m;
    (void)env;
    (void)err;
    return 0;
}

int build_mounts_keep(struct build_mounts *m, const struct bh_digest *separate, struct bh_err *err) {
    (void)m;
    (void)separate;
    (void)err;
    return 0;
}

void build_mounts_leave(struct build_mounts *m) {
    (void)m;
}
