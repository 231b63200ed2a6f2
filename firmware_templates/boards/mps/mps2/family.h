/* MPS2 with a Cortex-M4 (AN386). */
#ifndef EDGEQ_BOARD_FAMILY_H
#define EDGEQ_BOARD_FAMILY_H

#define CYCLES_FROM_SYSTICK 1 /* QEMU has no DWT */
#define FPGAIO_BASE 0x40028000u

#endif
