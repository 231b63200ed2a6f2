/* A bare Cortex-M4 in QEMU: a vector table, and semihosting (Arm's "Semihosting for AArch32 and AArch64") for printf() and
 * the exit code. */
#include <stdint.h>

extern uint32_t stack_top;
int main(void);

static void semihost(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

int _write(int file, const char *text, int count);
int _write(int file, const char *text, int count) {
  (void)file;
  for (int i = 0; i < count; ++i) semihost(0x03, text + i); /* SYS_WRITEC */
  return count;
}

static void leave(uint32_t code) {
  const uint32_t reason[2] = {0x20026, code}; /* ADP_Stopped_ApplicationExit */
  semihost(0x20, reason);                     /* SYS_EXIT_EXTENDED */
  for (;;) {
  }
}

void reset(void);
void reset(void) {
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: the FPU on */
  leave((uint32_t)main());
}

static void fault(void) { leave(99); }

__attribute__((section(".vectors"), used)) static void (*const vectors[7])(void) = {
    (void (*)(void)) & stack_top, reset, fault, fault, fault, fault, fault};
