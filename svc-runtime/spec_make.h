/*
 * spec_make.h - image config + request = what the container shall be (wire/spec.h).
 *
 * Room: runtime.  Pure.  Reads the caller's request and a config that a worker has reduced; trusts
 * neither.  The results are checked values only; launch checks them again.
 */
#ifndef RT_SPEC_MAKE_H
#define RT_SPEC_MAKE_H

#include "base/arena.h"
#include "base/err.h"
#include "oci/config.h"
#include "svc-runtime/request.h"
#include "wire/spec.h"

#define RT_STOP_SECONDS 10 /* docker's default before KILL */

struct rt_made {
    struct rt_spec spec;
    struct bh_image_config config; /* the image's with the request's over it: inspect, commit */
    int stop_signal;
    int stop_timeout; /* seconds, -1: for ever */
    struct bh_strlist warnings;
    const char *profile; /* text of a seccomp profile that is yet to be read, or NULL */
};

/* Everything in *out lives in the arena (or in req and image).  id gives the default host name. */
int rt_spec_make(const struct rt_request *req, const struct bh_image_config *image, const char *id,
                 struct bh_arena *arena, struct rt_made *out, struct bh_err *err);

/* A session in a container that was made from `base`. */
int rt_spec_make_exec(const struct rt_exec_request *req, const struct rt_spec *base, struct bh_arena *arena,
                      struct rt_spec *out, struct bh_err *err);

/* ---- parts, by file ---------------------------------------------------------------------- */

/* spec_env.c: the user's entries over the image's, as docker merges; "K" without '=' takes K away. */
int rt_env_merge(const struct bh_strlist *image, const struct bh_strlist *user, struct bh_arena *arena,
                 struct bh_strlist *out, struct bh_err *err);
/* spec_mounts.c */
int rt_spec_mounts(const struct rt_request *req, struct bh_arena *arena, struct rt_spec *spec, struct bh_err *err);
/* "/a//b/../c" -> "/a/c"; BH_E_INVALID unless absolute.  what names the option. */
int rt_path_clean(const char *path, const char *what, struct bh_arena *arena, char **out, struct bh_err *err);
/* spec_limits.c */
int rt_spec_limits(const struct rt_request *req, struct bh_arena *arena, struct rt_spec *spec, struct bh_err *err);
/* spec_isolation.c: namespaces, network, capabilities, --security-opt, devices */
int rt_spec_isolation(const struct rt_request *req, struct bh_arena *arena, struct rt_made *made, struct bh_err *err);
/* spec_network.c: host name, resolver, extra hosts */
int rt_spec_names(const struct rt_request *req, const char *id, struct bh_arena *arena, struct rt_spec *spec,
                  struct bh_err *err);
/* list -> rt_strings, sharing the strings. */
int rt_strings_of(const struct bh_strlist *list, struct bh_arena *arena, struct rt_strings *out, struct bh_err *err);
/* a then b, sharing the strings. */
int rt_list_join(const struct bh_strlist *a, const struct bh_strlist *b, struct bh_arena *arena, struct bh_strlist *out,
                 struct bh_err *err);
int rt_spec_warn(struct rt_made *made, struct bh_arena *arena, const char *text, struct bh_err *err);

#endif
