#include "ep_kernels.h"

/* Source: TFLite reference/integer_ops/pooling.h, MaxPool. */
void ep_max_pool_2d_s8(const ep_pool_2d *op, const int8_t *input, int8_t *output) {
  const ep_window *const w = &op->window;
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    const int32_t top = out_y * w->stride_height - w->padding_top;
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x) {
      const int32_t left = out_x * w->stride_width - w->padding_left;
      for (int32_t channel = 0; channel < w->output_channels; ++channel) {
        int32_t largest = INT8_MIN;
        for (int32_t y = top < 0 ? 0 : top; y < top + w->kernel_height && y < w->input_height; ++y) {
          for (int32_t x = left < 0 ? 0 : left; x < left + w->kernel_width && x < w->input_width; ++x) {
            const int32_t value = input[(y * w->input_width + x) * w->input_channels + channel];
            largest = value > largest ? value : largest;
          }
        }
        *output++ = (int8_t)ep_clamp(largest, op->activation_min, op->activation_max);
      }
    }
  }
}
