/*
 * filter.c - the --filter keys of `ps` and `container prune`, see filter.h.
 *
 * Room: runtime.  Foreign: keys and values.  A pattern for names goes to libc's regex, so what makes
 * that take exponential time or memory (repeat counts, back references, length) is refused first.
 */
#include "svc-runtime/filter.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/port.h"

#define MAX_ROWS    64
#define MAX_PATTERN 256

enum { IN_LIST = 1, IN_PRUNE = 2 };

static const struct key_row {
    const char *name;
    enum rt_filter_key key;
    unsigned where;
    bool all_must; /* values AND */
} keys[] = {
    {"id", RT_F_ID, IN_LIST, false},
    {"name", RT_F_NAME, IN_LIST, false},
    {"label", RT_F_LABEL, IN_LIST | IN_PRUNE, true},
    {"label!", RT_F_NOT_LABEL, IN_LIST | IN_PRUNE, true},
    {"exited", RT_F_EXITED, IN_LIST, false},
    {"status", RT_F_STATUS, IN_LIST, false},
    {"ancestor", RT_F_ANCESTOR, IN_LIST, false},
    {"before", RT_F_BEFORE, IN_LIST, false},
    {"since", RT_F_SINCE, IN_LIST, false},
    {"volume", RT_F_VOLUME, IN_LIST, false},
    {"network", RT_F_NETWORK, IN_LIST, false},
    {"publish", RT_F_PUBLISH, IN_LIST, false},
    {"expose", RT_F_EXPOSE, IN_LIST, false},
    {"health", RT_F_HEALTH, IN_LIST, false},
    {"isolation", RT_F_ISOLATION, IN_LIST, false},
    {"is-task", RT_F_IS_TASK, IN_LIST, false},
    {"until", RT_F_UNTIL, IN_PRUNE, true},
};

/* ---- moments ------------------------------------------------------------------------------- */

static bool unix_seconds(const char *text, int64_t *out) {
    char whole[24];
    size_t n = strcspn(text, ".");
    uint64_t seconds, fraction = 0, unit = (uint64_t)BH_NSEC;

    if (!bh_str_copy_n(whole, sizeof whole, text, n) || !bh_str_u64(whole, &seconds) || seconds > 9000000000)
        return false;
    if (text[n] == '.') {
        const char *f = text + n + 1;

        if (strlen(f) > 9 || !bh_str_u64(f, &fraction))
            return false;
        for (size_t i = strlen(f); i > 0; i--)
            unit /= 10;
        fraction *= unit;
    }
    *out = (int64_t)(seconds * (uint64_t)BH_NSEC + fraction);
    return true;
}

bool rt_moment_parse(const char *text, int64_t now_ns, int64_t *out_ns) {
    static const char *const endings[] = {"", "Z", ":00Z", "T00:00:00Z"};
    int64_t ago;
    char full[64];

    if (unix_seconds(text, out_ns))
        return true;
    if (bh_duration_parse(text, &ago)) {
        *out_ns = now_ns - ago;
        return true;
    }
    for (size_t i = 0; i < BH_ARRAY_LEN(endings); i++) {
        if (strlen(text) + 12 > sizeof full)
            return false;
        snprintf(full, sizeof full, "%s%s", text, endings[i]);
        if (bh_time_parse(full, out_ns))
            return true;
    }
    return false;
}

/* ---- reading ------------------------------------------------------------------------------- */

static int bad_value(struct bh_err *err, const char *key, const char *value) {
    bh_err_set(err, BH_E_INVALID, "invalid filter '%s=%s'", key, value);
    return bh_err_reason(err, "invalid-filter");
}

static const struct key_row *find_key(const char *name, enum rt_filter_use use) {
    unsigned where = use == RT_FILTER_LIST ? IN_LIST : IN_PRUNE;

    for (size_t i = 0; i < BH_ARRAY_LEN(keys); i++)
        if ((keys[i].where & where) && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static bool pattern_is_tame(const char *p) {
    if (strlen(p) > MAX_PATTERN || strchr(p, '{') != NULL)
        return false;
    for (; *p; p++)
        if (p[0] == '\\' && (p[1] == 0 || (p[1] >= '0' && p[1] <= '9')))
            return false;
    return true;
}

static bool one_of(const char *value, const char *const *words) {
    for (; *words != NULL; words++)
        if (strcmp(value, *words) == 0)
            return true;
    return false;
}

static bool read_value(struct rt_filter_row *row, int64_t now_ns) {
    static const char *const health[] = {"starting", "healthy", "unhealthy", "none", NULL};
    static const char *const truth[] = {"true", "false", "1", "0", NULL};

    switch (row->key) {
    case RT_F_NAME:
        return pattern_is_tame(row->value) && regcomp(&row->regex, row->value, REG_EXTENDED | REG_NOSUB) == 0;
    case RT_F_EXITED:
        return bh_str_i64(row->value, &row->number);
    case RT_F_STATUS:
        return rt_state_word(row->value);
    case RT_F_HEALTH:
        return one_of(row->value, health);
    case RT_F_IS_TASK:
        return one_of(row->value, truth);
    case RT_F_UNTIL:
        return rt_moment_parse(row->value, now_ns, &row->number);
    default:
        return true;
    }
}

static int read_row(const struct bh_pair *pair, enum rt_filter_use use, int64_t now_ns, struct rt_filter *f,
                    struct bh_err *err) {
    const struct key_row *key = find_key(pair->key, use);
    struct rt_filter_row *row = &f->rows[f->n];

    if (key == NULL) {
        bh_err_set(err, BH_E_INVALID, "invalid filter '%s'", pair->key);
        return bh_err_reason(err, "invalid-filter");
    }
    *row = (struct rt_filter_row){.key = key->key, .value = pair->value};
    if (!read_value(row, now_ns))
        return bad_value(err, pair->key, pair->value);
    if (key->key == RT_F_STATUS || key->key == RT_F_EXITED)
        f->wants_all = true;
    f->n++;
    return 0;
}

int rt_filter_parse(const struct bh_pair *pairs, size_t n, enum rt_filter_use use, int64_t now_ns,
                    struct bh_arena *arena, struct rt_filter *out, struct bh_err *err) {
    struct rt_filter f = {0};

    if (n > MAX_ROWS)
        return bh_err_set(err, BH_E_LIMIT, "%zu filters: at most %d are allowed", n, MAX_ROWS);
    f.rows = bh_oci_alloc(arena, n * sizeof *f.rows, err);
    if (f.rows == NULL)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (read_row(&pairs[i], use, now_ns, &f, err) != 0) {
            rt_filter_fini(&f);
            return err->code;
        }
    *out = f;
    return 0;
}

void rt_filter_fini(struct rt_filter *f) {
    for (size_t i = 0; i < f->n; i++)
        if (f->rows[i].key == RT_F_NAME)
            regfree(&f->rows[i].regex);
    f->n = 0;
}

/* ---- matching ------------------------------------------------------------------------------ */

static bool match_label(const char *want, const struct bh_pairs *labels) {
    const char *eq = strchr(want, '=');
    size_t n = eq != NULL ? (size_t)(eq - want) : strlen(want);

    for (size_t i = 0; i < labels->n; i++) {
        const char *key = labels->v[i].key;

        if (strlen(key) == n && memcmp(key, want, n) == 0)
            return eq == NULL || strcmp(labels->v[i].value, eq + 1) == 0;
    }
    return false;
}

/* "80", "80/tcp", "80-90/udp" */
static bool match_port(const char *text, const struct bh_strlist *ports) {
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ports want, have;

    if (bh_ports_parse(text, &want, &ignored) != 0)
        return false;
    for (size_t i = 0; i < ports->n; i++)
        if (bh_ports_parse(ports->v[i], &have, &ignored) == 0 && have.first >= want.first && have.last <= want.last &&
            strcmp(want.proto, have.proto) == 0)
            return true;
    return false;
}

static bool match_row(const struct rt_filter_row *row, const struct rt_filter_item *item) {
    char with_slash[300];

    switch (row->key) {
    case RT_F_ID:
        return strstr(item->id, row->value) != NULL;
    case RT_F_NAME:
        snprintf(with_slash, sizeof with_slash, "/%s", item->name);
        return regexec(&row->regex, item->name, 0, NULL, 0) == 0 || regexec(&row->regex, with_slash, 0, NULL, 0) == 0;
    case RT_F_LABEL:
        return match_label(row->value, item->labels);
    case RT_F_NOT_LABEL:
        return !match_label(row->value, item->labels);
    case RT_F_EXITED:
        return item->status->state == RT_EXITED && item->status->exit_code == row->number;
    case RT_F_STATUS:
        return strcmp(rt_state_name(item->status->state), row->value) == 0;
    case RT_F_ANCESTOR:
        return strcmp(row->value, item->image) == 0 || bh_strlist_has(&row->images, item->image_id);
    case RT_F_BEFORE:
    case RT_F_UNTIL:
        return item->created_ns < row->number;
    case RT_F_SINCE:
        return item->created_ns > row->number;
    case RT_F_VOLUME:
        return bh_strlist_has(item->volumes, row->value);
    case RT_F_NETWORK:
        return strcmp(item->network, row->value) == 0;
    case RT_F_EXPOSE:
        return match_port(row->value, item->ports);
    case RT_F_HEALTH:
        return strcmp(row->value, "none") == 0;
    case RT_F_IS_TASK:
        return row->value[0] == 'f' || row->value[0] == '0';
    case RT_F_PUBLISH: /* no port is published before networks come */
        return false;
    case RT_F_ISOLATION: /* another system's notion: docker lets all through on this one */
        return true;
    }
    return false;
}

static bool all_must(enum rt_filter_key key) {
    for (size_t i = 0; i < BH_ARRAY_LEN(keys); i++)
        if (keys[i].key == key)
            return keys[i].all_must;
    return true;
}

/* Does any value of this row's key match?  Asked at the first row of each key only. */
static bool any_of_key(const struct rt_filter *f, size_t at, const struct rt_filter_item *item) {
    for (size_t i = 0; i < f->n; i++) {
        if (f->rows[i].key != f->rows[at].key)
            continue;
        if (i < at)
            return true; /* judged before */
        if (match_row(&f->rows[i], item))
            return true;
    }
    return false;
}

bool rt_filter_match(const struct rt_filter *f, const struct rt_filter_item *item) {
    for (size_t i = 0; i < f->n; i++) {
        bool ok = all_must(f->rows[i].key) ? match_row(&f->rows[i], item) : any_of_key(f, i, item);

        if (!ok)
            return false;
    }
    return true;
}
