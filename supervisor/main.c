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

/* The folder of this very program when the rooms' programs are beside it (build/bin), else where an
 * installation has them, seen from there. */
static int find_libexec(struct sup_engine *e, const char *chosen, struct bh_err *err) {
    char path[PATH_MAX] = "", beside[PATH_MAX + 64];

    if (!chosen && readlink("/proc/self/exe", path, sizeof path - 1) > 0) {
        *strrchr(path, '/') = '\0';
        snprintf(beside, sizeof beside, "%s/%s", path, sup_rows[SUP_STORE].binary);
        if (access(beside, X_OK) < 0)
            snprintf(beside, sizeof beside, "%s/%s", path, BH_LIBEXEC_FROM_BIN);
        else
            *strrchr(beside, '/') = '\0';
        chosen = beside;
    }
    if (chosen && realpath(chosen, e->libexec))
        return 0;
    bh_err_errno(err, errno, "open folder of programs %s", chosen ? chosen : "");
    return bh_err_hint(err, "build or install all of Bulkhead, or name its folder with --libexec");
}

static int check_root(struct bh_err *err) {
    if (geteuid() == 0)
        return 0;
    bh_err_set(err, BH_E_DENIED, "start engine: it needs root to make the rooms; starting as user %u is not there yet",
               (unsigned)geteuid());
    return bh_err_hint(err, "start it with sudo or as the service bulkhead.service");
}

static int set_up(struct sup_engine *e, const struct options *o, struct bh_err *err) {
    const char *config = o->config ? o->config : o->root || access(DEFAULT_CONFIG, F_OK) < 0 ? "" : DEFAULT_CONFIG;

    (void)bh_str_copy(e->config_path, sizeof e->config_path, config);
    if (check_root(err) < 0 || sup_config_load(e, err) < 0 || find_libexec(e, o->libexec, err) < 0 ||
        sup_folders_make(e, o->root, err) < 0 || sup_folders_own(e, err) < 0 || sup_folders_own_root(e, err) < 0)
        return err->code;
    e->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (e->null_fd < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return bh_err_errno(err, errno, "open /dev/null");
    return 0;
}

int main(int argc, char **argv) {
    static struct sup_engine engine = {
        .config_fd = {-1, -1}, .lock_fd = -1, .epoll_fd = -1, .null_fd = -1, .pair_fd = {-1, -1}};
    struct bh_err err = BH_ERR_INIT;
    struct options options = {0};
    int status = read_options(argc, argv, &options);

    if (status >= 0)
        return status;
    umask(022);
    if (set_up(&engine, &options, &err) == 0 && sup_loop(&engine, &err) == 0)
        return engine.exit_status;
    bh_log_err("start-failed", &err);
    return 1;
}
