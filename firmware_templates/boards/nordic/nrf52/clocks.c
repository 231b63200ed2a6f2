/* nRF52840: the crystal, the flash's cache, and a debug port that stays open. */
#include "board/nordic.h"
#include "board/parts.h"

#if EDGEQ_CLOCK_HZ != 64000000
#error "the nRF52840 runs at 64 MHz, always"
#endif

#define CLOCK_TASKS_HFCLKSTART   REGISTER(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x40000100u)
#define NVMC_ICACHECNF           REGISTER(0x4001E540u)
#define NVMC_ICACHECNF_CACHEEN   BIT(0)
#define UICR_APPROTECT           REGISTER(0x10001208u)
#define APPROTECT_DISABLE        REGISTER(0x40000558u)

void clocks_init(void) {
    /* From revision 3 on the chip locks its debug port after each reset unless firmware hands on what UICR says
     * (nRF52840 Product Specification, "Access port protection"; Nordic's own start-up does the same). */
    APPROTECT_DISABLE = UICR_APPROTECT;

    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1; /* from the crystal: a UART needs it, and so does a figure in microseconds */
    wait_for_event(&CLOCK_EVENTS_HFCLKSTARTED);
    NVMC_ICACHECNF = NVMC_ICACHECNF_CACHEEN;
}
