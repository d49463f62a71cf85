/*
 * rpc_bench.c - what a call costs, beside a bare AF_UNIX round trip and a bare AF_UNIX stream in the
 * same run.
 *
 *   rpc_bench [ROUNDS]
 *
 * The service is another process (rpc_echo_server), the bare peers are threads of this one.  Prints
 * the machine, then each figure's median, lowest and highest over the rounds.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "echo.h"

#define CALLS       5000
#define STREAM_SIZE ((uint64_t)1 << 30)
#define CHUNK       (1u << 20)
#define CLIENTS     1000
#define ROUNDS_MAX  15

typedef Bulkhead__Test__V1__EchoRequest request;

struct figure {
    const char *name, *unit;
    double v[ROUNDS_MAX];
    unsigned n;
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double middle(double *v, size_t n) {
    qsort(v, n, sizeof *v, by_value);
    return v[n / 2];
}

static void print_figure(struct figure *f) {
    double m = middle(f->v, f->n);

    printf("  %-44s %9.2f %-5s (%.2f .. %.2f)\n", f->name, m, f->unit, f->v[0], f->v[f->n - 1]);
}

static void add(struct figure *f, double v) {
    if (f->n < ROUNDS_MAX)
        f->v[f->n++] = v;
}

static void die(const char *what, const struct bh_err *err) {
    fprintf(stderr, "rpc_bench: %s: %s\n", what, err->msg);
    exit(1);
}

/* ---- bare sockets ------------------------------------------------------------------------ */

static void *bounce(void *arg) {
    int fd = *(int *)arg;
    char buf[64];
    ssize_t n;

    while ((n = read(fd, buf, sizeof buf)) > 0)
        (void)!write(fd, buf, (size_t)n);
    return NULL;
}

static double bare_round_trip(void) {
    double *v = bh_xcalloc(CALLS, sizeof *v), m;
    int p[2];
    pthread_t id;
    char buf[64] = "";

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) != 0)
        exit(1);
    pthread_create(&id, NULL, bounce, &p[1]);
    for (unsigned i = 0; i < CALLS; i++) {
        int64_t t = bh_mono_ns();

        (void)!write(p[0], buf, 32);
        (void)!read(p[0], buf, 32);
        v[i] = (double)(bh_mono_ns() - t) / 1000;
    }
    close(p[0]);
    pthread_join(id, NULL);
    close(p[1]);
    m = middle(v, CALLS);
    free(v);
    return m;
}

static void *pour(void *arg) {
    int fd = *(int *)arg;
    char *buf = bh_xcalloc(1, CHUNK);

    for (uint64_t left = STREAM_SIZE; left > 0; left -= CHUNK) {
        size_t off = 0;

        while (off < CHUNK) {
            ssize_t n = write(fd, buf + off, CHUNK - off);

            if (n <= 0)
                exit(1);
            off += (size_t)n;
        }
    }
    free(buf);
    close(fd);
    return NULL;
}

static double rate(uint64_t bytes, int64_t ns) {
    return (double)bytes / 1e6 / ((double)ns / 1e9);
}

/* The reader looks at every page, as a reader that does something with the bytes would. */
static unsigned look(const uint8_t *p, size_t n) {
    unsigned sum = 0;

    for (size_t i = 0; i < n; i += 64)
        sum += p[i];
    return sum;
}

static double bare_stream(void) {
    uint8_t *buf = bh_xcalloc(1, CHUNK);
    volatile unsigned sink = 0;
    uint64_t got = 0;
    int p[2];
    pthread_t id;
    int64_t t = bh_mono_ns();
    ssize_t n;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) != 0)
        exit(1);
    pthread_create(&id, NULL, pour, &p[1]);
    while ((n = read(p[0], buf, CHUNK)) > 0) {
        sink += look(buf, (size_t)n);
        got += (uint64_t)n;
    }
    t = bh_mono_ns() - t;
    pthread_join(id, NULL);
    close(p[0]);
    free(buf);
    return got == STREAM_SIZE ? rate(got, t) : 0;
}

/* ---- calls ------------------------------------------------------------------------------- */

static double empty_call(struct bh_conn *c, double *out_p99) {
    double *v = bh_xcalloc(CALLS, sizeof *v), m;
    struct bh_err err = BH_ERR_INIT;

    for (unsigned i = 0; i < CALLS; i++) {
        int64_t t = bh_mono_ns();

        if (echo_say(c, ECHO_METHOD("Say"), "", 30000, 0, &err) != 0)
            die("call", &err);
        v[i] = (double)(bh_mono_ns() - t) / 1000;
    }
    m = middle(v, CALLS);
    *out_p99 = v[CALLS * 99 / 100];
    free(v);
    return m;
}

static double call_stream(struct bh_conn *c) {
    request q = BULKHEAD__TEST__V1__ECHO_REQUEST__INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_stream *s;
    volatile unsigned sink = 0;
    uint64_t got = 0;
    int64_t t = bh_mono_ns();
    const void *data;
    size_t n;

    q.count = STREAM_SIZE / CHUNK;
    q.ms = CHUNK; /* size of a chunk */
    if (bh_stream_open(c, ECHO_METHOD("Count"), &q.base, NULL, &s, &err) != 0)
        die("stream", &err);
    for (;;) {
        if (bh_stream_recv(s, &data, &n, &err) != 0)
            die("stream", &err);
        if (data == NULL)
            break;
        sink += look(data, n);
        got += n;
    }
    if (bh_stream_finish(s, NULL, NULL, &err) != 0 || got != STREAM_SIZE)
        die("stream", &err);
    t = bh_mono_ns() - t;
    bh_stream_free(s);
    return rate(got, t);
}

static double upload(struct bh_conn *c) {
    request q = BULKHEAD__TEST__V1__ECHO_REQUEST__INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_stream *s;
    char *buf = bh_xcalloc(1, CHUNK);
    int64_t t = bh_mono_ns();

    if (bh_stream_open(c, ECHO_METHOD("Sum"), &q.base, NULL, &s, &err) != 0)
        die("upload", &err);
    for (uint64_t left = STREAM_SIZE; left > 0; left -= CHUNK) {
        if (bh_stream_send(s, buf, CHUNK, &err) != 0)
            die("upload", &err);
    }
    if (bh_stream_finish(s, NULL, NULL, &err) != 0)
        die("upload", &err);
    t = bh_mono_ns() - t;
    bh_stream_free(s);
    free(buf);
    return rate(STREAM_SIZE, t);
}

/* A call with one descriptor each way. */
static double fd_call(struct bh_conn *c) {
    enum { N = 1000 };
    double *v = bh_xcalloc(N, sizeof *v), m;
    struct bh_stream_options o = {.announce_fds = true, .expect_fds = true};
    struct bh_err err = BH_ERR_INIT;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (unsigned i = 0; i < N; i++) {
        request q = BULKHEAD__TEST__V1__ECHO_REQUEST__INIT;
        struct bh_stream *s;
        int back[4];
        unsigned n;
        int64_t t = bh_mono_ns();

        q.count = 1;
        if (bh_stream_open(c, ECHO_METHOD("Fds"), &q.base, &o, &s, &err) != 0 ||
            bh_stream_send_fds(s, &null, 1, &err) != 0 || bh_stream_recv_fds(s, back, 4, &n, &err) != 0 ||
            bh_stream_finish(s, NULL, NULL, &err) != 0)
            die("descriptors", &err);
        v[i] = (double)(bh_mono_ns() - t) / 1000;
        close(back[0]);
        bh_stream_free(s);
    }
    close(null);
    m = middle(v, N);
    free(v);
    return m;
}

/* ---- memory ------------------------------------------------------------------------------ */

static double pss_mb(pid_t pid) {
    char path[64], line[128];
    unsigned long kb = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "Pss: %lu kB", &kb) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return (double)kb / 1024;
}

static int idle_client(const char *dir) {
    static const unsigned char hello[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    struct sockaddr_un {
        sa_family_t family;
        char path[108];
    } addr = {.family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.path, sizeof addr.path, "%s/rpc.sock", dir);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || write(fd, hello, sizeof hello) != sizeof hello)
        exit(1);
    return fd;
}

static void memory(pid_t server, const char *dir, struct bh_conn *c) {
    static int fds[CLIENTS];
    double before = pss_mb(server);
    double p99;

    for (unsigned i = 0; i < CLIENTS; i++)
        fds[i] = idle_client(dir);
    usleep(500000);
    printf("  service after the streams                    %9.2f MB PSS\n", before);
    printf("  service with %d idle clients more           %9.2f MB PSS\n", CLIENTS, pss_mb(server));
    printf("  empty call, p50, beside them                 %9.2f us\n", empty_call(c, &p99));
    for (unsigned i = 0; i < CLIENTS; i++)
        close(fds[i]);
    printf("  (waiting 25 s for the service to come to rest)\n");
    fflush(stdout);
    sleep(25);
    printf("  service at rest                              %9.2f MB PSS\n", pss_mb(server));
}

static void machine(void) {
    struct utsname u;
    char line[256] = "";
    FILE *f = fopen("/proc/cpuinfo", "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL && strncmp(line, "model name", 10) != 0)
        ;
    if (f != NULL)
        fclose(f);
    line[strcspn(line, "\n")] = '\0';
    uname(&u);
    printf("machine: %s %s, %ld processors,%s\n", u.sysname, u.release, (long)sysconf(_SC_NPROCESSORS_CONF),
           strchr(line, ':') != NULL ? strchr(line, ':') + 1 : " unknown");
}

int main(int argc, char **argv) {
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    char dir[] = "/tmp/bh-rpc-bench-XXXXXX";
    struct figure f[] = {{.name = "bare AF_UNIX round trip, p50", .unit = "us"},
                         {.name = "empty call, p50", .unit = "us"},
                         {.name = "empty call, p99", .unit = "us"},
                         {.name = "call with a descriptor each way, p50", .unit = "us"},
                         {.name = "bare AF_UNIX stream, 1 GiB", .unit = "MB/s"},
                         {.name = "stream service to client, 1 GiB", .unit = "MB/s"},
                         {.name = "stream client to service, 1 GiB", .unit = "MB/s"}};
    struct bh_err err = BH_ERR_INIT;
    struct bh_conn *c;
    char path[128];
    pid_t server;

    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    machine();
    if (mkdtemp(dir) == NULL)
        return 1;
    server = echo_spawn(dir, NULL);
    if (bh_conn_open(dir, &c, &err) != 0)
        die("connect", &err);
    printf("service before the first call: %.2f MB PSS\n", pss_mb(server));
    for (unsigned i = 0; i < rounds; i++) {
        double p99;

        add(&f[0], bare_round_trip());
        add(&f[1], empty_call(c, &p99));
        add(&f[2], p99);
        add(&f[3], fd_call(c));
        add(&f[4], bare_stream());
        add(&f[5], call_stream(c));
        add(&f[6], upload(c));
    }
    printf("%u rounds, median (lowest .. highest)\n", rounds);
    for (unsigned i = 0; i < BH_ARRAY_LEN(f); i++)
        print_figure(&f[i]);
    printf("  a call is %.1f round trips, a stream %.2f of the bare one\n", f[1].v[rounds / 2] / f[0].v[rounds / 2],
           f[5].v[rounds / 2] / f[4].v[rounds / 2]);
    memory(server, dir, c);
    bh_conn_close(c);
    echo_kill(server);
    snprintf(path, sizeof path, "%s/rpc.sock", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/fd.sock", dir);
    unlink(path);
    rmdir(dir);
    return 0;
}
