/*
 * test_exit_text.c - what crun and runc complain of, in docker's words and exit codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "monitor/monitor.h"

static const struct {
    const char *text, *program;
    int hint;
    const char *says;
} table[] = {
    {"2026-01-01T00:00:00.000000Z: executable file `nosuch` not found in $PATH: No such file or directory\n", "nosuch",
     127, "exec: \"nosuch\": executable file not found in $PATH"},
    {"open executable: Operation not permitted", "/etc", 126, "is a directory: permission denied"},
    {"open executable: Permission denied", "/etc/passwd", 126, "exec: \"/etc/passwd\": permission denied"},
    {"open executable: Operation not permitted", "", 127, "exec: \"\": executable file not found in $PATH"},
    {"time=\"2026\" level=error msg=\"runc run failed: unable to start container process: exec: \\\"x\\\": executable "
     "file not found "
     "in $PATH\"",
     "x", 127, "exec: \"x\": executable file not found in $PATH"},
    {"time=\"2026\" level=error msg=\"runc run failed: unable to start container process: exec: \\\"/no\\\": stat /no: "
     "no such file or "
     "directory\"",
     "/no", 127, "exec: \"/no\": stat /no: no such file or directory"},
    {"time=\"2026\" level=error msg=\"runc run failed: unable to start container process: exec: \\\"/etc\\\": "
     "permission denied\"",
     "/etc", 126, "exec: \"/etc\": permission denied"},
    {"executable file `/a/b` not found in $PATH: No such file or directory", "/a/b", 127,
     "exec: \"/a/b\": stat /a/b: no such file or directory"},
    {"warning: something\nmount `proc` to `proc`: Operation not permitted\n", "sh", 125, "mount `proc` to `proc`"},
    {"exec container process (missing dynamic library?) `/x`: No such file or directory\n", "/x", 127, "exec: \"/x\""},
    {"exec container process `/x`: Exec format error\n", "/x", 126, "exec: \"/x\": exec format error"},
    {"exec container process `/x`: Argument list too long\n", "/x", 126, "exec: \"/x\": cannot be run"},
    {"exec: No such file or directory", "x", 127, "exec: \"x\": no such file or directory"},
    {"exec: Exec format error", "x", 126, "exec: \"x\": exec format error"},
    {"", "sh", 125, "gave no reason"},
    {"exec \x1b[31m: bad", "sh", 125, "\\x1b[31m"},
};

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < BH_ARRAY_LEN(table); i++) {
        struct bh_err err = BH_ERR_INIT;
        int hint = 0;

        assert_true(mon_runtime_failed(table[i].text, table[i].program, &hint, &err) < 0);
        if (hint != table[i].hint || strstr(err.msg, table[i].says) == NULL)
            print_message("%zu: %d %s\n", i, hint, err.msg);
        assert_int_equal(hint, table[i].hint);
        assert_non_null(strstr(err.msg, table[i].says));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
