/*
 * build_agent.c - see build_agent.h.
 *
 * Room: client.  Foreign: what a command of a build says to the agent.  A thread waits for connections of each agent,
 * and one more serves each connection; they end with their descriptors.  Protocol: draft-ietf-sshm-ssh-agent.
 */
#include "cli/build_agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/fdpass.h"
#include "base/mem.h"
#include "base/str.h"

#define MESSAGE_MAX     ((size_t)256 << 10) /* as ssh-agent's own limit */
#define CONNECTIONS_MAX 64

enum { AGENT_FAILURE = 5, AGENT_REQUEST_IDENTITIES = 11, AGENT_SIGN_REQUEST = 13 };

struct build_agent {
    char *id, *path; /* of the socket */
    int ours, theirs;
    pthread_t thread;
    bool has_thread;
};

/* One connection; its thread owns it, and may outlive the agent it was made for. */
struct line {
    int command, agent;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    char message[4 + MESSAGE_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned connections;

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- one connection -------------------------------------------------------------------------- */

/* A message with its length in front; *out_n: of both.  False: the end, or no such message. */
static bool read_message(int fd, char *message, size_t *out_n) {
    unsigned char head[4];
    size_t n;

    if (bh_read_full(fd, head, sizeof head) != (ssize_t)sizeof head)
        return false;
    n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (n == 0 || n > MESSAGE_MAX)
        return false;
    memcpy(message, head, sizeof head);
    *out_n = n + sizeof head;
    return bh_read_full(fd, message + sizeof head, n) == (ssize_t)n;
}

static bool is_allowed(const char *message) {
    return message[4] == AGENT_REQUEST_IDENTITIES || message[4] == AGENT_SIGN_REQUEST;
}

static bool one_request(struct line *l) {
    static const char refusal[] = {0, 0, 0, 1, AGENT_FAILURE};
    size_t n;

    if (!read_message(l->command, l->message, &n))
        return false;
    if (!is_allowed(l->message))
        return bh_write_all(l->command, refusal, sizeof refusal) == 0;
    return bh_write_all(l->agent, l->message, n) == 0 && read_message(l->agent, l->message, &n) &&
           bh_write_all(l->command, l->message, n) == 0;
}

static int dial(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    BH_SCOPE_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bh_str_copy(to.sun_path, sizeof to.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        return -1;
    return bh_take_fd(&fd);
}

static void end_line(struct line *l) {
    close_fd(&l->command);
    close_fd(&l->agent);
    explicit_bzero(l->message, sizeof l->message);
    free(l);
    pthread_mutex_lock(&lock);
    connections--;
    pthread_mutex_unlock(&lock);
}

/* An agent that does not answer is a connection that ends at once. */
static void *line_thread(void *arg) {
    struct line *l = arg;

    l->agent = dial(l->path);
    while (l->agent >= 0 && one_request(l))
        ;
    end_line(l);
    return NULL;
}

/* Takes fd.  Nothing here waits: an agent that hangs holds up its own connections, and more than so many are closed. */
static void serve(const struct build_agent *a, int fd) {
    struct line *l = bh_xcalloc(1, sizeof *l);
    pthread_t thread;
    bool many;

    l->command = fd;
    l->agent = -1;
    bh_str_copy(l->path, sizeof l->path, a->path);
    pthread_mutex_lock(&lock);
    many = connections++ >= CONNECTIONS_MAX;
    pthread_mutex_unlock(&lock);
    if (!many && pthread_create(&thread, NULL, line_thread, l) == 0)
        pthread_detach(thread);
    else
        end_line(l);
}

/* A message of one byte with a descriptor.  -1: no more will come. */
static int take_connection(int from) {
    struct bh_err ignored = BH_ERR_INIT;
    unsigned n_fds = 0;
    size_t n = 0;
    int fd = -1;
    char byte;

    if (bh_fdpass_recv(from, &byte, 1, &n, &fd, 1, &n_fds, &ignored) != BH_FDPASS_OK)
        return -1;
    return fd;
}

/* Until nobody can send a connection any more. */
static void *agent_thread(void *arg) {
    const struct build_agent *a = arg;

    for (int fd; (fd = take_connection(a->ours)) >= 0;)
        serve(a, fd);
    return NULL;
}

/* ---- the option ------------------------------------------------------------------------------ */

static int bad(const char *text, struct bh_err *err, const char *why) {
    bh_err_set(err, BH_E_INVALID, "invalid argument \"%.200s\" for \"--ssh\" flag: %s", text, why);
    return bh_err_reason(err, "usage");
}

static int check_path(const char *text, const char *path, struct bh_err *err) {
    struct sockaddr_un a;
    struct stat st;

    if (strchr(path, ',') != NULL)
        return bad(text, err, "it names one agent's socket; keys are given to that agent");
    if (stat(path, &st) != 0)
        return bh_err_errno(err, errno, "--ssh %.200s: open %.500s", text, path);
    if (!S_ISSOCK(st.st_mode)) {
        bh_err_set(err, BH_E_UNIMPLEMENTED, "--ssh %.200s: %.500s is no socket, and keys in files are not served", text,
                   path);
        return bh_err_hint(err, "give the key to an agent (ssh-add FILE), and its socket to --ssh");
    }
    return strlen(path) < sizeof a.sun_path ? 0 : bad(text, err, "the path of a socket has at most 107 bytes");
}

static int start(struct build_agent *a, struct bh_err *err) {
    int ends[2], e;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return bh_err_errno(err, errno, "make a pair of sockets");
    a->ours = ends[0];
    a->theirs = ends[1];
    e = pthread_create(&a->thread, NULL, agent_thread, a);
    if (e != 0)
        return bh_err_errno(err, e, "make a thread for an agent");
    a->has_thread = true;
    return 0;
}

static void free_agent(struct build_agent *a) {
    close_fd(&a->theirs);
    if (a->has_thread) {
        shutdown(a->ours, SHUT_RDWR); /* the engine may hold the other end for a while */
        pthread_join(a->thread, NULL);
    }
    close_fd(&a->ours);
    free(a->id);
    free(a->path);
    free(a);
}

int build_agents_add(struct build_agents *all, const char *text, struct bh_err *err) {
    const char *eq = strchr(text, '='), *path = eq != NULL && eq[1] != '\0' ? eq + 1 : getenv("SSH_AUTH_SOCK");
    char *id BH_SCOPE_FREE = bh_xstrndup(text, eq != NULL ? (size_t)(eq - text) : strlen(text));
    struct build_agent *a;

    if (id[0] == '\0')
        return bad(text, err, "it is default, ID or ID=SOCKET");
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i]->id, id) == 0)
            return bh_err_set(err, BH_E_INVALID, "--ssh: duplicate ID %.100s", id);
    if (all->n == BUILD_AGENTS_MAX)
        return bh_err_set(err, BH_E_LIMIT, "--ssh: more than %d agents", BUILD_AGENTS_MAX);
    if (path == NULL || path[0] == '\0')
        return bh_err_set(err, BH_E_INVALID,
                          "--ssh %.100s: invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set", id);
    if (check_path(text, path, err) != 0)
        return err->code;
    a = bh_xcalloc(1, sizeof *a);
    *a = (struct build_agent){.id = bh_take_ptr(id), .path = bh_xstrdup(path), .ours = -1, .theirs = -1};
    if (start(a, err) != 0) {
        free_agent(a);
        return err->code;
    }
    all->v[all->n++] = a;
    return 0;
}

const char *build_agents_id(const struct build_agents *all, size_t i) {
    return all->v[i]->id;
}

int build_agents_fd(const struct build_agents *all, size_t i) {
    return all->v[i]->theirs;
}

void build_agents_given(struct build_agents *all) {
    for (size_t i = 0; i < all->n; i++)
        close_fd(&all->v[i]->theirs);
}

void build_agents_fini(struct build_agents *all) {
    for (size_t i = 0; i < all->n; i++)
        free_agent(all->v[i]);
    all->n = 0;
}
