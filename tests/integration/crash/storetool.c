/*
 * storetool.c - one act on a store without its room: for tests that kill it, starve it, make its calls fail.
 *
 *   storetool DIR load FILE | import FILE NAME | commit PARENT TAR NAME | save FILE NAME.. | list | rmi NAME.. |
 *             build FOLDER NAME | tag SRC DST | untag NAME | prune | check | repair | inspect NAME | history NAME |
 *             none | pull FOLDER MANIFEST NAME | cut FOLDER DIGEST SIZE DIFFID | push NAME
 * pull: of blobs named by their hex digits, the manifest first; cut: half of a layer, then the end of the pipe.
 * With BH_FAIL_LOG it is killed once the act is done and "acknowledged" is told.
 * Exit status 0 done, 1 refused or failed (one line on stderr), 3 check has found something.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act_build.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "direct_worker.h"
#include "svc-store/check.h"
#include "svc-store/document.h"
#include "svc-store/filter.h"
#include "svc-store/history.h"
#include "svc-store/import.h"
#include "svc-store/load.h"
#include "svc-store/name.h"
#include "svc-store/push.h"
#include "svc-store/put.h"
#include "svc-store/receive.h"
#include "svc-store/result.h"
#include "svc-store/remove.h"
#include "svc-store/save.h"

static const struct store_who root = {.owner = 0, .all = true};
static struct store store;
static struct bh_arena arena;
static int no_cancel = -1;

static void load_event(void *arg, const struct store_load_event *e) {
    (void)arg;
    if (e->note != NULL)
        printf("%s\n", e->note);
    if (e->loaded != NULL)
        printf("Loaded image%s: %s\n", e->is_id ? " ID" : "", e->loaded);
}

static int open_file(const char *path, int flags, struct bh_err *err) {
    int fd = strcmp(path, "-") == 0 ? dup(flags & O_WRONLY ? 1 : 0) : open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        bh_err_set(err, BH_E_NOT_FOUND, "cannot open %s", path);
    return fd;
}

static int act_load(char **a, struct bh_err *err) {
    struct store_load load = {.who = root, .platform = "", .cancel_fd = no_cancel, .event = load_event};

    load.fd = open_file(a[0], O_RDONLY, err);
    return load.fd < 0 ? err->code : store_load(&store, &load, err);
}

static int act_import(char **a, struct bh_err *err) {
    struct store_import im = {.who = root,
                              .reference = a[1] != NULL ? a[1] : "",
                              .message = "",
                              .platform = "",
                              .source = "-",
                              .cancel_fd = no_cancel};
    char id[STORE_DIGEST_SIZE];

    im.fd = open_file(a[0], O_RDONLY, err);
    if (im.fd < 0 || store_import(&store, &im, id, err) != 0)
        return err->code;
    puts(id);
    return 0;
}

static int commit_layer(void *arg, int *out, struct bh_err *err) {
    *out = open_file(arg, O_RDONLY, err);
    return *out < 0 ? err->code : 0;
}

static int act_commit(char **a, struct bh_err *err) {
    struct store_commit c = {.parent = a[0],
                             .author = "",
                             .comment = "",
                             .created_by = "sh",
                             .created_ns = 1,
                             .reference = a[2] != NULL ? a[2] : "",
                             .layer = commit_layer,
                             .arg = a[1],
                             .cancel_fd = no_cancel};
    char id[STORE_DIGEST_SIZE];

    if (store_commit(&store, &c, id, err) != 0)
        return err->code;
    puts(id);
    return 0;
}

static int act_save(char **a, struct bh_err *err) {
    struct store_save save = {.who = root, .names = (const char *const *)a + 1, .platform = ""};
    struct store_tarout out = {.fd = open_file(a[0], O_WRONLY | O_CREAT | O_TRUNC, err)};

    for (char **p = a + 1; *p != NULL; p++)
        save.n_names++;
    return out.fd < 0 ? err->code : store_save(&store, &save, &out, err);
}

static int act_list(char **a, struct bh_err *err) {
    STORE_SCOPE_READ struct store_db *db = NULL;
    struct store_image *v;
    size_t n;

    (void)a;
    if (store_read_begin(store.index, &db, err) != 0 || store_image_list(db, &root, &arena, &v, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++) {
        printf("%s %s %llu", v[i].id, v[i].manifest, (unsigned long long)v[i].size);
        for (size_t k = 0; k < v[i].n_names; k++)
            printf(" %s", store_name_familiar(&v[i].names[k], &arena, err));
        putchar('\n');
    }
    return 0;
}

static void print_removal(const struct store_removal *r) {
    for (size_t i = 0; i < r->n_items; i++)
        printf("%s: %s\n", r->items[i].untagged != NULL ? "Untagged" : "Deleted",
               r->items[i].untagged != NULL ? r->items[i].untagged : r->items[i].deleted);
}

static int act_rmi(char **a, struct bh_err *err) {
    for (; *a != NULL; a++) {
        struct store_removal r = {0};

        if (store_remove(&store, &root, *a, false, false, &arena, &r, err) != 0)
            return err->code;
        print_removal(&r);
    }
    return 0;
}

static int act_untag(char **a, struct bh_err *err) {
    struct store_removal r = {0};

    if (store_untag(&store, &root, a[0], &arena, &r, err) != 0)
        return err->code;
    print_removal(&r);
    return 0;
}

static int act_tag(char **a, struct bh_err *err) {
    char previous[STORE_DIGEST_SIZE];

    return store_tag(&store, &root, a[0], a[1], previous, err);
}

static int act_prune(char **a, struct bh_err *err) {
    struct store_filters none = {0};
    struct store_removal r = {0};

    (void)a;
    if (store_prune(&store, &root, true, &none, false, &arena, &r, err) != 0)
        return err->code;
    print_removal(&r);
    return 0;
}

static int finding(void *arg, const struct store_finding *f, struct bh_err *err) {
    (void)arg;
    (void)err;
    printf("%s %s: %s%s\n", f->kind, f->object, f->text, f->repaired ? " (repaired)" : "");
    return 0;
}

static int check(bool repair, struct bh_err *err) {
    struct store_check c = {.repair = repair, .found = finding};
    uint64_t checked, findings;

    if (store_check(&store, &c, &checked, &findings, err) != 0)
        return err->code;
    printf("%llu checked, %llu found\n", (unsigned long long)checked, (unsigned long long)findings);
    if (findings > 0 && !repair)
        exit(3);
    return 0;
}

static int act_check(char **a, struct bh_err *err) {
    (void)a;
    return check(false, err);
}
static int act_repair(char **a, struct bh_err *err) {
    (void)a;
    return check(true, err);
}
static int act_none(char **a, struct bh_err *err) {
    (void)a;
    (void)err;
    return 0;
}

static int act_history(char **a, struct bh_err *err) {
    struct store_history_row *rows;
    size_t n;

    if (store_history(&store, &root, a[0], &arena, &rows, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        printf("%s %llu %s\n", rows[i].id, (unsigned long long)rows[i].size, rows[i].created_by);
    return 0;
}

static int act_build_of(char **a, struct bh_err *err) {
    return act_build(&store, a[0], a[1], err);
}

/* ---- content in pieces --------------------------------------------------------------------- */

static const char *blob_path(const char *folder, const char *digest) {
    static char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, strchr(digest, ':') + 1);
    return path;
}

struct sending {
    const char *path;
    uint64_t bytes;
    pid_t pid;
};

/* Another program sends, so that its writes are not among those that fail. */
static int send_file(void *arg, uint64_t offset, int *out_fd, struct bh_err *err) {
    struct sending *x = arg;
    char skip[32], count[32];
    int ends[2];

    snprintf(skip, sizeof skip, "skip=%llu", (unsigned long long)offset);
    snprintf(count, sizeof count, "count=%llu", (unsigned long long)x->bytes);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return bh_err_set(err, BH_E_INTERNAL, "pipe");
    x->pid = fork();
    if (x->pid == 0) {
        char input[4200];

        snprintf(input, sizeof input, "if=%s", x->path);
        dup2(ends[1], 1);
        unsetenv("LD_PRELOAD");
        execlp("dd", "dd", input, skip, count, "iflag=skip_bytes,count_bytes,fullblock", "bs=64k", "status=none",
               (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *out_fd = ends[0];
    return x->pid > 0 ? 0 : bh_err_set(err, BH_E_INTERNAL, "fork");
}

static void no_event(void *arg, const struct store_receive_event *e) {
    (void)arg;
    (void)e;
}
static bool not_cancelled(void *arg) {
    (void)arg;
    return false;
}

static int receive_file(struct store_hold *h, const char *folder, const struct store_desc *d, const char *diff_id,
                        uint64_t bytes, struct bh_err *err) {
    struct sending x = {.path = blob_path(folder, d->digest), .bytes = bytes};
    const struct store_receive r = {.digest = d->digest,
                                    .size = d->size,
                                    .media = "",
                                    .diff_id = diff_id,
                                    .source = "",
                                    .cancel_fd = no_cancel,
                                    .cancelled = not_cancelled,
                                    .pipe = send_file,
                                    .event = no_event,
                                    .arg = &x};

    store_receive(&store, h, &r, err);
    if (x.pid > 0)
        waitpid(x.pid, NULL, 0);
    return err->code;
}

static int bring_document(struct store_hold *h, const char *folder, const char *digest, bool config,
                          struct bh_buf *packed, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf data = BH_BUF_INIT;
    char got[STORE_DIGEST_SIZE];

    if (bh_file_read(AT_FDCWD, blob_path(folder, digest), 1 << 20, &data, err) != 0)
        return err->code;
    const struct store_document_in d = {
        .digest = digest, .media = "", .data = data.data, .n = data.len, .config = config, .cancel_fd = no_cancel};

    return store_document_in(&store, h, &d, packed, got, err);
}

static int pull(struct store_hold *h, char **a, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf packed = BH_BUF_INIT, packed_config = BH_BUF_INIT;
    const struct store_put put = {
        .manifest = a[1], .index = "", .names = (const char *const *)a + 2, .n_names = 1, .source = "example.com/a"};
    struct store_document_result m;
    struct store_put_result result;
    struct bh_image_config config;
    const void *reduced;
    size_t n;

    if (bring_document(h, a[0], a[1], false, &packed, err) != 0 ||
        store_result_document(&packed, &arena, &m, err) != 0 ||
        bring_document(h, a[0], m.config.digest, true, &packed_config, err) != 0 ||
        store_result_config(&packed_config, &arena, &config, &reduced, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < m.n_entries; i++) {
        char diff_id[STORE_DIGEST_SIZE];

        bh_digest_format(&config.diff_ids[i], diff_id);
        if (receive_file(h, a[0], &m.entries[i], diff_id, m.entries[i].size, err) != 0)
            return err->code;
    }
    return store_image_bring(&store, h, &put, &arena, &result, err);
}

static int cut(struct store_hold *h, char **a, struct bh_err *err) {
    const struct store_desc d = {a[1], strtoull(a[2], NULL, 10), ""};

    receive_file(h, a[0], &d, a[3], d.size / 2, err);
    if (strcmp(err->reason, "short") == 0)
        bh_err_clear(err);
    return err->code;
}

static int push(struct store_hold *h, char **a, struct bh_err *err) {
    const struct store_push p = {
        .name = a[0], .platform = "", .compression = "", .repository = "", .cancel_fd = no_cancel};
    struct store_push_image out;

    if (store_push_open(&store, h, &p, &arena, &out, err) == 0)
        puts(out.manifests[0].desc.digest);
    return err->code;
}

static int under_hold(int (*act)(struct store_hold *h, char **a, struct bh_err *err), char **a, struct bh_err *err) {
    struct store_hold *h;

    signal(SIGPIPE, SIG_IGN);
    if (store_hold_open(&store, getuid(), &root, "pull", &h, err) != 0)
        return err->code;
    act(h, a, err);
    store_hold_close(&store, h);
    return err->code;
}

static int act_pull(char **a, struct bh_err *err) {
    return under_hold(pull, a, err);
}
static int act_cut(char **a, struct bh_err *err) {
    return under_hold(cut, a, err);
}
static int act_push(char **a, struct bh_err *err) {
    return under_hold(push, a, err);
}

static const struct {
    const char *name;
    int (*act)(char **a, struct bh_err *err);
} acts[] = {
    {"load", act_load},   {"import", act_import},  {"commit", act_commit}, {"save", act_save},
    {"list", act_list},   {"rmi", act_rmi},        {"tag", act_tag},       {"untag", act_untag},
    {"prune", act_prune}, {"check", act_check},    {"repair", act_repair}, {"history", act_history},
    {"none", act_none},   {"build", act_build_of}, {"pull", act_pull},     {"cut", act_cut},
    {"push", act_push},
};

static int run(int argc, char **argv, struct bh_err *err) {
    struct store_options options;

    store_options_init(&options);
    if (getenv("BH_TEST_KEEP") != NULL && strcmp(getenv("BH_TEST_KEEP"), "never") == 0)
        options.keep = STORE_KEEP_NEVER;
    if (getenv("BH_TEST_NO_VERIFY") != NULL)
        options.rehash = false;
    if (store_open(&store, argv[1], &options, err) != 0 ||
        store_workers_open(&store, &direct_worker_ops, NULL, err) != 0)
        return err->code;
    for (size_t i = 0; i < BH_ARRAY_LEN(acts); i++)
        if (strcmp(acts[i].name, argv[2]) == 0)
            return acts[i].act(argv + 3, err);
    (void)argc;
    return bh_err_set(err, BH_E_INVALID, "no such act: %s", argv[2]);
}

int main(int argc, char **argv) {
    struct bh_err err = BH_ERR_INIT;

    if (argc < 3)
        return 2;
    bh_arena_init(&arena, (size_t)64 << 20);
    run(argc, argv, &err);
    bh_arena_fini(&arena);
    if (err.code != 0)
        fprintf(stderr, "%s\n", err.msg);
    if (err.code == 0 && getenv("BH_FAIL_LOG") != NULL) {
        puts("acknowledged");
        fflush(stdout);
        kill(getpid(), SIGKILL);
    }
    if (store.index != NULL)
        store_close(&store);
    return err.code != 0;
}
