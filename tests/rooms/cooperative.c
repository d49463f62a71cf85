/*
 * cooperative.c - a store and a worker that exercise the supervisor's side of the control channel.
 *
 * Test only.  As bulkhead-store it runs through the list in main and says one line for each step on
 * standard error: `step=NAME ok=yes|NO note=..`.  As bulkhead-unpack it does the job that it is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "proc/room.h"

static void step(const char *name, bool ok, const char *note) {
    char line[300];
    int n = snprintf(line, sizeof line, "step=%s ok=%s note=%s\n", name, ok ? "yes" : "NO", note);

    if (write(2, line, (size_t)n) < 0)
        _exit(3);
}

/* ---- the worker ------------------------------------------------------------------------------ */

static void echo(void) {
    char bytes[4096];
    ssize_t n;

    while ((n = read(4, bytes, sizeof bytes)) > 0) {
        if (bh_write_all(5, bytes, (size_t)n) < 0)
            _exit(1);
    }
}

static _Noreturn void be_worker(char **argv) {
    struct bh_err err = BH_ERR_INIT;
    const char *job = argv[1];

    if (bh_worker_confine((unsigned)atoi(argv[2]), (uint64_t)256 << 20, (const char *const[]){NULL}, &err) < 0)
        _exit(100);
    if (strcmp(job, "echo") == 0)
        echo();
    if (strcmp(job, "exit3") == 0)
        _exit(3);
    if (strcmp(job, "crash") == 0)
        raise(SIGSEGV); /* reaches the default action: nothing is caught in a worker */
    while (strcmp(job, "sleep") == 0)
        nanosleep(&(struct timespec){1, 0}, NULL);
    for (volatile unsigned i = 0; strcmp(job, "spin") == 0; i++)
        ;
    if (strcmp(job, "big") == 0 && bh_write_all(4, (char[65536]){0}, 65536) < 0)
        _exit(errno == EFBIG ? 27 : 1);
    if (strcmp(job, "count") == 0) /* 4 and 5 are open, 3 and 6 are not */
        _exit(fcntl(4, F_GETFD) >= 0 && fcntl(5, F_GETFD) >= 0 && fcntl(3, F_GETFD) < 0 && fcntl(6, F_GETFD) < 0 ? 0
                                                                                                                 : 1);
    _exit(0);
}

/* ---- the store ------------------------------------------------------------------------------- */

static int run(struct bh_control *c, const char *job, const int *fds, unsigned n, uint32_t cpu, uint64_t size, int ms,
               int *out_status) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_worker *w;
    int rc = bh_worker_spawn(c, job, fds, n, cpu, size, &w, &err);

    if (rc == 0)
        rc = bh_worker_wait(w, ms, out_status, &err);
    return rc;
}

static void try_echo(struct bh_control *c) {
    char back[16] = "";
    int in[2], out[2], status = -1;

    if (pipe(in) < 0 || pipe(out) < 0 || write(in[1], "hello", 5) != 5)
        _exit(3);
    close(in[1]);
    int rc = run(c, "echo", (const int[]){in[0], out[1]}, 2, 0, 0, 20000, &status);
    close(out[1]);
    ssize_t n = bh_read_full(out[0], back, sizeof back - 1);
    step("echo", rc == 0 && status == 0 && n == 5 && strcmp(back, "hello") == 0, back);
    rc = run(c, "count", (const int[]){in[0], out[0]}, 2, 0, 0, 20000, &status);
    step("descriptors", rc == 0 && status == 0, "4,5");
}

static void try_statuses(struct bh_control *c) {
    int status = -1;

    int rc = run(c, "exit3", NULL, 0, 0, 0, 20000, &status);
    step("exit-status", rc == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 3, "3");
    rc = run(c, "sleep", NULL, 0, 0, 0, 300, &status);
    step("time-out", rc == BH_E_DEADLINE, "killed");
    rc = run(c, "spin", NULL, 0, 1, 0, 20000, &status);
    step("cpu-limit", rc == 0 && WIFSIGNALED(status), "signal");
    rc = run(c, "Bad Name", NULL, 0, 0, 0, 20000, &status);
    step("bad-job", rc == BH_E_INVALID, "refused");
}

static void try_file_size(struct bh_control *c) {
    int fd = open(BH_ROOM_STATE "/big", O_RDWR | O_CREAT, 0600), status = -1;
    int rc = run(c, "big", &fd, 1, 0, 1000, 20000, &status);

    /* SIGXFSZ is blocked in a worker, so it sees EFBIG. */
    step("file-size", fd >= 0 && rc == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 27, "EFBIG");
    close(fd);
    unlink(BH_ROOM_STATE "/big");
}

static void try_many(struct bh_control *c) {
    struct bh_worker *w[80];
    struct bh_err err = BH_ERR_INIT;
    unsigned n = 0;
    int status, rc = 0;

    while (n < BH_ARRAY_LEN(w) && (rc = bh_worker_spawn(c, "sleep", NULL, 0, 0, 0, &w[n], &err)) == 0)
        n++;
    step("too-many", rc < 0 && n == 64, err.msg);
    for (unsigned i = 0; i < n; i++)
        bh_worker_kill(w[i]);
    bool all = true;
    for (unsigned i = 0; i < n; i++)
        all = bh_worker_wait(w[i], 20000, &status, &err) == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
              all;
    step("kill-all", all, "64");
}

static void leave_orphans(struct bh_control *c) {
    struct bh_worker *w;
    struct bh_err err = BH_ERR_INIT;

    for (unsigned i = 0; i < 3; i++) {
        if (bh_worker_spawn(c, "sleep", NULL, 0, 0, 0, &w, &err) < 0)
            step("orphans", false, err.msg);
    }
    step("orphans", true, "3");
}

static volatile int stop_asked;
static char reloaded[64];

static void on_stop(void *arg) {
    (void)arg;
    stop_asked = 1;
}

static void on_reload(void *arg, int fd) {
    (void)arg;
    ssize_t n = pread(fd, reloaded, sizeof reloaded - 1, 0);
    close(fd);
    reloaded[strcspn(reloaded, "\n")] = '\0';
    step("reload", n > 0, reloaded);
}

int main(int argc, char **argv) {
    static const struct bh_room_spec spec = {.name = "store", .state = true};
    static struct bh_room room;
    struct bh_err err = BH_ERR_INIT;

    if (strcmp(argv[0], "bulkhead-unpack") == 0)
        be_worker(argv);
    if (bh_room_begin(&room, &spec, argc, argv, &err) < 0 || bh_room_confine(&room, &err) < 0 ||
        bh_room_ready(&room, on_stop, on_reload, NULL, &err) < 0)
        bh_room_end(&room, &err);
    if (strstr(bh_buf_str(&room.config), "work = \"yes\"")) {
        try_echo(room.control);
        try_statuses(room.control);
        try_file_size(room.control);
        try_many(room.control);
        leave_orphans(room.control);
        step("end", true, "-");
    }
    while (!stop_asked)
        usleep(20000);
    bh_room_end(&room, &err);
}
