/*
 * step_pump.c - the streams of a RUN: its output to the caller, a here-document to its input.
 *
 * Room: runtime.  Bytes are moved, not looked at.  A caller that does not take them makes the command
 * wait, as with any container; one that has gone ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "svc-runtime/step.h"

#define CHUNK ((size_t)64 << 10)
#define FIXED 5 /* descriptors that are waited for, beside the doors */

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void rt_step_pump_close(struct rt_step_pump *p) {
    close_fd(&p->in);
    close_fd(&p->out[0]);
    close_fd(&p->out[1]);
}

static int add_pipe(bool room_reads, int *ours, int *theirs, struct bh_err *err) {
    int p[2];

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    *ours = room_reads ? p[0] : p[1];
    *theirs = room_reads ? p[1] : p[0];
    return bh_set_nonblock(*ours, true) == 0 ? 0 : bh_err_errno(err, errno, "set up a pipe");
}

int rt_step_pump_open(bool input, struct rt_step_pump *out, int theirs[3], unsigned *out_n, struct bh_err *err) {
    struct rt_step_pump p = {.in = -1, .out = {-1, -1}, .end_fd = -1};
    int ends[3] = {-1, -1, -1};
    unsigned n = 0;

    if ((input && add_pipe(false, &p.in, &ends[n++], err) != 0) || add_pipe(true, &p.out[0], &ends[n++], err) != 0 ||
        add_pipe(true, &p.out[1], &ends[n++], err) != 0) {
        rt_step_pump_close(&p);
        bh_fdpass_close(ends, 3);
        return err->code;
    }
    *out = p;
    for (unsigned i = 0; i < n; i++)
        theirs[i] = ends[i];
    *out_n = n;
    return 0;
}

static int forward(struct rt_step_pump *p, int which, char *buf, const struct rt_step *step, struct bh_err *err) {
    ssize_t n = read(p->out[which], buf, CHUNK);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n <= 0) {
        close_fd(&p->out[which]);
        return 0;
    }
    return step->sink(step->arg, 1 + (unsigned)which, buf, (size_t)n, err);
}

/* A command that does not read its input to the end is no failure. */
static void feed(struct rt_step_pump *p, const struct rt_step *step, size_t *done) {
    ssize_t n = write(p->in, (const char *)step->input + *done, step->n_input - *done);

    if (n > 0)
        *done += (size_t)n;
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || *done == step->n_input)
        close_fd(&p->in);
}

int rt_step_pump_run(struct rt_step_pump *p, const struct rt_step *step, struct bh_err *err) {
    BH_SCOPE_FREE char *buf = bh_xmalloc(CHUNK);
    bool ended = false;
    size_t fed = 0;

    while (p->out[0] >= 0 || p->out[1] >= 0 || !ended) {
        struct pollfd v[FIXED + RT_MAX_DOORS] = {{.fd = p->out[0], .events = POLLIN},
                                                 {.fd = p->out[1], .events = POLLIN},
                                                 {.fd = p->in, .events = POLLOUT},
                                                 {.fd = ended ? -1 : p->end_fd, .events = POLLIN},
                                                 {.fd = step->cancel_fd, .events = POLLIN}};
        int wait_ms = -1;

        for (unsigned i = 0; i < step->n_doors; i++)
            v[FIXED + i] = (struct pollfd){.fd = rt_door_wanted(&step->doors[i], &wait_ms), .events = POLLIN};
        if (poll(v, FIXED + step->n_doors, wait_ms) < 0 && errno != EINTR)
            return bh_err_errno(err, errno, "wait for output");
        if (v[4].revents != 0)
            return bh_err_set(err, BH_E_CANCELLED, "the build was cancelled");
        for (int i = 0; i < 2; i++)
            if (v[i].revents != 0 && forward(p, i, buf, step, err) != 0)
                return err->code;
        if (v[2].revents != 0)
            feed(p, step, &fed);
        for (unsigned i = 0; i < step->n_doors; i++)
            if (v[FIXED + i].revents != 0)
                rt_door_serve(&step->doors[i]);
        ended = ended || v[3].revents != 0;
    }
    return 0;
}
