/*
 * settings.h - what the supervisor takes out of the configuration and of /etc/passwd and /etc/group.
 *
 * Room: a child of the supervisor that is nobody: root reads no text.
 */
#ifndef SUP_SETTINGS_H
#define SUP_SETTINGS_H

#include "base/buf.h"
#include "engine.h"

struct sup_text {
    const char *name; /* for messages */
    const struct bh_buf *text;
};

struct sup_settings {
    struct sup_config config;
    struct sup_user users[SUP_N_USERS];
};

/* arg: struct sup_text; out: struct sup_settings.  For bh_ask. */
int sup_settings_read(const void *arg, void *out, struct bh_err *err);

#endif
