/*
 * exit_text.c - turns the complaint of crun or runc into docker's words and exit status.
 *
 * Room: monitor, and the unit test.  The text may quote names from the image: it is searched, never
 * executed or formatted.  127: there is no such program; 126: it cannot be run; 125: anything else.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "monitor.h"

static const struct {
    const char *a, *b; /* both occur; b NULL: a alone */
    int hint;
    const char *says;
} known[] = {
    {"executable file ", "not found", 127, "executable file not found in $PATH"},
    {"open executable: ", "Permission denied", 126, "permission denied"},
    {"open executable: ", "Operation not permitted", 126, "is a directory: permission denied"}, /* crun's word for it */
    {"open executable: ", "Is a directory", 126, "is a directory: permission denied"},
    {"open executable: ", "Not a directory", 127, "not a directory"},
    {"open executable: ", "No such file", 127, "no such file or directory"},
    {"open executable: ", "", 126, "cannot be run"},
    {"exec: \"", "no such file or directory", 127, "no such file or directory"},
    {"exec: \"", "not a directory", 127, "not a directory"},
    {"exec: \"", "permission denied", 126, "permission denied"},
    {"exec: \"", "is a directory", 126, "is a directory: permission denied"},
    {"exec: \"", "exec format error", 126, "exec format error"},
    {"exec container process", "Exec format error", 126, "exec format error"},
    {"exec container process", "No such file", 127, "no such file or directory"},
    {"exec container process", "Permission denied", 126, "permission denied"},
    {"exec container process", "", 126, "cannot be run"},
    {"exec: ", "No such file", 127, "no such file or directory"}, /* crun exec */
    {"exec: ", "Exec format error", 126, "exec format error"},
    {"exec: ", "Permission denied", 126, "permission denied"},
};

/* The msg="..." of runc's log line, or the line itself. */
static void last_message(const char *text, char *out, size_t size) {
    size_t len = strlen(text);
    const char *line, *msg, *end;

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    line = text;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\n')
            line = text + i + 1;
    end = text + len;
    msg = memmem(line, (size_t)(end - line), "msg=\"", 5);
    if (msg != NULL) {
        line = msg + 5;
        if (end > line && end[-1] == '"')
            end--;
    }
    bh_str_escape(out, size, line, (size_t)(end - line), false);
    for (char *from = out, *to = out;; from++) { /* runc escapes quotes inside its own quotes */
        if (msg != NULL && from[0] == '\\' && (from[1] == '"' || from[1] == '\\'))
            from++;
        *to++ = *from;
        if (*from == 0)
            break;
    }
}

int mon_runtime_failed(const char *text, const char *program, int *out_hint, struct bh_err *err) {
    char last[400];
    char name[160]; /* twice in the message */

    last_message(text, last, sizeof(last));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strstr(last, known[i].a) == NULL || strstr(last, known[i].b) == NULL)
            continue;
        *out_hint = known[i].hint;
        bh_str_escape(name, sizeof(name), program, strlen(program), false);
        if (program[0] == 0)
            *out_hint = 127;
        if (*out_hint == 127 && strchr(program, '/') != NULL && strcmp(known[i].says, "not a directory") != 0)
            bh_err_set(err, BH_E_INVALID, MON_START "exec: \"%s\": stat %s: no such file or directory", name, name);
        else
            bh_err_set(err, BH_E_INVALID, MON_START "exec: \"%s\": %s", name,
                       program[0] == 0 ? "executable file not found in $PATH" : known[i].says);
        return bh_err_reason(err, *out_hint == 127 ? "program-not-found" : "program-not-runnable");
    }
    *out_hint = 125;
    return bh_err_set(err, BH_E_INTERNAL, MON_START "%s", last[0] != 0 ? last : "the OCI runtime gave no reason");
}
