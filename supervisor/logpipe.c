/*
 * logpipe.c - what children write to standard error: cut into lines, escaped, name and pid in front.
 *
 * Room: supervisor.  The bytes come from rooms that may be taken over: nothing but their length and
 * the newlines is looked at, all control bytes are escaped.  Must not block: when nobody reads our
 * own standard error, lines are dropped.  A pipe lives until its last writer has gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

#define LINE 2048

struct log_pipe {
    struct sup_source source; /* first: a source is its pipe */
    char name[24];
    pid_t pid;
    size_t len;
    char line[LINE];
};

static void write_line(const struct log_pipe *p, const char *text, size_t n) {
    char out[LINE * 2];
    struct pollfd writable = {.fd = 2, .events = POLLOUT};
    /* "<6>event ..": the level is for the journal, which wants it at the start of the line. */
    size_t level = n > 3 && text[0] == '<' && text[2] == '>' ? 3 : 0;

    int at = snprintf(out, sizeof out, "%.*s%s[%d]: ", getenv("JOURNAL_STREAM") ? (int)level : 0, text, p->name,
                      (int)p->pid);
    bh_str_escape(out + at, sizeof out - (size_t)at - 1, text + level, n - level, false);
    strcat(out, "\n");
    if (poll(&writable, 1, 0) == 1 && !(writable.revents & (POLLERR | POLLHUP)))
        (void)bh_write_all(2, out, strlen(out));
}

static void take_lines(struct log_pipe *p, bool at_end) {
    char *end;

    while ((end = memchr(p->line, '\n', p->len)) != NULL || p->len == LINE || (at_end && p->len > 0)) {
        size_t n = end ? (size_t)(end - p->line) : p->len, used = end ? n + 1 : n;
        if (n > 0)
            write_line(p, p->line, n);
        memmove(p->line, p->line + used, p->len - used);
        p->len -= used;
    }
}

static void on_readable(struct sup_engine *e, struct sup_source *s) {
    struct log_pipe *p = (struct log_pipe *)s;
    ssize_t n = read(s->fd, p->line + p->len, LINE - p->len);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    p->len += n > 0 ? (size_t)n : 0;
    take_lines(p, n <= 0);
    if (n > 0)
        return;
    sup_unwatch(e, s);
    free(p);
}

int sup_log_open(struct sup_engine *e, const char *name, int *out_write_fd, struct sup_source **out,
                 struct bh_err *err) {
    int fd[2];

    if (pipe2(fd, O_CLOEXEC) < 0)
        return bh_err_errno(err, errno, "open log of %s", name);
    (void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
    struct log_pipe *p = bh_xcalloc(1, sizeof *p);
    (void)bh_str_copy(p->name, sizeof p->name, name);
    p->source = (struct sup_source){fd[0], on_readable};
    *out_write_fd = fd[1];
    *out = &p->source;
    return sup_watch(e, &p->source, err);
}

void sup_log_name_pid(struct sup_source *log, pid_t pid) {
    ((struct log_pipe *)log)->pid = pid;
}
