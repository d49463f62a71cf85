/*
 * auth.c - the proof that a remote carries: basic, or a token that is fetched, kept and renewed; see auth.h.
 *
 * Room: registry.  The realm is the registry's word: it must be https unless the registry itself is plain, it must not
 * lie nearer to this host than the registry does, and what it answers is measured.  Must not let a secret into an
 * error.
 */
#include "svc-registry/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/digest.h"
#include "oci/json.h"
#include "svc-registry/answer.h"
#include "svc-registry/tokens.h"

#define MAX_SCOPES   8
#define TOKEN_MAX    ((size_t)64 << 10)
#define LIFE_DEFAULT 60
#define LIFE_MAX     INT64_C(86400)
#define CLIENT_ID    "bulkhead"
#define ASKED_LIFE   3600 /* how long it is remembered how a registry asks */

struct reg_auth {
    struct reg_auth_setup s;
    pthread_mutex_t lock;
    char *scopes[MAX_SCOPES];
    unsigned n_scopes;
    struct reg_challenge challenge; /* scheme REG_AUTH_NONE: not asked yet */
    enum reg_reach reach;           /* of the registry */
    char *header;                   /* "Bearer ..", "Basic .."; NULL: none */
    char *key;                      /* of the token in the memory; NULL: not from there */
    unsigned number;                /* counts the headers */
    bool fresh;                     /* the header was made for this remote, not found in the memory */
    char *identity;
};

struct reg_auth *reg_auth_new(const struct reg_auth_setup *setup) {
    struct reg_auth *a = bh_xcalloc(1, sizeof *a);

    a->s = *setup;
    a->reach = REG_REACH_WORLD;
    pthread_mutex_init(&a->lock, NULL);
    return a;
}

void reg_auth_free(struct reg_auth *a) {
    if (!a)
        return;
    for (unsigned i = 0; i < a->n_scopes; i++)
        free(a->scopes[i]);
    reg_secret_free(a->header);
    reg_secret_free(a->identity);
    free(a->key);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static void set_header(struct reg_auth *a, char *take_header, bool fresh) {
    reg_secret_free(a->header);
    a->header = take_header;
    a->fresh = fresh;
    a->number++;
}

int reg_auth_add_scope(struct reg_auth *a, const char *scope, struct bh_err *err) {
    int rc = 0;

    pthread_mutex_lock(&a->lock);
    bool known = false;
    for (unsigned i = 0; i < a->n_scopes; i++)
        known |= strcmp(a->scopes[i], scope) == 0;
    if (!known && a->n_scopes == MAX_SCOPES) {
        rc = bh_err_set(err, BH_E_LIMIT, "more than %d repositories at once", MAX_SCOPES);
    } else if (!known) {
        a->scopes[a->n_scopes++] = bh_xstrdup(scope);
        if (a->challenge.scheme == REG_AUTH_BEARER) /* the token at hand does not cover it */
            set_header(a, NULL, false);
    }
    pthread_mutex_unlock(&a->lock);
    return rc;
}

const char *reg_auth_identity(const struct reg_auth *a) {
    return a->identity;
}

bool reg_auth_has_credential(const struct reg_auth *a) {
    const struct reg_credential *c = a->s.credential;

    return c && (*c->username || *c->password || *c->identity_token || *c->registry_token);
}

/* ---- headers ------------------------------------------------------------------------------------- */

static char *join(const char *a, const char *b, const char *c) {
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *s = bh_xmalloc(n);

    snprintf(s, n, "%s%s%s", a, b, c);
    return s;
}

static char *basic_header(const struct reg_credential *c) {
    REG_SCOPE_SECRET char *pair = join(c->username, ":", c->password);
    size_t n = strlen(pair), room = 4 * ((n + 2) / 3) + 1;
    char *header = bh_xmalloc(6 + room);

    memcpy(header, "Basic ", 6);
    EVP_EncodeBlock((unsigned char *)header + 6, (const unsigned char *)pair, (int)n);
    return header;
}

/* Two credentials with the same digest are the same; a salt is not needed, it never leaves the memory. */
static void credential_digest(const struct reg_credential *c, char out[BH_DIGEST_TEXT_SIZE]) {
    struct bh_hash h = BH_HASH_INIT;
    struct bh_digest d = {0};
    struct bh_err ignored = BH_ERR_INIT;

    if (bh_sha256_init(&h, &ignored) == 0) {
        const char *const parts[] = {c ? c->username : "", c ? c->password : "", c ? c->identity_token : "",
                                     c ? c->registry_token : ""};
        for (size_t i = 0; i < BH_ARRAY_LEN(parts); i++)
            bh_hash_update(&h, parts[i], strlen(parts[i]) + 1);
        (void)bh_hash_final(&h, &d, &ignored);
    }
    bh_digest_hex(&d, out);
}

static char *memory_key(const struct reg_auth *a, const struct reg_url *base, bool how) {
    BH_SCOPE_BUF struct bh_buf key = BH_BUF_INIT_MAX((size_t)64 << 10);
    char digest[BH_DIGEST_TEXT_SIZE], origin[300];

    reg_url_origin(base, origin);
    credential_digest(a->s.credential, digest);
    bh_buf_addf(&key, "%s %u %s %s", how ? "how" : "token", (unsigned)a->s.owner, origin, digest);
    if (!how)
        bh_buf_addf(&key, " %s %s", a->challenge.realm, a->challenge.service);
    for (unsigned i = 0; !how && i < a->n_scopes; i++)
        bh_buf_addf(&key, " %s", a->scopes[i]);
    return bh_buf_failed(&key) ? bh_xstrdup("") : bh_buf_take(&key);
}

/* ---- tokens -------------------------------------------------------------------------------------- */

struct token {
    char *value, *refresh;
    int64_t seconds;
};

static bool is_token(const char *s) {
    for (; *s; s++) {
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f)
            return false;
    }
    return true;
}

static int read_token(struct reg_http_response *answer, struct token *out, struct bh_err *err) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_arena arena;
    const char *token = "", *access = "", *refresh = "";
    uint64_t seconds = LIFE_DEFAULT;
    int rc;

    bh_arena_init(&arena, 4 * TOKEN_MAX);
    rc = bh_json_parse(answer->body.data, answer->body.len, TOKEN_MAX, "token", &json, err);
    if (rc == 0) {
        struct bh_json_at root = bh_json_root(json, "token");
        if (bh_json_need_object(&root, err) != 0 ||
            bh_json_str(&root, "token", BH_TEXT_LINE, &arena, &token, err) != 0 ||
            bh_json_str(&root, "access_token", BH_TEXT_LINE, &arena, &access, err) != 0 ||
            bh_json_str(&root, "refresh_token", BH_TEXT_LINE, &arena, &refresh, err) != 0 ||
            bh_json_u64(&root, "expires_in", false, UINT32_MAX, &seconds, err) != 0)
            rc = err->code;
    }
    token = *token ? token : access;
    if (rc == 0 && (!*token || !is_token(token) || !is_token(refresh)))
        rc = bh_err_set(err, BH_E_UNAVAILABLE, "it gave no token");
    if (rc == 0) {
        out->value = bh_xstrdup(token);
        out->refresh = *refresh ? bh_xstrdup(refresh) : NULL;
        out->seconds = seconds < LIFE_DEFAULT ? LIFE_DEFAULT : seconds > LIFE_MAX ? LIFE_MAX : (int64_t)seconds;
    }
    bh_arena_wipe(&arena);
    bh_arena_fini(&arena);
    if (answer->body.data)
        OPENSSL_cleanse(answer->body.data, answer->body.len);
    return rc;
}

static int check_realm(const struct reg_auth *a, const struct reg_url *base, const struct reg_url *realm,
                       struct bh_err *err) {
    if (!realm->plain || base->plain)
        return 0;
    bh_err_set(err, BH_E_UNAVAILABLE, "%s wants its tokens fetched from %s by plain HTTP, which is refused", a->s.host,
               realm->host);
    return bh_err_reason(err, "bad-challenge");
}

/* Scopes that the registry names go along only as far as they ask for no more than we do. */
static bool covered(const struct reg_auth *a, const char *scope) {
    const char *actions = strrchr(scope, ':');

    if (!actions || strlen(scope) > 500)
        return false;
    for (unsigned i = 0; i < a->n_scopes; i++) {
        if (strcmp(a->scopes[i], scope) == 0)
            return false; /* it is there already */
    }
    return strcmp(actions, ":pull") == 0 || a->n_scopes == 0;
}

static bool add_scopes(const struct reg_auth *a, char url[REG_URL_SIZE]) {
    bool ok = true;

    for (unsigned i = 0; i < a->n_scopes && ok; i++)
        ok = reg_url_add_query(url, "scope", a->scopes[i]);
    for (const char *s = a->challenge.scope; ok && *s;) {
        char scope[600];
        size_t n = strcspn(s, " ");
        if (n > 0 && bh_str_copy_n(scope, sizeof scope, s, n) && covered(a, scope))
            ok = reg_url_add_query(url, "scope", scope);
        s += n + (s[n] == ' ');
    }
    return ok;
}

static void base_request(const struct reg_auth *a, const struct reg_url *base, const struct reg_url *realm,
                         const char *what, struct reg_http_request *req) {
    *req = (struct reg_http_request){.method = "GET",
                                     .terms = a->s.terms,
                                     .terms_arg = a->s.terms_arg,
                                     .times = a->s.times,
                                     .max_body = TOKEN_MAX,
                                     .guarded = !reg_url_same_origin(base, realm),
                                     .reach = a->reach,
                                     .cancel_fd = a->s.cancel_fd,
                                     .tries = a->s.tries,
                                     .what = what};
}

static int refused_token(const struct reg_auth *a, const struct reg_http_response *answer, const char *what,
                         struct bh_err *err) {
    char text[400];

    reg_answer_text(answer, text, sizeof text);
    if (answer->status == 401 || answer->status == 403) {
        bool said = !*text || bh_str_starts(text, "unauthorized") || bh_str_starts(text, "denied");
        bh_err_set(err, BH_E_UNAUTHENTICATED, "%s: %s%s", what, said ? "" : "unauthorized: ",
                   *text                        ? text
                   : reg_auth_has_credential(a) ? "unauthorized: incorrect username or password"
                                                : "unauthorized");
        return bh_err_reason(err, "unauthorized");
    }
    if (answer->status == 429)
        return reg_answer_too_many(answer, what, err);
    bh_err_set(err, BH_E_UNAVAILABLE, "%s: HTTP status %d%s%s", what, answer->status, *text ? ": " : "", text);
    return bh_err_reason(err, "bad-answer");
}

static int ask_by_get(struct reg_auth *a, const struct reg_url *base, const struct reg_url *realm, const char *what,
                      struct reg_http_response *answer, struct bh_err *err) {
    const struct reg_credential *c = a->s.credential;
    bool named = c && (*c->username || *c->password);
    REG_SCOPE_SECRET char *basic = named ? basic_header(c) : NULL;
    char url[REG_URL_SIZE];
    struct reg_http_request req;

    memcpy(url, realm->text, sizeof url);
    if ((*a->challenge.service && !reg_url_add_query(url, "service", a->challenge.service)) || !add_scopes(a, url) ||
        (named && !reg_url_add_query(url, "account", c->username)) ||
        (named && a->s.offline &&
         !(reg_url_add_query(url, "offline_token", "true") && reg_url_add_query(url, "client_id", CLIENT_ID))))
        return bh_err_set(err, BH_E_INVALID, "%s: the address is too long", what);
    base_request(a, base, realm, what, &req);
    req.url = url;
    req.authorization = basic;
    return reg_http_send(a->s.http, &req, answer, err);
}

static void add_form(struct bh_buf *form, const char *key, const char *value) {
    static const char hex[] = "0123456789ABCDEF";

    bh_buf_addf(form, "%s%s=", form->len ? "&" : "", key);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if ((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || strchr("-._~", *c)) {
            bh_buf_addc(form, (char)*c);
        } else {
            bh_buf_addc(form, '%');
            bh_buf_addc(form, hex[*c >> 4]);
            bh_buf_addc(form, hex[*c & 15]);
        }
    }
}

/* OAuth 2, for identity tokens.  The body is the secret, so it follows no redirect. */
static int ask_by_post(struct reg_auth *a, const struct reg_url *base, const struct reg_url *realm, const char *what,
                       struct reg_http_response *answer, struct bh_err *err) {
    static const char *const type[] = {"Content-Type: application/x-www-form-urlencoded"};
    struct bh_buf form = BH_BUF_INIT_MAX((size_t)256 << 10), scopes = BH_BUF_INIT_MAX((size_t)16 << 10);
    struct reg_http_request req;
    int rc;

    (void)bh_buf_room(&form, 3 * strlen(a->s.credential->identity_token) + 32768); /* no copy of it stays behind */
    for (unsigned i = 0; i < a->n_scopes; i++)
        bh_buf_addf(&scopes, "%s%s", i ? " " : "", a->scopes[i]);
    add_form(&form, "grant_type", "refresh_token");
    add_form(&form, "service", a->challenge.service);
    add_form(&form, "client_id", CLIENT_ID);
    if (scopes.len)
        add_form(&form, "scope", bh_buf_str(&scopes));
    add_form(&form, "refresh_token", a->s.credential->identity_token);
    base_request(a, base, realm, what, &req);
    req.method = "POST";
    req.url = realm->text;
    req.no_redirect = true;
    req.headers = type;
    req.n_headers = 1;
    req.body = form.data;
    req.body_size = form.len;
    rc = bh_buf_failed(&form) ? bh_err_set(err, BH_E_LIMIT, "%s: the identity token is too long", what)
                              : reg_http_send(a->s.http, &req, answer, err);
    if (form.data)
        OPENSSL_cleanse(form.data, form.len);
    bh_buf_fini(&form);
    bh_buf_fini(&scopes);
    return rc;
}

static int fetch_token(struct reg_auth *a, const struct reg_url *base, struct token *out, struct bh_err *err) {
    REG_SCOPE_RESPONSE struct reg_http_response answer = REG_HTTP_RESPONSE_INIT;
    struct reg_url realm;
    char what[400];
    int rc;

    if (reg_url_parse(a->challenge.realm, NULL, &realm, err) != 0 || check_realm(a, base, &realm, err) != 0)
        return bh_err_prefix(err, "token for %s", a->s.host);
    snprintf(what, sizeof what, "token for %s from %s", a->s.host, realm.host);
    rc = a->s.credential && *a->s.credential->identity_token ? ask_by_post(a, base, &realm, what, &answer, err)
                                                             : ask_by_get(a, base, &realm, what, &answer, err);
    if (rc != 0)
        return rc;
    if (answer.status != 200)
        return refused_token(a, &answer, what, err);
    return read_token(&answer, out, err) == 0 ? 0 : bh_err_prefix(err, "%s", what);
}

/* The lock is held: other threads wait for this token rather than fetch one each. */
static int get_token(struct reg_auth *a, const struct reg_url *base, bool may_remember, struct bh_err *err) {
    struct token token = {0};
    const struct reg_credential *c = a->s.credential;

    if (c && *c->registry_token) {
        set_header(a, join("Bearer ", c->registry_token, ""), true);
        return 0;
    }
    free(a->key);
    a->key = memory_key(a, base, false);
    if (may_remember && !a->s.offline) {
        REG_SCOPE_SECRET char *known = reg_tokens_get(a->s.tokens, a->key, NULL);
        if (known) {
            set_header(a, join("Bearer ", known, ""), false);
            return 0;
        }
    }
    if (fetch_token(a, base, &token, err) != 0)
        return err->code;
    if (*a->key)
        reg_tokens_put(a->s.tokens, a->key, token.value, token.seconds);
    set_header(a, join("Bearer ", token.value, ""), true);
    reg_secret_free(token.value);
    reg_secret_free(a->identity);
    a->identity = token.refresh;
    return 0;
}

/* ---- how a registry asks ------------------------------------------------------------------------- */

/* "1 \n", "2 realm\nservice\n" */
static void remember_how(struct reg_auth *a, const struct reg_url *base) {
    BH_SCOPE_FREE char *key = memory_key(a, base, true);
    BH_SCOPE_BUF struct bh_buf how = BH_BUF_INIT_MAX((size_t)16 << 10);

    bh_buf_addf(&how, "%d %d %s\n%s\n", (int)a->challenge.scheme, (int)a->reach, a->challenge.realm,
                a->challenge.service);
    if (!bh_buf_failed(&how))
        reg_tokens_put(a->s.tokens, key, bh_buf_str(&how), ASKED_LIFE);
}

static void recall_how(struct reg_auth *a, const struct reg_url *base) {
    BH_SCOPE_FREE char *key = memory_key(a, base, true), *how = reg_tokens_get(a->s.tokens, key, NULL);
    int scheme, reach, at = 0;
    char *end;

    if (!how || sscanf(how, "%d %d %n", &scheme, &reach, &at) != 2 || at == 0)
        return;
    a->challenge.scheme = scheme == REG_AUTH_BASIC ? REG_AUTH_BASIC : REG_AUTH_BEARER;
    a->reach = (enum reg_reach)reach;
    end = strchr(how + at, '\n');
    if (!end)
        return;
    (void)bh_str_copy_n(a->challenge.realm, sizeof a->challenge.realm, how + at, (size_t)(end - how - at));
    (void)bh_str_copy_n(a->challenge.service, sizeof a->challenge.service, end + 1, strcspn(end + 1, "\n"));
}

static int prepare(struct reg_auth *a, const struct reg_url *base, struct bh_err *err) {
    if (a->challenge.scheme == REG_AUTH_NONE && a->number == 0)
        recall_how(a, base);
    if (a->challenge.scheme == REG_AUTH_BASIC && !a->header && reg_auth_has_credential(a))
        set_header(a, basic_header(a->s.credential), true);
    if (a->challenge.scheme != REG_AUTH_BEARER)
        return 0;
    if (a->header && a->key) { /* is it still good for a while? */
        REG_SCOPE_SECRET char *known = reg_tokens_get(a->s.tokens, a->key, NULL);
        if (!known)
            set_header(a, NULL, false);
    }
    return a->header ? 0 : get_token(a, base, true, err);
}

int reg_auth_current(struct reg_auth *a, const struct reg_url *base, char **out_header, unsigned *out_number,
                     struct bh_err *err) {
    int rc;

    pthread_mutex_lock(&a->lock);
    rc = prepare(a, base, err);
    *out_header = rc == 0 && a->header ? bh_xstrdup(a->header) : NULL;
    *out_number = a->number;
    pthread_mutex_unlock(&a->lock);
    return rc;
}

static int take_challenges(struct reg_auth *a, const struct reg_http_response *answer, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf all = BH_BUF_INIT_MAX(REG_HEADERS_MAX + 1024);

    for (size_t i = 0; i < answer->n_headers; i++) {
        if (strcmp(answer->header[i].name, "www-authenticate") == 0)
            bh_buf_addf(&all, "%s%s", all.len ? ", " : "", answer->header[i].value);
    }
    if (reg_challenge_parse(bh_buf_str(&all), &a->challenge, err) != 0)
        return bh_err_prefix(err, "%s", a->s.host);
    a->reach = answer->reach;
    return 0;
}

static int find_better(struct reg_auth *a, const struct reg_url *base, const struct reg_http_response *answer,
                       bool *out_again, struct bh_err *err) {
    bool had_fresh = a->header && a->fresh, had_bearer = a->challenge.scheme == REG_AUTH_BEARER;

    if (take_challenges(a, answer, err) != 0)
        return err->code;
    if (a->challenge.scheme == REG_AUTH_NONE)
        return 0;
    if (a->challenge.scheme == REG_AUTH_BASIC) {
        if ((had_fresh && !had_bearer) || !a->s.credential || !*a->s.credential->username)
            return 0;
        set_header(a, basic_header(a->s.credential), true);
        remember_how(a, base);
        *out_again = true;
        return 0;
    }
    if (a->header && a->s.credential && *a->s.credential->registry_token)
        return 0;
    if (a->header && a->key && had_bearer)
        reg_tokens_drop(a->s.tokens, a->key, a->header + strlen("Bearer "));
    if (get_token(a, base, true, err) != 0)
        return err->code;
    remember_how(a, base);
    *out_again = true;
    return 0;
}

int reg_auth_refused(struct reg_auth *a, const struct reg_url *base, const struct reg_http_response *answer,
                     unsigned number, bool *out_again, struct bh_err *err) {
    int rc = 0;

    pthread_mutex_lock(&a->lock);
    *out_again = a->number != number; /* another thread was here first */
    if (!*out_again)
        rc = find_better(a, base, answer, out_again, err);
    pthread_mutex_unlock(&a->lock);
    return rc;
}
