/*
 * change.c - see change.h.  Owns the meaning of each instruction; words.c owns quoting.
 * Room: store (import) and runtime (commit).  The text is a user's, the config an image's: neither
 * is trusted, and what comes out must pass bh_image_config_parse again.
 * Works on a copy of the struct, so a text with an error changes nothing.
 */
#include "oci/change.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/signame.h"
#include "base/str.h"
#include "oci/json.h"
#include "oci/port.h"
#include "oci/words.h"

struct change {
    struct bh_run_config c; /* the copy that is worked on */
    struct bh_arena *arena;
    struct bh_err *err;
    bool cmd_set; /* a CMD came before: ENTRYPOINT leaves it */
};

/* --- arguments ----------------------------------------------------------------------------------- */

static int fail_argument(struct change *x, const char *instruction, const char *why) {
    return bh_err_set(x->err, BH_E_INVALID, "%s %s", instruction, why);
}

/* Text that becomes a name or path: what BH_TEXT_LINE refuses when the config is read again. */
static bool is_line(const char *s) {
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f || ((unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0))
            return false;
    }
    return true;
}

/* A JSON list of strings; 1 yes, 0 it is something else (then it is taken as shell form), negative on error. */
static int json_form(struct change *x, const char *text, struct bh_strlist *out) {
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_strlist l = {.present = true};
    BH_SCOPE_JSON json_t *json = NULL;

    if (text[0] != '[' || bh_json_parse(text, strlen(text), BH_CHANGE_MAX, "instruction", &json, &ignored) != 0)
        return 0;
    l.n = json_array_size(json);
    l.v = bh_oci_alloc(x->arena, l.n * sizeof *l.v, x->err);
    if (l.v == NULL)
        return x->err->code;
    for (size_t i = 0; i < l.n; i++) {
        const json_t *e = json_array_get(json, i);

        if (!json_is_string(e))
            return 0;
        l.v[i] = bh_oci_strdup(x->arena, json_string_value(e), json_string_length(e), x->err);
        if (l.v[i] == NULL)
            return x->err->code;
    }
    *out = l;
    return 1;
}

/* JSON form, or the shell and the whole text. */
static int command(struct change *x, const char *instruction, const char *text, struct bh_strlist *out) {
    static const char *default_shell[] = {"/bin/sh", "-c"};
    struct bh_strlist l = {.present = true, .n = 2, .v = default_shell};
    int r = json_form(x, text, out);

    if (r != 0)
        return r < 0 ? r : 0;
    if (text[0] == '\0')
        return fail_argument(x, instruction, "requires at least one argument");
    if (x->c.shell.n > 0)
        l = x->c.shell;
    if (bh_strlist_add(&l, x->arena, text, x->err) != 0)
        return x->err->code;
    *out = l;
    return 0;
}

static int expand(struct change *x, const char *word, const char **out) {
    return bh_words_expand(word, &x->c.env, x->arena, out, x->err);
}

/* The one expanded argument of USER, WORKDIR, STOPSIGNAL. */
static int one_argument(struct change *x, const char *instruction, const char *text, const char **out) {
    if (expand(x, text, out) != 0)
        return x->err->code;
    if ((*out)[0] == '\0')
        return fail_argument(x, instruction, "requires exactly one argument");
    return is_line(*out) ? 0 : fail_argument(x, instruction, "does not take control characters");
}

typedef int (*pair_fn)(struct change *x, const char *key, const char *value);

static int one_pair(struct change *x, const char *instruction, const char *word, size_t key_len, const char *value,
                    pair_fn set) {
    const char *raw = bh_oci_strdup(x->arena, word, key_len, x->err), *key, *text;

    if (raw == NULL || expand(x, raw, &key) != 0 || expand(x, value, &text) != 0)
        return x->err->code;
    if (key[0] == '\0')
        return fail_argument(x, instruction, "names can not be blank");
    if (!is_line(key))
        return fail_argument(x, instruction, "names do not take control characters");
    return set(x, key, text);
}

/* k=v ..., or the old form "k rest of the line". */
static int pairs(struct change *x, const char *instruction, const char *text, pair_fn set) {
    struct bh_strlist words;

    if (bh_words_split(text, x->arena, &words, x->err) != 0)
        return x->err->code;
    if (words.n == 0)
        return fail_argument(x, instruction, "requires at least one argument");
    if (strchr(words.v[0], '=') == NULL) {
        size_t n = strlen(words.v[0]);

        if (words.n < 2)
            return fail_argument(x, instruction, "must have two arguments");
        return one_pair(x, instruction, words.v[0], n, text + n + strspn(text + n, " \t"), set);
    }
    for (size_t i = 0; i < words.n; i++) {
        const char *eq = strchr(words.v[i], '=');

        if (eq == NULL)
            return bh_err_set(x->err, BH_E_INVALID,
                              "Syntax error - can't find = in \"%.100s\". Must be of the form: name=value", words.v[i]);
        if (one_pair(x, instruction, words.v[i], (size_t)(eq - words.v[i]), eq + 1, set) != 0)
            return x->err->code;
    }
    return 0;
}

/* --- instructions -------------------------------------------------------------------------------- */

static int do_cmd(struct change *x, const char *text) {
    x->cmd_set = true;
    return command(x, "CMD", text, &x->c.cmd);
}

static int do_entrypoint(struct change *x, const char *text) {
    if (command(x, "ENTRYPOINT", text, &x->c.entrypoint) != 0)
        return x->err->code;
    if (x->c.entrypoint.n == 0)
        x->c.entrypoint = (struct bh_strlist){0};
    if (!x->cmd_set)
        x->c.cmd = (struct bh_strlist){0}; /* arguments for the old entrypoint mean nothing to a new one */
    return 0;
}

/* New values are collected aside, so that those of one line see the environment before the line. */
static int set_env_aside(struct change *x, const char *key, const char *value) {
    if (strchr(key, '=') != NULL)
        return fail_argument(x, "ENV", "names can not hold '='");
    return bh_env_set(&x->c.on_build, x->arena, key, value, x->err);
}

static int do_env(struct change *x, const char *text) {
    struct change aside = *x;

    aside.c.on_build = (struct bh_strlist){0};
    if (pairs(&aside, "ENV", text, set_env_aside) != 0)
        return x->err->code;
    for (size_t i = 0; i < aside.c.on_build.n; i++) {
        const char *entry = aside.c.on_build.v[i], *eq = strchr(entry, '=');
        const char *key = bh_oci_strdup(x->arena, entry, (size_t)(eq - entry), x->err);

        if (key == NULL || bh_env_set(&x->c.env, x->arena, key, eq + 1, x->err) != 0)
            return x->err->code;
    }
    return 0;
}

static int set_label(struct change *x, const char *key, const char *value) {
    return bh_pairs_set(&x->c.labels, x->arena, key, value, x->err);
}

static int do_label(struct change *x, const char *text) {
    return pairs(x, "LABEL", text, set_label);
}

static int do_expose(struct change *x, const char *text) {
    struct bh_strlist words, expanded;
    const char *all;

    if (bh_words_split(text, x->arena, &words, x->err) != 0)
        return x->err->code;
    if (words.n == 0)
        return fail_argument(x, "EXPOSE", "requires at least one argument");
    for (size_t i = 0; i < words.n; i++) {
        /* A variable may hold several ports. */
        if (expand(x, words.v[i], &all) != 0 || bh_words_split(all, x->arena, &expanded, x->err) != 0)
            return x->err->code;
        for (size_t k = 0; k < expanded.n; k++) {
            if (bh_ports_add(&x->c.exposed_ports, x->arena, expanded.v[k], x->err) != 0)
                return x->err->code;
        }
    }
    return 0;
}

static int do_volume(struct change *x, const char *text) {
    struct bh_strlist words;
    const char *path;
    int r = json_form(x, text, &words);

    if (r < 0 || (r == 0 && bh_words_split(text, x->arena, &words, x->err) != 0))
        return x->err->code;
    if (words.n == 0)
        return fail_argument(x, "VOLUME", "requires at least one argument");
    for (size_t i = 0; i < words.n; i++) {
        if (expand(x, words.v[i], &path) != 0)
            return x->err->code;
        if (path[strspn(path, " \t")] == '\0')
            return fail_argument(x, "VOLUME", "specified can not be an empty string");
        if (!is_line(path))
            return fail_argument(x, "VOLUME", "does not take control characters");
        if (bh_strlist_add_sorted(&x->c.volumes, x->arena, path, x->err) != 0)
            return x->err->code;
    }
    return 0;
}

static int do_user(struct change *x, const char *text) {
    if (one_argument(x, "USER", text, &x->c.user) != 0)
        return x->err->code;
    return strpbrk(x->c.user, " \t") == NULL ? 0 : fail_argument(x, "USER", "requires exactly one argument");
}

static int do_stopsignal(struct change *x, const char *text) {
    if (one_argument(x, "STOPSIGNAL", text, &x->c.stop_signal) != 0)
        return x->err->code;
    if (bh_signal_parse(x->c.stop_signal) == 0)
        return bh_err_set(x->err, BH_E_INVALID, "STOPSIGNAL: invalid signal: %.64s", x->c.stop_signal);
    return 0;
}

/* path.Clean of dir/path, or of path if that is absolute. */
static const char *join_path(struct change *x, const char *dir, const char *path) {
    size_t room = strlen(dir) + strlen(path) + 3, n = 0;
    char *raw = bh_oci_alloc(x->arena, room, x->err), *out = bh_oci_alloc(x->arena, room, x->err), *save = NULL;

    if (raw == NULL || out == NULL)
        return NULL;
    snprintf(raw, room, "%s/%s", path[0] == '/' ? "" : dir, path);
    for (char *piece = strtok_r(raw, "/", &save); piece != NULL; piece = strtok_r(NULL, "/", &save)) {
        if (strcmp(piece, ".") == 0)
            continue;
        if (strcmp(piece, "..") == 0) {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, piece, strlen(piece));
        n += strlen(piece);
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = '\0';
    return out;
}

static int do_workdir(struct change *x, const char *text) {
    const char *path;

    if (one_argument(x, "WORKDIR", text, &path) != 0)
        return x->err->code;
    path = join_path(x, x->c.working_dir, path);
    if (path == NULL)
        return x->err->code;
    x->c.working_dir = path;
    return 0;
}

static int do_onbuild(struct change *x, const char *text) {
    static const char *const refused[] = {"ONBUILD", "FROM", "MAINTAINER"};
    size_t n = strcspn(text, " \t");

    if (n == 0)
        return fail_argument(x, "ONBUILD", "requires at least one argument");
    for (size_t i = 0; i < BH_ARRAY_LEN(refused); i++) {
        if (strlen(refused[i]) == n && strncasecmp(text, refused[i], n) == 0)
            return bh_err_set(x->err, BH_E_INVALID, "%s isn't allowed as an ONBUILD trigger", refused[i]);
    }
    return bh_strlist_add(&x->c.on_build, x->arena, text, x->err);
}

/* --- HEALTHCHECK --------------------------------------------------------------------------------- */

static int health_duration(struct change *x, const char *flag, const char *value, int64_t *out) {
    if (!bh_duration_parse(value, out))
        return bh_err_set(x->err, BH_E_INVALID, "HEALTHCHECK %s: \"%.64s\" is no duration", flag, value);
    if (*out < 0 || (*out > 0 && *out < BH_NSEC / 1000))
        return bh_err_set(x->err, BH_E_INVALID, "HEALTHCHECK %s cannot be less than 1ms", flag);
    return 0;
}

/* One word "--name=value" of n bytes. */
static int health_flag(struct change *x, const char *word, size_t n, struct bh_healthcheck *h) {
    const struct {
        const char *name;
        int64_t *out;
    } times[] = {{"--interval", &h->interval_ns},
                 {"--timeout", &h->timeout_ns},
                 {"--start-period", &h->start_period_ns},
                 {"--start-interval", &h->start_interval_ns}};
    const char *eq = memchr(word, '=', n), *value;
    size_t name_n = eq != NULL ? (size_t)(eq - word) : n;
    uint64_t count;

    value = eq != NULL ? bh_oci_strdup(x->arena, eq + 1, n - name_n - 1, x->err) : "";
    if (value == NULL)
        return x->err->code;
    for (size_t i = 0; i < BH_ARRAY_LEN(times); i++) {
        if (strlen(times[i].name) == name_n && memcmp(times[i].name, word, name_n) == 0)
            return health_duration(x, times[i].name, value, times[i].out);
    }
    if (name_n != strlen("--retries") || memcmp("--retries", word, name_n) != 0)
        return bh_err_set(x->err, BH_E_INVALID, "unknown flag for HEALTHCHECK: %.*s", (int)(n > 64 ? 64 : n), word);
    if (!bh_str_u64(value, &count) || count > INT32_MAX)
        return bh_err_set(x->err, BH_E_INVALID, "HEALTHCHECK --retries: \"%.64s\" is no count", value);
    h->retries = (int64_t)count;
    return 0;
}

static int health_command(struct change *x, const char *text, struct bh_healthcheck *h) {
    struct bh_strlist argv, *test = &h->test;
    int r = json_form(x, text, &argv);

    if (r < 0)
        return r;
    if (text[0] == '\0' || (r == 1 && argv.n == 0))
        return fail_argument(x, "HEALTHCHECK CMD", "requires a command");
    if (bh_strlist_add(test, x->arena, r == 1 ? "CMD" : "CMD-SHELL", x->err) != 0)
        return x->err->code;
    if (r == 0)
        return bh_strlist_add(test, x->arena, text, x->err);
    for (size_t i = 0; i < argv.n; i++) {
        if (bh_strlist_add(test, x->arena, argv.v[i], x->err) != 0)
            return x->err->code;
    }
    return 0;
}

static int do_healthcheck(struct change *x, const char *text) {
    struct bh_healthcheck h = {.present = true};
    bool flags = false;
    size_t n;
    int r;

    for (; strncmp(text, "--", 2) == 0; text += n + strspn(text + n, " \t")) {
        n = strcspn(text, " \t");
        if (health_flag(x, text, n, &h) != 0)
            return x->err->code;
        flags = true;
    }
    n = strcspn(text, " \t");
    if (n == 4 && strncasecmp(text, "NONE", 4) == 0) {
        if (flags || text[n] != '\0')
            return fail_argument(x, "HEALTHCHECK NONE", "takes no arguments");
        r = bh_strlist_add(&h.test, x->arena, "NONE", x->err);
    } else if (n == 3 && strncasecmp(text, "CMD", 3) == 0) {
        r = health_command(x, text + n + strspn(text + n, " \t"), &h);
    } else {
        return bh_err_set(x->err, BH_E_INVALID, "unknown type \"%.*s\" for HEALTHCHECK: expected CMD or NONE",
                          (int)(n > 64 ? 64 : n), text);
    }
    if (r == 0)
        x->c.healthcheck = h;
    return r;
}

/* --- lines ----------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int (*run)(struct change *x, const char *text);
} instructions[] = {
    {"CMD", do_cmd},     {"ENTRYPOINT", do_entrypoint},   {"ENV", do_env},         {"EXPOSE", do_expose},
    {"LABEL", do_label}, {"HEALTHCHECK", do_healthcheck}, {"ONBUILD", do_onbuild}, {"STOPSIGNAL", do_stopsignal},
    {"USER", do_user},   {"VOLUME", do_volume},           {"WORKDIR", do_workdir},
};

/* line: without leading and trailing blanks. */
static int run_line(struct change *x, const char *line) {
    size_t n = strcspn(line, " \t");

    for (size_t i = 0; i < BH_ARRAY_LEN(instructions); i++) {
        if (strlen(instructions[i].name) == n && strncasecmp(line, instructions[i].name, n) == 0) {
            if (instructions[i].run(x, line + n + strspn(line + n, " \t")) == 0)
                return 0;
            return bh_err_prefix(x->err, "change \"%.100s\"", line);
        }
    }
    bh_err_set(x->err, BH_E_INVALID, "%.*s is not a valid change command", (int)(n > 64 ? 64 : n), line);
    return bh_err_hint(x->err, "known are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, "
                               "USER, VOLUME and WORKDIR");
}

/* Cut the next line off *text, in place, without blanks at its ends; NULL at the end. */
static char *next_line(char **text) {
    char *line = *text, *end;

    if (line == NULL)
        return NULL;
    end = strchr(line, '\n');
    *text = end != NULL ? end + 1 : NULL;
    if (end == NULL)
        end = line + strlen(line);
    while (end > line && strchr(" \t\r", end[-1]) != NULL)
        end--;
    *end = '\0';
    return line + strspn(line, " \t");
}

/* A backslash at the end that is not itself quoted joins the next line. */
static bool continues(const char *line, size_t len) {
    return len > 0 && line[len - 1] == '\\' && (len == 1 || line[len - 2] != '\\');
}

static int run_joined(struct change *x, char *joined, size_t n) {
    while (n > 0 && strchr(" \t", joined[n - 1]) != NULL)
        n--;
    joined[n] = '\0';
    return n > 0 ? run_line(x, joined) : 0;
}

/* Join continued lines, drop comments (also between continued lines), run each instruction. */
static int run_lines(struct change *x, char *text, char *joined) {
    size_t n = 0;

    for (char *line; (line = next_line(&text)) != NULL;) {
        size_t len = strlen(line);
        bool more = continues(line, len);

        if (line[0] == '#' || (n > 0 && len == 0))
            continue;
        len -= more;
        memcpy(joined + n, line, len);
        n += len;
        if (more)
            continue;
        if (run_joined(x, joined, n) != 0)
            return x->err->code;
        n = 0;
    }
    return run_joined(x, joined, n);
}

static int check_bytes(const char *text, size_t n, struct bh_err *err) {
    if (n > BH_CHANGE_MAX)
        return bh_err_set(err, BH_E_LIMIT, "a change has %zu bytes, the limit is %d", n, BH_CHANGE_MAX);
    if (!bh_utf8_valid(text, n))
        return bh_err_set(err, BH_E_INVALID, "a change is not UTF-8 text");
    for (size_t i = 0; i < n; i++) {
        if (((unsigned char)text[i] < 0x20 && strchr("\t\r\n", text[i]) == NULL) || text[i] == 0x7f)
            return bh_err_set(err, BH_E_INVALID, "a change holds the control character 0x%02x", (unsigned char)text[i]);
    }
    return 0;
}

int bh_change_apply(const char *text, struct bh_run_config *c, struct bh_arena *arena, struct bh_err *err) {
    struct change x = {.c = *c, .arena = arena, .err = err};
    size_t n = strlen(text);
    BH_SCOPE_FREE char *copy = NULL, *joined = NULL;

    if (check_bytes(text, n, err) != 0)
        return bh_err_reason(err, "invalid-change");
    copy = bh_xstrdup(text);
    joined = bh_xmalloc(n + 1);
    if (run_lines(&x, copy, joined) != 0)
        return err->code == BH_E_INVALID ? bh_err_reason(err, "invalid-change") : err->code;
    *c = x.c;
    return 0;
}

int bh_change_apply_all(const char *const *text, size_t n, struct bh_run_config *c, struct bh_arena *arena,
                        struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf joined = BH_BUF_INIT_MAX((size_t)BH_CHANGE_MAX + 1);

    for (size_t i = 0; i < n; i++) {
        bh_buf_adds(&joined, text[i]);
        bh_buf_addc(&joined, '\n');
    }
    if (bh_buf_failed(&joined)) {
        bh_err_set(err, BH_E_LIMIT, "the changes have more than %d bytes, which is the limit", BH_CHANGE_MAX);
        return bh_err_reason(err, "invalid-change");
    }
    return n > 0 ? bh_change_apply(bh_buf_str(&joined), c, arena, err) : 0;
}
