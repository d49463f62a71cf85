/*
 * main.c - bulkheadd: reads its options, makes the folders, then only watches over the rooms.
 *
 * Room: supervisor (root).  Trusts its command line and the administrator's configuration; reads
 * nothing that came from outside.  Links libc, and of this tree base, conf and proc alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine.h"

#define DEFAULT_CONFIG "/etc/bulkhead/bulkhead.toml"

static const char usage[] = "Usage: bulkheadd [--root DIR] [--config FILE] [--libexec DIR]\n"
                            "\n"
                            "Runs the engine in the foreground: state in DIR/state, sockets in DIR/run\n"
                            "(without --root: /var/lib/bulkhead/state and /run/bulkhead). Says \"ready\" on\n"
                            "standard output once all rooms serve; SIGTERM stops it, SIGHUP reads FILE again\n"
                            "(without --config and --root: " DEFAULT_CONFIG ", if it is there).\n";

struct options {
    const char *root, *config, *libexec;
};

/* Returns -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o) {
    static const struct option known[] = {{"root", required_argument, NULL, 'r'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"libexec", required_argument, NULL, 'l'},
                                          {"foreground", no_argument, NULL, 'f'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int opt;

    while ((opt = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        if (opt == 'r')
            o->root = optarg;
        else if (opt == 'c')
            o->config = optarg;
        else if (opt == 'l')
            o->libexec = optarg;
        else if (opt == 'v')
            return printf("bulkheadd %s\n", BH_VERSION) < 0;
        else if (opt == 'h')
            return fputs(usage, stdout) < 0;
        else if (opt != 'f')
            return fputs(usage, stderr), 2;
    }
    if (optind < argc)
        return fprintf(stderr, "bulkheadd: unexpected argument \"%s\"\n%s", argv[optind], usage), 2;
    return -1;
}

/* The folder of this very program when the rooms' programs are beside it (build/bin), else the installed one. */
static int find_libexec(struct sup_engine *e, const char *chosen, struct bh_err *err) {
    char path[PATH_MAX], probe[PATH_MAX + 32];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (chosen)
        return realpath(chosen, e->libexec) ? 0 : bh_err_errno(err, errno, "open folder of programs %s", chosen);
    path[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    snprintf(probe, sizeof probe, "%s/%s", path, sup_rows[SUP_STORE].binary);
    if (!slash || access(probe, X_OK) < 0)
        return bh_str_copy(e->libexec, sizeof e->libexec, BH_LIBEXECDIR) ? 0 : BH_E_INTERNAL;
    return bh_str_copy(e->libexec, sizeof e->libexec, path) ? 0 : BH_E_INTERNAL;
}

static int check_root(struct bh_err *err) {
    if (geteuid() == 0)
        return 0;
    bh_err_set(err, BH_E_DENIED, "start engine: it needs root to make the rooms; starting as user %u is not there yet",
               (unsigned)geteuid());
    return bh_err_hint(err, "start it with sudo or as the service bulkhead.service");
}

static void choose_config(struct sup_engine *e, const struct options *o) {
    const char *path = o->config ? o->config : o->root || access(DEFAULT_CONFIG, F_OK) < 0 ? "" : DEFAULT_CONFIG;

    (void)bh_str_copy(e->config_path, sizeof e->config_path, path);
}

static int set_up(struct sup_engine *e, const struct options *o, struct bh_err *err) {
    int rc = check_root(err);

    if (rc == 0)
        rc = find_libexec(e, o->libexec, err);
    if (rc == 0)
        rc = sup_config_load(e, err);
    if (rc == 0)
        rc = sup_users_find(e, err);
    if (rc == 0)
        rc = sup_folders_make(e, o->root, err);
    if (rc == 0)
        rc = sup_folders_own(e, err);
    if (rc < 0)
        return rc;
    e->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (e->null_fd < 0)
        return bh_err_errno(err, errno, "open /dev/null");
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? bh_err_errno(err, errno, "become not dumpable") : 0;
}

int main(int argc, char **argv) {
    struct sup_engine *e = bh_xcalloc(1, sizeof *e);
    struct bh_err err = BH_ERR_INIT;
    struct options options = {0};
    int status = read_options(argc, argv, &options);

    if (status >= 0)
        return status;
    umask(022);
    e->config_fd = e->lock_fd = e->epoll_fd = e->null_fd = e->pair_fd[0] = e->pair_fd[1] = -1;
    choose_config(e, &options);
    int rc = set_up(e, &options, &err);
    if (rc == 0)
        rc = sup_loop(e, &err);
    if (rc < 0)
        bh_log_err("start-failed", &err);
    status = rc < 0 ? 1 : e->exit_status;
    free(e);
    return status;
}
