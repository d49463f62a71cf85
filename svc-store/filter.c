/*
 * filter.c - see filter.h.
 */
#include "filter.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "name.h"

const char *const store_filter_images[] = {"dangling",  "label", "label!", "before",     "since", "until",
                                           "reference", "id",    "digest", "containers", "after", NULL};
const char *const store_filter_prune[] = {"dangling", "label", "label!", "until", NULL};

/* One filter, its value understood. */
struct test {
    const char *key;
    const char *value;
    bool flag;    /* dangling, containers */
    int64_t time; /* before, since, until: ns */
};

int store_filter_check(const struct store_filters *f, const char *const *known, struct bh_err *err) {
    for (size_t i = 0; i < f->n; i++) {
        size_t k = 0;

        while (known[k] != NULL && strcmp(known[k], f->v[i].key) != 0)
            k++;
        if (known[k] == NULL) {
            char key[100];

            bh_str_escape(key, sizeof key, f->v[i].key, strlen(f->v[i].key), false);
            bh_err_set(err, BH_E_INVALID, "invalid filter '%s'", key);
            return bh_err_reason(err, "unknown-filter");
        }
    }
    return 0;
}

/* ---- values -------------------------------------------------------------------------------- */

static int bad_value(const char *key, const char *value, const char *want, struct bh_err *err) {
    char shown[200];

    bh_str_escape(shown, sizeof shown, value, strlen(value), false);
    bh_err_set(err, BH_E_INVALID, "invalid filter '%s=%s': %s", key, shown, want);
    return bh_err_reason(err, "invalid-filter");
}

static bool parse_bool(const char *s, bool *out) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < BH_ARRAY_LEN(yes); i++) {
        if (strcmp(s, yes[i]) == 0 || strcmp(s, no[i]) == 0) {
            *out = strcmp(s, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

/* "24h" ago, a Unix time with or without fraction, a date, or RFC 3339. */
bool store_filter_time(const char *s, int64_t *out) {
    char full[64];
    int64_t n;
    size_t len = strlen(s);

    if (bh_str_i64(s, &n)) {
        *out = n * BH_NSEC;
        return n < INT64_MAX / BH_NSEC && n > INT64_MIN / BH_NSEC;
    }
    if (bh_duration_parse(s, &n)) {
        *out = bh_now_ns() - n;
        return true;
    }
    if (bh_time_parse(s, out))
        return true;
    if (len == 10)
        snprintf(full, sizeof full, "%.10sT00:00:00Z", s);
    else if (len == 16)
        snprintf(full, sizeof full, "%.16s:00Z", s);
    else
        snprintf(full, sizeof full, "%.40sZ", s);
    return bh_time_parse(full, out);
}

static int image_time(struct store_db *db, const struct store_who *who, const char *text, int64_t *out,
                      struct bh_err *err) {
    struct store_found found;

    if (store_find(db, who, text, &found, err) != 0)
        return err->code;
    return store_get_int(db, out, NULL, err, "SELECT created_ns FROM image WHERE k=?", "i", found.k);
}

static int understand(struct store_db *db, const struct store_who *who, const struct store_filter *f, struct test *out,
                      struct bh_err *err) {
    *out = (struct test){.key = f->key, .value = f->value};
    if (strcmp(f->key, "after") == 0)
        out->key = "since";
    if (strcmp(out->key, "dangling") == 0 || strcmp(out->key, "containers") == 0) {
        if (!parse_bool(f->value, &out->flag))
            return bad_value(f->key, f->value, "true or false is wanted", err);
    } else if (strcmp(out->key, "until") == 0) {
        if (!store_filter_time(f->value, &out->time))
            return bad_value(f->key, f->value, "a time, a Unix time or a duration is wanted", err);
    } else if (strcmp(out->key, "before") == 0 || strcmp(out->key, "since") == 0) {
        return image_time(db, who, f->value, &out->time, err);
    }
    return 0;
}

/* ---- matching ------------------------------------------------------------------------------ */

static bool match_label(const struct store_image *im, const char *value) {
    const char *eq = strchr(value, '=');
    char key[512];
    const char *have;

    if (!bh_str_copy_n(key, sizeof key, value, eq != NULL ? (size_t)(eq - value) : strlen(value)))
        return false;
    have = bh_pairs_get(&im->labels, key);
    return have != NULL && (eq == NULL || strcmp(have, eq + 1) == 0);
}

static bool match_digest(const char *digest, const char *value) {
    if (bh_str_starts(value, "sha256:"))
        return bh_str_starts(digest, value);
    return bh_str_starts(digest + strlen("sha256:"), value);
}

static bool match_one(const struct store_image *im, const struct test *t) {
    if (strcmp(t->key, "dangling") == 0)
        return t->flag == !store_image_has_tag(im);
    if (strcmp(t->key, "containers") == 0)
        return t->flag == (im->containers > 0);
    if (strcmp(t->key, "label") == 0)
        return match_label(im, t->value);
    if (strcmp(t->key, "label!") == 0)
        return !match_label(im, t->value);
    if (strcmp(t->key, "before") == 0 || strcmp(t->key, "until") == 0)
        return im->created_ns < t->time;
    if (strcmp(t->key, "since") == 0)
        return im->created_ns > t->time;
    if (strcmp(t->key, "id") == 0)
        return match_digest(im->id, t->value);
    if (strcmp(t->key, "digest") == 0)
        return match_digest(im->manifest, t->value);
    return true; /* reference: looks at names, see below */
}

static bool ands(const char *key) {
    return strcmp(key, "label") == 0 || strcmp(key, "label!") == 0;
}

static bool match_all(const struct store_image *im, const struct test *tests, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool ok = match_one(im, &tests[i]);

        for (size_t k = 0; k < n && !ok && !ands(tests[i].key); k++)
            ok = strcmp(tests[k].key, tests[i].key) == 0 && match_one(im, &tests[k]);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- names --------------------------------------------------------------------------------- */

static int name_matches(const struct store_name *name, const struct test *tests, size_t n, const char *match, bool *out,
                        struct bh_err *err) {
    struct bh_ref ref;
    bool wanted = false;
    bool any = false;

    store_name_ref(name, &ref);
    *out = true;
    for (size_t i = 0; i < n; i++) {
        bool hit = false;

        if (strcmp(tests[i].key, "reference") != 0)
            continue;
        any = true;
        if (bh_ref_filter(tests[i].value, &ref, &hit, err) != 0)
            return err->code;
        wanted = wanted || hit;
    }
    if (any && !wanted)
        *out = false;
    if (*out && match[0] != '\0')
        return bh_ref_filter(match, &ref, out, err);
    return 0;
}

static int filter_names(struct store_image *im, const struct test *tests, size_t n, const char *match,
                        struct bh_arena *arena, struct bh_err *err) {
    struct store_name *left = bh_oci_alloc(arena, (im->n_names + 1) * sizeof *left, err);
    size_t n_left = 0;

    if (left == NULL)
        return err->code;
    for (size_t i = 0; i < im->n_names; i++) {
        bool keep;

        if (name_matches(&im->names[i], tests, n, match, &keep, err) != 0)
            return err->code;
        if (keep)
            left[n_left++] = im->names[i];
    }
    im->names = left;
    im->n_names = n_left;
    return 0;
}

/* "docker.io/library/debian" means what "debian" means. */
static const char *familiar_match(const char *match, char buf[BH_REF_TEXT_SIZE]) {
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;

    if (match[0] == '\0' || bh_ref_parse(match, &ref, &ignored) != 0)
        return match;
    bh_ref_familiar(&ref, buf);
    return buf;
}

int store_filter_apply(struct store_db *db, const struct store_who *who, const struct store_filters *f,
                       const char *match, bool all, struct bh_arena *arena, struct store_image *images, size_t *n,
                       struct bh_err *err) {
    struct test *tests = bh_oci_alloc(arena, (f->n + 1) * sizeof *tests, err);
    char buf[BH_REF_TEXT_SIZE];
    bool by_name = match[0] != '\0';
    size_t left = 0;

    if (tests == NULL)
        return err->code;
    for (size_t i = 0; i < f->n; i++) {
        if (understand(db, who, &f->v[i], &tests[i], err) != 0)
            return err->code;
        by_name = by_name || strcmp(tests[i].key, "reference") == 0;
    }
    match = familiar_match(match, buf);
    for (size_t i = 0; i < *n; i++) {
        struct store_image *im = &images[i];

        if ((!all && im->has_children && im->n_names == 0) || !match_all(im, tests, f->n))
            continue;
        if (by_name && filter_names(im, tests, f->n, match, arena, err) != 0)
            return err->code;
        if (!by_name || im->n_names > 0)
            images[left++] = *im;
    }
    *n = left;
    return 0;
}
