/*
 * facts_table.h - which line of /proc/PID/status, which link of /proc/PID/ns tells which field of a room.
 *
 * Room: supervisor.  Included by facts.c alone; no code.
 */
#define FIELD(f) offsetof(struct bh_control_room, f), sizeof(((struct bh_control_room *)0)->f)
static const struct {
    const char *name;
    size_t at, size;
    int base; /* of the number; 0: a link of ns, its inode */
} facts[] = {{"\nUid:", FIELD(uid), 10},
             {"\nGid:", FIELD(gid), 10},
             {"\nSeccomp:", FIELD(seccomp_mode), 10},
             {"\nSeccomp_filters:", FIELD(seccomp_filters), 10},
             {"\nNoNewPrivs:", FIELD(no_new_privs), 10},
             {"\nThreads:", FIELD(threads), 10},
             {"\nVmRSS:", FIELD(rss_kb), 10},
             {"\nCapInh:", FIELD(cap_inheritable), 16},
             {"\nCapPrm:", FIELD(cap_permitted), 16},
             {"\nCapEff:", FIELD(cap_effective), 16},
             {"\nCapBnd:", FIELD(cap_bounding), 16},
             {"\nCapAmb:", FIELD(cap_ambient), 16},
             {"ns/mnt", FIELD(ns_mnt), 0},
             {"ns/pid", FIELD(ns_pid), 0},
             {"ns/net", FIELD(ns_net), 0},
             {"ns/ipc", FIELD(ns_ipc), 0},
             {"ns/uts", FIELD(ns_uts), 0},
             {"ns/user", FIELD(ns_user), 0},
             {"ns/cgroup", FIELD(ns_cgroup), 0}};
