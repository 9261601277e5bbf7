#include "ep_dsp.h"

/* What the loop below keeps on its stack. */
typedef struct {
  int8_t *first, *second; /* outputs of two pixels */
  const uint32_t *lanes;
  int32_t odd; /* words & 1 */
  const uint32_t *end;
  int32_t blocks; /* of four channels */
} pass;

/* Two inputs of two pixels times four channels: sixteen multiply-accumulates in twelve instructions.
 * r4, r5: channels 0 and 1 of both pixels in one; r8, r9: channel 1; r6, r7, r10, r11: channels 2 and 3. */
#define STEP                       \
  "ldrd r2, r3, [r0], #8\n\t"      \
  "ldrd r12, lr, [r1], #8\n\t"     \
  "smlad r4, r2, r12, r4\n\t"      \
  "smlad r5, r2, lr, r5\n\t"       \
  "sxtb16 r2, r2\n\t"              \
  "smlad r6, r3, r12, r6\n\t"      \
  "smlad r7, r3, lr, r7\n\t"       \
  "sxtb16 r3, r3\n\t"              \
  "smlad r8, r2, r12, r8\n\t"      \
  "smlad r9, r2, lr, r9\n\t"       \
  "smlad r10, r3, r12, r10\n\t"    \
  "smlad r11, r3, lr, r11\n\t"

/* Two channels of one pixel from 256 A + B and B. */
#define FIRST(both, low) "sub " both ", " both ", " low "\n\tadd " both ", r1, " both ", asr #7\n\t" EP_FINISH(both, "r2", "r3", "r12")
#define SECOND(low) "add " low ", r1, " low ", lsl #1\n\t" EP_FINISH(low, "r2", "r3", "r12")
#define CHANNEL "ldm r0!, {r1, r2, r3, r12}\n\t"

/* All channels of two pixels. Returns the weights behind the last block. */
EP_ASSEMBLY static const uint32_t *multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "ldm r1, {r4-r9}\n\t"
      "push {r4-r9}\n\t"
      "1: ldrd r1, r2, [sp, #8]\n\t"
      "movs r4, #0\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n\t"
      "mov r8, r4\n\t"
      "mov r9, r4\n\t"
      "mov r10, r4\n\t"
      "mov r11, r4\n\t"
      "cmp r2, #0\n\t"
      "bne 3f\n\t"
      "2:\n\t" STEP STEP
      "3:\n\t" STEP STEP
      "ldr r2, [sp, #16]\n\t"
      "cmp r1, r2\n\t"
      "bne 2b\n\t"
      CHANNEL FIRST("r4", "r8") FIRST("r5", "r9")
      CHANNEL SECOND("r8") SECOND("r9")
      CHANNEL FIRST("r6", "r10") FIRST("r7", "r11")
      CHANNEL SECOND("r10") SECOND("r11")
      EP_JOIN("r4", "r8", "r6", "r10") EP_JOIN("r5", "r9", "r7", "r11")
      "ldrd r1, r2, [sp]\n\t"
      "str r4, [r1], #4\n\t"
      "str r5, [r2], #4\n\t"
      "strd r1, r2, [sp]\n\t"
      "ldr r3, [sp, #20]\n\t"
      "subs r3, r3, #1\n\t"
      "str r3, [sp, #20]\n\t"
      "bne 1b\n\t"
      "add sp, sp, #24\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* Inputs as lanes, for one of two pixels whose lanes alternate. */
static void unpack(const int8_t *from, int32_t words, uint32_t *lanes) {
  for (; words > 0; --words, from += 4, lanes += 4) {
    const uint32_t four = ep_load(from);
    lanes[0] = ep_sxtb16(four);
    lanes[2] = ep_sxtb16_ror8(four);
  }
}

/* A row of the kernel where it does not lie in the input as one run; outside the input lies the zero point. */
static void gather(const ep_conv_2d_packed *op, const int8_t *row, int32_t left, int8_t *patch) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels;
  for (int32_t kx = 0; kx < w->kernel_width; ++kx, patch += depth) {
    const int32_t x = left + kx * w->dilation_width;
    if (row == NULL || x < 0 || x >= w->input_width) {
      ep_fill(patch, (int8_t)op->zero_point, depth);
    } else {
      ep_copy(patch, row + x * depth, depth);
    }
  }
}

/* The inputs of one output pixel, in the order of the weights. */
static void load(const ep_conv_2d_packed *op, const int8_t *input, int32_t pixel, int8_t *patch, uint32_t *lanes) {
  const ep_window *const w = &op->window;
  const int32_t top = (pixel / w->output_width) * w->stride_height - w->padding_top;
  const int32_t left = (pixel % w->output_width) * w->stride_width - w->padding_left;
  const int32_t run = w->kernel_width * w->input_channels, words = run / 4;
  const int32_t stride = w->input_width * w->input_channels;
  const int whole = w->dilation_width == 1 && left >= 0 && left + w->kernel_width <= w->input_width;
  int8_t *const start = patch;
  int32_t y = top;
  for (int32_t ky = 0; ky < w->kernel_height; ++ky, y += w->dilation_height) {
    const int8_t *const row = y >= 0 && y < w->input_height ? input + y * stride : NULL;
    const int8_t *from = row + left * w->input_channels;
    if (!op->by_rows) {
      if (whole && row != NULL) {
        ep_copy(patch, from, run);
      } else {
        gather(op, row, left, patch);
      }
      patch += run;
      continue;
    }
    if (!whole || row == NULL) {
      gather(op, row, left, patch);
      from = patch;
    }
    unpack(from, words, lanes);
    lanes += 4 * words;
  }
  if (!op->by_rows) {
    unpack(start, op->words, lanes);
  }
}

void ep_conv_2d_s8__dsp(const ep_conv_2d_packed *op, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = op->window.output_channels, rest = channels & 3;
  const int32_t pixels = op->window.output_height * op->window.output_width;
  uint32_t *const lanes = (uint32_t *)scratch;
  int8_t *const patch = (int8_t *)(lanes + 4 * op->words);
  int8_t last[8];
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * channels) {
    const int32_t other = pixel + 1 < pixels ? 1 : 0; /* else one pixel, twice */
    const uint32_t *weights = op->weights;
    pass p = {output, output + other * channels, lanes, op->words & 1, lanes + 4 * op->words, channels / 4};
    load(op, input, pixel, patch, lanes);
    load(op, input, pixel + other, patch, lanes + 1);
    if (p.blocks > 0) {
      weights = multiply(weights, &p);
    }
    if (rest > 0) {
      p.first = last;
      p.second = last + 4;
      p.blocks = 1;
      (void)multiply(weights, &p);
      memcpy(output + channels - rest, last, (size_t)rest);
      memcpy(output + (other + 1) * channels - rest, last + 4, (size_t)rest);
    }
    ep_bound(output, (other + 1) * channels, op->activation_min, op->activation_max);
  }
}
