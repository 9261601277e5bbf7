#include "ep_kernels.h"

/* Products and sums stand in the order in which TFLite has them, so that they round alike.
 * Source: TFLite reference/resize_bilinear.h, ResizeBilinear. */
void ep_resize_bilinear_f32(const ep_resize_f32 *op, const float *input, float *output) {
  const int32_t row = op->input_width * op->depth;
  for (int32_t batch = 0; batch < op->batches; ++batch, input += op->input_height * row) {
    for (int32_t y = 0; y < op->output_height; ++y) {
      const ep_between_f32 *const v = &op->rows[y];
      const float *const above = input + v->low * row, *const below = input + v->high * row;
      for (int32_t x = 0; x < op->output_width; ++x) {
        const ep_between_f32 *const h = &op->columns[x];
        const int32_t left = h->low * op->depth, right = h->high * op->depth;
        for (int32_t channel = 0; channel < op->depth; ++channel) {
          *output++ = above[left + channel] * (1.0f - v->fraction) * (1.0f - h->fraction) +
                      below[left + channel] * v->fraction * (1.0f - h->fraction) +
                      above[right + channel] * (1.0f - v->fraction) * h->fraction +
                      below[right + channel] * v->fraction * h->fraction;
        }
      }
    }
  }
}
