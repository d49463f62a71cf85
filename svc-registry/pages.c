/*
 * pages.c - lists of a registry page by page, and names near to a wrong one; see pages.h.
 *
 * Room: registry.  Source: OCI distribution specification, "Listing Tags"; RFC 8288.
 */
#include "svc-registry/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"

#define MAX_PAGES 2000
#define NAME_MAX_ 300

bool reg_tag_valid(const char *tag) {
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t n = strlen(tag);

    return n > 0 && n <= BH_REF_TAG_MAX && strchr(word, tag[0]) &&
           strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

static int take_names(const struct reg_pages *p, const struct reg_http_response *answer, size_t *out_n, bool *out_stop,
                      struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_json_at root, list;

    if (bh_json_parse(answer->body.data, answer->body.len, REG_DOCUMENT_MAX, p->what, &json, err) != 0)
        return err->code;
    root = bh_json_root(json, p->what);
    if (bh_json_need_object(&root, err) != 0)
        return err->code;
    *out_n = 0;
    if (!bh_json_member(&root, p->key, &list))
        return 0;
    if (bh_json_need_array(&list, BH_JSON_VALUES_MAX, "names", err) != 0)
        return err->code;
    *out_n = json_array_size(list.v);
    for (size_t i = 0; i < *out_n && !*out_stop; i++) {
        const char *name = json_string_value(json_array_get(list.v, i));
        bool fits = name && strlen(name) < NAME_MAX_ && bh_utf8_valid(name, strlen(name));
        if (fits && p->take(p->arg, name, out_stop, err) != 0)
            return err->code;
    }
    return 0;
}

int reg_pages_read(struct reg_remote *r, const struct reg_pages *p, struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    struct reg_http_request req = {.method = "GET", .what = p->what};
    char url[REG_URL_SIZE] = "", next[REG_URL_SIZE];
    bool stop = false;

    for (unsigned pages = 0; pages < MAX_PAGES; pages++) {
        size_t n;
        req.url = *url ? url : NULL;
        if (reg_remote_send(r, &req, p->below, &answer, err) != 0)
            return err->code;
        if (answer.status != 200)
            return reg_remote_status(r, &answer, p->what, err);
        if (take_names(p, &answer, &n, &stop, err) != 0 ||
            reg_link_next(reg_http_header(&answer, "link"), answer.url, next, err) != 0)
            return bh_err_prefix(err, "%s", reg_remote_host(r));
        if (stop || p->once || !*next || n == 0)
            return 0;
        if (strcmp(next, answer.url) == 0)
            break;
        memcpy(url, next, sizeof url);
    }
    bh_err_set(err, BH_E_UNAVAILABLE, "%s: the registry's list does not end", p->what);
    return bh_err_reason(err, "bad-answer");
}

/* ---- near names ---------------------------------------------------------------------------------- */

static char low(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Levenshtein's distance without regard to case; both are at most BH_REF_TAG_MAX long. */
static unsigned distance(const char *a, const char *b) {
    unsigned row[BH_REF_TAG_MAX + 1];
    size_t n = strlen(b);

    for (size_t j = 0; j <= n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i]; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned change = diagonal + (low(a[i]) != low(b[j]));
            unsigned insert = row[j] + 1, drop = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < insert ? (change < drop ? change : drop) : (insert < drop ? insert : drop);
        }
    }
    return row[n];
}

static unsigned common(const char *a, const char *b) {
    unsigned n = 0;

    while (a[n] && low(a[n]) == low(b[n]))
        n++;
    return n;
}

/* Small is near; a common beginning counts more than the length of what follows ("3.19" for "3.1"). */
static unsigned score(const char *wanted, const char *tag) {
    unsigned d = distance(wanted, tag), head = common(wanted, tag);

    return d * 2 > head ? d * 2 - head : 0;
}

size_t reg_tags_near(const char *const *tags, size_t n, const char *wanted, const char *out[REG_NEAR]) {
    unsigned best[REG_NEAR];
    size_t found = 0, length = strlen(wanted);

    if (!reg_tag_valid(wanted))
        return 0;
    for (size_t i = 0; i < n; i++) {
        size_t at;
        if (!reg_tag_valid(tags[i]))
            continue;
        unsigned s = score(wanted, tags[i]);
        if (s > length + 2)
            continue; /* nothing in common */
        for (at = found; at > 0 && best[at - 1] > s; at--) {
            if (at < REG_NEAR) {
                best[at] = best[at - 1];
                out[at] = out[at - 1];
            }
        }
        if (at < REG_NEAR) {
            best[at] = s;
            out[at] = tags[i];
            found += found < REG_NEAR;
        }
    }
    return found;
}

struct names {
    char **v;
    size_t n, room;
};

static int keep_name(void *arg, const char *name, bool *out_stop, struct bh_err *err) {
    struct names *names = arg;

    (void)err;
    if (names->n == names->room) {
        names->room = names->room ? names->room * 2 : 64;
        names->v = bh_xrealloc(names->v, names->room * sizeof *names->v);
    }
    if (reg_tag_valid(name))
        names->v[names->n++] = bh_xstrdup(name);
    *out_stop = names->n >= 10000;
    return 0;
}

void reg_tags_hint(struct reg_remote *r, const char *wanted, struct bh_err *err) {
    struct names names = {0};
    const struct reg_pages pages = {
        .below = "tags/list?n=10000", .key = "tags", .what = "tags", .once = true, .take = keep_name, .arg = &names};
    struct bh_err why = BH_ERR_INIT;
    const char *near[REG_NEAR];
    char hint[sizeof err->hint];
    size_t n = 0, used = 0;

    if (strcmp(err->reason, "manifest-unknown") != 0)
        return;
    if (reg_pages_read(r, &pages, &why) == 0)
        n = reg_tags_near((const char *const *)names.v, names.n, wanted, near);
    for (size_t i = 0; i < n && used + strlen(near[i]) + 40 < sizeof hint; i++)
        used += (size_t)snprintf(hint + used, sizeof hint - used, "%s%s", i ? ", " : "tags that are there: ", near[i]);
    if (used > 0)
        bh_err_hint(err, "%s", hint);
    else if (why.code == BH_E_DENIED || why.code == BH_E_UNAUTHENTICATED) /* registries say the same for both */
        bh_err_hint(err, "the registry shows no such repository; %s", why.hint);
    for (size_t i = 0; i < names.n; i++)
        free(names.v[i]);
    free(names.v);
}
