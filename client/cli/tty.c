/*
 * tty.c - raw mode and window size of the caller's terminal; see tty.h.
 *
 * Room: client.  The handlers only call what a signal handler may call: tcsetattr, write, raise.
 */
#include "cli/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"

static struct termios saved;
static volatile sig_atomic_t raw_fd = -1;
static int winch_pipe[2] = {-1, -1};

void cli_tty_restore(void) {
    int fd = raw_fd;

    if (fd < 0)
        return;
    raw_fd = -1;
    tcsetattr(fd, TCSADRAIN, &saved);
}

static void on_deadly(int sig) {
    int fd = raw_fd;

    if (fd >= 0)
        tcsetattr(fd, TCSANOW, &saved);
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Only signals that nobody else handles. */
static void catch_deadly(void) {
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

    for (size_t i = 0; i < BH_ARRAY_LEN(signals); i++) {
        struct sigaction now, ours = {.sa_handler = on_deadly};

        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL && !(now.sa_flags & SA_SIGINFO))
            sigaction(signals[i], &ours, NULL);
    }
}

int cli_tty_raw(int fd, struct bh_err *err) {
    static bool at_exit;
    struct termios raw;

    if (raw_fd >= 0)
        cli_tty_restore();
    if (tcgetattr(fd, &saved) < 0)
        return bh_err_errno(err, errno, "read the settings of the terminal");
    raw = saved;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (!at_exit)
        atexit(cli_tty_restore);
    at_exit = true;
    catch_deadly();
    raw_fd = fd;
    if (tcsetattr(fd, TCSADRAIN, &raw) < 0) {
        raw_fd = -1;
        return bh_err_errno(err, errno, "set the terminal to raw mode");
    }
    return 0;
}

bool cli_tty_size(int fd, struct cli_tty_size *out) {
    struct winsize ws;

    *out = (struct cli_tty_size){24, 80};
    if (ioctl(fd, TIOCGWINSZ, &ws) < 0 || (ws.ws_row == 0 && ws.ws_col == 0))
        return false;
    *out = (struct cli_tty_size){ws.ws_row, ws.ws_col};
    return true;
}

static void on_winch(int sig) {
    int was = errno;

    (void)sig;
    (void)!write(winch_pipe[1], "w", 1); /* a full pipe already says it */
    errno = was;
}

int cli_tty_winch_fd(struct bh_err *err) {
    struct sigaction ours = {.sa_handler = on_winch, .sa_flags = SA_RESTART};

    if (winch_pipe[0] >= 0)
        return winch_pipe[0];
    if (pipe2(winch_pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        bh_err_errno(err, errno, "make a pipe for window changes");
        return -1;
    }
    if (sigaction(SIGWINCH, &ours, NULL) < 0) {
        bh_err_errno(err, errno, "watch window changes");
        return -1;
    }
    return winch_pipe[0];
}

void cli_tty_winch_drain(void) {
    char bytes[64];

    while (winch_pipe[0] >= 0 && read(winch_pipe[0], bytes, sizeof bytes) > 0)
        ;
}

int cli_tty_need(int fd, bool want_tty, bool want_stdin, struct bh_err *err) {
    if (!want_tty || !want_stdin || isatty(fd))
        return 0;
    bh_err_set(err, BH_E_INVALID, "the input device is not a TTY");
    return bh_err_hint(err, "leave out -t, or run it from a terminal");
}
