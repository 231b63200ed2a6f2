/* nRF5340: 128 MHz, the crystal, the flash's cache, the factory's trimming, and a debug port that stays open. */
#include "board/nordic.h"
#include "board/parts.h"

#if EDGEQ_CLOCK_HZ != 64000000 && EDGEQ_CLOCK_HZ != 128000000
#error "the nRF5340's application core runs at 64 or 128 MHz"
#endif

#define CLOCK_TASKS_HFCLKSTART    REGISTER(0x50005000u)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x50005100u)
#define CLOCK_HFCLKCTRL           REGISTER(0x50005558u) /* the clock is 128 MHz divided by this + 1 */
#define CACHE_ENABLE              REGISTER(0x50001500u)
#define CTRLAP_APPROTECT_DISABLE  REGISTER(0x50006544u)
#define CTRLAP_SECUREAPPROTECT_DISABLE REGISTER(0x5000654Cu)
#define UICR_APPROTECT            REGISTER(0x00FF8000u)
#define UICR_SECUREAPPROTECT      REGISTER(0x00FF801Cu)
#define FICR_TRIMCNF(n)           REGISTER(0x00FF0300u + 8u * (n)) /* an address, then what belongs there */
#define FICR_TRIMCNF_COUNT        32u

/* What the factory has measured goes where it takes effect (Product Specification, "FICR"): firmware's duty. */
static void trim(void) {
    for (uint32_t i = 0; i < FICR_TRIMCNF_COUNT && FICR_TRIMCNF(i) != 0xFFFFFFFFu; ++i) {
        REGISTER(FICR_TRIMCNF(i)) = *(&FICR_TRIMCNF(i) + 1);
    }
}

/* Anomaly 160 of the nRF5340 (Nordic nrfx, mdk/system_nrf5340_application.c): from this revision on, undocumented registers
 * of the regulators and of the flash have to be set before the core runs at 128 MHz. */
#define FICR_REVISION         REGISTER(0x00FF0134u)
#define ANOMALY_160_FROM      5u

static void work_around_anomaly_160(void) {
    static const uint32_t settings[][2] = {
        {0x5000470Cu, 0x7Eu}, {0x5000493Cu, 0x7Eu}, {0x50002118u, 0x7Fu}, {0x50039E04u, 0}, {0x50039E08u, 0},
        {0x50101110u, 0},     {0x50002124u, 0},     {0x5000212Cu, 0},     {0x502012A0u, 0},
    };
    if (FICR_REVISION >= ANOMALY_160_FROM) {
        for (unsigned i = 0; i < sizeof settings / sizeof settings[0]; ++i) {
            REGISTER(settings[i][0]) = settings[i][1];
        }
    }
}

void clocks_init(void) {
    trim();
    work_around_anomaly_160();
    /* The debug port closes after each reset unless firmware hands on what UICR says (Product Specification, "Debug access
     * port"; Nordic's own start-up does the same). */
    CTRLAP_APPROTECT_DISABLE = UICR_APPROTECT;
    CTRLAP_SECUREAPPROTECT_DISABLE = UICR_SECUREAPPROTECT;

    CLOCK_HFCLKCTRL = 128000000u / EDGEQ_CLOCK_HZ - 1u;
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1; /* from the crystal: a UART needs it, and so does a figure in microseconds */
    wait_for_event(&CLOCK_EVENTS_HFCLKSTARTED);
    CACHE_ENABLE = 1;
}
