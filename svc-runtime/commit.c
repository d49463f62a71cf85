/*
 * commit.c - a new image of a container's changes.
 *
 * Room: runtime.  The walker writes the layer's tar straight into the store's pipe; this room moves
 * no byte of it.  A walker that fails leaves a tar without its end mark, which the store refuses.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "svc-runtime/convert.h"
#include "svc-runtime/room.h"

static int write_layer(void *arg, int fd, struct bh_err *err) {
    return rt_tree(arg, RT_TREE_COMMIT, fd, err);
}

/* As docker: the command alone, without the entry point. */
static const char *created_by(const struct bh_image_config *config, struct bh_arena *arena, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf b = BH_BUF_INIT_MAX((size_t)64 << 10);

    for (size_t i = 0; i < config->config.cmd.n; i++)
        bh_buf_addf(&b, "%s%s", i > 0 ? " " : "", config->config.cmd.v[i]);
    if (bh_buf_failed(&b))
        return "";
    return bh_oci_strdup(arena, bh_buf_str(&b), b.len, err);
}

static int commit_frozen(struct rt_container *c, const struct rt_commit *how, struct bh_arena *arena, char **out_id,
                         struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf blob = BH_BUF_INIT_MAX((size_t)16 << 20);
    struct bh_image_config config;
    struct rt_store_commit ask = {.parent_id = c->image_id,
                                  .owner = c->owner,
                                  .author = how->author,
                                  .comment = how->message,
                                  .reference = how->reference,
                                  .changes = how->changes,
                                  .empty_layer = rt_container_status(c).started_ns == 0};

    if (rt_container_blobs(c, NULL, NULL, &blob, err) != 0)
        return err->code;
    ask.config = (struct rt_blob){.data = blob.data, .n = blob.len};
    if (rt_config_unpack(ask.config, arena, &config, err) != 0)
        return err->code;
    ask.created_by = created_by(&config, arena, err);
    if (ask.created_by == NULL)
        return err->code;
    return rt_store_commit(c->room->store, &ask, write_layer, c, arena, out_id, err);
}

int rt_commit(struct rt_container *c, const struct rt_commit *how, struct bh_arena *arena, char **out_id,
              struct bh_err *err) {
    struct bh_err thaw = BH_ERR_INIT;
    struct rt_status s;
    bool frozen = false;
    int r = 0;

    pthread_mutex_lock(&c->op);
    s = rt_container_status(c);
    if (s.state == RT_RUNNING && !how->no_pause) { /* one that is paused stays so */
        r = rt_freeze(c, true, err);
        frozen = r == 0;
        s = rt_container_status(c);
        if (r != 0 && !rt_status_running(&s)) { /* it ended by itself */
            bh_err_clear(err);
            r = 0;
        }
    }
    if (r == 0)
        r = commit_frozen(c, how, arena, out_id, err);
    if (frozen && rt_freeze(c, false, &thaw) != 0 && thaw.code != BH_E_NOT_FOUND)
        bh_log_err("thaw", &thaw);
    pthread_mutex_unlock(&c->op);
    return r;
}
