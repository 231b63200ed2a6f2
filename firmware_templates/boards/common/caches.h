#ifndef EDGEQ_BOARD_CACHES_H
#define EDGEQ_BOARD_CACHES_H

/* Both caches on, empty: nothing may have been written through them before. */
void caches_enable(void);

#endif
