/*
 * table_tabs.c - cells ended by tabs into columns.
 *
 * Room: client.  Pure.  A column is a run of neighbouring lines that have a cell there; its width is
 * that of its widest cell plus padding, at least the minimum.  That is the elastic-tabstops rule which
 * the tables of docker follow, so lines with fewer cells end a column and start a new one.
 */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct cell {
    const char *s;
    size_t n, points;
};

struct line {
    struct cell *cells; /* the last one is not ended by a tab */
    size_t count;
};

struct layout {
    struct line *lines;
    size_t count;
    size_t *widths; /* of the columns that are open */
    size_t open;
    size_t min_width, padding;
    struct bh_buf *out;
};

static size_t points_of(const char *s, size_t n) {
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static struct line split_line(const char *s, size_t n) {
    struct line line = {0};

    for (size_t i = 0; i < n; i++)
        line.count += s[i] == '\t';
    line.cells = bh_xcalloc(++line.count, sizeof *line.cells);
    for (size_t c = 0; c < line.count; c++) {
        const char *tab = memchr(s, '\t', n);
        size_t len = tab ? (size_t)(tab - s) : n;

        line.cells[c] = (struct cell){s, len, points_of(s, len)};
        s += len + (tab != NULL);
        n -= len + (tab != NULL);
    }
    return line;
}

static void put_blanks(struct bh_buf *out, size_t n) {
    static const char blanks[] = "                                ";

    for (size_t step; n > 0; n -= step) {
        step = n < sizeof blanks - 1 ? n : sizeof blanks - 1;
        bh_buf_add(out, blanks, step);
    }
}

static void put_line(struct layout *l, const struct line *line) {
    for (size_t c = 0; c < line->count; c++) {
        bh_buf_add(l->out, line->cells[c].s, line->cells[c].n);
        if (c + 1 == line->count)
            break;
        put_blanks(l->out, l->widths[c] - line->cells[c].points);
    }
    bh_buf_addc(l->out, '\n');
}

/* Lines from..to belong to one block of all columns that are open; finds the blocks of the next one. */
static void put_block(struct layout *l, size_t from, size_t to) {
    size_t column = l->open;

    for (size_t i = from; i < to;) {
        size_t width = l->min_width, end = i;

        if (column + 1 >= l->lines[i].count) {
            put_line(l, &l->lines[i++]);
            continue;
        }
        for (; end < to && column + 1 < l->lines[end].count; end++)
            if (l->lines[end].cells[column].points + l->padding > width)
                width = l->lines[end].cells[column].points + l->padding;
        l->widths[l->open++] = width;
        put_block(l, i, end);
        l->open--;
        i = end;
    }
}

/* Lines with more cells than this are not laid out: the recursion follows the columns. */
#define COLUMNS_MAX 256

void cli_tabs_layout(const char *text, size_t n, size_t min_width, size_t padding, struct bh_buf *out) {
    struct layout l = {.min_width = min_width, .padding = padding, .out = out};
    size_t most = 1, at = 0;

    for (size_t i = 0; i < n; i++)
        l.count += text[i] == '\n';
    l.count += n > 0 && text[n - 1] != '\n';
    l.lines = bh_xcalloc(l.count, sizeof *l.lines);
    for (size_t i = 0; i < l.count; i++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - (text + at)) : n - at;

        l.lines[i] = split_line(text + at, len);
        most = l.lines[i].count > most ? l.lines[i].count : most;
        at += len + 1;
    }
    if (most > COLUMNS_MAX) {
        bh_buf_add(out, text, n);
    } else {
        l.widths = bh_xcalloc(most, sizeof *l.widths);
        put_block(&l, 0, l.count);
        free(l.widths);
    }
    for (size_t i = 0; i < l.count; i++)
        free(l.lines[i].cells);
    free(l.lines);
}
