/*
 * rooms_table.h - what each room gets, as data: a right that is not written here is not given.
 *
 * Room: supervisor.  Included by rooms.c alone; no code.  docs/architecture.md draws the same.
 */
#define TYPE(t) (1u << (t))
#define PEER(r) (1u << (r))
#define CAP(c)  ((uint64_t)1 << CAP_##c)

/* In the order of their start. */
const struct sup_row sup_rows[SUP_N_ROOMS] = {
    {SUP_STORE, "store", "bulkhead-store", SUP_USER_STORE, SUP_STATE, 0,
     TYPE(BH_CONTROL_READY) | TYPE(BH_CONTROL_SPAWN) | TYPE(BH_CONTROL_KILL)},
    {SUP_REGISTRY, "registry", "bulkhead-registry", SUP_USER_REGISTRY, SUP_NETWORK, PEER(SUP_STORE),
     TYPE(BH_CONTROL_READY)},
    {SUP_BUILD, "build", "bulkhead-build", SUP_USER_BUILD, 0, PEER(SUP_STORE) | PEER(SUP_RUNTIME) | PEER(SUP_REGISTRY),
     TYPE(BH_CONTROL_READY)},
    {SUP_LAUNCH, "launch", "bulkhead-launch", SUP_USER_ROOT, SUP_HOST | SUP_PAIR, 0, TYPE(BH_CONTROL_READY)},
    {SUP_RUNTIME, "runtime", "bulkhead-runtime", SUP_USER_RUNTIME, SUP_STATE | SUP_MONITOR | SUP_PAIR, PEER(SUP_STORE),
     TYPE(BH_CONTROL_READY) | TYPE(BH_CONTROL_ROOMS)},
};

const char *const sup_user_names[SUP_N_USERS] = {"bulkhead-store",   "bulkhead-registry", "bulkhead-build",
                                                 "bulkhead-runtime", "bulkhead-worker",   "bulkhead-monitor"};

/* What a dynamically linked program needs to be loaded: libraries, no programs. */
const struct bh_bind sup_system_binds[] = {
    {"/usr/lib", "/usr/lib", BH_BIND_EXEC},
    {"/usr/lib64", "/usr/lib64", BH_BIND_EXEC | BH_BIND_OPTIONAL},
    {"/usr/local/lib", "/usr/local/lib", BH_BIND_EXEC | BH_BIND_OPTIONAL},
    {"/lib", "/lib", BH_BIND_EXEC},
    {"/lib64", "/lib64", BH_BIND_EXEC | BH_BIND_OPTIONAL},
    {"/etc/ld.so.cache", "/etc/ld.so.cache", BH_BIND_OPTIONAL},
    {"/etc/localtime", "/etc/localtime", BH_BIND_OPTIONAL},
    {"/dev/null", "/dev/null", BH_BIND_RW | BH_BIND_DEV},
    {"/dev/urandom", "/dev/urandom", BH_BIND_DEV},
};
const unsigned sup_n_system_binds = BH_ARRAY_LEN(sup_system_binds);

const struct bh_bind sup_network_binds[] = {
    {"/etc/ssl", "/etc/ssl", BH_BIND_OPTIONAL},
    {"/etc/ca-certificates", "/etc/ca-certificates", BH_BIND_OPTIONAL},
    {"/usr/share/ca-certificates", "/usr/share/ca-certificates", BH_BIND_OPTIONAL},
    {"/usr/local/share/ca-certificates", "/usr/local/share/ca-certificates", BH_BIND_OPTIONAL},
    {"/etc/resolv.conf", "/etc/resolv.conf", BH_BIND_OPTIONAL},
    {"/etc/hosts", "/etc/hosts", BH_BIND_OPTIONAL},
    {"/etc/host.conf", "/etc/host.conf", BH_BIND_OPTIONAL},
    {"/etc/nsswitch.conf", "/etc/nsswitch.conf", BH_BIND_OPTIONAL},
    {"/etc/gai.conf", "/etc/gai.conf", BH_BIND_OPTIONAL},
    {"/etc/services", "/etc/services", BH_BIND_OPTIONAL},
};
const unsigned sup_n_network_binds = BH_ARRAY_LEN(sup_network_binds);

/*
 * launch mounts, maps ids and starts the OCI runtime, which needs the right to give a container
 * what docker gives by default.  Not here, among others: SYS_MODULE, SYS_RAWIO, SYS_BOOT, SYS_TIME,
 * BPF, PERFMON, SYSLOG, MAC_ADMIN, MAC_OVERRIDE, WAKE_ALARM, BLOCK_SUSPEND, NET_BROADCAST,
 * AUDIT_CONTROL, AUDIT_READ, CHECKPOINT_RESTORE, and DAC_READ_SEARCH, LEASE, LINUX_IMMUTABLE: what launch does to a
 * layer it does as the owner of the file.  So --privileged --userns=host has not these either.
 */
const uint64_t sup_launch_caps =
    CAP(SYS_ADMIN) |        /* mounts, namespaces, id maps of more than one id */
    CAP(SETUID) |           /* id maps; monitors and walkers become their user */
    CAP(SETGID) |           /* the same */
    CAP(SETPCAP) |          /* monitors and containers drop from their bounding set */
    CAP(SETFCAP) |          /* an id map that contains id 0 (since Linux 5.12) */
    CAP(CHOWN) |            /* upper directories and sealed layers change owner */
    CAP(DAC_OVERRIDE) |     /* a container's files of any mode: upper directories, removal */
    CAP(FOWNER) |           /* the same, and modes of files of containers */
    CAP(FSETID) |           /* setuid bits survive a change of owner in extracted layers */
    CAP(MKNOD) |            /* whiteouts, and the devices of --userns=host containers */
    CAP(KILL) |             /* signals to containers */
    CAP(SYS_CHROOT) |       /* the OCI runtime's start of a container */
    CAP(NET_ADMIN) |        /* the loopback of a new network namespace; sysctls */
    CAP(SYS_PTRACE) |       /* joining the namespaces of a container (exec) */
    CAP(SYS_RESOURCE) |     /* --ulimit above the host's, oom_score_adj; absent on some hosts */
    CAP(NET_RAW) |          /* docker's default set, for --userns=host */
    CAP(NET_BIND_SERVICE) | /* docker's default set, for --userns=host and --network host */
    CAP(AUDIT_WRITE) |      /* docker's default set, for --userns=host */
    CAP(IPC_LOCK) |         /* --cap-add by administrators */
    CAP(IPC_OWNER) |        /* --cap-add by administrators */
    CAP(SYS_NICE) |         /* --cap-add by administrators */
    CAP(SYS_PACCT) |        /* --cap-add by administrators */
    CAP(SYS_TTY_CONFIG);    /* --cap-add by administrators */
