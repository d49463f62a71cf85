/*
 * rawsp.c - see rawsp.h.
 */
#include "rawsp.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"

int raw_connect(const char *dir) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/rpc.sock", dir);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool readable(int fd) {
    struct pollfd v = {.fd = fd, .events = POLLIN};

    return poll(&v, 1, 5000) == 1;
}

static bool read_exactly(int fd, void *data, size_t n) {
    uint8_t *at = data;

    while (n > 0) {
        ssize_t got;

        if (!readable(fd))
            return false;
        got = read(fd, at, n);
        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

int raw_greet(int fd) {
    static const uint8_t hello[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0}, want[8] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
    uint8_t got[8];

    if (bh_write_all(fd, hello, sizeof hello) != 0 || !read_exactly(fd, got, sizeof got))
        return -1;
    return memcmp(got, want, sizeof got) == 0 ? 0 : -1;
}

struct as {
    const char *dir;
    unsigned uid;
    int fd;
};

/* The credentials of one thread only: glibc's setresuid would change all. */
static void *connect_as(void *arg) {
    struct as *a = arg;

    if (syscall(SYS_setresuid, a->uid, a->uid, a->uid) != 0)
        return NULL;
    a->fd = raw_connect(a->dir);
    return NULL;
}

int raw_connect_as(const char *dir, unsigned uid) {
    struct as a = {.dir = dir, .uid = uid, .fd = -1};
    pthread_t id;

    pthread_create(&id, NULL, connect_as, &a);
    pthread_join(id, NULL);
    if (a.fd >= 0 && raw_greet(a.fd) != 0) {
        close(a.fd);
        return -1;
    }
    return a.fd;
}

static void put_be(uint8_t *p, uint64_t v, unsigned n) {
    for (unsigned i = n; i-- > 0; v >>= 8)
        p[i] = (uint8_t)(v & 0xff);
}

int raw_send(int fd, uint32_t id, const void *body, size_t n) {
    uint8_t head[13] = {1};

    put_be(head + 1, n + 4, 8);
    put_be(head + 9, id | 0x80000000u, 4);
    return bh_write_all(fd, head, sizeof head) == 0 && bh_write_all(fd, body, n) == 0 ? 0 : -1;
}

int raw_send_frame(int fd, uint32_t id, const bh_envelope *env, const void *payload, size_t n) {
    struct bh_msg *m = bh_frame_build(env, payload, n);
    int rc = raw_send(fd, id, bh_msg_data(m), bh_msg_size(m));

    bh_msg_free(m);
    return rc;
}

bool raw_recv(int fd, struct raw_reply *out) {
    uint8_t head[9], id[4];
    struct bh_err err = BH_ERR_INIT;
    uint64_t n = 0;

    if (!read_exactly(fd, head, sizeof head) || head[0] != 1)
        return false;
    for (unsigned i = 1; i < 9; i++)
        n = n << 8 | head[i];
    if (n < 4 || n - 4 > sizeof out->body || !read_exactly(fd, id, 4) || !read_exactly(fd, out->body, n - 4))
        return false;
    out->id = ((uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]) & 0x7fffffffu;
    out->n = n - 4;
    return bh_frame_parse(out->body, out->n, &out->scratch, &out->frame, &err) == 0;
}

bool raw_closed(int fd) {
    struct pollfd v = {.fd = fd, .events = POLLIN};
    char buf[4096];

    while (poll(&v, 1, 5000) == 1) {
        ssize_t n = read(fd, buf, sizeof buf);

        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return true;
        if (n < 0)
            return false;
    }
    return false;
}
