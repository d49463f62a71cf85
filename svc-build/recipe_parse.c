/*
 * recipe_parse.c - see recipe.h.  Owns the way from the file to stages, and the memory of the parser.
 * Room: build.  Pure.  Nothing that is wrong with the text stops the parser; only memory and limits do.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "recipe_int.h"

static const char *const op_names[BUILD_OP_COUNT] = {
#define X(name) #name,
    BUILD_OP_LIST(X)
#undef X
};

static build_instr_fn *const readers[BUILD_OP_COUNT] = {
    [BUILD_ADD] = build_instr_add,
    [BUILD_ARG] = build_instr_arg,
    [BUILD_CMD] = build_instr_command,
    [BUILD_COPY] = build_instr_copy,
    [BUILD_ENTRYPOINT] = build_instr_command,
    [BUILD_ENV] = build_instr_env,
    [BUILD_EXPOSE] = build_instr_expose,
    [BUILD_FROM] = build_instr_from,
    [BUILD_HEALTHCHECK] = build_instr_health,
    [BUILD_LABEL] = build_instr_label,
    [BUILD_MAINTAINER] = build_instr_word,
    [BUILD_ONBUILD] = build_instr_onbuild,
    [BUILD_RUN] = build_instr_run,
    [BUILD_SHELL] = build_instr_shell,
    [BUILD_STOPSIGNAL] = build_instr_stopsignal,
    [BUILD_USER] = build_instr_word,
    [BUILD_VOLUME] = build_instr_volume,
    [BUILD_WORKDIR] = build_instr_word,
};

/* --- memory -------------------------------------------------------------------------------------- */

void *build_need(struct build_parser *p, size_t n) {
    void *out = bh_arena_alloc(p->arena, n > 0 ? n : 1);

    if (out == NULL) {
        p->failed = true;
        bh_err_set(p->err, BH_E_LIMIT, "the Dockerfile needs more than the %zu bytes of memory it may take",
                   p->arena->max);
        return NULL;
    }
    memset(out, 0, n);
    return out;
}

char *build_keep(struct build_parser *p, const char *s, size_t n) {
    char *out = build_need(p, n + 1);

    if (out != NULL && n > 0)
        memcpy(out, s, n);
    return out;
}

void *build_grow(struct build_parser *p, void *v, size_t n, size_t *cap, size_t size) {
    size_t more = *cap > 0 ? 2 * *cap : 4;
    void *out;

    if (n < *cap)
        return v;
    out = build_need(p, more * size);
    if (out == NULL)
        return NULL;
    if (n > 0)
        memcpy(out, v, n * size);
    *cap = more;
    return out;
}

/* --- instructions -------------------------------------------------------------------------------- */

const char *build_op_name(enum build_op op) {
    return op_names[op];
}

int build_op_find(const char *name, size_t n) {
    for (int i = 0; i < BUILD_OP_COUNT; i++) {
        if (strlen(op_names[i]) == n && strncasecmp(op_names[i], name, n) == 0)
            return i;
    }
    return -1;
}

bool build_op_has_heredocs(enum build_op op) {
    return op == BUILD_RUN || op == BUILD_COPY || op == BUILD_ADD;
}

/* Upper or lower case as the word has it. */
static void suggest_op(struct build_request *q, struct build_note *note, const char *word) {
    const char *near = build_nearest(word, op_names, BUILD_OP_COUNT);
    BH_SCOPE_FREE char *text = near != NULL ? bh_xstrdup(near) : NULL;
    bool lower = true;

    for (const char *c = word; *c != '\0'; c++)
        lower = lower && !(*c >= 'A' && *c <= 'Z');
    for (char *c = text; c != NULL && lower && *c != '\0'; c++)
        *c = (char)(*c + 32);
    build_note_suggest(q->p->notes, note, text);
}

static void note_unknown(struct build_request *q, size_t from, size_t n) {
    struct build_parser *p = q->p;
    BH_SCOPE_FREE char *word = bh_xstrndup(q->line->text + from, n);
    struct build_note *note = build_bad(q, "unknown-instruction", from, n, "unknown instruction: %.100s", word);

    suggest_op(q, note, word);
    if (p->stage == NULL && !p->stage_unclear)
        build_note_hint(p->notes, note, "a Dockerfile begins with FROM; only ARG may stand in front of it");
    else if (note != NULL && note->suggestion[0] == '\0')
        build_note_hint(p->notes, note, "a line that continues the one above needs a %c at the end of that one",
                        p->escape);
}

/* JSON form takes no heredocs, whatever is in its words. */
static bool wants_heredocs(const struct build_request *q) {
    const struct build_instruction *in = q->out;

    if (in->op == BUILD_RUN)
        return !in->run.command.exec;
    if (in->op == BUILD_COPY || in->op == BUILD_ADD)
        return in->copy.files.n > 0 || q->bad;
    return in->op == BUILD_ONBUILD;
}

bool build_read_instruction(struct build_parser *p, struct build_line *line, size_t from, bool onbuild,
                            struct build_instruction *out, struct build_request *q) {
    size_t end = line->n, n = 0;
    int op;

    *q = (struct build_request){.p = p, .line = line, .out = out};
    while (from < end && build_is_space(line->text[from]))
        from++;
    while (end > from && build_is_space(line->text[end - 1]))
        end--;
    while (from + n < end && !build_is_space(line->text[from + n]))
        n++;
    out->name = build_keep(p, line->text + from, n);
    out->text = build_keep(p, line->text + from, end - from);
    out->name_len = n;
    out->at = build_line_pos(line, from);
    out->comments = line->comments;
    if (out->name == NULL || out->text == NULL)
        return false;
    op = build_op_find(out->name, n);
    if (op < 0) {
        note_unknown(q, from, n);
        return true;
    }
    out->op = (enum build_op)op;
    q->args = from + n;
    q->args_len = end - q->args;
    if (!build_take_flags(q) || (build_op_has_heredocs(out->op) && !build_find_heredocs(q)))
        return false;
    if (onbuild && out->op == BUILD_ONBUILD)
        return true;
    readers[op](q);
    if (!wants_heredocs(q))
        q->heredocs.n = 0;
    return !p->failed;
}

/* --- heredocs ------------------------------------------------------------------------------------ */

/* The command and the texts behind it, for a shell that reads heredocs itself. */
static const char *script_with_heredocs(struct build_parser *p, const char *text, const struct build_heredocs *docs) {
    BH_SCOPE_BUF struct bh_buf out = BH_BUF_INIT_MAX(2 * BUILD_RECIPE_MAX);

    bh_buf_adds(&out, text);
    for (size_t i = 0; i < docs->n; i++) {
        bh_buf_addc(&out, '\n');
        bh_buf_adds(&out, docs->v[i].raw_text);
        bh_buf_adds(&out, docs->v[i].name);
    }
    return build_keep(p, bh_buf_str(&out), out.len);
}

/* A RUN that is nothing but a heredoc runs its text, by the interpreter it names or by the shell. */
static void give_run(struct build_request *q) {
    struct build_run *run = &q->out->run;
    struct build_heredoc whole;

    run->heredocs = q->heredocs;
    if (run->command.args.n == 0)
        return;
    if (q->heredocs.n == 1 && build_heredoc_word(q->p, run->command.args.v[0].s, &whole) == 1) {
        run->script = q->heredocs.v[0].text;
        run->shebang = strncmp(run->script, "#!", 2) == 0;
    } else {
        run->script = script_with_heredocs(q->p, run->command.args.v[0].s, &q->heredocs);
    }
}

static void give_copy(struct build_request *q) {
    struct build_heredocs *files = &q->out->copy.files;

    for (size_t i = 0; i < files->n && i < q->heredocs.n; i++)
        files->v[i] = q->heredocs.v[i];
}

static bool read_heredocs(struct build_request *q) {
    struct build_instruction *in = q->out;

    if (q->heredocs.n == 0)
        return true;
    for (size_t i = 0; i < q->heredocs.n; i++) {
        if (!build_lex_heredoc(q->p, q->line, &q->heredocs.v[i]))
            return false;
    }
    if (in->op == BUILD_RUN)
        give_run(q);
    else if (in->op == BUILD_ONBUILD)
        in->onbuild.text = script_with_heredocs(q->p, in->onbuild.text, &q->heredocs);
    else
        give_copy(q);
    return !q->p->failed;
}

/* --- stages -------------------------------------------------------------------------------------- */

static const char *lower_case(struct build_parser *p, const char *s) {
    char *out = build_keep(p, s, strlen(s));

    for (char *c = out; c != NULL && *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    return out;
}

static bool begin_stage(struct build_parser *p, struct build_instruction *from) {
    struct build_recipe *r = p->recipe;
    struct build_stage *grown, stage = {.index = r->n_stages, .name = "", .from = from};

    if (r->n_stages >= BUILD_STAGES_MAX) {
        bh_err_set(p->err, BH_E_LIMIT, "line %u: there are more than %d stages", from->at.line, BUILD_STAGES_MAX);
        p->failed = true;
        return false;
    }
    if (from->from.name.s != NULL)
        stage.name = lower_case(p, from->from.name.s);
    grown = build_grow(p, r->stages, r->n_stages, &r->cap_stages, sizeof *grown);
    if (grown == NULL || stage.name == NULL)
        return false;
    r->stages = grown;
    r->stages[r->n_stages] = stage;
    p->stage = &r->stages[r->n_stages++];
    return true;
}

static bool push(struct build_parser *p, struct build_instruction ***v, size_t *n, size_t *cap,
                 struct build_instruction *in) {
    struct build_instruction **grown = build_grow(p, *v, *n, cap, sizeof(struct build_instruction *));

    if (grown == NULL)
        return false;
    *v = grown;
    grown[(*n)++] = in;
    return true;
}

/* An instruction without errors goes to its stage. */
static bool place(struct build_parser *p, struct build_request *q) {
    struct build_instruction *in = q->out;
    struct build_recipe *r = p->recipe;

    if (in->op == BUILD_FROM)
        return begin_stage(p, in);
    if (p->stage != NULL)
        return push(p, &p->stage->v, &p->stage->n, &p->stage->cap, in);
    if (in->op == BUILD_ARG)
        return push(p, &r->global_args, &r->n_global_args, &r->cap_global_args, in);
    if (p->stage_unclear)
        return true;
    p->stage_unclear = true; /* once is enough */
    build_note_hint(
        p->notes,
        build_note_add(p->notes, BUILD_ERROR, "no-stage", in->at, in->name_len, "no build stage in current context"),
        "a Dockerfile begins with FROM; only ARG may stand in front of it");
    return true;
}

static bool one_instruction(struct build_parser *p, struct build_line *line) {
    struct build_instruction *in = build_need(p, sizeof *in);
    struct build_request q;

    if (in == NULL)
        return false;
    if (++p->n_instructions > BUILD_INSTRUCTIONS_MAX) {
        bh_err_set(p->err, BH_E_LIMIT, "line %u: there are more than %d instructions", line->first,
                   BUILD_INSTRUCTIONS_MAX);
        p->failed = true;
        return false;
    }
    if (!build_read_instruction(p, line, 0, false, in, &q) || !read_heredocs(&q))
        return false;
    in->last_line = line->last;
    if (!q.bad)
        return place(p, &q);
    /* A bad FROM, or a word that may have been one, must not make everything behind it an error as well. */
    if (p->stage == NULL && in->op != BUILD_ARG)
        p->stage_unclear = true;
    return true;
}

static void check_whole(struct build_parser *p) {
    struct build_note *note;

    if (p->notes->errors > 0 || p->recipe->n_stages > 0)
        return;
    if (p->n_instructions == 0)
        note = build_note_add(p->notes, BUILD_ERROR, "no-instructions", (struct build_pos){0}, 0,
                              "file with no instructions");
    else
        note = build_note_add(p->notes, BUILD_ERROR, "no-stages", (struct build_pos){0}, 0,
                              "dockerfile contains no stages to build");
    build_note_hint(p->notes, note, "a Dockerfile begins with FROM; only ARG may stand in front of it");
}

int build_recipe_parse(const char *text, size_t n, struct bh_arena *arena, struct build_notes *notes,
                       struct build_recipe *out, struct bh_err *err) {
    struct build_parser p = {.arena = arena, .recipe = out, .notes = notes, .err = err, .len = n, .escape = '\\'};
    struct build_line line;

    *out = (struct build_recipe){.escape = '\\'};
    if (n > BUILD_RECIPE_MAX)
        return bh_err_set(err, BH_E_LIMIT, "%.200s is larger than %zu bytes", notes->file, BUILD_RECIPE_MAX);
    p.text = build_keep(&p, text, n);
    if (p.text == NULL || !build_lex_start(&p))
        return err->code;
    while (build_lex_line(&p, &line)) {
        if (!one_instruction(&p, &line))
            break;
    }
    if (p.failed)
        return err->code;
    out->escape = p.escape;
    check_whole(&p);
    build_notes_sort(notes);
    return 0;
}

/* --- triggers ------------------------------------------------------------------------------------ */

static void move_words(struct build_words *words, struct build_pos at) {
    for (size_t i = 0; i < words->n; i++)
        words->v[i].at = at;
}

int build_recipe_parse_trigger(const char *text, struct build_pos at, struct bh_arena *arena,
                               struct build_instruction **out, struct bh_err *err) {
    struct build_recipe recipe = {.escape = '\\'};
    struct build_notes notes;
    struct build_parser p = {
        .arena = arena, .recipe = &recipe, .notes = &notes, .err = err, .len = strlen(text), .escape = '\\'};
    struct build_instruction *in = build_need(&p, sizeof *in);
    struct build_line line, more;
    struct build_request q;

    build_notes_init(&notes, arena, "ONBUILD");
    if (p.len > BUILD_RECIPE_MAX)
        return bh_err_set(err, BH_E_LIMIT, "an ONBUILD trigger is larger than %zu bytes", BUILD_RECIPE_MAX);
    p.directives_over = true;
    p.text = build_keep(&p, text, p.len);
    if (in == NULL || p.text == NULL || !build_lex_start(&p))
        return err->code;
    if (!build_lex_line(&p, &line))
        return p.failed ? err->code : bh_err_set(err, BH_E_INVALID, "onbuild trigger \"%.100s\" is empty", text);
    if (!build_read_instruction(&p, &line, 0, true, in, &q) || !read_heredocs(&q))
        return err->code;
    if (in->op == BUILD_ONBUILD || in->op == BUILD_FROM || in->op == BUILD_MAINTAINER || build_lex_line(&p, &more))
        return bh_err_set(err, BH_E_INVALID, "onbuild trigger \"%.100s\" is not a single expression", text);
    if (notes.errors > 0)
        return bh_err_set(err, BH_E_INVALID, "onbuild trigger \"%.100s\": %.300s", text,
                          notes.n > 0 ? notes.v[0].message : "it is not valid");
    in->at = at;
    in->last_line = at.line;
    if (in->op == BUILD_EXPOSE || in->op == BUILD_VOLUME)
        move_words(&in->words, at);
    *out = in;
    return 0;
}

/* --- looking up ---------------------------------------------------------------------------------- */

long build_recipe_stage(const struct build_recipe *r, const char *name, size_t n_stages, bool numbers) {
    size_t digits = strspn(name, "0123456789");

    for (size_t i = n_stages; i > 0; i--) {
        if (r->stages[i - 1].name[0] != '\0' && strcasecmp(r->stages[i - 1].name, name) == 0)
            return (long)(i - 1);
    }
    if (numbers && digits > 0 && digits < 8 && name[digits] == '\0' && (size_t)atol(name) < n_stages)
        return atol(name);
    return -1;
}
