/* Taking a command line apart. */
#ifndef EDGEQ_RUNTIME_WORDS_H
#define EDGEQ_RUNTIME_WORDS_H

#include <stdint.h>

/* The rest of a command line; words are cut off its front in place. */
typedef struct {
    char *rest;
} words;

/* The next word, "" at the end of the line. Words are separated by spaces. */
const char *next_word(words *line);

int same_word(const char *word, const char *other);

/* An unsigned decimal number that fits 32 bits, digits only. Returns 0 where it isn't one. */
int parse_decimal(const char *word, uint32_t *value);

/* A hexadecimal number of one to eight digits and nothing else. Returns 0 where it isn't one. */
int parse_hex_word(const char *word, uint32_t *value);

/* 0 to 15, -1 for anything that isn't a hexadecimal digit of either case. */
int hex_digit(char digit);

#endif
