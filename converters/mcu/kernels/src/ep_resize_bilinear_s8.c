#include "ep_kernels.h"

/* Weights are in 1 / 2^10 along each axis; the sum, in 1 / 2^20, is rounded to nearest, ties away from zero.
 * Source: TFLite reference/resize_bilinear.h, ResizeBilinearInteger. */
void ep_resize_bilinear_s8(const ep_resize_s8 *op, const int8_t *input, int8_t *output) {
  const int32_t row = op->input_width * op->depth;
  for (int32_t batch = 0; batch < op->batches; ++batch, input += op->input_height * row) {
    for (int32_t y = 0; y < op->output_height; ++y) {
      const ep_between_s8 *const v = &op->rows[y];
      const int8_t *const above = input + v->low * row, *const below = input + v->high * row;
      for (int32_t x = 0; x < op->output_width; ++x) {
        const ep_between_s8 *const h = &op->columns[x];
        const int32_t left = h->low * op->depth, right = h->high * op->depth;
        for (int32_t channel = 0; channel < op->depth; ++channel) {
          const int32_t top = above[left + channel] * (1024 - h->fraction) + above[right + channel] * h->fraction;
          const int32_t bottom = below[left + channel] * (1024 - h->fraction) + below[right + channel] * h->fraction;
          const int32_t sum = top * (1024 - v->fraction) + bottom * v->fraction;
          const int32_t half = (int32_t)1 << 19;
          *output++ = (int8_t)((sum + (sum > 0 ? half : -half)) / ((int32_t)1 << 20));
        }
      }
    }
  }
}
