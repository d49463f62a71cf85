/*
 * mounts.c - see mounts.h.
 *
 * Room: build.  The layer of mounts has each target of a bind as a folder that hides what is below it, with the bound
 * files in it, and a folder for each cache to be mounted at.
 */
#include "mounts.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "mounts_cache.h"
#include "room.h"

#define SCRIPT_FOLDER "/dev/pipes/"
#define SECRET_MODE   0400
#define AGENT_NAME    "SSH_AUTH_SOCK"
#define AGENT_PATH    "/run/buildkit/ssh_agent."
#define AGENT_MODE    0600
#define SECRET_MAX    ((size_t)512 << 10)

static const char *all_files[] = {"/"};
static const struct bh_strlist whole = {.present = true, .n = 1, .v = all_files};

/* ---- reading --------------------------------------------------------------------------------- */

static int bad(const struct build_mount_text *text, struct bh_err *err, const char *why) {
    return bh_err_set(err, BH_E_INVALID, "line %u: RUN --mount=%.200s: %s", text->text.at.line, text->text.s, why);
}

static int find_target(struct build_site *site, struct build_mounted *x, const struct build_mount_text *text,
                       struct bh_err *err) {
    const char *folder = site->image.config.working_dir;

    bool is_file = x->m.type == BUILD_MOUNT_SECRET || x->m.type == BUILD_MOUNT_SSH;

    if (is_file && (x->m.target == NULL || x->m.target[0] == '\0'))
        return 0; /* it has one of its own */
    if (build_path_join(folder[0] != '\0' ? folder : "/", x->m.target != NULL ? x->m.target : "", &site->arena,
                        &x->m.target, err) != 0)
        return err->code;
    return strcmp(x->m.target, "/") == 0 ? bad(text, err, "invalid mount target \"/\": it would hide everything") : 0;
}

/* Files of the context, or of what from= means. */
static int find_files(struct build_mounts *m, struct build_mounted *x, const struct build_mount_text *text,
                      struct bh_err *err) {
    const struct build_job *job = m->site->job;

    if (x->m.from != NULL)
        return build_source_stack(m->site, m->v, x->m.from, &x->from, err);
    if (x->m.type == BUILD_MOUNT_CACHE)
        return 0;
    if (!build_has_files(&job->context))
        return bad(text, err, "it needs files of the build context, and there is none");
    x->from = job->context;
    x->ignore = job->ignore;
    return 0;
}

static struct bh_strlist source_list(struct build_mounts *m, const struct build_mounted *x) {
    const char **v = bh_arena_alloc(&m->site->arena, sizeof *v);

    if (v == NULL || x->m.source == NULL || x->m.source[0] == '\0')
        return whole;
    *v = x->m.source;
    return (struct bh_strlist){.present = true, .n = 1, .v = v};
}

struct build_item build_mount_item(struct build_mounts *m, const struct build_mounted *x) {
    return (struct build_item){.has_from = true,
                               .from = x->from,
                               .sources = source_list(m, x),
                               .target = x->m.target,
                               .uid = -1,
                               .gid = -1,
                               .ignore = x->ignore,
                               .contents = true,
                               .opaque = true};
}

static int look_at(struct build_mounts *m, struct build_mounted *x, struct bh_err *err) {
    struct build_job *job = m->site->job;
    const struct build_item item = build_mount_item(m, x);
    const struct build_compose c = {
        .hold = build_hold_number(job->hold), .items = &item, .n_items = 1, .only_digest = true};
    struct build_composed seen;

    if (build_compose(job->room->store, &c, &job->cancel, &m->site->arena, &seen, err) != 0)
        return err->code;
    x->content = seen.content;
    return 0;
}

static int find_secret(struct build_mounts *m, struct build_mounted *x, const struct build_mount_text *text,
                       struct bh_err *err) {
    const struct build_ask *ask = m->site->job->ask;

    for (size_t i = 0; i < ask->n_secrets; i++)
        if (strcmp(ask->secrets[i].id, x->m.id) == 0)
            x->secret = &ask->secrets[i];
    if (x->secret == NULL && x->m.required)
        return bh_err_set(err, BH_E_NOT_FOUND, "line %u: secret %s: not found", text->text.at.line, x->m.id);
    if (x->secret != NULL && x->secret->n > SECRET_MAX)
        return bh_err_set(err, BH_E_LIMIT, "secret %s has more than 512 KiB", x->m.id);
    return 0;
}

/* Without a target of its own it has the number that it has among its like. */
static int find_agent(struct build_mounts *m, struct build_mounted *x, const struct build_mount_text *text,
                      struct bh_err *err) {
    const struct build_ask *ask = m->site->job->ask;
    BH_SCOPE_FREE char *path = bh_xasprintf(AGENT_PATH "%u", m->n_agents++);

    if (x->m.target[0] == '\0' && (x->m.target = bh_oci_strdup(&m->site->arena, path, strlen(path), err)) == NULL)
        return err->code;
    for (size_t i = 0; i < ask->n_agents; i++)
        if (strcmp(ask->agents[i].id, x->m.id) == 0)
            x->agent = &ask->agents[i];
    if (x->agent != NULL && m->agent_path == NULL)
        m->agent_path = x->m.target;
    if (x->agent != NULL || !x->m.required)
        return m->n_agents <= BUILD_EXEC_SOCKETS ? 0 : bad(text, err, "a RUN has at most 8 of type ssh");
    bh_err_set(err, BH_E_NOT_FOUND, "line %u: no SSH key \"%s\" forwarded from the client", text->text.at.line,
               x->m.id);
    return bh_err_hint(err, "give it with --ssh %s", x->m.id);
}

static int cache_key(struct build_mounted *x, struct bh_err *err) {
    struct build_key k;

    if (build_key_begin(&k, "cache mount", err) != 0)
        return err->code;
    build_key_text(&k, x->m.id != NULL && x->m.id[0] != '\0' ? x->m.id : x->m.target);
    return build_key_end(&k, &x->key, err);
}

static int read_one(struct build_mounts *m, const struct build_mount_text *text, struct build_mounted *x,
                    struct bh_err *err) {
    if (build_mount_read(text, &m->site->scope, &m->site->arena, &x->m, err) != 0 ||
        find_target(m->site, x, text, err) != 0)
        return err->code;
    switch (x->m.type) {
    case BUILD_MOUNT_BIND:
        return find_files(m, x, text, err) != 0 ? err->code : look_at(m, x, err);
    case BUILD_MOUNT_CACHE:
        return find_files(m, x, text, err) != 0 ? err->code : cache_key(x, err);
    case BUILD_MOUNT_SECRET:
        return find_secret(m, x, text, err);
    case BUILD_MOUNT_SSH:
        return find_agent(m, x, text, err);
    default:
        return 0;
    }
}

/* "#!" names who runs it: the script becomes a file. */
static int take_script(struct build_mounts *m, const struct build_instruction *in, struct bh_strlist *args,
                       struct bh_err *err) {
    const char *name = in->run.heredocs.n > 0 ? in->run.heredocs.v[0].name : "script";
    BH_SCOPE_FREE char *path = bh_xasprintf(SCRIPT_FOLDER "%s", name);

    m->script = in->run.script;
    m->n_script = strlen(in->run.script);
    m->script_path = bh_oci_strdup(&m->site->arena, path, strlen(path), err);
    if (m->script_path == NULL)
        return err->code;
    *args = (struct bh_strlist){0};
    return bh_strlist_add(args, &m->site->arena, m->script_path, err);
}

int build_mounts_read(struct build_mounts *m, struct build_site *site, const struct build_instruction *in,
                      struct build_vertex_ref v, struct bh_strlist *args, struct bh_err *err) {
    *m = (struct build_mounts){.site = site, .v = v};
    if (in->run.n_mounts > BUILD_MOUNTS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "line %u: more than %d mounts in one RUN", in->at.line, BUILD_MOUNTS_MAX);
    m->v_mounts = bh_oci_alloc(&site->arena, (in->run.n_mounts + 1) * sizeof *m->v_mounts, err);
    if (m->v_mounts == NULL)
        return err->code;
    for (; m->n < in->run.n_mounts; m->n++)
        if (read_one(m, &in->run.mounts[m->n], &m->v_mounts[m->n], err) != 0)
            return err->code;
    return in->run.shebang ? take_script(m, in, args, err) : 0;
}

/* ---- the key --------------------------------------------------------------------------------- */

void build_mounts_key(const struct build_mounts *m, struct build_key *k) {
    build_key_number(k, (int64_t)m->n);
    for (size_t i = 0; i < m->n; i++) {
        const struct build_mounted *x = &m->v_mounts[i];

        build_key_number(k, x->m.type);
        build_key_text(k, x->m.target);
        build_key_number(k, x->m.read_only);
        build_key_number(k, (int64_t)x->m.size);
        build_key_text(k, x->m.id);
        build_key_text(k, x->m.env);
        build_key_number(k, x->m.has_mode ? (int64_t)x->m.mode : -1);
        build_key_number(k, x->m.has_uid ? (int64_t)x->m.uid : -1);
        build_key_number(k, x->m.has_gid ? (int64_t)x->m.gid : -1);
        build_key_digests(k, &x->content, x->m.type == BUILD_MOUNT_BIND);
    }
    build_key_bytes(k, m->script, m->n_script);
}

/* ---- mounts of the container ------------------------------------------------------------------- */

static void add_file(struct build_mounts *m, const char *target, const void *data, size_t n, uint32_t mode,
                     uint32_t uid, uint32_t gid) {
    m->exec[m->n_exec++] = (struct build_exec_mount){
        .type = "file", .target = target, .data = data, .n_data = n, .mode = mode, .uid = uid, .gid = gid};
}

/* The command can connect to it; nobody but its owner, unless mode= says more. */
static void add_socket(struct build_mounts *m, const struct build_mounted *x) {
    m->exec[m->n_exec++] = (struct build_exec_mount){.type = "socket",
                                                     .target = x->m.target,
                                                     .mode = x->m.has_mode ? x->m.mode : AGENT_MODE,
                                                     .uid = x->m.has_uid ? x->m.uid : 0,
                                                     .gid = x->m.has_gid ? x->m.gid : 0,
                                                     .fd = x->agent->fd};
}

/* Of two with one target the later is what the layer shows. */
static bool is_covered(const struct build_mounts *m, const struct build_mounted *x) {
    for (const struct build_mounted *y = x + 1; y < m->v_mounts + m->n; y++)
        if ((y->m.type == BUILD_MOUNT_BIND || y->m.type == BUILD_MOUNT_CACHE) && strcmp(y->m.target, x->m.target) == 0)
            return true;
    return false;
}

/* What it holds is in the layers; as a mount of its own it can be read-only, and shows in a tmpfs. */
static void add_layer(struct build_mounts *m, const struct build_mounted *x) {
    if (!is_covered(m, x))
        m->exec[m->n_exec++] = (struct build_exec_mount){.type = "layer",
                                                         .target = x->m.target,
                                                         .source = x->same != NULL ? x->same->place : NULL,
                                                         .read_only = x->m.read_only};
}

static int add_exec(struct build_mounts *m, const struct build_mounted *x, struct bh_err *err) {
    if (x->m.type == BUILD_MOUNT_BIND || x->m.type == BUILD_MOUNT_CACHE) {
        add_layer(m, x);
        return 0; /* left out: where it is once links are followed */
    }
    if (x->m.type == BUILD_MOUNT_SSH && x->agent != NULL)
        add_socket(m, x);
    else if (x->m.type == BUILD_MOUNT_TMPFS)
        m->exec[m->n_exec++] = (struct build_exec_mount){.type = "tmpfs", .target = x->m.target, .size = x->m.size};
    else if (x->m.type == BUILD_MOUNT_SECRET && x->secret != NULL && x->m.target[0] != '\0')
        add_file(m, x->m.target, x->secret->data, x->secret->n, x->m.has_mode ? x->m.mode : SECRET_MODE,
                 x->m.has_uid ? x->m.uid : 0, x->m.has_gid ? x->m.gid : 0);
    else
        return 0;
    return bh_strlist_add(&m->exclude, &m->site->arena, x->m.target, err);
}

int build_mounts_env(const struct build_mounts *m, struct bh_strlist *env, struct bh_err *err) {
    if (m->agent_path != NULL && bh_env_get(env, AGENT_NAME) == NULL &&
        bh_env_set(env, &m->site->arena, AGENT_NAME, m->agent_path, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n; i++) {
        const struct build_mounted *x = &m->v_mounts[i];
        char *value;

        if (x->m.type != BUILD_MOUNT_SECRET || x->secret == NULL || x->m.env == NULL)
            continue;
        value = bh_oci_alloc(&m->site->arena, x->secret->n + 1, err);
        if (value == NULL)
            return err->code;
        if (x->secret->n > 0)
            memcpy(value, x->secret->data, x->secret->n);
        if (strlen(value) != x->secret->n)
            return bh_err_set(err, BH_E_INVALID, "secret %s holds a NUL and can be no variable", x->m.id);
        if (bh_env_set(env, &m->site->arena, x->m.env, value, err) != 0)
            return err->code;
    }
    return 0;
}

/* ---- the layer ------------------------------------------------------------------------------- */

/* What is at each target: of a cache a folder if nothing else is there. */
static void target_items(struct build_mounts *m, struct build_item *items, size_t *n, size_t *of) {
    for (size_t i = 0; i < m->n; i++) {
        const struct build_mounted *x = &m->v_mounts[i];

        of[i] = *n;
        if (x->m.type == BUILD_MOUNT_BIND)
            items[(*n)++] = build_mount_item(m, x);
        else if (x->m.type == BUILD_MOUNT_CACHE)
            items[(*n)++] = (struct build_item){.target = x->m.target, .mkdir = true};
    }
}

static bool is_layer(const struct build_mounted *x) {
    return x->m.type == BUILD_MOUNT_BIND || x->m.type == BUILD_MOUNT_CACHE;
}

/* Targets as they are once links are followed: that is where the command's changes would be. */
static int leave_targets(struct build_mounts *m, const struct build_composed *made, const size_t *of,
                         struct bh_err *err) {
    for (size_t i = 0; i < m->n; i++) {
        struct build_mounted *x = &m->v_mounts[i];
        bool there = is_layer(x) || x->m.type == BUILD_MOUNT_TMPFS || x->secret != NULL || x->agent != NULL;

        x->where = there && x->m.target != NULL ? x->m.target : "";
        if (!is_layer(x))
            continue;
        if (of[i] < made->targets.n)
            x->where = made->targets.v[of[i]];
        if (x->where[0] != '/' || x->where[1] == '\0')
            return bh_err_set(err, BH_E_INVALID, "RUN --mount: the target %s leads to %s", x->m.target, x->where);
        if (bh_strlist_add(&m->exclude, &m->site->arena, x->where, err) != 0)
            return err->code;
    }
    return 0;
}

/* The innermost mount that it lies in; NULL: none. */
static const struct build_mounted *holder_of(const struct build_mounts *m, const struct build_mounted *x) {
    const struct build_mounted *found = NULL;
    size_t longest = 1;

    for (const struct build_mounted *y = m->v_mounts; y < m->v_mounts + m->n; y++) {
        size_t n = strlen(y->where);

        if (n < longest || strncmp(x->where, y->where, n) != 0 || x->where[n] != '/')
            continue;
        found = y;
        longest = n;
    }
    return found;
}

/* A cache does not get the places that are made in it for other mounts. */
static int leave_places(struct build_mounts *m, const struct build_mounted *x, struct bh_err *err) {
    const struct build_mounted *holder = holder_of(m, x);
    BH_SCOPE_FREE char *path = NULL;
    const char *copy;

    if (holder == NULL || holder->same == NULL)
        return 0;
    path = bh_xasprintf("%s%s", holder->same->place, x->where + strlen(holder->where));
    copy = bh_oci_strdup(&m->site->arena, path, strlen(path), err);
    return copy == NULL ? err->code : bh_strlist_add(&m->exclude, &m->site->arena, copy, err);
}

static int leave_out(struct build_mounts *m, const struct build_composed *made, const size_t *of, struct bh_err *err) {
    bool any = false;

    if (leave_targets(m, made, of, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n; i++) {
        struct build_mounted *x = &m->v_mounts[i];

        any = any || x->same != NULL;
        x->separate = m->separate.n;
        if (leave_places(m, x, err) != 0 ||
            (x->wants_keep && bh_strlist_add(&m->separate, &m->site->arena, x->place, err) != 0))
            return err->code;
    }
    return any ? bh_strlist_add(&m->exclude, &m->site->arena, BUILD_CACHE_ROOT, err) : 0;
}

/* The layer of mounts is the lowest of those above the stage's. */
static int make_layer(struct build_mounts *m, struct bh_err *err) {
    struct build_job *job = m->site->job;
    struct build_item *items = bh_oci_alloc(&m->site->arena, (2 * m->n + 2) * sizeof *items, err);
    struct build_compose c = {.hold = build_hold_number(job->hold),
                              .onto = {.layers = m->site->image.diff_ids, .n = m->site->image.n_diff_ids}};
    struct build_composed made = {0};
    size_t of[BUILD_MOUNTS_MAX];

    m->above = bh_oci_alloc(&m->site->arena, (BUILD_STACK_MAX + 1) * sizeof *m->above, err);
    if (items == NULL || m->above == NULL || build_caches_open(m, err) != 0)
        return err->code;
    target_items(m, items, &c.n_items, of);
    if (c.n_items == 0)
        return 0;
    m->n_above = 1;
    build_caches_place(m, items, &c.n_items);
    c.items = items;
    if (build_compose(job->room->store, &c, &job->cancel, &m->site->arena, &made, err) != 0)
        return err->code;
    m->above[0] = made.layer;
    if (made.empty) /* never with a cache */
        m->n_above = 0;
    return leave_out(m, &made, of, err);
}

static unsigned depth_of(const char *path) {
    unsigned n = 0;

    for (; *path != '\0'; path++)
        n += *path == '/';
    return n;
}

/* Shallow targets first: a folder hides what others have below it, and not what is mounted there. */
static void sort_by_depth(struct build_mounts *m) {
    for (size_t i = 1; i < m->n; i++) {
        struct build_mounted x = m->v_mounts[i];
        size_t at = i;

        for (; at > 0 && depth_of(m->v_mounts[at - 1].m.target) > depth_of(x.m.target); at--)
            m->v_mounts[at] = m->v_mounts[at - 1];
        m->v_mounts[at] = x;
    }
}

int build_mounts_make(struct build_mounts *m, struct bh_err *err) {
    sort_by_depth(m);
    m->exec = bh_oci_alloc(&m->site->arena, (m->n + 1) * sizeof *m->exec, err);
    if (m->exec == NULL || make_layer(m, err) != 0)
        return err->code;
    for (size_t i = 0; i < m->n; i++)
        if (add_exec(m, &m->v_mounts[i], err) != 0)
            return err->code;
    if (m->script != NULL)
        add_file(m, m->script_path, m->script, m->n_script, 0755, 0, 0);
    return 0;
}
