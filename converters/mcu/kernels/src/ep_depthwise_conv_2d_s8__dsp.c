#include "ep_depthwise_taps.h"
#include "ep_dsp.h"

/* One tap of four channels, from the pointer in `x`: r2 is the channel. */
#define TAP(x)                             \
  "ldr " x ", [" x ", r2]\n\t"             \
  "ldrd r12, lr, [r0], #8\n\t"             \
  "sxtb16 r11, " x ", ror #8\n\t"          \
  "sxtb16 " x ", " x "\n\t"                \
  "smlabb r4, " x ", r12, r4\n\t"          \
  "smlatt r6, " x ", r12, r6\n\t"          \
  "smlabb r5, r11, lr, r5\n\t"             \
  "smlatt r7, r11, lr, r7\n\t"

#define FINISH(acc) "ldm r0!, {r8, r9, r10}\n\t" EP_FINISH(acc, "r8", "r9", "r10")

/* All channels of one pixel; the weights are doubled, and so are the biases from which the sums start. */
EP_ASSEMBLY static void multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const int8_t *const *taps,
                                 EP_IN_REGISTER int32_t channels, EP_IN_REGISTER int8_t *output,
                                 EP_IN_REGISTER const int8_t *const *taps_end) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldr r4, [sp, #36]\n\t"
      "push {r1-r3}\n\t"
      "movs r2, #0\n\t"
      "mov r3, r4\n\t"
      "1: ldm r0!, {r4-r7}\n\t"
      "ldr r1, [sp]\n\t"
      "2: ldm r1!, {r8-r10}\n\t"
      TAP("r8") TAP("r9") TAP("r10")
      "cmp r1, r3\n\t"
      "bne 2b\n\t"
      FINISH("r4") FINISH("r5") FINISH("r6") FINISH("r7")
      EP_JOIN("r4", "r5", "r6", "r7")
      "ldrd r8, r9, [sp, #4]\n\t"
      "str r4, [r9, r2]\n\t"
      "adds r2, r2, #4\n\t"
      "cmp r2, r8\n\t"
      "bne 1b\n\t"
      "add sp, sp, #12\n\t"
      "pop {r4-r11, pc}\n\t");
}

void ep_depthwise_conv_2d_s8__dsp(const ep_depthwise_packed *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t channels = w->output_channels;
  const int8_t **const taps = (const int8_t **)scratch;
  int8_t *const zeros = (int8_t *)(taps + op->taps);
  ep_fill(zeros, (int8_t)op->zero_point, channels);
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
