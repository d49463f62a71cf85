/*
 * cmd_top.c - `top`: the processes of a container, as the host's ps(1) tells of them.
 *
 * Room: client.  No room of the engine looks at processes or starts a program for it: ps runs here, with the caller's
 * rights, and shows what the caller could see without us.  Which processes are the container's is read from their
 * cgroups, which everybody may read, or else from their pid namespace, for which the caller needs the right to trace
 * them.  What ps prints holds words of the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/table.h"

#define OUTPUT_MAX ((size_t)64 << 20)
#define MAX_WORDS  64 /* columns of ps */
#define BLANKS     " \t\v\f\r"

extern char **environ;

const struct cli_opt cmd_top_opts[] = {{0}};

struct top {
    const char *id;
    int64_t first; /* the container's first process */
    int64_t *pids;
    size_t n, cap;
    struct bh_buf text; /* of ps */
};

/* ---- which processes ------------------------------------------------------------------------- */

static bool in_cgroup(const char *pid, const char *id) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT;
    struct bh_err ignored = BH_ERR_INIT; /* it has ended */
    char path[64], mark[96];

    snprintf(path, sizeof path, "/proc/%s/cgroup", pid);
    snprintf(mark, sizeof mark, "/bulkhead/%s", id);
    return bh_file_read(AT_FDCWD, path, 65536, &text, &ignored) == 0 && strstr(bh_buf_str(&text), mark) != NULL;
}

static bool pid_namespace(const char *pid, char out[64]) {
    char path[64];
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%s/ns/pid", pid);
    n = readlink(path, out, 63);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void add_pid(struct top *t, int64_t pid) {
    if (t->n == t->cap) {
        t->cap = t->cap * 2 + 64;
        t->pids = bh_xrealloc(t->pids, t->cap * sizeof *t->pids);
    }
    t->pids[t->n++] = pid;
}

static int find_processes(struct top *t, struct bh_err *err) {
    BH_SCOPE_DIR DIR *d = bh_dir_open(AT_FDCWD, "/proc");
    char first[24], wanted[64] = "", own[64] = "", have[64];
    bool by_cgroup;

    snprintf(first, sizeof first, "%lld", (long long)t->first);
    by_cgroup = in_cgroup(first, t->id);
    if (!by_cgroup && (!pid_namespace(first, wanted) || !pid_namespace("self", own) || strcmp(wanted, own) == 0))
        return bh_err_set(err, BH_E_DENIED, "the processes of container %.12s cannot be told from others here", t->id);
    for (struct dirent *e; (e = bh_dir_next(d)) != NULL;) {
        int64_t pid;

        if (!bh_str_i64(e->d_name, &pid))
            continue;
        if (by_cgroup ? in_cgroup(e->d_name, t->id) : pid_namespace(e->d_name, have) && strcmp(have, wanted) == 0)
            add_pid(t, pid);
    }
    return 0;
}

static bool is_ours(const struct top *t, int64_t pid) {
    for (size_t i = 0; i < t->n; i++)
        if (t->pids[i] == pid)
            return true;
    return false;
}

/* ---- ps -------------------------------------------------------------------------------------- */

static int start_ps(char *const *argv, int out, int errors, pid_t *pid, struct bh_err *err) {
    posix_spawn_file_actions_t fa;
    int r;

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    posix_spawn_file_actions_adddup2(&fa, errors, 2);
    r = posix_spawnp(pid, argv[0], &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    if (r == 0)
        return 0;
    bh_err_errno(err, r, "start ps");
    return bh_err_hint(err, "install procps");
}

static int read_output(int fd, struct bh_buf *out, struct bh_err *err) {
    out->max = OUTPUT_MAX;
    for (;;) {
        void *room = bh_buf_room(out, 4096);
        ssize_t n;

        if (room == NULL)
            return bh_err_set(err, BH_E_LIMIT, "ps prints more than %zu bytes", OUTPUT_MAX);
        n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return bh_err_errno(err, errno, "read what ps prints");
        if (n == 0)
            return 0;
        bh_buf_grew(out, (size_t)n);
    }
}

static int ps_failed(int errors, int status, struct bh_err *err) {
    char line[256];
    ssize_t n = pread(errors, line, sizeof line - 1, 0);

    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (line[0] != '\0')
        return bh_err_set(err, BH_E_INVALID, "ps: %s", line);
    return bh_err_set(err, BH_E_INVALID, "ps: exit status %d", WIFEXITED(status) ? WEXITSTATUS(status) : 128);
}

static int run_ps(char *const *argv, struct bh_buf *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int errors = memfd_create("ps", MFD_CLOEXEC), from = -1, to = -1;
    int ends[2], status = 0, r;
    pid_t pid = -1;

    if (errors < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    from = ends[0];
    to = ends[1];
    if (start_ps(argv, to, errors, &pid, err) != 0)
        return err->code;
    close(bh_take_fd(&to));
    r = read_output(from, out, err);
    close(bh_take_fd(&from)); /* one that goes on writing ends */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return r == 0 && status != 0 ? ps_failed(errors, status, err) : r;
}

/* With the list of processes first, which some options do not go with; all that there are then. */
static int ask_ps(struct top *t, char **words, int n, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf list = BH_BUF_INIT;
    char **argv = bh_xcalloc((size_t)n + 4, sizeof *argv);
    int at = 0, r;

    for (size_t i = 0; i < t->n; i++)
        bh_buf_addf(&list, "%s%lld", i > 0 ? "," : "-q", (long long)t->pids[i]);
    argv[at++] = (char *)"ps";
    for (int i = 0; i < n; i++)
        argv[at++] = words[i];
    if (n == 0)
        argv[at++] = (char *)"-ef";
    argv[at] = (char *)bh_buf_str(&list);
    r = t->n > 0 ? run_ps(argv, &t->text, err) : -1;
    if (r != 0) {
        bh_err_clear(err);
        bh_buf_reset(&t->text);
        argv[at] = NULL;
        r = run_ps(argv, &t->text, err);
    }
    free(argv);
    return r;
}

/* ---- columns --------------------------------------------------------------------------------- */

/* Words of a line, the last of at most `max` with all that follows it, blanks as one; *out_n how many. */
static void split(char *line, size_t max, char *word[MAX_WORDS], size_t *out_n) {
    size_t n = 0;

    for (char *p = line + strspn(line, BLANKS); *p != '\0' && n < max; p += strspn(p, BLANKS)) {
        word[n++] = p;
        if (n == max) {
            char *to = p;

            for (char *from = p; *from != '\0'; from++) {
                bool blank = strchr(BLANKS, *from) != NULL;

                if (!blank)
                    *to++ = *from;
                else if (to[-1] != ' ')
                    *to++ = ' ';
            }
            while (to > p && to[-1] == ' ')
                to--;
            *to = '\0';
            break;
        }
        p += strcspn(p, BLANKS);
        if (*p != '\0')
            *p++ = '\0';
    }
    *out_n = n;
}

static void put_row(struct bh_buf *out, char *const *word, size_t n) {
    for (size_t i = 0; i < n; i++)
        bh_buf_addf(out, "%s%s", i > 0 ? "\t" : "", word[i]);
    bh_buf_addc(out, '\n');
}

/* A line with "-" for its process is a thread of the one before it. */
static int pick_rows(const struct top *t, struct bh_buf *out, struct bh_err *err) {
    char *save = NULL, *line = strtok_r(t->text.data, "\n", &save), *word[MAX_WORDS];
    size_t columns = 0, at = 0, n;
    bool ours = false;

    split(line != NULL ? line : (char[]){""}, MAX_WORDS, word, &columns);
    while (at < columns && strcmp(word[at], "PID") != 0)
        at++;
    if (at == columns)
        return bh_err_set(err, BH_E_INVALID, "Couldn't find PID field in ps output");
    put_row(out, word, columns);
    while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
        int64_t pid = 0;

        split(line, columns, word, &n);
        if (n <= at)
            continue;
        if (strcmp(word[at], "-") != 0) {
            if (!bh_str_i64(word[at], &pid))
                return bh_err_set(err, BH_E_INVALID, "Unexpected pid '%.40s'", word[at]);
            ours = is_ours(t, pid);
        }
        if (ours)
            put_row(out, word, n);
    }
    return 0;
}

static int show(struct cli_ctx *ctx, struct top *t, const struct cli_args *args) {
    BH_SCOPE_BUF struct bh_buf rows = BH_BUF_INIT, laid = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;

    if (find_processes(t, &err) != 0 || ask_ps(t, args->operands + 1, args->operand_count - 1, &err) != 0 ||
        pick_rows(t, &rows, &err) != 0)
        return cli_fail(ctx->out, &err);
    cli_tabs_layout(bh_buf_str(&rows), rows.len, 20, 3, &laid);
    cli_put_text(ctx->out, bh_buf_str(&laid), laid.len);
    return 0;
}

int cmd_top(struct cli_ctx *ctx, const struct cli_args *args) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    const bulkhead_value *summary;
    struct top t = {.text = BH_BUF_INIT};
    int status;

    bulkhead_set_str(request, "container", args->operands[0]);
    if ((status = cli_call_take(ctx, "runtime", "ContainerInspect", request, &reply)) != 0)
        return status;
    summary = bulkhead_get(reply, "summary");
    t.id = bulkhead_get_str(summary, "id");
    t.first = bulkhead_get_int(bulkhead_get(summary, "state"), "pid");
    status =
        t.first > 0 ? show(ctx, &t, args) : cli_failf(ctx->out, CLI_EXIT_FAILED, "Container %s is not running", t.id);
    bh_buf_fini(&t.text);
    free(t.pids);
    bulkhead_value_free(reply);
    return status;
}
