/*
 * out.c - see out.h.
 *
 * Room: client.  The only file that writes messages to the standard descriptors.
 */
#include "cli/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "tmpl/tmpl.h"

#define FLUSH_AT      ((size_t)64 << 10)
#define PENDING_MAX   ((size_t)256 << 20)
#define TEMPLATE_EXIT 64

static bool env_set(const char *name) {
    const char *v = getenv(name);

    return v && *v;
}

void cli_out_init(struct cli_out *o, const char *program, int out_fd, int err_fd) {
    const char *term = getenv("TERM");

    *o = (struct cli_out){.program = program, .out_fd = out_fd, .err_fd = err_fd};
    bh_buf_init(&o->pending, PENDING_MAX);
    o->out_tty = isatty(out_fd) == 1;
    o->err_tty = isatty(err_fd) == 1;
    o->color = o->err_tty && !env_set("NO_COLOR") && term && *term && strcmp(term, "dumb") != 0;
}

static void write_out(struct cli_out *o, const void *data, size_t n) {
    if (n > 0 && o->write_errno == 0 && bh_write_all(o->out_fd, data, n) < 0)
        o->write_errno = errno;
}

static void flush(struct cli_out *o) {
    if (bh_buf_failed(&o->pending) && o->write_errno == 0)
        o->write_errno = ENOMEM;
    write_out(o, o->pending.data, o->pending.len);
    bh_buf_reset(&o->pending);
}

int cli_out_flush(struct cli_out *o, struct bh_err *err) {
    flush(o);
    return o->write_errno ? bh_err_errno(err, o->write_errno, "write standard output") : 0;
}

int cli_out_close(struct cli_out *o, int status) {
    struct bh_err err = BH_ERR_INIT;
    int rc = cli_out_flush(o, &err);

    bh_buf_fini(&o->pending);
    if (rc < 0 && o->write_errno != EPIPE)
        cli_fail(o, &err);
    bh_buf_fini(&o->pending);
    return status != 0 ? status : rc < 0 ? 1 : 0;
}

/* ---- data ---- */

static void flush_if_full(struct cli_out *o) {
    if (o->pending.len >= FLUSH_AT || bh_buf_failed(&o->pending))
        flush(o);
}

void cli_put(struct cli_out *o, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    bh_buf_addv(&o->pending, fmt, ap);
    va_end(ap);
    flush_if_full(o);
}

void cli_put_raw(struct cli_out *o, const void *data, size_t n) {
    if (n >= FLUSH_AT) {
        flush(o);
        write_out(o, data, n);
        return;
    }
    bh_buf_add(&o->pending, data, n);
    flush_if_full(o);
}

/* Appends s escaped; every byte can become four. */
static void add_escaped(struct bh_buf *b, const char *s, size_t n, bool keep_newlines) {
    while (n > 0) {
        size_t piece = n > 1024 ? 1024 : n, seq;
        char text[4 * 1024 + 8];

        while (piece < n && piece > 1020 && ((unsigned char)s[piece] & 0xc0) == 0x80)
            piece--; /* not through a character */
        bh_str_escape(text, sizeof text, s, piece, keep_newlines);
        seq = strlen(text);
        bh_buf_add(b, text, seq);
        s += piece;
        n -= piece;
    }
}

void cli_put_text(struct cli_out *o, const char *s, size_t n) {
    if (!o->out_tty) {
        cli_put_raw(o, s, n);
        return;
    }
    add_escaped(&o->pending, s, n, true);
    flush_if_full(o);
}

void cli_put_word(struct cli_out *o, const char *s) {
    add_escaped(&o->pending, s, strlen(s), false);
    flush_if_full(o);
}

static void put_document(struct cli_out *o, struct bh_buf *b) {
    bh_buf_addc(b, '\n');
    if (bh_buf_failed(b) && o->write_errno == 0)
        o->write_errno = ENOMEM;
    cli_put_text(o, bh_buf_str(b), b->len);
}

void cli_put_json(struct cli_out *o, const json_t *value) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT_MAX(PENDING_MAX);

    bh_tmpl_print_json_indent(&b, value, "    ");
    put_document(o, &b);
}

void cli_put_json_html(struct cli_out *o, const json_t *value, const char *indent) {
    struct bh_buf plain BH_SCOPE_BUF = BH_BUF_INIT_MAX(PENDING_MAX), b BH_SCOPE_BUF = BH_BUF_INIT_MAX(PENDING_MAX);

    bh_tmpl_print_json_indent(&plain, value, indent);
    for (size_t i = 0; i < plain.len; i++) { /* such characters stand in strings only */
        char c = plain.data[i];

        if (c == '<' || c == '>' || c == '&')
            bh_buf_addf(&b, "\\u%04x", (unsigned)c);
        else
            bh_buf_addc(&b, c);
    }
    put_document(o, &b);
}

/* ---- talk ---- */

/* One write a line, so that lines of several processes do not mix. */
static void write_err(struct cli_out *o, const struct bh_buf *b) {
    flush(o);
    (void)bh_write_all(o->err_fd, b->data, b->len); /* nowhere is left to tell it */
}

static void say(struct cli_out *o, const char *prefix, const char *fmt, va_list ap) {
    struct bh_buf plain BH_SCOPE_BUF = BH_BUF_INIT, b BH_SCOPE_BUF = BH_BUF_INIT;

    bh_buf_addv(&plain, fmt, ap);
    if (prefix)
        bh_buf_addf(&b, "%s: %s", o->program, prefix);
    add_escaped(&b, bh_buf_str(&plain), plain.len, true);
    bh_buf_addc(&b, '\n');
    write_err(o, &b);
}

void cli_say(struct cli_out *o, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    say(o, NULL, fmt, ap);
    va_end(ap);
}

void cli_warn(struct cli_out *o, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    say(o, "warning: ", fmt, ap);
    va_end(ap);
}

static int exit_status(const struct bh_err *err) {
    if (strcmp(err->reason, "usage") == 0)
        return 125;
    if (strcmp(err->reason, "template") == 0)
        return TEMPLATE_EXIT;
    return err->code == 0 ? 1 : bh_err_exit_status(err->code);
}

int cli_fail(struct cli_out *o, const struct bh_err *err) {
    struct bh_buf b BH_SCOPE_BUF = BH_BUF_INIT;
    const char *msg = err->msg[0] ? err->msg : bh_err_text(err->code);

    bh_buf_addf(&b, "%s: ", o->program);
    add_escaped(&b, msg, strlen(msg), false);
    if (err->hint[0]) {
        bh_buf_adds(&b, "; ");
        add_escaped(&b, err->hint, strlen(err->hint), false);
    }
    bh_buf_addc(&b, '\n');
    write_err(o, &b);
    return exit_status(err);
}

int cli_failf(struct cli_out *o, int status, const char *fmt, ...) {
    struct bh_err err = {.code = BH_E_UNKNOWN};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err.msg, sizeof err.msg, fmt, ap);
    va_end(ap);
    cli_fail(o, &err);
    return status;
}

bool cli_confirm(struct cli_out *o, int in_fd, const char *warning) {
    char first = '\0', c;

    cli_put(o, "%s\nAre you sure you want to continue? [y/N] ", warning);
    flush(o);
    for (;;) {
        ssize_t n = read(in_fd, &c, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || c == '\n')
            return first == 'y' || first == 'Y';
        if (first == '\0' && c != ' ')
            first = c;
        else if (c != ' ' && c != '\r')
            first = first == '\0' ? c : first == 'y' || first == 'Y' ? '!' : first;
    }
}
