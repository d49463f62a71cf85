/*
 * authhelper.c - see authhelper.h.
 *
 * Room: client.
 */
#include "cli/authhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/json.h"

#define TOKEN_USER "<token>" /* instead of a user's name: the secret is an identity token */
#define ANSWER_MAX ((size_t)1 << 20)
#define TIME_MS    60000
#define NS_PER_MS  (BH_NSEC / 1000)

extern char **environ;

/* The name becomes part of a program's name: nothing that could lead to another folder. */
static int check_name(const char *name, struct bh_err *err) {
    if (name[0] != '\0' && strlen(name) < 100 &&
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name) &&
        strstr(name, "..") == NULL)
        return 0;
    return bh_err_set(err, BH_E_INVALID, "credential helper \"%.100s\": not a name", name);
}

static int start(const char *program, const char *action, int in, int out, pid_t *pid, struct bh_err *err) {
    char *const argv[] = {(char *)program, (char *)action, NULL};
    posix_spawn_file_actions_t fa;
    int r;

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, in, 0);
    posix_spawn_file_actions_adddup2(&fa, out, 1);
    r = posix_spawnp(pid, program, &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    if (r == 0)
        return 0;
    bh_err_errno(err, r, "start %s", program);
    return bh_err_hint(err, "install it, or remove it from credsStore and credHelpers of the configuration file");
}

/* Both ends at once: a helper may answer before it has read everything. */
static int talk(const char *program, int to, int from, const struct bh_buf *in, struct bh_buf *out,
                struct bh_err *err) {
    int64_t end = bh_mono_ns() + TIME_MS * NS_PER_MS;
    size_t sent = 0;
    bool writing = true;

    for (;;) {
        struct pollfd p[2] = {{.fd = from, .events = POLLIN}, {.fd = writing ? to : -1, .events = POLLOUT}};
        int64_t left = (end - bh_mono_ns()) / NS_PER_MS;
        void *room;
        ssize_t n;

        if (left <= 0 || poll(p, 2, (int)left) == 0)
            return bh_err_set(err, BH_E_DEADLINE, "%s: no answer within %d s", program, TIME_MS / 1000);
        if (p[1].revents != 0) {
            n = sent < in->len ? write(to, in->data + sent, in->len - sent) : 0;
            if (n > 0)
                sent += (size_t)n;
            if (sent == in->len || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                close(to);
                writing = false;
            }
        }
        if (p[0].revents == 0)
            continue;
        if ((room = bh_buf_room(out, 4096)) == NULL)
            return bh_err_set(err, BH_E_LIMIT, "%s: its answer is over %zu bytes", program, ANSWER_MAX);
        n = read(from, room, 4096);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return bh_err_errno(err, errno, "read the answer of %s", program);
        if (n == 0) {
            if (writing)
                close(to);
            return 0;
        }
        bh_buf_grew(out, (size_t)n);
    }
}

/* What a helper prints when it fails is its error; "credentials not found" is how all of them say that. */
static int failed(const char *program, const char *action, const struct bh_buf *out, struct bh_err *err) {
    const char *text = bh_buf_str(out);
    size_t n = strcspn(text, "\r\n");

    if (strncmp(text, "credentials not found", 21) == 0) {
        bh_err_set(err, BH_E_NOT_FOUND, "%s has no such login", program);
        return bh_err_reason(err, "no-login");
    }
    return bh_err_set(err, BH_E_UNAVAILABLE, "%s %s failed: %.*s", program, action, (int)(n > 200 ? 200 : n), text);
}

static int pipes(int in[2], int out[2], struct bh_err *err) {
    if (pipe2(in, O_CLOEXEC) != 0)
        return bh_err_errno(err, errno, "make a pipe");
    if (pipe2(out, O_CLOEXEC) == 0)
        return 0;
    close(in[0]);
    close(in[1]);
    return bh_err_errno(err, errno, "make a pipe");
}

static int call(const char *name, const char *action, const struct bh_buf *in, struct bh_buf *out, struct bh_err *err) {
    char program[128];
    int to[2], from[2], status = 0, r;
    pid_t pid = -1;

    if (check_name(name, err) != 0 || pipes(to, from, err) != 0)
        return err->code;
    snprintf(program, sizeof program, "docker-credential-%s", name);
    r = start(program, action, to[0], from[1], &pid, err);
    close(to[0]);
    close(from[1]);
    if (r != 0) {
        close(to[1]);
        close(from[0]);
        return r;
    }
    out->max = ANSWER_MAX;
    (void)bh_set_nonblock(to[1], true);
    r = talk(program, to[1], from[0], in, out, err);
    close(from[0]);
    if (r != 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        r = failed(program, action, out, err);
    return r;
}

/* ---- what is asked --------------------------------------------------------------------------- */

int cli_helper_get(const char *name, const char *key, struct cli_auth *out, struct bh_err *err) {
    CLI_SCOPE_SECRET struct bh_buf in = BH_BUF_INIT;
    CLI_SCOPE_SECRET struct bh_buf answer = BH_BUF_INIT;
    BH_SCOPE_JSON json_t *root = NULL;

    bh_buf_adds(&in, key);
    if (call(name, "get", &in, &answer, err) != 0 ||
        bh_json_parse(bh_buf_str(&answer), answer.len, ANSWER_MAX, "credential helper", &root, err) != 0)
        return err->code;
    if (strcmp(cli_auth_text(root, "Username"), TOKEN_USER) == 0) {
        out->identity_token = bh_xstrdup(cli_auth_text(root, "Secret"));
        return 0;
    }
    out->username = bh_xstrdup(cli_auth_text(root, "Username"));
    out->password = bh_xstrdup(cli_auth_text(root, "Secret"));
    return 0;
}

int cli_helper_store(const char *name, const char *key, const struct cli_auth *a, struct bh_err *err) {
    CLI_SCOPE_SECRET struct bh_buf in = BH_BUF_INIT;
    CLI_SCOPE_SECRET struct bh_buf answer = BH_BUF_INIT;
    const char *user = a->identity_token != NULL ? TOKEN_USER : a->username;
    const char *secret = a->identity_token != NULL ? a->identity_token : a->password;

    bh_buf_adds(&in, "{\"ServerURL\":");
    bh_buf_add_json_str(&in, key, strlen(key));
    bh_buf_adds(&in, ",\"Username\":");
    bh_buf_add_json_str(&in, user, strlen(user));
    bh_buf_adds(&in, ",\"Secret\":");
    bh_buf_add_json_str(&in, secret, strlen(secret));
    bh_buf_addc(&in, '}');
    return call(name, "store", &in, &answer, err);
}

int cli_helper_erase(const char *name, const char *key, struct bh_err *err) {
    CLI_SCOPE_SECRET struct bh_buf in = BH_BUF_INIT;
    CLI_SCOPE_SECRET struct bh_buf answer = BH_BUF_INIT;

    bh_buf_adds(&in, key);
    if (call(name, "erase", &in, &answer, err) != 0 && strcmp(err->reason, "no-login") != 0)
        return err->code;
    bh_err_clear(err);
    return 0;
}

int cli_helper_list(const char *name, void (*each)(void *arg, const char *key), void *arg, struct bh_err *err) {
    CLI_SCOPE_SECRET struct bh_buf in = BH_BUF_INIT;
    CLI_SCOPE_SECRET struct bh_buf answer = BH_BUF_INIT;
    BH_SCOPE_JSON json_t *root = NULL;
    const char *key;
    json_t *value;

    if (call(name, "list", &in, &answer, err) != 0 ||
        bh_json_parse(bh_buf_str(&answer), answer.len, ANSWER_MAX, "credential helper", &root, err) != 0)
        return err->code;
    json_object_foreach(root, key, value) {
        each(arg, key);
    }
    return 0;
}
