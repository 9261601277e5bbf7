#include "ep_pixel_pairs.h"
#include "ep_scalar.h"

/* Two pixels lie in the halves of a word, x1 + 2^16 x2, so that one product serves both. Two products are added
 * before the halves are taken apart: |w x1 + w' x1'| < 2^15, which the compiler of the model has checked. The
 * upper sum is that of the upper halves; the lower one follows from it and from the sum of the words. */
#define HALF 0x8000U

/* Two channels of two pixels. */
static inline const int8_t *multiply(const int8_t *w, const uint32_t *x, const uint32_t *end, uint32_t start,
                                     int32_t sums[4]) {
  uint32_t words_a = start, words_b = start;
  int32_t upper_a = 0, upper_b = 0;
  do {
    const uint32_t x_0 = x[0], x_1 = x[1];
    const uint32_t a = HALF + (uint32_t)w[0] * x_0 + (uint32_t)w[1] * x_1;
    words_a += a;
    upper_a += (int32_t)a >> 16;
    const uint32_t b = HALF + (uint32_t)w[2] * x_0 + (uint32_t)w[3] * x_1;
    words_b += b;
    upper_b += (int32_t)b >> 16;
    w += 4;
    x += 2;
  } while (x != end);
  sums[0] = (int32_t)(words_a - ((uint32_t)upper_a << 16));
  sums[1] = (int32_t)(words_b - ((uint32_t)upper_b << 16));
  sums[2] = upper_a;
  sums[3] = upper_b;
  return w;
}

void ep_conv_2d_s8__scalar(const ep_conv_2d_paired *op, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t channels = op->window.output_channels;
  const int32_t pixels = op->window.output_height * op->window.output_width;
  uint32_t *const words = (uint32_t *)scratch, *const end = words + 2 * op->pairs;
  int8_t *const zeros = (int8_t *)end;
  const uint32_t start = 0U - HALF * (uint32_t)op->pairs;
  for (int32_t i = 0; i < op->window.input_channels; ++i) {
    zeros[i] = (int8_t)op->zero_point;
  }
  end[-1] = 0; /* its weights are 0 where the number of inputs is odd */
  for (int32_t pixel = 0; pixel < pixels; pixel += 2, output += 2 * channels) {
    const int32_t other = pixel + 1 < pixels ? 1 : 0; /* else one pixel, twice */
    const int8_t *weights = op->weights;
    const ep_channel_right *q = op->channels;
    int8_t *first = output, *second = output + other * channels;
    ep_load_pair(&op->window, input, zeros, pixel, pixel + other, 16, 1, words);
    for (int32_t left = channels; left > 0; left -= 2, q += 2) {
      int32_t sums[4];
      weights = multiply(weights, words, end, start, sums);
      *first++ = ep_finish_channel(sums[0], &q[0]);
      *second++ = ep_finish_channel(sums[2], &q[0]);
      if (left > 1) {
        *first++ = ep_finish_channel(sums[1], &q[1]);
        *second++ = ep_finish_channel(sums[3], &q[1]);
      }
    }
    ep_bound(output, (other + 1) * channels, op->activation_min, op->activation_max);
  }
}
