/*
 * log.h - the log of a container: entries appended by its monitor, read by runtime.
 *
 * Rooms: monitor (writes), runtime (reads).  The form is told in monitor_wire.h.  `log` is the
 * newest file, `log.1` the one before, up to log.<files - 1>.  An entry is never split over two
 * files.  The reader takes the bytes as foreign: an entry that is cut off ends the file.
 */
#ifndef RT_WIRE_LOG_H
#define RT_WIRE_LOG_H

#include <stdint.h>

#include "base/err.h"
#include "wire/monitor_wire.h"

#define RT_LOG_ENTRY_MAX     65536u
#define RT_LOG_DEFAULT_SIZE  ((uint64_t)16 << 20)
#define RT_LOG_DEFAULT_FILES 2u
#define RT_LOG_MAX_FILES     100u

struct rt_log {
    int dirfd; /* borrowed: state/monitor/<id> */
    int fd;    /* -1: not open */
    uint64_t size, max_size;
    uint32_t max_files;
};

/* Opens or makes `log` for appending.  0 for a limit means the default. */
int rt_log_open(struct rt_log *log, int dirfd, uint64_t max_size, uint32_t max_files, struct bh_err *err);
/* One entry (len at most RT_LOG_ENTRY_MAX); turns the files over when it would not fit.  -1 with errno. */
int rt_log_append(struct rt_log *log, unsigned stream, int64_t time_ns, const void *data, uint32_t len);
void rt_log_close(struct rt_log *log);

/* Reads one entry at *offset of fd and moves *offset behind it.  data has RT_LOG_ENTRY_MAX bytes.
 * 1: an entry; 0: no whole entry there (yet); BH_E_DATA_LOSS: the bytes are no log; other codes: cannot read. */
int rt_log_read(int fd, uint64_t *offset, struct rt_log_entry *entry, void *data, struct bh_err *err);
/* "log" or "log.<n>" */
void rt_log_name(unsigned n, char out[16]);

#endif
