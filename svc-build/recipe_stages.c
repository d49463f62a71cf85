/*
 * recipe_stages.c - see recipe_stages.h.  Owns what the names in FROM, COPY --from and mounts mean.
 * Room: build.  Pure.  Build arguments come from the caller, the rest from the file; neither is trusted.
 */
#include "recipe_stages.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/platform.h"
#include "oci/ref.h"

struct resolver {
    const struct build_recipe *r;
    const struct build_globals *g;
    struct bh_arena *arena;
    struct build_notes *notes;
    struct bh_err *err;
    struct build_stage_link *v;
};

/* --- names --------------------------------------------------------------------------------------- */

/* Same image, written differently: "alpine" and "docker.io/library/alpine:latest". */
static bool same_image(const char *a, const char *b) {
    struct bh_err ignored = BH_ERR_INIT;
    char ta[BH_REF_TEXT_SIZE], tb[BH_REF_TEXT_SIZE];
    struct bh_ref ra, rb;

    if (bh_ref_parse_tagged(a, &ra, &ignored) != 0 || bh_ref_parse_tagged(b, &rb, &ignored) != 0)
        return false;
    bh_ref_format(&ra, ta);
    bh_ref_format(&rb, tb);
    return strcmp(ta, tb) == 0;
}

static const char *find_context(const struct build_inputs *in, const char *name) {
    for (size_t i = 0; i < in->n_contexts; i++) {
        if (strcmp(in->contexts[i], name) == 0 || same_image(in->contexts[i], name))
            return in->contexts[i];
    }
    return NULL;
}

/* A stage whose name is near. */
static const char *near_stage(const struct build_recipe *r, const char *name) {
    const char *best = NULL;

    for (size_t i = 0; i < r->n_stages; i++) {
        const char *stage = r->stages[i].name;
        const char *const pair[] = {best, stage};

        if (stage[0] != '\0')
            best = best == NULL ? build_nearest(name, pair + 1, 1) : build_nearest(name, pair, 2);
    }
    return best != NULL ? best : "";
}

/* An earlier stage is not asked for here. */
static void name_source(const struct build_recipe *r, const struct build_inputs *in, const char *name,
                        struct build_source *out) {
    const char *context = find_context(in, name);

    *out = (struct build_source){.origin = BUILD_ORIGIN_IMAGE, .name = name, .suggestion = ""};
    if (context != NULL) {
        out->origin = BUILD_ORIGIN_CONTEXT;
        out->name = context;
    } else if (strcmp(name, "scratch") == 0) {
        out->origin = BUILD_ORIGIN_SCRATCH;
    } else {
        out->suggestion = near_stage(r, name);
    }
}

static void stage_source(const struct build_recipe *r, size_t i, struct build_source *out) {
    *out = (struct build_source){.origin = BUILD_ORIGIN_STAGE, .name = r->stages[i].name, .stage = i, .suggestion = ""};
}

static bool is_number(const char *s) {
    return *s != '\0' && s[strspn(s, "0123456789")] == '\0';
}

int build_source_resolve(const struct build_recipe *r, const struct build_inputs *in, size_t at, const char *name,
                         struct build_source *out, struct bh_err *err) {
    long i = build_recipe_stage(r, name, r->n_stages, true);
    const char *here = r->stages[at].name;

    if (i < 0 && is_number(name))
        return bh_err_set(err, BH_E_INVALID, "invalid stage index %.20s", name);
    /* A name may have been given again by a later stage. */
    if (i >= (long)at && build_recipe_stage(r, name, at, true) >= 0)
        i = build_recipe_stage(r, name, at, true);
    if (i == (long)at)
        return bh_err_set(err, BH_E_INVALID, "circular dependency detected on stage: %.100s",
                          here[0] != '\0' ? here : name);
    if (i > (long)at) {
        bh_err_set(err, BH_E_INVALID,
                   "cannot copy from stage \"%.100s\", it needs to be defined before current stage \"%.100s\"", name,
                   here);
        return bh_err_hint(err, "move the stage of line %u in front of this one", r->stages[i].from->at.line);
    }
    if (i >= 0)
        stage_source(r, (size_t)i, out);
    else
        name_source(r, in, name, out);
    return 0;
}

/* --- FROM ---------------------------------------------------------------------------------------- */

static const char *look_up(void *user, const char *name) {
    return build_globals_get(user, name);
}

static struct build_expand global_expander(struct resolver *x) {
    return (struct build_expand){.escape = x->g->escape, .lookup = look_up, .user = (void *)x->g, .arena = x->arena};
}

static struct build_note *bad(struct resolver *x, const char *code, const struct build_word *word, const char *text) {
    return build_note_add(x->notes, BUILD_ERROR, code, word->at, word->length, "%s", text);
}

/* An expanded word of a FROM; NULL when it was noted.  *failed: memory is gone. */
static const char *from_word(struct resolver *x, const struct build_word *word, bool *failed) {
    struct build_expand e = global_expander(x);
    struct bh_err err = BH_ERR_INIT;
    const char *out;

    if (build_expand_word(&e, word->s, &out, &err) == 0)
        return out;
    if (err.code == BH_E_INVALID)
        bad(x, "bad-substitution", word, err.msg);
    else
        *x->err = err;
    *failed = err.code != BH_E_INVALID;
    return NULL;
}

static void note_bad_reference(struct resolver *x, const struct build_word *word, const char *name) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref;
    char text[400];

    if (bh_ref_parse(name, &ref, &err) == 0)
        return;
    snprintf(text, sizeof text, "failed to parse stage name \"%.150s\": %.200s", name, err.msg);
    bad(x, "invalid-base", word, text);
}

static void note_blank(struct resolver *x, const struct build_word *word) {
    char text[200];

    snprintf(text, sizeof text, "base name (%.100s) should not be blank", word->s);
    build_note_hint(x->notes, bad(x, "blank-base", word, text),
                    "declare the ARG with a default in front of the first FROM, or give it with --build-arg");
}

static bool resolve_base(struct resolver *x, size_t i, struct build_source *out) {
    const struct build_from *from = &x->r->stages[i].from->from;
    bool failed = false;
    const char *name = from_word(x, &from->base, &failed);
    long stage;

    *out = (struct build_source){.origin = BUILD_ORIGIN_SCRATCH, .name = "", .suggestion = ""};
    if (name == NULL)
        return !failed;
    if (name[0] == '\0') {
        note_blank(x, &from->base);
        return true;
    }
    stage = build_recipe_stage(x->r, name, i, false);
    if (stage >= 0) {
        stage_source(x->r, (size_t)stage, out);
        return true;
    }
    name_source(x->r, x->g->in, name, out);
    if (out->origin == BUILD_ORIGIN_IMAGE)
        note_bad_reference(x, &from->base, name);
    return true;
}

static bool resolve_platform(struct resolver *x, size_t i) {
    const struct build_word *word = &x->r->stages[i].from->from.platform;
    struct bh_err err = BH_ERR_INIT;
    struct bh_platform p;
    bool failed = false;
    char text[300];

    if (word->s == NULL)
        return true;
    x->v[i].platform = from_word(x, word, &failed);
    if (x->v[i].platform == NULL)
        return !failed;
    if (x->v[i].platform[0] == '\0') {
        snprintf(text, sizeof text, "empty platform value from expression %.100s", word->s);
        bad(x, "invalid-platform", word, text);
    } else if (bh_platform_parse(x->v[i].platform, &p, &err) != 0) {
        snprintf(text, sizeof text, "failed to parse platform %.100s: %.150s", x->v[i].platform, err.msg);
        bad(x, "invalid-platform", word, text);
    }
    return true;
}

/* --- what a stage takes from others -------------------------------------------------------------- */

static bool add_need(struct resolver *x, struct build_stage_link *link, const struct build_source *source) {
    size_t *v;

    if (source->origin != BUILD_ORIGIN_STAGE)
        return true;
    for (size_t i = 0; i < link->n_needs; i++) {
        if (link->needs[i] == source->stage)
            return true;
    }
    v = bh_oci_alloc(x->arena, (link->n_needs + 1) * sizeof *v, x->err);
    if (v == NULL)
        return false;
    if (link->n_needs > 0)
        memcpy(v, link->needs, link->n_needs * sizeof *v);
    v[link->n_needs++] = source->stage;
    link->needs = v;
    return true;
}

static bool add_from(struct resolver *x, size_t i, const char *name, const struct build_word *word) {
    struct bh_err err = BH_ERR_INIT;
    struct build_source source;

    if (build_source_resolve(x->r, x->g->in, i, name, &source, &err) == 0)
        return add_need(x, &x->v[i], &source);
    build_note_hint(x->notes, bad(x, "invalid-from", word, err.msg), "%s", err.hint);
    return true;
}

static bool add_sources(struct resolver *x, size_t i) {
    const struct build_stage *stage = &x->r->stages[i];

    for (size_t k = 0; k < stage->n; k++) {
        const struct build_instruction *in = stage->v[k];

        if (in->op == BUILD_COPY && in->copy.from.s != NULL && in->copy.from.s[0] != '\0' &&
            !add_from(x, i, in->copy.from.s, &in->copy.from))
            return false;
        for (size_t m = 0; in->op == BUILD_RUN && m < in->run.n_mounts; m++) {
            const struct build_mount_text *mount = &in->run.mounts[m];

            if (mount->from != NULL && mount->from[0] != '\0' && !add_from(x, i, mount->from, &mount->text))
                return false;
        }
    }
    return true;
}

static bool resolve_stage(struct resolver *x, size_t i) {
    const char *name = x->r->stages[i].name;

    if (name[0] != '\0')
        x->v[i].replaced_by = find_context(x->g->in, name);
    if (!resolve_base(x, i, &x->v[i].base) || !resolve_platform(x, i))
        return false;
    if (x->v[i].replaced_by != NULL)
        return true;
    return add_need(x, &x->v[i], &x->v[i].base) && add_sources(x, i);
}

/* --- the target ---------------------------------------------------------------------------------- */

static size_t find_target(struct resolver *x) {
    const char *target = x->g->in->target, *near;
    struct build_note *note;
    long i;

    if (target == NULL || target[0] == '\0')
        return x->r->n_stages - 1;
    i = build_recipe_stage(x->r, target, x->r->n_stages, true);
    if (i >= 0)
        return (size_t)i;
    note = build_note_add(x->notes, BUILD_ERROR, "no-target", (struct build_pos){0}, 0,
                          "target stage \"%.100s\" could not be found", target);
    near = near_stage(x->r, target);
    if (near[0] != '\0')
        build_note_suggest(x->notes, note, near);
    return 0;
}

/* Stages need only stages before them: one pass from the target down reaches all. */
static void mark_needed(struct build_stages *s) {
    s->v[s->target].needed = true;
    for (size_t i = s->target + 1; i > 0; i--) {
        const struct build_stage_link *link = &s->v[i - 1];

        for (size_t k = 0; link->needed && k < link->n_needs; k++)
            s->v[link->needs[k]].needed = true;
    }
}

int build_stages_resolve(const struct build_recipe *r, const struct build_globals *g, struct bh_arena *arena,
                         struct build_notes *notes, struct build_stages *out, struct bh_err *err) {
    struct build_stages s = {.n = r->n_stages};
    struct resolver x = {.r = r, .g = g, .arena = arena, .notes = notes, .err = err};

    s.v = x.v = bh_oci_alloc(arena, (r->n_stages + 1) * sizeof *x.v, err);
    if (x.v == NULL)
        return err->code;
    for (size_t i = 0; i < r->n_stages; i++) {
        if (!resolve_stage(&x, i))
            return err->code;
    }
    if (r->n_stages > 0) {
        s.target = find_target(&x);
        mark_needed(&s);
    }
    build_notes_sort(notes);
    *out = s;
    return 0;
}
