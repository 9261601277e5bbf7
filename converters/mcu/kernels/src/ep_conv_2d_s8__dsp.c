#include "ep_dsp.h"

/* The inputs of one output pixel, in the order of the weights; outside the input lies the zero point. */
static void gather(const ep_conv_2d_packed *op, const int8_t *input, int32_t out_y, int32_t out_x, int8_t *patch) {
  const ep_window *const w = &op->window;
  const int32_t top = out_y * w->stride_height - w->padding_top;
  const int32_t left = out_x * w->stride_width - w->padding_left;
  const int32_t depth = w->input_channels;
  const int32_t run = depth * w->kernel_width;
  const int whole = w->dilation_width == 1 && left >= 0 && left + w->kernel_width <= w->input_width;
  for (int32_t ky = 0; ky < w->kernel_height; ++ky) {
    const int32_t y = top + ky * w->dilation_height;
    const int8_t *const row = input + (y * w->input_width + left) * w->input_channels;
    if (y < 0 || y >= w->input_height) {
      ep_fill(patch, (int8_t)op->zero_point, run);
      patch += run;
    } else if (whole) {
      ep_copy(patch, row, run);
      patch += run;
    } else {
      for (int32_t kx = 0; kx < w->kernel_width; ++kx, patch += depth) {
        const int32_t x = left + kx * w->dilation_width;
        if (x < 0 || x >= w->input_width) {
          ep_fill(patch, (int8_t)op->zero_point, depth);
        } else {
          ep_copy(patch, row + kx * w->dilation_width * depth, depth);
        }
      }
    }
  }
}

/* Two pixels as lanes side by side: per four inputs the two words of the first, then those of the second. */
static void unpack_pair(const int8_t *first, const int8_t *second, int32_t words, uint32_t *lanes) {
  for (int32_t i = 0; i < words; ++i) {
    uint32_t a, b;
    memcpy(&a, first + 4 * i, 4);
    memcpy(&b, second + 4 * i, 4);
    lanes[0] = ep_sxtb16(a);
    lanes[1] = ep_sxtb16_ror8(a);
    lanes[2] = ep_sxtb16(b);
    lanes[3] = ep_sxtb16_ror8(b);
    lanes += 4;
  }
}

/* Four inputs of two pixels times two channels: sixteen multiply-accumulates in fourteen instructions. */
#define STEP                             \
  "ldrd %[w0], %[w1], [%[w]], #8\n\t"    \
  "ldrd %[a0], %[a1], [%[x]], #8\n\t"    \
  "ldrd %[b0], %[b1], [%[x]], #8\n\t"    \
  "smlad %[p], %[w0], %[a0], %[p]\n\t"   \
  "smlad %[r], %[w0], %[b0], %[r]\n\t"   \
  "sxtb16 %[w0], %[w0]\n\t"              \
  "smlad %[p], %[w1], %[a1], %[p]\n\t"   \
  "smlad %[r], %[w1], %[b1], %[r]\n\t"   \
  "sxtb16 %[w1], %[w1]\n\t"              \
  "smlad %[q], %[w0], %[a0], %[q]\n\t"   \
  "smlad %[s], %[w0], %[b0], %[s]\n\t"   \
  "smlad %[q], %[w1], %[a1], %[q]\n\t"   \
  "smlad %[s], %[w1], %[b1], %[s]\n\t"

#define OPERANDS                                                                                             \
  [p] "+r"(both_1), [q] "+r"(low_1), [r] "+r"(both_2), [s] "+r"(low_2), [w] "+r"(weights), [x] "+r"(x),      \
      [w0] "=&r"(w0), [w1] "=&r"(w1), [a0] "=&r"(a0), [a1] "=&r"(a1), [b0] "=&r"(b0), [b1] "=&r"(b1)

/* All channels of two pixels; the second is not stored where the image has no more. */
static void multiply(const ep_conv_2d_packed *op, const uint32_t *lanes, int32_t words, int8_t *first, int8_t *second) {
  const uint32_t *weights = op->weights;
  const ep_channel_right *q = op->channels;
  const uint32_t *const end = lanes + 4 * words;
  const int32_t pairs = op->window.output_channels / 2;
  const int32_t offset = op->output_offset, low = op->activation_min;
  for (int32_t pair = 0; pair < pairs; ++pair, q += 2, first += 2, second += 2) {
    int32_t both_1 = 0, low_1 = 0, both_2 = 0, low_2 = 0;
    const uint32_t *x = lanes;
    uint32_t w0, w1, a0, a1, b0, b1;
    if (words & 1) {
      __asm__ volatile(STEP : OPERANDS : : "memory");
    }
    if (words > 1) {
      __asm__ volatile("1:\n\t" STEP STEP "cmp %[x], %[end]\n\tbne 1b\n\t" : OPERANDS : [end] "r"(end) : "memory", "cc");
    }
    first[0] = ep_finish((both_1 - low_1) >> 8, &q[0], offset, low);
    second[0] = ep_finish((both_2 - low_2) >> 8, &q[0], offset, low);
    first[1] = ep_finish(low_1, &q[1], offset, low);
    second[1] = ep_finish(low_2, &q[1], offset, low);
  }
}

void ep_conv_2d_s8__dsp(const ep_conv_2d_packed *op, const int8_t *input, int8_t *output, void *scratch) {
  const ep_window *const w = &op->window;
  const int32_t pixels = w->output_height * w->output_width;
  const int32_t words = op->words;
  uint32_t *const lanes = (uint32_t *)scratch;
  int8_t *const patches = (int8_t *)(lanes + 4 * words);
  int8_t *second;
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * w->output_channels) {
    const int8_t *a, *b;
    const int32_t next = pixel + 1 < pixels ? pixel + 1 : pixel;
    if (op->pointwise) {
      a = input + pixel * w->input_channels;
      b = input + next * w->input_channels;
    } else {
      gather(op, input, pixel / w->output_width, pixel % w->output_width, patches);
      gather(op, input, next / w->output_width, next % w->output_width, patches + 4 * words);
      a = patches;
      b = patches + 4 * words;
    }
    unpack_pair(a, b, words, lanes);
    second = next == pixel ? output : output + w->output_channels;
    multiply(op, lanes, words, output, second);
  }
}
