/* The part of <string.h> that generated code may use, for compilers that come without a C library.
 *
 * The macros matter: a freestanding clang calls memcpy() even for four bytes, three to five times slower
 * than the one load it should be; the builtin is expanded in place wherever the size is small and known. */
#ifndef EDGEQ_LIBC_STRING_H
#define EDGEQ_LIBC_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *left, const void *right, size_t count);

#define memcpy(to, from, count) __builtin_memcpy((to), (from), (count))
#define memmove(to, from, count) __builtin_memmove((to), (from), (count))
#define memset(to, value, count) __builtin_memset((to), (value), (count))
#define memcmp(left, right, count) __builtin_memcmp((left), (right), (count))

#endif
