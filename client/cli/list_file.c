/*
 * list_file.c - see list_file.h.
 *
 * Room: client.
 */
#include "cli/list_file.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/str.h"

#define FILE_MAX ((size_t)1 << 20)

static int wrong(const char *option, const char *path, const char *why, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%s\" for \"%s\" flag: %s", path, option, why);
    return bh_err_reason(err, "usage");
}

static int read_text(const char *option, const char *path, struct bh_buf *out, struct bh_err *err) {
    if (bh_file_read(AT_FDCWD, path, FILE_MAX, out, err) != 0) {
        bh_err_prefix(err, "%s", option);
        return bh_err_reason(err, "usage");
    }
    if (!bh_utf8_valid(bh_buf_str(out), out->len) || strlen(bh_buf_str(out)) != out->len)
        return wrong(option, path, "the file is not UTF-8 text", err);
    if (bh_str_starts(bh_buf_str(out), "\xef\xbb\xbf")) /* some editors mark UTF-8 so */
        memset(out->data, ' ', 3);
    return 0;
}

int cli_list_file(const char *option, const char *path, void (*add)(bulkhead_value *list, const char *line),
                  bulkhead_value *list, struct bh_err *err) {
    struct bh_buf text BH_SCOPE_BUF = BH_BUF_INIT;
    char *save = NULL;

    if (read_text(option, path, &text, err) != 0)
        return err->code;
    for (char *line = text.len > 0 ? strtok_r(text.data, "\r\n", &save) : NULL; line != NULL;
         line = strtok_r(NULL, "\r\n", &save)) {
        size_t name;

        line += strspn(line, " \t");
        if (*line == '\0' || *line == '#')
            continue;
        name = strcspn(line, "=");
        if (name == 0)
            return wrong(option, path, "a line has no name before the =", err);
        if (strcspn(line, " \t") < name)
            return wrong(option, path, "a name contains whitespaces", err);
        add(list, line);
    }
    return 0;
}
