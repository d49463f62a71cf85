/*
 * fuzz_ref.c - references, digests, platforms, patterns.  Besides memory safety: what is accepted is
 * what the grammar's regular expression accepts, the normal form is a fixed point, and the familiar
 * form means the same.
 */
#include <regex.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "oci/platform.h"
#include "oci/ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ALNUM  "[a-zA-Z0-9]"
#define LABEL  "(" ALNUM "|" ALNUM "[a-zA-Z0-9-]*" ALNUM ")"
#define HOST   "(" LABEL "(\\." LABEL ")*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?"
#define PIECE  "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#define DIGEST "[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
/* The normal form always has a host. */
#define NORMAL "^" HOST "/" PIECE "(/" PIECE ")*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@" DIGEST ")?$"

static void must(bool good) {
    if (!good)
        abort();
}

/* Of a text with a host in it, the grammar alone decides; lengths and digest algorithms come on top. */
static void check_grammar(const char *text, bool accepted) {
    static regex_t re;
    static bool ready;

    if (!ready) {
        must(regcomp(&re, NORMAL, REG_EXTENDED | REG_NOSUB) == 0);
        ready = true;
    }
    if (accepted)
        must(regexec(&re, text, 0, NULL, 0) == 0);
    else if (strncmp(text, "example.com/", 12) == 0 && strchr(text, '@') == NULL && strlen(text) < 200)
        must(regexec(&re, text, 0, NULL, 0) != 0);
}

static void check_forms(const struct bh_ref *ref) {
    char normal[BH_REF_TEXT_SIZE], again[BH_REF_TEXT_SIZE], familiar[BH_REF_TEXT_SIZE];
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref other;

    bh_ref_format(ref, normal);
    check_grammar(normal, true);
    must(bh_ref_parse(normal, &other, &err) == 0);
    must(memcmp(&other, ref, sizeof other) == 0);
    bh_ref_familiar(ref, familiar);
    if (strlen(familiar) != 64) {
        must(bh_ref_parse(familiar, &other, &err) == 0);
        must(memcmp(&other, ref, sizeof other) == 0);
    }
    bh_ref_familiar_of(normal, again);
    must(strcmp(again, familiar) == 0);
}

static void others(const char *text) {
    struct bh_err err = BH_ERR_INIT;
    char hex[BH_REF_HEX_SIZE], out[BH_DIGEST_TEXT_SIZE], name[BH_PLATFORM_TEXT_SIZE];
    enum bh_ref_kind kind;
    struct bh_platform p, q;
    struct bh_digest d;
    struct bh_ref ref;

    (void)bh_ref_parse_any(text, &ref, &kind, hex, &err);
    if (bh_digest_parse(text, &d, &err) == 0) {
        bh_digest_format(&d, out);
        must(strcmp(out, text) == 0);
    }
    if (bh_platform_parse(text, &p, &err) == 0) {
        bh_platform_format(&p, name);
        must(bh_platform_parse(name, &q, &err) == 0);
        must(bh_platform_rank(&p, &q) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = bh_xstrndup((const char *)data, size), *name;
    struct bh_err err = BH_ERR_INIT;
    struct bh_ref ref;

    if (bh_ref_parse(text, &ref, &err) == 0)
        check_forms(&ref);
    else
        check_grammar(text, false);
    others(text);
    name = strchr(text, '\n');
    if (name != NULL) { /* pattern, newline, name */
        *name++ = '\0';
        (void)bh_glob_match(text, name);
    }
    free(text);
    return 0;
}
