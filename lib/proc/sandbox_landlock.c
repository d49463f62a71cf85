/*
 * sandbox_landlock.c - the paths, ports and signals that a room keeps.
 *
 * Room: all but supervisor and launch.  Trusts the kernel's version number of Landlock and asks
 * only for what that version knows.  Must not fail where Landlock is missing: namespaces and
 * seccomp stand without it; the caller reports the ABI.  Numbers: Documentation/userspace-api/landlock.rst.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "proc/sandbox.h"

/* Own constants: the headers of Debian 12 end at ABI 2. */
#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH      1

#define FS_EXECUTE          (1ULL << 0)
#define FS_WRITE_FILE       (1ULL << 1)
#define FS_READ_FILE        (1ULL << 2)
#define FS_READ_DIR         (1ULL << 3)
#define FS_REMOVE_DIR       (1ULL << 4)
#define FS_REMOVE_FILE      (1ULL << 5)
#define FS_MAKE_CHAR        (1ULL << 6)
#define FS_MAKE_DIR         (1ULL << 7)
#define FS_MAKE_REG         (1ULL << 8)
#define FS_MAKE_SOCK        (1ULL << 9)
#define FS_MAKE_FIFO        (1ULL << 10)
#define FS_MAKE_BLOCK       (1ULL << 11)
#define FS_MAKE_SYM         (1ULL << 12)
#define FS_REFER            (1ULL << 13) /* ABI 2 */
#define FS_TRUNCATE         (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV        (1ULL << 15) /* ABI 5 */
#define NET_BIND_TCP        (1ULL << 0)  /* ABI 4 */
#define NET_CONNECT_TCP     (1ULL << 1)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* ABI 6 */
#define SCOPE_SIGNAL        (1ULL << 1)

#define FS_ABI1  (FS_REFER - 1)
#define ON_FILES (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE) /* rights that a file itself can carry */

struct ruleset_attr {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct path_beneath_attr {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

int bh_sandbox_landlock_abi(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

static uint64_t fs_rights(int abi) {
    uint64_t all = FS_ABI1;

    if (abi >= 2)
        all |= FS_REFER;
    if (abi >= 3)
        all |= FS_TRUNCATE;
    if (abi >= 5)
        all |= FS_IOCTL_DEV;
    return all;
}

static struct ruleset_attr handled(int abi, unsigned flags) {
    struct ruleset_attr a = {.fs = fs_rights(abi)};

    if (abi >= 4 && !(flags & BH_LANDLOCK_TCP))
        a.net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 6)
        a.scoped = SCOPE_ABSTRACT_UNIX | ((flags & BH_LANDLOCK_SIGNALS) ? 0 : SCOPE_SIGNAL);
    return a;
}

/* The kernel refuses a struct longer than it knows unless the rest is zero; be exact all the same. */
static size_t attr_size(int abi) {
    if (abi >= 6)
        return sizeof(struct ruleset_attr);
    return abi >= 4 ? sizeof(uint64_t) * 2 : sizeof(uint64_t);
}

static uint64_t access_rights(enum bh_landlock_access access) {
    switch (access) {
    case BH_LANDLOCK_READ:
        return FS_READ_FILE | FS_READ_DIR;
    case BH_LANDLOCK_WRITE:
        return FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |
               FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_SYM | FS_REFER;
    case BH_LANDLOCK_RW_FILE:
        return FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
    }
    return 0;
}

static int add_rule(int ruleset, const struct bh_landlock_rule *rule, uint64_t known, struct bh_err *err) {
    BH_SCOPE_CLOSE int fd = open(rule->path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return bh_err_errno(err, errno, "open %s for Landlock", rule->path);
    struct path_beneath_attr a = {.allowed = access_rights(rule->access) & known, .fd = fd};
    if (!S_ISDIR(st.st_mode))
        a.allowed &= ON_FILES;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &a, 0) < 0)
        return bh_err_errno(err, errno, "add Landlock rule for %s", rule->path);
    return 0;
}

int bh_sandbox_landlock(const struct bh_landlock_rule *rules, unsigned n, unsigned flags, int *out_abi,
                        struct bh_err *err) {
    int abi = bh_sandbox_landlock_abi();

    if (out_abi)
        *out_abi = abi;
    if (abi == 0)
        return 0;
    struct ruleset_attr attr = handled(abi, flags);
    BH_SCOPE_CLOSE int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0);
    if (ruleset < 0)
        return bh_err_errno(err, errno, "create Landlock rules (ABI %d)", abi);
    for (unsigned i = 0; i < n; i++) {
        int rc = add_rule(ruleset, &rules[i], attr.fs, err);
        if (rc < 0)
            return rc;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return bh_err_errno(err, errno, "enforce Landlock rules (ABI %d)", abi);
    return 0;
}
