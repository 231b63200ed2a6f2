/* memcpy and its family: compilers call them for struct copies, whether or not the source does.
 *
 * Whole words where both ends are aligned alike, four at a time in long runs. Compiled with
 * -fno-builtin so that no compiler turns these loops into calls of themselves. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *left, const void *right, size_t count);

static int aligned_alike(const void *a, const void *b) {
    return (((uintptr_t)a ^ (uintptr_t)b) & 3u) == 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if (aligned_alike(out, in)) {
        for (; count > 0 && ((uintptr_t)out & 3u) != 0; --count) {
            *out++ = *in++;
        }
        word *out_words = (word *)out;
        const word *in_words = (const word *)in;
        for (; count >= 16; count -= 16) {
            const word a = in_words[0], b = in_words[1], c = in_words[2], d = in_words[3];
            out_words[0] = a;
            out_words[1] = b;
            out_words[2] = c;
            out_words[3] = d;
            out_words += 4;
            in_words += 4;
        }
        for (; count >= 4; count -= 4) {
            *out_words++ = *in_words++;
        }
        out = (uint8_t *)out_words;
        in = (const uint8_t *)in_words;
    }
    for (; count > 0; --count) {
        *out++ = *in++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out - (uintptr_t)in >= count) { /* below the source, or clear of it: forwards is safe */
        if (!aligned_alike(out, in)) {
            for (; count > 0; --count) {
                *out++ = *in++;
            }
            return to;
        }
        for (; count > 0 && ((uintptr_t)out & 3u) != 0; --count) {
            *out++ = *in++;
        }
        for (; count >= 4; count -= 4, out += 4, in += 4) {
            *(word *)(void *)out = *(const word *)(const void *)in;
        }
        for (; count > 0; --count) {
            *out++ = *in++;
        }
        return to;
    }
    const int words = aligned_alike(out, in);
    out += count;
    in += count;
    while (count > 0 && !(words && ((uintptr_t)out & 3u) == 0 && count >= 4)) {
        *--out = *--in;
        --count;
    }
    for (; count >= 4; count -= 4) {
        out -= 4;
        in -= 4;
        *(word *)(void *)out = *(const word *)(const void *)in;
    }
    for (; count > 0; --count) {
        *--out = *--in;
    }
    return to;
}

void *memset(void *to, int value, size_t count) {
    uint8_t *out = to;
    const uint8_t byte = (uint8_t)value;
    for (; count > 0 && ((uintptr_t)out & 3u) != 0; --count) {
        *out++ = byte;
    }
    const word all = byte * 0x01010101u;
    word *words = (word *)(void *)out;
    for (; count >= 16; count -= 16) {
        words[0] = all;
        words[1] = all;
        words[2] = all;
        words[3] = all;
        words += 4;
    }
    for (; count >= 4; count -= 4) {
        *words++ = all;
    }
    for (out = (uint8_t *)words; count > 0; --count) {
        *out++ = byte;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t count) {
    const uint8_t *a = left;
    const uint8_t *b = right;
    for (; count > 0; --count, ++a, ++b) {
        if (*a != *b) {
            return (int)*a - (int)*b;
        }
    }
    return 0;
}

#if defined(__arm__)
/* Their names in the Run-time ABI for the Arm Architecture, section 4.3.4, which clang prefers. The variants with
 * 4 and 8 may assume that alignment; the general ones find out quickly. Results are not used. */
#define SAME_AS(function, name)                                                                                   \
    __attribute__((alias(#function))) void *name(void *restrict to, const void *restrict from, size_t count)
SAME_AS(memcpy, __aeabi_memcpy);
SAME_AS(memcpy, __aeabi_memcpy4);
SAME_AS(memcpy, __aeabi_memcpy8);
#undef SAME_AS
#define SAME_AS(function, name)                                                                                   \
    __attribute__((alias(#function))) void *name(void *to, const void *from, size_t count)
SAME_AS(memmove, __aeabi_memmove);
SAME_AS(memmove, __aeabi_memmove4);
SAME_AS(memmove, __aeabi_memmove8);

void __aeabi_memset(void *to, size_t count, int value); /* in this order */
void __aeabi_memset(void *to, size_t count, int value) {
    memset(to, value, count);
}

void __aeabi_memclr(void *to, size_t count);
void __aeabi_memclr(void *to, size_t count) {
    memset(to, 0, count);
}

__attribute__((alias("__aeabi_memset"))) void __aeabi_memset4(void *to, size_t count, int value);
__attribute__((alias("__aeabi_memset"))) void __aeabi_memset8(void *to, size_t count, int value);
__attribute__((alias("__aeabi_memclr"))) void __aeabi_memclr4(void *to, size_t count);
__attribute__((alias("__aeabi_memclr"))) void __aeabi_memclr8(void *to, size_t count);
#endif
