/*
 * build_view.c - see build_view.h.
 *
 * Room: client.
 */
#include "cli/build_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"

#define TAIL_LINES 6 /* of a running step, on a terminal */
#define KEEP_MAX   ((size_t)256 << 10)
#define REDRAW_NS  (BH_NSEC / 10)
#define LINE_MAX_  4096

enum { STARTED = 1, DONE = 2, CACHED = 3, FAILED = 4, CANCELLED = 5 }; /* Vertex.state of build.proto */

struct step {
    uint64_t number;
    char *name;
    char *error;
    uint64_t state;
    int64_t started_ns, finished_ns; /* wall clock of the engine */
    struct bh_buf output;            /* its end: for the picture and for the report of a failure */
    struct bh_buf rest;              /* of a line that has not ended, plain mode */
    char status[200];
};

struct build_view {
    struct cli_ctx *ctx;
    enum build_view_mode mode;
    char *title;
    struct step *steps;
    size_t n;
    uint64_t own;         /* numbers given to steps of the client's own */
    uint64_t last_spoken; /* plain: number of the step whose lines came last */
    size_t drawn;         /* tty: lines of the picture */
    int64_t began_ns, drawn_at;
};

int build_view_mode_parse(const char *word, enum build_view_mode *out, struct bh_err *err) {
    static const char *const words[] = {"auto", "plain", "tty", "quiet", "rawjson"};

    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (enum build_view_mode)i;
            return 0;
        }
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%.80s\" for \"--progress\" flag: no such mode", word);
    bh_err_hint(err, "use auto, plain, tty, quiet or rawjson");
    return bh_err_reason(err, "usage");
}

static bool can_move(const struct build_view *v) {
    const char *term = getenv("TERM");

    return v->ctx->out->err_tty && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

struct build_view *build_view_new(struct cli_ctx *ctx, enum build_view_mode mode, const char *title) {
    struct build_view *v = bh_xcalloc(1, sizeof *v);

    v->ctx = ctx;
    v->mode = mode;
    if (mode == BUILD_VIEW_AUTO || (mode == BUILD_VIEW_TTY && !can_move(v)))
        v->mode = can_move(v) ? BUILD_VIEW_TTY : BUILD_VIEW_PLAIN;
    v->title = bh_xstrdup(title);
    v->began_ns = bh_mono_ns();
    return v;
}

void build_view_free(struct build_view *v) {
    if (v == NULL)
        return;
    for (size_t i = 0; i < v->n; i++) {
        free(v->steps[i].name);
        free(v->steps[i].error);
        bh_buf_fini(&v->steps[i].output);
        bh_buf_fini(&v->steps[i].rest);
    }
    free(v->steps);
    free(v->title);
    free(v);
}

static void write_err(const struct build_view *v, const struct bh_buf *b) {
    struct bh_err ignored = BH_ERR_INIT;

    cli_out_flush(v->ctx->out, &ignored);
    (void)bh_write_all(v->ctx->out->err_fd, bh_buf_str(b), b->len);
}

/* The engine's numbers follow those of the client's own steps. */
static struct step *step_of(struct build_view *v, uint64_t number) {
    struct step *s;

    for (size_t i = 0; i < v->n; i++)
        if (v->steps[i].number == number)
            return &v->steps[i];
    v->steps = bh_xrealloc(v->steps, (v->n + 1) * sizeof *v->steps);
    s = &v->steps[v->n++];
    memset(s, 0, sizeof *s);
    s->number = number;
    s->name = bh_xstrdup("");
    s->error = bh_xstrdup("");
    return s;
}

static double seconds(int64_t from_ns, int64_t to_ns) {
    return from_ns != 0 && to_ns > from_ns ? (double)(to_ns - from_ns) / (double)BH_NSEC : 0.0;
}

/* ---- plain --------------------------------------------------------------------------------- */

/* A blank line and the name stand before the lines of another step. */
static void speak(struct build_view *v, const struct step *s, struct bh_buf *b) {
    if (v->last_spoken == s->number)
        return;
    bh_buf_addf(b, "%s#%" PRIu64 " %s\n", v->last_spoken != 0 ? "\n" : "", s->number, s->name);
    v->last_spoken = s->number;
}

static void plain_state(struct build_view *v, const struct step *s) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    speak(v, s, &b);
    if (s->state == DONE)
        bh_buf_addf(&b, "#%" PRIu64 " DONE %.1fs\n", s->number, seconds(s->started_ns, s->finished_ns));
    else if (s->state == CACHED)
        bh_buf_addf(&b, "#%" PRIu64 " CACHED\n", s->number);
    else if (s->state == CANCELLED)
        bh_buf_addf(&b, "#%" PRIu64 " CANCELED\n", s->number);
    else if (s->state == FAILED)
        bh_buf_addf(&b, "#%" PRIu64 " ERROR: %s\n", s->number, s->error);
    write_err(v, &b);
}

static void add_line(struct bh_buf *b, const struct step *s, int64_t now_ns, const char *text, size_t n) {
    char safe[LINE_MAX_];

    while (n > 0 && text[n - 1] == '\r')
        n--;
    bh_str_escape(safe, sizeof safe, text, n, true);
    bh_buf_addf(b, "#%" PRIu64 " %.3f %s\n", s->number, seconds(s->started_ns, now_ns), safe);
}

/* Whole lines only; `last` gives what has no end too. */
static void plain_output(struct build_view *v, struct step *s, const char *data, size_t n, int64_t now_ns, bool last) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    const char *end;

    bh_buf_add(&s->rest, data, n);
    while (s->rest.len > 0) {
        size_t k;

        end = memchr(s->rest.data, '\n', s->rest.len);
        if (end == NULL && !last && s->rest.len < LINE_MAX_ / 4)
            break;
        k = end != NULL ? (size_t)(end - s->rest.data) : s->rest.len < LINE_MAX_ / 4 ? s->rest.len : LINE_MAX_ / 4;
        speak(v, s, &b);
        add_line(&b, s, now_ns, s->rest.data, k);
        bh_buf_shift(&s->rest, k + (end != NULL));
    }
    write_err(v, &b);
}

/* ---- terminal ------------------------------------------------------------------------------ */

static void add_cut(struct bh_buf *b, const char *text, unsigned columns) {
    size_t n = 0;
    unsigned width = 0;

    for (; text[n] != '\0'; n++)
        if (((unsigned char)text[n] & 0xc0) != 0x80 && ++width > columns)
            break;
    bh_buf_add(b, text, n);
    bh_buf_addc(b, '\n');
}

static void add_step(struct bh_buf *b, const struct step *s, unsigned columns, int64_t now_ns) {
    char line[LINE_MAX_];
    const char *word = s->state == CACHED ? "CACHED " : s->state == FAILED ? "ERROR " : "";
    double t = s->state == STARTED ? seconds(s->started_ns, now_ns) : seconds(s->started_ns, s->finished_ns);
    int room = (int)columns - 12;

    if (room < 20)
        room = 20;
    snprintf(line, sizeof line, " => %s%s%s%s", word, s->name, s->status[0] != '\0' && s->state == STARTED ? "  " : "",
             s->state == STARTED ? s->status : "");
    if (strlen(line) > (size_t)room)
        line[room] = '\0';
    bh_buf_addf(b, "%-*s %6.1fs\n", room, line, t);
}

/* The last lines of what a running step has written. */
static size_t add_tail(struct bh_buf *b, const struct step *s, unsigned columns) {
    const char *text = bh_buf_str(&s->output), *from = text + s->output.len;
    size_t lines = 0;

    if (s->output.len == 0)
        return 0;
    if (from > text && from[-1] == '\n')
        from--;
    for (const char *p = from; p > text && lines < TAIL_LINES; p--)
        if (p[-1] == '\n' || p - 1 == text) {
            lines++;
            from = p[-1] == '\n' ? p : p - 1;
        }
    for (size_t i = 0; i < lines; i++) {
        size_t n = strcspn(from, "\n");
        char safe[LINE_MAX_], line[LINE_MAX_ + 8];

        bh_str_escape(safe, sizeof safe, from, n, false);
        snprintf(line, sizeof line, " => => # %s", safe);
        add_cut(b, line, columns > 1 ? columns - 1 : columns);
        from += n + (from[n] == '\n');
    }
    return lines;
}

static void draw(struct build_view *v, bool last) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    struct winsize ws = {.ws_row = 24, .ws_col = 80};
    int64_t now = bh_now_ns();
    size_t finished = 0, lines = 1, first = 0;

    (void)ioctl(v->ctx->out->err_fd, TIOCGWINSZ, &ws);
    if (ws.ws_row < 5 || ws.ws_col < 20)
        ws = (struct winsize){.ws_row = 24, .ws_col = 80};
    for (size_t i = 0; i < v->n; i++)
        finished += v->steps[i].state >= DONE;
    if (!last && v->n + 2 + TAIL_LINES > ws.ws_row) /* the oldest scroll away */
        first = v->n + 2 + TAIL_LINES - ws.ws_row;
    if (v->drawn > 0)
        bh_buf_addf(&b, "\033[%zuA\r\033[J", v->drawn);
    bh_buf_addf(&b, "[+] Building %.1fs (%zu/%zu)%s\n", seconds(v->began_ns, bh_mono_ns()), finished, v->n,
                last ? " FINISHED" : "");
    for (size_t i = first; i < v->n; i++) {
        add_step(&b, &v->steps[i], ws.ws_col, now);
        lines++;
        if (!last && v->steps[i].state == STARTED && lines + TAIL_LINES < ws.ws_row)
            lines += add_tail(&b, &v->steps[i], ws.ws_col);
    }
    write_err(v, &b);
    v->drawn = lines;
    v->drawn_at = bh_mono_ns();
}

/* ---- events -------------------------------------------------------------------------------- */

static void keep_output(struct step *s, const char *data, size_t n) {
    bh_buf_add(&s->output, data, n);
    if (s->output.len > KEEP_MAX)
        bh_buf_shift(&s->output, s->output.len - KEEP_MAX / 2);
}

static void set_text(char **to, const char *text) {
    size_t size = 4 * strlen(text) + 1;
    char *safe = bh_xmalloc(size);

    bh_str_escape(safe, size, text, strlen(text), false);
    free(*to);
    *to = safe;
}

static void vertex_event(struct build_view *v, const bulkhead_value *vertex) {
    struct step *s = step_of(v, bulkhead_get_uint(vertex, "number") + v->own);

    if (bulkhead_get_str(vertex, "name")[0] != '\0')
        set_text(&s->name, bulkhead_get_str(vertex, "name"));
    set_text(&s->error, bulkhead_get_str(vertex, "error"));
    s->state = bulkhead_get_uint(vertex, "state");
    if (bulkhead_get_int(vertex, "started_ns") != 0)
        s->started_ns = bulkhead_get_int(vertex, "started_ns");
    s->finished_ns = bulkhead_get_int(vertex, "finished_ns");
    if (v->mode != BUILD_VIEW_PLAIN)
        return;
    plain_output(v, s, "", 0, bh_now_ns(), s->state >= DONE);
    plain_state(v, s);
}

static void output_event(struct build_view *v, const bulkhead_value *event) {
    struct step *s = step_of(v, bulkhead_get_uint(event, "of") + v->own);
    size_t n = 0;
    const char *data = bulkhead_get_bytes(event, "data", &n);

    if (data != NULL && n > 0) {
        keep_output(s, data, n);
        if (v->mode == BUILD_VIEW_PLAIN)
            plain_output(v, s, data, n, bulkhead_get_int(event, "time_ns"), false);
    }
    if (bulkhead_get_str(event, "status")[0] != '\0') {
        const char *status = bulkhead_get_str(event, "status");

        bh_str_escape(s->status, sizeof s->status, status, strlen(status), false);
        if (v->mode == BUILD_VIEW_PLAIN && bulkhead_get_uint(event, "total") == 0) {
            struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

            speak(v, s, &b);
            bh_buf_addf(&b, "#%" PRIu64 " %s\n", s->number, s->status);
            write_err(v, &b);
        }
    }
}

static void json_event(const struct build_view *v, const bulkhead_value *event) {
    char *text BH_SCOPE_FREE = bulkhead_to_json(event);
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    bh_buf_addf(&b, "%s\n", text);
    write_err(v, &b);
}

void build_view_event(struct build_view *v, const bulkhead_value *event) {
    const bulkhead_value *vertex = bulkhead_get(event, "vertex");

    if (v->mode == BUILD_VIEW_JSON) {
        json_event(v, event);
        return;
    }
    if (bulkhead_type_of(vertex) == BULKHEAD_MAP)
        vertex_event(v, vertex);
    if (bulkhead_get_uint(event, "of") != 0)
        output_event(v, event);
    if (v->mode == BUILD_VIEW_TTY && v->n > 0 &&
        (bulkhead_type_of(vertex) == BULKHEAD_MAP || bh_mono_ns() - v->drawn_at > REDRAW_NS))
        draw(v, false);
}

void build_view_own(struct build_view *v, const char *name, const char *note, int64_t started_ns) {
    struct step *s = step_of(v, ++v->own);

    set_text(&s->name, name);
    s->started_ns = started_ns;
    s->finished_ns = bh_now_ns();
    s->state = DONE;
    if (v->mode == BUILD_VIEW_PLAIN) {
        struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

        speak(v, s, &b);
        if (note != NULL)
            bh_buf_addf(&b, "#%" PRIu64 " %s\n", s->number, note);
        write_err(v, &b);
        plain_state(v, s);
    }
    if (v->mode == BUILD_VIEW_TTY)
        draw(v, false);
}

static void report_failed(struct build_view *v, const struct step *s) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;

    bh_buf_addf(&b, "------\n > %s:\n", s->name);
    if (v->mode != BUILD_VIEW_PLAIN) { /* there it has been seen already */
        char *safe BH_SCOPE_FREE = bh_xmalloc(4 * s->output.len + 1);

        bh_str_escape(safe, 4 * s->output.len + 1, bh_buf_str(&s->output), s->output.len, true);
        bh_buf_adds(&b, safe);
        if (b.len > 0 && b.data[b.len - 1] != '\n')
            bh_buf_addc(&b, '\n');
    }
    bh_buf_adds(&b, "------\n");
    write_err(v, &b);
}

void build_view_end(struct build_view *v, bool failed) {
    if (v->mode == BUILD_VIEW_TTY && v->n > 0)
        draw(v, true);
    for (size_t i = 0; failed && v->mode != BUILD_VIEW_JSON && i < v->n; i++)
        if (v->steps[i].state == FAILED)
            report_failed(v, &v->steps[i]);
}

/* ---- problems ------------------------------------------------------------------------------ */

void build_view_problem(struct cli_ctx *ctx, const bulkhead_value *p) {
    const char *source = bulkhead_get_str(p, "source"), *suggestion = bulkhead_get_str(p, "suggestion");
    bool warning = bulkhead_get_bool(p, "warning");
    uint64_t column = bulkhead_get_uint(p, "column"), length = bulkhead_get_uint(p, "length");
    struct bh_buf caret BH_SCOPE_BUF = BH_BUF_INIT;
    char place[300] = "";

    if (bulkhead_get_uint(p, "line") != 0)
        snprintf(place, sizeof place, "%.200s:%llu:%llu: ", bulkhead_get_str(p, "file"),
                 (unsigned long long)bulkhead_get_uint(p, "line"), (unsigned long long)column);
    cli_say(ctx->out, "%s%s%s%s%s%s%s%s", place, warning ? "warning: " : "", warning ? bulkhead_get_str(p, "code") : "",
            warning ? ": " : "", bulkhead_get_str(p, "message"), suggestion[0] != '\0' ? " (did you mean " : "",
            suggestion, suggestion[0] != '\0' ? "?)" : "");
    if (source[0] == '\0')
        return;
    cli_say(ctx->out, "    %s", source);
    for (uint64_t i = 1; i < column && i <= strlen(source); i++)
        bh_buf_addc(&caret, source[i - 1] == '\t' ? '\t' : ' ');
    for (uint64_t i = 0; i < (length > 0 ? length : 1) && i < 200; i++)
        bh_buf_addc(&caret, '^');
    cli_say(ctx->out, "    %s", bh_buf_str(&caret));
}
