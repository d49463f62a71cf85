/*
 * live.c - see live.h.
 */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "layer/layer_check.h"
#include "proc/control.h"

#define BIN         BH_BINARY_DIR "/bin"
#define MONITOR_UID "268369925"
#define RUNTIME_UID "268369923"

bool live_possible(void) {
    return getuid() == 0 && access("/bin/busybox", X_OK) == 0 && access(BIN "/bulkhead-unpack", X_OK) == 0 &&
           (access("/usr/bin/crun", X_OK) == 0 || access("/usr/bin/runc", X_OK) == 0 ||
            access("/usr/sbin/runc", X_OK) == 0);
}

static void launch_exec(struct live *l, int control, int launch) {
    control = fcntl(control, F_DUPFD, 50);
    launch = fcntl(launch, F_DUPFD, 50);
    dup2(control, 3);
    dup2(launch, 4);
    close_range(5, ~0u, 0);
    execl(BIN "/bulkhead-launch", "bulkhead-launch", l->root, BIN,
          MONITOR_UID ":" MONITOR_UID ":" RUNTIME_UID ":" RUNTIME_UID, NULL);
    _exit(127);
}

void live_restart(struct live *l) {
    struct bh_control_simple ready = {0};
    int c[2], p[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, c), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p), 0);
    l->pid = fork();
    if (l->pid == 0)
        launch_exec(l, c[1], p[1]);
    close(c[1]);
    close(p[1]);
    l->control = c[0];
    l->launch = p[0];
    assert_int_equal(recv(l->control, &ready, sizeof(ready), 0), sizeof(ready));
    assert_int_equal(ready.type, BH_CONTROL_READY);
}

void live_start(struct live *l, const char *form) {
    const char *runtime = getenv("BH_TEST_RUNTIME");
    bool runc = runtime != NULL ? strcmp(runtime, "runc") == 0 : access("/usr/bin/crun", X_OK) != 0;

    *l = (struct live){.form = form, .oci = runc ? RT_OCI_RUNC : RT_OCI_CRUN, .seq = 1};
    snprintf(l->root, sizeof(l->root), "/tmp/bh-live-XXXXXX");
    assert_non_null(mkdtemp(l->root));
    chmod(l->root, 0711);
    live_restart(l);
}

void live_stop(struct live *l) {
    struct bh_control_simple stop = {.type = BH_CONTROL_STOP};
    int status;

    send(l->control, &stop, sizeof(stop), MSG_NOSIGNAL);
    assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
    assert_int_equal(status, 0);
    close(l->control);
    close(l->launch);
}

static void shell(const char *fmt, ...) {
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    assert_int_equal(system(line), 0);
}

void live_remove(struct live *l) {
    for (unsigned i = 0; i < l->n_layers; i++)
        close(l->layer[i]);
    shell("rm -rf --one-file-system %s", l->root);
}

/* ---- layers ----------------------------------------------------------------------------------- */

int live_add_tar(struct live *l, const char *path) {
    char file[128], proc[64];
    unsigned char params[112] = {0x31, 0x50, 0x4a, 0x42}; /* BH_JOB_PARAMS_MAGIC; everything else by default */
    struct bh_layer_header h;
    struct bh_err err = BH_ERR_INIT;
    int fds[5], status;
    pid_t pid;

    memset(params + 16, 0xff, 8); /* to the end of the file */
    snprintf(file, sizeof(file), "%s/layer-%u", l->root, l->n_layers);
    fds[0] = open(path, O_RDONLY);
    fds[1] = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
    fds[2] = open("/dev/null", O_RDWR);
    fds[3] = memfd_create("result", 0);
    fds[4] = memfd_create("params", 0);
    assert_int_equal(bh_write_all(fds[4], params, sizeof(params)), 0);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 5; i++)
            fds[i] = fcntl(fds[i], F_DUPFD, 50);
        for (int i = 0; i < 5; i++)
            dup2(fds[i], 4 + i);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* the leak checker wants what a worker may not do */
        execl(BIN "/bulkhead-unpack", "bulkhead-unpack", "layer", "5", NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    snprintf(proc, sizeof(proc), "%s", file);
    l->layer[l->n_layers] = open(proc, O_RDONLY | O_CLOEXEC);
    if (bh_layer_open(l->layer[l->n_layers], &h, &err) != 0) {
        close(l->layer[l->n_layers]);
        return err.code;
    }
    memcpy(l->diff_id[l->n_layers++], h.diff_id, 32);
    return 0;
}

void live_add_folder(struct live *l, const char *folder) {
    char path[128];

    snprintf(path, sizeof(path), "%s/x.tar", l->root);
    shell("tar --sort=name --xattrs --xattrs-include='*' --numeric-owner -C %s -cf %s .", folder, path);
    assert_int_equal(live_add_tar(l, path), 0);
    unlink(path);
}

void live_busybox(struct live *l) {
    char dir[96];

    snprintf(dir, sizeof(dir), "%s/bb", l->root);
    shell("mkdir -p %s/bin %s/etc %s/tmp %s/home/web && cp /bin/busybox %s/bin/busybox && %s/bin/busybox --install -s "
          "%s/bin && "
          "for f in %s/bin/*; do [ -L $f ] && ln -sf busybox $f; done; chmod 1777 %s/tmp; chmod 4755 %s/bin/busybox; "
          "printf 'root:x:0:0:root:/root:/bin/sh\\nweb:x:33:33:web:/home/web:/bin/sh\\n' > %s/etc/passwd; "
          "printf 'root:x:0:\\nweb:x:33:\\nextra:x:44:web\\n' > %s/etc/group; echo old > %s/etc/old; echo two > "
          "%s/etc/two",
          dir, dir, dir, dir, dir, dir, dir, dir, dir, dir, dir, dir, dir, dir);
    live_add_folder(l, dir);
}

/* ---- requests --------------------------------------------------------------------------------- */

uint64_t live_send(struct live *l, struct rt_launch_request *q, const int *fds, unsigned n_fds) {
    struct bh_err err = BH_ERR_INIT;

    q->version = RT_LAUNCH_VERSION;
    q->oci = l->oci;
    q->flags |= strcmp(l->form, "extracted") == 0 ? RT_LAUNCH_EXTRACTED : 0;
    q->seq = l->seq++;
    assert_int_equal(bh_fdpass_send(l->launch, q, sizeof(*q), fds, n_fds, &err), 0);
    return q->seq;
}

/* Replies that came before the one asked for are kept for their own question. */
void live_reply(struct live *l, uint64_t seq, struct rt_launch_reply *out) {
    static struct rt_launch_reply early[16];

    for (unsigned i = 0; i < 16; i++)
        if (early[i].seq == seq) {
            *out = early[i];
            early[i].seq = 0;
            return;
        }
    for (;;) {
        assert_int_equal(recv(l->launch, out, sizeof(*out), 0), sizeof(*out));
        if (out->seq == seq)
            return;
        for (unsigned i = 0; i < 16; i++)
            if (early[i].seq == 0) {
                early[i] = *out;
                break;
            }
    }
}

void live_request(struct live *l, struct rt_launch_request *q, const int *fds, unsigned n_fds,
                  struct rt_launch_reply *out) {
    live_reply(l, live_send(l, q, fds, n_fds), out);
}

void live_simple(struct live *l, enum rt_launch_type type, const char *id, int arg, unsigned flags,
                 struct rt_launch_reply *out) {
    struct rt_launch_request q = {.type = type, .arg = arg, .flags = flags};

    snprintf(q.id, sizeof(q.id), "%s", id);
    live_request(l, &q, NULL, 0, out);
}

static int spec_file(const struct rt_spec *spec) {
    struct bh_buf b;
    struct bh_err err = BH_ERR_INIT;
    int fd = memfd_create("spec", MFD_CLOEXEC);

    assert_int_equal(rt_spec_encode(spec, &b, &err), 0);
    assert_int_equal(bh_write_all(fd, b.data, b.len), 0);
    bh_buf_fini(&b);
    return fd;
}

static uint64_t start(struct live *l, const char *id, const char *exec_id, const struct rt_spec *spec,
                      const int *stdio) {
    struct rt_launch_request q = {.type = exec_id[0] != 0 ? RT_LAUNCH_EXEC : RT_LAUNCH_START};
    int fds[RT_MAX_FDS];
    unsigned n = 0;
    uint64_t seq;

    snprintf(q.id, sizeof(q.id), "%s", id);
    snprintf(q.exec_id, sizeof(q.exec_id), "%s", exec_id);
    fds[n++] = spec_file(spec);
    for (unsigned i = 0; exec_id[0] == 0 && i < l->n_layers; i++) {
        fds[n++] = l->layer[i];
        memcpy(q.diff_ids[i], l->diff_id[i], 32);
        q.n_layers++;
    }
    for (int i = 0; stdio != NULL && i < 3; i++)
        if (stdio[i] >= 0) {
            fds[n++] = stdio[i];
            q.stdio |= 1u << i;
            q.n_stdio++;
        }
    seq = live_send(l, &q, fds, n);
    close(fds[0]);
    return seq;
}

void live_detached(struct live *l, const char *id, const struct rt_spec *spec, struct rt_launch_reply *out) {
    live_reply(l, start(l, id, "", spec, NULL), out);
}

void live_parallel(struct live *l, unsigned first, unsigned n, const struct rt_spec *spec) {
    uint64_t seq[64];

    for (unsigned i = 0; i < n; i++)
        seq[i] = start(l, live_id(first + i), "", spec, NULL);
    for (unsigned i = 0; i < n; i++) {
        struct rt_launch_reply reply;

        live_reply(l, seq[i], &reply);
        if (reply.code != 0)
            print_message("start: %s\n", reply.msg);
        assert_int_equal(reply.code, 0);
    }
}

int live_connect(struct live *l, const char *id, const char *exec_id) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char dir[128], cwd[128];
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int r;

    /* a path longer than an address: by way of the working directory */
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    snprintf(dir, sizeof(dir), "%s/run/monitor", l->root);
    assert_int_equal(chdir(dir), 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s.sock", exec_id[0] != 0 ? exec_id : id);
    r = connect(fd, (struct sockaddr *)&a, sizeof(a));
    assert_int_equal(chdir(cwd), 0);
    if (r != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void live_wait(int monitor, struct rt_monitor_state *out) {
    struct rt_monitor_request q = {.type = RT_MONITOR_WATCH};

    assert_int_equal(send(monitor, &q, sizeof(q), MSG_NOSIGNAL), sizeof(q));
    do
        assert_int_equal(recv(monitor, out, sizeof(*out), 0), sizeof(*out));
    while (out->type != RT_MONITOR_STATE || out->phase != RT_MONITOR_EXITED);
}

/* Feeds stdin and collects both outputs at once, so that no pipe can block the other. */
static void pump(int in, const char *data, size_t n, int *outs, struct live_run *r) {
    struct bh_buf b[2] = {BH_BUF_INIT_MAX((size_t)256 << 20), BH_BUF_INIT_MAX((size_t)256 << 20)};

    if (in >= 0)
        bh_set_nonblock(in, true);
    while (outs[0] >= 0 || outs[1] >= 0) {
        struct pollfd p[3] = {{outs[0], POLLIN, 0}, {outs[1], POLLIN, 0}, {in, POLLOUT, 0}};

        assert_true(poll(p, 3, 60000) > 0);
        for (int i = 0; i < 2; i++)
            if (outs[i] >= 0 && p[i].revents != 0) {
                ssize_t got = read(outs[i], bh_buf_room(&b[i], 65536), 65536);

                if (got > 0) {
                    bh_buf_grew(&b[i], (size_t)got);
                } else {
                    close(outs[i]);
                    outs[i] = -1;
                }
            }
        if (in >= 0 && p[2].revents != 0) {
            ssize_t put = n > 0 ? write(in, data, n) : 0;

            if (put > 0) {
                data += put;
                n -= (size_t)put;
            }
            if (n == 0 || (put < 0 && errno != EAGAIN)) {
                close(in);
                in = -1;
            }
        }
    }
    if (in >= 0)
        close(in);
    r->n_out = b[0].len;
    r->n_err = b[1].len;
    r->out = bh_buf_take(&b[0]);
    r->err = bh_buf_take(&b[1]);
}

void live_run(struct live *l, const char *id, const char *exec_id, const struct rt_spec *spec, const void *in,
              size_t n_in, struct live_run *r) {
    int p[3][2], stdio[3], outs[2], monitor;
    uint64_t seq;

    *r = (struct live_run){0};
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pipe2(p[i], O_CLOEXEC), 0);
    stdio[0] = spec->flags & RT_OPEN_STDIN ? p[0][0] : -1;
    stdio[1] = p[1][1];
    stdio[2] = spec->flags & RT_TTY ? -1 : p[2][1];
    seq = start(l, id, exec_id, spec, stdio);
    close(p[0][0]);
    close(p[1][1]);
    close(p[2][1]);
    outs[0] = p[1][0];
    outs[1] = p[2][0];
    live_reply(l, seq, &r->reply);
    monitor = r->reply.code == 0 ? live_connect(l, id, exec_id) : -1;
    if (stdio[0] < 0)
        close(p[0][1]);
    pump(stdio[0] >= 0 ? p[0][1] : -1, in, n_in, outs, r);
    if (r->reply.code != 0)
        return;
    assert_true(monitor >= 0);
    live_wait(monitor, &r->state);
    close(monitor);
}

void live_run_free(struct live_run *r) {
    free(r->out);
    free(r->err);
    *r = (struct live_run){0};
}

char *live_tree(struct live *l, const char *id, enum rt_tree_mode mode, size_t *out_n, struct rt_launch_reply *reply) {
    struct rt_launch_request q = {.type = RT_LAUNCH_TREE, .arg = mode};
    int out = memfd_create("tree", MFD_CLOEXEC);
    int fds[RT_MAX_FDS] = {out};
    struct stat st;
    char *text;

    snprintf(q.id, sizeof(q.id), "%s", id);
    for (unsigned i = 0; i < l->n_layers; i++) {
        fds[1 + i] = l->layer[i];
        memcpy(q.diff_ids[i], l->diff_id[i], 32);
    }
    q.n_layers = l->n_layers;
    live_request(l, &q, fds, 1 + l->n_layers, reply);
    assert_int_equal(fstat(out, &st), 0);
    text = bh_xcalloc(1, (size_t)st.st_size + 1);
    assert_int_equal(bh_pread_full(out, text, (size_t)st.st_size, 0), st.st_size);
    *out_n = (size_t)st.st_size;
    close(out);
    return text;
}

struct rt_spec live_sh(char *script) {
    static char *args[3];
    static char *env[] = {"PATH=/bin"};

    args[0] = "/bin/sh";
    args[1] = "-c";
    args[2] = script;
    return (struct rt_spec){.flags = RT_KEEP_LOG,
                            .args = {args, 3},
                            .env = {env, 1},
                            .cwd = "/",
                            .user = "",
                            .caps = 0xa80425fb,
                            .hostname = "box",
                            .domainname = "",
                            .seccomp_profile = ""};
}

const char *live_id(unsigned n) {
    static char id[4][RT_ID_SIZE];
    static unsigned at;
    char *p = id[at++ % 4];

    snprintf(p, RT_ID_SIZE, "%064x", n);
    return p;
}
