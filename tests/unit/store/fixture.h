/*
 * fixture.h - a store in a temporary folder, and images in it without any worker.
 */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "svc-store/image.h"
#include "svc-store/name.h"

struct fixture {
    char dir[64];
    struct store store;
    struct bh_arena arena;
    int64_t clock; /* created times, one second apart */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Close and open again, as after a restart. */
void fixture_restart(struct fixture *f);
/* The second half, for who closed it to change its files. */
void fixture_reopen(struct fixture *f);

extern const struct store_who fixture_root;

/* A layer whose tar is `text` padded to 512; its diffID is returned. */
const char *fixture_layer(struct fixture *f, uid_t owner, int64_t lease, const char *text);
/* The same for any thread, with memory of the caller's. */
const char *fixture_layer_into(struct store *s, struct bh_arena *arena, uid_t owner, int64_t lease, const char *text);
struct fixture_image {
    uid_t owner;
    const char *name;   /* "debian:12", NULL: none */
    const char *parent; /* id, NULL: none */
    const char *layers[4];
    const char *label; /* "key=value", NULL */
    const char *cmd;   /* makes the config different */
};
/* Its id. */
const char *fixture_image(struct fixture *f, const struct fixture_image *im);

bool fixture_exists(struct fixture *f, const struct store_who *who, const char *name);
void fixture_container(struct fixture *f, const char *id, const char *image_id, bool running);
/* Number of rows that a query counts. */
int64_t fixture_count(struct fixture *f, const char *sql);
/* system check finds nothing. */
void fixture_clean(struct fixture *f);

#define assert_ok(call, err)                                                                                           \
    do {                                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %s", #call, (err).msg);                                                                      \
    } while (0)

#endif
