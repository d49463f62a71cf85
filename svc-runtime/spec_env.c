/*
 * spec_env.c - the environment of a container: the user's entries over the image's.
 *
 * Room: runtime.  Foreign: both lists.  An entry without '=' takes its name away and never takes a
 * value from anywhere (CVE-2026-57231 gave such an entry the engine's own value); the client has
 * resolved "-e NAME" before.  Order as docker's: the user's first, then the image's that are left.
 */
#include "svc-runtime/spec_make.h"

#include <string.h>

#include "base/mem.h"

#define MAX_ENV 4096 /* the merge compares each with each */

static size_t name_len(const char *entry) {
    return strcspn(entry, "=");
}

static bool same_name(const char *a, const char *b) {
    size_t n = name_len(a);

    return n == name_len(b) && memcmp(a, b, n) == 0;
}

static bool named_in(const struct bh_strlist *list, size_t from, const char *entry) {
    for (size_t i = from; i < list->n; i++)
        if (same_name(list->v[i], entry))
            return true;
    return false;
}

int rt_env_merge(const struct bh_strlist *image, const struct bh_strlist *user, struct bh_arena *arena,
                 struct bh_strlist *out, struct bh_err *err) {
    const char **v;
    size_t n = 0;

    if (image->n + user->n > MAX_ENV)
        return bh_err_set(err, BH_E_LIMIT, "%zu environment entries: at most %d are allowed", image->n + user->n,
                          MAX_ENV);
    v = bh_oci_alloc(arena, (image->n + user->n + 1) * sizeof *v, err);
    if (v == NULL)
        return err->code;
    for (size_t i = 0; i < user->n; i++) {
        if (name_len(user->v[i]) == 0)
            return bh_err_set(err, BH_E_INVALID, "invalid environment variable: %s", user->v[i]);
        /* of two with one name the last counts; without '=' there is nothing to add */
        if (strchr(user->v[i], '=') == NULL || named_in(user, i + 1, user->v[i]))
            continue;
        v[n++] = user->v[i];
    }
    for (size_t i = 0; i < image->n; i++) {
        if (strchr(image->v[i], '=') == NULL || name_len(image->v[i]) == 0 || named_in(user, 0, image->v[i]))
            continue;
        v[n++] = image->v[i];
    }
    *out = (struct bh_strlist){.present = true, .n = n, .v = v};
    return 0;
}
