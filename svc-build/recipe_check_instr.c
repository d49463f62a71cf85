/*
 * recipe_check_instr.c - the checks of single instructions.
 *
 * Room: build.  Pure.
 */
#include "recipe_check_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/port.h"
#include "recipe_mode.h"

/* At the instruction's own word. */
static void warn_name(struct build_checker *c, enum build_check check, const struct build_instruction *in,
                      const char *text) {
    build_check_warn(c, check, in->at, in->name_len, NULL, "%s", text);
}

void build_check_description(struct build_checker *c, const struct build_instruction *in) {
    bool arg = in->op == BUILD_ARG;
    const char *key = arg ? in->pairs.v[0].key.s : in->from.name.s, *comment;
    size_t n;

    if (key == NULL || in->comments.n == 0)
        return;
    comment = in->comments.v[in->comments.n - 1].s;
    n = strcspn(comment, " ");
    for (size_t i = 0; arg && i < in->pairs.n; i++) {
        const char *name = in->pairs.v[i].key.s;

        if (strlen(name) == n && memcmp(name, comment, n) == 0)
            return;
    }
    if (!arg && strlen(key) == n && strncasecmp(key, comment, n) == 0)
        return;
    build_check_warn(c, BUILD_CHECK_InvalidDefinitionDescription, in->at, in->name_len, NULL,
                     "Comment for %s should follow the format: `# %s <description>`", arg ? "ARG" : "FROM",
                     arg && in->pairs.n > 1 ? "<arg_key>" : key);
}

static bool is_word_of(const char *s, size_t n, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) == n && strncasecmp(words[i], s, n) == 0)
            return true;
    }
    return false;
}

/* Names like API_KEY and token_github, but not PUBLIC_KEY or KEY_FILE. */
static bool names_secret(const char *name) {
    static const char *const secret[] = {"apikey",   "auth",  "credential", "credentials", "key",
                                         "password", "pword", "passwd",     "secret",      "token"};
    static const char *const harmless[] = {"public", "file", "version"};
    bool found = false;

    while (*name != '\0') {
        size_t n = strcspn(name, "_");

        if (is_word_of(name, n, harmless, BH_ARRAY_LEN(harmless)))
            return false;
        found = found || is_word_of(name, n, secret, BH_ARRAY_LEN(secret));
        name += n;
        name += *name == '_';
    }
    return found;
}

static void check_pairs(struct build_checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->pairs.n; i++) {
        const struct build_pair *p = &in->pairs.v[i];

        if (in->op != BUILD_LABEL && names_secret(p->key.s))
            build_check_warn(c, BUILD_CHECK_SecretsUsedInArgOrEnv, p->key.at, p->key.length, NULL,
                             "Do not use ARG or ENV instructions for sensitive data (%s \"%s\")", build_op_name(in->op),
                             p->key.s);
        if (p->legacy)
            build_check_warn(c, BUILD_CHECK_LegacyKeyValueFormat, p->key.at, p->key.length, NULL,
                             "\"%s key=value\" should be used instead of legacy \"%s key value\" format",
                             build_op_name(in->op), build_op_name(in->op));
    }
}

/* Only the last one of a stage counts: the one before is reported. */
static void check_once(struct build_checker *c, const struct build_instruction *in) {
    const struct build_instruction **last = &c->stage->last[in->op];

    if (*last != NULL)
        build_check_warn(
            c, BUILD_CHECK_MultipleInstructionsDisallowed, (*last)->at, (*last)->name_len, NULL,
            "Multiple %s instructions should not be used in the same stage because only the last one will be used",
            build_op_name(in->op));
    *last = in;
}

static void check_exec_form(struct build_checker *c, const struct build_instruction *in) {
    if (!in->command.exec && !c->stage->shell_set)
        build_check_warn(c, BUILD_CHECK_JSONArgsRecommended, in->at, in->name_len, NULL,
                         "JSON arguments recommended for %s to prevent unintended behavior related to OS signals",
                         build_op_name(in->op));
}

static void check_workdir(struct build_checker *c, const struct build_instruction *in) {
    if (!c->stage->workdir_set && in->word.s[0] != '/')
        build_check_warn(c, BUILD_CHECK_WorkdirRelativePath, in->word.at, in->word.length, NULL,
                         "Relative workdir \"%s\" can have unexpected results if the base image changes", in->word.s);
    c->stage->workdir_set = true;
}

static void check_expose(struct build_checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->words.n; i++) {
        const struct build_word *w = &in->words.v[i];
        const char *port = bh_ports_exposed(w->s), *slash = strchr(port, '/');

        if (slash != NULL && !build_is_lower(slash))
            build_check_warn(c, BUILD_CHECK_ExposeProtoCasing, w->at, w->length, NULL,
                             "Defined protocol '%s' in EXPOSE instruction should be lowercase", w->s);
        if (port != w->s)
            build_check_warn(c, BUILD_CHECK_ExposeInvalidFormat, w->at, w->length, NULL,
                             "EXPOSE instruction should not define an IP address or host-port mapping, found '%s'",
                             w->s);
    }
}

static bool is_url(const char *s) {
    return strstr(s, "://") != NULL || bh_str_starts(s, "git@");
}

/* A '!' line could take single files of a folder back in: then nothing is said. */
static void check_ignored(struct build_checker *c, const struct build_instruction *in) {
    const struct bh_ignore *ig = c->input->ignore;

    if (ig == NULL || bh_ignore_has_negations(ig) || in->copy.from.s != NULL)
        return;
    for (size_t i = 0; i < in->copy.sources.n; i++) {
        const struct build_word *w = &in->copy.sources.v[i];
        BH_SCOPE_FREE char *path = bh_xmalloc(strlen(w->s) + 3);
        bool root;

        if (in->op == BUILD_ADD && is_url(w->s))
            continue;
        snprintf(path, strlen(w->s) + 3, "/%s", w->s);
        bh_path_clean(path);
        root = path[1] == '\0';
        if (root ? bh_ignore_hides_root(ig) : bh_ignore_match(ig, path + 1))
            build_check_warn(c, BUILD_CHECK_CopyIgnoredFile, w->at, w->length, NULL,
                             "Attempting to %s file \"%s\" that is excluded by .dockerignore",
                             in->op == BUILD_ADD ? "Add" : "Copy", root ? "." : path + 1);
    }
}

/* Variables of a RUN stand in its mounts alone. */
static void check_mounts(struct build_checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->run.n_mounts; i++) {
        struct bh_err ignored = BH_ERR_INIT;
        struct build_mount mount;

        (void)build_mount_read(&in->run.mounts[i], &c->stage->scope, c->arena, &mount, &ignored);
    }
}

void build_check_expanded(struct build_checker *c, const struct build_instruction *in) {
    switch (in->op) {
    case BUILD_WORKDIR:
        check_workdir(c, in);
        break;
    case BUILD_EXPOSE:
        check_expose(c, in);
        break;
    case BUILD_COPY:
    case BUILD_ADD:
        check_ignored(c, in);
        break;
    default:
        break;
    }
}

/* A word without variables is what it will be: what is wrong with it is wrong now. */
static void refuse_word(struct build_checker *c, const struct build_word *w, const struct bh_err *err) {
    build_note_add(c->notes, BUILD_ERROR, "invalid-value", w->at, w->length, "%s", err->msg);
}

static bool is_fixed(const struct build_word *w) {
    return w->s != NULL && w->s[0] != '\0' && strpbrk(w->s, "$\\`'\"") == NULL;
}

static void check_mode(struct build_checker *c, const struct build_word *w) {
    struct bh_err err = BH_ERR_INIT;
    struct build_mode mode;

    if (is_fixed(w) && build_mode_parse(w->s, &mode, &err) != 0)
        refuse_word(c, w, &err);
}

static void check_ports(struct build_checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->words.n; i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_ports ports;

        if (is_fixed(&in->words.v[i]) && bh_ports_parse(bh_ports_exposed(in->words.v[i].s), &ports, &err) != 0)
            refuse_word(c, &in->words.v[i], &err);
    }
}

void build_check_written(struct build_checker *c, const struct build_instruction *in) {
    switch (in->op) {
    case BUILD_COPY:
    case BUILD_ADD:
        check_mode(c, &in->copy.chmod);
        break;
    case BUILD_EXPOSE:
        check_ports(c, in);
        break;
    case BUILD_MAINTAINER:
        warn_name(c, BUILD_CHECK_MaintainerDeprecated, in,
                  "Maintainer instruction is deprecated in favor of using label");
        break;
    case BUILD_ENV:
    case BUILD_LABEL:
        check_pairs(c, in);
        break;
    case BUILD_ARG:
        check_pairs(c, in);
        build_check_description(c, in);
        break;
    case BUILD_CMD:
    case BUILD_ENTRYPOINT:
        check_once(c, in);
        check_exec_form(c, in);
        break;
    case BUILD_HEALTHCHECK:
        check_once(c, in);
        break;
    case BUILD_RUN:
        check_mounts(c, in);
        break;
    case BUILD_SHELL:
        c->stage->shell_set = true;
        break;
    default:
        break;
    }
    if (in->exec_broken)
        warn_name(c, BUILD_CHECK_InvalidJSONForm, in,
                  "This looks like JSON form but is none, so it is taken as text; JSON has double quotes");
}
