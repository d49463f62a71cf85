/*
 * images_tree.c - see images_tree.h.
 *
 * Room: client.
 */
#include "cli/images_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/table.h"
#include "cli/tty.h"

#define WIDTH_MIN  20
#define NAME_MIN   12 /* columns that would leave the names less are left out */
#define SPACING    3
#define COLUMNS    5
#define BRANCH     "\xe2\x94\x9c\xe2\x94\x80 " /* ├─ */
#define LAST       "\xe2\x94\x94\xe2\x94\x80 " /* └─ */
#define NAME_COLOR "\033[34m\033[1m"
#define HEAD_COLOR "\033[39m\033[1m"
#define CELL_COLOR "\033[39m"
#define DIM_COLOR  "\033[39m\033[2m"
#define CHIP_COLOR "\033[38;5;0m\033[48;5;14m"
#define COLOR_END  "\033[0m"

static const struct {
    const char *title;
    int width; /* 0: what its texts need */
    bool right;
} columns[COLUMNS] = {
    {"IMAGE", 0, false}, {"ID", 12, false}, {"DISK USAGE", 10, true}, {"CONTENT SIZE", 12, true}, {"EXTRA", 5, false}};

struct line {
    char id[CLI_CELL_SIZE * 2], usage[CLI_CELL_SIZE], content[CLI_CELL_SIZE];
    bool used;
};
struct part {
    char *platform;
    struct line line;
};
struct top {
    char **names; /* the longest first */
    size_t n_names;
    struct line line;
    struct part *parts;
    size_t n_parts;
};
struct images_tree {
    struct top *v;
    size_t n;
    bool has_parts;
};

struct images_tree *images_tree_new(void) {
    return bh_xcalloc(1, sizeof(struct images_tree));
}

void images_tree_free(struct images_tree *t) {
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < t->v[i].n_names; k++)
            free(t->v[i].names[k]);
        for (size_t k = 0; k < t->v[i].n_parts; k++)
            free(t->v[i].parts[k].platform);
        free(t->v[i].names);
        free(t->v[i].parts);
    }
    free(t->v);
    free(t);
}

/* ---- what there is ------------------------------------------------------------------------- */

static void set_line(struct line *l, const char *id, uint64_t usage, uint64_t content, bool used) {
    cli_cell_id(l->id, sizeof l->id, id, false);
    cli_cell_size(l->usage, sizeof l->usage, usage);
    cli_cell_size(l->content, sizeof l->content, content);
    l->used = used;
}

/* Of names that are as long as each other the first stays first. */
static void add_name(struct top *top, const char *name) {
    size_t at = top->n_names;

    while (at > 0 && strlen(top->names[at - 1]) < strlen(name))
        at--;
    memmove(top->names + at + 1, top->names + at, (top->n_names - at) * sizeof *top->names);
    top->names[at] = bh_xstrdup(name);
    top->n_names++;
}

/* Words of a config, which may hold anything. */
static char *platform_text(const bulkhead_value *p) {
    const char *variant = bulkhead_get_str(p, "variant");
    char *plain BH_SCOPE_FREE =
        bh_xasprintf("%s/%s%s%s", bulkhead_get_str(p, "os"), bulkhead_get_str(p, "architecture"),
                     variant[0] != '\0' ? "/" : "", variant);
    char text[300];

    bh_str_escape(text, sizeof text, plain, strlen(plain), false);
    return bh_xstrdup(text);
}

void images_tree_add(struct images_tree *t, const bulkhead_value *image) {
    const bulkhead_value *tags = bulkhead_get(image, "repo_tags"), *parts = bulkhead_get(image, "platform");
    uint64_t usage = 0, content = 0;
    bool used = bulkhead_get_uint(image, "containers") > 0;
    struct top top = {.names = bh_xcalloc(bulkhead_count(tags) + 1, sizeof *top.names),
                      .parts = bh_xcalloc(bulkhead_count(parts) + 1, sizeof *top.parts)};

    for (size_t i = 0; i < bulkhead_count(tags); i++)
        add_name(&top, bulkhead_str(bulkhead_at(tags, i)));
    for (size_t i = 0; i < bulkhead_count(parts); i++) {
        const bulkhead_value *p = bulkhead_at(parts, i);
        struct part *part = &top.parts[top.n_parts++];

        part->platform = platform_text(p);
        set_line(&part->line, bulkhead_get_str(p, "manifest_digest"), bulkhead_get_uint(p, "size"),
                 bulkhead_get_uint(p, "content"), bulkhead_get_uint(p, "containers") > 0);
        usage += bulkhead_get_uint(p, "size");
        content += bulkhead_get_uint(p, "content");
        used = used || part->line.used;
        t->has_parts = true;
    }
    if (top.n_parts == 0)
        usage = bulkhead_get_uint(image, "size");
    set_line(&top.line, bulkhead_get_str(image, "id"), usage, content, used);
    t->v = bh_xrealloc(t->v, (t->n + 1) * sizeof *t->v);
    t->v[t->n++] = top;
}

/* ---- widths -------------------------------------------------------------------------------- */

/* As docker counts: bytes, so that a branch has seven of them. */
static int widest(const struct images_tree *t) {
    size_t n = strlen(columns[0].title);

    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < t->v[i].n_names; k++)
            n = strlen(t->v[i].names[k]) > n ? strlen(t->v[i].names[k]) : n;
        for (size_t k = 0; k < t->v[i].n_parts; k++)
            n = strlen(LAST) + strlen(t->v[i].parts[k].platform) > n ? strlen(LAST) + strlen(t->v[i].parts[k].platform)
                                                                     : n;
    }
    return n < 10000 ? (int)n : 10000;
}

struct layout {
    struct cli_out *out;
    bool color;
    int width, name_width, n; /* n: so many columns fit */
};

static struct layout layout_of(struct cli_out *out, const struct images_tree *t) {
    struct layout l = {.out = out, .color = out->out_tty && out->color, .n = 1};
    struct cli_tty_size size;

    l.width = out->out_tty && cli_tty_size(out->out_fd, &size) ? size.columns : 80;
    l.width = l.width > WIDTH_MIN ? l.width : WIDTH_MIN;
    l.name_width = l.width;
    for (; l.n < COLUMNS && l.name_width - columns[l.n].width - SPACING >= NAME_MIN; l.n++)
        l.name_width -= columns[l.n].width + SPACING;
    if (l.name_width > widest(t))
        l.name_width = widest(t);
    return l;
}

/* ---- lines --------------------------------------------------------------------------------- */

static int code_points(const char *s) {
    int n = 0;

    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static void put_styled(const struct layout *l, const char *color, const char *text) {
    cli_put(l->out, "%s%s%s", l->color ? color : "", text, l->color ? COLOR_END : "");
}

static void put_cell(const struct layout *l, int column, const char *color, const char *text) {
    int width = column == 0 ? l->name_width : columns[column].width;
    char *cut BH_SCOPE_FREE = cli_cell_cut(text, (size_t)width);
    int pad = width - code_points(cut);

    if (column > 0)
        cli_put(l->out, "%*s", SPACING, "");
    if (columns[column].right)
        cli_put(l->out, "%*s", pad, "");
    put_styled(l, color, cut);
    if (!columns[column].right)
        cli_put(l->out, "%*s", pad, "");
}

static void put_line(const struct layout *l, const char *color, const struct line *line) {
    const char *cells[COLUMNS] = {"", line->id, line->usage, line->content, line->used ? "U" : ""};

    for (int i = 1; i < l->n; i++) {
        if (i == COLUMNS - 1 && line->used && l->color) {
            cli_put(l->out, "%*s", SPACING, "");
            put_styled(l, CHIP_COLOR, " U ");
            cli_put(l->out, "  ");
        } else if (cells[i][0] == '\0') {
            cli_put(l->out, "%*s", SPACING + columns[i].width, "");
        } else {
            put_cell(l, i, color, cells[i]);
        }
    }
    cli_put(l->out, "\n");
}

/* All names but the last have a line of their own. */
static void put_names(const struct layout *l, const struct top *top) {
    if (top->n_names == 0)
        put_cell(l, 0, DIM_COLOR, "<untagged>");
    for (size_t i = 0; i < top->n_names; i++) {
        char *cut BH_SCOPE_FREE =
            cli_cell_cut(top->names[i], l->out->out_tty ? (size_t)l->width : strlen(top->names[i]));

        if (i + 1 == top->n_names) {
            put_cell(l, 0, NAME_COLOR, top->names[i]);
            continue;
        }
        put_styled(l, NAME_COLOR, cut);
        cli_put(l->out, "\n");
    }
}

static void put_image(const struct layout *l, const struct top *top) {
    put_names(l, top);
    put_line(l, CELL_COLOR, &top->line);
    for (size_t i = 0; i < top->n_parts; i++) {
        char *name BH_SCOPE_FREE = bh_xasprintf("%s%s", i + 1 < top->n_parts ? BRANCH : LAST, top->parts[i].platform);

        put_cell(l, 0, CELL_COLOR, name);
        put_line(l, CELL_COLOR, &top->parts[i].line);
    }
}

/* At the right edge, what the letter of the last column means. */
static void put_legend(const struct layout *l) {
    static const char plain[] = "Info ->  U In Use ";
    static const char colored[] =
        "\033[1m\033[106m\033[30mi\033[0m\033[0m \033[96mInfo \xe2\x86\x92 \033[0m\033[0m " CHIP_COLOR " U " COLOR_END
        " In Use ";
    int n = l->color ? 21 : (int)strlen(plain);

    cli_put(l->out, "%*s%s\n\n", l->width > n ? l->width - n : 0, "", l->color ? colored : plain);
}

void images_tree_print(struct cli_out *out, const struct images_tree *t) {
    const struct layout l = layout_of(out, t);

    put_legend(&l);
    for (int i = 0; i < l.n; i++)
        put_cell(&l, i, HEAD_COLOR, columns[i].title);
    cli_put(out, "\n");
    for (size_t i = 0; i < t->n; i++) {
        put_image(&l, &t->v[i]);
        if (t->has_parts)
            cli_put(out, "\n");
    }
}
