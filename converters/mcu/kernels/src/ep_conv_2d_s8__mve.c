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
      "4:\n\t" EP_SCALE_8("16")
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
  span taps_inside = {0, taps};
  if (start < 0) {
    taps_inside.first = (dilation - 1 - start) / dilation;
  }
  if (start + (taps - 1) * dilation >= size) {
    taps_inside.end = (size - start + dilation - 1) / dilation;
  }
  if (taps_inside.end < taps_inside.first) { /* none is inside */
    taps_inside.end = taps_inside.first;
  }
  return taps_inside;
}

/* Where the next output pixel's kernel begins. */
typedef struct {
  int32_t top, left, out_x;
} place;

static void advance(const ep_window *w, place *at) {
  at->left += w->stride_width;
  if (++at->out_x == w->output_width) {
    *at = (place){at->top + w->stride_height, -w->padding_left, 0};
  }
}

/* The inputs of one output pixel in the order of the weights, with the zero point where the kernel reaches over the
 * input's edge. What lies behind them meets weights of 0. */
static void gather(const ep_conv_2d_vectors *op, const int8_t *input, const place *at, int8_t *patch) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels, run = w->kernel_width * depth;
  const int32_t down = w->dilation_height * w->input_width * depth;
  const span rows = inside(at->top, w->kernel_height, w->dilation_height, w->input_height);
  const span columns = inside(at->left, w->kernel_width, w->dilation_width, w->input_width);
  const int32_t wide = columns.end - columns.first, high = rows.end - rows.first;
  if (wide < w->kernel_width || high < w->kernel_height) {
    ep_fill(patch, (int8_t)op->zero_point, w->kernel_height * run);
  }
  const int32_t y = at->top + rows.first * w->dilation_height, x = at->left + columns.first * w->dilation_width;
  const int8_t *from = input + (y * w->input_width + x) * depth;
  int8_t *to = patch + rows.first * run + columns.first * depth;
  for (int32_t ky = 0; ky < high; ++ky, from += down, to += run) {
    if (w->dilation_width == 1) {
      ep_copy(to, from, wide * depth);
      continue;
    }
    for (int32_t kx = 0; kx < wide; ++kx) {
      ep_copy(to + kx * depth, from + kx * w->dilation_width * depth, depth);
    }
  }
}

/* Returns where the inputs of the next output pixel lie: in place, or in `patch`. */
static const int8_t *load(const ep_conv_2d_vectors *op, const int8_t *input, place *at, int8_t *patch) {
  const int8_t *from = patch;
  if (op->pointwise) {
    from = input + (at->top * op->window.input_width + at->left) * op->window.input_channels;
  } else {
    gather(op, input, at, patch);
  }
  advance(&op->window, at);
  return from;
}

void ep_conv_2d_s8__mve(const ep_conv_2d_vectors *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t channels = w->output_channels, rest = channels & 3, whole = channels - rest;
  const int32_t pixels = w->output_height * w->output_width;
  int8_t *const patch = (int8_t *)scratch;
  int8_t last[8];
  place at = {-w->padding_top, -w->padding_left, 0};
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * channels) {
    const int32_t other = pixel + 1 < pixels ? 1 : 0; /* else one pixel, twice */
    const uint32_t *weights = op->weights;
    pass p = {output, output + other * channels, op->activation_min, op->activation_max, NULL, NULL,
              op->vectors - 1, op->output_offset, output + whole};
    p.inputs = load(op, input, &at, patch);
    p.other_inputs = other ? load(op, input, &at, patch + EP_VECTOR * op->vectors) : p.inputs;
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
