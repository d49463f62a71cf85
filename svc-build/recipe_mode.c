/*
 * recipe_mode.c - see recipe_mode.h.
 * Room: build.  Pure.  No umask plays a part: the same text gives the same mode everywhere.
 */
#include "recipe_mode.h"

#include <string.h>

static int refuse(const char *text, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID,
               "invalid chmod parameter: '%.100s'. it should be octal string and between 0 and 07777", text);
    return bh_err_hint(err, "or clauses like u=rwX,go=rX");
}

static int parse_octal(const char *text, struct build_mode *out, struct bh_err *err) {
    unsigned v = 0;

    for (const char *s = text; *s != '\0'; s++) {
        if (*s < '0' || *s > '7' || v > 07777)
            return refuse(text, err);
        v = v * 8 + (unsigned)(*s - '0');
    }
    if (v > 07777)
        return refuse(text, err);
    *out = (struct build_mode){.absolute = true, .bits = (uint16_t)v};
    return 0;
}

/* Letters in front of the operation; none: all. */
static uint16_t parse_who(const char **s) {
    uint16_t who = 0;

    for (; **s != '\0' && strchr("ugoa", **s) != NULL; ++*s) {
        if (**s == 'u' || **s == 'a')
            who |= 04700;
        if (**s == 'g' || **s == 'a')
            who |= 02070;
        if (**s == 'o' || **s == 'a')
            who |= 01007;
    }
    return who != 0 ? who : 07777;
}

/* What stands behind the operation. */
static void parse_perm(const char **s, struct build_mode_step *step) {
    if (**s != '\0' && strchr("ugo", **s) != NULL) {
        step->copy = *(*s)++;
        return;
    }
    for (; **s != '\0' && strchr("rwxXst", **s) != NULL; ++*s) {
        step->perm |= **s == 'r' ? 4 : **s == 'w' ? 2 : **s == 'x' ? 1 : 0;
        step->x_if_any = step->x_if_any || **s == 'X';
        step->set_id = step->set_id || **s == 's';
        step->sticky = step->sticky || **s == 't';
    }
}

static int parse_clauses(const char *text, struct build_mode *out, struct bh_err *err) {
    struct build_mode mode = {0};
    const char *s = text;

    do {
        uint16_t who = parse_who(&s);

        if (*s == '\0' || strchr("+-=", *s) == NULL)
            return refuse(text, err);
        while (*s != '\0' && strchr("+-=", *s) != NULL) {
            struct build_mode_step step = {.who = who, .op = *s++};

            if (mode.n_steps == BUILD_MODE_STEPS_MAX)
                return bh_err_set(err, BH_E_LIMIT, "a mode has more than %d parts", BUILD_MODE_STEPS_MAX);
            parse_perm(&s, &step);
            mode.steps[mode.n_steps++] = step;
        }
    } while (*s == ',' && *++s != '\0');
    if (*s != '\0' || s[-1] == ',')
        return refuse(text, err);
    *out = mode;
    return 0;
}

int build_mode_parse(const char *text, struct build_mode *out, struct bh_err *err) {
    if (*text == '\0')
        return refuse(text, err);
    if (*text >= '0' && *text <= '9')
        return parse_octal(text, out, err);
    return parse_clauses(text, out, err);
}

static uint16_t step_bits(const struct build_mode_step *step, uint16_t old, bool is_dir) {
    unsigned perm = step->perm;

    if (step->copy != '\0')
        perm = old >> (step->copy == 'u' ? 6 : step->copy == 'g' ? 3 : 0) & 7U;
    if (step->x_if_any && (is_dir || (old & 0111) != 0))
        perm |= 1;
    perm = (perm << 6 | perm << 3 | perm) & 0777U;
    if (step->set_id)
        perm |= 06000;
    if (step->sticky)
        perm |= 01000;
    return (uint16_t)(perm & step->who);
}

uint16_t build_mode_apply(const struct build_mode *mode, uint16_t old, bool is_dir) {
    unsigned now = old & 07777U;

    if (mode->absolute)
        return mode->bits;
    for (size_t i = 0; i < mode->n_steps; i++) {
        const struct build_mode_step *step = &mode->steps[i];
        unsigned bits = step_bits(step, (uint16_t)now, is_dir);

        if (step->op == '+')
            now |= bits;
        else if (step->op == '-')
            now &= ~bits;
        else /* a folder keeps its set-id bits unless they are named, as chmod(1) does */
            now = (now & ~(step->who & (is_dir ? 01777U : 07777U))) | bits;
    }
    return (uint16_t)now;
}
