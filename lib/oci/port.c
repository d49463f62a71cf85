/*
 * port.c - see port.h.
 */
#include "oci/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int refuse(const char *spec, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "invalid port \"%.64s\": expected PORT[-PORT][/tcp|udp|sctp]", spec);
    return bh_err_hint(err, "ports are numbers from 1 to 65535");
}

/* A decimal port in s[0..n). */
static bool read_port(const char *s, size_t n, uint32_t *out) {
    char text[8];
    uint64_t port;

    if (!bh_str_copy_n(text, sizeof text, s, n) || !bh_str_u64(text, &port) || port < 1 || port > 65535)
        return false;
    *out = (uint32_t)port;
    return true;
}

int bh_ports_parse(const char *spec, struct bh_ports *out, struct bh_err *err) {
    static const char *const protos[] = {"tcp", "udp", "sctp"};
    size_t n = strcspn(spec, "/"), first = strcspn(spec, "-/");
    struct bh_ports p = {0};

    for (size_t i = 0; i < BH_ARRAY_LEN(protos); i++)
        if (strcasecmp(spec[n] == '/' ? spec + n + 1 : "tcp", protos[i]) == 0)
            p.proto = protos[i];
    if (p.proto == NULL || !read_port(spec, first, &p.first))
        return refuse(spec, err);
    p.last = p.first;
    if (first < n && (!read_port(spec + first + 1, n - first - 1, &p.last) || p.last < p.first))
        return refuse(spec, err);
    *out = p;
    return 0;
}

const char *bh_ports_exposed(const char *word) {
    const char *colon = strrchr(word, ':');

    return colon != NULL ? colon + 1 : word;
}

/* The list with more, sorted, none twice; one allocation, as a range can be long. */
static int merge_ports(struct bh_strlist *ports, struct bh_arena *arena, const struct bh_ports *more,
                       struct bh_err *err) {
    size_t count = (size_t)(more->last - more->first) + 1;
    struct bh_strlist l = {.present = true};
    size_t unique = 0;
    char text[32];

    l.v = bh_oci_alloc(arena, (ports->n + count) * sizeof *l.v, err);
    if (l.v == NULL)
        return err->code;
    if (ports->n > 0)
        memcpy(l.v, ports->v, ports->n * sizeof *l.v);
    l.n = ports->n;
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%zu/%s", more->first + i, more->proto);
        l.v[l.n] = bh_oci_strdup(arena, text, strlen(text), err);
        if (l.v[l.n++] == NULL)
            return err->code;
    }
    qsort(l.v, l.n, sizeof *l.v, by_text);
    for (size_t i = 0; i < l.n; i++) {
        if (unique == 0 || strcmp(l.v[unique - 1], l.v[i]) != 0)
            l.v[unique++] = l.v[i];
    }
    l.n = unique;
    *ports = l;
    return 0;
}

int bh_ports_add(struct bh_strlist *ports, struct bh_arena *arena, const char *spec, struct bh_err *err) {
    struct bh_ports more = {0};

    if (bh_ports_parse(spec, &more, err) != 0)
        return err->code;
    return merge_ports(ports, arena, &more, err);
}
