#include "ep_mve.h"

/* What the loop below keeps on its stack. */
typedef struct {
  int8_t *first, *second; /* outputs of two pixels */
  int32_t low, high;
  const int8_t *inputs, *other_inputs;
  int32_t more; /* vectors but the first */
  int32_t output_offset;
  const int8_t *end; /* of the first pixel's outputs */
} pass;

/* Sixteen inputs of two pixels times four channels. */
#define STEP(mac)                       \
  "vldrb.u8 q0, [r9], #16\n\t"          \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r0, q0, q2\n\t"              \
  "vldrb.u8 q1, [r11], #16\n\t"          \
  mac ".s8 r8, q1, q2\n\t"              \
  "vldrb.u8 q3, [r1], #16\n\t"          \
  mac ".s8 r2, q0, q3\n\t"              \
  mac ".s8 r10, q1, q3\n\t"             \
  "vldrb.u8 q2, [r1], #16\n\t"          \
  mac ".s8 r4, q0, q2\n\t"              \
  mac ".s8 r12, q1, q2\n\t"             \
  "vldrb.u8 q3, [r1], #16\n\t"          \
  mac ".s8 r6, q0, q3\n\t"              \
  mac ".s8 lr, q1, q3\n\t"

#define FIRST STEP("vmladav")
#define MORE STEP("vmladava")

/* All channels of two pixels. Returns the weights behind the last block. */
EP_ASSEMBLY static const uint32_t *multiply(EP_IN_REGISTER const uint32_t *weights, EP_IN_REGISTER const pass *p) {
  __asm__ volatile(
      "push {r4-r11, lr}\n\t"
      "vpush {d12-d15}\n\t"
      "ldrd r5, r7, [r1], #8\n\t"
      "ldm r1, {r2, r3, r8-r12}\n\t"
      "vdup.32 q6, r2\n\t"
      "vdup.32 q7, r3\n\t"
      "push {r8-r12}\n\t"
      "mov r1, r0\n\t"
      "1: ldrd r9, r11, [sp]\n\t"
      FIRST
      "ldr r3, [sp, #8]\n\t"
      "lsrs r3, r3, #1\n\t"
      "bcc 2f\n\t"
      MORE
      "2: beq 4f\n\t"
      "3:\n\t" MORE MORE
      "subs r3, r3, #1\n\t"
      "bne 3b\n\t"
      "4: vmov q0[2], q0[0], r0, r4\n\t"
      "vmov q0[3], q0[1], r2, r6\n\t"
      "vmov q1[2], q1[0], r8, r12\n\t"
      "vmov q1[3], q1[1], r10, lr\n\t"
      "vldrw.u32 q2, [r1], #16\n\t"
      "vldrw.u32 q3, [r1], #16\n\t"
      "vadd.i32 q0, q0, q2\n\t"
      "vadd.i32 q1, q1, q2\n\t"
      "vqrdmulh.s32 q0, q0, q3\n\t"
      "vqrdmulh.s32 q1, q1, q3\n\t"
      "vldrw.u32 q3, [r1], #16\n\t"
      EP_ROUND("q0", "q2", "q3")
      EP_ROUND("q1", "q2", "q3")
      "ldrd r3, r4, [sp, #12]\n\t"
      "vadd.i32 q0, q0, r3\n\t"
      "vadd.i32 q1, q1, r3\n\t"
      "vmax.s32 q0, q0, q6\n\t"
      "vmax.s32 q1, q1, q6\n\t"
      "vmin.s32 q0, q0, q7\n\t"
      "vmin.s32 q1, q1, q7\n\t"
      "vstrb.32 q0, [r5], #4\n\t"
      "vstrb.32 q1, [r7], #4\n\t"
      "cmp r5, r4\n\t"
      "bne 1b\n\t"
      "mov r0, r1\n\t"
      "add sp, sp, #20\n\t"
      "vpop {d12-d15}\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* A row of the kernel that reaches over the input's edge: there lies the zero point. */
static void gather(const ep_conv_2d_vectors *op, const int8_t *row, int32_t left, int8_t *patch) {
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

/* Returns where the inputs of one output pixel lie in the order of the weights: in place, or copied to `patch`.
 * What lies behind them does not matter, it meets weights of 0. */
static const int8_t *load(const ep_conv_2d_vectors *op, const int8_t *input, int32_t pixel, int8_t *patch) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels, stride = w->input_width * depth;
  const int32_t top = (pixel / w->output_width) * w->stride_height - w->padding_top;
  const int32_t left = (pixel % w->output_width) * w->stride_width - w->padding_left;
  if (op->pointwise) {
    return input + top * stride + left * depth;
  }
  const int32_t run = w->kernel_width * depth;
  const int whole = w->dilation_width == 1 && left >= 0 && left + w->kernel_width <= w->input_width;
  int8_t *to = patch;
  int32_t y = top;
  for (int32_t ky = 0; ky < w->kernel_height; ++ky, y += w->dilation_height, to += run) {
    const int8_t *const row = y >= 0 && y < w->input_height ? input + y * stride : NULL;
    if (row == NULL) {
      ep_fill(to, (int8_t)op->zero_point, run);
    } else if (whole) {
      ep_copy(to, row + left * depth, run);
    } else {
      gather(op, row, left, to);
    }
  }
  return patch;
}

void ep_conv_2d_s8__mve(const ep_conv_2d_vectors *op, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = op->window.output_channels, rest = channels & 3, whole = channels - rest;
  const int32_t pixels = op->window.output_height * op->window.output_width;
  int8_t *const patch = (int8_t *)scratch;
  int8_t last[8];
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * channels) {
    const int32_t other = pixel + 1 < pixels ? 1 : 0; /* else one pixel, twice */
    const uint32_t *weights = op->weights;
    pass p = {output, output + other * channels, op->activation_min, op->activation_max, NULL, NULL,
              op->vectors - 1, op->output_offset, output + whole};
    p.inputs = load(op, input, pixel, patch);
    p.other_inputs = other ? load(op, input, pixel + 1, patch + EP_VECTOR * op->vectors) : p.inputs;
    if (whole > 0) {
      weights = multiply(weights, &p);
    }
    if (rest > 0) {
      p.first = last;
      p.second = last + 4;
      p.end = last + 4;
      (void)multiply(weights, &p);
      memcpy(output + whole, last, (size_t)rest);
      memcpy(output + other * channels + whole, last + 4, (size_t)rest);
    }
  }
}
