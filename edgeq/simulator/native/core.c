/* The hot path of a virtual board: counts cycles, instructions and cache hits while the emulator runs.
 *
 * Three functions here are called by the emulator itself, through raw pointers: `edgeq_on_block` once per executed
 * basic block, `edgeq_on_read` once per data read, and `edgeq_on_program` once per write to flash, whose cells can't
 * take what RAM takes. What a block costs on ideal memory is decided elsewhere
 * (the cycle model, once per distinct block); this file adds what depends on the moment: taken branches, the
 * flash's wait states, its instruction and data caches and its prefetch buffer.
 *
 * Time is counted in core cycles. A block's cycles are added when it is entered, fetch unit by fetch unit.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINES = 128, NO_LINE = 0xFF, MAX_CELLS = 4, LINE_UNITS = 8 };
static const uint32_t NO_UNIT = 0xFFFFFFFFu;
static const uint32_t IT_STATE = 0x0600FC00u; /* of xPSR */

/* Why the emulator was stopped before the block at its program counter. Mirrored in state.py. */
enum stop_reason {
    STOP_NONE = 0,
    STOP_DEADLINE = 1,  /* the clock has reached `deadline` */
    STOP_REQUEST = 2,   /* the board asked for it */
    STOP_SELF_LOOP = 3, /* the block is a branch to itself */
    STOP_NO_FPU = 4,    /* the block holds floating-point instructions and CPACR has the FPU off */
    STOP_UNALIGNED = 5, /* LDM, LDRD, VLDR, ... at an address that isn't a multiple of four */
    STOP_UNDECODED = 6, /* the board could not say what the block costs */
    STOP_PROGRAMMED_WRONG = 7 /* a write that the flash controller answers with a bus fault */
};

/* Why a write to flash wasn't programmed. Mirrored in peripherals/device.py. */
enum program_fault {
    FAULT_WIDTH = 1,  /* of another width than the controller is set to */
    FAULT_ROW = 2,    /* across the end of a row */
    FAULT_CLOSED = 4  /* the controller isn't set to program */
};

/* What a block is, besides its cost. Mirrored in cycles/block.py. */
enum block_flags {
    FLAG_STARTS_WITH_LOAD = 1,    /* its first instruction can pipeline behind a load */
    FLAG_ENDS_WITH_LOAD = 2,      /* ... and its last one lets the next do so */
    FLAG_WIDE_UNALIGNED = 4,      /* a 32-bit instruction across a word boundary comes first */
    FLAG_FPU = 8,                 /* has floating-point instructions */
    FLAG_SELF_LOOP = 16,          /* is nothing but a branch to itself */
    FLAG_CHANGES_MASK = 32,       /* may unmask interrupts (CPS, MSR) */
    FLAG_CONDITIONAL = 64         /* has an IT instruction */
};

/* How a register's value at a block's entry, modulo 4, decides about unaligned accesses (cycles/alignment.py). */
typedef struct {
    int32_t number;      /* the emulator's number of the register */
    uint16_t extra[4];   /* cycles that unaligned loads add */
    uint16_t traps;      /* bit: that value makes an access fault */
} alignment_check;

typedef struct {
    uint32_t address, size;
    uint32_t instructions;
    uint32_t first_cycle; /* index into `unit_cycles`: one entry per fetch unit of the block */
    uint16_t flags;
    uint16_t taken_cycles; /* added when the next block isn't the one that follows in memory */
    uint32_t total_cycles;
    uint32_t first_check, check_count;
} block;

typedef struct {
    uint32_t line_count;
    uint64_t used[MAX_LINES];    /* for least-recently-used replacement */
    uint32_t line[MAX_LINES];
    uint32_t valid[MAX_LINES];   /* bit per fetch unit of the line */
    uint8_t *slot;               /* flash line -> slot or NO_LINE */
    uint32_t current;            /* the unit read last: served without a look-up */
} cache;

/* The first part is shared with Python (state.py mirrors it field by field). */
typedef struct {
    uint64_t cycles, instructions, blocks, branches_taken;
    uint64_t fetch_stalls, data_stalls;
    uint64_t instruction_hits, instruction_misses, prefetch_hits;
    uint64_t data_hits, data_misses, unaligned_cycles, slow_reads;
    uint64_t deadline;
    uint32_t stop_request, stop_reason;
    uint32_t masked_interrupt;   /* an interrupt is pending but masked: look again after CPS and MSR */
    uint32_t fpu_enabled;
    uint32_t flash_base, flash_bytes;
    uint32_t wait_states;
    uint32_t unit_shift, line_shift;
    uint32_t instruction_lines, data_lines; /* present in the chip; 0 = no cache */
    uint32_t instruction_cache_on, data_cache_on, prefetch_on;
    uint32_t unaligned_branch_cycles;
    uint32_t data_hit_cycles;    /* of a data read from the cache, not from the unit read last */
    uint32_t instruction_miss_cycles; /* of an instruction read that fills the cache, besides the wait states */
    uint32_t slow_read_cycles;   /* of a read from the slow part of the RAM */
    uint32_t status_register;    /* the emulator's number of xPSR */
    uint32_t ways;               /* of one cache for everything; 0 = two caches, any line anywhere */
    uint32_t flash_open;         /* the controller lets writes through: it programs */
    uint32_t program_width;      /* bytes that each write must have, aligned to them; 0 = any */
    uint32_t program_row;        /* bytes of a row, whose end no write may cross; 0 = none */
    uint32_t program_traps;      /* what isn't so is a bus fault */
    uint32_t program_faults;     /* `program_fault` bits of the writes that changed nothing */
    uint32_t program_address;    /* ... and where the last of them went */
    uint32_t flash_dead;         /* a fault: programming changes nothing */
    uint32_t stuck_address, stuck_bits; /* a fault: these bits of that byte of flash can't be programmed to 0 */
    void *uc;
    int (*emulator_stop)(void *uc);
    int (*read_register)(void *uc, int number, void *value);
    int (*write_register)(void *uc, int number, const void *value);
    int (*decode)(uint32_t address, uint32_t size);
} public_state;

/* Flash as memory: what is behind an address. */
typedef struct {
    uint32_t base, size;
    uint8_t *host;
} cells;

typedef struct {
    public_state p;
    cells cells[MAX_CELLS];
    uint32_t cells_count;
    uint8_t *programmed;         /* where the write before has to be corrected, NULL = nowhere */
    uint32_t programmed_value, programmed_bytes;
    cache instructions, data;
    uint32_t *tags;              /* of the one cache: [set][way], the way used last first: line + 1 above a bit for each
                                  * unit that the line holds; 0 = empty */
    uint32_t set_mask;
    uint64_t tick;               /* order of cache use */
    uint64_t flash_free;         /* when the flash can start its next access */
    uint32_t prefetch_unit;      /* what the prefetch buffer holds or is being filled with */
    uint64_t prefetch_ready;
    block *blocks;
    uint32_t *table;             /* open addressing: index into blocks + 1 */
    uint32_t block_count, block_room, table_mask;
    uint16_t *unit_cycles;
    uint32_t unit_count, unit_room;
    alignment_check *checks;
    uint32_t check_count, check_room;
    uint32_t previous;           /* index of the block entered last, + 1 */
} core;

static bool make_cache(cache *c, uint32_t line_count, uint32_t flash_lines) {
    c->line_count = line_count;
    c->current = NO_UNIT;
    c->slot = malloc(flash_lines ? flash_lines : 1);
    if (!c->slot) return false;
    memset(c->slot, NO_LINE, flash_lines);
    return true;
}

static void empty_cache(cache *c) {
    for (uint32_t i = 0; i < c->line_count; i++) {
        if (c->valid[i]) c->slot[c->line[i]] = NO_LINE;
        c->valid[i] = 0;
        c->used[i] = 0;
    }
    c->current = NO_UNIT;
}

/* Makes the state; the caller has filled in the public part. NULL when there is no memory or a figure is absurd. */
core *edgeq_new(const public_state *setup) {
    uint32_t own_lines = setup->ways ? 0 : setup->instruction_lines;
    if (own_lines > MAX_LINES || setup->data_lines > MAX_LINES) return NULL;
    if (setup->line_shift < setup->unit_shift || setup->line_shift - setup->unit_shift > 4) return NULL;
    if (setup->ways && 1u << (setup->line_shift - setup->unit_shift) > LINE_UNITS) return NULL;
    core *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->p = *setup;
    c->prefetch_unit = NO_UNIT;
    uint32_t flash_lines = (setup->flash_bytes >> setup->line_shift) + 1;
    c->block_room = 4096;
    c->table_mask = 16383;
    c->unit_room = 32768;
    c->blocks = calloc(c->block_room, sizeof *c->blocks);
    c->table = calloc(c->table_mask + 1u, sizeof *c->table);
    c->unit_cycles = calloc(c->unit_room, sizeof *c->unit_cycles);
    bool made = make_cache(&c->instructions, own_lines, flash_lines);
    made = make_cache(&c->data, setup->data_lines, flash_lines) && made;
    if (setup->ways) {
        c->set_mask = setup->instruction_lines / setup->ways - 1; /* sets are a power of two */
        c->tags = calloc(setup->instruction_lines, sizeof *c->tags);
        made = made && c->tags;
    }
    if (!made || !c->blocks || !c->table || !c->unit_cycles) return NULL;
    return c;
}

void edgeq_free(core *c) {
    free(c->instructions.slot);
    free(c->data.slot);
    free(c->tags);
    free(c->blocks);
    free(c->table);
    free(c->unit_cycles);
    free(c->checks);
    free(c);
}

/* Caches and prefetch buffer as after reset. */
void edgeq_empty_caches(core *c) {
    empty_cache(&c->instructions);
    empty_cache(&c->data);
    if (c->tags) memset(c->tags, 0, c->p.instruction_lines * sizeof *c->tags);
    c->prefetch_unit = NO_UNIT;
    c->flash_free = 0;
}

/* The next block doesn't follow from the last one (exception entry and return): no branch is priced. */
void edgeq_break_sequence(core *c) { c->previous = 0; }

/* Forget all blocks: the code has changed. */
void edgeq_forget_blocks(core *c) {
    memset(c->table, 0, (c->table_mask + 1u) * sizeof *c->table);
    c->block_count = 0;
    c->unit_count = 0;
    c->check_count = 0;
    c->previous = 0;
}

static uint32_t place(const core *c, uint32_t address) { return (address >> 1) * 2654435761u & c->table_mask; }

static bool grow(core *c) {
    uint32_t room = c->block_room * 2, mask = c->table_mask * 2 + 1;
    block *blocks = realloc(c->blocks, room * sizeof *blocks);
    if (!blocks) return false;
    c->blocks = blocks;
    uint32_t *table = calloc(mask + 1u, sizeof *table);
    if (!table) return false;
    free(c->table);
    c->table = table;
    c->table_mask = mask;
    c->block_room = room;
    for (uint32_t i = 0; i < c->block_count; i++) {
        uint32_t at = place(c, c->blocks[i].address);
        while (c->table[at]) at = (at + 1) & mask;
        c->table[at] = i + 1;
    }
    return true;
}

/* Index of the block at `address`, + 1; 0 when it isn't known. */
static uint32_t find(const core *c, uint32_t address) {
    for (uint32_t at = place(c, address);; at = (at + 1) & c->table_mask) {
        uint32_t index = c->table[at];
        if (!index || c->blocks[index - 1].address == address) return index;
    }
}

/* Adds (or replaces) a block. `cycles` has one entry per fetch unit that it touches. 0 = done. */
int edgeq_add_block(core *c, uint32_t address, uint32_t size, uint32_t instructions, uint32_t flags,
                    uint32_t taken_cycles, uint32_t units, const uint16_t *cycles, uint32_t checks,
                    const alignment_check *check) {
    if (c->check_count + checks > c->check_room) {
        uint32_t room = (c->check_count + checks) * 2 + 256;
        alignment_check *bigger = realloc(c->checks, room * sizeof *bigger);
        if (!bigger) return -1;
        c->checks = bigger;
        c->check_room = room;
    }
    if (c->unit_count + units > c->unit_room) {
        uint32_t room = (c->unit_room + units) * 2;
        uint16_t *bigger = realloc(c->unit_cycles, room * sizeof *bigger);
        if (!bigger) return -1;
        c->unit_cycles = bigger;
        c->unit_room = room;
    }
    uint32_t index = find(c, address);
    if (!index) {
        if (c->block_count == c->block_room && !grow(c)) return -1;
        uint32_t at = place(c, address);
        while (c->table[at]) at = (at + 1) & c->table_mask;
        index = ++c->block_count;
        c->table[at] = index;
    }
    block *b = &c->blocks[index - 1];
    *b = (block){.address = address, .size = size, .instructions = instructions, .first_cycle = c->unit_count,
                 .flags = (uint16_t)flags, .taken_cycles = (uint16_t)taken_cycles,
                 .first_check = c->check_count, .check_count = checks};
    for (uint32_t i = 0; i < checks; i++) c->checks[c->check_count++] = check[i];
    for (uint32_t i = 0; i < units; i++) {
        c->unit_cycles[c->unit_count++] = cycles[i];
        b->total_cycles += cycles[i];
    }
    return 0;
}

/* Whether the cache holds a unit of flash; marks it as used. */
static inline bool holds(core *c, cache *k, uint32_t unit) {
    uint32_t shift = c->p.line_shift - c->p.unit_shift;
    uint8_t slot = k->slot[unit >> shift];
    if (slot == NO_LINE || !(k->valid[slot] >> (unit & ((1u << shift) - 1)) & 1)) return false;
    k->used[slot] = ++c->tick;
    return true;
}

/* Puts a unit that was read from flash into the cache: into its line if that is there, else over the oldest. */
static void keep(core *c, cache *k, uint32_t unit) {
    uint32_t shift = c->p.line_shift - c->p.unit_shift, line = unit >> shift;
    uint32_t slot = k->slot[line];
    if (slot == NO_LINE) {
        slot = 0;
        for (uint32_t i = 1; i < k->line_count; i++)
            if (k->used[i] < k->used[slot]) slot = i;
        if (k->valid[slot]) k->slot[k->line[slot]] = NO_LINE;
        k->slot[line] = (uint8_t)slot;
        k->line[slot] = line;
        k->valid[slot] = 0;
    }
    k->valid[slot] |= 1u << (unit & ((1u << shift) - 1));
    k->used[slot] = ++c->tick;
}

/* Starts reading the unit after `unit` into the prefetch buffer, unless it is at hand already. */
static void prefetch(core *c, uint32_t unit, uint64_t now) {
    uint32_t next = unit + 1;
    if (!c->p.prefetch_on || next >= c->p.flash_bytes >> c->p.unit_shift || c->prefetch_unit == next) return;
    if (c->p.instruction_cache_on && c->instructions.line_count && holds(c, &c->instructions, next)) return;
    uint64_t start = now > c->flash_free ? now : c->flash_free;
    c->prefetch_unit = next;
    c->prefetch_ready = start + c->p.wait_states + 1;
    c->flash_free = c->prefetch_ready;
}

/* A read of a unit through the one cache; whether it was there. The least recently used way is replaced. */
static bool read_shared(core *c, uint32_t unit) {
    uint32_t shift = c->p.line_shift - c->p.unit_shift, line = unit >> shift;
    uint32_t tag = (line + 1) << LINE_UNITS, bit = 1u << (unit & ((1u << shift) - 1));
    uint32_t *set = c->tags + (line & c->set_mask) * c->p.ways, way = 0;
    while (way < c->p.ways && set[way] >> LINE_UNITS != line + 1) way++;
    bool present = way < c->p.ways;
    uint32_t held = present ? set[way] : tag;
    for (uint32_t i = present ? way : c->p.ways - 1; i > 0; i--) set[i] = set[i - 1];
    set[0] = held | bit;
    return held & bit;
}

/* The core needs instructions from this unit of flash: adds the cycles it has to wait. */
static void fetch(core *c, uint32_t unit) {
    cache *k = &c->instructions;
    if (c->tags) {
        bool hit = read_shared(c, unit);
        uint32_t stall = hit ? 0 : c->p.wait_states;
        c->p.instruction_hits += hit;
        c->p.instruction_misses += !hit;
        c->p.fetch_stalls += stall;
        c->p.cycles += stall;
        return;
    }
    if (unit == k->current) return;
    k->current = unit;
    bool cached = c->p.instruction_cache_on && k->line_count;
    uint64_t now = c->p.cycles, ready = now;
    if (cached && holds(c, k, unit)) {
        c->p.instruction_hits++;
    } else if (c->prefetch_unit == unit) {
        c->p.prefetch_hits++;
        if (c->prefetch_ready > now) ready = c->prefetch_ready;
        if (cached) keep(c, k, unit);
    } else {
        c->p.instruction_misses++;
        ready = (now > c->flash_free ? now : c->flash_free) + c->p.wait_states;
        if (cached && c->p.wait_states) ready += c->p.instruction_miss_cycles;
        c->flash_free = ready;
        if (cached) keep(c, k, unit);
    }
    c->p.fetch_stalls += ready - now;
    c->p.cycles = ready;
    prefetch(c, unit, ready);
}

/* Tells that flash is mapped there, `host` behind it. 0 = done. */
int edgeq_add_cells(core *c, uint32_t base, uint32_t size, uint8_t *host) {
    if (c->cells_count == MAX_CELLS) return -1;
    c->cells[c->cells_count++] = (cells){base, size, host};
    return 0;
}

/* What a byte of flash holds after `wanted` was written over `old`: programming only clears bits. */
static uint8_t programmed(const core *c, uint32_t address, uint8_t old, uint8_t wanted) {
    if (c->p.flash_dead) return old;
    uint32_t stuck = address == c->p.stuck_address ? c->p.stuck_bits & old : 0;
    return (uint8_t)((old & wanted) | stuck);
}

/* The emulator has written to flash what the firmware wrote: makes it what the cells have become. */
void edgeq_settle(core *c) {
    if (!c->programmed) return;
    for (uint32_t i = 0; i < c->programmed_bytes; i++) c->programmed[i] = (uint8_t)(c->programmed_value >> 8 * i);
    c->programmed = NULL;
}

/* Whether the controller programs a write as it is set now; notes what is wrong with it. */
static bool accepted(core *c, uint32_t address, uint32_t size) {
    uint32_t fault = 0;
    if (!c->p.flash_open) fault = FAULT_CLOSED;
    else if (c->p.program_width && (size != c->p.program_width || address % size)) fault = FAULT_WIDTH;
    if (!(fault & FAULT_CLOSED) && c->p.program_row && address % c->p.program_row + size > c->p.program_row)
        fault |= FAULT_ROW;
    if (fault) c->p.program_address = address;
    c->p.program_faults |= fault;
    return !fault;
}

/* What flash becomes where `size` bytes of `value` are written to it. */
static uint32_t result_of(const core *c, uint32_t address, const uint8_t *old, uint32_t size, uint64_t value) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < size; i++)
        result |= (uint32_t)programmed(c, address + i, old[i], (uint8_t)(value >> 8 * i)) << 8 * i;
    return result;
}

static uint8_t *cell(const core *c, uint32_t address, uint32_t size) {
    for (uint32_t i = 0; i < c->cells_count; i++) {
        uint32_t offset = address - c->cells[i].base;
        if (offset < c->cells[i].size && size <= c->cells[i].size - offset) return c->cells[i].host + offset;
    }
    return NULL;
}

static void stop(core *c, uint32_t reason) {
    c->p.stop_reason = reason;
    c->p.emulator_stop(c->p.uc);
}

/* A write of up to 4 bytes that doesn't come through the core (a debugger's). 0 = done, 1 = the controller doesn't
 * program it, 2 = nor answers, -1 = there is no flash. Mirrored in state.py. */
int edgeq_program(core *c, uint32_t address, uint32_t size, uint32_t value) {
    edgeq_settle(c);
    uint8_t *at = cell(c, address, size);
    if (!at || size > 4) return -1;
    if (!accepted(c, address, size)) return c->p.program_traps ? 2 : 1;
    uint32_t result = result_of(c, address, at, size, value);
    for (uint32_t i = 0; i < size; i++) at[i] = (uint8_t)(result >> 8 * i);
    return 0;
}

/* Called by the emulator before each write to flash, which is mapped writable while its controller programs. The
 * write itself can't be changed here: it is corrected before anything can see it, at the next block, read or write. */
void edgeq_on_program(void *uc, int type, uint64_t address64, int size, int64_t value, void *user) {
    core *c = user;
    uint32_t address = (uint32_t)address64, bytes = size > 4 ? 4 : (uint32_t)size;
    (void)uc, (void)type;
    edgeq_settle(c);
    if (!c->p.flash_open) return; /* the emulator refuses the write after this call */
    uint8_t *at = cell(c, address, bytes);
    if (!at) return;
    bool done = accepted(c, address, bytes);
    c->programmed = at;
    c->programmed_bytes = bytes;
    c->programmed_value = 0;
    if (done) c->programmed_value = result_of(c, address, at, bytes, (uint64_t)value);
    else for (uint32_t i = 0; i < bytes; i++) c->programmed_value |= (uint32_t)at[i] << 8 * i;
    if (!done && c->p.program_traps) stop(c, STOP_PROGRAMMED_WRONG);
}

/* Called by the emulator before each basic block. */
void edgeq_on_block(void *uc, uint64_t address64, uint32_t size, void *user) {
    core *c = user;
    uint32_t address = (uint32_t)address64;
    uint32_t before = c->previous;
    edgeq_settle(c);
    if (before && c->p.masked_interrupt && (c->blocks[before - 1].flags & FLAG_CHANGES_MASK)) {
        c->p.stop_request = 1;
        c->p.masked_interrupt = 0;
    }
    if (c->p.stop_request) { stop(c, STOP_REQUEST); return; }
    if (c->p.cycles >= c->p.deadline) { stop(c, STOP_DEADLINE); return; }
    uint32_t index = find(c, address);
    if (!index || c->blocks[index - 1].size != size) {
        if (c->p.decode(address, size) != 0) { stop(c, STOP_UNDECODED); return; }
        index = find(c, address);
    }
    const block *b = &c->blocks[index - 1];
    if (b->flags & (FLAG_SELF_LOOP | FLAG_FPU)) {
        if (b->flags & FLAG_SELF_LOOP) { stop(c, STOP_SELF_LOOP); return; }
        if (!c->p.fpu_enabled) { stop(c, STOP_NO_FPU); return; }
    }
    uint32_t unaligned = 0;
    for (uint32_t i = 0; i < b->check_count; i++) {
        const alignment_check *k = &c->checks[b->first_check + i];
        uint32_t value = 0;
        c->p.read_register(uc, k->number, &value);
        if (k->traps >> (value & 3) & 1) { stop(c, STOP_UNALIGNED); return; }
        unaligned += k->extra[value & 3];
    }
    if (before) {
        const block *a = &c->blocks[before - 1];
        if (address != a->address + a->size) {
            c->p.cycles += a->taken_cycles;
            if (b->flags & FLAG_WIDE_UNALIGNED) c->p.cycles += c->p.unaligned_branch_cycles;
            c->p.branches_taken++;
        } else if ((a->flags & FLAG_ENDS_WITH_LOAD) && (b->flags & FLAG_STARTS_WITH_LOAD)) {
            c->p.cycles--;
        }
    }
    c->previous = index;
    c->p.blocks++;
    c->p.instructions += b->instructions;
    c->p.unaligned_cycles += unaligned;
    c->p.cycles += unaligned;
    uint32_t offset = address - c->p.flash_base;
    if (offset >= c->p.flash_bytes || c->p.wait_states == 0) {
        c->p.cycles += b->total_cycles;
        return;
    }
    uint32_t first = offset >> c->p.unit_shift, last = (offset + size - 1) >> c->p.unit_shift;
    const uint16_t *cycles = c->unit_cycles + b->first_cycle;
    for (uint32_t unit = first; unit <= last; unit++) {
        fetch(c, unit);
        c->p.cycles += *cycles++;
    }
}

/* Called by the emulator before each data read from flash and from the slow part of the RAM. */
void edgeq_on_read(void *uc, int type, uint64_t address64, int size, int64_t value, void *user) {
    core *c = user;
    uint32_t address = (uint32_t)address64, flags = c->previous ? c->blocks[c->previous - 1].flags : 0;
    (void)type, (void)size, (void)value;
    edgeq_settle(c);
    if (flags & FLAG_CONDITIONAL) {
        /* Unicorn brings its state up to date before it calls a memory hook, the IT state too, and doesn't clear
         * that again: a later block would skip instructions (its issue 2309). While a block runs it has to be 0. */
        uint32_t status = 0;
        c->p.read_register(uc, (int)c->p.status_register, &status);
        if (status & IT_STATE) {
            status &= ~IT_STATE;
            c->p.write_register(uc, (int)c->p.status_register, &status);
        }
    }
    uint32_t offset = address - c->p.flash_base;
    if (offset >= c->p.flash_bytes) {
        c->p.slow_reads++;
        c->p.cycles += c->p.slow_read_cycles;
        return;
    }
    if (c->p.wait_states == 0) return;
    cache *k = &c->data;
    uint32_t unit = offset >> c->p.unit_shift;
    if (c->tags) {
        bool hit = read_shared(c, unit);
        uint32_t stall = hit ? 0 : c->p.wait_states;
        c->p.data_hits += hit;
        c->p.data_misses += !hit;
        c->p.data_stalls += stall;
        c->p.cycles += stall;
        return;
    }
    if (unit == k->current) return;
    k->current = unit;
    bool cached = c->p.data_cache_on && k->line_count;
    if (cached && holds(c, k, unit)) {
        c->p.data_hits++;
        c->p.data_stalls += c->p.data_hit_cycles;
        c->p.cycles += c->p.data_hit_cycles;
        return;
    }
    c->p.data_misses++;
    uint64_t now = c->p.cycles;
    uint64_t ready = (now > c->flash_free ? now : c->flash_free) + c->p.wait_states;
    c->p.data_stalls += ready - now;
    c->p.cycles = ready;
    c->flash_free = ready;
    if (cached) keep(c, k, unit);
}
