/*
 * recipe_check.c - see recipe_check.h.  Owns the lint checks; recipe_rules.c knows which are on.
 * Room: build.  Pure.  Follows the stages as a build would, with the variables that are known without an image.
 */
#include "recipe_check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/platform.h"
#include "oci/port.h"
#include "oci/ref.h"
#include "recipe_mode.h"
#include "recipe_rules.h"

/* What a stage leaves to those built on it. */
struct stage_state {
    struct build_scope scope;
    bool env_known; /* of the base image */
    bool shell_set, workdir_set;
    const struct build_instruction *last[BUILD_OP_COUNT]; /* CMD, ENTRYPOINT, HEALTHCHECK of this stage */
};

struct checker {
    const struct build_recipe *r;
    const struct build_check_input *input;
    struct bh_arena *arena;
    struct build_notes *notes;
    struct build_rules rules; /* of the file */
    struct build_rules here;  /* with what the comments above the instruction say */
    struct build_globals globals;
    struct stage_state *stages;
    struct stage_state *stage; /* the one that is followed */
    const struct build_instruction *in;
    size_t first_note; /* of this instruction */
    bool lower;        /* most instructions are in lower case */
};

static void warn(struct checker *c, enum build_check check, struct build_pos at, size_t n, const char *suggestion,
                 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

static void warn(struct checker *c, enum build_check check, struct build_pos at, size_t n, const char *suggestion,
                 const char *fmt, ...) {
    char text[512];
    va_list ap;

    if (!build_rules_on(&c->here, check))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    build_note_suggest(c->notes, build_note_add(c->notes, BUILD_WARNING, build_check_name(check), at, n, "%s", text),
                       suggestion);
}

/* At the instruction's own word. */
static void warn_name(struct checker *c, enum build_check check, const struct build_instruction *in, const char *text) {
    warn(c, check, in->at, in->name_len, NULL, "%s", text);
}

/* --- letter case --------------------------------------------------------------------------------- */

static bool is_lower(const char *s) {
    for (; *s != '\0'; s++) {
        if (isupper((unsigned char)*s))
            return false;
    }
    return true;
}

static bool is_upper(const char *s) {
    for (; *s != '\0'; s++) {
        if (islower((unsigned char)*s))
            return false;
    }
    return true;
}

static void count_case(const struct build_instruction *in, size_t *lower, size_t *upper) {
    *lower += is_lower(in->name);
    *upper += is_upper(in->name);
}

static void find_majority(struct checker *c) {
    size_t lower = 0, upper = 0;

    for (size_t i = 0; i < c->r->n_stages; i++) {
        count_case(c->r->stages[i].from, &lower, &upper);
        for (size_t k = 0; k < c->r->stages[i].n; k++)
            count_case(c->r->stages[i].v[k], &lower, &upper);
    }
    c->lower = lower > upper;
}

static void check_case(struct checker *c, const struct build_instruction *in) {
    if (c->lower ? !is_lower(in->name) : !is_upper(in->name))
        warn(c, BUILD_CHECK_ConsistentInstructionCasing, in->at, in->name_len, NULL,
             "Command '%s' should match the case of the command majority (%s)", in->name,
             c->lower ? "lowercase" : "uppercase");
}

/* --- FROM ---------------------------------------------------------------------------------------- */

static void check_stage_name(struct checker *c, const struct build_stage *stage) {
    const struct build_instruction *in = stage->from;
    const struct build_word *name = &in->from.name;
    bool lower = is_lower(in->name);

    if (name->s == NULL)
        return;
    if (!is_lower(name->s))
        warn(c, BUILD_CHECK_StageNameCasing, name->at, name->length, NULL, "Stage name '%s' should be lowercase",
             name->s);
    if ((lower || is_upper(in->name)) && (lower ? !is_lower(in->from.as.s) : !is_upper(in->from.as.s)))
        warn(c, BUILD_CHECK_FromAsCasing, in->from.as.at, in->from.as.length, NULL,
             "'%s' and '%s' keywords' casing do not match", in->from.as.s, in->name);
    if (strcmp(stage->name, "scratch") == 0 || strcmp(stage->name, "context") == 0)
        warn(c, BUILD_CHECK_ReservedStageName, name->at, name->length, NULL,
             "Stage name should not use the same name as reserved stage \"%s\"", stage->name);
    for (size_t i = 0; i < stage->index; i++) {
        if (strcmp(c->r->stages[i].name, stage->name) == 0) {
            warn(c, BUILD_CHECK_DuplicateStageName, name->at, name->length, NULL,
                 "Duplicate stage name \"%s\", stage names should be unique", stage->name);
            break;
        }
    }
}

/* Uses of variables in a word of a FROM. */
struct from_uses {
    struct checker *c;
    const struct build_word *word;
    size_t matched, missed;
    bool target_platform;
};

static bool is_declared(const struct build_globals *g, const char *name) {
    for (size_t i = 0; i < g->n; i++) {
        if (strcmp(g->v[i].name, name) == 0)
            return true;
    }
    return false;
}

static const char *nearest_global(struct checker *c, const char *name) {
    const char *best = NULL;

    for (size_t i = 0; i < c->globals.n; i++) {
        const char *const pair[] = {best, c->globals.v[i].name};

        best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    return best;
}

static const char *use_global(void *user, const char *name) {
    struct from_uses *uses = user;
    struct checker *c = uses->c;
    const char *value = build_globals_get(&c->globals, name);

    if (value != NULL) {
        uses->matched++;
        uses->target_platform = uses->target_platform || strcmp(name, "TARGETPLATFORM") == 0;
        return value;
    }
    uses->missed++;
    if (!is_declared(&c->globals, name))
        warn(c, BUILD_CHECK_UndefinedArgInFrom, uses->word->at, uses->word->length, nearest_global(c, name),
             "FROM argument '%s' is not declared", name);
    return NULL;
}

/* NULL: it cannot be expanded, which is an error and not for us. */
static const char *expand_from(struct checker *c, const struct build_word *word, struct from_uses *uses) {
    struct build_expand x = {.escape = c->r->escape, .lookup = use_global, .user = uses, .arena = c->arena};
    struct bh_err ignored = BH_ERR_INIT;
    const char *out;

    *uses = (struct from_uses){.c = c, .word = word};
    return build_expand_word(&x, word->s, &out, &ignored) == 0 ? out : NULL;
}

static void check_platform(struct checker *c, const struct build_stage *stage) {
    const struct build_word *word = &stage->from->from.platform;
    struct bh_err ignored = BH_ERR_INIT;
    struct from_uses uses;
    struct bh_platform p;
    const char *text;

    if (word->s == NULL)
        return;
    text = expand_from(c, word, &uses);
    if (text == NULL)
        return;
    if (uses.matched == 1 && uses.missed == 0 && uses.target_platform &&
        strcmp(text, build_globals_get(&c->globals, "TARGETPLATFORM")) == 0)
        warn(c, BUILD_CHECK_RedundantTargetPlatform, word->at, word->length, NULL,
             "Setting platform to predefined %s in FROM is redundant as this is the default behavior", word->s);
    if (uses.matched + uses.missed == 0 && bh_platform_parse(text, &p, &ignored) == 0 &&
        strstr(stage->name, p.os) == NULL && strstr(stage->name, p.arch) == NULL)
        warn(c, BUILD_CHECK_FromPlatformFlagConstDisallowed, word->at, word->length, NULL,
             "FROM --platform flag should not use constant value \"%s\"", text);
}

static const char *look_up_default(void *user, const char *name) {
    return build_globals_get(user, name);
}

/* Without any --build-arg the name of the base must be one. */
static void check_defaults(struct checker *c, const struct build_globals *defaults, const struct build_stage *stage) {
    const struct build_word *word = &stage->from->from.base;
    struct build_expand x = {
        .escape = c->r->escape, .lookup = look_up_default, .user = (void *)defaults, .arena = c->arena};
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref;
    const char *name;

    if (strchr(word->s, '$') == NULL || build_expand_word(&x, word->s, &name, &ignored) != 0)
        return;
    if (bh_ref_parse(name, &ref, &ignored) != 0)
        warn(c, BUILD_CHECK_InvalidDefaultArgInFrom, word->at, word->length, NULL,
             "Default value for ARG %s results in empty or invalid base image name", word->s);
}

/* "# name what it is" above a stage or an ARG. */
static void check_description(struct checker *c, const struct build_instruction *in) {
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
    warn(c, BUILD_CHECK_InvalidDefinitionDescription, in->at, in->name_len, NULL,
         "Comment for %s should follow the format: `# %s <description>`", arg ? "ARG" : "FROM",
         arg && in->pairs.n > 1 ? "<arg_key>" : key);
}

/* --- variables ----------------------------------------------------------------------------------- */

/* Names that docker sets without an ARG, and PATH, which every base has. */
static bool is_ambient(const char *name) {
    return strcmp(name, "PATH") == 0 || bh_str_starts(name, "BUILDKIT_");
}

static bool is_arg(const struct build_scope *s, const char *name) {
    for (size_t i = 0; i < s->n_args; i++) {
        if (strcmp(s->args[i].name, name) == 0)
            return true;
    }
    return false;
}

static const char *nearest_variable(struct checker *c, const char *name) {
    const struct build_scope *s = &c->stage->scope;
    const char *best = NULL, *pair[2];

    for (size_t i = 0; i < s->n_args; i++) {
        pair[0] = best;
        pair[1] = s->args[i].name;
        best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    for (size_t i = 0; i < s->env.n; i++) {
        const char *entry = s->env.v[i];
        char *key = bh_arena_strdup(c->arena, entry);

        if (key == NULL || strchr(key, '=') == NULL)
            continue;
        *strchr(key, '=') = '\0';
        pair[0] = best;
        pair[1] = key;
        best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    return best;
}

/* "$name" or "${name" at s. */
static bool is_use(const char *s, const char *name, size_t n) {
    s += 1 + (s[1] == '{');
    return strncmp(s, name, n) == 0 && !isalnum((unsigned char)s[n]) && s[n] != '_';
}

/* Where the instruction uses a variable; its own place if that is not to be seen. */
static struct build_pos place_of(const struct checker *c, const char *name) {
    const struct build_notes *notes = c->notes;
    size_t n = strlen(name);

    for (uint32_t line = c->in->at.line; line <= c->in->last_line && line <= notes->n_lines; line++) {
        size_t from = notes->line_at[line - 1], to = notes->line_at[line];

        for (size_t i = from; i < to; i++) {
            if (notes->text[i] == '$' && is_use(notes->text + i, name, n))
                return (struct build_pos){line, (uint32_t)(i - from) + 1};
        }
    }
    return c->in->at;
}

/* One instruction says it once. */
static bool is_said(const struct checker *c, const char *message) {
    for (size_t i = c->first_note; i < c->notes->n; i++) {
        if (strcmp(c->notes->v[i].message, message) == 0)
            return true;
    }
    return false;
}

/* A name that the base image may have set is reported only when it looks like a slip. */
static void on_missed(void *user, const char *name) {
    struct checker *c = user;
    bool variable = isalpha((unsigned char)name[0]) || name[0] == '_';
    char message[300];
    const char *near;

    if (!variable || is_ambient(name) || is_arg(&c->stage->scope, name))
        return;
    near = nearest_variable(c, name);
    snprintf(message, sizeof message, "Usage of undefined variable '$%.200s'", name);
    if ((near == NULL && !c->stage->env_known) || is_said(c, message))
        return;
    warn(c, BUILD_CHECK_UndefinedVar, place_of(c, name), strlen(name) + 1, near, "%s", message);
}

/* --- single instructions ------------------------------------------------------------------------- */

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

static void check_pairs(struct checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->pairs.n; i++) {
        const struct build_pair *p = &in->pairs.v[i];

        if (in->op != BUILD_LABEL && names_secret(p->key.s))
            warn(c, BUILD_CHECK_SecretsUsedInArgOrEnv, p->key.at, p->key.length, NULL,
                 "Do not use ARG or ENV instructions for sensitive data (%s \"%s\")", build_op_name(in->op), p->key.s);
        if (p->legacy)
            warn(c, BUILD_CHECK_LegacyKeyValueFormat, p->key.at, p->key.length, NULL,
                 "\"%s key=value\" should be used instead of legacy \"%s key value\" format", build_op_name(in->op),
                 build_op_name(in->op));
    }
}

/* Only the last one of a stage counts: the one before is reported. */
static void check_once(struct checker *c, const struct build_instruction *in) {
    const struct build_instruction **last = &c->stage->last[in->op];

    if (*last != NULL)
        warn(c, BUILD_CHECK_MultipleInstructionsDisallowed, (*last)->at, (*last)->name_len, NULL,
             "Multiple %s instructions should not be used in the same stage because only the last one will be used",
             build_op_name(in->op));
    *last = in;
}

static void check_exec_form(struct checker *c, const struct build_instruction *in) {
    if (!in->command.exec && !c->stage->shell_set)
        warn(c, BUILD_CHECK_JSONArgsRecommended, in->at, in->name_len, NULL,
             "JSON arguments recommended for %s to prevent unintended behavior related to OS signals",
             build_op_name(in->op));
}

static void check_workdir(struct checker *c, const struct build_instruction *in) {
    if (!c->stage->workdir_set && in->word.s[0] != '/')
        warn(c, BUILD_CHECK_WorkdirRelativePath, in->word.at, in->word.length, NULL,
             "Relative workdir \"%s\" can have unexpected results if the base image changes", in->word.s);
    c->stage->workdir_set = true;
}

static void check_expose(struct checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->words.n; i++) {
        const struct build_word *w = &in->words.v[i];
        const char *port = bh_ports_exposed(w->s), *slash = strchr(port, '/');

        if (slash != NULL && !is_lower(slash))
            warn(c, BUILD_CHECK_ExposeProtoCasing, w->at, w->length, NULL,
                 "Defined protocol '%s' in EXPOSE instruction should be lowercase", w->s);
        if (port != w->s)
            warn(c, BUILD_CHECK_ExposeInvalidFormat, w->at, w->length, NULL,
                 "EXPOSE instruction should not define an IP address or host-port mapping, found '%s'", w->s);
    }
}

static bool is_url(const char *s) {
    return strstr(s, "://") != NULL || bh_str_starts(s, "git@");
}

/* A '!' line could take single files of a folder back in: then nothing is said. */
static void check_ignored(struct checker *c, const struct build_instruction *in) {
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
            warn(c, BUILD_CHECK_CopyIgnoredFile, w->at, w->length, NULL,
                 "Attempting to %s file \"%s\" that is excluded by .dockerignore", in->op == BUILD_ADD ? "Add" : "Copy",
                 root ? "." : path + 1);
    }
}

/* Variables of a RUN stand in its mounts alone. */
static void check_mounts(struct checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->run.n_mounts; i++) {
        struct bh_err ignored = BH_ERR_INIT;
        struct build_mount mount;

        (void)build_mount_read(&in->run.mounts[i], &c->stage->scope, c->arena, &mount, &ignored);
    }
}

/* in has its variables replaced. */
static void check_expanded(struct checker *c, const struct build_instruction *in) {
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
static void refuse_word(struct checker *c, const struct build_word *w, const struct bh_err *err) {
    build_note_add(c->notes, BUILD_ERROR, "invalid-value", w->at, w->length, "%s", err->msg);
}

static bool is_fixed(const struct build_word *w) {
    return w->s != NULL && w->s[0] != '\0' && strpbrk(w->s, "$\\`'\"") == NULL;
}

static void check_mode(struct checker *c, const struct build_word *w) {
    struct bh_err err = BH_ERR_INIT;
    struct build_mode mode;

    if (is_fixed(w) && build_mode_parse(w->s, &mode, &err) != 0)
        refuse_word(c, w, &err);
}

static void check_ports(struct checker *c, const struct build_instruction *in) {
    for (size_t i = 0; i < in->words.n; i++) {
        struct bh_err err = BH_ERR_INIT;
        struct bh_ports ports;

        if (is_fixed(&in->words.v[i]) && bh_ports_parse(bh_ports_exposed(in->words.v[i].s), &ports, &err) != 0)
            refuse_word(c, &in->words.v[i], &err);
    }
}

static void check_written(struct checker *c, const struct build_instruction *in) {
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
        check_description(c, in);
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

static void enter(struct checker *c, const struct build_instruction *in) {
    c->in = in;
    c->first_note = c->notes->n;
    c->here = c->rules;
    build_rules_comments(&in->comments, &c->here);
}

/* err says where in front of what: "line 2: failed to ..". */
static void tell_syntax(struct checker *c, const struct build_instruction *in, const struct bh_err *err) {
    const char *what = bh_str_starts(err->msg, "line ") ? strstr(err->msg, ": ") : NULL;

    build_note_add(c->notes, BUILD_ERROR, BUILD_VARIABLE_SYNTAX, in->at, strlen(build_op_name(in->op)), "%s",
                   what != NULL ? what + 2 : err->msg);
}

/* BH_E_LIMIT.  Words that cannot be read are errors of the file; what depends on values is for the build to tell. */
static int follow(struct checker *c, const struct build_instruction *in, struct bh_err *err) {
    struct build_scope *s = &c->stage->scope;
    struct bh_err own = BH_ERR_INIT;
    struct build_instruction copy;
    int rc;

    enter(c, in);
    check_case(c, in);
    check_written(c, in);
    if (in->op == BUILD_ARG) {
        rc = build_scope_declare(s, in, &own);
    } else {
        rc = build_instruction_expand(in, s, &copy, &own);
        if (rc == 0)
            check_expanded(c, &copy);
        if (rc == 0 && in->op == BUILD_ENV)
            rc = build_scope_set_env(s, &copy, &own);
    }
    if (rc != 0 && strcmp(own.reason, BUILD_VARIABLE_SYNTAX) == 0)
        tell_syntax(c, in, &own);
    if (rc != BH_E_LIMIT)
        return 0;
    *err = own;
    return rc;
}

/* --- stages -------------------------------------------------------------------------------------- */

/* A stage begins as the stage or image below it ended. */
static void begin_stage(struct checker *c, const struct build_stage *stage, const char *base) {
    struct stage_state *now = c->stage = &c->stages[stage->index];
    long below = base != NULL ? build_recipe_stage(c->r, base, stage->index, false) : -1;
    const struct bh_strlist *env = c->input->image_env != NULL ? c->input->image_env[stage->index] : NULL;

    if (below >= 0) {
        *now = c->stages[below];
        memset(now->last, 0, sizeof now->last);
    } else {
        *now = (struct stage_state){.env_known = env != NULL || (base != NULL && strcmp(base, "scratch") == 0)};
        build_scope_init(&now->scope, &c->globals, env, c->arena);
    }
    now->scope.missed = on_missed;
    now->scope.missed_user = c;
}

static int check_stage(struct checker *c, const struct build_globals *defaults, const struct build_stage *stage,
                       struct bh_err *err) {
    struct from_uses uses;

    enter(c, stage->from);
    check_case(c, stage->from);
    check_stage_name(c, stage);
    check_platform(c, stage);
    if (defaults != NULL)
        check_defaults(c, defaults, stage);
    check_description(c, stage->from);
    begin_stage(c, stage, expand_from(c, &stage->from->from.base, &uses));
    for (size_t k = 0; k < stage->n; k++) {
        if (follow(c, stage->v[k], err) != 0)
            return err->code;
    }
    return 0;
}

static void check_global_args(struct checker *c) {
    for (size_t i = 0; i < c->r->n_global_args; i++) {
        enter(c, c->r->global_args[i]);
        check_description(c, c->in);
    }
}

static void check_lines(struct checker *c) {
    c->here = c->rules;
    for (size_t i = 0; i < c->r->n_empty_lines; i++)
        warn(c, BUILD_CHECK_NoEmptyContinuation, c->r->empty_lines[i], 1, NULL, "Empty continuation line");
}

static bool read_rules(struct checker *c) {
    const char *bad = NULL;
    size_t n = 0;

    if (c->r->check.value == NULL || build_rules_read(c->r->check.value, &c->rules, &bad, &n))
        return true;
    build_note_hint(c->notes,
                    build_note_add(c->notes, BUILD_ERROR, "invalid-check", c->r->check.at, strlen(c->r->check.value),
                                   "invalid check option \"%.*s\"", (int)(n < 100 ? n : 100), bad),
                    "write # check=skip=NAME,NAME;error=true");
    return false;
}

int build_recipe_check(const struct build_recipe *r, const struct build_check_input *input, struct bh_arena *arena,
                       struct build_notes *notes, struct bh_err *err) {
    struct checker c = {.r = r, .input = input, .arena = arena, .notes = notes};
    struct build_inputs bare = *input->in;
    struct bh_err ignored = BH_ERR_INIT;
    struct build_globals defaults;
    bool has_defaults;

    if (!read_rules(&c))
        return 0;
    notes->warnings_fail = c.rules.fail;
    if (build_globals_init(&c.globals, r, input->in, arena, err) != 0)
        return err->code;
    bare.build_args = NULL;
    has_defaults = build_globals_init(&defaults, r, &bare, arena, &ignored) == 0;
    c.stages = bh_oci_alloc(arena, (r->n_stages + 1) * sizeof *c.stages, err);
    if (c.stages == NULL)
        return err->code;
    find_majority(&c);
    check_lines(&c);
    check_global_args(&c);
    for (size_t i = 0; i < r->n_stages; i++) {
        if (check_stage(&c, has_defaults ? &defaults : NULL, &r->stages[i], err) != 0)
            return err->code;
    }
    build_notes_sort(notes);
    return 0;
}
