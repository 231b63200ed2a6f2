/* Faults end in one line on the console, with what is needed to find the cause in the .elf file. */
#include <stdint.h>

#include "board/core.h"
#include "board/linker.h"
#include "runtime/board.h"
#include "runtime/format.h"

/* What the core has pushed when it took the exception: DDI 0403E, "Exception entry behavior". */
typedef struct {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
} exception_frame;

static const char *const fault_names[] = {"NMI", "HardFault", "MemManage", "BusFault", "UsageFault"};

__attribute__((used, noreturn)) void fault_report(const exception_frame *frame);
void fault_report(const exception_frame *frame) {
    const uint32_t exception = SCB_ICSR & 0x1FFu;
    /* After a stack overflow the frame couldn't be pushed and isn't there to be read. It is read before anything is
     * called: this stack begins where the old one did, and grows over it. */
    const int framed = (uintptr_t)frame >= (uintptr_t)_stack_limit && (uintptr_t)(frame + 1) <= (uintptr_t)_stack_top;
    const uint32_t pc = framed ? frame->pc : 0;
    const uint32_t lr = framed ? frame->lr : 0;
    put_text("\r\ne-[");
    if (exception >= 2u && exception <= 6u) {
        put_text(fault_names[exception - 2u]);
    } else { /* one that nobody has written a handler for */
        put_text(exception < 16u ? "Exception " : "Interrupt ");
        put_decimal(exception < 16u ? exception : exception - 16u);
    }
    if (framed) {
        put_text(" pc=0x");
        put_hex_word(pc);
        put_text(" lr=0x");
        put_hex_word(lr);
    } else {
        put_text(" stack overflow sp=0x");
        put_hex_word((uint32_t)(uintptr_t)frame);
    }
#if __ARM_ARCH >= 7 /* Armv6-M doesn't say more */
    put_text(" cfsr=0x");
    put_hex_word(SCB_CFSR);
#endif
    put_line("]");
    for (;;) {
        __asm volatile("cpsid i\n wfi");
    }
}
