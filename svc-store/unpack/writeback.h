/*
 * writeback.h - files that will be synced: writing back starts while they grow, and the sync has little left to do.
 *
 * Room: worker.
 */
#ifndef UNP_WRITEBACK_H
#define UNP_WRITEBACK_H

#include <stddef.h>
#include <stdint.h>

/* n bytes came behind `before` others, all behind the offset `base`.  A wish: what goes wrong shows at the sync. */
void unp_writeback(int fd, uint64_t base, uint64_t before, size_t n);

#endif
