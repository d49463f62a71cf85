/*
 * fuzz_reg_challenge.c - WWW-Authenticate.  Besides memory safety: what is taken fits its fields, a bearer has a realm,
 * and a challenge that is written again from what was read is read as the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svc-registry/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool plain(const char *s) {
    return strpbrk(s, "\"\\") == NULL;
}

static void again(const struct reg_challenge *c) {
    static char text[REG_URL_SIZE + 2048];
    static struct reg_challenge back;
    struct bh_err err = BH_ERR_INIT;

    if (c->scheme != REG_AUTH_BEARER || !plain(c->realm) || !plain(c->service) || !plain(c->scope))
        return;
    snprintf(text, sizeof text, "Bearer realm=\"%s\",service=\"%s\",scope=\"%s\"", c->realm, c->service, c->scope);
    if (reg_challenge_parse(text, &back, &err) != 0 || strcmp(back.realm, c->realm) != 0 ||
        strcmp(back.service, c->service) != 0 || strcmp(back.scope, c->scope) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct reg_challenge c;
    struct bh_err err = BH_ERR_INIT;
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    if (reg_challenge_parse(text, &c, &err) == 0) {
        if (c.scheme == REG_AUTH_BEARER && !*c.realm)
            abort();
        again(&c);
    } else if (err.code != BH_E_INVALID) {
        abort();
    }
    free(text);
    return 0;
}
