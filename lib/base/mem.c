/*
 * mem.c - see mem.h.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *or_die(void *p) {
    if (p == NULL) {
        static const char text[] = "out of memory\n";
        (void)!write(2, text, sizeof text - 1);
        abort();
    }
    return p;
}

void *bh_xmalloc(size_t n) {
    return or_die(malloc(n ? n : 1));
}

void *bh_xcalloc(size_t n, size_t size) {
    return or_die(calloc(n ? n : 1, size ? size : 1));
}

void *bh_xrealloc(void *p, size_t n) {
    return or_die(realloc(p, n ? n : 1));
}

char *bh_xstrdup(const char *s) {
    return or_die(strdup(s));
}

char *bh_xstrndup(const char *s, size_t n) {
    return or_die(strndup(s, n));
}

char *bh_xasprintf(const char *fmt, ...) {
    char *out = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&out, fmt, ap);
    va_end(ap);
    return or_die(n < 0 ? NULL : out);
}
