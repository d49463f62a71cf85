/*
 * progress.c - see progress.h.
 *
 * Room: client.  On a terminal each item keeps its line; the cursor goes up to it and back.  Items
 * that have scrolled off the screen are not redrawn.  Redrawing for numbers alone is held to ten
 * times a second an item, a change of state is always shown.
 */
#include "cli/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"

#define REDRAW_NS (BH_NSEC / 10)
#define TEXT_SIZE 160

struct item {
    char id[TEXT_SIZE], state[TEXT_SIZE];
    size_t line;      /* counted from the first line that we wrote */
    int64_t drawn_at; /* monotonic */
};

struct cli_progress {
    struct cli_out *out;
    enum cli_progress_mode mode;
    bool to_stderr;
    struct item *items;
    size_t count;
    size_t lines; /* written so far */
    unsigned rows, columns;
};

int cli_progress_mode_parse(const char *word, enum cli_progress_mode *out, struct bh_err *err) {
    static const struct {
        const char *word;
        enum cli_progress_mode mode;
    } words[] = {
        {"auto", CLI_PROGRESS_AUTO},   {"plain", CLI_PROGRESS_PLAIN}, {"tty", CLI_PROGRESS_TTY},
        {"quiet", CLI_PROGRESS_QUIET}, {"json", CLI_PROGRESS_JSON},   {"rawjson", CLI_PROGRESS_JSON},
    };

    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++)
        if (strcmp(word, words[i].word) == 0) {
            *out = words[i].mode;
            return 0;
        }
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%.80s\" for \"--progress\" flag: no such mode", word);
    bh_err_hint(err, "use auto, plain, tty, quiet or json");
    return bh_err_reason(err, "usage");
}

static int fd_of(const struct cli_progress *p) {
    return p->to_stderr ? p->out->err_fd : p->out->out_fd;
}

static void measure(struct cli_progress *p) {
    struct winsize ws;

    p->rows = 24;
    p->columns = 80;
    if (ioctl(fd_of(p), TIOCGWINSZ, &ws) == 0 && ws.ws_row > 0 && ws.ws_col > 0) {
        p->rows = ws.ws_row;
        p->columns = ws.ws_col;
    }
}

static bool can_move(const struct cli_progress *p) {
    const char *term = getenv("TERM");

    return (p->to_stderr ? p->out->err_tty : p->out->out_tty) && term && *term && strcmp(term, "dumb") != 0;
}

struct cli_progress *cli_progress_new(struct cli_out *o, enum cli_progress_mode mode, bool to_stderr) {
    struct cli_progress *p = bh_xcalloc(1, sizeof *p);

    p->out = o;
    p->to_stderr = to_stderr;
    p->mode = mode != CLI_PROGRESS_AUTO ? mode : can_move(p) ? CLI_PROGRESS_TTY : CLI_PROGRESS_PLAIN;
    measure(p);
    return p;
}

void cli_progress_free(struct cli_progress *p) {
    struct bh_err err;

    if (!p)
        return;
    if (!p->to_stderr)
        cli_out_flush(p->out, &err);
    free(p->items);
    free(p);
}

/* Progress is seen when it happens: nothing is held back. */
static void write_now(struct cli_progress *p, const struct bh_buf *b) {
    struct bh_err err;

    if (p->to_stderr) {
        cli_out_flush(p->out, &err);
        (void)bh_write_all(p->out->err_fd, b->data, b->len);
    } else {
        cli_put_raw(p->out, b->data, b->len);
        cli_out_flush(p->out, &err);
    }
}

/* ---- bars ---- */

void cli_progress_bar(char *dst, size_t size, uint64_t current, uint64_t total, unsigned columns) {
    char now[32], all[32], bar[64] = "";
    unsigned cells;

    bh_human_size(now, sizeof now, current, 4);
    bh_human_size(all, sizeof all, total, 4);
    if (total == 0 || current > total) { /* the total is unknown or was wrong */
        snprintf(dst, size, "%8s", current > 0 ? now : "");
        return;
    }
    cells = (unsigned)((double)current / (double)total * 50.0);
    cells = cells > 50 ? 50 : cells;
    if (columns > 110)
        snprintf(bar, sizeof bar, "[%.*s>%*s] ", (int)cells,
                 "==================================================", 50 - (int)cells, "");
    snprintf(dst, size, "%s%8s/%s", bar, now, all);
}

/* ---- lines ---- */

static void add_json(struct bh_buf *b, const char *id, const char *state, uint64_t current, uint64_t total) {
    bh_buf_adds(b, "{\"status\":");
    bh_buf_add_json_str(b, state, strlen(state));
    if (id) {
        bh_buf_adds(b, ",\"id\":");
        bh_buf_add_json_str(b, id, strlen(id));
    }
    if (current > 0 || total > 0) {
        bh_buf_addf(b, ",\"progressDetail\":{\"current\":%llu", (unsigned long long)current);
        if (total > 0)
            bh_buf_addf(b, ",\"total\":%llu", (unsigned long long)total);
        bh_buf_addc(b, '}');
    }
    bh_buf_adds(b, "}\n");
}

void cli_progress_line(struct cli_progress *p, const char *text) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    size_t size = 4 * strlen(text) + 8;
    char *safe BH_SCOPE_FREE = bh_xmalloc(size);

    if (p->mode == CLI_PROGRESS_QUIET)
        return;
    if (p->mode == CLI_PROGRESS_JSON) {
        add_json(&b, NULL, text, 0, 0);
    } else {
        bh_str_escape(safe, size, text, strlen(text), false);
        bh_buf_addf(&b, "%s\n", safe);
        p->lines++;
    }
    write_now(p, &b);
    cli_progress_forget(p);
}

void cli_progress_aux(struct cli_progress *p, const char *object) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    if (p->mode != CLI_PROGRESS_JSON)
        return;
    bh_buf_addf(&b, "{\"progressDetail\":{},\"aux\":%s}\n", object);
    write_now(p, &b);
}

void cli_progress_forget(struct cli_progress *p) {
    p->count = 0;
}

static struct item *find(struct cli_progress *p, const char *id, bool *out_new) {
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].id, id) == 0) {
            *out_new = false;
            return &p->items[i];
        }
    p->items = bh_xrealloc(p->items, (p->count + 1) * sizeof *p->items);
    p->items[p->count] = (struct item){.line = p->lines};
    bh_str_copy(p->items[p->count].id, TEXT_SIZE, id);
    *out_new = true;
    return &p->items[p->count++];
}

/* The item's line, cut to the width of the terminal so that it never takes two. */
static void add_text(struct cli_progress *p, struct bh_buf *b, const struct item *it, uint64_t current,
                     uint64_t total) {
    char bar[128] = "", line[4 * TEXT_SIZE];
    size_t n = 0, columns = 0;

    if (current > 0 || total > 0)
        cli_progress_bar(bar, sizeof bar, current, total, p->columns);
    snprintf(line, sizeof line, "%s: %s%s%s", it->id, it->state, *bar ? " " : "", bar);
    for (; line[n]; n++)
        if (((unsigned char)line[n] & 0xc0) != 0x80 && ++columns >= p->columns)
            break;
    bh_buf_add(b, line, n);
}

static void draw(struct cli_progress *p, struct item *it, bool fresh, uint64_t current, uint64_t total) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    size_t up = p->lines - it->line;

    if (fresh) {
        add_text(p, &b, it, current, total);
        bh_buf_addc(&b, '\n');
        p->lines++;
    } else if (up < p->rows) {
        bh_buf_addf(&b, "\033[%zuA\r\033[2K", up);
        add_text(p, &b, it, current, total);
        bh_buf_addf(&b, "\r\033[%zuB", up);
    }
    write_now(p, &b);
}

void cli_progress_item(struct cli_progress *p, const char *id, const char *state, uint64_t current, uint64_t total) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    char safe_id[TEXT_SIZE], safe_state[TEXT_SIZE];
    int64_t now = bh_mono_ns();
    struct item *it;
    bool fresh, changed;

    if (p->mode == CLI_PROGRESS_QUIET)
        return;
    if (p->mode == CLI_PROGRESS_JSON) {
        add_json(&b, id, state, current, total);
        write_now(p, &b);
        return;
    }
    bh_str_escape(safe_id, sizeof safe_id, id, strlen(id), false);
    bh_str_escape(safe_state, sizeof safe_state, state, strlen(state), false);
    it = find(p, safe_id, &fresh);
    changed = strcmp(it->state, safe_state) != 0;
    if (!changed && !fresh && (p->mode == CLI_PROGRESS_PLAIN || now - it->drawn_at < REDRAW_NS))
        return;
    memcpy(it->state, safe_state, sizeof safe_state);
    it->drawn_at = now;
    if (p->mode == CLI_PROGRESS_TTY) {
        measure(p); /* it may have another size by now */
        draw(p, it, fresh, current, total);
        return;
    }
    bh_buf_addf(&b, "%s: %s\n", it->id, it->state);
    write_now(p, &b);
}
