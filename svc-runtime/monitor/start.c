/*
 * start.c - makes the streams of a process, calls the OCI runtime, and learns the pid.
 *
 * Room: monitor, while it is still root and in the mount namespace that launch made for this one
 * container.  It trusts its orders (launch wrote them) and nothing that comes out of the container;
 * of the OCI runtime it takes a pid file, a terminal and, on failure, text.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"
#include "monitor.h"

#define RUNTIME_PATIENCE_MS 60000
#define PIPE_SIZE           (256 << 10)

/* A pipe whose inode belongs to the container's root, so that /dev/stdout can be opened in there. */
static int stream_pipe(const struct monitor *m, int *out_ours, int *out_theirs, bool they_read, struct bh_err *err) {
    int p[2];

    if (pipe2(p, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe for the container");
    fcntl(p[0], F_SETPIPE_SZ, PIPE_SIZE); /* a wish: the user's quota of pipe pages may be used up */
    if (fchown(p[0], m->orders.container_uid, m->orders.container_uid) != 0 ||
        bh_set_nonblock(they_read ? p[1] : p[0], true) != 0) {
        int e = errno;

        close(p[0]);
        close(p[1]);
        return bh_err_errno(err, e, "set up a pipe for the container");
    }
    *out_ours = they_read ? p[1] : p[0];
    *out_theirs = they_read ? p[0] : p[1];
    return 0;
}

/* By a read-only mount of its own: crun 1.8 gives what it is handed as 0, 1 and 2 to the container's root, and that
 * would be the host's /dev/null. */
static int open_null(int *out, struct bh_err *err) {
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
    /* of the file, not of /dev: in a container it is often a mount itself */
    BH_SCOPE_CLOSE int own = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
    if (own < 0 || syscall(SYS_mount_setattr, own, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) != 0 ||
        (*out = open(path, O_RDWR | O_CLOEXEC)) < 0)
        return bh_err_errno(err, errno, "open /dev/null for the container");
    return 0;
}

/* theirs[0..2]: what the runtime, and through it the container, gets as 0, 1 and 2. */
static int make_streams(struct monitor *m, int theirs[3], struct bh_err *err) {
    int r = 0;

    if (m->tty) {
        for (int i = 0; i < 3 && r == 0; i++)
            r = open_null(&theirs[i], err);
        return r;
    }
    if (m->orders.flags & RT_OPEN_STDIN)
        r = stream_pipe(m, &m->in, &theirs[0], true, err);
    else
        r = open_null(&theirs[0], err);
    if (r == 0)
        r = stream_pipe(m, &m->out[0], &theirs[1], false, err);
    if (r == 0)
        r = stream_pipe(m, &m->out[1], &theirs[2], false, err);
    return r;
}

static int console_listen(const struct monitor *m, int *out, struct bh_err *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || !bh_str_copy(a.sun_path, sizeof(a.sun_path), m->orders.console_path))
        return bh_err_errno(err, fd < 0 ? errno : ENAMETOOLONG, "make the socket for the terminal");
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 1) != 0)
        return bh_err_errno(err, errno, "bind %s", m->orders.console_path);
    *out = bh_take_fd(&fd);
    return 0;
}

/* Whoever sent the master is done; it is in the queue. */
int mon_terminal_take(struct monitor *m, int from, struct bh_err *err) {
    struct winsize ws = {.ws_row = (unsigned short)m->orders.rows, .ws_col = (unsigned short)m->orders.cols};
    char name[4096];
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {name, sizeof(name)};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *cm;
    int fd;

    if (recvmsg(from, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
        return bh_err_errno(err, errno, "receive the terminal of the process");
    cm = CMSG_FIRSTHDR(&h);
    if (cm == NULL || cm->cmsg_type != SCM_RIGHTS || cm->cmsg_len != CMSG_LEN(sizeof(int)))
        return bh_err_set(err, BH_E_INTERNAL, "the process has sent no terminal");
    memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
    bh_set_nonblock(fd, true);
    if (ws.ws_row != 0 && ws.ws_col != 0)
        ioctl(fd, TIOCSWINSZ, &ws);
    m->out[0] = fd;
    m->in = m->orders.flags & RT_OPEN_STDIN ? fd : -1;
    return 0;
}

static _Noreturn void child_exec(const struct monitor *m, const int theirs[3]) {
    char *argv[RT_MONITOR_MAX_ARGS + 1];
    const char *p = m->orders.argv;
    sigset_t none;
    uint32_t n;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    for (int i = 0; i < 3; i++)
        if (dup2(theirs[i], i) < 0)
            _exit(125);
    close_range(3, ~0u, 0);
    for (n = 0; n < m->orders.argc && n < RT_MONITOR_MAX_ARGS; n++) {
        argv[n] = (char *)p;
        p += strlen(p) + 1;
    }
    argv[n] = NULL;
    execvp(argv[0], argv); /* in the PATH that launch gave, with nothing else in the environment */
    _exit(errno == ENOENT ? 127 : 125);
}

static int wait_runtime(pid_t child, int *out_status, struct bh_err *err) {
    BH_SCOPE_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    bool late = pidfd >= 0 && poll(&p, 1, RUNTIME_PATIENCE_MS) == 0;

    if (late)
        kill(child, SIGKILL);
    while (waitpid(child, out_status, 0) < 0)
        if (errno != EINTR)
            return bh_err_errno(err, errno, "wait for the OCI runtime");
    return late ? bh_err_set(err, BH_E_DEADLINE, "the OCI runtime did not answer for 60 s and was ended") : 0;
}

static int explain_failure(const struct monitor *m, int status, int *out_hint, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;

    if (bh_file_read(AT_FDCWD, m->orders.log_path, 65536, &text, &ignored) != 0)
        bh_buf_init(&text, 16);
    if (text.len == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return bh_err_set(err, BH_E_UNAVAILABLE, "%s is not installed", m->orders.argv);
    return mon_runtime_failed(bh_buf_str(&text), m->orders.program, out_hint, err);
}

static int read_pid(struct monitor *m, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    uint64_t pid;
    int r = bh_file_read(AT_FDCWD, m->orders.pid_path, 64, &text, err);

    if (r != 0)
        return bh_err_prefix(err, "the OCI runtime's pid file");
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = 0;
    if (!bh_str_u64(bh_buf_str(&text), &pid) || pid < 2 || pid > INT32_MAX)
        return bh_err_set(err, BH_E_INTERNAL, "the OCI runtime's pid file holds no pid");
    m->pid = (pid_t)pid;
    return 0;
}

/* The file that counts kills by the kernel for want of memory; stays readable after the rights are gone. */
static int open_oom(pid_t pid) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT;
    char path[512];
    char *save = NULL;

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    if (bh_file_read(AT_FDCWD, path, 65536, &text, &ignored) != 0 || text.len == 0)
        return -1;
    for (char *line = strtok_r(text.data, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        bool v2 = strncmp(line, "0::", 3) == 0;
        char *at = strstr(line, ":memory:");

        if ((!v2 && at == NULL) || strstr(line, "/bulkhead/") == NULL)
            continue;
        snprintf(path, sizeof(path), "/sys/fs/cgroup%s%s/%s", v2 ? "" : "/memory", v2 ? line + 3 : at + 8,
                 v2 ? "memory.events" : "memory.oom_control");
        return open(path, O_RDONLY | O_CLOEXEC);
    }
    return -1;
}

static int open_stat(pid_t pid) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int learn(struct monitor *m, struct bh_err *err) {
    struct rt_pid_record record = {.pid = m->pid, .start_ticks = rt_pid_ticks(m->pid)};

    m->oom_fd = open_oom(m->pid);
    m->stat_fd = m->orders.filter[0] == 0 ? open_stat(m->pid) : -1;
    m->state = (struct rt_monitor_state){.type = RT_MONITOR_STATE,
                                         .phase = RT_MONITOR_RUNNING,
                                         .pid = m->pid,
                                         .tty = m->tty,
                                         .pid_start_ticks = record.start_ticks,
                                         .started_ns = bh_now_ns()};
    return bh_file_replace(RT_MFD_RECORD, m->orders.record_name, &record, sizeof(record), 0600, false, err);
}

static int run_runtime(struct monitor *m, const int theirs[3], int *out_hint, struct bh_err *err) {
    BH_SCOPE_CLOSE int console = -1, terminal = -1;
    int status = 0;

    if (m->tty && console_listen(m, &console, err) != 0)
        return err->code;
    pid_t child = fork();
    if (child == 0)
        child_exec(m, theirs);
    if (child < 0)
        return bh_err_errno(err, errno, "fork the OCI runtime");
    if (wait_runtime(child, &status, err) != 0)
        return err->code;
    if (status != 0)
        return explain_failure(m, status, out_hint, err);
    if (read_pid(m, err) != 0 || !m->tty)
        return err->code;
    terminal = accept4(console, NULL, NULL, SOCK_CLOEXEC);
    return mon_terminal_take(m, terminal, err);
}

int mon_start(struct monitor *m, int *out_hint, struct bh_err *err) {
    int theirs[3] = {-1, -1, -1};
    int r;

    *out_hint = 125;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return bh_err_errno(err, errno, "become the parent of orphans");
    r = make_streams(m, theirs, err);
    if (r == 0)
        r = (m->orders.filter[0] != 0 ? mon_enter : run_runtime)(m, theirs, out_hint, err);
    bh_fdpass_close(theirs, 3);
    return r != 0 ? r : learn(m, err);
}
