/*
 * spec_security.c - --security-opt: a file with a seccomp profile becomes its text.
 *
 * Room: client, with the caller's rights to the file.  The text is not read here: the engine has a worker do that.
 */
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/spec.h"

#define PROFILE_MAX ((size_t)128 << 10) /* what the engine reads, see lib/oci/seccomp.h */

/* As docker sends it: without the blanks between the words of JSON, those inside of strings kept. */
static void without_blanks(const struct bh_buf *text, struct bh_buf *out) {
    bool inside = false;

    for (size_t i = 0; i < text->len; i++) {
        char c = text->data[i];

        if (inside && c == '\\' && i + 1 < text->len) {
            bh_buf_addc(out, c);
            c = text->data[++i];
        } else if (c == '"') {
            inside = !inside;
        } else if (!inside && strchr(" \t\r\n", c) != NULL && c != '\0') {
            continue;
        }
        bh_buf_addc(out, c);
    }
}

static int not_text(const char *path, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "--security-opt seccomp=%s: the file is no seccomp profile: it is not JSON text",
               path);
    bh_err_hint(err,
                "a profile begins with {\"defaultAction\": ..; seccomp=unconfined and seccomp=builtin need no file");
    return bh_err_reason(err, "usage");
}

static int add_profile(bulkhead_value *list, const char *path, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    BH_SCOPE_BUF struct bh_buf option = BH_BUF_INIT;

    if (bh_file_read(-100 /* AT_FDCWD */, path, PROFILE_MAX, &text, err) != 0) {
        bh_err_prefix(err, "--security-opt seccomp");
        return bh_err_reason(err, "usage");
    }
    if (!bh_utf8_valid(bh_buf_str(&text), text.len) || strlen(bh_buf_str(&text)) != text.len)
        return not_text(path, err);
    bh_buf_adds(&option, "seccomp=");
    without_blanks(&text, &option);
    if (bh_buf_str(&option)[strlen("seccomp=")] != '{')
        return not_text(path, err);
    bulkhead_add_str(list, bh_buf_str(&option));
    return 0;
}

int cli_security_of(const struct cli_args *args, bulkhead_value *out, struct bh_err *err) {
    bulkhead_value *list = bulkhead_list_new();
    int r = 0;

    for (size_t i = 0; r == 0 && i < cli_count(args, "security-opt"); i++) {
        const char *option = cli_item(args, "security-opt", i), *value = option + strlen("seccomp=");

        if ((bh_str_starts(option, "seccomp=") || bh_str_starts(option, "seccomp:")) && *value != '\0' &&
            strcmp(value, "unconfined") != 0 && strcmp(value, "builtin") != 0)
            r = add_profile(list, value, err);
        else
            bulkhead_add_str(list, option);
    }
    bulkhead_set(out, "security_opt", list);
    return r;
}
