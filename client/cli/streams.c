/*
 * streams.c - see streams.h.  One poll loop; every buffer is bounded; a closed peer ends only its own
 * stream.
 *
 * Room: client.
 */
#include "cli/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "cli/tty.h"

#define BUFFER ((size_t)256 << 10)

struct cli_streams {
    struct cli_streams_options options;
    int ours[3], theirs[3];
    struct cli_detach detach;
    unsigned char *input; /* bytes read from the user and not yet taken by the container */
    size_t input_at, input_end;
    bool input_closed; /* the user's side has ended */
    char *output;
    int signals;
    bool raw;
    bool unread; /* our reader has gone */
    int lost_errno;
};

static int make_pipe(int *ours, int *theirs, bool to_them) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    /* A larger pipe saves wake-ups; that it is refused costs nothing. */
    (void)fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    *ours = to_them ? ends[1] : ends[0];
    *theirs = to_them ? ends[0] : ends[1];
    return 0;
}

int cli_streams_open(const struct cli_streams_options *options, struct cli_streams **out, struct bh_err *err) {
    struct cli_streams *s = bh_xcalloc(1, sizeof *s);
    bool want[3] = {options->in, options->out, options->err && !options->tty};
    sigset_t set;

    s->options = *options;
    s->signals = -1;
    for (int i = 0; i < 3; i++)
        s->ours[i] = s->theirs[i] = -1;
    if (cli_detach_parse(options->detach_keys != NULL ? options->detach_keys : CLI_DETACH_DEFAULT, &s->detach, err) !=
        0) {
        free(s);
        return err->code;
    }
    for (int i = 0; i < 3; i++) {
        if (want[i] && make_pipe(&s->ours[i], &s->theirs[i], i == 0) != 0) {
            bh_err_errno(err, errno, "make a pipe");
            cli_streams_free(s);
            return err->code;
        }
    }
    s->input = bh_xmalloc(BUFFER + CLI_DETACH_MAX);
    s->output = bh_xmalloc(BUFFER);
    signal(SIGPIPE, SIG_IGN);
    if (options->sig_proxy && !options->tty) {
        sigemptyset(&set);
        for (int sig = 1; sig < 32; sig++) {
            if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT || sig == SIGUSR1 || sig == SIGUSR2)
                sigaddset(&set, sig);
        }
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    *out = s;
    return 0;
}

const int *cli_streams_theirs(const struct cli_streams *s) {
    return s->theirs;
}

void cli_streams_started(struct cli_streams *s) {
    for (int i = 0; i < 3; i++) {
        if (s->theirs[i] >= 0)
            close(s->theirs[i]);
        s->theirs[i] = -1;
    }
}

void cli_streams_free(struct cli_streams *s) {
    if (s == NULL)
        return;
    if (s->raw)
        cli_tty_restore();
    cli_streams_started(s);
    for (int i = 0; i < 3; i++) {
        if (s->ours[i] >= 0)
            close(s->ours[i]);
    }
    if (s->signals >= 0)
        close(s->signals);
    free(s->input);
    free(s->output);
    free(s);
}

static void close_end(struct cli_streams *s, int i) {
    close(s->ours[i]);
    s->ours[i] = -1;
}

void cli_streams_resize(const struct cli_streams_peer *peer) {
    struct bulkhead_error ignored = {0};
    struct cli_tty_size size;
    bulkhead_value *request;
    bulkhead *b = cli_engine(peer->ctx);

    if (b == NULL || !cli_tty_size(1, &size))
        return;
    request = bulkhead_map_new();
    bulkhead_set_str(request, peer->key, peer->id);
    bulkhead_set_uint(request, "rows", size.rows);
    bulkhead_set_uint(request, "cols", size.columns);
    /* The session may just have ended; its exit code tells that, not this. */
    (void)bulkhead_call(b, "runtime", peer->service_resize, request, 2000, NULL, &ignored);
    bulkhead_value_free(request);
}

static void pass_signal(struct cli_streams *s, const struct cli_streams_peer *peer) {
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        struct bulkhead_error error = {0};
        bulkhead *b = cli_engine(peer->ctx);
        char number[16];

        snprintf(number, sizeof number, "%u", info.ssi_signo);
        if (b != NULL && peer->kill_container != NULL &&
            bulkhead_container_kill(b, peer->kill_container, number, &error) != 0 && error.code != BULKHEAD_CONFLICT &&
            error.code != BULKHEAD_NOT_FOUND)
            cli_fail_engine(peer->ctx, &error);
    }
}

/* True when the detach keys are complete. */
static bool take_input(struct cli_streams *s) {
    unsigned char raw[32768];
    ssize_t n = read(0, raw, sizeof raw);
    bool detached;
    size_t kept;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (n <= 0) {
        s->input_closed = true;
        return false;
    }
    if (!s->options.tty) {
        memcpy(s->input + s->input_end, raw, (size_t)n);
        s->input_end += (size_t)n;
        return false;
    }
    detached = cli_detach_feed(&s->detach, raw, (size_t)n, s->input + s->input_end, &kept);
    s->input_end += kept;
    return detached;
}

static void give_input(struct cli_streams *s) {
    ssize_t n = write(s->ours[0], s->input + s->input_at, s->input_end - s->input_at);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) { /* the container reads no more */
            close_end(s, 0);
            s->input_at = s->input_end = 0;
        }
        return;
    }
    s->input_at += (size_t)n;
    if (s->input_at == s->input_end)
        s->input_at = s->input_end = 0;
}

static bool carry_output(struct cli_streams *s, int i) {
    ssize_t n = read(s->ours[i], s->output, BUFFER);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0) {
        close_end(s, i);
        return true;
    }
    if (bh_write_all(i, s->output, (size_t)n) == 0)
        return true;
    s->unread = errno == EPIPE;
    s->lost_errno = errno;
    close_end(s, i);
    return false;
}

static bool outputs_open(const struct cli_streams *s) {
    return s->ours[1] >= 0 || s->ours[2] >= 0;
}

static bool input_wanted(const struct cli_streams *s) {
    return s->ours[0] >= 0 && !s->input_closed && s->input_end + 32768 + CLI_DETACH_MAX <= BUFFER;
}

enum cli_streams_end cli_streams_run(struct cli_streams *s, const struct cli_streams_peer *peer) {
    enum { IN_USER, IN_THEM, OUT, ERR, SIGNAL, WINCH, COUNT };
    struct bh_err err = BH_ERR_INIT;
    bool lost = false;
    int winch = -1;

    if (s->options.tty && isatty(0)) {
        if (cli_tty_raw(0, &err) != 0) {
            cli_fail(peer->ctx->out, &err);
            return CLI_STREAMS_FAILED;
        }
        s->raw = true;
        winch = cli_tty_winch_fd(&err);
    }
    if (s->ours[0] >= 0)
        bh_set_nonblock(s->ours[0], true);
    while (outputs_open(s)) {
        bool pending = s->input_end > s->input_at;
        struct pollfd p[COUNT] = {
            [IN_USER] = {.fd = input_wanted(s) ? 0 : -1, .events = POLLIN},
            [IN_THEM] = {.fd = s->ours[0], .events = pending ? POLLOUT : 0},
            [OUT] = {.fd = s->ours[1], .events = POLLIN},
            [ERR] = {.fd = s->ours[2], .events = POLLIN},
            [SIGNAL] = {.fd = s->signals, .events = POLLIN},
            [WINCH] = {.fd = winch, .events = POLLIN},
        };

        if (s->ours[0] >= 0 && s->input_closed && !pending) {
            close_end(s, 0); /* half-close: the container sees the end, its output goes on */
            continue;
        }
        if (poll(p, COUNT, -1) < 0) {
            if (errno == EINTR)
                continue;
            return CLI_STREAMS_FAILED;
        }
        if (p[SIGNAL].revents)
            pass_signal(s, peer);
        if (p[WINCH].revents) {
            cli_tty_winch_drain();
            cli_streams_resize(peer);
        }
        if (p[IN_USER].revents && take_input(s))
            return CLI_STREAMS_DETACHED;
        if (p[IN_THEM].revents & POLLERR)
            close_end(s, 0);
        else if (p[IN_THEM].revents & POLLOUT)
            give_input(s);
        if (p[OUT].revents)
            lost |= !carry_output(s, 1);
        if (s->ours[2] >= 0 && p[ERR].revents)
            lost |= !carry_output(s, 2);
        if (s->unread) { /* as with docker: `run .. | head` ends, and must not wait for what may never end */
            cli_failf(peer->ctx->out, CLI_EXIT_FAILED, "write the output: Broken pipe; the process goes on without us");
            return CLI_STREAMS_UNREAD;
        }
    }
    if (s->raw) {
        cli_tty_restore();
        s->raw = false;
    }
    if (!lost)
        return CLI_STREAMS_ENDED;
    cli_failf(peer->ctx->out, CLI_EXIT_FAILED, "write the output: %s", strerror(s->lost_errno));
    return CLI_STREAMS_FAILED;
}
