/*
 * event.c - see event.h.
 */
#include "svc-registry/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define PROGRESS_NS (BH_NSEC / 10)

int reg_tell(const struct reg_listener *l, const struct reg_event *e, struct bh_err *err) {
    return l->tell(l->arg, e, err);
}

int reg_tell_status(const struct reg_listener *l, unsigned number, struct bh_err *err, const char *fmt, ...) {
    struct reg_event e = {.number = number};
    char text[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e.status = text;
    return reg_tell(l, &e, err);
}

int reg_tell_warning(const struct reg_listener *l, unsigned number, struct bh_err *err, const char *fmt, ...) {
    struct reg_event e = {.number = number};
    char text[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e.warning = text;
    return reg_tell(l, &e, err);
}

void reg_line_init(struct reg_line *line, const struct reg_listener *l, unsigned number, const char *digest) {
    const char *hex = strchr(digest, ':');

    *line = (struct reg_line){.listener = l, .number = number};
    hex = hex != NULL ? hex + 1 : digest;
    bh_str_copy_n(line->layer, sizeof line->layer, hex, strnlen(hex, sizeof line->layer - 1));
}

int reg_line_text(struct reg_line *line, enum reg_layer_state state, const char *text, struct bh_err *err) {
    const struct reg_event e = {.number = line->number, .layer = line->layer, .state = state, .text = text};

    line->told_ns = 0;
    return reg_tell(line->listener, &e, err);
}

int reg_line_state(struct reg_line *line, enum reg_layer_state state, struct bh_err *err) {
    return reg_line_text(line, state, NULL, err);
}

void reg_line_progress(struct reg_line *line, enum reg_layer_state state, uint64_t current, uint64_t total) {
    const struct reg_event e = {.number = line->number,
                                .layer = line->layer,
                                .state = state,
                                .current = current,
                                .total = total,
                                .droppable = state != REG_LAYER_RETRYING};
    int64_t now = bh_mono_ns();
    struct bh_err err = BH_ERR_INIT;

    if (e.droppable && line->told_ns != 0 && now - line->told_ns < PROGRESS_NS && current < total)
        return;
    line->told_ns = now;
    (void)reg_tell(line->listener, &e, &err);
}
