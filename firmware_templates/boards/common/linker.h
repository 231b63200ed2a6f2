/* Symbols that linker.ld defines; their addresses are what matters. */
#ifndef EDGEQ_BOARD_LINKER_H
#define EDGEQ_BOARD_LINKER_H

#include <stdint.h>

extern uint32_t _stack_limit[]; /* lowest word of the stack; below it there is no memory */
extern uint32_t _stack_top[];   /* one past its highest word: the initial stack pointer */
extern uint32_t _data_load[];   /* start values of .data, in flash */
extern uint32_t _data_start[], _data_end[];
extern uint32_t _bss_start[], _bss_end[];
extern uint32_t _arena_start[], _arena_end[];

#define STACK_PAINT UINT32_C(0xA5A5A5A5)

#endif
