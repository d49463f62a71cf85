/*
 * url.c - addresses, see url.h.
 *
 * Room: registry.  libcurl's own parser cuts them, so that what is judged here is what will be connected to.
 */
#include "svc-registry/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

static void free_url(CURLU **u) {
    curl_url_cleanup(*u);
}
static void free_part(char **p) {
    curl_free(*p);
}
#define SCOPE_URL  BH_SCOPE(free_url)
#define SCOPE_PART BH_SCOPE(free_part)

static int bad(struct bh_err *err, const char *text, const char *why) {
    char safe[200];

    /* What follows a '?' may be a secret of whoever signed it. */
    bh_str_escape(safe, sizeof safe, text, strcspn(text, "?#"), false);
    bh_err_set(err, BH_E_INVALID, "address \"%s\": %s", safe, why);
    return bh_err_reason(err, "invalid-address");
}

static bool clean(const char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f || strchr("\\\"<>^`{|}", *text))
            return false;
    }
    return true;
}

static bool has_part(CURLU *u, CURLUPart part) {
    SCOPE_PART char *text = NULL;

    return curl_url_get(u, part, &text, 0) == CURLUE_OK;
}

/* Nothing that another reader could take for something else: no %, no zone. */
static bool clean_host(const char *host) {
    size_t n = strlen(host);

    if (host[0] == '[')
        return n > 2 && host[n - 1] == ']' && strspn(host + 1, "0123456789abcdef:.") == n - 2;
    return n > 0 && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == n;
}

static int take_parts(CURLU *u, const char *text, struct reg_url *out, struct bh_err *err) {
    SCOPE_PART char *scheme = NULL, *host = NULL, *port = NULL, *whole = NULL;
    uint64_t number;

    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK || !bh_str_u64(port, &number) ||
        number == 0 || number > 65535)
        return bad(err, text, "it has no host or no valid port");
    if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        return bad(err, text, "only https and http are known here");
    if (curl_url_get(u, CURLUPART_URL, &whole, 0) != CURLUE_OK || !bh_str_copy(out->text, sizeof out->text, whole) ||
        !bh_str_copy(out->host, sizeof out->host, host))
        return bad(err, text, "it is too long");
    if (strstr(out->text, ":///")) /* came of the dots of a relative one */
        return bad(err, text, "it cannot be understood");
    for (char *c = out->host; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
    if (!clean_host(out->host))
        return bad(err, text, "its host is none");
    out->plain = strcmp(scheme, "http") == 0;
    out->port = (uint16_t)number;
    return 0;
}

int reg_url_parse(const char *text, const char *base, struct reg_url *out, struct bh_err *err) {
    SCOPE_URL CURLU *u = curl_url();
    struct reg_url made = {0};

    if (!u)
        return bh_err_set(err, BH_E_LIMIT, "read an address: out of memory");
    if (strlen(text) >= REG_URL_SIZE)
        return bad(err, "..", "it is too long");
    if (!clean(text) || strstr(text, ":///")) /* which libcurl reads as "://" */
        return bad(err, text, "it has bytes that no address may have");
    if ((base && curl_url_set(u, CURLUPART_URL, base, 0) != CURLUE_OK) ||
        curl_url_set(u, CURLUPART_URL, text, 0) != CURLUE_OK)
        return bad(err, text, "it cannot be understood");
    if (has_part(u, CURLUPART_ZONEID))
        return bad(err, text, "its host is none");
    if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
        return bad(err, text, "a user name or password in it is refused");
    if (curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK || take_parts(u, text, &made, err) != 0)
        return err->code ? err->code : bad(err, text, "it cannot be understood");
    *out = made;
    return 0;
}

bool reg_url_same_origin(const struct reg_url *a, const struct reg_url *b) {
    return a->plain == b->plain && a->port == b->port && strcmp(a->host, b->host) == 0;
}

void reg_url_origin(const struct reg_url *u, char out[300]) {
    if (u->port == (u->plain ? 80 : 443))
        snprintf(out, 300, "%s://%s", u->plain ? "http" : "https", u->host);
    else
        snprintf(out, 300, "%s://%s:%u", u->plain ? "http" : "https", u->host, u->port);
}

/* ---- where an address of the network lies ------------------------------------------------------ */

static enum reg_reach reach4(uint32_t a) {
    if (a >> 24 == 127 || a == 0)
        return REG_REACH_HOST;
    if (a >> 16 == 0xa9fe || a >> 28 >= 0xe || a >> 24 == 0) /* 169.254/16, multicast and above, "this" net */
        return REG_REACH_LINK;
    if (a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 22 == 0x191) /* with 100.64/10 */
        return REG_REACH_SITE;
    return REG_REACH_WORLD;
}

enum reg_reach reg_reach_of(const struct sockaddr *sa) {
    static const uint8_t loopback[16] = {[15] = 1}, any[16] = {0}, mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *b = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr;

    if (sa->sa_family == AF_INET)
        return reach4(ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr));
    if (sa->sa_family != AF_INET6)
        return REG_REACH_HOST;
    if (memcmp(b, mapped, 12) == 0)
        return reach4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 | (uint32_t)b[14] << 8 | b[15]);
    if (memcmp(b, loopback, 16) == 0 || memcmp(b, any, 16) == 0)
        return REG_REACH_HOST;
    if ((b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || b[0] == 0xff)
        return REG_REACH_LINK;
    return (b[0] & 0xfe) == 0xfc ? REG_REACH_SITE : REG_REACH_WORLD;
}

bool reg_host_is_loopback(const char *host) {
    char name[300];
    struct in_addr v4;
    struct in6_addr v6;

    if (!bh_str_copy(name, sizeof name, host))
        return false;
    char *start = name, *end;
    if (*start == '[') {
        end = strchr(++start, ']');
        if (!end)
            return false;
        *end = '\0';
        return inet_pton(AF_INET6, start, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    end = strrchr(start, ':');
    if (end)
        *end = '\0';
    if (inet_pton(AF_INET, start, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    size_t n = strlen(start);
    return strcasecmp(start, "localhost") == 0 || (n > 10 && strcasecmp(start + n - 10, ".localhost") == 0);
}

/* ---- queries and pages ------------------------------------------------------------------------- */

bool reg_url_add_query(char url[REG_URL_SIZE], const char *key, const char *value) {
    static const char hex[] = "0123456789ABCDEF";
    size_t n = strlen(url);

    n += (size_t)snprintf(url + n, REG_URL_SIZE - n, "%c%s=", strchr(url, '?') ? '&' : '?', key);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        bool safe =
            (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || strchr("-._~", *c);
        if (n + 4 > REG_URL_SIZE)
            return false;
        if (safe) {
            url[n++] = (char)*c;
        } else {
            url[n++] = '%';
            url[n++] = hex[*c >> 4];
            url[n++] = hex[*c & 15];
        }
    }
    if (n >= REG_URL_SIZE)
        return false;
    url[n] = '\0';
    return true;
}

static const char *skip(const char *s) {
    return s + strspn(s, " \t");
}

/* One parameter "; name=value" or "; name=\"value\""; sets *next_rel for rel="next".  NULL: not understood. */
static const char *link_parameter(const char *s, bool *next_rel) {
    char name[16] = "", value[64] = "";
    size_t n = strcspn(s, "=;, \t");

    (void)bh_str_copy_n(name, sizeof name, s, n);
    s = skip(s + n);
    if (*s != '=')
        return s;
    s = skip(s + 1);
    if (*s == '"') {
        n = strcspn(++s, "\"");
        if (s[n] != '"')
            return NULL;
        (void)bh_str_copy_n(value, sizeof value, s, n);
        s += n + 1;
    } else {
        n = strcspn(s, ";, \t");
        (void)bh_str_copy_n(value, sizeof value, s, n);
        s += n;
    }
    *next_rel |= strcasecmp(name, "rel") == 0 && strcasecmp(value, "next") == 0;
    return skip(s);
}

/* One "<target>; a=b; c=d".  NULL: not understood. */
static const char *link_value(const char *s, char target[REG_URL_SIZE], bool *next_rel) {
    size_t n;

    *next_rel = false;
    if (*s != '<')
        return NULL;
    n = strcspn(++s, ">");
    if (s[n] != '>' || !bh_str_copy_n(target, REG_URL_SIZE, s, n))
        return NULL;
    s = skip(s + n + 1);
    while (s && *s == ';')
        s = link_parameter(skip(s + 1), next_rel);
    return s;
}

int reg_link_next(const char *header, const char *base, char out[REG_URL_SIZE], struct bh_err *err) {
    char target[REG_URL_SIZE];
    struct reg_url here, there;
    bool next = false;

    out[0] = '\0';
    for (const char *s = skip(header); *s && !next; s = skip(s)) {
        s = link_value(s, target, &next);
        if (!s || (*s && *s != ','))
            return bad(err, "Link", "the header cannot be understood");
        s += *s == ',';
    }
    if (!next)
        return 0;
    if (reg_url_parse(base, NULL, &here, err) != 0 || reg_url_parse(target, base, &there, err) != 0)
        return bh_err_prefix(err, "next page");
    if (!reg_url_same_origin(&here, &there))
        return bad(err, there.text, "the next page of a list must be on the same server");
    memcpy(out, there.text, REG_URL_SIZE);
    return 0;
}
