/*
 * build_cache.c - see build_cache.h.
 *
 * Room: client.
 */
#include "cli/build_cache.h"

#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/layout_pack.h"
#include "cli/out.h"

void build_caches_init(struct build_caches *c) {
    *c = (struct build_caches){0};
}

/* "" if the text has no such part. */
static bool part_of(const char *text, const char *key, char *out, size_t size) {
    size_t n = strlen(key);

    out[0] = '\0';
    for (const char *at = text; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, key, n) == 0 && at[n] == '=')
            return bh_str_copy_n(out, size, at + n + 1, strcspn(at + n + 1, ","));
    }
    return true;
}

static int bad(const char *option, const char *text, const char *why, struct bh_err *err) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%.200s\" for \"--%s\" flag: %s", text, option, why);
    return bh_err_reason(err, "usage");
}

static int add(struct build_cache_side *s, const char *option, const char *text, struct bh_err *err) {
    char *ref = s->ref[s->n];

    if (s->n == BUILD_CACHES_MAX)
        return bad(option, text, "there are too many", err);
    if (strchr(text, '=') == NULL ? !bh_str_copy(ref, sizeof s->ref[0], text)
                                  : !part_of(text, "ref", ref, sizeof s->ref[0]))
        return bad(option, text, "a value is too long", err);
    s->text[s->n++] = text;
    return 0;
}

static bool is_local(const char *text) {
    char type[16];

    return part_of(text, "type", type, sizeof type) && strcmp(type, "local") == 0;
}

/* What is not there is as good as an empty cache: the first build of a pipeline begins so. */
static int add_source(struct build_cache_side *s, struct cli_ctx *ctx, const char *text, struct bh_err *err) {
    char dir[4096], tag[256], digest[256];
    const struct cli_layout_pick pick = {.dir = dir, .tag = tag, .digest = digest, .or_tag = "latest"};
    struct bh_err why = BH_ERR_INIT;
    bool foreign;

    if (!part_of(text, "src", dir, sizeof dir) || dir[0] == '\0')
        return bad("cache-from", text, "type=local needs src=FOLDER", err);
    if (!part_of(text, "tag", tag, sizeof tag) || !part_of(text, "digest", digest, sizeof digest))
        return bad("cache-from", text, "a value is too long", err);
    if (cli_layout_pack(&pick, &s->fd[s->n_fds], &foreign, &why) != 0) {
        cli_warn(ctx->out, "cache %s is left out: %s", dir, why.msg);
        return 0;
    }
    if (foreign) {
        cli_warn(ctx->out, "cache %s is left out: BuildKit wrote it, and its caches are not read", dir);
        return 0;
    }
    s->n_fds++;
    return add(s, "cache-from", "type=local", err);
}

static int add_target(struct build_cache_side *s, const char *text, struct bh_err *err) {
    char dir[4096];

    if (!part_of(text, "dest", dir, sizeof dir) || dir[0] == '\0')
        return bad("cache-to", text, "type=local needs dest=FOLDER", err);
    if (add(s, "cache-to", text, err) != 0 || cli_tar_open(dir, &s->tar[s->n_fds], &s->fd[s->n_fds], err) != 0)
        return err->code;
    s->n_fds++;
    return 0;
}

int build_caches_open(struct build_caches *c, struct cli_ctx *ctx, const struct cli_args *args, struct bh_err *err) {
    for (size_t i = 0; i < cli_count(args, "cache-from"); i++) {
        const char *text = cli_item(args, "cache-from", i);

        if ((is_local(text) ? add_source(&c->from, ctx, text, err) : add(&c->from, "cache-from", text, err)) != 0)
            return err->code;
    }
    for (size_t i = 0; i < cli_count(args, "cache-to"); i++) {
        const char *text = cli_item(args, "cache-to", i);

        if ((is_local(text) ? add_target(&c->to, text, err) : add(&c->to, "cache-to", text, err)) != 0)
            return err->code;
    }
    return 0;
}

static void set_texts(const struct build_cache_side *s, const char *field, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < s->n; i++)
        bulkhead_add_str(list, s->text[i]);
    bulkhead_set(request, field, list);
}

void build_caches_set(const struct build_caches *c, bulkhead_value *request) {
    set_texts(&c->from, "cache_from", request);
    set_texts(&c->to, "cache_to", request);
}

static void close_side(struct build_cache_side *s) {
    for (size_t i = 0; i < s->n_fds; i++) {
        if (s->fd[i] >= 0)
            close(s->fd[i]);
        s->fd[i] = -1;
    }
}

void build_caches_given(struct build_caches *c) {
    close_side(&c->from);
    close_side(&c->to);
}

int build_caches_finish(struct build_caches *c, struct bh_err *err) {
    int r = 0;

    for (size_t i = 0; i < c->to.n_fds; i++)
        if (c->to.tar[i] != NULL && r == 0)
            r = cli_tar_close(bh_take_ptr(c->to.tar[i]), err);
    return r;
}

void build_caches_fini(struct build_caches *c) {
    struct bh_err ignored = BH_ERR_INIT;

    build_caches_given(c);
    for (size_t i = 0; i < c->to.n_fds; i++)
        if (c->to.tar[i] != NULL) /* the build's own error has been told */
            (void)cli_tar_close(bh_take_ptr(c->to.tar[i]), &ignored);
}
