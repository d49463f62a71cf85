/*
 * answer.c - error bodies of registries and token servers, see answer.h.
 *
 * Room: registry.  Source: OCI distribution specification, "Error Codes"; the words are docker's.
 */
#include "svc-registry/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "oci/json.h"

static void add_text(char *to, size_t size, const char *text) {
    size_t n = strlen(to);

    if (n < size)
        bh_str_escape(to + n, size - n, text, strlen(text), false);
}

/* {"errors": [{"code": "DENIED", "message": ".."}]} */
static bool read_errors(const struct bh_json_at *root, struct bh_arena *arena, struct reg_complaint *out) {
    struct bh_json_at list, first;
    struct bh_err ignored = BH_ERR_INIT;
    const char *code = "", *message = "";

    if (!bh_json_member(root, "errors", &list) || !json_is_array(list.v) || json_array_size(list.v) == 0)
        return false;
    first = bh_json_element(&list, 0);
    if (!json_is_object(first.v))
        return false;
    (void)bh_json_str(&first, "code", BH_TEXT_FREE, arena, &code, &ignored);
    (void)bh_json_str(&first, "message", BH_TEXT_FREE, arena, &message, &ignored);
    for (size_t i = 0; code[i] && i + 1 < sizeof out->code; i++) {
        out->code[i] = code[i];
        out->text[i] = (char)(code[i] == '_' ? ' ' : code[i] >= 'A' && code[i] <= 'Z' ? code[i] | 0x20 : code[i]);
        if ((unsigned char)code[i] <= 0x20 || (unsigned char)code[i] >= 0x7f)
            out->text[i] = out->code[i] = '?';
    }
    if (*message) {
        if (*out->text)
            add_text(out->text, sizeof out->text, ": ");
        add_text(out->text, sizeof out->text, message);
    }
    return *out->text != '\0';
}

/* What token servers and gateways write: {"details": ..}, {"message": ..}, {"error_description": ..}, {"error": ..} */
static void read_other(const struct bh_json_at *root, struct bh_arena *arena, struct reg_complaint *out) {
    static const char *const keys[] = {"details", "message", "error_description", "error"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && !*out->text; i++) {
        struct bh_err ignored = BH_ERR_INIT;
        const char *text = "";
        if (bh_json_str(root, keys[i], BH_TEXT_FREE, arena, &text, &ignored) == 0)
            add_text(out->text, sizeof out->text, text);
    }
}

static void read_json(const struct reg_http_response *answer, struct reg_complaint *out) {
    BH_SCOPE_JSON json_t *json = NULL;
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_arena arena;

    if (bh_json_parse(answer->body.data, answer->body.len, REG_ERROR_BODY_MAX, "error", &json, &ignored) != 0)
        return;
    struct bh_json_at root = bh_json_root(json, "error");
    bh_arena_init(&arena, 4 * REG_ERROR_BODY_MAX);
    if (json_is_object(json) && !read_errors(&root, &arena, out))
        read_other(&root, &arena, out);
    bh_arena_fini(&arena);
}

void reg_complaint_read(const struct reg_http_response *answer, struct reg_complaint *out) {
    const char *body = answer->body.len ? answer->body.data : "";

    memset(out, 0, sizeof *out);
    if (answer->body.len == 0)
        return;
    read_json(answer, out);
    if (!*out->text && bh_str_starts(reg_http_header(answer, "content-type"), "text/plain"))
        bh_str_escape(out->text, sizeof out->text / 2, body, strcspn(body, "\r\n"), false);
}

void reg_answer_text(const struct reg_http_response *answer, char *out, size_t size) {
    struct reg_complaint c;

    reg_complaint_read(answer, &c);
    snprintf(out, size, "%s", c.text);
}

/* ---- errors -------------------------------------------------------------------------------------- */

int reg_answer_too_many(const struct reg_http_response *answer, const char *what, struct bh_err *err) {
    int64_t after = reg_retry_after(answer);
    struct reg_complaint c;

    reg_complaint_read(answer, &c);
    bh_err_set(err, BH_E_LIMIT, "%s: %s%s", what, bh_str_starts(c.text, "toomanyrequests") ? "" : "toomanyrequests: ",
               *c.text ? c.text : "too many requests");
    if (after >= 0)
        bh_err_hint(err, "the registry asks to try again in %lld seconds", (long long)after);
    return bh_err_reason(err, "too-many-requests");
}

/* "host:1/name:tag@digest" -> "host:1/name" */
static size_t repository_length(const char *name) {
    size_t n = strcspn(name, "@"), i = n;

    while (i > 0 && name[i - 1] != '/' && name[i - 1] != ':')
        i--;
    return i > 0 && name[i - 1] == ':' ? i - 1 : n;
}

static int no_rights(const struct reg_answer_about *about, const char *text, bool authenticate, struct bh_err *err) {
    int code = authenticate ? BH_E_UNAUTHENTICATED : BH_E_DENIED;
    char name[300];

    /* The repository: rights are not given by tag. */
    snprintf(name, sizeof name, "%.*s", (int)repository_length(about->name), about->name);
    if (about->write)
        bh_err_set(err, code, "%s: %s", about->name, text);
    else
        bh_err_set(err, code, "pull access denied for %s, repository does not exist or may require 'docker login': %s",
                   name, text);
    bh_err_reason(err, authenticate ? "unauthorized" : "denied");
    return about->known_user ? bh_err_hint(err, "check the name, and what this account may do on %s", about->host)
                             : bh_err_hint(err, "check the name, or log in: bulkhead login %s", about->host);
}

static int not_found(const struct reg_answer_about *about, const struct reg_complaint *c, struct bh_err *err) {
    if (strcmp(c->code, "NAME_UNKNOWN") == 0 && !about->write)
        return no_rights(about, c->text, false, err);
    if (about->manifest)
        bh_err_set(err, BH_E_NOT_FOUND, "manifest for %s not found: %s", about->name,
                   *c->text ? c->text : "manifest unknown: manifest unknown");
    else
        bh_err_set(err, BH_E_NOT_FOUND, "%s: %s", about->name, *c->text ? c->text : "not found");
    return bh_err_reason(err, about->manifest ? "manifest-unknown" : "not-found");
}

static int other_status(const struct reg_http_response *answer, const struct reg_answer_about *about, const char *text,
                        struct bh_err *err) {
    static const struct {
        int status;
        const char *words;
    } known[] = {{400, "Bad Request"},           {404, "Not Found"},
                 {405, "Method Not Allowed"},    {413, "Payload Too Large"},
                 {500, "Internal Server Error"}, {501, "Not Implemented"},
                 {502, "Bad Gateway"},           {503, "Service Unavailable"},
                 {504, "Gateway Timeout"}};
    const char *words = "";

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == answer->status)
            words = known[i].words;
    }
    bh_err_set(err, answer->status >= 500 ? BH_E_UNAVAILABLE : BH_E_CONFLICT,
               "%s: %s: received unexpected HTTP status: %d %s%s%s", about->name, about->host, answer->status, words,
               *text ? ": " : "", text);
    return bh_err_reason(err, answer->status >= 500 ? "server-error" : "bad-status");
}

int reg_answer_error(const struct reg_http_response *answer, const struct reg_answer_about *about, struct bh_err *err) {
    struct reg_complaint c;

    reg_complaint_read(answer, &c);
    switch (answer->status) {
    case 401:
        return no_rights(about, *c.text ? c.text : "unauthorized: authentication required",
                         strcmp(c.code, "DENIED") != 0, err);
    case 403:
        return no_rights(about, *c.text ? c.text : "denied: requested access to the resource is denied", false, err);
    case 404:
        return not_found(about, &c, err);
    case 429:
        return reg_answer_too_many(answer, about->name, err);
    case 405:
        if (*c.text) {
            bh_err_set(err, BH_E_UNIMPLEMENTED, "%s: %s", about->name, c.text);
            return bh_err_reason(err, "unsupported");
        }
        return other_status(answer, about, "", err);
    default:
        return other_status(answer, about, c.text, err);
    }
}
