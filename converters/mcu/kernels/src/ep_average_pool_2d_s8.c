#include "ep_kernels.h"

/* The mean of the elements inside the input, rounded half away from zero.
 * Source: TFLite reference/integer_ops/pooling.h, AveragePool. */
void ep_average_pool_2d_s8(const ep_pool_2d *op, const int8_t *input, int8_t *output) {
  const ep_window *const w = &op->window;
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    const int32_t top = out_y * w->stride_height - w->padding_top;
    const int32_t first_y = top < 0 ? 0 : top;
    const int32_t last_y = top + w->kernel_height < w->input_height ? top + w->kernel_height : w->input_height;
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x) {
      const int32_t left = out_x * w->stride_width - w->padding_left;
      const int32_t first_x = left < 0 ? 0 : left;
      const int32_t last_x = left + w->kernel_width < w->input_width ? left + w->kernel_width : w->input_width;
      const int32_t count = (last_y - first_y) * (last_x - first_x);
      for (int32_t channel = 0; channel < w->output_channels; ++channel) {
        int32_t sum = 0;
        for (int32_t y = first_y; y < last_y; ++y) {
          for (int32_t x = first_x; x < last_x; ++x) {
            sum += input[(y * w->input_width + x) * w->input_channels + channel];
          }
        }
        const int32_t mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
        *output++ = (int8_t)ep_clamp(mean, op->activation_min, op->activation_max);
      }
    }
  }
}
