#include "runtime/format.h"

#include "runtime/board.h"
#include "runtime/checksum.h"

static uint32_t running = CHECKSUM_START;

void sum_start(const char *text, uint32_t length) {
    running = CHECKSUM_START;
    for (uint32_t i = 0; i < length; ++i) {
        running = checksum_add(running, (uint8_t)text[i]);
    }
}

uint32_t sum_end(void) {
    return checksum_end(running);
}

void put_byte(uint8_t byte) {
    running = checksum_add(running, byte);
    board_put(byte);
}

void put_text(const char *text) {
    while (*text != '\0') {
        put_byte((uint8_t)*text++);
    }
}

void put_line(const char *text) {
    put_text(text);
    put_text("\r\n");
}

/* Numbers of any length as 16-bit limbs, least significant first: dividing them needs no 64-bit division,
 * which small cores only have as a long library function. */
#define LIMBS 9 /* 144 bits: the largest single is below 2^128, times 1000 below 2^138 */

/* Divide by 10 in place and return the remainder; `*used` limbs are not zero. */
static uint32_t divide_by_ten(uint16_t *limbs, int *used) {
    uint32_t remainder = 0;
    for (int i = *used - 1; i >= 0; --i) {
        const uint32_t value = (remainder << 16) | limbs[i];
        limbs[i] = (uint16_t)(value / 10u);
        remainder = value % 10u;
    }
    while (*used > 0 && limbs[*used - 1] == 0) {
        --*used;
    }
    return remainder;
}

/* Print limbs in decimal, the last `decimals` digits behind a point. Destroys them. */
static void put_limbs(uint16_t *limbs, int used, int decimals) {
    char digits[44]; /* 2^138 has 42 digits */
    int count = 0;
    while (used > 0 && limbs[used - 1] == 0) {
        --used;
    }
    while (used > 0 || count <= decimals) {
        digits[count++] = (char)('0' + divide_by_ten(limbs, &used));
    }
    while (count > 0) {
        if (count == decimals) {
            put_byte('.');
        }
        put_byte((uint8_t)digits[--count]);
    }
}

static void split(uint64_t value, uint16_t *limbs) {
    for (int i = 0; i < 4; ++i) {
        limbs[i] = (uint16_t)value;
        value >>= 16;
    }
}

void put_decimal(uint64_t value) {
    uint16_t limbs[4];
    split(value, limbs);
    put_limbs(limbs, 4, 0);
}

void put_hex_byte(uint8_t value) {
    static const char digits[] = "0123456789abcdef";
    put_byte((uint8_t)digits[value >> 4]);
    put_byte((uint8_t)digits[value & 15u]);
}

void put_hex_word(uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        put_hex_byte((uint8_t)(value >> shift));
    }
}

void put_fixed3(uint32_t float_bits) {
    const uint32_t exponent = (float_bits >> 23) & 0xFFu;
    const uint32_t fraction = float_bits & 0x7FFFFFu;
    if (exponent == 0xFF && fraction != 0) {
        put_text("nan");
        return;
    }
    if ((float_bits >> 31) != 0) {
        put_byte('-');
    }
    if (exponent == 0xFF) {
        put_text("inf");
        return;
    }
    /* The value is mantissa * 2^power. A bit at a time: shifts of 64 bits by a variable are library functions. */
    const uint32_t mantissa = exponent == 0 ? fraction : fraction | 0x800000u;
    int power = (exponent == 0 ? 1 : (int)exponent) - 150;
    uint64_t thousandths = (uint64_t)mantissa * 1000u;
    uint32_t half = 0;  /* the bit that was shifted out last, */
    uint32_t below = 0; /* and whether one before it was set */
    for (; power < 0; ++power) {
        below |= half;
        half = (uint32_t)thousandths & 1u;
        thousandths >>= 1;
    }
    thousandths += half & (below | (uint32_t)thousandths); /* to nearest, ties to even */
    uint16_t limbs[LIMBS] = {0};
    split(thousandths, limbs);
    for (; power > 0; --power) {
        uint32_t carry = 0;
        for (int i = 0; i < LIMBS; ++i) {
            carry |= (uint32_t)limbs[i] << 1;
            limbs[i] = (uint16_t)carry;
            carry >>= 16;
        }
    }
    put_limbs(limbs, LIMBS, 3);
}

void put_text_field(const char *name, const char *value) {
    put_text(name);
    put_text("-[");
    put_text(value);
    put_line("]");
}

void put_decimal_field(const char *name, uint64_t value) {
    put_text(name);
    put_text("-[");
    put_decimal(value);
    put_line("]");
}
