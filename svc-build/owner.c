/*
 * owner.c - see owner.h.
 *
 * Room: build.  A line that makes no sense is no line; nothing of these files is trusted beyond a number.
 */
#include "owner.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "room.h"

#define NAME_MAX_ 256
#define ID_MAX    INT64_C(4294967294)

static bool number(const char *text, int64_t *out) {
    uint64_t n;

    if (!bh_str_u64(text, &n) || n > (uint64_t)ID_MAX)
        return false;
    *out = (int64_t)n;
    return true;
}

static bool field_number(const char *line, const char *end, unsigned field, int64_t *out) {
    char text[24];
    const char *p = line, *stop;

    for (unsigned i = 0; i < field; i++) {
        p = memchr(p, ':', (size_t)(end - p));
        if (p == NULL)
            return false;
        p++;
    }
    stop = memchr(p, ':', (size_t)(end - p));
    return bh_str_copy_n(text, sizeof text, p, (size_t)((stop != NULL ? stop : end) - p)) && number(text, out);
}

bool build_owner_in_file(const char *text, size_t n, const char *name, unsigned field, int64_t *out) {
    size_t name_len = strlen(name);
    const char *at = text, *last = text + n;

    while (at < last) {
        const char *end = memchr(at, '\n', (size_t)(last - at));

        if (end == NULL)
            end = last;
        if ((size_t)(end - at) > name_len && memcmp(at, name, name_len) == 0 && at[name_len] == ':' &&
            field_number(at, end, field, out))
            return true;
        at = end + 1;
    }
    return false;
}

static int look_up(struct build_site *site, const char *file, const char *name, const unsigned *fields, int64_t *out,
                   size_t n_out, const char *what, struct bh_err *err) {
    const struct build_stack stack = {.layers = site->image.diff_ids, .n = site->image.n_diff_ids};
    const char *text = NULL;
    size_t n = 0;
    bool found = true;
    int r = build_layer_file(site->job->room->store, build_hold_number(site->job->hold), &stack, file, &site->arena,
                             &text, &n, err);

    if (r != 0 && r != BH_E_NOT_FOUND)
        return r;
    for (size_t i = 0; i < n_out; i++)
        found = found && r == 0 && build_owner_in_file(text, n, name, fields[i], &out[i]);
    bh_err_clear(err);
    return found ? 0 : bh_err_set(err, BH_E_NOT_FOUND, "unable to find %s %s: it is not in %s", what, name, file);
}

int build_owner_find(struct build_site *site, const char *text, int64_t *out_uid, int64_t *out_gid,
                     struct bh_err *err) {
    static const unsigned user_fields[] = {2, 3}, group_fields[] = {2};
    const char *colon = strchr(text, ':');
    char user[NAME_MAX_], group[NAME_MAX_] = "";
    int64_t ids[2] = {0, 0};

    if (!bh_str_copy_n(user, sizeof user, text, colon != NULL ? (size_t)(colon - text) : strlen(text)) ||
        (colon != NULL && !bh_str_copy(group, sizeof group, colon + 1)))
        return bh_err_set(err, BH_E_INVALID, "an owner's name of more than %d bytes", NAME_MAX_ - 1);
    if (number(user, &ids[0]))
        ids[1] = ids[0];
    else if (user[0] != '\0' && look_up(site, "/etc/passwd", user, user_fields, ids, 2, "user", err) != 0)
        return err->code;
    if (colon != NULL && group[0] == '\0')
        ids[1] = 0; /* as BuildKit has it, not the user's own group as chown(1) would */
    if (group[0] != '\0' && !number(group, &ids[1]) &&
        look_up(site, "/etc/group", group, group_fields, &ids[1], 1, "group", err) != 0)
        return err->code;
    *out_uid = ids[0];
    *out_gid = ids[1];
    return 0;
}
