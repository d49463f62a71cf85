/*
 * main.c - bulkhead-store: starts as every room does, opens the store, then serves.
 *
 * Room: store.  Sees its own folder and its sockets.  Trusts the supervisor that made the room; trusts no
 * caller and no worker.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "methods.h"
#include "oci/digest.h"
#include "serve/serve.h"
#include "store.h"
#include "worker.h"

#define STATE  BH_ROOM_STATE
#define CALLS  192
#define FILES  16384 /* contexts of builds take up to 4,704 of them (context.c); half where the host gives less */
#define SPARES 2     /* a manifest and its config, or what a step of a build takes */

static struct bh_room room;
static struct store store;

/* ---- workers through the supervisor -------------------------------------------------------- */

static int spawn(void *arg, const char *job, const int *fds, unsigned n_fds, void **out_worker, struct bh_err *err) {
    const struct bh_room *r = arg;
    struct bh_worker *w;

    if (bh_worker_spawn(r->control, job, fds, n_fds, 0, 0, &w, err) != 0)
        return err->code;
    *out_worker = w;
    return 0;
}

static int wait_worker(void *worker, int timeout_ms, int *out_status, struct bh_err *err) {
    return bh_worker_wait(worker, timeout_ms, out_status, err);
}

static void kill_worker(void *worker) {
    bh_worker_kill(worker);
}

static const struct store_worker_ops worker_ops = {spawn, wait_worker, kill_worker, bh_fdpass_send};

/* ---- start --------------------------------------------------------------------------------- */

/* A config that cannot be read changes nothing: the old one stays. */
static void on_reload(void *unused, int config_fd) {
    BH_SCOPE_CLOSE int fd = config_fd;
    BH_SCOPE_FREE char *text = malloc(BH_CONF_MAX_BYTES);
    struct store_options options;
    struct bh_err err = BH_ERR_INIT;
    ssize_t n = text != NULL ? bh_pread_full(fd, text, BH_CONF_MAX_BYTES, 0) : -1;

    (void)unused;
    store_options_init(&options);
    if (n < 0)
        bh_err_errno(&err, errno, "read the configuration again");
    else if (store_options_read(&options, text, (size_t)n, &err) == 0)
        store_options_set(&store, &options);
    if (err.code != 0)
        bh_log_err("reload-refused", &err);
}

static int open_store(void *unused, struct bh_err *err) {
    struct store_options options;

    (void)unused;
    store_options_init(&options);
    if (store_options_read(&options, bh_buf_str(&room.config), room.config.len, err) != 0 ||
        bh_digest_startup(err) != 0 || store_open(&store, STATE, &options, err) != 0)
        return err->code;
    return store_workers_open(&store, &worker_ops, &room, err);
}

/* Without spares all works, later. */
static void start_ahead(void *unused) {
    struct bh_err err = BH_ERR_INIT;

    (void)unused;
    if (store_workers_ahead(&store, SPARES, &err) != 0)
        bh_log_err("no-spare-worker", &err);
}

int main(int argc, char **argv) {
    static const struct bh_serve serve = {
        .spec = {.name = "store", .state = true, .max_files = FILES},
        .service = &store_service,
        .state = &store,
        .threads = CALLS, /* a pull has a hold and a few layers at once, each for as long as the network takes */
        .calls_per_peer = CALLS,
        .open = open_store,
        .reload = on_reload,
        .ready = start_ahead,
    };
    struct bh_err err = BH_ERR_INIT;

    if (bh_serve(&room, &serve, argc, argv, &err) == 0)
        bh_log(BH_LOG_DEBUG, "stopped", "service=store");
    bh_room_end(&room, &err);
}
