/*
 * recipe_flags.c - flags of an instruction into its struct, by a table (see recipe_int.h).
 * Room: build.  Pure.  All flags of an instruction are looked at, so that all errors show at once.
 */
#include "recipe_int.h"

#include <string.h>
#include <strings.h>

#define SPECS_MAX 16

static void note_unknown(struct build_request *q, const struct build_flag *f, const struct build_flag_spec *specs,
                         size_t n) {
    struct build_note *note = build_bad_at(q, "unknown-flag", f->at, f->length, "unknown flag: --%.100s", f->name);
    const char *names[SPECS_MAX], *near;
    char text[80] = "--";

    for (size_t i = 0; i < n; i++)
        names[i] = specs[i].name;
    near = build_nearest(f->name, names, n);
    if (near != NULL)
        build_note_suggest(q->p->notes, note, strncat(text, near, sizeof text - 3));
    else if (n == 0)
        build_note_hint(q->p->notes, note, "%s takes no flags", build_op_name(q->out->op));
}

static bool add_to_list(struct build_request *q, struct build_words *list, struct build_word word) {
    struct build_word *v = build_need(q->p, (list->n + 1) * sizeof *v);

    if (v == NULL)
        return false;
    if (list->n > 0)
        memcpy(v, list->v, list->n * sizeof *v);
    v[list->n] = word;
    list->v = v;
    list->n++;
    return true;
}

static void read_bool(struct build_request *q, const struct build_flag *f, const struct build_flag_spec *spec,
                      char *base) {
    bool *value = (bool *)(base + spec->offset);

    if (f->value != NULL && f->value[0] == '\0')
        build_bad_at(q, "missing-value", f->at, f->length, "missing a value on flag: --%s", f->name);
    else if (f->value == NULL || strcasecmp(f->value, "true") == 0)
        *value = true;
    else if (strcasecmp(f->value, "false") == 0)
        *value = false;
    else
        build_bad_at(q, "invalid-value", f->value_at, f->value_length,
                     "expecting boolean value for flag --%s, not: %.100s", f->name, f->value);
    if (spec->has_offset != 0)
        *(bool *)(base + spec->has_offset) = true;
}

static void read_flag(struct build_request *q, const struct build_flag *f, const struct build_flag_spec *spec,
                      char *base) {
    struct build_word word = {.s = f->value, .at = f->value_at, .length = (uint32_t)f->value_length};

    if (spec->kind == BUILD_FLAG_BOOL) {
        read_bool(q, f, spec, base);
    } else if (f->value == NULL) {
        build_note_hint(q->p->notes,
                        build_bad_at(q, "missing-value", f->at, f->length, "missing a value on flag: --%s", f->name),
                        "a value follows \"=\" without a blank: --%s=VALUE", f->name);
    } else if (spec->kind == BUILD_FLAG_LIST) {
        add_to_list(q, (struct build_words *)(base + spec->offset), word);
    } else {
        *(struct build_word *)(base + spec->offset) = word;
    }
}

void build_flags_read(struct build_request *q, const struct build_flag_spec *specs, size_t n, void *base) {
    bool seen[SPECS_MAX] = {false};

    for (size_t i = 0; i < q->n_flags && !q->p->failed; i++) {
        const struct build_flag *f = &q->flags[i];
        size_t k = 0;

        while (k < n && strcmp(specs[k].name, f->name) != 0)
            k++;
        if (k == n) {
            note_unknown(q, f, specs, n);
        } else if (seen[k] && specs[k].kind != BUILD_FLAG_LIST) {
            build_bad_at(q, "duplicate-flag", f->at, f->length, "duplicate flag specified: --%s", f->name);
        } else {
            seen[k] = true;
            read_flag(q, f, &specs[k], base);
        }
    }
}
