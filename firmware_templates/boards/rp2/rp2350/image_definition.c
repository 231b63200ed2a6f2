/* What the RP2350's boot ROM looks for in the first 4 KB of the flash: that this is an image, for its Arm cores, in secure
 * state. It starts from the vector table at the beginning of the flash (RP2350 Datasheet, section 5.9, "Metadata block
 * details": markers, items and their sizes in words, and a loop of one block). */
#include <stdint.h>

#define BLOCK_START 0xFFFFDED3u
#define BLOCK_END   0xAB123579u
#define ITEM_IMAGE_TYPE 0x42u
#define ITEM_LAST       0xFFu
#define IMAGE_EXECUTABLE 1u
#define IMAGE_SECURE     (2u << 4)
#define IMAGE_ARM        (0u << 8)
#define IMAGE_RP2350     (1u << 12)

extern const uint32_t image_definition[5];
__attribute__((used, section(".image_definition"))) const uint32_t image_definition[5] = {
    BLOCK_START,
    (IMAGE_EXECUTABLE | IMAGE_SECURE | IMAGE_ARM | IMAGE_RP2350) << 16 | 1u << 8 | ITEM_IMAGE_TYPE,
    1u << 8 | ITEM_LAST, /* one word of items before this one */
    0,                   /* the next block: itself */
    BLOCK_END,
};
