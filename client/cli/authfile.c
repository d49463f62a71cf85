/*
 * authfile.c - see authfile.h.
 *
 * Room: client.
 */
#include "cli/authfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/authhelper.h"
#include "oci/json.h"

#define FILE_MAX  ((size_t)4 << 20)
#define HUB_KEY   "https://index.docker.io/v1/"
#define HUB       "docker.io"
#define SCOPE_MAX 1024

/* ---- secrets in memory --------------------------------------------------------------------- */

static void wipe(char **s) {
    if (*s != NULL)
        explicit_bzero(*s, strlen(*s));
    free(*s);
    *s = NULL;
}

void cli_auth_fini(struct cli_auth *a) {
    free(a->scope);
    a->scope = NULL;
    wipe(&a->username);
    wipe(&a->password);
    wipe(&a->identity_token);
    wipe(&a->registry_token);
}

void cli_scope_secret(struct bh_buf *b) {
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    bh_buf_fini(b);
}

/* ---- keys ---------------------------------------------------------------------------------- */

void cli_auth_scope_of_key(const char *key, char *out, size_t size) {
    const char *s = key;
    size_t n;

    if (bh_str_starts(s, "https://"))
        s += 8;
    else if (bh_str_starts(s, "http://"))
        s += 7;
    n = strlen(s);
    if (s != key) /* an address: what follows the host is the API's path */
        n = strcspn(s, "/");
    while (n > 0 && s[n - 1] == '/')
        n--;
    if (!bh_str_copy_n(out, size, s, n))
        out[0] = '\0';
    if (strcmp(out, "index.docker.io") == 0 || strcmp(out, "registry-1.docker.io") == 0)
        bh_str_copy(out, size, HUB);
}

/* What docker writes for a server. */
static void key_of_server(const char *server, char *out, size_t size) {
    char scope[SCOPE_MAX];

    cli_auth_scope_of_key(server, scope, sizeof scope);
    if (scope[0] == '\0' || strcmp(scope, HUB) == 0)
        bh_str_copy(out, size, HUB_KEY);
    else
        bh_str_copy(out, size, scope);
}

/* How much of host/path the scope covers, 0 if it is not for it. */
static size_t scope_fits(const char *scope, const char *name) {
    size_t n = strlen(scope);

    return n > 0 && strncmp(scope, name, n) == 0 && (name[n] == '\0' || name[n] == '/') ? n : 0;
}

/* ---- files --------------------------------------------------------------------------------- */

#define MAX_FILES 5
struct files {
    char *path[MAX_FILES];
    size_t n;
};

static void files_fini(struct files *f) {
    for (size_t i = 0; i < f->n; i++)
        free(f->path[i]);
}

static void add_file(struct files *f, const char *folder, const char *rest) {
    if (folder != NULL && folder[0] != '\0' && f->n < MAX_FILES)
        f->path[f->n++] = bh_xasprintf("%s%s", folder, rest);
}

/* In the order of trust: what was asked for alone, else podman's, else docker's.  The last is where a login is kept. */
static void find_files(const struct cli_auth_place *where, struct files *f) {
    const char *home = getenv("HOME"), *docker = getenv("DOCKER_CONFIG"), *xdg = getenv("XDG_CONFIG_HOME");

    f->n = 0;
    if (where->file != NULL && where->file[0] != '\0') {
        add_file(f, where->file, "");
        return;
    }
    if (where->config != NULL && where->config[0] != '\0') {
        add_file(f, where->config, "/config.json");
        return;
    }
    add_file(f, getenv("REGISTRY_AUTH_FILE"), "");
    if (f->n > 0)
        return;
    add_file(f, getenv("XDG_RUNTIME_DIR"), "/containers/auth.json");
    if (xdg != NULL && xdg[0] != '\0')
        add_file(f, xdg, "/containers/auth.json");
    else
        add_file(f, home, "/.config/containers/auth.json");
    if (docker != NULL && docker[0] != '\0')
        add_file(f, docker, "/config.json");
    else
        add_file(f, home, "/.docker/config.json");
}

/* *out is NULL when there is no file. */
static int read_file(const char *path, json_t **out, struct bh_err *err) {
    CLI_SCOPE_SECRET struct bh_buf text = BH_BUF_INIT;
    BH_SCOPE_JSON json_t *root = NULL;

    *out = NULL;
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (bh_file_read(AT_FDCWD, path, FILE_MAX, &text, err) != 0)
        return err->code;
    if (strspn(bh_buf_str(&text), " \t\r\n") == text.len)
        return 0;
    if (bh_json_parse(text.data, text.len, FILE_MAX, path, &root, err) != 0)
        return bh_err_hint(err, "mend or remove the file; `login` writes it anew");
    if (!json_is_object(root))
        return bh_err_set(err, BH_E_INVALID, "%s: expected an object", path);
    *out = bh_take_ptr(root);
    return 0;
}

const char *cli_auth_text(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));

    return s != NULL ? s : "";
}

/* ---- one entry ----------------------------------------------------------------------------- */

static int split_basic(const char *path, const char *text, struct cli_auth *out, struct bh_err *err) {
    CLI_SCOPE_SECRET struct bh_buf plain = BH_BUF_INIT_MAX(64 << 10);
    const char *colon;

    if (!bh_base64_read(&plain, text, strlen(text)) || strlen(bh_buf_str(&plain)) != plain.len ||
        (colon = strchr(bh_buf_str(&plain), ':')) == NULL)
        return bh_err_set(err, BH_E_INVALID, "%s: an \"auth\" of \"auths\" is not base64 of USER:PASSWORD", path);
    out->username = bh_xstrndup(plain.data, (size_t)(colon - plain.data));
    out->password = bh_xstrdup(colon + 1);
    return 0;
}

static int read_entry(const char *path, const json_t *entry, struct cli_auth *out, struct bh_err *err) {
    const char *auth = cli_auth_text(entry, "auth");

    if (cli_auth_text(entry, "identitytoken")[0] != '\0')
        out->identity_token = bh_xstrdup(cli_auth_text(entry, "identitytoken"));
    if (cli_auth_text(entry, "registrytoken")[0] != '\0')
        out->registry_token = bh_xstrdup(cli_auth_text(entry, "registrytoken"));
    if (auth[0] != '\0')
        return split_basic(path, auth, out, err);
    if (cli_auth_text(entry, "username")[0] != '\0') {
        out->username = bh_xstrdup(cli_auth_text(entry, "username"));
        out->password = bh_xstrdup(cli_auth_text(entry, "password"));
    }
    return 0;
}

static bool entry_is_empty(const struct cli_auth *a) {
    return a->username == NULL && a->identity_token == NULL && a->registry_token == NULL;
}

/* ---- helpers ------------------------------------------------------------------------------- */

/* The helper that the file names for a scope or key, "" if none.  credHelpers goes before credsStore. */
static const char *helper_of(const json_t *root, const char *scope) {
    const json_t *helpers = json_object_get(root, "credHelpers");
    const char *best = cli_auth_text(root, "credsStore"), *key;
    json_t *value;
    size_t most = 0;

    json_object_foreach((json_t *)helpers, key, value) {
        char own[SCOPE_MAX];
        size_t n;

        cli_auth_scope_of_key(key, own, sizeof own);
        n = scope_fits(own, scope);
        if (n > most && json_is_string(value)) {
            most = n;
            best = json_string_value(value);
        }
    }
    return best;
}

/* What is public can be had without it, and what is not says so: the warning tells why. */
static int pass_over(const struct cli_auth_place *where, struct bh_err *err) {
    char text[sizeof err->msg + sizeof err->hint + 4];

    if (err->code == BH_E_INVALID || err->code == BH_E_LIMIT || where->warn == NULL)
        return err->code;
    snprintf(text, sizeof text, "%s%s%s", err->msg, err->hint[0] != '\0' ? "; " : "", err->hint);
    where->warn(where->arg, text);
    bh_err_clear(err);
    return 0;
}

static int ask_helper(const struct cli_auth_place *where, const char *helper, const char *scope, struct cli_auth *out,
                      bool *out_found, struct bh_err *err) {
    char key[SCOPE_MAX];
    int r;

    key_of_server(scope, key, sizeof key);
    r = cli_helper_get(helper, key, out, err);
    if (r == BH_E_NOT_FOUND && strcmp(err->reason, "no-login") == 0) {
        bh_err_clear(err);
        return 0;
    }
    if (r != 0)
        return pass_over(where, err);
    out->scope = bh_xstrdup(scope);
    *out_found = true;
    return 0;
}

/* ---- finding ------------------------------------------------------------------------------- */

/* The entry of "auths" with the longest scope that fits; NULL if none. */
static const json_t *best_entry(const json_t *root, const char *name, char scope[SCOPE_MAX]) {
    const json_t *best = NULL;
    const char *key;
    json_t *value;
    size_t most = 0;

    scope[0] = '\0';
    json_object_foreach(json_object_get(root, "auths"), key, value) {
        char own[SCOPE_MAX];
        size_t n;

        cli_auth_scope_of_key(key, own, sizeof own);
        n = scope_fits(own, name);
        if (n > most && json_is_object(value)) {
            most = n;
            best = value;
            memcpy(scope, own, sizeof own);
        }
    }
    return best;
}

static int find_in(const struct cli_auth_place *where, const char *path, const json_t *root, const char *name,
                   const char *domain, struct cli_auth *out, bool *out_found, struct bh_err *err) {
    char scope[SCOPE_MAX];
    const json_t *entry = best_entry(root, name, scope);
    const char *helper = helper_of(root, name);

    if (entry != NULL && read_entry(path, entry, out, err) != 0)
        return err->code;
    if (entry != NULL && !entry_is_empty(out)) {
        out->scope = bh_xstrdup(scope);
        *out_found = true;
        return 0;
    }
    return helper[0] != '\0' ? ask_helper(where, helper, domain, out, out_found, err) : 0;
}

int cli_auth_find(const struct cli_auth_place *where, const char *name, struct cli_auth *out, bool *out_found,
                  struct bh_err *err) {
    char host[SCOPE_MAX];
    struct files f;
    int r = 0;

    memset(out, 0, sizeof *out);
    *out_found = false;
    if (!bh_str_copy_n(host, sizeof host, name, strcspn(name, "/")))
        return bh_err_set(err, BH_E_INVALID, "%.100s..: the name of the registry is too long", name);
    find_files(where, &f);
    for (size_t i = 0; r == 0 && !*out_found && i < f.n; i++) {
        BH_SCOPE_JSON json_t *root = NULL;

        r = read_file(f.path[i], &root, err);
        if (r == 0 && root == NULL && where->file != NULL && where->file[0] != '\0' && access(where->file, F_OK) != 0)
            r = bh_err_errno(err, errno, "read credentials from %s", where->file);
        if (r == 0 && root != NULL)
            r = find_in(where, f.path[i], root, name, host, out, out_found, err);
    }
    files_fini(&f);
    if (r != 0)
        cli_auth_fini(out);
    return r;
}

/* ---- keeping ------------------------------------------------------------------------------- */

/* The file that is there, or the last one, which is docker's. */
static const char *file_to_write(const struct files *f) {
    for (size_t i = 0; i < f->n; i++)
        if (access(f->path[i], F_OK) == 0)
            return f->path[i];
    return f->n > 0 ? f->path[f->n - 1] : NULL;
}

static int write_file(const char *path, const json_t *root, struct bh_err *err) {
    char *text = json_dumps(root, JSON_INDENT(4));
    int r;

    if (text == NULL)
        return bh_err_set(err, BH_E_INTERNAL, "%s: write as JSON", path);
    if (bh_make_parents(path, 0700) != 0)
        r = bh_err_errno(err, errno, "make the folder of %s", path);
    else
        r = bh_file_replace(AT_FDCWD, path, text, strlen(text), 0600, true, err);
    explicit_bzero(text, strlen(text));
    free(text);
    return r;
}

/* The members that other tools have in the file stay. */
static void put_entry(json_t *root, const char *key, json_t *entry) {
    json_t *auths = json_object_get(root, "auths");

    if (!json_is_object(auths)) {
        json_object_set_new(root, "auths", json_object());
        auths = json_object_get(root, "auths");
    }
    json_object_set_new(auths, key, entry);
}

static json_t *entry_of(const struct cli_auth *a) {
    CLI_SCOPE_SECRET struct bh_buf plain = BH_BUF_INIT;
    CLI_SCOPE_SECRET struct bh_buf text = BH_BUF_INIT;
    json_t *entry = json_object();

    /* docker keeps the user's name beside a token and no password */
    bh_buf_addf(&plain, "%s:%s", a->username != NULL ? a->username : "",
                a->identity_token == NULL && a->password != NULL ? a->password : "");
    bh_base64_add(&text, plain.data, plain.len);
    json_object_set_new(entry, "auth", json_string(bh_buf_str(&text)));
    if (a->identity_token != NULL)
        json_object_set_new(entry, "identitytoken", json_string(a->identity_token));
    return entry;
}

static int open_to_write(const struct cli_auth_place *where, struct files *f, const char **out_path, json_t **out_root,
                         struct bh_err *err) {
    find_files(where, f);
    *out_path = file_to_write(f);
    if (*out_path == NULL) {
        bh_err_set(err, BH_E_INVALID, "no place for credentials: neither HOME nor DOCKER_CONFIG is set");
        return bh_err_hint(err, "name a file with --authfile");
    }
    if (read_file(*out_path, out_root, err) != 0)
        return err->code;
    if (*out_root == NULL)
        *out_root = json_object();
    return 0;
}

int cli_auth_store(const struct cli_auth_place *where, const char *server, const struct cli_auth *a, char **out_where,
                   bool *out_plain, struct bh_err *err) {
    BH_SCOPE_JSON json_t *root = NULL;
    const char *path, *helper;
    char key[SCOPE_MAX], scope[SCOPE_MAX];
    struct files f = {.n = 0};
    int r = open_to_write(where, &f, &path, &root, err);

    key_of_server(server, key, sizeof key);
    cli_auth_scope_of_key(key, scope, sizeof scope);
    helper = r == 0 ? helper_of(root, scope) : "";
    if (r == 0 && helper[0] != '\0') {
        r = cli_helper_store(helper, key, a, err);
        put_entry(root, key, json_object()); /* as docker: the list of servers is in the file */
    } else if (r == 0) {
        put_entry(root, key, entry_of(a));
    }
    if (r == 0)
        r = write_file(path, root, err);
    if (r == 0) {
        *out_where = bh_xstrdup(helper[0] != '\0' ? helper : path);
        *out_plain = helper[0] == '\0';
    }
    files_fini(&f);
    return r;
}

static int erase_in(const char *path, const char *key, const char *scope, bool *out_was_there, struct bh_err *err) {
    BH_SCOPE_JSON json_t *root = NULL;
    const char *helper, *own;
    json_t *value;
    void *next;
    bool changed = false;

    if (read_file(path, &root, err) != 0 || root == NULL)
        return err->code;
    helper = helper_of(root, scope);
    if (helper[0] != '\0' && cli_helper_erase(helper, key, err) != 0)
        return err->code;
    json_object_foreach_safe(json_object_get(root, "auths"), next, own, value) {
        char s[SCOPE_MAX];

        cli_auth_scope_of_key(own, s, sizeof s);
        if (strcmp(s, scope) != 0)
            continue;
        json_object_del(json_object_get(root, "auths"), own);
        changed = true;
    }
    *out_was_there = *out_was_there || changed;
    return changed ? write_file(path, root, err) : 0;
}

int cli_auth_erase(const struct cli_auth_place *where, const char *server, bool *out_was_there, struct bh_err *err) {
    char key[SCOPE_MAX], scope[SCOPE_MAX];
    struct files f;
    int r = 0;

    *out_was_there = false;
    key_of_server(server, key, sizeof key);
    cli_auth_scope_of_key(key, scope, sizeof scope);
    find_files(where, &f);
    for (size_t i = 0; r == 0 && i < f.n; i++)
        r = erase_in(f.path[i], key, scope, out_was_there, err);
    files_fini(&f);
    return r;
}

/* ---- listing ------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct servers {
    char **v;
    size_t n;
};

/* Once, by its scope. */
static void add_server(void *arg, const char *key) {
    struct servers *list = arg;
    char scope[SCOPE_MAX];

    cli_auth_scope_of_key(key, scope, sizeof scope);
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], scope) == 0)
            return;
    list->v = bh_xrealloc(list->v, (list->n + 1) * sizeof *list->v);
    list->v[list->n++] = bh_xstrdup(scope);
}

static int list_in(const char *path, struct servers *list, struct bh_err *err) {
    BH_SCOPE_JSON json_t *root = NULL;
    const char *key, *helper;
    json_t *value;

    if (read_file(path, &root, err) != 0 || root == NULL)
        return err->code;
    json_object_foreach(json_object_get(root, "auths"), key, value) {
        add_server(list, key);
    }
    helper = cli_auth_text(root, "credsStore");
    return helper[0] != '\0' ? cli_helper_list(helper, add_server, list, err) : 0;
}

int cli_auth_list(const struct cli_auth_place *where, char ***out, size_t *out_n, struct bh_err *err) {
    struct servers list = {0};
    struct files f;
    int r = 0;

    find_files(where, &f);
    for (size_t i = 0; r == 0 && i < f.n; i++)
        r = list_in(f.path[i], &list, err);
    files_fini(&f);
    if (r != 0) {
        for (size_t i = 0; i < list.n; i++)
            free(list.v[i]);
        free(list.v);
        return r;
    }
    if (list.n > 0)
        qsort(list.v, list.n, sizeof *list.v, by_text);
    *out = list.v;
    *out_n = list.n;
    return 0;
}
