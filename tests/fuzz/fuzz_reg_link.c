/*
 * fuzz_reg_link.c - Link and Location.  Besides memory safety: the next page is on the same server; an address that is
 * taken is taken again as it was normalised, and has no user.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svc-registry/url.h"

#define BASE "https://registry.example:5000/v2/a/b/tags/list?n=2"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text) {
    static struct reg_url base, u, back;
    static char next[REG_URL_SIZE];
    struct bh_err err = BH_ERR_INIT;

    if (reg_url_parse(BASE, NULL, &base, &err) != 0)
        abort();
    if (reg_link_next(text, BASE, next, &err) == 0 && *next &&
        (reg_url_parse(next, NULL, &u, &err) != 0 || !reg_url_same_origin(&base, &u)))
        abort();
    if (reg_url_parse(text, BASE, &u, &err) != 0)
        return;
    if (reg_url_parse(u.text, NULL, &back, &err) != 0 || !reg_url_same_origin(&u, &back) || u.port == 0 || !*u.host)
        abort();
    if (strncmp(u.text, u.plain ? "http://" : "https://", u.plain ? 7 : 8) != 0)
        abort();
    (void)reg_host_is_loopback(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    check(text);
    free(text);
    return 0;
}
