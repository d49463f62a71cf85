/*
 * trial.c - see trial.h.
 *
 * Room: runtime.  crun with a cgroup, runc, crun without; the first whose container ends with 0 is taken,
 * the reasons of those before it are kept.  The container is bulkhead-init alone, on an empty layer.
 */
#include "svc-runtime/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/conf.h"
#include "svc-runtime/trial_table.h"

#define LAYER_NAME  "trial-layer"
#define PATIENCE_MS 10000

static const char *const oci_names[RT_OCI_N] = {"crun", "runc", "crun without cgroup"};

/* Opened for reading alone, as launch wants it. */
static int make_layer(int dir, int *out, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = -1;

    unlinkat(dir, LAYER_NAME, 0);
    fd = openat(dir, LAYER_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || bh_write_all(fd, &trial_layer, sizeof trial_layer) != 0)
        return bh_err_errno(err, errno, "write the layer of the trial container");
    *out = openat(dir, LAYER_NAME, O_RDONLY | O_CLOEXEC);
    return *out >= 0 ? 0 : bh_err_errno(err, errno, "open the layer of the trial container");
}

/* Its monitor leaves as soon as it could tell the end, perhaps behind an answer of ours; `exit` is there by then. */
static int look(const struct rt_trial *t, const char *id, struct rt_monitor_state *out, struct bh_err *err) {
    char path[RT_ID_SIZE + 8];
    BH_SCOPE_CLOSE int fd = -1;

    if (rt_monitor_ask(t->monitors, id, out, err) != BH_E_NOT_FOUND)
        return err->code;
    snprintf(path, sizeof path, "%s/exit", id);
    fd = openat(t->monitor_dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || bh_read_full(fd, out, sizeof *out) != sizeof *out)
        return err->code;
    bh_err_clear(err);
    return 0;
}

static int await_exit(const struct rt_trial *t, const char *id, struct bh_err *err) {
    const int64_t end = bh_mono_ns() + PATIENCE_MS * 1000000LL;
    struct rt_monitor_state s = {0};

    while (bh_mono_ns() < end) {
        if (look(t, id, &s, err) != 0)
            return err->code;
        if (s.phase == RT_MONITOR_EXITED)
            return s.exit_code == 0 ? 0 : bh_err_set(err, BH_E_UNAVAILABLE, "it ran, but ended with %d", s.exit_code);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return bh_err_set(err, BH_E_DEADLINE, "its container did not end for %d s", PATIENCE_MS / 1000);
}

static int start(const struct rt_trial *t, const struct rt_launch_request *like, int layer, struct bh_err *err) {
    static char *args[] = {(char *)"/dev/init", (char *)"--probe"};
    const struct rt_spec spec = {.flags = RT_INIT | RT_VOLATILE,
                                 .args = {args, 2},
                                 .cwd = (char *)"/",
                                 .user = (char *)"",
                                 .hostname = (char *)"trial",
                                 .domainname = (char *)"",
                                 .seccomp_profile = (char *)""};
    struct rt_launch_request req = *like;
    BH_SCOPE_CLOSE int spec_fd = -1;

    if (rt_launch_spec_fd(&spec, &spec_fd, err) != 0)
        return err->code;
    req.type = RT_LAUNCH_START;
    req.flags |= RT_LAUNCH_FLEETING;
    req.n_layers = 1;
    memcpy(req.diff_ids[0], trial_layer.header.diff_id, sizeof req.diff_ids[0]);
    return rt_launch_try(t->launch, &req, (int[]){spec_fd, layer}, 2, PATIENCE_MS, err);
}

/* One container, from its start to its removal. */
static int try_one(const struct rt_trial *t, unsigned oci, uint32_t form, int layer, struct bh_err *err) {
    struct bh_err ignored = BH_ERR_INIT; /* what is left is nobody's, and the next trial starts over it */
    struct rt_launch_request req;
    char id[RT_ID_SIZE];

    snprintf(id, sizeof id, "%064x", oci); /* one that hangs does not stand in the way of the next */
    rt_launch_request_init(&req, RT_LAUNCH_DELETE, id);
    req.oci = (uint16_t)oci;
    req.flags = form == RT_FORM_EXTRACTED ? RT_LAUNCH_EXTRACTED : 0;
    if (start(t, &req, layer, err) == 0)
        await_exit(t, id, err);
    rt_launch_try(t->launch, &req, NULL, 0, PATIENCE_MS, &ignored);
    return err->code;
}

/* Of those before `end`, in out->form: layers are mounted, unless the first that is tried cannot be. */
static int choose(const struct rt_trial *t, unsigned end, int layer, struct rt_launch_info *out) {
    size_t n = 0;

    for (unsigned oci = 0; oci < end;) {
        struct bh_err err = BH_ERR_INIT;

        if (try_one(t, oci, out->form, layer, &err) == 0) {
            snprintf(out->runtime, sizeof out->runtime, "%s", RT_OCI_PROGRAM(oci));
            return (int)oci;
        }
        if (out->form == RT_FORM_EROFS && strcmp(err.reason, RT_NO_MOUNT) == 0) {
            out->form = RT_FORM_EXTRACTED;
            snprintf(out->form_why, sizeof out->form_why, "%.250s", err.msg);
            continue;
        }
        snprintf(out->runtime_why + n, sizeof out->runtime_why - n, "%s%s: %.120s", n > 0 ? "; " : "", oci_names[oci],
                 err.msg);
        n = strlen(out->runtime_why);
        oci++;
    }
    return -1;
}

static int wants_extracted(const struct rt_trial *t, bool *out, struct bh_err *err) {
    BH_SCOPE_CONF struct bh_conf *conf = NULL;
    const char *form = "";

    if (bh_conf_parse(bh_buf_str(t->config), t->config->len, "configuration", &conf, err) < 0 ||
        bh_conf_get_str(bh_conf_root(conf), "storage_form", &form, err) < 0)
        return err->code;
    *out = strcmp(form, "extracted") == 0;
    return 0;
}

int rt_trial_run(const struct rt_trial *t, struct rt_launch_info *out, int *out_oci, struct bh_err *err) {
    struct rt_launch_info tried = {0};
    BH_SCOPE_CLOSE int layer = -1;
    struct bh_err unseen = BH_ERR_INIT;
    bool extracted = false;
    int oci;

    if (wants_extracted(t, &extracted, err) != 0 || make_layer(t->state_dir, &layer, err) != 0)
        return err->code;
    tried.form = RT_FORM_EROFS;
    oci = choose(t, RT_OCI_N, layer, &tried);
    if (oci < 0)
        bh_log(BH_LOG_ERR, "no-oci-runtime", "why=\"%s\"", tried.runtime_why);
    unlinkat(t->state_dir, LAYER_NAME, 0);
    tried.kernel_erofs_file = tried.kernel_overlay_fd = tried.form == RT_FORM_EROFS;
    tried.kernel_idmap = oci >= 0;
    if (extracted && tried.form == RT_FORM_EROFS) {
        tried.form = RT_FORM_EXTRACTED;
        snprintf(tried.form_why, sizeof tried.form_why, "storage_form = \"extracted\" in the configuration");
    }
    rt_launch_use(t->launch, oci < 0 ? 0 : (unsigned)oci, tried.form == RT_FORM_EXTRACTED,
                  oci < 0 ? tried.runtime_why : NULL);
    if (rt_launch_info(t->launch, out, &unseen) != 0)
        bh_log_err("host-unseen", &unseen);
    out->form = tried.form;
    out->kernel_erofs_file = tried.kernel_erofs_file;
    out->kernel_overlay_fd = tried.kernel_overlay_fd;
    out->kernel_idmap = tried.kernel_idmap;
    memcpy(out->runtime, tried.runtime, sizeof out->runtime);
    memcpy(out->runtime_why, tried.runtime_why, sizeof out->runtime_why);
    memcpy(out->form_why, tried.form_why, sizeof out->form_why);
    *out_oci = oci;
    bh_log(BH_LOG_INFO, "host", "form=%s runtime=%s why=\"%s\"", tried.form == RT_FORM_EROFS ? "erofs" : "extracted",
           tried.runtime, tried.runtime_why);
    return 0;
}

int rt_trial_again(const struct rt_trial *t, struct rt_launch_info *host, int *oci, struct bh_err *err) {
    struct rt_launch_info tried = {.form = host->form}, now = {0};
    BH_SCOPE_CLOSE int layer = -1;
    int better;

    if (*oci == 0)
        return 0;
    if (make_layer(t->state_dir, &layer, err) != 0)
        return err->code;
    better = choose(t, *oci < 0 ? RT_OCI_N : (unsigned)*oci, layer, &tried);
    unlinkat(t->state_dir, LAYER_NAME, 0);
    if (better < 0)
        return 0;
    rt_launch_use(t->launch, (unsigned)better, host->form == RT_FORM_EXTRACTED, NULL);
    if (rt_launch_info(t->launch, &now, err) == 0) { /* path and version are those of the other program now */
        memcpy(host->runtime_path, now.runtime_path, sizeof host->runtime_path);
        memcpy(host->runtime_version, now.runtime_version, sizeof host->runtime_version);
    }
    host->kernel_idmap = 1;
    memcpy(host->runtime, tried.runtime, sizeof host->runtime);
    memcpy(host->runtime_why, tried.runtime_why, sizeof host->runtime_why);
    *oci = better;
    bh_log(BH_LOG_WARN, "host-again", "runtime=%s why=\"%s\"", host->runtime, host->runtime_why);
    return err->code;
}
