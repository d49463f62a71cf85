/*
 * enter.h - a process that an exec session starts in a running container, as its monitor's child reads it.
 *
 * Rooms: a child of launch without rights writes it (rightless/process.c); the child of the monitor that has
 * joined the container reads it there (monitor/inside.c).  A memfd: the struct, then text_size bytes: working
 * folder, arguments, environment, each with its NUL.
 */
#ifndef RT_WIRE_ENTER_H
#define RT_WIRE_ENTER_H

#include <stdint.h>

#define RT_ENTER_VERSION    1
#define RT_ENTER_MAX_GROUPS 256
#define RT_ENTER_MAX_LIMITS 16
#define RT_ENTER_MAX_TEXT   ((uint64_t)4 << 20)

struct rt_enter {
    uint32_t version;
    uint32_t flags; /* RT_TTY, RT_NO_NEW_PRIVS */
    uint32_t uid, gid, n_groups;
    uint32_t groups[RT_ENTER_MAX_GROUPS];
    uint64_t caps; /* bounding, permitted and effective */
    uint32_t umask;
    uint32_t rows, cols; /* of the terminal, 0: unknown */
    uint32_t n_limits;
    struct {
        uint32_t which; /* RLIMIT_* */
        uint64_t soft, hard;
    } limits[RT_ENTER_MAX_LIMITS];
    uint32_t argc, envc;
    uint64_t text_size;
};

#endif
