#include "ep_kernels.h"

/* Each output channel looks at one input channel: channel / multiplier.
 * Source: TFLite reference/integer_ops/depthwise_conv.h, DepthwiseConvPerChannel. */
void ep_depthwise_conv_2d_s8(const ep_conv_2d *op, const int8_t *input, int8_t *output) {
  const ep_window *const w = &op->window;
  const int32_t depth_multiplier = w->output_channels / w->input_channels;
  for (int32_t out_y = 0; out_y < w->output_height; ++out_y) {
    const int32_t top = out_y * w->stride_height - w->padding_top;
    for (int32_t out_x = 0; out_x < w->output_width; ++out_x) {
      const int32_t left = out_x * w->stride_width - w->padding_left;
      for (int32_t channel = 0; channel < w->output_channels; ++channel) {
        const int32_t in_channel = channel / depth_multiplier;
        int32_t acc = op->channels[channel].bias;
        for (int32_t ky = 0; ky < w->kernel_height; ++ky) {
          const int32_t y = top + ky * w->dilation_height;
          if (y < 0 || y >= w->input_height) {
            continue;
          }
          for (int32_t kx = 0; kx < w->kernel_width; ++kx) {
            const int32_t x = left + kx * w->dilation_width;
            if (x < 0 || x >= w->input_width) {
              continue;
            }
            const int32_t value = input[(y * w->input_width + x) * w->input_channels + in_channel];
            const int32_t tap = op->weights[(ky * w->kernel_width + kx) * w->output_channels + channel];
            acc += (value + op->input_offset) * tap;
          }
        }
        const ep_channel *const q = &op->channels[channel];
        acc = ep_requantize(acc, q->multiplier, q->shift) + op->output_offset;
        *output++ = (int8_t)ep_clamp(acc, op->activation_min, op->activation_max);
      }
    }
  }
}
