#include "ep_kernels.h"

/* Each output gathers what TFLite scatters: those inputs whose window reaches it. The window is that of the
 * convolution turned around, so its input is this output. Source: TFLite reference/integer_ops/transpose_conv.h. */
void ep_transpose_conv_s8(const ep_conv_2d *op, const int8_t *input, int8_t *output) {
  const ep_window *const w = &op->window;
  const int32_t depth = w->output_channels;
  for (int32_t y = 0; y < w->input_height; ++y) {
    for (int32_t x = 0; x < w->input_width; ++x) {
      const int8_t *weights = op->weights;
      for (int32_t channel = 0; channel < w->input_channels; ++channel) {
        const ep_channel *const q = &op->channels[channel];
        int32_t sum = q->bias;
        for (int32_t tap_y = 0; tap_y < w->kernel_height; ++tap_y) {
          const int32_t from_y = y + w->padding_top - tap_y, in_y = from_y / w->stride_height;
          for (int32_t tap_x = 0; tap_x < w->kernel_width; ++tap_x, weights += depth) {
            const int32_t from_x = x + w->padding_left - tap_x, in_x = from_x / w->stride_width;
            if (from_y < 0 || from_x < 0 || in_y >= w->output_height || in_x >= w->output_width ||
                in_y * w->stride_height != from_y || in_x * w->stride_width != from_x) {
              continue;
            }
            const int8_t *const pixel = input + (in_y * w->output_width + in_x) * depth;
            for (int32_t i = 0; i < depth; ++i) {
              sum += (pixel[i] + op->input_offset) * weights[i];
            }
          }
        }
        const int32_t result = ep_requantize(sum, q->multiplier, q->shift) + op->output_offset;
        *output++ = (int8_t)ep_clamp(result, op->activation_min, op->activation_max);
      }
    }
  }
}
