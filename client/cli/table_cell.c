/*
 * table_cell.c - single cells that several lists share, as docker writes them.
 *
 * Room: client.  Pure but for the time zone.
 */
#include "cli/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

void cli_cell_ago(char *dst, size_t size, int64_t then_ns, int64_t now_ns) {
    char span[CLI_CELL_SIZE];

    bh_human_duration(span, sizeof span, (now_ns - then_ns) / BH_NSEC);
    snprintf(dst, size, "%s ago", span);
}

void cli_cell_time(char *dst, size_t size, int64_t ns) {
    time_t t = (time_t)(ns / BH_NSEC);
    struct tm tm;

    if (!localtime_r(&t, &tm) || strftime(dst, size, "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0)
        bh_str_copy(dst, size, "");
}

void cli_cell_size(char *dst, size_t size, uint64_t bytes) {
    bh_human_size(dst, size, bytes, 3);
}

void cli_cell_id(char *dst, size_t size, const char *id, bool no_trunc) {
    const char *colon = strchr(id, ':'), *hex = colon ? colon + 1 : id;

    if (no_trunc)
        bh_str_copy(dst, size, id);
    else
        bh_str_copy_n(dst, size, hex, strlen(hex) > 12 ? 12 : strlen(hex));
}

/* Bytes of the first `max` code points. */
static size_t prefix_of(const char *s, size_t max) {
    size_t i = 0, count = 0;

    for (; s[i]; i++)
        if (((unsigned char)s[i] & 0xc0) != 0x80 && count++ == max)
            break;
    return i;
}

char *cli_cell_cut(const char *s, size_t max) {
    size_t n = prefix_of(s, max);

    if (s[n] == '\0' || max == 0)
        return bh_xstrndup(s, n);
    if (max == 1)
        return bh_xstrndup(s, n);
    return bh_xasprintf("%.*s\xe2\x80\xa6", (int)prefix_of(s, max - 1), s);
}
