/*
 * rawsp.h - a client that speaks SP by hand and behaves as badly as a test wants.
 */
#ifndef BH_TESTS_RPC_RAWSP_H
#define BH_TESTS_RPC_RAWSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/frame.h"

int raw_connect(const char *dir);                  /* no greeting */
int raw_connect_as(const char *dir, unsigned uid); /* with greeting, by a thread of that user */
int raw_greet(int fd);                             /* both greetings; -1 when refused */
/* One request of the REQ protocol: length, request id, body. */
int raw_send(int fd, uint32_t id, const void *body, size_t n);
int raw_send_frame(int fd, uint32_t id, const bh_envelope *env, const void *payload, size_t n);
/* The next reply; false when the connection has ended or nothing has come for 5 s. */
struct raw_reply {
    uint32_t id;
    struct bh_frame frame;
    struct bh_frame_scratch scratch;
    uint8_t body[8192];
    size_t n;
};
bool raw_recv(int fd, struct raw_reply *out);
bool raw_closed(int fd); /* the other side has closed, within 5 s */

#endif
