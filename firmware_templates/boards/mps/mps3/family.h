/* MPS3 with the SSE-300 and a Cortex-M55 (AN547): everything at its secure address, as the core starts secure. */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#define CYCLES_FROM_SYSTICK 1 /* QEMU has no DWT */
#define FPGAIO_BASE 0x59302000u

#endif
