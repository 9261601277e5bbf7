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
      "4:\n\t" EP_SCALE_8
      "ldrd r3, r4, [sp, #12]\n\t"
      EP_STORE_8("r3")
      "cmp r5, r4\n\t"
      "bne 1b\n\t"
      "mov r0, r1\n\t"
      "add sp, sp, #20\n\t"
      "vpop {d12-d15}\n\t"
      "pop {r4-r11, pc}\n\t");
}

/* The taps of a kernel's row or column that lie inside the input. */
typedef struct {
  int32_t first, end;
} span;

static span inside(int32_t start, int32_t taps, int32_t dilation, int32_t size) {
  const int32_t before = start < 0 ? (dilation - 1 - start) / dilation : 0;
  const int32_t reach = (size - start + dilation - 1) / dilation;
  const int32_t end = taps < reach ? taps : reach;
  return (span){before, end};
}

/* Returns where the inputs of one output pixel lie in the order of the weights: in place, or copied to `patch`, with
 * the zero point where the kernel reaches over the input's edge. What lies behind them meets weights of 0. */
static const int8_t *load(const ep_conv_2d_vectors *op, const int8_t *input, int32_t pixel, int8_t *patch) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels, stride = w->input_width * depth;
  const int32_t top = (pixel / w->output_width) * w->stride_height - w->padding_top;
  const int32_t left = (pixel % w->output_width) * w->stride_width - w->padding_left;
  if (op->pointwise) {
    return input + top * stride + left * depth;
  }
  const span rows = inside(top, w->kernel_height, w->dilation_height, w->input_height);
  const span columns = inside(left, w->kernel_width, w->dilation_width, w->input_width);
  const int32_t taps_inside = (rows.end - rows.first) * (columns.end - columns.first);
  const int32_t run = w->dilation_width == 1 ? columns.end - columns.first : 1; /* taps side by side */
  if (taps_inside < w->kernel_height * w->kernel_width) {
    ep_fill(patch, (int8_t)op->zero_point, op->vectors * EP_VECTOR);
  }
  for (int32_t ky = rows.first; ky < rows.end; ++ky) {
    const int8_t *const row = input + (top + ky * w->dilation_height) * stride;
    for (int32_t kx = columns.first; kx < columns.end; kx += run) {
      ep_copy(patch + (ky * w->kernel_width + kx) * depth, row + (left + kx * w->dilation_width) * depth, run * depth);
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
