/*
 * answer.h - what a registry says when it says no, as one line and an error with the words that scripts know.
 *
 * Room: registry.  Foreign: bodies are JSON of at most REG_ERROR_BODY_MAX, texts are escaped and cut.
 */
#ifndef REG_ANSWER_H
#define REG_ANSWER_H

#include "svc-registry/http.h"

struct reg_complaint {
    char code[64];  /* "MANIFEST_UNKNOWN", upper case; "" = the body had none */
    char text[400]; /* "manifest unknown: manifest unknown", "" = nothing to tell */
};
void reg_complaint_read(const struct reg_http_response *answer, struct reg_complaint *out);
void reg_answer_text(const struct reg_http_response *answer, char *out, size_t size);

struct reg_answer_about {
    const char *name; /* familiar: "debian:nosuch" */
    const char *host;
    bool manifest;   /* a manifest was asked for, by name */
    bool write;      /* push or delete */
    bool known_user; /* a credential was sent */
};
/* Always an error; its code. */
int reg_answer_error(const struct reg_http_response *answer, const struct reg_answer_about *about, struct bh_err *err);
int reg_answer_too_many(const struct reg_http_response *answer, const char *what, struct bh_err *err);

#endif
