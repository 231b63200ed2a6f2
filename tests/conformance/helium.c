/* What runs on the emulated Cortex-M55 around the models of a batch: requests come in by one file and answers leave by
 * another, through semihosting (Arm's "Semihosting for AArch32 and AArch64"). batch.c before this has `models`. */
#define GUARD 256u
#define SYS_OPEN 1
#define SYS_WRITE 5
#define SYS_READ 6

static uint8_t whole[GUARD + ARENA_BYTES + GUARD] __attribute__((aligned(16)));
extern uint32_t stack_top[];
void Reset_Handler(void);
int memory_of_calls_is_kept(void (*function)(uint8_t *arena), uint8_t *arena);

const uint32_t vectors[16] __attribute__((section(".vectors"), used)) = {
    (uint32_t)stack_top, (uint32_t)Reset_Handler, (uint32_t)Reset_Handler, (uint32_t)Reset_Handler};

static uint32_t host(uint32_t operation, const uint32_t *arguments) {
  register uint32_t r0 __asm__("r0") = operation;
  register const uint32_t *r1 __asm__("r1") = arguments;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static uint32_t opened(const char *name, uint32_t length, uint32_t mode) {
  const uint32_t arguments[3] = {(uint32_t)name, mode, length};
  return host(SYS_OPEN, arguments);
}

static void transfer(uint32_t operation, uint32_t file, void *data, uint32_t bytes) {
  uint8_t *at = data;
  while (bytes > 0) {
    const uint32_t arguments[3] = {file, (uint32_t)at, bytes};
    const uint32_t left = host(operation, arguments);
    at += bytes - left;
    bytes = left;
  }
}

/* Runs a function of the arena; 1 when it kept the registers that it must keep. */
__asm__(
    ".text\n .thumb_func\n .global memory_of_calls_is_kept\n"
    "memory_of_calls_is_kept:\n"
    "push {r3-r11, lr}\n vpush {d8-d15}\n"
    "mov r12, r0\n mov r0, r1\n"
    "mov r4, #0x44\n mov r5, #0x55\n mov r6, #0x66\n mov r7, #0x77\n"
    "mov r8, #0x88\n mov r9, #0x99\n mov r10, #0xAA\n mov r11, #0xBB\n"
    "vmov d8, r4, r5\n vmov d9, r5, r6\n vmov d10, r6, r7\n vmov d11, r7, r8\n"
    "vmov d12, r8, r9\n vmov d13, r9, r10\n vmov d14, r10, r11\n vmov d15, r11, r4\n"
    "blx r12\n"
    "mov r0, #0\n"
    "eor r1, r4, #0x44\n orr r0, r0, r1\n eor r1, r5, #0x55\n orr r0, r0, r1\n"
    "eor r1, r6, #0x66\n orr r0, r0, r1\n eor r1, r7, #0x77\n orr r0, r0, r1\n"
    "eor r1, r8, #0x88\n orr r0, r0, r1\n eor r1, r9, #0x99\n orr r0, r0, r1\n"
    "eor r1, r10, #0xAA\n orr r0, r0, r1\n eor r1, r11, #0xBB\n orr r0, r0, r1\n"
    "vmov r1, r2, d8\n eor r1, r1, #0x44\n orr r0, r0, r1\n eor r2, r2, #0x55\n orr r0, r0, r2\n"
    "vmov r1, r2, d9\n eor r1, r1, #0x55\n orr r0, r0, r1\n eor r2, r2, #0x66\n orr r0, r0, r2\n"
    "vmov r1, r2, d10\n eor r1, r1, #0x66\n orr r0, r0, r1\n eor r2, r2, #0x77\n orr r0, r0, r2\n"
    "vmov r1, r2, d11\n eor r1, r1, #0x77\n orr r0, r0, r1\n eor r2, r2, #0x88\n orr r0, r0, r2\n"
    "vmov r1, r2, d12\n eor r1, r1, #0x88\n orr r0, r0, r1\n eor r2, r2, #0x99\n orr r0, r0, r2\n"
    "vmov r1, r2, d13\n eor r1, r1, #0x99\n orr r0, r0, r1\n eor r2, r2, #0xAA\n orr r0, r0, r2\n"
    "vmov r1, r2, d14\n eor r1, r1, #0xAA\n orr r0, r0, r1\n eor r2, r2, #0xBB\n orr r0, r0, r2\n"
    "vmov r1, r2, d15\n eor r1, r1, #0xBB\n orr r0, r0, r1\n eor r2, r2, #0x44\n orr r0, r0, r2\n"
    "clz r0, r0\n lsr r0, r0, #5\n"
    "vpop {d8-d15}\n pop {r3-r11, pc}\n");

static uint8_t junk(uint32_t i, uint32_t seed) {
  return (uint8_t)((i + seed * 40503u) * 2654435761u >> 24);
}

/* Whether a guard byte has changed. */
static int guards_are_kept(uint32_t arena_bytes, uint32_t seed) {
  for (uint32_t i = 0; i < GUARD; ++i) {
    const uint32_t behind = GUARD + arena_bytes + i;
    if (whole[i] != junk(i, seed) || whole[behind] != junk(behind, seed)) return 0;
  }
  return 1;
}

/* A request: a model's number, 1 for an arena that is filled and reset, bytes of its inputs and outputs, and the inputs. An
 * answer: 1 when guards and registers were kept, then the outputs. */
static void serve(uint32_t from, uint32_t to) {
  uint8_t *const arena = whole + GUARD;
  for (uint32_t run = 0;; ++run) {
    uint32_t request[2], bytes;
    transfer(SYS_READ, from, request, sizeof request);
    const model *m = &models[request[0]];
    static uint32_t seed;
    if (request[1]) {
      seed = run;
      for (uint32_t i = 0; i < sizeof whole; ++i) whole[i] = junk(i, seed);
      m->reset(arena);
    }
    for (unsigned i = 0; i < m->inputs; ++i) {
      transfer(SYS_READ, from, &bytes, 4);
      transfer(SYS_READ, from, m->input(arena, i), bytes);
    }
    uint32_t kept = (uint32_t)memory_of_calls_is_kept(m->invoke, arena);
    kept |= (uint32_t)guards_are_kept(m->arena_bytes, seed) << 1;
    transfer(SYS_WRITE, to, &kept, 4);
    for (unsigned i = 0; i < m->outputs; ++i) {
      transfer(SYS_READ, from, &bytes, 4);
      transfer(SYS_WRITE, to, (void *)(uintptr_t)m->output(arena, i), bytes);
    }
  }
}

void Reset_Handler(void) {
  *(volatile uint32_t *)0xE000ED88u |= 15u << 20; /* CPACR: floating point and vectors */
  __asm volatile("dsb\n isb" ::: "memory");
  const uint32_t from = opened("requests", 8, 1), to = opened("answers", 7, 5);
  serve(from, to);
}
