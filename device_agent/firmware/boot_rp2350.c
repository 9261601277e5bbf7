/* What the boot ROM of an RP2350 looks for in the first 4 KiB of flash: an image definition, the smallest one
 * for an executable of the Arm cores in secure state.
 *
 * Source: RP2350 Datasheet, "Minimum Arm IMAGE_DEF".
 */
#include <stdint.h>

__attribute__((section(".ep_image_definition"), used)) const uint32_t ep_image_definition[5] = {
    0xFFFFDED3U, /* start of a block */
    0x10210142U, /* image type, one word: executable, secure, Arm, RP2350 */
    0x000001FFU, /* last item, after one word of items */
    0x00000000U, /* the loop of blocks: this one alone */
    0xAB123579U, /* end of the block */
};
