/*
 * room.c - the start of a room, in the one order that room.h tells.
 *
 * Rooms: store, registry, build, runtime, worker.  Trusts the arguments and descriptors of the
 * supervisor.  Must not serve before every lock is closed; must not know what a room does.
 */
#include "proc/room.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define MAX_CONFIG     ((size_t)9 << 20) /* of the supervisor: 1 MiB of text, 8 MiB of files */
#define DEFAULT_MEMORY ((uint64_t)4 << 30)
#define DEFAULT_FILES  8192

/* ---- arguments ----------------------------------------------------------------------------- */

/* "1,2,3" into out[0..max); how many, or -1. */
static int parse_ids(const char *text, uid_t *out, unsigned max) {
    unsigned n = 0;

    while (*text) {
        char word[16];
        uint64_t id;
        size_t len = strcspn(text, ",");
        if (n == max || !bh_str_copy_n(word, sizeof word, text, len) || !bh_str_u64(word, &id) || id >= UINT32_MAX)
            return -1;
        out[n++] = (uid_t)id;
        text += len + (text[len] == ',');
    }
    return (int)n;
}

static bool take_uids(struct bh_room *room, const char *text) {
    uid_t ids[6];

    if (parse_ids(text, ids, 6) != 6)
        return false;
    room->store_uid = ids[0];
    room->registry_uid = ids[1];
    room->build_uid = ids[2];
    room->runtime_uid = ids[3];
    room->worker_uid = ids[4];
    room->monitor_uid = ids[5];
    return true;
}

static bool take_option(struct bh_room *room, int opt, const char *text) {
    unsigned mode;
    int n;

    switch (opt) {
    case 'u':
        return take_uids(room, text);
    case 'a':
        n = parse_ids(text, room->admins, BH_ROOM_MAX_ADMINS);
        room->n_admins = n < 0 ? 0 : (unsigned)n;
        return n >= 0;
    case 'm':
        if (sscanf(text, "%o", &mode) != 1 || mode > 0777)
            return false;
        room->socket_mode = (mode_t)mode;
        return true;
    default:
        return false;
    }
}

static int parse_arguments(struct bh_room *room, int argc, char **argv, struct bh_err *err) {
    static const struct option options[] = {{"uids", required_argument, NULL, 'u'},
                                            {"admins", required_argument, NULL, 'a'},
                                            {"socket-mode", required_argument, NULL, 'm'},
                                            {NULL, 0, NULL, 0}};
    bool have_uids = false;
    int opt;

    opterr = 0;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(room, opt, optarg))
            return bh_err_set(err, BH_E_INVALID, "start: option not understood");
        have_uids |= opt == 'u';
    }
    if (!have_uids || optind != argc) {
        bh_err_set(err, BH_E_INVALID, "start: this program is a room of an engine and has no use of its own");
        return bh_err_hint(err, "start bulkheadd, which starts the rooms");
    }
    return 0;
}

/* ---- descriptors ------------------------------------------------------------------------- */

static int check_open(int fd, const char *what, struct bh_err *err) {
    if (fcntl(fd, F_GETFD) < 0)
        return bh_err_set(err, BH_E_INVALID, "start: descriptor %d (%s) is not open", fd, what);
    return bh_set_cloexec(fd, true) < 0 ? bh_err_errno(err, errno, "start: descriptor %d", fd) : 0;
}

int bh_room_read_config(int fd, struct bh_buf *out, struct bh_err *err) {
    struct stat st;

    if (fstat(fd, &st) < 0)
        return bh_err_errno(err, errno, "read configuration");
    if (st.st_size < 0 || (uint64_t)st.st_size > MAX_CONFIG)
        return bh_err_set(err, BH_E_LIMIT, "read configuration: over %zu bytes", MAX_CONFIG);
    size_t n = (size_t)st.st_size;
    bh_buf_init(out, MAX_CONFIG);
    char *to = bh_buf_room(out, n);
    if (to && bh_pread_full(fd, to, n, 0) != (ssize_t)n)
        return bh_err_errno(err, errno, "read configuration");
    bh_buf_grew(out, n);
    return 0;
}

static int take_descriptors(struct bh_room *room, struct bh_err *err) {
    int rc = check_open(BH_FD_CONTROL, "control", err);

    if (rc == 0)
        rc = check_open(BH_FD_CONFIG, "config", err);
    if (rc == 0 && room->spec->launch)
        rc = check_open(BH_FD_LAUNCH, "launch", err);
    if (rc < 0)
        return rc;
    if (!room->spec->launch)
        close(BH_FD_LAUNCH);
    close_range(BH_FD_CONFIG + 1, ~0U, 0);
    rc = bh_room_read_config(BH_FD_CONFIG, &room->config, err);
    close(BH_FD_CONFIG);
    return rc;
}

/* Threads inherit this: only signals that our own faults raise come through. */
static void block_signals(void) {
    static const int faults[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t set;

    sigfillset(&set);
    for (unsigned i = 0; i < BH_ARRAY_LEN(faults); i++)
        sigdelset(&set, faults[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

/* ---- locks ------------------------------------------------------------------------------- */

static int lower_limits(const struct bh_room_spec *spec, struct bh_err *err) {
    const struct bh_limit limits[] = {
        {RLIMIT_AS, spec->max_memory ? spec->max_memory : DEFAULT_MEMORY},
        {RLIMIT_NOFILE, spec->max_files ? spec->max_files : DEFAULT_FILES},
        {RLIMIT_MEMLOCK, 0},
        {RLIMIT_MSGQUEUE, 0},
    };

    return bh_sandbox_limits(limits, BH_ARRAY_LEN(limits), err);
}

static int restrict_paths(struct bh_room *room, struct bh_err *err) {
    struct bh_landlock_rule rules[16];
    unsigned n = 0;

    rules[n++] = (struct bh_landlock_rule){room->run_dir, BH_LANDLOCK_WRITE};
    rules[n++] = (struct bh_landlock_rule){"/dev/null", BH_LANDLOCK_RW_FILE};
    rules[n++] = (struct bh_landlock_rule){"/dev/urandom", BH_LANDLOCK_READ};
    if (room->spec->state)
        rules[n++] = (struct bh_landlock_rule){BH_ROOM_STATE, BH_LANDLOCK_WRITE};
    if (room->spec->monitor)
        rules[n++] = (struct bh_landlock_rule){BH_ROOM_MONITOR, BH_LANDLOCK_READ};
    if (room->spec->network) { /* resolver, certificates */
        rules[n++] = (struct bh_landlock_rule){"/etc", BH_LANDLOCK_READ};
        rules[n++] = (struct bh_landlock_rule){"/usr/share", BH_LANDLOCK_READ};
        rules[n++] = (struct bh_landlock_rule){"/usr/lib", BH_LANDLOCK_READ};
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    rules[n++] = (struct bh_landlock_rule){"/proc", BH_LANDLOCK_READ};
    rules[n++] = (struct bh_landlock_rule){"/usr", BH_LANDLOCK_READ};
#endif
    return bh_sandbox_landlock(rules, n, room->spec->network ? BH_LANDLOCK_TCP : 0, &room->landlock_abi, err);
}

int bh_room_begin(struct bh_room *room, const struct bh_room_spec *spec, int argc, char **argv, struct bh_err *err) {
    memset(room, 0, sizeof *room);
    room->spec = spec;
    room->socket_mode = 0660;
    snprintf(room->run_dir, sizeof room->run_dir, "%s/%s", BH_ROOM_RUN, spec->name);
    int rc = parse_arguments(room, argc, argv, err);
    if (rc == 0)
        rc = take_descriptors(room, err);
    if (rc < 0)
        return rc;
    block_signals();
    umask(077);
    tzset(); /* reads /etc/localtime now, or never */
    rc = lower_limits(spec, err);
    return rc < 0 ? rc : restrict_paths(room, err);
}

int bh_room_confine_flags(struct bh_room *room, unsigned flags, struct bh_err *err) {
    const char *const *lists[7] = {bh_syscalls_base, bh_syscalls_threads, bh_syscalls_files, bh_syscalls_sockets};
    unsigned n = 4;

    if (room->spec->network)
        lists[n++] = bh_syscalls_net;
    if (room->spec->syscalls)
        lists[n++] = room->spec->syscalls;
    lists[n] = NULL;
    return bh_sandbox_seccomp(lists, flags | (room->spec->network ? BH_SECCOMP_INET : 0), err);
}

int bh_room_confine(struct bh_room *room, struct bh_err *err) {
    return bh_room_confine_flags(room, 0, err);
}

int bh_room_ready(struct bh_room *room, void (*on_stop)(void *), void (*on_reload)(void *, int), void *arg,
                  struct bh_err *err) {
    const struct bh_control_events events = {.on_stop = on_stop, .on_reload = on_reload, .arg = arg};
    int rc = bh_control_start(&events, &room->control, err);

    return rc < 0 ? rc : bh_control_ready(room->control, err);
}

void bh_room_end(struct bh_room *room, const struct bh_err *err) {
    if (err->code != 0)
        bh_log_err("room-failed", err);
    bh_buf_fini(&room->config);
    _exit(err->code == 0 ? 0 : 1);
}

unsigned bh_room_roles(const struct bh_room *room, uid_t uid) {
    if (uid == 0)
        return BH_ROOM_ADMIN;
    if (uid == room->store_uid)
        return BH_ROOM_STORE;
    if (uid == room->registry_uid)
        return BH_ROOM_REGISTRY;
    if (uid == room->build_uid)
        return BH_ROOM_BUILD;
    if (uid == room->runtime_uid)
        return BH_ROOM_RUNTIME;
    if (uid == room->worker_uid || uid == room->monitor_uid)
        return 0;
    for (unsigned i = 0; i < room->n_admins; i++) {
        if (room->admins[i] == uid)
            return BH_ROOM_ADMIN | BH_ROOM_USER;
    }
    return BH_ROOM_USER;
}

/* ---- the worker -------------------------------------------------------------------------- */

int bh_worker_confine_flags(unsigned n_fds, uint64_t max_memory, const char *const *syscalls, unsigned flags,
                            struct bh_err *err) {
    const char *const *lists[] = {bh_syscalls_base, syscalls, NULL};
    const struct bh_limit limits[] = {
        {RLIMIT_AS, max_memory}, {RLIMIT_NOFILE, BH_WORKER_FIRST_FD + n_fds}, {RLIMIT_NPROC, 0}, {RLIMIT_MEMLOCK, 0}};

    if (n_fds > BH_CONTROL_MAX_FDS)
        return bh_err_set(err, BH_E_INVALID, "start worker: %u descriptors, at most %d", n_fds, BH_CONTROL_MAX_FDS);
    close(BH_WORKER_FIRST_FD - 1);
    close_range(BH_WORKER_FIRST_FD + n_fds, ~0U, 0);
    block_signals();
    tzset();
    /* Landlock needs one descriptor of its own, so it comes before the limits. */
    int rc = bh_sandbox_landlock(NULL, 0, 0, NULL, err);
    if (rc == 0)
        rc = bh_sandbox_limits(limits, BH_ARRAY_LEN(limits), err);
    return rc < 0 ? rc : bh_sandbox_seccomp(lists, flags, err);
}

int bh_worker_confine(unsigned n_fds, uint64_t max_memory, const char *const *syscalls, struct bh_err *err) {
    return bh_worker_confine_flags(n_fds, max_memory, syscalls, 0, err);
}
