/*
 * compose_filter.c - see compose_filter.h.
 *
 * Room: worker.  The rules of patterns are lib/ignore's.
 */
#include "unpack/compose_filter.h"

#include <stdlib.h>
#include <string.h>

#include "ignore/ignore.h"
#include "unpack/limit.h"

#define PATH_ROOM ((size_t)16 << 10)

static int no_memory(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "not enough memory for patterns");
    return unp_limit(err, NULL);
}

static int too_long(struct bh_err *err) {
    bh_err_set(err, BH_E_LIMIT, "a name to copy has more than %zu bytes", PATH_ROOM);
    return unp_limit(err, NULL);
}

int unp_filter_open(struct unp_filter *f, const unp_item_msg *item, struct bh_err *err) {
    memset(f, 0, sizeof *f);
    f->path = calloc(1, PATH_ROOM);
    if (f->path == NULL)
        return no_memory(err);
    if (item->n_ignore > 0 &&
        bh_ignore_new((const char *const *)item->ignore, item->n_ignore, ".dockerignore", &f->ignore, err) != 0)
        return err->code;
    if (item->n_exclude > 0 &&
        bh_ignore_new((const char *const *)item->exclude, item->n_exclude, "--exclude", &f->exclude, err) != 0)
        return err->code;
    return 0;
}

void unp_filter_close(struct unp_filter *f) {
    bh_ignore_free(f->ignore);
    bh_ignore_free(f->exclude);
    bh_pattern_free(f->only);
    free(f->path);
    memset(f, 0, sizeof *f);
}

bool unp_filter_hides(const struct unp_filter *f) {
    return f->ignore != NULL;
}

int unp_filter_only(struct unp_filter *f, struct unp_text pattern, struct bh_err *err) {
    char text[BH_PATTERN_MAX + 2];

    bh_pattern_free(f->only);
    f->only = NULL;
    while (pattern.n > 0 && pattern.s[0] == '/') {
        pattern.s++;
        pattern.n--;
    }
    if (pattern.n > BH_PATTERN_MAX)
        return too_long(err);
    if (pattern.n > 0)
        memcpy(text, pattern.s, pattern.n);
    text[pattern.n] = '\0';
    bh_path_clean(text);
    if (strcmp(text, ".") == 0)
        return 0; /* the whole */
    return bh_pattern_new(text, &f->only, err);
}

/* ---- the way down -------------------------------------------------------------------------- */

static const char *below(const struct unp_filter *f) {
    return f->path + f->below;
}

static bool ask(const struct bh_ignore *ig, const char *path, const unsigned char *above, unsigned char **out_here,
                bool *out_no_memory) {
    *out_here = NULL;
    if (ig == NULL || path[0] == '\0')
        return false;
    *out_here = malloc(bh_ignore_count(ig) + 1);
    if (*out_here == NULL) {
        *out_no_memory = true;
        return false;
    }
    return bh_ignore_walk(ig, path, above, *out_here);
}

static bool add_name(struct unp_filter *f, size_t len, struct unp_text name, size_t *out_len) {
    size_t at = len;

    if (len + name.n + 2 > PATH_ROOM)
        return false;
    if (at > 0)
        f->path[at++] = '/';
    memcpy(f->path + at, name.s, name.n);
    f->path[at + name.n] = '\0';
    *out_len = at + name.n;
    return true;
}

/* The path in f is the one that is asked about. */
static enum unp_verdict judge(struct unp_filter *f, const struct unp_filter_at *above, struct unp_filter_at *here,
                              bool *out_no_memory) {
    bool ignored = ask(f->ignore, f->path, above->ignore, &here->ignore, out_no_memory);
    bool excluded = ask(f->exclude, below(f), above->exclude, &here->exclude, out_no_memory);

    here->inside = above->inside;
    if (f->only != NULL && !above->inside && below(f)[0] != '\0') {
        here->inside = bh_pattern_match(f->only, below(f));
        f->hits += here->inside;
        if (!here->inside)
            return bh_pattern_may_match_below(f->only, below(f)) ? UNP_LEAVE : UNP_LEAVE_ALL;
    }
    if (!ignored && !excluded)
        return f->only == NULL || here->inside ? UNP_TAKE : UNP_LEAVE;
    if ((ignored && bh_ignore_prunes(f->ignore, f->path)) || (excluded && bh_ignore_prunes(f->exclude, below(f))))
        return UNP_LEAVE_ALL;
    return UNP_LEAVE;
}

static struct unp_text next_part(struct unp_text *rest) {
    const char *slash = memchr(rest->s, '/', rest->n);
    struct unp_text part = {rest->s, slash == NULL ? rest->n : (size_t)(slash - rest->s)};
    size_t cut = part.n + (slash != NULL);

    rest->s += cut;
    rest->n -= cut;
    return part;
}

/* The source's folders are asked one after the other: a line that covers one of them covers the source. */
static int walk_to(struct unp_filter *f, struct unp_text source, struct unp_filter_at *at, enum unp_verdict *verdict,
                   struct bh_err *err) {
    char clean[PATH_ROOM];
    struct unp_text rest;
    bool lost = false;

    if (source.n + 2 > sizeof clean)
        return too_long(err);
    clean[0] = '/';
    memcpy(clean + 1, source.s, source.n);
    clean[source.n + 1] = '\0';
    bh_path_clean(clean);
    rest = (struct unp_text){clean + 1, strlen(clean + 1)};
    while (rest.n > 0) {
        struct unp_filter_at here = {.len = 0};

        if (!add_name(f, at->len, next_part(&rest), &here.len))
            return too_long(err);
        f->below = here.len;
        *verdict = judge(f, at, &here, &lost);
        unp_filter_leave(at);
        *at = here;
        if (lost)
            return no_memory(err);
    }
    return 0;
}

int unp_filter_start(struct unp_filter *f, struct unp_text source, bool dir, struct unp_filter_at *out,
                     enum unp_verdict *out_verdict, struct bh_err *err) {
    struct bh_pattern *only = f->only;

    *out = (struct unp_filter_at){.len = 0};
    *out_verdict = UNP_TAKE;
    f->path[0] = '\0';
    f->below = 0;
    f->only = NULL;
    walk_to(f, source, out, out_verdict, err);
    f->only = only;
    if (err->code != 0)
        return err->code;
    if (!dir && f->exclude != NULL) { /* a file's own name counts */
        const char *slash = strrchr(f->path, '/');

        if (bh_ignore_match(f->exclude, slash != NULL ? slash + 1 : f->path))
            *out_verdict = UNP_LEAVE;
    }
    if (!dir && *out_verdict == UNP_LEAVE)
        *out_verdict = UNP_LEAVE_ALL;
    f->below = out->len > 0 ? out->len + 1 : 0;
    return 0;
}

int unp_filter_enter(struct unp_filter *f, const struct unp_filter_at *above, struct unp_text name,
                     struct unp_filter_at *out, enum unp_verdict *out_verdict, struct bh_err *err) {
    bool lost = false;

    *out = (struct unp_filter_at){.len = 0};
    *out_verdict = UNP_TAKE;
    if (f->ignore == NULL && f->exclude == NULL && f->only == NULL)
        return 0;
    if (!add_name(f, above->len, name, &out->len))
        return too_long(err);
    *out_verdict = judge(f, above, out, &lost);
    if (lost) {
        unp_filter_leave(out);
        return no_memory(err);
    }
    return 0;
}

void unp_filter_leave(struct unp_filter_at *at) {
    free(at->ignore);
    free(at->exclude);
    at->ignore = at->exclude = NULL;
}
