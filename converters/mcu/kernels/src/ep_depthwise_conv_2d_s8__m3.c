#include "ep_assembly.h"
#include "ep_depthwise_taps.h"
#include "ep_scalar.h"

#define CHANNEL(at, acc)                   \
  "ldrsb r9, [r8, #" at "]\n\t"            \
  "ldrsb r12, [r0], #1\n\t"                \
  "mla " acc ", r9, r12, " acc "\n\t"

/* One tap of four channels. */
#define TAP                \
  "ldr r8, [r1], #4\n\t"   \
  "add r8, r8, r2\n\t"     \
  CHANNEL("0", "r4") CHANNEL("1", "r5") CHANNEL("2", "r6") CHANNEL("3", "r7")

/* TFLite's two roundings (README.md, "Rounding"), offset, int8. */
#define FINISH(acc)                              \
  "ldm r0!, {r8, r9, r12, lr}\n\t"               \
  "add " acc ", r8, " acc ", lsl #1\n\t"         \
  "smull r8, " acc ", " acc ", r9\n\t"           \
  "add " acc ", " acc ", r8, lsr #31\n\t"        \
  "add " acc ", " acc ", " acc ", asr #31\n\t"   \
  "add " acc ", " acc ", r12\n\t"                \
  "asr " acc ", " acc ", lr\n\t"                 \
  "ssat " acc ", #8, " acc "\n\t"

/* All channels of one pixel. */
EP_ASSEMBLY static void multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const int8_t *const *taps,
                                 EP_IN_REGISTER int32_t channels, EP_IN_REGISTER int8_t *output,
                                 EP_IN_REGISTER const int8_t *const *taps_end) {
  __asm__ volatile(
      "push {r4-r9, lr}\n\t"
      "ldr r4, [sp, #28]\n\t"
      "push {r1-r3}\n\t"
      "movs r2, #0\n\t"
      "mov r3, r4\n\t"
      "1: ldr r1, [sp]\n\t"
      "movs r4, #0\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "2:\n\t" TAP TAP TAP
      "cmp r1, r3\n\t"
      "bne 2b\n\t"
      FINISH("r4") FINISH("r5") FINISH("r6") FINISH("r7")
      "bfi r4, r5, #8, #8\n\t"
      "bfi r4, r6, #16, #8\n\t"
      "bfi r4, r7, #24, #8\n\t"
      "ldrd r8, r9, [sp, #4]\n\t"
      "str r4, [r9, r2]\n\t"
      "adds r2, r2, #4\n\t"
      "cmp r2, r8\n\t"
      "bne 1b\n\t"
      "add sp, sp, #12\n\t"
      "pop {r4-r9, pc}\n\t");
}

void ep_depthwise_conv_2d_s8__m3(const ep_depthwise_fours *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t channels = w->output_channels;
  const int8_t **const taps = (const int8_t **)scratch;
  int8_t *const zeros = (int8_t *)(taps + op->taps);
  for (int32_t i = 0; i < channels; ++i) {
    zeros[i] = (int8_t)op->zero_point;
  }
  for (int32_t tap = w->kernel_height * w->kernel_width; tap < op->taps; ++tap) {
    taps[tap] = zeros; /* its weights are 0 */
  }
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x, output += channels) {
      ep_find_taps(w, input, zeros, out_y, out_x, taps);
      multiply(op->weights, taps, channels, output, taps + op->taps);
      ep_bound(output, channels, op->activation_min, op->activation_max);
    }
  }
}
