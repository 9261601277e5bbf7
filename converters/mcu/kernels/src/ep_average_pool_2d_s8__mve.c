#include "ep_mve.h"

/* Eight channels at a time; a window is small enough for sums of 16 bits.
 * Source: TFLite reference/integer_ops/pooling.h, AveragePool. */
void ep_average_pool_2d_s8__mve(const ep_pool_2d *op, const int8_t *input, int8_t *output) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->input_channels;
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    const int32_t top = out_y * w->stride_height - w->padding_top;
    const int32_t first_y = top < 0 ? 0 : top;
    const int32_t last_y = top + w->kernel_height < w->input_height ? top + w->kernel_height : w->input_height;
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x, output += depth) {
      const int32_t left = out_x * w->stride_width - w->padding_left;
      const int32_t first_x = left < 0 ? 0 : left;
      const int32_t last_x = left + w->kernel_width < w->input_width ? left + w->kernel_width : w->input_width;
      const int32_t count = (last_y - first_y) * (last_x - first_x);
      for (int32_t channel = 0; channel < depth; channel += 8) {
        const int32_t channels = depth - channel < 8 ? depth - channel : 8;
        const mve_pred16_t some = vctp16q((uint32_t)channels);
        int16x8_t sum = vdupq_n_s16(0);
        for (int32_t y = first_y; y < last_y; ++y) {
          const int8_t *from = input + (y * w->input_width + first_x) * depth + channel;
          for (int32_t x = first_x; x < last_x; ++x, from += depth) {
            sum = vaddq_s16(sum, vldrbq_z_s16(from, some));
          }
        }
        int16_t sums[8];
        vst1q_s16(sums, sum);
        for (int32_t i = 0; i < channels; ++i) {
          const int32_t half = sums[i] > 0 ? count / 2 : -(count / 2);
          output[channel + i] = (int8_t)ep_clamp((sums[i] + half) / count, op->activation_min, op->activation_max);
        }
      }
    }
  }
}
