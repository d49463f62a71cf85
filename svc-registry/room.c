/*
 * room.c - what the handlers share, and its renewal when the configuration changes; see room.h.
 *
 * Room: registry.  A configuration with an error changes nothing: the one before stays, and the log says why.
 */
#include "svc-registry/room.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "oci/digest.h"
#include "oci/json.h"
#include "proc/room.h"
#include "svc-registry/lane.h"

/* One text: the engine's config, a NUL, the files; without files there is no NUL. */
static int make_conf(const struct bh_buf *text, struct reg_conf **out, struct bh_err *err) {
    const char *config = bh_buf_str(text);
    size_t n = strnlen(config, text->len), rest = n < text->len ? n + 1 : n;

    return reg_conf_make(config, n, config + rest, text->len - rest, out, err);
}

int reg_room_open(struct reg_room *room, const struct bh_buf *config, const char *store_dir, struct bh_err *err) {
    pthread_mutex_init(&room->lock, NULL);
    json_set_alloc_funcs(malloc, reg_wipe_free);
    bh_json_startup();
    if (bh_digest_startup(err) != 0 || make_conf(config, &room->conf, err) != 0 ||
        reg_http_new(&room->http, err) != 0 || reg_store_open(store_dir, &room->store, err) != 0)
        return err->code;
    room->tokens = reg_tokens_new();
    return 0;
}

void reg_room_reload(struct reg_room *room, int fd) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct reg_conf *fresh = NULL, *old;

    if (bh_room_read_config(fd, &text, &err) != 0 || make_conf(&text, &fresh, &err) != 0) {
        bh_log_err("reload-failed", &err);
        return;
    }
    pthread_mutex_lock(&room->lock);
    old = room->conf;
    room->conf = fresh;
    pthread_mutex_unlock(&room->lock);
    reg_conf_unref(old);
    bh_log(BH_LOG_INFO, "reloaded", "new calls go by the new rules");
}

struct reg_conf *reg_room_conf(struct reg_room *room) {
    pthread_mutex_lock(&room->lock);
    struct reg_conf *conf = reg_conf_ref(room->conf);
    pthread_mutex_unlock(&room->lock);
    return conf;
}
