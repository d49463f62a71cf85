/*
 * pattern.c - see pattern.h.  Owns the compiled form of a pattern and how it is run over a path.
 * Room: client and build.  Pure; both pattern and path are foreign.
 * A pattern becomes a row of items; the set of items that may come next is carried along the path, so that
 * no pattern makes the search go back.  The literal end of a pattern is looked at first: it sorts out nearly
 * all files of a large context.
 */
#include "ignore/pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum item_kind {
    ITEM_CHAR,  /* this character */
    ITEM_ANY,   /* ?    one character, not '/' */
    ITEM_CLASS, /* [..] */
    ITEM_STAR,  /* *    any number, not '/' */
    ITEM_ALL,   /* **   at an end: any number */
    ITEM_DEEP,  /* ** / entry: nothing, or what ITEM_INSIDE takes */
    ITEM_INSIDE /*      any number up to and with a '/' */
};

struct range {
    uint32_t lo, hi;
};

struct item {
    enum item_kind kind;
    uint32_t c;
    bool negated;
    uint32_t first, count; /* of ranges */
};

struct bh_pattern {
    char *text;
    struct item *items;
    size_t n;
    struct range *ranges;
    size_t n_ranges;
    bool exact; /* no wildcard: `tail` is the whole path */
    char *tail; /* what a path must end with, "" if anything */
    size_t tail_len;
};

/* --- compiling ----------------------------------------------------------------------------------- */

static void add_item(struct bh_pattern *p, enum item_kind kind, uint32_t c) {
    p->items[p->n++] = (struct item){.kind = kind, .c = c};
}

/* One end of a range; false if malformed. */
static bool class_char(const char **s, uint32_t *out) {
    if (**s == '\0' || **s == '-' || **s == ']')
        return false;
    if (**s == '\\' && *++*s == '\0')
        return false;
    *out = bh_utf8_next(s);
    return **s != '\0';
}

/* s stands behind '['; moves it behind ']'. */
static bool compile_class(struct bh_pattern *p, const char **s) {
    struct item item = {.kind = ITEM_CLASS, .negated = **s == '^', .first = (uint32_t)p->n_ranges};

    *s += item.negated;
    for (; **s != ']' || item.count == 0; item.count++) {
        struct range r;

        if (!class_char(s, &r.lo))
            return false;
        r.hi = r.lo;
        if (**s == '-') {
            ++*s;
            if (!class_char(s, &r.hi))
                return false;
        }
        p->ranges[p->n_ranges++] = r;
    }
    ++*s;
    p->items[p->n++] = item;
    return true;
}

/* s stands behind "**".  Between other text it covers whole folders, at the end everything; at the start of
 * a plain word it is any text in front of that word. */
static void compile_deep(struct bh_pattern *p, const char **s) {
    bool first = p->n == 0, slash = **s == '/';

    *s += slash;
    if (**s == '\0' || (first && !slash && strpbrk(*s, "*?[\\") == NULL)) {
        add_item(p, ITEM_ALL, 0);
        return;
    }
    add_item(p, ITEM_DEEP, 0);
    add_item(p, ITEM_INSIDE, 0);
}

static bool compile(struct bh_pattern *p) {
    const char *s = p->text;

    while (*s != '\0') {
        switch (*s) {
        case '*':
            s++;
            if (*s == '*') {
                s++;
                compile_deep(p, &s);
            } else {
                add_item(p, ITEM_STAR, 0);
            }
            break;
        case '?':
            s++;
            add_item(p, ITEM_ANY, 0);
            break;
        case '[':
            s++;
            if (!compile_class(p, &s))
                return false;
            break;
        case '\\':
            if (*++s == '\0')
                return false;
            add_item(p, ITEM_CHAR, bh_utf8_next(&s));
            break;
        default:
            add_item(p, ITEM_CHAR, bh_utf8_next(&s));
            break;
        }
    }
    return true;
}

/* The plain text that a pattern ends with. */
static void find_tail(struct bh_pattern *p) {
    const char *from = p->text;

    for (const char *s = p->text; *s != '\0'; s++) {
        if (strchr("*?[]\\", *s) != NULL)
            from = s + 1;
    }
    p->exact = from == p->text;
    if (!p->exact && from[-1] == '\\') /* the character behind is quoted and may be anything */
        from += *from != '\0';
    if (*from == '/' && from >= p->text + 2 && from[-1] == '*' && from[-2] == '*')
        from++; /* two stars with their slash may be nothing */
    p->tail = bh_xstrdup(from);
    p->tail_len = strlen(from);
}

int bh_pattern_new(const char *text, struct bh_pattern **out, struct bh_err *err) {
    size_t n = strlen(text);
    struct bh_pattern *p;

    if (n > BH_PATTERN_MAX)
        return bh_err_set(err, BH_E_LIMIT, "a pattern is longer than %d bytes", BH_PATTERN_MAX);
    p = bh_xcalloc(1, sizeof *p);
    p->text = bh_xstrdup(text);
    p->items = bh_xcalloc(n + 1, sizeof *p->items);
    p->ranges = bh_xcalloc(n + 1, sizeof *p->ranges);
    if (!compile(p)) {
        bh_pattern_free(p);
        bh_err_set(err, BH_E_INVALID, "syntax error in pattern \"%.200s\"", text);
        bh_err_hint(err, "\"[\" opens a class that needs its \"]\"; put a backslash in front of a character to "
                         "take it as it is");
        return bh_err_reason(err, "invalid-pattern");
    }
    find_tail(p);
    *out = p;
    return 0;
}

void bh_pattern_free(struct bh_pattern *p) {
    if (p == NULL)
        return;
    free(p->text);
    free(p->items);
    free(p->ranges);
    free(p->tail);
    free(p);
}

const char *bh_pattern_text(const struct bh_pattern *p) {
    return p->text;
}

/* --- running ------------------------------------------------------------------------------------- */

#define SET_STACK 256 /* items whose set fits on the stack */

/* The items that may come next, as a list without repetition; [n] is the end of the pattern. */
struct set {
    uint16_t *list;
    unsigned char *has;
    size_t n;
};

/* Item i may come next; so may those behind it if i can be empty. */
static void set_add(const struct bh_pattern *p, struct set *set, size_t i) {
    for (;;) {
        enum item_kind kind;

        if (set->has[i])
            return;
        set->has[i] = 1;
        set->list[set->n++] = (uint16_t)i;
        if (i == p->n)
            return;
        kind = p->items[i].kind;
        if (kind == ITEM_DEEP)
            set_add(p, set, i + 2); /* as no folder; else ITEM_INSIDE is next */
        else if (kind != ITEM_STAR && kind != ITEM_ALL)
            return;
        i++;
    }
}

static void set_clear(struct set *set) {
    for (size_t i = 0; i < set->n; i++)
        set->has[set->list[i]] = 0;
    set->n = 0;
}

static bool in_class(const struct bh_pattern *p, const struct item *item, uint32_t c) {
    bool found = false;

    for (uint32_t i = 0; i < item->count && !found; i++) {
        const struct range *r = &p->ranges[item->first + i];

        found = r->lo <= c && c <= r->hi;
    }
    return found != item->negated;
}

/* What may come behind c, where item i was possible. */
static void step_item(const struct bh_pattern *p, size_t i, uint32_t c, struct set *to) {
    const struct item *item = &p->items[i];

    switch (item->kind) {
    case ITEM_CHAR:
        if (item->c == c)
            set_add(p, to, i + 1);
        break;
    case ITEM_ANY:
        if (c != '/')
            set_add(p, to, i + 1);
        break;
    case ITEM_CLASS:
        if (in_class(p, item, c))
            set_add(p, to, i + 1);
        break;
    case ITEM_STAR:
        if (c != '/')
            set_add(p, to, i);
        break;
    case ITEM_ALL:
        set_add(p, to, i);
        break;
    case ITEM_INSIDE:
        set_add(p, to, i);
        if (c == '/')
            set_add(p, to, i + 1);
        break;
    case ITEM_DEEP:
        break;
    }
}

struct run {
    bool matched; /* the whole path */
    bool above;   /* a folder above it */
    bool alive;   /* something longer may match */
};

static void run_sets(const struct bh_pattern *p, const char *path, struct set *now, struct set *then, struct run *out) {
    set_add(p, now, 0);
    while (*path != '\0' && now->n > 0) {
        struct set *swap = now;
        uint32_t c = bh_utf8_next(&path);

        if (c == '/' && now->has[p->n])
            out->above = true;
        for (size_t i = 0; i < now->n; i++) {
            if (now->list[i] != p->n)
                step_item(p, now->list[i], c, then);
        }
        set_clear(now);
        now = then;
        then = swap;
    }
    out->matched = *path == '\0' && now->has[p->n];
    out->alive = now->n > (size_t)now->has[p->n];
}

static struct run run(const struct bh_pattern *p, const char *path) {
    uint16_t lists[2][SET_STACK];
    unsigned char has[2][SET_STACK];
    struct set now = {lists[0], has[0], 0}, then = {lists[1], has[1], 0};
    BH_SCOPE_FREE void *heap = NULL;
    struct run out = {0};

    if (p->n >= SET_STACK) {
        size_t n = p->n + 1;
        uint16_t *l = heap = bh_xmalloc(2 * n * (sizeof *l + 1));

        now = (struct set){l, (unsigned char *)(l + 2 * n), 0};
        then = (struct set){l + n, now.has + n, 0};
    }
    memset(now.has, 0, p->n + 1);
    memset(then.has, 0, p->n + 1);
    run_sets(p, path, &now, &then, &out);
    return out;
}

static bool tail_fits(const struct bh_pattern *p, const char *path) {
    size_t n = strlen(path);

    return n >= p->tail_len && memcmp(path + n - p->tail_len, p->tail, p->tail_len) == 0;
}

bool bh_pattern_match(const struct bh_pattern *p, const char *path) {
    if (p->exact)
        return strcmp(p->tail, path) == 0;
    return tail_fits(p, path) && run(p, path).matched;
}

bool bh_pattern_match_above(const struct bh_pattern *p, const char *path) {
    struct run r;

    if (p->exact)
        return strncmp(path, p->tail, p->tail_len) == 0 && (path[p->tail_len] == '\0' || path[p->tail_len] == '/');
    r = run(p, path);
    return r.matched || r.above;
}

bool bh_pattern_may_match_below(const struct bh_pattern *p, const char *dir) {
    size_t n = strlen(dir);
    BH_SCOPE_FREE char *open = n > 0 ? bh_xasprintf("%s/", dir) : bh_xstrdup("");

    return run(p, open).alive;
}

/* --- paths --------------------------------------------------------------------------------------- */

void bh_path_clean(char *text) {
    bool rooted = text[0] == '/';
    char *out = text + rooted, *floor = out;
    const char *s = text;

    while (*s != '\0') {
        size_t n = strcspn(s, "/");

        if (n == 2 && s[0] == '.' && s[1] == '.' && out > floor) {
            while (out > floor && *--out != '/')
                ;
        } else if (n == 2 && s[0] == '.' && s[1] == '.' && rooted) {
            ; /* nothing is above the root */
        } else if (n > 0 && !(n == 1 && s[0] == '.')) {
            bool up = n == 2 && s[0] == '.' && s[1] == '.';

            if (out > text + rooted)
                *out++ = '/';
            memmove(out, s, n);
            out += n;
            if (up)
                floor = out;
        }
        s += n;
        s += *s == '/';
    }
    if (out == text)
        *out++ = '.';
    *out = '\0';
}
