/*
 * orders.c - what a monitor is told: names, limits, the command line of the OCI runtime.
 *
 * Room: a child of launch without rights.  As with the OCI configuration, what it writes is obeyed with
 * rights by who reads it: it must not be wrong, but a fault in here holds nothing of launch's.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "rightless/bundle.h"
#include "rightless/process.h"

static void arguments(const struct lnc_bundle *b, struct rt_monitor_orders *o) {
    const char *manager = b->oci.cgroup ? "--cgroup-manager=cgroupfs" : "--cgroup-manager=disabled";
    bool exec = b->q->exec_id[0] != 0, tty = o->console_path[0] != 0;
    char root[PATH_MAX], what[96];
    const char *const words[] = {RT_OCI_PROGRAM(b->q->oci),
                                 "--root",
                                 root,
                                 "--log",
                                 o->log_path,
                                 b->q->oci != RT_OCI_RUNC ? manager : NULL,
                                 exec ? "exec" : "run",
                                 "--detach",
                                 exec ? "--process" : "--bundle",
                                 what,
                                 "--pid-file",
                                 o->pid_path,
                                 tty ? "--console-socket" : NULL,
                                 tty ? o->console_path : NULL,
                                 o->id};
    size_t at = 0;

    snprintf(root, sizeof(root), "%s/run/launch/oci", b->root);
    snprintf(what, sizeof(what), exec ? "%s/bundle/process.json" : "%s/bundle", b->oci.stage);
    for (size_t i = 0; i < BH_ARRAY_LEN(words); i++) {
        size_t n = words[i] != NULL ? strlen(words[i]) + 1 : 0;

        if (n == 0 || at + n > sizeof(o->argv))
            continue;
        memcpy(o->argv + at, words[i], n);
        at += n;
        o->argc++;
    }
}

void lnc_orders_fill(const struct lnc_bundle *b, struct rt_monitor_orders *o) {
    const struct rt_launch_request *q = b->q;
    const struct rt_spec *s = b->oci.spec;
    const char *stage = b->oci.stage;
    bool exec = q->exec_id[0] != 0, oom_set = lnc_process_oom(&b->oci);

    *o = (struct rt_monitor_orders){.flags = s->flags,
                                    .stdio = q->stdio,
                                    .rows = s->tty_rows,
                                    .cols = s->tty_cols,
                                    .uid = b->monitor_uid,
                                    .gid = b->monitor_gid,
                                    .runtime_uid = b->runtime_uid,
                                    .container_uid = b->oci.base,
                                    .log_max_files = s->log_max_files,
                                    .log_max_size = s->log_max_size,
                                    .cgroup = b->oci.cgroup,
                                    .oom_score_adj = oom_set ? s->oom_score_adj : 0,
                                    .oom_set = oom_set};
    bh_str_copy(o->id, sizeof(o->id), q->id);
    bh_str_copy(o->exec_id, sizeof(o->exec_id), q->exec_id);
    snprintf(o->socket_name, sizeof(o->socket_name), "%s.sock", exec ? q->exec_id : q->id);
    snprintf(o->record_name, sizeof(o->record_name), exec ? "exec-%s" : "run%s", q->exec_id);
    snprintf(o->program, sizeof(o->program), "%s", s->args.item[0]);
    if (b->enter) {
        snprintf(o->filter, sizeof(o->filter), "%s/run/launch/oci/%s/seccomp.bpf", b->root, q->id);
        return;
    }
    snprintf(o->stage, sizeof(o->stage), "%s", stage);
    snprintf(o->log_path, sizeof(o->log_path), "%s/bundle/log", stage);
    snprintf(o->pid_path, sizeof(o->pid_path), "%s/bundle/pid", stage);
    if (s->flags & RT_TTY)
        snprintf(o->console_path, sizeof(o->console_path), "%s/bundle/tty", stage);
    arguments(b, o);
}
