/*
 * search.c - see search.h.
 *
 * Room: registry.  Source: docker's registry API version 1, GET /v1/search; OCI distribution specification, _catalog.
 */
#include "svc-registry/search.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "oci/json.h"
#include "svc-registry/pages.h"

#define MAX_HITS  1000
#define HUB       "docker.io"
#define HUB_INDEX "index.docker.io"

int reg_search_filter(struct reg_search *s, const char *key, const char *value, struct bh_err *err) {
    if (strcmp(key, "stars") == 0) {
        if (bh_str_u64(value, &s->min_stars))
            return 0;
        return bh_err_set(err, BH_E_INVALID, "invalid filter 'stars=%s'", value);
    }
    if (strcmp(key, "is-official") == 0) {
        bool yes = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
        if (!yes && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
            return bh_err_set(err, BH_E_INVALID, "invalid filter 'is-official=%s'", value);
        s->official = yes;
        return 0;
    }
    return bh_err_set(err, BH_E_INVALID, "invalid filter '%s'", key);
}

static bool wanted(const struct reg_search *s, const struct reg_hit *h) {
    return h->stars >= s->min_stars && (s->official < 0 || h->official == (s->official == 1));
}

static int read_hit(struct reg_search *s, const struct bh_json_at *at, struct bh_err *err) {
    struct reg_hit h = {0};
    uint64_t stars = 0;

    if (bh_json_need_object(at, err) != 0 || bh_json_str(at, "name", BH_TEXT_FREE, s->arena, &h.name, err) != 0 ||
        bh_json_str(at, "description", BH_TEXT_FREE, s->arena, &h.description, err) != 0 ||
        bh_json_u64(at, "star_count", false, UINT32_MAX, &stars, err) != 0 ||
        bh_json_bool(at, "is_official", &h.official, err) != 0 ||
        bh_json_bool(at, "is_automated", &h.automated, err) != 0)
        return err->code;
    h.stars = (uint32_t)stars;
    if (wanted(s, &h) && s->n_hits < s->limit)
        s->hits[s->n_hits++] = h;
    return 0;
}

static int read_hits(struct reg_search *s, const struct reg_http_response *answer, struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_json_at root, list;

    if (bh_json_parse(answer->body.data, answer->body.len, REG_DOCUMENT_MAX, "search", &json, err) != 0)
        return err->code;
    root = bh_json_root(json, "search");
    if (bh_json_need_object(&root, err) != 0)
        return err->code;
    if (!bh_json_member(&root, "results", &list))
        return 0;
    if (bh_json_need_array(&list, MAX_HITS, "results", err) != 0)
        return err->code;
    for (size_t i = 0; i < json_array_size(list.v); i++) {
        struct bh_json_at at = bh_json_element(&list, i);
        if (read_hit(s, &at, err) != 0)
            return err->code;
    }
    return 0;
}

static bool contains(const char *text, const char *word) {
    return strcasestr(text, word) != NULL;
}

static int take_name(void *arg, const char *name, bool *out_stop, struct bh_err *err) {
    struct reg_search *s = arg;
    struct reg_hit h = {.description = ""};

    if (!contains(name, s->term) || !wanted(s, &h))
        return 0;
    h.name = bh_oci_strdup(s->arena, name, strlen(name), err);
    if (!h.name)
        return err->code;
    s->hits[s->n_hits++] = h;
    *out_stop = s->n_hits == s->limit;
    return 0;
}

static int read_catalog(struct reg_search *s, struct reg_remote *r, struct bh_err *err) {
    const struct reg_pages pages = {
        .below = "/v2/_catalog?n=1000", .key = "repositories", .what = s->what, .take = take_name, .arg = s};

    s->catalog = true;
    s->n_hits = 0;
    return reg_pages_read(r, &pages, err);
}

/* A registry without a search answers with an error, or with a page for people. */
static bool has_no_search(const struct reg_http_response *answer) {
    return answer->status == 404 || answer->status == 405 || answer->status == 400 || answer->status == 501 ||
           answer->status == 401 || answer->status == 403 ||
           (answer->status == 200 && !strstr(reg_http_header(answer, "content-type"), "json"));
}

int reg_search_run(struct reg_search *s, struct reg_remote *r, struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    struct reg_http_request req = {.method = "GET", .what = s->what};
    char below[REG_URL_SIZE] = "/v1/search", limit[16];

    snprintf(s->what, sizeof s->what, "search on %s", reg_remote_host(r));
    snprintf(limit, sizeof limit, "%u", s->limit);
    if (!reg_url_add_query(below, "q", s->term) || !reg_url_add_query(below, "n", limit))
        return bh_err_set(err, BH_E_INVALID, "the search term is too long");
    s->n_hits = 0;
    if (reg_remote_send(r, &req, below, &answer, err) != 0)
        return err->code;
    if (has_no_search(&answer))
        return read_catalog(s, r, err);
    if (answer.status != 200)
        return reg_remote_status(r, &answer, s->what, err);
    return read_hits(s, &answer, err) == 0 ? 0 : bh_err_prefix(err, "%s", reg_remote_host(r));
}

/* ---- where ----------------------------------------------------------------------------------------- */

/* Of "host:1/path" the host; one that is there already is not added again. */
static int add_host(struct reg_search_route *route, const char *text, struct bh_err *err) {
    char *host = route->host[route->n];

    if (!bh_str_copy_n(host, sizeof route->host[0], text, strcspn(text, "/")))
        return bh_err_set(err, BH_E_INVALID, "search: the name of the registry is too long");
    for (size_t i = 0; i < route->n; i++)
        if (strcmp(route->host[i], host) == 0)
            return 0;
    route->n++;
    return 0;
}

int reg_search_route(const struct reg_conf *conf, const char *text, struct reg_search_route *out, struct bh_err *err) {
    const char *word = text;
    size_t n_search;
    const char *const *search = reg_conf_search(conf, &n_search);

    out->n = 0;
    if (reg_has_domain(text)) {
        word = strchr(text, '/') + 1;
        if (add_host(out, text, err) != 0)
            return err->code;
    }
    for (size_t i = 0; word == text && i < n_search; i++)
        if (add_host(out, search[i], err) != 0)
            return err->code;
    if (out->n == 0 && add_host(out, HUB, err) != 0)
        return err->code;
    if (bh_str_starts(word, "library/"))
        word += strlen("library/");
    if (!bh_str_copy(out->term, sizeof out->term, word) || !bh_utf8_valid(word, strlen(word)))
        return bh_err_set(err, BH_E_INVALID, "search: the term is too long or no text");
    return 0;
}

int reg_search_place(const struct reg_conf *conf, const struct reg_search_route *route, size_t i,
                     const struct reg_route_options *options, struct reg_place *out, struct bh_err *err) {
    const char *index = reg_conf_settings(conf)->search_index, *host = route->host[i];

    if (strcmp(host, HUB) == 0)
        host = *index ? index : HUB_INDEX;
    if (reg_route_host(conf, host, options, out, err) != 0)
        return err->code;
    if (strcmp(host, HUB_INDEX) == 0) /* the hub's search is not where its images are */
        (void)bh_str_copy(out->host, sizeof out->host, HUB_INDEX);
    return 0;
}
