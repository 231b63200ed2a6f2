/* Text for the console: decimal, hexadecimal and fixed-point numbers, without a C library. */
#ifndef EDGEQ_RUNTIME_FORMAT_H
#define EDGEQ_RUNTIME_FORMAT_H

#include <stddef.h>
#include <stdint.h>

void put_byte(uint8_t byte);
void put_text(const char *text);
void put_line(const char *text); /* the text, CR, LF */
void put_decimal(uint64_t value);
void put_hex_byte(uint8_t value);
void put_hex_word(uint32_t value); /* eight digits */

/* The IEEE-754 single whose bits these are, with three decimals: rounded to the nearest thousandth of its exact
 * binary value, ties to even, for every value there is: what C's "%.3f" and Python's f"{x:.3f}" print
 * ("inf", "-inf" and "nan" included; a nan has no sign). Works on the bits, so that it needs no FPU. */
void put_fixed3(uint32_t float_bits);

/* The CRC-32 of a command's text and of all that has been printed since: what makes an answer worth believing. */
void sum_start(const char *text, uint32_t length);
uint32_t sum_end(void);

/* "name-[value]" lines of the wire protocol. */
void put_text_field(const char *name, const char *value);
void put_decimal_field(const char *name, uint64_t value);

#endif
