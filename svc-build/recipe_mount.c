/*
 * recipe_mount.c - RUN --mount: its fields, types and what goes with what (see recipe.h, recipe_expand.h).
 * Room: build.  Pure.  The parser reads a mount without variables, for the errors; a step reads it again with them.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "ignore/pattern.h"
#include "recipe_int.h"

static const char *const type_names[] = {"bind", "cache", "tmpfs", "secret", "ssh"};
static const char *const sharing_names[] = {"shared", "private", "locked"};

#define T(type)  (1U << BUILD_MOUNT_##type)
#define ALL      (T(BIND) | T(CACHE) | T(TMPFS) | T(SECRET) | T(SSH))
#define FILE_ISH (T(CACHE) | T(SECRET) | T(SSH))

enum key {
    KEY_TYPE,
    KEY_FROM,
    KEY_SOURCE,
    KEY_TARGET,
    KEY_READONLY,
    KEY_READWRITE,
    KEY_ID,
    KEY_SHARING,
    KEY_REQUIRED,
    KEY_SIZE,
    KEY_MODE,
    KEY_UID,
    KEY_GID,
    KEY_ENV
};

static const struct key_row {
    const char *name;
    enum key key;
    unsigned types; /* that have it */
    bool bare;      /* may stand without a value */
} keys[] = {
    {"type", KEY_TYPE, ALL, false},
    {"from", KEY_FROM, T(BIND) | T(CACHE), false},
    {"source", KEY_SOURCE, T(BIND) | T(CACHE) | T(SECRET), false},
    {"src", KEY_SOURCE, T(BIND) | T(CACHE) | T(SECRET), false},
    {"target", KEY_TARGET, ALL, false},
    {"dst", KEY_TARGET, ALL, false},
    {"destination", KEY_TARGET, ALL, false},
    {"readonly", KEY_READONLY, ALL, true},
    {"ro", KEY_READONLY, ALL, true},
    {"readwrite", KEY_READWRITE, ALL, true},
    {"rw", KEY_READWRITE, ALL, true},
    {"id", KEY_ID, FILE_ISH, false},
    {"sharing", KEY_SHARING, T(CACHE), false},
    {"required", KEY_REQUIRED, T(SECRET) | T(SSH), true},
    {"size", KEY_SIZE, T(TMPFS), false},
    {"mode", KEY_MODE, FILE_ISH, false},
    {"uid", KEY_UID, FILE_ISH, false},
    {"gid", KEY_GID, FILE_ISH, false},
    {"env", KEY_ENV, T(SECRET), false},
};

static const struct key_row *find_key(const char *name) {
    for (size_t i = 0; i < BH_ARRAY_LEN(keys); i++) {
        if (strcasecmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

static int name_index(const char *const *names, size_t n, const char *text) {
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(names[i], text) == 0)
            return (int)i;
    }
    return -1;
}

/* --- the typed form ------------------------------------------------------------------------------ */

struct reader {
    const struct build_mount_text *text;
    const struct build_scope *scope; /* NULL: values with variables are not looked at */
    struct bh_arena *arena;
    struct build_mount *out;
    struct bh_err *err;
    const struct build_pair *at; /* the field that an error is about; NULL: the whole mount */
    const char *suggestion;      /* for the error, or NULL */
    bool open;                   /* some value was not looked at */
    bool mode_given, type_open;
};

/* A value that may change once variables are known. */
static bool is_variable(const struct build_pair *field) {
    return field->value.s != NULL && strpbrk(field->value.s, "$\\`'\"") != NULL;
}

static const char *look_up(void *user, const char *name) {
    const struct build_scope *s = user;
    const char *value = build_scope_get(s, name);

    if (value == NULL && s->missed != NULL)
        s->missed(s->missed_user, name);
    return value;
}

/* false: left out (*out NULL) or an error. */
static int value_of(struct reader *r, const struct build_pair *field, const char **out) {
    struct build_expand x = {.lookup = look_up, .user = (void *)r->scope, .arena = r->arena};

    *out = field->value.s;
    if (*out == NULL || !is_variable(field))
        return 0;
    if (r->scope == NULL) {
        r->open = true;
        *out = NULL;
        return 1;
    }
    x.escape = r->scope->globals->escape;
    return build_expand_word(&x, field->value.s, out, r->err);
}

static int invalid(struct reader *r, const char *key, const char *value) {
    return bh_err_set(r->err, BH_E_INVALID, "invalid value for %s: %.100s", key, value);
}

/* As Go's ParseBool. */
static int read_bool(struct reader *r, const char *key, const char *value, bool *out) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

    for (size_t i = 0; i < BH_ARRAY_LEN(yes); i++) {
        if (value == NULL || strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *out = value == NULL || strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return invalid(r, key, value);
}

static int read_number(struct reader *r, const char *key, const char *value, unsigned base, uint32_t *out) {
    uint64_t v = 0;

    for (const char *s = value; *s != '\0'; s++) {
        if (*s < '0' || *s >= (char)('0' + base) || v > UINT32_MAX)
            return bh_err_set(r->err, BH_E_INVALID, "invalid value %.100s for %s", value, key);
        v = v * base + (unsigned)(*s - '0');
    }
    if (value[0] == '\0' || v > UINT32_MAX)
        return bh_err_set(r->err, BH_E_INVALID, "invalid value %.100s for %s", value, key);
    *out = (uint32_t)v;
    return 0;
}

static int read_type(struct reader *r, const char *value) {
    int i = name_index(type_names, BH_ARRAY_LEN(type_names), value);

    if (i < 0) {
        r->suggestion = build_nearest(value, type_names, BH_ARRAY_LEN(type_names));
        return bh_err_set(r->err, BH_E_INVALID, "unsupported mount type \"%.100s\"", value);
    }
    r->out->type = (enum build_mount_type)i;
    return 0;
}

static int read_sharing(struct reader *r, const char *value) {
    int i = name_index(sharing_names, BH_ARRAY_LEN(sharing_names), value);

    if (i < 0) {
        r->suggestion = build_nearest(value, sharing_names, BH_ARRAY_LEN(sharing_names));
        return bh_err_set(r->err, BH_E_INVALID, "unsupported sharing value \"%.100s\"", value);
    }
    r->out->sharing = (enum build_sharing)i;
    return 0;
}

static int read_field(struct reader *r, const struct key_row *key, const char *value) {
    struct build_mount *m = r->out;
    bool yes = false;

    switch (key->key) {
    case KEY_TYPE:
        return read_type(r, value);
    case KEY_FROM:
        m->from = value;
        return 0;
    case KEY_SOURCE:
        m->source = value;
        return 0;
    case KEY_TARGET:
        m->target = value;
        return 0;
    case KEY_READONLY:
    case KEY_READWRITE:
        if (read_bool(r, key->name, value, &yes) != 0)
            return r->err->code;
        m->read_only = yes == (key->key == KEY_READONLY);
        r->mode_given = true;
        return 0;
    case KEY_ID:
        m->id = value;
        return 0;
    case KEY_SHARING:
        return read_sharing(r, value);
    case KEY_REQUIRED:
        return read_bool(r, key->name, value, &m->required);
    case KEY_SIZE:
        return bh_str_bytes(value, &m->size) ? 0 : invalid(r, key->name, value);
    case KEY_MODE:
        m->has_mode = true;
        return read_number(r, key->name, value, 8, &m->mode);
    case KEY_UID:
        m->has_uid = true;
        return read_number(r, key->name, value, 10, &m->uid);
    case KEY_GID:
        m->has_gid = true;
        return read_number(r, key->name, value, 10, &m->gid);
    case KEY_ENV:
        m->env = value;
        return 0;
    }
    return 0;
}

static int unknown_key(struct reader *r, const struct build_pair *field) {
    const char *names[BH_ARRAY_LEN(keys)];

    for (size_t i = 0; i < BH_ARRAY_LEN(keys); i++)
        names[i] = keys[i].name;
    r->suggestion = build_nearest(field->key.s, names, BH_ARRAY_LEN(keys));
    return bh_err_set(r->err, BH_E_INVALID, "unexpected key '%.100s' in '%.100s%s%.100s'", field->key.s, field->key.s,
                      field->value.s != NULL ? "=" : "", field->value.s != NULL ? field->value.s : "");
}

static int one_field(struct reader *r, const struct build_pair *field) {
    const struct key_row *key = find_key(field->key.s);
    const char *value;
    int rc;

    r->at = field;
    if (key == NULL)
        return unknown_key(r, field);
    if (field->value.s == NULL && !key->bare)
        return bh_err_set(r->err, BH_E_INVALID, "invalid field '%.100s' must be a key=value pair", field->key.s);
    if (key->key == KEY_FROM && is_variable(field))
        return bh_err_set(r->err, BH_E_INVALID,
                          "'from' doesn't support variable expansion, define alias stage instead");
    rc = value_of(r, field, &value);
    if (rc != 0) {
        r->type_open = r->type_open || key->key == KEY_TYPE;
        return rc > 0 ? 0 : rc;
    }
    return read_field(r, key, value);
}

/* Keys that the type does not have. */
static int check_keys(struct reader *r) {
    for (size_t i = 0; !r->type_open && i < r->text->fields.n; i++) {
        const struct build_pair *field = &r->text->fields.v[i];
        const struct key_row *key = find_key(field->key.s);
        const char *type = type_names[r->out->type];

        r->at = field;
        if (key == NULL || (key->types & (1U << r->out->type)) != 0)
            continue;
        if (key->key == KEY_MODE || key->key == KEY_UID || key->key == KEY_GID)
            return bh_err_set(r->err, BH_E_INVALID, "%s not allowed for \"%s\" type mounts", key->name, type);
        if (key->key == KEY_SHARING)
            return bh_err_set(r->err, BH_E_INVALID, "invalid cache sharing set for %s mount", type);
        if (key->key == KEY_FROM && r->out->type == BUILD_MOUNT_SECRET)
            return bh_err_set(r->err, BH_E_INVALID, "secret mount should not have a from");
        return bh_err_set(r->err, BH_E_INVALID, "unexpected key '%s' for mount type '%s'", key->name, type);
    }
    r->at = NULL;
    return 0;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static int finish_secret(struct reader *r) {
    struct build_mount *m = r->out;

    if (m->id != NULL && m->source[0] != '\0')
        return bh_err_set(r->err, BH_E_INVALID, "both source and id can't be set");
    if (m->id == NULL)
        m->id = m->source[0] != '\0' ? m->source : base_name(m->target);
    if (m->id[0] == '\0')
        return bh_err_set(r->err, BH_E_INVALID, "invalid secret mount. one of source, target required");
    if (m->env != NULL && m->env[0] == '\0')
        m->env = m->id;
    if (m->target[0] == '\0' && m->env == NULL) {
        BH_SCOPE_FREE char *path = bh_xasprintf("/run/secrets/%s", base_name(m->id));

        m->target = bh_oci_strdup(r->arena, path, strlen(path), r->err);
        return m->target != NULL ? 0 : r->err->code;
    }
    return 0;
}

/* A cache without an id is known by its target. */
static int finish_cache(struct reader *r) {
    struct build_mount *m = r->out;
    size_t n = strlen(m->target);
    char *id;

    if (m->id != NULL && m->id[0] != '\0')
        return 0;
    id = bh_oci_alloc(r->arena, n + 2, r->err);
    if (id == NULL)
        return r->err->code;
    memcpy(id, m->target, n);
    bh_path_clean(id);
    m->id = id;
    return 0;
}

static int finish(struct reader *r) {
    struct build_mount *m = r->out;

    if (!r->mode_given)
        m->read_only = m->type != BUILD_MOUNT_CACHE && m->type != BUILD_MOUNT_TMPFS;
    if (m->source == NULL)
        m->source = "";
    if (m->target == NULL)
        m->target = "";
    if (m->type == BUILD_MOUNT_SECRET)
        return finish_secret(r);
    if (m->target[0] == '/' && m->target[strspn(m->target, "/.")] == '\0' && m->type != BUILD_MOUNT_SSH)
        return bh_err_set(r->err, BH_E_INVALID, "invalid mount target \"%.100s\"", m->target);
    if (m->type == BUILD_MOUNT_CACHE)
        return finish_cache(r);
    if (m->type == BUILD_MOUNT_SSH && (m->id == NULL || m->id[0] == '\0'))
        m->id = "default";
    if (m->id == NULL)
        m->id = "";
    return 0;
}

static int read_mount(struct reader *r) {
    for (size_t i = 0; i < r->text->fields.n; i++) {
        int rc = one_field(r, &r->text->fields.v[i]);

        if (rc != 0)
            return rc;
    }
    if (check_keys(r) != 0)
        return r->err->code;
    return r->open ? 0 : finish(r);
}

int build_mount_read(const struct build_mount_text *text, const struct build_scope *s, struct bh_arena *arena,
                     struct build_mount *out, struct bh_err *err) {
    struct build_mount m = {.type = BUILD_MOUNT_BIND};
    struct reader r = {.text = text, .scope = s, .arena = arena, .out = &m, .err = err};

    if (read_mount(&r) != 0)
        return bh_err_prefix(err, "line %u: --mount=%.100s", text->text.at.line, text->text.s);
    *out = m;
    return 0;
}

/* --- parsing ------------------------------------------------------------------------------------- */

static bool push_field(struct build_request *q, struct build_mount_text *out, size_t *cap, const char *s, size_t n,
                       const struct build_word *whole, size_t offset) {
    struct build_pair *grown = build_grow(q->p, out->fields.v, out->fields.n, cap, sizeof *grown);
    char *key = build_keep(q->p, s, n), *eq;
    struct build_pos at = whole->at;

    if (grown == NULL || key == NULL)
        return false;
    out->fields.v = grown;
    at.column += (uint32_t)offset;
    eq = strchr(key, '=');
    if (eq != NULL)
        *eq++ = '\0';
    out->fields.v[out->fields.n++] = (struct build_pair){
        .key = {.s = key, .at = at, .length = (uint32_t)n},
        .value = {.s = eq, .at = at, .length = (uint32_t)n},
    };
    return true;
}

/* Values parted by commas; one with a comma or a quote in it stands in double quotes, which are doubled inside. */
static bool split_fields(struct build_request *q, const struct build_word *value, struct build_mount_text *out) {
    const char *s = value->s;
    size_t cap = 0;

    while (out->fields.n < BUILD_WORDS_MAX) {
        BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
        const char *from = s;

        if (*s == '"') {
            for (s++; *s != '\0' && !(*s == '"' && s[1] != '"'); s++) {
                s += *s == '"';
                bh_buf_addc(&text, *s);
            }
            s += *s == '"';
        }
        for (; *s != '\0' && *s != ','; s++)
            bh_buf_addc(&text, *s);
        if (!push_field(q, out, &cap, bh_buf_str(&text), text.len, value, (size_t)(from - value->s)))
            return false;
        if (*s == '\0')
            return true;
        s++;
    }
    return true;
}

bool build_mount_parse(struct build_request *q, const struct build_word *value, struct build_mount_text *out) {
    struct build_mount m = {.type = BUILD_MOUNT_BIND};
    struct bh_err err = BH_ERR_INIT;
    struct reader r = {.text = out, .arena = q->p->arena, .out = &m, .err = &err};
    struct build_note *note;

    *out = (struct build_mount_text){.text = *value};
    if (!split_fields(q, value, out))
        return false;
    if (read_mount(&r) == 0) {
        out->from = m.from;
        return true;
    }
    note = r.at != NULL ? build_bad_at(q, "invalid-mount", r.at->key.at, r.at->key.length, "%s", err.msg)
                        : build_bad_at(q, "invalid-mount", value->at, value->length, "%s", err.msg);
    build_note_suggest(q->p->notes, note, r.suggestion);
    return true;
}
