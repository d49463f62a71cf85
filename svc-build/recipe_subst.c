/*
 * recipe_subst.c - see recipe_subst.h.  Owns matching with '*' and '?' inside a value.
 * Room: build.  Pure.  The set of pattern items that may come next is carried along the value, so that a match
 * costs at most length(pattern) x length(value); STEPS_MAX bounds all tries of one substitution together.
 */
#include "recipe_subst.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define STEPS_MAX ((size_t)20 << 20)
#define ITEM_ANY  0x200000U /* beside all characters and odd bytes */
#define ITEM_STAR 0x200001U

/* Characters; at[i] is the offset of character i, at[n] the length. */
struct chars {
    uint32_t *v;
    size_t *at;
    size_t n;
};

static void chars_fini(struct chars *c) {
    free(c->v);
    free(c->at);
}

static uint32_t char_at(const char *s, size_t n, size_t *out_len) {
    const unsigned char *u = (const unsigned char *)s;
    size_t len = bh_utf8_len(s, n);
    uint32_t c;

    *out_len = len > 0 ? len : 1;
    if (len == 0)
        return 0x110000U + u[0];
    c = len == 1 ? u[0] : u[0] & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (u[i] & 0x3fU);
    return c;
}

static struct chars chars_of(const char *s) {
    size_t len = strlen(s), step;
    struct chars c = {.v = bh_xmalloc((len + 1) * sizeof *c.v), .at = bh_xmalloc((len + 1) * sizeof *c.at)};

    for (size_t i = 0; i < len; i += step) {
        c.at[c.n] = i;
        c.v[c.n++] = char_at(s + i, len - i, &step);
    }
    c.at[c.n] = len;
    return c;
}

static void reverse(uint32_t *v, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t swap = v[i];

        v[i] = v[n - 1 - i];
        v[n - 1 - i] = swap;
    }
}

/* The pattern's items in place of its characters. */
static int compile(struct chars *p, const char *pattern, struct bh_err *err) {
    size_t n = 0;

    for (size_t i = 0; i < p->n; i++) {
        uint32_t c = p->v[i];

        if (c == '\\') {
            c = i + 1 < p->n ? p->v[++i] : 0;
            if (c == 0 || c > 0x7f || strchr("*?\\}/", (int)c) == NULL)
                return bh_err_set(err, BH_E_INVALID, "invalid pattern (%.100s) in substitution: invalid escape",
                                  pattern);
        } else if (c == '*') {
            c = ITEM_STAR;
        } else if (c == '?') {
            c = ITEM_ANY;
        }
        p->v[n++] = c;
    }
    p->n = n;
    return 0;
}

struct matcher {
    const struct chars *p;
    uint32_t *now, *then;
    size_t n_now, n_then;
    size_t *mark; /* mark[i] == stamp: item i is in the set being made */
    size_t stamp;
    size_t steps;
};

static void matcher_init(struct matcher *m, const struct chars *p) {
    *m = (struct matcher){.p = p,
                          .now = bh_xmalloc((p->n + 1) * sizeof *m->now),
                          .then = bh_xmalloc((p->n + 1) * sizeof *m->then),
                          .mark = bh_xcalloc(p->n + 1, sizeof *m->mark)};
}

static void matcher_fini(struct matcher *m) {
    free(m->now);
    free(m->then);
    free(m->mark);
}

/* Item i may come next, and those behind it while they can be empty. */
static void add(struct matcher *m, size_t i) {
    for (; m->mark[i] != m->stamp; i++) {
        m->mark[i] = m->stamp;
        m->then[m->n_then++] = (uint32_t)i;
        if (i == m->p->n || m->p->v[i] != ITEM_STAR)
            return;
    }
}

static void swap_sets(struct matcher *m) {
    uint32_t *swap = m->now;

    m->now = m->then;
    m->n_now = m->n_then;
    m->then = swap;
    m->n_then = 0;
    m->stamp++;
}

static void step(struct matcher *m, uint32_t c) {
    for (size_t k = 0; k < m->n_now; k++) {
        size_t i = m->now[k];

        if (i == m->p->n)
            continue;
        if (m->p->v[i] == ITEM_STAR)
            add(m, i);
        else if (m->p->v[i] == ITEM_ANY || m->p->v[i] == c)
            add(m, i + 1);
    }
    m->steps += m->n_now + 1;
    swap_sets(m);
}

/* End of the match that begins at `from`; -1 none, -2 too much work. */
static long match(struct matcher *m, const struct chars *v, size_t from, bool longest) {
    bool open_end = m->p->n > 0 && m->p->v[m->p->n - 1] == ITEM_STAR;
    long found = -1;

    m->n_then = 0;
    m->stamp++;
    add(m, 0);
    swap_sets(m);
    for (size_t i = from; m->n_now > 0; i++) {
        /* swap_sets has moved the stamp on by one. */
        if (m->mark[m->p->n] + 1 == m->stamp) {
            found = (long)i;
            if (!longest)
                return found;
            if (open_end)
                return (long)v->n;
        }
        if (i == v->n)
            break;
        if (m->steps > STEPS_MAX)
            return -2;
        step(m, v->v[i]);
    }
    return found;
}

static int too_slow(struct bh_err *err) {
    return bh_err_set(err, BH_E_LIMIT, "the substitution takes too many steps");
}

static int trim(struct chars *v, struct chars *p, const char *value, bool suffix, bool longest, struct bh_buf *out,
                struct bh_err *err) {
    struct matcher m;
    long end;

    if (suffix) {
        reverse(v->v, v->n);
        reverse(p->v, p->n);
    }
    matcher_init(&m, p);
    end = match(&m, v, 0, longest);
    matcher_fini(&m);
    if (end == -2)
        return too_slow(err);
    if (end < 0)
        end = 0;
    if (suffix)
        bh_buf_add(out, value, v->at[v->n - (size_t)end]);
    else
        bh_buf_adds(out, value + v->at[end]);
    return 0;
}

int build_subst_trim(const char *value, const char *pattern, bool suffix, bool longest, struct bh_buf *out,
                     struct bh_err *err) {
    struct chars v = chars_of(value), p = chars_of(pattern);
    int r = compile(&p, pattern, err);

    if (r == 0)
        r = trim(&v, &p, value, suffix, longest, out, err);
    chars_fini(&v);
    chars_fini(&p);
    return r;
}

/* An empty match stands in front of every character and at the end, but not right behind another match. */
static int replace(const struct chars *v, struct matcher *m, const char *value, const char *by, bool all,
                   struct bh_buf *out, struct bh_err *err) {
    size_t i = 0, copied = 0;
    bool just_matched = false;

    while (i <= v->n) {
        long end = match(m, v, i, true);

        if (end == -2)
            return too_slow(err);
        if (end < 0 || ((size_t)end == i && just_matched)) {
            just_matched = false;
            i++;
            continue;
        }
        bh_buf_add(out, value + v->at[copied], v->at[i] - v->at[copied]);
        bh_buf_adds(out, by);
        copied = (size_t)end;
        just_matched = (size_t)end > i;
        i = just_matched ? (size_t)end : i + 1;
        if (!all || bh_buf_failed(out))
            break;
    }
    bh_buf_adds(out, value + v->at[copied]);
    return 0;
}

int build_subst_replace(const char *value, const char *pattern, const char *by, bool all, struct bh_buf *out,
                        struct bh_err *err) {
    struct chars v = chars_of(value), p = chars_of(pattern);
    int r = compile(&p, pattern, err);

    if (r == 0) {
        struct matcher m;

        matcher_init(&m, &p);
        r = replace(&v, &m, value, by, all, out, err);
        matcher_fini(&m);
    }
    chars_fini(&v);
    chars_fini(&p);
    return r;
}
