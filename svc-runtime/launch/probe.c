/*
 * probe.c - what this host can do, found by doing it: EROFS from a file, and which OCI runtime.
 *
 * Room: launch, at its start.  A version number proves nothing about a kernel with backports or a
 * host that is itself a container: a tiny image is mounted, a tiny container is run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "launch.h"
#include "probe_table.h"
#include "proc/sandbox.h"

#define PROBE_WORD  "bulkhead-probe-ok"
#define PATIENCE_MS 10000

/* ---- form of the store --------------------------------------------------------------------------- */

static int try_erofs(struct launch *l, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1, mounted = -1, point = -1, userns = -1, mapped = -1;
    char path[PATH_MAX];
    struct stat st;
    int r;

    unlinkat(l->lowest, "probe", 0);
    fd = openat(l->lowest, "probe", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    unlinkat(l->lowest, "probe", 0);
    if (fd < 0)
        return bh_err_errno(err, errno, "make probe image");
    if (bh_write_all(fd, &probe_image, sizeof(probe_image)) != 0)
        return bh_err_errno(err, errno, "write probe image");
    if ((r = lnc_layer_fs(fd, &mounted, err)) != 0)
        return r;
    if (fstat(mounted, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_nlink != 2)
        return bh_err_set(err, BH_E_UNAVAILABLE, "the kernel reads the probe image wrongly");
    l->info.kernel_erofs_file = 1;
    snprintf(path, sizeof(path), "%s/run/launch/layers/probe", l->root);
    if (mkdir(path, 0700) != 0 || syscall(SYS_move_mount, mounted, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return bh_err_errno(err, errno, "attach the probe image");
    r = lnc_userns(LNC_ID_POOL, &userns, err);
    if (r == 0)
        r = lnc_idmapped(AT_FDCWD, path, userns, MOUNT_ATTR_RDONLY, &mapped, err);
    if (r == 0 && (fstat(mapped, &st) != 0 || st.st_uid != LNC_ID_POOL))
        r = bh_err_set(err, BH_E_UNAVAILABLE, "the kernel does not shift ids of EROFS");
    l->info.kernel_idmap = r == 0;
    umount2(path, MNT_DETACH);
    rmdir(path);
    return r;
}

static void choose_form(struct launch *l) {
    struct bh_err err = BH_ERR_INIT;

    l->info.form = RT_FORM_EROFS;
    if (try_erofs(l, &err) != 0) {
        l->info.form = RT_FORM_EXTRACTED;
        snprintf(l->info.form_why, sizeof(l->info.form_why), "%.250s", err.msg);
    } else if (l->force_extracted) {
        l->info.form = RT_FORM_EXTRACTED;
        snprintf(l->info.form_why, sizeof(l->info.form_why), "storage_form = \"extracted\" in the configuration");
    }
    l->info.kernel_fsverity =
        access("/sys/fs/ext4/features/verity", F_OK) == 0 || access("/proc/sys/fs/verity", F_OK) == 0;
}

/* ---- OCI runtime ------------------------------------------------------------------------------------ */

/* Runs argv with both outputs in a pipe, for PATIENCE_MS at most; the first bytes of what it wrote. */
static int run_caught(char *const argv[], char *out, size_t size) {
    static char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    struct pollfd p = {.events = POLLIN};
    int fds[2], status = -1;
    size_t got = 0;
    pid_t pid;

    out[0] = 0;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);

        dup2(null, 0);
        dup2(fds[1], 1);
        dup2(fds[1], 2);
        close_range(3, ~0u, 0);
        execve(argv[0], argv, env);
        _exit(127);
    }
    close(fds[1]);
    p.fd = fds[0];
    while (pid > 0 && got + 1 < size && poll(&p, 1, PATIENCE_MS) == 1) {
        ssize_t n = read(fds[0], out + got, size - 1 - got);

        if (n <= 0)
            break;
        got += (size_t)n;
    }
    out[got] = 0;
    close(fds[0]);
    if (pid > 0) {

        for (int i = 0; i < 100 && waitpid(pid, &status, WNOHANG) == 0; i++)
            usleep(10000);
        if (status == -1) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
    }
    return status;
}

static int probe_bundle(const struct launch *l, struct bh_err *err) {
    static char *args[] = {"/init", "--probe"};
    const struct rt_spec spec = {
        .args = {args, 2}, .cwd = "/", .user = "", .hostname = "probe", .domainname = "", .seccomp_profile = ""};
    const struct lnc_user user = {.home = "/"};
    struct lnc_oci o = {.spec = &spec,
                        .user = &user,
                        .id = "probe",
                        .stage = l->stage,
                        .base = LNC_ID_POOL,
                        .userns = true,
                        .cgroup = !l->no_cgroup};
    static const char *const dirs[] = {"proc", "sys", "dev"};
    char path[96], source[PATH_MAX];
    BH_SCOPE_CLOSE int file = -1;
    int r = lnc_stage(l, NULL, NULL, err);

    for (size_t i = 0; i < BH_ARRAY_LEN(dirs) && r == 0; i++) {
        snprintf(path, sizeof(path), "%s/rootfs/%s", l->stage, dirs[i]);
        r = mkdir(path, 0755) == 0 ? 0 : bh_err_errno(err, errno, "make %s", path);
    }
    snprintf(path, sizeof(path), "%s/rootfs/init", l->stage);
    snprintf(source, sizeof(source), "%s/bulkhead-init", l->libexec);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (r == 0 && (file < 0 || mount(source, path, NULL, MS_BIND, NULL) != 0))
        r = bh_err_errno(err, errno, "put bulkhead-init in place");
    return r == 0 ? lnc_oci_write(&o, "config.json", err) : r;
}

/* In a child: 0 when the container said its word; the reason on the pipe else. */
static void probe_child(const void *arg, int to) {
    const struct launch *l = arg;
    const char *path = l->info.runtime_path;
    char root[PATH_MAX], bundle[64], log[64], text[512], id[32];
    const char *manager = l->no_cgroup ? "--cgroup-manager=disabled" : "--cgroup-manager=cgroupfs";
    bool crun = strstr(path, "crun") != NULL;
    char *argv[] = {(char *)path,
                    "--root",
                    root,
                    "--log",
                    log,
                    crun ? (char *)manager : "run",
                    crun ? "run" : "--bundle",
                    crun ? "--bundle" : bundle,
                    crun ? bundle : id,
                    crun ? id : NULL,
                    NULL};
    struct bh_err err = BH_ERR_INIT;
    BH_SCOPE_BUF struct bh_buf why = BH_BUF_INIT;

    snprintf(root, sizeof(root), "%s/run/launch/oci", l->root);
    snprintf(bundle, sizeof(bundle), "%s/bundle", l->stage);
    snprintf(log, sizeof(log), "%s/bundle/log", l->stage);
    snprintf(id, sizeof(id), "probe-%d", (int)getpid());
    if (probe_bundle(l, &err) == 0) {
        if (run_caught(argv, text, sizeof(text)) == 0 && strstr(text, PROBE_WORD) != NULL)
            _exit(0);
        lnc_runtime_delete(l, id);
        if (bh_file_read(AT_FDCWD, log, 4096, &why, &err) == 0 && why.len > 0)
            snprintf(err.msg, sizeof(err.msg), "%.200s", bh_buf_str(&why));
        else
            snprintf(err.msg, sizeof(err.msg), "it ran, but said: %.200s", text);
    }
    err.msg[strcspn(err.msg, "\n")] = 0;
    bh_write_all(to, err.msg, strnlen(err.msg, 240));
    _exit(1);
}

static bool probe_runtime(const struct launch *l, char *why, size_t size) {
    BH_SCOPE_BUF struct bh_buf text = BH_BUF_INIT_MAX(131072);
    struct bh_err err = BH_ERR_INIT;
    int status = -1;

    if (lnc_ask(probe_child, l, &text, &status, &err) != 0)
        bh_buf_adds(&text, err.msg);
    snprintf(why, size, "%s", bh_buf_str(&text));
    return status == 0;
}

static bool find_program(const char *name, char *out, size_t size) {
    static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

    for (size_t i = 0; i < BH_ARRAY_LEN(dirs); i++) {
        snprintf(out, size, "%s/%s", dirs[i], name);
        if (access(out, X_OK) == 0)
            return true;
    }
    return false;
}

static void take_version(struct launch *l) {
    char text[512];
    char *argv[] = {l->info.runtime_path, "--version", NULL};

    run_caught(argv, text, sizeof(text));
    text[strcspn(text, "\n")] = 0;
    snprintf(l->info.runtime_version, sizeof(l->info.runtime_version), "%.63s",
             strstr(text, "version ") != NULL ? strstr(text, "version ") + 8 : text);
}

/* crun with a cgroup, crun without, runc; the reasons of those that failed are kept. */
static void choose_runtime(struct launch *l) {
    static const struct {
        const char *name;
        bool no_cgroup;
    } tries[] = {{"crun", false}, {"runc", false}, {"crun", true}};
    char why[256], all[512] = "";

    for (size_t i = 0; i < BH_ARRAY_LEN(tries); i++) {
        size_t n = strlen(all);

        if (l->force_runtime[0] != 0 && strcmp(l->force_runtime, tries[i].name) != 0)
            continue;
        l->no_cgroup = tries[i].no_cgroup;
        if (!find_program(tries[i].name, l->info.runtime_path, sizeof(l->info.runtime_path)))
            snprintf(why, sizeof(why), "not installed");
        else if (probe_runtime(l, why, sizeof(why))) {
            bh_str_copy(l->info.runtime, sizeof(l->info.runtime), tries[i].name);
            take_version(l);
            break;
        }
        snprintf(all + n, sizeof(all) - n, "%s%s%s: %.120s", n > 0 ? "; " : "", tries[i].name,
                 tries[i].no_cgroup ? " without cgroup" : "", why);
    }
    snprintf(l->info.runtime_why, sizeof(l->info.runtime_why), "%.255s", all);
    if (l->info.runtime[0] == 0)
        bh_log(BH_LOG_ERR, "no-oci-runtime", "why=\"%s\"", all);
}

/* ---- the rest -------------------------------------------------------------------------------------------- */

/* A folder that everybody may walk through, to hide behind a tmpfs in each child; nothing that is
 * needed there may lie below it. */
static int choose_stage(struct launch *l, struct bh_err *err) {
    static const char *const places[] = {"/mnt", "/media", "/srv", "/opt", "/home"};
    struct stat st;

    for (size_t i = 0; i < BH_ARRAY_LEN(places); i++) {
        size_t n = strlen(places[i]);

        if ((strncmp(l->root, places[i], n) == 0 && l->root[n] == '/') ||
            (strncmp(l->libexec, places[i], n) == 0 && l->libexec[n] == '/'))
            continue;
        if (lstat(places[i], &st) == 0 && S_ISDIR(st.st_mode))
            return bh_str_copy(l->stage, sizeof(l->stage), places[i]) ? 0 : -1;
    }
    return bh_err_set(err, BH_E_UNAVAILABLE, "none of /mnt, /media, /srv, /opt, /home can be mounted over");
}

static int open_tree_program(struct launch *l, struct bh_err *err) {
    char path[PATH_MAX];
    int fd;

    snprintf(path, sizeof(path), "%s/bulkhead-tree", l->libexec);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bh_err_errno(err, errno, "open %s", path);
    l->tree_fd = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return 0;
}

int lnc_probe(struct launch *l, struct bh_err *err) {
    int r = choose_stage(l, err);

    if (r == 0)
        r = open_tree_program(l, err);
    if (r != 0)
        return r;
    lnc_extracted_clean(l);
    choose_form(l);
    choose_runtime(l);
    l->info.kernel_overlay_fd = l->info.form == RT_FORM_EROFS;
    l->info.landlock_abi = (uint32_t)bh_sandbox_landlock_abi();
    l->info.apparmor = access("/sys/kernel/security/apparmor", F_OK) == 0;
    l->info.selinux = access("/sys/fs/selinux/enforce", F_OK) == 0;
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
        l->info.cgroup = 2;
    else if (access("/sys/fs/cgroup/unified", F_OK) == 0)
        l->info.cgroup = 3;
    else
        l->info.cgroup = access("/sys/fs/cgroup/devices", F_OK) == 0;
    l->info.id_pool_first = LNC_ID_POOL;
    l->info.id_pool_count = LNC_SLOTS;
    bh_log(BH_LOG_INFO, "launch-ready", "form=%s runtime=%s stage=%s why=\"%s\"",
           l->info.form == RT_FORM_EROFS ? "erofs" : "extracted", l->info.runtime, l->stage, l->info.runtime_why);
    return 0;
}
