#include "runtime/words.h"

const char *next_word(words *line) {
    char *at = line->rest;
    while (*at == ' ') {
        ++at;
    }
    const char *word = at;
    while (*at != '\0' && *at != ' ') {
        ++at;
    }
    if (*at == ' ') {
        *at++ = '\0';
    }
    line->rest = at;
    return word;
}

int same_word(const char *word, const char *other) {
    while (*word == *other && *word != '\0') {
        ++word;
        ++other;
    }
    return *word == *other;
}

int parse_decimal(const char *word, uint32_t *value) {
    uint32_t sum = 0;
    if (*word == '\0') {
        return 0;
    }
    for (; *word != '\0'; ++word) {
        const uint32_t digit = (uint32_t)*word - '0';
        if (digit > 9u || sum > 429496729u || (sum == 429496729u && digit > 5u)) {
            return 0;
        }
        sum = sum * 10u + digit;
    }
    *value = sum;
    return 1;
}

int parse_hex_word(const char *word, uint32_t *value) {
    uint32_t sum = 0;
    unsigned digits = 0;
    for (; word[digits] != '\0'; ++digits) {
        const int digit = hex_digit(word[digits]);
        if (digit < 0 || digits == 8u) {
            return 0;
        }
        sum = sum << 4 | (uint32_t)digit;
    }
    *value = sum;
    return digits > 0;
}

int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    const char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
