/* The crystal, the PLL, and all clocks from it. */
#include "board/parts.h"
#include "board/rp2.h"

#define CRYSTAL_HZ 12000000u
#define XOSC_CTRL    REGISTER(XOSC_BASE + 0x0u)
#define XOSC_CTRL_ENABLE (0xFABu << 12 | 0xAA0u) /* from 1 to 15 MHz */
#define XOSC_STATUS  REGISTER(XOSC_BASE + 0x4u)
#define XOSC_STATUS_STABLE BIT(31)
#define XOSC_STARTUP REGISTER(XOSC_BASE + 0xCu)
#define XOSC_STARTUP_DELAY 47u /* * 256 cycles = 1 ms, rounded up */

#define PLL_CS       REGISTER(PLL_SYS_BASE + 0x0u)
#define PLL_CS_LOCK        BIT(31)
#define PLL_PWR      REGISTER(PLL_SYS_BASE + 0x4u)
#define PLL_PWR_PD         BIT(0)
#define PLL_PWR_POSTDIVPD  BIT(3)
#define PLL_PWR_VCOPD      BIT(5)
#define PLL_FBDIV    REGISTER(PLL_SYS_BASE + 0x8u)
#define PLL_PRIM     REGISTER(PLL_SYS_BASE + 0xCu)

#define CLK_REF_CTRL     REGISTER(CLOCKS_BASE + 0x30u)
#define CLK_REF_CTRL_XOSC      2u
#define CLK_REF_SELECTED REGISTER(CLOCKS_BASE + 0x38u)
#define CLK_SYS_CTRL     REGISTER(CLOCKS_BASE + 0x3Cu)
#define CLK_SYS_CTRL_REF       0u
#define CLK_SYS_CTRL_AUX       1u /* of its sources, 0 is the PLL */
#define CLK_SYS_SELECTED REGISTER(CLOCKS_BASE + 0x44u)
#define CLK_PERI_CTRL    REGISTER(CLOCKS_BASE + 0x48u)
#define CLK_PERI_CTRL_ENABLE   BIT(11) /* from the system clock */

/* The PLL multiplies the crystal to between 750 and 1600 MHz, and divides that by PLL_DIVIDER_1 * PLL_DIVIDER_2. */
#define PLL_DIVIDER (PLL_DIVIDER_1 * PLL_DIVIDER_2)
#define PLL_MULTIPLIER (EDGEQ_CLOCK_HZ / (CRYSTAL_HZ / PLL_DIVIDER))
#if EDGEQ_CLOCK_HZ * PLL_DIVIDER % CRYSTAL_HZ != 0 || PLL_MULTIPLIER * 12 < 750 || PLL_MULTIPLIER * 12 > 1600
#error "the PLL doesn't make this clock with the dividers of family.h"
#endif

static void pll_init(void) {
    out_of_reset(RESETS_PLL_SYS);
    PLL_CS = 1; /* the crystal's clock undivided */
    PLL_FBDIV = PLL_MULTIPLIER;
    PLL_PWR &= ~(PLL_PWR_PD | PLL_PWR_VCOPD);
    wait_for(&PLL_CS, PLL_CS_LOCK, PLL_CS_LOCK);
    PLL_PRIM = PLL_DIVIDER_1 << 16 | PLL_DIVIDER_2 << 12;
    PLL_PWR &= ~PLL_PWR_POSTDIVPD;
}

void clocks_init(void) {
    XOSC_STARTUP = XOSC_STARTUP_DELAY;
    XOSC_CTRL = XOSC_CTRL_ENABLE;
    wait_for(&XOSC_STATUS, XOSC_STATUS_STABLE, XOSC_STATUS_STABLE);

    /* The system clock away from the PLL, where a bootloader may have put it, before the PLL is touched. */
    CLK_SYS_CTRL &= ~CLK_SYS_CTRL_AUX;
    wait_for(&CLK_SYS_SELECTED, BIT(CLK_SYS_CTRL_REF), BIT(CLK_SYS_CTRL_REF));
    CLK_REF_CTRL = CLK_REF_CTRL_XOSC;
    wait_for(&CLK_REF_SELECTED, BIT(CLK_REF_CTRL_XOSC), BIT(CLK_REF_CTRL_XOSC));
    pll_init();
    CLK_SYS_CTRL = CLK_SYS_CTRL_REF; /* the source first, then the switch */
    CLK_SYS_CTRL = CLK_SYS_CTRL_AUX;
    wait_for(&CLK_SYS_SELECTED, BIT(CLK_SYS_CTRL_AUX), BIT(CLK_SYS_CTRL_AUX));
    CLK_PERI_CTRL = CLK_PERI_CTRL_ENABLE;
    out_of_reset(RESETS_IO_BANK0 | RESETS_PADS_BANK0);
}

void micros_init(void) {
    ticks_init(CRYSTAL_HZ / 1000000u);
    out_of_reset(RESETS_TIMER);
}
