/*
 * writeback.c - see writeback.h.
 */
#include "unpack/writeback.h"

#include <fcntl.h>

#define STEP ((uint64_t)8 << 20)

void unp_writeback(int fd, uint64_t base, uint64_t before, size_t n) {
    uint64_t from = before / STEP * STEP, to = (before + n) / STEP * STEP;

    if (to > from)
        (void)sync_file_range(fd, (off_t)(base + from), (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}
